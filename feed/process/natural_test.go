package process

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/nic"
	parser "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// toldBy is what a lane published.
type toldBy struct {
	mbo  []tick.Mbo
	mbp1 []ringbuf.Mbp1Slot
	ext  []tick.Ext
	last func(id uint32) (ringbuf.Mbp1Slot, bool)

	natural resync.NaturalCounters
}

// recorded is a session of a generated market, packet by packet, in virtual time.
type recorded struct {
	g       *mdp3gen.Gen
	packets [][]byte // packet n has number n + 1
	ids     []uint32 // its instruments
}

// record plays a market, with a channel reset each so many events; 0: none.
func record(t *testing.T, o mdp3gen.Options, resetEvery int) *recorded {
	t.Helper()
	r := &recorded{}
	var err error
	r.g, err = mdp3gen.New(o)
	must(t, err)
	for i := range r.g.Instruments() {
		r.ids = append(r.ids, uint32(r.g.Security(i)))
	}
	ch, err := mdp3.NewChannel(r.g, mdp3.ChannelOptions{}, func(_ uint32, _ uint64, packet []byte) error {
		r.packets = append(r.packets, bytes.Clone(packet))
		return nil
	})
	must(t, err)
	for n := 1; ; n++ {
		ok, err := ch.Event()
		must(t, err)
		if !ok {
			return r
		}
		if resetEvery > 0 && n%resetEvery == 0 {
			must(t, ch.Reset(false))
		}
	}
}

// fault is what becomes of a packet.
type fault int

const (
	arrives fault = iota
	isLost
	isSpoilt // one of its messages cannot be read
)

func noFault(uint64) fault { return arrives }

// spoil makes a message of a packet unreadable, one with others on both sides where there is one.
func spoil(packet []byte) []byte {
	p := bytes.Clone(packet)
	_, body, err := parser.ParsePacket(p)
	if err != nil {
		return p
	}
	for n := 0; len(body) > 0; n++ {
		_, used := parser.Next(body)
		if n == 1 || used == len(body) {
			body[2], body[3] = 0xFF, 0xFF // blockLength
			break
		}
		body = body[used:]
	}
	return p
}

// publish has a lane take the packets. Lanes of two channels have one more, of which nothing comes.
func (x *recorded) publish(t *testing.T, product string, of func(n uint64) fault, pass, channels int) *toldBy {
	t.Helper()
	dir := t.TempDir()
	var out pipeline.Outputs
	readers := map[ringbuf.Kind]*ringbuf.Reader{}
	for kind, to := range map[ringbuf.Kind]**ringbuf.Writer{ringbuf.KindMbo: &out.Mbo, ringbuf.KindMbp1: &out.Mbp1, ringbuf.KindExt: &out.Ext} {
		path := filepath.Join(dir, "f.0."+kind.String()+".ring")
		w, err := ringbuf.Create(path, ringbuf.Options{Kind: kind, Slots: 1 << 16})
		must(t, err)
		defer w.Close()
		*to = w
		readers[kind], err = ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
		defer readers[kind].Close()
	}
	var err error
	out.Instruments, err = ringbuf.CreateInst(filepath.Join(dir, "f.0.inst"), 0, ringbuf.SideOptions{})
	must(t, err)
	defer out.Instruments.Close()
	out.Last, err = ringbuf.CreateLast(filepath.Join(dir, "f.0.last"), out.Instruments, 40_002, ringbuf.SideOptions{})
	must(t, err)
	defer out.Last.Close()
	kept, err := protocol.MDP3.Keep(product, 0)
	must(t, err)
	defer kept.Close()
	directory, err := symbols.New(0)
	must(t, err)
	decoder, err := protocol.MDP3.New(protocol.Options{Product: product})
	must(t, err)
	now := uint64(1)
	lane, err := pipeline.New(pipeline.Config{
		Publisher: 40_002, Decoder: decoder, Books: kept.Orders, Prices: kept.Prices, Levels: kept.Levels, Natural: true, Symbols: directory, Out: out,
		Midnight: protocol.MDP3.MidnightBefore, MaxPass: pass, Clock: func() uint64 { return now },
	})
	must(t, err)
	defer lane.Close()
	for n := 1; n < channels; n++ {
		d, err := protocol.MDP3.New(protocol.Options{Product: product, Channel: uint8(n)})
		must(t, err)
		lane.Stream(d, uint8(n))
	}
	ch := session.NewChannel(session.Config{Framing: protocol.MDP3.Framing}, lane)
	told := &toldBy{}
	for n, p := range x.packets {
		now += 10_000_000 // beyond any wait for the other line
		lane.SetNow(now)
		ch.Tick(now)
		switch of(uint64(n + 1)) {
		case arrives:
			ch.Packet(&nic.Packet{Data: p, TsRecv: now}, now)
		case isSpoilt:
			ch.Packet(&nic.Packet{Data: spoil(p), TsRecv: now}, now)
		}
		if n%3 != 0 { // a pass may have several packets
			lane.EndPass()
			told.take(t, readers)
		}
	}
	for range 3 {
		now += 10_000_000
		lane.SetNow(now)
		ch.Tick(now)
		lane.EndPass()
	}
	told.take(t, readers)
	must(t, kept.Orders.Validate())
	if c := lane.Natural(); c != nil {
		told.natural = *c
	}
	inst, err := ringbuf.OpenInst(filepath.Join(dir, "f.0.inst"))
	must(t, err)
	last, err := ringbuf.OpenLast(filepath.Join(dir, "f.0.last"), inst)
	must(t, err)
	values := map[uint32]ringbuf.Mbp1Slot{}
	for _, id := range x.ids {
		if rec, ok := last.Last(40_002, id); ok {
			values[id] = rec
		}
	}
	told.last = func(id uint32) (rec ringbuf.Mbp1Slot, ok bool) { rec, ok = values[id]; return rec, ok }
	must(t, last.Close())
	must(t, inst.Close())
	return told
}

