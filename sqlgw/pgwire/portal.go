package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// plan is a statement after it was understood: one of the session's own commands, or one the engine has prepared.
type plan struct {
	sql    string
	cmd    *command // nil: the engine's
	back   *catalog.Rewritten
	oids   []uint32 // parameter types that the client gave
	params []uint32
	cols   []sqlgw.Column
	stmt   sqlgw.Stmt
	on     *lease // where stmt lives
	lead   int    // characters before the statement in the client's text: positions of errors count from there
	refs   int    // statement and portals that use it
}

// plan understands one statement of a text. The caller drops the plan in the end.
func (s *session) plan(ctx context.Context, text string, piece catalog.Piece, oids []uint32) (*plan, error) {
	p := &plan{sql: piece.SQL, oids: oids, refs: 1, lead: utf8.RuneCountInString(text[:piece.Offset])}
	err := s.understand(ctx, p)
	if err != nil {
		return nil, p.located(err)
	}
	return p, nil
}

func (s *session) understand(ctx context.Context, p *plan) (err error) {
	if p.cmd, err = s.command(ctx, p); err != nil {
		return err
	}
	if s.tx == 'E' && (p.cmd == nil || !p.cmd.endsTx) {
		p.close()
		return errAborted
	}
	if p.cmd != nil {
		if p.cmd.inner != nil {
			p.params = p.cmd.inner.params
		}
		p.cols = p.cmd.cols
		return nil
	}
	l, err := s.lease(ctx)
	if err != nil {
		return err
	}
	return p.engine(ctx, s, l)
}

// untyped are the arrays that a parameter of = ANY($1) is tried as when the client did not say: text, numeric and
// timestamptz. Numeric holds every integer, too. The engine takes only the one that fits what it is compared with.
var untyped = []uint32{1009, 1231, 1185}

