package xdp

import (
	"encoding/binary"
	"fmt"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// Payload bounds of a packet, bytes.
const (
	MinPayload = 128
	MaxPayload = wire.MaxPacketBytes
)

// Packer makes packets of messages. What it returns is valid until the next call but one. It belongs to one goroutine, and does not allocate
// after NewPacker. Times are ns since the Unix epoch.
type Packer struct {
	packet []byte // under construction: header and messages
	spare  []byte // given out
	first  uint64 // number of the packet's first message
	count  int
	most   int
	flag   uint8 // of packets of messages: original, or while another publisher takes over
}

// mostMessages is what number_msgs can say.
const mostMessages = 255

// NewPacker begins a channel: its first message has number 1. payload is the longest packet in bytes, 128 to 1,400; 0 is 1,400.
func NewPacker(payload int) (*Packer, error) {
	if payload == 0 {
		payload = MaxPayload
	}
	if payload < MinPayload || payload > MaxPayload {
		return nil, fmt.Errorf("xdp: packets of %d bytes, want %d to %d", payload, MinPayload, MaxPayload)
	}
	return &Packer{
		packet: make([]byte, wire.PacketHeaderBytes, payload), spare: make([]byte, wire.PacketHeaderBytes, payload), first: 1, most: payload, flag: wire.DeliveryOriginal,
	}, nil
}

// Add takes a message, msg_size and all. When it does not fit behind those before it, full is their packet, as Flush gives it. A message
// that no packet can hold, or that lies about its size, is refused.
func (p *Packer) Add(m []byte, at uint64) (full []byte, err error) {
	if len(m) < wire.MessageHeaderBytes || int(binary.LittleEndian.Uint16(m)) != len(m) || len(m) > p.most-wire.PacketHeaderBytes {
		return nil, fmt.Errorf("xdp: message %d has %d bytes: it fits no packet of %d, or says another size; refused", p.Next(), len(m), p.most)
	}
	if p.Next() > 1<<32-1 {
		return nil, fmt.Errorf("xdp: message %d: sequence numbers have 32 bits; refused", p.Next())
	}
	if len(p.packet)+len(m) > p.most || p.count == mostMessages {
		full = p.Flush(at)
	}
	p.packet = append(p.packet, m...)
	p.count++
	return full, nil
}

// Flush finishes the packet; nil when it has no message.
func (p *Packer) Flush(at uint64) []byte {
	if p.count == 0 {
		return nil
	}
	b := p.packet
	p.header(b, p.flag, p.count, at)
	p.first += uint64(p.count)
	p.count = 0
	p.packet, p.spare = p.spare[:wire.PacketHeaderBytes], b
	return b
}

// Reset is the packet of a message 1, which begins the numbers anew: Flush before.
func (p *Packer) Reset(m []byte, at uint64) []byte {
	p.first = 1
	b := append(p.spare[:wire.PacketHeaderBytes], m...)
	p.spare = b
	flag := wire.DeliveryReset
	if p.flag == wire.DeliveryFailover {
		flag = p.flag
	}
	p.header(b, flag, 1, at)
	p.first = 2
	return b
}

// Heartbeat is a packet that says which number comes next. Messages not flushed yet are still to come.
func (p *Packer) Heartbeat(at uint64) []byte {
	b := p.spare[:wire.PacketHeaderBytes]
	p.header(b, wire.DeliveryHeartbeat, 0, at)
	return b
}

func (p *Packer) header(b []byte, flag uint8, count int, at uint64) {
	wire.PutHeader(b, len(b), flag, uint8(count), uint32(p.first), uint32(at/1e9), uint32(at%1e9))
}

// Pending is how many messages wait in the packet.
func (p *Packer) Pending() int { return p.count }

// Next is the number of the next message to be added.
func (p *Packer) Next() uint64 { return p.first + uint64(p.count) }
