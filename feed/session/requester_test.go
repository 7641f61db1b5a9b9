package session

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// patience is how long tests wait for what must come: a busy machine is slow.
const patience = 20 * time.Second

func venue(t *testing.T, l *mold.Log, o mold.RequestOptions) *mold.RequestServer {
	t.Helper()
	s, err := mold.NewRequestServer(func(id [10]byte) *mold.Log {
		if id == l.Session() {
			return l
		}
		return nil
	}, netip.MustParseAddrPort("127.0.0.1:0"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func requester(t *testing.T, servers ...netip.AddrPort) *Requester {
	t.Helper()
	r, err := NewRequester(servers, RequesterOptions{Interface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func wall() uint64 { return uint64(time.Now().UnixNano()) }

// tickUntil is a lane with nothing to do but to wait.
func tickUntil(t *testing.T, c *Channel, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting: next %d, %+v, %+v, answers %+v", c.Next(), c.Session, c.Ask, c.Recovery)
		}
		c.Tick(wall())
	}
}

// TestRequesterAndServer: over real sockets, with a server that is dead, one that loses, delays and spoils, and holes of every size: everything comes.
func TestRequesterAndServer(t *testing.T) {
	const total = 20_000
	events := mold.NewLog(sessionOne, 0)
	for n := uint64(1); n <= total; n++ {
		if err := events.Append(body(n)); err != nil {
			t.Fatal(err)
		}
	}
	dead, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dead.Close() })
	deadAddr := dead.LocalAddr().(*net.UDPAddr).AddrPort()
	bad := venue(t, events, mold.RequestOptions{LossPPM: 300_000, WrongPPM: 300_000, Delay: time.Millisecond, Seed: 7})
	good := venue(t, events, mold.RequestOptions{})
	r := requester(t, deadAddr, bad.Addr(), good.Addr())

	l := &log{t: t}
	c := NewChannel(Config{Wait: time.Millisecond, Link: r.Link(), HoldMax: time.Hour, Tries: 32}, l)
	for first := uint64(1); first <= total; { // the lines bring every other stretch
		stretch := 1 + first%700
		first += stretch
		for end := min(first+stretch, total+1); first < end; {
			count := min(40, end-first)
			c.Packet(&nic.Packet{Data: packet(sessionOne, first, int(count)), TsRecv: wall()}, wall())
			first += count
		}
		c.Tick(wall())
	}
	c.Packet(&nic.Packet{Data: endOf(sessionOne, total+1)}, wall())
	tickUntil(t, c, c.Ended)
	for i, n := range l.got {
		if n != uint64(i+1) {
			t.Fatalf("message %d in the place of %d", n, i+1)
		}
	}
	var told, closed uint64
	for _, g := range l.gaps {
		switch g.State {
		case tick.GapRecovering:
			told += g.Last - g.First + 1
		case tick.GapClosed:
			closed += g.Last - g.First + 1
		}
	}
	if len(l.got) != total || c.Session.Lost != 0 || told == 0 || told != closed || c.Ask.Recovered != told || c.Ask.Retries == 0 || c.Session.LiveHoles != 0 {
		t.Errorf("%d messages, %d told, %d closed, %+v, %+v", len(l.got), told, closed, c.Session, c.Ask)
	}
	n := r.Counters()
	if n.Sent+n.SendFails != c.Ask.Requests-c.Ask.Unsent || n.Handed == 0 || n.Strangers != 0 || n.SendFails != 0 || good.Counters().Answers == 0 || bad.Counters().Requests == 0 {
		t.Errorf("%+v for %+v", n, c.Ask)
	}
	if link := r.Link(); link.alert.Load() {
		t.Error("the requester still believes that there is a hole")
	}
}

// TestRequesterDropsWhatIsNoAnswer: strangers, and what is too short or too long, is counted and not handed over; a flood finds its end at the link.
func TestRequesterDropsWhatIsNoAnswer(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	r := requester(t, server.LocalAddr().(*net.UDPAddr).AddrPort())
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	until := func(what string, send func(), done func(RequesterCounters) bool) {
		t.Helper()
		for end := time.Now().Add(patience); !done(r.Counters()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, r.Counters())
			}
			send()
		}
	}
	from := func(conn *net.UDPConn, b []byte) func() {
		return func() { _, _ = conn.WriteToUDPAddrPort(b, to) }
	}
	good := packet(sessionOne, 1, 1)
	until("a stranger", from(stranger, good), func(c RequesterCounters) bool { return c.Strangers > 0 })
	until("too short", from(server, good[:19]), func(c RequesterCounters) bool { return c.Short > 0 })
	until("nothing", from(server, nil), func(c RequesterCounters) bool { return c.Short > 1 })
	until("too long", from(server, make([]byte, mostAnswerSize+1)), func(c RequesterCounters) bool { return c.Oversize > 0 })
	if c := r.Counters(); c.Handed != 0 {
		t.Fatalf("%+v", c)
	}
	largest := append(good, make([]byte, mostAnswerSize-len(good))...)
	until("the largest", from(server, largest), func(c RequesterCounters) bool { return c.Handed > 0 })
	if a, ok := r.Link().answer(); !ok || !slices.Equal(a.data, largest) || a.server != 0 || a.ts == 0 {
		t.Errorf("%d bytes of server %d at %d, %v", len(a.data), a.server, a.ts, ok)
	}
	until("a flood", from(server, largest), func(c RequesterCounters) bool { return c.Dropped > 0 })
	if c := r.Counters(); c.Handed > linkBytes/mostAnswerSize || c.Received != c.Handed+c.Dropped+c.Strangers+c.Short+c.Oversize {
		t.Errorf("%+v", c)
	}
}

