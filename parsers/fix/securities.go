package fix

import "github.com/tickwire/tickwire/tick"

// Security is an instrument's data, of y or d.
type Security struct {
	Instrument
	Type              []byte // 167
	CFI               []byte // 461
	Currency          []byte // 15
	Multiplier        int64  // 231, 1e-9; tick.UndefPrice: not said. So are the next two
	StrikePrice       int64  // 202
	MinPriceIncrement int64  // 969, of 5.0 SP2 also the only 1208
	RoundLot          int64  // 561, whole units; -1: not said. So are the next two
	MinTradeVol       int64  // 562
	MaxTradeVol       int64  // 1140
	Action            byte   // 1324 of BK: 'A', 'D', 'M'; 0: not said
}

// Tags of 5.0 SP2's trading rules.
const (
	tagNoMarketSegments = 1310
	tagNoTickRules      = 1205
	tagTickIncrement    = 1208
)

func securityIn(m *Message, e Entry) (s Security, err error) {
	s = Security{Instrument: instrumentIn(m, e), Type: m.In(e, TagSecurityType), CFI: m.In(e, TagCFICode), Currency: m.In(e, TagCurrency)}
	if s.Symbol == nil && s.SecurityID == nil {
		return s, ErrUnnamed
	}
	rules := e
	if segments := m.EntriesIn(nil, e, tagNoMarketSegments); len(segments) == 1 {
		rules = segments[0]
	}
	increment := m.In(e, TagMinPriceIncr)
	if ticks := m.EntriesIn(nil, rules, tagNoTickRules); increment == nil && len(ticks) == 1 {
		increment = m.In(ticks[0], tagTickIncrement)
	}
	for _, f := range []struct {
		text []byte
		to   *int64
	}{{m.In(e, TagContractMult), &s.Multiplier}, {s.Strike, &s.StrikePrice}, {increment, &s.MinPriceIncrement}} {
		if *f.to = tick.UndefPrice; f.text == nil {
			continue
		}
		if *f.to, err = Price(f.text); err != nil {
			return s, err
		}
	}
	for _, f := range []struct {
		tag uint32
		to  *int64
	}{{TagRoundLot, &s.RoundLot}, {TagMinTradeVol, &s.MinTradeVol}, {TagMaxTradeVol, &s.MaxTradeVol}} {
		text := m.In(e, f.tag)
		if text == nil {
			text = m.In(rules, f.tag)
		}
		*f.to = -1
		if v, err := Size(text, 0); err == nil && v <= 1<<62 { // a fraction has no place in a definition
			*f.to = int64(v)
		}
	}
	return s, nil
}

// SecurityList is a Security List, y, or a Security Definition, d, which has one entry; or a report of 5.0 SP2 that says what has become of them: BK is
// like y, BP like d.
type SecurityList struct {
	MsgType    byte // 'y' or 'd'
	Report     bool // BK or BP
	Action     byte // 980 of those: 'A', 'D', 'M'; 0: not said
	ReqID      []byte
	ResponseID []byte
	Result     byte   // 560 of y, 323 of d; 0: not said
	Total      uint32 // 393: entries of all fragments; 0: not said
	Last       byte   // 893: 'Y', 'N'; 0: not said
	Securities []Security
}

// Decode reads a y or a d. Fragments are the caller's to collect: until Last is 'Y', or Total entries are there.
func (l *SecurityList) Decode(m *Message) (err error) {
	*l = SecurityList{ReqID: m.Get(TagSecurityReqID), ResponseID: m.Get(TagSecurityRespID), Securities: l.Securities[:0]}
	l.Total, _ = small(m.Get(TagTotNoRelatedSym))
	switch string(m.MsgType()) {
	case "BK":
		l.MsgType, l.Report = 'y', true
	case "BP":
		l.MsgType, l.Report = 'd', true
	default:
		l.MsgType = char(m.MsgType())
	}
	if l.Report {
		if l.Action = char(m.Get(TagSecurityUpdate)); !isUpdate(l.Action) {
			return ErrValue
		}
	}
	var s Security
	switch l.MsgType {
	case 'd':
		l.Result = char(m.Get(TagSecurityRespType))
		if s, err = securityIn(m, Entry{0, len(m.Fields)}); err == nil {
			l.Securities = append(l.Securities, s)
		}
		return err
	case 'y':
		l.Result, l.Last = char(m.Get(TagSecRequestResult)), char(m.Get(TagLastFragment))
		for _, e := range m.Entries(nil, TagNoRelatedSym) {
			if s, err = securityIn(m, e); err != nil {
				return err
			}
			if s.Action = char(m.In(e, TagListUpdate)); l.Report && !isUpdate(s.Action) {
				return ErrValue
			}
			l.Securities = append(l.Securities, s)
		}
		return nil
	}
	return ErrWrongMsg
}

