package fix

import (
	"math"
	"strings"

	"github.com/tickwire/tickwire/tick"
)

// tell makes the first row of an instrument, which says what it is called. Hot path once it is told.
func (d *Decoder) tell(out *tick.Batch, x *instrument, ts uint64) {
	if !x.told {
		d.definition(out, x, ts, &Security{Multiplier: tick.UndefPrice, StrikePrice: tick.UndefPrice, MinPriceIncrement: tick.UndefPrice,
			RoundLot: -1, MinTradeVol: -1, MaxTradeVol: -1})
	}
}

// definitions makes the rows of a y or a d, or of a report that says what has become of them.
func (d *Decoder) definitions(out *tick.Batch) (fits bool, err error) {
	if err = d.list.Decode(&d.m); err != nil {
		return true, err
	}
	ts, ok := timeOf(&d.m)
	if !ok {
		return true, ErrTime
	}
	d.md.Instruments = d.md.Instruments[:0]
	for i := range d.list.Securities {
		d.md.Instruments = append(d.md.Instruments, d.list.Securities[i].Instrument)
	}
	if err = d.resolve(d.md.Instruments); err != nil {
		return true, err
	}
	for ; d.done < len(d.found); d.done++ {
		if !hasRoom(out) {
			return false, nil
		}
		s := &d.list.Securities[d.done]
		if s.Action == 0 {
			s.Action = d.list.Action
		}
		d.definition(out, &d.in.all[d.found[d.done]], ts, s)
	}
	return true, nil
}

// definition makes a Definition row, as far as what FIX says has a place there (DBN section 4.11).
func (d *Decoder) definition(out *tick.Batch, x *instrument, ts uint64, s *Security) {
	k := out.Sides.Definitions
	out.Sides.Definitions++
	t := &out.Definitions[k]
	*t = tick.UndefDefinition
	t.InstrumentID, t.TsEvent, t.RawInstrumentID = x.id, ts, uint64(x.id)
	t.SecurityUpdateAction = 'A'
	switch {
	case s.Action == 'D':
		t.SecurityUpdateAction = 'D'
	case x.told:
		t.SecurityUpdateAction = 'M'
	}
	x.told = s.Action != 'D' // should it be spoken of again, it is told anew
	copy(t.RawSymbol[:len(t.RawSymbol)-1], x.symbol)
	copy(t.Exchange[:len(t.Exchange)-1], s.Exchange)
	copy(t.Currency[:len(t.Currency)-1], s.Currency)
	copy(t.SecurityType[:len(t.SecurityType)-1], s.Type)
	copy(t.Cfi[:len(t.Cfi)-1], s.CFI)
	t.StrikePrice, t.MinPriceIncrement, t.DisplayFactor = s.StrikePrice, s.MinPriceIncrement, tick.PriceScale
	if s.StrikePrice != tick.UndefPrice {
		copy(t.StrikePriceCurrency[:len(t.StrikePriceCurrency)-1], s.Currency)
	}
	t.UnitOfMeasureQty = s.Multiplier
	if s.RoundLot >= 0 {
		t.MinLotSizeRoundLot = int32(min(s.RoundLot, math.MaxInt32))
	}
	if s.MinTradeVol >= 0 {
		t.MinTradeVol = tick.Size32(uint64(s.MinTradeVol))
	}
	if s.MaxTradeVol >= 0 {
		t.MaxTradeVol = tick.Size32(uint64(s.MaxTradeVol))
	}
	maturity(t, s)
	t.InstrumentClass = classOf(s)
	i := d.row(out, x, ts, tick.KindDefinition, false)
	out.Aux[i] = tick.SideRows(k, 1)
}

// maturity fills in when an instrument ends: a day, or a month.
func maturity(t *tick.Definition, s *Security) {
	month := s.MaturityMonth
	if _, ok := Date(s.MaturityDate); ok {
		month = s.MaturityDate
	}
	if !isMonthYear(month) {
		return
	}
	year, _ := Uint(month[:4])
	m, _ := Uint(month[4:6])
	t.MaturityYear, t.MaturityMonth = uint16(year), uint8(m)
	day := s.MaturityDay
	switch {
	case len(month) == 8 && month[6] == 'w':
		t.MaturityWeek = month[7] - '0'
		return
	case len(month) == 8:
		day = month[6:]
	}
	if v, ok := Uint(day); ok && v >= 1 && v <= 31 {
		t.MaturityDay = uint8(v)
		var text [8]byte
		copy(text[:], month[:6])
		text[6], text[7] = byte('0'+v/10), byte('0'+v%10)
		if ns, ok := Date(text[:]); ok {
			t.Expiration = ns
		}
	}
}

