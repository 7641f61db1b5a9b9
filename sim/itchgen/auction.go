package itchgen

// auction runs crosses and pauses.
//
//	opening, closing   I I I … ──► C C Q, symbol after symbol, the busy ones first; zero shares for quiet ones
//	pause              H/P ── orders go on, nothing trades ── H/Q ── J ── I I I ── C Q/H ── H/T
//	news               H/H T1 ── H/H T2 ── H/Q T3 ── I I I ── C Q/H ── H/T
//	new issue          H/H IPO1 ── K ── H/Q ── I I I ── Q/H ── H/T
type auction struct {
	kind byte // of the crosses that are under way, 0: none
	next int  // rank of the symbol that is next

	running []pause
	due     uint64 // event at which the next thing happens to a pause, or a new one begins
	begin   uint64 // event at which a new one begins
	every   uint64 // events between beginnings
	lasts   uint64 // events that one lasts, about
	breaks  uint64 // event at which a trade is broken
}

type pauseKind uint8

const (
	volatility pauseKind = iota
	news
	newIssue
)

// pause is a symbol that does not trade, and what comes next for it.
type pause struct {
	at     uint64 // event
	symbol uint16
	kind   pauseKind
	stage  uint8
	told   uint8 // imbalance messages so far
}

const (
	crossingShare = 7_500 // of 10,000 events while crosses are under way
	mostPauses    = 16
	pauseNoii     = 8 // imbalance messages of a pause
)

// planPauses spreads pauses over the session. A live one has the first at once, and always some.
func (g *Gen) planPauses() {
	a := &g.auction
	steady := g.script.steady
	a.running = make([]pause, 0, mostPauses)
	a.every = max(steady/24, 64)
	a.lasts = max(steady/78, 64) // five minutes of six and a half hours
	if g.o.Live {
		a.every, a.lasts = 60_000, 100_000
	}
	a.breaks = a.every * 3
	if !g.o.Live && len(g.symbols) >= 50 {
		n := g.byRank[len(g.symbols)/8]
		g.symbols[n].state = 'H'
		g.listings[n].ipo = 'Y'
		a.running = append(a.running, pause{symbol: n, kind: newIssue})
	}
}

// pauses lets a pause begin or go on, or a trade be broken. It says whether there was a message.
func (g *Gen) pauses(seg *segment) bool {
	a := &g.auction
	if seg.code == 0 && g.script.opening || seg.thin {
		a.due = g.step + 1 // not before the market has opened
		return false
	}
	if a.begin == 0 { // the first event after the open
		a.begin, a.breaks = g.step+a.every/2, g.step+a.every*3
		for i := range a.running {
			a.running[i].at = g.step + a.every/3
		}
	}
	said := false
	switch i := a.first(); {
	case i >= 0 && g.step >= a.running[i].at:
		g.proceed(i)
		said = true
	case g.step >= a.breaks:
		a.breaks = g.step + a.every*5
		if g.printed.match != 0 {
			g.broken(g.printed)
			said = true
		}
	case g.step >= a.begin:
		a.begin = g.step + a.every/2 + g.r.below(a.every)
		said = g.beginPause()
	}
	a.due = min(a.begin, a.breaks)
	if i := a.first(); i >= 0 {
		a.due = min(a.due, a.running[i].at)
	}
	return said
}

// first is the pause that is due first, -1: none is running.
func (a *auction) first() int {
	best := -1
	for i := range a.running {
		if best < 0 || a.running[i].at < a.running[best].at {
			best = i
		}
	}
	return best
}

func (g *Gen) beginPause() bool {
	a := &g.auction
	n := g.byRank[g.r.below(uint64(max(1, len(g.byRank)/20)))]
	s := &g.symbols[n]
	if s.state != 'T' || len(a.running) == mostPauses || g.made >= g.script.pauseEnd {
		return false
	}
	p := pause{symbol: n, at: g.step + a.lasts/2}
	if g.r.in(3_500) {
		p.kind = news
		s.state = 'H'
		g.action(n, 'H', "T1")
	} else {
		s.state = 'P'
		g.action(n, 'P', "LUDP")
	}
	a.running = append(a.running, p)
	return true
}

