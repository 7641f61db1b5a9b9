package mdp3gen

import (
	"github.com/tickwire/tickwire/parsers/mdp3"
)

// define sends the next definition, then the first change of state.
func (g *Gen) define(dst []byte) []byte {
	x := &g.list[g.at]
	dst = g.definition(dst, x, mdp3.WireNoU32, mdp3.WireEndOfEvent)
	g.sent++
	if g.at++; g.at == len(g.list) {
		g.phase, g.at = opening, 0
	}
	return dst
}

// open fills the books: pre-open, a number of orders, ready to trade; instrument by instrument.
func (g *Gen) open(dst []byte) []byte {
	x := &g.list[g.at/(fillEvents+2)]
	step := g.at % (fillEvents + 2)
	g.at++
	switch {
	case step == 0:
		dst = g.state(dst, x, 21, 0)
	case step == fillEvents+1:
		dst = g.state(dst, x, 17, 0)
	default:
		g.add(x)
		var n int
		dst, n = g.event.encode(dst, g)
		g.sent += uint64(n)
	}
	short := g.o.Messages != 0 && g.sent > g.o.Messages/2 && step == fillEvents+1 // a short session is not all opening
	if g.at == len(g.list)*(fillEvents+2) || short {
		g.phase, g.at = trading, 0
	}
	return dst
}

// state sends an instrument's trading state.
func (g *Gen) state(dst []byte, x *instrument, trading, event uint8) []byte {
	x.trading = trading
	g.sent++
	return g.v.AppendStatus(dst, &mdp3.WireStatus{
		TransactTime: g.now, Group: x.def.Group, Asset: x.def.Asset, Security: x.def.Security, TradeDate: uint16(g.now / 86_400_000_000_000),
		Indicator: mdp3.WireEndOfEvent, Trading: trading, Event: event,
	})
}

// market gathers one event. The busiest instruments come first in the directory.
func (g *Gen) market() {
	e := &g.event
	x := &g.list[g.r.below(g.r.below(uint64(len(g.list)))+1)]
	e.empty = g.r.in(1_000)
	switch p := g.r.below(10_000); {
	case p < 3_700:
		g.add(x)
	case p < 6_800:
		g.cancel(x)
	case p < 7_700:
		g.resize(x)
	case p < 8_900:
		g.reprice(x)
	case p < 9_900:
		g.trades(x)
	case p < 9_950:
		g.quoteStats(x)
	case p < 9_980:
		g.dailyStats(x)
	case p < 9_990:
		g.newLimits(x)
	default:
		g.bust(x)
	}
	if len(e.alone)+len(e.levels)+len(e.trades)+len(e.stats)+len(e.daily)+len(e.limits) == 0 {
		g.add(x)
	}
	if x.def.ImpliedDepth > 0 && g.r.in(1_500) {
		g.imply(x)
	}
	g.walk(x)
}

// walk moves the price that an instrument's books stand around, now and then.
func (g *Gen) walk(x *instrument) {
	if g.r.in(500) {
		x.fair += int64(g.r.below(3)) - 1
	}
}

// pick gives a price for a new order, behind the other side's best.
func (g *Gen) pick(x *instrument, s int) int64 {
	away := int64(g.r.decay() + g.r.decay()*g.r.decay())
	px := x.fair + 1 + away
	if s == bids {
		px = x.fair - away
	}
	if other := x.books[1-s].levels; len(other) > 0 {
		if s == bids {
			px = min(px, other[0].px-1)
		} else {
			px = max(px, other[0].px+1)
		}
	}
	return px
}

// quantity of an order.
func (g *Gen) quantity() uint64 { return uint64(1 + g.r.decay()*g.r.decay()*5 + g.r.decay()) }

func (g *Gen) newOrder() resting {
	g.order += 1 + g.r.below(7)
	return resting{id: g.order, priority: g.priority(), size: g.quantity()}
}

func (g *Gen) priority() uint64 {
	g.queue += 1 + g.r.below(20)
	return g.queue
}

func (g *Gen) add(x *instrument) {
	s := int(g.r.below(2))
	px, o := g.pick(x, s), g.newOrder()
	g.tell(x, s, px, &o, 0, g.join(x, s, px, o))
	g.event.touch(x)
	g.resting++
}

// touch notes that an event concerns an instrument: template 47 alone gives it no number.
func (e *event) touch(x *instrument) { x.last, x.active = e.time, true }

// victim draws an order; the ones near the best price more often.
func (g *Gen) victim(x *instrument) (s, at, nth int, ok bool) {
	s = int(g.r.below(2))
	b := &x.books[s]
	if len(b.levels) < 2 {
		return 0, 0, 0, false
	}
	at = min(g.r.decay()+int(g.r.below(uint64(len(b.levels))))/2, len(b.levels)-1)
	if b.orders() > 3*fillEvents { // far too many: from the end, where nobody trades
		at = len(b.levels) - 1
	}
	return s, at, int(g.r.below(uint64(len(b.levels[at].orders)))), true
}

func (g *Gen) cancel(x *instrument) {
	s, at, nth, ok := g.victim(x)
	if !ok {
		return
	}
	px := x.books[s].levels[at].px
	o, ref := g.leave(x, s, at, nth)
	g.tell(x, s, px, &o, 2, ref)
	g.event.touch(x)
	g.resting--
}

