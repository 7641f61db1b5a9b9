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
	h = Header{Sequence: uint64(x.Sequence), Count: uint16(x.Count), Epoch: x.Epoch}
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

// xdpDay plays a generated day on lossy lines to a channel that asks, until the last number has been delivered or named as lost.
func xdpDay(t *testing.T, o simxdp.Options, cfg Config) (*xdpSink, *Channel, *simxdp.Venue, *XDPRequester) {
	t.Helper()
	g, err := xdpgen.New(xdpgen.Options{Messages: 20_000, Symbols: 50, Seed: 2, Version: xdp.V25, Channel: 4})
	if err != nil {
		t.Fatal(err)
	}
	var groups [4]netip.AddrPort
	for i := range groups {
		groups[i] = xdptest.Group(t, byte(11+i))
	}
	o.Source, o.Pace, o.Version, o.Product, o.Channel = g, "40000/s", xdp.V25, xdpgen.Product, 4
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
	cfg.Framing, cfg.Link, cfg.AskMessages, cfg.AskAtOnce = xdpCut{}, r.Link(), xdp.MostRetransmitted, 8
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
		return c.Next() == 20_001
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
	if len(sink.got)+int(sink.lost()) != 20_000 || sink.disorder != 0 || sink.sessions != 1 {
		t.Errorf("%d messages, %d lost, %d out of order, %d sessions", len(sink.got), sink.lost(), sink.disorder, sink.sessions)
	}
	return sink, c, v, r
}

// TestXDPChannel: lines that lose one packet in ten each and some in a row on both, a retransmission channel that loses some too: with time enough
// everything comes, once and in order.
func TestXDPChannel(t *testing.T) {
	line := mold.Line{LossPPM: 100_000}
	sink, c, v, r := xdpDay(t, simxdp.Options{
		Lines:    mold.LinesOptions{A: line, B: line, Seed: 5, BothPPM: 5_000, BothPackets: 30},
		Requests: simxdp.RequestOptions{Seed: 6, Faults: simxdp.Faults{LossPPM: 50_000}},
	}, Config{Wait: 2 * time.Millisecond, HoldMax: time.Hour, HoldPackets: 21_000, Retry: 20 * time.Millisecond, Tries: 32}) // a busy machine is slow: all of it may be held
	if sink.lost() != 0 || c.Ask.Recovered == 0 || v.Counters().LostMessages == 0 || c.Ask.Recovered < v.Counters().LostMessages/2 {
		t.Errorf("%d lost; %+v; lines %+v", sink.lost(), c.Ask, v.Counters().Counters)
	}
	// An answer of many packets is one request, unless some of it was lost.
	if n := v.Counters().Requests; n.Requests > n.Retransmitted/10+n.Lost*3 || c.Ask.Refused != 0 {
		t.Errorf("%+v; %+v", n, r.Counters())
	}
}

// TestXDPChannelUnavailable: what the server says it cannot supply is named as lost at once, although the channel would wait for an hour.
func TestXDPChannelUnavailable(t *testing.T) {
	for _, faults := range []simxdp.Faults{{Unavailable: true}, {Refuse: xdp.TooManyRequests}} {
		sink, c, v, _ := xdpDay(t, simxdp.Options{
			Lines:    mold.LinesOptions{Seed: 5, BothPPM: 3_000, BothPackets: 3},
			Requests: simxdp.RequestOptions{Faults: faults},
		}, Config{Wait: 2 * time.Millisecond, HoldMax: time.Hour, HoldPackets: 21_000})
		if want := v.Counters().LostMessages; sink.lost() != want || want == 0 || c.Ask.Refused == 0 || c.Ask.Recovered != 0 {
			t.Errorf("%d lost, want %d; %+v", sink.lost(), want, c.Ask)
		}
	}
}
