package jitter

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
)

// runner is the measuring thread of one core.
type runner struct {
	cpu   int
	probe *probe
	trace *trace     // nil: not asked for
	done  chan error // nil when it measured to the end, or was told to stop
	ready chan error
}

// run is the thread. It ends with its goroutine: mask and affinity are nobody else's.
func (r *runner) run(mode Mode, pinned bool) {
	runtime.LockOSThread()
	if err := pin.Thread(r.cpu); err != nil {
		r.ready <- err
		return
	}
	if mode != Plain {
		// The runtime asks who has run for 10 ms to yield by this signal, and asks again only when it was taken. A lane is started with
		// asyncpreemptoff=1, to the same effect.
		var set unix.Sigset_t
		set.Val[(unix.SIGURG-1)/64] |= 1 << ((unix.SIGURG - 1) % 64)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
			r.ready <- fmt.Errorf("jitter: core %d: blocking SIGURG: %w", r.cpu, err)
			return
		}
	}
	p := r.probe
	schedstat, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		schedstat = -1
	} else {
		defer unix.Close(schedstat)
	}
	if fd, err := unix.Open(fmt.Sprintf("/dev/cpu/%d/msr", r.cpu), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		defer unix.Close(fd)
		if _, ok := readSMI(fd); ok {
			p.msr = int32(fd)
		}
	}
	var w *pin.Window
	switch {
	case mode == Host && pinned:
		w = pin.New(pin.Options{Quantum: 2 * mostFor})
	case mode == Runtime && pinned:
		w = pin.New(pin.Options{})
	}
	p.tid.Store(int32(unix.Gettid()))
	r.ready <- nil
	w.Enter(p.clockNs(now()))
	p.run(w, schedstat)
	w.Leave()
	r.done <- nil
}
