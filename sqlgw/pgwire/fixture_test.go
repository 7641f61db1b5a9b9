package pgwire

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// fixture is an engine whose results are known to the last bit, kinds DuckDB rarely gives among them. What needs SQL is
// tested over the real engine.
//
//	select series(n)   n rows: int8 i, text of i
//	select kinds       every Kind, ordinary and extreme values, NULL
//	select wait        runs until it is interrupted
//	select bad         fails with a position
//	select $1, $2 …    the parameters, as text
type fixture struct {
	open atomic.Int64
	rows atomic.Int64 // produced, of series
}

func (f *fixture) Connect(context.Context) (sqlgw.Conn, error) {
	f.open.Add(1)
	return &fixtureConn{f: f, stop: make(chan struct{})}, nil
}

type fixtureConn struct {
	f    *fixture
	mu   sync.Mutex
	stop chan struct{}
}

func (c *fixtureConn) Close() error { c.f.open.Add(-1); return nil }
func (c *fixtureConn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
}

func (c *fixtureConn) Split(sql string) (out []string, err error) {
	for _, p := range catalog.Split(sql) {
		out = append(out, p.SQL)
	}
	return out, nil
}

func (c *fixtureConn) Prepare(_ context.Context, sql string, oids []uint32) (sqlgw.Stmt, error) {
	st := &fixtureStmt{c: c, sql: strings.ToLower(sql)}
	switch {
	case strings.Contains(st.sql, "series("):
		if _, err := fmt.Sscanf(st.sql[strings.Index(st.sql, "series(")+7:], "%d", &st.n); err != nil {
			return nil, &sqlgw.Error{State: "42601", Message: "series of what?", Position: 8}
		}
		st.cols = []sqlgw.Column{{Name: "i", Kind: sqlgw.Int8, OID: 20, Mod: -1}, {Name: "t", Kind: sqlgw.Text, OID: 25, Mod: -1}}
	case strings.Contains(st.sql, "kinds"):
		st.cols, st.chunk = kinds()
	case strings.Contains(st.sql, "wait"):
		st.cols, st.wait = []sqlgw.Column{{Name: "w", Kind: sqlgw.Int8, OID: 20, Mod: -1}}, true
	case strings.Contains(st.sql, "$1"):
		for i := 1; strings.Contains(st.sql, fmt.Sprintf("$%d", i)); i++ {
			oid := uint32(25)
			if i-1 < len(oids) && oids[i-1] != 0 {
				oid = oids[i-1]
			}
			st.params = append(st.params, oid)
			st.cols = append(st.cols, sqlgw.Column{Name: fmt.Sprintf("p%d", i), Kind: sqlgw.Text, OID: 25, Mod: -1})
		}
	default:
		return nil, &sqlgw.Error{State: "42P01", Message: "relation \"nowhere\" does not exist", Position: 8}
	}
	return st, nil
}

type fixtureStmt struct {
	c      *fixtureConn
	sql    string
	n      int64
	wait   bool
	cols   []sqlgw.Column
	chunk  *sqlgw.Chunk
	params []uint32
}

func (s *fixtureStmt) Params() []uint32        { return s.params }
func (s *fixtureStmt) Columns() []sqlgw.Column { return s.cols }
func (s *fixtureStmt) Close() error            { return nil }
func (s *fixtureStmt) Query(_ context.Context, args []any) (sqlgw.Rows, error) {
	s.c.mu.Lock()
	s.c.stop = make(chan struct{})
	s.c.mu.Unlock()
	r := &fixtureRows{s: s, chunk: s.chunk}
	if len(s.params) > 0 {
		r.chunk = &sqlgw.Chunk{Rows: 1, Vectors: make([]sqlgw.Vector, len(args))}
		for i, a := range args {
			r.chunk.Vectors[i] = sqlgw.Vector{Str: []string{fmt.Sprintf("%T %v", a, a)}, Null: []bool{a == nil}}
		}
	}
	return r, nil
}

type fixtureRows struct {
	s     *fixtureStmt
	at    int64
	chunk *sqlgw.Chunk
}

func (r *fixtureRows) Columns() []sqlgw.Column { return r.s.cols }
func (r *fixtureRows) Tag() string             { return "SELECT" }
func (r *fixtureRows) Close() error            { return nil }

func (r *fixtureRows) Next(ctx context.Context) (*sqlgw.Chunk, error) {
	r.s.c.mu.Lock()
	stop := r.s.c.stop
	r.s.c.mu.Unlock()
	if r.s.wait {
		<-stop
	}
	select {
	case <-stop:
		return nil, &sqlgw.Error{State: "57014", Message: "interrupted"}
	default:
	}
	if c := r.chunk; c != nil {
		r.chunk = nil
		return c, nil
	}
	n := min(r.s.n-r.at, 2048)
	if n <= 0 {
		return nil, io.EOF
	}
	c := &sqlgw.Chunk{Rows: int(n), Vectors: []sqlgw.Vector{{I64: make([]int64, n)}, {Str: make([]string, n)}}}
	for i := range n {
		c.Vectors[0].I64[i] = r.at + i
		c.Vectors[1].Str[i] = fmt.Sprint(r.at + i)
	}
	r.at += n
	r.s.c.f.rows.Add(n)
	return c, nil
}

// serve runs a server on a free port of loopback until the test ends.
func serve(t testing.TB, e sqlgw.Engine, o Options) (*Server, string) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	srv := &Server{Engine: e, Options: o}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server did not end within 20 s of its context")
		}
		if n := srv.Counters.Panics.Load(); n != 0 {
			t.Errorf("%d sessions panicked", n)
		}
	})
	return srv, l.Addr().String()
}

// skipOrFail is for clients that a machine may not have: a build must have them.
func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
