package session

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	simxdp "github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// xdpCut cuts packets as the venue does.
type xdpCut struct{}

func (xdpCut) Parse(p []byte) (h Header, blocks []byte, err error) {
	x, blocks, err := xdp.ParsePacket(p)
	h = Header{Sequence: uint64(x.Sequence), Count: uint16(x.Count), Epoch: x.Epoch, Sent: x.SendNs()}
	switch x.Kind {
	case xdp.PacketData:
	case xdp.PacketHeartbeat:
		h.Kind = PacketHeartbeat
	case xdp.PacketReset:
		h.Kind = PacketReset
	default:
		h.Kind = PacketAside
	}
	return h, blocks, err
}

func (xdpCut) Walk(blocks []byte, count int) (whole, used int) { return xdp.Walk(blocks, count) }

// xdpSink keeps what a channel hands over.
type xdpSink struct {
	got      map[uint64]string
	last     uint64
	disorder int
	gaps     []Gap
	sessions int
}

func (s *xdpSink) SessionStart([10]byte) { s.sessions++; s.got, s.last = map[uint64]string{}, 0 }
func (s *xdpSink) SessionEnd([10]byte)   {}
func (s *xdpSink) Gap(g Gap)             { s.gaps = append(s.gaps, g) }
func (s *xdpSink) Messages(blocks []byte, first uint64, count int, _ Arrival) {
	for n := first; n < first+uint64(count); n++ {
		var m []byte
		m, blocks = xdp.Next(blocks)
		if n <= s.last {
			s.disorder++
		}
		s.got[n], s.last = string(m), n
	}
}

// lost is how many numbers were named as lost.
func (s *xdpSink) lost() (n uint64) {
	for _, g := range s.gaps {
		if g.State == tick.GapLost {
			n += g.Last - g.First + 1
		}
	}
	return n
}

// days are sources one after the other: each begins with a reset.
type days struct{ sources []mold.Source }

func (d *days) Next(dst []byte) ([]byte, bool) {
	out, ok := d.sources[0].Next(dst)
	if !ok && len(d.sources) > 1 {
		d.sources = d.sources[1:]
		return d.sources[0].Next(dst)
	}
	return out, ok
}

func (d *days) Time() uint64 { return d.sources[0].Time() }

