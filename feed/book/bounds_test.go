package book

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// apply runs rows through the books as one pass and returns them completed.
func apply(b *Books, batch *tick.Batch, rows ...row) []row {
	batch.Reset()
	for i := range rows {
		rows[i].put(batch)
	}
	b.Apply(batch, 0, batch.N)
	done := make([]row, len(rows))
	for i := range done {
		done[i] = rowOf(batch, i)
	}
	return done
}

func bidAt(instrument uint32, id uint64, ticks int64) row {
	return row{kind: tick.KindAdd, side: tick.SideBid, instrument: instrument, id: id, price: ticks * 100_000, size: 100}
}

// A sender of scattered references costs its own orders, not the machine's memory: an order alone among its references takes
// no page, pages for those in company are bounded, what does not fit is refused, counted and makes its instrument suspect,
// and pages come back when their orders die.
func TestScatteredReferences(t *testing.T) {
	const pages = 1000
	b, batch := newBooks(t, Options{MaxPages: pages}), newBatch(t)
	for id := range uint64(2 * pages) {
		if w := apply(b, batch, bidAt(7, id<<20, 5))[0]; w.state&(tick.StateApplied|tick.StateSuspect) != tick.StateApplied {
			t.Fatalf("order %d, alone: state %b", id, w.state)
		}
	}
	if c := b.Counters(); c.Pages != 0 || c.Orders != 2*pages {
		t.Fatalf("counters %+v", *c)
	}
	for id := range uint64(2 * pages) {
		w := apply(b, batch, bidAt(7, id<<20|1, 5))[0]
		if fits := id < pages; (w.state&tick.StateApplied != 0) != fits || (w.state&tick.StateSuspect == 0) != fits {
			t.Fatalf("order %d, in company: state %b", id, w.state)
		}
	}
	c := b.Counters()
	if c.NoRoom != pages || c.Pages != pages || !b.Suspect(7) || b.Suspect(8) {
		t.Fatalf("counters %+v, suspect %v", *c, b.Suspect(7))
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	for id := range uint64(pages) {
		at := id<<20 + 1<<19
		apply(b, batch, row{kind: tick.KindDelete, id: id << 20, instrument: 7}, row{kind: tick.KindDelete, id: id<<20 | 1, instrument: 7},
			bidAt(8, at, 6), bidAt(8, at+63, 6))
	}
	if c := b.Counters(); c.NoRoom != pages || c.Pages != pages || c.Orders != 3*pages {
		t.Fatalf("pages were not recycled: %+v", *c)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestBounds(t *testing.T) {
	const most = 3
	b, batch := newBooks(t, Options{MaxOrders: most, MaxReference: 1000, MaxInstruments: 10}), newBatch(t)
	rows := apply(b, batch,
		bidAt(1, 0, 5), bidAt(1, 999, 6), bidAt(1, 1000, 7), bidAt(1, math.MaxUint64, 7), bidAt(10, 5, 7),
		row{kind: tick.KindReplace, instrument: 1, id: 0, aux: 1 << 63, price: 900_000, size: 1},
		bidAt(2, 1, 5), bidAt(2, 2, 5), bidAt(2, 3, 5),
		bidAt(2, 1, 6), // a duplicate takes no more room
		row{kind: tick.KindDelete, id: math.MaxUint64, instrument: 1},
		row{kind: tick.KindTrade, instrument: 1 << 31},
	)
	const a, top, gone, dup, sus = tick.StateApplied, tick.StateTop, tick.StateGone, tick.StateDuplicate, tick.StateSuspect
	for i, want := range []uint8{a | top, a | top, sus, sus, 0, a | gone | sus, a | top, a | top, sus, a | top | dup | sus, sus, a} {
		if rows[i].state != want {
			t.Errorf("row %d: state %b, want %b", i, rows[i].state, want)
		}
	}
	if w := rows[9]; w.oldPrice != 500_000 || w.oldSize != 100 {
		t.Errorf("stale order was %d × %d", w.oldPrice, w.oldSize)
	}
	if got := rows[11]; got.before != tick.EmptyPair || got.after != tick.EmptyPair {
		t.Errorf("instrument out of range has best prices %+v", got)
	}
	c := *b.Counters()
	if c.OverReference != 3 || c.OverInstrument != 1 || c.NoRoom != 1 || c.Duplicate != 1 || c.Unknown[tick.KindDelete] != 1 || c.Orders != most {
		t.Errorf("counters %+v", c)
	}
	if err := b.Validate(); err != nil {
		t.Error(err)
	}
}

// Level totals are 64-bit; best sizes saturate below the value that means "not set".
func TestSizesBeyond32Bits(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	for id := range uint64(3) {
		w := bidAt(1, id, 5)
		w.size = math.MaxUint32
		apply(b, batch, w)
	}
	if top := b.Top(1); top.BidSz != tick.MaxSize || top.BidCt != 3 {
		t.Errorf("best prices %+v", top)
	}
	var l [2]Level
	if n := b.Levels(1, tick.SideBid, l[:]); n != 1 || l[0] != (Level{500_000, 3 * math.MaxUint32, 3}) {
		t.Errorf("%d levels: %+v", n, l)
	}
}

// Goal: a side may have any number of levels, in any order of arrival and departure, and stays a sound tree.
func TestDeepSide(t *testing.T) {
	const levels = 40_000
	for name, at := range map[string]func(i int64) int64{
		"ascending": func(i int64) int64 { return 1 + i }, "descending": func(i int64) int64 { return levels - i },
		"from both ends": func(i int64) int64 { return 1 + (i>>1^-(i&1))&(1<<20-1) },
		"scattered":      func(i int64) int64 { return 1 + i*48_271%2_147_483_647 },
	} {
		t.Run(name, func(t *testing.T) {
			b, batch := newBooks(t, Options{}), newBatch(t)
			for i := range int64(levels) {
				apply(b, batch, bidAt(1, uint64(i), at(i)))
			}
			check := func(want int) {
				t.Helper()
				if err := b.Validate(); err != nil {
					t.Fatal(err)
				}
				dst := make([]Level, levels+1)
				if n := b.Levels(1, tick.SideBid, dst); n != want {
					t.Fatalf("%d levels, want %d", n, want)
				}
			}
			check(levels)
			if h := b.instrument(1).height[bid]; h > 5 {
				t.Errorf("tree of %d levels is %d high", levels, h)
			}
			order := rand.New(rand.NewPCG(1, 1)).Perm(levels)
			for done, i := range order {
				apply(b, batch, row{kind: tick.KindDelete, id: uint64(i), instrument: 1})
				if done%(levels/8) == 0 {
					check(levels - done - 1)
				}
			}
			if c := b.Counters(); c.Orders|c.Levels|c.Blocks|c.Pages != 0 {
				t.Errorf("emptied, but %+v", *c)
			}
		})
	}
}

// Each kind of damage must be seen by Validate and named.
func TestValidateSeesDamage(t *testing.T) {
	for name, tc := range map[string]struct {
		damage func(b *Books)
		want   string
	}{
		"best size":  {func(b *Books) { b.instrument(1).sz[bid]++ }, "instrument 1 side B: best price"},
		"best level": {func(b *Books) { b.instrument(1).best[bid]-- }, "instrument 1 side B: best level"},
		"no key":     {func(b *Books) { k := b.block(b.instrument(1).leaf[bid]); k.keys[k.n] = 1 }, "is not in use, but has key 1"},
		"free level": {func(b *Books) {
			n := b.newOrder()
			b.level(n).count = 1
			b.freeOrder(n, b.order(n))
			b.orders.free, b.halves = n, 0
		}, "still has a level"},
		"level sum":   {func(b *Books) { b.level(1).size++ }, "level 1 at 0.0001"},
		"level count": {func(b *Books) { b.level(1).count++ }, "level 1 at 0.0001"},
		"level key":   {func(b *Books) { b.level(1).key++ }, "level 1 at 0.0001"},
		"queue":       {func(b *Books) { b.order(2).prev = 0 }, "order 2: follows"},
		"queue end":   {func(b *Books) { b.level(1).tail = 1 }, "ends with number 1"},
		"order size":  {func(b *Books) { b.order(1).size = 0 }, "order 1: no shares left"},
		"order level": {func(b *Books) { b.order(1).level = 2 }, "order 1: says level 2"},
		"index":       {func(b *Books) { *b.index.slot(1, 1) = 2 }, "order 1: is number 1"},
		"index extra": {func(b *Books) { *b.index.slot(2, 63) = 2 }, "reference 127 names"},
		"index lone":  {func(b *Books) { *b.index.dirEntry(999_999) = lone(999_999, 101) }, "reference 999999 names"},
		"index count": {func(b *Books) { *b.index.dirEntry(1)++ }, "counted"},
		"page 0":      {func(b *Books) { *b.index.slot(0, 9) = 1 }, "page 0"},
		"tree order":  {func(b *Books) { k := b.block(b.instrument(1).leaf[bid]); k.keys[0], k.keys[1] = k.keys[1], k.keys[0] }, "its entry has key"},
		"leaf chain":  {func(b *Books) { b.block(b.instrument(1).leaf[bid]).worse = 0 }, "leaf chain"},
		"leaked":      {func(b *Books) { b.newOrder() }, "orders: 101 are linked in, 102"},
		"free list":   {func(b *Books) { b.halves = 3 }, "orders: free list"},
		"levels":      {func(b *Books) { b.levels++ }, "levels: 51 are linked in, 52"},
	} {
		t.Run(name, func(t *testing.T) {
			b, batch := newBooks(t, Options{}), newBatch(t)
			for id := range uint64(100) {
				apply(b, batch, bidAt(1, id+1, 1+int64(id)/2))
			}
			apply(b, batch, bidAt(2, 1<<20, 1))
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			tc.damage(b)
			if err := b.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want something with %q", err, tc.want)
			}
		})
	}
}

// The same for what only sparse books have.
func TestValidateSeesDamageOfSparse(t *testing.T) {
	slotOf := func(b *Books, id uint64) *orderSlot {
		for at := range b.table.mask + 1 {
			if s := b.table.order(at); s.node != 0 && b.order(s.node).id == id {
				return s
			}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		damage func(b *Books)
		want   string
	}{
		"lost":             {func(b *Books) { *slotOf(b, 7) = orderSlot{} }, "order 7: is number"},
		"of another order": {func(b *Books) { slotOf(b, 7).node = slotOf(b, 8).node }, "order 7: is number"},
		"another tag":      {func(b *Books) { slotOf(b, 7).tag++ }, "order 7: is number"},
		"tag left behind":  {func(b *Books) { b.table.put(0, 1<<40, 0) }, "is empty, but has tag"},
		"extra":            {func(b *Books) { b.table.put(0, 1<<40, slotOf(b, 7).node) }, "101 entries, 100 orders"},
		"free order":       {func(b *Books) { b.table.put(0, 1<<40, 101) }, "names number 101"},
		"instrument":       {func(b *Books) { b.instrument(0).number++ }, "but found at"},
	} {
		t.Run(name, func(t *testing.T) {
			b, batch := newBooks(t, Options{Sparse: true, MaxOrders: 1 << 10}), newBatch(t)
			for id := range uint64(100) {
				apply(b, batch, bidAt(1<<31, id+1, 1+int64(id)/2))
			}
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			tc.damage(b)
			if err := b.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want something with %q", err, tc.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	_, err := New(Options{MaxOrders: -1, MaxPages: 1 << 30, MaxReference: 1 << 63, MaxInstruments: 1 << 25, Prefault: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"MaxOrders", "MaxPages", "MaxReference", "MaxInstruments", "Prefault"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	b := newBooks(t, Options{Prefault: 100_000})
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Once warm, nothing allocates: every kind of row, sound and broken.
func TestSteadyState(t *testing.T) {
	for _, o := range []Options{{}, {Sparse: true}} {
		steadyState(t, o)
	}
}

func steadyState(t *testing.T, o Options) {
	t.Helper()
	x := mix{instruments: 50, ids: 1 << 16, ticks: 300, adds: 40, hostile: true, modify: true, options: o}
	r := rand.New(rand.NewPCG(3, 3))
	b, batch := newBooks(t, o), newBatch(t)
	var live []naiveID
	for batch.N < tick.MaxRows {
		w := x.step(r, &live)
		w.put(batch)
	}
	if n := testing.AllocsPerRun(20, func() { b.Apply(batch, 0, batch.N) }); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
	var top [10]Level
	if n := testing.AllocsPerRun(20, func() { b.Levels(3, tick.SideAsk, top[:]); b.Top(3); b.Counters() }); n != 0 {
		t.Errorf("%v allocations to look at ten levels", n)
	}
}
