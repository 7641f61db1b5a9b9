package clock

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fit skips where the machine's counter cannot be used.
func fit(t testing.TB) *Clock {
	t.Helper()
	c := New()
	if c.Source() != clocksource {
		t.Skip(c.Source())
	}
	return c
}

// The clock is the system's to well within what a busy machine does to a look at both.
func TestNowIsTheSystemsTime(t *testing.T) {
	c := New()
	t.Logf("source %s", c.Source())
	done := make(chan struct{})
	var keeping sync.WaitGroup
	keeping.Go(func() { c.Keep(done) })
	best := time.Hour
	for range 500 {
		before := time.Now().UnixNano()
		now := int64(c.Now())
		after := time.Now().UnixNano()
		off := max(time.Duration(before-now), time.Duration(now-after), 0)
		best = min(best, off)
		time.Sleep(100 * time.Microsecond)
	}
	close(done)
	keeping.Wait()
	if best > 10*time.Microsecond {
		t.Errorf("never nearer than %v to the system's clock", best)
	}
	n := c.Counters()
	t.Logf("%+v", n)
	if c.Source() == clocksource && (n.Checks == 0 || n.LiveCounter != 1) {
		t.Errorf("%+v: want checks, and the counter in use", n)
	}
}

// Local clocks do not go back while lines are renewed as fast as can be.
func TestLocalNeverGoesBack(t *testing.T) {
	c := fit(t)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			l := c.Local()
			for last, turn := l.Now(), 0; !stop.Load(); turn++ {
				if turn%1000 == 0 {
					runtime.Gosched() // there may be one core
				}
				now := l.Now()
				if now < last {
					t.Errorf("went back by %d ns", last-now)
					return
				}
				last = now
			}
		})
	}
	for range 300 {
		c.Check()
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	readers.Wait()
}

// A latch gives whole lines only, and its readers get on though the writer stops half-way.
func TestLatchIsWhole(t *testing.T) {
	var h latch
	whole := func(n uint64) line { return line{n, n, n, n} }
	var stop atomic.Bool
	var readers sync.WaitGroup
	h.publish(whole(1))
	for range 2 {
		readers.Go(func() {
			for last := uint64(0); !stop.Load(); {
				l := h.read()
				if l != whole(l.base) || l.base < last {
					t.Errorf("%+v after %d", l, last)
					return
				}
				last = l.base
			}
		})
	}
	for n := range uint64(200_000) {
		h.publish(whole(n + 1))
	}
	stop.Store(true)
	readers.Wait()
	h.slots[(h.seq.Load()+1)&1].base.Store(7) // a writer that was stopped
	if l := h.read(); l != whole(200_000) {
		t.Errorf("%+v beside a writer that stopped half-way", l)
	}
}

func TestOtherClocksourceIsNotOurs(t *testing.T) {
	sys := t.TempDir()
	if c := newClock(sys); !strings.HasPrefix(c.Source(), "system: ") {
		t.Errorf("source %q where the kernel says nothing", c.Source())
	}
	dir := filepath.Join(sys, "devices/system/clocksource/clocksource0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "current_clocksource"), []byte("hpet\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := newClock(sys)
	if clocksource != "" && !strings.Contains(c.Source(), "hpet") {
		t.Errorf("source %q, want one that names hpet", c.Source())
	}
	c.Check()
	before := uint64(time.Now().UnixNano())
	now := c.Now()
	if after := uint64(time.Now().UnixNano()); now < before || now > after {
		t.Errorf("%d is not between %d and %d", now, before, after)
	}
	if n := c.Counters(); n != (Counters{}) {
		t.Errorf("%+v, want nothing counted", n)
	}
}

// A counter that fails while it is in use is left, and the time goes on.
func TestGivenUpInUse(t *testing.T) {
	c := fit(t)
	c.tries = func() sample {
		s := takeSample()
		s.raw += 1 << 40
		return s
	}
	c.Check()
	if !strings.Contains(c.Source(), "drifted") || c.Counters().LiveCounter != 0 || c.Counters().OutOfBound != 1 {
		t.Errorf("source %q, %+v", c.Source(), c.Counters())
	}
	before := uint64(time.Now().UnixNano())
	if now := c.Now(); now < before {
		t.Errorf("%d is before %d", now, before)
	}
}

func TestNowAllocatesNothing(t *testing.T) {
	l := New().Local()
	if n := testing.AllocsPerRun(1000, func() { l.Now() }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// BenchmarkNow stands beside BenchmarkSystem, which is what a lane would ask otherwise.
//
//	budget  0 allocs, half of BenchmarkSystem
func BenchmarkNow(b *testing.B) {
	c := fit(b)
	for range b.N { // of a benchmark that runs longer than a line lives
		c.Now()
	}
}

func BenchmarkLocal(b *testing.B) {
	l := fit(b).Local()
	for range b.N {
		l.Now()
	}
}

func BenchmarkTicks(b *testing.B) {
	for range b.N {
		ticks()
	}
}

func BenchmarkSystem(b *testing.B) {
	for range b.N {
		_ = time.Now().UnixNano()
	}
}
