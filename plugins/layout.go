package plugins

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// A layout is where a unit's columns and bytes are in the guest's memory (ABI.md, Layout):
//
//	0        4           8     12         16    20          24        28   32
//	+--------+-----------+-----+----------+-----+-----------+---------+----+----------------------+- ...
//	| "TWP1" | max_rows  | in  | in_bytes | out | out_bytes | columns | 0  | column 0             |
//	+--------+-----------+-----+----------+-----+-----------+---------+----+----------------------+- ...
//	column: id u16, type u8, access u8, offset u32, stride u32, 0 u32
const (
	layoutMagic  = 0x31505754
	layoutHeader = 32
	layoutColumn = 16
	mostColumns  = 64
)

// Access of a column.
const (
	accessRead  = 1
	accessWrite = 2
)

type column struct {
	id     uint16
	typ    manifest.Type
	access uint8
	at     uint32
	stride uint32
}

type layout struct {
	at       uint32
	image    []byte // as it was: it must stay so
	maxRows  int
	in       uint32
	inBytes  uint32
	out      uint32
	outBytes uint32
	columns  []column
}

// wanted is a column that a layout must have, or may.
type wanted struct {
	id       uint16
	typ      manifest.Type
	access   uint8 // 0: the kind says who writes it, the layout's word does not count
	optional bool
}

// readLayout reads the layout at an address and holds it against what the unit needs.
func readLayout(m *memory, at uint32, maxRows int, want []wanted) (*layout, error) {
	head := m.view(at, layoutHeader)
	if at == 0 || head == nil {
		return nil, fmt.Errorf("layout at %d: not within its memory of %d bytes", at, m.size)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(head[4*i:]) }
	l := &layout{at: at, maxRows: maxRows, in: word(2), inBytes: word(3), out: word(4), outBytes: word(5)}
	n := word(6)
	fail := func(format string, a ...any) (*layout, error) {
		return nil, fmt.Errorf("layout at %d: "+format, append([]any{at}, a...)...)
	}
	switch {
	case word(0) != layoutMagic:
		return fail("it begins with %08x, want %08x", word(0), uint32(layoutMagic))
	case word(1) != uint32(maxRows):
		return fail("max_rows is %d, but %d in the manifest", word(1), maxRows)
	case n > mostColumns:
		return fail("%d columns, but at most %d", n, mostColumns)
	case word(7) != 0:
		return fail("a word that is 0 in this ABI is %d", word(7))
	}
	whole := m.view(at, layoutHeader+n*layoutColumn)
	if whole == nil {
		return fail("its %d columns are not within its memory", n)
	}
	l.image = slices.Clone(whole)
	for k := range int(n) {
		b := whole[layoutHeader+k*layoutColumn:]
		c := column{
			id: binary.LittleEndian.Uint16(b), typ: manifest.Type(b[2]), access: b[3],
			at: binary.LittleEndian.Uint32(b[4:]), stride: binary.LittleEndian.Uint32(b[8:]),
		}
		if err := c.check(); err != nil {
			return fail("column %d: %w", c.id, err)
		}
		i := slices.IndexFunc(want, func(w wanted) bool { return w.id == c.id })
		switch {
		case i < 0:
			return fail("column %d: the manifest does not name it", c.id)
		case slices.ContainsFunc(l.columns, func(o column) bool { return o.id == c.id }):
			return fail("column %d: there twice", c.id)
		case want[i].typ == 0 && c.typ != manifest.I64 && c.typ != manifest.U64 && c.typ != manifest.F64:
			return fail("column %d: its type is %s, but custom columns are i64, u64 or f64", c.id, c.typ)
		case want[i].typ != 0 && want[i].typ.Wire() != c.typ:
			return fail("column %d: its type is %s, want %s", c.id, c.typ, want[i].typ.Wire())
		case want[i].access != 0 && want[i].access != c.access:
			return fail("column %d: its access is %d, want %d", c.id, c.access, want[i].access)
		}
		l.columns = append(l.columns, c)
	}
	for _, w := range want {
		if l.column(w.id) == nil && !w.optional {
			return fail("column %d is missing", w.id)
		}
	}
	if err := l.places(m); err != nil {
		return fail("%w", err)
	}
	return l, nil
}

func (c *column) check() error {
	if c.typ < manifest.U8 || c.typ > manifest.Str {
		return fmt.Errorf("type %d is not known", uint8(c.typ))
	}
	size := uint32(c.typ.Bytes())
	switch {
	case c.typ == manifest.Str && (c.stride < 8 || c.stride > 256 || c.stride%8 != 0):
		return fmt.Errorf("stride %d of a text is no multiple of 8 from 8 to 256", c.stride)
	case c.typ != manifest.Str && c.stride != size:
		return fmt.Errorf("stride %d, want %d", c.stride, size)
	case c.at == 0 || c.at%64 != 0: // address 0 is nobody's: units take it for a column that is not there
		return fmt.Errorf("offset %d is no multiple of 64 above 0", c.at)
	case c.access < 1 || c.access > 3:
		return fmt.Errorf("access %d is none of 1, 2, 3", c.access)
	}
	return nil
}

