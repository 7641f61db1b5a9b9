package pipeline

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

const testMidnight = uint64(1_767_589_200_000_000_000) // 2026-01-05 in New York

// bench is a lane with rings of its own, and readers of them.
type bench struct {
	lane    *Lane
	books   *book.Books
	readers map[ringbuf.Kind]*ringbuf.Reader
	last    *ringbuf.LastReader
	inst    *ringbuf.InstReader
	next    uint64            // sequence
	ended   map[uint32]uint64 // by instrument: events that rows ended
}

func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	b := &bench{readers: map[ringbuf.Kind]*ringbuf.Reader{}, next: 1}
	dir := t.TempDir()
	var out Outputs
	for kind, place := range map[ringbuf.Kind]**ringbuf.Writer{
		ringbuf.KindMbo: &out.Mbo, ringbuf.KindMbp1: &out.Mbp1, ringbuf.KindTrades: &out.Trades,
		ringbuf.KindEvents: &out.Events, ringbuf.KindExt: &out.Ext, ringbuf.KindMbp10: &out.Mbp10,
	} {
		path := filepath.Join(dir, "f.0."+kind.String()+".ring")
		w, err := ringbuf.Create(path, ringbuf.Options{Kind: kind, Slots: 1 << 14})
		must(t, err)
		t.Cleanup(func() { _ = w.Close() })
		*place = w
		r, err := ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
		t.Cleanup(func() { _ = r.Close() })
		b.readers[kind] = r
	}
	var err error
	out.Instruments, err = ringbuf.CreateInst(filepath.Join(dir, "f.0.inst"), 1024, ringbuf.SideOptions{})
	must(t, err)
	out.Last, err = ringbuf.CreateLast(filepath.Join(dir, "f.0.last"), out.Instruments, 2, ringbuf.SideOptions{})
	must(t, err)
	b.inst, err = ringbuf.OpenInst(filepath.Join(dir, "f.0.inst"))
	must(t, err)
	b.last, err = ringbuf.OpenLast(filepath.Join(dir, "f.0.last"), b.inst)
	must(t, err)
	b.books, err = book.New(book.Options{MaxInstruments: 1 << 10, MaxOrders: 1 << 16, MaxReference: 1 << 24})
	must(t, err)
	directory, err := symbols.New(0)
	must(t, err)
	cfg := Config{
		Publisher: 2, ChannelID: 3, Books: b.books, Symbols: directory, Out: out,
		Midnight: func(uint64) (uint64, error) { return testMidnight, nil },
		Clock:    func() uint64 { return testMidnight + 34_200_000_000_000 },
	}
	if change != nil {
		change(&cfg)
	}
	b.lane, err = New(cfg)
	must(t, err)
	b.lane.StartDay(testMidnight)
	b.lane.SetNow(cfg.Clock())
	t.Cleanup(func() {
		must(t, b.lane.Close())
		must(t, b.books.Close())
		must(t, b.last.Close())
		must(t, b.inst.Close())
	})
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// msg builds a message from its type, locate, time of day in ns and the bytes behind.
func msg(typ byte, locate uint16, ns uint64, rest ...any) []byte {
	b := []byte{typ}
	b = binary.BigEndian.AppendUint16(b, locate)
	b = append(b, 0, 0)
	b = append(b, binary.BigEndian.AppendUint64(nil, ns)[2:]...)
	for _, v := range rest {
		switch v := v.(type) {
		case byte:
			b = append(b, v)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		}
	}
	return b
}

func add(ref uint64, locate uint16, side byte, size, price uint32) []byte {
	return msg('A', locate, ref, ref, side, size, "TEST    ", price)
}

// feed hands messages to the lane as one packet that came in at the given time.
func (b *bench) feed(at uint64, messages ...[]byte) {
	var blocks []byte
	for _, m := range messages {
		blocks = binary.BigEndian.AppendUint16(blocks, uint16(len(m)))
		blocks = append(blocks, m...)
	}
	b.lane.Messages(blocks, b.next, len(messages), session.Arrival{TsRecv: at})
	b.next += uint64(len(messages))
}