func (x *toldBy) take(t *testing.T, readers map[ringbuf.Kind]*ringbuf.Reader) {
	t.Helper()
	x.mbo = append(x.mbo, pollAll[tick.Mbo](t, readers[ringbuf.KindMbo])...)
	x.mbp1 = append(x.mbp1, pollAll[ringbuf.Mbp1Slot](t, readers[ringbuf.KindMbp1])...)
	x.ext = append(x.ext, pollAll[tick.Ext](t, readers[ringbuf.KindExt])...)
}

// pollAll takes what a ring has.
func pollAll[T any](t *testing.T, r *ringbuf.Reader) (all []T) {
	t.Helper()
	recs := make([]T, 256)
	for {
		n, _, status := ringbuf.PollSlice(r, recs)
		if status == ringbuf.Overrun {
			t.Fatal("the ring is too small for this test")
		}
		if n == 0 {
			return all
		}
		all = append(all, recs[:n]...)
	}
}

// moment is an instrument as of a packet.
type moment struct {
	instrument uint32
	sequence   uint32
}

// states is what something was of each instrument, after each packet that changed it.
type states[T any] map[uint32][]state[T]

type state[T any] struct {
	sequence uint32
	is       T
}

func (s states[T]) set(id, sequence uint32, is T) {
	l := s[id]
	if n := len(l); n > 0 && l[n-1].sequence == sequence {
		l[n-1].is = is
		return
	}
	s[id] = append(l, state[T]{sequence, is})
}

// at is the state as of a packet.
func (s states[T]) at(id, sequence uint32) (is T) {
	at, found := slices.BinarySearchFunc(s[id], sequence, func(x state[T], n uint32) int { return cmp.Compare(x.sequence, n) })
	switch {
	case found:
		return s[id][at].is
	case at > 0:
		return s[id][at-1].is
	}
	return is
}