// places sees that everything lies within memory and apart.
func (l *layout) places(m *memory) error {
	type span struct {
		what     string
		from, to uint64
	}
	all := []span{{"the layout", uint64(l.at), uint64(l.at) + uint64(len(l.image))}}
	add := func(what string, at uint32, bytes uint64) {
		if bytes > 0 {
			all = append(all, span{what, uint64(at), uint64(at) + bytes})
		}
	}
	add("in", l.in, uint64(l.inBytes))
	add("out", l.out, uint64(l.outBytes))
	for _, c := range l.columns {
		add(fmt.Sprintf("column %d", c.id), c.at, uint64(c.stride)*uint64(l.maxRows))
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i, s := range all {
		switch {
		case s.to > uint64(m.size):
			return fmt.Errorf("%s is at %d to %d, behind the end of its memory of %d bytes", s.what, s.from, s.to, m.size)
		case i > 0 && s.from < all[i-1].to:
			return fmt.Errorf("%s and %s overlap", all[i-1].what, s.what)
		}
	}
	return nil
}

func (l *layout) column(id uint16) *column {
	for i := range l.columns {
		if l.columns[i].id == id {
			return &l.columns[i]
		}
	}
	return nil
}

// wants are the columns of a unit's layout.
func wants(u *manifest.Unit) (want []wanted, inBytes, outBytes uint32) {
	rows := func(access uint8, names []string) {
		for _, name := range names {
			c, ok := manifest.ColumnNamed(name)
			if !ok {
				continue // of a plugin before it, below
			}
			if i := slices.IndexFunc(want, func(w wanted) bool { return w.id == c.ID }); i >= 0 {
				want[i].access |= access
				continue
			}
			want = append(want, wanted{c.ID, c.Type, access, false})
		}
	}
	number := func(id int, t manifest.Type, access uint8, optional bool) {
		want = append(want, wanted{uint16(id), t, access, optional})
	}
	rows(accessRead, u.Reads)
	for k := range earlier(u) {
		number(manifest.ColumnEarlier+k, 0, accessRead, false) // typed when the chain is known
	}
	switch u.Kind {
	case manifest.Transform:
		rows(accessWrite, u.Writes)
		for k, c := range u.Custom {
			number(manifest.ColumnCustom+k, c.Type, accessWrite, false)
		}
	case manifest.Validator:
		rows(accessWrite, []string{"row_ctl", "reason"})
	case manifest.Function, manifest.Aggregate:
		for k, t := range u.Args {
			number(manifest.ColumnArg+k, t, accessRead, false)
			number(manifest.ColumnArgNull+k, manifest.U8, accessRead, true)
		}
		number(manifest.ColumnResult, u.Returns, accessWrite, false)
		number(manifest.ColumnNull, manifest.U8, accessWrite, true)
		if u.Kind == manifest.Aggregate {
			number(manifest.ColumnGroup, manifest.U32, accessRead, false)
			inBytes, outBytes = uint32(u.StateBytes), uint32(u.StateBytes)
		}
	case manifest.Parser:
		rows(accessWrite, u.Writes)
		inBytes = 1
	case manifest.Serializer:
		outBytes = 1
	case manifest.TypeKind:
		number(512, manifest.Str, 0, false)
		number(513, u.Base, 0, false)
		number(514, u.Base, 0, false)
		number(515, manifest.Str, 0, false)
		number(768, manifest.I64, 0, false)
		number(769, manifest.U8, 0, false)
	case manifest.Codec:
		number(512, u.Type, 0, false)
		number(768, u.Type, 0, false)
		inBytes, outBytes = 1, 1
	case manifest.Index:
		number(512, u.Type, 0, false)
		number(513, u.Type, 0, false)
		number(514, u.Type, 0, false)
		number(515, manifest.U32, 0, false)
		number(516, manifest.U32, 0, false)
		inBytes, outBytes = 1, 1
	case manifest.Partition:
		number(768, manifest.U64, accessWrite, false)
	}
	return want, inBytes, outBytes
}

// earlier are the names in reads that are no columns of a batch: custom columns of plugins before it.
func earlier(u *manifest.Unit) []string {
	var names []string
	for _, name := range u.Reads {
		if _, ok := manifest.ColumnNamed(name); !ok {
			names = append(names, name)
		}
	}
	return names
}
