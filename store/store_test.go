package store

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

const testDay = uint64(1_767_623_400_000_000_000)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lane is the rings of one lane, as a feed makes them.
type lane struct {
	dir   string
	rings map[ringbuf.Kind]*ringbuf.Writer
	inst  *ringbuf.InstWriter
	defs  *ringbuf.DefinitionsWriter

	defined uint64 // ns after testDay that definitions come in
}

var allKinds = []ringbuf.Kind{ringbuf.KindMbo, ringbuf.KindMbp1, ringbuf.KindTrades, ringbuf.KindEvents, ringbuf.KindExt, ringbuf.KindMbp10, ringbuf.KindCbbo}

func newLane(t testing.TB, slots uint64) *lane {
	t.Helper()
	l := &lane{dir: t.TempDir(), rings: map[ringbuf.Kind]*ringbuf.Writer{}}
	for _, k := range allKinds {
		l.rings[k] = l.ring(t, k, slots)
	}
	var err error
	l.inst, err = ringbuf.CreateInst(ringbuf.SidePath(l.dir, "t", "f", "0", ringbuf.ExtInst), 0, ringbuf.SideOptions{})
	must(t, err)
	l.defs, err = ringbuf.CreateDefinitions(ringbuf.SidePath(l.dir, "t", "f", "0", ringbuf.ExtDefinitions), "XNAS.ITCH", 0, ringbuf.SideOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, l.inst.Close())
		must(t, l.defs.Close())
	})
	l.define(t, 7, "AAPL")
	return l
}

func (l *lane) ring(t testing.TB, k ringbuf.Kind, slots uint64) *ringbuf.Writer {
	t.Helper()
	w, err := ringbuf.Create(ringbuf.Path(l.dir, "t", "f", "0", k), ringbuf.Options{Kind: k, TestSlots: slots, Dataset: "XNAS.ITCH", Channel: 3})
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func (l *lane) define(t testing.TB, id uint32, symbol string) {
	t.Helper()
	d := tick.UndefDefinition
	d.Header = tick.Header{Length: 130, RType: tick.RTypeDefinition, PublisherID: 2, InstrumentID: id, TsEvent: testDay}
	d.TsRecv = testDay + l.defined
	copy(d.RawSymbol[:], symbol)
	must(t, l.inst.Put(&d, l.defs.Append(&d)))
	must(t, l.defs.Drain())
}

func publish[T any](l *lane, k ringbuf.Kind, recs ...T) uint64 {
	first := ringbuf.PublishSlice(l.rings[k], recs)
	l.rings[k].PublishHint()
	l.rings[k].Beat(ringbuf.MonotonicNow())
	return first
}

func order(n uint64) tick.Mbo {
	return tick.Mbo{
		Header:  tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: testDay + n},
		OrderID: n, Price: int64(n) * 1e7, Size: uint32(n % 1000), Flags: tick.FlagLast, ChannelID: 3, Action: tick.ActionAdd, Side: tick.SideBid,
		TsRecv: testDay + n + 5, Sequence: uint32(n),
	}
}

func trade(n, match uint64, size uint32) ringbuf.TradeSlot {
	return ringbuf.TradeSlot{Trade: tick.Trade{
		Header: tick.Header{Length: 12, RType: tick.RTypeTrade, PublisherID: 2, InstrumentID: 7, TsEvent: testDay + n},
		Price:  5e9, Size: size, Action: tick.ActionTrade, Side: tick.SideNone, Flags: tick.FlagLast, TsRecv: testDay + n,
	}, MatchID: match}
}

// follow opens a store that reads the lane's rings until the test ends.
func follow(t testing.TB, l *lane, o Options) *Store {
	t.Helper()
	o.RingDir = l.dir
	s, err := Open(o)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Follow(ctx, FollowOptions{RingDir: l.dir, Instance: "t", Log: func(text string, err error) { t.Log(text, err) }})
	}()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
		must(t, s.Close())
	})
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // until it has found the rings
		s.mu.Lock()
		ready := len(s.followers) == 1 && !slices.ContainsFunc(s.followers[0].rings, func(x *ringFollow) bool { _, ok := x.newest(); return !ok })
		s.mu.Unlock()
		if ready {
			return s
		}
		if time.Now().After(end) {
			t.Fatal("the rings were not found")
		}
	}
}

