package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// parameters turns what Bind carries into values for the engine. oids are the types the statement said it has.
func parameters(oids []uint32, formats []int16, raw [][]byte, zone *time.Location) ([]any, error) {
	if len(raw) != len(oids) {
		return nil, protocol(fmt.Sprintf("bind message supplies %d parameters, but the prepared statement requires %d", len(raw), len(oids)))
	}
	if len(formats) > 1 && len(formats) != len(raw) {
		return nil, protocol(fmt.Sprintf("bind message has %d parameter formats but %d parameters", len(formats), len(raw)))
	}
	out := make([]any, len(raw))
	for i, b := range raw {
		if b == nil {
			continue
		}
		var err error
		switch formatOf(formats, i) {
		case 0:
			out[i], err = textParameter(oids[i], b, zone)
		case 1:
			out[i], err = binaryParameter(oids[i], b)
		default:
			err = protocol(fmt.Sprintf("unsupported format code: %d", formatOf(formats, i)))
		}
		if err != nil {
			return nil, inParameter(err, i)
		}
	}
	return out, nil
}

func inParameter(err error, i int) error {
	var e *sqlgw.Error
	if errors.As(err, &e) {
		copied := *e
		copied.Detail = strings.TrimSpace(fmt.Sprintf("%s Parameter $%d.", copied.Detail, i+1))
		return &copied
	}
	return &sqlgw.Error{State: "22P03", Message: fmt.Sprintf("incorrect binary data format in bind parameter %d", i+1), Detail: err.Error()}
}

// textParameter reads the text form. Types that have no value of their own in sqlgw stay text; the engine converts them.
func textParameter(oid uint32, b []byte, zone *time.Location) (any, error) {
	if !utf8.Valid(b) || strings.IndexByte(string(b), 0) >= 0 {
		return nil, &sqlgw.Error{State: "22021", Message: "invalid byte sequence for encoding \"UTF8\""}
	}
	s := string(b)
	trimmed := strings.TrimSpace(s)
	switch oid {
	case oidBool:
		switch v := strings.ToLower(trimmed); {
		case v == "1" || v == "on" || v != "" && (strings.HasPrefix("true", v) || strings.HasPrefix("yes", v)):
			return true, nil
		case v == "0" || v == "of" || v == "off" || v != "" && (strings.HasPrefix("false", v) || strings.HasPrefix("no", v)):
			return false, nil
		}
		return nil, badText("boolean", s)
	case oidInt2, oidInt4, oidInt8, oidOID:
		return integer(oid, s, trimmed)
	case oidFloat4, oidFloat8:
		bits := 64
		if oid == oidFloat4 {
			bits = 32
		}
		f, err := strconv.ParseFloat(trimmed, bits)
		if errors.Is(err, strconv.ErrRange) {
			return nil, &sqlgw.Error{State: "22003", Message: fmt.Sprintf("%q is out of range for type double precision", s)}
		}
		if err != nil || strings.ContainsAny(trimmed, "_xX") {
			return nil, badText("double precision", s)
		}
		return f, nil
	case oidTimestamp, oidTimestampTZ:
		if oid == oidTimestamp {
			zone = time.UTC
		}
		t, err := parseTime(trimmed, zone, oid == oidTimestamp)
		if err != nil {
			return nil, &sqlgw.Error{State: "22007", Message: fmt.Sprintf("invalid input syntax for type timestamp with time zone: %q", s)}
		}
		return t, nil
	case oidBytea:
		return byteaText(s)
	}
	if elem := elementOf(oid); elem != 0 {
		return listText(s)
	}
	return s, nil
}

func badText(typ, s string) error {
	return &sqlgw.Error{State: "22P02", Message: fmt.Sprintf("invalid input syntax for type %s: %q", typ, s)}
}

func integer(oid uint32, s, trimmed string) (any, error) {
	name, least, most := "bigint", int64(math.MinInt64), int64(math.MaxInt64)
	switch oid {
	case oidInt2:
		name, least, most = "smallint", math.MinInt16, math.MaxInt16
	case oidInt4:
		name, least, most = "integer", math.MinInt32, math.MaxInt32
	case oidOID:
		name, least, most = "oid", math.MinInt32, math.MaxUint32
	}
	n, err := strconv.ParseInt(trimmed, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (n < least || n > most) {
		return nil, &sqlgw.Error{State: "22003", Message: fmt.Sprintf("value %q is out of range for type %s", s, name)}
	}
	if err != nil {
		return nil, badText(name, s)
	}
	return n, nil
}

// parseTime reads ISO 8601 and what PostgreSQL clients write: a blank or T, up to nine digits of a second, Z or an
// offset. Without an offset the time is in zone; for a timestamp without zone an offset is ignored, as PostgreSQL does.
func parseTime(s string, zone *time.Location, ignoreOffset bool) (time.Time, error) {
	if strings.EqualFold(s, "now") {
		return time.Now(), nil
	}
	if strings.EqualFold(s, "epoch") {
		return time.Unix(0, 0).UTC(), nil
	}
	s = strings.Replace(s, "t", "T", 1)
	if at := strings.IndexByte(s, ' '); at > 0 {
		s = s[:at] + "T" + strings.TrimSpace(s[at+1:])
	}
	s = strings.Replace(strings.Replace(s, " Z", "Z", 1), " +", "+", 1)
	for _, day := range []string{"2006-01-02", "2006-1-2"} {
		for _, clock := range []string{"T15:04:05", "T15:04", ""} {
			for _, off := range []string{"", "Z07:00", "Z0700", "Z07", "Z07:00:00"} {
				if clock == "" && off != "" {
					continue
				}
				t, err := time.ParseInLocation(day+clock+off, s, zone)
				if err != nil {
					continue
				}
				if ignoreOffset {
					t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
				}
				return t, nil
			}
		}
	}
	return time.Time{}, errors.New("no timestamp")
}

// byteaText reads \x hex and the older escape form (section 8.4).
func byteaText(s string) (any, error) {
	bad := &sqlgw.Error{State: "22P02", Message: "invalid input syntax for type bytea"}
	if rest, ok := strings.CutPrefix(s, `\x`); ok {
		b, err := hex.DecodeString(strings.Map(func(r rune) rune {
			if r == ' ' || r == '\n' || r == '\t' {
				return -1
			}
			return r
		}, rest))
		if err != nil {
			return nil, bad
		}
		return b, nil
	}
	out := []byte{}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\\' {
			out = append(out, '\\')
			i++
			continue
		}
		if i+3 >= len(s) {
			return nil, bad
		}
		n, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil {
			return nil, bad
		}
		out = append(out, byte(n))
		i += 3
	}
	return out, nil
}

