package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/tuning"
)

// SkewLimitNs is how far the counters of two cores may be apart.
const SkewLimitNs = 50

// ClockOptions of Clock.
type ClockOptions struct {
	// For is how long the counter is held against the kernel's clocks. The default is 2 s, the least 200 ms.
	For time.Duration
	// Cores whose counters are compared: the first with each other one. nil: all that are online and allowed.
	Cores []int
	// PairFor is how long a pair is compared: the fastest exchange each way counts. The default is 100 ms.
	PairFor time.Duration
	// NICs whose PTP hardware clocks are held against the system's.
	NICs []string
}

// ClockResult of Clock.
type ClockResult struct {
	Where
	Source string `json:"clocksource"` // the kernel's own
	// SameSource: the kernel reads CLOCK_MONOTONIC_RAW from this counter too, so that the two can differ only in how the
	// kernel once measured its frequency: what is left is how steady reading it is.
	SameSource  bool    `json:"same_source"`
	Seconds     float64 `json:"seconds"`
	FrequencyHz float64 `json:"frequency_hz"` // of the counter, by CLOCK_MONOTONIC_RAW
	// OffLineNs is how far a reading was off the line from the first to the last at most.
	OffLineNs float64 `json:"off_line_ns"`
	// RealtimePPM is how much faster CLOCK_REALTIME went, which a time daemon steers: the counter's own error, if it does well.
	RealtimePPM float64 `json:"realtime_ppm"`
	ReadNs      float64 `json:"read_ns"` // what reading the counter costs
	Skews       []Skew  `json:"skews"`
	MaxSkewNs   float64 `json:"max_skew_ns"` // between any two of the cores, by the middles
	// CertainSkewNs is what two of the cores are apart at least, whatever the lines between them cost. 0: they may agree.
	CertainSkewNs float64    `json:"certain_skew_ns"`
	Backwards     uint64     `json:"backwards"` // times that one core read less than another had before
	PHCs          []PHCDrift `json:"phcs"`
	Missing       []string   `json:"missing,omitempty"`
}

// Skew is how far a core's counter is ahead of the first one's. It lies between Low and High for certain; the middle is the
// figure.
type Skew struct {
	Core      int     `json:"core"`
	SkewNs    float64 `json:"skew_ns"`
	LowNs     float64 `json:"low_ns"`
	HighNs    float64 `json:"high_ns"`
	Exchanges int     `json:"exchanges"`
	Backwards uint64  `json:"backwards"`
}

// PHCDrift is a NIC's clock against CLOCK_REALTIME, over the whole run.
type PHCDrift struct {
	NIC      string  `json:"nic"`
	Device   string  `json:"device"`
	OffsetNs int64   `json:"offset_ns"` // PHC less the system's clock, at the end; a PHC in TAI is some 37 s ahead
	DriftPPB float64 `json:"drift_ppb"` // of the PHC
	WindowNs int64   `json:"window_ns"` // the best reading took so long
}

// Clock measures the processor's counter, and NICs' clocks against the system's.
func Clock(ctx context.Context, o ClockOptions) (*ClockResult, error) {
	if !clock.HasTicks() {
		return nil, errors.New("measure: clock: this binary reads no counter on this architecture")
	}
	if o.For <= 0 {
		o.For = 2 * time.Second
	}
	o.For = max(o.For, 200*time.Millisecond)
	if o.PairFor <= 0 {
		o.PairFor = 100 * time.Millisecond
	}
	cores, err := usable(o.Cores)
	if err != nil {
		return nil, err
	} else if len(cores) == 0 {
		return nil, errors.New("measure: clock: there is no core to measure on")
	}
	end, err := begin(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer end()
	r := &ClockResult{Where: where(), Skews: []Skew{}, PHCs: []PHCDrift{}}
	text, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	r.Source = strings.TrimSpace(string(text))
	r.SameSource = r.Source == "tsc" || r.Source == "arch_sys_counter"
	phcs := openPHCs(o.NICs, r)
	if err := <-on(cores[0], func() error { return r.steadiness(ctx, o.For) }); err != nil {
		return nil, err
	}
	r.closePHCs(phcs)
	if len(cores) < 2 {
		r.Missing = append(r.Missing, "skew between cores: it takes two cores")
	}
	low, high := 0.0, 0.0        // of the middles; the first core's is 0
	latest, earliest := 0.0, 0.0 // the greatest of the low bounds, the least of the high ones
	for _, core := range cores[1:] {
		s, err := skew(ctx, cores[0], core, o.PairFor, 1e9/r.FrequencyHz)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			r.Missing = append(r.Missing, err.Error())
			continue
		}
		r.Skews = append(r.Skews, s)
		r.Backwards += s.Backwards
		low, high = min(low, s.SkewNs), max(high, s.SkewNs)
		latest, earliest = max(latest, s.LowNs), min(earliest, s.HighNs)
	}
	r.MaxSkewNs, r.CertainSkewNs = high-low, max(0, latest-earliest)
	return r, ctx.Err()
}

// look is the counter, and the kernel's clocks within window ticks of it.
type look struct {
	ticks     uint64
	raw, real int64
	window    uint64
}

