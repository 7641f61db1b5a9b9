package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// A trade summary has an entry per instrument and price, then order entries: the first NumberOfOrders of them belong to the first trade, the next to
// the second, and so on (sheet section 9). Where AggressorSide is known the first of a trade's orders is the aggressor.
//
//	trade entry          KindTrade: Side the aggressor's, OrderID its order's or 0, Aux MDTradeEntryID or 0
//	its first order      the KindTrade's OrderID, where there is an aggressor
//	each further order   KindFill: Side the resting one's
//	trade, action 1      KindBreak of MDTradeEntryID, then KindTrade at the corrected price
//	trade, action 2      KindBreak of MDTradeEntryID
//
// A summary that is split sends all trades first: those whose orders have not come wait.

// trade is one whose order entries have not all come.
type trade struct {
	instrument uint32
	left       uint32 // of its order entries
	price      int64
	id         uint64
	side       byte // the aggressor's
	first      bool // the next order entry is the aggressor's
	void       bool // it was taken back, or left out: its order entries are no fills
}

const maxPending = 4096 // trades that wait: 16 full messages

// pending are trades that wait, in order.
type pending struct {
	room []trade
	head int
}

func (p *pending) reset() { p.room, p.head = p.room[:0], 0 }

func aggressor(code uint8) byte {
	switch code {
	case 1:
		return tick.SideBid
	case 2:
		return tick.SideAsk
	}
	return tick.SideNone
}

// tradeSummary decodes templates 48 and 42. Hot path.
func (d *Decoder) tradeSummary(m Message, scale int64, out *tick.Batch) error {
	return d.tradesFrom(m, scale, 0, 0, out)
}

