// Package fixbench measures what a FIX message costs, from memory, beside the C++ engine's reading of the very same messages in the same run.
//
//	bytes      a loop over the bytes that looks for SOH and nothing else: the floor of what plain code does
//	loop       tags and values found, a byte at a time
//	scan       the same by fix.Scan
//	frame      BodyLength and CheckSum verified
//	parse      fields and repeating groups by the version's dictionary
//	decode     frame, parse, and the rows of W and X into tick.Batch columns
//	books      decode, and price books completing the rows
//
//	engine plain, engine dictionary     FIX::Message of the text, sum and length verified, without and with the data dictionary
//
// The engine is a program of testdata/engine.cpp that is built when it is measured; where it cannot be, the report says why and has no such figures. It
// takes its turn among the stages, on the same core. Times are those that the thread ran (CLOCK_THREAD_CPUTIME_ID): what others took from the core is not in them.
// All run once to warm up, then as often as there are runs; medians are shown.
package fixbench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/parsers/fix"
)

// Day is messages in memory.
type Day struct {
	Version string // as fix.Versions has it
	Bytes   []byte

	each [][]byte // in Bytes
}

// ErrEmpty is a file without a whole message.
var ErrEmpty = errors.New("fixbench: no message to measure with")

// Load reads a file of messages, plain or compressed, at most most of them. It refuses a file with bytes that belong to no message: figures would be of
// other work than they say.
func Load(path string, most int) (*Day, error) {
	m, err := process.OpenMessages(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var all []byte
	for n := 0; n < most; n++ {
		msg, err := m.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, msg...)
	}
	if n := m.Counters().Skipped; n > 0 {
		return nil, fmt.Errorf("%s: %d bytes belong to no message; not measured", path, n)
	}
	d, err := Of(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// Of makes a day of whole messages, one behind the other. The bytes are the day's then.
func Of(all []byte) (*Day, error) {
	d := &Day{Bytes: all}
	for rest := all; len(rest) > 0; {
		skip, n, err := fix.Frame(rest, 0)
		if err != nil || n == 0 || skip != 0 {
			return nil, fmt.Errorf("fixbench: message %d is not whole: %w", len(d.each)+1, errors.Join(err, ErrEmpty))
		}
		d.each, rest = append(d.each, rest[:n:n]), rest[n:]
	}
	if len(d.each) == 0 {
		return nil, ErrEmpty
	}
	switch begin := string(all[:min(len(all), 10)]); {
	case begin[:9] == "8=FIX.4.2":
		d.Version = "FIX.4.2"
	case begin[:9] == "8=FIX.4.4":
		d.Version = "FIX.4.4"
	case begin == "8=FIXT.1.1":
		d.Version = "FIX.5.0SP2"
	default:
		return nil, fmt.Errorf("fixbench: messages of %q: 4.2, 4.4 and 5.0 SP2 are measured", begin)
	}
	return d, nil
}

// Messages is how many there are.
func (d *Day) Messages() int { return len(d.each) }

// Stage is what was measured of one stage.
type Stage struct {
	Name   string       `json:"stage"`
	Ns     meter.Spread `json:"ns_per_message"`
	GB     float64      `json:"gb_per_second"` // 1e9 bytes, of the median
	Allocs uint64       `json:"allocs"`        // of the run with the fewest; the engine's are not counted
	Faults uint64       `json:"faults"`        // messages that were not taken: 0, or the figures are of other work than they say
}

// Report is a whole measurement.
type Report struct {
	Machine  machine.Machine `json:"machine"`
	Core     int             `json:"core"`
	Runs     int             `json:"runs"`
	Version  string          `json:"version"`
	Messages int             `json:"messages"`
	Bytes    int             `json:"bytes"`
	Rows     uint64          `json:"rows"`
	Stages   []Stage         `json:"stages"`
	Engine   []Stage         `json:"engine"`                   // plain, dictionary; none where it is missing
	Missing  string          `json:"engine_missing,omitempty"` // why
	Ratio    float64         `json:"engine_over_parse"`        // the engine's time with the dictionary over that of frame and parse together; 0: not measured
}

// Options of a run. The zero value works, but for Core.
type Options struct {
	Runs     int
	Core     int // the threads are pinned to; meter.NoCore: to none
	Progress func(stage string, run int)
}

// Run measures a day. It locks the calling goroutine to its thread and pins that.
func Run(d *Day, o Options) (_ *Report, err error) {
	if o.Runs <= 0 {
		o.Runs = meter.Runs
	}
	if o.Progress == nil {
		o.Progress = func(string, int) {}
	}
	r := &Report{Machine: machine.Look(), Core: o.Core, Runs: o.Runs, Version: d.Version, Messages: d.Messages(), Bytes: len(d.Bytes), Engine: []Stage{}}
	e, err := startEngine(d, o.Core) // before this thread is pinned: children would be, too
	var missing errMissing
	switch {
	case errors.As(err, &missing):
		r.Missing = missing.why
	case err != nil:
		return nil, err
	default:
		defer func() { err = errors.Join(err, e.close()) }()
		r.Engine = []Stage{{Name: "plain"}, {Name: "dictionary"}}
	}
	if err := meter.Pin(o.Core, ""); err != nil {
		return nil, err
	}
	w, err := newWork(d)
	if err != nil {
		return nil, err
	}
	defer w.close()
	for _, s := range stages {
		r.Stages = append(r.Stages, Stage{Name: s.name})
	}
	watch := meter.NewWatch(0)
	defer watch.Close()
	for run := range o.Runs + 1 { // run 0 warms up
		for i := range r.Stages {
			o.Progress(r.Stages[i].Name, run)
			if err := w.reset(); err != nil {
				return nil, err
			}
			runtime.GC()
			watch.Begin()
			began := meter.CPUTime()
			faults := stages[i].run(w)
			took := time.Duration(meter.CPUTime() - began)
			counts := watch.End()
			if run > 0 {
				r.Stages[i].add(d, took, faults)
				if a := &r.Stages[i].Allocs; run == 1 || counts.Allocs < *a {
					*a = counts.Allocs
				}
			}
		}
		r.Rows = w.rows
		for i := range r.Engine {
			o.Progress("engine "+r.Engine[i].Name, run)
			took, taken, err := e.run(r.Engine[i].Name)
			if err != nil {
				return nil, err
			}
			if run > 0 {
				r.Engine[i].add(d, took, uint64(d.Messages()-taken))
			}
		}
	}
	if r.Missing == "" {
		r.Ratio = r.Engine[1].Ns.Median / (r.stage("frame").Ns.Median + r.stage("parse").Ns.Median)
	}
	return r, nil
}

// stage gives one by its name, which must be one.
func (r *Report) stage(name string) *Stage {
	return &r.Stages[slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == name })]
}

func (s *Stage) add(d *Day, took time.Duration, faults uint64) {
	s.Ns = s.Ns.Add(float64(took.Nanoseconds()) / float64(d.Messages()))
	s.GB = float64(len(d.Bytes)) / (s.Ns.Median * float64(d.Messages()))
	s.Faults = faults
}
