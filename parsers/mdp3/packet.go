package mdp3

import (
	"encoding/binary"
	"errors"
)

// A packet is a datagram (sheet section 2; CME MDP 3.0, Message Specification). Everything is little-endian.
//
//	0            4              12
//	+------------+--------------+-----------+-----------+- ...
//	| MsgSeqNum  | SendingTime  | message   | message   |      to the end of the datagram
//	| u32        | u64 ns       |           |           |
//	+------------+--------------+-----------+-----------+- ...
//
//	0         2             4            6          8         10
//	+---------+-------------+------------+----------+---------+------------+---------+- ...
//	| MsgSize | blockLength | templateId | schemaId | version | root block | groups  |
//	| u16     | u16         | u16        | u16      | u16     |            |         |
//	+---------+-------------+------------+----------+---------+------------+---------+- ...
//
// MsgSize counts itself. Numbers are of packets, not of messages: to a session a packet is one message.
const (
	// PacketBytes is the length of a packet's header.
	PacketBytes = 12
	// MessageBytes is the length of MsgSize and a message's header.
	MessageBytes = 10
	// SchemaID is the id of CME's market data schema.
	SchemaID = 1
)

// ErrShort is a packet without a whole header.
var ErrShort = errors.New("mdp3: packet is shorter than its header of 12 bytes")

// Packet is what a packet says of the sequence of its feed.
type Packet struct {
	Sequence    uint32 // MsgSeqNum, 1 to 4,294,967,295, and 1 again each week
	SendingTime uint64 // ns since the Unix epoch
	// Reset is the TransactTime of the channel reset in the packet, 0: it has none. The sequence goes on from this packet's number, whatever
	// came before: books and what was asked for are void. The same reset comes on both lines, with the same time.
	Reset uint64
	// Heartbeat says that the packet has nothing but a heartbeat. It has a number as any other; whether CME counts it on, or gives
	// the last number once more, is not documented: either way it is taken as a packet of the sequence, a repeated number is a repetition.
	Heartbeat bool
}

// Next is the number of the packet that follows.
func (p *Packet) Next() uint32 { return p.Sequence + 1 }

// ParsePacket reads a packet's header; body is what follows it, in p's memory. Hot path.
func ParsePacket(p []byte) (h Packet, body []byte, err error) {
	if len(p) < PacketBytes {
		return h, nil, ErrShort
	}
	h.Sequence = binary.LittleEndian.Uint32(p)
	h.SendingTime = binary.LittleEndian.Uint64(p[4:])
	body = p[PacketBytes:]
	for rest := body; ; {
		m, next := Next(rest)
		if next == 0 {
			return h, body, nil
		}
		switch id := m.Template(); {
		case m.Schema() != SchemaID:
		case id == ChannelReset:
			if h.Reset == 0 && len(m) >= MessageBytes+8 && m.BlockLength() >= 8 {
				h.Reset = binary.LittleEndian.Uint64(m[MessageBytes:])
			}
		case id == AdminHeartbeat:
			h.Heartbeat = next == len(body)
		}
		rest = rest[next:]
	}
}

// Walk says whether messages fill a packet's body, exactly: (1, len(body)), or (0, 0). A packet of which some length lies is as good as lost: what it
// said of whom is not known, and the other line's may be whole. An empty body is whole. Hot path.
func Walk(body []byte, count int) (whole, used int) {
	if count < 1 {
		return 0, 0
	}
	for used < len(body) {
		_, next := Next(body[used:])
		if next == 0 {
			return 0, 0
		}
		used += next
	}
	return 1, used
}

// Message is one message, MsgSize and header included.
type Message []byte

// Next takes the first message off a packet's body. used is its length, 0: there is no whole message. Hot path.
func Next(body []byte) (m Message, used int) {
	if len(body) < MessageBytes {
		return nil, 0
	}
	size := int(binary.LittleEndian.Uint16(body))
	if size < MessageBytes || size > len(body) {
		return nil, 0
	}
	return Message(body[:size:size]), size
}

// BlockLength is the length of the root block. The message may be shorter.
func (m Message) BlockLength() int { return int(binary.LittleEndian.Uint16(m[2:4])) }

// Template is the template's id.
func (m Message) Template() uint16 { return binary.LittleEndian.Uint16(m[4:6]) }

// Schema is the schema's id.
func (m Message) Schema() uint16 { return binary.LittleEndian.Uint16(m[6:8]) }

// Version is the version of the schema that the sender used.
func (m Message) Version() uint16 { return binary.LittleEndian.Uint16(m[8:10]) }

// Body is what follows the header.
func (m Message) Body() []byte { return m[MessageBytes:] }
