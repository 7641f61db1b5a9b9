package fix_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// orderLane is a lane that tells its orders, as a feed process does: the mbo ring, and .snap at times. What rests it keeps in a plain map, the truth of the tests.
type orderLane struct {
	*lane
	mbo  *ringbuf.Writer
	snap *ringbuf.SnapWriter
	rand *rand.Rand
	rest map[orderKey]restingOrder
	keys []orderKey
	last uint64
}

type orderKey struct {
	instrument uint32
	id         uint64
}

type restingOrder struct {
	side byte
	px   int64
	size uint32
}

func makeOrderLane(t *testing.T, dir string, slots uint64) *orderLane {
	t.Helper()
	l := &orderLane{lane: makeLane(t, dir), rand: rand.New(rand.NewPCG(4, 2)), rest: map[orderKey]restingOrder{}}
	var err error
	if l.mbo, err = ringbuf.Create(ringbuf.Path(dir, "test", "venue", "0", ringbuf.KindMbo), ringbuf.Options{Kind: ringbuf.KindMbo, TestSlots: slots, Publisher: 2}); err != nil {
		t.Fatal(err)
	}
	l.mbo.SetState(ringbuf.StateRunning)
	if l.snap, err = ringbuf.CreateSnap(ringbuf.SidePath(dir, "test", "venue", "0", ringbuf.ExtSnap), 1<<14, ringbuf.SideOptions{}); err != nil {
		t.Fatal(err)
	}
	l.beat()
	t.Cleanup(func() { _, _ = l.mbo.Close(), l.snap.Close() })
	return l
}

func (l *orderLane) beat() {
	l.lane.beat()
	l.mbo.PublishHint()
	l.mbo.Beat(ringbuf.MonotonicNow())
}

func (l *orderLane) publish(action byte, k orderKey, o restingOrder, flags uint8) {
	rec := tick.Mbo{
		Header: l.header(tick.RTypeMbo, k.instrument), OrderID: k.id, Price: o.px, Size: o.size, Flags: flags, Action: action, Side: o.side, TsRecv: l.now,
	}
	ringbuf.PublishSlice(l.mbo, []tick.Mbo{rec})
}

// step makes one order event: an order comes, goes, becomes smaller, is changed, or is executed in part; seldom a book is emptied.
func (l *orderLane) step(instruments int) {
	k := orderKey{instrument: 1 + l.rand.Uint32N(uint32(instruments))}
	side, px := tick.SideBid, int64(1000-l.rand.IntN(60))*1e7
	if l.rand.IntN(2) == 0 {
		side, px = tick.SideAsk, int64(1001+l.rand.IntN(60))*1e7
	}
	what := l.rand.IntN(100)
	if what < 45 || len(l.keys) == 0 {
		l.last++
		k.id = l.last/3 + 1 // unique within an instrument, no more
		if _, ok := l.rest[k]; ok {
			return
		}
		o := restingOrder{side, px, 1 + l.rand.Uint32N(500)}
		l.rest[k], l.keys = o, append(l.keys, k)
		l.publish(tick.ActionAdd, k, o, tick.FlagLast)
		return
	}
	if what == 99 && l.rand.IntN(20) == 0 {
		for _, o := range l.keys {
			if o.instrument == k.instrument {
				delete(l.rest, o)
			}
		}
		l.keys = slices.DeleteFunc(l.keys, func(o orderKey) bool { return o.instrument == k.instrument })
		l.publish(tick.ActionClear, orderKey{instrument: k.instrument}, restingOrder{side: tick.SideNone, px: tick.UndefPrice}, tick.FlagLast)
		return
	}
	at := l.rand.IntN(len(l.keys))
	k = l.keys[at]
	o := l.rest[k]
	switch {
	case what < 60: // elsewhere, of another size
		if o.side == side {
			o.px = px
		}
		o.size = 1 + l.rand.Uint32N(500)
		l.rest[k] = o
		l.publish(tick.ActionModify, k, o, tick.FlagLast)
		return
	case what < 75: // T and F change no book, C does
		l.publish(tick.ActionTrade, k, restingOrder{o.side, o.px, 1}, 0)
		l.publish(tick.ActionFill, k, restingOrder{o.side, o.px, 1}, 0)
		o.size--
		l.publish(tick.ActionCancel, k, restingOrder{o.side, o.px, 1}, tick.FlagLast)
	default:
		l.publish(tick.ActionCancel, k, o, tick.FlagLast)
		o.size = 0
	}
	if l.rest[k] = o; o.size == 0 {
		delete(l.rest, k)
		l.keys[at] = l.keys[len(l.keys)-1]
		l.keys = l.keys[:len(l.keys)-1]
	}
}

