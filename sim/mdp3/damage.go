package mdp3

import (
	"encoding/binary"
	"math/bits"

	wire "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mold"
)

// damage spoils a packet in one of the ways that are asked for (mold.LinesOptions.Damage); how picks. A receiver can tell all but CorruptPayload, which changes a
// byte of a message; there is no count to lie (CorruptCount cuts the end off, too).
func damage(b []byte, ways mold.Corruption, how uint64) (out []byte, whole int, poisoned bool) {
	pick := func(n int) int { // below n
		hi, lo := bits.Mul64(how, uint64(n))
		how = lo
		return int(hi)
	}
	for skip := pick(bits.OnesCount8(uint8(ways))); skip > 0; skip-- {
		ways &= ways - 1
	}
	switch ways & -ways {
	case mold.CorruptHeader: // numbers far from all others
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+1<<30)
		return b, 0, false
	case mold.CorruptLength: // a message that reaches past the packet's end
		binary.LittleEndian.PutUint16(b[wire.PacketBytes:], 0xFFFF)
		return b, 0, false
	case mold.CorruptPayload:
		const at = wire.PacketBytes + wire.MessageBytes // behind the first message's header
		m, _ := wire.Next(b[wire.PacketBytes:])
		if len(m) <= wire.MessageBytes {
			return b, 1, false // there is no byte to change
		}
		b[at+pick(len(m)-wire.MessageBytes)] ^= 1 << pick(8)
		return b, 1, true
	}
	n := pick(len(b))
	if fits, _ := wire.Walk(b[min(n, wire.PacketBytes):n], 1); fits == 1 && n >= wire.PacketBytes { // between two messages: nothing would tell
		n--
	}
	return b[:n], 0, false
}
