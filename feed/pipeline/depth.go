package pipeline

import (
	"bytes"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// depth keeps ten levels for the instruments that were asked for.
//
// A pass applies its whole batch before rows become records, and ten levels are too many for columns. So the batch is
// applied in stretches that end at each row of a wanted instrument, whose levels are read right there. Without wanted
// instruments this is one call.
type depth struct {
	symbols []string
	wanted  [1 << 16 / 64]uint64 // bit set: instrument id is wanted
	ids     map[uint32]*wantedBook
	any     bool
}

type wantedBook struct {
	levels [10]tick.BidAskPair // as they were published last
}

func newDepth(symbols []string) depth {
	return depth{symbols: symbols, ids: make(map[uint32]*wantedBook)}
}

func (d *depth) reset() {
	d.wanted = [len(d.wanted)]uint64{}
	clear(d.ids)
	d.any = false
}

// want notes a wanted instrument when its definition comes.
func (d *depth) want(def *tick.Definition) {
	symbol := string(bytes.TrimRight(def.RawSymbol[:], "\x00"))
	for _, s := range d.symbols {
		if s == symbol && def.InstrumentID < 1<<16 {
			d.wanted[def.InstrumentID/64] |= 1 << (def.InstrumentID % 64)
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

// apply has the books complete the batch.
func (d *depth) apply(l *Lane) {
	b := l.batch
	if len(d.symbols) == 0 || l.out.Mbp10 == nil || !d.any && b.Sides.Definitions == 0 {
		l.books.Apply(b, 0, b.N)
		return
	}
	from := 0
	for i := range b.N {
		id := b.Instrument[i&tick.RowMask]
		if b.Kind[i&tick.RowMask] == tick.KindDefinition { // in its turn: what comes of a day must not hang on the passes' size
			l.definitions(i&tick.RowMask, d.want)
		}
		if id >= 1<<16 || d.wanted[id/64]&(1<<(id%64)) == 0 {
			continue
		}
		l.books.Apply(b, from, i+1)
		from = i + 1
		d.publish(l, i&tick.RowMask, d.ids[id])
	}
	l.books.Apply(b, from, b.N)
}

// publish stages the ten levels after row i when they changed, or before it when it is a trade.
func (d *depth) publish(l *Lane, i int, w *wantedBook) {
	b := l.batch
	if b.State[i]&tick.StateApplied == 0 {
		return
	}
	id, kind := b.Instrument[i], b.Kind[i]
	before := w.levels
	tenLevels(l.books, id, &w.levels)
	changed := w.levels != before
	flags := l.flags(i)
	side, price, size := b.Side[i], b.Price[i], b.Size[i]
	switch kind {
	case tick.KindExec, tick.KindExecAt:
		if kind == tick.KindExec || b.Sub[i] != 'N' {
			l.ten(i, tick.ActionTrade, tick.OppositeSide(side), price, size, lastUnless(flags, changed), &before)
		}
		if kind == tick.KindExecAt {
			price = b.OldPrice[i]
		}
	case tick.KindTrade, tick.KindCross:
		if size > 0 {
			l.ten(i, tick.ActionTrade, tick.SideNone, price, size, lastUnless(flags, changed), &before)
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
			action, price, size = tick.ActionCancel, b.OldPrice[i], b.OldSize[i]
		}
	default: // a change before this row, which is about no order and has none of the three
		action, side, price, size = tick.ActionNone, tick.SideNone, tick.UndefPrice, 0
	}
	l.ten(i, action, side, price, size, flags|tick.FlagLast, &w.levels)
}

func lastUnless(flags uint8, more bool) uint8 {
	if more {
		return flags
	}
	return flags | tick.FlagLast
}

func (l *Lane) ten(i int, action, side byte, price int64, size uint64, flags uint8, levels *[10]tick.BidAskPair) {
	var slot ringbuf.Mbp10Slot
	slot.Mbp10 = tick.Mbp10{Trade: l.trade(i, 92, tick.RTypeMbp10, action, side, price, size, flags), Levels: *levels}
	l.staged.mbp10 = append(l.staged.mbp10, slot)
}

// tenLevels reads the best ten levels of both sides, best first.
func tenLevels(books *book.Books, id uint32, dst *[10]tick.BidAskPair) {
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
