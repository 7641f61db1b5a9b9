package book

import (
	"math/rand/v2"
	"testing"
)

// Goal: at their bounds books refuse orders and are otherwise those of the naive reference; refusals end when there is room again, and
// books that took each other's place go on. Method: hostile streams into books of few orders, pages and blocks, row by row: the
// reference, which has no bound, refuses where the books counted that they had no room, and the books may only do so when they are full.
func TestAgainstNaiveWhenFull(t *testing.T) {
	for _, x := range []mix{
		{name: "orders", instruments: 3, ids: 1 << 12, ticks: 60, adds: 60, hostile: true, options: Options{MaxOrders: 100}},
		{name: "pages", instruments: 3, ids: 1 << 10, ticks: 60, adds: 60, hostile: true, options: Options{MaxPages: 3}},
		{name: "blocks", instruments: 3, ids: 1 << 16, ticks: 20_000, adds: 60, hostile: true, options: Options{MaxOrders: 1200}},
		{name: "sparse", instruments: 3, ids: 1 << 12, ticks: 60, adds: 45, modify: true, hostile: true, options: Options{MaxOrders: 100, Sparse: true}},
		{name: "modify", instruments: 3, ids: 1 << 12, ticks: 20_000, adds: 45, modify: true, hostile: true, options: Options{MaxOrders: 300}},
		{name: "all", instruments: 2, ids: 1 << 9, ticks: 3, adds: 50, hostile: true, options: Options{MaxOrders: 12, MaxPages: 2}},
	} {
		t.Run(x.name, func(t *testing.T) {
			for seed := range uint64(3) {
				whenFull(t, &x, seed)
			}
		})
	}
}

func whenFull(t *testing.T, x *mix, seed uint64) {
	t.Helper()
	o := x.options
	o.MaxInstruments, o.MaxReference = int(x.instruments), x.ids
	if o.Sparse {
		o.MaxInstruments = 1 << 12 // hostile rows name others
	}
	type side struct {
		books *Books
		model *naive
		live  []naiveID
	}
	a := side{books: newBooks(t, o), model: newNaive(o)}
	z := side{books: newBooks(t, o), model: newNaive(o)}
	for _, b := range []*Books{a.books, z.books} {
		if x.name == "blocks" {
			b.blocks.limit = 2*reserve + 40 // fewer than New gives, with which orders run out first
		}
	}
	batch := newBatch(t)
	r := rand.New(rand.NewPCG(seed, 5))
	for step := range 20_000 {
		w := x.step(r, &a.live)
		in := w
		batch.Reset()
		w.put(batch)
		c := a.books.Counters()
		was := c.NoRoom
		free := int(a.books.orders.room()) > 0 && a.books.index.pool.room() > 0 && a.books.blocks.room() >= reserve
		a.books.Apply(batch, 0, 1)
		a.model.full = a.books.Counters().NoRoom != was
		if a.model.full && free {
			t.Fatalf("seed %d row %d: refused with room: %+v", seed, step, in)
		}
		a.model.apply(&w)
		if got := rowOf(batch, 0); got != w {
			t.Fatalf("seed %d row %d: %+v\n got %+v\nwant %+v", seed, step, in, got, w)
		}
		if step%500 == 0 {
			if err := compare(a.model, a.books); err != nil {
				t.Fatalf("seed %d row %d: %v", seed, step, err)
			}
		}
		if r.IntN(700) == 0 { // the contents change places; what is counted does not
			if err := a.books.Swap(z.books); err != nil {
				t.Fatal(err)
			}
			a.model.c, z.model.c = z.model.c, a.model.c
			a.model, z.model = z.model, a.model
			a.live, z.live = z.live, a.live
		}
	}
	if a.books.Counters().NoRoom == 0 {
		t.Errorf("seed %d: never full", seed)
	}
	for _, b := range []*Books{a.books, z.books} {
		clearAll(b)
		if err := b.Validate(); err != nil {
			t.Fatalf("seed %d, emptied: %v", seed, err)
		}
		if c := b.Counters(); c.Orders|c.Levels|c.Blocks|c.Pages != 0 {
			t.Fatalf("seed %d, emptied, but in use: %+v", seed, *c)
		}
		if b.halves != 0 || b.orders.fresh > b.orders.limit*3/2 {
			t.Errorf("seed %d, emptied: half %d, %d nodes handed out of %d orders", seed, b.halves, b.orders.fresh, b.orders.limit)
		}
	}
}
