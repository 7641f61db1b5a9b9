// Package soupbin takes SoupBinTCP apart and puts it together (the specification's versions 3.00 and 4.x), and the one message
// that GLIMPSE adds to ITCH.
//
// A packet, anywhere in a TCP stream:
//
//	0              2        3                2 + length
//	+--------------+--------+- ... ----------+
//	| length u16   | type   | payload        |     length = 1 + payload, big-endian; 0 is malformed
//	+--------------+--------+- ... ----------+
//
//	type   from     payload                              type   from     payload
//	+      both     text, to be ignored                  H      server   –    heartbeat
//	L      client   login request, login.go              R      client   –    heartbeat
//	A      server   login accepted, login.go             Z      server   –    end of session
//	J      server   reason: 'A' or 'S'                   O      client   –    logout
//	S      server   one sequenced message                U      both     one unsequenced message
//
// Packet types and the types of the messages inside overlap (S, H, A, …): never look at one where the other is meant.
//
// Pure functions, nothing remembered: sockets, heartbeats and patience are package session/glimpse's.
package soupbin

import (
	"encoding/binary"
	"errors"
)

// Packet types.
const (
	Debug           byte = '+'
	LoginRequest    byte = 'L'
	LoginAccepted   byte = 'A'
	LoginRejected   byte = 'J'
	Sequenced       byte = 'S'
	Unsequenced     byte = 'U'
	ServerHeartbeat byte = 'H'
	ClientHeartbeat byte = 'R'
	EndOfSession    byte = 'Z'
	Logout          byte = 'O'
)

const (
	// HeaderBytes are the length and the type.
	HeaderBytes = 3
	// MaxPayload is the longest payload that a length can tell.
	MaxPayload = 0xFFFF - 1
	// MaxPacket is the longest packet, its length included: a buffer of that size holds any packet whole.
	MaxPacket = 2 + 0xFFFF
)

// Errors of Split and of the Parse functions. They say what is wrong; who reads the stream says where.
var (
	ErrEmpty   = errors.New("soupbin: packet of length 0, which has no type")
	ErrLength  = errors.New("soupbin: payload is not as long as its type says")
	ErrNumber  = errors.New("soupbin: number field is not a decimal number")
	ErrReason  = errors.New("soupbin: login was refused without a reason")
	ErrTooLong = errors.New("soupbin: text does not fit its field")
)

// Packet is one packet; Payload lies in the buffer that it was split from.
type Packet struct {
	Type    byte
	Payload []byte
}

// Split gives the first packet of a stream and how many bytes it took: 0, without an error, when it is not whole yet. After an
// error the stream has no packets any more.
func Split(b []byte) (p Packet, used int, err error) {
	if len(b) < 2 {
		return p, 0, nil
	}
	end := 2 + int(binary.BigEndian.Uint16(b))
	switch {
	case end == 2:
		return p, 0, ErrEmpty
	case end > len(b):
		return p, 0, nil
	}
	return Packet{Type: b[2], Payload: b[HeaderBytes:end]}, end, nil
}

// AppendPacket appends a packet. A payload longer than MaxPayload does not exist in the protocol and is refused.
func AppendPacket(dst []byte, typ byte, payload []byte) ([]byte, bool) {
	if len(payload) > MaxPayload {
		return dst, false
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(1+len(payload)))
	return append(append(dst, typ), payload...), true
}
