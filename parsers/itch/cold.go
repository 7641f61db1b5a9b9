package itch

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// Messages that come seldom. cold has a message of a known type and of at least its length; header columns are filled.
func cold(m []byte, i int, out *tick.Batch) {
	be := binary.BigEndian
	switch m[0] {
	case 'I':
		imbalance((*[50]byte)(m), i, out)
	case 'L':
		p := (*[26]byte)(m)
		ext(i, out, tick.ExtParticipant, ascii(p[11:15]), ascii(p[23:26]), 0)
	case 'Q':
		p := (*[40]byte)(m)
		out.Kind[i], out.OrderID[i], out.Side[i] = tick.KindCross, 0, tick.SideNone
		out.Size[i] = be.Uint64(p[11:])
		out.Price[i] = int64(be.Uint32(p[27:])) * priceE4ToE9
		out.Aux[i] = be.Uint64(p[31:])
		out.Sub[i] = p[39]
	case 'B':
		p := (*[19]byte)(m)
		out.Kind[i], out.Aux[i] = tick.KindBreak, be.Uint64(p[11:])
	case 'S':
		p := (*[12]byte)(m)
		out.Kind[i], out.Sub[i], out.Aux[i] = tick.KindSystem, p[11], 0
	case 'R':
		definition((*[39]byte)(m), i, out)
	case 'H':
		p := (*[25]byte)(m)
		s := status(i, out)
		s.Action, s.IsTrading, s.IsQuoting = tradingState(p[19])
		s.Reason = reasonOf([4]byte(p[21:25]))
	case 'Y':
		p := (*[20]byte)(m)
		s := status(i, out)
		s.Action = tick.StatusSSRChange
		switch p[19] {
		case '0':
			s.IsShortSellRestricted = 'N'
		case '1', '2':
			s.IsShortSellRestricted = 'Y'
		}
	case 'h':
		operational((*[21]byte)(m), i, out)
	case 'W':
		p := (*[12]byte)(m)
		s := status(i, out)
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusHalt, 'N', 'N'
		if level := p[11] - '1'; level < 3 {
			s.Reason = tick.ReasonMarketWideLevel1 + uint16(level)
		} else {
			s.Reason = tick.ReasonMarketEvent
		}
	case 'J':
		p := (*[35]byte)(m)
		extension := int64(be.Uint32(p[31:]))
		statistics(i, out, tick.StatCollarReference, int64(be.Uint32(p[19:]))*priceE4ToE9, extension)
		statistics(i, out, tick.StatCollarUpper, int64(be.Uint32(p[23:]))*priceE4ToE9, extension)
		statistics(i, out, tick.StatCollarLower, int64(be.Uint32(p[27:]))*priceE4ToE9, extension)
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-3, 3)
	case 'V':
		p := (*[35]byte)(m)
		statistics(i, out, tick.StatBreakerLevel1, price8(be.Uint64(p[11:])), tick.UndefQuantity)
		statistics(i, out, tick.StatBreakerLevel2, price8(be.Uint64(p[19:])), tick.UndefQuantity)
		statistics(i, out, tick.StatBreakerLevel3, price8(be.Uint64(p[27:])), tick.UndefQuantity)
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-3, 3)
	case 'K':
		p := (*[28]byte)(m)
		ext(i, out, tick.ExtIPOQuoting, uint64(be.Uint32(p[19:])), uint64(p[23]), uint64(be.Uint32(p[24:]))*priceE4ToE9)
	case 'N':
		ext(i, out, tick.ExtRetail, uint64((*[20]byte)(m)[19]), 0, 0)
	case 'O':
		p := (*[48]byte)(m)
		e4 := func(at int) uint64 { return uint64(be.Uint32(p[at:])) * priceE4ToE9 }
		ext(i, out, tick.ExtDirectListing, uint64(p[19]), e4(20), e4(24))
		ext(i, out, tick.ExtDirectListing, 1<<8|uint64(p[19]), e4(28), be.Uint64(p[32:]))
		ext(i, out, tick.ExtDirectListing, 2<<8|uint64(p[19]), e4(40), e4(44))
		out.Aux[i] = tick.SideRows(out.Sides.Exts-3, 3)
	}
}

