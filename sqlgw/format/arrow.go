package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tickwire/tickwire/sqlgw"
)

// arrowType is the Arrow type of a column. Integers of a Numeric without scale stay exact as decimals.
func arrowType(c *sqlgw.Column) arrow.DataType {
	switch c.Kind {
	case sqlgw.Bool:
		return arrow.FixedWidthTypes.Boolean
	case sqlgw.Int2:
		return arrow.PrimitiveTypes.Int16
	case sqlgw.Int4:
		return arrow.PrimitiveTypes.Int32
	case sqlgw.Int8:
		return arrow.PrimitiveTypes.Int64
	case sqlgw.Float4:
		return arrow.PrimitiveTypes.Float32
	case sqlgw.Float8:
		return arrow.PrimitiveTypes.Float64
	case sqlgw.Numeric:
		width := int32(c.Width)
		if width <= 0 || width > 38 {
			width = 38
		}
		return &arrow.Decimal128Type{Precision: width, Scale: int32(c.Scale)}
	case sqlgw.Bytea:
		return arrow.BinaryTypes.Binary
	case sqlgw.Date:
		return arrow.FixedWidthTypes.Date32
	case sqlgw.Time:
		return arrow.FixedWidthTypes.Time64us
	case sqlgw.Timestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case sqlgw.TimestampTZ:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	}
	return arrow.BinaryTypes.String // Text, and Interval as its text
}

func arrowSchema(columns []sqlgw.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i := range columns {
		fields[i] = arrow.Field{Name: columns[i].Name, Type: arrowType(&columns[i]), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// recordBuilder gathers chunks into record batches.
type recordBuilder struct {
	columns []sqlgw.Column
	builder *array.RecordBuilder
	rows    int
}

func newRecordBuilder(columns []sqlgw.Column) recordBuilder {
	return recordBuilder{columns: columns, builder: array.NewRecordBuilder(memory.DefaultAllocator, arrowSchema(columns))}
}

func (b *recordBuilder) add(c *sqlgw.Chunk) {
	for i := range b.columns {
		v, field := &c.Vectors[i], b.builder.Field(i)
		for row := range c.Rows {
			if v.IsNull(row) {
				field.AppendNull()
				continue
			}
			appendArrow(field, &b.columns[i], v, row)
		}
	}
	b.rows += c.Rows
}

func appendArrow(field array.Builder, c *sqlgw.Column, v *sqlgw.Vector, row int) {
	switch f := field.(type) {
	case *array.BooleanBuilder:
		f.Append(v.I64[row] != 0)
	case *array.Int16Builder:
		f.Append(int16(v.I64[row]))
	case *array.Int32Builder:
		f.Append(int32(v.I64[row]))
	case *array.Int64Builder:
		f.Append(v.I64[row])
	case *array.Float32Builder:
		f.Append(float32(v.F64[row]))
	case *array.Float64Builder:
		f.Append(v.F64[row])
	case *array.Decimal128Builder:
		hi := v.I64[row] >> 63
		if v.Hi != nil {
			hi = v.Hi[row]
		}
		f.Append(decimal128.New(hi, uint64(v.I64[row])))
	case *array.BinaryBuilder:
		f.Append([]byte(v.Str[row]))
	case *array.Date32Builder:
		f.Append(arrow.Date32(v.I64[row]))
	case *array.Time64Builder:
		f.Append(arrow.Time64(v.I64[row]))
	case *array.TimestampBuilder:
		f.Append(arrow.Timestamp(v.I64[row]))
	case *array.StringBuilder:
		if c.Kind == sqlgw.Text {
			f.Append(v.Str[row])
		} else {
			f.Append(string(AppendText(nil, c, v, row)))
		}
	}
}

// flush hands what was gathered to write.
func (b *recordBuilder) flush(write func(arrow.RecordBatch) error) error {
	if b.rows == 0 {
		return nil
	}
	rec := b.builder.NewRecordBatch()
	defer rec.Release()
	b.rows = 0
	return write(rec)
}

const (
	arrowRows   = 1 << 16 // of a record batch in a stream
	parquetRows = 1 << 20 // of a row group
)

type arrowWriter struct {
	recordBuilder
	out *ipc.Writer
}

func newArrow(dst io.Writer, columns []sqlgw.Column) (*arrowWriter, error) {
	b := newRecordBuilder(columns)
	return &arrowWriter{b, ipc.NewWriter(dst, ipc.WithSchema(b.builder.Schema()))}, nil
}

func (w *arrowWriter) chunk(c *sqlgw.Chunk) error {
	w.add(c)
	if w.rows < arrowRows {
		return nil
	}
	return w.flush(w.out.Write)
}

func (w *arrowWriter) close() error {
	defer w.builder.Release()
	if err := w.flush(w.out.Write); err != nil {
		return err
	}
	return w.out.Close()
}

type parquetWriter struct {
	recordBuilder
	out *pqarrow.FileWriter
}

// keepOpen hides Close of what is written to: it is the caller's.
type keepOpen struct{ io.Writer }

func newParquet(dst io.Writer, columns []sqlgw.Column) (*parquetWriter, error) {
	b := newRecordBuilder(columns)
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithMaxRowGroupLength(parquetRows),
		parquet.WithVersion(parquet.V2_LATEST), parquet.WithStats(true))
	out, err := pqarrow.NewFileWriter(b.builder.Schema(), keepOpen{dst}, properties, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, err
	}
	return &parquetWriter{b, out}, nil
}

func (w *parquetWriter) chunk(c *sqlgw.Chunk) error {
	w.add(c)
	if w.rows < parquetRows {
		return nil
	}
	return w.flush(w.out.Write)
}

func (w *parquetWriter) close() error {
	defer w.builder.Release()
	if err := w.flush(w.out.Write); err != nil {
		return err
	}
	return w.out.Close()
}
