package hwtest

import (
	"fmt"
	"io"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// Style is how a Report is shown as text.
type Style struct {
	Colour bool
	Quiet  bool // what is PASS, SKIP or INFO is left out
}

// ANSI colours of statuses.
var colours = map[tuning.Status]string{tuning.Fail: "31", tuning.Error: "35", tuning.Warn: "33", tuning.Pass: "32", tuning.Skip: "90", tuning.Note: "36", tuning.Waived: "90"}

func (s Style) status(st tuning.Status) string {
	text := fmt.Sprintf("%-6s", st)
	if s.Colour {
		return "\x1b[" + colours[st] + "m" + text + "\x1b[0m"
	}
	return text
}

// printable keeps what files of the machine hold from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer, s Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nprofile %s", r.Machine, r.Profile)
	if r.Wires != nil {
		fmt.Fprintf(&b, "; %s: %s ══ %s\n%s", r.Wires.Kind, printable(r.Wires.Tx), printable(r.Wires.Rx), r.Wires.Note)
	}
	b.WriteString("\n")
	for i := range r.Groups {
		g := &r.Groups[i]
		fmt.Fprintf(&b, "\n%s: %s  %s  (%s)\n", g.ID, g.Title, g.Summary, seconds(g.Seconds))
		for j := range g.Tests {
			t := &g.Tests[j]
			if s.Quiet && (t.Status == tuning.Pass || t.Status == tuning.Skip || t.Status == tuning.Note) {
				continue
			}
			t.text(&b, s)
		}
	}
	b.WriteString("\n")
	bars(&b, r, s)
	fmt.Fprintf(&b, "\n%s in %s: %s\n", r.Summary, seconds(r.Seconds), r.sentence())
	for _, why := range r.Because {
		fmt.Fprintf(&b, "  - %s\n", printable(why))
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(&b, "left out: %s: %s\n", l.What, printable(l.Why))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sentence is the verdict in words.
func (r *Report) sentence() string {
	switch {
	case r.Qualified:
		return "qualified for the profile " + r.Profile
	case r.Failed():
		return "not as the profile " + r.Profile + " wants it"
	}
	return "nothing fails, and it is no qualification for the profile " + r.Profile
}

func (t *Test) text(b *strings.Builder, s Style) {
	fmt.Fprintf(b, "%s  %-30s %s", s.status(t.Status), t.ID, t.Title)
	if found := t.shown(); found != "" {
		b.WriteString(": " + printable(found))
	}
	if t.Status == tuning.Pass && t.Limit != nil {
		b.WriteString("  (" + t.want() + ")")
	}
	if t.Reason != "" && t.Status != tuning.Pass {
		b.WriteString(": " + printable(t.Reason))
	}
	if t.Wanted != "" && (t.Status == tuning.Warn || t.Status == tuning.Fail) {
		b.WriteString("  want: " + printable(t.Wanted))
	}
	b.WriteByte('\n')
	if (t.Status == tuning.Fail || t.Status == tuning.Warn) && t.Why != "" {
		fmt.Fprintf(b, "        why:  %s\n", t.Why)
	}
}

// bars shows the share of tests of each group that passed.
func bars(b *strings.Builder, r *Report, s Style) {
	const width = 24
	for i := range r.Groups {
		g := &r.Groups[i]
		full := g.share() * width / 100
		made := g.Summary.Pass + g.Summary.Warn + g.Summary.Fail + g.Summary.Error
		fmt.Fprintf(b, "%s  %-12s %s%s  %d of %d\n", s.status(g.Status), g.ID, strings.Repeat("█", full), strings.Repeat("░", width-full), g.Summary.Pass, made)
	}
}
