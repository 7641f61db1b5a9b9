package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Statistics types of DBN (section 4.13 of its layout) that CME's entries become.
const (
	statOpening      uint16 = 1
	statIndicative   uint16 = 2
	statSettlement   uint16 = 3
	statLow          uint16 = 4
	statHigh         uint16 = 5
	statCleared      uint16 = 6
	statLowOffer     uint16 = 7
	statHighBid      uint16 = 8
	statOpenInterest uint16 = 9
	statFixing       uint16 = 10
	statVWAP         uint16 = 13
	statUpperLimit   uint16 = 17
	statLowerLimit   uint16 = 18
	statVolume       uint16 = 10001 // electronic volume of the session so far
)

const (
	statNew    uint8 = 1
	statDelete uint8 = 2
	dayNs            = 86_400_000_000_000
)

// statKinds are the types of MDEntryType in daily and session statistics, and in snapshots; 0: it is none.
var statKinds = [256]uint16{
	'4': statOpening, '6': statSettlement, '7': statHigh, '8': statLow, '9': statVWAP, 'B': statCleared, 'C': statOpenInterest,
	'N': statHighBid, 'O': statLowOffer, 'W': statFixing, 'e': statVolume,
}

// openKind tells the indicative opening price from the opening price (tag 286).
func openKind(kind uint16, flag uint8) uint16 {
	if kind == statOpening && flag == 5 {
		return statIndicative
	}
	return kind
}

// day is a LocalMktDate as a time; null: none.
func day(date uint16) uint64 {
	if date == math.MaxUint16 {
		return tick.UndefTime
	}
	return uint64(date) * dayNs
}

// quantity32 is a size that may be null.
func quantity32(size int32) int64 {
	if size == maxNull32 {
		return tick.UndefQuantity
	}
	return int64(size)
}

// stat makes a row of one figure.
func (d *Decoder) stat(out *tick.Batch, s *instrument, kind uint16, price, quantity int64, action uint8) *tick.Statistics {
	i := d.row(out, s, tick.KindStatistics)
	k := out.Sides.Statistics
	v := &out.Statistics[k]
	*v = tick.Statistics{
		Header: header(i, out, 20, tick.RTypeStatistics), TsRef: tick.UndefTime, Price: price, Quantity: quantity,
		Sequence: uint32(out.Sequence[i]), StatType: kind, ChannelID: d.opts.Channel, UpdateAction: statNew,
	}
	if action == 2 {
		v.UpdateAction = statDelete
	}
	out.Sides.Statistics++
	out.Aux[i] = tick.SideRows(k, 1)
	return v
}

func header(i int, out *tick.Batch, length, rtype uint8) tick.Header {
	return tick.Header{Length: length, RType: rtype, InstrumentID: out.Instrument[i], TsEvent: out.TsEvent[i]}
}

// ext adds an entry to a KindExt row: what DBN has no field for, as template, FIX tag and value (tick.ExtRaw: A the template's number in ASCII, B the tag, C
// the value; text is packed, its first character lowest).
func (d *Decoder) ext(out *tick.Batch, i int, template uint16, tag uint32, value uint64) {
	k := out.Sides.Exts
	out.Exts[k] = tick.Ext{
		Header: header(i, out, 14, tick.RTypeExt), Kind: tick.ExtRaw, Seq32: uint32(out.Sequence[i]),
		A: uint64('0'+template/10) | uint64('0'+template%10)<<8, B: uint64(tag), C: value,
	}
	out.Sides.Exts++
	if first, n := tick.SplitSideRows(out.Aux[i]); n > 0 {
		out.Aux[i] = tick.SideRows(first, n+1)
	} else {
		out.Aux[i] = tick.SideRows(k, 1)
	}
}

// entriesOf begins a message that is a root block of TransactTime and MatchEventIndicator, and one group.
func (d *Decoder) entriesOf(m Message, least int, out *tick.Batch) (e entries, indicator uint8, err error) {
	block, rest, ok := root(m, 9)
	if !ok {
		return e, 0, errBlock
	}
	if e, _, ok = group(rest, narrow, least); !ok {
		return e, 0, errGroup
	}
	head := (*wire.ChannelReset4)(block) // the layout of all of them
	d.begin(head.TransactTime(), out)
	return e, head.MatchEventIndicator(), nil
}

// dailyStatistics decodes templates 49 and 33: settlement, cleared volume, open interest, fixing.
func (d *Decoder) dailyStatistics(m Message, scale int64, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshDailyStatistics49MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := range group.n {
		e := (*wire.MDIncrementalRefreshDailyStatistics49MDEntries)(group.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		kind := statKinds[e.MDEntryType()]
		if kind == 0 {
			return errCode
		}
		px, ok := s.optional(e.MDEntryPx(), scale)
		if !ok {
			if err := d.unpriced(s, e.MDEntryPx()); err != nil {
				return err
			}
			continue
		}
		v := d.stat(out, s, kind, px, quantity32(e.MDEntrySize()), e.MDUpdateAction())
		v.TsRef = day(e.TradingReferenceDate())
		v.StatFlags = settlementFlags(kind, e.SettlPriceType())
	}
	d.end(indicator)
	return nil
}

// settlementFlags are the bits of SettlPriceType (tag 731); bit 7 says that it is null.
func settlementFlags(kind uint16, settl uint8) uint8 {
	if kind != statSettlement || settl&0x80 != 0 {
		return 0
	}
	return settl
}

// sessionStatistics decodes templates 51 and 35: open, high, low, highest bid, lowest offer, average.
func (d *Decoder) sessionStatistics(m Message, scale int64, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshSessionStatistics51MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := range group.n {
		b := group.at(i)
		e := (*wire.MDIncrementalRefreshSessionStatistics51MDEntries)(b)
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		kind := openKind(statKinds[e.MDEntryType()], e.OpenCloseSettlFlag())
		if kind == 0 {
			return errCode
		}
		px, ok := s.price(e.MDEntryPx(), scale)
		if !ok {
			if err := d.unpriced(s, e.MDEntryPx()); err != nil {
				return err
			}
			continue
		}
		size, sized := wire.MDIncrementalRefreshSessionStatistics51MDEntriesMDEntrySize(b)
		if scale != 1 {
			size, sized = wire.MDIncrementalRefreshSessionStatistics35MDEntriesMDEntrySize(b, m.Version())
		}
		quantity := tick.UndefQuantity
		if sized {
			quantity = int64(size)
		}
		d.stat(out, s, kind, px, quantity, e.MDUpdateAction())
	}
	d.end(indicator)
	return nil
}

// sessionStatisticsLong decodes template 67.
func (d *Decoder) sessionStatisticsLong(m Message, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshSessionStatisticsLongQty67MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := range group.n {
		e := (*wire.MDIncrementalRefreshSessionStatisticsLongQty67MDEntries)(group.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		kind := openKind(statKinds[e.MDEntryType()], e.OpenCloseSettlFlag())
		if kind == 0 {
			return errCode
		}
		quantity, ok := quantity64(e.MDEntrySize())
		if !ok {
			return errSize
		}
		px, ok := s.price(e.MDEntryPx(), 1)
		if !ok {
			if err := d.unpriced(s, e.MDEntryPx()); err != nil {
				return err
			}
			continue
		}
		d.stat(out, s, kind, px, quantity, e.MDUpdateAction())
	}
	d.end(indicator)
	return nil
}

// quantity64 is a size that may be null. What does not fit is no quantity.
func quantity64(size uint64) (q int64, ok bool) {
	if size == math.MaxUint64 {
		return tick.UndefQuantity, true
	}
	return int64(size), size < math.MaxInt64
}