// snapshot writes .snap as of now.
func (l *orderLane) snapshot() {
	l.t.Helper()
	l.snap.Begin()
	byInstrument := map[uint32][]tick.Mbo{}
	for _, k := range l.keys {
		o := l.rest[k]
		byInstrument[k.instrument] = append(byInstrument[k.instrument], tick.Mbo{
			Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: k.instrument}, OrderID: k.id, Price: o.px, Size: o.size,
			Flags: tick.FlagSnapshot, Action: tick.ActionAdd, Side: o.side,
		})
	}
	for id, orders := range byInstrument {
		all := append([]tick.Mbo{{
			Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: id}, Price: tick.UndefPrice, Flags: tick.FlagSnapshot,
			Action: tick.ActionClear, Side: tick.SideNone,
		}}, orders...)
		for i := range all {
			if err := l.snap.Put(&all[i]); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	l.snap.End(l.mbo.Next()-1, l.mbo.Epoch(), l.now, uint64(len(l.keys)))
}

// levels is a side of the truth: sizes by price, the best most of them.
func (l *orderLane) levels(instrument uint32, side byte, most int) map[int64]uint32 {
	all := map[int64]uint32{}
	var prices []int64
	for k, o := range l.rest {
		if k.instrument == instrument && o.side == side {
			if all[o.px] == 0 {
				prices = append(prices, o.px)
			}
			all[o.px] += o.size
		}
	}
	slices.Sort(prices)
	if side == tick.SideBid {
		slices.Reverse(prices)
	}
	for _, px := range prices[min(most, len(prices)):] {
		delete(all, px)
	}
	return all
}

// differ says how a client's books are not the lane's, empty: they are.
func (l *orderLane) differ(r *reader, symbols []string, most int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, symbol := range symbols {
		b := r.books[symbol]
		if b == nil {
			return symbol + ": no book came"
		}
		got := fmt.Sprint(b.bids, b.offers)
		if want := fmt.Sprint(l.levels(uint32(i+1), tick.SideBid, most), l.levels(uint32(i+1), tick.SideAsk, most)); got != want {
			return fmt.Sprintf("%s:\n got %s\nwant %s", symbol, got, want)
		}
	}
	return ""
}

// Goal: the full book of a feed that tells its orders, by FIX: all levels, from .snap and the mbo ring, are the producer's own; so are ten levels of a feed
// without an mbp10 ring. Also when the ring has overtaken the server: it begins anew from .snap, and sends W. Method: a lane's files written by the test, from a
// plain map of what rests; two clients, one of the full book and one of five levels, which check every action, and each message by the dictionary.
func TestWholeBooks(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			symbols := []string{"ONE", "TWO", "THREE"}
			dir := t.TempDir()
			l := makeOrderLane(t, dir, 1<<12)
			for i, symbol := range symbols {
				l.define(uint32(i+1), symbol)
			}
			for range 1000 {
				l.step(len(symbols))
			}
			l.snapshot()
			for range 500 { // what is behind the snapshot
				l.step(len(symbols))
			}
			l.beat()
			market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
			if err != nil {
				t.Fatal(err)
			}
			s, err := session.Serve(session.ServerConfig{
				Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ALL", "FIVE"}, Versions: []session.Version{v}, Log: testLog(t),
			}, market)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			open := func(name string, depth int) *reader {
				r := newReader(t, v)
				c, err := session.Open(session.Config{
					Session: session.Session{Version: v, SenderCompID: name, TargetCompID: "VENUE", MaxBody: 1 << 20, Log: testLog(t)},
					Address: s.Addr().String(), Symbols: symbols, Depth: depth,
				}, r.take)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return r
			}
			all, five := open("ALL", 0), open("FIVE", 5)
			same := func(what string) {
				t.Helper()
				var why string
				for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
					l.beat()
					if why = l.differ(all, symbols, 1<<20) + l.differ(five, symbols, 5); why == "" {
						return
					}
					if time.Now().After(end) {
						t.Fatalf("%s: %s", what, why)
					}
				}
			}
			same("from the snapshot on")
			for range 200 {
				for range l.rand.IntN(40) {
					l.step(len(symbols))
				}
				l.beat()
				time.Sleep(time.Millisecond)
			}
			same("from the ring")
			if _, x, _ := all.counts(); x == 0 {
				t.Error("no X came")
			}
			if _, x, _ := five.counts(); x == 0 {
				t.Error("no X of five levels came")
			}
			l.snapshot() // which is too old in a moment
			until(t, time.Minute, "an overrun, the old books not firm", func() bool {
				for range 4 << 12 { // the server is not always slower
					l.step(len(symbols))
				}
				l.beat()
				all.mu.Lock()
				defer all.mu.Unlock()
				return all.soft > 0
			})
			l.snapshot()
			l.step(len(symbols))
			same("behind the overrun")
			for range 300 {
				l.step(len(symbols))
			}
			same("and on")
			all.check(t)
			five.check(t)
			if n := s.Counters().Denied.Load(); n != 0 {
				t.Errorf("%d requests denied", n)
			}
		})
	}
}

