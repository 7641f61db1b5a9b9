package mdp3

import (
	"encoding/binary"
	"fmt"

	wire "github.com/tickwire/tickwire/parsers/mdp3"
)

// Packer puts messages into packets. A message is never split; an event may be. The number of a packet is given when it begins, and its
// SendingTime when it leaves.
type Packer struct {
	next    uint32 // number of the packet that is being filled
	payload int
	buf     []byte
}

// DefaultPayload is the longest packet's length.
const DefaultPayload = 1_400

// NewPacker makes one whose first packet has number 1. payload is the longest packet's length, 0: 1,400.
func NewPacker(payload int) (*Packer, error) {
	if payload == 0 {
		payload = DefaultPayload
	}
	if payload < 512 || payload > 65_507 {
		return nil, fmt.Errorf("mdp3: packets of %d bytes, want 512 to 65,507", payload)
	}
	return &Packer{next: 1, payload: payload, buf: make([]byte, wire.PacketBytes, payload)}, nil
}

// Pending says that a packet has begun.
func (p *Packer) Pending() bool { return len(p.buf) > wire.PacketBytes }

// Next is the number of the packet that the next message goes into, if it fits.
func (p *Packer) Next() uint32 { return p.next }

// Restart has numbers begin with 1 again. Nothing is pending.
func (p *Packer) Restart() { p.next = 1 }

// Fits says whether a message of n bytes goes into the present packet.
func (p *Packer) Fits(n int) bool { return len(p.buf)+n <= p.payload }

// Add takes one message, which fits. It fails when no packet can hold it.
func (p *Packer) Add(message []byte) error {
	if !p.Fits(len(message)) {
		return fmt.Errorf("mdp3: message of %d bytes in packets of %d", len(message), p.payload)
	}
	p.buf = append(p.buf, message...)
	return nil
}

// Flush ends the packet and gives it, valid until the next Add; nil: nothing was pending.
func (p *Packer) Flush(sent uint64) []byte {
	if !p.Pending() {
		return nil
	}
	packet := p.buf
	binary.LittleEndian.PutUint32(packet, p.next)
	binary.LittleEndian.PutUint64(packet[4:], sent)
	p.buf = p.buf[:wire.PacketBytes]
	p.next++
	return packet
}