// mbo gives what the order ring has, as text: one line a record.
func (b *bench) mbo(t testing.TB) []string {
	t.Helper()
	var lines []string
	for {
		var recs [64]tick.Mbo
		n, _, st := ringbuf.PollSlice(b.readers[ringbuf.KindMbo], recs[:])
		if n == 0 {
			if st != ringbuf.None {
				t.Fatalf("mbo ring: %v", st)
			}
			return lines
		}
		for i := range recs[:n] {
			r := &recs[i]
			switch r.RType {
			case tick.RTypeMbo:
				lines = append(lines, fmt.Sprintf("%c %d %c %d %d@%s f%02x seq%d",
					r.Action, r.InstrumentID, r.Side, r.OrderID, r.Size, price(r.Price), r.Flags, r.Sequence))
			case tick.RTypeGap:
				g := ringbuf.GapOfMbo(r)
				lines = append(lines, fmt.Sprintf("gap %d-%d state%d", g.First, g.Last, g.State))
			case tick.RTypeStatus:
				s := ringbuf.StatusOfMbo(r)
				lines = append(lines, fmt.Sprintf("status %d action%d", s.InstrumentID, s.Action))
			default:
				lines = append(lines, fmt.Sprintf("rtype %#x", r.RType))
			}
		}
	}
}

func price(p int64) string {
	if p == tick.UndefPrice {
		return "-"
	}
	return fmt.Sprintf("%g", float64(p)/1e9)
}

func (b *bench) mbp1(t testing.TB) []string {
	t.Helper()
	var lines []string
	for {
		var recs [64]ringbuf.Mbp1Slot
		n, _, st := ringbuf.PollSlice(b.readers[ringbuf.KindMbp1], recs[:])
		if n == 0 {
			if st != ringbuf.None {
				t.Fatalf("mbp1 ring: %v", st)
			}
			return lines
		}
		for i := range recs[:n] {
			r := &recs[i]
			l := &r.Levels[0]
			lines = append(lines, fmt.Sprintf("%c %d %c %d@%s f%02x %d@%s/%d@%s", r.Action, r.InstrumentID, r.Side, r.Size, price(r.Price),
				r.Flags, l.BidSz, price(l.BidPx), l.AskSz, price(l.AskPx)))
		}
	}
}