func isUpdate(action byte) bool {
	return action == 'A' || action == 'D' || action == 'M' || action == 0
}

// Append writes it, in the order of the dictionaries of 4.2 for d, of 4.4 for y, and of 5.0 SP2 for reports.
func (l *SecurityList) Append(b *Builder) {
	b.Bytes(TagSecurityReqID, l.ReqID).Bytes(TagSecurityRespID, l.ResponseID)
	if l.MsgType == 'd' {
		b.optional(TagSecurityRespType, l.Result)
		b.optional(TagSecurityUpdate, l.Action)
		for i := range l.Securities[:min(1, len(l.Securities))] {
			l.Securities[i].append(b)
		}
		return
	}
	b.optional(TagSecRequestResult, l.Result)
	if l.Total > 0 {
		b.Uint(TagTotNoRelatedSym, uint64(l.Total))
	}
	b.optional(TagSecurityUpdate, l.Action)
	b.optional(TagLastFragment, l.Last)
	b.Int(TagNoRelatedSym, int64(len(l.Securities)))
	for i := range l.Securities {
		l.Securities[i].append(b)
	}
}

func (s *Security) append(b *Builder) {
	named := s.Instrument
	exchange := named.Exchange
	named.Exchange = nil
	b.naming(&named, s.Type, s.CFI)
	if s.Multiplier != 0 {
		b.Price(TagContractMult, s.Multiplier)
	}
	if s.MinPriceIncrement != 0 {
		b.Price(TagMinPriceIncr, s.MinPriceIncrement)
	}
	b.Bytes(TagSecurityExchange, exchange)
	b.Bytes(TagCurrency, s.Currency)
	b.optional(TagListUpdate, s.Action)
	if s.RoundLot > 0 {
		b.Int(TagRoundLot, s.RoundLot)
	}
	if s.MinTradeVol > 0 {
		b.Int(TagMinTradeVol, s.MinTradeVol)
	}
}

// SecurityStatus is a Security Status, f.
type SecurityStatus struct {
	Instrument
	ReqID  []byte
	Status uint32 // 326; 0: not said
	Halt   []byte // 327: a letter until 4.4, a number from 5.0 on
	Time   uint64 // 60, else 52, ns since the Unix epoch
	Text   []byte
}

// Decode reads an f.
func (s *SecurityStatus) Decode(m *Message) error {
	if string(m.MsgType()) != "f" {
		return ErrWrongMsg
	}
	*s = SecurityStatus{Instrument: instrumentIn(m, Entry{0, len(m.Fields)}), ReqID: m.Get(TagSecStatusReqID), Halt: m.Get(TagHaltReason), Text: m.Get(TagText)}
	if s.Symbol == nil && s.SecurityID == nil {
		return ErrUnnamed
	}
	ok := true
	if v := m.Get(TagTradingStatus); v != nil {
		if s.Status, ok = small(v); !ok {
			return ErrValue
		}
	}
	s.Time, ok = timeOf(m)
	if !ok {
		return ErrTime
	}
	return nil
}

// timeOf is a message's own time: 60, else 52.
func timeOf(m *Message) (uint64, bool) {
	if v := m.Get(TagTransactTime); v != nil {
		return Timestamp(v)
	}
	return Timestamp(m.Get(TagSendingTime))
}

// Append writes it; a time of 0 is not written.
func (s *SecurityStatus) Append(b *Builder) {
	b.Bytes(TagSecStatusReqID, s.ReqID)
	s.Instrument.Append(b)
	if s.Status != 0 {
		b.Uint(TagTradingStatus, uint64(s.Status))
	}
	b.Bytes(TagHaltReason, s.Halt)
	if s.Time != 0 {
		b.Time(TagTransactTime, s.Time, 9)
	}
	b.Bytes(TagText, s.Text)
}
