package itchgen

import "math"

// script is where the session is. Phases before the market (stages) make one message a turn, phases of the market (segments) one event.
type script struct {
	stage   stage
	i       int // within the stage
	segment int
	segs    []segment
	entered bool // the segment's first turn is over
	opening bool

	positions int    // messages L
	built     uint64 // orders of the build so far
	toBuild   uint64
	lifeCap   uint64 // events: no order that comes and goes is planned for longer
	dayLong   uint64 // events: orders that rest all day are planned for this, and up to twice as long
	steady    uint64 // messages of continuous trading
	quotes    uint64 // the first two orders of each symbol
	crowd     uint64 // resting orders that the hostile profile tends to
	pauseEnd  uint64 // no pauses begin once so many messages were made
}

type stage uint8

const (
	stageStart stage = iota
	stageDirectory
	stageStates
	stageShortSale
	stagePositions
	stageDeclines
	stageSystemHours
	stageMarket
	stageSystemEnd
	stageTail
	stageEnd
)

// segment is a phase of the market: it lasts until so many messages were made, and ends at its time.
type segment struct {
	end       uint64 // ns since midnight
	until     uint64 // messages of the session
	code      byte   // system event that it begins with, 0: none
	cross     byte   // crosses that it begins with, 0: none
	noii      byte   // cross type of its imbalance messages, 0: none
	noiiShare uint64 // of 10,000 events
	build     bool   // resting orders are built up
	thin      bool   // outside market hours: few trades
	late      bool   // orders leave
}

const second = 1_000_000_000

// Times of the day, ns since midnight.
const (
	startNs       = 3*3600*second + 5*60*second
	directoryGap  = 20_000
	systemHoursNs = 4 * 3600 * second
	noiiNs        = 9*3600*second + 28*60*second
	openNs        = 9*3600*second + 30*60*second + 70_000 // as observed
	closeNs       = 16 * 3600 * second
	systemEndNs   = 20 * 3600 * second
	lastNs        = systemEndNs + 5*60*second
)

// marketHours share out continuous trading: end, and messages of 10,000 (as on real days, up to 9 min 23 s).
var marketHours = [...]struct {
	end, share uint64
	noii       uint64 // of 10,000 events
}{
	{openNs + 8_000_000, 2, 0},
	{openNs + 245*second/10, 78, 0},
	{openNs + 39*second, 30, 0},
	{openNs + 563*second, 390, 0},
	{10 * 3600 * second, 800, 0},
	{11 * 3600 * second, 1_700, 0},
	{14 * 3600 * second, 3_200, 0},
	{15*3600*second + 30*60*second, 2_100, 0},
	{15*3600*second + 50*60*second, 900, 0},
	{15*3600*second + 59*60*second, 600, 1_500},
	{closeNs - 1_000, 200, 1_500},
}

// plan decides how many messages each phase has.
func (g *Gen) plan() {
	d := &g.script
	d.opening = true
	d.segs = make([]segment, 0, len(marketHours)+8)
	count := uint64(g.o.Symbols)
	size := g.o.Messages // of the session, or what takes its place
	if size == 0 {
		size = DefaultMessages
	}
	d.positions = int(min(max(size*73/100_000, count/4), 24*count))
	d.quotes = 2 * count
	d.crowd = min(1_500_000, size/16)
	d.lifeCap, d.dayLong = size/4, size
	d.toBuild = d.quotes + min(size/25, 60*count)
	if g.hostile {
		d.toBuild = d.crowd
	}
	before := 3*count + uint64(d.positions) + 4
	tail := max(64, size/5_000)
	after := size*3/100 + 2*count
	switch {
	case g.o.Live:
		g.planLive(before, after, tail)
	default:
		pre := before + d.toBuild + size/50
		noii := size / 200
		d.steady = size - pre - noii - after - tail
		g.planPreMarket(pre, noii)
		g.planMarketHours(pre + noii)
		d.segs = append(d.segs, segment{end: systemEndNs, until: size - tail, code: 'M', cross: 'C', thin: true, late: true})
	}
	d.pauseEnd = math.MaxUint64
	if g.o.Messages != 0 {
		d.pauseEnd = size - tail - after - d.steady/10
	}
}

func (g *Gen) planPreMarket(pre, noii uint64) {
	first := pre * 6 / 10
	g.script.segs = append(g.script.segs,
		segment{end: 7 * 3600 * second, until: first, build: true, thin: true},
		segment{end: noiiNs, until: pre, build: true, thin: true},
		segment{end: openNs - 70_000, until: pre + noii, noii: 'O', noiiShare: 4_000, thin: true})
}

func (g *Gen) planMarketHours(from uint64) {
	d := &g.script
	share := uint64(0)
	for i, h := range marketHours {
		share += h.share
		seg := segment{end: h.end, until: from + d.steady*share/10_000, noiiShare: h.noii}
		if h.noii != 0 {
			seg.noii = 'C'
		}
		if i == 0 {
			seg.code, seg.cross = 'Q', 'O'
		}
		d.segs = append(d.segs, seg)
	}
}

