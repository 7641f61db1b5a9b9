package itchgen

import "fmt"

// Profile says what kind of session it is.
type Profile uint8

// Profiles.
const (
	Realistic Profile = iota
	Hostile
)

// ParseProfile reads a profile's name.
func ParseProfile(name string) (Profile, error) {
	switch name {
	case "realistic":
		return Realistic, nil
	case "hostile":
		return Hostile, nil
	}
	return 0, fmt.Errorf("itchgen: profile %q is none of realistic, hostile", name)
}

// Options of a session. The zero value works: a realistic day of 20 million messages.
type Options struct {
	Profile Profile
	// Messages of the session, at least 1. The default is 20,000,000. Live sessions have no end.
	Messages uint64
	// Symbols, 1 to 20,000. The default is 8,900.
	Symbols int
	// Seed gives another session. The default is 0, which is one like any other.
	Seed uint64
	// Live makes a session without end whose times are the caller's (NextAt).
	Live bool
}

// Bounds of Options.
const (
	DefaultMessages = 20_000_000
	DefaultSymbols  = 8_900
	mostSymbols     = 20_000
)

// Times of the day, ns since midnight.
const (
	second       = 1_000_000_000
	minute       = 60 * second
	hour         = 60 * minute
	startOfDay   = 3 * hour
	startOfHours = 4 * hour
	marketOpen   = 9*hour + 30*minute
	marketClose  = 16 * hour
	endOfHours   = 20 * hour
	endOfDay     = 20*hour + 5*minute
)

// phase of the session.
type phase uint8

const (
	phaseStart phase = iota
	phaseDirectory
	phasePre
	phaseOpening
	phaseDay
	phaseClosing
	phasePost
	phaseEnd
	phaseOver
)

// Gen makes one session, message by message. It belongs to one goroutine.
type Gen struct {
	o       Options
	hostile bool
	r       random
	symbols []symbol
	busy    *zipf
	pool    pool
	live    []uint32 // hostile: every resting order
	wheel   wheel

	phase   phase
	n       uint64 // messages so far
	until   uint64 // hostile and realistic alike: the phase ends with this message
	step    int    // within a phase
	time    uint64 // ns since midnight
	average uint64 // ns a message, in this phase
	burst   uint64 // messages left of a microburst
	refs    uint64 // hostile
	matches uint64
	out     []byte

	counters   [4]uint64 // references, by matching engine
	hit        aggressor
	auction    auction
	halt       halt
	lastHidden uint64
	hiddenOf   uint16
}

// aggressor is an order that is being filled: each fill is a message.
type aggressor struct {
	symbol uint16
	side   uint8 // of the resting orders
	left   uint32
}

// New makes a generator.
func New(o Options) (*Gen, error) {
	if o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	if o.Symbols == 0 {
		o.Symbols = DefaultSymbols
	}
	if o.Symbols < 1 || o.Symbols > mostSymbols {
		return nil, fmt.Errorf("itchgen: %d symbols, want 1 to %d", o.Symbols, mostSymbols)
	}
	if o.Profile > Hostile {
		return nil, fmt.Errorf("itchgen: profile %d is unknown", o.Profile)
	}
	if o.Messages > 1<<28 && o.Profile == Hostile {
		return nil, fmt.Errorf("itchgen: a hostile session has at most %d messages: each reference is given out once", 1<<28)
	}
	g := &Gen{o: o, hostile: o.Profile == Hostile, r: random{state: o.Seed*0x9E3779B97F4A7C15 + 1}}
	g.symbols = make([]symbol, o.Symbols)
	g.busy = newZipf(o.Symbols, 12)
	g.pool.orders = make([]order, 1, 1<<16)
	if !g.hostile {
		g.wheel = newWheel()
	}
	for i := range g.symbols {
		g.found(i)
	}
	return g, nil
}