// TestRequesterServerIsGone: requests to a port where nobody is do no harm, and the hole is given up in time.
func TestRequesterServerIsGone(t *testing.T) {
	gone, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	gone.Close()
	r := requester(t, addr)
	l := &log{t: t}
	c := NewChannel(Config{Link: r.Link(), HoldPackets: 16}, l)
	for _, first := range []uint64{1, 3} {
		c.Packet(&nic.Packet{Data: packet(sessionOne, first, 1)}, wall())
	}
	tickUntil(t, c, func() bool { return c.Session.Lost == 1 })
	if c.Session.LostMessages != 1 || c.State() != StateLive || len(l.got) != 2 {
		t.Errorf("%+v, %v", c.Session, l.lines)
	}
}

// TestRequesterCloses: at once, even where nothing ever came; the lane goes on without it.
func TestRequesterCloses(t *testing.T) {
	r := requester(t, netip.MustParseAddrPort("127.0.0.1:9"))
	c := NewChannel(Config{Link: r.Link(), HoldPackets: 16}, nothing{})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	now := 1_000_000 * ms
	for _, first := range []uint64{1, 3} {
		c.Packet(&nic.Packet{Data: packet(sessionOne, first, 1)}, now)
	}
	for range 100 {
		now += ms
		c.Tick(now)
	}
	if c.Session.Lost != 1 || c.Ask.Requests == 0 {
		t.Errorf("%+v, %+v", c.Session, c.Ask)
	}
}

func TestRequesterRefuses(t *testing.T) {
	a := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	for name, tc := range map[string]struct {
		servers []netip.AddrPort
		o       RequesterOptions
	}{
		"none":              {nil, RequesterOptions{}},
		"too many":          {make([]netip.AddrPort, mostServers+1), RequesterOptions{}},
		"not set":           {[]netip.AddrPort{{}}, RequesterOptions{}},
		"port 0":            {[]netip.AddrPort{a("127.0.0.1:0")}, RequesterOptions{}},
		"any address":       {[]netip.AddrPort{a("0.0.0.0:1")}, RequesterOptions{}},
		"a group":           {[]netip.AddrPort{a("233.252.0.1:1")}, RequesterOptions{}},
		"twice":             {[]netip.AddrPort{a("127.0.0.1:1"), a("[::ffff:127.0.0.1]:1")}, RequesterOptions{}},
		"both families":     {[]netip.AddrPort{a("127.0.0.1:1"), a("[::1]:1")}, RequesterOptions{}},
		"no such interface": {[]netip.AddrPort{a("127.0.0.1:1")}, RequesterOptions{Interface: "none-such"}},
		"no address of own": {[]netip.AddrPort{a("127.0.0.1:1")}, RequesterOptions{Local: a("192.0.2.1:0")}},
	} {
		if r, err := NewRequester(tc.servers, tc.o); err == nil {
			r.Close()
			t.Errorf("%s: taken", name)
		}
	}
}
