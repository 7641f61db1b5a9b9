package fix

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// Finding fields. A chunk of bytes that begins with a field is turned into one bit a byte: is it SOH. What then costs is a field, not a byte, and a tag is
// read as one integer, not a digit at a time:
//
//	bytes  3 5 = W | 3 4 = 1 2 | 5 5 = E S Z 4 |
//	SOH    0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0 0 0 1     the end of each field, and so the begin of the next
//	                 3 4 = 1 2 | 5 5                 the eight bytes at the begin of a field: '=' is the first of them that is one
//
// The value of a data field may hold SOH: its length is the field before it, and the next chunk begins behind it.

const (
	soh = 1

	blockBytes  = 64
	chunkBlocks = 16 // a data field makes a chunk void: with more of them a message of nothing else would take long
	chunkBytes  = chunkBlocks * blockBytes

	ones, ones4 = 0x0101010101010101, 0x01010101

	// MaxTagDigits is how many digits a tag may have.
	MaxTagDigits = 8
)

// chunkMasks has a word a block.
type chunkMasks [chunkBlocks]uint64

// Field is one field: its value is bytes Start to End of what was scanned.
type Field struct {
	Tag        uint32
	Start, End uint32
}

// What Scan refuses.
var (
	ErrField = errors.New("fix: field is not tag=value: a tag is 1 to 8 digits, the first not 0")
	ErrEnd   = errors.New("fix: field does not end with SOH")
	ErrData  = errors.New("fix: data field is not where its length field says, or not of that length")
	ErrRoom  = errors.New("fix: more fields than there is room for")
)

// Scan finds the fields of b and puts them into dst, in order, n of them. With an error, used is where the field that is refused begins: those before
// it are in dst. Values may be empty. Hot path: no allocation, nothing is copied.
func Scan(b []byte, dst []Field) (n, used int, err error) { return scan(b, dst, best) }

func scan(b []byte, dst []Field, way int) (n, used int, err error) {
	var masks chunkMasks
	for used < len(b) {
		chunk := b[used:min(used+chunkBytes, len(b))]
		at := used // where the field begins
	fields:
		for block, ends := range findMasks(chunk, &masks, way) {
			for ; ends != 0; ends &= ends - 1 {
				end := used + block*blockBytes + bits.TrailingZeros64(ends)
				// A tag of up to four digits, which in practice are all, as one integer: no branch on what it is.
				tag, digits := uint32(0), 0
				if at+8 <= len(b) {
					x := binary.LittleEndian.Uint64(b[at : at+8])
					equals := x ^ '='*ones
					bit := bits.TrailingZeros64((equals-ones)&^equals&(0x80*ones)) &^ 7 // eight times the digits
					v := (uint32(x) ^ '0'*ones4) << (uint(32-bit) & 31)                 // those, zeros in front
					if uint(bit-8) <= 24 && ((v+0x76*ones4)|v)&(0x80*ones4) == 0 && byte(x) != '0' {
						v = v*10 + v>>8 // two pairs
						tag, digits = v&0xFF*100+v>>16&0xFF, bit/8
					}
				}
				if tag == 0 {
					if tag, digits = tagOf(b[at:end]); digits == 0 {
						return n, at, ErrField
					}
				}
				if n >= len(dst) {
					return n, at, ErrRoom
				}
				dst[n] = Field{tag, uint32(at + digits + 1), uint32(end)}
				n++
				at = end + 1
				if isLength(tag) {
					break fields
				}
			}
		}
		if at == used { // no end of a field in the whole chunk
			if len(chunk) < chunkBytes {
				return n, used, ErrEnd
			}
			if n == len(dst) {
				return n, used, ErrRoom
			}
			if dst[n], used, err = longField(b, used); err != nil {
				return n, used, err
			}
			n++
			at = used
		}
		used = at
		if isLength(dst[n-1].Tag) {
			if n == len(dst) {
				return n, used, ErrRoom
			}
			if dst[n], used, err = dataField(b, used, dst[n-1]); err != nil {
				return n, used, err
			}
			n++
		}
	}
	return n, used, nil
}

// tagOf is the number that is in front of the first '=', and how many digits it has; 0: there is none, or it is no tag.
func tagOf(b []byte) (tag uint32, digits int) {
	for i, c := range b {
		if c == '=' {
			return tag, i
		}
		if c -= '0'; c > 9 || i == MaxTagDigits || i == 0 && c == 0 {
			break
		}
		tag = tag*10 + uint32(c)
	}
	return 0, 0
}

// longField is the field at b[at:] that is longer than a chunk.
func longField(b []byte, at int) (f Field, next int, err error) {
	end := bytes.IndexByte(b[at:], soh)
	if end < 0 {
		return f, at, ErrEnd
	}
	tag, digits := tagOf(b[at : at+end])
	if digits == 0 {
		return f, at, ErrField
	}
	return Field{tag, uint32(at + digits + 1), uint32(at + end)}, at + end + 1, nil
}

// dataField is the field at b[at:] whose length the field before it says.
func dataField(b []byte, at int, length Field) (f Field, next int, err error) {
	size, ok := Uint(b[length.Start:length.End])
	tag, digits := tagOf(b[at:])
	if !ok || digits == 0 || tag != DataTag(length.Tag) || size >= uint64(len(b)-at-digits-1) {
		return f, at, ErrData
	}
	f = Field{tag, uint32(at + digits + 1), uint32(at + digits + 1 + int(size))}
	if b[f.End] != soh {
		return f, at, ErrData
	}
	return f, int(f.End) + 1, nil
}

// pairs are the length fields and their data fields, of all versions (dictionaries: fields of type DATA and XMLDATA). Signature is the odd one.
var pairs = [][2]uint32{
	{90, 91}, {93, 89}, {95, 96}, {212, 213}, {348, 349}, {350, 351}, {352, 353}, {354, 355}, {356, 357}, {358, 359}, {360, 361}, {362, 363}, {364, 365},
	{445, 446}, {618, 619}, {621, 622}, {1184, 1185}, {1277, 1278}, {1280, 1281}, {1282, 1283}, {1359, 1360}, {1397, 1398}, {1401, 1402}, {1403, 1404},
	{1468, 1469}, {1618, 1619}, {1620, 1621},
}

var lengthTags = func() (set [2048 / 64]uint64) {
	for _, p := range pairs {
		set[p[0]/64] |= 1 << (p[0] % 64)
	}
	return set
}()

func isLength(tag uint32) bool { return tag < 2048 && lengthTags[tag/64]>>(tag%64)&1 != 0 }

// DataTag is the data field that a length field is of, 0 for a field that is none.
func DataTag(length uint32) uint32 {
	for _, p := range pairs {
		if p[0] == length {
			return p[1]
		}
	}
	return 0
}
