package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Glue is what Link adds to a module that was made for another host, so that it becomes a plugin.
//
//	type section      + signatures of the glue
//	import section    - functions that the glue has Instead, + Imports
//	function section  + functions of the glue, the last ones
//	global section    + Globals: mutable i32, 0
//	export section    only Keep of the module's own, + functions of the glue that have Export
//	data count, data  + Data, a passive segment: the last one
//	code section      calls of functions whose number is another now; + bodies of the glue
//
// Custom sections are left out.
type Glue struct {
	Imports   []GlueFunction
	Instead   []GlueFunction // their Module and Name are those of the import that they take the place of; the signature must be its own
	Functions []GlueFunction
	Globals   []string
	Data      []byte
	Keep      []string
}

// GlueFunction is a function: an import has Module and Name, any other Name and Body.
type GlueFunction struct {
	Module, Name      string
	Signature, Locals string                // letters as "ii:l": i i32, l i64, d f64
	Export            bool                  // under Name
	Body              func(n *Names) []byte // without the locals and the last end
}

// Names says what number a thing has in the linked module. What is not there is an error of Link's.
type Names struct {
	functions map[string]uint32
	globals   map[string]uint32
	segment   uint32
	missing   []string
}

// Function by its name in the glue, or under which the module exports it.
func (n *Names) Function(name string) int { return n.find(n.functions, name) }

// Global by its name in the glue.
func (n *Names) Global(name string) int { return n.find(n.globals, name) }

// Segment of Glue.Data, for memory.init.
func (n *Names) Segment() int { return int(n.segment) }

func (n *Names) find(in map[string]uint32, name string) int {
	at, ok := in[name]
	if !ok {
		n.missing = append(n.missing, name)
	}
	return int(at)
}

// Link puts a module and glue together.
func Link(module []byte, g *Glue) ([]byte, error) {
	l := link{glue: g}
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		if s.ID != customID && int(s.ID) < len(l.sections) {
			l.sections[s.ID] = &s
		}
	}
	for _, step := range []func() error{l.types, l.imports, l.functions, l.globals, l.exports, l.starts, l.elements, l.datas, l.code} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if len(l.names.missing) > 0 {
		return nil, fmt.Errorf("the glue names what the module does not have: %q", l.names.missing)
	}
	out := append([]byte(nil), header[:]...)
	for _, id := range []byte{typeID, importID, functionID, tableID, memoryID, globalID, exportID, startID, elementID, dataCountID, codeID, dataID} {
		body := l.out[id]
		if s := l.sections[id]; body == nil && s != nil {
			body = s.Body
		}
		if body != nil {
			out = binary.AppendUvarint(append(out, id), uint64(len(body)))
			out = append(out, body...)
		}
	}
	return out, nil
}

type link struct {
	glue     *Glue
	sections [dataCountID + 1]*Section
	out      [dataCountID + 1][]byte // rewritten sections; nil: as it was
	names    Names

	typeOf  map[string]uint32 // of the glue's signatures
	typeIDs []string          // signatures of the module's types, "": none that glue could have
	kept    []uint32          // by the number that an imported function had: the one it has now; notKept: another one takes its place
	shift   int64             // of defined functions
	defined uint32
	gone    []int // by number of an import that goes: index in Instead
}

const notKept = ^uint32(0)

func (l *link) body(id byte) *reader {
	if l.sections[id] == nil {
		return &reader{b: []byte{0}}
	}
	return bodyOf(l.sections[id])
}

// all are the functions of the glue in the order of their numbers: those that take an import's place, then the others.
func (l *link) all() []GlueFunction { return slices.Concat(l.glue.Instead, l.glue.Functions) }

var letters = map[byte]byte{'i': 0x7f, 'l': 0x7e, 'f': 0x7d, 'd': 0x7c}

func (l *link) types() error {
	r := l.body(typeID)
	n, err := r.count()
	if err != nil {
		return err
	}
	from := r.at
	l.typeOf = map[string]uint32{}
	for k := range n {
		signature := ""
		form, err := r.byte()
		if err == nil && form != funcType {
			err = r.fail("a type that is no function's")
		}
		for part := range 2 {
			var count uint32
			if err == nil {
				count, err = r.count()
			}
			for range count {
				var b byte
				if b, err = r.byte(); err != nil {
					return err
				}
				letter := byte('?')
				for l, v := range letters {
					if v == b {
						letter = l
					}
				}
				signature += string(letter)
			}
			if part == 0 {
				signature += ":"
			}
		}
		if err != nil {
			return err
		}
		l.typeIDs = append(l.typeIDs, signature)
		if _, has := l.typeOf[signature]; !has {
			l.typeOf[signature] = k
		}
	}
	types := slices.Clone(r.b[from:])
	for _, f := range slices.Concat(l.glue.Imports, l.all()) {
		if _, has := l.typeOf[f.Signature]; has {
			continue
		}
		l.typeOf[f.Signature] = uint32(len(l.typeIDs))
		l.typeIDs = append(l.typeIDs, f.Signature)
		types = append(types, funcType)
		part := []byte{}
		for k := range len(f.Signature) + 1 {
			if k == len(f.Signature) || f.Signature[k] == ':' {
				types = append(binary.AppendUvarint(types, uint64(len(part))), part...)
				part = part[:0]
			} else {
				part = append(part, letters[f.Signature[k]])
			}
		}
	}
	l.out[typeID] = append(binary.AppendUvarint(nil, uint64(len(l.typeIDs))), types...)
	return nil
}

