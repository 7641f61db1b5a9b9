// Package recorded plays a recorded day of an NYSE channel in a venue's box (package xdp's Options.Packets): with the numbers that it had.
//
//	capture ──► session.Channel ──messages in order──► packets, flags 11 and 12
//
// A capture's lines are joined by the receiver proper, on the capture's own time. What no line of the capture has is missing here, too.
package recorded

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// holeWait is how long, in the capture's time, a hole may be filled by packets that were recorded late.
const holeWait = time.Second

// Counters say what was played of a capture.
type Counters struct {
	Packets  uint64 // of the capture
	Messages uint64 // given
	Missing  uint64 // that the capture does not have
	Strays   uint64 // packets of other groups, or that are none of this protocol
}

// File is a capture for Options.Packets. done is told what was played; it may be nil.
func File(path string, groups []netip.AddrPort, done func(Counters)) func(p *pace.Pacer, epoch uint64, send Send) error {
	return func(p *pace.Pacer, epoch uint64, send Send) error {
		r, err := pcap.Open(path)
		if err != nil {
			return err
		}
		defer r.Close()
		c, err := Play(r, groups, p, epoch, send)
		if done != nil {
			done(c)
		}
		return err
	}
}

// Send takes a packet that is due at ts, ns since the first one. sure tells resets, which are not to be lost. A packet is valid for the call.
type Send = func(ts uint64, packet []byte, sure bool) error

// Play sends a capture's messages of one channel: of all packets that go to groups, or, when there are none, of all. epoch is what the times of
// sending in packets are counted from, ns since the Unix epoch. It ends with send's first error.
func Play(r *pcap.Reader, groups []netip.AddrPort, p *pace.Pacer, epoch uint64, send Send) (Counters, error) {
	s := &recorded{p: p, epoch: epoch, send: send}
	s.channel = session.NewChannel(session.Config{Framing: protocol.XDP.Framing, Wait: holeWait, Quiet: holeWait}, s)
	var packets [64]nic.Packet
	for {
		n, err := r.Poll(packets[:])
		for i := range n {
			s.packet(&packets[i], groups)
			if s.err != nil {
				return s.done, s.err
			}
		}
		if errors.Is(err, io.EOF) {
			s.channel.Flush(s.now)
			return s.done, s.err
		}
		if err != nil {
			return s.done, err
		}
	}
}

// recorded is the sink of a capture's channel.
type recorded struct {
	channel *session.Channel
	p       *pace.Pacer
	epoch   uint64
	send    Send
	now     uint64 // of the capture
	out     []byte
	done    Counters
	err     error
}

func (s *recorded) packet(p *nic.Packet, groups []netip.AddrPort) {
	s.now = max(s.now, p.TsRecv)
	s.done.Packets++
	if len(groups) > 0 && !slices.Contains(groups, p.Group) || wire.Looks(p.Data) == 0 {
		s.done.Strays++
		return
	}
	s.channel.Packet(p, s.now)
	s.channel.Tick(s.now)
}

// SessionStart, SessionEnd, Gap and Messages are session.Sink's.
func (s *recorded) SessionStart([10]byte) {}
func (s *recorded) SessionEnd([10]byte)   {}

func (s *recorded) Gap(g session.Gap) { s.done.Missing += g.Last - g.First + 1 }

func (s *recorded) Messages(blocks []byte, first uint64, count int, _ session.Arrival) {
	if s.err != nil {
		return
	}
	ts := uint64(s.p.Offset(s.now, count))
	at := s.epoch + ts
	flag := wire.DeliveryOriginal
	if m, _ := wire.Next(blocks); m != nil && wire.Type(m) == wire.TypeSequenceNumberReset {
		flag = wire.DeliveryReset
	}
	s.done.Messages += uint64(count)
	s.out = wire.AppendPacket(s.out[:0], flag, uint8(count), uint32(first), uint32(at/1e9), uint32(at%1e9), blocks)
	s.err = s.send(ts, s.out, flag == wire.DeliveryReset)
}
