package xdp

import (
	"bytes"
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
	case TypeNonDisplayedTrade:
		if m[28] != 1 {
			d.c.NotPrinted++
			out.N--
			return
		}
		out.Kind[i], out.Aux[i] = tick.KindTrade, uint64(le.Uint32(m[16:]))
		out.Price[i] = int64(le.Uint32(m[20:])) * s.scale
		out.Size[i] = uint64(le.Uint32(m[24:]))
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
		if !complete[typ] {
			d.c.NoRow++
			return
		}
		index := le.Uint32(m[12:])
		s := d.symbol(index)
		if s.scale == 0 {
			d.remember(index)
			return
		}
		d.complete(m, typ, s, row(index, sequence, d.stamp(m), out), out)
	}
}

// complete are the types with a complete time stamp and a symbol that become rows.
var complete = [256]bool{
	TypeSymbolClear: true, TypeTradingSessionChange: true, TypeSecurityStatus: true, TypeImbalance: true, TypeAddOrderRefresh: true,
	TypeTrade: true, TypeTradesCancel: true, TypeTradesCorrection: true, TypeStockSummary: true,
	TypeTRFTrade: true, TypeTRFCancel: true, TypeTRFCorrection: true,
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

// stamp is a complete time stamp.
func (d *Decoder) stamp(m []byte) uint64 {
	ns := binary.LittleEndian.Uint32(m[8:])
	if ns >= second {
		d.c.OddTimes++
		ns = second - 1
	}
	return uint64(binary.LittleEndian.Uint32(m[4:]))*second + uint64(ns)
}

// reset begins the channel anew: the seconds of before are void. What stays is the mapping, which holds for the day, and the symbols' own
// sequences: message 32 of each symbol follows.
func (d *Decoder) reset(p Product) {
	d.c.NoRow++
	if d.refreshing {
		return
	}
	d.base, d.last, d.newest, d.lagSec = [256]uint64{}, [256]uint64{}, 0, 0
	switch {
	case d.option != AnyProduct && p != d.option:
		d.c.OtherFeed++
	case d.option == AnyProduct && p != d.product:
		d.become(p)
	}
}

// reference sets the second of one matching engine, and of no other.
func (d *Decoder) reference(id, sec uint32) {
	d.c.NoRow++
	if id > 255 || d.refreshing {
		return // no symbol's, or as old as the snapshot
	}
	if sec == 0 {
		d.c.Contradict++
		return
	}
	ns := uint64(sec) * second
	d.base[id], d.last[id] = ns, ns
	d.newest = max(d.newest, ns)
	if d.sendNs == 0 {
		return
	}
	d.lagSec = int64(d.sendNs/second) - int64(sec)
	if d.lagSec >= -2 && d.lagSec <= 2 {
		d.lagSec = 0
	}
}

// doubt forgets the seconds after a gap of the channel: a message 2 may have been in it.
func (d *Decoder) doubt() {
	d.c.Doubts++
	d.base = [256]uint64{}
}

// mapping enters a symbol and makes its definition. A mapping that contradicts itself unmaps the symbol: its older scale may be wrong now.
func (d *Decoder) mapping(m []byte, sequence uint64, out *tick.Batch) {
	index, code := binary.LittleEndian.Uint32(m[4:]), m[24]
	if index == 0 || code > 9 {
		d.c.Contradict++
		if s := d.symbol(index); s != &d.none {
			s.scale = 0
		}
		return
	}
	s := d.enter(index)
	if s == nil {
		d.remember(index)
		return
	}
	known := s.scale != 0
	s.scale, s.system = scales[code], m[22]
	if !known {
		s.rpi, s.next, s.state = ' ', 0, 0
		if d.missed(index) {
			s.state = suspect
		}
	}
	d.define(m, row(index, sequence, d.now(), out), known, s, out)
}

// scales are 1e-9 in a price unit, by price_scale_code.
var scales = [10]int64{1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10, 1}

// define fills in a definition; fields that the message is too short for stay unset.
func (d *Decoder) define(m []byte, i int, known bool, s *symbol, out *tick.Batch) {
	le := binary.LittleEndian
	def := &out.Definitions[out.Sides.Definitions]
	*def = tick.UndefDefinition
	def.Header = header(i, out, 130, tick.RTypeDefinition)
	def.RawInstrumentID = uint64(out.Instrument[i])
	def.DisplayFactor = tick.PriceScale
	symbol, _, _ := bytes.Cut(m[8:19], []byte{0})
	copy(def.RawSymbol[:], symbol)
	copy(def.Currency[:], "USD")
	copy(def.Exchange[:], markets[le.Uint16(m[20:])])
	def.InstrumentClass, def.MatchAlgorithm = 'K', 'F'
	if le.Uint16(m[20:]) == 1 {
		def.MatchAlgorithm = ' ' // parity, which has no code
	}
	if known {
		def.SecurityUpdateAction = 'M'
	}
	if len(m) > 25 {
		def.SecurityType[0] = blank(m[25])
		if m[25] == 'T' && d.version != V21 {
			copy(def.SecurityType[:], "TEST")
		}
	}
	if len(m) >= 28 {
		def.MinLotSizeRoundLot = int32(le.Uint16(m[26:]))
	}
	if len(m) >= 40 && le.Uint16(m[38:]) != 0 {
		def.MinPriceIncrement = int64(le.Uint16(m[38:])) * mpvToE9
	}
	if len(m) >= 42 {
		def.MinLotSize = int32(le.Uint16(m[40:]))
	}
	out.Kind[i], out.Aux[i] = tick.KindDefinition, tick.SideRows(out.Sides.Definitions, 1)
	out.Sides.Definitions++
}

const mpvToE9 = 100_000 // mpv counts 1/100 cent

// markets are the MICs of market_id (sheet section 12.2).
var markets = map[uint16]string{1: "XNYS", 3: "ARCX", 9: "XASE", 10: "XCIS", 11: "XCHI", 255: "FINY"}

// complete fills in row i, and makes what others the message needs.
func (d *Decoder) complete(m []byte, typ uint16, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	number := le.Uint32(m[16:])
	switch typ {
	case TypeSymbolClear:
		out.Kind[i] = tick.KindClear
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
		d.track(s, number)
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
		out.Kind[i], out.Aux[i] = tick.KindBreak, uint64(le.Uint32(m[20:]))
		i = more(i, out)
		out.Kind[i], out.Aux[i] = tick.KindTrade, uint64(le.Uint32(m[24:]))
		out.Price[i] = int64(le.Uint32(m[28:])) * s.scale
		out.Size[i] = uint64(le.Uint32(m[32:]))
	}
}

// trade is a print. The official opening and closing prices come as trades too, and are none: they are prices only.
func (d *Decoder) trade(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	price, volume := int64(le.Uint32(m[24:]))*s.scale, uint64(le.Uint32(m[28:]))
	if len(m) > 35 && (m[35] == 'M' || m[35] == 'Q') {
		kind := tick.StatClosePrice
		if m[35] == 'Q' {
			kind = tick.StatOpeningPrice
		}
		statistics(i, out, kind, price, int64(volume))
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-1, 1)
		return
	}
	out.Kind[i], out.Aux[i] = tick.KindTrade, uint64(le.Uint32(m[20:]))
	out.Price[i], out.Size[i] = price, volume
}

