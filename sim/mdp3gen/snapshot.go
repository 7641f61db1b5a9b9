package mdp3gen

import "github.com/tickwire/tickwire/parsers/mdp3"

// Instruments is how many there are.
func (g *Gen) Instruments() int { return len(g.list) }

// Security is an instrument's SecurityID.
func (g *Gen) Security(i int) int32 { return g.list[i].def.Security }

// Symbol is an instrument's symbol.
func (g *Gen) Symbol(i int) string { return g.list[i].def.Symbol }

// Active says that something was sent of an instrument's market: others are in no snapshot loop.
func (g *Gen) Active(i int) bool { return g.list[i].active }

// AppendDefinition appends the definition of instrument i as the replay loop has it. total is TotNumReports.
func (g *Gen) AppendDefinition(dst []byte, i int, total uint32) []byte {
	x := &g.list[i]
	x.def.Trading = x.trading
	dst = g.definition(dst, x, total, mdp3.WireEndOfEvent)
	x.def.Trading = mdp3.WireNoByte
	return dst
}

func (g *Gen) definition(dst []byte, x *instrument, total uint32, indicator byte) []byte {
	d := &x.def
	d.TotNumReports, d.Indicator = total, indicator
	switch x.kind {
	case spread:
		return g.v.AppendSpread(dst, d)
	case option:
		return g.v.AppendOption(dst, d)
	}
	return g.v.AppendFuture(dst, d)
}

// AppendSnapshot appends template 52, or 69, of instrument i, as of incremental packet last, and in a loop of total messages.
func (g *Gen) AppendSnapshot(dst []byte, i int, last, total uint32) []byte {
	x := &g.list[i]
	s := mdp3.WireSnapshot{
		LastMsgSeqNumProcessed: last, TotNumReports: total, Security: x.def.Security, RptSeq: x.rpt, TransactTime: x.last,
		LastUpdateTime: x.def.LastUpdateTime, TradeDate: uint16(g.now / 86_400_000_000_000), Trading: x.trading, High: x.limits[0], Low: x.limits[1],
		Variation: 20 * x.tick,
	}
	var entries []mdp3.WireEntry
	put := func(e mdp3.WireEntry) {
		e.Date, e.OpenClose, e.SettlPrice = mdp3.WireNoDate, mdp3.WireNoByte, 0x80
		entries = append(entries, e)
	}
	for side := range 2 {
		for at, l := range x.books[side].levels {
			if at == x.depth {
				break
			}
			put(mdp3.WireEntry{Price: l.px * x.tick, Size: l.size, Orders: int32(len(l.orders)), Level: uint8(at + 1), Type: realType[side]})
		}
		for at, r := range x.imply[side] {
			put(mdp3.WireEntry{Price: r.px * x.tick, Size: r.size, Orders: mdp3.WireNoInt, Level: uint8(at + 1), Type: impliedType[side]})
		}
	}
	price := func(typ byte, px int64, size uint64) {
		if px != mdp3.WireNoPrice {
			put(mdp3.WireEntry{Price: px, Size: size, Orders: mdp3.WireNoInt, Type: typ})
		}
	}
	price('2', x.lastPx, x.lastSize)
	price('4', x.open, mdp3.WireNoSize)
	price('7', x.high, mdp3.WireNoSize)
	price('8', x.low, mdp3.WireNoSize)
	price('6', x.settlement, mdp3.WireNoSize)
	put(mdp3.WireEntry{Price: mdp3.WireNoPrice, Size: x.volume, Orders: mdp3.WireNoInt, Type: 'e'})
	put(mdp3.WireEntry{Price: mdp3.WireNoPrice, Size: x.cleared, Orders: mdp3.WireNoInt, Type: 'B'})
	put(mdp3.WireEntry{Price: mdp3.WireNoPrice, Size: x.oi, Orders: mdp3.WireNoInt, Type: 'C'})
	if g.o.LongQty {
		return g.v.AppendSnapshotLong(dst, &s, entries)
	}
	return g.v.AppendSnapshot(dst, &s, entries)
}

// chunkOrders is how many orders a piece of an MBO snapshot has at most.
const chunkOrders = 40

// EachOrderSnapshot calls fn with the pieces of template 53 of instrument i; bids and asks take turns, each from the best one on.
func (g *Gen) EachOrderSnapshot(i int, last, total uint32, fn func(message []byte)) {
	x := &g.list[i]
	var by [2][]mdp3.WireOrderLevel
	for side := range 2 {
		for _, l := range x.books[side].levels {
			for _, o := range l.orders {
				by[side] = append(by[side], mdp3.WireOrderLevel{ID: o.id, Priority: o.priority, Price: l.px * x.tick, Size: o.size, Type: realType[side]})
			}
		}
	}
	all := make([]mdp3.WireOrderLevel, 0, len(by[0])+len(by[1]))
	for n := range max(len(by[0]), len(by[1])) {
		for side := range 2 {
			if n < len(by[side]) {
				all = append(all, by[side][n])
			}
		}
	}
	chunks := max((len(all)+chunkOrders-1)/chunkOrders, 1)
	for c := range chunks {
		piece := all[min(c*chunkOrders, len(all)):min((c+1)*chunkOrders, len(all))]
		fn(g.v.AppendOrderSnapshot(nil, &mdp3.WireOrderSnapshot{
			LastMsgSeqNumProcessed: last, TotNumReports: total, Security: x.def.Security, NoChunks: uint32(chunks), CurrentChunk: uint32(c + 1),
			TransactTime: x.last,
		}, piece))
	}
}

// Level is a level of the market's own book, at its conventional price in 1e-9, which is the wire's times DisplayFactor. Orders is 0 where the book is implied.
type Level struct {
	Price  int64
	Size   uint64
	Orders int
}

// Order is a resting order of the market's own book, at its conventional price in 1e-9.
type Order struct {
	ID, Priority uint64
	Price        int64
	Size         uint64
}

// Levels gives a side's levels of instrument i within its depth, best first: what a receiver's book must hold. Side 0 is the bids.
func (g *Gen) Levels(i, side int) (levels []Level) {
	x := &g.list[i]
	for at, l := range x.books[side].levels {
		if at < x.depth {
			levels = append(levels, Level{l.px * x.price, l.size, len(l.orders)})
		}
	}
	return levels
}

// Implied is Levels of the implied book.
func (g *Gen) Implied(i, side int) (levels []Level) {
	for _, r := range g.list[i].imply[side] {
		levels = append(levels, Level{r.px * g.list[i].price, r.size, 0})
	}
	return levels
}

// Orders gives a side's orders of instrument i, by price, then by MDOrderPriority.
func (g *Gen) Orders(i, side int) (orders []Order) {
	x := &g.list[i]
	for _, l := range x.books[side].levels {
		for _, o := range l.orders {
			orders = append(orders, Order{o.id, o.priority, l.px * x.price, o.size})
		}
	}
	return orders
}

// RptSeq is the latest one of instrument i.
func (g *Gen) RptSeq(i int) uint32 { return g.list[i].rpt }

// Depth is how many levels are sent of instrument i, and how many implied ones.
func (g *Gen) Depth(i int) (depth, implied int) {
	return g.list[i].depth, int(g.list[i].def.ImpliedDepth)
}
