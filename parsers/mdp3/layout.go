package mdp3

import "encoding/binary"

// Blocks of a message, checked once each. What stands in them is package wire's.
//
//	groupSize       blockLength u16, numInGroup u8                    3 bytes
//	groupSize8Byte  blockLength u16, 5 bytes of padding, numInGroup u8  8 bytes
const (
	narrow = 2 // where numInGroup stands in groupSize …
	wide   = 7 // … and in groupSize8Byte
)

const oldScale = 100 // prices in 1e-7 to 1e-9

// builtin is the version of the schema that the decoder is made from.
const builtin = 13

// root takes a message apart: the bytes of its root block and what follows it. least is how many the block must have. Hot path.
func root(m Message, least int) (block, rest []byte, ok bool) {
	body, length := m[MessageBytes:], m.BlockLength()
	if length < least || length > len(body) {
		return nil, nil, false
	}
	return body[:length], body[length:], true
}

// entries are a group's blocks. None at all: the group is absent or empty.
type entries struct {
	data []byte
	size int // of one, as the wire has it
	n    int
}

func (e *entries) at(i int) []byte { return e.data[i*e.size : (i+1)*e.size] }

// group takes a group off what follows a root block: its dimension has blockLength at 0 and numInGroup at countAt, its last byte. Blocks of
// fewer than least bytes lack fields that every sender has. A group for which nothing is left is one that the sender's schema does not have. Hot path.
func group(b []byte, countAt, least int) (e entries, rest []byte, ok bool) {
	if len(b) <= countAt {
		return e, nil, true
	}
	e.size, e.n = int(binary.LittleEndian.Uint16(b)), int(b[countAt])
	b = b[countAt+1:]
	if e.n == 0 {
		return e, b, true
	}
	total := e.size * e.n
	if e.size < least || e.n == 255 || total > len(b) {
		return e, nil, false
	}
	e.data = b[:total]
	return e, b[total:], true
}
