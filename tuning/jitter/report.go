package jitter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Report as JSON.
const Schema = "ticktune.jitter/1"

// Report is what Run measured.
type Report struct {
	Schema      string           `json:"schema"`
	ToolVersion string           `json:"tool_version"`
	Host        tuning.HostFacts `json:"host"`
	Virtual     bool             `json:"virtual"` // what is measured here qualifies no machine
	Started     time.Time        `json:"started"`
	ForS        float64          `json:"for_s"`        // of each mode
	Counter     string           `json:"counter"`      // tsc or cntvct_el0
	CounterHz   float64          `json:"counter_hz"`   // measured against CLOCK_MONOTONIC_RAW
	TAIOffsetS  int64            `json:"tai_offset_s"` // of times in events; 0: the kernel does not know it, and they are UTC
	Go          string           `json:"go"`
	Notes       []string         `json:"notes,omitempty"`
	Results     []Result         `json:"results"` // by core, then in the order of modes
	Idle        []Idle           `json:"idle"`    // of cores that were not measured: those that serve interrupts are not to sleep deeply
}

// Idle is how often a core went into which idle state while others were measured.
type Idle struct {
	CPU     int               `json:"cpu"`
	Mode    Mode              `json:"mode"`
	Entries map[string]uint64 `json:"entries"`
}

// Result is one core in one mode. Times are ns; gaps are differences above the threshold.
type Result struct {
	CPU         int     `json:"cpu"`
	Role        Role    `json:"role"`
	Mode        Mode    `json:"mode"`
	StartTAINs  int64   `json:"start_tai_ns"` // when measuring began, ns since 1970
	DurationS   float64 `json:"duration_s"`
	FloorNs     float64 `json:"floor_ns"` // smallest difference between two readings
	ThresholdNs float64 `json:"threshold_ns"`
	LoopNs      float64 `json:"loop_ns"` // mean difference, of those that are no gaps

	N         uint64  `json:"n"`
	NPerS     float64 `json:"n_per_s"`
	MinNs     float64 `json:"min_ns"`
	P50Ns     float64 `json:"p50_ns"`
	P90Ns     float64 `json:"p90_ns"`
	P99Ns     float64 `json:"p99_ns"`
	P99_9Ns   float64 `json:"p99_9_ns"`
	P99_99Ns  float64 `json:"p99_99_ns"`
	P99_999Ns float64 `json:"p99_999_ns"`
	MaxNs     float64 `json:"max_ns"`

	Over1us   uint64 `json:"over_1us"`
	Over2us   uint64 `json:"over_2us"`
	Over5us   uint64 `json:"over_5us"`
	Over10us  uint64 `json:"over_10us"`
	Over20us  uint64 `json:"over_20us"`
	Over50us  uint64 `json:"over_50us"`
	Over100us uint64 `json:"over_100us"`
	Over1ms   uint64 `json:"over_1ms"`

	StolenNs  float64 `json:"stolen_ns"` // all gaps, less the floor
	StolenPPM float64 `json:"stolen_ppm"`

	// The delay of a packet that arrives at a random moment; at most ThresholdNs where that is the value.
	DelayP99_9Ns   float64 `json:"delay_p99_9_ns"`
	DelayP99_99Ns  float64 `json:"delay_p99_99_ns"`
	DelayP99_999Ns float64 `json:"delay_p99_999_ns"`
	DelayP6Ns      float64 `json:"delay_p99_9999_ns"`

	LongestQuietNs float64     `json:"longest_quiet_ns"`
	Hints          []Hint      `json:"period_hints"`
	Attribution    Attribution `json:"attribution"`
	OwnPPM         float64     `json:"own_ppm"`  // time in which gaps were counted, and nothing was measured
	Backward       uint64      `json:"backward"` // readings before the one before: the counter is not to be trusted
	Verdict        Verdict     `json:"verdict"`

	Histogram *Histogram `json:"histogram"` // of gaps
	Largest   []Event    `json:"largest"`   // gaps, the largest first
	First     []Event    `json:"first"`     // gaps above 10 µs, in order
}

// Event is one gap.
type Event struct {
	Ticks uint64  `json:"ticks"`     // reading of the counter at which it began
	TAINs int64   `json:"at_tai_ns"` // the same, ns since 1970
	GapNs float64 `json:"gap_ns"`
	Cause Cause   `json:"cause"`
	Seen  []Cause `json:"seen,omitempty"` // all that the kernel did meanwhile, where it was traced

	end uint64 // reading of the counter at which it ended
}

