package sbe

import (
	"math"
	"strconv"
	"strings"
)

// primitive makes the type of a primitive's name; nil: it is none.
func primitive(name string) *Type {
	t := &Type{Name: name}
	switch name {
	case "char":
		t.Kind, t.Size = Text, 1
	case "int8", "int16", "int32", "int64":
		t.Signed = true
	case "uint8", "uint16", "uint32", "uint64":
	default:
		return nil
	}
	if t.Size == 0 {
		bits, _ := strconv.Atoi(strings.TrimLeft(name, "uint"))
		t.Size = bits / 8
	}
	return t
}

func (b *builder) addTypes(x *xmlTypes) {
	if len(x.Types)+len(x.Composites)+len(x.Enums)+len(x.Sets) > maxNames {
		b.fail("more than %d types", maxNames)
		return
	}
	for i := range x.Types {
		b.add(b.simple(&x.Types[i]))
	}
	for i := range x.Composites {
		b.composite(&x.Composites[i])
	}
	for i := range x.Enums {
		t := b.encoded(&x.Enums[i], Enum)
		for _, v := range x.Enums[i].Values {
			t.Values = append(t.Values, Value{v.Name, b.value(t, v.Text)})
		}
	}
	for i := range x.Sets {
		t := b.encoded(&x.Sets[i], Set)
		for _, v := range x.Sets[i].Choices {
			t.Values = append(t.Values, Value{v.Name, uint64(b.number("bit "+v.Name, v.Text, 0, int64(t.Size)*8-1))})
		}
	}
}

func (b *builder) add(t *Type) {
	if b.types[t.Name] != nil {
		b.fail("type %q twice", t.Name)
	}
	b.types[t.Name] = t
}

// simple is a <type>, of the schema or of a composite.
func (b *builder) simple(x *xmlType) *Type {
	t := primitive(x.Primitive)
	if t == nil {
		b.fail("type %s has primitive type %q, which is none", x.Name, x.Primitive)
		t = &Type{Size: 1}
	}
	t.Name = x.Name
	length := 1
	if x.Length != "" {
		length = int(b.number("length of "+x.Name, x.Length, 1, maxBlock))
	}
	switch {
	case t.Kind == Text:
		t.Size = length
	case length != 1:
		b.fail("type %s is an array of %s", x.Name, x.Primitive)
	}
	switch x.Presence {
	case "constant":
		t.Constant, t.Size = strings.TrimSpace(x.Text), 0
		if t.Kind == Number {
			b.number("constant "+x.Name, t.Constant, math.MinInt64, math.MaxInt64)
		}
	case "optional":
		t.Nullable = true
		if t.Kind == Text {
			t.Nullable = false // empty says it
		} else {
			t.Null = b.null(x.Name, x.Null, t)
		}
	}
	return t
}

// null reads a null value. Without one it is the primitive's: the largest, or the lowest of signed ones.
func (b *builder) null(name, text string, t *Type) uint64 {
	bits := uint(t.Size * 8)
	if text = strings.TrimSpace(text); text == "" {
		if t.Signed {
			return uint64(int64(-1) << (bits - 1))
		}
		return math.MaxUint64 >> (64 - bits)
	}
	if !t.Signed {
		v, err := strconv.ParseUint(text, 10, int(bits))
		if err != nil {
			b.fail("nullValue of %s is %q", name, text)
		}
		return v
	}
	v, err := strconv.ParseInt(text, 10, int(bits))
	if err != nil {
		b.fail("nullValue of %s is %q", name, text)
	}
	return uint64(v)
}

// composite is a group's dimension, a decimal, or members one behind the other.
func (b *builder) composite(x *xmlComposite) {
	t := &Type{Name: x.Name, Kind: Composite}
	for i := range x.Types {
		m := b.simple(&x.Types[i])
		at := t.Size
		if x.Types[i].Offset != "" {
			at = int(b.number("offset of "+x.Name+"."+m.Name, x.Types[i].Offset, 0, maxBlock))
		}
		t.Members = append(t.Members, Field{Name: m.Name, Offset: at, Type: m})
		t.Size = at + m.Size
	}
	if len(t.Members) == 2 {
		first, second := t.Members[0], t.Members[1]
		switch {
		case first.Name == "mantissa" && second.Name == "exponent" && second.Type.Size == 0:
			m := first.Type
			exponent := b.number("exponent of "+x.Name, second.Type.Constant, -18, 18)
			t = &Type{Name: x.Name, Kind: Decimal, Size: m.Size, Signed: m.Signed, Nullable: m.Nullable, Null: m.Null, Exponent: int(exponent)}
		case first.Name == "blockLength" && second.Name == "numInGroup":
			if first.Offset != 0 || first.Type.Size != 2 || second.Type.Size < 1 || second.Type.Size > 2 || second.Offset < 2 {
				b.fail("dimension %s: want blockLength of 2 bytes, then numInGroup of 1 or 2", x.Name)
			}
			b.dimensions[x.Name] = &Dimension{Name: x.Name, Size: t.Size, CountAt: second.Offset, CountOf: second.Type.Size}
			return
		}
	}
	b.add(t)
}

// encoded is the type of an enum or a set: its encoding's bytes and null.
func (b *builder) encoded(x *xmlEnum, kind Kind) *Type {
	of := b.types[x.Encoding]
	if of == nil {
		of = primitive(x.Encoding)
	}
	t := &Type{Name: x.Name, Kind: kind}
	switch {
	case of == nil || of.Size == 0 || (of.Kind != Number && (of.Kind != Text || of.Size != 1)):
		b.fail("%s is encoded as %q, which is no integer and no character", x.Name, x.Encoding)
		t.Size = 1
	default:
		t.Size, t.Char, t.Nullable, t.Null = of.Size, of.Kind == Text, of.Nullable, of.Null
		if of.Signed {
			b.fail("%s is encoded as signed %q", x.Name, x.Encoding)
		}
	}
	b.add(t)
	return t
}

// value reads an enum's value.
func (b *builder) value(t *Type, text string) uint64 {
	text = strings.TrimSpace(text)
	if t.Char {
		if len(text) != 1 {
			b.fail("value of %s is %q, want a character", t.Name, text)
			return 0
		}
		return uint64(text[0])
	}
	v, err := strconv.ParseUint(text, 10, min(t.Size*8, 64))
	if err != nil {
		b.fail("value of %s is %q", t.Name, text)
	}
	return v
}
