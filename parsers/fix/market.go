package fix

import (
	"errors"

	"github.com/tickwire/tickwire/tick"
)

// What typed decoding refuses beyond what a number's text may be.
var (
	ErrTwice    = errors.New("fix: a field is there twice, so it is not known which one is meant")
	ErrMissing  = errors.New("fix: a field that the message needs is missing")
	ErrValue    = errors.New("fix: a field's value has no meaning here")
	ErrTime     = errors.New("fix: a time is not YYYYMMDD-HH:MM:SS with an optional fraction, or a part of it")
	ErrUnnamed  = errors.New("fix: the first entry names no instrument")
	ErrWrongMsg = errors.New("fix: message is of another type")
	ErrFraction = errors.New("fix: size has more decimals than sizes are said to have")
)

// Actions of an entry (279).
const (
	ActionNew        byte = '0'
	ActionChange     byte = '1'
	ActionDelete     byte = '2'
	ActionDeleteThru byte = '3'
	ActionDeleteFrom byte = '4'
	ActionOverlay    byte = '5'
)

// Types of an entry (269) with a meaning of their own here.
const (
	EntryBid       byte = '0'
	EntryOffer     byte = '1'
	EntryTrade     byte = '2'
	EntryImbalance byte = 'A'
	EntryEmptyBook byte = 'J'
)

// Bits of MDEntry.Has.
const (
	HasSize uint32 = 1 << iota
	HasTime
	hasType
	hasAction
	hasPrice
	hasDate
	hasTimeOfDay
	hasLevel
	hasPosition
	hasOrders
	hasRptSeq
)

// MDEntry is one entry of a W or an X.
type MDEntry struct {
	Action     byte   // 279; ActionNew in W
	Type       byte   // 269; 0: not said, which X may do where ID says it
	Instrument int    // of MarketData.Instruments
	Has        uint32 // Has… bits
	Price      int64  // 270, 1e-9; tick.UndefPrice: not said
	Size       uint64 // 271, with HasSize
	Time       uint64 // ns since the Unix epoch, with HasTime: 272 and 273, or 60
	Level      uint32 // 1023, or else 290: 1 the best; 0: not said
	Orders     uint32 // 346; 0: not said
	RptSeq     uint64 // 83; 0: not said
	ID         []byte // 278
	RefID      []byte // 280
	TradeID    []byte // 1003
	Condition  []byte // 277
	date       uint64
	by         identity // in a book; the decoder's
}

// MarketData is a W or an X. It is its caller's; texts point into the message.
type MarketData struct {
	MsgType     byte // 'W' or 'X'
	ReqID       []byte
	BookType    byte   // 1021: '1' top, '2' prices, '3' orders; 0: not said
	SendingTime uint64 // 52, ns since the Unix epoch
	Instruments []Instrument
	Entries     []MDEntry

	SizeDecimals int // sizes count in 10 to the power of - this; set by the caller

	ranges []Entry
	body   MDEntry
}

// Decode reads a message that Parse has read. After an error the contents mean nothing. Hot path: no allocation once there was room for as many entries.
func (d *MarketData) Decode(m *Message) error {
	typ := m.MsgType()
	if len(typ) != 1 || typ[0] != 'W' && typ[0] != 'X' {
		return ErrWrongMsg
	}
	d.MsgType, d.ReqID, d.BookType, d.SendingTime = typ[0], nil, 0, 0
	d.Instruments, d.Entries, d.ranges = d.Instruments[:0], d.Entries[:0], d.ranges[:0]
	d.body = MDEntry{Action: ActionNew, Price: tick.UndefPrice}
	var named Instrument
	counted, g := false, m.groupsFrom(3)
	for i := 3; i < len(m.Fields); i++ {
		f := m.Fields[i]
		v := m.Raw[f.Start:f.End]
		switch f.Tag {
		case TagSendingTime:
			var ok bool
			if d.SendingTime, ok = Timestamp(v); !ok {
				return ErrTime
			}
		case TagTransactTime:
			if err := d.body.time(v); err != nil {
				return err
			}
		case TagMDReqID:
			if d.ReqID != nil {
				return ErrTwice
			}
			d.ReqID = v
		case TagMDBookType:
			if d.BookType != 0 {
				return ErrTwice
			}
			if len(v) != 1 {
				return ErrValue
			}
			d.BookType = v[0]
		case TagNoMDEntries:
			if counted {
				return ErrTwice
			}
			counted = true
			if g < len(m.groups) && m.groups[g].at == i {
				d.ranges = m.appendEntries(d.ranges, g)
			}
		default:
			if p := named.place(f.Tag); p != nil {
				if *p != nil {
					return ErrTwice
				}
				*p = v
			}
		}
		i, g = m.over(i, g)
	}
	if !counted || d.SendingTime == 0 {
		return ErrMissing
	}
	if d.MsgType == 'W' {
		if named.Symbol == nil && named.SecurityID == nil {
			return ErrUnnamed
		}
		d.Instruments = append(d.Instruments, named)
	}
	for _, e := range d.ranges {
		if err := d.entry(m, e); err != nil {
			return err
		}
	}
	return nil
}