// rows reads a table as text, one line a row: the columns that are named.
func rows(t testing.TB, s *Store, table string, b Bounds, columns ...string) (lines []string) {
	t.Helper()
	s.mu.Lock()
	followers := s.followers
	s.mu.Unlock()
	for _, f := range followers { // a scan waits some milliseconds for them; a busy machine may need more
		f.await(time.Now().Add(10 * time.Second))
		f.flush.Store(true)
		for f.flush.Load() {
			time.Sleep(100 * time.Microsecond)
		}
	}
	var def *Table
	for _, x := range s.Tables() {
		if x.Name == table {
			def = x
		}
	}
	scan, err := s.Scan(table, b)
	must(t, err)
	defer scan.Close()
	total := int64(0)
	for block := scan.Next(); block != nil; block = scan.Next() {
		total += int64(block.Rows)
		vectors := make([]Vector, len(columns))
		for i, name := range columns {
			vectors[i] = block.Column(def.Column(name))
		}
		for row := range block.Rows {
			var cells []string
			for i := range vectors {
				cells = append(cells, cell(s, &vectors[i], row))
			}
			lines = append(lines, strings.Join(cells, " "))
		}
	}
	if total != scan.Rows() {
		t.Errorf("%d rows in blocks, Rows says %d", total, scan.Rows())
	}
	return lines
}

func cell(s *Store, v *Vector, row int) string {
	if v.Const {
		row = 0
	}
	if v.Valid != nil && v.Valid[row/64]>>(row%64)&1 == 0 {
		return "NULL"
	}
	switch {
	case v.I64 != nil:
		return fmt.Sprint(v.I64[row])
	case v.I16 != nil:
		return fmt.Sprint(v.I16[row])
	case v.Codes != nil:
		if v.Codes[row] == 0 {
			return "NULL"
		}
		return s.dict.String(v.Codes[row])
	}
	if v.Bytes[row] == 0 {
		return "NULL"
	}
	return string(rune(v.Bytes[row]))
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestOrders: every column of an order event, NULLs, and what is no row.
func TestOrders(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	snapshot, gap := order(3), order(4)
	snapshot.Flags |= tick.FlagSnapshot
	ringbuf.PutGapMbo(&gap, &tick.Gap{Header: tick.Header{Length: 14, RType: tick.RTypeGap}})
	clear := tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: testDay + 5}, Price: tick.UndefPrice,
		Action: tick.ActionClear, Side: tick.SideNone, TsRecv: tick.UndefTime}
	unknown, dear := order(6), order(7)
	unknown.InstrumentID = 99
	dear.Price = mostDecimal
	publish(l, ringbuf.KindMbo, order(1), order(2), snapshot, gap, clear, unknown, dear)
	check(t, "orders", rows(t, s, "orders", Bounds{}, "ts", "ts_ns", "ts_recv_ns", "symbol", "venue", "channel", "instrument_id", "seq", "order_id", "side",
		"action", "price", "size", "flags", "sequence"), []string{
		"1767623400000000 1767623400000000001 1767623400000000006 AAPL XNAS 3 7 1 1 B A 10000000 1 128 1",
		"1767623400000000 1767623400000000002 1767623400000000007 AAPL XNAS 3 7 2 2 B A 20000000 2 128 2",
		"1767623400000000 1767623400000000005 NULL AAPL XNAS 0 7 3 0 N R NULL 0 0 0",
		"1767623400000000 1767623400000000006 1767623400000000011 NULL XNAS 3 99 4 6 B A 60000000 6 128 6",
		"1767623400000000 1767623400000000007 1767623400000000012 AAPL XNAS 3 7 5 7 B A NULL 7 128 7",
	})
	if n := s.OverPrice.Load(); n != 1 {
		t.Errorf("%d prices beyond the decimal counted", n)
	}
	check(t, "definitions", rows(t, s, "definitions", Bounds{}, "symbol", "round_lot", "min_price_increment"), []string{"AAPL NULL NULL"})
}

// TestFresh: a row is seen by the scan that is asked for right after it was published, but for the few times that a busy machine
// has the follower wait for longer than a scan does.
func TestFresh(t *testing.T) {
	l := newLane(t, 1<<15)
	s := follow(t, l, Options{})
	late := 0
	for n := range uint64(2000) {
		publish(l, ringbuf.KindMbo, order(n+1))
		scan, err := s.Scan("orders", Bounds{})
		must(t, err)
		if got := scan.Rows(); got != int64(n+1) {
			late++
		}
		scan.Close()
	}
	if late > 20 {
		t.Errorf("%d of 2000 scans did not see the row before them", late)
	}
}

