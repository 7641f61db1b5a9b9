package pipeline

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// world is a lane, a venue with a snapshot server, the worker that rebuilds, and a reader of the mbo ring, all in virtual time and
// moved by one seed.
type world struct {
	t *testing.T
	*rand.Rand
	*bench
	now  uint64
	pace uint64 // ns of a tick, at most: short ones have the books told in many passes

	messages [][]byte // of the session; message 1 is the first
	at       int      // messages that the lane was given, or lost
	venue    glimpse.State
	sent     int // messages that the venue has sent

	resync   *resync.Resync
	half     *resync.Lane
	worker   *resync.Worker
	snapshot []byte // of the present attempt, what is left of it
	next     uint64
	running  bool // a goroutine takes its steps
	stage    int  // 0: no attempt, 1: fetching, 2: behind the snapshot's end
	wait     int  // ticks until the next attempt
	chunk    int  // bytes of the snapshot a tick, about
	shift    int  // of the snapshot's number: a server that is wrong

	reader    follower
	reference *book.Books
	refBatch  *tick.Batch
	refParser itch.Counters
	refAt     int
	halted    map[uint32]bool
	closed    int
	lost      int // messages
}

func newWorld(t *testing.T, seed uint64, count uint64, change func(*resync.Options)) *world {
	w := &world{t: t, Rand: rand.New(rand.NewPCG(seed, 1)), halted: map[uint32]bool{}}
	g, err := itchgen.New(itchgen.Options{Messages: count, Symbols: 30, Seed: seed})
	must(t, err)
	for m, ok := g.Next(nil); ok; m, ok = g.Next(nil) {
		w.messages = append(w.messages, m)
	}
	var rs *resync.Resync
	w.bench = newBench(t, func(c *Config) {
		o := resync.Options{Books: c.Books, LogBytes: 1 << (16 + w.IntN(3)), Patience: 1 << 40, Fetch: resyncByHand}
		if change != nil {
			change(&o)
		}
		rs, err = resync.New(o)
		must(t, err)
		c.Resync, c.MaxPass = rs, 1+w.IntN(100)
		c.Depth = []string{"AAAA"}
		c.Clock = func() uint64 { return w.now }
	})
	t.Cleanup(func() { must(t, rs.Close()) })
	w.resync, w.half, w.worker = rs, rs.Lane(), rs.Worker()
	w.reference, err = book.New(w.books.Options())
	must(t, err)
	w.refBatch, err = tick.NewBatch()
	must(t, err)
	t.Cleanup(func() { must(t, w.reference.Close()); must(t, w.refBatch.Free()) })
	w.now, w.pace = testMidnight+34_000_000_000_000, 1<<(10+w.IntN(9))
	w.reader.init(t)
	return w
}

// resyncByHand is never called: the world takes the worker's steps itself.
func resyncByHand(_ context.Context, _ string, _ func([]byte, int) error) (uint64, error) {
	return 0, errors.New("nobody fetches here")
}

// packet gives the lane the next n messages.
func (w *world) packet(n int) {
	n = min(n, len(w.messages)-w.at)
	if n == 0 {
		return
	}
	var blocks []byte
	for _, m := range w.messages[w.at : w.at+n] {
		blocks = append(binary.BigEndian.AppendUint16(blocks, uint16(len(m))), m...)
	}
	w.lane.Messages(blocks, uint64(w.at+1), n, session.Arrival{TsRecv: w.now})
	w.at += n
}

// lose gives up the next n messages.
func (w *world) lose(n int) {
	n = min(n, len(w.messages)-w.at)
	if n == 0 {
		return
	}
	w.lane.Gap(session.Gap{First: uint64(w.at + 1), Last: uint64(w.at + n), State: tick.GapLost})
	w.at += n
	w.lost += n
}

// tick lets some time pass: the venue sends, the worker takes a step, a pass ends.
func (w *world) tick() {
	w.now += 1000 + w.Uint64N(w.pace)
	w.lane.SetNow(w.now)
	for target := min(len(w.messages), w.at+w.IntN(200)-20); w.sent < target; w.sent++ {
		w.venue.Apply(w.messages[w.sent])
	}
	w.work()
	w.lane.EndPass()
	w.reader.follow(w.readers[ringbuf.KindMbo])
	if w.reader.closed != w.closed {
		w.closed = w.reader.closed
		w.compare()
	}
}

