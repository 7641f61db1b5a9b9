package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// peer is a client that says exactly what a test wants.
type peer struct {
	t *testing.T
	c net.Conn
	f *pgproto3.Frontend
}

func dial(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{t, c, pgproto3.NewFrontend(c, c)}
}

// startup logs in and gives what came before ReadyForQuery.
func (p *peer) startup(version uint32, params ...string) []string {
	p.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, version)
	for _, s := range params {
		b = append(append(b, s...), 0)
	}
	b = append(b, 0)
	p.raw(append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+4)), b...))
	return p.until("Z")
}

func (p *peer) raw(b []byte) {
	p.t.Helper()
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) send(ms ...pgproto3.FrontendMessage) {
	p.t.Helper()
	for _, m := range ms {
		p.f.Send(m)
	}
	if err := p.f.Flush(); err != nil {
		p.t.Fatal(err)
	}
}

// receive writes the next message in short.
func (p *peer) receive() string {
	p.t.Helper()
	m, err := p.f.Receive()
	if err != nil {
		return "EOF"
	}
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("%s %s %d", m.Severity, m.Code, m.Position)
	case *pgproto3.ReadyForQuery:
		return "Z " + string(m.TxStatus)
	case *pgproto3.ParameterStatus:
		return "S " + m.Name + "=" + m.Value
	case *pgproto3.BackendKeyData:
		return "K"
	case *pgproto3.CommandComplete:
		return "C " + string(m.CommandTag)
	case *pgproto3.DataRow:
		var v []string
		for _, b := range m.Values {
			v = append(v, string(b))
		}
		return "D " + strings.Join(v, ",")
	case *pgproto3.RowDescription:
		return fmt.Sprintf("T %d", len(m.Fields))
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("t %v", m.ParameterOIDs)
	case *pgproto3.NegotiateProtocolVersion:
		return fmt.Sprintf("v %d %v", m.NewestMinorProtocol, m.UnrecognizedOptions)
	case *pgproto3.NoticeResponse:
		return "N " + m.Code
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// until reads up to the first message that begins so, or the end of the connection.
func (p *peer) until(prefix string) []string {
	p.t.Helper()
	var out []string
	for {
		s := p.receive()
		out = append(out, s)
		if strings.HasPrefix(s, prefix) || s == "EOF" || strings.HasPrefix(s, "FATAL") {
			return out
		}
	}
}

func (p *peer) query(sql string) []string {
	p.t.Helper()
	p.send(&pgproto3.Query{String: sql})
	return p.until("Z")
}

func (p *peer) expect(got []string, want ...string) {
	p.t.Helper()
	if !slices.Equal(got, want) {
		p.t.Errorf("got  %q\nwant %q", got, want)
	}
}

func client(t *testing.T, addr string) *peer {
	t.Helper()
	p := dial(t, addr)
	p.startup(0x30000, "user", "u", "database", "d")
	return p
}

func TestStartup(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{Version: "1.2"})
	p := dial(t, addr)
	for _, code := range []uint32{80877104, 80877103} {
		p.raw(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code))
		b := make([]byte, 1)
		if _, err := io.ReadFull(p.c, b); err != nil || b[0] != 'N' {
			t.Fatalf("answer to %d: %q, %v", code, b, err)
		}
	}
	got := p.startup(0x30000, "user", "u", "client_encoding", "'utf-8'", "DateStyle", "ISO", "TimeZone", "Europe/Berlin",
		"options", `-c statement_timeout=5s -c search_path=a\ b`)
	p.expect(got, "AuthenticationOk", "S server_version=15.4 (tickwire 1.2)", "S server_encoding=UTF8", "S client_encoding=UTF8",
		"S DateStyle=ISO, MDY", "S TimeZone=Europe/Berlin", "S integer_datetimes=on", "S standard_conforming_strings=on",
		"S IntervalStyle=postgres", "S is_superuser=off", "S session_authorization=u", "S application_name=",
		"S default_transaction_read_only=on", "S in_hot_standby=off", "K", "Z I")
	p.expect(p.query("show statement_timeout; show search_path"), "T 1", "D 5s", "C SHOW", "T 1", "D a b", "C SHOW", "Z I")
	p.expect(p.query("set application_name to 'x'"), "C SET", "S application_name=x", "Z I")

	p = dial(t, addr)
	got = p.startup(0x3270f, "user", "u", "_pq_.test_protocol_negotiation", "", "unknown_thing", "1")
	if got[0] != "v 196608 [_pq_.test_protocol_negotiation]" || got[len(got)-1] != "Z I" {
		t.Errorf("negotiation: %q", got)
	}
	for name, params := range map[string][]string{"0A000": {"user", "u", "replication", "database"}, "28000": {"database", "d"},
		"22023": {"user", "u", "TimeZone", "Nowhere/Land"}} {
		p = dial(t, addr)
		if got := p.startup(0x30000, params...); !strings.HasPrefix(got[0], "FATAL "+name) {
			t.Errorf("%v: %q, want %s", params, got, name)
		}
	}
	p = dial(t, addr)
	if got := p.startup(0x20000, "user", "u"); got[0] != "FATAL 08P01 0" {
		t.Errorf("protocol 2: %q", got)
	}
	for _, bad := range [][]byte{{0, 0, 0, 1}, {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}, []byte("GET / HTTP/1.1\r\n\r\n")} {
		p = dial(t, addr)
		p.raw(bad)
		if got := p.until("Z"); got[0] != "FATAL 08P01 0" {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestSimple(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{})
	p := client(t, addr)
	p.expect(p.query(""), "EmptyQueryResponse", "Z I")
	p.expect(p.query(" ; -- ping\n;/* a /* b */ */"), "EmptyQueryResponse", "Z I")
	p.expect(p.query("select series(2); select series(0)"), "T 2", "D 0,0", "D 1,1", "C SELECT 2", "T 2", "C SELECT 0", "Z I")
	p.expect(p.query("select series(1); select nowhere; select series(1)"), "T 2", "D 0,0", "C SELECT 1", "ERROR 42P01 26", "Z I")
	p.expect(p.query("begin; select nowhere"), "C BEGIN", "ERROR 42P01 15", "Z E")
	p.expect(p.query("select series(1)"), "ERROR 25P02 0", "Z E")
	p.expect(p.query("commit"), "C ROLLBACK", "Z I")
	p.expect(p.query("begin isolation level repeatable read read only; set local application_name = 'l'; show application_name; commit; show application_name"),
		"C BEGIN", "C SET", "T 1", "D l", "C SHOW", "C COMMIT", "T 1", "D ", "C SHOW", "S application_name=", "Z I")
	p.expect(p.query("begin; set statement_timeout = '3s'; savepoint a; select nowhere"), "C BEGIN", "C SET", "C SAVEPOINT", "ERROR 42P01 58", "Z E")
	p.expect(p.query("rollback to savepoint a; rollback; show statement_timeout"), "C ROLLBACK", "C ROLLBACK", "T 1", "D 0", "C SHOW", "Z I")
	p.expect(p.query("commit"), "N 25P01", "C COMMIT", "Z I")
	p.expect(p.query("copy t to stdout"), "ERROR 0A000 0", "Z I")
	p.expect(p.query("insert into t values (1)"), "ERROR 25006 0", "Z I")
	p.expect(p.query("set datestyle = 'German'"), "ERROR 0A000 0", "Z I")
	p.expect(p.query("selec 1"), "ERROR 42601 1", "Z I")
	p.expect(p.query("select 'unended"), "ERROR 42601 8", "Z I")
	p.expect(p.query("discard all; deallocate all; close all; unlisten *; reset all"), "C DISCARD ALL", "C DEALLOCATE ALL", "C CLOSE CURSOR ALL", "C UNLISTEN", "C RESET", "Z I")
	p.expect(p.query("show transaction isolation level"), "T 1", "D read committed", "C SHOW", "Z I")
	p.expect(p.query("show nothing"), "ERROR 42704 0", "Z I")
	p.expect(p.query("SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE; set session characteristics as transaction isolation level read committed; set names 'utf8'"),
		"C SET", "C SET", "C SET", "S TimeZone=UTC", "S client_encoding=UTF8", "Z I")
	p.raw([]byte{'Z', 0, 0, 0, 4})
	if got := p.until("Z"); !strings.HasPrefix(got[0], "FATAL 08P01") {
		t.Errorf("a message of the server's: %q", got)
	}
}

func TestExtended(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{})
	p := client(t, addr)
	// JDBC's five in one packet.
	p.send(&pgproto3.Parse{Name: "s", Query: "select series(5)"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &pgproto3.Describe{ObjectType: 'P', Name: "p"},
		&pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Execute{Portal: "p", MaxRows: 3}, &pgproto3.Execute{Portal: "p", MaxRows: 3},
		&pgproto3.Sync{})
	p.expect(p.until("Z"), "ParseComplete", "t []", "T 2", "BindComplete", "T 2", "D 0,0", "D 1,1", "PortalSuspended", "D 2,2", "D 3,3", "D 4,4",
		"PortalSuspended", "C SELECT 0", "Z I")
	// The portal went with Sync outside a transaction; the statement stays.
	p.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 34000 0", "Z I")
	p.send(&pgproto3.Parse{Name: "s", Query: "select series(5)"}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 42P05 0", "Z I")
	// An error skips to Sync; one Sync, one Ready.
	p.send(&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Bind{PreparedStatement: "none"}, &pgproto3.Execute{}, &pgproto3.Query{String: "select 1"}, &pgproto3.Sync{},
		&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "BindComplete", "ERROR 26000 0", "Z I")
	p.expect(p.until("Z"), "BindComplete", "D 0,0", "PortalSuspended", "Z I")
	// Flush without Sync pushes out what is there.
	p.send(&pgproto3.Parse{Query: "select $1, $2", ParameterOIDs: []uint32{20, 1184}}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Flush{})
	p.expect([]string{p.receive(), p.receive(), p.receive()}, "ParseComplete", "t [20 1184]", "T 2")
	p.send(&pgproto3.Bind{ParameterFormatCodes: []int16{1, 0}, Parameters: [][]byte{{0, 0, 0, 0, 0, 0, 0, 42}, []byte("2026-01-05T14:30:00.123456789Z")}},
		&pgproto3.Execute{}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "BindComplete", "D int64 42,time.Time 2026-01-05 14:30:00.123456789 +0000 UTC", "C SELECT 1", "Z I")
	// Bad parameters leave the session as it was.
	p.send(&pgproto3.Bind{Parameters: [][]byte{[]byte("x"), nil}}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 22P02 0", "Z I")
	p.send(&pgproto3.Bind{Parameters: [][]byte{nil}}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 08P01 0", "Z I")
	p.send(&pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{1, 2}, nil}}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 22P03 0", "Z I")
	// Empty statements, unknown things to close.
	p.send(&pgproto3.Parse{Query: " -- nothing"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{},
		&pgproto3.Close{ObjectType: 'S', Name: "?"}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ParseComplete", "BindComplete", "NoData", "EmptyQueryResponse", "CloseComplete", "Z I")
	// A statement may be closed while its portal runs.
	p.send(&pgproto3.Parse{Name: "q", Query: "begin"}, &pgproto3.Bind{PreparedStatement: "q"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ParseComplete", "BindComplete", "C BEGIN", "Z T")
	p.send(&pgproto3.Parse{Name: "r", Query: "select series(9)"}, &pgproto3.Bind{DestinationPortal: "r", PreparedStatement: "r"},
		&pgproto3.Execute{Portal: "r", MaxRows: 1}, &pgproto3.Close{ObjectType: 'S', Name: "r"}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ParseComplete", "BindComplete", "D 0,0", "PortalSuspended", "CloseComplete", "Z T")
	// Other statements run beside a portal that waits.
	p.expect(p.query("select series(1)"), "T 2", "D 0,0", "C SELECT 1", "Z T")
	p.send(&pgproto3.Execute{Portal: "r"}, &pgproto3.Parse{Query: "select nowhere"}, &pgproto3.Sync{})
	got := p.until("Z")
	if !slices.Equal(got[len(got)-3:], []string{"C SELECT 8", "ERROR 42P01 8", "Z E"}) {
		t.Errorf("%q", got)
	}
	p.send(&pgproto3.Parse{Query: "select series(1)"}, &pgproto3.Sync{})
	p.expect(p.until("Z"), "ERROR 25P02 0", "Z E")
	p.expect(p.query("rollback"), "C ROLLBACK", "Z I")
}

func TestCursors(t *testing.T) {
	f := &fixture{}
	srv, addr := serve(t, f, Options{})
	p := client(t, addr)
	p.expect(p.query("declare c cursor for select series(3)"), "ERROR 25P01 0", "Z I")
	p.expect(p.query(`begin; declare "C" no scroll cursor for select series(5); declare d cursor for select series(2)`), "C BEGIN", "C DECLARE CURSOR", "C DECLARE CURSOR", "Z T")
	p.expect(p.query(`fetch 2 from "C"; fetch d; move forward 1 in "C"`), "T 2", "D 0,0", "D 1,1", "C FETCH 2", "T 2", "D 0,0", "C FETCH 1", "C MOVE 1", "Z T")
	p.expect(p.query(`fetch forward all in "C"; fetch all from "C"`), "T 2", "D 3,3", "D 4,4", "C FETCH 2", "T 2", "C FETCH 0", "Z T")
	p.expect(p.query(`fetch backward 1 from d`), "ERROR 55000 0", "Z E")
	p.expect(p.query("rollback"), "C ROLLBACK", "Z I")
	p.expect(p.query("fetch d"), "ERROR 34000 0", "Z I")
	p.expect(p.query(`BEGIN;declare "SQL_CUR0x1" cursor with hold for select series(300);fetch 1 in "SQL_CUR0x1"`), "C BEGIN", "C DECLARE CURSOR", "T 2", "D 0,0", "C FETCH 1", "Z T")
	p.expect(p.query(`commit;fetch 1 in "SQL_CUR0x1"`), "C COMMIT", "T 2", "D 1,1", "C FETCH 1", "Z I")
	p.expect(p.query(`close "SQL_CUR0x1"`), "C CLOSE CURSOR", "Z I")
	p.expect(p.query("declare e cursor with hold for select nowhere"), "ERROR 42P01 39", "Z I")
	// There is an end to how many may be open.
	p.query("begin")
	for i := range maxConns {
		p.query(fmt.Sprintf("declare c%d cursor for select series(9000); fetch c%d", i, i))
	}
	p.expect(p.query("select series(1)"), "ERROR 53400 0", "Z E")
	p.query("rollback")
	p.expect(p.query("select series(1)"), "T 2", "D 0,0", "C SELECT 1", "Z I")
	p.send(&pgproto3.Terminate{})
	p.until("EOF")
	waitFor(t, "engine connections to close", func() bool { return f.open.Load() == 0 && srv.Counters.Connections.Load() == 0 })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 5 s for %s", what)
		}
	}
}

func TestPortalAge(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{PortalAge: 100 * time.Millisecond})
	p := client(t, addr)
	p.query("begin; declare c cursor for select series(9000); fetch c")
	time.Sleep(300 * time.Millisecond)
	p.expect(p.query("fetch c"), "ERROR 34000 0", "Z E")
}

func TestCancel(t *testing.T) {
	srv, addr := serve(t, &fixture{}, Options{})
	p := dial(t, addr)
	p.c.Write([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00")[:16])
	var key *pgproto3.BackendKeyData
	for key == nil {
		m, err := p.f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := m.(*pgproto3.BackendKeyData); ok {
			key = &pgproto3.BackendKeyData{ProcessID: k.ProcessID, SecretKey: slices.Clone(k.SecretKey)}
		}
	}
	p.until("Z")
	cancel := func(pid uint32, secret []byte) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b, _ := (&pgproto3.CancelRequest{ProcessID: pid, SecretKey: secret}).Encode(nil)
		c.Write(b)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("a cancel request was answered: %d bytes, %v", n, err)
		}
	}
	p.send(&pgproto3.Query{String: "select wait"})
	time.Sleep(50 * time.Millisecond)
	cancel(key.ProcessID, []byte{1, 2, 3, 4})
	cancel(key.ProcessID+1, key.SecretKey)
	time.Sleep(100 * time.Millisecond)
	if n := srv.Counters.Cancelled.Load(); n != 0 {
		t.Fatal("a wrong key ended the statement")
	}
	from := time.Now()
	cancel(key.ProcessID, key.SecretKey)
	p.expect(p.until("Z"), "T 1", "ERROR 57014 0", "Z I")
	if d := time.Since(from); d > 200*time.Millisecond {
		t.Errorf("cancelling took %v", d)
	}
	p.expect(p.query("select series(1)"), "T 2", "D 0,0", "C SELECT 1", "Z I")
	p.expect(p.query("set statement_timeout = 30; select wait"), "C SET", "T 1", "ERROR 57014 0", "Z I")
	p.expect(p.query("select pg_sleep(9)"), "T 1", "ERROR 57014 0", "Z I")
	// A client that goes takes its statement along.
	p.expect(p.query("set statement_timeout = 0"), "C SET", "Z I")
	p.send(&pgproto3.Query{String: "select wait"})
	p.c.Close()
	waitFor(t, "the session of a client that went", func() bool { return srv.Counters.Connections.Load() == 0 })
}

func TestShutdown(t *testing.T) {
	srv := &Server{Engine: &fixture{}, Options: Options{Grace: 100 * time.Millisecond}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	idle, busy := client(t, l.Addr().String()), client(t, l.Addr().String())
	busy.send(&pgproto3.Query{String: "select wait"})
	time.Sleep(50 * time.Millisecond)
	cancel()
	idle.expect(idle.until("Z"), "FATAL 57P01 0")
	if got := busy.until("Z"); got[len(got)-1] != "FATAL 57P01 0" {
		t.Errorf("a running statement: %q", got)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Serve did not return")
	}
}

func TestLimits(t *testing.T) {
	srv, addr := serve(t, &fixture{}, Options{MaxConnections: 2, MaxMessage: 100_000, StartupTimeout: 200 * time.Millisecond})
	a, b := client(t, addr), client(t, addr)
	if got := dial(t, addr).startup(0x30000, "user", "u"); got[len(got)-1] != "FATAL 53300 0" {
		t.Errorf("a third client: %q", got)
	}
	a.raw([]byte{'Q', 0x7f, 0xff, 0xff, 0xff})
	a.expect(a.until("Z"), "FATAL 08P01 0")
	b.send(&pgproto3.Query{String: "select series(1) -- " + strings.Repeat("x", 99_000)})
	b.expect(b.until("Z"), "T 2", "D 0,0", "C SELECT 1", "Z I")
	waitFor(t, "room for another", func() bool { return srv.Counters.Connections.Load() == 1 })
	slow := dial(t, addr)
	slow.raw([]byte{0, 0, 0, 9})
	slow.expect(slow.until("Z"), "FATAL 08006 0")
}

// A slow reader holds one session up, and a large result lies in nobody's memory.
func TestSlowClient(t *testing.T) {
	f := &fixture{}
	_, addr := serve(t, f, Options{})
	slow := client(t, addr)
	slow.send(&pgproto3.Query{String: "select series(5000000)"})
	time.Sleep(100 * time.Millisecond)
	held := f.rows.Load()
	if held >= 5_000_000 {
		t.Fatal("the whole result was produced before anybody read it")
	}
	other := client(t, addr)
	other.expect(other.query("select series(1)"), "T 2", "D 0,0", "C SELECT 1", "Z I")
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := 0
	for peak := uint64(0); ; {
		m, err := slow.f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := m.(*pgproto3.CommandComplete); ok {
			if string(c.CommandTag) != "SELECT 5000000" || rows != 5_000_000 {
				t.Errorf("%s, %d rows", c.CommandTag, rows)
			}
			if peak > before.HeapAlloc+64<<20 {
				t.Errorf("the heap grew from %d to %d MiB", before.HeapAlloc>>20, peak>>20)
			}
			return
		}
		if _, ok := m.(*pgproto3.DataRow); ok {
			if rows++; rows%500_000 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
	}
}

func TestManyClients(t *testing.T) {
	srv, addr := serve(t, &fixture{}, Options{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			p := client(t, addr)
			for k := range 20 {
				n := i + k
				got := p.query(fmt.Sprintf("select series(%d)", n))
				if len(got) != n+3 || got[n+1] != fmt.Sprintf("C SELECT %d", n) {
					t.Errorf("client %d: %d messages for %d rows", i, len(got), n)
				}
			}
		})
	}
	all.Wait()
	if n := srv.Counters.Statements.Load(); n != 1000 {
		t.Errorf("%d statements counted", n)
	}
}

func TestBrokenVerifier(t *testing.T) {
	if _, err := verifiers([]User{{"a", "SCRAM-SHA-256$x"}}); err == nil {
		t.Error("a broken verifier was taken")
	}
}
