package xdp

import (
	"encoding/binary"
	"math/bits"
	"time"

	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
)

// Faults are what the request server and its two channels do wrong from the time they are set. The zero value is none.
type Faults struct {
	// LossPPM and RefreshLossPPM are packets of a million that the retransmission and the refresh channel lose.
	LossPPM, RefreshLossPPM uint32
	// SpoilPPM are packets of a million on both that come damaged: see Spoil.
	SpoilPPM uint32
	// Unavailable answers every retransmission with message 31 alone.
	Unavailable bool
	// Refuse answers every request with this status and sends no data. The default is 0: none.
	Refuse byte
	// NoData accepts requests and sends nothing for them.
	NoData bool
	// Silent accepts connections and says nothing at all.
	Silent bool
	// CutAfter closes a connection after so many requests, before they are answered. The default is 0: never.
	CutAfter int
	// Slow writes one byte each so long to clients. The default is 0: all at once.
	Slow time.Duration
	// Garbage is sent in place of each response.
	Garbage []byte
	// Delay is waited between a response and its data.
	Delay time.Duration
}

const perMillion = 1_000_000

// Spoil makes a wrong packet of a right one, in its memory: cut short, with a size or a count that lies, a message that reaches past the end,
// numbers far from all others, an unknown flag, or garbage. how picks what and where. A message is never altered, nor given the number of
// another: no receiver could tell.
func Spoil(packet []byte, how uint64) []byte {
	r := random{how}
	if len(packet) < wire.PacketHeaderBytes {
		return packet
	}
	switch r.below(7) {
	case 0:
		return packet[:r.below(uint64(len(packet)))]
	case 1:
		binary.LittleEndian.PutUint16(packet, uint16(len(packet))+1+uint16(r.below(1000)))
	case 2:
		packet[3] = byte(max(int(packet[3])+1+int(r.below(50)), 2))
	case 3:
		if len(packet) >= wire.PacketHeaderBytes+2 {
			packet[wire.PacketHeaderBytes], packet[wire.PacketHeaderBytes+1] = 0xFF, 0xFF
		}
	case 4:
		binary.LittleEndian.PutUint32(packet[4:], 1<<31+uint32(r.below(1<<30)))
	case 5:
		packet[2] = 200
	default:
		for i := range packet {
			packet[i] = byte(r.next())
		}
	}
	return packet
}

// damage spoils a packet on a line in one of the ways given, and says how many of its messages can still be used, from the first on.
func damage(b []byte, ways mold.Corruption, how uint64) (out []byte, whole int, poisoned bool) {
	r := random{how}
	h, blocks, err := wire.ParsePacket(b)
	if err != nil {
		return b, 0, false
	}
	count := int(h.Count)
	all := [...]mold.Corruption{mold.CorruptHeader, mold.CorruptLength, mold.CorruptTruncate, mold.CorruptPayload, mold.CorruptCount}
	way := all[r.below(uint64(len(all)))]
	for ways&way == 0 {
		way = all[r.below(uint64(len(all)))]
	}
	if count == 0 {
		way = mold.CorruptTruncate
	}
	switch way {
	case mold.CorruptHeader:
		b[2] = 200 // an unknown flag: nothing of it counts
		return b, 0, false
	case mold.CorruptLength:
		n := int(r.below(uint64(count)))
		_, at := wire.Walk(blocks, n)
		binary.LittleEndian.PutUint16(blocks[at:], 0xFFFF)
		return b, n, false
	case mold.CorruptTruncate:
		return b[:1+r.below(uint64(len(b)-1))], 0, false // pkt_size is not what was received
	case mold.CorruptCount:
		b[3] = byte(min(count+1+int(r.below(50)), mostMessages))
		return b, count, false
	}
	n := int(r.below(uint64(count)))
	_, at := wire.Walk(blocks, n)
	size := int(binary.LittleEndian.Uint16(blocks[at:]))
	if size <= wire.MessageHeaderBytes {
		return b, count, false
	}
	blocks[at+wire.MessageHeaderBytes+int(r.below(uint64(size-wire.MessageHeaderBytes)))] ^= byte(1 + r.below(255))
	return b, count, true
}

// random is splitmix64 (Steele, Lea, Flood, 2014).
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below is uniform in [0, n).
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

func (r *random) in(ppm uint32) bool { return r.below(perMillion) < uint64(ppm) }
