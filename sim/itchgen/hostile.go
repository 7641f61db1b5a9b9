package itchgen

// The hostile profile: the mix of a day, but symbols, references, prices and victims uniformly at random.

// Shares of events, of 10,000, near those of real days.
const (
	hostileAdds     = 4_475
	hostileDeletes  = 4_200
	hostileReplaces = 870
	hostileTrades   = 270
	hostileCancels  = 125
)

func (g *Gen) hostileEvent() {
	resting := uint64(len(g.everyone))
	x := g.r.below(10_000)
	switch {
	case resting < 2:
		g.hostileAdd()
		return
	case x < hostileAdds && resting > g.script.crowd+g.script.crowd/16:
		x = hostileAdds // a delete instead: the crowd stays as large as it was
	}
	victim := func() uint32 { return g.everyone[g.r.below(resting)] }
	switch {
	case x < hostileAdds:
		g.hostileAdd()
	case x < hostileAdds+hostileDeletes:
		n := victim()
		g.deleted(&g.pool.orders[n])
		g.remove(n)
	case x < hostileAdds+hostileDeletes+hostileReplaces:
		g.replace(victim())
	case x < hostileAdds+hostileDeletes+hostileReplaces+hostileTrades:
		g.hostileTrade()
	case x < hostileAdds+hostileDeletes+hostileReplaces+hostileTrades+hostileCancels:
		n := victim()
		o := &g.pool.orders[n]
		if o.size < 2 {
			g.deleted(o)
			g.remove(n)
			return
		}
		part := 1 + uint32(g.r.below(uint64(o.size-1)))
		g.canceled(o, part)
		g.reduce(n, part)
	default:
		if !g.unseen(g.pick()) {
			g.hostileAdd()
		}
	}
}

// anyLevel is one of a side's half of the ladder: bids below the middle, asks above it.
func (g *Gen) anyLevel(s *symbol, side uint8) int16 {
	if side == bid {
		return s.low + int16(g.r.below(uint64(center-s.low)))
	}
	return center + 1 + int16(g.r.below(stubAsk-center-1))
}

func (g *Gen) hostileAdd() {
	n := g.pick()
	side := uint8(g.r.below(2))
	g.enter(order{symbol: n, side: side, level: g.anyLevel(&g.symbols[n], side), size: g.size()}, 0)
}

// hostileTrade executes the first order at the best price of a symbol.
func (g *Gen) hostileTrade() {
	n := g.pick()
	s := &g.symbols[n]
	side := uint8(g.r.below(2))
	level := s.best[side]
	if s.state != 'T' || level <= stubBid || level >= stubAsk {
		g.hostileAdd()
		return
	}
	head := g.queue(n, level).head
	size := g.pool.orders[head].size
	g.fill(head, 1+uint32(g.r.below(uint64(size))))
}
