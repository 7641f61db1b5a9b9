package xdp

import (
	"encoding/binary"
	"errors"
)

// A packet, one UDP datagram or one unit on the TCP connection of a request server (sheet sections 3 and 4). Little-endian, nothing aligned:
//
//	0          2        3        4          8           12          16                18
//	+----------+--------+--------+----------+-----------+-----------+-----------------+----------+- ... -+
//	| pkt_size | deliv- | number | seq_num  | send_time | send_time | msg_size u16    | msg_type | body  |
//	| u16, all | ery    | _msgs  | u32, of  | u32, Unix | _ns u32   | these 4 bytes   | u16      |       |
//	| of it    | _flag  | u8     | the 1st  | seconds   |           | included        |          |       |
//	+----------+--------+--------+----------+-----------+-----------+-----------------+----------+- ... -+
//
//	flag  packet                                     kind
//	1     heartbeat, no messages                     PacketHeartbeat
//	10    failover, original content                 PacketData, or PacketReset when it begins with message 1
//	11    original; client requests                  PacketData
//	12    sequence number reset, one message 1       PacketReset
//	13 15 retransmission                             PacketData
//	17-20 refresh                                    PacketRefresh      outside the sequence
//	21    message unavailable, one message 31        PacketUnavailable  outside the sequence
//	other not known                                  PacketUnknown      outside the sequence

// Bytes of headers and of the largest packet.
const (
	PacketHeaderBytes  = 16
	MessageHeaderBytes = 4
	MaxPacketBytes     = 1400
	MaxMessageBytes    = MaxPacketBytes - PacketHeaderBytes
)

// Delivery flags: why a packet was sent.
const (
	DeliveryHeartbeat      uint8 = 1
	DeliveryFailover       uint8 = 10
	DeliveryOriginal       uint8 = 11
	DeliveryReset          uint8 = 12
	DeliveryRetransmit     uint8 = 13 // the only packet of its answer
	DeliveryRetransmitPart uint8 = 15
	DeliveryRefresh        uint8 = 17 // the only packet of its answer
	DeliveryRefreshStart   uint8 = 18
	DeliveryRefreshPart    uint8 = 19
	DeliveryRefreshEnd     uint8 = 20
	DeliveryUnavailable    uint8 = 21
)

// PacketKind is what a packet is for, whatever its flag.
type PacketKind uint8

// Kinds of packet.
const (
	PacketData        PacketKind = iota // Count messages from Sequence on
	PacketHeartbeat                     // nothing: Sequence is the number of the next message
	PacketReset                         // message 1 restarts the channel: its number is Sequence, Epoch tells resets apart
	PacketRefresh                       // part of a snapshot, on a refresh channel
	PacketUnavailable                   // message 31 names numbers that will not come
	PacketUnknown                       // a flag that is not known
)

// Packet is a packet's header and what follows from it.
type Packet struct {
	Size       uint16 // bytes of all of it
	Flag       uint8  // Delivery…
	Count      uint8  // messages
	Sequence   uint32 // number of the first message; of the next one in a heartbeat
	SendTime   uint32 // Unix seconds
	SendTimeNs uint32 // ns within that second

	Kind  PacketKind
	Epoch uint64 // PacketReset: source time of message 1, ns since the Unix epoch
}

// SendNs is the publisher's time, ns since the Unix epoch. Hot path.
func (p *Packet) SendNs() uint64 { return uint64(p.SendTime)*second + uint64(p.SendTimeNs) }

const second = 1_000_000_000

// Refusals of a packet.
var (
	ErrShort = errors.New("xdp: packet is shorter than its header of 16 bytes")
	ErrSize  = errors.New("xdp: pkt_size is not the bytes that were received")
	ErrReset = errors.New("xdp: packet with delivery flag 12 does not begin with a whole message 1")
	ErrCount = errors.New("xdp: number_msgs is 0 in a packet that is no heartbeat, or not 0 in one")
)

