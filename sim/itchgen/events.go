package itchgen

// auction is a cross that is being told: its imbalance, the orders it executes, its print.
type auction struct {
	symbol int
	told   int
	left   int // orders still to execute
	shares uint64
	match  uint64
	price  uint32
}

// crossed is how many of the busiest symbols have an opening and a closing cross.
const crossed = 400

// crosses tells the crosses of all symbols that have one, one message a call. false: all are told.
func (g *Gen) crosses(kind byte) bool {
	if g.step >= min(crossed, len(g.symbols)) {
		return false
	}
	if !g.cross1(g.step, kind) {
		g.step++
		return g.crosses(kind)
	}
	return true
}

// cross1 tells the next message of one symbol's cross. false: there is none.
func (g *Gen) cross1(k int, kind byte) bool {
	a, s := &g.auction, &g.symbols[k]
	ask := s.best(1)
	switch {
	case a.told == 0:
		if ask < 0 || s.best(0) < 0 {
			return false
		}
		*a = auction{symbol: k, told: 1, left: int(1 + g.r.below(4)), match: g.match(), price: s.price(uint16(ask))}
		g.imbalance(s, 100*(10+g.r.below(5000)), 100*g.r.below(300), "BSN"[g.r.below(3)], a.price, kind)
	case a.left > 0 && ask >= 0 && s.price(uint16(ask)) == a.price:
		n := s.queues[1][ask].head
		o := &g.pool.orders[n]
		g.executedAt(o, o.size, a.price, 'N', a.match) // part of the cross: its print is the Q
		a.shares += uint64(o.size)
		a.left--
		g.remove(n)
	case a.told == 1:
		g.cross(s, a.shares+100*g.r.below(20_000), a.price, a.match, kind)
		a.told = 2
	default:
		*a = auction{}
		return false
	}
	return true
}

// noii makes an imbalance before the opening and, in the last tenth of the day, before the closing crosses. false: none is due.
func (g *Gen) noii() bool {
	kind := byte('O')
	switch {
	case g.phase == phaseDay && g.until-g.n < g.o.Messages/10 && !g.o.Live:
		kind = 'C'
	case g.phase != phasePre:
		return false
	}
	if !g.r.in(600) {
		return false
	}
	s := &g.symbols[g.r.below(uint64(min(crossed, len(g.symbols))))]
	g.imbalance(s, 100*(10+g.r.below(5000)), 100*g.r.below(300), "BSN"[g.r.below(3)], s.price(uint16(s.mid)), kind)
	return true
}

// halt is a symbol whose trading stands still for a while.
type halt struct {
	symbol uint16
	step   int
	at     uint64 // message at which the next step comes
}

// every is how many messages lie between two halts.
func (g *Gen) every() uint64 {
	if g.o.Live {
		return 120_000
	}
	return max(20_000, g.o.Messages/24)
}

// haltSteps: halted, two imbalances, quoting, the halt cross, trading.
const (
	haltBegins = iota + 1
	haltFirst
	haltSecond
	haltQuotes
	haltCross
	haltTrades
)

// happening makes a message of something rare, when it is time to. false: nothing happens.
func (g *Gen) happening() bool {
	h := &g.halt
	if h.at == 0 {
		h.at = g.n + g.every()/2
	}
	if g.n < h.at {
		return false
	}
	s := &g.symbols[h.symbol]
	h.step++
	h.at = g.n + g.every()/8
	switch h.step {
	case haltBegins:
		h.symbol = uint16(g.r.below(uint64(min(200, len(g.symbols)))))
		s = &g.symbols[h.symbol]
		s.halted = true
		g.action(s, 'H', "LUDP")
	case haltFirst, haltSecond:
		g.imbalance(s, 100*(1+g.r.below(500)), 100*g.r.below(50), "BSN"[g.r.below(3)], s.price(uint16(s.mid)), 'H')
	case haltQuotes:
		g.action(s, 'Q', "T3  ")
	case haltCross:
		g.cross(s, 100*(1+g.r.below(500)), s.price(uint16(s.mid)), g.match(), 'H')
	default:
		s.halted = false
		g.action(s, 'T', "    ")
		h.step, h.at = 0, g.n+g.every()/2
	}
	return true
}
