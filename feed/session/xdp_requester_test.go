package session

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/xdp"
	simxdp "github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

// xdpClient connects to a venue's request server.
func xdpClient(t *testing.T, o xdprequest.Options) *xdprequest.Client {
	t.Helper()
	o.Source, o.Interface, o.Retry, o.MaxRetry = "CLIENT1", "lo", 10*time.Millisecond, 50*time.Millisecond
	c, err := xdprequest.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	wait(t, "a connection", c.Connected)
	return c
}

func xdpRequester(t *testing.T, v *xdptest.Channel, c *xdprequest.Client) *XDPRequester {
	t.Helper()
	r, err := NewXDPRequester(c, XDPOptions{Product: xdpgen.Product, Channel: xdptest.Number, Groups: v.Retransmission})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("still waiting: ", what)
		}
	}
}

// collect is a lane that takes what comes and notes which messages, as their bytes, by number.
func collect(t *testing.T, l *Link, got map[uint64]string) {
	t.Helper()
	for a, ok := l.answer(); ok; a, ok = l.answer() {
		h, blocks, err := xdp.ParsePacket(a.data)
		if err != nil || h.Kind != xdp.PacketData {
			l.release()
			continue // spoilt, which is the channel's business
		}
		if whole, used := xdp.Walk(blocks, int(h.Count)); whole == int(h.Count) && used == len(blocks) {
			for n := uint64(h.Sequence); n < uint64(h.Sequence)+uint64(h.Count); n++ {
				var m []byte
				m, blocks = xdp.Next(blocks)
				got[n] = string(m)
			}
		}
		l.release()
	}
}

// truth is every message that a venue published.
func truth(t *testing.T, v *xdptest.Channel) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	for _, p := range v.Packets {
		h, blocks, err := xdp.ParsePacket(p)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(h.Count) {
			var m []byte
			m, blocks = xdp.Next(blocks)
			all[uint64(h.Sequence)+n] = string(m)
		}
	}
	return all
}

// TestXDPRequester: over real sockets, with a retransmission channel that loses and spoils packets and a server that drops its clients: what is
// asked for, and asked for again, comes whole and as it was published.
func TestXDPRequester(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Requests: simxdp.RequestOptions{Seed: 4, Faults: simxdp.Faults{LossPPM: 200_000, SpoilPPM: 100_000}}})
	r := xdpRequester(t, v, xdpClient(t, xdprequest.Options{Servers: []string{v.Addr().String()}}))
	want, got := truth(t, v), map[uint64]string{}
	l := r.Link()
	l.alert.Store(true)
	const last = 6_000
	dropped := false
	wait(t, "all messages", func() bool {
		collect(t, l, got)
		lacking := 0
		for first := uint64(1); first <= last; first++ {
			if _, ok := got[first]; ok {
				continue
			}
			end := first + 1
			for ; end <= last && end-first < 2_500; end++ { // more than one request may ask for
				if _, ok := got[end]; ok {
					break
				}
			}
			l.ask(request{first: first, count: uint16(end - first)})
			lacking++
			first = end
		}
		if lacking > 0 && len(got) > last/2 && !dropped {
			dropped = true
			v.DropClients()
		}
		for idle := 0; lacking > 0 && idle < 10; idle++ { // as long as something comes, more is on its way
			time.Sleep(2 * time.Millisecond)
			if l.pending() {
				idle = 0
			}
			collect(t, l, got)
		}
		return lacking == 0
	})
	for n := uint64(1); n <= last; n++ {
		if got[n] != want[n] {
			t.Fatalf("message %d is %x, want %x", n, got[n], want[n])
		}
	}
	c, s := r.Counters(), v.Counters()
	if c.Sent == 0 || c.Accepted == 0 || c.Handed == 0 || c.Malformed == 0 || c.Refused != 0 || c.Dropped != 0 || s.Lost == 0 || s.Spoilt == 0 || !dropped {
		t.Errorf("%+v; server %+v", c, s)
	}
}

