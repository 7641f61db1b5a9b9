package mdp3gen

import "github.com/tickwire/tickwire/parsers/mdp3"

func (g *Gen) stat(x *instrument, typ byte, px int64) {
	g.event.stats = append(g.event.stats, mdp3.WireStatistic{
		Price: px, Size: mdp3.WireNoSize, Security: x.def.Security, OpenClose: mdp3.WireNoByte, Type: typ,
	})
	g.event.ofStats = append(g.event.ofStats, x)
}

// extremes sends the open, a new high or a new low.
func (g *Gen) extremes(x *instrument) {
	if x.open == mdp3.WireNoPrice {
		x.open, x.high, x.low = x.lastPx, x.lastPx, x.lastPx
		g.stat(x, '4', x.open)
		g.event.stats[len(g.event.stats)-1].OpenClose = 0
		return
	}
	if x.lastPx > x.high {
		x.high = x.lastPx
		g.stat(x, '7', x.high)
	}
	if x.lastPx < x.low {
		x.low = x.lastPx
		g.stat(x, '8', x.low)
	}
}

// quoteStats sends the session's high bid or low offer.
func (g *Gen) quoteStats(x *instrument) {
	s := int(g.r.below(2))
	if b := x.books[s].levels; len(b) > 0 {
		g.stat(x, "NO"[s], b[0].px*x.tick)
	}
}

// dailyStats sends a settlement, the cleared volume or the open interest.
func (g *Gen) dailyStats(x *instrument) {
	e := &g.event
	s := mdp3.WireStatistic{
		Price: mdp3.WireNoPrice, Size: mdp3.WireNoSize, Security: x.def.Security, Date: uint16(g.now / 86_400_000_000_000), SettlPrice: 0x80,
	}
	switch g.r.below(3) {
	case 0:
		x.settlement = x.fair * x.tick
		s.Type, s.Price, s.SettlPrice = '6', x.settlement, 3
	case 1:
		x.cleared += g.r.below(1000)
		s.Type, s.Size = 'B', x.cleared
	default:
		x.oi = x.oi + g.r.below(1000)
		s.Type, s.Size = 'C', x.oi
	}
	e.daily = append(e.daily, s)
	e.ofRest = append(e.ofRest, x)
}

// newLimits sends limit prices; now and then none.
func (g *Gen) newLimits(x *instrument) {
	x.limits = [2]int64{(x.fair + 2_000) * x.tick, (x.fair - 2_000) * x.tick}
	if g.r.in(1_000) {
		x.limits = [2]int64{mdp3.WireNoPrice, mdp3.WireNoPrice}
	}
	g.event.limits = append(g.event.limits, mdp3.WireLimits{High: x.limits[0], Low: x.limits[1], Variation: 20 * x.tick, Security: x.def.Security})
	g.event.ofRest = append(g.event.ofRest, x)
}

// imply changes an implied book: a level comes behind the last or before the first, changes or goes.
func (g *Gen) imply(x *instrument) {
	s := int(g.r.below(2))
	b, depth := &x.imply[s], int(x.def.ImpliedDepth)
	sign := int64(1) // towards worse prices
	if s == bids {
		sign = -1
	}
	px := x.fair + sign*int64(1+g.r.decay())
	switch p := g.r.below(10); {
	case len(*b) == 0:
		g.implied(x, s, 0, 0, row{px, g.quantity()})
		*b = append(*b, row{px, g.event.implied[len(g.event.implied)-1].Size})
	case p < 3 && len(*b) < depth:
		r := row{(*b)[len(*b)-1].px + sign*int64(1+g.r.decay()), g.quantity()}
		g.implied(x, s, len(*b), 0, r)
		*b = append(*b, r)
	case p < 5 && better(s, px, (*b)[0].px):
		r := row{px, g.quantity()}
		g.implied(x, s, 0, 0, r)
		*b = append([]row{r}, (*b)[:min(len(*b), depth-1)]...)
	case p < 7:
		at := int(g.r.below(uint64(len(*b))))
		g.implied(x, s, at, 2, (*b)[at])
		*b = append((*b)[:at], (*b)[at+1:]...)
	default:
		at := int(g.r.below(uint64(len(*b))))
		(*b)[at].size = g.quantity()
		g.implied(x, s, at, 1, (*b)[at])
	}
}

func (g *Gen) implied(x *instrument, s, at int, action uint8, r row) {
	e := &g.event
	e.implied = append(e.implied, mdp3.WireLevel{
		Price: r.px * x.tick, Size: r.size, Security: x.def.Security, Orders: mdp3.WireNoInt, Level: uint8(at + 1), Action: action, Type: impliedType[s],
	})
	e.ofImplied = append(e.ofImplied, x)
}
