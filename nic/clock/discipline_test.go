package clock

import (
	"math"
	"math/rand/v2"
	"testing"
)

// world is made-up clocks: a counter of 2.4 GHz that is off by some ppm, and a system clock that somebody keeps.
type world struct {
	ns      float64 // true time
	counter float64 // ticks a true ns
	real    float64 // system's clock ahead of true time, ns
	slew    float64 // system's clock, ns a true ns
	epoch   uint64
	jitter  float64 // of a look at the system's clock, ns
	rnd     *rand.Rand
}

func newWorld() *world {
	return &world{counter: 2.4 * (1 + 17e-6), epoch: 1_700_000_000_000_000_000, rnd: rand.New(rand.NewPCG(1, 2))}
}

func (w *world) pass(ns float64) {
	w.ns += ns
	w.real += ns * w.slew
}

func (w *world) ticks() uint64 { return 1<<50 + uint64(w.ns*w.counter) }

func (w *world) now() uint64 { return w.epoch + uint64(int64(w.ns+w.real)) }

func (w *world) sample() sample {
	j := uint64(int64(w.rnd.Float64() * w.jitter))
	return sample{ticks: w.ticks(), real: w.now() + j, raw: 5_000_000 + uint64(w.ns), window: 100}
}

// watch goes on for some ms of the world, checks every 100 ms, and looks at the clock every ms: it must not go back, nor
// run faster than mostRate times true time but where it steps. It returns the error at the end.
func watch(t *testing.T, w *world, d *discipline, ms int, mostRate float64) float64 {
	t.Helper()
	last := d.line.value(w.ticks())
	steps := d.c.Steps
	for i := range ms {
		w.pass(1e6)
		now := d.line.value(w.ticks())
		if now < last {
			t.Fatalf("after %d ms the clock went back by %d ns", i, last-now)
		}
		if rate := float64(now-last) / 1e6; rate > mostRate {
			t.Fatalf("after %d ms the clock ran at %f times true time, want at most %f", i, rate, mostRate)
		}
		last = now
		if i%100 == 99 {
			if !d.next(w.sample()) {
				t.Fatalf("after %d ms the counter was given up: %+v", i, d.c)
			}
			after := d.line.value(w.ticks())
			if after < last || after > last && d.c.Steps == steps {
				t.Fatalf("after %d ms a new line moved the clock by %d ns", i, int64(after-last))
			}
			last, steps = after, d.c.Steps
		}
	}
	return float64(int64(d.line.value(w.ticks()) - w.now()))
}

func started(t *testing.T, w *world) *discipline {
	t.Helper()
	d := new(discipline)
	a := w.sample()
	w.pass(20e6)
	if !d.start(a, w.sample()) {
		t.Fatal("did not start")
	}
	return d
}

func TestClockFollowsTheSystems(t *testing.T) {
	for _, slew := range []float64{0, 12e-6, -499e-6, 499e-6} {
		w := newWorld()
		w.slew, w.jitter = slew, 40
		d := started(t, w)
		if off := watch(t, w, d, 3000, 1.001); math.Abs(off) > 100 {
			t.Errorf("slewing at %g: off by %.0f ns, want at most 100", slew, off)
		}
		if d.c.Steps != 0 || d.c.OutOfBound != 0 {
			t.Errorf("slewing at %g: %+v, want no step", slew, d.c)
		}
	}
}

// Another rate in the middle: the error stays small, and is caught up.
func TestClockFollowsAnotherRate(t *testing.T) {
	w := newWorld()
	d := started(t, w)
	watch(t, w, d, 2000, 1.001)
	w.slew = 100e-6
	watch(t, w, d, 1000, 1.001)
	if d.c.MaxErrorNs > 30_000 {
		t.Errorf("off by %d ns in between", d.c.MaxErrorNs)
	}
	if off := watch(t, w, d, 4000, 1.001); math.Abs(off) > 100 {
		t.Errorf("off by %.0f ns 5 s later", off)
	}
}

