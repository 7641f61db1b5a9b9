package xdp

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/tickwire/tickwire/nic/pcap"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
)

// Groups and senders of lines A and B in a capture: groups of the range that stays within a site, senders of those for documentation.
var (
	GroupA  = netip.MustParseAddrPort("239.255.78.11:11064")
	GroupB  = netip.MustParseAddrPort("239.255.78.12:12064")
	sourceA = netip.MustParseAddrPort("192.0.2.20:38663")
	sourceB = netip.MustParseAddrPort("198.51.100.20:38663")
)

// CaptureOptions of a capture file. The zero value works.
type CaptureOptions struct {
	Play PlayOptions
	// Lines and what befalls them. Groups and senders have defaults of their own here.
	Lines mold.LinesOptions
	// VLAN tags the frames. The default is 0: no tag.
	VLAN uint16
}

// WriteCapture writes a source's messages as a capture (pcap, ns) of both lines, in the order of their times, and says what the lines
// did. Resets and the last heartbeats are never lost: a receiver knows then what it lacks.
func WriteCapture(w io.Writer, src mold.Source, o CaptureOptions) (mold.Counters, error) {
	out := pcap.NewWriter(w)
	frames := uint64(0)
	ends := [2]mold.Line{withEnds(o.Lines.A, GroupA, sourceA), withEnds(o.Lines.B, GroupB, sourceB)}
	lines, err := newLines(o.Lines, func(line int, ts uint64, packet []byte) error {
		if err := out.WriteUDP(ts, ends[line].Source, ends[line].Group, o.VLAN, packet); err != nil {
			return fmt.Errorf("xdp: capture, frame %d: %w", frames+1, err)
		}
		frames++
		return nil
	})
	if err != nil {
		return mold.Counters{}, err
	}
	err = Play(src, o.Play, func(ts uint64, packet []byte, sure bool) error {
		if sure {
			return lines.SendSurely(o.Play.Epoch+ts, packet)
		}
		return lines.Send(o.Play.Epoch+ts, packet)
	})
	if err != nil {
		return lines.Counters(), err
	}
	if err := lines.Flush(); err != nil {
		return lines.Counters(), err
	}
	return lines.Counters(), out.Flush()
}

func withEnds(l mold.Line, group, source netip.AddrPort) mold.Line {
	if !l.Group.IsValid() {
		l.Group = group
	}
	if !l.Source.IsValid() {
		l.Source = source
	}
	return l
}

// newLines are mold's lines for packets of this protocol.
func newLines(o mold.LinesOptions, out func(line int, ts uint64, packet []byte) error) (*mold.Lines, error) {
	o.Numbers, o.Damage = numbers, damage
	return mold.NewLinesWith(o, out)
}

// numbers are those of a packet; a channel has no session's name.
func numbers(packet []byte) (session [10]byte, first uint64, count int) {
	h, _, err := wire.ParsePacket(packet)
	if err != nil || h.Kind != wire.PacketData && h.Kind != wire.PacketReset {
		return session, uint64(h.Sequence), 0
	}
	return session, uint64(h.Sequence), int(h.Count)
}
