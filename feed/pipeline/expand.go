package pipeline

import (
	"math"
	"slices"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Rows become records as the DBN conventions say for Nasdaq ITCH, and ours where it is silent:
//
//	row                     mbo                     mbp1                trades   events, ext
//	Add                     A                       A when top changed
//	Exec, ExecAt 'Y'        T F C                   T, C when top chg.  T
//	ExecAt 'N'                F C                   C when top changed
//	Reduce, Delete          C                       C when top changed
//	Replace                 C(old) A(new)           A or C when top chg.
//	Modify                  M (*), C when gone      M or C when top changed
//	Trade                   T                       T                   T
//	Cross, size > 0         T side N                T                   T        Statistics
//	Fill                    F
//	Level                   A M C, F_MBP (**)       A M C when top changed
//	Quote                   A A, F_TOB (**)         A, F_TOB when top chg.
//	Clear                   R                       R when top changed                ExtImplied R (***)
//	Implied                                                                      ExtImplied
//	Break                                                                        ExtBreak
//	Status                  the same, inline                                     Status
//	Imbalance, Statistics                                                        as they are
//
// (*) M keeps the order's place in the queue unless the price changes, even when the order grew. Where it goes to the tail at an unchanged price, M could not
// say so: C(old), A(new). (**) Only of a venue that has no orders (depth.price). Of a level, a new one is A, a change M, one that goes C with the size it had; levels that
// go without a row of their own (they fell off the end, another price was laid over them, a range went) are C before. A Quote is the bid
// and then the ask, each of which replaces its side. Where there is a price book best prices are its, and orders have no record in mbp1; so is the doubt that a flag in mbp1 and
// mbp10 tells, while one in mbo is of either book. (***) Where the instrument had implied levels.
//
// Only A, C, M and R change a book. T shows the top before the event, everything else the top after it. All records of a
// row share its sequence and times, and only the last one in a ring carries F_LAST. Where a venue's event has several rows for an instrument
// (tick.FlagMore) the last of them carries it, or an N behind, in each ring that has records of the event.

// expand turns the batch's completed rows into staged records.
func (l *Lane) expand() {
	b := l.batch
	room := l.staged.rows
	for i := range b.N {
		i &= tick.RowMask
		if room == 0 { // a message may have become many rows
			l.flush()
			room = l.staged.rows
		}
		room--
		if l.only.bounded && !l.only.inTime(l, i) {
			continue
		}
		mbo, mbp1 := len(l.staged.mbo), len(l.staged.mbp1)
		l.row(i)
		if b.Flags[i]&(tick.FlagMore|tick.FlagMoreElse) != 0 || len(l.staged.open) != 0 {
			l.inEvent(i, len(l.staged.mbo) != mbo, len(l.staged.mbp1) != mbp1)
		}
	}
}

// Rings in which an event has records so far, none of them with F_LAST.
const (
	openMbo  uint8 = 1 << 0
	openMbp1 uint8 = 1 << 1
)

// inEvent keeps account of the rings that row i's event has records in; the row itself has some in mbo and mbp1, or not. The event's last row ends it in all
// of them: where it has no record of its own, by one that says nothing else.
func (l *Lane) inEvent(i int, mbo, mbp1 bool) {
	b := l.batch
	switch b.Kind[i] {
	case tick.KindStatus, tick.KindSystem, tick.KindDefinition: // inline, and no order event; or an R that is an event of its own
		mbo = false
	}
	id := b.Instrument[i]
	moreOrders, moreLevels := tick.More(b.Flags[i])
	was := l.staged.open[id]
	open := was
	open, endMbo := ends(open, openMbo, mbo, moreOrders)
	open, endMbp1 := ends(open, openMbp1, mbp1, moreLevels)
	switch {
	case open == was:
	case open == 0:
		delete(l.staged.open, id)
	default:
		l.staged.open[id] = open
	}
	if endMbo {
		l.order(i, tick.ActionNone, tick.SideNone, 0, tick.UndefPrice, 0, l.flags(i)|tick.FlagLast)
	}
	if endMbp1 {
		l.top(i, tick.ActionNone, tick.SideNone, tick.UndefPrice, 0, l.flags(i)|tick.FlagLast, &b.After[i])
	}
}

// ends says which rings are open behind a row, as to one of them, and whether the event there is to be ended by a record of its own.
func ends(open, ring uint8, has, more bool) (after uint8, end bool) {
	switch {
	case !more:
		return open &^ ring, open&ring != 0 && !has
	case has:
		return open | ring, false
	}
	return open, false
}

// row stages the records of row i.
func (l *Lane) row(i int) {
	b := l.batch
	i &= tick.RowMask
	if b.State[i]&tick.StateApplied == 0 {
		if b.State[i]&tick.StateDuplicate != 0 {
			l.stale(i, l.flags(i)|l.last(i)) // the new order was refused, the stale one is gone all the same
		}
		return // the book counted why
	}
	switch b.Kind[i] {
	case tick.KindAdd:
		l.add(i)
	case tick.KindExec:
		l.exec(i, b.Price[i], b.Price[i], true)
	case tick.KindExecAt:
		l.exec(i, b.Price[i], b.OldPrice[i], b.Sub[i] != 'N')
	case tick.KindReduce, tick.KindDelete:
		l.cancel(i)
	case tick.KindReplace:
		l.replace(i)
	case tick.KindModify:
		l.modify(i)
	case tick.KindTrade, tick.KindCross:
		l.print(i)
	case tick.KindFill:
		l.order(i, tick.ActionFill, b.Side[i], b.OrderID[i], b.Price[i], b.Size[i], l.flags(i)|l.last(i))
	case tick.KindLevel:
		l.level(i)
	case tick.KindQuote:
		l.quote(i)
	case tick.KindImplied:
		l.implied(i)
	default:
		l.cold(i)
	}
}

// flags are what every record of a row carries besides F_LAST.
func (l *Lane) flags(i int) uint8 {
	f := l.batch.Flags[i&tick.RowMask] &^ (tick.FlagMore | tick.FlagMoreElse)
	if l.batch.State[i&tick.RowMask]&tick.StateSuspect != 0 {
		f |= tick.FlagMaybeBadBook
	}
	return f
}

// topFlags are flags of row i's records in the rings with best prices and levels: where there are price books, whether orders are in doubt is not the question.
func (l *Lane) topFlags(i int, flags uint8) uint8 {
	if l.depth.prices == nil {
		return flags
	}
	b := l.batch
	flags = flags&^tick.FlagMaybeBadBook | b.Flags[i&tick.RowMask]&tick.FlagMaybeBadBook
	if b.State[i&tick.RowMask]&tick.StateSuspectLevels != 0 {
		flags |= tick.FlagMaybeBadBook
	}
	return flags
}

// last is F_LAST, or 0 when another row of the same event follows in the mbo ring.
func (l *Lane) last(i int) uint8 {
	return tick.FlagLast &^ (l.batch.Flags[i&tick.RowMask] << 7) // tick.FlagMore is bit 0
}

// lastTop is last of the rings with best prices and levels.
func (l *Lane) lastTop(i int) uint8 {
	f := l.batch.Flags[i&tick.RowMask]
	return tick.FlagLast &^ (f<<7 ^ f) // tick.FlagMoreElse is F_LAST's bit
}

// order stages one order event of row i.
func (l *Lane) order(i int, action, side byte, id uint64, price int64, size uint64, flags uint8) {
	b := l.batch
	if l.out.Mbo == nil {
		return
	}
	n := len(l.staged.mbo)
	l.staged.mbo = l.staged.mbo[:n+1]
	r := (*tick.Mbo)(asMbo(&l.staged.mbo[n]))
	*r = tick.Mbo{
		Header:    tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: l.publisher, InstrumentID: b.Instrument[i], TsEvent: b.TsEvent[i]},
		OrderID:   id,
		Price:     price,
		Size:      tick.Size32(size),
		Flags:     flags,
		ChannelID: l.channelID,
		Action:    action,
		Side:      side,
		TsRecv:    b.TsRecv[i],
		TsInDelta: l.inDelta(i),
		Sequence:  uint32(b.Sequence[i]),
	}
	if size > tick.MaxSize {
		l.exact(i, tick.RingMbo, l.out.Mbo.Next()+uint64(n), size)
	}
}