func check(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestExpansion: each kind of row becomes its records, in order, with F_LAST on the last one alone.
func TestExpansion(t *testing.T) {
	b := newBench(t, nil)
	b.feed(1,
		add(10, 7, 'B', 300, 1_000_000),
		add(11, 7, 'S', 200, 1_010_000),
		msg('E', 7, 12, uint64(10), uint32(100), uint64(501)),
		msg('C', 7, 13, uint64(10), uint32(50), uint64(502), "Y", uint32(999_000)),
		msg('C', 7, 14, uint64(10), uint32(50), uint64(503), "N", uint32(999_000)),
		msg('X', 7, 15, uint64(11), uint32(20)),
		msg('U', 7, 16, uint64(11), uint64(12), uint32(80), uint32(1_020_000)),
		msg('D', 7, 17, uint64(12)),
		msg('P', 7, 18, uint64(0), "B", uint32(5), "TEST    ", uint32(1_005_000), uint64(504)),
		msg('Q', 7, 19, uint64(1000), "TEST    ", uint32(1_006_000), uint64(505), "O"),
		msg('Q', 7, 20, uint64(0), "TEST    ", uint32(0), uint64(506), "C"),
		msg('D', 7, 21, uint64(99)), // unknown: counted, not published
	)
	b.lane.EndPass()
	check(t, b.mbo(t), []string{
		"A 7 B 10 300@100 f80 seq1",
		"A 7 A 11 200@101 f80 seq2",
		"T 7 A 0 100@100 f00 seq3", "F 7 B 10 100@100 f00 seq3", "C 7 B 10 100@100 f80 seq3",
		"T 7 A 0 50@99.9 f00 seq4", "F 7 B 10 50@99.9 f00 seq4", "C 7 B 10 50@100 f80 seq4",
		"F 7 B 10 50@99.9 f00 seq5", "C 7 B 10 50@100 f80 seq5",
		"C 7 A 11 20@101 f80 seq6",
		"C 7 A 11 180@101 f00 seq7", "A 7 A 12 80@102 f80 seq7",
		"C 7 A 12 80@102 f80 seq8",
		"T 7 N 0 5@100.5 f80 seq9",
		"T 7 N 0 1000@100.6 f80 seq10",
	})
	check(t, b.mbp1(t), []string{
		"A 7 B 300@100 f80 300@100/0@-",
		"A 7 A 200@101 f80 300@100/200@101",
		"T 7 A 100@100 f00 300@100/200@101", "C 7 B 100@100 f80 200@100/200@101",
		"T 7 A 50@99.9 f00 200@100/200@101", "C 7 B 50@100 f80 150@100/200@101",
		"C 7 B 50@100 f80 100@100/200@101",
		"C 7 A 20@101 f80 100@100/180@101",
		"A 7 A 80@102 f80 100@100/80@102",
		"C 7 A 80@102 f80 100@100/0@-",
		"T 7 N 5@100.5 f80 100@100/0@-",
		"T 7 N 1000@100.6 f80 100@100/0@-",
	})
	var trades [16]ringbuf.TradeSlot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindTrades], trades[:])
	var ids []uint64
	for i := range trades[:n] {
		ids = append(ids, trades[i].MatchID)
	}
	if fmt.Sprint(ids) != "[501 502 504 505]" {
		t.Errorf("match ids of the tape: %v", ids)
	}
	if u := b.books.Counters().Unknown[tick.KindDelete]; u != 1 {
		t.Errorf("%d unknown deletes counted", u)
	}
	must(t, b.books.Validate())
}

// TestStaleOrderLeaves: an id that is given out again, even in another instrument, takes the stale order out of readers'
// books too.
func TestStaleOrderLeaves(t *testing.T) {
	b := newBench(t, nil)
	b.feed(1,
		add(10, 7, 'B', 300, 1_000_000),
		add(10, 8, 'S', 50, 2_000_000),
		add(11, 8, 'S', 60, 2_000_000),
		msg('U', 8, 12, uint64(11), uint64(10), uint32(70), uint32(2_010_000)),
		msg('U', 8, 13, uint64(10), uint64(12), uint32(0), uint32(2_010_000)), // the new order is refused: no shares
	)
	b.lane.EndPass()
	check(t, b.mbo(t), []string{
		"A 7 B 10 300@100 f80 seq1",
		"C 7 B 10 300@100 f00 seq2", "A 8 A 10 50@200 f80 seq2",
		"A 8 A 11 60@200 f80 seq3",
		"C 8 A 10 50@200 f00 seq4", "C 8 A 11 60@200 f00 seq4", "A 8 A 10 70@201 f80 seq4",
		"C 8 A 10 70@201 f80 seq5",
	})
	got := b.mbp1(t)
	if want := "C 7 B 300@100 f00 0@-/0@-"; len(got) < 2 || got[1] != want {
		t.Errorf("the top of the other instrument: %q, want %q second", got, want)
	}
	must(t, b.books.Validate())
}

// TestGapIsARecord: a loss stands between the records before and after it, and everything after is marked.
func TestGapIsARecord(t *testing.T) {
	b := newBench(t, nil)
	b.feed(1, add(10, 7, 'B', 300, 1_000_000))
	b.lane.Gap(session.Gap{First: 2, Last: 5, State: tick.GapLost})
	b.next = 6
	b.feed(2, add(16, 7, 'B', 100, 1_000_000))
	b.lane.EndPass()
	check(t, b.mbo(t), []string{
		"A 7 B 10 300@100 f80 seq1",
		"gap 2-5 state3",
		"A 7 B 16 100@100 f84 seq6",
	})
	var events [4]ringbuf.EventSlot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindEvents], events[:])
	if n != 1 || events[0].RType() != tick.RTypeGap || events[0].Gap().Last != 5 {
		t.Errorf("%d events, want the gap alone", n)
	}
}

