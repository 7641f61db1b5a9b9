package glimpse_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/soupbin"
	"github.com/tickwire/tickwire/sim/glimpse"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

const patience = 20 * time.Second

// fixed is a snapshot of three messages that goes on from 42.
type fixed struct{}

func (fixed) Snapshot(dst []byte) ([]byte, uint64) {
	return append(dst, "\x00\x01a\x00\x02bb\x00\x03ccc"...), 42
}

// talk logs in and gives every packet until the server closes, or a snapshot's end when stop is set, as text.
func talk(t *testing.T, s *glimpse.Server, l soupbin.Login, stop bool) (got []string, err error) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	must(t, err)
	defer c.Close()
	b, err := soupbin.AppendLogin(nil, &l)
	must(t, err)
	for _, part := range [][]byte{b[:1], b[1:20], b[20:]} { // TCP may cut anywhere
		if _, err = c.Write(part); err != nil {
			return nil, err
		}
	}
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(r, head); err != nil {
			return got, err
		}
		p := make([]byte, binary.BigEndian.Uint16(head))
		if _, err := io.ReadFull(r, p); err != nil {
			return got, err
		}
		got = append(got, string(p))
		if stop && len(p) > 1 && p[0] == soupbin.Sequenced && p[1] == soupbin.SnapshotEnd {
			_, err := c.Write([]byte{0, 1, soupbin.Logout})
			return got, err
		}
	}
}

func TestServer(t *testing.T) {
	const (
		accepted = "A       SIM                   1"
		end      = "SG                  42"
	)
	login := soupbin.Login{User: "ALICE", Password: "Secret", Sequence: 1}
	for _, tc := range []struct {
		name   string
		login  soupbin.Login
		faults glimpse.Faults
		want   []string
	}{
		{"a snapshot", login, glimpse.Faults{}, []string{accepted, "Sa", "Sbb", "Sccc", end}},
		{"version 4", soupbin.Login{User: "alice", Password: "secret", Session: "SIM", HeartbeatTimeoutMs: 5000}, glimpse.Faults{},
			[]string{accepted, "Sa", "Sbb", "Sccc", end}},
		{"wrong user", soupbin.Login{User: "bob", Password: "secret", Sequence: 1}, glimpse.Faults{}, []string{"JA"}},
		{"wrong password", soupbin.Login{User: "alice", Password: "secre", Sequence: 1}, glimpse.Faults{}, []string{"JA"}},
		{"another session", soupbin.Login{User: "alice", Password: "secret", Session: "X", Sequence: 1}, glimpse.Faults{}, []string{"JS"}},
		{"from the middle", soupbin.Login{User: "alice", Password: "secret", Sequence: 2}, glimpse.Faults{}, []string{"JS"}},
		{"refused", login, glimpse.Faults{Refuse: 'S'}, []string{"JS"}},
		{"cut", login, glimpse.Faults{CutAfter: 2}, []string{accepted, "Sa", "Sbb"}},
		{"ended", login, glimpse.Faults{EndAfter: 1}, []string{accepted, "Sa", "Z"}},
		{"wrong number", login, glimpse.Faults{Shift: -2}, []string{accepted, "Sa", "Sbb", "Sccc", "SG                  40"}},
		{"garbage", login, glimpse.Faults{Garbage: []byte("\x00\x02Ux")}, []string{accepted, "Ux", "Sa", "Sbb", "Sccc", end}},
		{"slow and late", login, glimpse.Faults{BytesPerSecond: 500, Delay: time.Millisecond, Late: time.Millisecond}, []string{accepted, "Sa", "Sbb", "Sccc", end}},
	} {
		s, err := glimpse.NewServer(loopback, fixed{}, glimpse.Options{User: "alice", Password: "secret", Faults: tc.faults})
		must(t, err)
		got, err := talk(t, s, tc.login, true)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		} else {
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("%s: packet %d is %q, want %q", tc.name, i, got[i], tc.want[i])
				}
			}
		}
		must(t, s.Close())
		c := s.Counters()
		if whole := strings.HasPrefix(tc.want[len(tc.want)-1], "SG"); whole != (c.Snapshots == 1) || c.Connections != 1 || c.Malformed != 0 ||
			(tc.want[0][0] == 'J') != (c.Rejected == 1) || (tc.faults.CutAfter+tc.faults.EndAfter > 0) != (c.Cut == 1) {
			t.Errorf("%s: %+v", tc.name, c)
		}
	}
}