// top stages one change of the best prices, or a trade.
func (l *Lane) top(i int, action, side byte, price int64, size uint64, flags uint8, level *tick.BidAskPair) {
	b := l.batch
	if l.out.Mbp1 == nil && l.out.Last == nil {
		return
	}
	flags = l.topFlags(i, flags)
	n := len(l.staged.mbp1)
	l.staged.mbp1 = l.staged.mbp1[:n+1]
	r := &l.staged.mbp1[n]
	*r = ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{
		Trade:  l.trade(i, 20, tick.RTypeMbp1, action, side, price, size, flags),
		Levels: [1]tick.BidAskPair{*level},
	}, TsPublish: l.publish, Plugin: l.guests.row}
	if l.out.Last != nil {
		l.out.Last.Put(b.Instrument[i], r)
	}
	if flags&tick.FlagMaybeBadBook != 0 && l.rebuild != nil {
		l.rebuild.mark(b.Instrument[i])
	}
	if l.out.Mbp1 == nil {
		l.staged.mbp1 = l.staged.mbp1[:n]
		return
	}
	if size > tick.MaxSize {
		l.exact(i, tick.RingMbp1, l.out.Mbp1.Next()+uint64(n), size)
	}
}

func (l *Lane) trade(i int, length, rtype uint8, action, side byte, price int64, size uint64, flags uint8) tick.Trade {
	b := l.batch
	return tick.Trade{
		Header:    tick.Header{Length: length, RType: rtype, PublisherID: l.publisher, InstrumentID: b.Instrument[i], TsEvent: b.TsEvent[i]},
		Price:     price,
		Size:      tick.Size32(size),
		Action:    action,
		Side:      side,
		Flags:     flags,
		TsRecv:    b.TsRecv[i],
		TsInDelta: l.inDelta(i),
		Sequence:  uint32(b.Sequence[i]),
	}
}

