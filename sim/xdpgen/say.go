package xdpgen

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/tickwire/tickwire/parsers/xdp"
)

var be = binary.BigEndian

// Shares of events, of 1,000.
const (
	repriceShare = 250 // of replaces that move: the order keeps its number, 101
	retailShare  = 3   // of adds: a retail indicator changes
	correctShare = 30  // of crosses: their volume is corrected
)

// say tells one of itchgen's messages (Nasdaq TotalView-ITCH 5.0, big-endian; prices 1e-4) in XDP. What has no like there is not told; what happens to orders is
// told by Integrated alone, and comes to light in the others' quotes (quotes.go) and trades (prints.go).
func (g *Gen) say(m []byte) {
	n := be.Uint16(m[1:]) - 1 // symbol, where the message has one
	g.happens(n, m)
	if g.o.Product == xdp.BBO && int(n) < len(g.symbols) {
		g.quote(n)
	}
	if g.o.Summaries && g.round.state == 0 && !g.ended {
		g.sum()
	}
}

func (g *Gen) happens(n uint16, m []byte) {
	switch m[0] {
	case 'S':
		g.system(m[11])
	case 'R':
		g.list(m, g.src.Price(n))
	case 'H':
		g.action(n, m[19], string(m[21:25]))
	case 'Y':
		g.shortSale(n, m[19])
	case 'J':
		s := &g.symbols[n]
		s.upper, s.lower = be.Uint32(m[23:]), be.Uint32(m[27:])
	case 'K':
		price := be.Uint32(m[24:])
		g.status(n, 'G', price-price/20, price+price/20)
	case 'A', 'F':
		g.add(n, m)
	case 'E':
		g.executed(n, be.Uint64(m[11:]), be.Uint32(m[19:]), uint32(be.Uint64(m[23:])), 0, 1)
	case 'C':
		printable := uint8(0)
		if m[31] == 'Y' {
			printable = 1
		}
		g.executed(n, be.Uint64(m[11:]), be.Uint32(m[19:]), uint32(be.Uint64(m[23:])), be.Uint32(m[32:]), printable)
	case 'X':
		g.smaller(n, be.Uint64(m[11:]), be.Uint32(m[19:]))
	case 'D':
		g.deleted(n, be.Uint64(m[11:]))
	case 'U':
		g.replaced(n, m)
	case 'P':
		g.hidden(n, uint32(be.Uint64(m[36:])), be.Uint32(m[32:]), be.Uint32(m[20:]), 1, ' ')
	case 'Q':
		g.cross(n, m)
	case 'B':
		g.broken(n, uint32(be.Uint64(m[11:])))
	case 'I':
		if g.integrated() {
			g.imbalance(n, m)
		}
	}
}

func (g *Gen) system(code byte) {
	switch code {
	case 'O':
		sec, ns := g.clock()
		g.pending = xdp.AppendReset(g.pending, sec, ns, g.ProductID(), g.o.Channel)
		g.made++
	case 'S', 'Q', 'M':
		if !g.o.Summaries {
			g.round = round{state: map[byte]byte{'S': 'E', 'Q': 'O', 'M': 'L'}[code]}
		}
	case 'E':
		g.close()
	}
}

// clock is the present time as complete stamps have it.
func (g *Gen) clock() (seconds, ns uint32) {
	at := g.midnight + g.now
	return uint32(at / 1e9), uint32(at % 1e9)
}

// turns says which second it is, and whether that was not told yet.
func (g *Gen) turns() (uint64, bool) {
	second := (g.midnight + g.now) / 1e9
	return second, second != g.second
}

// reference tells the present second.
func (g *Gen) reference() {
	g.second, _ = g.turns()
	g.pending = xdp.AppendTimeReference(g.pending, uint32(g.o.Channel), uint32(g.second))
	g.made++
}

// integrated says that orders are told.
func (g *Gen) integrated() bool { return g.o.Product == xdp.Integrated && !g.o.Summaries }

// stamp is for the next message of a symbol. In a new second a message 2 goes before it, where times need one.
func (g *Gen) stamp(n uint16) xdp.Stamp {
	if _, turned := g.turns(); turned && g.o.Product != xdp.Trades && !g.o.Summaries {
		g.reference()
	}
	s := &g.symbols[n]
	s.number++
	sec, ns := g.clock()
	return xdp.Stamp{Seconds: sec, Ns: ns, Index: s.index, Number: s.number}
}