// found invents a symbol: letters by its number, a price, a spread.
func (g *Gen) found(i int) {
	s := &g.symbols[i]
	s.locate = uint16(i + 1)
	copy(s.name[:], "        ")
	name, n := []byte{}, i
	for {
		name = append(name, byte('A'+n%26))
		if n = n/26 - 1; n < 0 {
			break
		}
	}
	// Shorter names are no busier here than longer ones, unlike a real venue's: nothing hangs on it.
	for k := range name {
		s.name[k] = name[len(name)-1-k]
	}
	s.tick, s.lot = 100, 100
	price := uint32(50_000 + g.r.below(1_500_000)) // 5.00 to 155.00
	switch k := g.r.below(100); {
	case k < 5: // below a dollar the tick is a hundredth of a cent
		s.tick, price = 1, uint32(600+g.r.below(9_000))
	case k < 12:
		price, s.lot = uint32(2_000_000+g.r.below(6_000_000)), 40
	}
	price -= price % s.tick
	s.base = price - middle*s.tick
	s.mid = middle
	s.half = int32(g.r.below(3))
	if i > len(g.symbols)/4 {
		s.half += int32(g.r.below(12))
	}
}

// Messages is how many have been made.
func (g *Gen) Messages() uint64 { return g.n }

// Resting is how many orders rest at this moment.
func (g *Gen) Resting() int { return g.pool.count }

// Next appends the next message, without a length prefix; ok is false, and nothing appended, after the last. No allocation once
// the books have their size.
func (g *Gen) Next(dst []byte) (out []byte, ok bool) {
	if g.phase == phaseOver || !g.o.Live && g.n == g.o.Messages {
		return dst, false
	}
	if !g.o.Live {
		g.tickClock()
	}
	return g.make(dst), true
}

// NextAt is Next of a live session at a time, ns since midnight.
func (g *Gen) NextAt(dst []byte, now uint64) []byte {
	g.time = now
	return g.make(dst)
}

func (g *Gen) make(dst []byte) []byte {
	g.out = dst
	had := len(dst)
	for len(g.out) == had { // a phase that has nothing more to say makes way for the next
		g.turn()
	}
	g.n++
	out := g.out
	g.out = nil
	return out
}

// tickClock lets time pass: by the phase's average, in microbursts hardly at all.
func (g *Gen) tickClock() {
	limit := uint64(endOfDay)
	switch g.phase {
	case phasePre:
		limit = marketOpen - 1
	case phaseDay:
		limit = marketClose - 1
	case phasePost:
		limit = endOfHours - 1
	}
	step := uint64(0)
	switch {
	case g.burst > 0:
		g.burst--
		step = g.r.below(700)
		step -= min(step, 300) // several messages share a time
	default:
		step = g.r.spread(g.average)
		if g.r.below(4000) == 0 {
			g.burst = 100 + g.r.below(2000)
		}
	}
	g.time = max(g.time, min(g.time+step, limit))
}

// begin starts a phase at a time of day that ends with message until.
func (g *Gen) begin(p phase, at, until, span uint64) {
	g.phase, g.step = p, 0
	if !g.o.Live {
		g.time = max(g.time, at)
	}
	g.until = until
	g.average = 0
	if until > g.n {
		g.average = span / (until - g.n) * 4 / 3 // a quarter of all messages come in bursts
	}
}

// turn makes a message of the present phase, or goes to the next one.
func (g *Gen) turn() {
	last := g.o.Messages
	switch g.phase {
	case phaseStart:
		g.begin(phaseDirectory, startOfDay, 0, 0)
		g.system('O')
	case phaseDirectory:
		if g.introduce() {
			return
		}
		g.begin(phasePre, startOfHours, g.n+max(16, last/40), marketOpen-startOfHours)
		if g.o.Live {
			g.until = g.n + uint64(8*len(g.symbols))
		}
		g.system('S')
	case phasePre:
		if g.n < g.until {
			g.market(false)
			return
		}
		g.begin(phaseOpening, marketOpen, 0, 0)
		g.system('Q')
	case phaseOpening:
		if g.crosses('O') {
			return
		}
		g.begin(phaseDay, marketOpen, last-min(last, last/50+2048), marketClose-marketOpen)
	case phaseDay:
		if g.o.Live || g.n < g.until {
			g.market(true)
			return
		}
		g.begin(phaseClosing, marketClose, 0, 0)
		g.system('M')
	case phaseClosing:
		if g.crosses('C') {
			return
		}
		g.begin(phasePost, marketClose, last-min(last, 2), endOfHours-marketClose)
	case phasePost:
		if g.n < g.until {
			g.market(false)
			return
		}
		g.begin(phaseEnd, endOfHours, 0, 0)
		g.system('E')
	case phaseEnd:
		g.begin(phaseOver, endOfDay, 0, 0)
		g.system('C')
	case phaseOver:
		g.system('C') // a session that was asked for fewer messages than its beginning and end need
	}
}

