package pipeline

import (
	"bytes"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// depth has the books complete a batch, and keeps ten levels for the instruments that were asked for.
//
// A pass applies its whole batch before rows become records, and ten levels are too many for columns. So the batch is
// applied in stretches that end at each row of a wanted instrument, whose levels are read right there. Without wanted
// instruments this is one call.
type depth struct {
	symbols []string
	wanted  [1 << 16 / 64]uint64 // bit set: instrument id is wanted
	high    bool                 // instruments with greater numbers are wanted
	ids     map[uint32]*wantedBook
	any     bool

	prices *pricebook.Books // nil: best prices are those of the orders
	levels bool             // the venue has no orders: its levels are records of the mbo ring
}

type wantedBook struct {
	levels [10]tick.BidAskPair // as they were published last
	open   bool                // an event has records, none of them with F_LAST
}

func newDepth(symbols []string) depth {
	return depth{symbols: symbols, ids: make(map[uint32]*wantedBook)}
}

// price makes best prices and depth those of price books, where the venue sends levels. Levels says that it sends no orders beside them.
func (d *depth) price(prices *pricebook.Books, levels bool) { d.prices, d.levels = prices, levels }

// ladder is what has levels: package book's books, or package pricebook's.
type ladder interface {
	Levels(id uint32, side byte, dst []book.Level) int
	Top(id uint32) tick.BidAskPair
}

// ladder is where best prices and depth come from.
func (l *Lane) ladder() ladder {
	if l.depth.prices != nil {
		return l.depth.prices
	}
	return l.books
}

// setSuspect marks an instrument's books, of orders and of prices, as behind the venue's, or takes the marks off.
func (l *Lane) setSuspect(id uint32, on bool) {
	l.books.SetSuspect(id, on)
	if p := l.depth.prices; p != nil {
		p.SetSuspect(id, on)
	}
}

// suspected says whether one of an instrument's books is.
func (l *Lane) suspected(id uint32) bool {
	return l.books.Suspect(id) || l.depth.prices != nil && l.depth.prices.Suspect(id)
}

// setSuspectAll is setSuspect for every instrument.
func (l *Lane) setSuspectAll(on bool) {
	l.books.SetSuspectAll(on)
	if p := l.depth.prices; p != nil {
		p.SetSuspectAll(on)
	}
}

// eachBook calls fn with the instruments that have had an order or a level, until it returns false.
func (l *Lane) eachBook(fn func(id uint32) bool) {
	if !l.books.Instruments(fn) || l.depth.prices == nil {
		return
	}
	l.depth.prices.Instruments(func(id uint32) bool { return l.books.Seen(id) || fn(id) })
}

// empty begins a session whose instruments are those of the one before.
func (d *depth) empty() {
	if d.prices != nil {
		d.prices.Empty()
	}
	for _, w := range d.ids {
		w.open = false
		for i := range w.levels {
			w.levels[i] = tick.EmptyPair
		}
	}
}

func (d *depth) reset() {
	if d.prices != nil {
		d.prices.Reset()
	}
	d.high = false
	d.wanted = [len(d.wanted)]uint64{}
	clear(d.ids)
	d.any = false
}

// want notes a wanted instrument when its definition comes.
func (d *depth) want(def *tick.Definition) {
	symbol := string(bytes.TrimRight(def.RawSymbol[:], "\x00"))
	for _, s := range d.symbols {
		if s == symbol {
			if def.InstrumentID < 1<<16 {
				d.wanted[def.InstrumentID/64] |= 1 << (def.InstrumentID % 64)
			} else {
				d.high = true
			}
			if d.ids[def.InstrumentID] == nil {
				w := &wantedBook{}
				for i := range w.levels {
					w.levels[i] = tick.EmptyPair
				}
				d.ids[def.InstrumentID] = w
			}
			d.any = true
		}
	}
}

// of gives what is kept of an instrument, or nil: few are wanted, so most rows are done with one bit.
func (d *depth) of(id uint32) *wantedBook {
	if id < 1<<16 && d.wanted[id/64]&(1<<(id%64)) == 0 || id >= 1<<16 && !d.high {
		return nil
	}
	return d.ids[id]
}

// complete has the books complete a stretch of the batch.
func (d *depth) complete(l *Lane, from, to int) {
	l.books.Apply(l.batch, from, to)
	if d.prices != nil {
		d.prices.Apply(l.batch, from, to)
	}
}

// apply has the books complete the batch.
func (d *depth) apply(l *Lane) {
	b := l.batch
	if len(d.symbols) == 0 || l.out.Mbp10 == nil || !d.any && b.Sides.Definitions == 0 {
		d.complete(l, 0, b.N)
		return
	}
	from := 0
	for i := range b.N {
		id := b.Instrument[i&tick.RowMask]
		if b.Kind[i&tick.RowMask] == tick.KindDefinition { // in its turn: what comes of a day must not hang on the passes' size
			l.definitions(i&tick.RowMask, d.want)
		}
		w := d.of(id)
		if w == nil {
			continue
		}
		d.complete(l, from, i+1)
		from = i + 1
		staged := len(l.staged.mbp10)
		d.publish(l, i&tick.RowMask, w)
		has := len(l.staged.mbp10) != staged
		if _, more := tick.More(b.Flags[i&tick.RowMask]); more {
			w.open = w.open || has
			continue
		}
		if w.open && !has {
			l.ten(i&tick.RowMask, tick.ActionNone, tick.SideNone, tick.UndefPrice, 0, l.flags(i)|tick.FlagLast, &w.levels, tenNone)
		}
		w.open = false
	}
	d.complete(l, from, b.N)
}

// publish stages the ten levels after row i when they changed, or before it when it is a trade.
func (d *depth) publish(l *Lane, i int, w *wantedBook) {
	b := l.batch
	if b.State[i]&tick.StateApplied == 0 {
		return
	}
	id, kind := b.Instrument[i], b.Kind[i]
	before := w.levels
	tenLevels(l.ladder(), id, &w.levels)
	changed := w.levels != before
	flags := l.flags(i)
	side, price, size, from := b.Side[i], b.Price[i], b.Size[i], tenRow
	switch kind {
	case tick.KindExec, tick.KindExecAt:
		if kind == tick.KindExec || b.Sub[i] != 'N' {
			l.ten(i, tick.ActionTrade, tick.OppositeSide(side), price, size, l.lastUnless(i, flags, changed), &before, tenRow)
		}
		if kind == tick.KindExecAt {
			price, from = b.OldPrice[i], tenSize|tenSide
		}
	case tick.KindTrade, tick.KindCross:
		if size > 0 {
			l.ten(i, tick.ActionTrade, printSide(b, i), price, size, l.lastUnless(i, flags, changed), &before, tenRow)
		}
	}
	if !changed {
		return
	}
	action := tick.ActionCancel
	switch kind {
	case tick.KindExec, tick.KindExecAt, tick.KindReduce, tick.KindDelete:
	case tick.KindAdd:
		action = tick.ActionAdd
	case tick.KindReplace:
		if action = tick.ActionAdd; b.State[i]&tick.StateGone != 0 { // only the old order's leaving is true
			action, price, size, from = tick.ActionCancel, b.OldPrice[i], b.OldSize[i], tenSide
		}
	case tick.KindModify:
		if action = tick.ActionModify; b.State[i]&tick.StateGone != 0 {
			action, price, size, from = tick.ActionCancel, b.OldPrice[i], b.OldSize[i], tenSide
		}
	case tick.KindLevel:
		action = levelAction(b.Sub[i])
	case tick.KindQuote:
		action, flags = tick.ActionAdd, flags|tick.FlagTOB
		side, price, size = quoted(b, i)
		from = tenNone
	case tick.KindClear:
		action, side, price, size, from = tick.ActionClear, tick.SideNone, tick.UndefPrice, 0, tenNone
	default: // a change before this row, which is about no order and has none of the three
		action, side, price, size, from = tick.ActionNone, tick.SideNone, tick.UndefPrice, 0, tenNone
	}
	l.ten(i, action, side, price, size, flags|l.lastTop(i), &w.levels, from)
}

func (l *Lane) lastUnless(i int, flags uint8, more bool) uint8 {
	if more {
		return flags
	}
	return flags | l.lastTop(i)
}

func (l *Lane) ten(i int, action, side byte, price int64, size uint64, flags uint8, levels *[10]tick.BidAskPair, from uint8) {
	var slot ringbuf.Mbp10Slot
	flags = l.topFlags(i, flags)
	slot.Mbp10 = tick.Mbp10{Trade: l.trade(i, 92, tick.RTypeMbp10, action, side, price, size, flags), Levels: *levels}
	l.staged.mbp10 = append(l.staged.mbp10, slot)
	if l.guests.seat != nil {
		l.guests.tens = append(l.guests.tens, tenOf{uint16(i), from})
	}
}

// tenLevels reads the best ten levels of both sides, best first.
func tenLevels(books ladder, id uint32, dst *[10]tick.BidAskPair) {
	for i := range dst {
		dst[i] = tick.EmptyPair
	}
	var levels [10]book.Level
	for i, level := range levels[:books.Levels(id, tick.SideBid, levels[:])] {
		dst[i].BidPx, dst[i].BidSz, dst[i].BidCt = level.Price, tick.Size32(level.Size), level.Orders
	}
	for i, level := range levels[:books.Levels(id, tick.SideAsk, levels[:])] {
		dst[i].AskPx, dst[i].AskSz, dst[i].AskCt = level.Price, tick.Size32(level.Size), level.Orders
	}
}
