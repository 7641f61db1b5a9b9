package trial

import (
	"fmt"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// Cost of a unit's calls with so many rows. Times are the least of many rounds: what the machine did beside is not the plugin's.
type Cost struct {
	Unit     string  `json:"unit"`
	Rows     int     `json:"rows"` // or packets, of which one is one call
	BatchNs  float64 `json:"batch_ns"`
	RowNs    float64 `json:"row_ns"`
	CallNs   float64 `json:"call_row_ns"` // the call alone, a row: without columns copied and checked, 0: not told apart
	FuelRow  float64 `json:"fuel_per_row"`
	FuelMost int     `json:"fuel_per_row_declared"`
}

// BenchRows are the sizes of batches that Bench measures.
var BenchRows = []int{1, 16, 256, 1024}

// Bench measures each unit on generated rows (a parser: on the packets of its cases), d a size. Transforms and validators are measured as a feed calls them: by a
// chain, with counters. Columns of other kinds are filled before, but for serializers and partitions.
func Bench(p *plugins.Plugin, cases []*Case, d time.Duration) ([]Cost, error) {
	var all []Cost
	for unit := range p.Manifest().Kinds {
		u := &p.Manifest().Kinds[unit]
		for _, n := range BenchRows {
			if n > p.Manifest().Limits.MaxRows && u.Kind != manifest.Transform && u.Kind != manifest.Validator {
				continue
			}
			cost, err := bench(p, unit, n, cases, d)
			if err != nil {
				return nil, fmt.Errorf("%s, %d rows: %w", unitName(u), n, err)
			}
			all = append(all, *cost)
			if u.Kind == manifest.Parser {
				break // a packet is a packet
			}
		}
	}
	return all, nil
}

func bench(p *plugins.Plugin, unit, n int, cases []*Case, d time.Duration) (*Cost, error) {
	u := &p.Manifest().Kinds[unit]
	c, err := Generate(p, unit, 1, n, cases)
	if err != nil {
		return nil, err
	}
	if u.Kind == manifest.Parser {
		for _, k := range cases {
			if k.Unit == u.Kind && k.UnitName == u.Name && len(k.Packets) > 0 {
				c = k
				break
			}
		}
		n = len(c.Packets)
	}
	r, err := newRunner(p, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	cost := &Cost{Unit: unitName(u), Rows: n, FuelMost: p.Manifest().Limits.FuelPerRow}
	call, alone, err := r.calls(n)
	if err != nil {
		return nil, err
	}
	fuel := func() uint64 { return r.i.Fuel() }
	var fine func() error // a chain does not return errors
	if u.Kind == manifest.Transform || u.Kind == manifest.Validator {
		chain, err := r.chain(p)
		if err != nil {
			return nil, err
		}
		defer chain.Close()
		call = func() error {
			chain.Pass(r.b, c.Now)
			return nil
		}
		fuel = func() uint64 { return chain.Stats()[0].Fuel }
		fine = func() error {
			if s := chain.Stats()[0]; s.Bypassed > 0 {
				return fmt.Errorf("%d rows passed by it, after %d traps and %d errors", s.Bypassed, s.Traps, s.Errors)
			}
			return nil
		}
	}
	if call == nil {
		return nil, fmt.Errorf("no way to measure a %s", u.Kind)
	}
	before := fuel()
	if err := call(); err != nil {
		return nil, err
	}
	cost.FuelRow = float64(fuel()-before) / float64(n)
	if cost.BatchNs, err = least(d, n, call); err != nil {
		return nil, err
	}
	if fine != nil {
		if err := fine(); err != nil {
			return nil, err
		}
	}
	cost.RowNs = cost.BatchNs / float64(n)
	if alone != nil && n <= r.i.Rows(unit) {
		ns, err := least(d/2, n, alone)
		if err != nil {
			return nil, err
		}
		cost.CallNs = ns / float64(n)
	}
	return cost, nil
}

// chain of the plugin alone, as a feed has it.
func (r *runner) chain(p *plugins.Plugin) (*plugins.Chain, error) {
	if len(earlierOf(r.m)) > 0 {
		return nil, fmt.Errorf("it reads custom columns of other plugins (%v), so it cannot be measured alone", earlierOf(r.m))
	}
	params, err := p.Manifest().Values(r.c.Params)
	if err != nil {
		return nil, err
	}
	host := p.Host()
	return host.NewChain([]plugins.Stage{{Plugin: p, Params: params}}, plugins.Env{Directory: r, Publisher: r.c.Publisher})
}

// calls are one batch of a kind as its host calls it, and the call alone. Columns are filled once.
func (r *runner) calls(n int) (call, alone func() error, err error) {
	if !onRows(r.c.Unit) && r.c.Unit != manifest.Parser {
		if err := r.put(0, n); err != nil {
			return nil, nil, err
		}
	}
	again := func() error { return r.i.Again(r.unit, n) }
	switch r.c.Unit {
	case manifest.Transform:
		return nil, again, r.i.Transform(r.unit, r.b, 0, min(n, r.i.Rows(r.unit)), &r.sides)
	case manifest.Validator:
		_, err := r.i.Validate(r.unit, r.b, 0, min(n, r.i.Rows(r.unit)), &r.sides)
		return nil, again, err
	case manifest.Serializer:
		return func() error { _, err := r.i.Serialize(r.unit, r.b, 0, n, &r.sides); return err }, again, nil
	case manifest.Partition:
		return func() error { _, err := r.i.Partition(r.unit, r.b, 0, n); return err }, again, nil
	case manifest.Function:
		return func() error { return r.i.Function(r.unit, n) }, nil, nil
	case manifest.Aggregate:
		groups := min(8, r.i.AggGroups(r.unit))
		if err := r.i.AggStart(r.unit, groups); err != nil {
			return nil, nil, err
		}
		return func() error { return r.i.AggUpdate(r.unit, n, groups) }, nil, nil
	case manifest.TypeKind:
		return func() error { return r.i.Type(r.unit, plugins.TypeParse, n) }, nil, nil
	case manifest.Codec: // with the decoding that compares
		return func() error { _, err := r.i.Encode(r.unit, n); return err }, again, nil
	case manifest.Index:
		return func() error { _, err := r.i.IndexBuild(r.unit, n); return err }, again, nil
	case manifest.Parser:
		if err := r.i.Start(r.unit, int64(r.c.Now)); err != nil {
			return nil, nil, err
		}
		return func() error {
			r.out.Lines = r.out.Lines[:0]
			for _, packet := range r.c.Packets {
				r.b.Reset()
				f, err := r.i.Frame(r.unit, packet)
				if err == nil && f.Kind != plugins.FrameHeartbeat && f.Kind != plugins.FrameEnd {
					_, err = r.i.Parse(r.unit, packet[f.At:], f.Sequence, int(f.Count), r.b)
				}
				if err != nil && r.i.Dead() {
					return err
				}
			}
			return nil
		}, nil, nil
	}
	return nil, nil, nil
}

// least is the shortest time of a call in ns, over rounds that are long enough for the clock.
func least(d time.Duration, n int, call func() error) (float64, error) {
	calls := max(4096/n, 4)
	best := 0.0
	for end := time.Now().Add(d); best == 0 || time.Now().Before(end); {
		at := time.Now()
		for range calls {
			if err := call(); err != nil {
				return 0, err
			}
		}
		if ns := float64(time.Since(at)) / float64(calls); best == 0 || ns < best {
			best = ns
		}
	}
	return best, nil
}
