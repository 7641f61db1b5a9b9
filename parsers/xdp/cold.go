package xdp

import (
	"encoding/binary"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// Messages that come seldom.

// special fills in row i of a message with a short time stamp that has no plan.
func (d *Decoder) special(m []byte, typ uint16, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	switch typ {
	case TypeQuote:
		quote(m, i, s, out)
	case TypeCrossTrade:
		out.Kind[i], out.Sub[i] = tick.KindCross, crossType(m[28])
		out.Aux[i] = uint64(le.Uint32(m[16:]))
		out.Price[i] = int64(le.Uint32(m[20:])) * s.scale
		out.Size[i] = uint64(le.Uint32(m[24:]))
	case TypeTradeCancel:
		out.Kind[i], out.Aux[i] = tick.KindBreak, uint64(le.Uint32(m[16:]))
	case TypeCrossCorrection:
		ext(i, out, tick.ExtRaw, uint64(typ), uint64(le.Uint32(m[16:])), uint64(le.Uint32(m[20:])))
	case TypeRetailPriceImprovement:
		s.rpi = blank(m[16])
		ext(i, out, tick.ExtRetail, uint64(s.rpi), 0, 0)
	}
}

// quote is both best prices, and retail interest as a row of its own where it is another than before.
func quote(m []byte, i int, s *symbol, out *tick.Batch) {
	le := binary.LittleEndian
	out.Kind[i], out.Flags[i], out.Aux[i] = tick.KindQuote, tick.FlagTOB, 0
	out.OldPrice[i], out.OldSize[i] = best(le.Uint32(m[16:]), le.Uint32(m[20:]), s.scale)
	out.Price[i], out.Size[i] = best(le.Uint32(m[24:]), le.Uint32(m[28:]), s.scale)
	if len(m) <= 33 || blank(m[33]) == s.rpi {
		return
	}
	s.rpi = blank(m[33])
	ext(also(i, out), out, tick.ExtRetail, uint64(s.rpi), 0, 0)
}

// crossType is Sub of KindCross: O and C make the opening and the closing price (package pipeline), any other code is one more auction.
func crossType(code byte) byte {
	switch code {
	case '6':
		return 'C'
	case 'C': // no code of this venue's
		return 0
	}
	return code
}

// cold has everything that Append does not decode itself: messages with a complete time stamp, those of no symbol, and those to refuse.
func (d *Decoder) cold(m []byte, typ uint16, sequence uint64, out *tick.Batch) {
	if typ > 255 {
		d.c.Unknown++
		return
	}
	d.c.ByType[typ]++
	switch need := int(d.need[typ]); {
	case need == 0:
		d.c.Unknown++
		return
	case len(m) < need:
		d.c.Short++
		return
	}
	le := binary.LittleEndian
	switch typ {
	case TypeSequenceNumberReset:
		d.reset(ProductOf(m[12]))
	case TypeSourceTimeReference:
		d.reference(le.Uint32(m[4:]), le.Uint32(m[12:]))
	case TypeSymbolIndexMapping:
		d.mapping(m, sequence, out)
	default:
		if complete[typ] == control {
			d.c.NoRow++
			return
		}
		index := le.Uint32(m[12:])
		s := d.symbol(index)
		if s.scale == 0 {
			d.remember(index)
			return
		}
		if complete[typ] == numbered {
			d.c.NoRow++
			d.track(s, index, le.Uint32(m[16:]))
			return
		}
		d.complete(m, typ, s, row(index, sequence, d.stamp(m), out), out)
	}
}

// What becomes of types with a complete time stamp and a symbol.
const (
	control  = iota // none of these
	numbered        // has its number among the symbol's, and makes no row
	made            // makes rows
)

var complete = [256]uint8{
	TypeSymbolClear: made, TypeTradingSessionChange: made, TypeSecurityStatus: made, TypeImbalance: made, TypeAddOrderRefresh: made,
	TypeTrade: made, TypeTradesCancel: made, TypeTradesCorrection: made, TypeStockSummary: made,
	TypeTRFTrade: made, TypeTRFCancel: made, TypeTRFCorrection: made,
	TypeTRFFractional: numbered, TypeTRFFractionalCorrect: numbered, TypeTRFFractionalPrior: numbered, TypeTRFFractionalPriorVoid: numbered,
	TypeTRFPrior: numbered, TypeTRFPriorVoid: numbered,
}

// row begins a row; the caller gives it a kind.
func row(index uint32, sequence, ts uint64, out *tick.Batch) int {
	i := out.N
	out.TsEvent[i], out.Instrument[i], out.Sequence[i] = ts, index, sequence
	out.Sub[i], out.Side[i], out.OrderID[i], out.Flags[i], out.Aux[i] = 0, tick.SideNone, 0, 0, 0
	out.N++
	return i
}

// also begins another row of row i's message, whose records are in other rings than row i's: both end their event there.
func also(i int, out *tick.Batch) int {
	return row(out.Instrument[i], out.Sequence[i], out.TsEvent[i], out)
}

// more begins another row of row i's event, which ends it.
func more(i int, out *tick.Batch) int {
	out.Flags[i] |= tick.FlagMore
	return also(i, out)
}

// complete fills in row i, and makes what others the message needs.
func (d *Decoder) complete(m []byte, typ uint16, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	number := le.Uint32(m[16:])
	switch typ {
	case TypeSymbolClear:
		out.Kind[i], out.Sub[i] = tick.KindClear, tick.ClearBoth
		s.next, s.rpi = number, ' '
		s.state &^= suspect
		return
	case TypeStockSummary:
		d.summary(m, s, i, out)
		return
	case TypeAddOrderRefresh: // states an order again: its number moves the sequence on, and accuses nobody
		if !d.refreshing {
			s.next = max(s.next, number+1)
		}
		out.Kind[i], out.Flags[i] = tick.KindAdd, tick.FlagSnapshot
		out.OrderID[i] = le.Uint64(m[20:])
		out.Price[i] = int64(le.Uint32(m[28:])) * s.scale
		out.Size[i] = uint64(le.Uint32(m[32:]))
		out.Side[i], out.Aux[i] = sides[m[36]], firm(m, 37)
		return
	}
	if !d.refreshing {
		d.track(s, out.Instrument[i], number)
	}
	switch typ {
	case TypeTradingSessionChange:
		session(m[20], status(i, out))
	case TypeSecurityStatus:
		d.securityStatus(m, s, i, out)
	case TypeImbalance:
		d.imbalance(m, s, i, out)
	case TypeTrade, TypeTRFTrade:
		d.trade(m, s, i, out)
	case TypeTradesCancel, TypeTRFCancel:
		out.Kind[i], out.Aux[i] = tick.KindBreak, uint64(le.Uint32(m[20:]))
	case TypeTradesCorrection, TypeTRFCorrection:
		if !official(m, 39) { // else nobody was told of a trade
			out.Kind[i], out.Aux[i] = tick.KindBreak, uint64(le.Uint32(m[20:]))
			i = more(i, out)
		}
		d.trade(m[4:], s, i, out) // what follows the number of the old one is as in message 220
	}
}

func header(i int, out *tick.Batch, length, rtype uint8) tick.Header {
	return tick.Header{Length: length, RType: rtype, InstrumentID: out.Instrument[i], TsEvent: out.TsEvent[i]}
}

func ext(i int, out *tick.Batch, kind uint8, a, b, c uint64) {
	k := out.Sides.Exts
	out.Exts[k] = tick.Ext{
		Header: header(i, out, 14, tick.RTypeExt), Kind: kind, Seq32: uint32(out.Sequence[i]), A: a, B: b, C: c,
	}
	out.Sides.Exts++
	out.Kind[i], out.Aux[i] = tick.KindExt, tick.SideRows(k, 1)
}

func statistics(i int, out *tick.Batch, kind uint16, price, quantity int64) {
	out.Statistics[out.Sides.Statistics] = tick.Statistics{
		Header: header(i, out, 20, tick.RTypeStatistics), TsRef: tick.UndefTime, Price: price, Quantity: quantity,
		Sequence: uint32(out.Sequence[i]), StatType: kind, ChannelID: math.MaxUint16, UpdateAction: 1,
	}
	out.Sides.Statistics++
}
