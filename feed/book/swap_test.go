package book

import (
	"errors"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// TestSwap: two books exchange what is in them; each goes on as the other would have, while pointers to counters stay good.
func TestSwap(t *testing.T) {
	swap(t, Options{MaxInstruments: 64, MaxOrders: 1 << 10, MaxReference: 1 << 16})
	swap(t, Options{MaxInstruments: 64, MaxOrders: 1 << 10, Sparse: true})
}

func swap(t *testing.T, o Options) {
	t.Helper()
	a, b, batch := newBooks(t, o), newBooks(t, o), newBatch(t)
	run := func(books *Books, rows ...row) {
		batch.Reset()
		for i := range rows {
			rows[i].put(batch)
		}
		books.Apply(batch, 0, batch.N)
	}
	add := func(id uint64, instrument uint32, price int64) row {
		return row{kind: tick.KindAdd, side: tick.SideBid, instrument: instrument, id: id, price: price, size: 10}
	}
	run(a, add(1, 7, 100), add(2, 40, 100), row{kind: tick.KindDelete, instrument: 7, id: 99})
	run(b, add(3, 7, 200), add(4, 7, 210), add(5, 8, 50))
	a.SetSuspect(7, true)
	b.SetHalted(8, true)
	counters := a.Counters()
	if err := a.Swap(b); err != nil {
		t.Fatal(err)
	}
	for _, books := range []*Books{a, b} {
		if err := books.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	if c := a.Counters(); c != counters || c.Orders != 3 || c.Unknown[tick.KindDelete] != 1 || c.MaxOrders != 3 {
		t.Errorf("%+v", *c)
	}
	if b.Counters().Orders != 2 || b.Counters().Unknown[tick.KindDelete] != 0 {
		t.Errorf("%+v", *b.Counters())
	}
	if a.Suspect(7) || !b.Suspect(7) || !a.Halted(8) || b.Halted(8) {
		t.Error("flags did not go with the contents")
	}
	if !a.Seen(7) || !a.Seen(8) || !a.Seen(40) || a.Seen(9) || b.Seen(8) {
		t.Error("an instrument of either must have been seen")
	}
	run(a, row{kind: tick.KindDelete, instrument: 7, id: 4}, add(6, 7, 205))
	if top := a.Top(7); top.BidPx != 205 {
		t.Errorf("best bid %d, want 205", top.BidPx)
	}
	run(b, row{kind: tick.KindDelete, instrument: 7, id: 1})
	if top := b.Top(7); top != tick.EmptyPair {
		t.Errorf("%+v", top)
	}
	for _, books := range []*Books{a, b} {
		if err := books.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _ = a.Swap(b) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
	other := newBooks(t, o)
	run(other, add(9, 50, 300), add(12, 7, 300)) // met in another order: of sparse books in other places
	if err := a.Swap(other); err != nil || a.Validate() != nil || a.Top(50).BidPx != 300 || a.Top(7).BidPx != 300 || !a.Seen(8) || !a.Seen(40) {
		t.Errorf("%v %v: %+v %+v", err, a.Validate(), a.Top(50), a.Top(7))
	}
	run(a, add(10, 8, 150), add(11, 40, 160))
	if err := a.Validate(); err != nil || a.Top(8).BidPx != 150 || a.Top(40).BidPx != 160 {
		t.Errorf("%v: %+v %+v", err, a.Top(8), a.Top(40))
	}
	if err := a.Swap(newBooks(t, Options{MaxInstruments: 64, MaxOrders: 1 << 11, MaxReference: 1 << 16})); !errors.Is(err, ErrOptions) {
		t.Errorf("other bounds: %v", err)
	}
}

// TestBehind: rows of an instrument whose readers are behind are marked, and the mark is not the one of a loss.
func TestBehind(t *testing.T) {
	b, batch := newBooks(t, Options{MaxInstruments: 64, MaxOrders: 1 << 10, MaxReference: 1 << 16}), newBatch(t)
	state := func(kind tick.Kind) uint8 {
		batch.Reset()
		r := row{kind: kind, side: tick.SideBid, instrument: 7, id: 1, price: 100, size: 10}
		r.put(batch)
		b.Apply(batch, 0, 1)
		return batch.State[0] & tick.StateSuspect
	}
	b.SetBehindAll(true)
	if state(tick.KindAdd) == 0 || state(tick.KindTrade) == 0 || b.Suspect(7) {
		t.Error("behind, but not marked")
	}
	b.SetSuspect(7, true)
	b.SetBehind(7, false)
	if state(tick.KindTrade) == 0 {
		t.Error("suspect, but not marked")
	}
	b.SetSuspect(7, false)
	if state(tick.KindTrade) != 0 {
		t.Error("marked without a reason")
	}
}

// BenchmarkSwap is what a lane stops for when its books are exchanged: 11,000 instruments have had orders.
//
//	budget  0 allocs/op, below a millisecond
func BenchmarkSwap(b *testing.B) {
	a, c, batch := newBooks(b, Options{}), newBooks(b, Options{}), newBatch(b)
	for n := range uint64(11_000) {
		for _, books := range []*Books{a, c} {
			batch.Reset()
			r := row{kind: tick.KindAdd, side: tick.SideBid, instrument: uint32(n + 1), id: n, price: 100, size: 10}
			r.put(batch)
			books.Apply(batch, 0, 1)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Swap(c); err != nil {
			b.Fatal(err)
		}
	}
}
