package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

const maxNull32 = math.MaxInt32 // Int32NULL's null

// levelSubs are the level codes of MDUpdateAction (tag 279).
var levelSubs = [8]byte{tick.LevelNew, tick.LevelChange, tick.LevelDelete, tick.LevelThru, tick.LevelFrom, tick.LevelOverlay}

const actions = 6 // of them, from 0

// entryKind is what MDEntryType (tag 269) makes of a book's entry. The market's best prices of EBS are no part of the book.
type entryKind struct {
	kind tick.Kind
	side byte
}

var entryKinds = [256]entryKind{
	'0': {tick.KindLevel, tick.SideBid}, '1': {tick.KindLevel, tick.SideAsk},
	'E': {tick.KindImplied, tick.SideBid}, 'F': {tick.KindImplied, tick.SideAsk},
	'J': {tick.KindClear, tick.SideNone},
	'w': {tick.KindExt, tick.SideAsk}, 'x': {tick.KindExt, tick.SideBid},
}

// orderKinds are the kinds of OrderUpdateAction (tag 37708), and of MDUpdateAction in template 47.
var orderKinds = [3]tick.Kind{tick.KindAdd, tick.KindModify, tick.KindDelete}

// modifyMask keeps what only a modify has.
var modifyMask = [4]uint64{1: math.MaxUint64}

// book decodes templates 46 and 32: price levels, then the orders behind them. Hot path.
func (d *Decoder) book(m Message, scale int64, out *tick.Batch) error {
	return d.bookFrom(m, scale, 0, 0, out)
}

