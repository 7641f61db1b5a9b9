package sbe

import (
	"encoding/binary"
	"errors"
)

// Errors of a message whose lengths contradict each other.
var (
	ErrBlock = errors.New("sbe: root block is longer than its message")
	ErrGroup = errors.New("sbe: group is longer than its message")
	ErrCount = errors.New("sbe: group's number of entries is null")
)

// Part is a root block or a group, in the message's memory.
type Part struct {
	Group  *Group // nil: the root block
	Block  *Block
	Length int // of one block, as the wire has it
	Count  int // of blocks
	Data   []byte
}

// Entry is one block.
func (p *Part) Entry(i int) []byte { return p.Data[i*p.Length : (i+1)*p.Length] }

// Split appends the parts of a message to dst: its root block, then its groups in order. body is what follows the message's header, blockLength and
// version what that says. A group that the version does not have yet, or for which nothing is left, is absent; bytes behind the last known group
// belong to newer ones, and trailing says how many they are. It allocates only where dst is too small.
func (m *Message) Split(dst []Part, body []byte, blockLength int, version uint16) (parts []Part, trailing int, err error) {
	if blockLength > len(body) {
		return dst, 0, ErrBlock
	}
	dst = append(dst, Part{Block: &m.Block, Length: blockLength, Count: 1, Data: body[:blockLength]})
	rest := body[blockLength:]
	for i := range m.Groups {
		g := &m.Groups[i]
		d := g.Dimension
		if g.Since > version {
			continue
		}
		if len(rest) < d.Size {
			break
		}
		length, count := int(binary.LittleEndian.Uint16(rest)), int(rest[d.CountAt])
		if d.CountOf == 2 {
			count = int(binary.LittleEndian.Uint16(rest[d.CountAt:]))
		} else if count == 255 {
			return dst, 0, ErrCount
		}
		if length*count > len(rest)-d.Size {
			return dst, 0, ErrGroup
		}
		dst = append(dst, Part{Group: g, Block: &g.Block, Length: length, Count: count, Data: rest[d.Size:][:length*count]})
		rest = rest[d.Size+length*count:]
	}
	return dst, len(rest), nil
}

// Raw reads a field of at most 8 bytes from a block: signed ones are extended to 64 bits. ok is false where the block does not have the field,
// because it is too short or the sender's schema too old, and where it is null. Hot path.
func (f *Field) Raw(block []byte, version uint16) (v uint64, ok bool) {
	t := f.Type
	if t.Size == 0 || t.Size > 8 || f.Since > version || f.End() > len(block) {
		return 0, false
	}
	b := block[f.Offset:f.End()]
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	if t.Signed {
		shift := 64 - 8*uint(t.Size)
		v = uint64(int64(v<<shift) >> shift)
	}
	return v, !t.Nullable || v != t.Null
}

// Int is Raw as a signed number.
func (f *Field) Int(block []byte, version uint16) (int64, bool) {
	v, ok := f.Raw(block, version)
	return int64(v), ok
}

// Text reads a Text field without its padding. ok is false where the block does not have it.
func (f *Field) Text(block []byte, version uint16) (text []byte, ok bool) {
	if f.Type.Kind != Text || f.Type.Size == 0 || f.Since > version || f.End() > len(block) {
		return nil, false
	}
	text = block[f.Offset:f.End()]
	for len(text) > 0 && text[len(text)-1] == 0 {
		text = text[:len(text)-1]
	}
	return text, true
}
