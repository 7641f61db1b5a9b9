package pgwire

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// SQL cursors: a portal under the cursor's name, which reads forward only. WITH HOLD lives on after the transaction, as a
// result the engine is in the middle of.

func (s *session) cursorCommand(ctx context.Context, first string, w *words, p *plan) (*command, error) {
	switch first {
	case "declare":
		return s.declare(ctx, w, p)
	case "close":
		return s.closeCursor(w)
	}
	return s.fetchCommand(first, w)
}

// declare reads DECLARE name [BINARY] [INSENSITIVE] [[NO] SCROLL] CURSOR [WITH|WITHOUT HOLD] FOR query.
func (s *session) declare(ctx context.Context, w *words, p *plan) (*command, error) {
	name, err := w.name()
	if err != nil {
		return nil, err
	}
	var binary, hold bool
	for !w.take("cursor") {
		switch {
		case w.take("binary"):
			binary = true
		case w.any("insensitive", "asensitive", "scroll"), w.take("no", "scroll"):
		default:
			return nil, w.syntax()
		}
	}
	if w.take("with", "hold") {
		hold = true
	} else {
		w.take("without", "hold")
	}
	if !w.take("for") || w.end() {
		return nil, w.syntax()
	}
	start := w.toks[w.at].Start
	if s.tx == 'E' {
		return nil, errAborted
	}
	inner, err := s.plan(ctx, w.sql, catalog.Piece{SQL: w.sql[start:], Offset: start}, p.oids)
	if err != nil {
		return nil, err
	}
	if inner.cmd != nil {
		inner.drop()
		w.at = len(w.toks) - 1
		return nil, w.syntax()
	}
	inner.lead += p.lead
	return &command{inner: inner, run: func(_ context.Context, outer *portal) (sqlgw.Rows, string, error) {
		if s.portals[name] != nil {
			return nil, "", &sqlgw.Error{State: "42P03", Message: fmt.Sprintf("cursor %q already exists", name)}
		}
		if s.tx == 'I' && !hold {
			return nil, "", &sqlgw.Error{State: "25P01", Message: "DECLARE CURSOR can only be used in transaction blocks"}
		}
		if len(s.portals) >= maxPortals {
			return nil, "", &sqlgw.Error{State: "53400", Message: fmt.Sprintf("%d portals are open", maxPortals)}
		}
		c := newPortal(s, name, inner)
		c.cursor, c.hold, c.args = true, hold, outer.args
		if binary {
			c.formats = []int16{1}
		}
		s.portals[name] = c
		return nil, "DECLARE CURSOR", nil
	}}, nil
}

// direction of FETCH and MOVE: how many rows forward, -1 for all.
func direction(w *words) (int64, error) {
	backward := func() error {
		return &sqlgw.Error{State: "55000", Message: "cursor can only scan forward", Hint: "Results are streamed: ask again with ORDER BY … DESC."}
	}
	switch {
	case w.take("next"):
		return 1, nil
	case w.any("prior", "first", "last", "absolute", "backward"):
		return 0, backward()
	case w.take("all"), w.take("forward", "all"):
		return -1, nil
	}
	counted := w.any("forward", "relative")
	if w.is("-") {
		return 0, backward()
	}
	w.take("+")
	if w.end() || w.toks[w.at].Class != catalog.Number {
		if counted || w.is("from") || w.is("in") || !w.end() {
			return 1, nil
		}
		return 0, w.syntax()
	}
	n, err := strconv.ParseInt(w.text(), 10, 64)
	if err != nil {
		return 0, w.syntax()
	}
	if n == 0 {
		return 0, backward()
	}
	w.at++
	return n, nil
}