// TestXDPUnavailable: a range that the server cannot supply, one it supplies in part, and one it refuses: the lane is told at once.
func TestXDPUnavailable(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Keep: 1_000})
	c := xdpClient(t, xdprequest.Options{Servers: []string{v.Addr().String()}})
	r := xdpRequester(t, v, c)
	l, got := r.Link(), map[uint64]string{}
	l.alert.Store(true)
	oldest, next := v.Record.Next()-1_000, v.Record.Next()

	l.ask(request{first: 100, count: 50})
	wait(t, "a refusal", func() bool { end, ok := l.wontCome(100); return ok && end == 150 })
	if _, ok := l.wontCome(99); ok {
		t.Error("99 will not come either")
	}
	if end, ok := l.wontCome(120); !ok || end != 150 {
		t.Errorf("120: %d, %v", end, ok)
	}
	if _, ok := l.wontCome(150); ok {
		t.Error("150 will not come either")
	}
	l.ask(request{first: oldest - 10, count: 20})
	wait(t, "the half", func() bool { collect(t, l, got); return len(got) == 10 })
	wait(t, "the other half's refusal", func() bool { end, ok := l.wontCome(oldest - 10); return ok && end == oldest })

	v.SetFaults(simxdp.Faults{Refuse: xdp.TooManyRequests})
	l.ask(request{first: next - 10, count: 10})
	wait(t, "the refusal by status", func() bool { end, ok := l.wontCome(next - 10); return ok && end == next })
	v.SetFaults(simxdp.Faults{Unavailable: true})
	l.ask(request{first: next - 10, count: 10})
	l.count(7) // numbers begin anew: what was asked before is void
	wait(t, "message 31", func() bool { return r.Counters().Unavailable == 3 })
	if _, ok := l.wontCome(next - 10); ok {
		t.Error("a refusal outlived its numbers")
	}
	if n := r.Counters(); n.Refused != 1 {
		t.Errorf("%+v", n)
	}
}

// TestXDPQuota: beyond the day's limit the lane is told at once, and nothing is sent.
func TestXDPQuota(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{})
	r := xdpRequester(t, v, xdpClient(t, xdprequest.Options{Servers: []string{v.Addr().String()}, Limits: xdprequest.Limits{Retransmissions: 1}}))
	l := r.Link()
	l.ask(request{first: 10, count: 1})
	l.ask(request{first: 20, count: 1})
	wait(t, "the refusal", func() bool { _, ok := l.wontCome(20); return ok })
	wait(t, "the first one", func() bool { return r.Counters().Accepted == 1 })
	if _, ok := l.wontCome(10); ok || v.Counters().Requests != 1 {
		t.Errorf("%+v", v.Counters())
	}
}

// TestXDPOthers: what other clients asked for, unavailable ranges of theirs among it, is not handed over; what is no packet of such a channel is
// counted.
func TestXDPOthers(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{})
	client := xdpClient(t, xdprequest.Options{Servers: []string{v.Addr().String()}})
	r := xdpRequester(t, v, client)
	l := r.Link()
	l.ask(request{first: 500, count: 10})
	wait(t, "an answer", l.pending)
	next := uint32(v.Record.Next())
	for _, q := range [][2]uint32{{1_000, 1_100}, {next, next + 10}} {
		if err := client.Retransmission(xdpgen.Product, xdptest.Number, q[0], q[1], func(xdprequest.Outcome) {}); err != nil {
			t.Fatal(err)
		}
	}
	send, err := udp.NewSender(v.Retransmission[0].Group, "lo", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer send.Close()
	u := func(product uint8, begin, end uint32) []byte {
		return xdp.AppendPacket(nil, xdp.DeliveryUnavailable, 1, begin, 0, 0, xdp.AppendUnavailable(nil, begin, end, product, xdptest.Number))
	}
	reset := xdp.AppendPacket(nil, xdp.DeliveryReset, 1, 1, 5, 5, xdp.AppendReset(nil, 5, 5, xdpgen.Product, xdptest.Number))
	if _, err := send.Send([][]byte{
		u(1, 505, 506), u(xdpgen.Product, 506, 505), reset, []byte("garbage"),
		xdp.AppendPacket(nil, xdp.DeliveryUnavailable, 1, 505, 0, 0, xdp.AppendSymbolClear(nil, 1, 2, 3, 4)),
		xdp.AppendPacket(nil, xdp.DeliveryUnavailable, 2, 505, 0, 0, make([]byte, 3)),
	}); err != nil {
		t.Fatal(err)
	}
	wait(t, "all of it", func() bool { c := r.Counters(); return c.Others >= 4 && c.Malformed >= 5 })
	got := map[uint64]string{}
	collect(t, l, got)
	if len(got) != 10 || r.Counters().Unavailable != 0 {
		t.Errorf("%d messages, %+v", len(got), r.Counters())
	}
	for n := range uint64(next) {
		if _, ok := l.wontCome(n); ok {
			t.Fatalf("%d will not come", n)
		}
	}
}

