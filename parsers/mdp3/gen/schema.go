package main

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// names gives every type of the schema its variable. Types of older schemas that differ from the newest one's of the same name get a number.
type names struct {
	of    map[*sbe.Type]string
	taken map[string]*sbe.Type
	order []*sbe.Type
}

func (n *names) name(t *sbe.Type) string {
	if name, ok := n.of[t]; ok {
		return name
	}
	for k := 1; ; k++ {
		name := "type" + t.Name
		if k > 1 {
			name = fmt.Sprintf("type%s_%d", t.Name, k)
		}
		switch same := n.taken[name]; {
		case same == nil:
			for i := range t.Members {
				n.name(t.Members[i].Type)
			}
			n.taken[name], n.of[t] = t, name
			n.order = append(n.order, t)
			return name
		case reflect.DeepEqual(same, t):
			n.of[t] = name
			return name
		}
	}
}

// schemaFile is the schema as Go values.
func schemaFile(s *sbe.Schema) []byte {
	n := &names{of: map[*sbe.Type]string{}, taken: map[string]*sbe.Type{}}
	dimensions := map[string]*sbe.Dimension{}
	var messages, order []string
	for _, m := range s.Messages {
		var b bytes.Buffer
		fmt.Fprintf(&b, "{ID: %d, Name: %q, Since: %d, Block: %s", m.ID, m.Name, m.Since, n.block(&m.Block))
		if len(m.Groups) > 0 {
			fmt.Fprintf(&b, ", Groups: []sbe.Group{\n")
			for i := range m.Groups {
				g := &m.Groups[i]
				if dimensions[g.Dimension.Name] == nil {
					dimensions[g.Dimension.Name] = g.Dimension
					order = append(order, g.Dimension.Name)
				}
				fmt.Fprintf(&b, "{Name: %q, Tag: %d, Since: %d, Dimension: %s, Block: %s},\n", g.Name, g.Tag, g.Since, g.Dimension.Name, n.block(&g.Block))
			}
			b.WriteString("}")
		}
		b.WriteString("},\n")
		messages = append(messages, b.String())
	}
	var out bytes.Buffer
	out.WriteString(header + "import \"github.com/tickwire/tickwire/parsers/mdp3/sbe\"\n\n")
	for _, name := range order {
		d := dimensions[name]
		fmt.Fprintf(&out, "var %s = &sbe.Dimension{Name: %q, Size: %d, CountAt: %d, CountOf: %d}\n\n", name, name, d.Size, d.CountAt, d.CountOf)
	}
	out.WriteString("var (\n")
	for _, t := range n.order {
		fmt.Fprintf(&out, "%s = &sbe.Type{%s}\n", n.of[t], n.typ(t))
	}
	fmt.Fprintf(&out, ")\n\nvar schema = &sbe.Schema{ID: %d, Version: %d, Messages: []*sbe.Message{\n", s.ID, s.Version)
	for _, m := range messages {
		out.WriteString(m)
	}
	out.WriteString("}}\n")
	return out.Bytes()
}

var kinds = map[sbe.Kind]string{sbe.Number: "Number", sbe.Text: "Text", sbe.Enum: "Enum", sbe.Set: "Set", sbe.Decimal: "Decimal", sbe.Composite: "Composite"}

func (n *names) typ(t *sbe.Type) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Name: %q, Kind: sbe.%s, Size: %d", t.Name, kinds[t.Kind], t.Size)
	for _, f := range []struct {
		name string
		set  bool
	}{{"Signed", t.Signed}, {"Char", t.Char}, {"Nullable", t.Nullable}} {
		if f.set {
			fmt.Fprintf(&b, ", %s: true", f.name)
		}
	}
	if t.Nullable {
		fmt.Fprintf(&b, ", Null: %#x", t.Null)
	}
	if t.Kind == sbe.Decimal {
		fmt.Fprintf(&b, ", Exponent: %d", t.Exponent)
	}
	if t.Constant != "" {
		fmt.Fprintf(&b, ", Constant: %q", t.Constant)
	}
	if len(t.Values) > 0 {
		b.WriteString(", Values: []sbe.Value{\n")
		for _, v := range t.Values {
			fmt.Fprintf(&b, "{Name: %q, Value: %d},\n", v.Name, v.Value)
		}
		b.WriteString("}")
	}
	if len(t.Members) > 0 {
		fmt.Fprintf(&b, ", Members: %s", n.fields(t.Members))
	}
	return b.String()
}

func (n *names) block(b *sbe.Block) string {
	return fmt.Sprintf("sbe.Block{Length: %d, Fields: %s}", b.Length, n.fields(b.Fields))
}

func (n *names) fields(fields []sbe.Field) string {
	if len(fields) == 0 {
		return "nil"
	}
	var b bytes.Buffer
	b.WriteString("[]sbe.Field{\n")
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(&b, "{Name: %q, Tag: %d, Offset: %d, Since: %d, Type: %s},\n", f.Name, f.Tag, f.Offset, f.Since, n.name(f.Type))
	}
	b.WriteString("}")
	return b.String()
}
