package clock

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Counters of a Clock. Live… are gauges.
type Counters struct {
	Checks       uint64 // samples taken
	Noisy        uint64 // samples that were no good, since something came between: the line went on
	Steps        uint64 // times that the system's clock was set, by half a millisecond or more
	OutOfBound   uint64 // times that the counter drifted off or went back: 1, and it is used no more
	Stale        uint64 // readings of the kernel's clock, since the line had ended: housekeeping did not run
	LiveCounter  uint64 // 1: the processor's counter is in use; 0: the kernel's clock
	LiveErrorNs  uint64 // the last difference to the system's clock
	MaxErrorNs   uint64 // the largest that was no step
	LiveDriftPpb uint64 // of the counter against CLOCK_MONOTONIC_RAW since start
}

// Every is how often a Clock must be checked.
const Every = 100 * time.Millisecond

// Clock tells ns since the Unix epoch. Now is for any goroutine; Check, or Keep, for one.
type Clock struct {
	latch latch
	stale atomic.Uint64
	_     [120]byte

	mu    sync.Mutex // of what follows, against Counters and Source
	d     discipline
	why   string // why the counter is not used, "": it is
	tries func() sample
}

// New looks at the host and measures the counter, which takes 20 ms. It never fails: where the counter cannot be used the
// Clock tells the kernel's time, and Source says why.
func New() *Clock { return newClock("/sys") }

func newClock(sys string) *Clock {
	c := &Clock{tries: takeSample}
	if c.why = unfit(sys); c.why != "" {
		return c
	}
	first := c.tries()
	time.Sleep(20 * time.Millisecond)
	if !c.d.start(first, c.tries()) {
		c.why = "the processor's counter and the system's clock do not go together"
		return c
	}
	c.d.c.LiveCounter = 1
	c.latch.publish(c.d.line)
	return c
}

// unfit says why the counter cannot be used, "": it can. What the kernel itself reads the time from is good for us too.
func unfit(sys string) string {
	if clocksource == "" {
		return "this binary reads no counter on this architecture"
	}
	text, err := os.ReadFile(filepath.Join(sys, "devices/system/clocksource/clocksource0/current_clocksource"))
	if err != nil {
		return "the kernel does not say which clock it uses"
	}
	if is := strings.TrimSpace(string(text)); is != clocksource {
		return fmt.Sprintf("the kernel's own clock source is %s, not %s (time.clocksource)", is, clocksource)
	}
	return ""
}

// Now is the time, ns since the Unix epoch. For one thread that stays on its core it does not go back; see Local for a
// guarantee. Hot path: no call into the kernel, no lock, no allocation.
func (c *Clock) Now() uint64 {
	l := c.latch.read()
	if t := ticks(); l.within(t) {
		return l.value(t)
	}
	return c.slow(l)
}

// slow asks the kernel, which does not take a system call either (vDSO).
func (c *Clock) slow(l line) uint64 {
	now := uint64(time.Now().UnixNano())
	if l.limit != 0 {
		c.stale.Add(1)
		now = max(now, l.value(l.base+l.limit))
	}
	return now
}

// Check compares the counter with the system's clock and renews the line. Ten times a second.
func (c *Clock) Check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != "" {
		return
	}
	s := c.tries()
	if float64(s.window)*c.d.rawRate > mostWindowNs {
		c.d.c.Noisy++
		return
	}
	if !c.d.next(s) {
		c.why = "the processor's counter drifted off CLOCK_MONOTONIC_RAW"
		c.d.c.LiveCounter = 0
		c.latch.publish(line{})
		return
	}
	c.latch.publish(c.d.line)
}

// Keep checks until done is closed.
func (c *Clock) Keep(done <-chan struct{}) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			c.Check()
		}
	}
}

// Counters is a copy. Any goroutine, not the hot path.
func (c *Clock) Counters() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.d.c
	n.Stale = c.stale.Load()
	return n
}

// Source says where the time comes from: "tsc" (arm64: "arch_sys_counter"), or "system: " and why. Any goroutine.
func (c *Clock) Source() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != "" {
		return "system: " + c.why
	}
	return clocksource
}

// Local is a Clock for one goroutine, which never sees it go back, on whatever core it runs and whatever happens to the
// system's clock.
type Local struct {
	c    *Clock
	last uint64
}

// Local makes one.
func (c *Clock) Local() *Local { return &Local{c: c} }

// Now is like Clock.Now. Hot path.
func (l *Local) Now() uint64 {
	l.last = max(l.last, l.c.Now())
	return l.last
}

const (
	looks        = 8    // the best of so many is taken
	mostWindowNs = 5000 // a sample worse than that is none: something came between each time
)

// takeSample looks at the three clocks: at the two that matter most closely together, and best of some.
func takeSample() sample {
	best := sample{window: ^uint64(0)}
	for range looks {
		before := ticksFenced()
		wall := time.Now()
		after := ticksFenced()
		if w := after - before; w < best.window {
			best = sample{ticks: before + w/2, real: uint64(wall.UnixNano()), window: w}
		}
	}
	// CLOCK_MONOTONIC_RAW by the same measure, moved to the moment of the other. It is looked at over 100 ms and more, so a
	// rough rate will do for the microseconds between.
	best.raw = rawAt(best.ticks)
	return best
}

// rawAt is CLOCK_MONOTONIC_RAW when the counter was at ticks, a moment ago.
func rawAt(at uint64) uint64 {
	window, offset := ^uint64(0), int64(0)
	var raw uint64
	for range looks {
		var ts unix.Timespec
		before := ticksFenced()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts) != nil {
			return 0
		}
		after := ticksFenced()
		if w := after - before; w < window {
			window, raw, offset = w, uint64(ts.Nano()), int64(before+w/2-at)
		}
	}
	return raw - uint64(float64(offset)*nsPerTick())
}

// nsPerTick is the counter's rate to a few per cent, measured once.
var nsPerTick = sync.OnceValue(func() float64 {
	begin, from := time.Now(), ticksFenced()
	for time.Since(begin) < time.Millisecond {
	}
	return float64(time.Since(begin)) / float64(ticksFenced()-from)
})