// TestRefusals: the rings' bounds, and what is forgotten.
func TestRefusals(t *testing.T) {
	l, err := newLink(1, linkBytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(refusalsKept) {
		if !l.refuse(10*i+10, 10*i+20, 0) {
			t.Fatalf("refusal %d had no room", i)
		}
	}
	if l.refuse(1, 2, 0) {
		t.Error("one more had room")
	}
	for n := uint64(10); n < 10*refusalsKept+10; n += 10 { // the lane goes along
		if end, ok := l.wontCome(n + 3); !ok || end != n+10 {
			t.Fatalf("%d: %d, %v", n+3, end, ok)
		}
	}
	if _, ok := l.wontCome(10*refusalsKept + 10); ok || l.refused.n != 0 {
		t.Errorf("%d are kept", l.refused.n)
	}
	l.refuse(5, 9, l.generation.Load())
	l.count(8)
	if _, ok := l.wontCome(6); ok {
		t.Error("a refusal of numbers before")
	}
	l.refuse(5, 9, l.generation.Load())
	if end, ok := l.wontCome(6); !ok || end != 9 {
		t.Error("a refusal of the new numbers was forgotten")
	}
}

func TestXDPRequesterFaults(t *testing.T) {
	c, err := xdprequest.Open(xdprequest.Options{Servers: []string{"127.0.0.1:1"}, Source: "A"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, o := range []XDPOptions{{}, {Groups: []udp.Group{{Group: netip.MustParseAddrPort("239.255.79.9:9"), Interface: "nosuch"}}}} {
		if r, err := NewXDPRequester(c, o); err == nil {
			r.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}

// FuzzXDPTake: whatever comes on a retransmission channel, only what overlaps a range that was asked for is handed over, whole and as it came, and
// only what was asked for is refused.
func FuzzXDPTake(f *testing.F) {
	m := xdp.AppendSymbolClear(nil, 1, 2, 3, 4)
	f.Add(xdp.AppendPacket(nil, xdp.DeliveryRetransmit, 1, 105, 0, 0, m))
	f.Add(xdp.AppendPacket(nil, xdp.DeliveryUnavailable, 1, 1, 0, 0, xdp.AppendUnavailable(nil, 90, 105, 7, 8)))
	f.Add(xdp.AppendPacket(nil, xdp.DeliveryUnavailable, 2, 1, 0, 0, xdp.AppendUnavailable(xdp.AppendUnavailable(nil, 0, 1<<32-1, 7, 8), 5, 1, 7, 8)))
	f.Fuzz(func(t *testing.T, data []byte) {
		link, err := newLink(1, linkBytes)
		if err != nil {
			t.Fatal(err)
		}
		r := &XDPRequester{link: link, o: XDPOptions{Product: 7, Channel: 8, Keep: time.Hour}}
		r.remember(xdpRange{begin: 100, end: 199})
		r.take(&nic.Packet{Data: data})
		if a, ok := link.answer(); ok {
			h, _, err := xdp.ParsePacket(a.data)
			if err != nil || h.Kind != xdp.PacketData || h.Sequence > 199 || uint64(h.Sequence)+uint64(h.Count) <= 100 || string(a.data) != string(data) {
				t.Fatalf("handed over: %+v, %v", h, err)
			}
		}
		for _, n := range []uint64{0, 1, 99, 200, 1 << 31} {
			if end, ok := link.wontCome(n); ok {
				t.Fatalf("%d to %d will not come", n, end)
			}
		}
		c := r.Counters()
		if c.Received != 1 || c.Heartbeats+c.Handed+c.Others+c.Unavailable+c.Malformed+c.Dropped == 0 {
			t.Fatalf("%+v", c)
		}
	})
}
