package mdp3gen

import (
	"slices"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// side is one side of a book: levels with at least one order, best first.
type side struct {
	levels []level
	spare  [][]resting // memory of levels that are gone
}

type level struct {
	px     int64 // ticks
	size   uint64
	orders []resting // first in the queue first
}

type resting struct {
	id, priority uint64
	size         uint64
}

const (
	bids = 0
	asks = 1
)

// better says that a is a better price than b on a side.
func better(s int, a, b int64) bool {
	if s == bids {
		return a > b
	}
	return a < b
}

// find gives the place of a price, or where it would be.
func (b *side) find(s int, px int64) (at int, found bool) {
	for at < len(b.levels) && better(s, b.levels[at].px, px) {
		at++
	}
	return at, at < len(b.levels) && b.levels[at].px == px
}

func (b *side) orders() (n int) {
	for i := range b.levels {
		n += len(b.levels[i].orders)
	}
	return n
}

// entryTypes of the real and the implied book's sides.
var (
	realType    = [2]byte{'0', '1'}
	impliedType = [2]byte{'E', 'F'}
)

// entry notes what became of a level and says which entry that is, 1 the first; 0: it is beyond the depth, and nothing is sent.
func (g *Gen) entry(x *instrument, s, at int, action uint8, l *level) int {
	if at >= x.depth {
		return 0
	}
	e := &g.event
	e.levels = append(e.levels, mdp3.WireLevel{
		Price: l.px * x.tick, Size: l.size, Security: x.def.Security, Orders: int32(len(l.orders)), Level: uint8(at + 1), Action: action, Type: realType[s],
	})
	e.of = append(e.of, x)
	return len(e.levels)
}

// join puts an order at the tail of its price's queue, and says which entry tells of the level.
func (g *Gen) join(x *instrument, s int, px int64, o resting) (ref int) {
	b := &x.books[s]
	at, found := b.find(s, px)
	if !found {
		l := level{px: px}
		if n := len(b.spare); n > 0 {
			l.orders, b.spare = b.spare[n-1], b.spare[:n-1]
		}
		b.levels = slices.Insert(b.levels, at, l)
	}
	l := &b.levels[at]
	l.orders = append(l.orders, o)
	l.size += o.size
	if found {
		return g.entry(x, s, at, 1, l)
	}
	return g.entry(x, s, at, 0, l)
}

// changed notes that a level has changed, or that it is gone when it has no orders left. was is the level as it was: a Delete describes the
// row that goes. It says which entry tells of the level.
func (g *Gen) changed(x *instrument, s, at int, was *level) (ref int) {
	b := &x.books[s]
	l := &b.levels[at]
	if len(l.orders) > 0 {
		return g.entry(x, s, at, 1, l)
	}
	ref = g.entry(x, s, at, 2, was)
	b.spare = append(b.spare, l.orders[:0])
	b.levels = slices.Delete(b.levels, at, at+1)
	if at < x.depth && len(b.levels) >= x.depth {
		g.entry(x, s, x.depth-1, 0, &b.levels[x.depth-1]) // the level that moved up into the depth: its orders are known
	}
	return ref
}

// leave takes an order out, and says which entry tells of its level.
func (g *Gen) leave(x *instrument, s, at, nth int) (o resting, ref int) {
	l := &x.books[s].levels[at]
	o = l.orders[nth]
	was := *l
	was.orders = append(g.event.was[:0], l.orders...)
	g.event.was = was.orders
	l.orders = slices.Delete(l.orders, nth, nth+1)
	l.size -= o.size
	return o, g.changed(x, s, at, &was)
}

// tell notes what became of an order: in the order group, where an entry tells of its level, else by itself.
func (g *Gen) tell(x *instrument, s int, px int64, o *resting, action uint8, ref int) {
	e := &g.event
	if ref != 0 && !e.split {
		e.orders = append(e.orders, mdp3.WireOrder{ID: o.id, Priority: o.priority, Size: o.size, Reference: uint8(ref), Action: action})
		return
	}
	e.alone = append(e.alone, mdp3.WireOrderLevel{
		ID: o.id, Priority: o.priority, Price: px * x.tick, Size: o.size, Security: x.def.Security, Action: action, Type: realType[s],
	})
}