// tops holds best prices that are said to be certain against a lossless run's: live records are among those of the same packet there, others are what was there as of that
// packet.
func (x *toldBy) tops(t *testing.T, truth *toldBy) (trusted, doubted int) {
	t.Helper()
	type record struct {
		action, side byte
		price        int64
		size         uint32
		top          tick.BidAskPair
	}
	bare := func(r *ringbuf.Mbp1Slot) record { return record{r.Action, r.Side, r.Price, r.Size, r.Levels[0]} }
	live, after := map[moment][]record{}, states[tick.BidAskPair]{}
	for i := range truth.mbp1 {
		r := &truth.mbp1[i]
		m := moment{r.InstrumentID, r.Sequence}
		live[m] = append(live[m], bare(r))
		if r.Action != tick.ActionTrade { // which has them as they were before
			after.set(r.InstrumentID, r.Sequence, r.Levels[0])
		}
	}
	for i := range x.mbp1 {
		r := &x.mbp1[i]
		switch m := (moment{r.InstrumentID, r.Sequence}); {
		case r.Flags&tick.FlagMaybeBadBook != 0:
			doubted++
			continue
		case r.Flags&tick.FlagSnapshot != 0:
			if want := cmp.Or(after.at(r.InstrumentID, r.Sequence), tick.EmptyPair); r.Levels[0] != want {
				t.Fatalf("instrument %d as of packet %d: %+v are told as certain; they are %+v", r.InstrumentID, r.Sequence, r.Levels[0], want)
			}
		case r.Action == tick.ActionNone: // the end of an event
		case !slices.Contains(live[m], bare(r)):
			t.Fatalf("instrument %d in packet %d: %+v is told as certain; it was %+v", r.InstrumentID, r.Sequence, bare(r), live[m])
		}
		trusted++
	}
	return trusted, doubted
}

// books calls fn with what a reader of the mbo ring has of an instrument, its orders or its levels, behind each record: a sum that is the same of the same book.
func (x *toldBy) books(fn func(r *tick.Mbo, book uint64)) {
	type key struct {
		order uint64
		price int64
		side  byte
	}
	type entry struct {
		key
		resting tick.Mbo
	}
	type sum struct {
		all map[key]entry
		sum uint64
	}
	all := map[uint32]*sum{}
	for i := range x.mbo {
		r := &x.mbo[i]
		if r.RType != tick.RTypeMbo {
			continue
		}
		b := all[r.InstrumentID]
		if b == nil {
			b = &sum{all: map[key]entry{}}
			all[r.InstrumentID] = b
		}
		k := key{order: r.OrderID}
		if r.Flags&tick.FlagMBP != 0 {
			k = key{0, r.Price, r.Side}
		}
		was, is := b.all[k], entry{k, tick.Mbo{Price: r.Price, Size: r.Size, Side: r.Side}}
		switch r.Action {
		case tick.ActionClear:
			clear(b.all)
			b.sum = 0
		case tick.ActionCancel:
			is.resting = was.resting
			if is.resting.Size -= min(r.Size, is.resting.Size); r.Flags&tick.FlagMBP != 0 {
				is.resting.Size = 0
			}
			fallthrough
		case tick.ActionAdd, tick.ActionModify:
			if was.resting.Size != 0 {
				b.sum -= maphash.Comparable(sumSeed, was)
				delete(b.all, k)
			}
			if is.resting.Size != 0 {
				b.sum += maphash.Comparable(sumSeed, is)
				b.all[k] = is
			}
		}
		fn(r, b.sum)
	}
}

var sumSeed = maphash.MakeSeed()

// rest holds readers' books that are said to be certain against a lossless run's.
func (x *toldBy) rest(t *testing.T, truth *toldBy) (trusted, told int) {
	t.Helper()
	after := states[uint64]{}
	truth.books(func(r *tick.Mbo, book uint64) { after.set(r.InstrumentID, r.Sequence, book) })
	type claim struct {
		sequence uint32
		book     uint64
		certain  bool
	}
	claims := map[uint32]claim{}
	judge := func(id uint32) {
		c, ok := claims[id]
		if !ok || !c.certain {
			return
		}
		trusted++
		if want := after.at(id, c.sequence); c.book != want {
			t.Fatalf("instrument %d as of packet %d: its book is told as certain, and is not the market's", id, c.sequence)
		}
	}
	x.books(func(r *tick.Mbo, book uint64) {
		if c, ok := claims[r.InstrumentID]; ok && c.sequence != r.Sequence { // the state behind a packet: an event may go on in the next one
			judge(r.InstrumentID)
		}
		if r.Flags&tick.FlagSnapshot != 0 {
			told++
		}
		claims[r.InstrumentID] = claim{r.Sequence, book, r.Flags&tick.FlagMaybeBadBook == 0}
	})
	for id := range claims {
		judge(id)
	}
	return trusted, told
}

