package mdp3gen

import (
	"fmt"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// instrument is the state of one, from which everything that is sent of it comes.
type instrument struct {
	def   mdp3.WireInstrument
	kind  kind
	legs  [2]int // places of a spread's legs
	tick  int64  // 1e-9, as on the wire
	price int64  // 1e-9 of a tick as everybody else says it: tick × DisplayFactor
	depth int
	fair  int64 // in ticks: what prices walk around, and where books begin
	books [2]side
	imply [2][]row // implied levels, best first

	rpt         uint32 // latest RptSeq
	last        uint64 // TransactTime of the latest event
	active      bool   // something was sent of its market
	trading     uint8
	volume      uint64
	lastPx      int64 // 1e-9; UndefPrice before the first trade
	lastSize    uint64
	open        int64
	high, low   int64
	settlement  int64
	limits      [2]int64 // high, low
	cleared, oi uint64
}

// row is an implied level.
type row struct {
	px   int64 // ticks
	size uint64
}

type kind uint8

const (
	future kind = iota
	spread
	option
)

// product is a group of instruments: four months, two calendar spreads and two options.
type product struct {
	asset, group, exchange, unit string
	tick, factor                 int64 // 1e-9: a tick on the wire, and DisplayFactor
	price                        int64 // 1e-9: a tick in conventional prices
	px                           int64 // ticks
	depth                        int8
}

const (
	perProduct = 8
	nano       = 1_000_000_000
)

// As the venue has them: an index quoted without its decimal point, a bond, currencies, oil in cents.
var products = []product{
	{"ES", "ES", "XCME", "IPNT", 25 * nano, nano / 100, nano / 4, 24_000, 10},
	{"ZN", "ZN", "XCBT", "USD", nano / 64, nano, nano / 64, 7_100, 10},
	{"6E", "6E", "XCME", "EUR", nano / 2, nano / 10_000, nano / 20_000, 23_400, 5},
	{"6J", "6J", "XCME", "JPY", nano / 2, nano / 1_000_000, nano / 2_000_000, 13_400, 10},
	{"CL", "CL", "XNYM", "BBL", nano, nano / 100, nano / 100, 7_200, 10},
	{"GC", "GC", "XCEC", "TRYOZ", nano, nano / 10, nano / 10, 26_500, 10},
	{"NQ", "NQ", "XCME", "IPNT", 25 * nano, nano / 100, nano / 4, 84_000, 10},
}

// directory makes the instruments. Numbers are sparse, as a venue's are.
func (g *Gen) directory(n int) []instrument {
	list := make([]instrument, n)
	security := int32(4_000)
	for i := range list {
		p := products[i/perProduct%len(products)]
		if i/perProduct >= len(products) { // more than there are names for
			p.asset = fmt.Sprintf("S%d", i/perProduct)
			p.group = p.asset
		}
		security += int32(1 + g.r.below(40_000))
		g.describe(&list[i], list[:i], &p, i, security)
	}
	return list
}

func (g *Gen) describe(x *instrument, before []instrument, p *product, i int, security int32) {
	const months = "HMUZ"
	at := i % perProduct
	base := i - at // the product's first
	x.tick, x.price, x.depth, x.fair, x.kind = p.tick, p.price, int(p.depth), p.px+int64(at)*6, future
	d := &x.def
	*d = mdp3.WireInstrument{
		Action: 'A', LastUpdateTime: g.now, Trading: 18, Channel: g.o.Channel, Segment: 64, Product: 5, Exchange: p.exchange, Group: p.group,
		Asset: p.asset, Security: security, SecurityType: "FUT", CFI: "FFIXSX", Year: 2026, Currency: "USD", Increment: p.tick,
		DisplayFactor: p.factor, Unit: p.unit, UnitQty: 50 * nano, ReferenceDate: uint16(g.now/86_400_000_000_000 - 1), OpenInterest: g.r.below(1 << 20),
		Cleared: g.r.below(1 << 18), Activation: g.now - 90*86_400_000_000_000, Expiration: g.now + uint64(60+90*at)*86_400_000_000_000,
		Attributes: 1 | 1<<19, GUID: uint64(security) + 1<<40,
	}
	month := at % len(months)
	switch at {
	case 4, 5: // the calendar spread of two months that stand next to each other
		month = at - 4
		x.kind, x.legs = spread, [2]int{base + month, base + month + 1}
		x.fair = -6
		d.SecurityType, d.CFI = "FUT", "FMXXXX"
		d.Symbol = before[x.legs[0]].def.Symbol + "-" + before[x.legs[1]].def.Symbol
		d.Legs = []mdp3.WireLeg{{Security: before[x.legs[0]].def.Security, Side: 1, Ratio: 1}, {Security: before[x.legs[1]].def.Security, Side: 2, Ratio: 1}}
		x.depth, d.ImpliedDepth = 5, 2
	case 6, 7:
		month = at - 6
		x.kind = option
		d.Put = at == 7
		of := &before[base+month]
		x.fair, x.depth = 300, 3
		d.SecurityType, d.CFI, d.Strike = "OOF", "OCAFPS", of.fair*of.tick
		d.Underlying, d.UnderlyingSymbol = of.def.Security, of.def.Symbol
		right := byte('C')
		if d.Put {
			right, d.CFI = 'P', "OPAFPS"
		}
		d.Symbol = fmt.Sprintf("%s %c%d", of.def.Symbol, right, d.Strike/nano) // without a decimal point, as the venue's
	default:
		d.Symbol = fmt.Sprintf("%s%c6", p.asset, months[month])
		if at < 2 {
			d.ImpliedDepth = 2 // of the spreads it is a leg of
		}
	}
	d.Month, d.Depth = uint8(3*month+3), int8(x.depth)
	d.Reference = x.fair * x.tick
	x.settlement = d.Reference
	x.limits = [2]int64{(x.fair + 2_000) * x.tick, (x.fair - 2_000) * x.tick}
	d.High, d.Low = x.limits[0], x.limits[1]
	x.trading = d.Trading
	x.cleared, x.oi = d.Cleared, d.OpenInterest
	x.lastPx, x.open, x.high, x.low = mdp3.WireNoPrice, mdp3.WireNoPrice, mdp3.WireNoPrice, mdp3.WireNoPrice
	if g.o.LongQty {
		x.volume = 5_000_000_000
	}
}
