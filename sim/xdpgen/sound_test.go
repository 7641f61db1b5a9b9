package xdpgen

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// naive is order books as plainly as can be: per symbol and side, orders in the order of their arrival.
type naive struct {
	orders map[[2]uint64]*resting // symbol, id
	sides  map[uint32]*[2][]*resting
}

type resting struct {
	symbol uint32
	side   byte
	price  int64
	size   uint64
}

func (n *naive) side(symbol uint32, side byte) *[]*resting {
	if n.sides[symbol] == nil {
		n.sides[symbol] = new([2][]*resting)
	}
	if side == 'B' {
		return &n.sides[symbol][0]
	}
	return &n.sides[symbol][1]
}

func (n *naive) add(id uint64, r *resting) {
	n.orders[[2]uint64{uint64(r.symbol), id}] = r
	s := n.side(r.symbol, r.side)
	*s = append(*s, r)
}

func (n *naive) remove(id uint64, r *resting) {
	delete(n.orders, [2]uint64{uint64(r.symbol), id})
	s := n.side(r.symbol, r.side)
	i := slices.Index(*s, r)
	*s = append((*s)[:i], (*s)[i+1:]...)
}

// best is the first order at a side's best price.
func (n *naive) best(symbol uint32, side byte) (best *resting) {
	for _, r := range *n.side(symbol, side) {
		if best == nil || side == 'B' && r.price > best.price || side == 'S' && r.price < best.price {
			best = r
		}
	}
	return best
}

// TestSound: a session decoded by package xdp, row by row: nothing is refused and no symbol's sequence has a hole; times are those of the events
// and never go back; what is named rests, executions take the first order at the best price and no more than it has, no book is crossed. What rests
// before the close is what itchgen's own session, told in ITCH, has resting.
func TestSound(t *testing.T) {
	for _, o := range []Options{
		{Messages: 60_000, Symbols: 150, Seed: 7, Version: xdp.V25}, {Messages: 30_000, Symbols: 60, Seed: 8, Version: xdp.V21},
		{Messages: 6_000, Symbols: 1, Seed: 9, Version: xdp.V24},
	} {
		g := newGen(t, o)
		d, err := xdp.NewDecoder(xdp.Options{Version: o.Version.String()})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := tick.NewBatch()
		if err != nil {
			t.Fatal(err)
		}
		defer batch.Free()
		real, err := book.New(book.Options{Sparse: true})
		if err != nil {
			t.Fatal(err)
		}
		defer real.Close()
		d.Start(g.Midnight())
		books := &naive{orders: map[[2]uint64]*resting{}, sides: map[uint32]*[2][]*resting{}}
		var b []byte
		compared, last := false, uint64(0)
		for ok := true; ; {
			if b, ok = g.Next(b[:0]); !ok {
				break
			}
			if g.ended && !compared {
				compared = true
				sameAsITCH(t, g, o, books)
			}
			batch.Reset()
			if got := real.Counters().Orders; got != uint64(len(books.orders)) {
				t.Fatalf("before message %d: %d orders rest in package book, want %d", g.Messages(), got, len(books.orders))
			}
			if used, n := d.Append(b, g.Messages(), 1, batch); used != len(b) || n != 1 {
				t.Fatalf("message %d, %s: %d bytes and %d messages taken", g.Messages(), xdp.Name(xdp.Type(b)), used, n)
			}
			for i := range batch.N {
				if xdp.Type(b) == xdp.TypeSymbolIndexMapping {
					continue // it has no time
				}
				if at := batch.TsEvent[i]; at != g.Midnight()+g.Time() || at < last {
					t.Fatalf("message %d, %s: time %d, want %d, not before %d", g.Messages(), xdp.Name(xdp.Type(b)), at, g.Midnight()+g.Time(), last)
				}
				last = batch.TsEvent[i]
				books.row(t, batch, i, g.Messages())
			}
			real.Apply(batch, 0, batch.N)
		}
		if c := d.Counters(); d.Refused() != 0 || c.SymbolGaps != 0 || c.Unknown != 0 || c.Timeless != 0 || c.StopGap != 0 || c.OddTimes != 0 {
			t.Errorf("%v: %+v", o.Version, c)
		}
		c := *real.Counters()
		c.Orders, c.MaxOrders, c.Levels, c.Blocks, c.Pages, c.Bytes = 0, 0, 0, 0, 0, 0
		if c != (book.Counters{}) {
			t.Errorf("%v: package book complains: %+v", o.Version, c)
		}
		if err := real.Validate(); err != nil {
			t.Error(err)
		}
		if !compared || len(books.orders) != 0 {
			t.Errorf("%v: compared: %v, %d orders rest behind the close", o.Version, compared, len(books.orders))
		}
	}
}

