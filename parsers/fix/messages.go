package fix

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