// work is the worker's turn.
func (w *world) work() {
	if w.running {
		return
	}
	switch w.stage {
	case 0:
		if w.wait--; w.wait > 0 || !w.worker.Wanted() || !w.worker.Begin() {
			return
		}
		w.snapshot, w.next = w.venue.Snapshot(nil)
		w.snapshot = shuffled(w.snapshot, w.Uint64())
		w.stage, w.chunk = 1, 1<<(8+w.IntN(9))
	case 1:
		if w.IntN(60) == 0 {
			w.void(errors.New("the connection was lost"))
			return
		}
		n, used := 0, 0
		for most := w.IntN(w.chunk); used < len(w.snapshot) && used <= most; n++ {
			used += 2 + int(binary.BigEndian.Uint16(w.snapshot[used:]))
		}
		if err := w.worker.Snapshot(w.snapshot[:used], n); err != nil {
			w.void(err)
			return
		}
		if w.snapshot = w.snapshot[used:]; len(w.snapshot) == 0 {
			if err := w.worker.End(w.next); err != nil {
				w.void(err)
				return
			}
			w.stage = 2
		}
	case 2:
		switch st, _ := w.worker.Step(w.now); st {
		case resync.Void:
			w.stage, w.wait = 0, w.IntN(20)
		case resync.Over, resync.Done:
			w.stage = 0
		}
	}
}

func (w *world) void(err error) {
	w.worker.Fail(err)
	w.stage, w.wait = 0, w.IntN(20)
}

// settle lets time pass until the books are certain again.
func (w *world) settle() {
	w.t.Helper()
	for n := 0; w.lane.rebuild.active || w.stage != 0; n++ {
		w.tick()
		if n > 20_000 {
			w.t.Fatalf("not rebuilt: stage %d, %+v", w.stage, w.half.Counters)
		}
	}
}

// refer brings the reference to where the lane is: what the books are without a loss.
func (w *world) refer() {
	for w.refAt < w.at {
		m := w.messages[w.refAt]
		w.refAt++
		itch.Append(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...), testMidnight, uint64(w.refAt), 1, w.refBatch, &w.refParser)
		w.reference.Apply(w.refBatch, 0, w.refBatch.N)
		for _, s := range w.refBatch.Statuses[:w.refBatch.Sides.Statuses] {
			switch s.Action {
			case tick.StatusTrading, tick.StatusQuoting, tick.StatusHalt, tick.StatusPause:
				w.halted[s.InstrumentID] = s.Action == tick.StatusHalt || s.Action == tick.StatusPause
			}
		}
		w.refBatch.Reset()
	}
}

// compare holds lane, reader and latest values against the reference.
func (w *world) compare() {
	w.t.Helper()
	w.refer()
	must(w.t, w.books.Validate())
	w.reference.Instruments(func(id uint32) bool {
		want, got := ordersOf(w.reference, id), ordersOf(w.books, id)
		if !slices.Equal(want, got) {
			w.t.Fatalf("after message %d instrument %d: %s", w.at, id, difference(want, got))
		}
		for i := range want {
			want[i].MPID = 0 // the mbo ring does not have it
		}
		if got := w.reader.orders(id); !slices.Equal(want, got) {
			w.t.Fatalf("after message %d a reader's instrument %d: %s", w.at, id, difference(want, got))
		}
		if last, ok := w.last.Last(2, id); !ok || last.Levels[0] != w.reference.Top(id) {
			w.t.Fatalf("instrument %d: latest value %+v, want %+v", id, last.Levels[0], w.reference.Top(id))
		}
		return true
	})
	for id := range uint32(31) {
		if w.books.Halted(id) != w.halted[id] {
			w.t.Fatalf("after message %d instrument %d: halted %v, want %v", w.at, id, w.books.Halted(id), w.halted[id])
		}
		if w.books.Suspect(id) {
			w.t.Fatalf("instrument %d is suspect", id)
		}
		if e, _ := w.inst.Lookup(2, id); id != 0 && w.refAt > 200 && e.Symbol() == "" {
			w.t.Fatalf("instrument %d has no name", id)
		}
	}
	if a, b := w.reference.Counters().Orders, w.books.Counters().Orders; a != b || int(a) != len(w.reader.live) {
		w.t.Fatalf("%d orders, a reader has %d, want %d", b, len(w.reader.live), a)
	}
}

