package hwtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
)

// TestCompare: verdicts count for more than figures, figures by their direction, and what only one report has is told as such.
func TestCompare(t *testing.T) {
	figure := func(id string, s tuning.Status, v float64, better string) Test {
		return Test{ID: id, Title: id, Status: s, Value: &v, Unit: "ns", Better: better}
	}
	before := &Report{Profile: tuning.Colo, For: 60, Groups: []Group{{ID: "a", Tests: []Test{
		figure("same", tuning.Pass, 100, "less"), figure("slower", tuning.Pass, 100, "less"), figure("faster", tuning.Pass, 100, "less"), figure("more", tuning.Pass, 100, "more"),
		figure("told", tuning.Note, 100, ""), figure("fails now", tuning.Pass, 100, "less"), figure("passes now, though slower", tuning.Fail, 100, "less"),
		{ID: "skipped now", Status: tuning.Pass}, {ID: "unknown now", Status: tuning.Pass}, {ID: "gone", Status: tuning.Warn}, figure("from nothing", tuning.Pass, 0, "less"),
	}}}}
	after := &Report{Profile: tuning.Lab, For: 60, Groups: []Group{{ID: "b", Tests: []Test{
		figure("same", tuning.Pass, 109, "less"), figure("slower", tuning.Pass, 112, "less"), figure("faster", tuning.Pass, 50, "less"), figure("more", tuning.Pass, 120, "more"),
		figure("told", tuning.Note, 200, ""), figure("fails now", tuning.Fail, 50, "less"), figure("passes now, though slower", tuning.Pass, 200, "less"),
		{ID: "skipped now", Status: tuning.Skip}, {ID: "unknown now", Status: tuning.Error}, {ID: "new", Status: tuning.Pass}, figure("from nothing", tuning.Pass, 5, "less"),
	}}}}
	c := Compare(before, after, 0.1)
	got := map[string]string{}
	for _, d := range c.Changes {
		got[d.ID] = d.Kind
	}
	want := map[string]string{
		"slower": "worse", "faster": "better", "more": "better", "told": "other", "fails now": "worse", "passes now, though slower": "better", "skipped now": "other",
		"unknown now": "worse", "gone": "gone", "new": "new", "from nothing": "worse",
	}
	for id, kind := range want {
		if got[id] != kind {
			t.Errorf("%s is %q, want %s", id, got[id], kind)
		}
	}
	if len(got) != len(want) || c.Better != 3 || c.Worse != 4 || c.Same != 1 {
		t.Errorf("%d changes: %d better, %d worse, %d the same", len(got), c.Better, c.Worse, c.Same)
	}
	if !slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, "profile: colo before, lab after") }) {
		t.Errorf("notes: %v", c.Notes)
	}
	var text, doc bytes.Buffer
	must(t, errors.Join(c.Text(&text, Style{}), c.JSON(&doc)))
	for _, want := range []string{"worse   slower", "PASS 100 ns → PASS 112 ns  (× 1.12)", "gone    gone", "WARN → not there", "3 better, 4 worse, 1 the same (within 10 %)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	foreign := &Report{Groups: []Group{{Tests: []Test{{ID: "a\x1b[31m", Title: "b\x1b[2J", Status: tuning.Pass, Value: new(1.0), Unit: "\x1b]0;x\a"}}}}}
	var told bytes.Buffer
	must(t, Compare(&Report{}, foreign, 0).Text(&told, Style{}))
	if strings.ContainsAny(told.String(), "\x1b\a") {
		t.Errorf("a report of somebody steers the terminal: %q", told.String())
	}
	var again Comparison
	must(t, json.Unmarshal(doc.Bytes(), &again))
	if again.Schema != CompareSchema || len(again.Changes) != len(c.Changes) {
		t.Errorf("%+v", again)
	}
}

// TestSince: a report of ticktune's, or of this package's, is what settings are compared with; another machine's is refused.
func TestSince(t *testing.T) {
	dir := t.TempDir()
	h, err := tuning.Open("/", &tuning.Plan{Profile: tuning.VM})
	must(t, err)
	now := h.Run(tuning.Select{})
	var theirs bytes.Buffer
	must(t, now.JSON(&theirs))
	once := func(since string) *Group {
		t.Helper()
		r, err := Run(t.Context(), Options{Plan: &tuning.Plan{Profile: tuning.VM}, Only: []string{"persistence"}, Since: since})
		must(t, err)
		return r.group("persistence")
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, text, 0o600))
		return path
	}
	if k := once(write("same.json", theirs.Bytes())).test("persistence.drift"); k == nil || k.Status != tuning.Pass || *k.Value != 0 {
		t.Errorf("a moment later: %+v", k)
	}
	other := bytes.Replace(theirs.Bytes(), []byte(now.Host.Fingerprint), []byte("0000000000000000"), 1)
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		"other.json": {other, "another machine's"}, "none.json": {[]byte(`{"schema":"x"}`), `schema is "x"`}, "cut.json": {theirs.Bytes()[:100], "unexpected end"},
	} {
		if k := once(write(name, tc.text)).test("persistence.made"); k == nil || k.Status != tuning.Error || !strings.Contains(k.Reason, tc.want) {
			t.Errorf("%s: %+v", name, k)
		}
	}
	if k := once("").test("persistence.drift"); k.Status != tuning.Skip || !strings.Contains(k.Reason, "--since") {
		t.Errorf("without a report of before: %+v", k)
	}
}

