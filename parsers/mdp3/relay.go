package mdp3

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
)

// relay lays messages of a schema that is given at run time out as the built-in one has them, so that one decoder serves all. Fields and groups are
// matched by name: those that are new are left out, those that are gone are null. A template that is new but for its number (46 came that way
// after 32) is taken for the newest one of its name.
type relay struct {
	schema *sbe.Schema
	plans  map[uint16]*relayPlan
	parts  []sbe.Part
	room   []byte
}

// relayPlan is one template's way.
type relayPlan struct {
	from, to *sbe.Message
	same     bool // longer blocks and more groups at most: decoded where it lies
	root     []move
	rootNull []byte    // a root block of which every field is null
	groups   []regroup // by place in to
}

// regroup is one group's way.
type regroup struct {
	name  string
	moves []move
	null  []byte
}

// move copies one field.
type move struct {
	from *sbe.Field
	at   int
}

// newRelay compares a schema with the built-in one. A field that cannot be copied as it is makes the schema unusable: better known at the start.
func newRelay(s *sbe.Schema) (*relay, error) {
	r := &relay{schema: s, plans: map[uint16]*relayPlan{}, room: make([]byte, 0, 1<<16), parts: make([]sbe.Part, 0, 16)}
	if s.ID != SchemaID {
		return nil, fmt.Errorf("mdp3: schema has id %d, want %d", s.ID, SchemaID)
	}
	for _, from := range s.Messages {
		to := counterpart(from)
		if to == nil {
			continue
		}
		p, err := planRelay(from, to)
		if err != nil {
			return nil, err
		}
		r.plans[from.ID] = p
	}
	if len(r.plans) == 0 {
		return nil, fmt.Errorf("mdp3: schema has none of the templates that are known")
	}
	return r, nil
}

// counterpart is the built-in template that a template is to be decoded as; nil: none.
func counterpart(from *sbe.Message) (to *sbe.Message) {
	if to = wire.Schema().Message(from.ID); to != nil {
		return to
	}
	for _, m := range wire.Schema().Messages { // by id: the last one is the newest
		if strings.TrimRight(m.Name, "0123456789") == strings.TrimRight(from.Name, "0123456789") {
			to = m
		}
	}
	return to
}

func planRelay(from, to *sbe.Message) (*relayPlan, error) {
	p := &relayPlan{from: from, to: to, same: from.ID == to.ID}
	moves, same, err := planBlock(from.Name, &from.Block, &to.Block)
	if err != nil {
		return nil, err
	}
	p.root, p.rootNull, p.same = moves, nulls(&to.Block), p.same && same
	for i := range to.Groups {
		g := &to.Groups[i]
		r := regroup{name: g.Name, null: nulls(&g.Block)}
		if old := from.Group(g.Name); old != nil {
			moves, same, err := planBlock(from.Name+"."+g.Name, &old.Block, &g.Block)
			if err != nil {
				return nil, err
			}
			r.moves = moves
			p.same = p.same && same && i < len(from.Groups) && from.Groups[i].Name == g.Name && old.Since <= g.Since && old.Dimension.Size == g.Dimension.Size && old.Dimension.CountAt == g.Dimension.CountAt
		} else {
			p.same = false
		}
		p.groups = append(p.groups, r)
	}
	return p, nil
}

// planBlock matches two blocks' fields. same: every field lies where the built-in schema has it.
func planBlock(name string, from, to *sbe.Block) (moves []move, same bool, err error) {
	same = true
	for i := range to.Fields {
		t := &to.Fields[i]
		if t.Type.Size == 0 {
			continue
		}
		f := from.Field(t.Name)
		if f == nil || f.Type.Size == 0 {
			if !t.Type.Nullable && t.Type.Kind != sbe.Text && t.Type.Kind != sbe.Composite && t.Since == 0 {
				return nil, false, fmt.Errorf("mdp3: schema: %s has no field %s any more, which rows need", name, t.Name)
			}
			same = false
			continue
		}
		if !alike(f.Type, t.Type) {
			return nil, false, fmt.Errorf("mdp3: schema: %s.%s is %s of %d bytes, which cannot be read as %s of %d bytes", name, t.Name, f.Type.Name, f.Type.Size, t.Type.Name, t.Type.Size)
		}
		if f.Offset != t.Offset || f.Since > t.Since {
			same = false
		}
		moves = append(moves, move{f, t.Offset})
	}
	return moves, same, nil
}

