package pricebook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// apply runs rows through the books as one pass, and returns them completed.
func apply(b *Books, batch *tick.Batch, rows ...row) []row {
	batch.Reset()
	for i := range rows {
		rows[i].before, rows[i].after = tick.EmptyPair, tick.EmptyPair
		rows[i].put(batch)
	}
	b.Apply(batch, 0, batch.N)
	done := make([]row, len(rows))
	for i := range done {
		done[i] = rowOf(batch, i)
	}
	return done
}

// bid is a level row, price and size in units.
func bid(code byte, level uint32, price int64, size uint64) row {
	return row{kind: tick.KindLevel, sub: code, side: tick.SideBid, id: 1 << 30, aux: tick.LevelAt(level, 1), price: price * 1e9, size: size}
}

func show(b *Books) string {
	var l [MaxDepth]Level
	var out []string
	for _, level := range l[:b.Levels(1<<30, tick.SideBid, l[:])] {
		out = append(out, fmt.Sprintf("%d×%d", level.Price/1e9, level.Size))
	}
	return strings.Join(out, " ")
}

// The rules of CME's book, one by one: each line's rows after those of the lines before.
func TestByNumber(t *testing.T) {
	b, batch := newBooks(t, Options{Depth: 4}), newBatch(t)
	b.SetDepth(1<<30, 3, 2)
	const n, c, d, thru, from, over = tick.LevelNew, tick.LevelChange, tick.LevelDelete, tick.LevelThru, tick.LevelFrom, tick.LevelOverlay
	const ok, no, doubt = tick.StateApplied, 0, suspectState
	for _, tc := range []struct {
		what  string
		row   row
		state uint8 // without StateTop
		want  string
	}{
		{"first", bid(n, 1, 100, 5), ok, "100×5"},
		{"behind it", bid(n, 2, 98, 6), ok, "100×5 98×6"},
		{"between", bid(n, 2, 99, 7), ok, "100×5 99×7 98×6"},
		{"in front: the last falls off", bid(n, 1, 101, 8), ok, "101×8 100×5 99×7"},
		{"changed", bid(c, 2, 100, 50), ok, "101×8 100×50 99×7"},
		{"gone: the one that fell off does not come back", bid(d, 1, 101, 8), ok, "100×50 99×7"},
		{"the venue says what stands there now", bid(n, 3, 98, 6), ok, "100×50 99×7 98×6"},
		{"overlaid", bid(over, 1, 101, 9), ok, "101×9 99×7 98×6"},
		{"beyond the depth", bid(n, 4, 97, 1), no | doubt, "101×9 99×7 98×6"},
		{"another price", bid(c, 1, 100, 5), no | doubt, "101×9 99×7 98×6"},
		{"another price", bid(d, 2, 100, 5), no | doubt, "101×9 99×7 98×6"},
		{"no price said", row{kind: tick.KindLevel, sub: d, side: tick.SideBid, id: 1 << 30, aux: tick.LevelAt(3, 0), price: tick.UndefPrice}, ok, "101×9 99×7"},
		{"not there", bid(d, 3, 98, 6), no | doubt, "101×9 99×7"},
		{"not there", bid(c, 3, 98, 6), no | doubt, "101×9 99×7"},
		{"its neighbour's price", bid(n, 2, 101, 6), no | doubt, "101×9 99×7"},
		{"worse than the next", bid(n, 1, 98, 6), no | doubt, "101×9 99×7"},
		{"no size", bid(n, 1, 102, 0), no | doubt, "101×9 99×7"},
		{"through", bid(thru, 1, 101, 0), ok | doubt, "99×7"},
		{"from", bid(from, 1, 99, 0), ok | doubt, ""},
		{"behind a hole", bid(n, 2, 99, 7), no | doubt, ""},
		{"overlaid where there is none", bid(over, 1, 90, 1), ok, "90×1"},
		{"overlaid out of order", bid(over, 2, 91, 1), ok | doubt, "90×1 91×1"},
	} {
		before := b.Top(1 << 30)
		got := apply(b, batch, tc.row)[0]
		if got.state&^tick.StateTop != tc.state || show(b) != tc.want {
			t.Fatalf("%s: state %b, %q; want %b, %q", tc.what, got.state, show(b), tc.state, tc.want)
		}
		if got.before != before || got.after != b.Top(1<<30) || (got.state&tick.StateTop != 0) != (got.before != got.after) {
			t.Fatalf("%s: %+v", tc.what, got)
		}
		b.SetSuspect(1<<30, false)
	}
	c1 := *b.Counters()
	c1.Bytes, c1.Instruments = 0, 0
	if want := (Counters{Absent: 3, PriceMismatch: 2, OutOfOrder: 3, OverDepth: 1, ZeroSize: 1, ThruFrom: 2}); c1 != want {
		t.Errorf("counters %+v, want %+v", c1, want)
	}
}

