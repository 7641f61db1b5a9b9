package iex

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// Messages that come seldom.

func (d *Decoder) cold(m []byte, i int, out *tick.Batch) bool {
	le := binary.LittleEndian
	switch m[0] {
	case 'D':
		return d.directory((*[31]byte)(m), i, out)
	case 'H':
		now := d.symbols.state(out.Instrument[i])
		now.code, now.reason = m[1], [4]byte(m[18:22])
		now.say(status(i, out))
	case 'O':
		now := d.symbols.state(out.Instrument[i])
		was := now.halted
		now.halted = m[1] == 'O'
		if !now.halted && !was { // that IEX does not halt it does not say that it trades: H does
			ext(i, out, tick.ExtRaw, uint64(m[0]), uint64(m[1]))
			return true
		}
		now.say(status(i, out))
	case 'P':
		s := status(i, out)
		s.Action = tick.StatusSSRChange
		switch m[1] {
		case 0:
			s.IsShortSellRestricted = 'N'
		case 1:
			s.IsShortSellRestricted = 'Y'
		}
	case 'I':
		ext(i, out, tick.ExtRetail, uint64(m[1]), 0)
	case 'E':
		ext(i, out, tick.ExtRaw, uint64(m[0]), uint64(m[1]))
	case 'X':
		var price int64
		if !d.price(le.Uint64(m[18:]), &price) {
			return false
		}
		kind := tick.StatOpeningPrice
		if m[1] == 'M' {
			kind = tick.StatClosePrice
		}
		out.Statistics[out.Sides.Statistics] = tick.Statistics{
			Header: header(i, out, 20, tick.RTypeStatistics), TsRef: tick.UndefTime, Price: price, Quantity: tick.UndefQuantity,
			Sequence: uint32(out.Sequence[i]), StatType: kind, ChannelID: math.MaxUint16, UpdateAction: 1,
		}
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics, 1)
		out.Sides.Statistics++
	case 'A':
		return d.auction((*[80]byte)(m), i, out)
	}
	return true
}

func header(i int, out *tick.Batch, length, rtype uint8) tick.Header {
	return tick.Header{Length: length, RType: rtype, InstrumentID: out.Instrument[i], TsEvent: out.TsEvent[i]}
}

func status(i int, out *tick.Batch) *tick.Status {
	k := out.Sides.Statuses
	s := &out.Statuses[k]
	*s = tick.Status{Header: header(i, out, 10, tick.RTypeStatus), IsTrading: '~', IsQuoting: '~', IsShortSellRestricted: '~'}
	out.Sides.Statuses++
	out.Kind[i], out.Aux[i] = tick.KindStatus, tick.SideRows(k, 1)
	return s
}

func ext(i int, out *tick.Batch, kind uint8, a, b uint64) {
	k := out.Sides.Exts
	out.Exts[k] = tick.Ext{Header: header(i, out, 14, tick.RTypeExt), Kind: kind, Seq32: uint32(out.Sequence[i]), A: a, B: b}
	out.Sides.Exts++
	out.Kind[i], out.Aux[i] = tick.KindExt, tick.SideRows(k, 1)
}

// definition is all that a symbol alone says of an instrument.
func definition(i int, out *tick.Batch, symbol []byte) *tick.Definition {
	k := out.Sides.Definitions
	d := &out.Definitions[k]
	*d = tick.UndefDefinition
	d.Header = header(i, out, 130, tick.RTypeDefinition)
	d.RawInstrumentID = uint64(out.Instrument[i])
	d.DisplayFactor = tick.PriceScale
	copy(d.RawSymbol[:], bytes.TrimRight(symbol, " "))
	copy(d.Currency[:], "USD")
	copy(d.Exchange[:], "IEXG")
	d.InstrumentClass, d.MatchAlgorithm = 'K', 'F'
	out.Sides.Definitions++
	out.Kind[i], out.Aux[i] = tick.KindDefinition, tick.SideRows(k, 1)
	return d
}