// alike says that a value of one type means the same in the other. Text may be shorter.
func alike(f, t *sbe.Type) bool {
	if f.Kind == sbe.Text && t.Kind == sbe.Text {
		return f.Size <= t.Size
	}
	same := f.Size == t.Size && f.Signed == t.Signed && f.Exponent == t.Exponent && (f.Kind == sbe.Decimal) == (t.Kind == sbe.Decimal)
	if f.Nullable {
		same = same && t.Nullable && f.Null == t.Null
	}
	return same && len(f.Members) == len(t.Members)
}

// nulls is a block of which every field that can be null is.
func nulls(b *sbe.Block) []byte {
	out := make([]byte, b.Length)
	for i := range b.Fields {
		f := &b.Fields[i]
		null(out[min(f.Offset, len(out)):], f.Type)
		for k := range f.Type.Members {
			m := &f.Type.Members[k]
			null(out[f.Offset+m.Offset:], m.Type)
		}
	}
	return out
}

func null(b []byte, t *sbe.Type) {
	if t.Nullable && t.Size <= 8 {
		var v [8]byte
		binary.LittleEndian.PutUint64(v[:], t.Null)
		copy(b[:t.Size], v[:])
	}
}

// relaid is local for a message of another schema. The memory is the decoder's, until the next one.
func (d *Decoder) relaid(m Message) Message {
	r := d.newer
	if r == nil {
		d.Counters.Newer++
		return m // fields are only ever added (sheet section 2.2), so the known ones are where they were
	}
	if m.Version() > r.schema.Version {
		d.Counters.Newer++
	}
	p := r.plans[m.Template()]
	if p == nil {
		d.Counters.Unknown++
		return nil
	}
	if p.same {
		return m
	}
	relaid, ok := r.lay(p, m)
	if !ok {
		d.Counters.Refused++
		return nil
	}
	d.Counters.Relaid++
	return relaid
}

// local is a message as the built-in schema has it; nil: it was counted as something else. Hot path.
func (d *Decoder) local(m Message) Message {
	if v := m.Version(); v > builtin || v == d.exact {
		return d.relaid(m)
	}
	return m
}

// lay writes a message anew. ok is false where its lengths lie, or it lacks a field that its own schema says it has.
func (r *relay) lay(p *relayPlan, m Message) (Message, bool) {
	parts, _, err := p.from.Split(r.parts[:0], m.Body(), m.BlockLength(), m.Version())
	if err != nil || parts[0].Length < p.from.Required(p.from.Since) {
		return nil, false
	}
	out := append(r.room[:0], m[:MessageBytes]...)
	binary.LittleEndian.PutUint16(out[2:], uint16(len(p.rootNull)))
	binary.LittleEndian.PutUint16(out[4:], p.to.ID)
	binary.LittleEndian.PutUint16(out[8:], builtin)
	out = layBlock(out, p.rootNull, p.root, parts[0].Data, m.Version())
	for i := range p.groups {
		g := &p.groups[i]
		var part *sbe.Part
		for k := range parts {
			if parts[k].Group != nil && parts[k].Group.Name == g.name {
				part = &parts[k]
			}
		}
		d := p.to.Groups[i].Dimension
		at := len(out)
		out = append(out, make([]byte, d.Size)...)
		binary.LittleEndian.PutUint16(out[at:], uint16(len(g.null)))
		if part == nil || part.Count == 0 {
			continue
		}
		if part.Count > 254 || part.Length < part.Block.Required(max(p.from.Since, part.Group.Since)) {
			return nil, false
		}
		out[at+d.CountAt] = uint8(part.Count)
		for k := range part.Count {
			out = layBlock(out, g.null, g.moves, part.Entry(k), m.Version())
		}
	}
	r.parts, r.room = parts, out
	if len(out) > 1<<16-1 {
		return nil, false
	}
	binary.LittleEndian.PutUint16(out, uint16(len(out)))
	return Message(out), true
}

func layBlock(out, null []byte, moves []move, from []byte, version uint16) []byte {
	at := len(out)
	out = append(out, null...)
	for i := range moves {
		f := moves[i].from
		if f.Since <= version && f.End() <= len(from) {
			copy(out[at+moves[i].at:], from[f.Offset:f.End()])
		}
	}
	return out
}