// TestDrift: worse is what fails and did not, or cannot be told any more; other values are told apart.
func TestDrift(t *testing.T) {
	before := map[string]earlier{
		"a": {tuning.Pass, "0"}, "b": {tuning.Warn, "1"}, "c": {tuning.Fail, "1"}, "d": {tuning.Pass, "x"}, "e": {tuning.Note, "17"}, "f": {tuning.Pass, ""}, "gone": {tuning.Pass, ""},
	}
	worst, changed := drift(before, []Check{
		{ID: "a", Status: tuning.Fail, Effective: "1"}, {ID: "b", Status: tuning.Warn, Effective: "2"}, {ID: "c", Status: tuning.Pass}, {ID: "d", Status: tuning.Skip, Reason: "no such file"},
		{ID: "e", Status: tuning.Note, Effective: "18"}, {ID: "f", Status: tuning.Error}, {ID: "new", Status: tuning.Fail},
	})
	if want := []string{"a: FAIL, was PASS (1, was 0)", "d: SKIP, was PASS (no such file)", "f: ERROR, was PASS (none, was none)"}; !slices.Equal(worst, want) {
		t.Errorf("worse: %q", worst)
	}
	if want := []string{"c: PASS, was FAIL"}; !slices.Equal(changed, want) {
		t.Errorf("other: %q", changed)
	}
}

// FuzzRead: whatever a report's file holds, it is refused in words, or can be shown in every form and compared.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"report.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"schema":"tickwire.hwtest/1","groups":[{"id":"x","tests":[{"id":"y","status":"PASS","value":1e308,"limit":{"op":"?","value":-1e308}}],"plots":[{"matrix":{"names":[],"cells":[[1,2],[]]}},{"bars":[{"value":-1}]},{"lines":[{"points":[[2,-5]]}]}]}]}`))
	f.Add([]byte(`{"schema":"tickwire.hwtest/1","checks":[{"id":"a","status":"FAIL","effective":{"raw":"1"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, _ = readSnapshot(bytes.NewReader(text))
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrReport) {
				t.Fatal(err)
			}
			return
		}
		var out bytes.Buffer
		if err := errors.Join(r.Text(&out, Style{Colour: true}), r.HTML(&out), r.JSON(&out)); err != nil {
			t.Fatal(err)
		}
		if c := Compare(r, fixed(), 0.1); c.Text(&out, Style{}) != nil || c.JSON(&out) != nil {
			t.Fatal("it cannot be compared")
		}
	})
}
