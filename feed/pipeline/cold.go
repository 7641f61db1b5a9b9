package pipeline

import (
	"math"
	"unsafe"

	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/tick"
)

// Rows that come seldom: states, auctions, definitions, what DBN has no record for.

func asMbo(s *slot56) unsafe.Pointer { return unsafe.Pointer(s) }

// inline stages a record of at most 56 bytes in the mbo ring.
func inline[T tick.Status | tick.Gap](l *Lane, rec *T) {
	if l.out.Mbo == nil {
		return
	}
	var s slot56
	*(*T)(unsafe.Pointer(&s)) = *rec
	l.staged.mbo = append(l.staged.mbo, s)
}

// event stages a record of at most 120 bytes in the events ring.
func event[T tick.Status | tick.Imbalance | tick.Statistics | tick.Gap](l *Lane, rec *T) {
	if l.out.Events == nil {
		return
	}
	var s slot120
	*(*T)(unsafe.Pointer(&s)) = *rec
	l.staged.events = append(l.staged.events, s)
}

// lastMbo is the number that the order event staged last will have.
func (l *Lane) lastMbo() uint64 {
	if l.out.Mbo == nil || len(l.staged.mbo) == 0 {
		return 0
	}
	return l.out.Mbo.Next() + uint64(len(l.staged.mbo)) - 1
}

func (l *Lane) ext(i int, kind, ring uint8, ref, a, b, c uint64) {
	if l.out.Ext == nil {
		return
	}
	rows := l.batch
	l.staged.ext = append(l.staged.ext, tick.Ext{
		Header: tick.Header{Length: 14, RType: tick.RTypeExt, PublisherID: l.publisher, InstrumentID: rows.Instrument[i], TsEvent: rows.TsEvent[i]},
		RefSeq: ref, Kind: kind, Ring: ring, Seq32: uint32(rows.Sequence[i]), A: a, B: b, C: c,
	})
}

// exact stages the exact size of a record that could only hold a saturated one.
func (l *Lane) exact(i int, ring uint8, ref, size uint64) {
	l.ext(i, tick.ExtSize, ring, ref, size, 0, 0)
}

// cold stages the rows that are neither orders nor trades.
func (l *Lane) cold(i int) {
	b := l.batch
	first, n := tick.SplitSideRows(b.Aux[i])
	switch b.Kind[i] {
	case tick.KindBreak:
		l.ext(i, tick.ExtBreak, 0, 0, b.Aux[i], 0, 0)
	case tick.KindStatus:
		for k := first; k < first+n; k++ {
			s := &b.Statuses[k]
			s.PublisherID, s.TsRecv = l.publisher, b.TsRecv[i]
			l.halt(s)
			inline(l, s)
			event(l, s)
		}
	case tick.KindImbalance:
		for k := first; k < first+n; k++ {
			m := &b.Imbalances[k]
			m.PublisherID, m.TsRecv = l.publisher, b.TsRecv[i]
			event(l, m)
			if l.out.Events != nil && (b.Size[i] > tick.MaxSize || b.OrderID[i] > tick.MaxSize) {
				ref := l.out.Events.Next() + uint64(len(l.staged.events)) - 1
				l.ext(i, tick.ExtImbalanceSize, tick.RingEvents, ref, b.Size[i], b.OrderID[i], 0)
			}
		}
	case tick.KindStatistics:
		for k := first; k < first+n; k++ {
			s := &b.Statistics[k]
			s.PublisherID, s.TsRecv, s.TsInDelta = l.publisher, b.TsRecv[i], l.inDelta(i)
			event(l, s)
		}
	case tick.KindDefinition:
		for k := first; k < first+n; k++ {
			d := &b.Definitions[k]
			d.PublisherID, d.TsRecv = l.publisher, b.TsRecv[i]
			l.begin(i, d.InstrumentID)
			l.define(d)
		}
	case tick.KindExt:
		for k := first; k < first+n; k++ {
			e := b.Exts[k]
			l.ext(i, e.Kind, e.Ring, e.RefSeq, e.A, e.B, e.C)
		}
	case tick.KindSystem:
		l.system(i)
	case tick.KindClear:
		flags := l.flags(i)
		other := tick.ClearLevels // the book that the mbo ring does not tell
		if l.depth.levels {
			other = tick.ClearOrders
		}
		if b.Sub[i] != other {
			l.order(i, tick.ActionClear, tick.SideNone, 0, tick.UndefPrice, 0, flags|l.last(i))
		}
		if b.State[i]&tick.StateTop != 0 {
			l.top(i, tick.ActionClear, tick.SideNone, tick.UndefPrice, 0, flags|l.lastTop(i), &b.After[i])
		}
		if p := l.depth.prices; p != nil && b.Sub[i] != tick.ClearOrders && p.HasImplied(b.Instrument[i]) {
			undef := tick.UndefPrice
			l.ext(i, tick.ExtImplied, 0, 0, uint64(undef), 0, impliedCode(tick.SideNone, tick.ActionClear, 0, 0))
		}
	}
}