// A small offset is no step: it is caught up slowly.
func TestSmallOffsetIsSlewed(t *testing.T) {
	for _, by := range []float64{400e3, -400e3} {
		w := newWorld()
		d := started(t, w)
		watch(t, w, d, 500, 1.001)
		w.real += by
		if off := watch(t, w, d, 6000, 1.002); math.Abs(off) > 1000 || d.c.Steps != 0 {
			t.Errorf("moved by %g ns: off by %.0f ns after 6 s, %d steps", by, off, d.c.Steps)
		}
	}
}

func TestSetForwardIsAStep(t *testing.T) {
	w := newWorld()
	d := started(t, w)
	watch(t, w, d, 500, 1.001)
	w.real += 37e9
	if off := watch(t, w, d, 300, 1.001); math.Abs(off) > 100 || d.c.Steps != 1 {
		t.Errorf("off by %.0f ns, %d steps, want 0 and 1", off, d.c.Steps)
	}
}

// Set back by a second: the clock goes on, at half speed, until it has been caught up with.
func TestSetBackIsWaitedFor(t *testing.T) {
	w := newWorld()
	d := started(t, w)
	watch(t, w, d, 500, 1.001)
	w.real -= 1e9
	if off := watch(t, w, d, 1000, 0.51+0.5); off < 0.4e9 || off > 0.7e9 {
		t.Errorf("1 s later ahead by %.0f ns, want about half a second", off)
	}
	if off := watch(t, w, d, 10_000, 1.001); math.Abs(off) > 1000 || d.c.Steps != 1 {
		t.Errorf("off by %.0f ns, %d steps, want 0 and 1", off, d.c.Steps)
	}
}

// Nobody checked for a while: readers asked the kernel past the line's end, and must not be sent back.
func TestLineEnds(t *testing.T) {
	w := newWorld()
	d := started(t, w)
	w.pass(1.9e9)
	if !d.line.within(w.ticks()) {
		t.Error("the line ended before 2 s")
	}
	w.pass(0.2e9)
	if d.line.within(w.ticks()) {
		t.Error("the line did not end after 2 s")
	}
	w.pass(60e9)
	told := w.now()
	if !d.next(w.sample()) {
		t.Fatal("given up")
	}
	if now := d.line.value(w.ticks()); now < told || now > told+100 || d.c.Steps != 0 {
		t.Errorf("after the end the clock is off by %d ns, %d steps", int64(now-told), d.c.Steps)
	}
}

func TestBadCounterIsGivenUp(t *testing.T) {
	for name, harm := range map[string]func(*world){
		"drifts":    func(w *world) { w.counter *= 1.001 },
		"slows":     func(w *world) { w.counter *= 0.7 },
		"went back": func(w *world) { w.ns -= 1e9 },
	} {
		w := newWorld()
		d := started(t, w)
		watch(t, w, d, 2000, 1.001)
		before := w.ticks()
		harm(w)
		ok := true
		for range 20 {
			w.pass(100e6)
			if ok = d.next(w.sample()); !ok {
				break
			}
		}
		if ok || d.c.OutOfBound != 1 {
			t.Errorf("a counter that %s from %d on was not given up: %+v", name, before, d.c)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		l    line
		x    uint64
		want uint64
		in   bool
	}{
		{line{1000, 5000, 1 << fraction, 10}, 1007, 5007, true},
		{line{1000, 5000, 1 << fraction, 10}, 993, 4993, true},
		{line{1000, 5000, 1 << fraction, 10}, 1011, 5011, false},
		{line{1000, 5000, 1 << fraction, 10}, 989, 4989, false},
		{line{1000, 5000, 1 << (fraction - 1), 1 << 40}, 1000 + 1<<40, 5000 + 1<<39, true},
		{line{1000, 5000, 125 << (fraction - 2), 1 << 60}, 1000 + 1<<50, 5000 + 125<<48, true},
		{line{5, 1 << 60, 1 << fraction, 100}, 1<<64 - 45, 1<<60 - 50, true}, // over 0
		{line{}, 0, 0, false},
		{line{}, 1 << 40, 0, false},
	} {
		if got, in := tc.l.value(tc.x), tc.l.within(tc.x); in != tc.in || tc.l.limit != 0 && got != tc.want {
			t.Errorf("%+v at %d: %d %v, want %d %v", tc.l, tc.x, got, in, tc.want, tc.in)
		}
	}
}
