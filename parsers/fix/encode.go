package fix

import (
	"strconv"

	"github.com/tickwire/tickwire/tick"
)

// A Builder writes one message after another into memory that it keeps. BodyLength stands before what it counts, so the body is written first, behind
// room for what comes before it:
//
//	|......8=FIX.4.4|9=103|35=W|34=7|...|10=...|
//	 ^room^               ^ Begin         ^ End
//
// Fields are written in the order in which they are given; a count field is an Int before its entries. Not safe for concurrent use.
type Builder struct {
	buf   []byte
	begin string
}

const frontRoom = 64 // bytes before 35=: 8, of at most 40 bytes, and 9

// Header is what every message says of itself.
type Header struct {
	BeginString     string // FIX.4.2, FIX.4.4 or FIXT.1.1
	SenderCompID    string
	TargetCompID    string
	MsgSeqNum       uint64
	SendingTime     uint64 // ns since the Unix epoch
	Digits          int    // of times behind the point: 0, 3, 6 or 9
	ApplVerID       string // empty: not said
	PossDup         bool
	OrigSendingTime uint64 // with PossDup; 0: not said
}

// Begin opens a message of a type with its header; one that was not ended is forgotten.
func (b *Builder) Begin(h Header, msgType string) *Builder {
	if cap(b.buf) < frontRoom {
		b.buf = make([]byte, 0, 4096)
	}
	b.buf, b.begin = b.buf[:frontRoom], h.BeginString
	b.String(TagMsgType, msgType)
	b.Uint(TagMsgSeqNum, h.MsgSeqNum)
	if h.PossDup {
		b.Bool(TagPossDupFlag, true)
	}
	b.String(TagSenderCompID, h.SenderCompID)
	b.Time(TagSendingTime, h.SendingTime, h.Digits)
	b.String(TagTargetCompID, h.TargetCompID)
	if h.PossDup && h.OrigSendingTime != 0 {
		b.Time(TagOrigSendingTime, h.OrigSendingTime, h.Digits)
	}
	if h.ApplVerID != "" {
		b.String(TagApplVerID, h.ApplVerID)
	}
	return b
}

// End closes the message and gives it, whole. It is valid until the next Begin.
func (b *Builder) End() []byte {
	var front [frontRoom]byte
	head := append(front[:0], "8="...)
	head = append(append(head, b.begin[:min(len(b.begin), 40)]...), soh)
	head = strconv.AppendInt(append(head, "9="...), int64(len(b.buf)-frontRoom), 10)
	head = append(head, soh)
	begin := frontRoom - len(head)
	copy(b.buf[begin:], head)
	s := Sum(b.buf[begin:])
	b.buf = append(b.buf, '1', '0', '=', '0'+s/100, '0'+s/10%10, '0'+s%10, soh)
	return b.buf[begin:]
}

func (b *Builder) tag(tag uint32) {
	b.buf = append(strconv.AppendUint(b.buf, uint64(tag), 10), '=')
}

// String writes a text. An SOH in it would end the field; it is left out, as would be an empty field.
func (b *Builder) String(tag uint32, v string) *Builder { return text(b, tag, v) }

// Bytes is String.
func (b *Builder) Bytes(tag uint32, v []byte) *Builder { return text(b, tag, v) }

func text[T string | []byte](b *Builder, tag uint32, v T) *Builder {
	if len(v) == 0 {
		return b
	}
	before := len(b.buf)
	b.tag(tag)
	value := len(b.buf)
	for i := range len(v) {
		if v[i] != soh {
			b.buf = append(b.buf, v[i])
		}
	}
	if len(b.buf) == value {
		b.buf = b.buf[:before]
		return b
	}
	b.buf = append(b.buf, soh)
	return b
}

// Char writes one byte.
func (b *Builder) Char(tag uint32, v byte) *Builder {
	b.tag(tag)
	b.buf = append(b.buf, v, soh)
	return b
}

// Bool writes Y or N.
func (b *Builder) Bool(tag uint32, v bool) *Builder {
	if v {
		return b.Char(tag, 'Y')
	}
	return b.Char(tag, 'N')
}

// Int writes an integer.
func (b *Builder) Int(tag uint32, v int64) *Builder {
	b.tag(tag)
	b.buf = append(strconv.AppendInt(b.buf, v, 10), soh)
	return b
}

// Uint writes an integer that is not negative.
func (b *Builder) Uint(tag uint32, v uint64) *Builder {
	b.tag(tag)
	b.buf = append(strconv.AppendUint(b.buf, v, 10), soh)
	return b
}

// Price writes a price of 1e-9 as decimals, exactly, without trailing zeros; tick.UndefPrice is not written.
func (b *Builder) Price(tag uint32, v int64) *Builder {
	if v == tick.UndefPrice {
		return b
	}
	magnitude := uint64(v)
	b.tag(tag)
	if v < 0 {
		b.buf = append(b.buf, '-')
		magnitude = -magnitude
	}
	return b.decimal(magnitude, 9)
}

// Size writes a size that counts in 10 to the power of -decimals.
func (b *Builder) Size(tag uint32, v uint64, decimals int) *Builder {
	b.tag(tag)
	return b.decimal(v, decimals)
}

// decimal ends a field with a number of so many decimals.
func (b *Builder) decimal(v uint64, decimals int) *Builder {
	unit := uint64(1)
	for range decimals {
		unit *= 10
	}
	b.buf = strconv.AppendUint(b.buf, v/unit, 10)
	if v %= unit; v != 0 {
		b.buf = append(b.buf, '.')
		for ; v != 0; v %= unit {
			unit /= 10
			b.buf = append(b.buf, byte('0'+v/unit))
		}
	}
	b.buf = append(b.buf, soh)
	return b
}

// Time writes UTCTIMESTAMP of a time, ns since the Unix epoch, with so many digits behind the point.
func (b *Builder) Time(tag uint32, ns uint64, digits int) *Builder {
	b.tag(tag)
	b.buf = append(AppendTimestamp(b.buf, ns, digits), soh)
	return b
}

// Date writes UTCDATEONLY of a time.
func (b *Builder) Date(tag uint32, ns uint64) *Builder {
	b.tag(tag)
	b.buf = append(AppendDate(b.buf, ns), soh)
	return b
}

// TimeOfDay writes UTCTIMEONLY of a time.
func (b *Builder) TimeOfDay(tag uint32, ns uint64, digits int) *Builder {
	b.tag(tag)
	b.buf = append(AppendTimeOfDay(b.buf, ns, digits), soh)
	return b
}

// Data writes a length field and its data, which may hold any bytes.
func (b *Builder) Data(length uint32, v []byte) *Builder {
	b.Int(length, int64(len(v)))
	b.tag(DataTag(length))
	b.buf = append(append(b.buf, v...), soh)
	return b
}
