package hwtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Report as JSON. Within one schema fields are added, and none changes its meaning.
const Schema = "tickwire.hwtest/1"

// Report is a whole run.
type Report struct {
	Schema      string           `json:"schema"`
	ToolVersion string           `json:"tool_version"`
	Profile     string           `json:"profile"`
	Started     time.Time        `json:"started"`
	Seconds     float64          `json:"duration_s"`
	For         float64          `json:"for_s"` // length of each long measurement
	Quick       bool             `json:"quick"`
	Seed        uint64           `json:"seed"` // of generated sessions and faults
	Host        tuning.HostFacts `json:"host"`
	Machine     machine.Machine  `json:"machine"`
	PlanDigest  string           `json:"plan_digest"`
	Wires       *Wires           `json:"wires"` // null: no group needed any
	Verdict     tuning.Status    `json:"verdict"`
	Qualified   bool             `json:"qualified"` // for the profile; Because says why not
	Because     []string         `json:"because"`
	LeftOut     []LeftOut        `json:"left_out"` // what was not made for want of a right or a tool
	Summary     tuning.Summary   `json:"summary"`
	Groups      []Group          `json:"groups"`
	Checks      []Check          `json:"checks"` // the catalogue's, as they were: what a later run is compared with (--since)
}

// Wires is what packets went over.
type Wires struct {
	Kind string `json:"kind"` // "veth": pairs in namespaces of our own; "cable": ports that were named
	Rx   string `json:"receiver"`
	Tx   string `json:"sender"`
	Note string `json:"note"`
}

// LeftOut is a group or a test that was not made.
type LeftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Check is one of the catalogue's, in short.
type Check struct {
	ID        string        `json:"id"`
	Status    tuning.Status `json:"status"`
	Effective string        `json:"effective"`
	Want      string        `json:"want"`
	Reason    string        `json:"reason,omitempty"`
}

// Group is what belongs together.
type Group struct {
	ID      string         `json:"id"`
	Title   string         `json:"title"`
	Status  tuning.Status  `json:"status"` // the worst of its tests
	Reason  string         `json:"reason,omitempty"`
	Seconds float64        `json:"duration_s"`
	Summary tuning.Summary `json:"summary"`
	Tests   []Test         `json:"tests"`
	Plots   []Plot         `json:"plots,omitempty"`
}

// Test is one thing that was looked at. Its id never changes its meaning.
type Test struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Status   tuning.Status `json:"status"`
	Severity string        `json:"severity"`
	Found    string        `json:"found,omitempty"` // in words, where Value is not all there is
	Value    *float64      `json:"value"`           // null: it is no figure
	Unit     string        `json:"unit,omitempty"`
	Limit    *Limit        `json:"limit"`            // null: told, not judged, or what is wanted is no figure
	Wanted   string        `json:"wanted,omitempty"` // in words, where it is no figure
	Better   string        `json:"better,omitempty"`
	Reason   string        `json:"reason,omitempty"` // why it is not PASS
	Why      string        `json:"why,omitempty"`    // why it matters
	Figures  []Figure      `json:"figures,omitempty"`
}

// Limit is a threshold.
type Limit struct {
	Op    string  `json:"op"` // "<=", ">=" or "=="
	Value float64 `json:"value"`
}

func (l *Limit) holds(v float64) bool {
	switch l.Op {
	case "<=":
		return v <= l.Value
	case ">=":
		return v >= l.Value
	}
	return v == l.Value
}

// Figure is a raw one.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Plot is a picture, as the figures that it is drawn of: either lines of a distribution or bars.
type Plot struct {
	Title  string  `json:"title"`
	Note   string  `json:"note,omitempty"`
	Lines  []Line  `json:"lines,omitempty"`
	Bars   []Bar   `json:"bars,omitempty"`
	Unit   string  `json:"unit,omitempty"` // of bars
	Matrix *Matrix `json:"matrix,omitempty"`
}

// Line is a distribution: at most so many ns for a share of the values.
type Line struct {
	Name   string       `json:"name"`
	Dashed bool         `json:"dashed,omitempty"`
	Points [][2]float64 `json:"points"` // share 0 … 1, ns
}

// Bar is one figure, and the limit it is to keep where it has one.
type Bar struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Limit *float64 `json:"limit,omitempty"`
}

// Matrix is a figure from each of Names to each.
type Matrix struct {
	Names []string    `json:"names"`
	Cells [][]float64 `json:"cells"` // NaN does not exist in JSON: less than 0 is none
}

func line(s plot.Series) Line {
	l := Line{Name: s.Name, Dashed: s.Dashed, Points: [][2]float64{}}
	for _, p := range s.Points {
		l.Points = append(l.Points, [2]float64{p.Share, p.Ns})
	}
	return l
}

func (l *Line) series() plot.Series {
	s := plot.Series{Name: l.Name, Dashed: l.Dashed}
	for _, p := range l.Points {
		s.Points = append(s.Points, plot.Point{Share: p[0], Ns: p[1]})
	}
	return s
}

// count adds one to a summary.
func count(s *tuning.Summary, st tuning.Status) {
	switch st {
	case tuning.Pass:
		s.Pass++
	case tuning.Warn:
		s.Warn++
	case tuning.Fail:
		s.Fail++
	case tuning.Skip:
		s.Skip++
	case tuning.Error:
		s.Error++
	case tuning.Note:
		s.Info++
	case tuning.Waived:
		s.Waived++
	}
}