// result works out the figures of one thread.
func (s *session) result(r *runner, mode Mode, before, after *look, begin instant, rate float64) Result {
	p := r.probe
	ns := func(ticks uint64) float64 { return float64(ticks) * rate }
	h := new(Histogram)
	*h = p.gaps
	out := Result{
		CPU: r.cpu, Role: s.o.role(r.cpu), Mode: mode,
		DurationS: ns(p.ended-p.began) / 1e9, FloorNs: ns(p.floor), ThresholdNs: ns(p.limit),
		N: p.n, StolenNs: ns(p.stolen), Backward: p.back, LongestQuietNs: ns(p.quiet), Histogram: h,
	}
	run := max(ns(p.ended-p.began-p.own), 1)
	var gaps float64
	for i, c := range h.counts {
		gaps += float64(c) * h.middle(i)
	}
	if ordinary := p.loops - min(p.n, p.loops); ordinary > 0 {
		out.LoopNs = max(0, run-gaps) / float64(ordinary)
	}
	out.NPerS = float64(p.n) / run * 1e9
	out.StolenPPM = out.StolenNs / run * 1e6
	out.OwnPPM = ns(p.own) / max(ns(p.ended-p.began), 1) * 1e6
	if p.n > 0 {
		out.MinNs, out.MaxNs = float64(p.least), float64(p.most)
	}
	for _, q := range []struct {
		into  *float64
		share float64
	}{{&out.P50Ns, 0.5}, {&out.P90Ns, 0.9}, {&out.P99Ns, 0.99}, {&out.P99_9Ns, 0.999}, {&out.P99_99Ns, 0.9999}, {&out.P99_999Ns, 0.99999}} {
		*q.into = min(h.Quantile(q.share), out.MaxNs)
	}
	for i, into := range []*uint64{&out.Over1us, &out.Over2us, &out.Over5us, &out.Over10us, &out.Over20us, &out.Over50us, &out.Over100us, &out.Over1ms} {
		*into = p.over[i]
	}
	for _, q := range []struct {
		into  *float64
		share float64
	}{{&out.DelayP99_9Ns, 0.999}, {&out.DelayP99_99Ns, 0.9999}, {&out.DelayP99_999Ns, 0.99999}, {&out.DelayP6Ns, 0.999999}} {
		*q.into = max(min(h.Delay(q.share, run), out.MaxNs), out.ThresholdNs) // the middle of the last bucket may be beyond the worst gap
	}
	tai := func(at uint64) int64 { return begin.tai + int64(float64(int64(at-begin.ticks))*rate) }
	out.StartTAINs = tai(p.began)
	event := func(g raw) Event {
		return Event{Ticks: g.from, TAINs: tai(g.from), GapNs: ns(g.ticks), Cause: causeOf(g, p.traceFD >= 0), Seen: seenOf(g.seen), end: g.from + g.ticks}
	}
	out.Largest, out.First = []Event{}, []Event{}
	for _, g := range p.largest[:p.largestN] {
		out.Largest = append(out.Largest, event(g))
	}
	slices.SortFunc(out.Largest, func(a, b Event) int {
		if a.GapNs != b.GapNs {
			return map[bool]int{true: -1, false: 1}[a.GapNs > b.GapNs]
		}
		return int(int64(a.Ticks - b.Ticks))
	})
	for _, g := range p.first[:p.firstN] {
		out.First = append(out.First, event(g))
	}
	out.Attribution = attribution(p, between(before, after, r.cpu, 1e9/rate), rate)
	out.Hints = hints(&p.apart, out.Attribution.Voluntary > 0)
	if p.failed != 0 {
		s.note("the kernel did not tell of the thread, or of tracepoints (%v): causes are incomplete", p.failed)
	}
	if p.back > 0 {
		s.note("core %d: the counter went back %d times (time.tsc_sync)", r.cpu, p.back)
	}
	return out
}

// Curve is a line of a plot: the delay of a packet that arrives at a random moment.
type Curve struct {
	Name   string
	Mode   Mode
	Shares []float64 // of all arrivals, from 0 to 1, 20 points a nine up to seven nines
	Ns     []float64 // that they do not exceed; at least the threshold, below which nothing is known
}

// mostCurves is how many lines a plot has that can be told apart.
const mostCurves = 8

// Curves are a line a core and mode, or, where those would be more than eight, a line a role and mode: all its cores together.
func (r *Report) Curves() (curves []Curve) {
	type group struct {
		name      string
		mode      Mode
		gaps      Histogram
		runNs     float64
		threshold float64
		worst     float64
	}
	var groups []*group
	for i := range r.Results {
		c := &r.Results[i]
		name := fmt.Sprintf("core %d, %s", c.CPU, c.Mode)
		if len(r.Results) > mostCurves {
			name = fmt.Sprintf("%s cores, %s", c.Role, c.Mode)
		}
		at := slices.IndexFunc(groups, func(g *group) bool { return g.name == name })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &group{name: name, mode: c.Mode})
		}
		g := groups[at]
		g.gaps.Merge(c.Histogram)
		g.runNs += c.DurationS * 1e9 * (1 - c.OwnPPM/1e6)
		g.threshold, g.worst = max(g.threshold, c.ThresholdNs), max(g.worst, c.MaxNs)
	}
	for _, g := range groups {
		c := Curve{Name: g.name, Mode: g.mode}
		for i := range 20*7 + 1 {
			left := math.Pow(10, -float64(i)/20)
			c.Shares, c.Ns = append(c.Shares, 1-left), append(c.Ns, max(min(g.gaps.Delay(1-left, g.runNs), g.worst), g.threshold))
		}
		curves = append(curves, c)
	}
	return curves
}

// JSON writes the report as one document, which Read reads.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// ErrReport is in every error about what a report file says.
var ErrReport = errors.New("jitter: no report of ticktune jitter")

// maxReport bounds a report, bytes: one of 1,024 cores in two modes has about 100 MB.
const maxReport = 256 << 20

// Read reads a report. An error that is ErrReport is about its content.
func Read(from io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxReport+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxReport {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrReport, maxReport)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%w: schema %q, want %q", ErrReport, r.Schema, Schema)
	}
	seen := map[string]bool{}
	for i := range r.Results {
		res := &r.Results[i]
		if !slices.Contains(modes, res.Mode) || !slices.Contains([]Role{RoleHot, RoleNAPI, RoleOther}, res.Role) {
			return nil, fmt.Errorf("%w: core %d: mode %q, role %q", ErrReport, res.CPU, res.Mode, res.Role)
		}
		key := fmt.Sprintf("core %d, mode %s", res.CPU, res.Mode)
		if seen[key] {
			return nil, fmt.Errorf("%w: %s is there twice", ErrReport, key)
		}
		seen[key] = true
		if res.Histogram == nil {
			res.Histogram = new(Histogram)
		}
	}
	return &r, nil
}
