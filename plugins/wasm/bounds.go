package wasm

import "fmt"

// The engine makes room for as many things as a section says it has before it reads the first one: 15 bytes can ask for gigabytes. So counts are checked
// against the bytes that are there, wherever the engine would believe them: FuzzInstrument found the first of these.
const (
	MostItems  = 100_000 // of a section, or of a vector in one
	mostTables = 8
)

// bounds walks over the sections that instrumentation does not read itself.
func (in *instrument) bounds() error {
	for _, walk := range []struct {
		id   byte
		item func(*reader) error
	}{
		{typeID, (*reader).functionType},
		{functionID, func(r *reader) error { _, err := r.u32(); return err }},
		{globalID, (*reader).global},
		{elementID, (*reader).elements},
		{dataID, (*reader).data},
	} {
		if s := in.sections[walk.id]; s != nil {
			if err := bodyOf(s).all(walk.item); err != nil {
				return err
			}
		}
	}
	return nil
}

// all walks over a vector that is the whole of what is read.
func (r *reader) all(item func(*reader) error) error {
	if err := r.vector(item); err != nil {
		return err
	}
	return r.end()
}

func (r *reader) vector(item func(*reader) error) error {
	n, err := r.count()
	for ; n > 0 && err == nil; n-- {
		err = item(r)
	}
	return err
}

// count reads how many items follow. Each has at least a byte.
func (r *reader) count() (uint32, error) {
	at := r.at
	n, err := r.u32()
	switch {
	case err != nil:
		return 0, err
	case uint64(n) > uint64(len(r.b)-r.at):
		return 0, r.failAt(at, fmt.Sprintf("%d items in %d bytes", n, len(r.b)-r.at))
	case n > MostItems:
		return 0, r.failAt(at, fmt.Sprintf("%d items, but at most %d", n, MostItems))
	}
	return n, nil
}

func (r *reader) functionType() error {
	b, err := r.byte()
	switch {
	case err != nil:
		return err
	case b != funcType:
		return r.failAt(r.at-1, "a type that is not a function's")
	}
	if err = r.vector((*reader).valueType); err == nil {
		err = r.vector((*reader).valueType)
	}
	return err
}

func (r *reader) global() error {
	err := r.valueType()
	if err == nil {
		_, err = r.byte()
	}
	if err == nil {
		err = r.constant()
	}
	return err
}

// constant steps over a constant expression.
func (r *reader) constant() error {
	for {
		at := r.at
		op, err := r.instruction()
		switch {
		case err != nil:
			return err
		case op == opEnd:
			return nil
		case op >= 0x41 && op <= 0x44, op == 0x23, op == 0xd0, op == 0xd2: // constants, global.get, ref.null, ref.func
		case op == 0xfd && r.b[at+1] == 12: // v128.const
		default:
			return r.failAt(at, fmt.Sprintf("instruction 0x%02x in a constant", op))
		}
	}
}

// elements steps over an element segment. The bits of its first number say: 1 passive or declarative, 2 a table's index (or declarative), 4 expressions.
func (r *reader) elements() error {
	at := r.at
	flags, err := r.u32()
	if err == nil && flags > 7 {
		err = r.failAt(at, "elements of a sort that is not known")
	}
	if err == nil && flags&3 == 2 {
		_, err = r.u32()
	}
	if err == nil && flags&1 == 0 {
		err = r.constant()
	}
	if err == nil && flags&3 != 0 {
		if flags&4 != 0 {
			err = r.valueType()
		} else {
			_, err = r.byte()
		}
	}
	switch {
	case err != nil:
		return err
	case flags&4 != 0:
		return r.vector((*reader).constant)
	}
	return r.vector(func(r *reader) error { _, err := r.u32(); return err })
}

// data steps over a data segment: 0 active, 1 passive, 2 active in a memory of a number.
func (r *reader) data() error {
	at := r.at
	flags, err := r.u32()
	if err == nil && flags > 2 {
		err = r.failAt(at, "data of a sort that is not known")
	}
	if err == nil && flags == 2 {
		_, err = r.u32()
	}
	if err == nil && flags != 1 {
		err = r.constant()
	}
	if err == nil {
		_, err = r.name() // bytes have the form of a name
	}
	return err
}

// names walks over the section "name": subsections 0 the module's, 1 functions', 2 locals' by function. What is in a subsection must fill it: the engine
// does not look.
func (r *reader) names() error {
	assoc := func(r *reader) error {
		_, err := r.u32()
		if err == nil {
			_, err = r.name()
		}
		return err
	}
	for r.at < len(r.b) {
		id, err := r.byte()
		if err != nil {
			return err
		}
		size, err := r.u32()
		if err != nil {
			return err
		}
		b, err := r.bytes(size)
		if err != nil {
			return err
		}
		in := &reader{b: b, base: r.base + r.at - len(b)}
		switch id {
		case 0:
			if _, err = in.name(); err == nil {
				err = in.end()
			}
		case 1:
			err = in.all(assoc)
		case 2:
			err = in.all(func(r *reader) error {
				_, err := r.u32()
				if err == nil {
					err = r.vector(assoc)
				}
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