// Goal: what a feed does not tell is refused with its reason, not served empty: the full book of a feed whose mbo ring has levels only, one without a
// snapshot, one of instruments that have prices and no orders; and a request that asks for two sorts of books.
func TestNoWholeBooks(t *testing.T) {
	dir := t.TempDir()
	l := makeOrderLane(t, dir, 1<<10)
	l.define(1, "PRICES")
	l.define(2, "ORDERS")
	l.define(3, "EMPTY")
	l.top(1, 500, 501, 0)
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Serve(session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, BookPatience: 300 * time.Millisecond, Log: testLog(t)}, market)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := dialVenue(t, session.V44, s.Addr().String())
	c.logon("141=Y|")
	c.expect("35=A")
	l.beat()
	c.send("V|262=A|263=1|264=0|265=1|267=1|269=0|146=1|55=ORDERS|")
	c.expect("35=Y", "262=A", "281=5", "58=of ORDERS neither orders nor ten levels are told: MarketDepth 1 is had") // there is no snapshot yet
	l.publish(tick.ActionAdd, orderKey{1, 7}, restingOrder{tick.SideBid, 500e7, 9}, tick.FlagMBP)
	l.beat()
	l.snapshot()
	c.send("V|262=B|263=1|264=0|265=1|267=1|269=0|146=1|55=PRICES|")
	c.expect("35=Y", "262=B", "281=5")
	l.rest, l.keys = map[orderKey]restingOrder{{2, 1}: {tick.SideBid, 400e7, 5}}, []orderKey{{2, 1}}
	l.publish(tick.ActionAdd, orderKey{2, 1}, l.rest[orderKey{2, 1}], tick.FlagLast)
	l.snapshot()
	l.beat()
	c.send("V|262=C|263=1|264=0|265=1|267=1|269=0|146=1|55=ORDERS|")
	m := c.expect("35=W", "262=C", "268=1", "270=4", "271=5", "346=1")
	if strings.Contains(m, "|290=") {
		t.Errorf("%s: levels of a full book are numbered, but what changes is told by price", m)
	}
	c.send("V|262=D|263=1|264=0|265=1|267=1|269=0|146=1|55=EMPTY|")
	c.expect("35=W", "262=D", "268=0")
	c.send("V|262=E|263=0|264=0|267=1|269=0|146=1|55=PRICES|")
	until(t, 20*time.Second, "refused", func() bool { l.beat(); return s.Counters().Denied.Load() == 3 })
	c.expect("35=Y", "262=E", "281=5")
	l.top(3, 100, 101, 0) // its orders are not told, as shows now: the book that was sent as empty is not that
	until(t, 20*time.Second, "refused", func() bool { l.beat(); return s.Counters().Denied.Load() == 4 })
	c.expect("35=Y", "262=D", "281=5")
	l.publish(tick.ActionCancel, orderKey{2, 1}, restingOrder{tick.SideBid, 400e7, 2}, tick.FlagLast)
	l.beat()
	c.expect("35=X", "262=C", "279=1", "269=0", "55=ORDERS", "270=4", "271=3")
	l.publish(tick.ActionModify, orderKey{2, 1}, restingOrder{tick.SideBid, 401e7, 3}, tick.FlagLast)
	l.beat()
	m = c.expect("35=X", "262=C", "268=2")
	if !strings.Contains(m, "279=2|269=0|55=ORDERS|270=4|") || !strings.Contains(m, "279=0|269=0|55=ORDERS|270=4.01|271=3|") {
		t.Errorf("%s: has not the move", m)
	}
	c.send("V|262=F|263=1|264=0|265=0|267=1|269=0|146=1|55=ORDERS|") // W each time
	c.expect("35=W", "262=F", "268=1", "270=4.01")
	c.send("V|262=C|263=2|264=0|265=1|267=1|269=0|146=1|55=ORDERS|")
	l.beat()
	c.send("1|112=C is over|")
	c.expect("35=0", "112=C is over")
	l.publish(tick.ActionAdd, orderKey{2, 2}, restingOrder{tick.SideBid, 399e7, 8}, tick.FlagLast|tick.FlagMaybeBadBook)
	l.beat()
	m = c.expect("35=W", "262=F", "268=2")
	if !strings.Contains(m, "|276=I|") {
		t.Errorf("%s: the suspect book is not marked", m)
	}
}
