package hwtest

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// Comparison is what two reports differ in.
type Comparison struct {
	Schema    string   `json:"schema"`
	Tolerance float64  `json:"tolerance"` // a share: figures that move by less are the same
	Notes     []string `json:"notes"`     // what is to be known before anything is read out of it
	Better    int      `json:"better"`
	Worse     int      `json:"worse"`
	Same      int      `json:"same"`
	Changes   []Change `json:"changes"` // without what is the same, in the order of the reports
}

// CompareSchema names the layout of a Comparison as JSON.
const CompareSchema = "tickwire.hwtest.compare/1"

// Change is one test in both reports.
type Change struct {
	ID     string         `json:"id"`
	Title  string         `json:"title"`
	Kind   string         `json:"kind"` // better, worse, other, gone, new
	Before *tuning.Status `json:"status_before"`
	After  *tuning.Status `json:"status_after"`
	From   *float64       `json:"value_before"`
	To     *float64       `json:"value_after"`
	Unit   string         `json:"unit,omitempty"`
	Ratio  *float64       `json:"ratio"` // after to before; null: there is none
}

// Compare puts two reports side by side. A verdict counts for more than a figure; figures with a direction are better or worse when they move by more
// than tolerance, a share of the greater of both.
func Compare(a, b *Report, tolerance float64) *Comparison {
	c := &Comparison{Schema: CompareSchema, Tolerance: tolerance, Notes: notes(a, b), Changes: []Change{}}
	after := map[string]*Test{}
	for i := range b.Groups {
		for j := range b.Groups[i].Tests {
			after[b.Groups[i].Tests[j].ID] = &b.Groups[i].Tests[j]
		}
	}
	seen := map[string]bool{}
	for i := range a.Groups {
		for j := range a.Groups[i].Tests {
			t := &a.Groups[i].Tests[j]
			if !seen[t.ID] {
				seen[t.ID] = true
				c.add(t, after[t.ID])
			}
		}
	}
	for i := range b.Groups {
		for j := range b.Groups[i].Tests {
			if t := &b.Groups[i].Tests[j]; !seen[t.ID] {
				seen[t.ID] = true
				c.add(nil, t)
			}
		}
	}
	return c
}

// notes are what makes figures of two reports those of different things.
func notes(a, b *Report) (notes []string) {
	notes = []string{}
	other := func(what, x, y string) {
		if x != y {
			notes = append(notes, fmt.Sprintf("%s: %s before, %s after", what, orNone(x), orNone(y)))
		}
	}
	kind := func(r *Report) string {
		if r.Wires == nil {
			return ""
		}
		return r.Wires.Kind
	}
	other("machine", a.Host.Fingerprint, b.Host.Fingerprint)
	other("processor", a.Machine.CPU, b.Machine.CPU)
	other("kernel", a.Host.Kernel, b.Host.Kernel)
	other("profile", a.Profile, b.Profile)
	other("wires", kind(a), kind(b))
	other("version", a.ToolVersion, b.ToolVersion)
	other("each measurement", seconds(a.For), seconds(b.For))
	return notes
}

// good ranks what can be said of a test: only verdicts that were reached are better or worse than each other.
func verdict(s tuning.Status) (rank int, reached bool) {
	switch s {
	case tuning.Pass:
		return 0, true
	case tuning.Waived:
		return 1, true
	case tuning.Warn:
		return 2, true
	case tuning.Fail:
		return 3, true
	}
	return 0, false
}

func (c *Comparison) add(a, b *Test) {
	d := Change{}
	switch {
	case a == nil:
		d.ID, d.Title, d.Kind, d.After, d.To, d.Unit = b.ID, b.Title, "new", &b.Status, b.Value, b.Unit
	case b == nil:
		d.ID, d.Title, d.Kind, d.Before, d.From, d.Unit = a.ID, a.Title, "gone", &a.Status, a.Value, a.Unit
	default:
		d = Change{ID: b.ID, Title: b.Title, Before: &a.Status, After: &b.Status, From: a.Value, To: b.Value, Unit: b.Unit}
		d.Kind = c.kind(a, b, &d)
	}
	switch d.Kind {
	case "":
		c.Same++
		return
	case "better":
		c.Better++
	case "worse":
		c.Worse++
	}
	c.Changes = append(c.Changes, d)
}

func (c *Comparison) kind(a, b *Test, d *Change) string {
	x, was := verdict(a.Status)
	y, is := verdict(b.Status)
	switch {
	case was && is && y > x:
		return "worse"
	case was && is && y < x:
		return "better"
	case was && !is && b.Status == tuning.Error: // it could be told, and cannot any more
		return "worse"
	case a.Status != b.Status:
		return "other"
	}
	if a.Value == nil || b.Value == nil || a.Unit != b.Unit {
		return ""
	}
	from, to := *a.Value, *b.Value
	if from != 0 {
		d.Ratio = new(to / from)
	}
	most := max(math.Abs(from), math.Abs(to))
	if math.Abs(to-from) <= c.Tolerance*most {
		return ""
	}
	switch {
	case b.Better == "":
		return "other"
	case (to > from) == (b.Better == "more"):
		return "better"
	}
	return "worse"
}

// JSON writes the comparison as one document.
func (c *Comparison) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// Text writes it for people, a line a change.
func (c *Comparison) Text(w io.Writer, s Style) error {
	var b strings.Builder
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "not the same %s\n", printable(n))
	}
	for i := range c.Changes {
		d := &c.Changes[i]
		kind := fmt.Sprintf("%-6s", d.Kind)
		if code := map[string]string{"better": "32", "worse": "31"}[d.Kind]; s.Colour && code != "" {
			kind = "\x1b[" + code + "m" + kind + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-30s %s: %s → %s", kind, printable(d.ID), printable(d.Title), printable(d.side(d.Before, d.From)), printable(d.side(d.After, d.To)))
		if d.Ratio != nil {
			fmt.Fprintf(&b, "  (× %.3g)", *d.Ratio)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d better, %d worse, %d the same (within %.3g %%)\n", c.Better, c.Worse, c.Same, 100*c.Tolerance)
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Change) side(s *tuning.Status, v *float64) string {
	switch {
	case s == nil:
		return "not there"
	case v == nil:
		return s.String()
	}
	return s.String() + " " + figure(*v, d.Unit)
}