// introduce tells the directory: definition, state, short sale rule, for some a market maker. false: all is told.
func (g *Gen) introduce() bool {
	i, what := g.step/4, g.step%4
	if i >= len(g.symbols) {
		if i == len(g.symbols) && what == 0 {
			g.declines()
			g.step++
			return true
		}
		return false
	}
	s := &g.symbols[i]
	g.step++
	switch what {
	case 0:
		g.directory(s, i%1500 == 1499)
	case 1:
		g.action(s, 'T', "    ")
	case 2:
		g.shortSale(s)
	case 3:
		if i%40 != 0 {
			return g.introduce()
		}
		g.position(s, i/40)
	}
	return true
}

// market makes one message of trading. open: executions may happen.
func (g *Gen) market(open bool) {
	if g.hit.left > 0 && g.fill() {
		return
	}
	if open && g.happening() || g.noii() {
		return
	}
	if g.hostile {
		g.hostileMarket(open)
		return
	}
	g.wheel.turn(g.n)
	if n := g.wheel.pop(&g.pool); n != 0 {
		g.die(n)
		return
	}
	k := g.busy.draw(&g.r)
	s := &g.symbols[k]
	g.walk(s)
	if open && !s.halted && g.trade(uint16(k), s) {
		return
	}
	g.enter(uint16(k), s)
}

// walk moves the price a tick now and then, the more likely back the farther it went.
func (g *Gen) walk(s *symbol) {
	if g.r.below(24) != 0 {
		return
	}
	if int32(g.r.below(levels)) > s.mid+(s.mid-middle) {
		s.mid++
	} else {
		s.mid--
	}
	s.mid = min(max(s.mid, 96), levels-96)
}

// trade makes an execution when the walk has gone through the best price, or by chance. false: there is none.
func (g *Gen) trade(k uint16, s *symbol) bool {
	bid, ask := s.best(0), s.best(1)
	side := int8(-1)
	switch {
	case ask >= 0 && s.mid > ask:
		side = 1
	case bid >= 0 && s.mid < bid:
		side = 0
	case g.r.in(200):
		side = int8(g.r.below(2))
	case g.r.in(150):
		if bid >= 0 && ask >= 0 {
			return g.hide(k, s, bid, ask)
		}
	}
	if side < 0 || s.best(uint8(side)) < 0 {
		return false
	}
	g.hit = aggressor{symbol: k, side: uint8(side), left: g.size()}
	return g.fill()
}

// hide makes a trade against an order that the feed does not show, in or at the spread; seldom the last one is broken.
func (g *Gen) hide(k uint16, s *symbol, bid, ask int32) bool {
	if g.lastHidden != 0 && g.r.in(20) {
		g.broken(g.lastHidden, &g.symbols[g.hiddenOf])
		g.lastHidden = 0
		return true
	}
	level := bid + int32(g.r.below(uint64(ask-bid+1)))
	g.hidden(s, g.size(), s.price(uint16(level)))
	g.hiddenOf = k
	return true
}

// fill takes the next piece of what an aggressor wants off the book. false: there is nothing to take.
func (g *Gen) fill() bool {
	s := &g.symbols[g.hit.symbol]
	best := s.best(g.hit.side)
	if best < 0 || s.halted {
		g.hit.left = 0
		return false
	}
	n := s.queues[g.hit.side][best].head
	o := &g.pool.orders[n]
	size := min(o.size, g.hit.left)
	if size == o.size && size == g.hit.left && g.r.in(150) {
		g.executedAt(o, size, s.price(uint16(best)), 'Y', g.match()) // some fills come with their price though it is the order's own
	} else {
		g.executed(o, size)
	}
	g.hit.left -= size
	g.reduce(n, size)
	return true
}

