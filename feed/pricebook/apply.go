package pricebook

import "github.com/tickwire/tickwire/tick"

// Apply applies rows from to to-1 of the batch, in order, to the price books. The order books must have had the rows before (book.Books.Apply):
//
//	row                     Before, After                   State
//	Level, Implied, Quote   best prices, before and after   Applied unless it did not fit; Top when they differ; Suspect
//	Clear                   the same                        Applied; Top, Suspect
//	any other               best prices, both the same      as the order book left it, without Top, with Suspect of either book
//
// SuspectLevels is Suspect of this book alone.
//
// A Level row's Sub becomes what it did to the level at its price (New, Change, Delete; an overlay of another price is a New), and of a Delete Price and
// Size become what was there. Thru, From and what else leaves without a row of its own: Gone.
//
// Best prices are those of the levels, without implied ones; of an instrument without levels both sides are empty. An Implied row changes
// nothing else. A Quote is the whole of both sides. Definitions say how deep books are (SetDepth).
//
// When an instrument's next event begins, told by its time, the orders' best prices are compared with the levels' (Counters.TopMismatch), unless one is
// suspect or a snapshot was under way: a venue may say both in either order, each with an end of its own (FlagMore).
//
// Hot path: no allocation once an instrument is known.
func (b *Books) Apply(batch *tick.Batch, from, to int) {
	if from == 0 {
		b.gone = b.gone[:0]
	}
	for i := from; i < to; i++ {
		b.row(batch, i&tick.RowMask)
	}
}

// suspectState is what a suspect price book adds to a row's state.
const suspectState = tick.StateSuspect | tick.StateSuspectLevels

func (b *Books) row(batch *tick.Batch, i int) {
	i &= tick.RowMask
	kind := batch.Kind[i]
	var h *instrument
	switch kind {
	case tick.KindLevel, tick.KindImplied, tick.KindQuote:
		if h = b.meet(batch.Instrument[i]); h == nil {
			batch.State[i] &^= tick.StateApplied
		}
	case tick.KindDefinition:
		b.define(batch, i)
		h = b.find(batch.Instrument[i])
		if h == nil || h.top == tick.EmptyPair {
			return // whether there are orders is for who publishes it
		}
	default:
		h = b.find(batch.Instrument[i])
	}
	if h == nil {
		batch.Before[i], batch.After[i] = tick.EmptyPair, tick.EmptyPair
		batch.State[i] = batch.State[i]&^tick.StateTop | b.flagsOf(batch.Instrument[i])*suspectState
		return
	}
	place := b.lastPlace
	before, state := h.top, batch.State[i]
	if h.flags&flagTouched != 0 && batch.TsEvent[i] != h.event {
		b.compare(h, &batch.Before[i], state&tick.StateSuspect != 0)
	}
	switch kind {
	case tick.KindLevel, tick.KindImplied:
		state = b.level(h, place, batch, i)
	case tick.KindQuote:
		b.quote(h, place, batch, i)
		state = tick.StateApplied
	case tick.KindClear:
		state |= tick.StateApplied
		if batch.Sub[i] == tick.ClearOrders { // of the venue's other book
			break
		}
		h.n, h.beyond, h.top = [lists]uint8{}, [lists]uint32{}, tick.EmptyPair
		h.flags = h.flags&^flagUnsorted | flagTouched
		if batch.Flags[i]&tick.FlagSnapshot != 0 { // the whole state follows: what was lost before is of no matter
			h.flags &^= flagSuspect
		}
	case tick.KindAdd, tick.KindExec, tick.KindExecAt, tick.KindReduce, tick.KindDelete, tick.KindReplace, tick.KindModify:
		h.flags |= flagOrders | flagTouched
	}
	if _, more := tick.More(batch.Flags[i]); !more {
		b.endOfEvent(h, place)
	}
	if h.flags&flagTouched != 0 {
		h.event = batch.TsEvent[i]
		if batch.Flags[i]&tick.FlagSnapshot != 0 {
			h.flags &^= flagTouched
		}
	}
	state &^= tick.StateTop
	if h.top != before {
		state |= tick.StateTop
	}
	batch.Before[i], batch.After[i] = before, h.top
	batch.State[i] = state | h.flags&flagSuspect*suspectState
}