// ParsePacket reads a packet's header; blocks is what follows it, in p's memory. p is the whole UDP payload: a packet whose pkt_size says
// anything else is refused, because nothing in it can be trusted to begin where it seems to. Messages are not looked at but for message 1
// (Walk does). Hot path, once a packet.
func ParsePacket(p []byte) (h Packet, blocks []byte, err error) {
	if len(p) < PacketHeaderBytes {
		return h, nil, ErrShort
	}
	le := binary.LittleEndian
	h.Size, h.Flag, h.Count = le.Uint16(p), p[2], p[3]
	h.Sequence, h.SendTime, h.SendTimeNs = le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:])
	h.Kind = kindOf(h.Flag)
	if int(h.Size) != len(p) {
		return h, nil, ErrSize
	}
	blocks = p[PacketHeaderBytes:]
	if (h.Count == 0) != (h.Kind == PacketHeartbeat) && h.Kind != PacketUnknown {
		return h, nil, ErrCount
	}
	if h.Flag != DeliveryReset && h.Flag != DeliveryFailover {
		return h, blocks, nil
	}
	epoch, reset := resetTime(blocks)
	switch {
	case reset:
		h.Kind, h.Epoch = PacketReset, epoch
	case h.Flag == DeliveryReset:
		return h, nil, ErrReset
	}
	return h, blocks, nil
}

// Original reads the header of an ordinary packet: one that was sent for the first time and adds up. ok is false for every other one, which ParsePacket is for.
// blocks is what follows the header, in p's memory; sent is the publisher's time, ns since the Unix epoch. Hot path, once a packet: small enough to be inlined.
func Original(p []byte) (first, count uint32, sent uint64, blocks []byte, ok bool) {
	if len(p) <= PacketHeaderBytes || len(p) > 0xFFFF {
		return 0, 0, 0, nil, false
	}
	head := binary.LittleEndian.Uint32(p)
	if head&0xFF_FFFF != uint32(len(p))|uint32(DeliveryOriginal)<<16 || head>>24 == 0 {
		return 0, 0, 0, nil, false
	}
	sent = uint64(binary.LittleEndian.Uint32(p[8:]))*second + uint64(binary.LittleEndian.Uint32(p[12:]))
	return binary.LittleEndian.Uint32(p[4:]), head >> 24, sent, p[PacketHeaderBytes:], true
}

func kindOf(flag uint8) PacketKind {
	switch flag {
	case DeliveryHeartbeat:
		return PacketHeartbeat
	case DeliveryOriginal, DeliveryFailover, DeliveryRetransmit, DeliveryRetransmitPart:
		return PacketData
	case DeliveryReset:
		return PacketReset
	case DeliveryRefresh, DeliveryRefreshStart, DeliveryRefreshPart, DeliveryRefreshEnd:
		return PacketRefresh
	case DeliveryUnavailable:
		return PacketUnavailable
	}
	return PacketUnknown
}

// resetTime is the source time of a message 1 at the head of blocks.
func resetTime(blocks []byte) (ns uint64, ok bool) {
	m, _ := Next(blocks)
	if len(m) < 12 || Type(m) != TypeSequenceNumberReset {
		return 0, false
	}
	le := binary.LittleEndian
	return uint64(le.Uint32(m[4:]))*second + uint64(le.Uint32(m[8:])), true
}

// Next cuts the first message off blocks; m is nil when none is whole, or its msg_size is less than its own header. Hot path.
func Next(blocks []byte) (m, rest []byte) {
	if len(blocks) < MessageHeaderBytes {
		return nil, blocks
	}
	size := int(binary.LittleEndian.Uint16(blocks))
	if size < MessageHeaderBytes || size > len(blocks) {
		return nil, blocks
	}
	return blocks[:size:size], blocks[size:]
}

// Type is the type of a message that Next gave. Hot path.
func Type(m []byte) uint16 { return binary.LittleEndian.Uint16(m[2:]) }

// Walk counts the whole messages in blocks, at most count, and the bytes they take. A count or a msg_size that lies shows as whole < count,
// trailing bytes as used < len(blocks). Hot path.
func Walk(blocks []byte, count int) (whole, used int) {
	for whole < count && len(blocks)-used >= MessageHeaderBytes {
		size := int(binary.LittleEndian.Uint16(blocks[used:]))
		if size < MessageHeaderBytes || size > len(blocks)-used {
			break
		}
		whole, used = whole+1, used+size
	}
	return whole, used
}

// Frame is the size of the packet at the head of a TCP stream: 0 as long as it cannot be told. An error ends the connection: what follows
// has no beginning.
func Frame(stream []byte) (size int, err error) {
	if len(stream) < 2 {
		return 0, nil
	}
	size = int(binary.LittleEndian.Uint16(stream))
	if size < PacketHeaderBytes {
		return 0, ErrShort
	}
	return size, nil
}
