package process

import (
	"log/slog"
	"time"
)

const (
	// houseEvery is how often a lane's house is looked after: what the kernel and the askers counted.
	houseEvery = 250 * time.Millisecond
	// refreshEvery is how often the kernel is asked, which takes a socket's lock.
	refreshEvery = time.Second
	// statsRoom is how many values a process may have: three histograms of a lane take 370, its counters 300.
	statsRoom = 8192
)

// keep looks after what a lane owns and must not enter the kernel for, until done is closed.
func (r *laneRunner) keep(done <-chan struct{}, log *slog.Logger) {
	told := ""
	var next time.Time
	for {
		if now := time.Now(); r.listener != nil && r.listener.xdp != nil && now.After(next) {
			next = now.Add(refreshEvery)
			if err := r.listener.xdp.Refresh(); err != nil && err.Error() != told {
				told = err.Error()
				log.Error("counters of the receive path", "lane", r.name, "err", err)
			}
		}
		r.kernel.last()
		select {
		case <-done:
			return
		case <-time.After(houseEvery):
		}
	}
}