func difference(want, got []book.Order) string {
	for i := range want {
		if i >= len(got) || want[i] != got[i] {
			return fmt.Sprintf("%d orders of %d; from place %d on %+v, want %+v", len(got), len(want), i, got[i:min(len(got), i+3)], want[i:min(len(want), i+3)])
		}
	}
	return fmt.Sprintf("%d orders, want %d", len(got), len(want))
}

func ordersOf(b *book.Books, id uint32) (all []book.Order) {
	b.Walk(id, func(o book.Order) bool { all = append(all, o); return true })
	return all
}

// shuffled puts a snapshot's orders in another order, but keeps those of one time in theirs.
func shuffled(blocks []byte, key uint64) (out []byte) {
	type order struct {
		rank  uint64
		block []byte
	}
	var orders []order
	for len(blocks) > 0 {
		n := 2 + int(binary.BigEndian.Uint16(blocks))
		m := blocks[:n]
		if m[2] == 'A' || m[2] == 'F' {
			at := binary.BigEndian.Uint64(m[5:]) & (1<<48 - 1)
			orders = append(orders, order{(at ^ key) * 0x9E3779B97F4A7C15, m})
		} else {
			out = append(out, m...)
		}
		blocks = blocks[n:]
	}
	slices.SortStableFunc(orders, func(a, b order) int { return cmp.Compare(a.rank, b.rank) })
	for _, o := range orders {
		out = append(out, o.block...)
	}
	return out
}

// follower is a naive reader of the mbo ring: A adds, C takes, R empties an instrument. It also checks that marks are where they must be.
type follower struct {
	t      *testing.T
	live   map[uint64]*followed
	clock  int
	bad    map[uint32]bool // an instrument's book is not certain
	allBad bool
	told   bool // a snapshot has begun with its R, and not ended
	closed int
	gap    *tick.Gap
}

type followed struct {
	book.Order
	turn int
}

func (f *follower) init(t *testing.T) {
	f.t, f.live, f.bad = t, map[uint64]*followed{}, map[uint32]bool{}
}

func (f *follower) follow(r *ringbuf.Reader) {
	f.t.Helper()
	var recs [256]tick.Mbo
	for {
		n, _, st := ringbuf.PollSlice(r, recs[:])
		if n == 0 {
			if st != ringbuf.None && st != ringbuf.Silent { // nothing beats here, and the machine may be busy
				f.t.Fatalf("mbo ring: %v", st)
			}
			return
		}
		for i := range recs[:n] {
			f.take(&recs[i])
		}
	}
}

func (f *follower) take(r *tick.Mbo) {
	if r.RType == tick.RTypeGap {
		switch g := ringbuf.GapOfMbo(r); g.State {
		case tick.GapLost:
			f.allBad, f.bad = true, map[uint32]bool{}
			if f.gap == nil {
				f.gap = &tick.Gap{First: g.First, Last: g.Last}
			}
			f.gap.Last = g.Last
		case tick.GapClosed:
			if f.gap == nil || f.gap.First != g.First || f.gap.Last != g.Last || g.Messages != 0 {
				f.t.Fatalf("closed %+v, want %+v", g, f.gap)
			}
			f.allBad, f.bad, f.gap = false, map[uint32]bool{}, nil
			f.closed++
		}
		return
	}
	if r.RType != tick.RTypeMbo {
		return
	}
	id := r.InstrumentID
	if r.Action == tick.ActionClear && r.Sequence == 0 && r.Flags == tick.FlagLast { // another session
		f.allBad, f.bad, f.gap = false, map[uint32]bool{}, nil
	}
	told, known := f.bad[id]
	uncertain := f.allBad && !(known && !told)
	snapshot := r.Flags&tick.FlagSnapshot != 0
	if snapshot == (r.Flags&tick.FlagMaybeBadBook != 0) && snapshot || !snapshot && uncertain != (r.Flags&tick.FlagMaybeBadBook != 0) {
		f.t.Fatalf("%c of instrument %d, sequence %d: flags %#x, uncertain %v", r.Action, id, r.Sequence, r.Flags, uncertain)
	}
	if f.told && !snapshot {
		f.t.Fatalf("a live record among an instrument's snapshot")
	}
	if snapshot {
		f.told = r.Flags&tick.FlagLast == 0
		if !f.told && f.allBad {
			f.bad[id] = false
		}
	}
	switch r.Action {
	case tick.ActionClear:
		for ref, o := range f.live {
			if o.Instrument == id {
				delete(f.live, ref)
			}
		}
	case tick.ActionAdd:
		f.clock++
		f.live[r.OrderID] = &followed{book.Order{ID: r.OrderID, Price: r.Price, Size: uint64(r.Size), Instrument: id, Side: r.Side}, f.clock}
	case tick.ActionCancel:
		if o := f.live[r.OrderID]; o != nil {
			if o.Size -= min(o.Size, uint64(r.Size)); o.Size == 0 {
				delete(f.live, r.OrderID)
			}
		}
	}
}