// tape stages one print with the venue's match id.
func (l *Lane) tape(i int, side byte, price int64, size uint64, flags uint8) {
	if l.out.Trades == nil {
		return
	}
	n := len(l.staged.trades)
	l.staged.trades = l.staged.trades[:n+1]
	l.staged.trades[n] = ringbuf.TradeSlot{
		Trade:   l.trade(i, 12, tick.RTypeTrade, tick.ActionTrade, side, price, size, flags|tick.FlagLast),
		MatchID: l.batch.Aux[i],
	}
	if size > tick.MaxSize {
		l.exact(i, tick.RingTrades, l.out.Trades.Next()+uint64(n), size)
	}
}

func (l *Lane) add(i int) {
	b := l.batch
	flags := l.flags(i)
	if b.State[i]&tick.StateDuplicate != 0 {
		l.stale(i, flags)
	}
	l.order(i, tick.ActionAdd, b.Side[i], b.OrderID[i], b.Price[i], b.Size[i], flags|l.last(i))
	if mpid := b.Aux[i]; mpid != 0 && l.out.Ext != nil {
		l.ext(i, tick.ExtMPID, tick.RingMbo, l.lastMbo(), mpid, b.OrderID[i], 0)
	}
	if b.State[i]&tick.StateTop != 0 {
		l.top(i, tick.ActionAdd, b.Side[i], b.Price[i], b.Size[i], flags|l.lastTop(i), &b.After[i])
	}
}

// exec stages an execution at price of an order that rests at resting.
func (l *Lane) exec(i int, price, resting int64, printed bool) {
	b := l.batch
	flags, last, lastTop, size, side := l.flags(i), l.last(i), l.lastTop(i), b.Size[i], b.Side[i]
	aggressor := tick.OppositeSide(side)
	changed := b.State[i]&tick.StateTop != 0
	if printed {
		l.order(i, tick.ActionTrade, aggressor, 0, price, size, flags)
		topFlags := flags
		if !changed {
			topFlags |= lastTop
		}
		l.top(i, tick.ActionTrade, aggressor, price, size, topFlags, &b.Before[i])
		l.tape(i, aggressor, price, size, flags)
	}
	l.order(i, tick.ActionFill, side, b.OrderID[i], price, size, flags)
	l.order(i, tick.ActionCancel, side, b.OrderID[i], resting, size, flags|last)
	if changed {
		l.top(i, tick.ActionCancel, side, resting, size, flags|lastTop, &b.After[i])
	}
}

func (l *Lane) cancel(i int) {
	b := l.batch
	flags := l.flags(i)
	l.order(i, tick.ActionCancel, b.Side[i], b.OrderID[i], b.Price[i], b.Size[i], flags|l.last(i))
	if b.State[i]&tick.StateTop != 0 {
		l.top(i, tick.ActionCancel, b.Side[i], b.Price[i], b.Size[i], flags|l.lastTop(i), &b.After[i])
	}
}

