package mdp3loop

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/parsers/mdp3"
	sim "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// world is a channel, its loops, a lane that loses packets, and the worker that gets its books back; in virtual time, everything from one seed.
type world struct {
	*rand.Rand
	t  testing.TB
	g  *mdp3gen.Gen
	ch *sim.Channel

	loops [3]*sim.Loop
	rs    *resync.Resync
	half  *resync.Lane
	work  *resync.Worker

	// the lane
	books   *book.Books
	prices  *pricebook.Books
	decoder resync.Decoder
	batch   *tick.Batch
	next    uint64 // number of the packet that comes next; 0: none came
	certain bool
	fresh   bool // its books were exchanged, and not looked at since

	// the worker
	collectors [3]*collector
	counters   Counters
	fetching   bool
	stepping   bool
	now        uint64

	seed                 uint64
	lossPPM, loopLossPPM int
	bursts               int // packets still to be lost
	lost, rebuilt        int
	resetEvery, resets   int
	compared             int
	naturally            *resync.Natural
	doubted              map[uint32]bool // instruments that naturally has not given back
}

var bookOptions = book.Options{Sparse: true, ZeroPrice: true, MaxInstruments: 1 << 10, MaxOrders: 1 << 16}

// decoders makes decoders that share definitions, as a lane's and its rebuild's do.
func decoders() func() (resync.Decoder, error) {
	shared := new(mdp3.Definitions)
	return func() (resync.Decoder, error) { return mdp3.NewDecoder(mdp3.Options{Definitions: shared}) }
}

func newPrices() (*pricebook.Books, error) { return pricebook.New(pricebook.Options{}) }

func newWorld(t testing.TB, seed uint64, o mdp3gen.Options, cut bool) *world {
	return newWorldFrom(t, seed, o, cut, Config{}) // parts are taken by hand
}

