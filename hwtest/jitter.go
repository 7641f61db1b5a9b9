package hwtest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

// jitter measures what HOT and NAPI cores take from who spins on them: idle by itself and as a lane is set up, and as a lane while every other core is
// busy. Without a plan one core is measured, and told only.
func (r *run) jitter(g *Group) error {
	o := jitter.Options{Hot: r.Plan.Hot, NAPI: r.Plan.NAPI, For: r.For, Shared: r.Plan.Profile != tuning.Colo}
	if !r.Plan.Named() {
		o.Other = tuning.CPUs{meter.Core(0)}
		r.skip(g, "jitter.plan", "limits of HOT and NAPI cores", "no plan: name the cores (--cores 4-7); one core is measured, and told only")
	}
	states := []struct {
		name, title string
		mode        jitter.Mode
		loaded      bool
	}{
		{"idle", "machine idle, nothing of the runtime in the way", jitter.Host, false},
		{"lane", "machine idle, set up as a lane", jitter.Runtime, false},
		{"loaded", "every other core busy, set up as a lane", jitter.Runtime, true},
	}
	delays := Plot{Title: "delay of a packet that arrives at any moment", Note: r.report.Machine.String()}
	for i, st := range states {
		r.progress(st.title, float64(i)/float64(len(states)))
		o.Modes = []jitter.Mode{st.mode}
		rest := func() {}
		if st.loaded {
			var busy tuning.CPUs
			if busy, rest = burden(append(append(tuning.CPUs{}, o.Hot...), append(o.NAPI, o.Other...)...)); len(busy) == 0 {
				r.skip(g, "jitter.loaded", st.title, "there is no other core")
				continue
			}
		}
		rep, err := jitter.Run(r.ctx, o)
		rest()
		switch {
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case errors.Is(err, jitter.ErrShared):
			r.add(g, Test{ID: "jitter." + st.name + ".alone", Title: "others run on the cores: " + st.title, Status: judge(tuning.Major, r.Plan.Profile), Reason: err.Error()}, tuning.Major)
			continue
		case err != nil:
			r.unknown(g, "jitter."+st.name, st.title, tuning.Major, err)
			continue
		}
		r.jitters(g, &delays, st.name, rep)
	}
	if len(delays.Lines) > 0 {
		g.Plots = append(g.Plots, delays)
	}
	return nil
}

// jitters adds one state: the worst of the cores for each figure, and each core's beside it.
func (r *run) jitters(g *Group, delays *Plot, state string, rep *jitter.Report) {
	for _, kind := range []struct {
		limit string
		roles []jitter.Role
		value func(*jitter.Result) float64
	}{
		{"jitter.worst", []jitter.Role{jitter.RoleHot, jitter.RoleOther}, func(c *jitter.Result) float64 { return c.MaxNs }},
		{"jitter.napi_worst", []jitter.Role{jitter.RoleNAPI}, func(c *jitter.Result) float64 { return c.MaxNs }},
		{"jitter.over_10us", []jitter.Role{jitter.RoleHot, jitter.RoleOther}, func(c *jitter.Result) float64 { return float64(c.Over10us) }},
		{"jitter.stolen", []jitter.Role{jitter.RoleHot, jitter.RoleOther}, func(c *jitter.Result) float64 { return c.StolenPPM }},
		{"jitter.delay", []jitter.Role{jitter.RoleHot, jitter.RoleOther}, func(c *jitter.Result) float64 { return c.DelayP99_99Ns }},
	} {
		l := by(kind.limit)
		worst, some, judged := 0.0, false, false
		var figures []Figure
		for i := range rep.Results {
			c := &rep.Results[i]
			if !slices.Contains(kind.roles, c.Role) {
				continue
			}
			some, judged = true, judged || c.Role != jitter.RoleOther
			worst = max(worst, kind.value(c))
			figures = append(figures, Figure{fmt.Sprintf("core %d", c.CPU), kind.value(c), l.unit})
		}
		if !some {
			continue
		}
		limit := r.limit(l)
		if !judged {
			limit = nil
		}
		id := strings.Replace(kind.limit, "jitter.", "jitter."+state+".", 1)
		r.figure(g, Test{ID: id, Title: l.title + " (" + state + ")", Unit: l.unit, Better: l.better, Why: l.why, Figures: figures}, worst, limit, l.severity)
	}
	for _, c := range rep.Curves() {
		curve := Line{Name: c.Name + ", " + state, Dashed: state == "idle", Points: [][2]float64{}}
		for j := range c.Shares {
			curve.Points = append(curve.Points, [2]float64{c.Shares[j], c.Ns[j]})
			if c.Ns[j] >= c.Ns[len(c.Ns)-1] { // the rest is the same
				break
			}
		}
		delays.Lines = append(delays.Lines, curve)
	}
}

// burden keeps every core that the process may use busy but those that are spared, with memory, until rest is called.
func burden(spared tuning.CPUs) (busy tuning.CPUs, rest func()) {
	var stop atomic.Bool
	var ended sync.WaitGroup
	for _, core := range meter.Allowed() {
		if spared.Has(core) {
			continue
		}
		busy = append(busy, core)
		ended.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread is tied to a core and ends with the goroutine
			if pin.Thread(core) != nil {
				return // it would be in the way of what is measured
			}
			from, to := make([]byte, 8<<20), make([]byte, 8<<20)
			for !stop.Load() {
				copy(to, from)
				runtime.Gosched()
			}
		})
	}
	return busy, func() { stop.Store(true); ended.Wait() }
}
