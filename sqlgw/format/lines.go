package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
)

// csvWriter writes RFC 4180 with line feeds. NULL is an empty field, an empty text is "".
type csvWriter struct {
	out     *bufio.Writer
	columns []sqlgw.Column
	field   []byte
}

func newCSV(dst io.Writer, columns []sqlgw.Column) (*csvWriter, error) {
	w := &csvWriter{out: bufio.NewWriterSize(dst, 1<<16), columns: columns}
	for i := range columns {
		if i > 0 {
			_ = w.out.WriteByte(',')
		}
		w.put([]byte(columns[i].Name), false)
	}
	return w, w.out.WriteByte('\n')
}

// put writes one field. Errors stay with the bufio.Writer until its Flush.
func (w *csvWriter) put(b []byte, isText bool) {
	if !bytes.ContainsAny(b, ",\"\r\n") && (!isText || len(b) > 0) {
		_, _ = w.out.Write(b)
		return
	}
	_ = w.out.WriteByte('"')
	_, _ = w.out.Write(bytes.ReplaceAll(b, []byte{'"'}, []byte{'"', '"'}))
	_ = w.out.WriteByte('"')
}

func (w *csvWriter) chunk(c *sqlgw.Chunk) error {
	for row := range c.Rows {
		for i := range w.columns {
			if i > 0 {
				_ = w.out.WriteByte(',')
			}
			if v := &c.Vectors[i]; !v.IsNull(row) {
				w.field = AppendText(w.field[:0], &w.columns[i], v, row)
				w.put(w.field, w.columns[i].Kind == sqlgw.Text)
			}
		}
		if err := w.out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return nil
}

func (w *csvWriter) close() error { return w.out.Flush() }

// jsonWriter writes one object a line. Integers and numerics are numbers with all their digits; what JSON has no number
// for (NaN, infinities) is text.
type jsonWriter struct {
	out     *bufio.Writer
	columns []sqlgw.Column
	names   [][]byte // with quotes and colon
	line    []byte
	text    []byte
}

func newJSON(dst io.Writer, columns []sqlgw.Column) *jsonWriter {
	w := &jsonWriter{out: bufio.NewWriterSize(dst, 1<<16), columns: columns}
	for i := range columns {
		w.names = append(w.names, append(appendQuoted(nil, columns[i].Name), ':'))
	}
	return w
}

func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7F {
			b, _ := json.Marshal(s) // text always has a form
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

func (w *jsonWriter) chunk(c *sqlgw.Chunk) error {
	for row := range c.Rows {
		b := append(w.line[:0], '{')
		for i := range w.columns {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, w.names[i]...)
			b = w.value(b, &w.columns[i], &c.Vectors[i], row)
		}
		w.line = append(b, '}', '\n')
		if _, err := w.out.Write(w.line); err != nil {
			return err
		}
	}
	return nil
}

func (w *jsonWriter) value(b []byte, c *sqlgw.Column, v *sqlgw.Vector, row int) []byte {
	if v.IsNull(row) {
		return append(b, "null"...)
	}
	switch c.Kind {
	case sqlgw.Bool:
		return strconv.AppendBool(b, v.I64[row] != 0)
	case sqlgw.Int2, sqlgw.Int4, sqlgw.Int8, sqlgw.Numeric:
		return AppendText(b, c, v, row)
	case sqlgw.Float4, sqlgw.Float8:
		if f := v.F64[row]; f-f == 0 { // a number, and finite
			return AppendText(b, c, v, row)
		}
	}
	w.text = AppendText(w.text[:0], c, v, row)
	return appendQuoted(b, string(w.text))
}

func (w *jsonWriter) close() error { return w.out.Flush() }

// tableWriter aligns columns. Widths come from the first rows; later ones that are wider stick out.
type tableWriter struct {
	out     *bufio.Writer
	columns []sqlgw.Column
	held    [][]string
	widths  []int
	begun   bool
	rows    int64
}

const heldRows = 5000

func newTable(dst io.Writer, columns []sqlgw.Column) *tableWriter {
	w := &tableWriter{out: bufio.NewWriterSize(dst, 1<<16), columns: columns, widths: make([]int, len(columns))}
	for i := range columns {
		w.widths[i] = utf8.RuneCountInString(columns[i].Name)
	}
	return w
}

func (w *tableWriter) chunk(c *sqlgw.Chunk) error {
	for row := range c.Rows {
		cells := make([]string, len(w.columns))
		for i := range w.columns {
			if v := &c.Vectors[i]; !v.IsNull(row) {
				cells[i] = printable(string(AppendText(nil, &w.columns[i], v, row)))
			}
		}
		w.rows++
		if w.begun {
			w.print(cells)
			continue
		}
		for i, cell := range cells {
			w.widths[i] = max(w.widths[i], utf8.RuneCountInString(cell))
		}
		if w.held = append(w.held, cells); len(w.held) == heldRows {
			w.begin()
		}
	}
	return nil
}

// printable keeps control characters of a value away from the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7F && r < 0xA0 {
			return '·'
		}
		return r
	}, s)
}

func (w *tableWriter) begin() {
	w.begun = true
	if len(w.columns) == 0 {
		return
	}
	names := make([]string, len(w.columns))
	for i := range w.columns {
		names[i] = w.columns[i].Name
	}
	w.print(names)
	for i, width := range w.widths {
		if i > 0 {
			_ = w.out.WriteByte('+')
		}
		_, _ = w.out.WriteString(strings.Repeat("-", width+2))
	}
	_ = w.out.WriteByte('\n')
	for _, cells := range w.held {
		w.print(cells)
	}
	w.held = nil
}

func (w *tableWriter) print(cells []string) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = w.out.WriteString("|")
		}
		pad := strings.Repeat(" ", max(0, w.widths[i]-utf8.RuneCountInString(cell)))
		switch {
		case w.right(i):
			_, _ = w.out.WriteString(" " + pad + cell + " ")
		case i == len(cells)-1:
			_, _ = w.out.WriteString(" " + cell)
		default:
			_, _ = w.out.WriteString(" " + cell + pad + " ")
		}
	}
	_ = w.out.WriteByte('\n')
}

// right says that a column is of numbers, which line up at their right.
func (w *tableWriter) right(i int) bool {
	switch w.columns[i].Kind {
	case sqlgw.Int2, sqlgw.Int4, sqlgw.Int8, sqlgw.Float4, sqlgw.Float8, sqlgw.Numeric:
		return true
	}
	return false
}

func (w *tableWriter) close() error {
	if !w.begun {
		w.begin()
	}
	if len(w.columns) > 0 {
		unit := "rows"
		if w.rows == 1 {
			unit = "row"
		}
		_, _ = w.out.WriteString("(" + strconv.FormatInt(w.rows, 10) + " " + unit + ")\n")
	}
	return w.out.Flush()
}