// TestTicks: the last trade travels with every row after it.
func TestTicks(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	slot := func(action byte, px int64, size uint32) ringbuf.Mbp1Slot {
		return ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
			Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: 2, InstrumentID: 7, TsEvent: testDay}, Price: px, Size: size, Action: action,
			Side: tick.SideBid, TsRecv: testDay,
		}, Levels: [1]tick.BidAskPair{{BidPx: 1e9, AskPx: tick.UndefPrice, BidSz: 5, BidCt: 1}}}, TsPublish: testDay + 9}
	}
	publish(l, ringbuf.KindMbp1, slot('A', 1e9, 5), slot('T', 2e9, 3), slot('C', 1e9, 5))
	check(t, "ticks", rows(t, s, "ticks", Bounds{}, "action", "price", "size", "bid_px", "ask_px", "bid_sz", "ask_sz", "bid_ct", "last_px", "last_sz"), []string{
		"A 1000000000 5 1000000000 NULL 5 0 1 NULL NULL",
		"T 2000000000 3 1000000000 NULL 5 0 1 2000000000 3",
		"C 1000000000 5 1000000000 NULL 5 0 1 2000000000 3",
	})
}

// TestCustom: words of records are columns by the file's names, NULL where the feed has none of that name, or had it only before or after.
func TestCustom(t *testing.T) {
	l := newLane(t, 1<<12)
	custom := []ringbuf.PluginColumn{
		{Name: "score", Type: "f64", Plugin: "a", Description: "how good"}, {Name: "fair", Type: "price", Plugin: "a"}, {Name: "due", Type: "time", Plugin: "b"},
		{Name: "count", Type: "i64", Plugin: "b"}, {Name: "never", Type: "i64", Plugin: "c"},
	}
	s := follow(t, l, Options{Custom: custom})
	path := ringbuf.SidePath(l.dir, "t", "f", "", ringbuf.ExtPlugins)
	tell := func(since uint64, columns ...ringbuf.PluginColumn) {
		must(t, ringbuf.WritePlugins(path, &ringbuf.Plugins{Since: since, Custom: columns}, ringbuf.SideOptions{}))
	}
	slot := func(at uint64, words ...uint64) ringbuf.Mbp1Slot {
		m := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
			Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: 2, InstrumentID: 7, TsEvent: testDay}, Action: 'A', Side: 'B', TsRecv: testDay,
		}}, TsPublish: testDay + at}
		copy(m.Plugin[:], words)
		return m
	}
	minus := func(n int64) uint64 { return uint64(-n) }
	half := math.Float64bits(0.5)
	publish(l, ringbuf.KindMbp1, slot(1, 9, 9, 9, 9)) // no plugins, whatever the words are
	want := []string{"NULL NULL NULL NULL NULL"}
	see := func(what string) {
		t.Helper()
		check(t, what, rows(t, s, "ticks", Bounds{}, "score", "fair", "due", "count", "never"), want)
	}
	see("without plugins")
	tell(testDay+10, custom[1], custom[3], custom[0], ringbuf.PluginColumn{Name: "never", Type: "f64"}) // never is another type's
	publish(l, ringbuf.KindMbp1, slot(9, 1, 2, 3, 4), slot(10, 0, 0, 0, 0), slot(10+settleNs, minus(5), minus(6), half, 4),
		slot(11+settleNs, minus(1<<62), 0, 0, 0), slot(12+settleNs, 1<<63-1, 0, 0, 0))
	want = append(want, "NULL NULL NULL NULL NULL", "NULL NULL NULL NULL NULL", fmt.Sprint(half, " -5 NULL -6 NULL"), "0 NULL NULL 0 NULL", "0 NULL NULL 0 NULL")
	see("with plugins")
	const next = 3 * settleNs
	tell(testDay+next, custom[1], custom[2]) // count's place is due's now, score's is nobody's
	publish(l, ringbuf.KindMbp1, slot(next-1, 1, 2, half, 0), slot(next, 1, 2, 3, 0), slot(next+settleNs, 1, 2, 3, 0), slot(next+settleNs, 1, 1<<64-1, 3, 0))
	want = append(want, fmt.Sprint(half, " 1 NULL 2 NULL"), "NULL 1 NULL NULL NULL", "NULL 1 2 NULL NULL", "NULL 1 NULL NULL NULL")
	see("other plugins")
	must(t, os.WriteFile(path+"-", []byte("no JSON"), 0o600))
	must(t, os.Rename(path+"-", path))
	publish(l, ringbuf.KindMbp1, slot(2*next, 1, 2, 3, 4))
	want = append(want, "NULL NULL NULL NULL NULL")
	see("a broken file")
	must(t, os.Remove(path))
	publish(l, ringbuf.KindMbp1, slot(1<<50, 1, 2, 3, 4))
	want = append(want, "NULL NULL NULL NULL NULL")
	see("no plugins any more")
	check(t, "custom_fields", rows(t, s, "tickwire.custom_fields", Bounds{}, "name", "type", "plugin", "description")[:2], []string{"score f64 a how good", "fair price a NULL"})
	for what, columns := range map[string][]ringbuf.PluginColumn{
		"a column of ticks": {{Name: "bid_px", Type: "i64"}}, "twice": {custom[0], custom[0]}, "no type": {{Name: "x", Type: "str"}}, "too many": make([]ringbuf.PluginColumn, MostCustom+1),
	} {
		if s, err := Open(Options{Custom: columns}); err == nil {
			t.Errorf("%s: taken", what)
			_ = s.Close()
		}
	}
}

