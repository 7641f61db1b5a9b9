package jitter

import (
	"fmt"
	"math"
	"slices"
)

// Hint is a period in which gaps come.
type Hint struct {
	PeriodMs float64 `json:"period_ms"`
	Share    float64 `json:"share"`   // of the distances between gaps of at least AboveNs, those that are about the period
	AboveNs  uint64  `json:"size_ns"` // the class of gaps in which it is seen best; 0: all
	Text     string  `json:"text"`
}

// known are periods that have a usual cause.
var known = []struct {
	fromMs, toMs float64
	text         string
}{
	{0.97, 1.03, "the scheduler's tick (CONFIG_HZ=1000): cmdline.nohz_full"},
	{3.25, 3.42, "the scheduler's tick (CONFIG_HZ=300): cmdline.nohz_full"},
	{3.88, 4.12, "the scheduler's tick (CONFIG_HZ=250): cmdline.nohz_full"},
	{9.7, 10.3, "the scheduler's tick (CONFIG_HZ=100): cmdline.nohz_full"},
	{485, 515, "the clocksource watchdog: cmdline.tsc"},
	{970, 1030, "vmstat, or the tick that nohz_full leaves: kern.vmstat, kern.workqueue"},
	{4000, 16_500, "polling by the BMC, or system management: cpu.smi"},
	{291_000, 309_000, "polling for corrected errors: cmdline.mce"},
}

const (
	leastPeaks = 5    // distances that make a period
	leastPeak  = 0.15 // share of all distances
	peakWidth  = 0.03 // a period is met to 3 % to either side
)