// tradesFrom is tradeSummary from a trade and an order entry on: those before are done.
func (d *Decoder) tradesFrom(m Message, scale int64, first, order int, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	trades, rest, ok := group(rest, narrow, len(wire.MDIncrementalRefreshTradeSummary48MDEntries{}))
	if !ok {
		return errGroup
	}
	orders, _, ok := group(rest, wide, len(wire.MDIncrementalRefreshTradeSummary48OrderIDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshTradeSummary48)(block)
	d.begin(head.TransactTime(), out)
	orders, err := d.waiting(out, orders.from(order))
	if err != nil {
		return err
	}
	for i := first; i < trades.n; i++ {
		b := trades.at(i)
		e := (*wire.MDIncrementalRefreshTradeSummary48MDEntries)(b)
		var id uint32
		var named bool
		if scale == 1 {
			id, named = wire.MDIncrementalRefreshTradeSummary48MDEntriesMDTradeEntryID(b)
		} else {
			id, named = wire.MDIncrementalRefreshTradeSummary42MDEntriesMDTradeEntryID(b, m.Version())
		}
		if !named {
			id = 0
		}
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		px, err := d.tradePrice(s, e.MDEntryPx(), scale)
		if err != nil {
			return err
		}
		if e.MDEntrySize() < 0 {
			return errSize
		}
		t := trade{instrument: s.id, price: px, id: uint64(id), side: aggressor(e.AggressorSide()), left: count32(e.NumberOfOrders())}
		if orders, err = d.trade(out, s, t, uint64(e.MDEntrySize()), e.MDUpdateAction(), named, orders); err != nil {
			return err
		}
	}
	d.afterTrades(head.MatchEventIndicator(), orders)
	return nil
}

// tradeSummaryLong decodes template 65: sizes of 64 bits.
func (d *Decoder) tradeSummaryLong(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	trades, rest, ok := group(rest, narrow, len(wire.MDIncrementalRefreshTradeSummaryLongQty65MDEntries{}))
	if !ok {
		return errGroup
	}
	orders, _, ok := group(rest, wide, len(wire.MDIncrementalRefreshTradeSummaryLongQty65OrderIDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshTradeSummaryLongQty65)(block)
	d.begin(head.TransactTime(), out)
	orders, err := d.waiting(out, orders)
	if err != nil {
		return err
	}
	for i := range trades.n {
		e := (*wire.MDIncrementalRefreshTradeSummaryLongQty65MDEntries)(trades.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		px, err := d.tradePrice(s, e.MDEntryPx(), 1)
		if err != nil {
			return err
		}
		if e.MDEntrySize() > math.MaxInt64 {
			return errSize
		}
		t := trade{instrument: s.id, price: px, id: uint64(e.MDTradeEntryID()), side: aggressor(e.AggressorSide()), left: count32(e.NumberOfOrders())}
		if orders, err = d.trade(out, s, t, e.MDEntrySize(), e.MDUpdateAction(), true, orders); err != nil {
			return err
		}
	}
	d.afterTrades(head.MatchEventIndicator(), orders)
	return nil
}

// tradePrice is a trade's price: of an instrument without a definition, or where it is inexact, UndefPrice, which trade leaves out.
func (d *Decoder) tradePrice(s *instrument, mantissa, scale int64) (px int64, err error) {
	px, ok := s.price(mantissa, scale)
	if !ok {
		err = d.unpricedEntry(s, mantissa)
	}
	return px, err
}

// count32 is a number of orders; null or negative: none.
func count32(n int32) uint32 {
	if n < 0 || n == maxNull32 {
		return 0
	}
	return uint32(n)
}

// afterTrades counts the order entries that no trade took, and closes what the message says is over.
func (d *Decoder) afterTrades(indicator uint8, orders entries) {
	d.Counters.FillsUnplaced += uint64(orders.n)
	if indicator&LastTradeMsg != 0 {
		d.trades.reset()
	}
	d.end(indicator)
}

// trade makes a trade's rows, and takes its order entries off those that are left.
func (d *Decoder) trade(out *tick.Batch, s *instrument, t trade, size uint64, action uint8, named bool, orders entries) (entries, error) {
	switch {
	case action > 2:
		return orders, errCode
	case t.price == tick.UndefPrice && (action == 0 || !named || s.undefined()): // only its order entries are taken
		t.void = true
	case action != 0 && !named:
		// Which trade is meant is not said, so nothing can be taken back: told as it is.
		i := d.row(out, s, tick.KindExt)
		d.ext(out, i, RefreshTradeSummary, 279, uint64(action))
		d.ext(out, i, RefreshTradeSummary, 270, uint64(t.price))
		d.ext(out, i, RefreshTradeSummary, 271, size)
		t.void = true
	case action != 0:
		i := d.row(out, s, tick.KindBreak)
		out.Aux[i] = t.id
		t.void = action == 2 || t.price == tick.UndefPrice // what it takes back may have been told
	}
	t.first = t.side != tick.SideNone
	if !t.void {
		i := d.row(out, s, tick.KindTrade)
		out.Side[i], out.Price[i], out.Size[i], out.Aux[i] = t.side, t.price, size, t.id
		if t.first && t.left > 0 && orders.n > 0 {
			o := (*wire.MDIncrementalRefreshTradeSummary48OrderIDEntries)(orders.at(0))
			out.OrderID[i] = o.OrderID()
			orders = orders.from(1)
			t.first = false
			t.left--
		}
	}
	orders, err := d.fills(out, s, &t, orders)
	if t.left > 0 && len(d.trades.room) < cap(d.trades.room) {
		d.trades.room = append(d.trades.room, t)
	}
	return orders, err
}

// from is what is left of entries behind the first n.
func (e entries) from(n int) entries {
	return entries{data: e.data[n*e.size:], size: e.size, n: e.n - n}
}

// waiting gives order entries to trades of earlier messages.
func (d *Decoder) waiting(out *tick.Batch, orders entries) (entries, error) {
	p := &d.trades
	var err error
	for orders.n > 0 && p.head < len(p.room) {
		t := p.room[p.head]
		if t.first && !t.void {
			d.Counters.LateAggressor++
			t.first = false
			t.left--
			orders = orders.from(1)
		}
		if orders, err = d.fills(out, &d.of.slots[d.of.find(t.instrument)], &t, orders); err != nil {
			return orders, err
		}
		p.room[p.head] = t
		if t.left > 0 {
			break
		}
		p.head++
	}
	return orders, nil
}

// fills gives a trade its order entries, as many as there are.
func (d *Decoder) fills(out *tick.Batch, s *instrument, t *trade, orders entries) (entries, error) {
	n := min(int(t.left), orders.n)
	for k := range n {
		if t.void {
			break
		}
		o := (*wire.MDIncrementalRefreshTradeSummary48OrderIDEntries)(orders.at(k))
		if o.LastQty() < 0 {
			return orders, errSize
		}
		i := d.row(out, s, tick.KindFill)
		out.Side[i], out.Price[i], out.Size[i], out.Aux[i] = tick.OppositeSide(t.side), t.price, uint64(o.LastQty()), t.id
		out.OrderID[i] = o.OrderID()
	}
	t.left -= uint32(n)
	if n == 0 {
		return orders, nil
	}
	return orders.from(n), nil
}

// oldTrade decodes template 36, which schema 9 has no longer: trades without orders.
func (d *Decoder) oldTrade(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	trades, _, ok := group(rest, narrow, len(wire.MDIncrementalRefreshTrade36MDEntries{}))
	if !ok {
		return errGroup
	}
	head := (*wire.MDIncrementalRefreshTrade36)(block)
	d.begin(head.TransactTime(), out)
	for i := range trades.n {
		e := (*wire.MDIncrementalRefreshTrade36MDEntries)(trades.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		px, err := d.tradePrice(s, e.MDEntryPx(), oldScale)
		if err != nil {
			return err
		}
		if e.MDEntrySize() < 0 {
			return errSize
		}
		t := trade{instrument: s.id, price: px, id: uint64(uint32(e.TradeID())), side: aggressor(e.AggressorSide())}
		if _, err := d.trade(out, s, t, uint64(e.MDEntrySize()), e.MDUpdateAction(), true, entries{}); err != nil {
			return err
		}
	}
	d.end(head.MatchEventIndicator())
	return nil
}