// TestLearnCustom: columns that a feed's plugins bring while it runs stand behind those that are there, NULL in rows before them; rows, sequence numbers and the columns of
// another feed stay what they are.
func TestLearnCustom(t *testing.T) {
	l := newLane(t, 1<<12)
	learned := 0
	var left []string
	s := follow(t, l, Options{
		Custom: []ringbuf.PluginColumn{{Name: "fair", Type: "price", Plugin: "a"}},
		Learn:  func() { learned++ }, Log: func(_ string, c ringbuf.PluginColumn) { left = append(left, c.Name) },
	})
	path := ringbuf.SidePath(l.dir, "t", "f", "", ringbuf.ExtPlugins)
	tell := func(since uint64, columns ...ringbuf.PluginColumn) {
		must(t, ringbuf.WritePlugins(path, &ringbuf.Plugins{Since: since, Custom: columns}, ringbuf.SideOptions{}))
	}
	slot := func(at uint64, words ...uint64) ringbuf.Mbp1Slot {
		m := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
			Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: 2, InstrumentID: 7, TsEvent: testDay}, Action: 'A', Side: 'B', TsRecv: testDay,
		}}, TsPublish: testDay + at}
		copy(m.Plugin[:], words)
		return m
	}
	tell(testDay, ringbuf.PluginColumn{Name: "fair", Type: "price"})
	publish(l, ringbuf.KindMbp1, slot(settleNs, 5), slot(settleNs, 6))
	check(t, "before", rows(t, s, "ticks", Bounds{}, "seq", "fair"), []string{"1 5", "2 6"})
	before, err := s.Scan("ticks", Bounds{})
	must(t, err)
	defer before.Close()
	count, mean := ringbuf.PluginColumn{Name: "count", Type: "i64", Plugin: "b"}, ringbuf.PluginColumn{Name: "mean", Type: "f64", Plugin: "b"}
	const next = 3 * settleNs
	tell(testDay+next, count, ringbuf.PluginColumn{Name: "fair", Type: "price"}, ringbuf.PluginColumn{Name: "bid_px", Type: "i64"}, mean)
	half := math.Float64bits(0.5)
	publish(l, ringbuf.KindMbp1, slot(next+settleNs, 7, 8, 9, half))
	check(t, "behind", rows(t, s, "ticks", Bounds{}, "fair", "count", "mean", "sequence"), []string{"5 NULL NULL 0", "6 NULL NULL 0", fmt.Sprint("8 7 ", half, " 0")})
	if b := before.Next(); b == nil || b.Column(len(ticksLayout.Columns)).I64[1] != 6 {
		t.Error("a scan from before sees other rows now")
	}
	if learned != 1 || !slices.Equal(left, []string{"bid_px"}) || len(s.Custom()) != 3 {
		t.Errorf("learned %d times, left out %q, %v", learned, left, s.Custom())
	}
	tell(testDay+2*next, count) // known
	publish(l, ringbuf.KindMbp1, slot(2*next+settleNs, 3))
	check(t, "known ones", rows(t, s, "ticks", Bounds{}, "fair", "count", "mean")[3:], []string{"NULL 3 NULL"})
	if learned != 1 {
		t.Errorf("learned %d times", learned)
	}
	check(t, "numbers", rows(t, s, "ticks", Bounds{}, "seq"), []string{"1", "2", fmt.Sprint(1 + chunkRows), fmt.Sprint(2 + chunkRows)})
	check(t, "custom_fields", rows(t, s, "tickwire.custom_fields", Bounds{}, "name", "type", "plugin"), []string{"fair price a", "count i64 b", "mean f64 b"})
	check(t, "tables", rows(t, s, "tickwire.tables", Bounds{}, "name", "rows")[1:2], []string{"ticks 4"})
	// A chunk that was left half full leaves as others do.
	s.mu.Lock()
	evicted := s.evict()
	s.mu.Unlock()
	if !evicted || s.Evicted.Load() != 2 {
		t.Errorf("evicted %v, %d rows", evicted, s.Evicted.Load())
	}
}