// once notes that a field is there, and says whether it was before.
func (e *MDEntry) once(bit uint32) bool {
	before := e.Has & bit
	e.Has |= bit
	return before == 0
}

func (e *MDEntry) time(v []byte) error {
	var ok bool
	if e.Time, ok = Timestamp(v); !ok {
		return ErrTime
	}
	if !e.once(HasTime) {
		return ErrTwice
	}
	return nil
}

func (d *MarketData) entry(m *Message, at Entry) error {
	n := len(d.Entries)
	if n == cap(d.Entries) {
		d.Entries = append(d.Entries, MDEntry{})
	}
	d.Entries = d.Entries[:n+1]
	e := &d.Entries[n]
	*e = MDEntry{}
	e.Action, e.Price, e.Instrument = ActionNew, tick.UndefPrice, len(d.Instruments)-1
	named := false
	position := uint32(0)
	g := m.groupsFrom(at.From)
	for i := at.From; i < at.To; i++ {
		f := m.Fields[i]
		v := m.Raw[f.Start:f.End]
		first, ok := true, true
		var err error
		switch f.Tag {
		case TagMDUpdateAction:
			first, ok = e.once(hasAction), len(v) == 1
			if ok {
				e.Action = v[0]
			}
		case TagMDEntryType:
			first, ok = e.once(hasType), len(v) == 1
			if ok {
				e.Type = v[0]
			}
		case TagMDEntryPx:
			first = e.once(hasPrice)
			e.Price, err = Price(v)
		case TagMDEntrySize:
			first = e.once(HasSize)
			if e.Size, err = Size(v, d.SizeDecimals); err == ErrDigits {
				err = ErrFraction
			}
		case TagMDEntryID:
			first, ok, e.ID = e.ID == nil, len(v) > 0, v
		case TagMDEntryRefID:
			first, ok, e.RefID = e.RefID == nil, len(v) > 0, v
		case TagTradeID:
			first, ok, e.TradeID = e.TradeID == nil, len(v) > 0, v
		case TagTradeCondition:
			first, e.Condition = e.Condition == nil, v
		case TagMDPriceLevel:
			first = e.once(hasLevel)
			e.Level, ok = small(v)
		case TagMDEntryPosition:
			first = e.once(hasPosition)
			position, ok = small(v)
		case TagNoOrders:
			first = e.once(hasOrders)
			e.Orders, ok = small(v)
		case TagRptSeq:
			first = e.once(hasRptSeq)
			e.RptSeq, ok = Uint(v)
		case TagMDEntryDate:
			first = e.once(hasDate)
			if e.date, ok = Date(v); !ok {
				err = ErrTime
			}
		case TagMDEntryTime:
			first = e.once(hasTimeOfDay)
			if e.Time, ok = TimeOfDay(v); !ok {
				err = ErrTime
			}
		case TagTransactTime:
			if e.Has&hasTimeOfDay == 0 { // 273 says it better
				err = e.time(v)
			}
		default:
			if d.MsgType == 'W' || !namesInstrument(f.Tag) {
				break
			}
			if !named {
				named = true
				d.Instruments = append(d.Instruments, Instrument{})
			}
			p := d.Instruments[len(d.Instruments)-1].place(f.Tag)
			first, *p = *p == nil, v
		}
		switch {
		case err != nil:
			return err
		case !first:
			return ErrTwice
		case !ok:
			return ErrValue
		}
		i, g = m.over(i, g)
	}
	if e.Level == 0 {
		e.Level = position
	}
	e.when(d)
	if d.MsgType == 'W' {
		if e.Type == 0 {
			return ErrMissing
		}
		return nil
	}
	if e.Has&hasAction == 0 || e.Type == 0 && e.ID == nil && e.RefID == nil {
		return ErrMissing
	}
	if named {
		last := len(d.Instruments) - 1
		if n := &d.Instruments[last]; n.Symbol != nil || n.SecurityID != nil {
			e.Instrument = last
		} else if last == 0 || !d.Instruments[last-1].says(n) {
			return ErrUnnamed
		} else {
			d.Instruments = d.Instruments[:last]
		}
	}
	if e.Instrument < 0 {
		return ErrUnnamed
	}
	return nil
}

// when makes a time of what an entry says: day and time; a time alone, which is the one nearest to SendingTime; or what the body says.
func (e *MDEntry) when(d *MarketData) {
	const half = nsPerDay / 2
	switch {
	case e.Has&hasTimeOfDay != 0 && e.Has&hasDate != 0:
		e.Time += e.date
		e.Has |= HasTime
	case e.Has&hasTimeOfDay != 0:
		e.Time += d.SendingTime / nsPerDay * nsPerDay
		if e.Time > d.SendingTime+half && e.Time >= nsPerDay {
			e.Time -= nsPerDay
		} else if e.Time+half < d.SendingTime {
			e.Time += nsPerDay
		}
		e.Has |= HasTime
	case e.Has&HasTime == 0 && d.body.Has&HasTime != 0:
		e.Time = d.body.Time
		e.Has |= HasTime
	}
}

// small is a number of 32 bits.
func small(v []byte) (uint32, bool) {
	n, ok := Uint(v)
	return uint32(n), ok && n <= 1<<31
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