func (l *Lane) replace(i int) {
	b := l.batch
	flags, last, side := l.flags(i), l.last(i), b.Side[i]
	if b.State[i]&tick.StateDuplicate != 0 {
		l.stale(i, flags)
	}
	refused := b.State[i]&tick.StateGone != 0 // the new order did not come to rest: only the old one's leaving is true
	if refused {
		l.order(i, tick.ActionCancel, side, b.OrderID[i], b.OldPrice[i], b.OldSize[i], flags|last)
	} else {
		l.order(i, tick.ActionCancel, side, b.OrderID[i], b.OldPrice[i], b.OldSize[i], flags)
		l.order(i, tick.ActionAdd, side, b.Aux[i], b.Price[i], b.Size[i], flags|last)
	}
	if b.State[i]&tick.StateTop == 0 {
		return
	}
	// One record a side change: the new order's when it stands at the top, else the old one's, whose leaving showed.
	// Which side that is tell the prices: a plugin may have changed the column.
	before, after := &b.Before[i], &b.After[i]
	best := after.BidPx
	if before.BidPx == after.BidPx && before.BidSz == after.BidSz && before.BidCt == after.BidCt {
		best = after.AskPx
	}
	if best == l.bookedPrice(i) && !refused {
		l.top(i, tick.ActionAdd, side, b.Price[i], b.Size[i], flags|l.lastTop(i), &b.After[i])
	} else {
		l.top(i, tick.ActionCancel, side, b.OldPrice[i], b.OldSize[i], flags|l.lastTop(i), &b.After[i])
	}
}

// modify stages an order's new price and size, or its leaving.
func (l *Lane) modify(i int) {
	b := l.batch
	action, price, size, flags := tick.ActionModify, b.Price[i], b.Size[i], l.flags(i)|l.last(i)
	if b.State[i]&tick.StateGone != 0 {
		action, price, size = tick.ActionCancel, b.OldPrice[i], b.OldSize[i]
	}
	if action == tick.ActionModify && b.Sub[i] == tick.ModifyTail && l.bookedPrice(i) == b.OldPrice[i] {
		l.order(i, tick.ActionCancel, b.Side[i], b.OrderID[i], price, b.OldSize[i], l.flags(i))
		l.order(i, tick.ActionAdd, b.Side[i], b.OrderID[i], price, size, flags)
	} else {
		l.order(i, action, b.Side[i], b.OrderID[i], price, size, flags)
	}
	if b.State[i]&tick.StateTop != 0 {
		l.top(i, action, b.Side[i], price, size, l.flags(i)|l.lastTop(i), &b.After[i])
	}
}

// level stages a change of a price book.
func (l *Lane) level(i int) {
	b := l.batch
	action, flags := levelAction(b.Sub[i]), l.flags(i)
	if l.depth.levels {
		if r := l.rebuild; r != nil && r.shadow != nil && l.books.Behind(b.Instrument[i]) { // readers have the book before the exchange
			flags |= tick.FlagMaybeBadBook
		}
		l.levels(i, action, flags|tick.FlagMBP)
	}
	if b.State[i]&tick.StateTop != 0 {
		l.top(i, action, b.Side[i], b.Price[i], b.Size[i], flags|l.lastTop(i), &b.After[i])
	}
}

// levels stages a level's records, those of levels first that left without a row of their own: a reader's book would keep them.
func (l *Lane) levels(i int, action byte, flags uint8) {
	b := l.batch
	all := l.depth.prices.Gone()
	at, _ := slices.BinarySearchFunc(all, i, func(g pricebook.Gone, row int) int { return g.Row - row })
	end := at
	for end < len(all) && all[end].Row == i {
		end++
	}
	several := b.Sub[i] == tick.LevelThru || b.Sub[i] == tick.LevelFrom // they are named there, one and all
	many := end-at >= mboPerRow
	for k := range all[at:end] {
		g := &all[at+k]
		if many && len(l.staged.mbo) == cap(l.staged.mbo) {
			l.flush()
		}
		f := flags
		if several && at+k == end-1 {
			f |= l.last(i)
		}
		l.order(i, tick.ActionCancel, g.Side, 0, g.Level.Price, g.Level.Size, f)
	}
	if many { // more than a row has room for: that of others
		l.flush()
	}
	if !several {
		l.order(i, action, b.Side[i], 0, b.Price[i], b.Size[i], flags|l.last(i))
	}
}

func levelAction(code byte) byte {
	switch code {
	case tick.LevelNew:
		return tick.ActionAdd
	case tick.LevelChange, tick.LevelOverlay:
		return tick.ActionModify
	}
	return tick.ActionCancel
}

