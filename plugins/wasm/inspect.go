package wasm

import "fmt"

// Kinds of import and export.
const (
	KindFunction = 0
	KindTable    = 1
	KindMemory   = 2
	KindGlobal   = 3
)

// Import of a module.
type Import struct {
	Module, Name string
	Kind         byte // Kind…
	At           int  // offset in the module
}

// Export of a module.
type Export struct {
	Name  string
	Kind  byte // Kind…
	Index uint32
	At    int // offset in the module
}

// KindName of an import or export.
func KindName(kind byte) string {
	if int(kind) < len(kindNames) {
		return kindNames[kind]
	}
	return fmt.Sprintf("kind %d", kind)
}

var kindNames = [...]string{"function", "table", "memory", "global"}

// Imports of a module.
func Imports(module []byte) ([]Import, error) { return inSection(module, importID, readImports) }

// Exports of a module.
func Exports(module []byte) ([]Export, error) { return inSection(module, exportID, readExports) }

func inSection[T any](module []byte, id byte, read func(*reader) ([]T, error)) ([]T, error) {
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		if s.ID == id {
			return read(bodyOf(&s))
		}
	}
	return nil, nil
}

func readImports(r *reader) ([]Import, error) {
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	var all []Import
	for range n {
		i := Import{At: r.base + r.at}
		if i.Module, err = r.name(); err != nil {
			return nil, err
		}
		if i.Name, err = r.name(); err != nil {
			return nil, err
		}
		if i.Kind, err = r.byte(); err != nil {
			return nil, err
		}
		switch i.Kind {
		case KindFunction:
			_, err = r.u32()
		case KindTable:
			if err = r.valueType(); err == nil {
				err = r.limits()
			}
		case KindMemory:
			err = r.limits()
		case KindGlobal:
			if err = r.valueType(); err == nil {
				_, err = r.byte()
			}
		default:
			err = r.fail(fmt.Sprintf("an import of kind %d", i.Kind))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, r.end()
}

func readExports(r *reader) ([]Export, error) {
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	var all []Export
	for range n {
		e := Export{At: r.base + r.at}
		if e.Name, err = r.name(); err != nil {
			return nil, err
		}
		if e.Kind, err = r.byte(); err != nil {
			return nil, err
		}
		if e.Index, err = r.u32(); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, r.end()
}

// limits steps over a minimum and perhaps a maximum.
func (r *reader) limits() error {
	flags, err := r.byte()
	switch {
	case err != nil:
		return err
	case flags > 1:
		return r.fail("limits of a sort that is not known")
	}
	for range 1 + flags {
		if _, err = r.u32(); err != nil {
			return err
		}
	}
	return nil
}
