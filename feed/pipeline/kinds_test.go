package pipeline

import (
	"fmt"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Rows of venues other than Nasdaq, as their parsers make them, through the books into rings.

// aRow is what a parser fills in; prices in units.
type aRow struct {
	kind      tick.Kind
	sub, side byte
	flags     uint8
	id        uint32
	order     uint64
	aux       uint64
	price     float64 // 0: none
	size      uint64
	ask       float64 // Quote
	askSize   uint64
}

func units(p float64) int64 {
	if p == 0 {
		return tick.UndefPrice
	}
	return int64(p * 1e9)
}

// rows runs rows through the lane as one pass.
func (b *bench) rows(rows ...aRow) {
	l := b.lane
	for _, r := range rows {
		i := l.batch.N
		l.batch.N++
		l.batch.Kind[i], l.batch.Sub[i], l.batch.Side[i], l.batch.Flags[i] = r.kind, r.sub, r.side, r.flags
		l.batch.Instrument[i], l.batch.OrderID[i], l.batch.Aux[i] = r.id, r.order, r.aux
		l.batch.Price[i], l.batch.Size[i], l.batch.OldPrice[i], l.batch.OldSize[i] = units(r.price), r.size, units(r.ask), r.askSize
		if b.ended == nil {
			b.ended = map[uint32]uint64{}
		}
		l.batch.TsEvent[i], l.batch.TsRecv[i], l.batch.Sequence[i] = testMidnight+b.ended[r.id], testMidnight+b.next+5, b.next
		if r.flags&tick.FlagMore == 0 {
			b.ended[r.id]++
		}
		b.next++
	}
	l.EndPass()
}

// kindsBench is a lane of sparse books, with price books when they are given.
func kindsBench(t *testing.T, prices *pricebook.Options, levels bool) *bench {
	t.Helper()
	var sparse *book.Books
	b := newBench(t, func(c *Config) {
		var err error
		sparse, err = book.New(book.Options{Sparse: true, MaxInstruments: 1 << 10, MaxOrders: 1 << 16})
		must(t, err)
		c.Books, c.Depth = sparse, []string{"DEEP"}
	})
	must(t, b.books.Close())
	b.books = sparse
	if prices != nil {
		p, err := pricebook.New(*prices)
		must(t, err)
		b.lane.depth.price(p, levels)
	}
	return b
}

func (b *bench) ext(t *testing.T) []string {
	t.Helper()
	var recs [64]tick.Ext
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindExt], recs[:])
	var lines []string
	for _, e := range recs[:n] {
		if e.RefSeq >= 1<<14 {
			e.RefSeq -= 1 << 14 // rings begin with the number of their slots
		}
		lines = append(lines, fmt.Sprintf("%d ring%d ref%d %d: %d %d %#x", e.Kind, e.Ring, e.RefSeq, e.InstrumentID, e.A, e.B, e.C))
	}
	return lines
}

func (b *bench) tape(t *testing.T) []string {
	t.Helper()
	var recs [64]ringbuf.TradeSlot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindTrades], recs[:])
	var lines []string
	for _, r := range recs[:n] {
		lines = append(lines, fmt.Sprintf("%c %c %d@%s f%02x id%d", r.Action, r.Side, r.Size, price(r.Price), r.Flags, r.MatchID))
	}
	return lines
}

func (b *bench) mbp10(t *testing.T) []string {
	t.Helper()
	var recs [64]ringbuf.Mbp10Slot
	n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindMbp10], recs[:])
	var lines []string
	for i := range recs[:n] {
		r := &recs[i]
		line := fmt.Sprintf("%c %c %d@%s f%02x", r.Action, r.Side, r.Size, price(r.Price), r.Flags)
		for _, l := range r.Levels {
			if l != tick.EmptyPair {
				line += fmt.Sprintf(" %d@%s/%d@%s", l.BidSz, price(l.BidPx), l.AskSz, price(l.AskPx))
			}
		}
		lines = append(lines, line)
	}
	return lines
}

const wide = 3_000_000_000 // an instrument number that no directory of 16 bits holds

func order(id uint64, side byte, size uint64, price float64) aRow {
	return aRow{kind: tick.KindAdd, id: wide, order: id, side: side, size: size, price: price}
}

func modified(id uint64, sub byte, size uint64, price float64) aRow {
	return aRow{kind: tick.KindModify, id: wide, order: id, sub: sub, side: tick.SideNone, size: size, price: price}
}