// TestRefusedMessageIsDoubt: a message that cannot be read is a loss like one that did not come: a record names it, in its place among those around it, and
// what comes behind it is marked, in the same packet too.
func TestRefusedMessageIsDoubt(t *testing.T) {
	short := add(11, 7, 'B', 300, 1_000_000)[:35]
	want := []string{
		"A 7 B 10 300@100 f80 seq1", "gap 2-2 state3", "A 7 B 12 100@100 f84 seq3", "gap 4-4 state3", "gap 5-5 state3", "A 8 B 13 100@100 f84 seq6",
	}
	for name, give := range map[string]func(*bench, ...[]byte){
		"packets": func(b *bench, m ...[]byte) { b.feed(1, m[:4]...); b.feed(2, m[4:]...) },
		"a file": func(b *bench, m ...[]byte) {
			var span []byte
			for _, m := range m {
				span = append(binary.BigEndian.AppendUint16(span, uint16(len(m))), m...)
			}
			if used := b.lane.Span(span, 1); used != len(span) {
				t.Errorf("%d bytes used of %d", used, len(span))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			give(b, add(10, 7, 'B', 300, 1_000_000), short, add(12, 7, 'B', 100, 1_000_000), short[:1], short[:20], add(13, 8, 'B', 100, 1_000_000))
			b.lane.EndPass()
			check(t, b.mbo(t), want)
			var events [8]ringbuf.EventSlot
			n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindEvents], events[:])
			var gaps []string
			for i := range events[:n] {
				if events[i].RType() == tick.RTypeGap {
					g := events[i].Gap()
					gaps = append(gaps, fmt.Sprintf("%d-%d state%d, %d came", g.First, g.Last, g.State, g.Messages))
				}
			}
			check(t, gaps, []string{"2-2 state3, 0 came", "4-4 state3, 0 came", "5-5 state3, 0 came"})
			if c := b.lane.Counters(); c.Gaps != 3 || c.Messages != 6 || c.Rows != 3 || b.lane.Parser().Short != 3 {
				t.Errorf("%+v", *c)
			}
			for _, id := range []uint32{7, 8} {
				if !b.books.Suspect(id) {
					t.Errorf("the book of %d is not suspect", id)
				}
			}
		})
	}
}

// TestSessionStart: a new session empties books and directory and says so for every instrument; the rings go on.
func TestSessionStart(t *testing.T) {
	b := newBench(t, nil)
	b.feed(1, define(7, "AAPL"), add(10, 7, 'B', 300, 1_000_000))
	b.lane.SessionStart([10]byte{1})
	b.feed(2, define(7, "MSFT"), add(10, 7, 'S', 300, 1_000_000))
	b.lane.EndPass()
	check(t, b.mbo(t), []string{
		"R 7 N 0 0@- f80 seq1", // before its first record of a session …
		"A 7 B 10 300@100 f80 seq2",
		"R 7 N 0 0@- f80 seq0", // … at the end of it, for every instrument …
		"R 7 N 0 0@- f80 seq3",
		"A 7 A 10 300@100 f80 seq4",
	})
	// … but not when a definition is told again, or comes after orders.
	b.feed(3, define(7, "MSFT"), add(11, 9, 'S', 300, 1_000_000), define(9, "LATE"))
	b.lane.EndPass()
	check(t, b.mbo(t), []string{"A 9 A 11 300@100 f80 seq6"})
	if e, ok := b.inst.Lookup(2, 7); !ok || e.Symbol() != "MSFT" {
		t.Errorf("directory says %q", e.Symbol())
	}
	if d := b.books.Counters().Duplicate; d != 0 {
		t.Errorf("%d duplicates: the book of the session before was still there", d)
	}
	if last, ok := b.last.Last(2, 7); !ok || last.Levels[0].BidPx != tick.UndefPrice {
		t.Errorf("last value of the session before: %+v", last)
	}
}