// imports decides which numbers imported functions have.
func (l *link) imports() error {
	r := l.body(importID)
	all, err := readImports(r)
	if err != nil {
		return err
	}
	var out []byte
	count, functions := uint64(0), uint32(0)
	found := map[int]bool{}
	for k, i := range all {
		end := len(r.b)
		if k+1 < len(all) {
			end = all[k+1].At - r.base
		}
		entry := r.b[i.At-r.base : end]
		if i.Kind == KindFunction {
			at := slices.IndexFunc(l.glue.Instead, func(f GlueFunction) bool { return f.Module == i.Module && f.Name == i.Name })
			if at >= 0 {
				own := &reader{b: entry, at: len(entry) - lebBytes(entry)}
				typ, err := own.u32()
				if err != nil {
					return err
				}
				if want := l.glue.Instead[at].Signature; int(typ) >= len(l.typeIDs) || l.typeIDs[typ] != want {
					return fmt.Errorf("offset %d: %s.%s is not %s", i.At, i.Module, i.Name, want)
				}
				l.kept, l.gone, found[at] = append(l.kept, notKept), append(l.gone, at), true
				continue
			}
			l.kept, l.gone = append(l.kept, functions), append(l.gone, -1)
			functions++
		}
		out, count = append(out, entry...), count+1
	}
	if len(found) < len(l.glue.Instead) {
		return errors.New("the glue has functions for imports that the module does not have")
	}
	l.names.functions = map[string]uint32{}
	for _, i := range l.glue.Imports {
		for _, text := range []string{i.Module, i.Name} {
			out = append(binary.AppendUvarint(out, uint64(len(text))), text...)
		}
		out = binary.AppendUvarint(append(out, KindFunction), uint64(l.typeOf[i.Signature]))
		l.names.functions[i.Name] = functions
		functions, count = functions+1, count+1
	}
	l.shift = int64(functions) - int64(len(l.kept))
	l.out[importID] = append(binary.AppendUvarint(nil, count), out...)
	return nil
}

// lebBytes is how long the LEB128 at the end of b is, where the byte before it is one that ends another or a kind.
func lebBytes(b []byte) int {
	n := 1
	for n < len(b) && b[len(b)-1-n] >= 0x80 {
		n++
	}
	return n
}

func (l *link) functions() error {
	r := l.body(functionID)
	n, err := r.count()
	if err != nil {
		return err
	}
	l.defined = n
	all := l.all()
	out := append(binary.AppendUvarint(nil, uint64(n)+uint64(len(all))), r.b[r.at:]...)
	for k, f := range all {
		out = binary.AppendUvarint(out, uint64(l.typeOf[f.Signature]))
		l.names.functions[f.Name] = l.glueAt(k)
	}
	l.out[functionID] = out
	return nil
}

// glueAt is the number of a function of all.
func (l *link) glueAt(k int) uint32 {
	return uint32(int64(len(l.kept))+l.shift) + l.defined + uint32(k)
}

// now is the number that a function has which had another one.
func (l *link) now(r *reader, was uint32) (uint32, error) {
	switch {
	case int(was) >= len(l.kept)+int(l.defined):
		return 0, r.fail(fmt.Sprintf("function %d, but it has %d", was, len(l.kept)+int(l.defined)))
	case int(was) >= len(l.kept):
		return uint32(int64(was) + l.shift), nil
	case l.kept[was] == notKept:
		return l.glueAt(l.gone[was]), nil
	}
	return l.kept[was], nil
}

// globals adds those of the glue. Initial values that name functions are not known.
func (l *link) globals() error {
	imports, err := readImports(l.body(importID))
	if err != nil {
		return err
	}
	have := uint32(0)
	for _, i := range imports {
		if i.Kind == KindGlobal {
			have++
		}
	}
	r := l.body(globalID)
	n, err := r.count()
	if err != nil {
		return err
	}
	from := r.at
	for range n {
		err := r.valueType()
		if err == nil {
			_, err = r.byte()
		}
		if err == nil {
			err = r.numberless()
		}
		if err != nil {
			return err
		}
	}
	have += n
	out := append(binary.AppendUvarint(nil, uint64(n)+uint64(len(l.glue.Globals))), r.b[from:]...)
	l.names.globals = map[string]uint32{}
	for k, name := range l.glue.Globals {
		l.names.globals[name] = have + uint32(k)
		out = append(out, valueI32, 1, 0x41, 0, constEnd)
	}
	l.out[globalID] = out
	return nil
}

