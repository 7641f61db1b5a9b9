//go:build cgo

package duck

import (
	"context"
	"strings"
	"sync"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/sqlgw"
)

// Conn is a session.
type Conn struct {
	e       *Engine
	conn    mapping.Connection
	mu      sync.Mutex // guards conn against an Interrupt after Close
	closed  bool
	trusted bool // the engine's own, while it is made: may define
}

// Interrupt makes the statement that runs end. Any goroutine.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		mapping.Interrupt(c.conn)
	}
}

// Close ends the session.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	mapping.Disconnect(&c.conn)
	c.e.mu.Lock()
	c.e.open--
	c.e.mu.Unlock()
	return nil
}

// run runs a statement for its effect.
func (c *Conn) run(ctx context.Context, sql string) error {
	s, err := c.Prepare(ctx, sql, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	rows, err := s.Query(ctx, nil)
	if err != nil {
		return err
	}
	return rows.Close()
}

// settle makes DuckDB let go of a query that was left in the middle: it keeps the pipeline, and with it the scans, until the
// session's next statement.
func (c *Conn) settle() {
	var result mapping.Result
	mapping.Query(c.conn, "SELECT 1", &result)
	mapping.DestroyResult(&result)
}

// Split cuts a text into its statements.
func (c *Conn) Split(sql string) ([]string, error) { return split(sql) }

// readable are the statements that a session may run: those that change nothing but what is its own.
var readable = map[mapping.StatementType]string{
	mapping.StatementTypeSelect:      "SELECT",
	mapping.StatementTypeExplain:     "EXPLAIN",
	mapping.StatementTypeTransaction: "BEGIN",
}

// Prepare parses and binds one statement.
func (c *Conn) Prepare(_ context.Context, sql string, oids []uint32) (sqlgw.Stmt, error) {
	if err := c.e.refuseUnfit(sql); err != nil {
		return nil, err
	}
	s := &Stmt{c: c, sql: sql}
	if mapping.Prepare(c.conn, sql, &s.stmt) == mapping.StateError {
		err := newError(mapping.PrepareError(s.stmt), sql)
		mapping.DestroyPrepare(&s.stmt)
		return nil, err
	}
	kind := mapping.PreparedStatementType(s.stmt)
	tag, ok := readable[kind]
	if !ok && !c.trusted {
		mapping.DestroyPrepare(&s.stmt)
		word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
		return nil, &sqlgw.Error{
			State: "42501", Message: "permission denied: sessions read, " + strings.ToUpper(word) + " is not for them",
			Hint: "rows come from the feeds; SELECT, EXPLAIN, SHOW and SET are understood",
		}
	}
	if err := columnsOfStatement(s); err != nil {
		mapping.DestroyPrepare(&s.stmt)
		return nil, err
	}
	s.tag = tag
	s.parameters(oids)
	return s, nil
}

// columnsOfStatement describes the result without running the statement.
func columnsOfStatement(s *Stmt) error {
	n := mapping.PreparedStatementColumnCount(s.stmt)
	for i := range n {
		t := mapping.PreparedStatementColumnLogicalType(s.stmt, i)
		column, read := columnOf(mapping.PreparedStatementColumnName(s.stmt, i), t)
		mapping.DestroyLogicalType(&t)
		s.columns = append(s.columns, column)
		s.readers = append(s.readers, read)
	}
	// DuckDB describes statements without a result as one column of a count.
	if len(s.columns) == 1 && mapping.PreparedStatementType(s.stmt) == mapping.StatementTypeTransaction {
		s.columns, s.readers = nil, nil
	}
	return nil
}

// Stmt is a prepared statement.
type Stmt struct {
	c       *Conn
	sql     string
	stmt    mapping.PreparedStatement
	columns []sqlgw.Column
	readers []reader
	params  []uint32
	tag     string
	closed  bool
}

// parameters tells each parameter's type: the client's word, else what DuckDB inferred, else text.
func (s *Stmt) parameters(oids []uint32) {
	for i := range mapping.NParams(s.stmt) {
		oid := uint32(0)
		if int(i) < len(oids) {
			oid = oids[i]
		}
		if oid == 0 {
			oid = oidOf(mapping.ParamType(s.stmt, i+1))
		}
		s.params = append(s.params, oid)
	}
}

// Params are PostgreSQL's types of the parameters.
func (s *Stmt) Params() []uint32 { return s.params }

// Columns describe the result.
func (s *Stmt) Columns() []sqlgw.Column { return s.columns }

// Close frees the statement.
func (s *Stmt) Close() error {
	if !s.closed {
		s.closed = true
		mapping.DestroyPrepare(&s.stmt)
	}
	return nil
}