// classOf is DBN's class by SecurityType, or by the first letters of CFICode.
func classOf(s *Security) byte {
	put := char(s.PutOrCall)
	switch typ := string(s.Type); {
	case typ == "FUT", strings.HasPrefix(string(s.CFI), "F"):
		return 'F'
	case typ == "OPT", typ == "OOF", strings.HasPrefix(string(s.CFI), "O"):
		if put == '0' || strings.HasPrefix(string(s.CFI), "OP") {
			return 'P'
		}
		if put == '1' || strings.HasPrefix(string(s.CFI), "OC") {
			return 'C'
		}
	case typ == "CS", typ == "PS", strings.HasPrefix(string(s.CFI), "E"):
		return 'K'
	case typ == "FOR", typ == "FXSPOT":
		return 'X'
	case strings.HasPrefix(string(s.CFI), "D"):
		return 'B'
	}
	return ' '
}

// tradingStatus makes the row of an f.
func (d *Decoder) tradingStatus(out *tick.Batch) (fits bool, err error) {
	s := &d.status
	if err = s.Decode(&d.m); err != nil {
		return true, err
	}
	d.md.Instruments = append(d.md.Instruments[:0], s.Instrument)
	if err = d.resolve(d.md.Instruments); err != nil {
		return true, err
	}
	if now, _ := d.fits(out, 1, 1); !now {
		return false, nil
	}
	x := &d.in.all[d.found[0]]
	d.tell(out, x, s.Time)
	k := out.Sides.Statuses
	out.Sides.Statuses++
	t := tick.Status{Header: tick.Header{Length: 10, RType: tick.RTypeStatus, InstrumentID: x.id, TsEvent: s.Time}, IsTrading: '~', IsQuoting: '~',
		IsShortSellRestricted: '~', Reason: haltReason(s.Halt)}
	t.Action, t.IsTrading, t.IsQuoting = tradingState(s.Status)
	if s.Status == 7 || s.Status == 8 { // market imbalance
		t.Reason = reasonImbalance
	}
	out.Statuses[k] = t
	i := d.row(out, x, s.Time, tick.KindStatus, false)
	out.Aux[i] = tick.SideRows(k, 1)
	return true, nil
}

// Status actions and reasons of DBN section 4.10 beyond those of package tick.
const (
	statusPreCross        uint16 = 2
	statusRotation        uint16 = 5
	statusPriceIndication uint16 = 6
	reasonImbalance       uint16 = 40
)

// tradingState maps SecurityTradingStatus (326). What is not a state, such as a dissemination time, changes none.
func tradingState(status uint32) (action uint16, trading, quoting byte) {
	switch status {
	case 1: // opening delay
		return tick.StatusPause, 'N', '~'
	case 2, 4: // halt; no open, no resume
		return tick.StatusHalt, 'N', 'N'
	case 3, 17, 23: // resume, ready to trade, fast market
		return tick.StatusTrading, 'Y', 'Y'
	case 5, 6, 14, 15: // indications
		return statusPriceIndication, '~', '~'
	case 18, 19: // not available, not traded here
		return tick.StatusNotAvail, 'N', 'N'
	case 21:
		return tick.StatusPreOpen, 'N', '~'
	case 22:
		return statusRotation, '~', '~'
	case 24:
		return statusPreCross, '~', '~'
	case 25:
		return tick.StatusCross, '~', '~'
	case 26:
		return tick.StatusPostClose, 'N', '~'
	}
	return 0, '~', '~'
}

// haltReason maps HaltReason (327): letters until 4.4, numbers of the same order from 5.0 on.
func haltReason(code []byte) uint16 {
	switch string(code) {
	case "D", "0":
		return tick.ReasonNewsReleased
	case "E", "1": // order influx
		return tick.ReasonMarketEvent
	case "I", "2":
		return reasonImbalance
	case "M", "3":
		return tick.ReasonInformationRequested
	case "P", "4":
		return tick.ReasonNewsPending
	case "X", "5": // equipment changeover
		return tick.ReasonOperational
	}
	return tick.ReasonNone
}