// numberless steps over an initial value that has no function's number in it.
func (r *reader) numberless() error {
	for {
		op, err := r.instruction()
		switch {
		case err != nil || op == opEnd:
			return err
		case op == opRefFunc:
			return r.fail("an initial value that names a function")
		}
	}
}

func (l *link) exports() error {
	r := l.body(exportID)
	all, err := readExports(r)
	if err != nil {
		return err
	}
	var out []byte
	count := uint64(0)
	add := func(name string, kind byte, index uint32) {
		out = append(binary.AppendUvarint(out, uint64(len(name))), name...)
		out = binary.AppendUvarint(append(out, kind), uint64(index))
		count++
	}
	for _, e := range all {
		if e.Kind == KindFunction {
			if e.Index, err = l.now(r, e.Index); err != nil {
				return err
			}
			if _, has := l.names.functions[e.Name]; !has { // the glue's own come first
				l.names.functions[e.Name] = e.Index
			}
		}
		if slices.Contains(l.glue.Keep, e.Name) {
			add(e.Name, e.Kind, e.Index)
		}
	}
	for k, f := range l.all() {
		if f.Export {
			add(f.Name, KindFunction, l.glueAt(k))
		}
	}
	l.out[exportID] = append(binary.AppendUvarint(nil, count), out...)
	return nil
}

func (l *link) starts() error {
	if l.sections[startID] == nil {
		return nil
	}
	r := l.body(startID)
	was, err := r.u32()
	if err != nil {
		return err
	}
	now, err := l.now(r, was)
	l.out[startID] = binary.AppendUvarint(nil, uint64(now))
	return err
}

// elements rewrites segments of functions by number that are active in table 0, which compilers make; others are not known.
func (l *link) elements() error {
	if l.sections[elementID] == nil {
		return nil
	}
	r := l.body(elementID)
	n, err := r.count()
	if err != nil {
		return err
	}
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		flags, err := r.u32()
		if err == nil && flags != 0 {
			err = r.fail("elements of a sort that is not known here")
		}
		if err != nil {
			return err
		}
		from := r.at
		if err := r.numberless(); err != nil {
			return err
		}
		out = append(append(out, 0), r.b[from:r.at]...)
		count, err := r.count()
		if err != nil {
			return err
		}
		out = binary.AppendUvarint(out, uint64(count))
		for range count {
			was, err := r.u32()
			if err != nil {
				return err
			}
			now, err := l.now(r, was)
			if err != nil {
				return err
			}
			out = binary.AppendUvarint(out, uint64(now))
		}
	}
	l.out[elementID] = out
	return r.end()
}

func (l *link) datas() error {
	r := l.body(dataID)
	n, err := r.count()
	if err != nil {
		return err
	}
	l.names.segment = n
	out := append(binary.AppendUvarint(nil, uint64(n)+1), r.b[r.at:]...)
	out = binary.AppendUvarint(append(out, 1), uint64(len(l.glue.Data))) // 1: passive
	l.out[dataID] = append(out, l.glue.Data...)
	l.out[dataCountID] = binary.AppendUvarint(nil, uint64(n)+1)
	return nil
}

func (l *link) code() error {
	r := l.body(codeID)
	n, err := r.count()
	switch {
	case err != nil:
		return err
	case n != l.defined:
		return r.fail(fmt.Sprintf("%d bodies for %d functions", n, l.defined))
	}
	all := l.all()
	out := binary.AppendUvarint(make([]byte, 0, len(r.b)+len(r.b)/8), uint64(n)+uint64(len(all)))
	for range n {
		size, err := r.count()
		if err != nil {
			return err
		}
		b, err := r.bytes(size)
		if err != nil {
			return err
		}
		body, err := l.moved(&reader{b: b, base: r.base + r.at - len(b)})
		if err != nil {
			return err
		}
		out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	}
	for _, f := range all {
		body := binary.AppendUvarint(nil, uint64(len(f.Locals)))
		for k := range len(f.Locals) {
			body = append(body, 1, letters[f.Locals[k]])
		}
		body = append(append(body, f.Body(&l.names)...), opEnd)
		out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	}
	l.out[codeID] = out
	return r.end()
}

// moved is a function's body with the numbers that functions have now.
func (l *link) moved(r *reader) ([]byte, error) {
	groups, err := r.count()
	if err != nil {
		return nil, err
	}
	for range groups {
		_, err := r.u32()
		if err == nil {
			err = r.valueType()
		}
		if err != nil {
			return nil, err
		}
	}
	out := append(make([]byte, 0, len(r.b)+16), r.b[:r.at]...)
	for r.at < len(r.b) {
		from := r.at
		op, err := r.instruction()
		if err != nil {
			return nil, err
		}
		if op != opCall && op != opRefFunc {
			out = append(out, r.b[from:r.at]...)
			continue
		}
		now, err := l.now(r, r.number)
		if err != nil {
			return nil, err
		}
		out = binary.AppendUvarint(append(out, byte(op)), uint64(now))
	}
	return out, nil
}
