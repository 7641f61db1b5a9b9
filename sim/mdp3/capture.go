package mdp3

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/sim/mold"
)

// Groups by default: of the range that stays within a site, never a venue's.
var (
	GroupA       = netip.MustParseAddrPort("239.255.78.11:14310")
	GroupB       = netip.MustParseAddrPort("239.255.78.12:15310")
	LevelsA      = netip.MustParseAddrPort("239.255.78.21:14311")
	OrdersA      = netip.MustParseAddrPort("239.255.78.31:14312")
	DefinitionsA = netip.MustParseAddrPort("239.255.78.41:14313")
)

// CaptureOptions of a capture file. The zero value works.
type CaptureOptions struct {
	Channel ChannelOptions
	// Lines are the lines' groups, delays and faults.
	Lines mold.LinesOptions
	// Progress is called now and then with the packets so far, and at the end. It may be nil.
	Progress func(packets uint64)
}

// lineDefaults completes lines for this protocol: each packet is one message of a session without a name.
func lineDefaults(o *mold.LinesOptions) {
	for i, l := range []*mold.Line{&o.A, &o.B} {
		if !l.Group.IsValid() {
			l.Group = []netip.AddrPort{GroupA, GroupB}[i]
		}
	}
	o.Numbers = func(packet []byte) (session [10]byte, first uint64, count int) {
		return session, uint64(binary.LittleEndian.Uint32(packet)), 1
	}
	o.Damage = damage
}

// WriteCapture writes all of a market's events as a capture (pcap, ns) of both lines, in the order of their times, and says what the lines did. The first
// packet and the last are never lost: a receiver knows then what it lacks.
func WriteCapture(w io.Writer, m Market, o CaptureOptions) (mold.Counters, error) {
	lineDefaults(&o.Lines)
	out := pcap.NewWriter(w)
	var lines *mold.Lines
	var from [2]netip.AddrPort
	lines, err := mold.NewLinesWith(o.Lines, func(line int, ts uint64, packet []byte) error {
		return out.WriteUDP(ts, from[line], []netip.AddrPort{o.Lines.A.Group, o.Lines.B.Group}[line], 0, packet)
	})
	if err != nil {
		return mold.Counters{}, err
	}
	for i, l := range []*mold.Line{&o.Lines.A, &o.Lines.B} {
		if from[i] = l.Source; !from[i].IsValid() {
			from[i] = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.20:31310"), netip.MustParseAddrPort("198.51.100.20:31310")}[i]
		}
	}
	last := false
	c, err := NewChannel(m, o.Channel, func(sequence uint32, ts uint64, packet []byte) error {
		if o.Progress != nil && sequence%(1<<14) == 0 {
			o.Progress(uint64(sequence))
		}
		if sequence == 1 || last {
			return lines.SendSurely(ts, packet)
		}
		return lines.Send(ts, packet)
	})
	if err != nil {
		return mold.Counters{}, err
	}
	for ok := true; ok && err == nil; {
		ok, err = c.Event()
	}
	if err == nil { // a heartbeat behind the last packet, on both lines: a receiver learns what it lacks of the end
		last = true
		err = c.Idle(c.now + c.o.HeartbeatNs + 1)
	}
	if err == nil {
		err = lines.Flush()
	}
	if err != nil {
		return lines.Counters(), fmt.Errorf("mdp3: capture, packet %d: %w", c.Packets, err)
	}
	if o.Progress != nil {
		o.Progress(c.Packets)
	}
	return lines.Counters(), out.Flush()
}