func header(i int, out *tick.Batch, length, rtype uint8) tick.Header {
	return tick.Header{Length: length, RType: rtype, InstrumentID: out.Instrument[i], TsEvent: out.TsEvent[i]}
}

// ascii packs up to eight characters, the first one lowest.
func ascii(b []byte) (v uint64) {
	for k := len(b) - 1; k >= 0; k-- {
		v = v<<8 | uint64(b[k])
	}
	return v
}

// price8 turns 1e-8 into 1e-9; what does not fit is no price.
func price8(v uint64) int64 {
	if v > math.MaxInt64/10 {
		return tick.UndefPrice
	}
	return int64(v) * 10
}

func ext(i int, out *tick.Batch, kind uint8, a, b, c uint64) {
	k := out.Sides.Exts
	out.Exts[k] = tick.Ext{
		Header: header(i, out, 14, tick.RTypeExt), Kind: kind, Seq32: uint32(out.Sequence[i]), A: a, B: b, C: c,
	}
	out.Sides.Exts++
	out.Kind[i], out.Aux[i] = tick.KindExt, tick.SideRows(k, 1)
}

func status(i int, out *tick.Batch) *tick.Status {
	k := out.Sides.Statuses
	s := &out.Statuses[k]
	*s = tick.Status{
		Header: header(i, out, 10, tick.RTypeStatus), IsTrading: '~', IsQuoting: '~', IsShortSellRestricted: '~',
	}
	out.Sides.Statuses++
	out.Kind[i], out.Aux[i] = tick.KindStatus, tick.SideRows(k, 1)
	return s
}

func tradingState(code byte) (action uint16, trading, quoting byte) {
	switch code {
	case 'T':
		return tick.StatusTrading, 'Y', 'Y'
	case 'Q':
		return tick.StatusQuoting, 'N', 'Y'
	case 'H':
		return tick.StatusHalt, 'N', 'N'
	case 'P':
		return tick.StatusPause, 'N', 'N'
	}
	return 0, '~', '~'
}

// operational is a halt on one of the operator's markets. Only the one on this market is a state of this feed.
func operational(p *[21]byte, i int, out *tick.Batch) {
	if p[19] != 'Q' {
		ext(i, out, tick.ExtRaw, uint64(p[0]), uint64(p[19])|uint64(p[20])<<8, 0)
		return
	}
	s := status(i, out)
	s.Reason = tick.ReasonOperational
	switch p[20] {
	case 'H':
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusHalt, 'N', 'N'
	case 'T':
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusTrading, 'Y', 'Y'
	}
}

func statistics(i int, out *tick.Batch, kind uint16, price, quantity int64) {
	out.Statistics[out.Sides.Statistics] = tick.Statistics{
		Header: header(i, out, 20, tick.RTypeStatistics), TsRef: tick.UndefTime, Price: price, Quantity: quantity,
		Sequence: uint32(out.Sequence[i]), StatType: kind, ChannelID: math.MaxUint16, UpdateAction: 1,
	}
	out.Sides.Statistics++
}

// imbalance is the net order imbalance indicator. Far is the clearing price of cross orders only, near that of all.
func imbalance(p *[50]byte, i int, out *tick.Batch) {
	be := binary.BigEndian
	paired, unpaired := be.Uint64(p[11:]), be.Uint64(p[19:])
	k := out.Sides.Imbalances
	out.Imbalances[k] = tick.Imbalance{
		Header:               header(i, out, 28, tick.RTypeImbalance),
		RefPrice:             priceOrNone(be.Uint32(p[44:])),
		AuctionTime:          tick.UndefTime,
		ContBookClrPrice:     priceOrNone(be.Uint32(p[40:])),
		AuctInterestClrPrice: priceOrNone(be.Uint32(p[36:])),
		SsrFillingPrice:      tick.UndefPrice,
		IndMatchPrice:        tick.UndefPrice,
		UpperCollar:          tick.UndefPrice,
		LowerCollar:          tick.UndefPrice,
		PairedQty:            tick.Size32(paired),
		TotalImbalanceQty:    tick.Size32(unpaired),
		MarketImbalanceQty:   tick.UndefSize,
		UnpairedQty:          tick.UndefSize,
		AuctionType:          p[48],
		Side:                 sideOf(p[27]),
		UnpairedSide:         tick.SideNone,
		SignificantImbalance: p[49],
	}
	out.Sides.Imbalances++
	out.Kind[i], out.Aux[i] = tick.KindImbalance, tick.SideRows(k, 1)
	out.Size[i], out.OrderID[i] = paired, unpaired
}