func TestModifyBecomesRecords(t *testing.T) {
	b := kindsBench(t, nil, false)
	b.rows(
		order(1<<60, 'B', 100, 10),
		order(5, 'B', 50, 9.9),
		modified(5, tick.ModifyKeep, 70, 9.9), // below the top
		modified(5, tick.ModifyKeep, 70, 10.1),
		modified(1<<60, tick.ModifyTail, 40, 10),
		modified(5, tick.ModifyKeep, 0, 10.1), // gone
		modified(6, tick.ModifyKeep, 10, 10),  // unknown
		aRow{kind: tick.KindClear, id: wide, side: tick.SideNone},
	)
	check(t, b.mbo(t), []string{
		"A 3000000000 B 1152921504606846976 100@10 f80 seq1",
		"A 3000000000 B 5 50@9.9 f80 seq2",
		"M 3000000000 B 5 70@9.9 f80 seq3",
		"M 3000000000 B 5 70@10.1 f80 seq4",
		"C 3000000000 B 1152921504606846976 100@10 f00 seq5", "A 3000000000 B 1152921504606846976 40@10 f80 seq5", // to the tail
		"C 3000000000 B 5 70@10.1 f80 seq6",
		"R 3000000000 N 0 0@- f80 seq8",
	})
	check(t, b.mbp1(t), []string{
		"A 3000000000 B 100@10 f80 100@10/0@-",
		"M 3000000000 B 70@10.1 f80 70@10.1/0@-",
		"C 3000000000 B 70@10.1 f80 40@10/0@-",
		"R 3000000000 N 0@- f80 0@-/0@-",
	})
	if u := b.books.Counters().Unknown[tick.KindModify]; u != 1 {
		t.Errorf("%d unknown", u)
	}
}

// A trade whose aggressor is known says so in all rings, and what orders got of it stands in mbo alone; a cross has no side.
func TestTradesAndFills(t *testing.T) {
	b := kindsBench(t, nil, false)
	b.rows(
		aRow{kind: tick.KindTrade, id: wide, side: 'A', price: 10, size: 3, aux: 77, flags: tick.FlagMBP},
		aRow{kind: tick.KindFill, id: wide, side: 'B', order: 9, price: 10, size: 3, aux: 77},
		aRow{kind: tick.KindTrade, id: wide, side: 'N', price: 10, size: 4, aux: 78},
		aRow{kind: tick.KindCross, id: wide, side: 'B', price: 10, size: 5, aux: 79},
	)
	check(t, b.mbo(t), []string{
		"T 3000000000 A 0 3@10 f90 seq1", "F 3000000000 B 9 3@10 f80 seq2", "T 3000000000 N 0 4@10 f80 seq3", "T 3000000000 N 0 5@10 f80 seq4",
	})
	check(t, b.mbp1(t), []string{
		"T 3000000000 A 3@10 f90 0@-/0@-", "T 3000000000 N 4@10 f80 0@-/0@-", "T 3000000000 N 5@10 f80 0@-/0@-",
	})
	check(t, b.tape(t), []string{"T A 3@10 f90 id77", "T N 4@10 f80 id78", "T N 5@10 f80 id79"})
}

func level(code byte, side byte, at uint32, size uint64, price float64) aRow {
	return aRow{kind: tick.KindLevel, id: wide, sub: code, side: side, aux: tick.LevelAt(at, 2), size: size, price: price}
}