// TestBreaksAndExactSizes: a broken trade is gone, a size too large for a record is exact.
func TestBreaksAndExactSizes(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	first := publish(l, ringbuf.KindTrades, trade(1, 501, 10), trade(2, 502, tick.MaxSize), trade(3, 503, 30))
	publish(l, ringbuf.KindExt,
		tick.Ext{Header: tick.Header{RType: tick.RTypeExt}, Kind: tick.ExtSize, Ring: tick.RingTrades, RefSeq: first + 1, A: 1 << 40},
		tick.Ext{Header: tick.Header{RType: tick.RTypeExt}, Kind: tick.ExtBreak, A: 501},
		tick.Ext{Header: tick.Header{RType: tick.RTypeExt}, Kind: tick.ExtBreak, A: 999})
	check(t, "trades", rows(t, s, "trades", Bounds{}, "match_id", "size", "seq"), []string{"502 1099511627776 2", "503 30 3"})
	if s.Inexact.Load() != 0 || s.UnknownBreak.Load() != 1 {
		t.Errorf("%d inexact, %d unknown breaks", s.Inexact.Load(), s.UnknownBreak.Load())
	}
	check(t, "tables", rows(t, s, "tickwire.tables", Bounds{}, "name", "rows")[2:3], []string{"trades 2"})
}

// TestEvents: the four tables that come out of one ring.
func TestEvents(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	h := func(rtype, length uint8) tick.Header {
		return tick.Header{Length: length, RType: rtype, PublisherID: 2, InstrumentID: 7, TsEvent: testDay}
	}
	var e [5]ringbuf.EventSlot
	e[0].PutStatus(&tick.Status{Header: h(tick.RTypeStatus, 10), TsRecv: testDay, Action: 8, Reason: 30, IsTrading: 'N', IsQuoting: '~', IsShortSellRestricted: '~'})
	e[1].PutImbalance(&tick.Imbalance{Header: h(tick.RTypeImbalance, 28), TsRecv: testDay, RefPrice: 5e9, PairedQty: tick.MaxSize, TotalImbalanceQty: 2, Side: 'B', AuctionType: 'O'})
	e[2].PutStatistics(&tick.Statistics{Header: h(tick.RTypeStatistics, 20), TsRecv: testDay, TsRef: tick.UndefTime, Price: 6e9, Quantity: 1<<63 - 1, StatType: 1, UpdateAction: 1})
	e[3].PutGap(&tick.Gap{Header: tick.Header{Length: 14, RType: tick.RTypeGap, TsEvent: testDay}, First: 5, Last: 9, TsRecv: testDay, State: tick.GapLost, ChannelID: 3})
	e[4].PutGap(&tick.Gap{Header: tick.Header{Length: 14, RType: tick.RTypeGap, TsEvent: testDay}, First: 1, Last: 1<<64 - 3, TsRecv: testDay, State: tick.GapLost, ChannelID: 3})
	first := publish(l, ringbuf.KindEvents, e[:]...)
	publish(l, ringbuf.KindExt, tick.Ext{Header: tick.Header{RType: tick.RTypeExt}, Kind: tick.ExtImbalanceSize, Ring: tick.RingEvents, RefSeq: first + 1, A: 1 << 33, B: 2})
	check(t, "status", rows(t, s, "status", Bounds{}, "symbol", "action", "reason", "is_trading", "is_quoting"), []string{"AAPL 8 30 N NULL"})
	check(t, "imbalances", rows(t, s, "imbalances", Bounds{}, "ref_price", "upper_collar", "paired_qty", "total_imbalance_qty", "side", "auction_type"),
		[]string{"5000000000 NULL 8589934592 2 B O"})
	check(t, "statistics", rows(t, s, "statistics", Bounds{}, "stat_type", "price", "quantity", "ts_ref_ns"), []string{"1 6000000000 NULL NULL"})
	check(t, "gaps", rows(t, s, "gaps", Bounds{}, "kind", "first", "last", "messages", "channel", "symbol"), []string{"lost 5 9 5 3 NULL", "lost 1 9223372036854775807 9223372036854775807 3 NULL"})
}

// TestLapped: records that the producer overwrote before they were read are counted, and a row of gaps.
func TestLapped(t *testing.T) {
	l := newLane(t, 64)
	s := follow(t, l, Options{})
	// The follower sleeps at most half a millisecond: this is a lap in less than that, several times until one hits.
	for range 1000 {
		recs := make([]tick.Mbo, 64*4)
		for i := range recs {
			recs[i] = order(uint64(i + 1))
		}
		publish(l, ringbuf.KindMbo, recs...)
		if s.LostRecords.Load() > 0 {
			break
		}
	}
	scan, err := s.Scan("orders", Bounds{})
	must(t, err)
	defer scan.Close()
	published := l.rings[ringbuf.KindMbo].Next() - 64
	lost := s.LostRecords.Load()
	if lost == 0 {
		t.Fatal("no lap: this test shows nothing")
	}
	if uint64(scan.Rows())+lost != published {
		t.Errorf("%d rows and %d lost of %d", scan.Rows(), lost, published)
	}
	total := 0
	for _, line := range rows(t, s, "gaps", Bounds{}, "kind", "messages") {
		var n int
		if _, err := fmt.Sscanf(line, "reader %d", &n); err != nil {
			t.Errorf("gap %q", line)
		}
		total += n
	}
	if uint64(total) != lost {
		t.Errorf("gaps name %d lost records of %d", total, lost)
	}
}

