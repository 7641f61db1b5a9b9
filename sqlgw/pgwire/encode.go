package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
)

// A DataRow is
//
//	offset  size  field
//	0       1     'D'
//	1       4     length
//	5       2     number of values
//	7       4     length of a value, -1 for NULL; then its bytes, and the next value
//
// Text and binary of a value are made from the same integers, so that they cannot differ: clients change from one to the
// other during the life of a statement.

// column is how the values of a result's column go out.
type column struct {
	kind   sqlgw.Kind
	oid    uint32
	scale  int
	binary bool
	zone   *time.Location // of text timestamptz; nil: UTC
}

func encoders(cols []sqlgw.Column, formats []int16, zone *time.Location) []column {
	if zone == time.UTC {
		zone = nil
	}
	out := make([]column, len(cols))
	for i, c := range cols {
		out[i] = column{c.Kind, c.OID, min(max(int(c.Scale), 0), 38), formatOf(formats, i) == 1, zone}
	}
	return out
}

// adapt makes encoders fit a result whose columns turned out otherwise than the client was told: an engine may learn the
// types of parameters only from their values. Text shows what is there. Binary must be what was told, or is refused
// with the words on which drivers prepare the statement again.
func adapt(enc []column, told, got []sqlgw.Column) error {
	changed := &sqlgw.Error{State: "0A000", Message: "cached plan must not change result type"}
	if len(told) != len(got) {
		return changed
	}
	for i := range enc {
		t, g := told[i].Kind, got[i].Kind
		e := &enc[i]
		switch {
		case t == g:
			e.scale = min(max(int(got[i].Scale), 0), 38)
		case !e.binary:
			e.kind, e.scale = g, min(max(int(got[i].Scale), 0), 38)
		case t == sqlgw.Text && elementOf(e.oid) == 0 && e.oid != oidUUID && e.oid != oidJSONB:
			e.binary, e.kind, e.scale = false, g, min(max(int(got[i].Scale), 0), 38) // the same bytes either way
		case g <= sqlgw.Int8 && g >= sqlgw.Int2 && t <= sqlgw.Int8 && t > g:
		case g <= sqlgw.Int8 && g >= sqlgw.Int2 && t == sqlgw.Numeric:
			e.scale = 0
		case t == sqlgw.Float8 && g == sqlgw.Float4:
		default:
			return changed
		}
	}
	return nil
}

// formatOf is the format code of column i: none stands for text, one for all.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 0:
		return 0
	case len(formats) == 1:
		return formats[0]
	}
	return formats[i]
}