// close adds up a group, by tuning's order of statuses. One whose tests were all skipped is SKIP, not PASS.
func (g *Group) close() {
	g.Summary, g.Status = tuning.Summary{}, tuning.Skip
	judged := false
	for i := range g.Tests {
		st := g.Tests[i].Status
		count(&g.Summary, st)
		if st == tuning.Skip || st == tuning.Note {
			continue
		}
		if !judged {
			g.Status = st
		}
		g.Status, judged = max(g.Status, st), true
	}
	if !judged && g.Summary.Info > 0 {
		g.Status = tuning.Note
	}
}

// longEnough is the length of a measurement that qualifies: a shorter one is a look.
const longEnough = 10 * time.Minute

// close adds up the report, and says whether the machine is qualified, and if not why.
func (r *Report) close() {
	r.Summary, r.Verdict, r.Because = tuning.Summary{}, tuning.Pass, []string{}
	for i := range r.Groups {
		g := &r.Groups[i]
		g.close()
		for j := range g.Tests {
			t := &g.Tests[j]
			count(&r.Summary, t.Status)
			if t.Status != tuning.Skip && t.Status != tuning.Note {
				r.Verdict = max(r.Verdict, t.Status)
			}
		}
	}
	because := func(format string, args ...any) { r.Because = append(r.Because, fmt.Sprintf(format, args...)) }
	if n := r.Summary.Fail; n > 0 {
		because("%s", tests(n, "fails", "fail"))
	}
	if n := r.Summary.Error; n > 0 {
		because("%s not be made", tests(n, "could", "could"))
	}
	if r.Host.Virt != "" || r.Machine.Virtual {
		because("a virtual machine: what is measured here is its host's as well")
	}
	switch {
	case r.Wires == nil:
		because("no packets were sent")
	case r.Wires.Kind == KindVeth:
		because("packets went over a veth pair, and over no NIC")
	}
	if r.For < longEnough.Seconds() {
		because("measured for %s each: a look; a qualification takes %s (--for)", seconds(r.For), longEnough)
	}
	if missing := r.missing(); len(missing) > 0 {
		because("groups were left out: %s", strings.Join(missing, ", "))
	}
	if idle := r.unjudged(); len(idle) > 0 {
		because("groups in which nothing was judged: %s", strings.Join(idle, ", "))
	}
	r.Qualified = len(r.Because) == 0
}

// missing are the groups that were not asked for.
func (r *Report) missing() (ids []string) {
	for _, g := range all() {
		if r.group(g.id) == nil {
			ids = append(ids, g.id)
		}
	}
	return ids
}

// unjudged are the groups of which nothing was judged: jitter without cores that are named, persistence without a report of before. The inventory is
// told only.
func (r *Report) unjudged() (ids []string) {
	for i := range r.Groups {
		if g := &r.Groups[i]; g.ID != "inventory" && (g.Status == tuning.Skip || g.Status == tuning.Note) {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

func (r *Report) group(id string) *Group {
	for i := range r.Groups {
		if r.Groups[i].ID == id {
			return &r.Groups[i]
		}
	}
	return nil
}

func (g *Group) test(id string) *Test {
	for i := range g.Tests {
		if g.Tests[i].ID == id {
			return &g.Tests[i]
		}
	}
	return nil
}

func tests(n int, one, many string) string {
	if n == 1 {
		return "1 test " + one
	}
	return fmt.Sprintf("%d tests %s", n, many)
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

// Failed says whether the machine is not as the profile wants it, or could not be looked at: the command then exits 1.
func (r *Report) Failed() bool { return r.Summary.Fail > 0 || r.Summary.Error > 0 }

// JSON writes the report as one document.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("hwtest: writing the report: %w", err)
	}
	return nil
}

// ErrReport is in errors about what a report's file says.
var ErrReport = errors.New("no report of hwtest")

// mostReport bounds a report's file, in bytes.
const mostReport = 64 << 20

// Read reads a report that JSON wrote.
func Read(in io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(in, mostReport+1))
	if err != nil {
		return nil, fmt.Errorf("hwtest: %w", err)
	}
	if len(text) > mostReport {
		return nil, fmt.Errorf("hwtest: %w: it is longer than %d bytes", ErrReport, mostReport)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("hwtest: %w: %w", ErrReport, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("hwtest: %w: its schema is %q, want %q", ErrReport, r.Schema, Schema)
	}
	return &r, nil
}

// figure formats a value for people: three digits, and tens in thousands apart.
func figure(v float64, unit string) string {
	text := ""
	switch a := math.Abs(v); {
	case unit == "ns":
		return nanos(v)
	case v == math.Trunc(v) && a < 1e4:
		text = fmt.Sprintf("%.0f", v)
	case a >= 1000:
		text = thousands(v)
	case a >= 100:
		text = fmt.Sprintf("%.0f", v)
	case a >= 10:
		text = fmt.Sprintf("%.1f", v)
	default:
		text = fmt.Sprintf("%.3g", v)
	}
	if unit == "" {
		return text
	}
	return text + " " + unit
}

func nanos(ns float64) string {
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if math.Abs(ns) >= u.ns {
			return fmt.Sprintf("%.3g %s", ns/u.ns, u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", ns)
}

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "-" + s
	}
	return s
}

func (t *Test) found() string {
	switch {
	case t.Value == nil:
		return t.Found
	case t.Found == "":
		return figure(*t.Value, t.Unit)
	}
	return figure(*t.Value, t.Unit) + ": " + t.Found
}

// shown is what was found, where that is not the reason already.
func (t *Test) shown() string {
	if found := t.found(); found != t.Reason || t.Status == tuning.Pass {
		return found
	}
	return ""
}

func (t *Test) want() string {
	if t.Limit == nil {
		return t.Wanted
	}
	op := map[string]string{"<=": "at most ", ">=": "at least "}[t.Limit.Op]
	return op + figure(t.Limit.Value, t.Unit)
}