// status tells a symbol's state. Prices are in 1e-4. Beside summaries only the first is told.
func (g *Gen) status(n uint16, code byte, low, high uint32) {
	if g.o.Summaries && g.symbols[n].number > 0 {
		return
	}
	st := g.stamp(n)
	s := &g.symbols[n]
	m := xdp.Status{
		Stamp: st, Security: code, Halt: s.halt, Price1: s.numerator(low), Price2: s.numerator(high), SSRExchange: ' ', SSRState: s.ssr, Market: s.market,
	}
	if code == 'A' {
		m.Price1, m.SSRExchange, m.SSRVolume, m.Time = s.numerator(s.last), 'P', 100, g.hhmm(0)*100_000
	}
	g.pending = xdp.AppendStatus(g.pending, &m)
	g.made++
}

// hhmm is a time some seconds from now, decimal.
func (g *Gen) hhmm(after uint64) uint32 {
	minutes := (g.now/1e9 + after) / 60
	return uint32(minutes/60%24*100 + minutes%60)
}

// action is a change of the trading state: pauses, halts, their quoting and their end.
func (g *Gen) action(n uint16, state byte, reason string) {
	s := &g.symbols[n]
	none := g.halt('~')
	switch state {
	case 'P':
		s.halt = 'M'
	case 'H':
		switch {
		case strings.HasPrefix(reason, "IPO"):
			s.halt = g.halt('O')
		case strings.HasPrefix(reason, "T2"):
			s.halt = 'D'
		default:
			s.halt = 'P'
		}
	case 'Q':
		g.status(n, 'I', s.last-s.last/20, s.last+s.last/20)
		return
	case 'T':
		if s.halt == none {
			return // the first state of the day, which the status at the start told
		}
		s.halt = none
		s.upper, s.lower = 0, 0
		g.status(n, '5', 0, 0)
		return
	}
	g.status(n, '4', 0, 0)
}

func (g *Gen) shortSale(n uint16, action byte) {
	switch s := &g.symbols[n]; action {
	case '1':
		s.ssr = 'E'
		g.status(n, 'A', 0, 0)
	case '2':
		s.ssr = 'E'
		g.status(n, 'C', 0, 0)
	}
}

// id gives the next order number: Pillar's are unique over all markets, those before within an engine.
func (g *Gen) id() uint64 {
	g.lastID += 1 + g.r.below(3)
	if g.o.Version == xdp.V21 {
		return g.lastID
	}
	return uint64(g.o.Channel)<<48 | g.lastID
}

func (g *Gen) add(n uint16, m []byte) {
	o := order{id: g.id(), price: be.Uint32(m[32:]), volume: be.Uint32(m[20:]), side: m[19]}
	if m[0] == 'F' {
		o.firm = string(m[36:40])
	}
	g.orders[be.Uint64(m[11:])] = o
	g.rests(n, &o, int64(o.volume))
	if g.integrated() {
		w := g.wire(n, &o)
		g.pending = xdp.AppendAdd(g.pending, g.o.Version, &w)
		g.made++
	}
	if g.r.below(1000) < retailShare {
		g.retail(n)
	}
}

// wire is an order as messages tell it, with the stamp of the next one.
func (g *Gen) wire(n uint16, o *order) xdp.Order {
	return xdp.Order{Stamp: g.stamp(n), ID: o.id, Price: g.symbols[n].numerator(o.price), Volume: o.volume, Side: o.side, Firm: o.firm}
}

func (g *Gen) retail(n uint16) {
	s := &g.symbols[n]
	s.retail = " ABC"[g.r.below(4)]
	if !g.integrated() {
		return
	}
	st := g.stamp(n)
	g.pending = xdp.AppendRetail(g.pending, &st, s.retail)
	g.made++
}

// conditions of a trade (Pillar 2.4 and later).
func (g *Gen) conditions(n uint16, volume uint32, cross byte) [4]byte {
	c := [4]byte{'@', cross, ' ', ' '}
	if m := g.symbols[n].market; m == 'E' || m == 'L' {
		c[2] = 'T'
	}
	if volume < 100 {
		c[3] = 'I'
	}
	return c
}

// executed is a fill of a resting order. price 0: the order's own.
func (g *Gen) executed(n uint16, ref uint64, volume, trade, price uint32, printable uint8) {
	o, s := g.orders[ref], &g.symbols[n]
	if price == 0 {
		price = o.price
	}
	s.last = price
	if printable == 0 {
		s.crossed += uint64(volume)
	}
	if g.integrated() {
		g.pending = xdp.AppendExecution(g.pending, g.o.Version, &xdp.Execution{
			Stamp: g.stamp(n), Order: o.id, Trade: trade, Price: s.numerator(price), Volume: volume, Printable: printable,
			Conditions: g.conditions(n, volume, ' '),
		})
		g.made++
	}
	if printable == 1 {
		g.print(n, trade, price, volume, ' ')
	}
	g.rests(n, &o, -int64(volume))
	if o.volume -= volume; o.volume == 0 {
		delete(g.orders, ref)
	} else {
		g.orders[ref] = o
	}
}

