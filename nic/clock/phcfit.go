package clock

import (
	"fmt"
	"math"
	"sync"
)

// PHCSample is one look at a PTP hardware clock and at the system's.
type PHCSample struct {
	PHC    uint64 // the hardware clock, ns since its own epoch
	Host   uint64 // CLOCK_REALTIME at the same time, ns since the Unix epoch
	Window uint64 // how far apart the two may have been read, ns
}

// Scale is what a hardware clock counts.
type Scale uint8

// Scales.
const (
	ScaleUnknown Scale = iota // too few samples
	ScaleFree                 // its own time: nobody keeps it
	ScaleTAI                  // UTC and the leap seconds: ptp4l's way
	ScaleUTC                  // UTC
)

func (s Scale) String() string {
	return [...]string{"unknown", "free-running", "TAI", "UTC"}[min(s, ScaleUTC)]
}

// FitOptions bound what is trusted. The zero value works.
type FitOptions struct {
	// Agree is how near a clock that is kept must be to the system's, ns. One that is further away, up to a hundred
	// times, is converted by measurement like one that nobody keeps. The default is 100 µs.
	Agree uint64
	// Life is how old a measurement may be when a stamp is converted, ns. The default is 2 s.
	Life uint64
}

// FitCounters of a Fit. Live… are gauges.
type FitCounters struct {
	Samples      uint64 // samples taken in
	Outliers     uint64 // samples that did not fit and were wide: left out
	Jumps        uint64 // times that the clock, or the system's, was set: no stamp was trusted until it held still again
	Failed       uint64 // looks at the clock that the kernel refused
	LiveTrusted  uint64 // 1: stamps are converted
	LiveScale    uint64 // see Scale
	LiveErrorNs  uint64 // of a clock that is kept: its distance from the system's
	LiveWindowNs uint64 // of the last sample: half of it is the error of the measurement
	LiveNoiseNs  uint64 // root of the mean square distance of the samples from the line
	LiveRatePpb  uint64 // of the clock against the system's, without its sign
}

// Bounds of a Fit.
const (
	fitSamples  = 16
	fitTrust    = 4       // samples in a row that agree, before stamps are trusted
	fitJumpNs   = 5_000   // a sample so far off the line, and not because its window is wide, is a jump
	fitWideNs   = 50_000  // a sample with such a window says little: something came between
	fitMostRate = 2000e-6 // of the clock against the system's
	taiSeconds  = 37      // TAI − UTC since 2017: what a kernel that was not told will have
)

// Fit turns samples into a line from a hardware clock to UTC. It is pure: time is what the samples say. Add is for one
// goroutine; Convert, Counters and Describe are for any.
type Fit struct {
	latch latch

	mu      sync.Mutex // of what follows, against Counters and Describe
	o       FitOptions
	past    [fitSamples]PHCSample
	count   int
	scale   Scale
	taiSet  bool
	offset  int64 // PHC − nominal, of a clock that is kept
	agreed  int   // samples in a row that were near enough
	c       FitCounters
	wideRow int // samples in a row that were left out
}

// NewFit makes a Fit that knows nothing yet.
func NewFit(o FitOptions) *Fit {
	if o.Agree == 0 {
		o.Agree = 100_000
	}
	if o.Life == 0 {
		o.Life = 2_000_000_000
	}
	return &Fit{o: o}
}

// Convert turns a stamp of the clock into UTC, ns since the Unix epoch. It returns false while the clock is not trusted,
// and for a stamp that is not within Life of the last sample. Hot path: no call into the kernel, no lock, no allocation.
func (f *Fit) Convert(hw uint64) (uint64, bool) {
	l := f.latch.read()
	if !l.within(hw) {
		return 0, false
	}
	return l.value(hw), true
}

// Add takes a sample; tai is the kernel's TAI − UTC in seconds, 0: it was never told.
func (f *Fit) Add(s PHCSample, tai int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.c.Samples++
	f.c.LiveWindowNs = s.Window
	if f.count > 0 && !f.fits(s) {
		return
	}
	if s.Window <= fitWideNs {
		f.wideRow = 0
	}
	f.past[f.count%fitSamples] = s
	if f.count++; f.count == 2*fitSamples {
		f.count = fitSamples
	}
	f.judge(s, tai)
	if f.count < fitTrust {
		f.distrust()
		return
	}
	f.c.LiveTrusted, f.c.LiveScale = 1, uint64(f.scale)
	f.latch.publish(f.draw(s, tai))
}

// Refused counts a look at the clock that failed. Stamps go on being converted until the line ends.
func (f *Fit) Refused() {
	f.mu.Lock()
	f.c.Failed++
	f.mu.Unlock()
}

