package itchgen

import "encoding/binary"

// Messages as the TotalView-ITCH 5.0 specification lays them out, big-endian. All begin
//
//	0        1         3          5                 11
//	+--------+---------+----------+-----------------+- ...
//	| type   | locate  | tracking | timestamp u48   | fields of the type
//	+--------+---------+----------+-----------------+- ...
//
// An event appends its messages side by side to Gen.out, without times: those are put in when a message leaves.

// wireLen is the length of each type that is made here.
var wireLen = [256]uint8{
	'S': 12, 'R': 39, 'H': 25, 'Y': 20, 'L': 26, 'V': 35, 'K': 28, 'J': 35,
	'A': 36, 'F': 40, 'E': 31, 'C': 36, 'X': 23, 'D': 19, 'U': 35,
	'P': 44, 'Q': 40, 'B': 19, 'I': 50,
}

var be = binary.BigEndian

// message makes room for one and writes its head.
func (g *Gen) message(typ byte, locate uint16, tracking uint16) []byte {
	n, l := len(g.out), int(wireLen[typ])
	if n+l > cap(g.out) {
		g.out = append(make([]byte, 0, 2*cap(g.out)+l), g.out...)
	}
	g.out = g.out[:n+l]
	g.made++
	b := g.out[n : n+l : n+l]
	b[0] = typ
	be.PutUint16(b[1:], locate)
	be.PutUint16(b[3:], tracking)
	return b
}

func (g *Gen) system(code byte) { g.message('S', 0, 0)[11] = code }

func (g *Gen) add(o *order) {
	s := &g.symbols[o.symbol]
	typ := byte('A')
	if o.mpid != 0 {
		typ = 'F'
	}
	b := g.message(typ, o.symbol+1, 0)
	be.PutUint64(b[11:], o.ref)
	b[19] = "BS"[o.side&1]
	be.PutUint32(b[20:], o.size)
	copy(b[24:32], s.name[:])
	be.PutUint32(b[32:], s.price(o.level))
	if o.mpid != 0 {
		copy(b[36:40], participants[o.mpid-1])
	}
}

// participants are invented firms.
var participants = [...]string{
	"ALBT", "BRQM", "CDLX", "DVNR", "EASK", "FNLY", "GRTH", "HLMR", "JNPR", "KESL", "LDGR", "MRWK",
	"NRTH", "OAKM", "PTRL", "QNTC", "RVRA", "SLBY", "TMPS", "UNDR", "VSTL", "WYND", "XCHR", "ZNTH",
}

func (g *Gen) executed(o *order, size uint32) {
	b := g.message('E', o.symbol+1, 2)
	be.PutUint64(b[11:], o.ref)
	be.PutUint32(b[19:], size)
	be.PutUint64(b[23:], g.match(o.symbol, true))
}

func (g *Gen) executedAt(o *order, size uint32, printable byte, price uint32) {
	b := g.message('C', o.symbol+1, 2)
	be.PutUint64(b[11:], o.ref)
	be.PutUint32(b[19:], size)
	be.PutUint64(b[23:], g.match(o.symbol, printable == 'Y'))
	b[31] = printable
	be.PutUint32(b[32:], price)
}

func (g *Gen) canceled(o *order, size uint32) {
	b := g.message('X', o.symbol+1, 0)
	be.PutUint64(b[11:], o.ref)
	be.PutUint32(b[19:], size)
}

func (g *Gen) deleted(o *order) {
	be.PutUint64(g.message('D', o.symbol+1, 0)[11:], o.ref)
}

func (g *Gen) replaced(old uint64, o *order) {
	b := g.message('U', o.symbol+1, 0)
	be.PutUint64(b[11:], old)
	be.PutUint64(b[19:], o.ref)
	be.PutUint32(b[27:], o.size)
	be.PutUint32(b[31:], g.symbols[o.symbol].price(o.level))
}

// hidden is a trade against an order that nobody saw: no reference, and the side says nothing.
func (g *Gen) hidden(n uint16, size, price uint32) {
	b := g.message('P', n+1, 2)
	be.PutUint64(b[11:], 0)
	b[19] = 'B'
	be.PutUint32(b[20:], size)
	copy(b[24:32], g.symbols[n].name[:])
	be.PutUint32(b[32:], price)
	be.PutUint64(b[36:], g.match(n, true))
}

func (g *Gen) broken(p print) {
	be.PutUint64(g.message('B', p.symbol+1, 2)[11:], p.match)
}

func (g *Gen) crossed(n uint16, shares uint64, price uint32, kind byte) {
	b := g.message('Q', n+1, 2)
	be.PutUint64(b[11:], shares)
	copy(b[19:27], g.symbols[n].name[:])
	be.PutUint32(b[27:], price)
	be.PutUint64(b[31:], g.match(n, false))
	b[39] = kind
}

func (g *Gen) collar(n uint16, reference, upper, lower uint32) {
	b := g.message('J', n+1, 0)
	copy(b[11:19], g.symbols[n].name[:])
	be.PutUint32(b[19:], reference)
	be.PutUint32(b[23:], upper)
	be.PutUint32(b[27:], lower)
	be.PutUint32(b[31:], 0)
}

func (g *Gen) directory(n uint16) {
	l := &g.listings[n]
	b := g.message('R', n+1, 0)
	copy(b[11:19], g.symbols[n].name[:])
	b[19], b[20] = l.category, l.financial
	be.PutUint32(b[21:], l.lot)
	b[25], b[26], b[27], b[28] = 'N', l.class, l.subType[0], l.subType[1]
	b[29], b[30], b[31], b[32], b[33] = l.authenticity, 'N', l.ipo, l.tier, l.etp
	be.PutUint32(b[34:], l.leverage)
	b[38] = l.inverse
}

// action tells a trading state; reason has at most four characters.
func (g *Gen) action(n uint16, state byte, reason string) {
	b := g.message('H', n+1, 0)
	copy(b[11:19], g.symbols[n].name[:])
	b[19], b[20] = state, ' '
	copy(b[21:25], "    ")
	copy(b[21:25], reason)
}

func (g *Gen) shortSale(n uint16, action byte) {
	b := g.message('Y', n+1, 0)
	copy(b[11:19], g.symbols[n].name[:])
	b[19] = action
}

func (g *Gen) position(n uint16, participant int) {
	b := g.message('L', n+1, 0)
	copy(b[11:15], participants[participant])
	copy(b[15:23], g.symbols[n].name[:])
	b[23], b[24], b[25] = "YN"[participant&1], 'N', 'A'
}

// declines are the levels of the market-wide breaker: 7, 13 and 20 % below an index of 6,100.
func (g *Gen) declines() {
	const index = 6_100_00000000
	b := g.message('V', 0, 0)
	be.PutUint64(b[11:], index/100*93)
	be.PutUint64(b[19:], index/100*87)
	be.PutUint64(b[27:], index/100*80)
}

func (g *Gen) quoting(n uint16, releaseSeconds, price uint32) {
	b := g.message('K', n+1, 0)
	copy(b[11:19], g.symbols[n].name[:])
	be.PutUint32(b[19:], releaseSeconds)
	b[23] = 'A'
	be.PutUint32(b[24:], price)
}

// print is a trade that can be broken.
type print struct {
	match  uint64
	symbol uint16
}

// match gives the next match number. Numbers are the session's: executions, hidden trades and crosses share them.
func (g *Gen) match(symbol uint16, isPrint bool) uint64 {
	g.matches++
	if isPrint {
		g.printed = print{g.matches, symbol}
	}
	return g.matches
}
