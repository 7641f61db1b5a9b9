// Package iex reads IEX-TP segments and the messages of DEEP+ and TOPS 1.6 that they carry.
//
// A segment is a datagram (IEX Transport 1.0, outbound segment); everything is little-endian and packed:
//
//	0        1      2          4          8          12        14       16        24           32         40
//	+--------+------+----------+----------+----------+---------+--------+---------+------------+----------+- …
//	| 1      | –    | protocol | channel  | session  | payload | count  | stream  | first      | sent     | blocks
//	| u8     |      | u16      | u32      | u32      | u16     | u16    | offset  | sequence   | ns       |
//	+--------+------+----------+----------+----------+---------+--------+---------+------------+----------+- …
//	block: u16 length, then so many bytes, the first of which is the message's type. A length of 0 is legal.
//
// All messages but S have a symbol of eight characters at byte 10, and all have their time at byte 2: ns since the Unix epoch, UTC. There are no
// instrument numbers on the wire; the Decoder gives them out as symbols are met.
package iex

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderBytes is the size of a segment's header.
const HeaderBytes = 40

// Protocols that a segment can carry.
const (
	ProtocolDEEPPlus = 0x8005
	ProtocolTOPS     = 0x8003
)

// Faults of a segment.
var (
	ErrShort    = errors.New("iex: packet is shorter than its header of 40 bytes")
	ErrVersion  = errors.New("iex: version of IEX-TP is not 1")
	ErrProtocol = errors.New("iex: message protocol is neither DEEP+ (0x8005) nor TOPS 1.6 (0x8003)")
	ErrLength   = errors.New("iex: payload length contradicts the packet's")
	ErrSequence = errors.New("iex: sequence number is below 1")
)

// Header is a segment's.
type Header struct {
	Protocol uint16
	Channel  uint32
	Session  uint32
	Count    uint16 // blocks; 0: heartbeat
	Offset   uint64 // of the payload in the session's stream, bytes
	Sequence uint64 // of the first block, or of the next one
	Sent     uint64 // ns since the Unix epoch
}

// ID names what the sequence is of: protocol, channel and session, as bytes.
func (h *Header) ID() (id [10]byte) {
	binary.LittleEndian.PutUint16(id[0:], h.Protocol)
	binary.LittleEndian.PutUint32(id[2:], h.Channel)
	binary.LittleEndian.PutUint32(id[6:], h.Session)
	return id
}

// Parse reads a segment's header; blocks is its payload, in p's memory. Bytes behind the payload are left out: a capture's padding. Hot path.
func Parse(p []byte) (h Header, blocks []byte, err error) {
	if len(p) < HeaderBytes {
		return h, nil, ErrShort
	}
	le := binary.LittleEndian
	h = Header{
		Protocol: le.Uint16(p[2:]), Channel: le.Uint32(p[4:]), Session: le.Uint32(p[8:]), Count: le.Uint16(p[14:]),
		Offset: le.Uint64(p[16:]), Sequence: le.Uint64(p[24:]), Sent: le.Uint64(p[32:]),
	}
	n := int(le.Uint16(p[12:]))
	switch {
	case p[0] != 1:
		return h, nil, ErrVersion
	case h.Protocol != ProtocolDEEPPlus && h.Protocol != ProtocolTOPS:
		return h, nil, ErrProtocol
	case n > len(p)-HeaderBytes:
		return h, nil, ErrLength
	case int64(h.Sequence) < 1:
		return h, nil, ErrSequence
	}
	return h, p[HeaderBytes : HeaderBytes+n], nil
}

// Walk counts the whole blocks, at most count, and the bytes they take. Hot path.
func Walk(blocks []byte, count int) (whole, used int) {
	for whole < count && len(blocks)-used >= 2 {
		end := used + 2 + int(binary.LittleEndian.Uint16(blocks[used:]))
		if end > len(blocks) {
			break
		}
		whole, used = whole+1, end
	}
	return whole, used
}

// AppendHeader appends a header whose payload length is filled in by Finish.
func AppendHeader(dst []byte, h *Header) []byte {
	le := binary.LittleEndian
	dst = append(dst, 1, 0)
	dst = le.AppendUint16(dst, h.Protocol)
	dst = le.AppendUint32(dst, h.Channel)
	dst = le.AppendUint32(dst, h.Session)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint16(dst, h.Count)
	dst = le.AppendUint64(dst, h.Offset)
	dst = le.AppendUint64(dst, h.Sequence)
	return le.AppendUint64(dst, h.Sent)
}

// Finish fills in the payload length of a segment.
func Finish(segment []byte) {
	binary.LittleEndian.PutUint16(segment[12:], uint16(len(segment)-HeaderBytes))
}

// MostAsked is the most messages that a request for a gap may name by UDP (IEX Transport 1.0, gap fill).
const MostAsked = 1000

// AppendRequest appends a gap fill request for one range of the channel and session that id (Header.ID) names. It is answered by segments
// with the original numbers.
func AppendRequest(dst []byte, id [10]byte, first, last uint64) []byte {
	le := binary.LittleEndian
	dst = append(dst, 1, 1) // sequenced messages
	dst = append(dst, id[:]...)
	dst = le.AppendUint32(dst, 1)
	dst = le.AppendUint64(dst, first)
	return le.AppendUint64(dst, last)
}

// Looks says whether a payload is an IEX-TP segment: 0 no, 95 yes.
func Looks(payload []byte) int {
	h, blocks, err := Parse(payload)
	if err != nil {
		return 0
	}
	if whole, used := Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
		return 0
	}
	return 95
}

// EachMessage calls fn with a segment's messages until it returns false: typ is the letter, fields a JSON object by the names of the
// specification. err says what is wrong with one. What is wrong with the segment is returned.
func EachMessage(payload []byte, fn func(sequence uint64, typ string, raw, fields []byte, err error) bool) error {
	h, blocks, err := Parse(payload)
	if err != nil {
		return err
	}
	whole, used := Walk(blocks, int(h.Count))
	var fields []byte
	for i, at := 0, 0; i < whole; i++ {
		size := int(binary.LittleEndian.Uint16(blocks[at:]))
		msg := blocks[at+2 : at+2+size]
		var ok bool
		fields, ok = AppendFields(fields[:0], h.Protocol, msg)
		typ := ""
		var wrong error
		if size > 0 {
			typ = string(rune(msg[0]))
			if want := Length(h.Protocol, msg[0]); !ok && want > size {
				wrong = fmt.Errorf("iex: %q has %d bytes, want %d", msg[0], size, want)
			}
		}
		if !fn(h.Sequence+uint64(i), typ, msg, fields, wrong) {
			return nil
		}
		at += 2 + size
	}
	if whole < int(h.Count) || used < len(blocks) {
		return fmt.Errorf("iex: header promises %d messages in %d bytes, byte %d ends the %d there are", h.Count, len(blocks), HeaderBytes+used, whole)
	}
	return nil
}