// summary is the day's figures so far: a row of the prices that there are, and one of the volume.
func (d *Decoder) summary(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	first := out.Sides.Statistics
	for k, kind := range [...]uint16{statHigh, statLow, tick.StatOpeningPrice, tick.StatClosePrice} {
		if p := priceOrNone(le.Uint32(m[16+4*k:]), s.scale); p != tick.UndefPrice {
			statistics(i, out, kind, p, tick.UndefQuantity)
		}
	}
	if n := out.Sides.Statistics - first; n > 0 {
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(first, n)
		i = more(i, out)
	}
	statistics(i, out, statVenueVolume, tick.UndefPrice, int64(le.Uint32(m[32:])))
	out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-1, 1)
}

// Types of statistics (DBN section 4.13) that no other parser has.
const (
	statLow         uint16 = 4
	statHigh        uint16 = 5
	statVenueVolume uint16 = 10001
)

// imbalance is an auction's state. 0 in a price says that there is none.
func (d *Decoder) imbalance(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	price := func(at int) int64 {
		if len(m) < at+4 {
			return tick.UndefPrice
		}
		return priceOrNone(le.Uint32(m[at:]), s.scale)
	}
	b := &out.Imbalances[out.Sides.Imbalances]
	*b = tick.Imbalance{
		Header:               header(i, out, 28, tick.RTypeImbalance),
		RefPrice:             price(20),
		AuctionTime:          d.hhmm(le.Uint16(m[36:])),
		ContBookClrPrice:     price(40),
		AuctInterestClrPrice: price(44),
		SsrFillingPrice:      price(48),
		IndMatchPrice:        price(52),
		UpperCollar:          price(56),
		LowerCollar:          price(60),
		PairedQty:            tick.Size32(uint64(le.Uint32(m[24:]))),
		TotalImbalanceQty:    tick.Size32(uint64(le.Uint32(m[28:]))),
		MarketImbalanceQty:   tick.Size32(uint64(le.Uint32(m[32:]))),
		UnpairedQty:          tick.UndefSize,
		AuctionType:          m[38],
		Side:                 sides[m[39]],
		UnpairedSide:         tick.SideNone,
		SignificantImbalance: '~',
	}
	if len(m) >= 67 {
		b.AuctionStatus, b.FreezeStatus, b.NumExtensions = m[64], m[65], m[66]
	}
	if len(m) >= 72 {
		b.UnpairedQty, b.UnpairedSide = tick.Size32(uint64(le.Uint32(m[67:]))), sides[m[71]]
	}
	if len(m) >= 73 && d.version != V25 {
		b.SignificantImbalance = blank(m[72])
	}
	out.Kind[i], out.Aux[i] = tick.KindImbalance, tick.SideRows(out.Sides.Imbalances, 1)
	out.Size[i], out.OrderID[i] = uint64(le.Uint32(m[24:])), uint64(le.Uint32(m[28:]))
	out.Sides.Imbalances++
}

// hhmm is a time of the venue's day as ns since the Unix epoch.
func (d *Decoder) hhmm(v uint16) uint64 {
	hour, minute := uint64(v/100), uint64(v%100)
	if v == 0 || hour > 23 || minute > 59 || d.midnight == 0 {
		return tick.UndefTime
	}
	return d.midnight + (hour*60+minute)*60*second
}

// priceOrNone is a price of which 0 says that there is none.
func priceOrNone(v uint32, scale int64) int64 {
	if v == 0 {
		return tick.UndefPrice
	}
	return int64(v) * scale
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