// fits says whether a sample goes with those before. One that does not is left out, or everything begins anew with it.
func (f *Fit) fits(s PHCSample) bool {
	last := f.past[(f.count-1)%fitSamples]
	if s.PHC <= last.PHC || s.Host <= last.Host {
		f.jump()
		return true
	}
	old := f.past[max(0, f.count-fitSamples)%fitSamples]
	rate := 0.0
	if f.count > 1 {
		rate = float64(offsetOf(last)-offsetOf(old)) / float64(last.PHC-old.PHC)
	}
	step := float64(s.PHC - last.PHC)
	off := float64(offsetOf(s)-offsetOf(last)) - rate*step
	tolerance := fitJumpNs + float64(s.Window+last.Window)/2 + step*20e-6
	if f.count == 1 {
		tolerance += step * fitMostRate // how fast it goes is not known yet
	}
	if math.Abs(off) <= tolerance {
		// Too many wide ones in a row, and they are all there is.
		if s.Window > fitWideNs && f.wideRow < fitTrust {
			f.wideRow++
			f.c.Outliers++
			return false
		}
		return true
	}
	f.jump()
	return true
}

// offsetOf is Host − PHC. Both are far below 2^63, or the difference wraps and still is right.
func offsetOf(s PHCSample) int64 { return int64(s.Host - s.PHC) }

// jump forgets everything.
func (f *Fit) jump() {
	f.c.Jumps++
	f.count, f.agreed, f.scale = 0, 0, ScaleUnknown
	f.distrust()
}

func (f *Fit) distrust() {
	f.c.LiveTrusted, f.c.LiveScale = 0, uint64(f.scale)
	f.latch.publish(line{})
}

// judge finds what the clock counts. A clock that is kept must have been near for some samples; it is given up at twice
// the distance, so that one at the bound does not go to and fro.
func (f *Fit) judge(s PHCSample, tai int) {
	f.taiSet = tai != 0
	if tai == 0 {
		tai = taiSeconds
	}
	ahead := -offsetOf(s) // PHC − UTC
	scale, off := ScaleUTC, ahead
	if fromTAI := ahead - int64(tai)*1e9; abs(fromTAI) < abs(off) {
		scale, off = ScaleTAI, fromTAI
	}
	bound := f.o.Agree
	if f.scale == scale {
		bound *= 2
	}
	if abs(off) > bound {
		f.agreed = 0
		f.offset = 0
		if abs(off) <= 100*f.o.Agree {
			f.offset = off // kept, it seems, but not with us
		}
		f.c.LiveErrorNs = abs(f.offset)
		f.scale = ScaleFree
		return
	}
	f.offset, f.c.LiveErrorNs = off, abs(off)
	if f.agreed++; f.agreed >= fitTrust {
		f.scale = scale
	} else if f.scale == ScaleUnknown {
		f.scale = ScaleFree
	}
}

// draw makes the line: arithmetic for a clock that is kept, else the straight line through the samples with the least
// squares, each weighed by how exactly it was taken.
func (f *Fit) draw(s PHCSample, tai int) line {
	n := min(f.count, fitSamples)
	base := offsetOf(s)
	var sw, sx, sy, sxx, sxy float64
	for _, p := range f.past[:n] {
		w := float64(p.Window)/2 + 50
		w = 1 / (w * w)
		x, y := float64(int64(p.PHC-s.PHC)), float64(offsetOf(p)-base)
		sw, sx, sy, sxx, sxy = sw+w, sx+w*x, sy+w*y, sxx+w*x*x, sxy+w*x*y
	}
	rate, at := 0.0, sy/sw
	if det := sw*sxx - sx*sx; det > 0 {
		rate = (sw*sxy - sx*sy) / det
		at = (sy - rate*sx) / sw
	}
	var squares float64
	for _, p := range f.past[:n] {
		r := float64(offsetOf(p)-base) - at - rate*float64(int64(p.PHC-s.PHC))
		squares += r * r
	}
	f.c.LiveNoiseNs = uint64(math.Sqrt(squares / float64(n)))
	f.c.LiveRatePpb = magnitude(rate * 1e9)
	l := line{base: s.PHC, mult: 1 << fraction, limit: f.o.Life}
	switch f.scale {
	case ScaleTAI:
		if tai == 0 {
			tai = taiSeconds
		}
		l.at = s.PHC - uint64(tai)*1e9
	case ScaleUTC:
		l.at = s.PHC
	default:
		l.at = s.Host + uint64(int64(math.Round(at)))
		l.mult = multOf(1 + rate)
	}
	return l
}

// Counters is a copy. Any goroutine, not the hot path.
func (f *Fit) Counters() FitCounters {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.c
}

// Describe says in a few words what is known of the clock.
func (f *Fit) Describe() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.c.LiveTrusted == 0:
		return "not trusted yet"
	case f.scale == ScaleTAI && !f.taiSet:
		return fmt.Sprintf("in TAI (the kernel was not told TAI − UTC, %d s are taken; ptp.tai), %d ns off the system's clock", taiSeconds, f.offset)
	case f.scale == ScaleTAI || f.scale == ScaleUTC:
		return fmt.Sprintf("in %s, %d ns off the system's clock", f.scale, f.offset)
	case f.offset != 0:
		return fmt.Sprintf("%d ns off the system's clock, which is too much to be kept by the same (ptp.phc2sys): related by measurement, to %d ns", f.offset, f.c.LiveWindowNs/2+f.c.LiveNoiseNs)
	}
	return fmt.Sprintf("free-running (ptp.ptp4l): related to the system's clock by measurement, to %d ns", f.c.LiveWindowNs/2+f.c.LiveNoiseNs)
}

func abs(v int64) uint64 {
	if v < 0 {
		return uint64(-v)
	}
	return uint64(v)
}