// listText writes an array's elements as the engine's list literal: ['a', NULL].
func listText(s string) (any, error) {
	elements, ok := catalog.ParseArray(s)
	if !ok {
		return nil, &sqlgw.Error{State: "22P02", Message: fmt.Sprintf("malformed array literal: %q", s)}
	}
	return list(elements), nil
}

func list(elements []catalog.Element) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteString(", ")
		}
		if e.Null {
			b.WriteString("NULL")
			continue
		}
		b.WriteByte('\'')
		for j := 0; j < len(e.Text); j++ {
			if e.Text[j] == '\'' || e.Text[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(e.Text[j])
		}
		b.WriteByte('\'')
	}
	b.WriteByte(']')
	return b.String()
}

// binaryParameter reads the binary form. b is the message's own memory: what is kept is copied.
func binaryParameter(oid uint32, b []byte) (any, error) {
	be := binary.BigEndian
	if want := sizeOf(oid); want > 0 && oid != oidName && oid != oidChar && len(b) != int(want) {
		return nil, fmt.Errorf("%d bytes where type oid %d has %d", len(b), oid, want)
	}
	switch oid {
	case oidBool:
		return b[0] != 0, nil
	case oidInt2:
		return int64(int16(be.Uint16(b))), nil
	case oidInt4:
		return int64(int32(be.Uint32(b))), nil
	case oidOID:
		return int64(be.Uint32(b)), nil
	case oidInt8:
		return int64(be.Uint64(b)), nil
	case oidFloat4:
		return float64(math.Float32frombits(be.Uint32(b))), nil
	case oidFloat8:
		return math.Float64frombits(be.Uint64(b)), nil
	case oidNumeric:
		return numericText(b)
	case oidBytea:
		return append([]byte{}, b...), nil
	case oidTimestamp, oidTimestampTZ:
		return binaryTime(int64(be.Uint64(b)))
	case oidDate:
		out := appendDate(nil, int64(int32(be.Uint32(b)))+epochDays)
		return string(out), nil
	case oidTime:
		us := int64(be.Uint64(b))
		if us < 0 || us > 86400e6 {
			return nil, errors.New("a time outside of the day")
		}
		return string(appendClock(nil, us)), nil
	case oidInterval:
		out := appendInterval(nil, int32(be.Uint32(b[12:])), int32(be.Uint32(b[8:])), int64(be.Uint64(b)))
		return string(out), nil
	case oidUUID:
		h := hex.EncodeToString(b)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
	case oidJSONB:
		if len(b) == 0 || b[0] != 1 {
			return nil, errors.New("a jsonb of another version than 1")
		}
		b = b[1:]
	}
	if elem := elementOf(oid); elem != 0 {
		return binaryArray(b)
	}
	if !utf8.Valid(b) || strings.IndexByte(string(b), 0) >= 0 {
		return nil, &sqlgw.Error{State: "22021", Message: "invalid byte sequence for encoding \"UTF8\""}
	}
	return string(b), nil
}

func binaryTime(us int64) (any, error) {
	switch {
	case us == math.MaxInt64:
		return "infinity", nil
	case us == math.MinInt64:
		return "-infinity", nil
	case us > math.MaxInt64-epochMicros:
		return nil, errors.New("a timestamp out of range")
	}
	return time.UnixMicro(us + epochMicros).UTC(), nil
}

// binaryArray reads a one-dimensional array (see appendArrayBinary).
func binaryArray(b []byte) (any, error) {
	be := binary.BigEndian
	if len(b) < 12 {
		return nil, errors.New("an array of less than 12 bytes")
	}
	dims, elem := be.Uint32(b), be.Uint32(b[8:])
	if dims == 0 {
		return "[]", nil
	}
	if dims != 1 || len(b) < 20 {
		return nil, errors.New("an array of more than one dimension")
	}
	n := be.Uint32(b[12:])
	b = b[20:]
	if uint64(n)*4 > uint64(len(b)) {
		return nil, errors.New("an array with fewer elements than it says")
	}
	if elementOf(elem) != 0 {
		return nil, errors.New("an array of arrays")
	}
	elements := make([]catalog.Element, 0, n)
	for range n {
		if len(b) < 4 {
			return nil, errors.New("an array that ends within an element")
		}
		size := int(int32(be.Uint32(b)))
		b = b[4:]
		if size == -1 {
			elements = append(elements, catalog.Element{Null: true})
			continue
		}
		if size < 0 || size > len(b) {
			return nil, errors.New("an array that ends within an element")
		}
		v, err := binaryParameter(elem, b[:size])
		if err != nil {
			return nil, err
		}
		b = b[size:]
		elements = append(elements, catalog.Element{Text: valueText(v)})
	}
	return list(elements), nil
}

func valueText(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Format("2006-01-02 15:04:05.999999999Z07:00")
	case []byte:
		return string(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
