package fix

import (
	"encoding/binary"
	"math/bits"
)

// Ways to look at bytes: of a machine (best) or of a test.
const (
	portable = iota
	avx2
)

// findMasks gives a word for each block of b, at most a chunk: which bytes are SOH. Behind the end of b none is.
func findMasks(b []byte, masks *chunkMasks, way int) []uint64 {
	whole := len(b) / blockBytes
	if whole > 0 {
		blockMasks(b[:whole*blockBytes], masks[:whole], way)
	}
	rest := b[whole*blockBytes:]
	if len(rest) == 0 {
		return masks[:whole]
	}
	var last [blockBytes]byte
	copy(last[:], rest)
	blockMasks(last[:], masks[whole:whole+1], way)
	return masks[:whole+1]
}

func blockMasksPortable(b []byte, masks []uint64) {
	for i := range masks {
		masks[i] = maskOf((*[blockBytes]byte)(b[i*blockBytes:]))
	}
}

// maskOf works on eight bytes at a time, the lowest bit of each being its flag.
func maskOf(b *[blockBytes]byte) (mask uint64) {
	for i := 0; i < blockBytes; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:]) ^ soh*ones
		x = ^((x&(0x7F*ones) + 0x7F*ones) | x) >> 7 & ones // no carry leaves a byte: exact
		mask |= x * 0x0102040810204080 >> 56 << i
	}
	return mask
}

// Sum is the sum of all bytes modulo 256: CheckSum of a message is that of its bytes up to the SOH before "10=". Hot path.
func Sum(b []byte) byte { return sum(b, best) }

func sum(b []byte, way int) byte {
	whole := len(b) / blockBytes * blockBytes
	total := byte(0)
	if whole > 0 {
		total = blockSum(b[:whole], way)
	}
	for _, c := range b[whole:] {
		total += c
	}
	return total
}

// blockSumPortable adds the bytes of even and of odd places in eight-byte words: 128 of them before a sum of two bytes could be too much.
func blockSumPortable(b []byte) byte {
	const even = 0x00FF00FF00FF00FF
	total := uint64(0)
	for len(b) > 0 {
		part := b[:min(len(b), 8*128)]
		b = b[len(part):]
		sums := uint64(0)
		for ; len(part) >= 8; part = part[8:] {
			x := binary.LittleEndian.Uint64(part)
			sums += x&even + x>>8&even // at most 128 × 510
		}
		for range 4 {
			total += sums & 0xFFFF
			sums = bits.RotateLeft64(sums, 16)
		}
	}
	return byte(total)
}
