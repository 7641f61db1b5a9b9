package itchgen

// Shares of events, of 10,000. Ends come by themselves: what comes in goes out again when its time is over, by a replace in 17 of
// 100 cases, as on real days.
const (
	tradeShare   = 430   // of fresh events: orders that trade, 1.5 executions each
	hiddenShare  = 110   // of fresh events: trades nobody saw coming
	betterShare  = 180   // of executions: at another price than the resting one
	replaceShare = 1_680 // of ends
	cancelShare  = 235   // of ends: only a part goes
	mpidShare    = 110   // of adds
	farShare     = 60    // of adds: far away and for the day
	fleetShare   = 2_000 // of adds: gone within 64 events
	lateShare    = 6_500 // of events after hours: an order leaves
)

// event makes the messages of one event of the market.
func (g *Gen) event(seg *segment) {
	g.step++
	g.lives.collect(g.step)
	if g.step >= g.auction.due && g.pauses(seg) {
		return
	}
	if g.auction.kind != 0 && g.r.in(crossingShare) {
		g.crossNext()
		return
	}
	if seg.noii != 0 && g.r.in(seg.noiiShare) {
		g.noii(g.auctioned(), seg.noii)
		return
	}
	if seg.build && g.script.built < g.script.toBuild && (g.o.Live || g.r.in(9_500)) {
		g.build()
		return
	}
	if g.hostile {
		g.hostileEvent()
		return
	}
	if n := g.lives.next(&g.pool); n != 0 {
		g.ending(n)
		return
	}
	if seg.late && g.r.in(lateShare) {
		if n := g.lives.oldest(&g.pool); n != 0 {
			g.deleted(&g.pool.orders[n])
			g.remove(n)
			return
		}
	}
	g.fresh(seg)
}

// fresh is something that nobody has planned: a new order, or a trade.
func (g *Gen) fresh(seg *segment) {
	n := g.pick()
	x := g.r.below(10_000)
	if seg.thin {
		x = x * 8 // an eighth of the trades
	}
	switch {
	case x < tradeShare && g.trade(n):
	case x >= tradeShare && x < tradeShare+hiddenShare && g.unseen(n):
	default:
		g.newOrder(n)
	}
}

// pick draws the symbol of an event. Events of one symbol come in a row at times.
func (g *Gen) pick() uint16 {
	if g.same > 0 {
		g.same--
		return g.sticky
	}
	if g.hostile {
		return uint16(g.r.below(uint64(len(g.symbols))))
	}
	n := g.byRank[g.busy.draw(&g.r)]
	switch x := g.r.next() & 4095; {
	case x < 8:
		g.same, g.sticky = 38, n // the longest row seen in the captures
	case x < 160:
		g.same, g.sticky = 1+x&7, n
	}
	return n
}

// build makes the orders that rest when the day begins: first each symbol's quote, then some far away.
func (g *Gen) build() {
	d := &g.script
	i := d.built
	d.built++
	if g.hostile {
		g.hostileAdd()
		return
	}
	if i < d.quotes {
		n := g.byRank[i/2]
		g.quote(n, uint8(i&1))
		return
	}
	n := uint16(g.r.below(uint64(len(g.symbols))))
	if i&1 == 0 {
		n = g.pick()
	}
	g.farOrder(n)
}

// enter has an order rest and end after lifetime events, and tells so.
func (g *Gen) enter(o order, lifetime uint64) {
	o.ref = g.ref()
	if g.r.in(mpidShare) {
		o.mpid = uint8(1 + g.r.below(uint64(len(participants))))
	}
	g.add(&o)
	n := g.rest(o)
	if !g.hostile {
		g.lives.schedule(g.step, lifetime, n, o.ref)
	}
}

// quote is a market maker's: at the usual spread, and it stays.
func (g *Gen) quote(n uint16, side uint8) {
	s := &g.symbols[n]
	level := s.fair - s.half
	if side == ask {
		level = s.fair + s.half + 1
	}
	if level, ok := s.fits(side, level); ok {
		g.enter(order{symbol: n, side: side, level: level, size: 100 * uint32(1+g.r.below(5))}, g.lifetime(s)*16)
	}
}

// farOrder rests all day, from just outside the spread to the end of the ladder; a few are stub quotes.
func (g *Gen) farOrder(n uint16) {
	s := &g.symbols[n]
	x := g.r.next()
	side := uint8(x & 1)
	away := int16(2 + g.r.spread(60))
	if x>>1&3 == 0 {
		away = int16(inner + g.r.below(center-inner-1))
	}
	away = min(away+s.half, center-2)
	level := s.fair - away
	if side == ask {
		level = s.fair + 1 + away
	}
	level, ok := s.fits(side, level)
	if x>>3&63 == 0 {
		level, ok = stubBid, true
		if side == ask {
			level = stubAsk
		}
	}
	if ok {
		g.enter(order{symbol: n, side: side, level: level, size: g.size()}, g.script.dayLong+g.r.below(g.script.dayLong))
	}
}