// quote stages both best prices at once.
func (l *Lane) quote(i int) {
	b := l.batch
	flags := l.flags(i) | tick.FlagTOB
	if l.depth.levels {
		l.order(i, tick.ActionAdd, tick.SideBid, 0, b.Price[i], b.Size[i], flags)
		l.order(i, tick.ActionAdd, tick.SideAsk, 0, b.OldPrice[i], b.OldSize[i], flags|l.last(i))
	}
	if b.State[i]&tick.StateTop != 0 {
		side, price, size := quoted(b, i)
		l.top(i, tick.ActionAdd, side, price, size, flags|l.lastTop(i), &b.After[i])
	}
}

// quoted is the side that a quote changed, with what it has now, and neither when it changed both.
func quoted(b *tick.Batch, i int) (side byte, price int64, size uint64) {
	was, is := &b.Before[i&tick.RowMask], &b.After[i&tick.RowMask]
	bid := was.BidPx != is.BidPx || was.BidSz != is.BidSz || was.BidCt != is.BidCt
	ask := was.AskPx != is.AskPx || was.AskSz != is.AskSz || was.AskCt != is.AskCt
	switch {
	case bid && !ask:
		if is.BidSz != 0 {
			size = b.Size[i&tick.RowMask] // exact
		}
		return tick.SideBid, is.BidPx, size
	case ask && !bid:
		if is.AskSz != 0 {
			size = b.OldSize[i&tick.RowMask]
		}
		return tick.SideAsk, is.AskPx, size
	}
	return tick.SideNone, tick.UndefPrice, 0
}

// implied stages a change of the implied book. It is of no record in another ring.
func (l *Lane) implied(i int) {
	b := l.batch
	level, orders := tick.SplitLevelAt(b.Aux[i])
	l.ext(i, tick.ExtImplied, 0, 0, uint64(b.Price[i]), b.Size[i], impliedCode(b.Side[i], levelAction(b.Sub[i]), level, orders))
}

// impliedCode is C of a tick.ExtImplied.
func impliedCode(side, action byte, number, orders uint32) uint64 {
	return uint64(side) | uint64(uint8(number))<<8 | uint64(action)<<16 | uint64(orders)<<32
}

// stale stages the removal of the order whose id row i gave out again: without it readers would keep both. It may be
// another instrument's than the row's.
func (l *Lane) stale(i int, flags uint8) {
	b := l.batch
	all := l.books.Stale()
	at, ok := slices.BinarySearchFunc(all, i, func(s book.Stale, row int) int { return s.Row - row })
	if !ok {
		return
	}
	s := &all[at] // a row takes one id, so it has one
	row := b.Instrument[i]
	b.Instrument[i] = s.Order.Instrument
	l.order(i, tick.ActionCancel, s.Order.Side, s.Order.ID, s.Order.Price, s.Order.Size, flags)
	if s.Top && l.depth.prices == nil {
		l.top(i, tick.ActionCancel, s.Order.Side, s.Order.Price, s.Order.Size, flags, &s.After)
	}
	b.Instrument[i] = row
}

// print stages a trade that names no resting order, or the bulk print of a cross.
func (l *Lane) print(i int) {
	b := l.batch
	size := b.Size[i]
	if size == 0 {
		return // a cross that did not take place
	}
	flags, side := l.flags(i), printSide(b, i)
	id := uint64(0)
	if side != tick.SideNone { // who knows the side knows the order, or has 0 there
		id = b.OrderID[i]
	}
	l.order(i, tick.ActionTrade, side, id, b.Price[i], size, flags|l.last(i))
	l.top(i, tick.ActionTrade, side, b.Price[i], size, flags|l.lastTop(i), &b.Before[i])
	l.tape(i, side, b.Price[i], size, flags)
	if b.Kind[i] == tick.KindCross {
		l.crossStatistic(i)
	}
}

// printSide is the aggressor's side of a trade that names no resting order, where the venue says it.
func printSide(b *tick.Batch, i int) byte {
	side := b.Side[i&tick.RowMask]
	if b.Kind[i&tick.RowMask] == tick.KindTrade && (side == tick.SideBid || side == tick.SideAsk) {
		return side
	}
	return tick.SideNone
}

// inDelta is ts_in_delta of row i's records: from when the venue sent it, or, where it does not say that, from the event.
func (l *Lane) inDelta(i int) int32 {
	i &= tick.RowMask
	from := l.batch.TsEvent[i]
	if l.tells && l.sent[i] != 0 {
		from = l.sent[i]
	}
	return delta(l.batch.TsRecv[i], from)
}

// delta is the time between, clamped: an i32 of ns spans ±2.1 s and must not wrap.
func delta(recv, event uint64) int32 {
	d := int64(recv - event)
	return int32(max(math.MinInt32, min(math.MaxInt32, d)))
}
