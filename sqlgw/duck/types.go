//go:build cgo

package duck

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/sqlgw"
)

// PostgreSQL's type numbers.
const (
	oidBool        = 16
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidFloat4      = 700
	oidFloat8      = 701
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidInterval    = 1186
	oidNumeric     = 1700
	oidUUID        = 2950
)

func oidOf(t mapping.Type) uint32 {
	switch t {
	case mapping.TypeBoolean:
		return oidBool
	case mapping.TypeTinyInt, mapping.TypeSmallInt, mapping.TypeUTinyInt:
		return oidInt2
	case mapping.TypeInteger, mapping.TypeUSmallInt, mapping.TypeIntegerLiteral:
		return oidInt4
	case mapping.TypeBigInt, mapping.TypeUInteger:
		return oidInt8
	case mapping.TypeUBigInt, mapping.TypeHugeInt, mapping.TypeUHugeInt, mapping.TypeDecimal:
		return oidNumeric
	case mapping.TypeFloat:
		return oidFloat4
	case mapping.TypeDouble:
		return oidFloat8
	case mapping.TypeDate:
		return oidDate
	case mapping.TypeTime:
		return oidTime
	case mapping.TypeTimestamp, mapping.TypeTimestampS, mapping.TypeTimestampMS, mapping.TypeTimestampNS:
		return oidTimestamp
	case mapping.TypeTimestampTZ:
		return oidTimestampTZ
	case mapping.TypeInterval:
		return oidInterval
	case mapping.TypeBlob:
		return oidBytea
	}
	return oidText
}

// reader copies the n values of a vector of DuckDB's.
type reader func(v mapping.Vector, n int, out *sqlgw.Vector)

// columnOf describes a column, and says how its values are read. Types that PostgreSQL has no like of become text.
func columnOf(name string, t mapping.LogicalType) (sqlgw.Column, reader) {
	id := mapping.GetTypeId(t)
	c := sqlgw.Column{Name: columnName(name), OID: oidOf(id), Mod: -1}
	switch id {
	case mapping.TypeBoolean:
		c.Kind = sqlgw.Bool
		return c, integers[uint8]
	case mapping.TypeTinyInt:
		c.Kind = sqlgw.Int2
		return c, integers[int8]
	case mapping.TypeSmallInt:
		c.Kind = sqlgw.Int2
		return c, integers[int16]
	case mapping.TypeUTinyInt:
		c.Kind = sqlgw.Int2
		return c, integers[uint8]
	case mapping.TypeInteger:
		c.Kind = sqlgw.Int4
		return c, integers[int32]
	case mapping.TypeUSmallInt:
		c.Kind = sqlgw.Int4
		return c, integers[uint16]
	case mapping.TypeBigInt:
		c.Kind = sqlgw.Int8
		return c, integers[int64]
	case mapping.TypeUInteger:
		c.Kind = sqlgw.Int8
		return c, integers[uint32]
	case mapping.TypeUBigInt:
		c.Kind, c.Width = sqlgw.Numeric, 20
		c.Mod = numericMod(20, 0)
		return c, unsigned
	case mapping.TypeHugeInt, mapping.TypeUHugeInt:
		c.Kind, c.Width = sqlgw.Numeric, 38
		c.Mod = numericMod(38, 0)
		return c, hugeIntegers
	case mapping.TypeDecimal:
		c.Kind, c.Width, c.Scale = sqlgw.Numeric, int8(mapping.DecimalWidth(t)), int8(mapping.DecimalScale(t))
		c.Mod = numericMod(int32(c.Width), int32(c.Scale))
		switch mapping.DecimalInternalType(t) {
		case mapping.TypeSmallInt:
			return c, integers[int16]
		case mapping.TypeInteger:
			return c, integers[int32]
		case mapping.TypeBigInt:
			return c, integers[int64]
		}
		return c, hugeIntegers
	case mapping.TypeFloat:
		c.Kind = sqlgw.Float4
		return c, floats[float32]
	case mapping.TypeDouble:
		c.Kind = sqlgw.Float8
		return c, floats[float64]
	case mapping.TypeDate:
		c.Kind = sqlgw.Date
		return c, integers[int32]
	case mapping.TypeTime:
		c.Kind = sqlgw.Time
		return c, integers[int64]
	case mapping.TypeTimestamp:
		c.Kind = sqlgw.Timestamp
		return c, integers[int64]
	case mapping.TypeTimestampS:
		c.Kind = sqlgw.Timestamp
		return c, scaled(1_000_000, 1)
	case mapping.TypeTimestampMS:
		c.Kind = sqlgw.Timestamp
		return c, scaled(1000, 1)
	case mapping.TypeTimestampNS:
		c.Kind = sqlgw.Timestamp
		return c, scaled(1, 1000)
	case mapping.TypeTimestampTZ:
		c.Kind = sqlgw.TimestampTZ
		return c, integers[int64]
	case mapping.TypeInterval:
		c.Kind = sqlgw.Interval
		return c, intervals
	case mapping.TypeVarchar:
		c.Kind = sqlgw.Text
		return c, texts
	case mapping.TypeBlob:
		c.Kind = sqlgw.Bytea
		return c, texts
	}
	c.Kind, c.OID = sqlgw.Text, oidText
	return c, asText(t)
}