// planLive: a short opening, then trading for ever, or for Messages.
func (g *Gen) planLive(before, after, tail uint64) {
	d := &g.script
	count := uint64(g.o.Symbols)
	d.toBuild = min(d.toBuild, 8*count)
	if g.o.Messages != 0 {
		d.toBuild = min(d.toBuild, g.o.Messages/8)
	}
	d.crowd = max(d.crowd, d.toBuild)
	built := before + d.toBuild
	noii := max(64, count/8)
	d.segs = append(d.segs,
		segment{until: built, build: true, thin: true},
		segment{until: built + noii, noii: 'O', noiiShare: 8_000, thin: true})
	trading := segment{until: math.MaxUint64, code: 'Q', cross: 'O'}
	d.steady = DefaultMessages
	if g.o.Messages == 0 {
		d.segs = append(d.segs, trading)
		return
	}
	trading.until = g.o.Messages - after - tail
	d.steady = trading.until - built - noii
	d.segs = append(d.segs, trading, segment{until: g.o.Messages - tail, code: 'M', cross: 'C', thin: true, late: true})
}

// produce makes the next event's messages; false at the end of the session.
func (g *Gen) produce() bool {
	for len(g.out) == g.from {
		if g.done {
			return false
		}
		g.turn()
	}
	return true
}

// turn makes the messages of one event, which may be none.
func (g *Gen) turn() {
	d := &g.script
	switch d.stage {
	case stageMarket:
		g.market()
	case stageStart:
		g.stamp(startNs)
		g.system('O')
		d.stage++
	case stageDirectory:
		g.each(len(g.symbols), func(n int) { g.directory(uint16(n)) })
	case stageStates:
		g.each(len(g.symbols), g.firstState)
	case stageShortSale:
		g.each(len(g.symbols), g.firstShortSale)
	case stagePositions:
		g.each(d.positions, func(n int) {
			g.position(uint16(n%len(g.symbols)), (n/len(g.symbols)+n*7)%len(participants))
		})
	case stageDeclines:
		g.stamp(g.now + directoryGap)
		g.declines()
		d.stage++
	case stageSystemHours:
		g.stamp(systemHoursNs)
		g.clock.now = systemHoursNs
		g.system('S')
		d.stage++
	case stageSystemEnd:
		g.stamp(systemEndNs)
		g.system('E')
		g.clock = clock{now: systemEndNs, end: lastNs}
		d.stage++
	case stageTail:
		g.tail()
	case stageEnd:
		g.stamp(lastNs)
		g.system('C')
		g.done = true
	}
}

// stamp is the time of an event, but in a live session, whose times are the caller's.
func (g *Gen) stamp(ns uint64) {
	if !g.o.Live {
		g.now = max(g.now, ns)
	}
}

// each makes one message of a stage that has count of them.
func (g *Gen) each(count int, make func(n int)) {
	d := &g.script
	if d.i < count {
		g.stamp(g.now + directoryGap)
		make(d.i)
		d.i++
	}
	if d.i >= count {
		d.i = 0
		d.stage++
	}
}

func (g *Gen) firstState(n int) {
	if g.symbols[n].state == 'T' {
		g.action(uint16(n), 'T', "")
	} else {
		g.action(uint16(n), g.symbols[n].state, "IPO1")
	}
}

func (g *Gen) firstShortSale(n int) {
	action := byte('0')
	if g.r.in(100) {
		action = '2'
	}
	g.shortSale(uint16(n), action)
}

// market makes one event of the present segment, or goes on to the next one.
func (g *Gen) market() {
	d := &g.script
	seg := &d.segs[d.segment]
	if !d.entered {
		d.entered = true
		g.clock.end = max(seg.end, g.clock.now)
		g.clock.burst = 0
		if seg.cross != 0 {
			g.auction.kind, g.auction.next = seg.cross, 0
		}
		if seg.code != 0 {
			start := uint64(openNs)
			if seg.code == 'M' {
				start = closeNs
			}
			g.clock.now = max(g.clock.now, start)
			g.stamp(g.clock.now)
			g.system(seg.code)
			return
		}
	}
	if g.made >= seg.until {
		d.segment++
		d.entered = false
		if d.segment == len(d.segs) {
			d.stage++
		}
		return
	}
	if !g.o.Live {
		g.now = max(g.now, g.clock.tick(&g.r, seg.until-g.made))
	}
	g.event(seg)
}

// tail makes the messages between the end of system hours and the last one: orders are deleted, a trade is broken.
func (g *Gen) tail() {
	d := &g.script
	last := g.o.Messages - 1
	if g.made >= last {
		d.stage++
		return
	}
	if !g.o.Live {
		g.now = max(g.now, g.clock.tick(&g.r, last-g.made))
	}
	d.i++
	if d.i == 1 && g.printed.match != 0 {
		g.broken(g.printed)
		return
	}
	if n := g.leaving(); n != 0 {
		g.deleted(&g.pool.orders[n])
		g.remove(n)
		return
	}
	g.position(uint16(d.i%len(g.symbols)), d.i%len(participants))
}

// leaving is an order that goes although its time has not come, 0: none rests.
func (g *Gen) leaving() uint32 {
	if !g.hostile {
		return g.lives.oldest(&g.pool)
	}
	if len(g.everyone) == 0 {
		return 0
	}
	return g.everyone[g.r.below(uint64(len(g.everyone)))]
}
