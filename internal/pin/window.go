package pin

import (
	"sync/atomic"
	"time"
)

// Counters of a Window. Owned by the goroutine that it belongs to.
type Counters struct {
	Releases       uint64 // windows opened because somebody wanted one
	ForcedReleases uint64 // windows opened because the quantum was over
	UsedReleases   uint64 // of both, those in which the runtime, or somebody else, stopped the goroutine
	Outs           uint64 // times that pinned work went out for something that must not run pinned
	OpenNs         uint64 // time spent in windows
	MaxOpenNs      uint64 // longest window
}

// Options of a Window. The zero value works.
type Options struct {
	// Quantum is the longest time between two windows, so about the longest that a collection nobody announced waits. The
	// default is 50 ms.
	Quantum time.Duration
}

const (
	defaultQuantum = 50 * time.Millisecond
	// openFor is how long a window stays open if nobody wants anything. The runtime tries again every 100 µs to stop who
	// did not stop (stopTheWorldWithSema), so two tries fall into it.
	openFor = 200_000
	// usedGap between two checks says that somebody stopped us: a pass is shorter.
	usedGap = 20_000
	// longerBy is how long a window stays open after it was used, longest how long in all.
	longerBy = 1_000_000
	longest  = 20_000_000
)

// Window pins the P of the goroutine that owns it and opens windows. Want is for any goroutine; everything else is the
// owner's. All methods but Want and Wanted do nothing on a nil Window: a lane that is never pinned.
//
//	line 0-1   want       written by who wants, read by the owner at each check
//	line 2-    the rest   the owner's
type Window struct {
	want atomic.Int32
	_    [124]byte

	pinned bool   // the P is pinned now
	inside bool   // between Enter and Leave
	used   bool   // this window has been used
	due    uint64 // pinned: when the quantum is over; open: when the window closes
	opened uint64
	seen   uint64 // time of the last check in this window

	quantum  uint64
	counters Counters
}

// New makes a window. Works should have said that pinning works.
func New(o Options) *Window {
	if o.Quantum <= 0 {
		o.Quantum = defaultQuantum
	}
	return &Window{quantum: uint64(o.Quantum)}
}

// Want asks the owner to open a window and to keep it open until as many calls with false. Raise it before what needs the
// goroutine, such as runtime.GC, and take it back when that has returned. Any goroutine.
func (w *Window) Want(on bool) {
	if on {
		w.want.Add(1)
	} else {
		w.want.Add(-1)
	}
}

// Wanted says whether somebody wants a window. Any goroutine.
func (w *Window) Wanted() bool { return w.want.Load() > 0 }

// Counters belong to the owner.
func (w *Window) Counters() *Counters { return &w.counters }

// Enter pins the P. now is any clock in ns that does not go back, the same for all calls. The goroutine must be locked to
// its thread, and must call Leave before it ends.
func (w *Window) Enter(now uint64) {
	if w == nil || w.inside {
		return
	}
	w.inside = true
	w.close(now)
}

// Leave unpins the P for good.
func (w *Window) Leave() {
	if w == nil || !w.inside {
		return
	}
	w.inside = false
	if w.pinned {
		w.pinned = false
		procUnpin()
	}
}

// Check opens or closes a window when it is time to. Once a pass. Hot path: two loads and two comparisons.
func (w *Window) Check(now uint64) {
	if w == nil || w.pinned && now < w.due && w.want.Load() <= 0 {
		return
	}
	w.turn(now)
}

func (w *Window) turn(now uint64) {
	switch wanted := w.want.Load() > 0; {
	case !w.inside:
	case w.pinned:
		if wanted {
			w.counters.Releases++
		} else {
			w.counters.ForcedReleases++
		}
		w.opened, w.seen, w.due, w.used = now, now, now+openFor, false
		w.pinned = false
		procUnpin()
	default:
		if now-w.seen > usedGap {
			w.due = min(now+longerBy, w.opened+longest)
			if !w.used {
				w.used = true
				w.counters.UsedReleases++
			}
		}
		w.seen = now
		if wanted || now < w.due {
			return
		}
		w.counters.OpenNs += now - w.opened
		w.counters.MaxOpenNs = max(w.counters.MaxOpenNs, now-w.opened)
		w.close(now)
	}
}

// close pins.
func (w *Window) close(now uint64) {
	procPin()
	w.pinned, w.due = true, now+w.quantum
}

// Pinned says whether the P is pinned now.
func (w *Window) Pinned() bool { return w != nil && w.pinned }

// Out unpins for something that must not run pinned, and says whether there was anything to unpin: In wants to know. Pairs
// may be nested. A few ns.
func (w *Window) Out() bool {
	if w == nil || !w.pinned {
		return false
	}
	w.counters.Outs++
	w.pinned = false
	procUnpin()
	return true
}

// In pins again after Out. Nothing may have panicked in between without the owner having called Leave.
func (w *Window) In(was bool) {
	if was {
		procPin()
		w.pinned = true
	}
}
