package trial

import (
	"fmt"
	"slices"
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
	CallNs   float64 `json:"call_row_ns"` // the plugin's own code, a row: nothing copied and nothing checked; 0: a parser that reads none of the packets
	FuelRow  float64 `json:"fuel_per_row"`
	FuelMost int     `json:"fuel_per_row_declared"`
}

// BenchRows are the sizes of batches that Bench measures.
var BenchRows = []int{1, 16, 256, 1024}

// Bench measures each unit on generated rows (a parser: on those packets of its first case that it reads), d a size. Transforms and validators are measured as a feed
// calls them: by a chain, with counters; the others with what they are given copied to the plugin's memory and what they answer copied from it, checked as the host
// checks it. Of types the operation is parse, of codecs encode (the host decodes what it gave and compares, which counts as a check), of aggregates update, of indexes
// build.
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
	}
	r, err := newRunner(p, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	call, alone, err := r.calls(n)
	if err != nil {
		return nil, err
	}
	if u.Kind == manifest.Parser {
		n = alone.rows
	}
	cost := &Cost{Unit: unitName(u), Rows: n, FuelMost: p.Manifest().Limits.FuelPerRow}
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
	ns, err := alone.least(d / 2)
	if err != nil {
		return nil, err
	}
	cost.CallNs = ns / float64(alone.rows)
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

// own is a plugin's own code for so many rows (or packets): calls that are measured one by one. prepare puts what a call works on in place.
type own struct {
	rows  int
	calls []ownCall
}

type ownCall struct {
	prepare func()
	call    func() error
}

// least is the time of all calls in ns.
func (o *own) least(d time.Duration) (sum float64, err error) {
	for _, c := range o.calls {
		if c.prepare != nil {
			c.prepare()
		}
		ns, err := least(d/time.Duration(len(o.calls)), o.rows, c.call)
		if err != nil {
			return 0, err
		}
		sum += ns
	}
	return sum, nil
}

// calls are one batch of a kind as its host calls it (nil for those of chains), and the plugin's own code for as many of its rows as it takes at once.
func (r *runner) calls(n int) (call func() error, alone *own, err error) {
	if r.c.Unit == manifest.Parser {
		return r.parserCalls()
	}
	few := min(n, r.i.Rows(r.unit))
	if !onRows(r.c.Unit) {
		if err := r.put(0, n); err != nil {
			return nil, nil, err
		}
	}
	export, args := "", []uint64{uint64(few)}
	switch r.c.Unit {
	case manifest.Transform:
		export, err = "tw_transform", r.i.Transform(r.unit, r.b, 0, few, &r.sides)
	case manifest.Validator:
		export = "tw_validate"
		_, err = r.i.Validate(r.unit, r.b, 0, few, &r.sides)
	case manifest.Serializer:
		export = "tw_serialize"
		out := make([]byte, len(r.i.Out(r.unit)))
		call = func() error {
			b, err := r.i.Serialize(r.unit, r.b, 0, n, &r.sides)
			copy(out, b)
			return err
		}
	case manifest.Partition:
		export = "tw_partition"
		out := make([]uint64, n)
		call = func() error {
			keys, err := r.i.Partition(r.unit, r.b, 0, n)
			copy(out, keys)
			return err
		}
	case manifest.Function:
		export = "tw_function"
		call = r.carried(n, func() error { return r.i.Function(r.unit, n) }, manifest.ColumnResult, manifest.ColumnNull)
	case manifest.Aggregate:
		export = "tw_agg_update"
		groups := min(8, r.i.AggGroups(r.unit))
		args = append(args, uint64(groups))
		if err := r.i.AggStart(r.unit, groups); err != nil {
			return nil, nil, err
		}
		update := r.carried(n, func() error { return r.i.AggUpdate(r.unit, n, groups) })
		states := slices.Clone(r.i.Out(r.unit)[:groups*r.m.StateBytes])
		call = func() error { // states are with the caller too
			copy(r.i.Out(r.unit), states)
			err := update()
			copy(states, r.i.Out(r.unit))
			return err
		}
	case manifest.TypeKind:
		export, args = "tw_type", []uint64{uint64(plugins.TypeParse), uint64(n)}
		call = r.carried(n, func() error { return r.i.Type(r.unit, plugins.TypeParse, n) }, typeA, manifest.ColumnNull)
	case manifest.Codec:
		export = "tw_encode"
		out := make([]byte, len(r.i.Out(r.unit)))
		call = r.carried(n, func() error {
			block, err := r.i.Encode(r.unit, n)
			copy(out, block)
			return err
		})
	case manifest.Index:
		export = "tw_index_build"
		out := make([]byte, len(r.i.Out(r.unit)))
		call = r.carried(n, func() error {
			b, err := r.i.IndexBuild(r.unit, n)
			copy(out, b)
			return err
		})
	default:
		err = fmt.Errorf("no way to measure a %s", r.c.Unit)
	}
	if err == nil && call != nil {
		err = call() // columns hold what the call alone works on
	}
	if err != nil {
		return nil, nil, err
	}
	code, err := r.i.Alone(r.unit, export, few, args...)
	return call, &own{few, []ownCall{{nil, code}}}, err
}

// carried is a call with the case's columns copied to the plugin's memory before it, as they are there now, and those of its answer copied from it.
func (r *runner) carried(n int, call func() error, answers ...uint16) func() error {
	type column struct{ mine, guests []byte }
	var given, taken []column
	view := func(id uint16) []byte {
		v, stride := r.i.Column(r.unit, id)
		return v[:n*stride] // nil: there is none
	}
	for _, in := range inputsOf(r.m) {
		given = append(given, column{slices.Clone(view(in.id)), view(in.id)})
		if nulls := in.id + manifest.ColumnArgNull - manifest.ColumnArg; len(r.m.Args) > 0 && in.id != manifest.ColumnGroup {
			given = append(given, column{slices.Clone(view(nulls)), view(nulls)})
		}
	}
	for _, id := range answers {
		taken = append(taken, column{make([]byte, len(view(id))), view(id)})
	}
	return func() error {
		for _, c := range given {
			copy(c.guests, c.mine)
		}
		if err := call(); err != nil {
			return err
		}
		for _, c := range taken {
			copy(c.mine, c.guests)
		}
		return nil
	}
}

// parserCalls are the packets of a case that the parser reads, framed and parsed, and each of its calls alone. If it reads none, they are all packets.
func (r *runner) parserCalls() (call func() error, alone *own, err error) {
	if err := r.i.Start(r.unit, int64(r.c.Now)); err != nil {
		return nil, nil, err
	}
	parse := func(packet []byte) (f plugins.Framing, messages bool, err error) {
		r.b.Reset()
		if f, err = r.i.Frame(r.unit, packet); err == nil && f.Kind != plugins.FrameHeartbeat && f.Kind != plugins.FrameEnd {
			messages = true
			_, err = r.i.Parse(r.unit, packet[f.At:], f.Sequence, int(f.Count), r.b)
		}
		return f, messages, err
	}
	alone = &own{}
	read := *r.c
	read.Packets = nil
	code := func(b []byte, export string, args ...uint64) error {
		call, err := r.i.Alone(r.unit, export, len(b)/16+1, append([]uint64{uint64(len(b))}, args...)...)
		alone.calls = append(alone.calls, ownCall{func() { copy(r.i.In(r.unit), b) }, call})
		return err
	}
	for _, packet := range r.c.Packets {
		f, messages, err := parse(packet)
		switch {
		case r.i.Dead():
			return nil, nil, err
		case err != nil:
			continue
		}
		read.Packets = append(read.Packets, packet)
		if r.i.HasFrame() {
			err = code(packet, "tw_frame")
		}
		if messages && err == nil {
			err = code(packet[f.At:], "tw_parse", f.Sequence, uint64(f.Count))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if len(read.Packets) == 0 {
		read.Packets = r.c.Packets
	}
	alone.rows = len(read.Packets)
	return func() error {
		for _, packet := range read.Packets {
			if _, _, err := parse(packet); err != nil && r.i.Dead() {
				return err
			}
		}
		return nil
	}, alone, nil
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
