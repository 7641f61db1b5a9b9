package mold

import (
	"fmt"
	"io"

	"github.com/tickwire/tickwire/nic/pcap"
)

// CaptureOptions of a capture file. The zero value works, but for Midnight: a capture of 1970.
type CaptureOptions struct {
	Play PlayOptions
	// Midnight is the start of the venue's day, ns since the Unix epoch.
	Midnight uint64
	// A and B are the lines.
	A, B Line
	// Seed of the lines' faults and jitter. The default is 0, a seed like any other.
	Seed uint64
	// VLAN tags the frames. The default is 0: no tag.
	VLAN uint16
}

// WriteCapture writes a source's messages as a capture (pcap, ns) of both lines, in the order of their times, and says what the lines
// did. The first packet and the end of the session are never lost: a receiver knows then what it lacks.
func WriteCapture(w io.Writer, src Source, o CaptureOptions) (Counters, error) {
	out := pcap.NewWriter(w)
	frames := uint64(0)
	var lines *Lines
	lines, err := NewLines(o.A, o.B, o.Seed, func(line int, ts uint64, packet []byte) error {
		l := &lines.lines[line]
		if err := out.WriteUDP(ts, l.Source, l.Group, o.VLAN, packet); err != nil {
			return fmt.Errorf("mold: capture, frame %d: %w", frames+1, err)
		}
		frames++
		return nil
	})
	if err != nil {
		return Counters{}, err
	}
	first := true
	err = Play(src, o.Play, func(ts uint64, packet []byte, end bool) error {
		sure := end || first
		first = false
		if sure {
			return lines.SendSurely(o.Midnight+ts, packet)
		}
		return lines.Send(o.Midnight+ts, packet)
	})
	if err != nil {
		return lines.Counters(), err
	}
	if err := lines.Flush(); err != nil {
		return lines.Counters(), err
	}
	return lines.Counters(), out.Flush()
}
