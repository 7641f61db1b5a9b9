package trial

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Generate makes a case for a unit: n rows (or packets) of ordinary values and awkward ones, the same for the same seed. A parser's packets are those of the seeds,
// spoilt, and noise.
func Generate(p *plugins.Plugin, unit int, seed uint64, n int, seeds []*Case) (*Case, error) {
	u := &p.Manifest().Kinds[unit]
	c := &Case{Name: fmt.Sprintf("seed %d", seed), Unit: u.Kind, UnitName: u.Name, Params: map[string]any{}, Now: 1_700_000_000_000_000_000, Publisher: tick.PublisherSimItch}
	g := generator{rand.New(rand.NewPCG(seed, 0x74776972))}
	c.Params = paramsFor(c, seeds)
	params, err := p.Manifest().Values(c.Params)
	if err != nil {
		return nil, fmt.Errorf("%w; generated batches take the parameters of the first case of their unit", err)
	}
	i, err := p.Instance(plugins.Env{Params: params, Now: c.Now})
	if err != nil {
		return nil, err
	}
	defer i.Close()
	switch {
	case u.Kind == manifest.Parser:
		g.packets(c, i.In(unit), n, seeds)
	case onRows(u.Kind):
		g.rows(c, u, i, unit, n)
	default:
		if u.Kind == manifest.Index {
			n = min(n, i.Rows(unit))
		}
		for _, in := range inputsOf(u) {
			c.In.Columns = append(c.In.Columns, in.name)
		}
		for range n {
			var cells []string
			for _, in := range inputsOf(u) {
				view, stride := i.Column(unit, in.id+manifest.ColumnArgNull-manifest.ColumnArg)
				switch {
				case in.name == "group":
					cells = append(cells, strconv.Itoa(g.IntN(min(8, i.AggGroups(unit)))))
				case view != nil && u.Kind != manifest.TypeKind && u.Kind != manifest.Codec && u.Kind != manifest.Index && g.IntN(8) == 0:
					cells = append(cells, null)
				default:
					_, stride = i.Column(unit, in.id)
					cells = append(cells, g.value(in.typ, stride))
				}
			}
			c.In.Rows = append(c.In.Rows, cells)
		}
	}
	return c, nil
}

// paramsFor are the parameters of the first case of the same unit: those without a default have a value in the vectors.
func paramsFor(c *Case, cases []*Case) map[string]any {
	for _, s := range cases {
		if s.Unit == c.Unit && s.UnitName == c.UnitName {
			return s.Params
		}
	}
	return map[string]any{}
}

type generator struct{ *rand.Rand }

func (g generator) rows(c *Case, u *manifest.Unit, i *plugins.Instance, unit, n int) {
	var columns []manifest.Column
	seen := map[string]bool{"publisher_id": true, "mpid": true}
	add := func(col manifest.Column) {
		if !seen[col.Name] && !col.Hidden {
			seen[col.Name] = true
			columns, c.In.Columns = append(columns, col), append(c.In.Columns, col.Name)
		}
	}
	for _, name := range append(append([]string{}, u.Reads...), u.Writes...) {
		if col, ok := manifest.ColumnNamed(name); ok {
			if col.Name == "symbol" { // the directory goes by instrument
				id, _ := manifest.ColumnNamed("instrument_id")
				add(id)
			}
			add(col)
		}
	}
	for k, name := range earlierOf(u) {
		add(manifest.Column{Name: name, Type: i.TypeOf(unit, uint16(manifest.ColumnEarlier+k))})
	}
	symbols := map[string]string{}
	for range n {
		instrument := strconv.Itoa(g.IntN(12))
		if symbols[instrument] == "" {
			symbols[instrument] = g.text(70)
		}
		var cells []string
		for _, col := range columns {
			switch col.Name {
			case "instrument_id":
				cells = append(cells, instrument)
			case "symbol":
				cells = append(cells, symbols[instrument])
			case "side":
				cells = append(cells, string("ABN"[g.IntN(3)]))
			case "kind":
				cells = append(cells, strconv.Itoa(g.kind()))
			default:
				cells = append(cells, g.value(col.Type, 8))
			}
		}
		c.In.Rows = append(c.In.Rows, cells)
	}
}

