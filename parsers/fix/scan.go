package fix

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// Finding fields. A chunk of bytes that begins with a field is turned into two bits a byte: is it SOH, is it '='. What then costs is a field, not a byte:
//
//	bytes  3 5 = W | 3 4 = 1 2 | 5 5 = E S Z 4 |
//	SOH    0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0 0 0 1     the end of each field, and so the begin of the next
//	'='    0 0 1 0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0     the first one from the begin on ends the tag: no loop over its digits
//
// The value of a data field may hold SOH: its length is the field before it, and the next chunk begins behind it.

const (
	soh = 1

	blockBytes  = 64
	chunkBlocks = 16 // a data field makes a chunk void: with more of them a message of nothing else would take long
	chunkBytes  = chunkBlocks * blockBytes

	fourOnes = 0x01010101

	// MaxTagDigits is how many digits a tag may have.
	MaxTagDigits = 8
)

// chunkMasks has two words a block: SOH, '='. Behind the last there are two that stay 0.
type chunkMasks [2*chunkBlocks + 2]uint64

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
		findMasks(chunk, &masks, way)
		blocks := (len(chunk) + blockBytes - 1) / blockBytes
		masks[2*blocks], masks[2*blocks+1] = 0, 0
		begin := uint(0) // of the field, in the chunk
	fields:
		for block := range uint(blocks) {
			for ends := masks[2*block%uint(len(masks))]; ends != 0; ends &= ends - 1 {
				end := block*blockBytes + uint(bits.TrailingZeros64(ends))
				word, bit := 2*(begin/blockBytes)+1, begin%blockBytes
				equals := masks[word]>>bit | masks[word+2]<<1<<(blockBytes-1-bit)
				digits := uint(bits.TrailingZeros64(equals))
				at := uint(used) + begin
				tag := uint32(0)
				if equal := at + digits; digits-1 < 4 && equal >= 4 && equal < uint(len(b)) {
					// The four bytes before the '=': the digits are the upper ones, what is below them becomes zeros in front.
					x := binary.LittleEndian.Uint32(b[equal-4:equal]) ^ '0'*fourOnes
					below := (32 - 8*digits) & 31
					x = x >> below << below
					if ((x+0x76*fourOnes)|x)&(0x80*fourOnes) == 0 && x>>below&0xFF != 0 {
						x = x*10 + x>>8 // two pairs of digits
						tag = x&0xFF*100 + x>>16&0xFF
					}
				}
				if tag == 0 || digits >= end-begin { // the '=' is not in this field
					long, ok := tagAt(b, int(at), int(digits))
					if !ok || digits >= end-begin {
						return n, int(at), ErrField
					}
					tag = long
				}
				if uint(n) >= uint(len(dst)) {
					return n, int(at), ErrRoom
				}
				dst[n] = Field{tag, uint32(at + digits + 1), uint32(uint(used) + end)}
				n++
				begin = end + 1
				if isLength(tag) {
					break fields
				}
			}
		}
		used += int(begin)
		if begin == 0 { // no end of a field in the whole chunk
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
		}
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

// tagAt is the number of so many digits at b[at:], behind which there is a '='.
func tagAt(b []byte, at, digits int) (tag uint32, ok bool) {
	if digits < 1 || digits > MaxTagDigits || digits > len(b)-at || b[at] == '0' {
		return 0, false
	}
	for _, c := range b[at : at+digits] {
		if c -= '0'; c > 9 {
			return 0, false
		}
		tag = tag*10 + uint32(c)
	}
	return tag, true
}

// longField is the field at b[at:] that is longer than a chunk.
func longField(b []byte, at int) (f Field, next int, err error) {
	end := bytes.IndexByte(b[at:], soh)
	if end < 0 {
		return f, at, ErrEnd
	}
	digits := bytes.IndexByte(b[at:at+MaxTagDigits+1], '=')
	tag, ok := tagAt(b, at, max(digits, 0))
	if !ok {
		return f, at, ErrField
	}
	return Field{tag, uint32(at + digits + 1), uint32(at + end)}, at + end + 1, nil
}

// dataField is the field at b[at:] whose length the field before it says.
func dataField(b []byte, at int, length Field) (f Field, next int, err error) {
	size, ok := Uint(b[length.Start:length.End])
	digits := bytes.IndexByte(b[at:min(at+MaxTagDigits+1, len(b))], '=')
	tag, known := tagAt(b, at, max(digits, 0))
	if !ok || !known || tag != DataTag(length.Tag) || size >= uint64(len(b)-at-digits-1) {
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