// TestEviction: memory stays within its bound, the oldest rows leave, counted, and a scan that holds them reads on.
func TestEviction(t *testing.T) {
	l := newLane(t, 1<<15)
	s := follow(t, l, Options{Memory: leastMemory, Tables: []string{"orders"}})
	n := uint64(0)
	batch := make([]tick.Mbo, 4096)
	fill := func(rows int) {
		for range rows / len(batch) {
			for i := range batch {
				n++
				batch[i] = order(n)
			}
			publish(l, ringbuf.KindMbo, batch...)
			must(t, await(s, n))
		}
	}
	fill(4 * chunkRows)
	old, err := s.Scan("orders", Bounds{})
	must(t, err)
	whole := int(leastMemory/ordersLayout.size) * chunkRows
	fill(2 * whole)
	s.mu.Lock()
	if s.bytes > leastMemory {
		t.Errorf("%d bytes, bound %d", s.bytes, leastMemory)
	}
	s.mu.Unlock()
	evicted := s.Evicted.Load()
	scan, err := s.Scan("orders", Bounds{})
	must(t, err)
	if evicted == 0 || uint64(scan.Rows())+evicted != n {
		t.Errorf("%d rows and %d evicted of %d", scan.Rows(), evicted, n)
	}
	first := scan.Next().Column(ordersLayout.Column("order_id")).I64[0]
	if uint64(first) != evicted+1 {
		t.Errorf("first row is order %d after %d left", first, evicted)
	}
	scan.Close()
	sum := int64(0)
	for b := old.Next(); b != nil; b = old.Next() {
		for _, id := range b.Column(ordersLayout.Column("order_id")).I64 {
			sum += id
		}
	}
	if k := int64(4 * chunkRows); sum != k*(k+1)/2 {
		t.Error("a scan lost rows that left the store")
	}
	old.Close()
}

func await(s *Store, rows uint64) error {
	for end := time.Now().Add(10 * time.Second); s.Rows.Load() < rows; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%d rows of %d", s.Rows.Load(), rows)
		}
	}
	return nil
}

// TestScansUnderIngest: each of several scans at once sees whole rows, all up to some moment.
func TestScansUnderIngest(t *testing.T) {
	l := newLane(t, 1<<14)
	s := follow(t, l, Options{Tables: []string{"orders"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				scan, err := s.Scan("orders", Bounds{})
				if err != nil {
					t.Error(err)
					return
				}
				seen := int64(0)
				for b := scan.Next(); b != nil; b = scan.Next() {
					ids, px, seq := b.Column(colOwn).I64, b.Column(ordersPrice), b.Column(colSeq).I64
					for i, id := range ids {
						if px.I64[i] != id*1e7 || seq[i] != id || px.Valid[i/64]>>(i%64)&1 == 0 {
							t.Errorf("row %d: order %d price %d", seq[i], id, px.I64[i])
							return
						}
					}
					seen += int64(b.Rows)
				}
				scan.Close()
			}
		})
	}
	n := uint64(0)
	for ctx.Err() == nil {
		recs := make([]tick.Mbo, 500)
		for i := range recs {
			n++
			recs[i] = order(n)
		}
		publish(l, ringbuf.KindMbo, recs...)
		_ = await(s, n)
	}
	wg.Wait()
}

// TestRestart: a feed that is started again goes on in its ring with a new directory; one whose ring is replaced is found.
func TestRestart(t *testing.T) {
	l := newLane(t, 1<<10)
	s := follow(t, l, Options{Tables: []string{"orders"}})
	publish(l, ringbuf.KindMbo, order(1))
	must(t, await(s, 1))
	must(t, l.rings[ringbuf.KindMbo].Close())
	l.rings[ringbuf.KindMbo] = l.ring(t, ringbuf.KindMbo, 1<<10) // the same file, a new epoch
	must(t, l.inst.Close())
	var err error
	l.inst, err = ringbuf.CreateInst(ringbuf.SidePath(l.dir, "t", "f", "0", ringbuf.ExtInst), 0, ringbuf.SideOptions{})
	must(t, err)
	l.define(t, 7, "MSFT")
	publish(l, ringbuf.KindMbo, order(2))
	must(t, await(s, 2))
	must(t, l.rings[ringbuf.KindMbo].Close())
	l.rings[ringbuf.KindMbo] = l.ring(t, ringbuf.KindMbo, 1<<11) // another file
	publish(l, ringbuf.KindMbo, order(3))
	must(t, await(s, 3))
	check(t, "orders", rows(t, s, "orders", Bounds{}, "order_id", "symbol"), []string{"1 AAPL", "2 MSFT", "3 MSFT"})
	if n := s.LostRecords.Load(); n != 0 {
		t.Errorf("%d records lost", n)
	}
}