// A side may be rewritten by overlays within an event: what counts is how it stands at the end.
func TestOverlayWithinAnEvent(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	first, second := bid(tick.LevelOverlay, 1, 99, 5), bid(tick.LevelOverlay, 2, 98, 5)
	first.flags = tick.FlagMore
	apply(b, batch, bid(tick.LevelNew, 1, 100, 5), bid(tick.LevelNew, 2, 99, 5), first, second)
	if show(b) != "99×5 98×5" || b.Suspect(1<<30) || b.Counters().OutOfOrder != 0 {
		t.Errorf("%q, suspect %v", show(b), b.Suspect(1<<30))
	}
}

// The implied book stands beside: its rows leave best prices alone, and a clear takes it too.
func TestImplied(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	imp := func(level uint32, price int64) row {
		r := bid(tick.LevelNew, level, price, 3)
		r.kind = tick.KindImplied
		return r
	}
	rows := apply(b, batch, bid(tick.LevelNew, 1, 100, 5), imp(1, 105), imp(2, 104), imp(3, 103))
	var l [3]Level
	if n := b.Implied(1<<30, tick.SideBid, l[:]); n != 2 || l[0].Price != 105e9 || rows[1].after.BidPx != 100e9 || rows[1].state != tick.StateApplied {
		t.Errorf("%v %+v", l[:n], rows[1])
	}
	if b.Counters().OverDepth != 1 || !b.Suspect(1<<30) || rows[3].state != suspectState {
		t.Errorf("a third implied level: %+v, state %b", *b.Counters(), rows[3].state)
	}
	rows = apply(b, batch, row{kind: tick.KindClear, id: 1 << 30})
	if n := b.Implied(1<<30, tick.SideBid, l[:]); n != 0 || b.Top(1<<30) != tick.EmptyPair || rows[0].state != tick.StateApplied|tick.StateTop|suspectState {
		t.Errorf("cleared: %d implied levels, state %b", n, rows[0].state)
	}
}

// Best prices of rows that are about orders or trades are the levels', and the two are compared at an event's end.
func TestBesideOrders(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	apply(b, batch, bid(tick.LevelNew, 1, 100, 5))
	pair := b.Top(1 << 30)
	orders := func(px int64, size uint32) tick.BidAskPair {
		p := tick.EmptyPair
		p.BidPx, p.BidSz, p.BidCt = px*1e9, size, 7
		return p
	}
	now := uint64(1)
	for _, tc := range []struct {
		what         string
		orders       tick.BidAskPair // behind the event
		flags, state uint8           // flags of the event's row, state of the one that shows it
		want         uint64
	}{
		{"equal", orders(100, 5), 0, 0, 0},
		{"size differs", orders(100, 6), 0, 0, 1},
		{"price differs, the event's rows have ends of their own", orders(99, 5), tick.FlagMore, 0, 2},
		{"orders are suspect", orders(99, 5), 0, tick.StateSuspect, 2},
		{"within a snapshot", orders(99, 5), tick.FlagSnapshot, 0, 2},
	} {
		batch.Reset()
		now++
		(&row{kind: tick.KindAdd, id: 1 << 30, flags: tc.flags, ts: now, state: tick.StateApplied | tick.StateTop, before: tick.EmptyPair, after: tc.orders}).put(batch)
		// Another row of the same event shows nothing, the next event's first does.
		(&row{kind: tick.KindTrade, id: 1 << 30, flags: tc.flags, ts: now, state: tick.StateApplied | tc.state, before: tc.orders, after: tc.orders}).put(batch)
		was := b.Counters().TopMismatch
		b.Apply(batch, 0, 2)
		if got := b.Counters().TopMismatch; got != was {
			t.Errorf("%s: compared within the event", tc.what)
		}
		batch.Reset()
		now++
		(&row{kind: tick.KindTrade, id: 1 << 30, ts: now, state: tick.StateApplied | tc.state, before: tc.orders, after: tc.orders}).put(batch)
		b.Apply(batch, 0, 1)
		got := rowOf(batch, 0)
		if got.before != pair || got.after != pair || got.state&(tick.StateTop|tick.StateApplied) != tick.StateApplied {
			t.Errorf("%s: %+v", tc.what, got)
		}
		if b.Counters().TopMismatch != tc.want {
			t.Errorf("%s: %d mismatches, want %d", tc.what, b.Counters().TopMismatch, tc.want)
		}
	}
}

