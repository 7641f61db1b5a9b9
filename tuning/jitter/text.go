package jitter

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Time is ns for people, three digits.
func Time(ns float64) string {
	switch { // what three digits would round up to the next unit is of that
	case ns < 999.5:
		return fmt.Sprintf("%.3gns", ns)
	case ns < 999.5e3:
		return fmt.Sprintf("%.3gµs", ns/1e3)
	case ns < 999.5e6:
		return fmt.Sprintf("%.3gms", ns/1e6)
	}
	return fmt.Sprintf("%.3gs", ns/1e9)
}

// Text writes the report for people: a table that survives awk, then each core's histogram, causes and periods.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	kind := "bare metal"
	if r.Virtual {
		kind = "virtual machine (" + r.Host.Virt + ")"
	}
	fmt.Fprintf(&b, "%s, %s, Linux %s; %s at %.3f MHz; %s each mode\n", r.Host.CPU, kind, r.Host.Kernel, r.Counter, r.CounterHz/1e6, Time(r.ForS*1e9))
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "core\trole\tmode\tn\tn/s\tmin\tp50\tp99\tp99.9\tmax\t>10µs\t>1ms\tppm\tdelay99.9\t99.99\t99.999\t99.9999\tquiet\tverdict")
	for i := range r.Results {
		c := &r.Results[i]
		delay := func(ns float64) string {
			if ns <= c.ThresholdNs {
				return "≤" + Time(c.ThresholdNs)
			}
			return Time(ns)
		}
		verdict := c.Verdict.Status.String()
		if c.Verdict.Virtual {
			verdict = "virtual"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%.1f\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\n", c.CPU, c.Role, c.Mode, c.N, c.NPerS, Time(c.MinNs), Time(c.P50Ns), Time(c.P99Ns),
			Time(c.P99_9Ns), Time(c.MaxNs), c.Over10us, c.Over1ms, c.StolenPPM, delay(c.DelayP99_9Ns), delay(c.DelayP99_99Ns), delay(c.DelayP99_999Ns), delay(c.DelayP6Ns),
			Time(c.LongestQuietNs), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString("n: gaps; ppm: time stolen; delay: what a packet that arrives at a random moment waits\n")
	for i := range r.Results {
		r.Results[i].text(&b)
	}
	for _, c := range r.Idle {
		var states []string
		for _, name := range slices.Sorted(maps.Keys(c.Entries)) {
			states = append(states, fmt.Sprintf("%s %d times", name, c.Entries[name]))
		}
		fmt.Fprintf(&b, "\ncore %d was idle beside %s: %s", c.CPU, c.Mode, strings.Join(states, ", "))
	}
	if len(r.Idle) > 0 {
		b.WriteString("\n")
	}
	if r.Virtual {
		b.WriteString("\nvirtual machine: what is measured here qualifies no machine.\n")
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

// text is one core: what it may not do, the histogram, and why.
func (r *Result) text(b *strings.Builder) {
	fmt.Fprintf(b, "\ncore %d, %s: gaps above %s (floor %s, loop %s; %.0f ppm of the time was not measured)\n", r.CPU, r.Mode, Time(r.ThresholdNs), Time(r.FloorNs), Time(r.LoopNs), r.OwnPPM)
	for _, reason := range r.Verdict.Reasons {
		fmt.Fprintf(b, "  not as wanted: %s\n", reason)
	}
	if r.Verdict.Note != "" {
		fmt.Fprintf(b, "  %s\n", r.Verdict.Note)
	}
	r.bars(b)
	a := &r.Attribution
	for _, table := range []struct {
		of    string
		gaps  map[Cause]Spikes
		shown bool
	}{{"gaps", a.Gaps, true}, {"of the kept gaps above 10 µs", a.Spikes, a.Gaps == nil}} {
		for _, c := range slices.SortedFunc(maps.Keys(table.gaps), func(x, y Cause) int {
			return cmp.Or(cmp.Compare(table.gaps[y].SumNs, table.gaps[x].SumNs), cmp.Compare(x, y))
		}) {
			if s := table.gaps[c]; table.shown {
				fmt.Fprintf(b, "  cause %-9s %d %s, %s in all, worst %s: %s\n", c, s.N, table.of, Time(s.SumNs), Time(s.MaxNs), causeText[c])
			}
		}
	}
	for _, h := range r.Hints {
		fmt.Fprintf(b, "  period %s\n", h)
	}
	rows := func(name string, counts []Count) {
		const shown = 6
		var parts []string
		for i, c := range counts {
			if i == shown {
				parts = append(parts, fmt.Sprintf("%d more kinds", len(counts)-shown))
				break
			}
			text := c.Name
			if c.What != "" {
				text += " (" + c.What + ")"
			}
			parts = append(parts, fmt.Sprintf("%s %.1f/s", text, float64(c.Count)/max(r.DurationS, 1e-9)))
		}
		if len(parts) > 0 {
			fmt.Fprintf(b, "  %s: %s\n", name, strings.Join(parts, ", "))
		}
	}
	rows("interrupts", a.Interrupts)
	rows("softirqs", a.Softirqs)
	fmt.Fprintf(b, "  thread: %d voluntary and %d involuntary switches, %d page faults", a.Voluntary, a.Involuntary, a.MinorFaults+a.MajorFaults)
	if a.WaitedNs != nil {
		fmt.Fprintf(b, ", waited %s for others", Time(float64(*a.WaitedNs)))
	}
	b.WriteByte('\n')
	var told []string
	if a.StealMs != nil {
		told = append(told, fmt.Sprintf("steal %.0f ms", *a.StealMs))
	}
	if a.SMI != nil {
		told = append(told, fmt.Sprintf("SMI %d", *a.SMI))
	}
	if a.Throttle != nil {
		told = append(told, fmt.Sprintf("throttled %d times", *a.Throttle))
	}
	if a.FreqMHz != nil {
		told = append(told, fmt.Sprintf("%.0f MHz", *a.FreqMHz))
	}
	if len(told) > 0 {
		fmt.Fprintf(b, "  core: %s\n", strings.Join(told, ", "))
	}
	if len(a.Unseen) > 0 {
		fmt.Fprintf(b, "  not seen: %s\n", strings.Join(a.Unseen, "; "))
	}
	if a.Irregular != "" {
		fmt.Fprintf(b, "  %s\n", a.Irregular)
	}
}

var causeText = map[Cause]string{
	CauseSwitch:   "another thread ran",
	CauseFault:    "a page fault",
	CauseSMI:      "system management",
	CauseTick:     "the scheduler's tick, and what it set off",
	CauseIRQ:      "an interrupt of a device",
	CauseSoftirq:  "a softirq",
	CauseCall:     "a call from another core, or the kernel's to itself",
	CauseOutside:  "nothing of the kernel's: the hypervisor, system management, a machine check",
	CauseTogether: "all measured cores at once: system management, the hypervisor, or a change of kernel text",
	CauseUnknown:  "an interrupt, a softirq or the hypervisor",
}

// barsNs are the bounds of the rows of the histogram on the terminal.
var barsNs = [...]float64{100, 200, 500, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3, 200e3, 500e3, 1e6, 2e6, 5e6, 10e6, 100e6, 1e9}

// bars draws counts on a logarithmic scale: one gap is one mark, each further mark is 1.6 times as many.
func (r *Result) bars(b *strings.Builder) {
	var counts [len(barsNs) + 1]uint64
	for i, c := range r.Histogram.counts {
		if c == 0 {
			continue
		}
		row, _ := slices.BinarySearch(barsNs[:], r.Histogram.middle(i))
		counts[row] += c
	}
	first, last := -1, -1
	for i, c := range counts {
		if c > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		b.WriteString("  no gap\n")
		return
	}
	for i := first; i <= last; i++ {
		upTo := "more"
		if i < len(barsNs) {
			upTo = Time(barsNs[i])
		}
		marks := 0
		for c := counts[i]; c > 0; c = c * 5 / 8 {
			marks++
		}
		fmt.Fprintf(b, "  %6s %10d %s\n", upTo, counts[i], strings.Repeat("#", marks))
	}
}

// printable keeps what files of the machine, or a report of somebody's, hold from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
