package fix

import (
	"strconv"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// message is a whole frame's fields, for the few messages that a session itself reads. Memory is reused.
type message struct {
	raw   []byte
	found []codec.Field
}

// read takes a frame apart; false: its fields break the rules of tag=value.
func (m *message) read(raw []byte) bool {
	m.raw = raw
	for {
		n, _, err := codec.Scan(raw, m.found[:cap(m.found)])
		if err == codec.ErrRoom {
			m.found = make([]codec.Field, max(256, 2*cap(m.found)))
			continue
		}
		m.found = m.found[:n]
		return err == nil
	}
}

// value is the first field of a tag, nil: there is none.
func (m *message) value(tag uint32) []byte {
	for _, f := range m.found {
		if f.Tag == tag {
			return m.at(f)
		}
	}
	return nil
}

func (m *message) at(f codec.Field) []byte { return m.raw[f.Start:f.End] }

// count is a number of at most 18 digits; false: there is none.
func (m *message) count(tag uint32) (uint64, bool) {
	n, ok := codec.Uint(m.value(tag))
	return n, ok && n <= mostNumber
}

// appendField appends tag=value.
func appendField(dst []byte, tag int, value string) []byte {
	dst = append(strconv.AppendInt(dst, int64(tag), 10), '=')
	return append(append(dst, value...), soh)
}

func appendInt(dst []byte, tag int, value int64) []byte {
	dst = append(strconv.AppendInt(dst, int64(tag), 10), '=')
	return append(strconv.AppendInt(dst, value, 10), soh)
}

// group is the value of a count field with the entries behind it, as the library takes them: it writes values as they are.
func group(count int, entries []byte) []byte {
	b := append(strconv.AppendInt(nil, int64(count), 10), soh)
	b = append(b, entries...)
	return b[:len(b)-1]
}