// smaller takes a part off an order, which keeps its place.
func (g *Gen) smaller(n uint16, ref uint64, volume uint32) {
	o := g.orders[ref]
	o.volume -= volume
	g.orders[ref] = o
	g.rests(n, &o, -int64(volume))
	if g.integrated() {
		w := g.wire(n, &o)
		g.pending = xdp.AppendModify(g.pending, g.o.Version, &w)
		g.made++
	}
}

func (g *Gen) deleted(n uint16, ref uint64) {
	o := g.orders[ref]
	delete(g.orders, ref)
	g.rests(n, &o, -int64(o.volume))
	if g.integrated() {
		st := g.stamp(n)
		g.pending = xdp.AppendDelete(g.pending, g.o.Version, &st, o.id, 0)
		g.made++
	}
}

// replaced puts an order in another's place; one that moves to another price may keep its number: a peg, or a price band.
func (g *Gen) replaced(n uint16, m []byte) {
	old := be.Uint64(m[11:])
	o := g.orders[old]
	delete(g.orders, old)
	g.rests(n, &o, -int64(o.volume))
	was, moved := o.id, o.price != be.Uint32(m[31:])
	o.volume, o.price = be.Uint32(m[27:]), be.Uint32(m[31:])
	reprice := moved && g.r.below(1000) < repriceShare
	if !reprice {
		o.id = g.id()
	}
	g.orders[be.Uint64(m[19:])] = o
	g.rests(n, &o, int64(o.volume))
	if !g.integrated() {
		return
	}
	w := g.wire(n, &o)
	if reprice {
		if g.o.Version == xdp.V21 {
			w.Moved = 1
		}
		g.pending = xdp.AppendModify(g.pending, g.o.Version, &w)
	} else {
		g.pending = xdp.AppendReplace(g.pending, g.o.Version, was, &w)
	}
	g.made++
}

// hidden is a trade that no displayed order had a part in.
func (g *Gen) hidden(n uint16, trade, price, volume uint32, printable uint8, cross byte) {
	s := &g.symbols[n]
	s.last = price
	if printable == 1 {
		g.print(n, trade, price, volume, ' ')
	}
	if !g.integrated() {
		return
	}
	g.pending = xdp.AppendNonDisplayed(g.pending, g.o.Version, &xdp.Execution{
		Stamp: g.stamp(n), Trade: trade, Price: s.numerator(price), Volume: volume, Printable: printable, Conditions: g.conditions(n, volume, cross),
	})
	g.made++
}

// cross is an auction's end: what was not displayed, the bulk print, and now and then its correction. Displayed orders had their fills before.
func (g *Gen) cross(n uint16, m []byte) {
	shares, price, id := be.Uint64(m[11:]), be.Uint32(m[27:]), uint32(be.Uint64(m[31:]))
	kind := map[byte]byte{'O': 'O', 'C': '6', 'H': '5'}[m[39]]
	s := &g.symbols[n]
	displayed := s.crossed
	s.crossed = 0
	if shares == 0 {
		return
	}
	if shares > displayed {
		g.hidden(n, id, price, saturate(shares-displayed), 0, kind)
	}
	g.print(n, id, price, saturate(shares), kind)
	correct := g.r.below(1000) < correctShare
	if !g.integrated() {
		if correct {
			g.corrected(n, id, price, saturate(shares+100), kind)
		}
		return
	}
	st := g.stamp(n)
	g.pending = xdp.AppendCross(g.pending, &st, id, s.numerator(price), saturate(shares), kind)
	g.made++
	if correct {
		st := g.stamp(n)
		g.pending = xdp.AppendCrossCorrection(g.pending, &st, id, saturate(shares+100))
		g.made++
	}
}

func saturate(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func (g *Gen) imbalance(n uint16, m []byte) {
	s := &g.symbols[n]
	a := xdp.Auction{
		Stamp: g.stamp(n), Reference: s.numerator(be.Uint32(m[44:])), Paired: saturate(be.Uint64(m[11:])), Imbalance: saturate(be.Uint64(m[19:])),
		Side: ' ', BookClearing: s.numerator(be.Uint32(m[36:])), Indicative: s.numerator(be.Uint32(m[40:])), Upper: s.numerator(s.upper),
		Lower: s.numerator(s.lower), UnpairedSide: ' ', Significant: ' ',
	}
	if m[27] == 'B' || m[27] == 'S' {
		a.Side = m[27]
	}
	switch m[48] {
	case 'O':
		a.Type, a.Time = 'M', 930
	case 'C':
		a.Type, a.Time = 'C', 1600
	default:
		a.Type, a.Time = 'H', uint16(g.hhmm(300))
	}
	g.pending = xdp.AppendImbalance(g.pending, g.o.Version, &a)
	g.made++
}