// resize changes an order's quantity: more of it goes to the tail with a new priority, less keeps its place.
func (g *Gen) resize(x *instrument) {
	s, at, nth, ok := g.victim(x)
	if !ok {
		return
	}
	l := &x.books[s].levels[at]
	o := l.orders[nth]
	if o.size > 1 && !g.r.in(3_000) {
		cut := 1 + g.r.below(o.size-1)
		o.size -= cut
		l.size -= cut
		l.orders[nth] = o
	} else {
		more := g.quantity()
		o.size += more
		l.size += more
		o.priority = g.priority()
		l.orders = append(append(l.orders[:nth], l.orders[nth+1:]...), o)
	}
	g.tell(x, s, l.px, &o, 1, g.entry(x, s, at, 1, l))
	g.event.touch(x)
}

func (g *Gen) reprice(x *instrument) {
	s, at, nth, ok := g.victim(x)
	if !ok {
		return
	}
	px := g.pick(x, s)
	if px == x.books[s].levels[at].px {
		return
	}
	o, _ := g.leave(x, s, at, nth)
	o.priority = g.priority()
	g.tell(x, s, px, &o, 1, g.join(x, s, px, o))
	g.event.touch(x)
}

// trades has an aggressor take the other side's best orders, up to a few levels.
func (g *Gen) trades(x *instrument) {
	e := &g.event
	e.split = g.r.in(3_000)
	s := int(g.r.below(2)) // the resting side
	left, most := g.quantity()*uint64(1+g.r.decay()), 12
	g.order += 1 + g.r.below(7)
	aggressor := g.order
	for len(x.books[s].levels) > 2 && left > 0 && most > 0 && len(e.trades) < 4 {
		done, orders := g.match(x, s, aggressor, left, most)
		left -= done
		most -= orders
	}
	if len(e.trades) == 0 {
		return
	}
	e.volumes = append(e.volumes, mdp3.WireVolume{Size: x.volume, Security: x.def.Security})
	e.ofVolumes = append(e.ofVolumes, x)
	g.extremes(x)
	if x.kind == spread { // its legs trade with it, against nobody
		for _, leg := range x.legs {
			g.legTrade(&g.list[leg], e.trades[0].Size)
		}
	}
}

// match takes from the best level: one trade entry, and what becomes of the orders and the level.
func (g *Gen) match(x *instrument, s int, aggressor, left uint64, most int) (done uint64, orders int) {
	e := &g.event
	l := &x.books[s].levels[0]
	was := *l
	was.orders = append(e.was[:0], l.orders...)
	e.was = was.orders
	own := len(e.fills)
	e.fills = append(e.fills, mdp3.WireFill{ID: aggressor})
	px := l.px
	for done < left && orders < most && orders < len(was.orders) {
		take := min(left-done, was.orders[orders].size)
		e.fills = append(e.fills, mdp3.WireFill{ID: was.orders[orders].id, Size: take})
		done += take
		orders++
	}
	e.fills[own].Size = done
	g.trade++
	e.trades = append(e.trades, mdp3.WireTrade{
		Price: px * x.tick, Size: done, Security: x.def.Security, Orders: int32(orders + 1), Aggressor: uint8(2 - s), ID: g.trade, // a seller takes bids
	})
	e.ofTrades = append(e.ofTrades, x)
	x.volume += done
	x.lastPx, x.lastSize = px*x.tick, done
	// The book follows: the last of the orders may remain in part.
	gone := 0
	for i := range orders {
		take := e.fills[own+1+i].Size
		l.size -= take
		if l.orders[i].size -= take; l.orders[i].size == 0 {
			gone++
		}
	}
	l.orders = append(l.orders[:0], l.orders[gone:]...)
	g.resting -= gone
	part := resting{}
	if gone < orders {
		part = l.orders[0]
	}
	ref := g.changed(x, s, 0, &was)
	for i := range gone {
		g.tell(x, s, px, &was.orders[i], 2, ref)
	}
	if gone < orders {
		g.tell(x, s, px, &part, 1, ref)
	}
	return done, orders
}

// legTrade is what a leg gets of a spread's trade: no aggressor, and no orders of its own.
func (g *Gen) legTrade(x *instrument, size uint64) {
	e := &g.event
	g.trade++
	x.lastPx, x.lastSize = x.fair*x.tick, size
	x.volume += size
	e.trades = append(e.trades, mdp3.WireTrade{Price: x.lastPx, Size: size, Security: x.def.Security, ID: g.trade})
	e.ofTrades = append(e.ofTrades, x)
	e.volumes = append(e.volumes, mdp3.WireVolume{Size: x.volume, Security: x.def.Security})
	e.ofVolumes = append(e.ofVolumes, x)
	g.extremes(x)
}

// bust takes the latest trade of all back, if this instrument had one.
func (g *Gen) bust(x *instrument) {
	if x.lastPx == mdp3.WireNoPrice {
		return
	}
	e := &g.event
	e.trades = append(e.trades, mdp3.WireTrade{Price: x.lastPx, Size: x.lastSize, Security: x.def.Security, Action: 2, ID: g.trade})
	e.ofTrades = append(e.ofTrades, x)
}
