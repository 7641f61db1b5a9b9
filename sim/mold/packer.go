package mold

import (
	"encoding/binary"
	"fmt"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Payload bounds of a packet, bytes.
const (
	DefaultPayload = 1_400 // fits a frame of 1,500 bytes with room for tunnels
	MinPayload     = 128
	MaxPayload     = 65_507 // UDP over IPv4
)

// Packer makes packets of messages. What it returns is valid until the next call but one. It belongs to one goroutine, and does not
// allocate after NewPacker.
//
//	Add Add Add ──► packet        Flush ──► packet, of what there is
type Packer struct {
	packet []byte // under construction: header and blocks
	spare  []byte // given out
	first  uint64 // number of the packet's first message
	count  int
	most   int
}

// SessionID pads a session's name to the ten bytes it has on the wire. It fails when the name is empty, longer, or not printable ASCII.
func SessionID(name string) (id [10]byte, err error) {
	if len(name) == 0 || len(name) > len(id) {
		return id, fmt.Errorf("mold: session %q has %d characters, want 1 to %d", name, len(name), len(id))
	}
	id = [10]byte([]byte("          "))
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return id, fmt.Errorf("mold: session %q: character %d is not printable ASCII", name, i+1)
		}
		id[i] = name[i]
	}
	return id, nil
}

// NewPacker begins a session: its first message has number 1. payload is the longest packet in bytes, 128 to 65,507; 0 is 1,400.
func NewPacker(session [10]byte, payload int) (*Packer, error) {
	if payload == 0 {
		payload = DefaultPayload
	}
	if payload < MinPayload || payload > MaxPayload {
		return nil, fmt.Errorf("mold: packets of %d bytes, want %d to %d", payload, MinPayload, MaxPayload)
	}
	p := &Packer{most: payload, first: 1}
	p.packet = moldudp64.AppendHeader(make([]byte, 0, payload), moldudp64.Header{Session: session})
	p.spare = moldudp64.AppendHeader(make([]byte, 0, payload), moldudp64.Header{Session: session})
	return p, nil
}

// Add takes a message. When it does not fit into the packet any more, that packet is returned, finished, and the message begins the
// next one; otherwise nil. A message that no packet can hold is refused.
func (p *Packer) Add(message []byte) (full []byte, err error) {
	need := 2 + len(message)
	if need > p.most-moldudp64.HeaderBytes {
		return nil, fmt.Errorf("mold: message %d has %d bytes and fits no packet of %d; refused", p.Next(), len(message), p.most)
	}
	if len(p.packet)+need > p.most || p.count == moldudp64.MaxRequest {
		full = p.Flush()
	}
	p.packet, _ = moldudp64.AppendBlock(p.packet, message) // shorter than a packet: within a block's bound
	p.count++
	return full, nil
}

// Flush finishes the packet; nil when it has no message.
func (p *Packer) Flush() []byte {
	if p.count == 0 {
		return nil
	}
	b := p.finish(uint16(p.count))
	p.first += uint64(p.count)
	p.count = 0
	return b
}

// Heartbeat is a packet that says which number comes next. Messages not flushed yet are still to come.
func (p *Packer) Heartbeat() []byte { return p.control(0) }

// EndOfSession is a packet that says that no message comes any more: Flush before.
func (p *Packer) EndOfSession() []byte { return p.control(moldudp64.EndOfSession) }

// Pending is how many messages wait in the packet.
func (p *Packer) Pending() int { return p.count }

// Next is the number of the next message to be added.
func (p *Packer) Next() uint64 { return p.first + uint64(p.count) }

func (p *Packer) finish(count uint16) []byte {
	binary.BigEndian.PutUint64(p.packet[10:], p.first)
	binary.BigEndian.PutUint16(p.packet[18:], count)
	b := p.packet
	p.packet, p.spare = p.spare[:moldudp64.HeaderBytes], b
	return b
}

func (p *Packer) control(count uint16) []byte {
	b := p.spare[:moldudp64.HeaderBytes]
	binary.BigEndian.PutUint64(b[10:], p.first)
	binary.BigEndian.PutUint16(b[18:], count)
	return b
}
