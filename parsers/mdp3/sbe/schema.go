// Package sbe knows schemas of Simple Binary Encoding (FIX Trading Community, version 1.0) as far as market data of exchanges uses them: it
// reads their XML, cuts messages into blocks by it, reads fields out of blocks, and prints messages.
//
//	message = root block (blockLength) , group , group , …
//	group   = dimension (3, 4 or 8 bytes: blockLength u16, numInGroup) , entry (blockLength) × numInGroup
//
// Lengths of the wire count, never those of the schema: a sender with a newer schema has longer blocks and more groups, one with an older schema
// shorter ones and fewer. Little-endian schemas without groups in groups and without fields of variable length; another one is refused.
//
// Not for the hot path, but without allocation where it says so.
package sbe

import (
	"cmp"
	"slices"
)

// Kind is how a value is to be read.
type Kind uint8

// Kinds of type.
const (
	Number    Kind = iota // an integer
	Text                  // Length characters, padded on the right with zeros
	Enum                  // an integer or a character whose values have names
	Set                   // an integer whose bits have names
	Decimal               // an integer mantissa; the exponent is the schema's
	Composite             // several members
)

// A Type is what a field's bytes mean. Types are shared by fields and not to be changed.
type Type struct {
	Name     string
	Kind     Kind
	Size     int    // bytes on the wire, 0: Constant
	Signed   bool   // of Number, Decimal
	Char     bool   // of Enum: values are characters
	Nullable bool   // Null is no value
	Null     uint64 // as Field.Raw gives it
	Exponent int    // of Decimal
	Constant string // the value of a type without bytes
	Values   []Value
	Members  []Field // of Composite: offsets are within it
}

// Value is a name of an enum's value or of a set's bit.
type Value struct {
	Name  string
	Value uint64 // of a Set: the number of the bit
}

// ValueName gives the name of an enum's value; empty: it is not known.
func (t *Type) ValueName(v uint64) string {
	for i := range t.Values {
		if t.Values[i].Value == v {
			return t.Values[i].Name
		}
	}
	return ""
}

// Field is one field of a block.
type Field struct {
	Name   string
	Tag    int // FIX tag
	Offset int // in the block; of a constant 0
	Since  uint16
	Type   *Type
}

// End is the first byte behind the field.
func (f *Field) End() int { return f.Offset + f.Type.Size }

// Block is the fields of a root block or of a group's entries.
type Block struct {
	Length int // as the schema has it, padding included
	Fields []Field
}

// Field finds a field by its name; nil: there is none.
func (b *Block) Field(name string) *Field {
	for i := range b.Fields {
		if b.Fields[i].Name == name {
			return &b.Fields[i]
		}
	}
	return nil
}

// Required is the bytes that the block of any sender has: up to the end of its last field that is as old as base, the version of its template, and not
// optional.
func (b *Block) Required(base uint16) (n int) {
	for i := range b.Fields {
		if f := &b.Fields[i]; f.Since <= base && !f.Type.Nullable && f.Type.Size > 0 {
			n = max(n, f.End())
		}
	}
	return n
}

// Dimension is the header of a group: blockLength is its first two bytes.
type Dimension struct {
	Name    string
	Size    int
	CountAt int // where numInGroup stands
	CountOf int // its bytes, 1 or 2
}

// Group is a repeating group.
type Group struct {
	Name      string
	Tag       int
	Since     uint16
	Dimension *Dimension
	Block
}

// Message is a template.
type Message struct {
	ID     uint16
	Name   string
	Since  uint16
	Block          // the root block
	Groups []Group // in wire order
}

// Group finds a group by its name; nil: there is none.
func (m *Message) Group(name string) *Group {
	for i := range m.Groups {
		if m.Groups[i].Name == name {
			return &m.Groups[i]
		}
	}
	return nil
}

// Schema is all templates of one version.
type Schema struct {
	ID       uint16
	Version  uint16
	Messages []*Message // by id
}

// Message finds a template by its id; nil: the schema has none. It does not allocate.
func (s *Schema) Message(id uint16) *Message {
	i, ok := slices.BinarySearchFunc(s.Messages, id, func(m *Message, id uint16) int { return cmp.Compare(m.ID, id) })
	if !ok {
		return nil
	}
	return s.Messages[i]
}

// Merge adds the templates of an older version that this one has no longer.
func (s *Schema) Merge(older *Schema) {
	for _, m := range older.Messages {
		if s.Message(m.ID) == nil {
			s.Messages = append(s.Messages, m)
			s.sort()
		}
	}
}

func (s *Schema) sort() {
	slices.SortFunc(s.Messages, func(a, b *Message) int { return cmp.Compare(a.ID, b.ID) })
}
