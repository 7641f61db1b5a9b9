// Package format writes results for people and for other programs.
//
//	table    aligned columns, as psql shows them       people
//	csv      RFC 4180, a header, NULL as nothing       spreadsheets, scripts
//	json     one object a line                         scripts
//	arrow    Arrow IPC stream, nanoseconds never lost  notebooks
//	parquet  zstd, one row group a million rows        other engines
//
// All of them stream: memory does not grow with the result, but for table, which must know the widths and therefore
// holds back its first rows.
package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tickwire/tickwire/sqlgw"
)

// Names of the formats, as --format takes them.
var Names = []string{"table", "csv", "json", "arrow", "parquet"}

// writer takes chunks of one result.
type writer interface {
	chunk(c *sqlgw.Chunk) error
	// close ends the output; it does not close what it writes to.
	close() error
}

// Write writes a whole result and returns its rows. Rows are the caller's to close.
func Write(ctx context.Context, dst io.Writer, name string, rows sqlgw.Rows) (int64, error) {
	w, err := newWriter(dst, name, rows.Columns())
	if err != nil {
		return 0, err
	}
	var n int64
	for {
		c, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n, w.close()
		}
		if err != nil {
			return n, errors.Join(err, w.close())
		}
		if err := w.chunk(c); err != nil {
			return n, err
		}
		n += int64(c.Rows)
	}
}

func newWriter(dst io.Writer, name string, columns []sqlgw.Column) (writer, error) {
	switch name {
	case "table":
		return newTable(dst, columns), nil
	case "csv":
		return newCSV(dst, columns)
	case "json":
		return newJSON(dst, columns), nil
	case "arrow":
		return newArrow(dst, columns)
	case "parquet":
		return newParquet(dst, columns)
	}
	return nil, fmt.Errorf("format %q is unknown; known: %v", name, Names)
}

// Known says whether there is a format of this name.
func Known(name string) bool { return slices.Contains(Names, name) }