func newWorldFrom(t testing.TB, seed uint64, o mdp3gen.Options, cut bool, c Config) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, certain: true, seed: seed}
	o.Seed = seed
	var err error
	w.g, err = mdp3gen.New(o)
	must(t, err)
	w.ch, err = sim.NewChannel(w.g, sim.ChannelOptions{}, func(_ uint32, _ uint64, packet []byte) error { w.arrive(packet); return nil })
	must(t, err)
	for kind := range w.loops {
		w.loops[kind], err = sim.NewLoop(w.ch, sim.LoopKind(kind))
		must(t, err)
		w.loops[kind].Cut = cut
	}
	w.books, err = book.New(bookOptions)
	must(t, err)
	w.prices, err = newPrices()
	must(t, err)
	newDecoder := decoders()
	w.decoder, err = newDecoder()
	must(t, err)
	w.batch, err = tick.NewBatch()
	must(t, err)
	logBytes := 1 << (16 + w.IntN(4)) // small: it overflows now and then
	if len(c.Levels) > 0 {
		logBytes = 1 << 22
	}
	w.rs, err = resync.New(resync.Options{
		Books: w.books, Prices: newPrices, Decoder: newDecoder, LogBytes: logBytes, Patience: 1 << 40,
		Parts: Parts(c), Retry: 10 * time.Millisecond, MaxRetry: 50 * time.Millisecond,
	})
	must(t, err)
	w.half, w.work = w.rs.Lane(), w.rs.Worker()
	if c, ok := t.(interface{ Cleanup(func()) }); ok {
		c.Cleanup(func() { must(t, errors.Join(w.rs.Close(), w.books.Close(), w.batch.Free())) })
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// arrive is a packet on the wire: it comes, or it is lost for good.
func (w *world) arrive(packet []byte) {
	if w.bursts > 0 || w.IntN(1_000_000) < w.lossPPM {
		if w.bursts == 0 && w.IntN(3) == 0 {
			w.bursts = w.IntN(40)
		}
		w.bursts = max(w.bursts-1, 0)
		w.lost++
		return
	}
	w.lane(packet)
}

// lane is what a lane does with a packet.
func (w *world) lane(packet []byte) {
	h, body, err := mdp3.ParsePacket(packet)
	must(w.t, err)
	n := uint64(h.Sequence)
	if n != w.next && (w.next != 0 || n != 1) { // a hole, or a late start
		w.certain = false
		w.half.Want(0, n)
		if w.naturally != nil {
			w.unlearn()
		}
	}
	w.next = n + 1
	if h.Reset != 0 { // all books are void, and come again: nothing is to be rebuilt
		w.half.Forget()
		w.certain = true
		w.resets++
	}
	if w.half.Logging() {
		w.half.Messages(body, n, 1)
	}
	for done := 0; done == 0; {
		w.batch.Reset()
		var used int
		used, done = w.decoder.Append(body, n, 1, w.batch)
		body = body[used:]
		w.note()
		if w.naturally != nil {
			w.naturally.Apply(w.batch, 0, w.batch.N)
		}
		w.books.Apply(w.batch, 0, w.batch.N)
		w.prices.Apply(w.batch, 0, w.batch.N)
	}
	w.adopt()
}

// unlearn is what a lane does with a loss when books come back from the stream.
func (w *world) unlearn() {
	w.naturally.Begin()
	d := w.decoder.(*mdp3.Decoder)
	d.Instruments(func(id uint32) bool {
		next := uint64(d.RptSeq(id)) + 1
		if w.doubted[id] {
			next = 0
		}
		w.doubted[id] = true
		w.naturally.Lose(id, next)
		return true
	})
}

// note has the rebuilds know how deep books are.
func (w *world) note() {
	b := w.batch
	for i := range b.N {
		if b.Kind[i] != tick.KindDefinition {
			continue
		}
		first, n := tick.SplitSideRows(b.Aux[i])
		for k := first; k < first+n; k++ {
			d := &b.Definitions[k]
			w.half.Depth(d.InstrumentID, int(d.MarketDepth), int(d.MarketDepthImplied))
		}
	}
}

// adopt exchanges the lane's books for those that are offered.
func (w *world) adopt() {
	s := w.half.Offered(w.next)
	if s == nil {
		return
	}
	must(w.t, w.books.Swap(s.Books))
	w.prices, s.Prices = s.Prices, w.prices
	w.decoder, s.Decoder = s.Decoder, w.decoder
	w.half.Forget()
	w.half.Return(s)
	w.certain, w.fresh = true, true
	w.rebuilt++
}

// worker takes one step of an attempt.
func (w *world) worker() {
	w.now++
	switch {
	case w.stepping:
		if st, _ := w.work.Step(w.now); st == resync.Done || st == resync.Void || st == resync.Over {
			w.stepping = false
		}
	case w.fetching:
		if !w.collectors[Definitions].done() || !w.collectors[Levels].done() || !w.collectors[Orders].done() {
			return
		}
		w.fetching = false
		if err := w.work.End(0); err != nil {
			return
		}
		w.stepping = true
	case w.work.Wanted() && w.work.Begin():
		c := Config{Levels: nil, Counters: &w.counters, MaxInstruments: 1 << 12, MaxBytes: 1 << 24}
		for kind := range w.collectors {
			w.collectors[kind] = newCollector(Kind(kind), &c, func(s *Snapshot) error {
				p := s.Part()
				return w.work.Part(&p)
			})
		}
		w.fetching = true
	}
}

// loop has one packet of a loop arrive.
func (w *world) loop(kind int) {
	if w.fetching && !w.collectors[Definitions].done() { // as Fetch has it: they say how deep books are
		kind = int(Definitions)
	}
	packet, err := w.loops[kind].Next(w.g.Time())
	must(w.t, err)
	if !w.fetching || w.collectors[kind].done() || w.IntN(1_000_000) < w.loopLossPPM {
		return
	}
	if err := w.collectors[kind].packet(0, packet); err != nil {
		w.work.Fail(err)
		w.fetching = false
	}
}

// run plays the session, then goes on without faults until the lane is certain of its books.
func (w *world) run() {
	for turn := 0; ; turn++ {
		ok, err := w.ch.Event()
		must(w.t, err)
		if !ok {
			break
		}
		if w.resetEvery > 0 && turn%w.resetEvery == w.resetEvery-1 {
			must(w.t, w.ch.Reset(false))
		}
		for range w.IntN(3) {
			w.loop(w.IntN(2))
		}
		if w.IntN(4) == 0 {
			w.worker()
			w.adopt()
		}
		if w.fresh { // each rebuild's books, not only the last one's
			must(w.t, w.ch.Flush())
			if w.fresh = false; w.certain && w.next == w.ch.Packets+1 {
				w.compared++
				w.compare()
				if w.t.Failed() {
					w.t.Fatalf("after %d rebuilds, at packet %d", w.rebuilt, w.next)
				}
			}
		}
	}
	w.lossPPM, w.bursts, w.loopLossPPM = 0, 0, 0
	if uint64(w.ch.Packets)+1 != w.next { // what was lost at the end shows with the next packet
		must(w.t, w.ch.Idle(w.g.Time()+60_000_000_000))
	}
	for turn := 0; !w.certain; turn++ {
		if turn > 2_000_000 {
			w.half.Refresh()
			w.t.Fatalf("the lane does not get its books back: %+v, %+v", w.half.Counters, w.counters)
		}
		w.loop(turn & 1)
		w.worker()
		w.adopt()
	}
}

// compare wants the lane's books to be the market's: orders in the order of their queues, levels, implied levels.
func (w *world) compare() {
	w.t.Helper()
	for i := range w.g.Instruments() {
		id := uint32(w.g.Security(i))
		var got, want []book.Order
		w.books.Walk(id, func(o book.Order) bool {
			got = append(got, book.Order{ID: o.ID, Price: o.Price, Size: o.Size, Side: o.Side})
			return true
		})
		for side := range 2 {
			for _, o := range w.g.Orders(i, side) {
				want = append(want, book.Order{ID: o.ID, Price: o.Price, Size: o.Size, Side: "BA"[side]})
			}
			w.levels(i, side, w.g.Levels(i, side), w.prices.Levels)
			w.levels(i, side, w.g.Implied(i, side), w.prices.Implied)
		}
		for k := range max(len(got), len(want)) {
			if k >= len(got) || k >= len(want) || got[k] != want[k] {
				w.t.Errorf("seed %d, %s, %d orders, want %d; from the %dth on: %v, want %v", w.seed, w.g.Symbol(i), len(got), len(want), k,
					got[min(k, len(got)):min(k+3, len(got))], want[min(k, len(want)):min(k+3, len(want))])
				break
			}
		}
	}
	must(w.t, w.books.Validate())
}

func (w *world) levels(i, side int, want []mdp3gen.Level, of func(uint32, byte, []book.Level) int) {
	w.t.Helper()
	got := make([]book.Level, 20)
	got = got[:of(uint32(w.g.Security(i)), "BA"[side], got)]
	same := len(got) == len(want)
	for k := range got {
		same = same && got[k] == book.Level{Price: want[k].Price, Size: want[k].Size, Orders: uint32(want[k].Orders)}
	}
	if !same {
		w.t.Errorf("%s side %d: levels %v, want %v", w.g.Symbol(i), side, got, want)
	}
}

// TestLossless: the decoder, the order books and the price books make the market of the messages. What follows compares with the same.
func TestLossless(t *testing.T) {
	for _, o := range []mdp3gen.Options{{Messages: 40_000}, {Messages: 20_000, Version: 9}, {Messages: 20_000, LongQty: true}} {
		w := newWorld(t, 7, o, false)
		w.run()
		w.compare()
		if r := w.decoder.Refused(); r != 0 || w.rebuilt != 0 {
			t.Errorf("%+v: %d messages refused, %d rebuilds without a loss", o, r, w.rebuilt)
		}
		if c := w.prices.Counters(); c.Absent != 0 || c.PriceMismatch != 0 || c.OutOfOrder != 0 || c.OverDepth != 0 {
			t.Errorf("%+v: %+v", o, c)
		}
	}
}

// TestJoin: whatever is lost of the feed and of the loops, by order or by price, the lane ends with the market's books, after rebuilds from snapshots that are each as of a
// number of its own; some of them made in the middle of a packet.
func TestJoin(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 6
	}
	var sum resync.Counters
	lost, rebuilt, resets, compared := 0, 0, 0, 0
	for seed := range seeds {
		o := mdp3gen.Options{Messages: 12_000 + seed*500, Instruments: 3 + int(seed%5)*8, LongQty: seed%4 == 3}
		w := newWorld(t, seed, o, seed%2 == 1)
		w.lossPPM, w.loopLossPPM = []int{200, 1_000, 5_000}[seed%3], []int{0, 10_000, 100_000}[seed/3%3]
		if seed%5 == 4 {
			w.resetEvery = 3_000
		}
		w.run()
		w.compare()
		w.half.Refresh()
		resets += w.resets
		compared += w.compared
		c := w.half.Counters
		sum.Attempts += c.Attempts
		sum.TooOld += c.TooOld
		sum.LogFull += c.LogFull
		sum.Doubtful += c.Doubtful
		sum.Superseded += c.Superseded
		sum.Replayed += c.Replayed
		sum.AlreadyThere += c.AlreadyThere
		sum.UnknownAfter += c.UnknownAfter
		sum.Stale += c.Stale
		lost += w.lost
		rebuilt += w.rebuilt
		if t.Failed() {
			t.Fatalf("seed %d (cut %v): %+v", seed, seed%2 == 1, c)
		}
	}
	t.Logf("%d packets lost, %d rebuilds, %d of them compared at once, %d resets: %+v", lost, rebuilt, compared, resets, sum)
	if compared < int(seeds) || sum.Superseded == 0 || sum.Replayed == 0 {
		t.Errorf("%d rebuilds, %+v: this test shows less than it says", rebuilt, sum)
	}
}