// impliedIn is what a reader of ext has of the implied books.
func impliedIn(recs []tick.Ext) map[uint32]*[2][]mdp3gen.Level {
	books := map[uint32]*[2][]mdp3gen.Level{}
	for _, r := range recs {
		if r.Kind != tick.ExtImplied {
			continue
		}
		b := books[r.InstrumentID]
		if b == nil {
			b = new([2][]mdp3gen.Level)
			books[r.InstrumentID] = b
		}
		action, at, l := byte(r.C>>16), int(byte(r.C>>8))-1, mdp3gen.Level{Price: int64(r.A), Size: r.B}
		if action == tick.ActionClear {
			*b = [2][]mdp3gen.Level{}
			continue
		}
		side := &b[tick.SideBid-byte(r.C)]
		switch {
		case action == tick.ActionAdd && at <= len(*side):
			*side = slices.Insert(*side, at, l)
		case action == tick.ActionModify && at < len(*side):
			(*side)[at] = l
		case action == tick.ActionCancel && at < len(*side):
			*side = slices.Delete(*side, at, at+1)
		}
		*side = (*side)[:min(len(*side), 2)]
	}
	return books
}

// TestNaturalRefresh: a lane that loses packets, of a channel that has no loops, comes to trust most of its price books again, by the stream alone, and never one that is not the
// market's at that moment. Orders are trusted again only once the venue has emptied their books.
func TestNaturalRefresh(t *testing.T) {
	for _, tc := range []struct {
		product  string
		reset    int // events from one channel reset to the next
		channels int
	}{{"", 0, 1}, {"mbp", 0, 1}, {"", 3_000, 1}, {"mbp", 3_000, 1}, {"mbp", 0, 2}, {"", 3_000, 2}} {
		t.Run(fmt.Sprintf("product %q, resets %v, channels %d", tc.product, tc.reset > 0, tc.channels), func(t *testing.T) {
			var sum resync.NaturalCounters
			certain, implied := 0, 0
			for seed := uint64(1); seed <= 2; seed++ {
				x := record(t, mdp3gen.Options{Messages: 24_000, Instruments: 16, Seed: seed}, tc.reset)
				pass := []int{pipeline.PassReplay, pipeline.PassLive}[seed-1]
				truth := x.publish(t, tc.product, noFault, pass, tc.channels)
				if truth.natural != (resync.NaturalCounters{}) {
					t.Errorf("without a loss: %+v", truth.natural)
				}
				end := uint64(len(x.packets)) / 2 // then none is lost, and some books come back that had lost something
				got := x.publish(t, tc.product, func(n uint64) fault {
					switch k := n + seed*37; {
					case n <= 300 || n >= end:
						return arrives
					case k%433 < 2+seed:
						return isLost
					case k%433 == 220:
						return isSpoilt
					}
					return arrives
				}, pass, tc.channels)
				trusted, doubted := got.tops(t, truth)
				if doubted == 0 || trusted < doubted/4 {
					t.Errorf("%d best prices in doubt, %d not: this test shows less than it says", doubted, trusted)
				}
				books, told := got.rest(t, truth)
				c := &got.natural
				closed, want := 0, c.Learnt+c.Followed
				if tc.product == "" {
					want = c.Emptied // the gap is not closed to who reads orders, before those are back
				}
				for _, g := range gapsIn(got.mbo, tick.GapClosed) {
					if closed++; g.InstrumentID == 0 || g.First <= 300 || g.Last >= end || g.First > g.Last {
						t.Errorf("%d-%d of instrument %d is closed", g.First, g.Last, g.InstrumentID)
					}
				}
				if uint64(closed) != want {
					t.Errorf("%d closed, want %d: %+v", closed, want, *c)
				}
				addCounts(&sum, c)
				switch orders := tc.product == ""; {
				case orders && tc.reset == 0:
					if told != 0 || c.LiveState != 2 {
						t.Errorf("%d books of orders told anew, from nowhere; %+v", told, *c)
					}
				case told == 0 || books == 0:
					t.Errorf("%d books trusted, %d told anew", books, told)
				}
				clean := 0
				for i := range x.g.Instruments() {
					id := uint32(x.g.Security(i))
					rec, ok := got.last(id)
					if !ok || rec.Flags&tick.FlagMaybeBadBook != 0 {
						continue
					}
					clean++
					if want := best(x.g, i); rec.Levels[0] != want {
						t.Errorf("%s: best prices are %+v, want %+v", x.g.Symbol(i), rec.Levels[0], want)
					}
					b := impliedIn(got.ext)[id]
					for side := range 2 {
						if want := x.g.Implied(i, side); b != nil && !slices.Equal(b[side], want) {
							t.Errorf("%s: implied levels %v, want %v", x.g.Symbol(i), b[side], want)
						} else {
							implied += len(want)
						}
					}
				}
				if certain += clean; uint64(x.g.Instruments()-clean) != c.LiveDoubted {
					t.Errorf("%d of %d instruments are certain; %+v", clean, x.g.Instruments(), *c)
				}
			}
			if t.Logf("%d of 32 books certain in the end: %+v", certain, sum); certain < 12 || implied == 0 || sum.Losses < 10 || sum.Learnt < 10 || sum.Followed < 20 || tc.reset > 0 && sum.Emptied < 20 {
				t.Error("this test shows less than it says")
			}
		})
	}
}