// level applies a Level or an Implied row and gives its state.
func (b *Books) level(h *instrument, place uint32, batch *tick.Batch, i int) (state uint8) {
	list := bids
	if batch.Kind[i] == tick.KindImplied {
		list = implied
		h.flags |= flagImplied
	}
	switch batch.Side[i] {
	case tick.SideBid:
	case tick.SideAsk:
		list++
	default:
		b.counters.BadSide++
		b.doubt(h)
		return 0
	}
	number, orders := tick.SplitLevelAt(batch.Aux[i])
	l := b.levels(place, list)[:h.depth[list]]
	level := Level{Price: batch.Price[i], Size: batch.Size[i], Orders: orders}
	var ok bool
	if number == 0 {
		ok = b.byPrice(h, list, l, batch, i, level)
	} else {
		ok = b.byNumber(h, list, l, batch, i, number, level)
	}
	if !ok {
		b.doubt(h)
		return 0
	}
	if list < implied {
		h.flags |= flagTouched
		h.setTop(list, l)
	}
	return tick.StateApplied
}

// setTop takes the best prices of a side from its list.
func (h *instrument) setTop(list int, l []Level) {
	best := Level{Price: tick.UndefPrice}
	if h.n[list] > 0 {
		best = l[0]
	}
	size := tick.Size32(best.Size)
	if list == bids {
		h.top.BidPx, h.top.BidSz, h.top.BidCt = best.Price, size, best.Orders
	} else {
		h.top.AskPx, h.top.AskSz, h.top.AskCt = best.Price, size, best.Orders
	}
}

// quote makes both sides what the row says: one level, or none where the price is none or the size 0.
func (b *Books) quote(h *instrument, place uint32, batch *tick.Batch, i int) {
	for list, level := range [2]Level{{Price: batch.Price[i], Size: batch.Size[i]}, {Price: batch.OldPrice[i], Size: batch.OldSize[i]}} {
		l := b.levels(place, list)
		h.n[list], h.beyond[list] = 0, 0
		if level.Price != tick.UndefPrice && level.Size != 0 {
			l[0], h.n[list] = level, 1
		}
		h.setTop(list, l)
	}
	h.flags = h.flags&^(flagSuspect|flagUnsorted) | flagTouched
}

// endOfEvent checks what has to be right only between events.
func (b *Books) endOfEvent(h *instrument, place uint32) {
	if h.flags&flagUnsorted != 0 && !b.sorted(place, h) {
		b.counters.OutOfOrder++
		b.doubt(h)
	}
	h.flags &^= flagUnsorted
}

// compare holds the levels' best prices against the orders', as both were behind the instrument's last event.
func (b *Books) compare(h *instrument, orders *tick.BidAskPair, uncertain bool) {
	h.flags &^= flagTouched
	if uncertain || h.flags&flagSuspect != 0 || h.flags&flagOrders == 0 && *orders == tick.EmptyPair {
		return
	}
	if orders.BidPx != h.top.BidPx || orders.AskPx != h.top.AskPx || orders.BidSz != h.top.BidSz || orders.AskSz != h.top.AskSz {
		b.counters.TopMismatch++
	}
}

// define takes the depths of the definitions of row i.
func (b *Books) define(batch *tick.Batch, i int) {
	first, n := tick.SplitSideRows(batch.Aux[i])
	for k := max(0, first); k < min(first+n, tick.MaxSideRows); k++ {
		d := &batch.Definitions[k]
		depth, impliedDepth := Depths(d)
		b.SetDepth(d.InstrumentID, depth, impliedDepth)
	}
}

// Depths are how many levels a side a definition says that the venue sends, and how many implied ones, as SetDepth has them; 0: it does not say.
func Depths(d *tick.Definition) (depth, implied int) {
	depth, implied = int(d.MarketDepth), int(d.MarketDepthImplied)
	if depth == unset {
		depth = 0
	}
	if implied == unset {
		implied = 0
	}
	return depth, implied
}

const unset = 1<<31 - 1 // of an int32 in a definition