// appendRow adds row i of a chunk as a DataRow.
func appendRow(out []byte, cols []column, ch *sqlgw.Chunk, i int) []byte {
	start := len(out)
	out = append(out, 'D', 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(cols)))
	for c := range cols {
		v := &ch.Vectors[c]
		if v.IsNull(i) {
			out = append(out, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(out)
		out = append(out, 0, 0, 0, 0)
		if cols[c].binary {
			out = cols[c].appendBinary(out, v, i)
		} else {
			out = cols[c].appendText(out, v, i)
		}
		binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	}
	binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	return out
}

// appendText adds value i of v as text, in the forms of PostgreSQL 15 with DateStyle ISO and IntervalStyle postgres.
func (c *column) appendText(out []byte, v *sqlgw.Vector, i int) []byte {
	switch c.kind {
	case sqlgw.Bool:
		return append(out, "ft"[v.I64[i]&1])
	case sqlgw.Int2, sqlgw.Int4, sqlgw.Int8:
		return strconv.AppendInt(out, v.I64[i], 10)
	case sqlgw.Float4:
		return appendFloat(out, v.F64[i], 32, 6)
	case sqlgw.Float8:
		return appendFloat(out, v.F64[i], 64, 15)
	case sqlgw.Numeric:
		return appendNumericText(out, v, i, c.scale)
	case sqlgw.Bytea:
		out = append(out, `\x`...)
		return hex.AppendEncode(out, []byte(v.Str[i]))
	case sqlgw.Date:
		return appendDate(out, v.I64[i])
	case sqlgw.Time:
		return appendClock(out, v.I64[i])
	case sqlgw.Timestamp:
		return appendTimestamp(out, v.I64[i], nil, false)
	case sqlgw.TimestampTZ:
		return appendTimestamp(out, v.I64[i], c.zone, true)
	case sqlgw.Interval:
		months, days := monthsDays(v.Hi[i])
		return appendInterval(out, months, days, v.I64[i])
	}
	return append(out, v.Str[i]...)
}

// appendBinary adds value i of v as the type's send function does. The width follows the type the client was told.
func (c *column) appendBinary(out []byte, v *sqlgw.Vector, i int) []byte {
	be := binary.BigEndian
	switch c.kind {
	case sqlgw.Bool:
		return append(out, byte(v.I64[i]&1))
	case sqlgw.Int2:
		return be.AppendUint16(out, uint16(v.I64[i]))
	case sqlgw.Int4:
		return be.AppendUint32(out, uint32(v.I64[i]))
	case sqlgw.Int8:
		if c.oid == oidOID {
			return be.AppendUint32(out, uint32(v.I64[i]))
		}
		return be.AppendUint64(out, uint64(v.I64[i]))
	case sqlgw.Float4:
		return be.AppendUint32(out, math.Float32bits(float32(v.F64[i])))
	case sqlgw.Float8:
		return be.AppendUint64(out, math.Float64bits(v.F64[i]))
	case sqlgw.Numeric:
		return appendNumericBinary(out, v, i, c.scale)
	case sqlgw.Date:
		return be.AppendUint32(out, uint32(int32(wireDate(v.I64[i]))))
	case sqlgw.Time:
		return be.AppendUint64(out, uint64(v.I64[i]))
	case sqlgw.Timestamp, sqlgw.TimestampTZ:
		return be.AppendUint64(out, uint64(wireMicros(v.I64[i])))
	case sqlgw.Interval:
		months, days := monthsDays(v.Hi[i])
		out = be.AppendUint64(out, uint64(v.I64[i]))
		out = be.AppendUint32(out, uint32(days))
		return be.AppendUint32(out, uint32(months))
	}
	return appendTextBinary(out, c.oid, v.Str[i])
}

// appendTextBinary is the binary form of what an engine gives as text: the bytes themselves, but for a few types.
func appendTextBinary(out []byte, oid uint32, s string) []byte {
	switch oid {
	case oidUUID:
		if b, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && len(b) == 16 {
			return append(out, b...)
		}
	case oidJSONB:
		out = append(out, 1)
	}
	if elem := elementOf(oid); elem != 0 {
		return appendArrayBinary(out, elem, s)
	}
	return append(out, s...)
}

// appendFloat writes the shortest text that reads back as the same number, as PostgreSQL does since version 12: fixed
// for exponents from -4 to digits-1.
func appendFloat(out []byte, f float64, bits, digits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, "NaN"...)
	case math.IsInf(f, 1):
		return append(out, "Infinity"...)
	case math.IsInf(f, -1):
		return append(out, "-Infinity"...)
	}
	at := len(out)
	out = strconv.AppendFloat(out, f, 'e', -1, bits)
	e := strings.LastIndexByte(string(out[at:]), 'e')
	exponent, _ := strconv.Atoi(string(out[at+e+1:]))
	if exponent < -4 || exponent >= digits {
		return out
	}
	return strconv.AppendFloat(out[:at], f, 'f', -1, bits)
}

// monthsDays takes an interval's Hi apart.
func monthsDays(hi int64) (months, days int32) { return int32(hi >> 32), int32(uint32(hi)) }

// Infinity of dates and timestamps, as engines and PostgreSQL have it.
const (
	epochMicros = 946_684_800_000_000 // 2000-01-01 in µs since 1970-01-01
	epochDays   = 10_957
	laterMicros = math.MaxInt64
	soonMicros  = -math.MaxInt64 // DuckDB's -infinity; PostgreSQL's is MinInt64
	laterDays   = math.MaxInt32
	soonDays    = -math.MaxInt32
)

// wireMicros counts from 2000-01-01, as the protocol does. What is before the range of int64 then is -infinity.
func wireMicros(us int64) int64 {
	switch {
	case us == laterMicros:
		return math.MaxInt64
	case us < math.MinInt64+epochMicros:
		return math.MinInt64
	}
	return us - epochMicros
}

func wireDate(days int64) int64 {
	switch {
	case days >= laterDays:
		return math.MaxInt32
	case days <= soonDays+epochDays:
		return math.MinInt32
	}
	return days - epochDays
}