// orders are those of an instrument as Books.Walk has them.
func (f *follower) orders(id uint32) (all []book.Order) {
	var found []*followed
	for _, o := range f.live {
		if o.Instrument == id {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *followed) int {
		switch {
		case a.Side != b.Side:
			return int(b.Side) - int(a.Side) // bids first
		case a.Price != b.Price && (a.Price > b.Price) == (a.Side == tick.SideBid):
			return -1
		case a.Price != b.Price:
			return 1
		}
		return a.turn - b.turn
	})
	for _, o := range found {
		all = append(all, o.Order)
	}
	return all
}

var rebuildSeeds = flag.Uint64("rebuild.seeds", 60, "fault schedules of TestRebuild")

// TestRebuild: whatever is lost, whenever, and however snapshots fail, come late or are out of date: once the gap is closed, the lane's
// books, a reader's that follows the ring, and the latest values are those of a run without a loss, and until then every row was marked.
func TestRebuild(t *testing.T) {
	seeds := *rebuildSeeds
	if testing.Short() {
		seeds = 12
	}
	var sum resync.Counters
	closed, late := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed, 12_000, nil)
			w.lane.SetNow(w.now)
			w.lane.SessionStart([10]byte{1})
			if w.IntN(3) == 0 {
				w.lose(1 + w.IntN(len(w.messages)-100)) // a late start
				late++
			}
			often, burst := 10+w.IntN(300), 1+w.IntN(12)
			for w.at < len(w.messages) {
				for range w.IntN(burst) {
					w.packet(1 + w.IntN(12))
				}
				if w.IntN(often) == 0 {
					w.lose(1 + w.IntN(60))
				}
				w.tick()
			}
			w.settle()
			if w.lost > 0 {
				w.compare()
			}
			closed += w.closed
			c := &w.half.Counters
			for _, x := range []struct{ to, from *uint64 }{
				{&sum.Attempts, &c.Attempts}, {&sum.Failed, &c.Failed}, {&sum.TooOld, &c.TooOld}, {&sum.LogFull, &c.LogFull}, {&sum.Declined, &c.Declined},
				{&sum.Rebuilt, &c.Rebuilt}, {&sum.Interrupted, &c.Interrupted}, {&sum.Replayed, &c.Replayed}, {&sum.Superseded, &c.Superseded},
				{&sum.AlreadyThere, &c.AlreadyThere}, {&sum.UnknownAfter, &c.UnknownAfter}, {&sum.Strange, &c.Strange},
			} {
				*x.to += *x.from
			}
		})
	}
	t.Logf("%d gaps closed, %d late starts, %+v", closed, late, sum)
	if closed == 0 || late == 0 || sum.Failed == 0 || sum.TooOld == 0 || sum.Interrupted == 0 || sum.Replayed == 0 || sum.Superseded == 0 {
		t.Error("something never happened: this test shows less than it says")
	}
	if sum.AlreadyThere+sum.UnknownAfter+sum.Strange != 0 {
		t.Error("snapshots and stream did not fit together")
	}
}

func arrival(ts uint64) session.Arrival { return session.Arrival{TsRecv: ts} }

func lostGap(first, last uint64) session.Gap {
	return session.Gap{First: first, Last: last, State: tick.GapLost}
}

func blocksIn(b []byte) (n int) {
	for ; len(b) > 0; n++ {
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	return n
}