// engine rewrites and prepares an engine's statement.
func (p *plan) engine(ctx context.Context, s *session, l *lease) error {
	var first error
	given := p.oids
	for _, guess := range untyped {
		names := s.names()
		names.Array = func(n int) uint32 {
			if n >= 1 && n <= len(given) && given[n-1] != 0 {
				return given[n-1]
			}
			return guess
		}
		back, err := catalog.Rewrite(p.sql, names)
		if err != nil {
			return err
		}
		p.back, p.oids = back, slices.Clone(given)
		open := false
		for _, n := range back.Arrays {
			for len(p.oids) < min(n, maxParams) {
				p.oids = append(p.oids, 0)
			}
			if n >= 1 && n <= len(p.oids) && p.oids[n-1] == 0 {
				p.oids[n-1], open = guess, true
			}
		}
		if err = p.prepare(ctx, s, l); err == nil || !open {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

const maxParams = 65535 // the protocol counts them in 16 bits

var errAborted = &sqlgw.Error{State: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block"}

// prepare lets the engine have the statement on one of the session's connections.
func (p *plan) prepare(ctx context.Context, s *session, l *lease) error {
	s.run.on(l.conn)
	stmt, err := l.conn.Prepare(ctx, p.back.SQL, p.oids)
	if err != nil {
		return p.back.Locate(err)
	}
	p.stmt, p.on, p.params, p.cols = stmt, l, stmt.Params(), stmt.Columns()
	for i := range p.cols {
		if elem := elementOf(p.cols[i].OID); elem != 0 && !binaryElement(elem) {
			p.cols[i].OID = oidText
		}
	}
	return nil
}

// located moves an error's position from the statement to the client's text.
func (p *plan) located(err error) error {
	var e *sqlgw.Error
	if p.lead == 0 || !errors.As(err, &e) || e.Position <= 0 {
		return err
	}
	copied := *e
	copied.Position += p.lead
	return &copied
}

// ran places an error of the engine while the statement runs.
func (p *plan) ran(err error) error {
	if p.back != nil {
		err = p.back.Locate(err)
	}
	return p.located(err)
}

// drop ends one use of the plan; with the last one it is gone.
func (p *plan) drop() {
	if p.refs--; p.refs == 0 {
		p.close()
	}
}

// columns of the result; nil when there is none. Those of commands may depend on the session.
func (p *plan) columns() []sqlgw.Column {
	if p.cmd != nil && p.cmd.columns != nil {
		return p.cmd.columns()
	}
	if len(p.cols) == 0 {
		return nil
	}
	return p.cols
}

func (p *plan) close() {
	if p.cmd != nil && p.cmd.inner != nil {
		p.cmd.inner.drop()
	}
	if p.stmt != nil {
		p.stmt.Close()
		p.stmt = nil
	}
}

// lease gives an engine connection that is in the middle of nothing.
func (s *session) lease(ctx context.Context) (*lease, error) {
	for _, l := range s.conns {
		if l.busy == nil {
			return l, nil
		}
	}
	if len(s.conns) >= maxConns {
		return nil, &sqlgw.Error{State: "53400", Message: fmt.Sprintf("%d cursors or portals are in the middle of their results", maxConns),
			Hint: "Close some of them."}
	}
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	l := &lease{conn: c}
	s.conns = append(s.conns, l)
	return l, nil
}

// connect makes a connection, of the engine that the session's first one is of.
func (s *session) connect(ctx context.Context) (sqlgw.Conn, error) {
	changing, ok := s.srv.Engine.(sqlgw.Changing)
	if !ok {
		return s.srv.Engine.Connect(ctx)
	}
	for {
		if len(s.conns) == 0 {
			s.engine = changing.Present()
		}
		c, err := s.engine.Connect(ctx)
		if len(s.conns) != 0 || !errors.Is(err, os.ErrClosed) || changing.Present() == s.engine {
			return c, err
		}
	}
}

// portal is a statement with its parameters, and as much of its result as was not fetched yet.
type portal struct {
	session *session
	name    string
	plan    *plan
	args    []any
	formats []int16

	rows   sqlgw.Rows // nil before the first Execute and after the last row
	lease  *lease
	spare  sqlgw.Stmt // when the plan's connection was taken: a statement of its own
	enc    []column
	chunk  *sqlgw.Chunk
	at     int // next row of chunk
	opened bool
	done   bool
	tag    string
	cursor bool // of DECLARE
	hold   bool
	used   time.Time
}

// newPortal takes part in a plan until it is closed.
func newPortal(s *session, name string, pl *plan) *portal {
	pl.refs++
	return &portal{session: s, name: name, plan: pl, used: time.Now()}
}

// open runs the statement, once.
func (p *portal) open(ctx context.Context) error {
	if p.opened {
		return nil
	}
	s := p.session
	s.srv.Counters.Statements.Add(1)
	p.opened = true
	if c := p.plan.cmd; c != nil {
		rows, tag, err := c.run(ctx, p)
		if err != nil {
			return err
		}
		p.rows, p.tag, p.done = rows, tag, rows == nil
		return nil
	}
	l, stmt := p.plan.on, p.plan.stmt
	if l.busy != nil {
		// Another portal is in the middle of its result there. This one works on a connection of its own.
		var err error
		if l, err = s.lease(ctx); err != nil {
			return err
		}
		s.run.on(l.conn)
		if stmt, err = l.conn.Prepare(ctx, p.plan.back.SQL, p.plan.oids); err != nil {
			return p.plan.ran(err)
		}
		p.spare = stmt
	}
	for _, set := range p.plan.back.Sets {
		if err := s.settings.set(set.Name, set.Value, set.Local); err != nil {
			return err
		}
	}
	s.run.on(l.conn)
	rows, err := stmt.Query(ctx, p.args)
	if err != nil {
		return p.plan.ran(err)
	}
	p.rows, p.lease, p.tag = rows, l, rows.Tag()
	l.busy = p
	return nil
}

// more makes sure there is a row at p.at, or that p is done.
func (p *portal) more(ctx context.Context) error {
	for !p.done && (p.chunk == nil || p.at >= p.chunk.Rows) {
		if why := p.session.run.stopped(); why != notStopped {
			return why.err()
		}
		if p.lease != nil {
			p.session.run.on(p.lease.conn)
		}
		ch, err := p.rows.Next(ctx)
		if err == io.EOF {
			p.release()
			return nil
		}
		if err != nil {
			return p.plan.ran(err)
		}
		p.chunk, p.at = ch, 0
	}
	return nil
}

// release gives the engine back what it holds for the portal. The portal stays, without rows.
func (p *portal) release() {
	p.done, p.chunk = true, nil
	if p.rows != nil {
		p.rows.Close()
		p.rows = nil
	}
	if p.spare != nil {
		p.spare.Close()
		p.spare = nil
	}
	if p.lease != nil {
		p.lease.busy = nil
		p.lease = nil
	}
}

func (p *portal) close() {
	p.release()
	p.plan.drop()
}

// fetch sends at most max rows of a portal, all for 0, and how it ended. Rows go out as the buffer fills: a client that
// does not read stops its own session and nothing else.
func (s *session) fetch(ctx context.Context, p *portal, max int) error {
	if err := p.open(ctx); err != nil {
		p.release()
		return err
	}
	p.used = time.Now()
	if p.rows == nil && p.plan.columns() == nil {
		return s.w.send(&pgproto3.CommandComplete{CommandTag: []byte(p.tag)})
	}
	if p.enc == nil {
		told := p.plan.columns()
		p.enc = encoders(told, p.formats, s.settings.zone)
		if p.rows != nil {
			if err := adapt(p.enc, told, p.rows.Columns()); err != nil {
				p.release()
				return err
			}
		}
	}
	sent := 0
	for max == 0 || sent < max {
		if err := p.more(ctx); err != nil {
			p.release()
			return err
		}
		if p.done {
			return s.complete(p, sent)
		}
		n := p.chunk.Rows - p.at
		if max > 0 {
			n = min(n, max-sent)
		}
		if err := s.rows(p, n); err != nil {
			p.release()
			return err
		}
		sent += n
	}
	return s.w.send(&pgproto3.PortalSuspended{})
}

// rows sends the next n rows of the portal's chunk.
func (s *session) rows(p *portal, n int) error {
	for ; n > 0; n-- {
		s.w.out = appendRow(s.w.out, p.enc, p.chunk, p.at)
		p.at++
		s.srv.Counters.Rows.Add(1)
		if len(s.w.out) >= flushAt {
			if err := s.w.flush(); err != nil {
				return err
			}
			if why := s.run.stopped(); why != notStopped {
				return why.err()
			}
		}
	}
	return nil
}

// complete sends the command tag. Statements with rows have their number behind it.
func (s *session) complete(p *portal, sent int) error {
	tag := p.tag
	switch tag {
	case "SELECT", "FETCH":
		tag += " " + strconv.Itoa(sent)
	}
	return s.w.send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

// describeRow is RowDescription. Formats are those of Bind; nil where there was none.
func describeRow(cols []sqlgw.Column, formats []int16) *pgproto3.RowDescription {
	m := &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, len(cols))}
	for i, c := range cols {
		m.Fields[i] = pgproto3.FieldDescription{Name: []byte(clean(c.Name)), DataTypeOID: c.OID, DataTypeSize: sizeOf(c.OID),
			TypeModifier: c.Mod, Format: formatOf(formats, i)}
	}
	return m
}

func (s *session) closePortal(name string) {
	if p := s.portals[name]; p != nil {
		p.close()
		delete(s.portals, name)
	}
}

// dropPortals ends portals at the end of a transaction; held cursors stay, unless all are to go.
func (s *session) dropPortals(all bool) {
	for name, p := range s.portals {
		if all || !p.hold {
			p.close()
			delete(s.portals, name)
		}
	}
}

// expire ends what nobody has asked for in PortalAge, and says when to look again; 0: never.
func (s *session) expire() time.Duration {
	var wait time.Duration
	for name, p := range s.portals {
		if p.rows == nil {
			continue
		}
		left := s.srv.Options.PortalAge - time.Since(p.used)
		if left <= 0 {
			p.close()
			delete(s.portals, name)
			continue
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}
