// Package xdptest gives tests an NYSE channel on lo: a request server with its multicast channels, filled with a generated session.
package xdptest

import (
	"net"
	"net/netip"
	"testing"

	"github.com/tickwire/tickwire/nic/udp"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

// Group is a multicast group of the test's own on lo, with TTL 0: a port that nobody has.
func Group(t testing.TB, last byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 79, last}), uint16(c.LocalAddr().(*net.UDPAddr).Port))
}

// Channel is a venue's side without lines: what was published is in its record, and a server answers for it.
type Channel struct {
	*xdp.Server
	Record                  *xdp.Record
	Retransmission, Refresh []udp.Group // as a client names them
	Packets                 [][]byte    // of the whole session
	Published               int         // how many of them the record has
}

// Options of New. The zero value works.
type Options struct {
	Messages uint64 // of the generated session; default 20,000
	Symbols  int    // default 40
	Seed     uint64
	// Percent of the session's packets that the record has already; default 100.
	Percent  int
	Requests xdp.RequestOptions
	Keep     int
}

// Number is the channel's, and that of its matching engine.
const Number = 3

// New opens a channel that is closed when the test ends.
func New(t testing.TB, o Options) *Channel {
	t.Helper()
	if o.Messages == 0 {
		o.Messages = 20_000
	}
	if o.Symbols == 0 {
		o.Symbols = 40
	}
	g, err := xdpgen.New(xdpgen.Options{Messages: o.Messages, Symbols: o.Symbols, Seed: o.Seed, Version: wire.V25, Channel: Number})
	if err != nil {
		t.Fatal(err)
	}
	c := &Channel{Record: xdp.NewRecord(wire.V25, o.Keep)}
	err = xdp.Play(g, xdp.PlayOptions{Epoch: g.Midnight(), TogetherNs: 1e12, HeartbeatNs: 1 << 60, Ends: -1, Primes: 1}, func(_ uint64, packet []byte, _ bool) error {
		c.Packets = append(c.Packets, append([]byte(nil), packet...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Published = len(c.Packets)
	if o.Percent > 0 {
		c.Published = c.Published * o.Percent / 100
	}
	for _, p := range c.Packets[:c.Published] {
		if err := c.Record.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	groups := [2]netip.AddrPort{Group(t, 1), Group(t, 2)}
	senders := [2]*udp.Sender{}
	for i := range senders {
		s, err := udp.NewSender(groups[i], "lo", 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		senders[i] = s
	}
	c.Retransmission = []udp.Group{{Group: groups[0], Interface: "lo"}}
	c.Refresh = []udp.Group{{Group: groups[1], Interface: "lo"}}
	if !o.Requests.Addr.IsValid() {
		o.Requests.Addr = netip.MustParseAddrPort("127.0.0.1:0")
	}
	o.Requests.Product, o.Requests.Channel = xdpgen.Product, Number
	c.Server, err = xdp.NewServer(c.Record, senders[0], senders[1], o.Requests)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Server.Close() })
	return c
}