// TestSessionStartOfUnnamed: instruments whose definition never came are cleared like all others, or their orders would outlive the day
// with whoever follows the ring.
func TestSessionStartOfUnnamed(t *testing.T) {
	b := newBench(t, nil)
	b.lane.Gap(lostGap(1, 1)) // AAPL is defined there
	b.next = 2
	b.feed(1, define(9, "MSFT"), add(10, 7, 'B', 300, 1_000_000), add(11, 9, 'B', 300, 1_000_000))
	b.lane.EndPass()
	b.mbo(t)
	b.lane.SessionStart([10]byte{1})
	check(t, b.mbo(t), []string{"R 9 N 0 0@- f80 seq0", "R 7 N 0 0@- f80 seq0"})
	b.lane.SessionStart([10]byte{2})
	check(t, b.mbo(t), nil)
}

// TestLatestValuesAfterALoss: an instrument's latest value says that it may be wrong from the loss on, though no row of it comes.
func TestLatestValuesAfterALoss(t *testing.T) {
	for what, lose := range map[string]func(*bench){
		"a loss":            func(b *bench) { b.lane.Gap(lostGap(b.next, b.next)); b.next++ },
		"a refused message": func(b *bench) { b.feed(2, add(12, 9, 'B', 300, 1_000_000)[:35]) },
	} {
		b := newBench(t, nil)
		b.feed(1, add(10, 7, 'B', 300, 1_000_000), add(11, 8, 'S', 300, 1_010_000))
		b.lane.EndPass()
		before, _ := b.last.Last(2, 7)
		lose(b)
		b.lane.EndPass()
		for id := range uint32(9) {
			v, ok := b.last.Last(2, id)
			if ok != (id >= 7) || ok && (v.Flags&tick.FlagMaybeBadBook == 0 || v.Levels[0] != b.books.Top(id) || v.TsRecv < before.TsRecv) {
				t.Errorf("%s: latest value of %d: %v %+v", what, id, ok, v)
			}
		}
		b.feed(3, add(13, 8, 'S', 100, 1_000_000))
		b.lane.EndPass()
		lose(b) // a second loss changes nothing
		b.lane.EndPass()
		if v, _ := b.last.Last(2, 8); v.Action != tick.ActionAdd || v.Flags&tick.FlagMaybeBadBook == 0 {
			t.Errorf("%s: latest value of 8: %+v", what, v)
		}
	}
}

func define(locate uint16, symbol string) []byte {
	return msg('R', locate, 1, fmt.Sprintf("%-8s", symbol), "QN", uint32(100), "NCZ PNN1N", uint32(0), "N")
}

// TestRecvTimeNeverGoesBack: a stamp before the last one is moved forward and marked.
func TestRecvTimeNeverGoesBack(t *testing.T) {
	b := newBench(t, nil)
	b.feed(1000, add(10, 7, 'B', 300, 1_000_000))
	b.feed(900, add(11, 7, 'B', 300, 1_000_000))
	b.lane.EndPass()
	var recs [2]tick.Mbo
	ringbuf.PollSlice(b.readers[ringbuf.KindMbo], recs[:])
	if recs[1].TsRecv != 1000 || recs[1].Flags&tick.FlagBadTsRecv == 0 || recs[0].Flags&tick.FlagBadTsRecv != 0 {
		t.Errorf("ts_recv %d flags %#x, want 1000 and F_BAD_TS_RECV", recs[1].TsRecv, recs[1].Flags)
	}
	if c := b.lane.Counters().BadTsRecv; c != 1 {
		t.Errorf("counted %d times", c)
	}
}

// TestDepth: ten levels of the wanted instrument, after each change within them.
func TestDepth(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Depth = []string{"DEEP"} })
	b.feed(1, define(7, "DEEP"))
	b.lane.EndPass()
	for i := range uint32(12) { // each bid below the one before: the eleventh is out of sight
		b.feed(2, add(uint64(100+i), 7, 'B', 10, 1_000_000-i*100), add(uint64(200+i), 8, 'B', 10, 1_000_000))
	}
	b.feed(3, msg('D', 7, 3, uint64(100)))
	b.lane.EndPass()
	var recs [32]ringbuf.Mbp10Slot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindMbp10], recs[:])
	if n != 11 {
		t.Fatalf("%d records, want ten adds and a removal", n)
	}
	last := &recs[n-1]
	if last.Action != tick.ActionCancel || last.Levels[0].BidPx != 99_990_000_000 || last.Levels[9].BidPx != 99_900_000_000 {
		t.Errorf("%+v", last.Mbp10)
	}
}