// takeLook takes the best of some: what is interrupted has a large window.
func takeLook() (best look) {
	best.window = math.MaxUint64
	for range 20 {
		var raw, real unix.Timespec
		a := clock.TicksFenced()
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &raw) // these two clocks are always there
		b := clock.TicksFenced()
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &real)
		if c := clock.TicksFenced(); c-a < best.window {
			best = look{a + (b-a)/2, raw.Nano(), real.Nano(), c - a}
		}
	}
	return best
}

// steadiness looks at the clocks 20 times a second.
func (r *ClockResult) steadiness(ctx context.Context, length time.Duration) error {
	const every = 50 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	looks := []look{takeLook()}
	for range max(2, int(length/every)) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			looks = append(looks, takeLook())
		}
	}
	first, last := looks[0], looks[len(looks)-1]
	if last.ticks <= first.ticks || last.raw <= first.raw {
		return errors.New("measure: clock: the counter or CLOCK_MONOTONIC_RAW stands still")
	}
	span, ns := float64(last.ticks-first.ticks), float64(last.raw-first.raw)
	r.Seconds, r.FrequencyHz = ns/1e9, span/ns*1e9
	r.RealtimePPM = (float64(last.real-first.real)/ns - 1) * 1e6
	for _, l := range looks {
		off := float64(l.raw-first.raw) - float64(l.ticks-first.ticks)*ns/span
		r.OffLineNs = max(r.OffLineNs, math.Abs(off))
	}
	var costs []float64
	for range 100 {
		const reads = 100
		a := clock.TicksFenced()
		for range reads {
			clock.Ticks()
		}
		costs = append(costs, float64(clock.TicksFenced()-a)/reads*1e9/r.FrequencyHz)
	}
	r.ReadNs = statOf(costs).Median
	return nil
}

// skew has two cores send their counters to and fro. When the first read t1 before and t3 after the other's t2, the other is
// ahead by t2−t3 at least and t2−t1 at most: what all exchanges say together is sharp to the time of the fastest ones. It is
// backwards when t2 is less than t1, or t3 less than t2.
func skew(ctx context.Context, from, to int, length time.Duration, nsATick float64) (Skew, error) {
	s := Skew{Core: to}
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	err := together(ctx, from, to, func(p *pair) {
		for began, at := time.Now(), uint64(0); ; {
			if passed := time.Since(began); passed > patience || passed > length && s.Exchanges >= leastPieces*rounds {
				return
			}
			for range rounds {
				t1 := clock.TicksFenced()
				p.seq.Store(at + 1)
				at += 2
				if !p.await(ctx, at) {
					return
				}
				t3, t2 := clock.TicksFenced(), p.stamp.Load()
				least, most = max(least, int64(t2-t3)), min(most, int64(t2-t1))
				s.Exchanges++
				if int64(t2-t1) < 0 || int64(t3-t2) < 0 {
					s.Backwards++
				}
			}
		}
	}, func(p *pair) {
		for n := uint64(1); p.await(ctx, n); n += 2 {
			p.stamp.Store(clock.TicksFenced())
			p.seq.Store(n + 1)
		}
	})
	if err != nil {
		return s, err
	}
	if s.Exchanges == 0 {
		return s, fmt.Errorf("measure: cores %d and %d: not %d rounds in %v: their threads do not run at the same time", from, to, rounds, patience)
	}
	s.LowNs, s.HighNs = float64(least)*nsATick, float64(most)*nsATick
	s.SkewNs = (s.LowNs + s.HighNs) / 2
	return s, nil
}

// openPHC is a NIC's clock at the beginning of the run.
type openPHC struct {
	nic, group string
	index      int
	first      tuning.PHC
	at         time.Time
	devices    tuning.Devices
}

func openPHCs(nics []string, r *ClockResult) (all []openPHC) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		return nil
	}
	for _, nic := range nics {
		var s tuning.Stamping
		err := h.Devices.Ask(nic, "stamping", &s)
		if err == nil && s.PHC < 0 {
			err = errors.New("it has no PTP hardware clock")
		}
		p := openPHC{nic: nic, index: s.PHC, group: fmt.Sprintf("phc:%d", s.PHC), devices: h.Devices}
		if err == nil {
			p.at, err = time.Now(), h.Devices.Ask("", p.group, &p.first)
		}
		if err != nil {
			r.Missing = append(r.Missing, fmt.Sprintf("clock of %s: %v", nic, err))
			continue
		}
		all = append(all, p)
	}
	return all
}

func (r *ClockResult) closePHCs(all []openPHC) {
	for _, p := range all {
		var last tuning.PHC
		passed := time.Since(p.at)
		if err := p.devices.Ask("", p.group, &last); err != nil {
			r.Missing = append(r.Missing, fmt.Sprintf("clock of %s: %v", p.nic, err))
			continue
		}
		r.PHCs = append(r.PHCs, PHCDrift{NIC: p.nic, Device: fmt.Sprintf("/dev/ptp%d", p.index), OffsetNs: last.OffsetNs,
			DriftPPB: float64(last.OffsetNs-p.first.OffsetNs) / float64(passed.Nanoseconds()) * 1e9, WindowNs: last.WindowNs})
	}
}