// Levels of a venue that has nothing else are records of every ring, those of depth included.
func TestLevelsBecomeRecords(t *testing.T) {
	b := kindsBench(t, &pricebook.Options{}, true)
	b.lane.batch.Definitions[0] = tick.Definition{Header: tick.Header{InstrumentID: wide}, MarketDepth: 3}
	copy(b.lane.batch.Definitions[0].RawSymbol[:], "DEEP")
	b.lane.batch.Sides.Definitions = 1
	implied := level(tick.LevelNew, 'A', 2, 6, 10.5)
	implied.kind, implied.aux = tick.KindImplied, tick.LevelAt(1, 0)
	b.rows(
		aRow{kind: tick.KindDefinition, id: wide, aux: tick.SideRows(0, 1)},
		level(tick.LevelNew, 'B', 1, 5, 10),
		level(tick.LevelNew, 'B', 2, 7, 9),
		level(tick.LevelChange, 'B', 1, 1<<32, 10),
		implied,
		level(tick.LevelDelete, 'B', 3, 1, 8), // is not there
		level(tick.LevelOverlay, 'B', 1, 4, 11),
		aRow{kind: tick.KindTrade, id: wide, side: 'A', price: 11, size: 1, aux: 5},
		level(tick.LevelDelete, 'B', 1, 4, 11),
		aRow{kind: tick.KindClear, id: wide, side: 'N'},
	)
	check(t, b.mbo(t), []string{
		"R 3000000000 N 0 0@- f80 seq1",
		"A 3000000000 B 0 5@10 f90 seq2", "A 3000000000 B 0 7@9 f90 seq3", "M 3000000000 B 0 4294967294@10 f90 seq4",
		"C 3000000000 B 0 4294967294@10 f14 seq7", "A 3000000000 B 0 4@11 f94 seq7", "T 3000000000 A 0 1@11 f84 seq8", "C 3000000000 B 0 4@11 f94 seq9", "R 3000000000 N 0 0@- f84 seq10",
	})
	check(t, b.mbp1(t), []string{
		"A 3000000000 B 5@10 f80 5@10/0@-", "M 3000000000 B 4294967294@10 f80 4294967294@10/0@-",
		"A 3000000000 B 4@11 f84 4@11/0@-", "T 3000000000 A 1@11 f84 4@11/0@-", "C 3000000000 B 4@11 f84 7@9/0@-", "R 3000000000 N 0@- f84 0@-/0@-",
	})
	check(t, b.mbp10(t), []string{
		"A B 5@10 f80 5@10/0@-", "A B 7@9 f80 5@10/0@- 7@9/0@-", "M B 4294967294@10 f80 4294967294@10/0@- 7@9/0@-",
		"A B 4@11 f84 4@11/0@- 7@9/0@-", "T A 1@11 f84 4@11/0@- 7@9/0@-", "C B 4@11 f84 7@9/0@-", "R N 0@- f84",
	})
	check(t, b.ext(t), []string{
		"1 ring1 ref3 3000000000: 4294967296 0 0x0", "1 ring2 ref1 3000000000: 4294967296 0 0x0",
		fmt.Sprintf("5 ring0 ref0 3000000000: 10500000000 6 %#x", 'A'|1<<8|'A'<<16), "1 ring1 ref4 3000000000: 4294967296 0 0x0",
		fmt.Sprintf("5 ring0 ref0 3000000000: %d 0 %#x", tick.UndefPrice, 'N'|'R'<<16), // the implied book went with the other
	})
	if c := b.lane.depth.prices.Counters(); c.Absent != 1 {
		t.Errorf("%+v", *c)
	}
}

// Where a venue sends orders and levels, orders fill mbo, levels mbp1 and mbp10; an event is closed once in each ring, by its last record there.
func TestOrdersAndLevels(t *testing.T) {
	b := kindsBench(t, &pricebook.Options{}, false)
	more := func(r aRow) aRow { r.flags |= tick.FlagMore; return r }
	other := order(70, 'B', 1, 5)
	other.id = 4
	b.rows(
		more(order(8, 'B', 5, 10)), more(order(9, 'B', 2, 10)), other, level(tick.LevelNew, 'B', 1, 7, 10),
		// A trade takes 5; the second level's row is the event's last, and changes no best price.
		more(aRow{kind: tick.KindTrade, id: wide, side: 'A', price: 10, size: 5, aux: 1}),
		more(aRow{kind: tick.KindFill, id: wide, side: 'B', order: 8, price: 10, size: 5}),
		more(aRow{kind: tick.KindDelete, id: wide, order: 8}),
		more(order(10, 'B', 3, 9)),
		more(level(tick.LevelChange, 'B', 1, 2, 10)), level(tick.LevelNew, 'B', 2, 3, 9),
		// The two feeds contradict each other: the levels are published, and it is counted.
		more(order(11, 'A', 1, 12)), level(tick.LevelNew, 'A', 1, 1, 13),
	)
	check(t, b.mbo(t), []string{
		"A 3000000000 B 8 5@10 f00 seq1", "A 3000000000 B 9 2@10 f00 seq2", "A 4 B 70 1@5 f80 seq3", "N 3000000000 N 0 0@- f80 seq4",
		"T 3000000000 A 0 5@10 f00 seq5", "F 3000000000 B 8 5@10 f00 seq6", "C 3000000000 B 8 5@10 f00 seq7", "A 3000000000 B 10 3@9 f00 seq8",
		"N 3000000000 N 0 0@- f80 seq10",
		"A 3000000000 A 11 1@12 f00 seq11", "N 3000000000 N 0 0@- f80 seq12",
	})
	check(t, b.mbp1(t), []string{
		"A 3000000000 B 7@10 f80 7@10/0@-",
		"T 3000000000 A 5@10 f00 7@10/0@-", "M 3000000000 B 2@10 f00 2@10/0@-", "N 3000000000 N 0@- f80 2@10/0@-",
		"A 3000000000 A 1@13 f80 2@10/1@13",
	})
	b.rows(aRow{kind: tick.KindDelete, id: wide, order: 999}) // the next event shows what the last one left
	if c := b.lane.depth.prices.Counters(); c.TopMismatch != 1 {
		t.Errorf("%d mismatches, want 1", c.TopMismatch)
	}
	must(t, b.books.Validate())
	if top := b.lane.ladder().Top(wide); top.AskPx != 13e9 {
		t.Errorf("%+v", top)
	}
}