// kind of row: mostly orders and trades.
func (g generator) kind() int {
	if g.IntN(4) == 0 {
		return 1 + g.IntN(int(tick.KindCount)-1)
	}
	return int([]tick.Kind{tick.KindAdd, tick.KindExec, tick.KindExecAt, tick.KindReplace, tick.KindTrade}[g.IntN(5)])
}

// value of a type as a cell's text: a small one, a price around 100, any bits, or one at an edge.
func (g generator) value(t manifest.Type, stride int) string {
	pick := g.IntN(8)
	switch t.Wire() {
	case manifest.Str:
		return g.text(stride)
	case manifest.F64:
		edges := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, 1}
		if pick == 0 {
			return formatCell(manifest.F64, math.Float64bits(edges[g.IntN(len(edges))]))
		}
		return formatCell(manifest.F64, math.Float64bits(math.Round(g.NormFloat64()*1e6)/1e4))
	}
	bits := 8 * t.Bytes()
	v := uint64(g.IntN(1000))
	switch {
	case t == manifest.Bool:
		v = uint64(g.IntN(2))
	case pick == 0:
		edges := []uint64{0, 1, math.MaxUint64, 1 << (bits - 1), 1<<(bits-1) - 1, 1<<(bits-1) - 2, 1<<(bits-1) + 1}
		v = edges[g.IntN(len(edges))]
	case pick == 1:
		v = g.Uint64()
	case t == manifest.Price:
		v = uint64(90+g.IntN(20))*tick.PriceScale + uint64(g.IntN(100))*tick.PriceScale/100
	case t == manifest.Time:
		v = 1_700_000_000_000_000_000 + g.Uint64N(86_400_000_000_000)
	}
	if bits < 64 {
		v &= 1<<bits - 1
	}
	return formatCell(t, v)
}

var words = []string{"", " ", "AAPL", "brk/b", "BRK B", "ES-Z5", "110-16+", "1.5", "-1", "a\tb", "\xff\xfe", "é", "NULL", "\"", "x y  z", "-./_"}

func (g generator) text(most int) string {
	s := words[g.IntN(len(words))]
	switch g.IntN(4) {
	case 0:
		b := make([]byte, g.IntN(most+1))
		for k := range b {
			b[k] = byte(' ' + 1 + g.IntN(94))
		}
		s = string(b)
	case 1:
		s += words[g.IntN(len(words))]
	}
	return strconv.Quote(s[:min(len(s), most)])
}

func (g generator) packets(c *Case, in []byte, n int, seeds []*Case) {
	var known [][]byte
	for _, s := range seeds {
		if s.Unit == manifest.Parser && s.UnitName == c.UnitName {
			known = append(known, s.Packets...)
		}
	}
	for range n {
		var p []byte
		if len(known) > 0 && g.IntN(8) > 0 {
			p = g.spoil(known[g.IntN(len(known))])
		} else {
			p = make([]byte, g.IntN(256))
			for k := range p {
				p[k] = byte(g.Uint32())
			}
		}
		c.Packets = append(c.Packets, p[:min(len(p), len(in))])
	}
}

// spoil changes a packet in one to four places.
func (g generator) spoil(p []byte) []byte {
	p = append([]byte(nil), p...)
	for range 1 + g.IntN(4) {
		if len(p) == 0 {
			return p
		}
		at := g.IntN(len(p))
		switch g.IntN(5) {
		case 0:
			p[at] ^= 1 << g.IntN(8)
		case 1:
			p[at] = [...]byte{0, 1, 0x7f, 0x80, 0xff}[g.IntN(5)]
		case 2:
			p = p[:at]
		case 3:
			p = append(p, p[at:]...)
		case 4:
			p = append(p[:at], p[at+1:]...)
		}
	}
	return p
}
