package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// viewsFile is the typed views: for each block an array that has its required fields, and a method for each field in it. A field
// that may be missing (newer than the template, or optional and behind the required ones) is a function of the whole block.
func viewsFile(s *sbe.Schema) []byte {
	var out bytes.Buffer
	out.WriteString(header + "import \"encoding/binary\"\n\n")
	bodies := map[string]string{} // what a view has, without its name → the view that was first to have it
	newest := func(m *sbe.Message) bool { return m.ID >= 45 || m.ID < 27 || m.ID == 30 || m.ID == 37 || m.ID == 39 }
	for _, old := range []bool{false, true} {
		for _, m := range s.Messages {
			if newest(m) == old {
				continue
			}
			view(&out, bodies, m.Name, fmt.Sprintf("the root block of template %d", m.ID), &m.Block, m.Since)
			for i := range m.Groups {
				g := &m.Groups[i]
				name := m.Name + strings.TrimPrefix(g.Name, "No")
				view(&out, bodies, name, fmt.Sprintf("an entry of %s in template %d", g.Name, m.ID), &g.Block, max(m.Since, g.Since))
			}
		}
	}
	return out.Bytes()
}

func view(out *bytes.Buffer, bodies map[string]string, name, what string, b *sbe.Block, base uint16) {
	size := b.Required(base)
	var body bytes.Buffer
	for i := range b.Fields {
		f := &b.Fields[i]
		switch {
		case f.Type.Size == 0:
		case f.Since <= base && f.End() <= size:
			method(&body, f)
		case f.Type.Kind != sbe.Composite:
			function(&body, f, base)
		}
	}
	// A view like another template's is not written twice; comments do not count, so the scale of prices may differ.
	key := fmt.Sprint(size, comments.ReplaceAllString(body.String(), ""))
	if like, ok := bodies[key]; ok && body.Len() > 0 {
		fmt.Fprintf(out, "// %s is %s, laid out as %s%s.\ntype %s = %s\n\n", name, what, like, scale(b), name, like)
		return
	}
	bodies[key] = name
	fmt.Fprintf(out, "// %s is %s. Of its %d bytes these are always there.\ntype %s [%d]byte\n\n", name, what, b.Length, name, size)
	out.WriteString(strings.ReplaceAll(body.String(), "NAME", name))
}

var comments = regexp.MustCompile(`(?m)^//.*\n`)

// scale says the scale of prices where it is not what the newest templates have.
func scale(b *sbe.Block) string {
	for i := range b.Fields {
		if t := b.Fields[i].Type; t.Kind == sbe.Decimal && t.Size == 8 && t.Exponent != -9 {
			return fmt.Sprintf(", with prices in 1e%d", t.Exponent)
		}
	}
	return ""
}

// goType is the Go type of a value and the expression that reads it at an offset of v.
func goType(t *sbe.Type, at int) (typ, read string) {
	switch {
	case t.Kind == sbe.Text:
		return "[]byte", fmt.Sprintf("v[%d:%d]", at, at+t.Size)
	case t.Size == 1:
		typ, read = "uint8", fmt.Sprintf("v[%d]", at)
	default:
		typ = fmt.Sprintf("uint%d", t.Size*8)
		read = fmt.Sprintf("binary.LittleEndian.Uint%d(v[%d:])", t.Size*8, at)
	}
	if t.Signed {
		typ = typ[1:]
		read = typ + "(" + read + ")"
	}
	return typ, read
}

func method(out *bytes.Buffer, f *sbe.Field) {
	if f.Type.Kind == sbe.Composite {
		for i := range f.Type.Members {
			m := f.Type.Members[i]
			m.Name, m.Offset = f.Name+strings.ToUpper(m.Name[:1])+m.Name[1:], f.Offset+m.Offset
			method(out, &m)
		}
		return
	}
	typ, read := goType(f.Type, f.Offset)
	note(out, f)
	fmt.Fprintf(out, "func (v *NAME) %s() %s { return %s }\n\n", f.Name, typ, read)
}

func function(out *bytes.Buffer, f *sbe.Field, base uint16) {
	typ, read := goType(f.Type, f.Offset)
	note(out, f)
	none := "0"
	if f.Type.Kind == sbe.Text {
		none = "nil"
	}
	parameter, test := "", ""
	if f.Since > base {
		parameter, test = ", version uint16", fmt.Sprintf("version < %d || ", f.Since)
	}
	fmt.Fprintf(out, "func NAME%s(v []byte%s) (value %s, ok bool) {\nif %slen(v) < %d {\nreturn %s, false\n}\n", f.Name, parameter, typ, test, f.End(), none)
	if f.Type.Nullable {
		fmt.Fprintf(out, "value = %s\nreturn value, value != %s\n}\n\n", read, null(f.Type))
		return
	}
	fmt.Fprintf(out, "return %s, true\n}\n\n", read)
}

func null(t *sbe.Type) string {
	if t.Signed {
		return fmt.Sprint(int64(t.Null))
	}
	return fmt.Sprintf("%#x", t.Null)
}

// note says what the name does not: tag, scale and null.
func note(out *bytes.Buffer, f *sbe.Field) {
	fmt.Fprintf(out, "// %s: ", f.Name)
	if f.Tag != 0 {
		fmt.Fprintf(out, "tag %d", f.Tag)
	} else {
		out.WriteString("a part of its field")
	}
	if f.Type.Kind == sbe.Decimal {
		fmt.Fprintf(out, ", 1e%d", f.Type.Exponent)
	}
	if f.Type.Nullable {
		fmt.Fprintf(out, ", null %s", null(f.Type))
	}
	if f.Since > 0 {
		fmt.Fprintf(out, ", since version %d", f.Since)
	}
	out.WriteString(".\n")
}