// An event that spans passes ends like one that does not.
func TestEventAcrossPasses(t *testing.T) {
	run := func(cut int) (mbo, mbp1, mbp10 []string) {
		b := kindsBench(t, &pricebook.Options{}, false)
		b.lane.depth.want(&tick.Definition{Header: tick.Header{InstrumentID: wide}, RawSymbol: [71]byte{'D', 'E', 'E', 'P'}})
		rows := []aRow{
			level(tick.LevelNew, 'B', 1, 7, 10), order(8, 'B', 5, 10), {kind: tick.KindTrade, id: wide, side: 'A', price: 10, size: 5, aux: 1},
			level(tick.LevelNew, 'B', 2, 3, 9), level(tick.LevelDelete, 'B', 5, 3, 8), // the last one is refused
			order(9, 'B', 5, 10),
		}
		for i := range rows[:4] {
			rows[i].flags = tick.FlagMore
		}
		b.rows(rows[:cut]...)
		b.rows(rows[cut:]...)
		return b.mbo(t), b.mbp1(t), b.mbp10(t)
	}
	for cut := range 6 {
		mbo, mbp1, mbp10 := run(cut)
		check(t, mbo, []string{
			"A 3000000000 B 8 5@10 f00 seq2", "T 3000000000 A 0 5@10 f00 seq3", "N 3000000000 N 0 0@- f84 seq5", "A 3000000000 B 9 5@10 f84 seq6",
		})
		check(t, mbp1, []string{"A 3000000000 B 7@10 f00 7@10/0@-", "T 3000000000 A 5@10 f00 7@10/0@-", "N 3000000000 N 0@- f84 7@10/0@-"})
		check(t, mbp10, []string{
			"A B 7@10 f00 7@10/0@-", "T A 5@10 f00 7@10/0@-", "A B 3@9 f00 7@10/0@- 3@9/0@-", "N N 0@- f84 7@10/0@- 3@9/0@-",
		})
	}
}

func TestQuotesBecomeRecords(t *testing.T) {
	b := kindsBench(t, &pricebook.Options{}, true)
	quote := func(size uint64, price float64, askSize uint64, ask float64) aRow {
		return aRow{kind: tick.KindQuote, id: wide, side: 'N', size: size, price: price, askSize: askSize, ask: ask}
	}
	b.rows(quote(5, 10, 6, 11), quote(5, 10, 6, 11), quote(5, 10, 1<<33, 11), quote(0, 0, 1<<33, 11))
	check(t, b.mbo(t)[4:], []string{
		"A 3000000000 B 0 5@10 f40 seq3", "A 3000000000 A 0 4294967294@11 fc0 seq3",
		"A 3000000000 B 0 0@- f40 seq4", "A 3000000000 A 0 4294967294@11 fc0 seq4",
	})
	check(t, b.mbp1(t), []string{
		"A 3000000000 N 0@- fc0 5@10/6@11", "A 3000000000 A 4294967294@11 fc0 5@10/4294967294@11", "A 3000000000 B 0@- fc0 0@-/4294967294@11",
	})
	check(t, b.ext(t), []string{
		"1 ring1 ref5 3000000000: 8589934592 0 0x0", "1 ring2 ref1 3000000000: 8589934592 0 0x0", "1 ring1 ref7 3000000000: 8589934592 0 0x0",
	})
}

