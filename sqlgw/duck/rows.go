//go:build cgo

package duck

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/sqlgw"
)

// Query runs the statement. The result is streamed: DuckDB works while it is read.
func (s *Stmt) Query(ctx context.Context, args []any) (sqlgw.Rows, error) {
	if len(args) != len(s.params) {
		return nil, &sqlgw.Error{State: "08P01", Message: fmt.Sprintf("the statement has %d parameters, %d were given", len(s.params), len(args))}
	}
	for i, arg := range args {
		if err := s.bind(mapping.IdxT(i+1), arg); err != nil {
			return nil, err
		}
	}
	r := &Rows{s: s, columns: s.columns, readers: s.readers}
	r.stop = context.AfterFunc(ctx, s.c.Interrupt)
	var pending mapping.PendingResult
	// The call for streaming is marked as deprecated upstream; its successor is not there yet, and without it a result lies
	// in memory as a whole before its first row is sent.
	if bindings.PendingPreparedStreaming(s.stmt, &pending) == mapping.StateError {
		err := newError(mapping.PendingError(pending), s.sql)
		mapping.DestroyPending(&pending)
		r.stop()
		return nil, err
	}
	defer mapping.DestroyPending(&pending)
	if mapping.ExecutePending(pending, &r.result) == mapping.StateError {
		err := newError(mapping.ResultError(&r.result), s.sql)
		mapping.DestroyResult(&r.result)
		r.stop()
		return nil, err
	}
	r.describe()
	return r, nil
}

// bind gives a parameter its value, converted to what the statement wants.
func (s *Stmt) bind(i mapping.IdxT, arg any) error {
	refuse := func(what string) error {
		return &sqlgw.Error{State: "22P02", Message: fmt.Sprintf("invalid input for parameter $%d: %s", i, what)}
	}
	var state mapping.State
	switch v := arg.(type) {
	case nil:
		state = mapping.BindNull(s.stmt, i)
	case bool:
		state = mapping.BindBoolean(s.stmt, i, v)
	case int64:
		state = mapping.BindInt64(s.stmt, i, v)
	case float64:
		state = mapping.BindDouble(s.stmt, i, v)
	case []byte:
		state = mapping.BindBlob(s.stmt, i, v)
	case time.Time:
		ts := mapping.NewTimestamp(v.UnixMicro())
		if s.params[i-1] == oidTimestamp {
			state = mapping.BindTimestamp(s.stmt, i, ts)
		} else {
			state = mapping.BindTimestampTZ(s.stmt, i, ts)
		}
	case string:
		switch s.params[i-1] {
		case oidInt2, oidInt4, oidInt8:
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err != nil {
				return refuse(fmt.Sprintf("%q is no integer", v))
			}
			state = mapping.BindInt64(s.stmt, i, n)
		case oidFloat4, oidFloat8:
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				return refuse(fmt.Sprintf("%q is no number", v))
			}
			state = mapping.BindDouble(s.stmt, i, f)
		default:
			state = mapping.BindVarchar(s.stmt, i, v)
		}
	default:
		return refuse(fmt.Sprintf("a value of type %T", arg))
	}
	if state == mapping.StateError {
		return refuse(mapping.PrepareError(s.stmt))
	}
	return nil
}

// Rows is a running result.
type Rows struct {
	s       *Stmt
	result  mapping.Result
	columns []sqlgw.Column
	readers []reader
	chunk   mapping.DataChunk
	out     sqlgw.Chunk
	stop    func() bool
	done    bool
	closed  bool
}

// describe takes the columns of the result itself: with parameters their types may have become others.
func (r *Rows) describe() {
	if r.s.columns == nil {
		return
	}
	n := mapping.ColumnCount(&r.result)
	if int(n) != len(r.columns) {
		return
	}
	columns, readers := make([]sqlgw.Column, n), make([]reader, n)
	for i := range n {
		t := mapping.ColumnLogicalType(&r.result, i)
		columns[i], readers[i] = columnOf(mapping.ColumnName(&r.result, i), t)
		mapping.DestroyLogicalType(&t)
		columns[i].Name = r.columns[i].Name
	}
	r.columns, r.readers = columns, readers
}

// Columns describe the result.
func (r *Rows) Columns() []sqlgw.Column { return r.columns }

// Tag is PostgreSQL's command tag.
func (r *Rows) Tag() string { return r.s.tag }

// Next gives the next chunk.
func (r *Rows) Next(ctx context.Context) (*sqlgw.Chunk, error) {
	for {
		if r.done || r.columns == nil {
			return nil, io.EOF
		}
		if err := ctx.Err(); err != nil {
			r.done = true
			return nil, newError("INTERRUPT Error: Interrupted!", r.s.sql)
		}
		r.free()
		r.chunk = mapping.FetchChunk(r.result)
		if r.chunk.Ptr == nil {
			r.done = true
			if why := mapping.ResultError(&r.result); why != "" {
				return nil, newError(why, r.s.sql)
			}
			return nil, io.EOF
		}
		n := int(mapping.DataChunkGetSize(r.chunk))
		if n == 0 {
			continue
		}
		r.out.Rows = n
		if r.out.Vectors == nil {
			r.out.Vectors = make([]sqlgw.Vector, len(r.columns))
		}
		for i := range r.columns {
			r.readers[i](mapping.DataChunkGetVector(r.chunk, mapping.IdxT(i)), n, &r.out.Vectors[i])
		}
		return &r.out, nil
	}
}

func (r *Rows) free() {
	if r.chunk.Ptr != nil {
		mapping.DestroyDataChunk(&r.chunk)
	}
}

// Close ends the query, wherever it is.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.stop()
	r.free()
	mapping.DestroyResult(&r.result)
	if !r.done && r.columns != nil {
		r.s.c.settle()
	}
	return nil
}
