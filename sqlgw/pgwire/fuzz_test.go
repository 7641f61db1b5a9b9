package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// script is a connection on which a client has said all it ever will.
type script struct{ in *bytes.Reader }

func (c *script) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *script) Write(p []byte) (int, error)      { return len(p), nil }
func (c *script) Close() error                     { return nil }
func (c *script) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix"} }
func (c *script) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// feed gives a server what a client says, and waits for its end.
func feed(t *testing.T, in []byte) {
	srv := &Server{Engine: &fixture{}, Options: Options{Log: slog.New(slog.DiscardHandler), StatementTimeout: 5 * time.Millisecond, MaxMessage: 1 << 20}}
	if err := srv.init(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		srv.handle(context.Background(), &script{bytes.NewReader(in)})
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the session did not end with its input")
	}
	if srv.Counters.Panics.Load() != 0 {
		t.Fatal("the session panicked")
	}
	if n := srv.Engine.(*fixture).open.Load(); n != 0 {
		t.Fatalf("%d engine connections left open", n)
	}
}

func startupPacket(version uint32, params ...string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), version)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func FuzzStartup(f *testing.F) {
	f.Add(startupPacket(0x30000, "user", "u", "database", "d"))
	f.Add(startupPacket(0x3270f, "user", "u", "_pq_.x", "1", "options", `-c a=b --c-d=e\ f -x`))
	f.Add(append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, startupPacket(0x30000, "user", "u")...))
	f.Add([]byte{0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 1, 2, 3, 4})
	f.Add([]byte{0x16, 3, 1, 0, 0})
	f.Add(startupPacket(0x30000, "user", "u", "TimeZone", "+99", "DateStyle", "x", "statement_timeout", "1e99"))
	f.Fuzz(feed)
}

func FuzzMessages(f *testing.F) {
	seed := func(ms ...pgproto3.FrontendMessage) {
		var b []byte
		for _, m := range ms {
			b, _ = m.Encode(b)
		}
		f.Add(b)
	}
	seed(&pgproto3.Query{String: "select series(3); begin; declare c cursor for select kinds; fetch 2 c; move all c; close c; commit"})
	seed(&pgproto3.Parse{Name: "s", Query: "select $1,$2", ParameterOIDs: []uint32{1700, 1016}}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{PreparedStatement: "s", ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{0, 1, 0, 0, 0, 0, 0, 0, 0, 5}, {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7}}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{})
	seed(&pgproto3.Parse{Query: "select kinds"}, &pgproto3.Bind{ResultFormatCodes: []int16{1}}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Flush{}, &pgproto3.Close{ObjectType: 'P'}, &pgproto3.Sync{})
	seed(&pgproto3.Query{String: "set timezone = 'Europe/Berlin'; select kinds; show all; reset all; discard all; set x.y to 1,2"})
	seed(&pgproto3.Parse{Query: "fetch c"}, &pgproto3.FunctionCall{}, &pgproto3.CopyData{}, &pgproto3.Sync{}, &pgproto3.Terminate{})
	f.Add([]byte("Q\x7f\xff\xff\xff"))
	f.Add([]byte("B\x00\x00\x00\x0a\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		feed(t, append(startupPacket(0x30000, "user", "u"), b...))
	})
}

// A numeric's text and binary forms lead to one another for whatever a client sends.
func FuzzNumeric(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 0x40, 0, 0, 4, 0, 1, 3, 0xe8})
	f.Add([]byte{0, 0, 0, 0, 0xc0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := numericText(b)
		if err == nil && len(s) > 8000 {
			t.Fatalf("%d characters of %d bytes", len(s), len(b))
		}
		if err == nil && bytes.ContainsFunc([]byte(s), func(r rune) bool { return !(r >= '0' && r <= '9' || r == '-' || r == '.') }) && s != "NaN" {
			t.Fatalf("%q", s)
		}
	})
}
