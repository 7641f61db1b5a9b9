package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// Trading states: message 34, and message 33 of before it (sheet sections 8, 12.4 and 12.5).
//
//	status   action                      trading quoting    status   action                 trading quoting
//	4        halt                        N       N          P B      pre-open               N       ~
//	3        halt (opening delay, 2.1)   N       N          E O L    trading, or halt when  Y       Y
//	5        trading                     Y       Y                   halt_condition says so N       N
//	6        suspend; 2.1: not available N       N          X        close; the book is     N       N
//	I G T R  new price indication        ~       ~                   empty from here on
//	A C D    SSR change                  ~       ~          other    none                   ~       ~

// Actions and events of DBN that no other parser has (section 4.10).
const (
	actionIndication   uint16 = 6
	eventSessionChange uint16 = 2
)

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

// securityStatus is message 34: a status, what it says in numbers as an ext, and an empty book when the symbol closes.
func (d *Decoder) securityStatus(m []byte, sym *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	code, condition := m[20], m[21]
	s := status(i, out)
	d.state(code, condition, s)
	if len(m) > 43 && restricted(m[43]) != '~' {
		s.IsShortSellRestricted = restricted(m[43])
	}
	if len(m) >= 34 && (le.Uint32(m[26:]) != 0 || le.Uint32(m[30:]) != 0) {
		low, high := priceOrNone(le.Uint32(m[26:]), sym.scale), priceOrNone(le.Uint32(m[30:]), sym.scale)
		ext(also(i, out), out, tick.ExtRaw, uint64(TypeSecurityStatus)|uint64(code)<<8, uint64(low), uint64(high))
	}
	if code == 'X' {
		sym.state &^= suspect
		i = more(i, out)
		out.Kind[i], out.Sub[i] = tick.KindClear, tick.ClearBoth
	}
}

func (d *Decoder) state(code, condition byte, s *tick.Status) {
	s.Reason = reasonOf(condition)
	switch code {
	case '4', '3':
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusHalt, 'N', 'N'
	case '5':
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusTrading, 'Y', 'Y'
	case '6':
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusSuspend, 'N', 'N'
		if d.version == V21 {
			s.Action = tick.StatusNotAvail
		}
	case 'A', 'C':
		s.Action, s.IsShortSellRestricted = tick.StatusSSRChange, 'Y'
	case 'D':
		s.Action, s.IsShortSellRestricted = tick.StatusSSRChange, 'N'
	case 'I', 'G', 'T', 'R':
		s.Action = actionIndication
	case 'P':
		s.Action, s.IsTrading, s.TradingEvent = tick.StatusPreOpen, 'N', eventSessionChange
	case 'B':
		s.Action, s.IsTrading = tick.StatusPreOpen, 'N'
	case 'E', 'O', 'L':
		s.Action, s.IsTrading, s.IsQuoting, s.TradingEvent = tick.StatusTrading, 'Y', 'Y', eventSessionChange
		if halted(condition) {
			s.Action, s.IsTrading, s.IsQuoting = tick.StatusHalt, 'N', 'N'
		}
	case 'X':
		s.Action, s.IsTrading, s.IsQuoting, s.TradingEvent = tick.StatusClose, 'N', 'N', eventSessionChange
	}
}

// session is message 33: a mask of the sessions that the symbol trades in from here on.
func session(mask byte, s *tick.Status) {
	s.TradingEvent = eventSessionChange
	if mask&7 != 0 {
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusTrading, 'Y', 'Y'
	} else {
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusClose, 'N', 'N'
	}
}

// halted says that a halt_condition is one. A session change does not end a halt.
func halted(condition byte) bool { return condition != '~' && condition != ' ' && condition != 0 }

// restricted is ssr_state as a record has it.
func restricted(code byte) byte {
	switch code {
	case '~':
		return 'N'
	case 'E':
		return 'Y'
	}
	return '~'
}

// Reasons of DBN that no other parser has.
const (
	reasonImbalance uint16 = 40
	reasonMerger    uint16 = 80
)

// reasonOf maps a halt_condition to DBN's reasons. A code without a counterpart (6, S, Z) is no reason.
func reasonOf(condition byte) uint16 {
	switch condition {
	case 'D':
		return tick.ReasonNewsReleased
	case 'I':
		return reasonImbalance
	case 'P':
		return tick.ReasonNewsPending
	case 'M':
		return tick.ReasonLULDPause
	case 'X':
		return tick.ReasonOperational
	case '1', '2', '3':
		return tick.ReasonMarketWideLevel1 + uint16(condition-'1')
	case 'A':
		return tick.ReasonInformationRequested
	case 'C':
		return tick.ReasonRegulatory
	case 'E':
		return reasonMerger
	case 'F':
		return tick.ReasonETF
	case 'N':
		return tick.ReasonCorporateAction
	case 'O':
		return tick.ReasonNewOffering
	case 'V':
		return tick.ReasonQuotationNotAvail
	}
	return tick.ReasonNone
}