// numericMod is PostgreSQL's type modifier of numeric(width, scale).
func numericMod(width, scale int32) int32 { return width<<16 | scale + 4 }

// nulls reads the validity of n values.
func nulls(v mapping.Vector, n int, out *sqlgw.Vector) {
	mask := mapping.VectorGetValidity(v)
	if mask == nil {
		out.Null = nil
		return
	}
	words := unsafe.Slice((*uint64)(mask), (n+63)/64)
	out.Null = resize(out.Null, n)
	any := false
	for i := range n {
		null := words[i/64]>>(i%64)&1 == 0
		out.Null[i] = null
		any = any || null
	}
	if !any {
		out.Null = nil
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func integers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.I64 = resize(out.I64, n)
	for i, x := range unsafe.Slice((*T)(mapping.VectorGetData(v)), n) {
		out.I64[i] = int64(x)
	}
}

// scaled reads timestamps of another unit than µs, truncating towards the past.
func scaled(times, by int64) reader {
	return func(v mapping.Vector, n int, out *sqlgw.Vector) {
		integers[int64](v, n, out)
		for i, x := range out.I64 {
			q := x * times / by
			if by > 1 && x%by < 0 {
				q--
			}
			out.I64[i] = q
		}
	}
}

func floats[T float32 | float64](v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.F64 = resize(out.F64, n)
	for i, x := range unsafe.Slice((*T)(mapping.VectorGetData(v)), n) {
		out.F64[i] = float64(x)
	}
}

func unsigned(v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.I64, out.Hi = resize(out.I64, n), resize(out.Hi, n)
	for i, x := range unsafe.Slice((*uint64)(mapping.VectorGetData(v)), n) {
		out.I64[i], out.Hi[i] = int64(x), 0
	}
}

// hugeInt is duckdb_hugeint.
type hugeInt struct {
	lower uint64
	upper int64
}

func hugeIntegers(v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.I64, out.Hi = resize(out.I64, n), resize(out.Hi, n)
	for i, x := range unsafe.Slice((*hugeInt)(mapping.VectorGetData(v)), n) {
		out.I64[i], out.Hi[i] = int64(x.lower), x.upper
	}
}

// interval is duckdb_interval.
type interval struct {
	months, days int32
	micros       int64
}

func intervals(v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.I64, out.Hi = resize(out.I64, n), resize(out.Hi, n)
	for i, x := range unsafe.Slice((*interval)(mapping.VectorGetData(v)), n) {
		out.I64[i], out.Hi[i] = x.micros, int64(x.months)<<32|int64(uint32(x.days))
	}
}

// longT is the other form of duckdb_string_t: more than 12 bytes lie elsewhere.
type longT struct {
	length uint32
	prefix [4]byte
	data   *byte
}

func stringAt(p *stringT) string {
	if p.length <= inlineBytes {
		return string(p.inline[:p.length])
	}
	return string(unsafe.Slice((*longT)(unsafe.Pointer(p)).data, p.length))
}

func texts(v mapping.Vector, n int, out *sqlgw.Vector) {
	nulls(v, n, out)
	out.Str = resize(out.Str, n)
	values := unsafe.Slice((*stringT)(mapping.VectorGetData(v)), n)
	for i := range values {
		if out.IsNull(i) {
			out.Str[i] = "" // what lies there is nothing
			continue
		}
		out.Str[i] = stringAt(&values[i])
	}
}

// asText reads values of a type that PostgreSQL has no like of. The reader keeps what it needs of the type.
func asText(t mapping.LogicalType) reader {
	id := mapping.GetTypeId(t)
	switch id {
	case mapping.TypeEnum:
		names := make([]string, mapping.EnumDictionarySize(t))
		for i := range names {
			names[i] = mapping.EnumDictionaryValue(t, mapping.IdxT(i))
		}
		internal := mapping.EnumInternalType(t)
		return func(v mapping.Vector, n int, out *sqlgw.Vector) {
			switch internal {
			case mapping.TypeUTinyInt:
				integers[uint8](v, n, out)
			case mapping.TypeUSmallInt:
				integers[uint16](v, n, out)
			default:
				integers[uint32](v, n, out)
			}
			out.Str = resize(out.Str, n)
			for i, x := range out.I64 {
				out.Str[i] = ""
				if !out.IsNull(i) && int(x) < len(names) {
					out.Str[i] = names[x]
				}
			}
		}
	case mapping.TypeUUID:
		return func(v mapping.Vector, n int, out *sqlgw.Vector) {
			hugeIntegers(v, n, out)
			out.Str = resize(out.Str, n)
			for i := range n {
				hi := uint64(out.Hi[i]) ^ 1<<63 // so that they sort as integers
				lo := uint64(out.I64[i])
				out.Str[i] = fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xFFFF, hi&0xFFFF, lo>>48, lo&(1<<48-1))
			}
		}
	case mapping.TypeList:
		child := mapping.ListTypeChildType(t)
		defer mapping.DestroyLogicalType(&child)
		column, read := columnOf("", child)
		return func(v mapping.Vector, n int, out *sqlgw.Vector) { lists(v, n, out, &column, read) }
	}
	// Structs, maps and their like have no form that a client of PostgreSQL would take: a cast to varchar has one.
	return func(v mapping.Vector, n int, out *sqlgw.Vector) {
		nulls(v, n, out)
		out.Str = resize(out.Str, n)
		for i := range out.Str {
			out.Str[i] = "(nested: cast it to varchar)"
		}
	}
}

// listEntry is duckdb_list_entry.
type listEntry struct{ offset, length uint64 }

// lists writes lists as PostgreSQL writes arrays.
func lists(v mapping.Vector, n int, out *sqlgw.Vector, column *sqlgw.Column, read reader) {
	nulls(v, n, out)
	out.Str = resize(out.Str, n)
	var values sqlgw.Vector
	read(mapping.ListVectorGetChild(v), int(mapping.ListVectorGetSize(v)), &values)
	for i, e := range unsafe.Slice((*listEntry)(mapping.VectorGetData(v)), n) {
		if out.IsNull(i) {
			out.Str[i] = ""
			continue
		}
		var b strings.Builder
		b.WriteByte('{')
		for k := range e.length {
			if k > 0 {
				b.WriteByte(',')
			}
			at := int(e.offset + k)
			if values.IsNull(at) {
				b.WriteString("NULL")
				continue
			}
			b.WriteString(arrayElement(column, &values, at))
		}
		b.WriteByte('}')
		out.Str[i] = b.String()
	}
}
