package fix

import (
	"github.com/tickwire/tickwire/tick"
)

// Messages around market data, decoded and written: what a client asks, what it is told of instruments. None is for the hot path. Texts point into the
// message that was decoded. Decoders refuse a message of another type, and values that have no meaning; Message.Validate is what checks everything.

// MDRequest is a Market Data Request, V.
type MDRequest struct {
	ReqID          []byte // 262: names the subscription
	Subscription   byte   // 263: '0' snapshot, '1' snapshot and updates, '2' no more
	Depth          uint32 // 264: 0 all, 1 top, N levels
	UpdateType     byte   // 265: '0' full, '1' incremental; 0: not said
	Aggregated     byte   // 266: 'Y' one entry a price, 'N' one an order; 0: not said
	ImplicitDelete bool   // 547
	EntryTypes     []byte // 269 of each
	Instruments    []Instrument
}

// Decode reads a V.
func (r *MDRequest) Decode(m *Message) error {
	if string(m.MsgType()) != "V" {
		return ErrWrongMsg
	}
	*r = MDRequest{EntryTypes: r.EntryTypes[:0], Instruments: r.Instruments[:0], ReqID: m.Get(TagMDReqID)}
	r.Subscription, r.UpdateType, r.Aggregated = char(m.Get(TagSubscription)), char(m.Get(TagMDUpdateType)), char(m.Get(TagAggregatedBook))
	r.ImplicitDelete = char(m.Get(TagMDImplicitDelete)) == 'Y'
	depth, ok := small(m.Get(TagMarketDepth))
	if r.Depth = depth; !ok || r.ReqID == nil || r.Subscription == 0 {
		return ErrMissing
	}
	for _, e := range m.Entries(nil, TagNoMDEntryTypes) {
		typ := m.In(e, TagMDEntryType)
		if len(typ) != 1 {
			return ErrValue
		}
		r.EntryTypes = append(r.EntryTypes, typ[0])
	}
	for _, e := range m.Entries(nil, TagNoRelatedSym) {
		n := instrumentIn(m, e)
		if n.Symbol == nil && n.SecurityID == nil {
			return ErrUnnamed
		}
		r.Instruments = append(r.Instruments, n)
	}
	return nil
}

// Append writes it.
func (r *MDRequest) Append(b *Builder) {
	b.Bytes(TagMDReqID, r.ReqID).Char(TagSubscription, r.Subscription).Uint(TagMarketDepth, uint64(r.Depth))
	b.optional(TagMDUpdateType, r.UpdateType).optional(TagAggregatedBook, r.Aggregated)
	if r.ImplicitDelete {
		b.Bool(TagMDImplicitDelete, true)
	}
	b.Int(TagNoMDEntryTypes, int64(len(r.EntryTypes)))
	for _, t := range r.EntryTypes {
		b.Char(TagMDEntryType, t)
	}
	b.Int(TagNoRelatedSym, int64(len(r.Instruments)))
	for i := range r.Instruments {
		r.Instruments[i].Append(b)
	}
}

// MDReject is a Market Data Request Reject, Y. It ends the subscription.
type MDReject struct {
	ReqID  []byte
	Reason byte // 281; 0: not said
	Text   []byte
}

// Decode reads a Y.
func (r *MDReject) Decode(m *Message) error {
	if string(m.MsgType()) != "Y" {
		return ErrWrongMsg
	}
	*r = MDReject{m.Get(TagMDReqID), char(m.Get(TagMDReqRejReason)), m.Get(TagText)}
	if r.ReqID == nil {
		return ErrMissing
	}
	return nil
}

// Append writes it.
func (r *MDReject) Append(b *Builder) {
	b.Bytes(TagMDReqID, r.ReqID).optional(TagMDReqRejReason, r.Reason).Bytes(TagText, r.Text)
}

// SecurityRequest is a Security List Request, x, a Security Definition Request, c, or a Security Status Request, e.
type SecurityRequest struct {
	MsgType      byte   // 'x', 'c' or 'e'
	ReqID        []byte // 320, of e 324
	Kind         uint32 // 559 of x: 4 all; 321 of c: 3 list
	Subscription byte   // 263; 0: not said
	Instrument   Instrument
}

// Decode reads any of the three.
func (r *SecurityRequest) Decode(m *Message) error {
	*r = SecurityRequest{MsgType: char(m.MsgType()), ReqID: m.Get(TagSecurityReqID), Subscription: char(m.Get(TagSubscription))}
	r.Instrument = instrumentIn(m, Entry{0, len(m.Fields)})
	ok := true
	switch r.MsgType {
	case 'x':
		r.Kind, ok = small(m.Get(TagSecListReqType))
	case 'c':
		r.Kind, ok = small(m.Get(TagSecurityReqType))
	case 'e':
		r.ReqID = m.Get(TagSecStatusReqID)
	default:
		return ErrWrongMsg
	}
	if !ok || r.ReqID == nil {
		return ErrMissing
	}
	return nil
}

// Append writes it.
func (r *SecurityRequest) Append(b *Builder) {
	switch r.MsgType {
	case 'x':
		b.Bytes(TagSecurityReqID, r.ReqID).Uint(TagSecListReqType, uint64(r.Kind))
	case 'c':
		b.Bytes(TagSecurityReqID, r.ReqID).Uint(TagSecurityReqType, uint64(r.Kind))
	default:
		b.Bytes(TagSecStatusReqID, r.ReqID)
	}
	r.Instrument.Append(b)
	b.optional(TagSubscription, r.Subscription)
}

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