// A message may become many rows: there is room for a whole batch of any kind, whatever the pass was to be, and nothing is lost.
func TestRoomForRecords(t *testing.T) {
	for _, kind := range []tick.Kind{
		tick.KindAdd, tick.KindModify, tick.KindLevel, tick.KindImplied, tick.KindFill, tick.KindQuote, tick.KindClear, tick.KindTrade,
	} {
		b := kindsBench(t, &pricebook.Options{Depth: 64, Implied: 64}, true)
		b.rows(order(1, 'B', 1, 1))
		rows := make([]aRow, tick.MaxRows)
		for i := range rows {
			rows[i] = level([]byte{tick.LevelOverlay, tick.ModifyTail}[i&1], 'B', 1, 1<<30+uint64(i), 10+float64(i))
			rows[i].kind, rows[i].order, rows[i].askSize, rows[i].ask = kind, 1, 1<<30, 100+float64(i)
			if kind == tick.KindLevel || kind == tick.KindImplied {
				rows[i].sub = tick.LevelOverlay
			}
			if kind == tick.KindClear {
				rows[i].sub = tick.ClearBoth
			}
		}
		b.rows(rows...)
		c := b.lane.Counters()
		want := map[tick.Kind][3]uint64{ // mbo, mbp1, ext beside the first order's
			tick.KindAdd: {2 * tick.MaxRows, 0, tick.MaxRows}, tick.KindModify: {tick.MaxRows, 0, 0}, tick.KindLevel: {2*tick.MaxRows - 1, tick.MaxRows, 0},
			tick.KindImplied: {0, 0, tick.MaxRows}, tick.KindFill: {tick.MaxRows, 0, 0}, tick.KindQuote: {2 * tick.MaxRows, tick.MaxRows, 0},
			tick.KindClear: {tick.MaxRows, 0, 0}, tick.KindTrade: {tick.MaxRows, tick.MaxRows, 0},
		}[kind]
		if got := [3]uint64{c.Mbo - 1, c.Mbp1, c.Ext}; got != want {
			t.Errorf("kind %d: %d records, want %d", kind, got, want)
		}
	}
}

// An R of the mbo ring empties a reader's orders, so it is not sent when only the other book is empty; and the other way round.
func TestClearOfOneBook(t *testing.T) {
	orders := []string{"A 3000000000 B 1 5@10 f80 seq1", "R 3000000000 N 0 0@- f80 seq4"}
	levels := []string{"A 3000000000 B 0 5@10 f90 seq2", "R 3000000000 N 0 0@- f80 seq3"}
	for _, of := range []struct {
		levels bool
		mbo    []string
	}{{false, orders}, {true, levels}} {
		b := kindsBench(t, &pricebook.Options{}, of.levels)
		rows := []aRow{order(1, 'B', 5, 10), level(tick.LevelNew, 'B', 1, 5, 10), {kind: tick.KindClear, sub: tick.ClearLevels}, {kind: tick.KindClear, sub: tick.ClearOrders}}
		if of.levels {
			rows[0] = aRow{kind: tick.KindExt}
		}
		for i := range rows {
			rows[i].id = wide
		}
		b.rows(rows...)
		check(t, b.mbo(t), of.mbo)
		check(t, b.mbp1(t), []string{"A 3000000000 B 5@10 f80 5@10/0@-", "R 3000000000 N 0@- f80 0@-/0@-"})
	}
}

// Orders and levels of one event are apart: each ring's last record of it has F_LAST, whatever else comes between and behind them.
func TestOrdersAndLevelsOfOneEvent(t *testing.T) {
	const onlyLevels, onlyOrders = tick.FlagMore | tick.FlagMoreElse, tick.FlagMoreElse // the last one of its own, no part of the others
	b := kindsBench(t, &pricebook.Options{}, false)
	with := func(r aRow, flags uint8) aRow { r.flags = flags; return r }
	b.rows(order(1, 'B', 5, 10), level(tick.LevelNew, 'B', 1, 5, 10))
	b.mbo(t)
	b.mbp1(t)
	b.rows(
		aRow{kind: tick.KindTrade, id: wide, side: 'A', size: 2, price: 10, flags: tick.FlagMore},
		aRow{kind: tick.KindStatistics, id: wide, flags: tick.FlagMore},
		with(level(tick.LevelChange, 'B', 1, 3, 10), onlyLevels),
		with(modified(1, tick.ModifyKeep, 3, 10), onlyOrders),
		aRow{kind: tick.KindStatistics, id: wide, flags: tick.FlagMore},
	)
	b.rows(
		with(level(tick.LevelChange, 'B', 1, 4, 10), tick.FlagMore), with(modified(1, tick.ModifyKeep, 4, 10), tick.FlagMore), // an event that goes on
		aRow{kind: tick.KindExt, id: wide, flags: onlyLevels},
		aRow{kind: tick.KindExt, id: wide, flags: onlyOrders},
	)
	check(t, b.mbo(t), []string{
		"T 3000000000 A 0 2@10 f00 seq3", "M 3000000000 B 1 3@10 f80 seq6", "M 3000000000 B 1 4@10 f00 seq9", "N 3000000000 N 0 0@- f80 seq11",
	})
	check(t, b.mbp1(t), []string{
		"T 3000000000 A 2@10 f00 5@10/0@-", "M 3000000000 B 3@10 f80 3@10/0@-", "M 3000000000 B 4@10 f00 4@10/0@-", "N 3000000000 N 0@- f80 4@10/0@-",
	})
	if len(b.lane.staged.open) != 0 {
		t.Errorf("open: %v", b.lane.staged.open)
	}
}

