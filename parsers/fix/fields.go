package fix

import (
	"bytes"
	"strconv"
)

// Looks says how surely bytes are of this protocol: 100 where a message begins, less where one begins somewhere within.
func Looks(payload []byte) int {
	at := bytes.Index(payload, beginBytes)
	if at < 0 || !bytes.Contains(payload[at:min(len(payload), at+mostBegin+3)], []byte("\x019=")) {
		return 0
	}
	if at == 0 {
		return 100
	}
	return 60
}

// EachMessage calls fn with the messages of bytes that are a stream or a part of one, until it returns false: the number of each (34), its type (35), its
// bytes, and its fields as a JSON object in wire order, by the names of its version's dictionary, groups as arrays; numbers as they are on the wire, and
// without a name the tag. version (one of Versions, empty: the last) is that of messages over FIXT.1.1 that do not say theirs. err says what is wrong with a message;
// one that is garbled has neither type nor fields, and of it raw is what was looked at. The error is that the stream ends within a message.
func EachMessage(payload []byte, version string, fn func(sequence uint64, typ string, raw, fields []byte, err error) bool) error {
	d, err := NewDecoder(Options{Version: version, MaxInstruments: 1, MaxEntries: 1})
	if err != nil {
		return err
	}
	var fields []byte
	for len(payload) > 0 {
		skip, n, err := Frame(payload, DefaultMaxMessage)
		if err != nil {
			if !fn(0, "", payload[skip-1:min(len(payload), skip-1+32)], []byte("{}"), err) {
				return nil
			}
			payload = payload[skip:]
			continue
		}
		if n == 0 {
			if len(payload) > skip {
				return ErrEnd
			}
			return nil
		}
		raw := payload[skip : skip+n]
		payload = payload[skip+n:]
		err = d.parse(raw)
		fields = fields[:0]
		if err == errVersion {
			fields = append(fields, "{}"...)
			d.m.Fields = nil
		} else {
			fields = d.m.AppendJSON(fields)
		}
		sequence := uint64(0)
		if len(d.m.Fields) > 0 {
			sequence, _ = Uint(d.m.Get(TagMsgSeqNum))
		}
		if !fn(sequence, string(d.m.MsgType()), raw, fields, err) {
			return nil
		}
	}
	return nil
}

// AppendJSON appends the message that was parsed as a JSON object: see EachMessage. A tag that is there twice outside groups is there twice.
func (m *Message) AppendJSON(dst []byte) []byte {
	g := 0
	return m.appendObject(dst, Entry{0, len(m.Fields)}, &g)
}

// appendObject appends fields, and groups among them from g on.
func (m *Message) appendObject(dst []byte, e Entry, g *int) []byte {
	dst = append(dst, '{')
	for i := e.From; i < e.To; i++ {
		if i > e.From {
			dst = append(dst, ',')
		}
		dst = append(m.appendName(append(dst, '"'), m.Fields[i].Tag), '"', ':')
		if *g == len(m.groups) || m.groups[*g].at != i {
			dst = m.appendValue(dst, i)
			continue
		}
		at := *g
		dst = append(dst, '[')
		i = m.groups[at].end - 1
		*g++
		for k, x := range m.appendEntries(nil, at) {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = m.appendObject(dst, x, g)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (m *Message) appendName(dst []byte, tag uint32) []byte {
	if f := m.dictionary.Field(tag); f != nil {
		return append(dst, f.Name...)
	}
	return strconv.AppendUint(dst, uint64(tag), 10)
}

func (m *Message) appendValue(dst []byte, i int) []byte {
	v := m.Value(i)
	if f := m.dictionary.Field(m.Fields[i].Tag); f != nil {
		switch f.Type {
		case TypeInt, TypeLength, TypeSeqNum, TypeNumInGroup, TypeDayOfMonth, TypeFloat:
			if isJSONNumber(v) {
				return append(dst, v...)
			}
		}
	}
	dst = append(dst, '"')
	for _, c := range v {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7F:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// isJSONNumber says whether a decimal is one to JSON too: no leading zeros, digits on both sides of the point.
func isJSONNumber(v []byte) bool {
	if !isDecimal(v) {
		return false
	}
	if v[0] == '-' {
		v = v[1:]
	}
	whole, fraction, point := bytes.Cut(v, []byte{'.'})
	return len(whole) > 0 && (len(whole) == 1 || whole[0] != '0') && (!point || len(fraction) > 0)
}
