package fix

// Instrument is how a message names one: values as they are on the wire, nil: not said. They point into the message.
type Instrument struct {
	Symbol        []byte // 55
	SymbolSfx     []byte // 65
	SecurityID    []byte // 48
	IDSource      []byte // 22
	MaturityMonth []byte // 200
	MaturityDay   []byte // 205, of 4.2
	MaturityDate  []byte // 541, from 4.4 on
	PutOrCall     []byte // 201
	Strike        []byte // 202
	Exchange      []byte // 207
}

// place is where a tag's value goes, nil: it does not name an instrument. Hot path.
func (n *Instrument) place(tag uint32) *[]byte {
	switch tag {
	case TagSymbol:
		return &n.Symbol
	case TagSymbolSfx:
		return &n.SymbolSfx
	case TagSecurityID:
		return &n.SecurityID
	case TagSecurityIDSource:
		return &n.IDSource
	case TagMaturityMonth:
		return &n.MaturityMonth
	case TagMaturityDay:
		return &n.MaturityDay
	case TagMaturityDate:
		return &n.MaturityDate
	case TagPutOrCall:
		return &n.PutOrCall
	case TagStrikePrice:
		return &n.Strike
	case TagSecurityExchange:
		return &n.Exchange
	}
	return nil
}

// says tells whether all of what another one says, this one says too.
func (n *Instrument) says(other *Instrument) bool {
	mine, others := qualifiersOf(n), qualifiersOf(other)
	for i, v := range others {
		if len(v) > 0 && string(v) != string(mine[i]) {
			return false
		}
	}
	return true
}

// namesInstrument says whether a tag has a place. Hot path.
func namesInstrument(tag uint32) bool {
	return tag < 64*uint32(len(naming)) && naming[tag/64]>>(tag%64)&1 != 0
}

var naming = func() (set [TagMaturityDate/64 + 1]uint64) {
	var n Instrument
	for tag := range uint32(64 * len(set)) {
		if n.place(tag) != nil {
			set[tag/64] |= 1 << (tag % 64)
		}
	}
	return set
}()

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