// begin sends R before an instrument's first record of a session: at its definition, unless orders rest already.
func (l *Lane) begin(i int, id uint32) {
	if in := l.symbols.Lookup(id); in != nil && in.Named && !l.guests.first(id) || l.batch.Before[i] != tick.EmptyPair || l.only.bounded && !l.only.within(l, i) {
		return
	}
	l.order(i, tick.ActionClear, tick.SideNone, 0, tick.UndefPrice, 0, l.flags(i)|tick.FlagLast)
}

// define enters a definition in the directory that readers see, and in our own.
func (l *Lane) define(d *tick.Definition) {
	if _, err := l.symbols.Define(d); err != nil {
		l.counters.Undefined++
	}
	l.tellDefinition(d)
}

// tellDefinition is define as far as others are concerned. Plugins may have given the instrument another symbol.
func (l *Lane) tellDefinition(d *tick.Definition) {
	if name, ok := l.guests.names[d.InstrumentID]; ok {
		renamed := *d
		renamed.RawSymbol = rawSymbol(name)
		d = &renamed
	}
	var offset uint64
	if l.out.Definitions != nil {
		offset = l.out.Definitions.Append(d)
	}
	if l.out.Instruments != nil {
		if err := l.out.Instruments.Put(d, offset); err != nil {
			l.counters.Undefined++
		}
	}
	l.counters.Definitions++
	if n := l.current.natural; n != nil {
		n.Define(d)
	}
	if l.rebuild != nil {
		l.rebuild.toldDefinition(d)
		if l.depth.prices != nil {
			depth, implied := pricebook.Depths(d)
			l.rebuild.half.Depth(d.InstrumentID, depth, implied)
		}
	}
}

// halt keeps the trading state of the directory and the books' flag. It never gates an order. A status that says nothing of the trading state, such as of
// short sales, leaves it as it was.
func (l *Lane) halt(s *tick.Status) {
	if l.rebuild != nil {
		l.rebuild.toldStatus(s)
	}
	if !tick.TradingState(s.Action) {
		return
	}
	switch s.Action {
	case tick.StatusTrading, tick.StatusQuoting:
		l.books.SetHalted(s.InstrumentID, false)
	case tick.StatusHalt, tick.StatusPause, tick.StatusSuspend, tick.StatusNotAvail:
		l.books.SetHalted(s.InstrumentID, true)
	}
	if _, err := l.symbols.SetStatus(s.InstrumentID, s.Action); err != nil {
		l.counters.Undefined++
	}
	if l.out.Instruments != nil && s.InstrumentID != 0 {
		if err := l.out.Instruments.SetStatus(l.publisher, s.InstrumentID, uint8(s.Action)); err != nil {
			l.counters.Undefined++
		}
	}
}

// crossStatistic is the official price that a cross made: opening, closing or another auction's.
func (l *Lane) crossStatistic(i int) {
	b := l.batch
	kind := tick.StatUncrossingPrice
	switch b.Sub[i] {
	case 'O':
		kind = tick.StatOpeningPrice
	case 'C':
		kind = tick.StatClosePrice
	}
	event(l, &tick.Statistics{
		Header:       tick.Header{Length: 20, RType: tick.RTypeStatistics, PublisherID: l.publisher, InstrumentID: b.Instrument[i], TsEvent: b.TsEvent[i]},
		TsRecv:       b.TsRecv[i],
		TsRef:        tick.UndefTime,
		Price:        b.Price[i],
		Quantity:     int64(min(b.Size[i], math.MaxInt64-1)),
		Sequence:     uint32(b.Sequence[i]),
		TsInDelta:    l.inDelta(i),
		StatType:     kind,
		ChannelID:    uint16(l.channelID),
		UpdateAction: 1,
	})
}

// system is a phase of the venue's day: a status of no instrument.
func (l *Lane) system(i int) {
	b := l.batch
	s := l.systemStatus(b.Sub[i], b.TsEvent[i], b.TsRecv[i])
	inline(l, &s)
	event(l, &s)
}

func (l *Lane) systemStatus(code byte, tsEvent, tsRecv uint64) tick.Status {
	s := tick.Status{
		Header:                tick.Header{Length: 10, RType: tick.RTypeStatus, PublisherID: l.publisher, TsEvent: tsEvent},
		TsRecv:                tsRecv,
		Reason:                tick.ReasonScheduled,
		IsTrading:             '~',
		IsQuoting:             '~',
		IsShortSellRestricted: '~',
	}
	switch code {
	case tick.SystemStartOfMessages:
		s.Action = tick.StatusPreOpen
	case tick.SystemStartOfHours:
		s.Action, s.IsQuoting = tick.StatusQuoting, 'Y'
	case tick.SystemMarketOpen:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusTrading, 'Y', 'Y'
	case tick.SystemMarketClose:
		s.Action = tick.StatusClose
	case tick.SystemEndOfHours:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusPostClose, 'N', 'N'
	case tick.SystemEndOfMessages:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusNotAvail, 'N', 'N'
	default:
		s.Action = 0
	}
	if l.rebuild != nil {
		l.rebuild.system = code
	}
	return s
}
