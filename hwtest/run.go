package hwtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/tuning"
)

// group is one that can be made.
type group struct {
	id, title string
	wires     bool // it sends packets
	weight    int  // its share of the run, for the progress
	run       func(*run, *Group) error
}

// all are the groups in the order in which they are made: what only looks first, what burdens the machine later, and what is compared last.
func all() []group {
	return []group{
		{"inventory", "the machine as planned", false, 1, (*run).inventory},
		{"static", "settings", false, 2, (*run).static},
		{"cpu", "cores under load", false, 5, (*run).cpu},
		{"memory", "memory and huge pages", false, 4, (*run).memory},
		{"disk", "the disk", false, 3, (*run).disk},
		{"time", "clocks", false, 4, (*run).time},
		{"jitter", "what is stolen from cores", false, 12, (*run).jitter},
		{"nic", "what the NIC can do", true, 6, (*run).nic},
		{"receive", "packets a second without loss", true, 20, (*run).receive},
		{"pcie", "the bus while packets came", true, 1, (*run).pcie},
		{"latency", "from the wire to the ring", true, 10, (*run).latency},
		{"failover", "what fails, and how soon it is mended", true, 15, (*run).failover},
		{"soak", "a whole feed with faults", true, 15, (*run).soak},
		{"persistence", "settings since before", false, 1, (*run).persistence},
	}
}

// run is one in progress.
type run struct {
	*Options
	ctx          context.Context
	host         *tuning.Host
	report       *Report
	checks       *tuning.Report // of the whole catalogue, once looked at
	wires        *wires
	noKernelLoad bool // the kernel makes no frames here: a socket sends them
	at           *Group
	done         int // weights of the groups before
	whole        int
}

// Run makes the groups, one after the other. It fails only where no report is of use: options that contradict themselves, a plan that does not
// hold, ctx at its end; with a report, that something is not as it was before. What a group could not do is in the report. It needs no rights for what only looks; for packets root, or
// CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	began := time.Now()
	r := &run{Options: &o, ctx: ctx}
	if r.host, err = tuning.Open("/", o.Plan); err != nil {
		return nil, fmt.Errorf("hwtest: %w", err)
	}
	look := r.look() // the machine before it is burdened
	r.report = &Report{
		Schema: Schema, ToolVersion: buildinfo.Version, Profile: o.Plan.Profile, Started: began.UTC().Truncate(time.Second), For: o.For.Seconds(), Quick: o.Quick, Seed: o.Seed,
		Host: look.Host, Machine: machine.Look(), PlanDigest: look.PlanDigest, LeftOut: []LeftOut{}, Groups: []Group{}, Checks: short(look),
	}
	wanted := slices.DeleteFunc(all(), func(g group) bool { return len(o.Only) > 0 && !slices.Contains(o.Only, g.id) })
	for _, g := range wanted {
		r.whole += g.weight
	}
	defer func() { err = errors.Join(err, r.unplug()) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))) // beside the one that a receiver holds
	for i := range wanted {
		r.make(&wanted[i])
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("hwtest: ended in group %s: %w", wanted[i].id, err)
		}
	}
	r.progress("", 1)
	r.report.Seconds = time.Since(began).Seconds()
	r.report.close()
	return r.report, nil
}

// make makes one group. A fault of its own is a test that could not be made.
func (r *run) make(g *group) {
	began := time.Now()
	out := Group{ID: g.id, Title: g.title, Tests: []Test{}}
	r.at = &out
	r.progress("", 0)
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("internal: %v\n%s", p, debug.Stack())
			}
		}()
		if g.wires {
			if err := r.plug(); err != nil {
				return err
			}
		}
		return g.run(r, &out)
	}()
	if err != nil && r.ctx.Err() == nil {
		r.leave(&out, g.id, err)
	}
	out.Seconds = time.Since(began).Seconds()
	r.done += g.weight
	r.report.Groups = append(r.report.Groups, out)
}

// leave says that a group could not be made, or not to its end: since something was missing, or since something that was to happen did not.
func (r *run) leave(g *Group, id string, err error) {
	g.Reason = strings.TrimSpace(err.Error())
	t := Test{ID: id + ".made", Title: "the group is made to its end", Status: tuning.Error, Reason: g.Reason}
	if errors.Is(err, errLate) {
		t.Status = tuning.Fail
	}
	r.add(g, t, tuning.Crit)
	r.leftOut(id, g.Reason)
}

// leftOut notes what was not made; what has the same reason stands together.
func (r *run) leftOut(what, why string) {
	all := r.report.LeftOut
	if i := slices.IndexFunc(all, func(l LeftOut) bool { return l.Why == why }); i >= 0 {
		all[i].What += ", " + what
		return
	}
	r.report.LeftOut = append(all, LeftOut{what, why})
}