// priceOrNone is a price of which 0 says that there is none.
func priceOrNone(e4 uint32) int64 {
	if e4 == 0 {
		return tick.UndefPrice
	}
	return int64(e4) * priceE4ToE9
}

// definition is a stock directory entry, filled in as public XNAS definitions are (DBN section 4.11); security_type is
// the issue's classification, or TEST for a test security, whose prices are not real.
func definition(p *[39]byte, i int, out *tick.Batch) {
	k := out.Sides.Definitions
	d := &out.Definitions[k]
	*d = tick.UndefDefinition
	d.Header = header(i, out, 130, tick.RTypeDefinition)
	d.RawInstrumentID = uint64(out.Instrument[i])
	d.DisplayFactor = tick.PriceScale
	d.MinLotSizeRoundLot = int32(min(binary.BigEndian.Uint32(p[21:]), math.MaxInt32))
	copy(d.RawSymbol[:], bytes.TrimRight(p[11:19], " "))
	copy(d.Currency[:], "USD")
	copy(d.Exchange[:], "XNAS")
	copy(d.Secsubtype[:], p[27:29])
	d.SecurityType[0] = p[26]
	if p[29] == 'T' {
		copy(d.SecurityType[:], "TEST")
	}
	d.InstrumentClass, d.MatchAlgorithm = 'K', 'F'
	out.Sides.Definitions++
	out.Kind[i], out.Aux[i] = tick.KindDefinition, tick.SideRows(k, 1)
}

// reasonOf maps the venue's reason codes (section 12.5) to DBN's (4.10). A code that is not known is no reason.
func reasonOf(code [4]byte) uint16 {
	switch string(bytes.TrimRight(code[:], " ")) {
	case "T1":
		return tick.ReasonNewsPending
	case "T2":
		return tick.ReasonNewsReleased
	case "T3":
		return tick.ReasonNewsAndResumption
	case "C3":
		return tick.ReasonNewsNotForthcoming
	case "T5", "LUDP", "LUDS":
		return tick.ReasonLULDPause
	case "T6", "H11":
		return tick.ReasonRegulatory
	case "T8":
		return tick.ReasonETF
	case "T12":
		return tick.ReasonInformationRequested
	case "H4":
		return tick.ReasonNonCompliance
	case "H9":
		return tick.ReasonFilingsNotCurrent
	case "H10":
		return tick.ReasonSECSuspension
	case "O1":
		return tick.ReasonOperational
	case "MWC1":
		return tick.ReasonMarketWideLevel1
	case "MWC2":
		return tick.ReasonMarketWideLevel2
	case "MWC3":
		return tick.ReasonMarketWideLevel3
	case "MWC0":
		return tick.ReasonMarketWideCarryOver
	case "MWCQ":
		return tick.ReasonMarketWideResumption
	case "IPO1", "R1":
		return tick.ReasonNewIssue
	case "R2", "IPOQ", "IPOE":
		return tick.ReasonIssueAvailable
	case "R4", "C4", "C9", "C11":
		return tick.ReasonIssuesReviewed
	case "R9":
		return tick.ReasonFilingReqsSatisfied
	case "M1":
		return tick.ReasonCorporateAction
	case "M2":
		return tick.ReasonQuotationNotAvail
	}
	return tick.ReasonNone
}