// TestNewSession: rows on either side of a change of session have their own session's symbols, in every ring, however late the
// follower comes to them.
func TestNewSession(t *testing.T) {
	for round := range 20 {
		l := newLane(t, 1<<12)
		s := follow(t, l, Options{})
		old := trade(1, 501, 10)
		publish(l, ringbuf.KindMbo, order(1))
		if round%2 == 0 {
			publish(l, ringbuf.KindTrades, old)
		} else {
			must(t, await(s, 2)) // the order and the definition
			ringbuf.PublishSlice(l.rings[ringbuf.KindTrades], []ringbuf.TradeSlot{old})
		}
		// As a lane does it: the directory, R, then definitions and rows.
		at := testDay + 1000
		l.inst.Reset()
		publish(l, ringbuf.KindMbo, tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: at},
			Price: tick.UndefPrice, Action: tick.ActionClear, Side: tick.SideNone, TsRecv: at})
		l.defined = 1000
		l.define(t, 7, "MSFT")
		later := trade(2000, 502, 20)
		publish(l, ringbuf.KindTrades, later)
		publish(l, ringbuf.KindMbo, order(2001))
		trades := rows(t, s, "trades", Bounds{}, "match_id", "symbol")
		orders := rows(t, s, "orders", Bounds{}, "action", "symbol")
		if round%2 == 0 { // what was not read before the directory went has no symbol, but never another's
			for i := range trades {
				trades[i] = strings.Replace(trades[i], "501 NULL", "501 AAPL", 1)
			}
			for i := range orders {
				orders[i] = strings.Replace(strings.Replace(orders[i], "R NULL", "R AAPL", 1), "A NULL", "A AAPL", 1)
			}
		}
		check(t, "trades", trades, []string{"501 AAPL", "502 MSFT"})
		check(t, "orders", orders, []string{"A AAPL", "R AAPL", "A MSFT"})
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// TestBounds: chunks that cannot have a row of interest are left out.
func TestBounds(t *testing.T) {
	l := newLane(t, 1<<17)
	l.define(t, 8, "MSFT")
	s := follow(t, l, Options{Tables: []string{"orders"}})
	recs := make([]tick.Mbo, 2*chunkRows)
	for i := range recs {
		recs[i] = order(uint64(i + 1))
		if i >= chunkRows {
			recs[i].InstrumentID = 8
		}
	}
	publish(l, ringbuf.KindMbo, recs...)
	must(t, await(s, uint64(len(recs))))
	for _, tc := range []struct {
		b    Bounds
		want int64
	}{
		{Bounds{}, 2 * chunkRows}, {Bounds{Symbols: []string{"AAPL"}}, chunkRows}, {Bounds{Symbols: []string{"NONE"}}, 0},
		{Bounds{From: int64(testDay) + chunkRows + 1}, chunkRows}, {Bounds{To: int64(testDay) + 1}, 0}, {Bounds{To: int64(testDay) + 2}, chunkRows},
		{Bounds{Symbols: []string{"MSFT", "AAPL"}, From: int64(testDay) + 1e12}, 0},
	} {
		scan, err := s.Scan("orders", tc.b)
		must(t, err)
		if scan.Rows() != tc.want {
			t.Errorf("%+v: %d rows, want %d", tc.b, scan.Rows(), tc.want)
		}
		scan.Close()
	}
}

