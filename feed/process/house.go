package process

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/link"
	"github.com/tickwire/tickwire/ringbuf"
)

const (
	// houseEvery is how often a lane's house is looked after: what the kernel and the askers counted.
	houseEvery = 250 * time.Millisecond
	// refreshEvery is how often the kernel is asked, which takes a socket's lock.
	refreshEvery = time.Second
	// statsRoom is how many values a process may have: the histograms of a lane take 420, its counters 300.
	statsRoom = 8192
)

// keep looks after what a lane owns and must not enter the kernel for, until done is closed.
func (r *laneRunner) keep(done <-chan struct{}, log *slog.Logger) {
	told := ""
	var next time.Time
	var warned []string
	if r.listener != nil {
		warned = r.listener.Warnings() // told at the start
	}
	for {
		if now := time.Now(); r.listener != nil && now.After(next) {
			next = now.Add(refreshEvery)
			if r.listener.xdp != nil {
				if err := r.listener.xdp.Refresh(); err != nil && err.Error() != told {
					told = err.Error()
					log.Error("counters of the receive path", "lane", r.name, "err", err)
				}
				now := r.listener.Warnings()
				for _, w := range now {
					if !slices.Contains(warned, w) {
						log.Warn(w, "lane", r.name)
					}
				}
				warned = now
			}
			r.lookForLosses(log)
			r.cme.lookForUndefined(r.name, log)
		}
		r.kernel.last()
		select {
		case <-done:
			r.kernel.last() // the lane has counted for the last time
			return
		case <-time.After(houseEvery):
		}
	}
}

// show has the rings say what state their input is in, and whose stamps they carry. A state that changes rings the doorbell, which is a system call: so it
// is not the lane that does it.
func (r *laneRunner) show(log *slog.Logger) {
	if from := r.stamps.Load(); from != r.stamped {
		r.stamped = from
		for _, w := range r.shared.rings {
			w.SetStamps(uint8(from))
		}
	}
	if silent := r.silent.Load(); silent != r.heard {
		r.alarm(silent, log)
	}
	want := ringbuf.State(r.state.Load())
	if want == ringbuf.StateInitialising || r.shown == want {
		return
	}
	r.shown = want
	for _, w := range r.shared.rings {
		w.SetState(want)
	}
}

// alarm says which lines fell silent or are heard again.
func (r *laneRunner) alarm(silent uint64, log *slog.Logger) {
	for bit := range 64 {
		if now := silent >> bit & 1; now != r.heard>>bit&1 {
			say := "line is silent: not even heartbeats come"
			if now == 0 {
				say = "line is heard again"
			}
			log.Warn(say, "lane", r.name, "channel", bit/2, "line", "AB"[bit%2:bit%2+1])
		}
	}
	r.heard = silent
}

// LinkCounters count what became of the interfaces. Owned by the goroutine that watches them.
type LinkCounters struct {
	Downs  uint64 // times that an interface of ours went down
	Ups    uint64 // and came up: its groups were joined anew
	Failed uint64 // times that a lane could not join its groups anew
}

// links joins groups anew when a link was down, and ends the process when an interface is gone: it is started again until the
// interface is there.
func (p *Process) links(w *link.Watch, end func()) {
	for e := range w.C() {
		var ours []*laneRunner // that receive from it: it goes down once for all of them
		for _, r := range p.lanes {
			if r.listener != nil && slices.Contains(r.listener.indexes, e.Index) {
				ours = append(ours, r)
				if e.State == link.Up {
					r.leave(e.Index) // all lanes, before one of them rejoins: they may share groups
				}
			}
		}
		for _, r := range ours {
			p.link(r, e)
		}
		switch {
		case len(ours) == 0:
		case e.State == link.Down:
			p.linkCounters.Downs++
		case e.State == link.Up:
			p.linkCounters.Ups++
		default:
			end() // the lanes' own errors say why
		}
		p.linkStats.last()
	}
	if err := w.Err(); err != nil {
		p.log.Error("a link that was down is not joined anew", "err", err)
	}
}

// leave leaves the lane's groups on an interface: those of its lines, and those that answers come by.
func (r *laneRunner) leave(index int) {
	r.listener.Leave(index)
	for _, a := range r.askers {
		if a.groups != nil {
			a.groups.Leave(index)
		}
	}
}

func (r *laneRunner) rejoin(index int) error {
	errs := []error{r.listener.Rejoin(index)}
	for _, a := range r.askers {
		if a.groups != nil {
			errs = append(errs, a.groups.Rejoin(index))
		}
	}
	return errors.Join(errs...)
}

// link is what a change of one of its interfaces is to a lane.
func (p *Process) link(r *laneRunner, e link.Event) {
	switch e.State {
	case link.Down:
		p.log.Warn("link is down", "lane", r.name, "interface", e.Name)
	case link.Up:
		if err := r.rejoin(e.Index); err != nil {
			p.linkCounters.Failed++
			p.log.Error("link is up, but groups are not joined anew", "lane", r.name, "interface", e.Name, "err", err)
			return
		}
		p.log.Warn("link is up: groups joined anew", "lane", r.name, "interface", e.Name)
	case link.Gone:
		r.gone = fmt.Errorf("interface %s is gone", e.Name)
	}
}

// beatEvery is how soon a sleeping reader of a lane that spins hears of a record, at the latest. A Go timer would take
// a millisecond (the runtime's poller counts in those), so this thread sleeps in the kernel.
const beatEvery = 200 * time.Microsecond

func (p *Process) beat(done <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := unix.NsecToTimespec(int64(beatEvery))
	for turn := 0; ; turn++ {
		select {
		case <-done:
			p.drain()
			return
		default:
		}
		now := ringbuf.MonotonicNow()
		for _, r := range p.lanes {
			r.show(p.log)
			for _, w := range r.shared.rings {
				w.Beat(now)
			}
		}
		if turn%8 == 0 {
			p.drain()
		}
		_ = unix.Nanosleep(&pause, nil)
	}
}

// drain writes what came for the definitions files, and touches what is not a ring. A file that cannot be written is told of once each
// time that it begins: it is tried again each millisecond.
func (p *Process) drain() {
	for _, r := range p.lanes {
		err := r.shared.out.Definitions.Drain()
		if err != nil && !r.undrained {
			p.log.Error("definitions file", "lane", r.name, "err", err)
		}
		r.undrained = err != nil
		r.shared.out.Instruments.Beat()
		r.shared.out.Last.Beat()
	}
	p.stats.Beat()
}

// snapshots keeps .snap of a lane.
func (p *Process) snapshots(r *laneRunner, done <-chan struct{}) {
	told := false
	for {
		if !r.snap.follow(1 << 16) {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
		if err := r.snap.write(time.Now()); err != nil {
			p.log.Error("snapshot", "lane", r.name, "err", err)
		}
		if r.snap.Stopped != told {
			told = r.snap.Stopped
			if told {
				p.log.Error("snapshots stop until the next session: the ring overtook their reader; a larger mbo ring or a core for it helps",
					"lane", r.name)
			}
		}
	}
}