// A row of best prices says all there is to know of an instrument, so it ends a suspicion.
func TestQuote(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	quote := row{kind: tick.KindQuote, id: 5, price: 10e9, size: 1 << 40, oldPrice: tick.UndefPrice}
	got := apply(b, batch, quote)[0]
	if got.after != (tick.BidAskPair{BidPx: 10e9, BidSz: tick.MaxSize, AskPx: tick.UndefPrice}) || got.state != tick.StateApplied|tick.StateTop {
		t.Errorf("%+v", got)
	}
	b.SetSuspectAll(true)
	if got := apply(b, batch, row{kind: tick.KindTrade, id: 5, state: tick.StateApplied}, row{kind: tick.KindTrade, id: 6}); got[0].state&got[1].state&tick.StateSuspectLevels == 0 {
		t.Errorf("suspect, but states %b %b", got[0].state, got[1].state)
	}
	if got := apply(b, batch, quote)[0]; got.state != tick.StateApplied || b.Suspect(5) || !b.Suspect(6) {
		t.Errorf("state %b, suspect %v %v", got.state, b.Suspect(5), b.Suspect(6))
	}
}

// Depths come from definitions, and are those of instruments that are met later.
func TestDefinitions(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	batch.Definitions[0] = tick.Definition{MarketDepth: 1, MarketDepthImplied: 1<<31 - 1}
	batch.Definitions[0].InstrumentID = 1 << 30
	def := row{kind: tick.KindDefinition, id: 1 << 30, aux: tick.SideRows(0, 1)}
	apply(b, batch, def, bid(tick.LevelNew, 1, 100, 5), bid(tick.LevelNew, 1, 101, 5))
	if show(b) != "101×5" || b.Suspect(1<<30) {
		t.Errorf("depth 1: %q", show(b))
	}
	batch.Definitions[0].MarketDepth = 3
	apply(b, batch, def, bid(tick.LevelNew, 2, 100, 5), bid(tick.LevelNew, 3, 99, 5), bid(tick.LevelNew, 4, 98, 5))
	if show(b) != "101×5 100×5 99×5" || b.Counters().OverDepth != 1 {
		t.Errorf("depth 3: %q, %+v", show(b), *b.Counters())
	}
}

func TestOptions(t *testing.T) {
	_, err := New(Options{Depth: 65, Implied: -1, MaxInstruments: 1 << 25})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"Depth", "Implied", "MaxInstruments"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

// Once instruments are known, nothing allocates.
func TestSteadyState(t *testing.T) {
	b, batch := newBooks(t, Options{}), newBatch(t)
	for id := range uint32(500) {
		r, q := bid(tick.LevelNew, 1, 100, 5), bid(tick.LevelDelete, 1, 100, 5)
		r.id, q.id = id<<7, id<<7
		r.put(batch)
		q.put(batch)
		(&row{kind: tick.KindQuote, id: id << 7, price: 1, size: 1, oldPrice: 2, oldSize: 2}).put(batch)
		(&row{kind: tick.KindClear, id: id << 7}).put(batch)
	}
	pass := func() { b.Apply(batch, 0, batch.N) }
	pass()
	if n := testing.AllocsPerRun(20, pass); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
	if c := b.Counters(); c.Instruments != 500 || c.Absent != 0 {
		t.Errorf("%+v", *c)
	}
}

// BenchmarkApply is what price books add to a row: changes of one of five levels of one of 200 instruments, in runs of three rows.
//
//	budget  0 allocs/op, 30 ns/row
func BenchmarkApply(b *testing.B) {
	books, batch := newBooks(b, Options{}), newBatch(b)
	for id := range uint32(200) {
		for level := range uint32(5) {
			r := bid(tick.LevelNew, level+1, 100-int64(level), 5)
			r.id = id * 7919
			r.put(batch)
		}
	}
	books.Apply(batch, 0, batch.N)
	batch.Reset()
	for i := range uint32(4096) {
		level := i * 31 % 5
		r := bid(tick.LevelChange, level+1, 100-int64(level), uint64(i+1))
		r.id = i / 3 * 17 % 200 * 7919
		r.put(batch)
	}
	b.ReportAllocs()
	for b.Loop() {
		books.Apply(batch, 0, batch.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*4096), "ns/row")
}
