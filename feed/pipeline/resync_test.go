package pipeline

import (
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// hand is a lane whose rebuilds are stepped by hand.
type hand struct {
	*bench
	worker *resync.Worker
	now    uint64
}

func newHand(t *testing.T) *hand {
	h := &hand{now: testMidnight + 1_000_000_000}
	h.bench = newBench(t, func(c *Config) {
		rs, err := resync.New(resync.Options{Books: c.Books, LogBytes: 1 << 16, Fetch: resyncByHand})
		must(t, err)
		t.Cleanup(func() { must(t, rs.Close()) })
		c.Resync, h.worker, c.Depth = rs, rs.Worker(), []string{"DEEP"}
		c.Clock = func() uint64 { return h.now }
	})
	return h
}

// lose gives up the next n messages.
func (h *hand) lose(n uint64) {
	h.lane.Gap(lostGap(h.next, h.next+n-1))
	h.next += n
}

// offer has the worker build books from a snapshot of everything before the present message, and offer them.
func (h *hand) offer(t *testing.T, snapshot ...[]byte) {
	t.Helper()
	if !h.worker.Begin() {
		t.Fatal("nothing is wanted")
	}
	var blocks []byte
	for _, m := range snapshot {
		blocks = append(append(blocks, 0, byte(len(m))), m...)
	}
	must(t, h.worker.Snapshot(blocks, len(snapshot)))
	must(t, h.worker.End(h.next))
	if st, err := h.worker.Step(1); st != resync.Waiting || err != nil {
		t.Fatal(st, err)
	}
}

// pass ends one after the given time.
func (h *hand) pass(ns uint64) {
	h.now += ns
	h.lane.SetNow(h.now)
	h.lane.EndPass()
}

// TestTelling: each instrument gets R and its orders with F_SNAPSHOT, F_LAST on the last; one that the snapshot does not have, R alone; live rows
// of those that were not told yet are marked; definitions and states that readers lack are told, others are not; then the gap is closed.
func TestTelling(t *testing.T) {
	h := newHand(t)
	h.feed(1, define(7, "DEEP"), add(10, 7, 'B', 300, 1_000_000), add(11, 8, 'S', 200, 1_010_000), add(12, 9, 'B', 50, 500_000),
		msg('H', 9, 3, "TEST    ", "H", " ", "T1  "), msg('Y', 7, 3, "TEST    ", "0"), msg('H', 7, 3, "TEST    ", "T", " ", "    "), msg('S', 0, 3, "Q"))
	h.pass(1000)
	h.lose(2) // 9, 10
	h.lane.EndPass()
	h.mbo(t)
	h.mbp1(t)
	h.offer(t, msg('S', 0, 3, "Q"), define(7, "DEEP"), define(5, "NEW"), msg('H', 7, 3, "TEST    ", "T", " ", "    "), msg('Y', 7, 9, "TEST    ", "1"),
		msg('H', 5, 4, "TEST    ", "P", " ", "T1  "),
		add(21, 7, 'B', 100, 1_000_000), add(20, 7, 'B', 100, 1_000_000), add(22, 7, 'S', 70, 1_020_000), add(11, 8, 'S', 150, 1_010_000))
	h.feed(2, add(23, 7, 'B', 10, 990_000)) // 11, not in the worker's books yet
	h.pass(1000)                            // the exchange; no time has passed to tell anything
	check(t, h.mbo(t), []string{"A 7 B 23 10@99 f84 seq11"})
	h.pass(3500) // a few records: an instrument that was begun is told whole
	check(t, h.mbo(t), []string{
		"R 5 N 0 0@- fa8 seq11", "status 5 action9",
		"R 7 N 0 0@- f28 seq11", "A 7 B 20 100@100 f28 seq11", "A 7 B 21 100@100 f28 seq11", "A 7 B 23 10@99 f28 seq11", "A 7 A 22 70@102 fa8 seq11",
		"status 7 action14",
	})
	h.feed(3, add(24, 7, 'B', 10, 1_000_000), add(25, 8, 'S', 10, 1_010_000), msg('H', 8, 5, "TEST    ", "T", " ", "    "))
	h.pass(1_000_000)
	check(t, h.mbo(t), []string{
		"A 7 B 24 10@100 f80 seq12", "A 8 A 25 10@101 f84 seq13", "status 8 action7",
		"R 8 N 0 0@- f28 seq14", "A 8 A 11 150@101 f28 seq14", "A 8 A 25 10@101 fa8 seq14",
		"R 9 N 0 0@- fa8 seq14",
		"gap 9-10 state2",
	})
	got := h.mbp1(t)
	check(t, got, []string{
		"N 7 N 0@- fa8 200@100/70@102",
		"A 7 B 10@100 f80 210@100/70@102", "A 8 A 10@101 f84 0@-/160@101",
		"N 8 N 0@- fa8 0@-/160@101", "N 9 N 0@- fa8 0@-/0@-",
	})
	if !h.books.Halted(9) || h.books.Halted(7) || !h.books.Halted(5) {
		t.Error("halts: the snapshot's, and where it says nothing what was known")
	}
	if e, ok := h.inst.Lookup(2, 5); !ok || e.Symbol() != "NEW" || h.lane.Counters().Definitions != 2 {
		t.Errorf("directory: %q, %d definitions", e.Symbol(), h.lane.Counters().Definitions)
	}
	var ten [8]ringbuf.Mbp10Slot
	n, _, _ := ringbuf.PollSlice(h.readers[ringbuf.KindMbp10], ten[:])
	if n < 3 || ten[n-2].Flags != 0xa8 || ten[n-2].Action != tick.ActionNone || ten[n-2].Levels[1].BidPx != 99_000_000_000 || ten[n-1].Flags != 0x80 {
		t.Errorf("ten levels: %d records, %+v", n, ten[:n])
	}
	if c := h.lane.Resync().Counters; c.Rebuilt != 1 || c.Republished != 10 || c.LiveState != 0 || c.LastRebuiltAt != h.now {
		t.Errorf("%+v", c)
	}
	must(t, h.books.Validate())
}

// TestDoubtIsRebuilt: a message that the parser refuses is a loss like any other.
func TestDoubtIsRebuilt(t *testing.T) {
	h := newHand(t)
	h.feed(1, add(10, 7, 'B', 300, 1_000_000))
	h.feed(2, add(11, 7, 'B', 300, 1_000_000)[:35], add(12, 7, 'B', 100, 1_000_000))
	h.pass(1000)
	check(t, h.mbo(t), []string{"A 7 B 10 300@100 f80 seq1", "gap 2-2 state3", "A 7 B 12 100@100 f84 seq3"})
	h.offer(t, add(10, 7, 'B', 300, 1_000_000), add(11, 7, 'B', 300, 1_000_000), add(12, 7, 'B', 100, 1_000_000))
	h.pass(1000)
	h.pass(10_000_000)
	check(t, h.mbo(t), []string{
		"R 7 N 0 0@- f28 seq3", "A 7 B 10 300@100 f28 seq3", "A 7 B 11 300@100 f28 seq3", "A 7 B 12 100@100 fa8 seq3", "gap 2-2 state2",
	})
	h.feed(3, add(13, 7, 'B', 100, 1_000_000))
	h.pass(1000)
	check(t, h.mbo(t), []string{"A 7 B 13 100@100 f80 seq4"})
}

// TestInterrupted: a loss while readers are told has the books rebuilt once more, and one record closes both.
func TestInterrupted(t *testing.T) {
	h := newHand(t)
	h.feed(1, add(10, 7, 'B', 300, 1_000_000), add(11, 8, 'B', 300, 1_000_000))
	h.pass(1000)
	h.lose(1) // 3
	h.offer(t, add(10, 7, 'B', 300, 1_000_000), add(11, 8, 'B', 300, 1_000_000))
	h.pass(1000)
	h.pass(1500) // enough for instrument 7
	h.mbo(t)
	h.lose(3) // 4, 5, 6
	h.feed(1, add(12, 7, 'B', 300, 1_000_000))
	h.pass(1000)
	check(t, h.mbo(t), []string{"gap 4-6 state3", "A 7 B 12 300@100 f84 seq7"})
	if st, err := h.worker.Step(1); st != resync.Done || err != nil {
		t.Fatal(st, err)
	}
	h.offer(t, add(12, 7, 'B', 300, 1_000_000))
	h.pass(1000)
	h.pass(10_000_000)
	check(t, h.mbo(t), []string{"R 7 N 0 0@- f28 seq7", "A 7 B 12 300@100 fa8 seq7", "R 8 N 0 0@- fa8 seq7", "gap 3-6 state2"})
	if c := h.lane.Resync().Counters; c.Rebuilt != 2 || c.Interrupted != 1 {
		t.Errorf("%+v", c)
	}
}

// TestMarksOfPrints: a trade in an instrument without orders marks its best prices too, and they are told to be certain with all others.
func TestMarksOfPrints(t *testing.T) {
	h := newHand(t)
	print := msg('P', 9, 2, uint64(0), byte('B'), uint32(100), "TEST    ", uint32(1_000_000), uint64(77))
	h.lose(1)
	h.feed(1, print)
	h.pass(1000)
	if v, ok := h.last.Last(2, 9); !ok || v.Flags&tick.FlagMaybeBadBook == 0 {
		t.Errorf("after the loss: %v %+v", ok, v)
	}
	h.offer(t)
	h.pass(1000)
	h.pass(10_000_000)
	if v, ok := h.last.Last(2, 9); !ok || v.Flags&tick.FlagMaybeBadBook != 0 || v.Levels[0] != tick.EmptyPair {
		t.Errorf("after the rebuild: %v %+v", ok, v)
	}
	check(t, h.mbo(t), []string{"gap 1-1 state3", "T 9 N 0 100@100 f84 seq2", "R 9 N 0 0@- fa8 seq2", "gap 1-1 state2"})
}

// TestWithoutServer: books stay suspect, and nothing is logged.
func TestWithoutServer(t *testing.T) {
	b := newBench(t, nil)
	b.lane.Gap(lostGap(1, 5))
	b.next = 6
	b.feed(1, add(16, 7, 'B', 100, 1_000_000))
	for range 3 {
		b.lane.EndPass()
	}
	check(t, b.mbo(t), []string{"gap 1-5 state3", "A 7 B 16 100@100 f84 seq6"})
	if b.lane.Resync() != nil || !b.books.Suspect(7) {
		t.Error("something is rebuilt")
	}
}

// TestResyncOfOtherBooks: a lane takes back only books that fit.
func TestResyncOfOtherBooks(t *testing.T) {
	b := newBench(t, nil)
	other, err := book.New(book.Options{MaxInstruments: 1 << 10})
	must(t, err)
	defer other.Close()
	rs, err := resync.New(resync.Options{Books: other, LogBytes: 1 << 16, Fetch: resyncByHand})
	must(t, err)
	defer rs.Close()
	if _, err := New(Config{Books: b.books, Symbols: b.lane.symbols, Midnight: b.lane.midnight, Resync: rs}); err == nil {
		t.Error("a lane with another's Resync")
	}
}

// BenchmarkTell is what a pass costs that tells readers as much as one may: some 2,048 records, of instruments with 25 orders each.
//
//	budget  0 allocs/op, 0.1 ms a pass
func BenchmarkTell(b *testing.B) {
	bench := newBench(b, func(c *Config) {
		rs, err := resync.New(resync.Options{Books: c.Books, LogBytes: 1 << 16, Fetch: resyncByHand})
		must(b, err)
		b.Cleanup(func() { must(b, rs.Close()) })
		c.Resync = rs
	})
	ref := uint64(1)
	for locate := uint16(1); locate <= 600; locate++ {
		for n := range uint32(25) {
			bench.feed(1, add(ref, locate, "BS"[n&1], 100, 1_000_000+n))
			ref++
		}
	}
	bench.lane.EndPass()
	r := bench.lane.rebuild
	r.shadow, r.active = &resync.Shadow{Books: bench.books}, true
	told := r.half.Counters.Republished
	b.ReportAllocs()
	for b.Loop() {
		if r.at > 500 {
			r.at = 0
		}
		bench.lane.tell(tellMost)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(r.half.Counters.Republished-told), "ns/record")
}