// newOrder adds one near the price, where most are.
func (g *Gen) newOrder(n uint16) {
	s := &g.symbols[n]
	x := g.r.next()
	if x&15 == 0 {
		s.drift(x >> 8)
	}
	switch {
	case s.best[bid] < s.low:
		g.quote(n, bid)
		return
	case s.best[ask] >= stubAsk:
		g.quote(n, ask)
		return
	case x>>40%10_000 < farShare:
		g.farOrder(n)
		return
	}
	side := uint8(x >> 4 & 1)
	away := int16(0)
	if x>>5&7 > 2 {
		away = int16(g.r.spread(3 + uint64(s.half)/2))
	}
	level := s.fair - s.half - away
	if side == ask {
		level = s.fair + 1 + s.half + away
	}
	level, ok := s.fits(side, level)
	if !ok {
		return
	}
	life := g.lifetime(s)
	if g.r.in(fleetShare) {
		life = 8 + g.r.below(56)
	}
	g.enter(order{symbol: n, side: side, level: level, size: g.size()}, life)
}

// drift moves the fair price by a level, more likely back to the middle than away from it.
func (s *symbol) drift(x uint64) {
	off := s.fair - center
	if int16(x%uint64(2*s.walk)) < s.walk-off {
		s.fair++
	} else {
		s.fair--
	}
	s.fair = min(max(s.fair, center-s.walk), center+s.walk)
}

// lifetime in events of the whole market: a few of the symbol's own for half of all orders, and each time eight times
// as long is less than six times as rare.
func (g *Gen) lifetime(s *symbol) uint64 {
	e := min(g.r.decay(), 24)
	life := uint64(max(s.unit, 500)) * (3 << (e + e/4))
	return min(life+g.r.below(life), g.script.lifeCap+g.r.below(g.script.lifeCap))
}

// size of an order: round hundreds, odd lots, some large.
func (g *Gen) size() uint32 {
	switch x := g.r.next(); x & 15 {
	case 0, 1, 2, 3, 4, 5, 6:
		return 100
	case 7, 8, 9, 10, 11:
		return 1 + uint32(x>>4%99)
	case 15:
		return 1_000 * (1 + uint32(x>>4%10))
	default:
		return 100 * (1 + uint32(x>>4%9))
	}
}

// ending is what happens to an order when its time has come.
func (g *Gen) ending(n uint32) {
	o := &g.pool.orders[n]
	x := g.r.below(10_000)
	switch {
	case x < cancelShare && o.size > 1:
		part := 1 + uint32(g.r.below(uint64(o.size-1)))
		g.canceled(o, part)
		o.size -= part
		g.lives.schedule(g.step, g.lifetime(&g.symbols[o.symbol]), n, o.ref)
		return
	case x >= 10_000-replaceShare && g.replace(n):
		return
	}
	g.deleted(o)
	g.remove(n)
}

// replace puts a new order in an old one's place, some levels away at most.
func (g *Gen) replace(n uint32) bool {
	o := g.pool.orders[n]
	s := &g.symbols[o.symbol]
	old := o.ref
	if g.hostile {
		o.level = g.anyLevel(s, o.side)
	} else {
		x := g.r.next()
		level, ok := s.fits(o.side, o.level+int16(x%7)-3)
		if !ok {
			return false
		}
		o.level = level
		if x>>8&3 == 0 {
			o.size = g.size()
		}
	}
	g.remove(n)
	o.ref = g.ref()
	g.replaced(old, &o)
	n = g.rest(o)
	if !g.hostile {
		g.lives.schedule(g.step, g.lifetime(s), n, o.ref)
	}
	return true
}

// trade has an unseen order take from the best price, and sometimes the next one; false when the symbol does not trade.
func (g *Gen) trade(n uint16) bool {
	s := &g.symbols[n]
	if s.state != 'T' || s.best[bid] <= stubBid || s.best[ask] >= stubAsk {
		return false
	}
	x := g.r.next()
	side := uint8(x & 1) // of the resting orders
	switch {
	case s.fair >= s.best[ask]:
		side = ask
	case s.fair <= s.best[bid]:
		side = bid
	}
	want := g.size()
	first := s.best[side]
	for range 6 {
		level := s.best[side]
		if level <= stubBid || level >= stubAsk || level != first && x>>1&3 != 0 {
			break
		}
		head := g.queue(n, level).head
		took := min(want, g.pool.orders[head].size)
		g.fill(head, took)
		if want -= took; want == 0 {
			break
		}
	}
	if s.best[side] != first { // a price was used up: the fair one follows
		if side == ask {
			s.fair = min(s.fair+1, center+s.walk)
		} else {
			s.fair = max(s.fair-1, center-s.walk)
		}
	}
	return true
}

// fill executes a resting order, now and then at a better price than its own.
func (g *Gen) fill(n, size uint32) {
	o := &g.pool.orders[n]
	s := &g.symbols[o.symbol]
	price := s.price(o.level)
	if better, ok := s.middle(); ok && g.r.in(betterShare) {
		g.executedAt(o, size, 'Y', better)
		price = better
	} else {
		g.executed(o, size)
	}
	s.last = price
	g.reduce(n, size)
}

// middle is the price in the middle of the best two, 1e-4.
func (s *symbol) middle() (uint32, bool) {
	if s.best[bid] <= stubBid || s.best[ask] >= stubAsk {
		return 0, false
	}
	return uint32((uint64(s.price(s.best[bid])) + uint64(s.price(s.best[ask]))) / 2), true
}

// unseen is a trade against a hidden order, within the best prices.
func (g *Gen) unseen(n uint16) bool {
	s := &g.symbols[n]
	price, ok := s.middle()
	if !ok || s.state != 'T' {
		return false
	}
	if x := g.r.next(); x&1 == 0 {
		price = s.price(s.best[x>>1&1])
	}
	g.hidden(n, g.size(), price)
	s.last = price
	return true
}
