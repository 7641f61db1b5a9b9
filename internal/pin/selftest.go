package pin

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Works says whether pinning the P does what package pin builds on: that a stop of the world waits for it, and ends when it
// is let go. A runtime that does otherwise is told by an error, and lanes then run without. The answer is found once, by
// collecting twice: call it when nothing is due yet.
var Works = sync.OnceValue(works)

// held is how long a collection must wait for a pinned P to have been seen waiting. One that does not wait takes less than
// a tenth of that on a heap as small as one is at start.
const held = 10 * time.Millisecond

func works() error {
	if !linked {
		return errors.New("pin: this binary was built without pinning of the P (tag tickwire_noprocpin)")
	}
	if n := runtime.GOMAXPROCS(0); n < 2 {
		return fmt.Errorf("pin: GOMAXPROCS = %d: with the only P pinned nothing else would run", n)
	}
	runtime.GC() // what is left of an earlier one does not count
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start, done := make(chan struct{}), make(chan struct{})
	go func() {
		<-start
		runtime.GC()
		close(done)
	}()
	id := procPin()
	again := procPin()
	procUnpin()
	close(start)
	early := false
	for begin := time.Now(); time.Since(begin) < held && !early; {
		select {
		case <-done:
			early = true
		default:
		}
	}
	procUnpin()
	if id != again || id < 0 || id >= runtime.GOMAXPROCS(0) {
		<-done
		return fmt.Errorf("pin: runtime.procPin said P %d, then %d, of %d: this Go version pins otherwise; lanes run without", id, again, runtime.GOMAXPROCS(0))
	}
	if early {
		return errors.New("pin: the world stopped though a P was pinned: this Go version pins otherwise; lanes run without")
	}
	select {
	case <-done:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("pin: the world did not stop in 20 s after the P was let go: this Go version pins otherwise; lanes run without")
	}
}