// directory is a security that IEX lists itself.
func (d *Decoder) directory(p *[31]byte, i int, out *tick.Batch) bool {
	def := definition(i, out, p[10:18])
	def.MinLotSizeRoundLot = int32(min(binary.LittleEndian.Uint32(p[18:]), math.MaxInt32))
	if p[1]&0x80 != 0 {
		copy(def.SecurityType[:], "TEST")
	}
	return true
}

// auction is TOPS's auction information.
func (d *Decoder) auction(p *[80]byte, i int, out *tick.Batch) bool {
	le := binary.LittleEndian
	var prices [6]int64 // reference, indicative, book, collar's reference, lower, upper
	for k, at := range [...]int{22, 30, 48, 56, 64, 72} {
		if !d.price(le.Uint64(p[at:]), &prices[k]) {
			return false
		}
		if prices[k] == 0 {
			prices[k] = tick.UndefPrice
		}
	}
	paired, imbalance := le.Uint32(p[18:]), le.Uint32(p[38:])
	side := tick.SideNone
	switch p[42] {
	case 'B':
		side = tick.SideBid
	case 'S':
		side = tick.SideAsk
	}
	k := out.Sides.Imbalances
	out.Imbalances[k] = tick.Imbalance{
		Header: header(i, out, 28, tick.RTypeImbalance), RefPrice: prices[0], AuctionTime: uint64(le.Uint32(p[44:])) * 1_000_000_000,
		ContBookClrPrice: prices[2], AuctInterestClrPrice: tick.UndefPrice, SsrFillingPrice: tick.UndefPrice, IndMatchPrice: prices[1],
		LowerCollar: prices[4], UpperCollar: prices[5], PairedQty: tick.Size32(uint64(paired)), TotalImbalanceQty: tick.Size32(uint64(imbalance)),
		MarketImbalanceQty: tick.UndefSize, UnpairedQty: tick.UndefSize, AuctionType: p[1], Side: side, NumExtensions: p[43], UnpairedSide: tick.SideNone, SignificantImbalance: '~',
	}
	out.Sides.Imbalances++
	out.Kind[i], out.Aux[i] = tick.KindImbalance, tick.SideRows(k, 1)
	out.Size[i], out.OrderID[i] = uint64(paired), uint64(imbalance)
	return true
}

// state is what is known of trading in a symbol: by the last H, and whether IEX alone halts it, which O begins and ends. No H comes at the end of that:
// the one before it holds again.
type state struct {
	code   byte // 0: none came
	reason [4]byte
	halted bool
}

// say makes a status of both. IEX's own halt counts as long as the other markets' state would let the symbol trade or be quoted.
func (now *state) say(s *tick.Status) {
	s.Action, s.IsTrading, s.IsQuoting = tradingState(now.code)
	s.Reason = reasonOf(now.reason)
	if now.halted && s.Action != tick.StatusHalt {
		s.Action, s.IsTrading, s.IsQuoting, s.Reason = tick.StatusHalt, 'N', 'N', tick.ReasonOperational
	}
}

func tradingState(code byte) (action uint16, trading, quoting byte) {
	switch code {
	case 'T':
		return tick.StatusTrading, 'Y', 'Y'
	case 'H':
		return tick.StatusHalt, 'N', 'N'
	case 'P':
		return tick.StatusPause, 'N', 'Y' // orders are accepted
	case 'O':
		return tick.StatusPreOpen, 'N', 'Y'
	}
	return 0, '~', '~'
}

// systemCode maps the day's phases to those of a system row.
func systemCode(code byte) byte {
	if code == 'R' {
		return tick.SystemMarketOpen
	}
	return code // O, S, M, E and C are the same
}

func reasonOf(code [4]byte) uint16 {
	switch string(bytes.TrimRight(code[:], " ")) {
	case "T1":
		return tick.ReasonNewsPending
	case "T2":
		return tick.ReasonNewsReleased
	case "IPO1", "IPO2", "IPO3":
		return tick.ReasonNewIssue
	case "IPOD":
		return tick.ReasonNewOffering
	case "MCB1":
		return tick.ReasonMarketWideLevel1
	case "MCB2":
		return tick.ReasonMarketWideLevel2
	case "MCB3":
		return tick.ReasonMarketWideLevel3
	}
	return tick.ReasonNone
}
