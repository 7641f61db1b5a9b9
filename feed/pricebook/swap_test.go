package pricebook

import (
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// TestSwap: books, depths and doubts change places, counters do not; what has other bounds is refused. A new session of the same instruments keeps their depths.
func TestSwap(t *testing.T) {
	make := func(id uint32, price int64, rows int) *Books {
		b, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := tick.NewBatch()
		if err != nil {
			t.Fatal(err)
		}
		defer batch.Free()
		b.SetDepth(id, 2, 1)
		for i := range rows { // each the new best
			batch.Kind[i], batch.Sub[i], batch.Side[i], batch.Instrument[i] = tick.KindLevel, tick.LevelNew, tick.SideBid, id
			batch.Price[i], batch.Size[i], batch.Aux[i], batch.Flags[i] = price+int64(i), 5, tick.LevelAt(1, 1), 0
			batch.N++
		}
		batch.Kind[batch.N], batch.Sub[batch.N], batch.Side[batch.N], batch.Instrument[batch.N] = tick.KindLevel, tick.LevelDelete, tick.SideAsk, id
		batch.Aux[batch.N], batch.Flags[batch.N] = tick.LevelAt(1, 1), 0
		batch.N++
		b.Apply(batch, 0, batch.N)
		return b
	}
	a, b := make(7, 100, 3), make(70_000, 500, 1)
	b.SetSuspect(70_000, false)
	absent := a.Counters().Absent
	if err := a.Swap(b); err != nil {
		t.Fatal(err)
	}
	var levels [4]Level
	if n := b.Levels(7, tick.SideBid, levels[:]); n != 2 || levels[0].Price != 102 || !b.Suspect(7) || !b.Seen(7) || b.Seen(70_000) {
		t.Errorf("%d levels, %+v", n, levels)
	}
	if n := a.Levels(70_000, tick.SideBid, levels[:]); n != 1 || levels[0].Price != 500 || a.Suspect(70_000) || a.Top(70_000).BidPx != 500 || a.Top(7) != tick.EmptyPair {
		t.Errorf("%d levels, %+v", n, levels)
	}
	if c := a.Counters(); c.Absent != absent || c.Instruments != 1 || absent != 1 {
		t.Errorf("%+v", c)
	}
	other, err := New(Options{Depth: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Swap(other); err != ErrOptions || a.Top(70_000).BidPx != 500 {
		t.Errorf("%v", err)
	}
	b.Empty()
	if b.Seen(7) || b.Suspect(7) || b.depths[7] != [2]uint8{2, 1} {
		t.Errorf("after Empty: %+v", b.depths)
	}
	if b.Reset(); len(b.depths) != 0 {
		t.Errorf("after Reset: %+v", b.depths)
	}
}
