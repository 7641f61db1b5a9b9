// Package wasm reads and rewrites WebAssembly modules as bytes: custom sections, and the fuel that bounds how long a call may take.
package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
)

// A module is a header and sections, each with its size:
//
//	0         4          8     9       ?
//	+---------+----------+-----+-------+---------+ ...
//	| 00 asm  | 1 (u32)  | id  | LEB n | n bytes |
//	+---------+----------+-----+-------+---------+ ...
//
// A custom section has id 0, and its bytes begin with a name (LEB length, bytes).
const (
	headerBytes = 8
	customID    = 0
)

var header = [headerBytes]byte{0, 'a', 's', 'm', 1}

// Errors of modules that are none.
var (
	ErrMagic     = errors.New("not a WebAssembly module: it does not begin with 00 61 73 6d")
	ErrComponent = errors.New("a WebAssembly component, or a version that is not 1: build a core module")
)

// Section is one section of a module. Its bytes are the module's.
type Section struct {
	ID   byte
	Name string // of a custom section
	Body []byte // behind the name, if it is a custom one
	At   int    // offset of the id in the module
	End  int    // behind the section
}

// Sections gives a module's sections in order; the last one comes with an error if the module is broken from there on. Sections are not looked into.
func Sections(module []byte) iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		switch {
		case len(module) < headerBytes || !bytes.Equal(module[:4], header[:4]):
			yield(Section{}, ErrMagic)
			return
		case !bytes.Equal(module[:headerBytes], header[:]):
			yield(Section{}, ErrComponent)
			return
		}
		for at := headerBytes; at < len(module); {
			s := Section{ID: module[at], At: at}
			size, n := uvarint32(module[at+1:])
			if n == 0 || uint64(size) > uint64(len(module)-at-1-n) {
				s.End = len(module)
				yield(s, fmt.Errorf("offset %d: section %d is longer than the module", at, s.ID))
				return
			}
			s.End = at + 1 + n + int(size)
			s.Body = module[at+1+n : s.End]
			if s.ID == customID {
				length, m := uvarint32(s.Body)
				if m == 0 || uint64(length) > uint64(len(s.Body)-m) {
					yield(s, fmt.Errorf("offset %d: the custom section's name is longer than the section", at))
					return
				}
				s.Name, s.Body = string(s.Body[m:m+int(length)]), s.Body[m+int(length):]
			}
			if !yield(s, nil) {
				return
			}
			at = s.End
		}
	}
}

// Custom gives the custom section of a name. Two of them are an error, none is nil.
func Custom(module []byte, name string) (body []byte, err error) {
	for s, err := range Sections(module) {
		switch {
		case err != nil:
			return nil, err
		case s.ID != customID || s.Name != name:
		case body != nil:
			return nil, fmt.Errorf("offset %d: a second section %q", s.At, name)
		default:
			body = s.Body[:len(s.Body):len(s.Body)]
			if body == nil {
				body = []byte{}
			}
		}
	}
	return body, nil
}

// AppendCustom appends a custom section to a module. As append does, it may write behind the module's end if there is room.
func AppendCustom(module []byte, name string, body []byte) []byte {
	inner := binary.AppendUvarint(nil, uint64(len(name)))
	inner = append(inner, name...)
	module = append(module, customID)
	module = binary.AppendUvarint(module, uint64(len(inner)+len(body)))
	return append(append(module, inner...), body...)
}

// WithoutCustom is the module without its custom sections of a name.
func WithoutCustom(module []byte, name string) ([]byte, error) {
	out := make([]byte, 0, len(module))
	out = append(out, header[:]...)
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		if s.ID != customID || s.Name != name {
			out = append(out, module[s.At:s.End]...)
		}
	}
	return out, nil
}

// Bare is the module without custom sections.
func Bare(module []byte) ([]byte, error) {
	out := append(make([]byte, 0, len(module)), header[:]...)
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		if s.ID != customID {
			out = append(out, module[s.At:s.End]...)
		}
	}
	return out, nil
}

// uvarint32 reads an unsigned LEB128 of at most 32 bits and the bytes it takes, 0: there is none.
func uvarint32(b []byte) (uint32, int) {
	v, n := binary.Uvarint(b[:min(len(b), 5)])
	if n <= 0 || v > math.MaxUint32 {
		return 0, 0
	}
	return uint32(v), n
}
