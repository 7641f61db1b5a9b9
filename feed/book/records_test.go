package book

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// Goal: the index is a map, whatever mixture of lone orders and pages its spans are in. Method: against a map, with
// references from few spans so that each goes through all its states, orders numbered up to both ends of what a directory
// entry can hold, and bounds that are met.
func TestIndexIsAMap(t *testing.T) {
	const spans, pages = 40, 25
	b := newBooks(t, Options{MaxPages: pages, MaxReference: spans << pageShift, MaxOrders: 1 << 10})
	x := &b.index
	for _, x.lone = range []bool{true, false} {
		r := rand.New(rand.NewPCG(8, 8))
		want := map[uint64]uint32{}
		refused := 0
		for step := range 400_000 {
			ref := r.Uint64N(spans << pageShift)
			if step/20_000%2 == 1 || r.IntN(2) == 0 { // now and then all in a few places of each span
				ref &^= pageMask - 3
			}
			if got := x.find(0, ref); got != want[ref] {
				t.Fatalf("step %d: find(%d) = %d, want %d", step, ref, got, want[ref])
			}
			// Every other phase takes out more than it enters.
			switch enter := r.IntN(10) < 3+4*(step/10_000%2); {
			case want[ref] != 0 && !enter:
				x.drop(0, ref, 0)
				delete(want, ref)
			case want[ref] == 0 && enter && !x.hasRoom(ref):
				refused++
			case want[ref] == 0 && enter:
				n := 1 + r.Uint32N(loneMask)
				if !x.lone && r.IntN(2) == 0 {
					n = loneMask + 1 + r.Uint32N(1<<28)
				}
				x.put(0, ref, n)
				want[ref] = n
			}
		}
		if refused == 0 || x.pool.inUse == 0 {
			t.Errorf("%d refused, %d pages in use: the bound was never met", refused, x.pool.inUse)
		}
		for ref := range want {
			x.drop(0, ref, 0)
		}
		if x.pool.inUse != 0 {
			t.Errorf("emptied, but %d pages in use", x.pool.inUse)
		}
		for at := range uint64(spans) {
			if d := *x.dirEntry(at << pageShift); d != 0 {
				t.Errorf("emptied, but the entry of span %d is %#x", at, d)
			}
		}
		if got := x.find(0, x.limit); got != 0 {
			t.Errorf("beyond the limit: %d", got)
		}
	}
}

// The search of a block is what a plain loop finds: in a leaf how many keys are not greater, in an inner block the last such
// entry but never before the first, whose own key may be any.
func TestBlockSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 20_000 {
		var k block
		for at := range k.keys {
			k.keys[at] = noKey
		}
		k.n = uint32(1 + r.IntN(blockEntries))
		for at := range k.n {
			k.keys[at] = uint64(r.IntN(60)) << uint(r.IntN(2)*58)
		}
		keys := k.keys[:k.n]
		slices.Sort(keys)
		keys = slices.Compact(keys)
		k.n = uint32(len(keys))
		for at := k.n; at < blockEntries; at++ {
			k.keys[at] = noKey
		}
		key := uint64(r.IntN(60)) << uint(r.IntN(2)*58)
		want := uint32(0)
		for at, have := range keys {
			if have <= key {
				want = uint32(at + 1)
			}
		}
		if got := k.after(key); got != want {
			t.Fatalf("after(%d) = %d in %d", key, got, keys)
		}
		want = max(want, 1) - 1
		k.keys[0] = r.Uint64() // not looked at
		if got := k.child(key); got != want {
			t.Fatalf("child(%d) = %d in %d", key, got, keys)
		}
	}
}

// Keys order prices from worst to best on both sides, and turn back into them.
func TestKeys(t *testing.T) {
	var none Books // price 0 is no price either
	r := rand.New(rand.NewPCG(10, 10))
	price := func() int64 {
		if r.IntN(8) == 0 {
			return [...]int64{math.MinInt64, -math.MaxInt64, 1 - math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64}[r.IntN(5)]
		}
		return int64(r.Uint64()) >> uint(r.IntN(60))
	}
	for range 100_000 {
		p, q := price(), price()
		if none.badPrice(p) || none.badPrice(q) {
			continue
		}
		for side := range uint32(2) {
			better := p > q
			if side == ask {
				better = p < q
			}
			kp, kq := keyOf(p, side), keyOf(q, side)
			if (kp > kq) != better || (kp == kq) != (p == q) || priceOf(kp, side) != p || kp == noKey {
				t.Fatalf("side %d: prices %d, %d have keys %d, %d", side, p, q, kp, kq)
			}
		}
	}
}

