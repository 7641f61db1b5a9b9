package jitter

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Difference is two reports side by side.
type Difference struct {
	Schema string    `json:"schema"` // ticktune.jitter-diff/1
	Notes  []string  `json:"notes"`  // why they may not be comparable
	Rows   []DiffRow `json:"rows"`
	OnlyA  []string  `json:"only_a"` // cores and modes of one report alone
	OnlyB  []string  `json:"only_b"`
}

// DiffRow is one figure of one core in one mode.
type DiffRow struct {
	CPU   int      `json:"cpu"`
	Mode  Mode     `json:"mode"`
	Name  string   `json:"name"` // as in a Result
	A     float64  `json:"a"`
	B     float64  `json:"b"`
	Ratio *float64 `json:"ratio"` // B over A; nil: A is 0
}

// figures are those that are compared.
var figures = []struct {
	name string
	time bool // ns; otherwise a plain number
	of   func(*Result) float64
}{
	{"n_per_s", false, func(r *Result) float64 { return r.NPerS }},
	{"p50_ns", true, func(r *Result) float64 { return r.P50Ns }},
	{"p99_ns", true, func(r *Result) float64 { return r.P99Ns }},
	{"p99_9_ns", true, func(r *Result) float64 { return r.P99_9Ns }},
	{"max_ns", true, func(r *Result) float64 { return r.MaxNs }},
	{"over_10us_per_s", false, func(r *Result) float64 { return float64(r.Over10us) / max(r.DurationS, 1e-9) }},
	{"stolen_ppm", false, func(r *Result) float64 { return r.StolenPPM }},
	{"delay_p99_9_ns", true, func(r *Result) float64 { return r.DelayP99_9Ns }},
	{"delay_p99_99_ns", true, func(r *Result) float64 { return r.DelayP99_99Ns }},
	{"delay_p99_999_ns", true, func(r *Result) float64 { return r.DelayP99_999Ns }},
	{"delay_p99_9999_ns", true, func(r *Result) float64 { return r.DelayP6Ns }},
	{"longest_quiet_ns", true, func(r *Result) float64 { return r.LongestQuietNs }},
}

// Compare puts b beside a, core by core and mode by mode.
func Compare(a, b *Report) *Difference {
	d := &Difference{Schema: "ticktune.jitter-diff/1", Notes: []string{}, Rows: []DiffRow{}, OnlyA: []string{}, OnlyB: []string{}}
	note := func(format string, args ...any) { d.Notes = append(d.Notes, fmt.Sprintf(format, args...)) }
	if a.Host.Fingerprint != b.Host.Fingerprint {
		note("two machines: %s (%s) and %s (%s)", a.Host.Fingerprint, a.Host.CPU, b.Host.Fingerprint, b.Host.CPU)
	}
	if a.Host.Kernel != b.Host.Kernel {
		note("two kernels: %s and %s", a.Host.Kernel, b.Host.Kernel)
	}
	if a.ForS != b.ForS {
		note("%s a mode and %s: the longer one sees more of what is rare", Time(a.ForS*1e9), Time(b.ForS*1e9))
	}
	if a.Virtual || b.Virtual {
		note("virtual machine: neighbours on its host are in the figures")
	}
	threshold := false
	for i := range a.Results {
		x := &a.Results[i]
		y := b.Result(x.CPU, x.Mode)
		if y == nil {
			d.OnlyA = append(d.OnlyA, x.name())
			continue
		}
		if r := x.ThresholdNs / max(y.ThresholdNs, 1e-9); !threshold && (r < 0.9 || r > 1.1) {
			threshold = true
			note("gaps begin at %s and at %s: compare delays, the other figures depend on it", Time(x.ThresholdNs), Time(y.ThresholdNs))
		}
		for _, f := range figures {
			row := DiffRow{CPU: x.CPU, Mode: x.Mode, Name: f.name, A: f.of(x), B: f.of(y)}
			if row.A != 0 {
				ratio := row.B / row.A
				row.Ratio = &ratio
			}
			d.Rows = append(d.Rows, row)
		}
	}
	for i := range b.Results {
		if y := &b.Results[i]; a.Result(y.CPU, y.Mode) == nil {
			d.OnlyB = append(d.OnlyB, y.name())
		}
	}
	return d
}

// Result finds one; nil: it was not measured.
func (r *Report) Result(cpu int, mode Mode) *Result {
	for i := range r.Results {
		if r.Results[i].CPU == cpu && r.Results[i].Mode == mode {
			return &r.Results[i]
		}
	}
	return nil
}

func (r *Result) name() string { return fmt.Sprintf("core %d, %s", r.CPU, r.Mode) }

// Text is a table for people.
func (d *Difference) Text(w io.Writer) error {
	var b strings.Builder
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for _, only := range []struct {
		file  string
		names []string
	}{{"first", d.OnlyA}, {"second", d.OnlyB}} {
		for _, n := range only.names {
			fmt.Fprintf(&b, "only in the %s report: %s\n", only.file, n)
		}
	}
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	if len(d.Rows) > 0 {
		fmt.Fprintln(t, "core\tmode\tfigure\tfirst\tsecond\tsecond/first")
	}
	for i, r := range d.Rows {
		show := func(v float64) string { return fmt.Sprintf("%.1f", v) }
		if figures[i%len(figures)].time {
			show = Time
		}
		ratio := "-"
		if r.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *r.Ratio)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", r.CPU, r.Mode, strings.TrimSuffix(r.Name, "_ns"), show(r.A), show(r.B), ratio)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(d.Rows) == 0 {
		b.WriteString("nothing to compare: no core was measured in the same mode by both\n")
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}
