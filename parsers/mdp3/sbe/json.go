package sbe

import "strconv"

// AppendJSON appends a message's fields as a JSON object, in wire order, without reading anything the sender did not send:
//
//	number    its integer                  null where the schema's null value is on the wire
//	text      without its padding          constants  {"value":…,"constant":true}
//	decimal   {"mantissa":…,"exponent":…,"decimal":"…"}, the last exact
//	enum      {"value":…,"name":"…"}: the number or the character; name null where the schema has none for it
//	set       {"value":…,"flags":["…"]}: the names of the bits that are set, lowest first
//	composite an object of its members
//	group     a list of objects
//
// Fields that the block does not have, because it is too short or the sender's schema too old, are left out, and so are absent groups. An error says
// that lengths contradict each other; what came before it is in the object. It allocates only where dst is too small.
func (m *Message) AppendJSON(dst, body []byte, blockLength int, version uint16) (out []byte, trailing int, err error) {
	var room [8]Part
	parts, trailing, err := m.Split(room[:0], body, blockLength, version)
	dst = append(dst, '{')
	for i := range parts {
		p := &parts[i]
		if p.Group == nil {
			dst = appendBlock(dst, p.Block, p.Entry(0), version)
			continue
		}
		dst = appendName(dst, p.Group.Name)
		dst = append(dst, '[')
		for k := range p.Count {
			dst = comma(dst, '[')
			dst = append(dst, '{')
			dst = appendBlock(dst, p.Block, p.Entry(k), version)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), trailing, err
}

// comma appends one unless what stands there last opens a list or an object.
func comma(dst []byte, open byte) []byte {
	if dst[len(dst)-1] != open {
		dst = append(dst, ',')
	}
	return dst
}

func appendName(dst []byte, name string) []byte {
	dst = comma(dst, '{')
	dst = appendText(dst, name)
	return append(dst, ':')
}

func appendBlock(dst []byte, b *Block, data []byte, version uint16) []byte {
	for i := range b.Fields {
		f := &b.Fields[i]
		if f.Since > version || f.End() > len(data) {
			continue
		}
		dst = appendName(dst, f.Name)
		dst = appendValue(dst, f, data)
	}
	return dst
}

func appendValue(dst []byte, f *Field, data []byte) []byte {
	t := f.Type
	if t.Size == 0 {
		dst = append(dst, `{"value":`...)
		if t.Kind == Text {
			dst = appendText(dst, t.Constant)
		} else {
			dst = append(dst, t.Constant...)
		}
		return append(dst, `,"constant":true}`...)
	}
	switch t.Kind {
	case Text:
		text, _ := f.Text(data, f.Since)
		return appendText(dst, string(text))
	case Composite:
		dst = append(dst, '{')
		for i := range t.Members {
			m := &t.Members[i]
			dst = appendName(dst, m.Name)
			dst = appendValue(dst, m, data[f.Offset:])
		}
		return append(dst, '}')
	}
	v, ok := f.Raw(data, f.Since)
	if !ok {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case Decimal:
		return appendDecimal(dst, t, v)
	case Enum:
		return appendEnum(dst, t, v)
	case Set:
		return appendSet(dst, t, v)
	}
	return appendInt(dst, t, v)
}

func appendInt(dst []byte, t *Type, v uint64) []byte {
	if t.Signed {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendUint(dst, v, 10)
}

func appendEnum(dst []byte, t *Type, v uint64) []byte {
	dst = append(dst, `{"value":`...)
	if t.Char {
		dst = appendText(dst, string([]byte{byte(v)}))
	} else {
		dst = appendInt(dst, t, v)
	}
	dst = append(dst, `,"name":`...)
	if name := t.ValueName(v); name != "" {
		dst = appendText(dst, name)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, '}')
}

func appendSet(dst []byte, t *Type, v uint64) []byte {
	dst = append(dst, `{"value":`...)
	dst = strconv.AppendUint(dst, v, 10)
	dst = append(dst, `,"flags":[`...)
	for i := range t.Values {
		if v>>t.Values[i].Value&1 != 0 {
			dst = comma(dst, '[')
			dst = appendText(dst, t.Values[i].Name)
		}
	}
	return append(dst, `]}`...)
}

func appendDecimal(dst []byte, t *Type, v uint64) []byte {
	dst = append(dst, `{"mantissa":`...)
	dst = appendInt(dst, t, v)
	dst = append(dst, `,"exponent":`...)
	dst = strconv.AppendInt(dst, int64(t.Exponent), 10)
	dst = append(dst, `,"decimal":"`...)
	if t.Signed && int64(v) < 0 {
		dst = append(dst, '-')
		v = -v
	}
	return append(appendShifted(dst, v, t.Exponent), `"}`...)
}

// appendShifted appends magnitude × 10^exponent, without trailing zeros behind the point.
func appendShifted(dst []byte, magnitude uint64, exponent int) []byte {
	var room [40]byte
	digits := strconv.AppendUint(room[:0], magnitude, 10)
	for ; exponent > 0 && magnitude != 0; exponent-- {
		digits = append(digits, '0')
	}
	whole := len(digits) + exponent
	if exponent >= 0 {
		return append(dst, digits...)
	}
	end := len(digits)
	for end > 0 && end > whole && digits[end-1] == '0' {
		end--
	}
	if whole <= 0 {
		dst = append(dst, '0')
	} else {
		dst = append(dst, digits[:whole]...)
	}
	if end > max(whole, 0) {
		dst = append(dst, '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		dst = append(dst, digits[whole:end]...)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
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