// moving is a venue whose next session begins while a client waits for its snapshot.
type moving struct {
	fixed
	begins bool
	name   string
}

func (m *moving) Session() string { return m.name }

func (m *moving) Snapshot(dst []byte) ([]byte, uint64) {
	if m.begins {
		m.name = "SECOND"
	}
	return m.fixed.Snapshot(dst)
}

// TestSession: clients are told the session's own name, and get nothing of another one than they were told.
func TestSession(t *testing.T) {
	for _, m := range []*moving{{name: "FIRST"}, {name: "FIRST", begins: true}} {
		s, err := glimpse.NewServer(loopback, m, glimpse.Options{})
		must(t, err)
		got, err := talk(t, s, soupbin.Login{Sequence: 1}, true)
		want := 5 // the login, three messages, the end
		if m.begins {
			want = 1
		}
		if len(got) != want || got[0] != "A     FIRST                   1" || (err == nil) == m.begins {
			t.Errorf("another session begins: %v: %q, %v", m.begins, got, err)
		}
		must(t, s.Close())
	}
}

// TestHeartbeats: a server that has nothing to say says so, one that is silent does not, and a silent client is dropped.
func TestHeartbeats(t *testing.T) {
	s, err := glimpse.NewServer(loopback, fixed{}, glimpse.Options{Heartbeat: 10 * time.Millisecond, Patience: 200 * time.Millisecond})
	must(t, err)
	defer s.Close()
	got, err := talk(t, s, soupbin.Login{Sequence: 1}, false)
	if !errors.Is(err, io.EOF) || len(got) < 7 || got[len(got)-1] != "H" {
		t.Errorf("%q: %v, want heartbeats behind the snapshot, then the end of patience", got, err)
	}
	s.SetFaults(glimpse.Faults{Silent: true})
	if got, err := talk(t, s, soupbin.Login{Sequence: 1}, false); !errors.Is(err, io.EOF) || len(got) != 0 {
		t.Errorf("%q of a silent server: %v", got, err)
	}
	s.SetFaults(glimpse.Faults{NoHeartbeats: true})
	if got, err := talk(t, s, soupbin.Login{Sequence: 1}, false); !errors.Is(err, io.EOF) || len(got) != 5 {
		t.Errorf("%q of a server without heartbeats: %v", got, err)
	}
}

// TestBadClients: whoever sends anything but a login first, or leaves, or is one too many, is dropped and counted; others are served.
func TestBadClients(t *testing.T) {
	s, err := glimpse.NewServer(loopback, fixed{}, glimpse.Options{Clients: 2})
	must(t, err)
	defer s.Close()
	for _, wire := range []string{"GET / HTTP/1.1\r\n\r\n" + string(make([]byte, 20_000)), "\x00\x00", "\x00\x01R", "\x00\x02Lx"} {
		c, err := net.Dial("tcp", s.Addr().String())
		must(t, err)
		_, _ = c.Write([]byte(wire))
		must(t, c.SetReadDeadline(time.Now().Add(patience)))
		if b, err := io.ReadAll(c); len(b) != 0 || errors.Is(err, net.ErrClosed) || isTimeout(err) {
			t.Errorf("%.10q was answered by %q: %v", wire, b, err)
		}
		_ = c.Close()
	}
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", s.Addr().String())
		must(t, err)
		conns = append(conns, c)
		must(t, c.SetReadDeadline(time.Now().Add(patience)))
	}
	if _, err := conns[2].Read(make([]byte, 1)); isTimeout(err) || err == nil {
		t.Errorf("one client too many: %v", err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got, err := talk(t, s, soupbin.Login{Sequence: 1}, true); err == nil && len(got) == 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not served any more: %+v", s.Counters())
		}
	}
	if c := s.Counters(); c.Malformed != 4 || c.TooMany == 0 || c.Snapshots != 1 {
		t.Errorf("%+v", c)
	}
}

// TestEndless: a snapshot without an end ends with the client.
func TestEndless(t *testing.T) {
	s, err := glimpse.NewServer(loopback, fixed{}, glimpse.Options{Faults: glimpse.Faults{Endless: true}})
	must(t, err)
	c, err := net.Dial("tcp", s.Addr().String())
	must(t, err)
	b, _ := soupbin.AppendLogin(nil, &soupbin.Login{Sequence: 1})
	_, err = c.Write(b)
	must(t, err)
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	if _, err := io.ReadFull(c, make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	must(t, s.Close()) // with the client still there
	_ = c.Close()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
