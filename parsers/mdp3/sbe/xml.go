package sbe

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// ErrSchema is a schema that cannot be used; the error that wraps it says why.
var ErrSchema = errors.New("sbe: schema refused")

// Bounds of a schema, far above any real one: what is beyond is no schema.
const (
	maxSchema = 16 << 20 // bytes of XML
	maxBlock  = 1<<16 - 1
	maxNames  = 1 << 16 // elements of a kind
)

// The XML as it is, before names are looked up.
type xmlSchema struct {
	XMLName   xml.Name     `xml:"messageSchema"`
	ID        string       `xml:"id,attr"`
	Version   string       `xml:"version,attr"`
	ByteOrder string       `xml:"byteOrder,attr"`
	Types     []xmlTypes   `xml:"types"`
	Messages  []xmlMessage `xml:"message"`
}

type xmlTypes struct {
	Types      []xmlType      `xml:"type"`
	Composites []xmlComposite `xml:"composite"`
	Enums      []xmlEnum      `xml:"enum"`
	Sets       []xmlEnum      `xml:"set"`
}

type xmlType struct {
	Name      string `xml:"name,attr"`
	Primitive string `xml:"primitiveType,attr"`
	Length    string `xml:"length,attr"`
	Presence  string `xml:"presence,attr"`
	Null      string `xml:"nullValue,attr"`
	Offset    string `xml:"offset,attr"`
	Text      string `xml:",chardata"`
}

type xmlComposite struct {
	Name  string    `xml:"name,attr"`
	Types []xmlType `xml:"type"`
}

type xmlEnum struct {
	Name     string `xml:"name,attr"`
	Encoding string `xml:"encodingType,attr"`
	Values   []struct {
		Name string `xml:"name,attr"`
		Text string `xml:",chardata"`
	} `xml:"validValue"`
	Choices []struct {
		Name string `xml:"name,attr"`
		Text string `xml:",chardata"`
	} `xml:"choice"`
}

type xmlMessage struct {
	Name   string     `xml:"name,attr"`
	ID     string     `xml:"id,attr"`
	Block  string     `xml:"blockLength,attr"`
	Since  string     `xml:"sinceVersion,attr"`
	Fields []xmlField `xml:"field"`
	Groups []xmlGroup `xml:"group"`
	Data   []struct{} `xml:"data"`
}

type xmlField struct {
	Name     string `xml:"name,attr"`
	ID       string `xml:"id,attr"`
	Type     string `xml:"type,attr"`
	Offset   string `xml:"offset,attr"`
	Since    string `xml:"sinceVersion,attr"`
	Presence string `xml:"presence,attr"`
}

type xmlGroup struct {
	xmlMessage
	Dimension string `xml:"dimensionType,attr"`
}

// Load reads a schema's file.
func Load(path string) (*Schema, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sbe: schema: %w", err)
	}
	defer f.Close()
	s, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return s, nil
}

// Read reads a schema's XML.
func Read(r io.Reader) (*Schema, error) {
	var x xmlSchema
	if err := xml.NewDecoder(io.LimitReader(r, maxSchema)).Decode(&x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if x.ByteOrder != "" && x.ByteOrder != "littleEndian" {
		return nil, fmt.Errorf("%w: byteOrder %q, want littleEndian", ErrSchema, x.ByteOrder)
	}
	b := builder{types: map[string]*Type{}, dimensions: map[string]*Dimension{}}
	s := &Schema{ID: uint16(b.number("id of the schema", x.ID, 0, 1<<16-1)), Version: uint16(b.number("version", x.Version, 0, 1<<16-1))}
	for i := range x.Types {
		b.addTypes(&x.Types[i])
	}
	seen := map[uint16]bool{}
	for i := range x.Messages {
		m := b.message(&x.Messages[i])
		if seen[m.ID] {
			b.fail("two messages with id %d", m.ID)
		}
		seen[m.ID] = true
		s.Messages = append(s.Messages, m)
	}
	if b.err == nil && len(s.Messages) == 0 {
		b.fail("no messages")
	}
	if b.err != nil {
		return nil, b.err
	}
	s.sort()
	return s, nil
}

// builder turns names into what they name. It keeps the first error and goes on: the code reads straight through.
type builder struct {
	types      map[string]*Type
	dimensions map[string]*Dimension
	err        error
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("%w: %s", ErrSchema, fmt.Sprintf(format, args...))
	}
}

// number reads a decimal attribute; an empty one is 0.
func (b *builder) number(what, text string, least, most int64) int64 {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		b.fail("%s is %q, want %d to %d", what, text, least, most)
		return 0
	}
	return n
}

func (b *builder) message(x *xmlMessage) *Message {
	m := &Message{Name: x.Name, ID: uint16(b.number("id of message "+x.Name, x.ID, 0, 1<<16-1)),
		Since: b.since(x.Name, x.Since), Block: b.block(x.Name, x)}
	if x.ID == "" {
		b.fail("message %s has no id", x.Name)
	}
	for i := range x.Groups {
		g := &x.Groups[i]
		name := x.Name + "." + g.Name
		d := b.dimensions[or(g.Dimension, "groupSizeEncoding")]
		if d == nil {
			b.fail("group %s has dimension %q, which is none", name, g.Dimension)
			d = &Dimension{}
		}
		if len(g.Groups) != 0 {
			b.fail("group %s has groups in it", name)
		}
		m.Groups = append(m.Groups, Group{Name: g.Name, Tag: int(b.number("id of "+name, g.ID, 0, 1<<31-1)),
			Since: b.since(name, g.Since), Dimension: d, Block: b.block(name, &g.xmlMessage)})
	}
	return m
}

func (b *builder) since(name, text string) uint16 {
	return uint16(b.number("sinceVersion of "+name, text, 0, 1<<16-1))
}

// block lays out fields: each at its offset, or behind the one before it.
func (b *builder) block(name string, x *xmlMessage) Block {
	if len(x.Data) != 0 {
		b.fail("%s has data of variable length", name)
	}
	var out Block
	at := 0
	for i := range x.Fields {
		f := &x.Fields[i]
		what := name + "." + f.Name
		t := b.types[f.Type]
		if t == nil {
			if t = primitive(f.Type); t == nil {
				b.fail("field %s has type %q, which is none", what, f.Type)
				continue
			}
		}
		if f.Presence == "constant" && t.Size != 0 {
			b.fail("field %s is constant and its type is not", what)
		}
		field := Field{Name: f.Name, Tag: int(b.number("id of "+what, f.ID, 0, 1<<31-1)), Since: b.since(what, f.Since), Type: t}
		if t.Size != 0 {
			field.Offset = at
			if f.Offset != "" {
				field.Offset = int(b.number("offset of "+what, f.Offset, 0, maxBlock))
			}
			at = field.End()
		}
		out.Fields = append(out.Fields, field)
	}
	out.Length = int(b.number("blockLength of "+name, x.Block, 0, maxBlock))
	if x.Block == "" {
		out.Length = at
	}
	for i := range out.Fields {
		if f := &out.Fields[i]; f.End() > out.Length {
			b.fail("field %s.%s ends at %d, and its block at %d", name, f.Name, f.End(), out.Length)
		}
	}
	return out
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