func TestFaults(t *testing.T) {
	for _, o := range []Options{{Memory: 1}, {Tables: []string{"nosuch"}}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	s, err := Open(Options{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	if _, err := s.Scan("nosuch", Bounds{}); err == nil {
		t.Error("a table that is none")
	}
}

// TestCounters: table tickwire.counters is what the processes left.
func TestCounters(t *testing.T) {
	dir := t.TempDir()
	w, err := ringbuf.CreateStats(filepath.Join(dir, "t", "f.stats"), 0, ringbuf.SideOptions{})
	must(t, err)
	defer w.Close()
	h, err := w.Add("0.lane.messages", ringbuf.StatCounter)
	must(t, err)
	w.Set(h, 42)
	s, err := Open(Options{RingDir: dir})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	check(t, "counters", rows(t, s, "tickwire.counters", Bounds{}, "instance", "process", "name", "value"), []string{"t f 0.lane.messages 42"})
}

// TestImplied: a level of an implied book out of the ext ring, and that the book is void.
func TestImplied(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	publish(l, ringbuf.KindExt, tick.Ext{
		Header: tick.Header{Length: 14, RType: tick.RTypeExt, PublisherID: 2, InstrumentID: 7, TsEvent: testDay + 99}, Kind: tick.ExtImplied, Seq32: 5,
		A: 0xFFFFFFFFC4653600, B: 1 << 40, C: 'B' | 2<<8 | 'A'<<16,
	}, tick.Ext{
		Header: tick.Header{Length: 14, RType: tick.RTypeExt, PublisherID: 2, InstrumentID: 7, TsEvent: testDay + 99}, Kind: tick.ExtImplied, Seq32: 6,
		A: 1<<63 - 1, C: 'N' | 'R'<<16,
	})
	check(t, "implied", rows(t, s, "implied", Bounds{}, "symbol", "action", "side", "level", "price", "size", "sequence", "ts_recv_ns"),
		[]string{"AAPL A B 2 -1000000000 1099511627776 5 NULL", "AAPL R N 0 NULL 0 6 NULL"})
}

// TestConsolidated: a record of a cbbo ring is a row, and one of each venue that has said something.
func TestConsolidated(t *testing.T) {
	l := newLane(t, 1<<12)
	s := follow(t, l, Options{})
	rec := ringbuf.CbboSlot{Cmbp1: tick.Cmbp1{
		Header: tick.Header{Length: 20, RType: tick.RTypeCmbp1, PublisherID: 2, InstrumentID: 7, TsEvent: testDay}, TsRecv: testDay + 100, Flags: tick.FlagLast,
		Levels: [1]tick.ConsolidatedPair{{BidPx: 1e9, AskPx: tick.UndefPrice, BidSz: 5, BidPb: 43}},
	}, TsPublish: testDay + 9, Venues: 3, Live: 1, Stale: 1}
	rec.Quotes[0] = ringbuf.VenueQuote{BidPx: 1e9, AskPx: tick.UndefPrice, BidSz: 5, TsRecv: testDay + 60, Publisher: 43, State: ringbuf.VenueLive}
	rec.Quotes[1] = ringbuf.VenueQuote{BidPx: 2e9, AskPx: 3e9, BidSz: 6, AskSz: 7, TsRecv: testDay + 50, Publisher: 9, State: ringbuf.VenueStale}
	publish(l, ringbuf.KindCbbo, rec)
	check(t, "cbbo", rows(t, s, "cbbo", Bounds{}, "symbol", "bid_px", "ask_px", "bid_sz", "ask_sz", "bid_venue", "ask_venue", "venues", "live", "stale", "flags", "seq"),
		[]string{"AAPL 1000000000 NULL 5 0 43 NULL 3 1 1 128 1"})
	check(t, "cbbo_venues", rows(t, s, "cbbo_venues", Bounds{}, "symbol", "cbbo_seq", "source", "state", "bid_px", "ask_px", "bid_sz", "ask_sz", "age_ns"), []string{
		"AAPL 1 43 live 1000000000 NULL 5 0 40", "AAPL 1 9 stale 2000000000 3000000000 6 7 50",
	})
}

// TestRings: only the rings that the wanted tables need are read.
func TestRings(t *testing.T) {
	if got := fmt.Sprint(Rings([]string{"trades"})); got != "[trades ext]" {
		t.Error(got)
	}
	if got := len(Rings(nil)); got != 7 {
		t.Error(got)
	}
}

// BenchmarkIngest is the store's share of a record: ring slot to columns.
//
//	budget  50 ns/row: 20 million rows a second and core without a log
//
// Memory is at its bound, as it is all day but for the first minutes: chunks that left are used again.
func BenchmarkIngest(b *testing.B) {
	l := newLane(b, 1<<12)
	s, err := Open(Options{Tables: []string{"orders"}, Memory: leastMemory})
	must(b, err)
	f := s.newFollower(l.dir, ringbuf.Entry{Instance: "t", Feed: "f", Lane: "0"}, false)
	f.attach(func(text string, err error) { b.Error(text, err) })
	recs := make([]tick.Mbo, 1024)
	for i := range recs {
		recs[i] = order(uint64(i + 1))
	}
	for b.Loop() {
		for i := range recs {
			f.order(&recs[i], uint64(i))
		}
		f.show()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(recs)), "ns/row")
	must(b, f.close())
}
