package itchgen

import (
	"encoding/binary"
	"io"
	"net/netip"

	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Lines say how a session lies in a capture.
type Lines struct {
	Seed uint64
	// LossA and LossB are packets of 10,000 that a line lacks.
	LossA, LossB uint64
}

// Groups of the two lines, those of the venue's own feed.
var (
	GroupA = netip.MustParseAddrPort("233.54.12.111:26477")
	GroupB = netip.MustParseAddrPort("233.49.196.111:26477")
	source = netip.MustParseAddrPort("192.0.2.10:31337") // documentation range
)

const (
	mostPayload = 1400
	together    = 20_000 // ns: messages within this time of the first share a packet, as far as they fit
	wireDelay   = 1_500  // ns from the venue's stamp to line A
	skew        = 900    // ns that line B is behind, and jitter on top
)

// WritePcap writes the session as MoldUDP64 packets on lines A and B with capture times of 2026-01-05. What a line
// lacks is chosen by the seed, apart for each, never for a packet of the directory's first.
func WritePcap(w io.Writer, g *Gen, l Lines, progress func(messages uint64)) error {
	midnight, err := itch.Midnight(2026, 1, 5)
	if err != nil {
		return err
	}
	p := &packer{out: pcap.NewWriter(w), l: l, r: random{state: l.Seed ^ 0xA5A5}, next: 1, midnight: midnight}
	var buf []byte
	for n := uint64(1); ; n++ {
		b, ok := g.Next(buf[:0])
		if !ok {
			break
		}
		buf = b
		if err := p.message(b, binary.BigEndian.Uint64(b[3:])&(1<<48-1)); err != nil {
			return err
		}
		if n%65536 == 0 && progress != nil {
			progress(n)
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	return p.out.Flush()
}

// packer makes packets of messages and writes both lines, in the order of their times.
type packer struct {
	out      *pcap.Writer
	l        Lines
	r        random
	packet   []byte
	count    int
	began    uint64 // time of the packet's first message, ns since midnight
	next     uint64 // number of the packet's first message
	midnight uint64
	later    []laterPacket // of line B, due after the next of line A
	lastAt   uint64
}

type laterPacket struct {
	at   uint64
	data []byte
}

var sessionID = [10]byte{'G', 'E', 'N', 'E', 'R', 'A', 'T', 'E', 'D', '1'}

func (p *packer) message(m []byte, ts uint64) error {
	if p.count > 0 && (len(p.packet)+2+len(m) > mostPayload || ts > p.began+together) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.count == 0 {
		p.packet = moldudp64.AppendHeader(p.packet[:0], moldudp64.Header{Session: sessionID, Sequence: p.next})
		p.began = ts
	}
	p.packet, _ = moldudp64.AppendBlock(p.packet, m) // messages are far below a block's bound
	p.count++
	return nil
}

func (p *packer) flush() error {
	if p.count == 0 {
		return nil
	}
	binary.BigEndian.PutUint16(p.packet[18:], uint16(p.count))
	at := max(p.midnight+p.began+wireDelay, p.lastAt+1)
	first := p.next == 1
	p.next += uint64(p.count)
	p.count = 0
	if err := p.due(at); err != nil {
		return err
	}
	p.lastAt = at
	lostA, lostB := p.r.in(p.l.LossA), p.r.in(p.l.LossB)
	if first || !lostA {
		if err := p.out.WriteUDP(at, source, GroupA, 0, p.packet); err != nil {
			return err
		}
	}
	if first || !lostB {
		behind := at + skew + p.r.below(2*skew)
		if n := len(p.later); n > 0 {
			behind = max(behind, p.later[n-1].at+1)
		}
		p.later = append(p.later, laterPacket{behind, append([]byte(nil), p.packet...)})
	}
	return nil
}

// due writes what line B has until a time.
func (p *packer) due(at uint64) error {
	for len(p.later) > 0 && p.later[0].at < at {
		l := p.later[0]
		p.later = p.later[1:]
		p.lastAt = max(p.lastAt, l.at)
		if err := p.out.WriteUDP(l.at, source, GroupB, 0, l.data); err != nil {
			return err
		}
	}
	return nil
}

// end writes the end of the session on both lines.
func (p *packer) end() error {
	at := p.lastAt + 1_000_000
	if err := p.due(at); err != nil {
		return err
	}
	last := moldudp64.AppendHeader(nil, moldudp64.Header{Session: sessionID, Sequence: p.next, Count: moldudp64.EndOfSession})
	if err := p.out.WriteUDP(at, source, GroupA, 0, last); err != nil {
		return err
	}
	return p.out.WriteUDP(at+skew, source, GroupB, 0, last)
}