// Goal: nodes never run out before orders, however orders and levels outlive each other. Method: the sequences that leave
// levels behind most often, and random ones, at the limit of MaxOrders; no order within it is refused, and the free lists
// stay below half of it (Validate looks at that).
func TestNodesSuffice(t *testing.T) {
	const most = 64
	b, batch := newBooks(t, Options{MaxOrders: most}), newBatch(t)
	r := rand.New(rand.NewPCG(11, 11))
	next := uint64(1)
	type live struct {
		id    uint64
		level int64
	}
	var rests []live
	add := func(level int64) {
		rests = append(rests, live{next, level})
		apply(b, batch, bidAt(1, next, level))
		next++
	}
	drop := func(at int) {
		apply(b, batch, row{kind: tick.KindDelete, id: rests[at].id, instrument: 1})
		rests = slices.Delete(rests, at, at+1)
	}
	for round := range 3000 {
		switch round % 3 {
		case 0: // pairs at a price of their own, of which the first goes
			for level := int64(1); len(rests)+2 <= most; level++ {
				add(1000 + level)
				add(1000 + level)
			}
			for at := len(rests) - 2; at >= 0; at -= 2 {
				drop(at)
			}
		case 1: // orders alone at their price as far as they go
			for level := int64(1); len(rests) < most; level++ {
				add(2000*int64(round+1) + level)
			}
		default:
			for range 100 {
				if len(rests) < most && r.IntN(2) == 0 {
					add(1 + r.Int64N(40))
				} else if len(rests) > 0 {
					drop(r.IntN(len(rests)))
				}
			}
		}
		for len(rests) > most/2 && r.IntN(8) != 0 {
			drop(r.IntN(len(rests)))
		}
		if round%3 == 0 || round < 50 {
			if err := b.Validate(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	if c := b.Counters(); c.NoRoom != 0 || c.MaxOrders != most {
		t.Errorf("counters %+v", *c)
	}
}

// A level's node waits for a joiner only as long as the level lives. Goal: no sequence of orders wears nodes out. Method: an order
// whose level outlives it joins a new level, whose own order goes first; again and again, with three orders at once at most.
func TestNodesComeBack(t *testing.T) {
	b, batch := newBooks(t, Options{MaxOrders: 16}), newBatch(t)
	apply(b, batch, bidAt(1, 1, 5), bidAt(1, 2, 5), row{kind: tick.KindDelete, id: 1, instrument: 1})
	for id := uint64(3); id < 1000; id += 2 {
		apply(b, batch, bidAt(1, id, 9), bidAt(1, id+1, 9), row{kind: tick.KindDelete, id: id, instrument: 1}, row{kind: tick.KindDelete, id: id + 1, instrument: 1})
	}
	if err := b.Validate(); err != nil {
		t.Error(err)
	}
	if c := b.Counters(); c.NoRoom != 0 || c.Orders != 1 || b.orders.fresh > 4 {
		t.Errorf("%d nodes handed out; counters %+v", b.orders.fresh, *c)
	}
}

// The look-ahead may follow what a block does not use, so that must be of the block's own sort: a level's number times the size of a
// block may lie behind all blocks.
func TestBlocksBeginEmpty(t *testing.T) {
	b := newBooks(t, Options{})
	n, k := b.newBlock()
	for at := range uint32(blockEntries) {
		k.insert(at, uint64(at), math.MaxUint32)
	}
	b.freeBlock(n)
	m, k := b.newBlock()
	if m != n || k.refs != [blockEntries]uint32{} || k.n != 0 {
		t.Errorf("block %d, then %d: %+v", n, m, *k)
	}
}