func appendDate(out []byte, days int64) []byte {
	switch {
	case days >= laterDays:
		return append(out, "infinity"...)
	case days <= soonDays+epochDays:
		return append(out, "-infinity"...)
	}
	y, m, d := civil(days)
	out, bc := appendYear(out, y)
	out = appendMonthDay(out, m, d)
	return append(out, bc...)
}

func appendTimestamp(out []byte, us int64, zone *time.Location, withZone bool) []byte {
	switch {
	case us == laterMicros:
		return append(out, "infinity"...)
	case us < math.MinInt64+epochMicros:
		return append(out, "-infinity"...)
	}
	shift := 0
	if zone != nil {
		_, shift = time.UnixMicro(us).In(zone).Zone()
	}
	local := us + int64(shift)*1e6
	days := floorDiv(local, 86400e6)
	y, m, d := civil(days)
	out, bc := appendYear(out, y)
	out = appendMonthDay(out, m, d)
	out = append(out, ' ')
	out = appendClock(out, local-days*86400e6)
	if withZone {
		out = appendOffset(out, shift)
	}
	return append(out, bc...)
}

// appendYear writes at least four digits. Years before 1 are counted from 1 BC; that is said at the end of the value.
func appendYear(out []byte, y int64) ([]byte, string) {
	bc := ""
	if y <= 0 {
		y, bc = 1-y, " BC"
	}
	for limit := int64(1000); limit > y && limit > 1; limit /= 10 {
		out = append(out, '0')
	}
	return strconv.AppendInt(out, y, 10), bc
}

func appendMonthDay(out []byte, m, d int) []byte {
	return append(out, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}

// appendClock writes HH:MM:SS and as many digits of a second as there are, at most six.
func appendClock(out []byte, us int64) []byte {
	sec := us / 1e6
	out = appendTwo(out, sec/3600)
	out = append(out, ':')
	out = appendTwo(out, sec/60%60)
	out = append(out, ':')
	out = appendTwo(out, sec%60)
	return appendMicros(out, us%1e6)
}

func appendTwo(out []byte, n int64) []byte {
	if n < 100 {
		return append(out, byte('0'+n/10), byte('0'+n%10))
	}
	return strconv.AppendInt(out, n, 10)
}

func appendMicros(out []byte, us int64) []byte {
	if us == 0 {
		return out
	}
	out = append(out, '.')
	for unit := int64(100_000); us > 0; unit /= 10 {
		out = append(out, byte('0'+us/unit))
		us %= unit
	}
	return out
}

// appendOffset writes +HH, and minutes and seconds where the zone has them.
func appendOffset(out []byte, seconds int) []byte {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	out = append(out, sign)
	out = appendTwo(out, int64(seconds/3600))
	if seconds%3600 != 0 {
		out = append(out, ':')
		out = appendTwo(out, int64(seconds/60%60))
	}
	if seconds%60 != 0 {
		out = append(out, ':')
		out = appendTwo(out, int64(seconds%60))
	}
	return out
}

// appendInterval writes "1 year 2 mons -3 days +04:05:06.7" as EncodeInterval does for IntervalStyle postgres.
func appendInterval(out []byte, months, days int32, us int64) []byte {
	start := len(out)
	negative := false
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(out) > start {
			out = append(out, ' ')
		}
		if negative && n > 0 {
			out = append(out, '+')
		}
		out = strconv.AppendInt(out, n, 10)
		out = append(out, ' ')
		out = append(out, unit...)
		if n != 1 {
			out = append(out, 's')
		}
		negative = n < 0
	}
	part(int64(months/12), "year")
	part(int64(months%12), "mon")
	part(int64(days), "day")
	if us == 0 && len(out) > start {
		return out
	}
	if len(out) > start {
		out = append(out, ' ')
	}
	magnitude := uint64(us)
	switch {
	case us < 0:
		out = append(out, '-')
		magnitude = -magnitude
	case negative:
		out = append(out, '+')
	}
	sec := int64(magnitude / 1e6)
	out = appendTwo(out, sec/3600)
	out = append(out, ':')
	out = appendTwo(out, sec/60%60)
	out = append(out, ':')
	out = appendTwo(out, sec%60)
	return appendMicros(out, int64(magnitude%1e6))
}

// civil is the Gregorian date of a day since 1970-01-01, for all of int64 a timestamp can mean (H. Hinnant,
// "chrono-compatible low-level date algorithms", civil_from_days).
func civil(days int64) (year int64, month, day int) {
	z := days + 719_468
	era := floorDiv(z, 146_097)
	doe := z - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
