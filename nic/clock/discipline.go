package clock

// sample is one look at three clocks at the same time.
type sample struct {
	ticks  uint64 // the processor's counter
	real   uint64 // CLOCK_REALTIME, ns since the Unix epoch
	raw    uint64 // CLOCK_MONOTONIC_RAW, ns
	window uint64 // how much later than ticks the others may have been read, ticks
}

// Bounds of the discipline.
const (
	history     = 16            // samples that the rate is measured over: 1.6 s
	horizonNs   = 300e6         // an error is caught up in this time …
	mostSlew    = 200e-6        // … at this rate at most
	stepNs      = 500_000       // an error from here on: the system's clock was set
	mostDrift   = 200e-6        // of the counter against CLOCK_MONOTONIC_RAW, before it is given up
	lineLifeNs  = 2_000_000_000 // a line that was not renewed for so long is not used
	leastSpanNs = 10_000_000    // rates are not measured over less
)

// discipline turns samples into lines from ticks to ns since the Unix epoch. It is pure: time is what the samples say.
type discipline struct {
	line    line
	rate    float64 // ns of CLOCK_REALTIME a tick
	rawRate float64 // ns of CLOCK_MONOTONIC_RAW a tick, when first measured
	past    [history]sample
	count   int // samples in past, the last one at (count−1) % history
	setBack bool
	c       Counters
}

// start takes the first two samples, at least 10 ms apart. It returns false when they make no sense.
func (d *discipline) start(a, b sample) bool {
	if b.ticks <= a.ticks || b.real <= a.real || b.raw < a.raw+leastSpanNs {
		return false
	}
	d.rate = float64(b.real-a.real) / float64(b.ticks-a.ticks)
	d.rawRate = float64(b.raw-a.raw) / float64(b.ticks-a.ticks)
	if !d.sound(d.rate) { // it was set between the two
		d.rate = d.rawRate
	}
	d.forget()
	d.remember(b)
	d.draw(b.ticks, b.real, d.rate)
	return true
}

// next takes another sample and renews the line. It returns false when the counter cannot be trusted any more.
func (d *discipline) next(s sample) bool {
	d.c.Checks++
	last := &d.past[(d.count-1)%history]
	if s.ticks <= last.ticks || s.raw <= last.raw {
		d.c.OutOfBound++
		return false
	}
	old := &d.past[max(0, d.count-history)%history]
	span := float64(s.ticks - old.ticks)
	raw := float64(s.raw-old.raw) / span
	drift := raw/d.rawRate - 1
	d.c.LiveDriftPpb = magnitude(drift * 1e9)
	if drift > mostDrift || drift < -mostDrift {
		d.c.OutOfBound++
		return false
	}

	given := d.given(s)
	off := int64(s.real - given)
	d.c.LiveErrorNs = magnitude(float64(off))
	switch {
	case off >= stepNs: // set forward: follow
		d.c.Steps++
		d.setBack = false
		d.forget()
		d.draw(s.ticks, s.real, d.rate)
	case off <= -stepNs: // set back: wait for it
		if !d.setBack {
			d.c.Steps++
			d.setBack = true
		}
		d.forget()
		d.draw(s.ticks, given, d.rate/2)
	default:
		d.setBack = false
		d.c.MaxErrorNs = max(d.c.MaxErrorNs, d.c.LiveErrorNs)
		if rate := float64(s.real-old.real) / span; s.raw-old.raw >= leastSpanNs && d.sound(rate) {
			d.rate = rate
		}
		slew := min(max(float64(off)/horizonNs, -mostSlew), mostSlew)
		d.draw(s.ticks, given, d.rate*(1+slew))
	}
	d.remember(s)
	return true
}

// sound says whether a rate of CLOCK_REALTIME can be: the kernel slews by 500 ppm at most, and 10 % when told to by adjtime's tick.
func (d *discipline) sound(rate float64) bool {
	return rate > d.rawRate*0.89 && rate < d.rawRate*1.11
}

// given is the highest time that readers may have been told when s was taken.
func (d *discipline) given(s sample) uint64 {
	if d.line.within(s.ticks) {
		return d.line.value(s.ticks)
	}
	return max(s.real, d.line.value(d.line.base+d.line.limit)) // past the end they asked the kernel
}

func (d *discipline) draw(ticks, at uint64, rate float64) {
	d.line = line{base: ticks, at: at, mult: multOf(rate), limit: uint64(lineLifeNs / d.rawRate)}
}

func (d *discipline) remember(s sample) {
	d.past[d.count%history] = s
	if d.count++; d.count == 2*history {
		d.count = history // the same place, without ever overflowing
	}
}

func (d *discipline) forget() { d.count = 0 }

func magnitude(v float64) uint64 {
	if v < 0 {
		v = -v
	}
	return uint64(min(v, 1<<62))
}
