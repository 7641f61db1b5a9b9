package glimpse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/soupbin"
	server "github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// session is the state of a generated session.
func session(t testing.TB) *server.State {
	g, err := itchgen.New(itchgen.Options{Messages: 20_000, Symbols: 50, Seed: 3})
	must(t, err)
	s := &server.State{}
	for m, ok := g.Next(nil); ok && g.Messages() < 15_000; m, ok = g.Next(m[:0]) {
		s.Apply(m)
	}
	return s
}

func serve(t testing.TB, src server.Snapshotter, o server.Options) *server.Server {
	s, err := server.NewServer(netip.MustParseAddrPort("127.0.0.1:0"), src, o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// TestFetch: over a real connection the client hands over what the server's state holds, byte for byte.
func TestFetch(t *testing.T) {
	state := session(t)
	want, number := state.Snapshot(nil)
	for _, ms := range []uint32{0, 15_000} { // versions 3 and 4
		s := serve(t, state, server.Options{User: "alice", Password: "secret"})
		var got []byte
		next, err := Fetch(t.Context(), Config{Server: s.Addr().String(), User: "alice", Password: "secret", HeartbeatTimeoutMs: ms},
			func(blocks []byte, count int) error { got = append(got, blocks...); return nil })
		if err != nil || next != number || !bytes.Equal(got, want) || len(want) < 10_000 {
			t.Errorf("%d bytes of %d, next %d of %d: %v", len(got), len(want), next, number, err)
		}
	}
}

// TestSession: the session is compared without its padding, and one that nobody asks for is any.
func TestSession(t *testing.T) {
	state := session(t)
	s := serve(t, state, server.Options{Session: "A1"})
	for want, ok := range map[string]bool{"": true, "A1": true, "        A1": true, "A1        ": true, "A": false, "A12": false, "a1": false} {
		next, err := Fetch(t.Context(), Config{Server: s.Addr().String(), Session: want}, func([]byte, int) error { return nil })
		if ok != (err == nil) || ok != (next != 0) || !ok && !errors.Is(err, ErrSession) {
			t.Errorf("wanted %q: %d, %v", want, next, err)
		}
	}
}

// TestFaults: each thing that a server may do wrong ends in its own error, in time.
func TestFaults(t *testing.T) {
	state := session(t)
	short := 150 * time.Millisecond
	for _, tc := range []struct {
		name string
		f    server.Faults
		cfg  Config
		want error
	}{
		{"wrong password", server.Faults{}, Config{Password: "hunter2"}, ErrRejected},
		{"not authorised", server.Faults{Refuse: 'A'}, Config{}, ErrRejected},
		{"another session", server.Faults{}, Config{Session: "SIM0000002"}, ErrSession},
		{"session not available", server.Faults{Refuse: 'S'}, Config{}, ErrRejected},
		{"another reason", server.Faults{Refuse: '?'}, Config{}, ErrRejected},
		{"silent from the start", server.Faults{Silent: true}, Config{Silence: short}, ErrSilent},
		{"silent after the login", server.Faults{Delay: time.Hour, NoHeartbeats: true}, Config{Silence: short}, ErrSilent},
		{"nothing but heartbeats", server.Faults{Delay: time.Hour}, Config{Silence: time.Minute, Most: short}, ErrTooSlow},
		{"a byte now and then", server.Faults{BytesPerSecond: 2000}, Config{Silence: time.Minute, Most: short}, ErrTooSlow},
		{"cut", server.Faults{CutAfter: 1000}, Config{}, io.EOF},
		{"ended", server.Faults{EndAfter: 1000}, Config{}, ErrEnded},
		{"endless, by messages", server.Faults{Endless: true}, Config{MaxMessages: 50_000}, ErrTooMuch},
		{"endless, by bytes", server.Faults{Endless: true}, Config{MaxBytes: 1 << 20}, ErrTooMuch},
		{"garbage", server.Faults{Garbage: []byte("\x00\x00")}, Config{}, soupbin.ErrEmpty},
		{"HTTP", server.Faults{Garbage: []byte("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat("x", 20_000))}, Config{}, ErrProtocol},
		{"a client's packet", server.Faults{Garbage: []byte("\x00\x01O")}, Config{}, ErrProtocol},
		{"accepted again", server.Faults{Garbage: []byte("\x00\x1fA      S-01                   1")}, Config{}, ErrProtocol},
		{"rejected after all", server.Faults{Garbage: []byte("\x00\x02JA")}, Config{}, ErrProtocol},
		{"an end without a number", server.Faults{Garbage: []byte("\x00\x16SG                    ")}, Config{}, soupbin.ErrNumber},
		{"an end at 0", server.Faults{Garbage: []byte("\x00\x16SG                   0")}, Config{}, soupbin.ErrNumber},
		{"an end cut off", server.Faults{Garbage: []byte("\x00\x15SG                   ")}, Config{}, soupbin.ErrLength},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, state, server.Options{User: "alice", Password: "secret", Heartbeat: 20 * time.Millisecond, Faults: tc.f})
			tc.cfg.Server, tc.cfg.User = s.Addr().String(), "alice"
			if tc.cfg.Password == "" {
				tc.cfg.Password = "secret"
			}
			next, err := Fetch(t.Context(), tc.cfg, func([]byte, int) error { return nil })
			if !errors.Is(err, tc.want) || next != 0 {
				t.Errorf("%d, %v; want %v", next, err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret") {
				t.Errorf("a password in %q", err)
			}
		})
	}
}

// TestAnotherStart: a server that begins elsewhere than at 1 has left something out.
func TestAnotherStart(t *testing.T) {
	_, err := (&stream{cfg: &Config{}}).takeAll([]byte("\x00\x1fA      S-01                   2"))
	if !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

// takeAll is packets without a connection.
func (s *stream) takeAll(b []byte) (next uint64, err error) {
	_, next, _, err = s.packets(b)
	return next, err
}

// TestCallerEnds: an error of fn, a context that ends, a login that cannot be made, and nobody there.
func TestCallerEnds(t *testing.T) {
	s := serve(t, session(t), server.Options{Faults: server.Faults{BytesPerSecond: 10_000}})
	enough := errors.New("enough")
	cfg := Config{Server: s.Addr().String()}
	if _, err := Fetch(t.Context(), cfg, func([]byte, int) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := Fetch(ctx, cfg, func([]byte, int) error { cancel(enough); return nil }); !errors.Is(err, enough) {
		t.Error(err)
	}
	if _, err := Fetch(t.Context(), Config{Server: cfg.Server, Password: "longer than ten"}, nil); !errors.Is(err, soupbin.ErrTooLong) {
		t.Error(err)
	}
	must(t, s.Close())
	var refused *net.OpError
	if _, err := Fetch(t.Context(), cfg, nil); !errors.As(err, &refused) {
		t.Error(err)
	}
}

// TestHeartbeats: a server that drops silent clients keeps this one while it waits.
func TestHeartbeats(t *testing.T) {
	s := serve(t, session(t), server.Options{Patience: 300 * time.Millisecond, Faults: server.Faults{Late: 900 * time.Millisecond}})
	if _, err := Fetch(t.Context(), Config{Server: s.Addr().String(), Heartbeat: 30 * time.Millisecond}, func([]byte, int) error { return nil }); err != nil {
		t.Error(err, s.Counters())
	}
}

// FuzzStream feeds the receiving half with arbitrary bytes, cut anywhere: messages within bounds or an error, never a panic, and the same
// wherever the stream is cut.
func FuzzStream(f *testing.F) {
	accepted, _ := soupbin.AppendAccepted(nil, soupbin.Accepted{Session: "S", Sequence: 1})
	whole, _ := soupbin.AppendPacket(append(append([]byte(nil), accepted...), "\x00\x01H\x00\x03Sab"...), soupbin.Sequenced, soupbin.AppendSnapshotEnd(nil, 9))
	f.Add(whole, uint16(5))
	f.Add(append(append([]byte(nil), accepted...), "\x00\x03Sab\x00\x01S\x00\x01Z"...), uint16(40))
	f.Add([]byte("\x00\x02JA"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		type result struct {
			got  string
			n    int
			next uint64
			done bool
			bad  bool
		}
		read := func(parts ...[]byte) (r result) {
			s := stream{cfg: &Config{MaxMessages: 8}, fn: func(blocks []byte, count int) error { r.got += string(blocks); r.n += count; return nil }}
			var buf []byte
			for _, part := range parts {
				if r.done || r.bad {
					break
				}
				buf = append(buf, part...)
				used, next, whole, err := s.packets(buf)
				r.next, r.done, r.bad = next, whole, err != nil
				must(t, s.hand())
				buf = buf[used:]
			}
			return r
		}
		at := min(int(cut), len(b))
		one, two := read(b), read(b[:at], b[at:])
		if one != two || one.n > 8 || one.done != (one.next != 0) {
			t.Fatalf("%+v whole, %+v cut at %d", one, two, at)
		}
	})
}