// proceed makes the next message of a pause.
func (g *Gen) proceed(i int) {
	a := &g.auction
	p := &a.running[i]
	s := &g.symbols[p.symbol]
	p.at = g.step + 1 + a.lasts/32
	switch {
	case p.stage == 0:
		p.stage++
		switch p.kind {
		case news:
			g.action(p.symbol, 'H', "T2")
			return
		case newIssue:
			g.quoting(p.symbol, uint32(g.now/second)+600, s.price(s.fair))
			p.at += a.lasts / 2
			return
		}
		fallthrough
	case p.stage == 1:
		p.stage++
		s.state = 'Q'
		g.action(p.symbol, 'Q', [...]string{"LUDP", "T3", "IPOQ"}[p.kind])
	case p.stage == 2 && p.kind == volatility:
		p.stage++
		g.collar(p.symbol, s.last, s.last+s.last/20, s.last-s.last/20)
	case p.told < pauseNoii:
		p.told++
		g.noii(p.symbol, 'H')
	default:
		g.cross(p.symbol, 'H')
		s.state = 'T'
		g.action(p.symbol, 'T', "")
		a.running[i] = a.running[len(a.running)-1]
		a.running = a.running[:len(a.running)-1]
	}
}

// crossNext is the opening or closing cross of the next symbol.
func (g *Gen) crossNext() {
	a := &g.auction
	n := g.byRank[a.next]
	kind := a.kind
	if a.next++; a.next == len(g.byRank) {
		a.kind = 0
		g.script.opening = false
	}
	switch s := &g.symbols[n]; {
	case s.state != 'T': // its own auction comes later
	case s.cross && g.r.in(9_500):
		g.cross(n, kind)
	default:
		g.crossed(n, 0, 0, kind)
	}
}

// cross executes some of the orders at one side's best price, and prints them with what was not displayed.
func (g *Gen) cross(n uint16, kind byte) {
	s := &g.symbols[n]
	shares := 100 * (1 + g.r.spread(40))
	side := uint8(g.r.below(2))
	level := s.best[side]
	if level <= stubBid || level >= stubAsk {
		g.crossed(n, shares, s.last, kind)
		return
	}
	price := s.price(level)
	for range 1 + g.r.below(3) {
		if s.best[side] != level {
			break
		}
		head := g.queue(n, level).head
		o := &g.pool.orders[head]
		g.executedAt(o, o.size, 'N', price)
		shares += uint64(o.size)
		g.remove(head)
	}
	g.crossed(n, shares, price, kind)
	s.last = price
}

// auctioned draws a symbol that has auctions.
func (g *Gen) auctioned() uint16 {
	for range 4 {
		if n := g.byRank[g.busy.draw(&g.r)]; g.symbols[n].cross {
			return n
		}
	}
	return g.byRank[0]
}

// noii tells what a cross would do at the present price.
func (g *Gen) noii(n uint16, kind byte) {
	s := &g.symbols[n]
	reference := s.price(s.fair)
	near := s.price(s.fair + int16(g.r.below(7)) - 3)
	far := s.price(s.fair + int16(g.r.below(21)) - 10)
	paired, left := 100*g.r.spread(200), 100*g.r.spread(40)
	direction := "BS"[g.r.below(2)]
	switch x := g.r.below(100); {
	case kind == 'H' && s.state == 'P':
		direction = 'P'
	case x < 4:
		direction, paired, left, far, near = 'O', 0, 0, 0, 0
	case x < 10 || left == 0:
		direction, left = 'N', 0
	}
	b := g.message('I', n+1, 0)
	be.PutUint64(b[11:], paired)
	be.PutUint64(b[19:], left)
	b[27] = direction
	copy(b[28:36], s.name[:])
	be.PutUint32(b[36:], far)
	be.PutUint32(b[40:], near)
	be.PutUint32(b[44:], reference)
	b[48], b[49] = kind, variation(near, reference)
}

// variation is how far the near price is from the reference, in the venue's code.
func variation(near, reference uint32) byte {
	if near == 0 || reference == 0 {
		return ' '
	}
	d := max(near, reference) - min(near, reference)
	switch percent := uint64(d) * 100 / uint64(reference); {
	case percent < 1:
		return 'L'
	case percent < 10:
		return '0' + byte(percent)
	case percent < 20:
		return 'A'
	case percent < 30:
		return 'B'
	default:
		return 'C'
	}
}
