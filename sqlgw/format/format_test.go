package format

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tickwire/tickwire/sqlgw"
)

// rows is a result that is there already.
type rows struct {
	columns []sqlgw.Column
	chunks  []*sqlgw.Chunk
}

func (r *rows) Columns() []sqlgw.Column { return r.columns }
func (r *rows) Tag() string             { return "SELECT" }
func (r *rows) Close() error            { return nil }

func (r *rows) Next(context.Context) (*sqlgw.Chunk, error) {
	if len(r.chunks) == 0 {
		return nil, io.EOF
	}
	c := r.chunks[0]
	r.chunks = r.chunks[1:]
	return c, nil
}

// everyKind has one column of each kind: a first row of values, a second of NULLs.
func everyKind() *rows {
	null := []bool{false, true}
	column := func(name string, k sqlgw.Kind) sqlgw.Column { return sqlgw.Column{Name: name, Kind: k, Mod: -1} }
	numeric := column("price", sqlgw.Numeric)
	numeric.Width, numeric.Scale = 18, 9
	huge := column("huge", sqlgw.Numeric)
	huge.Width = 38
	i64 := func(v int64) sqlgw.Vector { return sqlgw.Vector{I64: []int64{v, 0}, Null: null} }
	return &rows{
		columns: []sqlgw.Column{
			column("b", sqlgw.Bool), column("i2", sqlgw.Int2), column("i4", sqlgw.Int4), column("i8", sqlgw.Int8),
			column("f4", sqlgw.Float4), column("f8", sqlgw.Float8), numeric, huge, column("t", sqlgw.Text), column("y", sqlgw.Bytea),
			column("d", sqlgw.Date), column("tm", sqlgw.Time), column("ts", sqlgw.Timestamp), column("tz", sqlgw.TimestampTZ),
			column("iv", sqlgw.Interval),
		},
		chunks: []*sqlgw.Chunk{{Rows: 2, Vectors: []sqlgw.Vector{
			i64(1), i64(-2), i64(70000), i64(math.MinInt64),
			{F64: []float64{1.5, 0}, Null: null}, {F64: []float64{0.1, 0}, Null: null},
			i64(-1_500_000), {I64: []int64{0, 0}, Hi: []int64{1, 0}, Null: null},
			{Str: []string{`say "hi", all`, ""}, Null: null}, {Str: []string{"\x00\xff", ""}, Null: null},
			i64(19000), i64(3_600_000_001), i64(1_700_000_000_123_400), i64(-1),
			{I64: []int64{-90_000_000, 0}, Hi: []int64{14<<32 | int64(uint32(3)), 0}, Null: null},
		}}},
	}
}

var everyText = []string{
	"t", "-2", "70000", "-9223372036854775808", "1.5", "0.1", "-0.001500000", "18446744073709551616", `say "hi", all`, `\x00ff`,
	"2022-01-08", "01:00:00.000001", "2023-11-14 22:13:20.1234", "1969-12-31 23:59:59.999999+00", "1 year 2 mons 3 days -00:01:30",
}

func write(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := Write(t.Context(), &out, name, everyKind())
	if err != nil || n != 2 {
		t.Fatalf("%s: %d rows, %v", name, n, err)
	}
	return out.Bytes()
}

func TestText(t *testing.T) {
	r := everyKind()
	for i := range r.columns {
		if got := string(AppendText(nil, &r.columns[i], &r.chunks[0].Vectors[i], 0)); got != everyText[i] {
			t.Errorf("%s: %q, want %q", r.columns[i].Name, got, everyText[i])
		}
	}
	v := sqlgw.Vector{F64: []float64{math.Inf(-1), math.NaN()}}
	c := sqlgw.Column{Kind: sqlgw.Float8}
	if got := string(AppendText(AppendText(nil, &c, &v, 0), &c, &v, 1)); got != "-InfinityNaN" {
		t.Errorf("floats without a number: %s", got)
	}
}

func TestCSV(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(write(t, "csv"))).ReadAll()
	if err != nil || len(lines) != 3 {
		t.Fatalf("%v, %v", lines, err)
	}
	for i, want := range everyText {
		if lines[1][i] != want || lines[2][i] != "" {
			t.Errorf("column %s: %q and %q, want %q and nothing", lines[0][i], lines[1][i], lines[2][i], want)
		}
	}
}

func TestJSON(t *testing.T) {
	dec := json.NewDecoder(bytes.NewReader(write(t, "json")))
	dec.UseNumber()
	var values, nulls map[string]any
	if err := dec.Decode(&values); err != nil {
		t.Fatal(err)
	}
	if err := dec.Decode(&nulls); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"b": true, "i8": json.Number("-9223372036854775808"), "price": json.Number("-0.001500000"),
		"huge": json.Number("18446744073709551616"), "t": `say "hi", all`, "tz": "1969-12-31 23:59:59.999999+00",
	} {
		if values[name] != want {
			t.Errorf("%s: %v, want %v", name, values[name], want)
		}
	}
	for name, v := range nulls {
		if v != nil {
			t.Errorf("%s: %v, want null", name, v)
		}
	}
}

func TestTable(t *testing.T) {
	got := string(write(t, "table"))
	if !strings.HasSuffix(got, "(2 rows)\n") || !strings.Contains(got, "-0.001500000") || strings.Count(got, "\n") != 5 {
		t.Error(got)
	}
	if got := printable("a\x1b[2Jb"); got != "a·[2Jb" {
		t.Errorf("a control character reaches the terminal: %q", got)
	}
}

// checkArrow compares a record batch, cell by cell, as Arrow prints it.
func checkArrow(t *testing.T, rec arrow.RecordBatch) {
	t.Helper()
	if rec.NumRows() != 2 {
		t.Fatalf("%d rows", rec.NumRows())
	}
	for i, want := range map[int]string{
		0: "true", 1: "-2", 3: "-9223372036854775808", 6: "-0.0015", 7: "18446744073709551616", 8: everyText[8],
		12: "2023-11-14T22:13:20.1234", 14: everyText[14],
	} {
		column := rec.Column(i)
		if got := column.ValueStr(0); got != want {
			t.Errorf("%s: %s, want %s", rec.ColumnName(i), got, want)
		}
		if !column.IsNull(1) {
			t.Errorf("%s: second row is no NULL", rec.ColumnName(i))
		}
	}
}

func TestArrow(t *testing.T) {
	r, err := ipc.NewReader(bytes.NewReader(write(t, "arrow")))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	checkArrow(t, r.RecordBatch())
}

func TestParquet(t *testing.T) {
	f, err := file.NewParquetReader(bytes.NewReader(write(t, "parquet")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	records := array.NewTableReader(table, 0)
	defer records.Release()
	if !records.Next() {
		t.Fatal("no rows")
	}
	checkArrow(t, records.RecordBatch())
}

func TestUnknownFormat(t *testing.T) {
	if _, err := Write(t.Context(), io.Discard, "xml", everyKind()); err == nil {
		t.Error("xml was written")
	}
}
