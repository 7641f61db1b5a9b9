package pgwire

import (
	"math"

	"github.com/tickwire/tickwire/sqlgw"
)

// kinds is a result with every Kind, where the last row is NULL throughout.
func kinds() ([]sqlgw.Column, *sqlgw.Chunk) {
	const rows = 6
	null := []bool{false, false, false, false, false, true}
	ch := &sqlgw.Chunk{Rows: rows}
	var cols []sqlgw.Column
	add := func(c sqlgw.Column, v sqlgw.Vector) {
		if c.Mod == 0 {
			c.Mod = -1
		}
		v.Null = null
		cols = append(cols, c)
		ch.Vectors = append(ch.Vectors, v)
	}
	add(sqlgw.Column{Name: "bool", Kind: sqlgw.Bool, OID: oidBool}, sqlgw.Vector{I64: []int64{0, 1, 0, 1, 1, 0}})
	add(sqlgw.Column{Name: "int2", Kind: sqlgw.Int2, OID: oidInt2}, sqlgw.Vector{I64: []int64{0, 1, -1, math.MaxInt16, math.MinInt16, 0}})
	add(sqlgw.Column{Name: "int4", Kind: sqlgw.Int4, OID: oidInt4}, sqlgw.Vector{I64: []int64{0, 1, -1, math.MaxInt32, math.MinInt32, 0}})
	add(sqlgw.Column{Name: "int8", Kind: sqlgw.Int8, OID: oidInt8}, sqlgw.Vector{I64: []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 0}})
	add(sqlgw.Column{Name: "float4", Kind: sqlgw.Float4, OID: oidFloat4}, sqlgw.Vector{F64: []float64{0, float64(float32(0.1)), -1e-30, math.Inf(1), 1e6, 0}})
	add(sqlgw.Column{Name: "float8", Kind: sqlgw.Float8, OID: oidFloat8}, sqlgw.Vector{F64: []float64{0.1, 1e15, -1e-5, math.Inf(-1), math.MaxFloat64, 0}})
	add(sqlgw.Column{Name: "numeric", Kind: sqlgw.Numeric, OID: oidNumeric, Width: 18, Scale: 9, Mod: 18<<16 | 9 + 4},
		sqlgw.Vector{I64: []int64{0, 1, -123_450_000_000, 999_999_999_999_999_999, 10_000_000_000_000, 0}})
	add(sqlgw.Column{Name: "numeric128", Kind: sqlgw.Numeric, OID: oidNumeric, Width: 38},
		sqlgw.Vector{Hi: []int64{0, -1, math.MinInt64, math.MaxInt64, 5, 0}, I64: []int64{0, -1, 0, -1, 0, 0}})
	add(sqlgw.Column{Name: "numeric38_4", Kind: sqlgw.Numeric, OID: oidNumeric, Width: 38, Scale: 4},
		sqlgw.Vector{Hi: []int64{0, -1, -77, 4_000_000_000_000_000_000, 5, 0}, I64: []int64{10_000, -20_000, 55, 12345, 1 << 40, 0}})
	add(sqlgw.Column{Name: "text", Kind: sqlgw.Text, OID: oidText}, sqlgw.Vector{Str: []string{"", "AAPL", "ü", "a'b\"c\\", "x\ny", ""}})
	add(sqlgw.Column{Name: "bytea", Kind: sqlgw.Bytea, OID: oidBytea}, sqlgw.Vector{Str: []string{"", "\x00\xff", "abc", "\\x", "\n", ""}})
	add(sqlgw.Column{Name: "date", Kind: sqlgw.Date, OID: oidDate}, sqlgw.Vector{I64: []int64{0, 20_454, -1, -719_162, 2_932_896, 0}})
	add(sqlgw.Column{Name: "time", Kind: sqlgw.Time, OID: oidTime}, sqlgw.Vector{I64: []int64{0, 1, 34_200_000_000, 86_399_999_999, 86_400_000_000, 0}})
	stamps := []int64{0, 1_767_623_400_123_456, -1, 946_684_800_000_000, 253_402_300_799_999_999, 0}
	add(sqlgw.Column{Name: "timestamp", Kind: sqlgw.Timestamp, OID: oidTimestamp}, sqlgw.Vector{I64: stamps})
	add(sqlgw.Column{Name: "timestamptz", Kind: sqlgw.TimestampTZ, OID: oidTimestampTZ}, sqlgw.Vector{I64: stamps})
	add(sqlgw.Column{Name: "interval", Kind: sqlgw.Interval, OID: oidInterval}, sqlgw.Vector{
		Hi:  []int64{0, 14<<32 | 3, int64(-1)<<32 | 0xffff_ffff, 0, 1 << 32, 0},
		I64: []int64{0, 3_723_000_001, -1, 86_400_000_000, 0, 0}})
	return cols, ch
}