// What rests when depth begins to be kept, at a definition that comes late, is no order event: the record has the levels and nothing that
// was in the batch's columns before.
func TestDepthOfLateDefinition(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Depth = []string{"DEEP"} })
	b.feed(1, add(100, 7, 'B', 10, 1_000_000), add(101, 7, 'S', 20, 1_000_100))
	b.lane.EndPass()
	b.feed(2, define(7, "DEEP"), msg('U', 7, 3, uint64(100), uint64(102), uint32(0), uint32(1_000_200)))
	b.lane.EndPass()
	var recs [8]ringbuf.Mbp10Slot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindMbp10], recs[:])
	if n != 2 {
		t.Fatalf("%d records", n)
	}
	if r := &recs[0]; r.Action != tick.ActionNone || r.Side != tick.SideNone || r.Price != tick.UndefPrice || r.Size != 0 || r.Levels[0].BidSz != 10 || r.Levels[0].AskSz != 20 {
		t.Errorf("%+v", r.Mbp10)
	}
	// A replace whose new order is refused only takes the old one away.
	if r := &recs[1]; r.Action != tick.ActionCancel || r.Side != tick.SideBid || r.Price != 100_000_000_000 || r.Size != 10 || r.Levels[0].BidSz != 0 {
		t.Errorf("%+v", r.Mbp10)
	}
}

// TestOnly: rows of other symbols touch neither book nor rings; rows out of time are not published but kept.
func TestOnly(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Only = []string{"AAPL"}
		c.From, c.To = testMidnight+20, testMidnight+30
	})
	b.feed(1, define(7, "AAPL"), define(8, "MSFT"), add(10, 7, 'B', 100, 1_000_000), add(21, 8, 'B', 100, 1_000_000),
		add(22, 7, 'B', 100, 1_000_000), msg('D', 7, 23, uint64(10)), add(30, 7, 'B', 100, 1_000_000))
	b.lane.EndPass()
	check(t, b.mbo(t), []string{"A 7 B 22 100@100 f80 seq5", "C 7 B 10 100@100 f80 seq6"})
	if !b.lane.Past() {
		t.Error("the end of the time asked for was not noticed")
	}
}

// TestSteadyStateAllocatesNothing: neither a pass of every common kind of message, nor its publication.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	b := newBench(t, nil)
	var blocks []byte
	for _, m := range [][]byte{
		add(10, 7, 'B', 300, 1_000_000), msg('E', 7, 12, uint64(10), uint32(100), uint64(501)),
		msg('U', 7, 16, uint64(10), uint64(11), uint32(80), uint32(1_020_000)), msg('D', 7, 17, uint64(11)),
		msg('H', 7, 18, "TEST    ", "T", " ", "    "), msg('P', 7, 18, uint64(0), "B", uint32(5), "TEST    ", uint32(1_005_000), uint64(504)),
	} {
		blocks = binary.BigEndian.AppendUint16(blocks, uint16(len(m)))
		blocks = append(blocks, m...)
	}
	pass := func() {
		b.lane.Messages(blocks, 1, 6, session.Arrival{TsRecv: 1})
		b.lane.EndPass()
	}
	pass()
	if n := testing.AllocsPerRun(1000, pass); n != 0 {
		t.Errorf("%g allocations a pass", n)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a lane without books")
	}
	b := newBench(t, nil)
	if _, err := New(Config{Books: b.books, Symbols: b.lane.symbols, Midnight: b.lane.midnight, MaxPass: tick.MaxRows + 1}); err == nil {
		t.Error("a pass larger than a batch")
	}
	if unsafe.Sizeof(slot120{}) != 120 {
		t.Error("slot of 120 bytes is none")
	}
}