func (n *naive) row(t *testing.T, b *tick.Batch, i int, number uint64) {
	t.Helper()
	symbol, id := b.Instrument[i], b.OrderID[i]
	r := n.orders[[2]uint64{uint64(symbol), id}]
	fail := func(what string) { t.Helper(); t.Fatalf("message %d, order %d of %d: %s", number, id, symbol, what) }
	switch kind := b.Kind[i]; kind {
	case tick.KindAdd:
		if r != nil {
			fail("rests already")
		}
		n.add(id, &resting{symbol, side(b.Side[i]), b.Price[i], b.Size[i]})
	case tick.KindModify, tick.KindDelete, tick.KindExec, tick.KindExecAt, tick.KindReplace, tick.KindReduce:
		if r == nil {
			fail("does not rest")
		}
		switch kind {
		case tick.KindDelete:
			n.remove(id, r)
		case tick.KindModify:
			if b.Price[i] == r.price { // it keeps its place
				if b.Size[i] >= r.size {
					fail("does not become smaller")
				}
				r.size = b.Size[i]
				break
			}
			n.remove(id, r)
			n.add(id, &resting{symbol, r.side, b.Price[i], b.Size[i]})
		case tick.KindReplace:
			n.remove(id, r)
			n.add(b.Aux[i], &resting{symbol, r.side, b.Price[i], b.Size[i]})
		default:
			if best := n.best(symbol, r.side); best != r {
				fail("is executed, and is not the first at the best price")
			}
			if b.Size[i] > r.size {
				fail("has less than is executed")
			}
			if r.size -= b.Size[i]; r.size == 0 {
				n.remove(id, r)
			}
		}
	case tick.KindClear:
		for _, s := range []byte{'B', 'S'} {
			*n.side(symbol, s) = nil
		}
		maps.DeleteFunc(n.orders, func(k [2]uint64, _ *resting) bool { return k[0] == uint64(symbol) })
	}
	if bid, ask := n.best(symbol, 'B'), n.best(symbol, 'S'); bid != nil && ask != nil && bid.price >= ask.price {
		t.Fatalf("message %d crosses the book of %d: %d, %d", number, symbol, bid.price, ask.price)
	}
}

func side(b byte) byte {
	if b == 'A' {
		return 'S'
	}
	return b
}

// sameAsITCH holds books against itchgen's session of the same seed, up to the same message.
func sameAsITCH(t *testing.T, g *Gen, o Options, books *naive) {
	t.Helper()
	src, err := itchgen.New(itchgen.Options{Symbols: g.o.Symbols, Seed: o.Seed, Date: g.o.Date, Messages: eventsFor(o.Messages, uint64(g.o.Symbols))})
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		symbol uint32
		side   byte
		price  int64
		size   uint64
	}
	orders := map[uint64]key{}
	be := binary.BigEndian
	var m []byte
	for src.Messages() < g.src.Messages() {
		m, _ = src.Next(m[:0])
		n := be.Uint16(m[1:]) - 1
		price := func(at int) int64 { return int64(min(be.Uint32(m[at:]), most(g, n))) * 100_000 }
		ref := uint64(0)
		if len(m) >= 19 {
			ref = be.Uint64(m[11:])
		}
		k := orders[ref]
		switch m[0] {
		case 'A', 'F':
			orders[ref] = key{g.symbols[n].index, m[19], price(32), uint64(be.Uint32(m[20:]))}
		case 'E', 'C', 'X':
			if k.size -= uint64(be.Uint32(m[19:])); k.size == 0 {
				delete(orders, ref)
			} else {
				orders[ref] = k
			}
		case 'D':
			delete(orders, ref)
		case 'U':
			delete(orders, ref)
			orders[be.Uint64(m[19:])] = key{k.symbol, k.side, price(31), uint64(be.Uint32(m[27:]))}
		}
	}
	count := map[key]int{}
	for _, k := range orders {
		count[k]++
	}
	for _, r := range books.orders {
		count[key{r.symbol, r.side, r.price, r.size}]--
	}
	for k, n := range count {
		if n != 0 {
			t.Fatalf("%v: %+v: %d more in ITCH", o.Version, k, n)
		}
	}
	if len(orders) == 0 {
		t.Fatal("nothing rests before the close")
	}
}

// most is the largest price that a symbol's scale can tell, 1e-4.
func most(g *Gen, n uint16) uint32 {
	if g.symbols[n].unit == 1 {
		return 1<<32 - 1
	}
	return mostAt6E4
}