// progress tells what is done, and the share of the group that lies behind.
func (r *run) progress(what string, share float64) {
	if r.Progress == nil {
		return
	}
	id, weight := "", 0
	if r.at != nil {
		id = r.at.ID
		weight = find(id).weight
	}
	r.Progress(id, what, min(1, (float64(r.done)+share*float64(weight))/float64(max(r.whole, 1))))
}

// look is the catalogue over the machine, once.
func (r *run) look() *tuning.Report {
	if r.checks == nil {
		r.checks = r.host.Run(tuning.Select{})
	}
	return r.checks
}

func short(t *tuning.Report) (checks []Check) {
	for i := range t.Checks {
		c := &t.Checks[i]
		one := Check{ID: c.ID, Status: c.Status, Want: c.Want, Reason: c.Reason}
		if c.Effective != nil {
			one.Effective = c.Effective.Raw
		}
		checks = append(checks, one)
	}
	return checks
}

// judged adds a figure that has a threshold (limits.go), and gives it for what is to be added.
func (r *run) judged(g *Group, id string, value float64, figures ...Figure) *Test {
	l := by(id)
	if l == nil {
		panic("hwtest: no threshold is called " + id)
	}
	return r.figure(g, Test{ID: id, Title: l.title, Unit: l.unit, Better: l.better, Why: l.why, Severity: l.severity.String(), Figures: figures}, value, r.limit(l), l.severity)
}

// limit is the threshold that holds in this run; nil: none.
func (r *run) limit(l *limit) *Limit {
	if v, ok := r.Limits[l.id]; ok {
		return &Limit{Op: l.op, Value: v}
	}
	return l.of(r.Plan.Profile)
}

// figure adds a figure, judged by a limit, nil: told.
func (r *run) figure(g *Group, t Test, value float64, limit *Limit, severity tuning.Severity) *Test {
	if math.IsNaN(value) || math.IsInf(value, 0) { // neither exists in JSON
		t.Status, t.Reason = tuning.Error, "no figure came of it"
		return r.add(g, t, severity)
	}
	t.Value, t.Limit, t.Status = new(value), limit, tuning.Pass
	if limit == nil {
		t.Status = tuning.Note
	} else if !limit.holds(value) {
		t.Status = judge(severity, r.Plan.Profile)
		t.Reason = "wanted " + t.want()
	}
	return r.add(g, t, severity)
}

// fact adds something that holds or does not.
func (r *run) fact(g *Group, id, title string, holds bool, severity tuning.Severity, found, why string) *Test {
	t := Test{ID: id, Title: title, Found: found, Why: why, Status: tuning.Pass}
	if !holds {
		t.Status, t.Reason = judge(severity, r.Plan.Profile), found
	}
	return r.add(g, t, severity)
}

// note adds something that is told.
func (r *run) note(g *Group, id, title, found string) *Test {
	return r.add(g, Test{ID: id, Title: title, Found: found, Status: tuning.Note}, tuning.Info)
}

// skip adds a test that does not apply.
func (r *run) skip(g *Group, id, title, reason string) *Test {
	return r.add(g, Test{ID: id, Title: title, Status: tuning.Skip, Reason: reason}, tuning.Info)
}

// unknown adds a test that could not be made.
func (r *run) unknown(g *Group, id, title string, severity tuning.Severity, err error) *Test {
	r.leftOut(id, err.Error())
	return r.add(g, Test{ID: id, Title: title, Status: tuning.Error, Reason: err.Error()}, severity)
}

func (r *run) add(g *Group, t Test, severity tuning.Severity) *Test {
	t.Severity = severity.String()
	t.Figures = slices.DeleteFunc(t.Figures, func(f Figure) bool { return math.IsNaN(f.Value) || math.IsInf(f.Value, 0) }) // JSON has neither
	g.Tests = append(g.Tests, t)
	return &g.Tests[len(g.Tests)-1]
}

// sleep waits, or until the run is to end.
func (r *run) sleep(d time.Duration) error {
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// errLate is that something did not happen in any time that a machine, however busy, takes: a finding, and no fault of the test.
var errLate = errors.New("within")

// await polls until something is so; it fails with what, and errLate, after patience.
func (r *run) await(patience time.Duration, what string, so func() (bool, error)) error {
	for until := time.Now().Add(patience); ; {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s %w %s", what, errLate, patience)
		}
		if err := r.sleep(time.Millisecond); err != nil {
			return err
		}
	}
}
