package fix

import (
	"strconv"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// An envelope is what the library is shown of a frame:
//
//	frame     8=FIX.4.4|9=…|35=X|34=7|49=A|52=…|56=B|90=3|91=a|b|262=r|268=2|…|10=…|
//	envelope  8=FIX.4.4|9=…|35=X|34=7|49=A|52=…|56=B|                     58=41|10=…|     an application message, kept as number 41
//
// Of an administrative message the library gets all fields but data and their lengths. In both, times are written with milliseconds, fields
// without a value are left out, and numbers that it does arithmetic with are numbers: it would split data at SOH, refuses some precisions that
// are legal, and an empty MsgSeqNum ends the process.
type envelope struct {
	msgType string
	begin   string
	seq     uint64
	hasSeq  bool
	possDup bool
	gapFill bool   // of SequenceReset: 123=Y
	newSeq  uint64 // of SequenceReset: 36, 0: none
	silent  bool   // of Logon: 108=0, no heartbeats
	reset   bool   // of Logon: 141=Y
	bad     int    // why the message is to be rejected, fieldGood: it is not
	badTag  uint32
	fields  []byte // from 35= on, without CheckSum
	found   []codec.Field
}

const soh = 0x01

// silentHeartbeat is what the library is told instead of HeartBtInt 0: it would send heartbeats without a pause.
const silentHeartbeat = 86_400

// mostNumber bounds numbers that the library does arithmetic with.
const mostNumber = 1 << 53

// isAdmin tells messages of the session from those of the application.
func isAdmin(msgType string) bool {
	return len(msgType) == 1 && (msgType[0] >= '0' && msgType[0] <= '5' || msgType[0] == 'A')
}

// Why a message is rejected, as 373 SessionRejectReason says it; fieldGood: it is not.
const (
	fieldGood    = -1
	rejectTag    = 0
	rejectEmpty  = 4
	rejectFormat = 6
	rejectOrder  = 14
)

// headerTags are the fields of the header in all versions.
var headerTags = map[uint32]bool{
	8: true, 9: true, 35: true, 49: true, 56: true, 34: true, 52: true, 43: true, 97: true, 122: true, 50: true, 57: true, 142: true, 143: true,
	115: true, 116: true, 144: true, 128: true, 129: true, 145: true, 90: true, 91: true, 212: true, 213: true, 347: true, 369: true, 370: true,
	627: true, 628: true, 629: true, 630: true, 1128: true, 1129: true, 1156: true,
}

// read takes a whole frame apart. Its memory is reused.
func (e *envelope) read(frame []byte) {
	*e = envelope{fields: e.fields[:0], found: e.found, bad: fieldGood}
	n, _, err := codec.Scan(frame, e.found)
	for err == codec.ErrRoom {
		e.found = make([]codec.Field, max(256, 2*len(e.found)))
		n, _, err = codec.Scan(frame, e.found)
	}
	inBody, data := false, false
	for _, f := range e.found[:n] {
		value := frame[f.Start:f.End]
		header := headerTags[f.Tag]
		switch {
		case len(value) == 0:
			e.reject(rejectEmpty, f.Tag)
		case header && inBody:
			e.reject(rejectOrder, f.Tag)
		case data || codec.DataTag(f.Tag) != 0 || f.Tag == 10:
		case header || isAdmin(e.msgType):
			e.take(f.Tag, value)
		}
		data = codec.DataTag(f.Tag) != 0
		inBody = inBody || !header
	}
	switch err {
	case nil:
	case codec.ErrData:
		e.reject(rejectFormat, 0)
	default:
		e.reject(rejectTag, 0)
	}
}

func (e *envelope) reject(reason int, tag uint32) {
	if e.bad == fieldGood {
		e.bad, e.badTag = reason, tag
	}
}

func (e *envelope) take(tag uint32, value []byte) {
	switch tag {
	case 8:
		if e.begin == "" {
			e.begin = string(value)
		}
		return
	case 9, 627, 628, 629, 630, 1156:
		return
	case 35:
		if e.msgType != "" {
			return
		}
		e.msgType = string(value)
	case 34:
		n, ok := codec.Uint(value)
		if !ok || n == 0 || n > mostNumber || e.hasSeq {
			return
		}
		e.seq, e.hasSeq = n, true
	case 43:
		e.possDup = len(value) == 1 && value[0] == 'Y'
	case 52, 122:
		e.append(tag, millis(value))
		return
	case 141:
		e.reset = len(value) == 1 && value[0] == 'Y'
	case 123:
		e.gapFill = len(value) == 1 && value[0] == 'Y'
	case 7, 16, 36, 45, 108, 369, 789:
		n, ok := codec.Uint(value)
		if !ok || n > mostNumber {
			return
		}
		switch {
		case tag == 36:
			e.newSeq = n
		case tag == 108 && n == 0:
			e.silent = true
			value = strconv.AppendInt(nil, silentHeartbeat, 10)
		}
	}
	e.append(tag, value)
}

func (e *envelope) append(tag uint32, value []byte) {
	e.fields = append(strconv.AppendInt(e.fields, int64(tag), 10), '=')
	e.fields = append(append(e.fields, value...), soh)
}

// millis writes a UTCTimestamp with three digits of a second: those that the library reads. Second 60 becomes 59, for the library's clock has no
// leap seconds. What is no timestamp stays as it is, to be rejected.
func millis(v []byte) []byte {
	const whole = len("20060102-15:04:05")
	if len(v) < whole || v[8] != '-' || v[11] != ':' || v[14] != ':' {
		return v
	}
	out := make([]byte, 0, whole+4)
	out = append(out, v[:whole]...)
	if out[15] == '6' && out[16] == '0' {
		out[15], out[16] = '5', '9'
	}
	if len(v) == whole {
		return append(out, ".000"...)
	}
	if v[whole] != '.' || len(v) == whole+1 || len(v) > whole+13 {
		return v
	}
	out = append(out, '.')
	for i := range 3 {
		c := byte('0')
		if at := whole + 1 + i; at < len(v) {
			c = v[at]
		}
		out = append(out, c)
	}
	return out
}

// appendTo appends the envelope as a frame; kept is the number of an application message's frame.
func (e *envelope) appendTo(dst []byte, kept uint64) []byte {
	if !isAdmin(e.msgType) {
		e.append(58, strconv.AppendUint(nil, kept, 10))
	}
	return appendFrame(dst, e.begin, e.fields)
}

// appendFrame appends fields, from 35= on, as a whole frame.
func appendFrame(dst []byte, begin string, fields []byte) []byte {
	from := len(dst)
	dst = append(append(dst, "8="...), begin...)
	dst = strconv.AppendInt(append(dst, "\x019="...), int64(len(fields)), 10)
	dst = append(append(dst, soh), fields...)
	sum := codec.Sum(dst[from:])
	return append(dst, '1', '0', '=', '0'+sum/100, '0'+sum/10%10, '0'+sum%10, soh)
}