// size of an order: round lots mostly, few large ones.
func (g *Gen) size() uint32 {
	if g.r.in(4500) {
		return uint32(1 + g.r.below(99))
	}
	n := 1 + g.r.decay()
	if g.r.in(60) {
		n *= 10 + g.r.below(90)
	}
	return uint32(min(n, 9_999) * 100)
}

// enter adds an order near the price, seldom far from it.
func (g *Gen) enter(k uint16, s *symbol) {
	side := uint8(g.r.below(2))
	level, far := g.level(s, side)
	o := order{ref: g.ascending(k), size: g.size(), symbol: k, level: level, side: side, mpid: g.r.in(120)}
	n := g.rest(o)
	g.add(&o)
	g.wheel.schedule(g.n, g.n+g.lifetime(far), n, o.ref)
}

// level chooses a price that does not cross the book.
func (g *Gen) level(s *symbol, side uint8) (level uint16, far bool) {
	away := int32(g.r.decay()) + s.half
	if far = g.r.in(500); far {
		away += int32(g.r.below(80))
	}
	at := s.mid - away
	if side == 1 {
		at = s.mid + away
	}
	if side == 0 {
		if ask := s.best(1); ask >= 0 {
			at = min(at, ask-1)
		}
	} else if bid := s.best(0); bid >= 0 {
		at = max(at, bid+1)
	}
	return uint16(min(max(at, 1), levels-2)), far
}

// die ends an order, or changes it: most are deleted, some replaced, few reduced.
func (g *Gen) die(n uint32) {
	o := g.pool.orders[n]
	s := &g.symbols[o.symbol]
	switch k := g.r.below(100); {
	case k < 16:
		g.remove(n)
		old := o.ref
		var far bool
		o.level, far = g.level(s, o.side)
		o.ref, o.size = g.ascending(o.symbol), g.size()
		m := g.rest(o)
		g.replaced(old, &o)
		g.wheel.schedule(g.n, g.n+g.lifetime(far), m, o.ref)
	case k < 19 && o.size > 1:
		part := 1 + uint32(g.r.below(uint64(o.size-1)))
		g.canceled(&o, part)
		g.reduce(n, part)
		g.wheel.schedule(g.n, g.n+g.lifetime(false), n, o.ref)
	default:
		g.deleted(&o)
		g.remove(n)
	}
}

// hostileMarket: uniform symbols, uniform victims, references without order. Bids below the middle, asks above: such a book
// is never crossed.
func (g *Gen) hostileMarket(open bool) {
	if len(g.live) < 64 || g.r.below(100) < 48 {
		g.hostileEnter(uint16(g.r.below(uint64(len(g.symbols)))), uint8(g.r.below(2)))
		return
	}
	n := g.live[g.r.below(uint64(len(g.live)))]
	o := g.pool.orders[n]
	switch k := g.r.below(100); {
	case k < 16:
		g.remove(n)
		old := o.ref
		o.ref, o.level, o.size = g.reference(), g.hostileLevel(o.side), g.size()
		g.rest(o)
		g.replaced(old, &o)
	case k < 22 && open && !g.symbols[o.symbol].halted:
		size := min(o.size, g.size())
		g.executed(&o, size)
		g.reduce(n, size)
	case k < 26 && o.size > 100:
		g.canceled(&o, 100)
		g.reduce(n, 100)
	default:
		g.deleted(&o)
		g.remove(n)
	}
}

func (g *Gen) hostileEnter(k uint16, side uint8) {
	o := order{ref: g.reference(), size: g.size(), symbol: k, level: g.hostileLevel(side), side: side, mpid: g.r.in(300)}
	g.rest(o)
	g.add(&o)
}

func (g *Gen) hostileLevel(side uint8) uint16 {
	return uint16(1 + g.r.below(middle-2) + uint64(side)*middle)
}

// ascending is a reference of a realistic session: the venue has several matching engines, each with a counter of its own.
func (g *Gen) ascending(symbol uint16) uint64 {
	engine := symbol % uint16(len(g.counters))
	g.counters[engine]++
	return g.counters[engine]*uint64(len(g.counters)) + uint64(engine)
}

// reference of a hostile session: given out once, without order.
func (g *Gen) reference() uint64 {
	g.refs++
	return shuffle28(g.refs&(1<<28-1), g.o.Seed) + 1
}