func addCounts(sum, c *resync.NaturalCounters) {
	sum.Losses += c.Losses
	sum.Doubts += c.Doubts
	sum.Learnt += c.Learnt
	sum.Followed += c.Followed
	sum.Emptied += c.Emptied
	sum.Contradicted += c.Contradicted
}

// best is an instrument's best prices in the market.
func best(g *mdp3gen.Gen, i int) tick.BidAskPair {
	p := tick.EmptyPair
	if l := g.Levels(i, 0); len(l) > 0 {
		p.BidPx, p.BidSz, p.BidCt = l[0].Price, tick.Size32(l[0].Size), uint32(l[0].Orders)
	}
	if l := g.Levels(i, 1); len(l) > 0 {
		p.AskPx, p.AskSz, p.AskCt = l[0].Price, tick.Size32(l[0].Size), uint32(l[0].Orders)
	}
	return p
}

// TestNaturalByHand: what decides whether a book counts as whole, packet by packet.
func TestNaturalByHand(t *testing.T) {
	const x, y, z = 11, 12, 13
	const end, more = parser.LastQuoteMsg | parser.EndOfEvent, parser.LastQuoteMsg
	v := parser.EncodeV13
	define := func(id int32) []byte {
		return v.AppendFuture(nil, &parser.WireInstrument{
			Action: 'A', Symbol: fmt.Sprint("S", id), Security: id, Group: "G", Asset: "A", Exchange: "XCME", SecurityType: "FUT", Year: 2026, Month: 12,
			Increment: 1e9, DisplayFactor: 1e9, Reference: parser.WireNoPrice, High: parser.WireNoPrice, Low: parser.WireNoPrice, Depth: 2, Trading: parser.WireNoByte, TotNumReports: parser.WireNoU32,
		})
	}
	type entry struct {
		side, level byte // '0', '1'; from 1
		action      uint8
		px          int64
		entry       uint32
	}
	book := func(indicator byte, id int32, entries ...entry) []byte {
		var levels []parser.WireLevel
		for _, e := range entries {
			levels = append(levels, parser.WireLevel{Price: e.px * 1e9, Size: 5, Security: id, RptSeq: e.entry, Orders: 1, Level: e.level, Action: e.action, Type: e.side})
		}
		return v.AppendBook(nil, uint64(len(entries))+1_800_000_000_000_000_000, indicator, levels, nil)
	}
	all := func(first uint32) []entry { // every level, as a change
		return []entry{{'0', 1, 1, 100, first}, {'0', 2, 1, 99, first + 1}, {'1', 1, 1, 101, first + 2}, {'1', 2, 1, 102, first + 3}}
	}
	begin := func(id int32) []byte {
		return book(end, id, entry{'0', 1, 0, 100, 1}, entry{'0', 2, 0, 99, 2}, entry{'1', 1, 0, 101, 3}, entry{'1', 2, 0, 102, 4})
	}
	ruin := func(m []byte) []byte { m[2], m[3] = 0xFF, 0xFF; return m } // blockLength
	print := func(id int32) []byte {
		return v.AppendTrades(nil, 1_800_000_000_000_000_009, parser.LastTradeMsg|parser.EndOfEvent, []parser.WireTrade{{Price: 100e9, Size: 1, Security: id, RptSeq: 10, Aggressor: 1, ID: 5}}, nil)
	}
	p := func(messages ...[]byte) []byte { return bytes.Join(messages, nil) }
	start := [][]byte{p(define(x)), p(begin(x)), nil} // packet 3 is lost
	for _, tc := range []struct {
		name    string
		packets [][]byte
		doubted []uint32 // of x, y and z that have a latest value
		counts  resync.NaturalCounters
	}{
		{"every level comes", append(start, p(book(end, x, all(6)...))), nil, resync.NaturalCounters{Losses: 1, Learnt: 1}},
		{"all but one", append(start, p(book(end, x, all(6)[:3]...))), []uint32{x}, resync.NaturalCounters{Losses: 1, LiveDoubted: 1, LiveState: 2}},
		{"the entry that was due", append(start, p(book(end, x, all(5)[:1]...))), nil, resync.NaturalCounters{Losses: 1, Followed: 1}},
		{"the entry that was due, and one that does not fit", append(start, p(book(end, x, all(5)[0], entry{'0', 1, 1, 77, 6}))), []uint32{x}, resync.NaturalCounters{Losses: 1, Contradicted: 1, LiveDoubted: 1, LiveState: 2}},
		{"the one behind it", append(start, p(book(end, x, all(6)[:1]...))), []uint32{x}, resync.NaturalCounters{Losses: 1, LiveDoubted: 1, LiveState: 2}},
		{"in the middle of an event", append(start, p(book(more, x, all(6)...))), []uint32{x}, resync.NaturalCounters{Losses: 1, LiveDoubted: 1, LiveState: 2}},
		{"its end", append(start, p(book(more, x, all(6)...)), p(book(end, x, all(10)[3]))), nil, resync.NaturalCounters{Losses: 1, Learnt: 1}},
		{"a message behind it cannot be read", append(start, p(book(end, x, all(6)...), ruin(book(end, x, all(10)[:1]...)))), []uint32{x}, resync.NaturalCounters{Losses: 2, LiveDoubted: 1, LiveState: 2}},
		{"one before it", append(start, p(ruin(book(end, x, all(6)[:1]...))), p(book(end, x, all(7)...))), nil, resync.NaturalCounters{Losses: 2, Learnt: 1}},
		{"no loss but of an entry that cannot be read", [][]byte{start[0], start[1], p(book(end, x, all(5)[0], entry{'0', 2, 9, 99, 6})), p(book(end, x, all(5)[2]))}, []uint32{x},
			resync.NaturalCounters{Losses: 1, LiveDoubted: 1, LiveState: 2}},
		{"numbers that begin anew", append(start, p(book(end, x, entry{'0', 1, 1, 100, 2}))), []uint32{x}, resync.NaturalCounters{Losses: 1, LiveDoubted: 1, LiveState: 2}},
		{"and what was due of another one then", [][]byte{p(define(x), define(y)), p(begin(x), begin(y)), nil, p(book(end, y, entry{'0', 1, 1, 100, 2})), p(book(end, x, all(5)[0]))}, []uint32{x, y},
			resync.NaturalCounters{Losses: 1, LiveDoubted: 2, LiveState: 2}},
		{"another price than is known", append(start, p(book(end, x, all(6)[0], entry{'0', 1, 1, 98, 7}), book(end, x, all(8)[1:]...))), []uint32{x},
			resync.NaturalCounters{Losses: 1, Contradicted: 1, LiveDoubted: 1, LiveState: 2}},
		{"an instrument that is defined later, from its first entry", append(start, p(define(y)), p(begin(y))), []uint32{x}, resync.NaturalCounters{Losses: 1, Followed: 1, LiveDoubted: 1, LiveState: 2}},
		{"from a later one", append(start, p(define(y)), p(book(end, y, entry{'0', 1, 0, 100, 2}))), []uint32{x, y}, resync.NaturalCounters{Losses: 1, LiveDoubted: 2, LiveState: 2}},
		{"one without a definition", append(start, p(begin(z))), []uint32{x, z}, resync.NaturalCounters{Losses: 1, LiveDoubted: 2, LiveState: 2}},
		{"a print of a book that is right again", append(start, p(book(end, x, all(6)...)), p(v.AppendHeartbeat(nil)), p(print(x))), nil, resync.NaturalCounters{Losses: 1, Learnt: 1}},
		{"a level that does not fit, without a loss", [][]byte{start[0], start[1], p(book(end, x, entry{'0', 1, 1, 77, 5}))}, []uint32{x}, resync.NaturalCounters{Doubts: 1, LiveDoubted: 1, LiveState: 1}},
		{"and every level behind it", [][]byte{start[0], start[1], p(book(end, x, entry{'0', 1, 1, 77, 5})), p(book(end, x, all(6)...))}, nil, resync.NaturalCounters{Doubts: 1, Learnt: 1}},
	} {
		for channels := 1; channels <= 2; channels++ {
			t.Run(fmt.Sprint(tc.name, ", channels ", channels), func(t *testing.T) {
				r := &recorded{ids: []uint32{x, y, z}}
				for n, body := range tc.packets {
					r.packets = append(r.packets, append(parser.AppendPacketHeader(nil, uint32(n+1), uint64(n+1)), body...))
				}
				got := r.publish(t, "", func(n uint64) fault {
					if tc.packets[n-1] == nil {
						return isLost
					}
					return arrives
				}, pipeline.PassLive, channels)
				var doubted []uint32
				for _, id := range r.ids {
					if rec, ok := got.last(id); ok && rec.Flags&tick.FlagMaybeBadBook != 0 {
						doubted = append(doubted, id)
					}
				}
				c, lost := got.natural, tc.counts.Losses > 0
				if lost && tc.counts.LiveState == 0 {
					tc.counts.LiveState = 2 // orders
				}
				if !slices.Equal(doubted, tc.doubted) || c != tc.counts {
					t.Errorf("%v in doubt, want %v; %+v, want %+v", doubted, tc.doubted, c, tc.counts)
				}
				if prints := slices.DeleteFunc(slices.Clone(got.mbp1), func(r ringbuf.Mbp1Slot) bool {
					return r.Action != tick.ActionTrade || r.Flags&tick.FlagMaybeBadBook != 0
				}); strings.Contains(tc.name, "print") != (len(prints) == 1) {
					t.Errorf("%d certain prints", len(prints))
				}
				for _, m := range got.mbo { // no order comes back: who reads them is never told that a book is right
					if m.RType == tick.RTypeMbo && lost && m.Sequence > 3 && m.Flags&tick.FlagMaybeBadBook == 0 {
						t.Errorf("mbo: %+v", m)
					}
				}
			})
		}
	}
}

