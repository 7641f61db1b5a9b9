// Package moldudp64 takes MoldUDP64 packets apart and puts them together (the MoldUDP64 protocol specification, version 1.00).
//
// Downstream packet, and the request that asks for one again, which has the header only:
//
//	0        10                18      20
//	+--------+-----------------+-------+------------+-------------+------------+- ...
//	| session| sequence number | count | length u16 | message     | length u16 |
//	| char10 | u64, of the     | u16   | of the     | length      |            |
//	|        | first message   |       | message    | bytes       |            |
//	+--------+-----------------+-------+------------+-------------+------------+- ...
//
// Count 0 is a heartbeat, 0xFFFF the end of the session; in both the sequence number is the next one to come. Everything
// is big-endian. A block of length 0 is legal and has a number.
//
// Pure functions, nothing remembered: order and gaps are package session's.
package moldudp64

import (
	"encoding/binary"
	"errors"
)

const (
	// HeaderBytes is the length of a header and of a request.
	HeaderBytes = 20
	// EndOfSession in Count says that no message will follow. It is no count.
	EndOfSession = 0xFFFF
	// MaxRequest is the largest number of messages a request may ask for.
	MaxRequest = EndOfSession - 1

	lengthBytes = 2
)

// ErrShort is a packet without a whole header.
var ErrShort = errors.New("moldudp64: packet is shorter than its header of 20 bytes")

// Header is the first 20 bytes.
type Header struct {
	Session  [10]byte
	Sequence uint64 // of the first message; of the next one for a heartbeat and at the end
	Count    uint16 // messages, 0: heartbeat, EndOfSession
}

// Parse reads a header; blocks is what follows it, in p's memory. Hot path.
func Parse(p []byte) (h Header, blocks []byte, err error) {
	if len(p) < HeaderBytes {
		return h, nil, ErrShort
	}
	h.Session = [10]byte(p[:10])
	h.Sequence = binary.BigEndian.Uint64(p[10:])
	h.Count = binary.BigEndian.Uint16(p[18:])
	return h, p[HeaderBytes:], nil
}

// Walk counts the whole blocks, at most count, and the bytes they take. A count or a length that lies shows as whole <
// count, trailing bytes as used < len(blocks). Hot path.
func Walk(blocks []byte, count int) (whole, used int) {
	for whole < count && len(blocks)-used >= lengthBytes {
		end := used + lengthBytes + int(binary.BigEndian.Uint16(blocks[used:]))
		if end > len(blocks) {
			break
		}
		whole, used = whole+1, end
	}
	return whole, used
}

// Skip drops the first n blocks, or all that there are. Hot path.
func Skip(blocks []byte, n int) []byte {
	_, used := Walk(blocks, n)
	return blocks[used:]
}

// AppendHeader appends a header; blocks follow by AppendBlock.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, h.Session[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Sequence)
	return binary.BigEndian.AppendUint16(dst, h.Count)
}

// AppendBlock appends one message with its length. A message longer than 65,535 bytes does not exist in the protocol
// and is refused.
func AppendBlock(dst, message []byte) ([]byte, bool) {
	if len(message) > 0xFFFF {
		return dst, false
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(message)))
	return append(dst, message...), true
}

// AppendRequest appends a request for count messages from sequence on, at most MaxRequest.
func AppendRequest(dst []byte, session [10]byte, sequence uint64, count int) []byte {
	return AppendHeader(dst, Header{Session: session, Sequence: sequence, Count: uint16(min(max(count, 0), MaxRequest))})
}
