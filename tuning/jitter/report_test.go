package jitter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// TestVerdict: what a core may do depends on what it is for, and a virtual machine never qualifies.
func TestVerdict(t *testing.T) {
	one := uint64(1)
	ms := 10.0
	good := Result{Role: RoleHot, Mode: Host, DurationS: 600, MaxNs: 15_000, Over10us: 3, StolenPPM: 20, DelayP99_99Ns: 400, ThresholdNs: 100}
	for _, tc := range []struct {
		name    string
		change  func(*Result)
		virtual bool
		want    tuning.Status
		reasons int
	}{
		{"good", func(*Result) {}, false, tuning.Pass, 0},
		{"good, virtual", func(*Result) {}, true, tuning.Note, 0},
		{"max", func(r *Result) { r.MaxNs = 20_000 }, false, tuning.Fail, 1},
		{"max, virtual", func(r *Result) { r.MaxNs = 20_000 }, true, tuning.Note, 1},
		{"max of NAPI", func(r *Result) { r.Role, r.MaxNs = RoleNAPI, 49_000 }, false, tuning.Pass, 0},
		{"too much of NAPI", func(r *Result) { r.Role, r.MaxNs = RoleNAPI, 50_000 }, false, tuning.Fail, 1},
		{"all", func(r *Result) {
			r.MaxNs, r.Over10us, r.StolenPPM, r.DelayP99_99Ns = 1e6, 11, 50, 1000
			r.Attribution.Voluntary, r.Attribution.SMI, r.Attribution.StealMs = 1, &one, &ms
		}, false, tuning.Fail, 7},
		{"housekeeping", func(r *Result) { r.Role, r.MaxNs = RoleOther, 1e9 }, false, tuning.Note, 0},
		{"plain", func(r *Result) { r.Mode, r.MaxNs = Plain, 1e9 }, false, tuning.Note, 0},
	} {
		r := good
		tc.change(&r)
		rep := &Report{Virtual: tc.virtual}
		r.judge(rep)
		rep.Results = []Result{r}
		if r.Verdict.Status != tc.want || len(r.Verdict.Reasons) != tc.reasons || rep.Failed() != (tc.want == tuning.Fail) || r.Verdict.Virtual != (tc.virtual && r.Role != RoleOther) {
			t.Errorf("%s: %+v", tc.name, r.Verdict)
		}
	}
}

// TestReport: what is written is read again, shown, drawn and compared.
func TestReport(t *testing.T) {
	c := core(t)
	r := measure(t, Options{Hot: tuning.CPUs{c}, For: 50 * time.Millisecond, Warmup: 20 * time.Millisecond, Modes: []Mode{Host}})
	var text bytes.Buffer
	if err := r.JSON(&text); err != nil {
		t.Fatal(err)
	}
	again, err := Read(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	var twice bytes.Buffer
	if err := again.JSON(&twice); err != nil || !bytes.Equal(text.Bytes(), twice.Bytes()) {
		t.Errorf("%v: read and written again it is another", err)
	}
	var out bytes.Buffer
	if err := again.Text(&out); err != nil || !strings.Contains(out.String(), fmt.Sprintf("core %d, host", c)) {
		t.Errorf("%v\n%s", err, out.String())
	}
	curves := again.Curves()
	if len(curves) != 1 || curves[0].Name != fmt.Sprintf("core %d, host", c) || !slices.IsSorted(curves[0].Shares) || !slices.IsSorted(curves[0].Ns) || curves[0].Ns[140] < r.Results[0].DelayP99_9Ns {
		t.Errorf("%+v", curves)
	}
	many := Report{}
	for cpu := range 20 {
		one := r.Results[0]
		one.CPU, one.Role = cpu, map[bool]Role{true: RoleHot, false: RoleNAPI}[cpu < 10]
		many.Results = append(many.Results, one)
	}
	// Ten cores that are alike have together the delays of one.
	if all := many.Curves(); len(all) != 2 || all[0].Name != "hot cores, host" || all[1].Ns[60] < 0.999*curves[0].Ns[60] || all[1].Ns[60] > 1.001*curves[0].Ns[60] {
		t.Errorf("%d curves", len(all))
	}
	d := Compare(again, again)
	if len(d.Rows) != len(figures) || len(d.OnlyA)+len(d.OnlyB) != 0 {
		t.Errorf("%+v", d)
	}
	for _, row := range d.Rows {
		if row.A != row.B || row.Ratio != nil && *row.Ratio != 1 {
			t.Errorf("%+v", row)
		}
	}
	other := *again
	other.Host.Fingerprint, other.ForS = "another", 1
	other.Results = []Result{{CPU: c, Mode: Runtime, Role: RoleHot, Histogram: new(Histogram)}}
	d = Compare(again, &other)
	out.Reset()
	if err := d.Text(&out); err != nil || len(d.Rows) != 0 || len(d.OnlyA) != 1 || len(d.OnlyB) != 1 || !strings.Contains(out.String(), "two machines") || !strings.Contains(out.String(), "nothing to compare") {
		t.Errorf("%v %+v\n%s", err, d, out.String())
	}
}

// TestDelayBelowMax: no delay is longer than the worst gap, whose bucket reaches beyond it.
func TestDelayBelowMax(t *testing.T) {
	p, _, err := newProbe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.unmap() }()
	p.least, p.limit, p.nsPerTick, p.ended = ^uint64(0), 100, 1<<32, 1_000_000_000
	const worst = 1 << 27 // the least of its bucket
	p.gap(1000, 1000+worst)
	s := &session{o: &Options{}, report: &Report{}}
	r := s.result(&runner{probe: p}, Host, &look{}, &look{}, instant{}, 1)
	if r.MaxNs != worst || r.DelayP6Ns > r.MaxNs || r.DelayP6Ns < 0.99*worst {
		t.Errorf("delay %f, max %f", r.DelayP6Ns, r.MaxNs)
	}
	if c := (&Report{Results: []Result{r}}).Curves(); slices.Max(c[0].Ns) > r.MaxNs {
		t.Errorf("drawn up to %f, max %f", slices.Max(c[0].Ns), r.MaxNs)
	}
}

// FuzzRead: a report of anybody's is refused or read, and what is read can be shown, compared and drawn.
func FuzzRead(f *testing.F) {
	h := new(Histogram)
	h.Add(1234)
	r := Report{Schema: Schema, Results: []Result{{CPU: 1, Mode: Host, Role: RoleHot, ThresholdNs: 100, DurationS: 1, Histogram: h, Largest: []Event{{GapNs: 1234}},
		Attribution: Attribution{Spikes: map[Cause]Spikes{CauseTick: {1, 2, 3}}}}}}
	text, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"schema":"ticktune.jitter/1","notes":["\u001b[2J"],"results":[{"cpu":1,"mode":"host","role":"hot","n_per_s":-1e308,"histogram":[[18446744073709551615,1]]}]}`))
	f.Add([]byte(`{"schema":"ticktune.jitter/1","results":[{"mode":"\u001b[2J"}]}`))
	f.Add([]byte(`{"schema":"ticktune.jitter/2"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrReport) {
				t.Errorf("%v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := errors.Join(r.Text(&out), Compare(r, r).Text(&out)); err != nil {
			t.Error(err)
		}
		if bytes.ContainsRune(out.Bytes(), 0x1b) {
			t.Error("the terminal can be steered")
		}
		r.Curves()
	})
}