// TestCMENatural: a feed of a channel without loops and replay, on sockets, whose lines lose the same packets, gets price books back from what goes on coming: where it says that one is
// certain, it is the market's. With natural = "off" all stay in doubt.
func TestCMENatural(t *testing.T) {
	for name, more := range map[string][2]string{"both": {}, "mbp": {"product = \"mbp\""}, "off": {"", "natural = \"off\""}} {
		t.Run(name, func(t *testing.T) {
			x := cmeExchange(t, 30_000, 8, mdp3.Options{Lines: mold.LinesOptions{BothPPM: 2_500, BothPackets: 3}})
			x.more = more
			x.join()
			x.begin()
			k := x.settle()
			x.look = nil // orders do not come back
			must(t, x.end())
			x.certain()
			if len(x.lost) == 0 || k["0.channel.0.lost_messages"] == 0 {
				t.Fatalf("nothing was lost: %v", moved(k))
			}
			side := func(ext string) string { return ringbuf.SidePath(x.dir, "t", "nq", "0", ext) }
			inst, err := ringbuf.OpenInst(side(ringbuf.ExtInst))
			must(t, err)
			defer inst.Close()
			last, err := ringbuf.OpenLast(side(ringbuf.ExtLast), inst)
			must(t, err)
			defer last.Close()
			certain := uint64(0)
			for i := range x.g.Instruments() {
				rec, ok := last.Last(40_002, uint32(x.g.Security(i)))
				if !ok || rec.Flags&tick.FlagMaybeBadBook != 0 {
					continue
				}
				certain++
				if want := best(x.g, i); rec.Levels[0] != want {
					t.Errorf("%s: best prices are %+v, want %+v", x.g.Symbol(i), rec.Levels[0], want)
				}
			}
			back := k["0.natural.learnt"] + k["0.natural.followed"]
			switch doubted, counted := k["0.natural.live_doubted"]; {
			case name == "off":
				if counted || certain != 0 {
					t.Errorf("%d books are certain", certain)
				}
			case back == 0 || certain+doubted != uint64(x.g.Instruments()):
				t.Errorf("%d books are certain: %v", certain, moved(k))
			}
			t.Logf("%d losses; %d books came back; %d of %d are certain in the end", k["0.natural.losses"], back, certain, x.g.Instruments())
		})
	}
}