// xdpDays plays generated days on lossy lines to a channel that asks, until the last one's last number has been delivered or named as lost.
func xdpDays(t *testing.T, count int, o simxdp.Options, cfg Config) (*xdpSink, *Channel, *simxdp.Venue, *XDPRequester) {
	t.Helper()
	d := &days{}
	for day := range count {
		g, err := xdpgen.New(xdpgen.Options{
			Messages: 20_000, Symbols: 50, Seed: uint64(day), Version: xdp.V25, Channel: 4, Date: itchgen.Date{Year: 2026, Month: 1, Day: 5 + day},
		})
		if err != nil {
			t.Fatal(err)
		}
		d.sources = append(d.sources, g)
	}
	var groups [4]netip.AddrPort
	for i := range groups {
		groups[i] = xdptest.Group(t, byte(11+i))
	}
	o.Source, o.Pace, o.Version, o.Product, o.Channel = d, "40000/s", xdp.V25, xdpgen.Product, 4
	o.Lines.A.Group, o.Lines.B.Group, o.Retransmission, o.Refresh = groups[0], groups[1], groups[2], groups[3]
	o.Requests.Addr = netip.MustParseAddrPort("127.0.0.1:0")
	o.Play.HeartbeatNs, o.Play.Ends = 20_000_000, 100
	v, err := simxdp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	src, err := udp.Open(udp.Options{Groups: []udp.Group{{Group: groups[0], Interface: "lo"}, {Group: groups[1], Interface: "lo", Line: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	client := xdpClient(t, xdprequest.Options{Servers: []string{v.RequestAddr().String()}})
	r, err := NewXDPRequester(client, XDPOptions{Product: xdpgen.Product, Channel: 4, Groups: []udp.Group{{Group: groups[2], Interface: "lo"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cfg.Framing = xdpCut{}
	r.Configure(&cfg)
	sink := &xdpSink{}
	c := NewChannel(cfg, sink)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	var packets [64]nic.Packet
	wait(t, "the day's end", func() bool {
		for range 100 {
			n, err := src.Poll(packets[:])
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				c.Packet(&packets[i], wall())
			}
			c.Tick(wall())
		}
		return sink.sessions == count && c.Next() == 20_001
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for n, m := range sink.got {
		if want := string(v.Record().Message(n)); m != want {
			t.Fatalf("message %d is %x, want %x", n, m, want)
		}
	}
	if count == 1 && len(sink.got)+int(sink.lost()) != 20_000 || sink.disorder != 0 {
		t.Errorf("%d messages, %d lost, %d out of order, %d sessions", len(sink.got), sink.lost(), sink.disorder, sink.sessions)
	}
	return sink, c, v, r
}

// TestXDPChannel: lines that lose one packet in ten each and some in a row on both, a retransmission channel that loses some too: with time enough
// everything comes, once and in order.
func TestXDPChannel(t *testing.T) {
	line := mold.Line{LossPPM: 100_000}
	sink, c, v, r := xdpDays(t, 1, simxdp.Options{
		Lines:    mold.LinesOptions{A: line, B: line, Seed: 5, BothPPM: 5_000, BothPackets: 30},
		Requests: simxdp.RequestOptions{Seed: 6, Faults: simxdp.Faults{LossPPM: 50_000}},
	}, Config{Wait: 2 * time.Millisecond, HoldMax: time.Hour, HoldPackets: 21_000, Tries: 32}) // a busy machine is slow: all of it may be held
	if sink.lost() != 0 || c.Ask.Recovered == 0 || v.Counters().LostMessages == 0 || c.Ask.Recovered < v.Counters().LostMessages/2 {
		t.Errorf("%d lost; %+v; lines %+v", sink.lost(), c.Ask, v.Counters().Counters)
	}
	if n := r.Counters(); c.Ask.Refused != 0 || n.Refused != 0 || n.Unavailable != 0 {
		t.Errorf("%+v; %+v", c.Ask, n)
	}
}

// TestXDPOneRequest: an answer of many packets is one request, for the venue counts them.
func TestXDPOneRequest(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Requests: simxdp.RequestOptions{PerSecond: 500}}) // packets come one by one
	r := xdpRequester(t, v, xdpClient(t, xdprequest.Options{Servers: []string{v.Addr().String()}}))
	sink := &xdpSink{}
	cfg := Config{Framing: xdpCut{}, HoldMax: time.Hour, Wait: time.Millisecond, Retry: patience}
	r.Configure(&cfg)
	c := NewChannel(cfg, sink)
	next := uint64(0)
	for _, p := range v.Packets {
		h, _, err := xdp.ParsePacket(p)
		if err != nil {
			t.Fatal(err)
		}
		if h.Sequence == 1 || next == 0 && h.Sequence > 900 {
			c.Packet(&nic.Packet{Data: p}, wall())
		}
		if h.Sequence > 900 && next == 0 {
			next = uint64(h.Sequence) + uint64(h.Count)
		}
	}
	tickUntil(t, c, func() bool { return c.Next() == next })
	n := v.Counters()
	if n.Requests != 1 || n.Packets < 10 || c.Ask.Requests != 1 || c.Ask.Retries != 0 || c.Session.Lost != 0 {
		t.Errorf("%d requests for %d packets; %+v", n.Requests, n.Packets, c.Ask)
	}
}

// TestXDPChannelReset: the venue counts from 1 again in the middle of everything, with holes open and answers on their way. What was asked before
// does not come for what has the same numbers now: the second day is the venue's, message by message.
func TestXDPChannelReset(t *testing.T) {
	line := mold.Line{LossPPM: 100_000}
	sink, c, v, _ := xdpDays(t, 2, simxdp.Options{
		Lines:    mold.LinesOptions{A: line, B: line, Seed: 5, BothPPM: 5_000, BothPackets: 30},
		Requests: simxdp.RequestOptions{Faults: simxdp.Faults{Delay: 10 * time.Millisecond}},
	}, Config{Wait: 2 * time.Millisecond, HoldMax: time.Hour, HoldPackets: 21_000, Retry: 40 * time.Millisecond, Tries: 32})
	if len(sink.got) != 20_000 || c.Ask.Recovered == 0 || v.Record().Next() != 20_001 {
		t.Errorf("%d messages of the second day, %d sessions; %+v", len(sink.got), sink.sessions, c.Ask)
	}
}

// TestXDPChannelUnavailable: what the server says it cannot supply is named as lost at once, although the channel would wait for an hour.
func TestXDPChannelUnavailable(t *testing.T) {
	for _, faults := range []simxdp.Faults{{Unavailable: true}, {Refuse: xdp.TooManyRequests}} {
		sink, c, v, _ := xdpDays(t, 1, simxdp.Options{
			Lines:    mold.LinesOptions{Seed: 5, BothPPM: 3_000, BothPackets: 3},
			Requests: simxdp.RequestOptions{Faults: faults},
		}, Config{Wait: 2 * time.Millisecond, HoldMax: time.Hour, HoldPackets: 21_000})
		if want := v.Counters().LostMessages; sink.lost() != want || want == 0 || c.Ask.Refused == 0 || c.Ask.Recovered != 0 {
			t.Errorf("%d lost, want %d; %+v", sink.lost(), want, c.Ask)
		}
	}
}

// TestVoid: behind a reset, what the slow line still brings of the numbers before it changes nothing, and what was asked for among them does not
// fill a hole of the new ones. After Quiet a packet that was sent earlier is of a clock that was set back.
func TestVoid(t *testing.T) {
	link, err := newLink(1, linkBytes)
	if err != nil {
		t.Fatal(err)
	}
	sink := &xdpSink{}
	c := NewChannel(Config{Framing: xdpCut{}, Link: link, Wait: time.Second, HoldMax: time.Hour}, sink)
	m := func(seq int) []byte { return xdp.AppendTimeReference(nil, 1, uint32(seq)) }
	data := func(flag uint8, sent uint32, seq int) []byte {
		return xdp.AppendPacket(nil, flag, 1, uint32(seq), sent, 0, m(seq+1000*int(sent)))
	}
	beat := func(sent uint32, seq int) []byte {
		return xdp.AppendPacket(nil, xdp.DeliveryHeartbeat, 0, uint32(seq), sent, 0, nil)
	}
	reset := func(sent uint32) []byte {
		return xdp.AppendPacket(nil, xdp.DeliveryReset, 1, 1, sent, 0, xdp.AppendReset(nil, sent, 0, 1, 1))
	}
	now := uint64(1e18)
	packet := func(line uint8, b []byte) {
		now += 1000
		c.Packet(&nic.Packet{Data: b, Line: line}, now)
		c.Tick(now)
	}
	packet(0, reset(1))
	for seq := 2; seq < 20; seq++ {
		packet(0, data(xdp.DeliveryOriginal, 1, seq))
	}
	link.put(0, 1, data(xdp.DeliveryRetransmit, 1, 3)) // the answer to something asked before
	packet(0, reset(2))
	packet(1, data(xdp.DeliveryOriginal, 1, 19))
	packet(1, beat(1, 500))
	packet(1, reset(1))
	packet(0, data(xdp.DeliveryOriginal, 2, 2))
	packet(0, data(xdp.DeliveryOriginal, 2, 4))
	link.putOf(1, 0, 1, data(xdp.DeliveryRetransmit, 1, 3))
	packet(0, data(xdp.DeliveryOriginal, 2, 5))
	if c.Lines[1].Void != 3 || c.Recovery.Foreign != 2 || c.Next() != 3 || c.highest != 6 {
		t.Errorf("next %d of %d; line B %+v, answers %+v", c.Next(), c.highest, c.Lines[1], c.Recovery)
	}
	link.put(0, 1, data(xdp.DeliveryRetransmit, 2, 3))
	packet(1, reset(2))
	if c.Next() != 6 || sink.sessions != 2 || sink.got[3] != string(m(2003)) {
		t.Errorf("next %d, %d sessions, message 3 is %x", c.Next(), sink.sessions, sink.got[3])
	}
	now += uint64(6 * time.Second)
	packet(0, data(xdp.DeliveryOriginal, 1, 6))
	if c.Next() != 7 {
		t.Errorf("next %d: a clock that was set back ends the stream", c.Next())
	}
}
