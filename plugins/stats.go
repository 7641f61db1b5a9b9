package plugins

import "sync/atomic"

// StageStats counts what a stage did. A reload goes on counting under the plugin's name.
type StageStats struct {
	Plugin  string `json:"plugin"`
	Version string `json:"version"`

	Rows       uint64 `json:"rows"`     // handled
	Batches    uint64 `json:"batches"`  // calls, one for each max_rows
	Refused    uint64 `json:"refused"`  // rows
	Dropped    uint64 `json:"dropped"`  // of those refused, and by on_trap drop_output: not published
	Flagged    uint64 `json:"flagged"`  // rows
	Bypassed   uint64 `json:"bypassed"` // rows that were not handled
	Errors     uint64 `json:"errors"`   // negative returns and impossible answers
	Traps      uint64 `json:"traps"`    // and calls that ran out of fuel
	Cut        uint64 `json:"cut"`      // texts longer than their column
	Fuel       uint64 `json:"fuel"`     // used
	Passes     uint64 `json:"passes"`
	LatencySum uint64 `json:"latency_ns"`           // of passes, ns
	LatencyMax uint64 `json:"max_latency_ns"`       // of a pass, ns
	Out        bool   `json:"taken_out"`            // after failures
	Failures   uint64 `json:"failures"`             // of this version in this chain: what a reload is judged by
	LastError  string `json:"last_error,omitempty"` // the latest failure, once the keeper has seen it
}

// counters are a stage's. The lane adds, others read.
type counters struct {
	rows, batches, refused, dropped, flagged, bypassed, errors, traps, cut, fuel, passes, latencySum, latencyMax, own atomic.Uint64
}

// did is what a stage did in a pass.
type did struct {
	rows, batches, bypassed int
	fuel, cut               uint64
	verdicts
}

func (d *did) count(v verdicts) {
	d.refused += v.refused
	d.flagged += v.flagged
	d.dropped += v.dropped
}

// add adds a pass. Atomic additions are 5 ns each, so those that are seldom needed are left out. Hot path.
func (c *counters) add(d *did) {
	c.rows.Add(uint64(d.rows))
	c.batches.Add(uint64(d.batches))
	c.fuel.Add(d.fuel)
	if d.refused|d.flagged|d.dropped|d.bypassed != 0 {
		c.refused.Add(uint64(d.refused))
		c.flagged.Add(uint64(d.flagged))
		c.dropped.Add(uint64(d.dropped))
		c.bypassed.Add(uint64(d.bypassed))
	}
	if d.cut != 0 {
		c.cut.Add(d.cut)
	}
}

// took adds how long a pass took.
func (c *counters) took(ns uint64) {
	c.passes.Add(1)
	c.latencySum.Add(ns)
	if ns > c.latencyMax.Load() {
		c.latencyMax.Store(ns)
	}
}

func (c *counters) read() StageStats {
	return StageStats{
		Rows: c.rows.Load(), Batches: c.batches.Load(), Refused: c.refused.Load(), Dropped: c.dropped.Load(), Flagged: c.flagged.Load(), Bypassed: c.bypassed.Load(),
		Errors: c.errors.Load(), Traps: c.traps.Load(), Cut: c.cut.Load(), Fuel: c.fuel.Load(), Passes: c.passes.Load(), LatencySum: c.latencySum.Load(), LatencyMax: c.latencyMax.Load(), Failures: c.own.Load(),
	}
}

// follow goes on counting where another version stopped.
func (c *counters) follow(old *counters) {
	for _, f := range []struct{ to, from *atomic.Uint64 }{
		{&c.rows, &old.rows}, {&c.batches, &old.batches}, {&c.refused, &old.refused}, {&c.dropped, &old.dropped}, {&c.flagged, &old.flagged}, {&c.bypassed, &old.bypassed},
		{&c.errors, &old.errors}, {&c.traps, &old.traps}, {&c.cut, &old.cut}, {&c.fuel, &old.fuel}, {&c.passes, &old.passes}, {&c.latencySum, &old.latencySum},
	} {
		f.to.Add(f.from.Load())
	}
	c.latencyMax.Store(max(c.latencyMax.Load(), old.latencyMax.Load()))
}
