package session

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/mdp3"
	sim "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
)

// archived is a session's packets, and how many there are.
func archived(t *testing.T, keep int) (*sim.Archive, uint32) {
	t.Helper()
	g, err := mdp3gen.New(mdp3gen.Options{Messages: 6_000, Instruments: 8})
	if err != nil {
		t.Fatal(err)
	}
	a, last := sim.NewArchive(keep), uint32(0)
	c, err := sim.NewChannel(g, sim.ChannelOptions{}, func(n uint32, _ uint64, p []byte) error { a.Add(n, p); last = n; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for ok := true; ok && err == nil; {
		ok, err = c.Event()
	}
	if err != nil || last < 2_500 {
		t.Fatal(last, err)
	}
	return a, last
}

func replays(t *testing.T, a *sim.Archive, server sim.ReplayOptions, o ReplayOptions) (*sim.ReplayServer, *Replayer) {
	t.Helper()
	s, err := sim.NewReplayServer(a, netip.MustParseAddrPort("127.0.0.1:0"), server)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReplayer([]string{s.Addr().String()}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, r
}

// answersOf takes answers off the link until there are so many, or nothing comes for a while.
func answersOf(t *testing.T, l *Link, want int) (packets [][]byte) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(packets) < want && time.Now().Before(end); {
		a, ok := l.answer()
		if !ok {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		packets = append(packets, append([]byte(nil), a.data...))
		l.release()
	}
	return packets
}

func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not come to pass", what)
		}
	}
}

// TestReplay: what is asked for comes whole, in order and byte for byte, more than the ring holds at once; at most 2,000 packets a request; and what was asked for again
// meanwhile is spared.
func TestReplay(t *testing.T) {
	a, last := archived(t, 1<<14)
	s, r := replays(t, a, sim.ReplayOptions{Channel: 310, User: "me", Password: "it"}, ReplayOptions{Channel: 310, User: "me", Password: "it"})
	l := r.Link()
	l.ask(request{first: 5, count: 3000})
	l.ask(request{first: 100, count: 50}) // spared: the first one brings it
	l.ask(request{first: uint64(last), count: 1})
	got := answersOf(t, l, 2001)
	for i, p := range got {
		want := uint32(5 + i)
		if i == 2000 {
			want = last
		}
		if n := binary.LittleEndian.Uint32(p); n != want || !bytes.Equal(p, a.Get(want)) {
			t.Fatalf("packet %d is %d, want %d", i, n, want)
		}
	}
	until(t, "the end", func() bool { return r.Counters().Handed == 2001 && s.Counters().Requests == 2 })
	if c := r.Counters(); c.Requests != 2 || c.Spared != 1 || c.Failed != 0 || c.Outside != 0 {
		t.Errorf("%+v", c)
	}
}

// TestReplayRefused: a wrong password, what is not kept, another channel, a connection that is cut, and a server that is mute.
func TestReplayRefused(t *testing.T) {
	a, last := archived(t, 1_000)
	kept := uint64(last) - 500
	for _, tc := range []struct {
		name   string
		server sim.ReplayOptions
		client ReplayOptions
		first  uint64
		want   ReplayCounters
	}{
		{"password", sim.ReplayOptions{User: "me", Password: "x"}, ReplayOptions{User: "me"}, kept, ReplayCounters{Requests: 1, Failed: 1, Rejected: 1}},
		{"not kept", sim.ReplayOptions{}, ReplayOptions{}, 1, ReplayCounters{Requests: 1, Failed: 1, Rejected: 1}},
		{"channel", sim.ReplayOptions{Channel: 311}, ReplayOptions{Channel: 310}, kept, ReplayCounters{Requests: 1, Failed: 1, Rejected: 1}},
		{"cut", sim.ReplayOptions{CutAfter: 3}, ReplayOptions{}, kept, ReplayCounters{Requests: 1, Failed: 1, Received: 3, Handed: 3}},
		{"mute", sim.ReplayOptions{Mute: true}, ReplayOptions{Silence: 30 * time.Millisecond}, kept, ReplayCounters{Requests: 1, Failed: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, r := replays(t, a, tc.server, tc.client)
			r.Link().ask(request{first: tc.first, count: 10})
			until(t, "failure", func() bool { return r.Counters().Failed > 0 })
			if c := r.Counters(); c != tc.want {
				t.Errorf("%+v, want %+v", c, tc.want)
			}
		})
	}
	if _, err := NewReplayer(nil, ReplayOptions{}); err == nil {
		t.Error("no server")
	}
	if _, err := NewReplayer([]string{"nowhere"}, ReplayOptions{}); err == nil {
		t.Error("a server without a port")
	}
}

// TestReplayText is the client's side of the wire, byte for byte.
func TestReplayText(t *testing.T) {
	got := strings.ReplaceAll(string(AppendReplayText(nil, "V", "1180=310\x011182=1\x01")), "\x01", "|")
	if got != "9=21|35=V|1180=310|1182=1|10=173|" {
		t.Error(got)
	}
}

// talk runs a server's bytes against a replayer and says what became of one request for packets 7 and 8.
func talk(t *testing.T, says []byte) ReplayCounters {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := listen.Accept(); err == nil {
			_, _ = conn.Write(says)
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = conn.Read(make([]byte, 1<<10))
			_ = conn.Close()
		}
	}()
	r, err := NewReplayer([]string{listen.Addr().String()}, ReplayOptions{Silence: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Link()
	l.ask(request{first: 7, count: 2})
	until(t, "the end of the request", func() bool { return r.Counters().Requests == 1 })
	for open := true; open; { // the replayer has closed the connection, or says nothing any more
		select {
		case <-done:
			open = false
		case <-time.After(50 * time.Microsecond):
		}
		for _, ok := l.answer(); ok; _, ok = l.answer() {
			l.release()
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return r.Counters()
}

func frames(packets ...[]byte) (b []byte) {
	for _, p := range packets {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

// FuzzReplay: whatever a server says, the replayer neither panics nor hangs, and hands over nothing that was not asked for.
func FuzzReplay(f *testing.F) {
	admin := func(m []byte) []byte { return append(mdp3.AppendPacketHeader(nil, 1, 1), m...) }
	data := func(n uint32) []byte {
		return append(mdp3.AppendPacketHeader(nil, n, 1), mdp3.EncodeV13.AppendHeartbeat(nil)...)
	}
	login, logout := admin(mdp3.EncodeV13.AppendLogin(nil, 1)), admin(mdp3.EncodeV13.AppendLogout(nil, "done"))
	f.Add(frames(login, data(7), data(8), logout))
	f.Add(frames(login, data(9), data(7), login))
	f.Add(frames(data(7), login))
	f.Add(frames(login, data(7)[:11]))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, says []byte) {
		if len(says) > 1<<16 {
			return
		}
		if c := talk(t, says); c.Handed > 2*replayMost || c.Handed+c.Outside+c.Oversize+c.Dropped > c.Received {
			t.Errorf("%+v", c)
		}
	})
}