// SecurityList is a Security List, y, or a Security Definition, d, which has one entry.
type SecurityList struct {
	MsgType    byte // 'y' or 'd'
	ReqID      []byte
	ResponseID []byte
	Result     byte   // 560 of y, 323 of d; 0: not said
	Total      uint32 // 393: entries of all fragments; 0: not said
	Last       byte   // 893: 'Y', 'N'; 0: not said
	Securities []Security
}

// Decode reads a y or a d. Fragments are the caller's to collect: until Last is 'Y', or Total entries are there.
func (l *SecurityList) Decode(m *Message) (err error) {
	*l = SecurityList{MsgType: char(m.MsgType()), ReqID: m.Get(TagSecurityReqID), ResponseID: m.Get(TagSecurityRespID), Securities: l.Securities[:0]}
	l.Total, _ = small(m.Get(TagTotNoRelatedSym))
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
			l.Securities = append(l.Securities, s)
		}
		return nil
	}
	return ErrWrongMsg
}

// Append writes it, in the order of the dictionaries of 4.2 for d and of 4.4 for y.
func (l *SecurityList) Append(b *Builder) {
	b.Bytes(TagSecurityReqID, l.ReqID).Bytes(TagSecurityRespID, l.ResponseID)
	if l.MsgType == 'd' {
		b.optional(TagSecurityRespType, l.Result)
		for i := range l.Securities[:min(1, len(l.Securities))] {
			l.Securities[i].append(b)
		}
		return
	}
	b.optional(TagSecRequestResult, l.Result)
	if l.Total > 0 {
		b.Uint(TagTotNoRelatedSym, uint64(l.Total))
	}
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

// Append writes what there is, in the order of the dictionaries.
func (n *Instrument) Append(b *Builder) { b.naming(n, nil, nil) }

func (b *Builder) naming(n *Instrument, typ, cfi []byte) {
	b.Bytes(TagSymbol, n.Symbol).Bytes(TagSymbolSfx, n.SymbolSfx).Bytes(TagSecurityID, n.SecurityID).Bytes(TagSecurityIDSource, n.IDSource)
	b.Bytes(TagCFICode, cfi).Bytes(TagSecurityType, typ)
	b.Bytes(TagMaturityMonth, n.MaturityMonth).Bytes(TagMaturityDay, n.MaturityDay).Bytes(TagMaturityDate, n.MaturityDate)
	b.Bytes(TagPutOrCall, n.PutOrCall).Bytes(TagStrikePrice, n.Strike).Bytes(TagSecurityExchange, n.Exchange)
}

func instrumentIn(m *Message, e Entry) (n Instrument) {
	g := m.groupsFrom(e.From)
	for i := e.From; i < e.To; i++ {
		if p := n.place(m.Fields[i].Tag); p != nil && *p == nil {
			*p = m.Value(i)
		}
		i, g = m.over(i, g)
	}
	return n
}

// Append writes the entries and what stands before them: of a W, whose dictionary has no 278, IDs are written all the same where they are given.
func (d *MarketData) Append(b *Builder, digits int) {
	b.Bytes(TagMDReqID, d.ReqID)
	if d.MsgType == 'W' && len(d.Instruments) > 0 {
		d.Instruments[0].Append(b)
	}
	b.optional(TagMDBookType, d.BookType)
	b.Int(TagNoMDEntries, int64(len(d.Entries)))
	for i := range d.Entries {
		e := &d.Entries[i]
		if d.MsgType == 'X' {
			b.Char(TagMDUpdateAction, e.Action)
		}
		b.optional(TagMDEntryType, e.Type)
		if d.MsgType == 'X' {
			b.Bytes(TagMDEntryID, e.ID).Bytes(TagMDEntryRefID, e.RefID)
			if (i == 0 || e.Instrument != d.Entries[i-1].Instrument) && e.Instrument < len(d.Instruments) {
				d.Instruments[e.Instrument].Append(b)
			}
		}
		b.Price(TagMDEntryPx, e.Price)
		if e.Has&HasSize != 0 {
			b.Size(TagMDEntrySize, e.Size, d.SizeDecimals)
		}
		if e.Has&HasTime != 0 {
			b.Date(TagMDEntryDate, e.Time).TimeOfDay(TagMDEntryTime, e.Time, digits)
		}
		b.Bytes(TagTradeCondition, e.Condition)
		if e.Orders != 0 {
			b.Uint(TagNoOrders, uint64(e.Orders))
		}
		if e.Level != 0 {
			b.Uint(TagMDEntryPosition, uint64(e.Level))
		}
		if e.RptSeq != 0 {
			b.Uint(TagRptSeq, e.RptSeq)
		}
		if d.MsgType == 'W' {
			b.Bytes(TagMDEntryID, e.ID)
		}
		b.Bytes(TagTradeID, e.TradeID)
	}
}

func (b *Builder) optional(tag uint32, v byte) *Builder {
	if v == 0 {
		return b
	}
	return b.Char(tag, v)
}

func char(v []byte) byte {
	if len(v) != 1 {
		return 0
	}
	return v[0]
}