// T carries the aggressor's order where the venue tells it; without a side nobody knows whose the row's number is.
func TestAggressorsOrder(t *testing.T) {
	b := kindsBench(t, nil, false)
	b.rows(
		aRow{kind: tick.KindTrade, id: wide, side: 'B', order: 77, size: 2, price: 10, flags: tick.FlagMore},
		aRow{kind: tick.KindFill, id: wide, side: 'A', order: 5, size: 2, price: 10},
		aRow{kind: tick.KindTrade, id: wide, side: 'N', order: 77, size: 2, price: 10},
		aRow{kind: tick.KindCross, id: wide, side: 'B', order: 77, size: 2, price: 10},
	)
	check(t, b.mbo(t), []string{
		"T 3000000000 B 77 2@10 f00 seq1", "F 3000000000 A 5 2@10 f80 seq2", "T 3000000000 N 0 2@10 f80 seq3", "T 3000000000 N 0 2@10 f80 seq4",
	})
}

// Suspicion and the list of instruments are those of both sorts of books.
func TestBothSortsOfBooks(t *testing.T) {
	b := kindsBench(t, &pricebook.Options{}, false)
	other := order(1, 'B', 1, 1)
	other.id = 5
	b.rows(other, level(tick.LevelNew, 'B', 1, 1, 10), order(2, 'B', 1, 10))
	var ids []uint32
	b.lane.eachBook(func(id uint32) bool { ids = append(ids, id); return true })
	if fmt.Sprint(ids) != "[5 3000000000]" {
		t.Errorf("%d", ids)
	}
	b.lane.setSuspect(wide, true)
	b.rows(level(tick.LevelNew, 'B', 2, 1, 9), order(3, 'B', 1, 9), level(tick.LevelChange, 'B', 1, 2, 10))
	b.lane.setSuspectAll(true)
	b.lane.setSuspectAll(false)
	b.rows(order(4, 'B', 1, 9), level(tick.LevelChange, 'B', 1, 1, 10))
	check(t, b.mbo(t)[2:], []string{"A 3000000000 B 3 1@9 f84 seq5", "A 3000000000 B 4 1@9 f80 seq7"})
	check(t, b.mbp1(t)[1:], []string{"M 3000000000 B 2@10 f84 2@10/0@-", "M 3000000000 B 1@10 f80 1@10/0@-"})
}

// TestSteadyStateOfKinds: once instruments are known, nothing allocates, whatever kinds of row and however their events are cut by passes.
func TestSteadyStateOfKinds(t *testing.T) {
	b := kindsBench(t, &pricebook.Options{}, true)
	var rows []aRow
	for id := range uint32(300) {
		for _, r := range []aRow{
			order(uint64(id), 'B', 5, 10), modified(uint64(id), tick.ModifyTail, 6, 10), level(tick.LevelOverlay, 'A', 1, uint64(id+1), 11),
			{kind: tick.KindFill, side: 'B', order: 1, price: 10, size: 1}, {kind: tick.KindTrade, side: 'A', price: 10, size: 1},
			{kind: tick.KindQuote, size: 4, price: float64(id + 1), askSize: 5, ask: 12}, {kind: tick.KindDelete, order: uint64(id)}, {kind: tick.KindClear},
		} {
			r.id = id * 7919
			if r.kind != tick.KindClear {
				r.flags = tick.FlagMore
			}
			rows = append(rows, r)
		}
	}
	pass := func() {
		for from := 0; from < len(rows); from += 50 {
			b.rows(rows[from:min(from+50, len(rows))]...)
		}
	}
	pass()
	if n := testing.AllocsPerRun(30, pass); n != 0 {
		t.Errorf("%g allocations a pass", n)
	}
}