// fetchCommand reads FETCH and MOVE [direction] [FROM|IN] name.
func (s *session) fetchCommand(first string, w *words) (*command, error) {
	n, err := direction(w)
	if err != nil {
		return nil, err
	}
	_ = w.any("from", "in")
	name, err := w.name()
	if err != nil {
		return nil, err
	}
	if err := w.done(); err != nil {
		return nil, err
	}
	c, err := s.openCursor(name)
	if err != nil {
		return nil, err
	}
	if first == "move" {
		return &command{run: func(ctx context.Context, _ *portal) (sqlgw.Rows, string, error) {
			c, err := s.openCursor(name)
			if err != nil {
				return nil, "", err
			}
			moved, err := skipRows(ctx, &fetchRows{cursor: c, left: n})
			return nil, "MOVE " + strconv.FormatInt(moved, 10), err
		}}, nil
	}
	cols := c.plan.columns()
	return &command{cols: cols, run: func(_ context.Context, p *portal) (sqlgw.Rows, string, error) {
		c, err := s.openCursor(name)
		if err != nil {
			return nil, "", err
		}
		if !slices.Equal(cols, c.plan.columns()) {
			return nil, "", &sqlgw.Error{State: "0A000", Message: "cached plan must not change result type"}
		}
		if len(p.formats) == 0 {
			p.formats = c.formats // of a BINARY cursor
		}
		return &fetchRows{cursor: c, left: n}, "FETCH", nil
	}}, nil
}

func (s *session) openCursor(name string) (*portal, error) {
	c := s.portals[name]
	if c == nil || name == "" {
		return nil, &sqlgw.Error{State: "34000", Message: fmt.Sprintf("cursor %q does not exist", name)}
	}
	if c.plan.cmd != nil {
		return nil, &sqlgw.Error{State: "34000", Message: fmt.Sprintf("portal %q is not a cursor", name)}
	}
	return c, nil
}

func skipRows(ctx context.Context, r *fetchRows) (int64, error) {
	var n int64
	for {
		c, err := r.Next(ctx)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += int64(c.Rows)
	}
}

// fetchRows is the next part of a cursor's result, at most left rows; -1: all.
type fetchRows struct {
	cursor *portal
	left   int64
}

func (r *fetchRows) Columns() []sqlgw.Column { return r.cursor.plan.columns() }
func (r *fetchRows) Tag() string             { return "FETCH" }
func (r *fetchRows) Close() error            { return nil }

func (r *fetchRows) Next(ctx context.Context) (*sqlgw.Chunk, error) {
	c := r.cursor
	if r.left == 0 {
		return nil, io.EOF
	}
	if err := c.open(ctx); err != nil {
		c.release()
		return nil, err
	}
	c.used = c.session.now()
	if err := c.more(ctx); err != nil {
		c.release()
		return nil, err
	}
	if c.done {
		return nil, io.EOF
	}
	n := c.chunk.Rows - c.at
	if r.left > 0 {
		n = int(min(int64(n), r.left))
		r.left -= int64(n)
	}
	out := slice(c.chunk, c.at, n)
	c.at += n
	return out, nil
}

// slice is n rows of a chunk, without copying them.
func slice(ch *sqlgw.Chunk, from, n int) *sqlgw.Chunk {
	out := &sqlgw.Chunk{Rows: n, Vectors: make([]sqlgw.Vector, len(ch.Vectors))}
	for i, v := range ch.Vectors {
		o := &out.Vectors[i]
		if v.I64 != nil {
			o.I64 = v.I64[from : from+n]
		}
		if v.Hi != nil {
			o.Hi = v.Hi[from : from+n]
		}
		if v.F64 != nil {
			o.F64 = v.F64[from : from+n]
		}
		if v.Str != nil {
			o.Str = v.Str[from : from+n]
		}
		if v.Null != nil {
			o.Null = v.Null[from : from+n]
		}
	}
	return out
}

// closeCursor reads CLOSE name and CLOSE ALL.
func (s *session) closeCursor(w *words) (*command, error) {
	if w.take("all") {
		return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
			s.closeCursors()
			return nil, "CLOSE CURSOR ALL", nil
		}}, w.done()
	}
	name, err := w.name()
	if err != nil {
		return nil, err
	}
	return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		if _, err := s.openCursor(name); err != nil {
			return nil, "", err
		}
		s.closePortal(name)
		return nil, "CLOSE CURSOR", nil
	}}, w.done()
}

func (s *session) closeCursors() {
	for name, p := range s.portals {
		if p.cursor {
			p.close()
			delete(s.portals, name)
		}
	}
}
