package mold

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Spoil makes a wrong packet of a right one, in its memory, as a defective server or a line might: cut short, of another session,
// with numbers that no session reaches, with a count or a length that lies, or garbage. how picks what and where. A message is never
// altered, nor given the number of another: no receiver could tell.
func Spoil(packet []byte, how uint64) []byte {
	r := random{how}
	if len(packet) < moldudp64.HeaderBytes {
		return packet
	}
	switch r.below(8) {
	case 0: // cut
		return packet[:r.below(uint64(len(packet)))]
	case 1: // another session
		packet[r.below(10)] ^= byte(1 + r.below(255))
	case 2: // far ahead of anything
		binary.BigEndian.PutUint64(packet[10:], 1<<62+r.below(1<<62))
	case 3: // number 0, or so near the last that the count goes past it
		binary.BigEndian.PutUint64(packet[10:], -r.below(2))
	case 4: // promises more than it has
		count := uint64(binary.BigEndian.Uint16(packet[18:]))
		binary.BigEndian.PutUint16(packet[18:], uint16(min(count+1+r.below(1000), moldudp64.MaxRequest)))
	case 5: // a length that reaches past the end
		if len(packet) >= moldudp64.HeaderBytes+2 {
			packet[moldudp64.HeaderBytes], packet[moldudp64.HeaderBytes+1] = 0xFF, 0xFF
		}
	case 6: // a heartbeat or an end of the session, where messages were asked for
		binary.BigEndian.PutUint16(packet[18:], uint16(-r.below(2)))
	default: // garbage, the header included
		for i := range packet {
			packet[i] = byte(r.next())
		}
	}
	return packet
}
