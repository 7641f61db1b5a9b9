package process

import (
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// sentPacket is a packet of a capture: at counts milliseconds.
type sentPacket struct {
	at    int
	group string
	data  []byte
}

func captureOf(t *testing.T, packets []sentPacket) *Capture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "channels.pcap")
	f, err := os.Create(path)
	must(t, err)
	w := pcap.NewWriter(f)
	src := netip.MustParseAddrPort("192.0.2.1:40000")
	for _, p := range packets {
		must(t, w.WriteUDP(1_767_623_400_000_000_000+uint64(p.at)*1_000_000, src, netip.MustParseAddrPort(p.group), 0, p.data))
	}
	must(t, w.Flush())
	must(t, f.Close())
	c, err := OpenCapture(path, CaptureOptions{})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	lane, _ := player(t, c)
	var stop atomic.Bool
	must(t, c.Run(lane, PlayOptions{}, &stop))
	return c
}

// xdpPacket is message number n of a channel.
func xdpPacket(channel, n int) []byte {
	return xdp.AppendPacket(nil, xdp.DeliveryOriginal, 1, uint32(n), uint32(1_767_623_400), uint32(n), xdp.AppendTimeReference(nil, uint32(channel), uint32(n)))
}

const (
	groupA, groupB = "224.0.59.76:11076", "224.0.59.204:11204"
	groupC, groupD = "224.0.59.77:11077", "224.0.59.77:11076"
)

// TestLinesOfAChannel: lines with ports of their own, one ahead of the other, from the middle of a day on: one channel, whichever group comes first, and no
// message twice.
func TestLinesOfAChannel(t *testing.T) {
	for _, ahead := range []int{-5, -1, 0, 1, 5} {
		var all []sentPacket
		for n := range 200 {
			all = append(all, sentPacket{n / 4, groupA, xdpPacket(1, 1000+n)})
			if n%50 != 49 { // B loses some
				all = append(all, sentPacket{n / 4, groupB, xdpPacket(1, 1000+n+ahead)})
			}
		}
		c := captureOf(t, all)
		if len(c.Channels()) != 1 {
			t.Errorf("B %d packets ahead: %d channels", ahead, len(c.Channels()))
			continue
		}
		ch := c.Channels()[0]
		if s := ch.Session; s.Messages < 199 || s.Messages > 206 || s.Lost > 1 || ch.Lines[1].Packets == 0 || s.LostMessages > 1005 {
			t.Errorf("B %d packets ahead: %+v", ahead, s)
		}
	}
}

// TestChannelsOfACapture: channels are told apart also where they have the same port, and where one has two packets in all.
func TestChannelsOfACapture(t *testing.T) {
	for _, tc := range []struct {
		name, second string
		from, count  int
	}{
		{"a port of its own", groupC, 1, 100},
		{"a port of its own, few packets", groupC, 50, 2},
		{"the same port", groupD, 1, 100},
		{"the same port, elsewhere in its day", groupD, 400_000, 100},
	} {
		var all []sentPacket
		for n := range 100 {
			all = append(all, sentPacket{n * 10, groupA, xdpPacket(1, 1+n)})
			if n < tc.count {
				all = append(all, sentPacket{n * 10, tc.second, xdpPacket(2, tc.from+n)})
			}
		}
		c := captureOf(t, all)
		if len(c.Channels()) != 2 {
			t.Errorf("%s: %d channels", tc.name, len(c.Channels()))
			continue
		}
		if one, two := c.Channels()[0].Session.Messages, c.Channels()[1].Session.Messages; one != 100 || two != uint64(tc.count) {
			t.Errorf("%s: %d and %d messages", tc.name, one, two)
		}
	}
}

// TestOthersInACapture: packets of another protocol, or of another session, on groups of their own, take nothing from the channel that is followed: not even
// when it is silent for long.
func TestOthersInACapture(t *testing.T) {
	other := func(n int) []byte {
		p := packet(uint64(n), 1)
		copy(p, "OTHERVENUE")
		return p
	}
	all := []sentPacket{{0, groupA, packet(1, 4)}, {1, groupC, other(1)}, {2, groupC, other(2)}, {3, groupA, packet(5, 4)}}
	for n := range 50 {
		all = append(all, sentPacket{4 + n, groupB, xdpPacket(1, 1+n)})
	}
	for n := range 50 {
		all = append(all, sentPacket{20_000 + n, groupB, xdpPacket(1, 51+n)}) // ITCH has been silent for 20 s
	}
	all = append(all, sentPacket{21_000, groupA, packet(9, 4)})
	c := captureOf(t, all)
	unrecognised, _, elsewhere, _ := c.Strangers()
	s := c.Channels()[0].Session
	if len(c.Channels()) != 1 || s.Messages != 12 || s.Sessions != 1 || unrecognised != 100 || elsewhere != 2 {
		t.Errorf("%d channels, %d unrecognised, %d elsewhere, %+v", len(c.Channels()), unrecognised, elsewhere, s)
	}
}

// TestMarketsOfACapture: two markets of the group number their symbols alike. What is of the one is no order in the other's books.
func TestMarketsOfACapture(t *testing.T) {
	mapping := func(market byte) []byte {
		m := make([]byte, 44)
		m[0], m[2], m[4], m[20], m[22], m[23], m[24] = 44, 3, 7, market, 1, 'N', 4
		copy(m[8:], "IBM")
		return m
	}
	var all []sentPacket
	for n := range 20 {
		for i, group := range []string{groupA, groupC, "224.0.59.78:11078"} {
			data := xdpPacket(i, 2+n)
			if n == 0 {
				data = xdp.AppendPacket(nil, xdp.DeliveryOriginal, 1, 1, 1_767_623_400, uint32(i), mapping([]byte{1, 3, 255}[i]))
			}
			all = append(all, sentPacket{n * 20, group, data})
		}
	}
	c := captureOf(t, all)
	if _, _, elsewhere, _ := c.Strangers(); elsewhere != 20 || len(c.Channels()) != 3 || c.Channels()[1].Session.Messages != 0 || c.Channels()[2].Session.Messages != 20 {
		t.Errorf("%d elsewhere, %d channels", elsewhere, len(c.Channels()))
	}
}

// TestChannelNumbers: no two channels of a feed have the same number, whatever lanes they are on.
func TestChannelNumbers(t *testing.T) {
	f := &config.Feed{Channel: []config.Channel{{Name: "1", Lane: "a"}, {Name: "2", Lane: "a"}, {Name: "3", Lane: "b"}}}
	if a, b := firstChannel(protocol.XDP, f, "a", 0), firstChannel(protocol.XDP, f, "b", 1); a != 0 || b != 2 {
		t.Errorf("lanes begin with channels %d and %d", a, b)
	}
	if n := firstChannel(protocol.XDP, &config.Feed{}, "x", 3); n != 3 {
		t.Errorf("a lane of a file has %d", n)
	}
}