// hints are the periods seen in the distances between gaps (µs), by classes of size: of each period the class in which it is clearest, and no
// more than four. parks: the thread gave its core away by itself.
func hints(apart *[len(classNs)]Histogram, parks bool) []Hint {
	found := []Hint{}
	for class := range apart {
		h := &apart[class]
		total := h.Count()
		if total < leastPeaks {
			continue
		}
		for i := 1; i < buckets-1; i++ {
			us := h.middle(i)
			if h.counts[i] == 0 || us < 500 { // shorter ones are bursts
				continue
			}
			n, most := h.near(us)
			share := float64(n) / float64(total)
			if n < leastPeaks || share < leastPeak || h.counts[i] < most {
				continue
			}
			hint := Hint{PeriodMs: us / 1000, Share: share, AboveNs: classNs[class], Text: textOf(us/1000, parks)}
			same := slices.IndexFunc(found, func(o Hint) bool { return math.Abs(o.PeriodMs/hint.PeriodMs-1) < 2*peakWidth })
			switch {
			case same < 0:
				found = append(found, hint)
			case found[same].Share < share:
				found[same] = hint
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Hint) int { return map[bool]int{true: -1, false: 1}[a.Share > b.Share] })
	return found[:min(4, len(found))]
}

// near counts the values about x, and the most in one bucket of those.
func (h *Histogram) near(x float64) (n, most uint64) {
	for i := bucket(uint64(x * (1 - peakWidth))); i <= bucket(uint64(x*(1+peakWidth))); i++ {
		n, most = n+h.counts[i], max(most, h.counts[i])
	}
	return n, most
}

func textOf(ms float64, parks bool) string {
	for _, k := range known {
		if ms < k.fromMs || ms > k.toMs {
			continue
		}
		if k.fromMs == 9.7 && parks {
			return "the Go runtime, which asks who has run for 10 ms to yield, or the scheduler's tick (CONFIG_HZ=100)"
		}
		return k.text
	}
	return "not known: a timer of a program or driver"
}

// Cause is what a gap most likely was, as far as the kernel's counters tell.
type Cause string

const (
	CauseSwitch   Cause = "switch"    // another thread ran
	CauseFault    Cause = "fault"     // a page was not there
	CauseSMI      Cause = "smi"       // system management
	CauseTick     Cause = "timer"     // the scheduler's tick, and what it set off
	CauseIRQ      Cause = "interrupt" // of a device; known by tracing only
	CauseSoftirq  Cause = "softirq"   // the same
	CauseCall     Cause = "call"      // another core's, or the kernel's own; the same
	CauseOutside  Cause = "outside"   // nothing of the kernel's: the hypervisor, system management, a machine check; the same
	CauseTogether Cause = "together"  // all measured cores stood at once: system management, the hypervisor, a change of kernel text
	CauseUnknown  Cause = "unknown"   // an interrupt, a softirq or the hypervisor: see the counters
	CauseUnasked  Cause = "small"     // below 10 µs: the kernel was not asked
)

func causeOf(g raw, tracing bool) Cause {
	switch i := causeIndex(g.seen); {
	case tracing && g.smis > 0:
		return CauseSMI
	case tracing && i == len(traced):
		return CauseOutside
	case tracing:
		return traced[i].cause
	}
	switch {
	case g.switched > 0:
		return CauseSwitch
	case g.faults > 0:
		return CauseFault
	case g.smis > 0:
		return CauseSMI
	case g.grid > 0:
		return CauseTick
	}
	return CauseUnknown
}

// Spikes are gaps of one cause.
type Spikes struct {
	N     int     `json:"n"`
	SumNs float64 `json:"sum_ns"`
	MaxNs float64 `json:"max_ns"`
}

// Attribution is what the kernel tells of the time that was measured.
type Attribution struct {
	Spikes      map[Cause]Spikes `json:"spikes"`               // kept gaps above 10 µs: the largest 256 and the first 64
	Gaps        map[Cause]Spikes `json:"gaps,omitempty"`       // all gaps by cause, where they were traced
	Voluntary   int64            `json:"voluntary_switches"`   // of the measuring thread
	Involuntary int64            `json:"involuntary_switches"` //
	MinorFaults int64            `json:"minor_faults"`
	MajorFaults int64            `json:"major_faults"`
	WaitedNs    *uint64          `json:"waited_ns"` // time in which the thread could have run and another did; nil: not told
	CoreCounters
}

func attribution(p *probe, c CoreCounters, nsPerTick float64) Attribution {
	a, b := &p.usageAtStart, &p.usageAtEnd
	out := Attribution{
		CoreCounters: c, Voluntary: b.Nvcsw - a.Nvcsw, Involuntary: b.Nivcsw - a.Nivcsw, MinorFaults: b.Minflt - a.Minflt, MajorFaults: b.Majflt - a.Majflt,
	}
	if p.traceFD >= 0 {
		out.Gaps = map[Cause]Spikes{}
		for i, c := range p.causes {
			cause := CauseOutside
			if i < len(traced) {
				cause = traced[i].cause
			}
			if c.n > 0 {
				s := out.Gaps[cause]
				out.Gaps[cause] = Spikes{s.N + int(c.n), s.SumNs + float64(c.total)*nsPerTick, max(s.MaxNs, float64(c.most)*nsPerTick)}
			}
		}
	}
	_, from, ok1 := waited(p.waitedAtStart[:])
	_, to, ok2 := waited(p.waitedAtEnd[:])
	if ok1 && ok2 && to >= from {
		n := to - from
		out.WaitedNs = &n
	}
	return out
}

// findTogether finds gaps in which all cores of a mode stood at once, and then sums up causes.
func findTogether(all []Result) {
	spikes := make([][]Event, len(all)) // of each core, those without a cause of their own; some are there twice
	for i := range all {
		for _, e := range slices.Concat(all[i].Largest, all[i].First) {
			if e.GapNs >= spikeNs && (e.Cause == CauseUnknown || e.Cause == CauseOutside) {
				spikes[i] = append(spikes[i], e)
			}
		}
	}
	everywhere := func(i int, e *Event) bool {
		for j := range all {
			// At least half of it, on each other core.
			if j != i && !slices.ContainsFunc(spikes[j], func(o Event) bool {
				return int64(min(o.end, e.end)-max(o.Ticks, e.Ticks)) > int64(e.end-e.Ticks)/2
			}) {
				return false
			}
		}
		return len(all) > 1
	}
	for i := range all {
		sums := map[Cause]Spikes{}
		seen := map[uint64]bool{}
		for _, list := range [][]Event{all[i].Largest, all[i].First} {
			for k := range list {
				e := &list[k]
				if e.GapNs < spikeNs {
					if e.Cause == CauseUnknown {
						e.Cause = CauseUnasked
					}
					continue
				}
				if (e.Cause == CauseUnknown || e.Cause == CauseOutside) && everywhere(i, e) {
					e.Cause = CauseTogether
				}
				if !seen[e.Ticks] {
					seen[e.Ticks] = true
					s := sums[e.Cause]
					sums[e.Cause] = Spikes{s.N + 1, s.SumNs + e.GapNs, max(s.MaxNs, e.GapNs)}
				}
			}
		}
		all[i].Attribution.Spikes = sums
	}
}

// String is for people: "every 4.00 ms (83 % of gaps above 1 µs): …".
func (h Hint) String() string {
	of := "gaps"
	if h.AboveNs > 0 {
		of = "gaps above " + Time(float64(h.AboveNs))
	}
	return fmt.Sprintf("every %.3g ms (%.0f %% of %s): %s", h.PeriodMs, 100*h.Share, of, h.Text)
}
