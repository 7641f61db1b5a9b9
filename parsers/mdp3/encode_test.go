package mdp3_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// fields is the fields of a block by name. What is not named is null, or zero where it cannot be.
type fields map[string]any

// f is short for it: tests are full of them.
type f = fields

// message builds one message of a template by the schema's tables: nothing of it is the decoder's.
func message(tb testing.TB, s *sbe.Schema, id, version uint16, root f, groups map[string][]f) []byte {
	tb.Helper()
	t := s.Message(id)
	if t == nil {
		tb.Fatalf("template %d is not in the schema", id)
	}
	le := binary.LittleEndian
	out := make([]byte, mdp3.MessageBytes)
	le.PutUint16(out[2:], uint16(t.Length))
	le.PutUint16(out[4:], id)
	le.PutUint16(out[6:], s.ID)
	le.PutUint16(out[8:], version)
	out = block(tb, out, &t.Block, root)
	for i := range t.Groups {
		g := &t.Groups[i]
		at := len(out)
		out = append(out, make([]byte, g.Dimension.Size)...)
		le.PutUint16(out[at:], uint16(g.Length))
		out[at+g.Dimension.CountAt] = byte(len(groups[g.Name]))
		for _, e := range groups[g.Name] {
			out = block(tb, out, &g.Block, e)
		}
	}
	for name := range groups {
		if t.Group(name) == nil {
			tb.Fatalf("template %d has no group %s", id, name)
		}
	}
	le.PutUint16(out, uint16(len(out)))
	return out
}

func block(tb testing.TB, out []byte, b *sbe.Block, fields f) []byte {
	tb.Helper()
	at := len(out)
	out = append(out, make([]byte, b.Length)...)
	for i := range b.Fields {
		put(tb, out[at:], &b.Fields[i], fields[b.Fields[i].Name])
	}
	for name := range fields {
		if b.Field(name) == nil {
			tb.Fatalf("no field %s", name)
		}
	}
	return out
}

func put(tb testing.TB, b []byte, field *sbe.Field, value any) {
	tb.Helper()
	t := field.Type
	var raw uint64
	switch v := value.(type) {
	case nil:
		for k := range t.Members {
			put(tb, b[field.Offset:], &t.Members[k], nil)
		}
		if !t.Nullable || t.Size == 0 {
			return
		}
		raw = t.Null
	case string:
		copy(b[field.Offset:field.End()], v)
		return
	case f:
		for k := range t.Members {
			put(tb, b[field.Offset:], &t.Members[k], v[t.Members[k].Name])
		}
		return
	case int:
		raw = uint64(v)
	case int64:
		raw = uint64(v)
	case uint64:
		raw = v
	default:
		tb.Fatalf("%s: %T", field.Name, value)
	}
	var eight [8]byte
	binary.LittleEndian.PutUint64(eight[:], raw)
	copy(b[field.Offset:field.End()], eight[:])
}

// packet puts messages behind a header.
func packet(sequence uint32, messages ...[]byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, sequence)
	out = binary.LittleEndian.AppendUint64(out, 1_700_000_000_000_000_000+uint64(sequence))
	return append(out, slices.Concat(messages...)...)
}

// msg is message of the built-in schema.
func msg(tb testing.TB, id uint16, root f, groups map[string][]f) []byte {
	tb.Helper()
	version := uint16(13)
	if s := mdp3.Schema().Message(id); s != nil && (id == 36 || id < 45 && id > 25 && id != 30 && id != 37 && id != 39) {
		version = 8
	}
	return message(tb, mdp3.Schema(), id, version, root, groups)
}

// at is the root block of most messages.
func at(time int, indicator int) f { return f{"TransactTime": time, "MatchEventIndicator": indicator} }

func px(v float64) int64 { return int64(v * 1e9) }

func TestEncodeIsSane(t *testing.T) {
	m := msg(t, 46, at(1, 0x84), map[string][]f{"NoMDEntries": {{"MDEntryPx": px(1), "SecurityID": 7}}})
	if len(m) != 10+11+3+32+8 {
		t.Fatal(fmt.Sprint(len(m)))
	}
}