// bookFrom is book from an entry of each group on: those before are done.
func (d *Decoder) bookFrom(m Message, scale int64, level, order int, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	levels, rest, ok := group(rest, narrow, len(wire.MDIncrementalRefreshBook46MDEntries{}))
	if !ok {
		return errGroup
	}
	orders, _, ok := group(rest, wide, len(wire.MDIncrementalRefreshBook46OrderIDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshBook46)(block)
	d.begin(head.TransactTime(), out)
	for i := range level {
		d.refs[i&0xFF] = d.of.find(uint32((*wire.MDIncrementalRefreshBook46MDEntries)(levels.at(i)).SecurityID()))
	}
	for i := level; i < levels.n; i++ {
		e := (*wire.MDIncrementalRefreshBook46MDEntries)(levels.at(i))
		n := d.of.find(uint32(e.SecurityID()))
		d.refs[i&0xFF] = n
		s := &d.of.slots[n]
		d.report(s, e.RptSeq())
		size := uint64(e.MDEntrySize())
		if size == maxNull32 {
			size = math.MaxUint64
		}
		if err := d.level(out, s, e.MDEntryPx(), scale, size, e.NumberOfOrders(), e.MDPriceLevel(), e.MDUpdateAction(), e.MDEntryType()); err != nil {
			return err
		}
	}
	if d.opts.Feed != FeedMBP {
		for i := order; i < orders.n; i++ {
			o := (*wire.MDIncrementalRefreshBook46OrderIDEntries)(orders.at(i))
			ref := int(o.ReferenceID()) - 1
			if ref < 0 || ref >= levels.n {
				return errReference
			}
			e := (*wire.MDIncrementalRefreshBook46MDEntries)(levels.at(ref))
			s := &d.of.slots[d.refs[ref&0xFF]]
			if err := d.order(out, s, o.OrderID(), o.MDOrderPriority(), e.MDEntryPx(), scale, o.MDDisplayQty(), o.OrderUpdateAction(), e.MDEntryType()); err != nil {
				return err
			}
		}
	}
	d.end(head.MatchEventIndicator())
	return nil
}

// bookLong decodes template 64: sizes of 64 bits.
func (d *Decoder) bookLong(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	levels, rest, ok := group(rest, narrow, len(wire.MDIncrementalRefreshBookLongQty64MDEntries{}))
	if !ok {
		return errGroup
	}
	orders, _, ok := group(rest, wide, len(wire.MDIncrementalRefreshBookLongQty64OrderIDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshBookLongQty64)(block)
	d.begin(head.TransactTime(), out)
	for i := range levels.n {
		e := (*wire.MDIncrementalRefreshBookLongQty64MDEntries)(levels.at(i))
		n := d.of.find(uint32(e.SecurityID()))
		d.refs[i&0xFF] = n
		s := &d.of.slots[n]
		d.report(s, e.RptSeq())
		size := e.MDEntrySize()
		if size > math.MaxInt64 && size != math.MaxUint64 {
			return errSize // beyond what a book can add up
		}
		if err := d.level(out, s, e.MDEntryPx(), 1, size, e.NumberOfOrders(), e.MDPriceLevel(), e.MDUpdateAction(), e.MDEntryType()); err != nil {
			return err
		}
	}
	if d.opts.Feed != FeedMBP {
		for i := range orders.n {
			o := (*wire.MDIncrementalRefreshBookLongQty64OrderIDEntries)(orders.at(i))
			ref := int(o.ReferenceID()) - 1
			if ref < 0 || ref >= levels.n {
				return errReference
			}
			e := (*wire.MDIncrementalRefreshBookLongQty64MDEntries)(levels.at(ref))
			s := &d.of.slots[d.refs[ref&0xFF]]
			if err := d.order(out, s, o.OrderID(), o.MDOrderPriority(), e.MDEntryPx(), 1, o.MDDisplayQty(), o.OrderUpdateAction(), e.MDEntryType()); err != nil {
				return err
			}
		}
	}
	d.end(head.MatchEventIndicator())
	return nil
}

// level makes one entry's row. size is MaxUint64 for null; a negative one of 32 bits looks larger than any size. Hot path.
func (d *Decoder) level(out *tick.Batch, s *instrument, mantissa, scale int64, size uint64, orders int32, number, action, typ uint8) error {
	k := entryKinds[typ]
	if k.kind > tick.KindImplied || k.kind < tick.KindLevel || action >= actions {
		return d.oddLevel(out, s, mantissa, scale, size, action, typ)
	}
	px, ok := s.price(mantissa, scale)
	if !ok || size > math.MaxInt64 || number == 0 {
		switch {
		case d.opts.Feed == FeedMBO && (s.undefined() || !ok && mantissa != tick.UndefPrice): // the orders behind it say so
			return nil
		case !ok && (s.undefined() || mantissa != tick.UndefPrice):
			return d.unpricedEntry(s, mantissa)
		}
		if size, ok = goneLevel(size, action); !ok || number == 0 {
			return errLevel
		}
	}
	if d.opts.Feed == FeedMBO {
		return nil
	}
	if orders < 0 || orders == maxNull32 {
		orders = 0
	}
	i := out.N & tick.RowMask
	out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = k.kind, levelSubs[action], k.side, d.flags[k.kind&31]
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = s.id, d.time, d.sequence
	out.OrderID[i], out.Aux[i] = uint64(s.rpt-1), tick.LevelAt(uint32(number), uint32(orders)) // RptSeq: report has just counted it
	out.Price[i], out.Size[i] = px, size
	if k.kind == tick.KindLevel {
		d.mark(out, s, i, chainLevels)
	}
	s.flags |= seen
	out.N++
	if action == 3 || action == 4 {
		d.Counters.Ranges++
	}
	return nil
}

// goneLevel is the size of a level that goes, which needs neither price nor size: CME sends those of the removed row, but what matters is its number.
func goneLevel(size uint64, action uint8) (uint64, bool) {
	if size == math.MaxUint64 {
		size = 0
	}
	return size, action >= 2 && action <= 4 && size <= math.MaxInt64
}

// oddLevel is an entry that is no level: a book reset, or the market's best price.
func (d *Decoder) oddLevel(out *tick.Batch, s *instrument, mantissa, scale int64, size uint64, action, typ uint8) error {
	k := entryKinds[typ]
	switch {
	case k.kind == tick.KindClear:
		s.top = 0
		d.clear(out, s, BookBoth)
		return nil
	case k.kind == tick.KindExt && action < actions:
		px, ok := s.optional(mantissa, scale)
		if !ok {
			return d.unpriced(s, mantissa)
		}
		i := d.row(out, s, tick.KindExt)
		out.Side[i] = k.side
		d.ext(out, i, RefreshBook, 269, uint64(typ))
		d.ext(out, i, RefreshBook, 270, uint64(px))
		d.ext(out, i, RefreshBook, 271, size)
		d.ext(out, i, RefreshBook, 279, uint64(action))
		return nil
	}
	return errCode
}

// order makes one order's row. Hot path.
//
// MDOrderPriority says where it stands among orders of its price, lower first. An order that loses its place gets a number that no order of the
// instrument had before, so a higher one than all tells it (ModifyTail); Aux of a modify is the number. Where no order's number is known yet, the book
// knows no order either.
func (d *Decoder) order(out *tick.Batch, s *instrument, id, priority uint64, mantissa, scale int64, size int32, action, typ uint8) error {
	if action >= uint8(len(orderKinds)) {
		return errCode
	}
	kind := orderKinds[action]
	k := entryKinds[typ]
	if k.kind != tick.KindLevel || id == math.MaxUint64 {
		return errReference
	}
	px, ok := s.price(mantissa, scale)
	if !ok { // what is deleted needs no price
		switch {
		case s.undefined() || mantissa != tick.UndefPrice:
			return d.unpricedEntry(s, mantissa)
		case kind != tick.KindDelete:
			return errReference
		}
	}
	if size < 0 || size == maxNull32 {
		if kind != tick.KindDelete {
			return errSize
		}
		size = 0
	}
	i := out.N & tick.RowMask
	sub, aux := byte(0), priority&modifyMask[action&3]
	if priority > s.top && priority != math.MaxUint64 {
		if s.top != 0 {
			sub = tick.ModifyTail & byte(modifyMask[action&3])
		}
		s.top = priority
	}
	out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = kind, sub, k.side, d.flags[kind&31]
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = s.id, d.time, d.sequence
	out.OrderID[i], out.Aux[i] = id, aux
	out.Price[i], out.Size[i] = px, uint64(size)
	d.mark(out, s, i, chainOrders)
	out.N++
	return nil
}

// orderBook decodes templates 47 and 43: orders without levels. Hot path.
func (d *Decoder) orderBook(m Message, scale int64, out *tick.Batch) error {
	return d.orderBookFrom(m, scale, 0, out)
}

// orderBookFrom is orderBook from an entry on.
func (d *Decoder) orderBookFrom(m Message, scale int64, order int, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	orders, _, ok := group(rest, narrow, len(wire.MDIncrementalRefreshOrderBook47MDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshOrderBook47)(block)
	d.begin(head.TransactTime(), out)
	if d.opts.Feed != FeedMBP {
		for i := order; i < orders.n; i++ {
			o := (*wire.MDIncrementalRefreshOrderBook47MDEntries)(orders.at(i))
			s := &d.of.slots[d.of.find(uint32(o.SecurityID()))]
			if err := d.order(out, s, o.OrderID(), o.MDOrderPriority(), o.MDEntryPx(), scale, o.MDDisplayQty(), o.MDUpdateAction(), o.MDEntryType()); err != nil {
				return err
			}
		}
	}
	d.end(head.MatchEventIndicator())
	return nil
}
