// Package wasmtest puts modules together by hand, so that tests need no compiler.
//
//	m := wasmtest.NewModule()
//	m.Memory(1, 1)
//	m.Func("twice", "i:i", "", LocalGet(0), LocalGet(0), I32Add)
//	bytes := m.Bytes()
package wasmtest

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Module under construction. Its zero value has no memory.
type Module struct {
	types, imports, funcs, tables, memory, globals, exports, elems, codes, datas [][]byte
	start                                                                        int
	customs                                                                      []custom
	importedFuncs                                                                int
}

type custom struct {
	name string
	body []byte
}

// NewModule is an empty module.
func NewModule() *Module { return &Module{start: -1} }

// Code is instructions.
type Code []byte

// Import imports a function and gives its index. All imports come before the first Func. For signature see Func.
func (m *Module) Import(module, name, signature string) int {
	m.imports = append(m.imports, cat(text(module), text(name), []byte{0}, u(m.typ(signature))))
	m.importedFuncs++
	return m.importedFuncs - 1
}

// ImportRaw imports something else: kind and what describes it.
func (m *Module) ImportRaw(module, name string, kind ...byte) {
	m.imports = append(m.imports, cat(text(module), text(name), kind))
}

// Func adds a function, exported under its name unless that is "", and gives its index. The signature has a letter for each parameter, a colon, one for each result:
// i (i32), l (i64), f (f32), d (f64), v (v128), r (funcref). Locals are letters too. The final end is added.
func (m *Module) Func(name, signature, locals string, code ...Code) int {
	var ls [][]byte
	for _, l := range locals {
		ls = append(ls, []byte{1, valueType(l)})
	}
	return m.FuncRaw(name, signature, cat(vec(ls), cat(code...), []byte{0x0b}))
}

// FuncRaw adds a function with a body as it is: locals, code and end.
func (m *Module) FuncRaw(name, signature string, body []byte) int {
	m.funcs = append(m.funcs, u(m.typ(signature)))
	m.codes = append(m.codes, cat(u(len(body)), body))
	idx := m.importedFuncs + len(m.funcs) - 1
	if name != "" {
		m.Export(name, 0, idx)
	}
	return idx
}

// Export exports something by kind and index.
func (m *Module) Export(name string, kind byte, idx int) {
	m.exports = append(m.exports, cat(text(name), []byte{kind}, u(idx)))
}

// Memory of so many pages, most < 0: no maximum, exported as "memory".
func (m *Module) Memory(least, most int) {
	m.memory = append(m.memory, limits(least, most))
	m.Export("memory", 2, len(m.memory)-1)
}

// Table of function references; it gives the index.
func (m *Module) Table(least, most int) int {
	m.tables = append(m.tables, cat([]byte{0x70}, limits(least, most)))
	return len(m.tables) - 1
}

// Elements puts functions into table 0, from 0 on.
func (m *Module) Elements(funcs ...int) {
	var all [][]byte
	for _, f := range funcs {
		all = append(all, u(f))
	}
	m.elems = append(m.elems, cat([]byte{0, 0x41, 0, 0x0b}, vec(all)))
}

// Global adds a mutable i64 and gives its index.
func (m *Module) Global(value int64) int {
	m.globals = append(m.globals, cat([]byte{0x7e, 1, 0x42}, s(value), []byte{0x0b}))
	return len(m.globals) - 1
}

// Data puts bytes into memory.
func (m *Module) Data(at int, b []byte) {
	m.datas = append(m.datas, cat([]byte{0, 0x41}, s(int64(at)), []byte{0x0b}, u(len(b)), b))
}

// Start names the start function.
func (m *Module) Start(idx int) { m.start = idx }

// Custom adds a custom section behind the others.
func (m *Module) Custom(name string, body []byte) { m.customs = append(m.customs, custom{name, body}) }

// Type gives the index of a signature, for call_indirect and blocks.
func (m *Module) Type(signature string) int { return m.typ(signature) }

// Bytes of the module.
func (m *Module) Bytes() []byte {
	out := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	add := func(id byte, body []byte) { out = append(append(append(out, id), u(len(body))...), body...) }
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{{1, m.types}, {2, m.imports}, {3, m.funcs}, {4, m.tables}, {5, m.memory}, {6, m.globals}, {7, m.exports}} {
		if len(s.items) > 0 {
			add(s.id, vec(s.items))
		}
	}
	if m.start >= 0 {
		add(8, u(m.start))
	}
	if len(m.elems) > 0 {
		add(9, vec(m.elems))
	}
	if len(m.datas) > 0 {
		add(12, u(len(m.datas)))
	}
	if len(m.codes) > 0 {
		add(10, vec(m.codes))
	}
	if len(m.datas) > 0 {
		add(11, vec(m.datas))
	}
	for _, c := range m.customs {
		add(0, cat(text(c.name), c.body))
	}
	return out
}

func (m *Module) typ(signature string) int {
	params, results, _ := strings.Cut(signature, ":")
	t := cat([]byte{0x60}, types(params), types(results))
	if i := slices.IndexFunc(m.types, func(other []byte) bool { return string(other) == string(t) }); i >= 0 {
		return i
	}
	m.types = append(m.types, t)
	return len(m.types) - 1
}

func types(letters string) []byte {
	out := u(len(letters))
	for _, l := range letters {
		out = append(out, valueType(l))
	}
	return out
}

func valueType(letter rune) byte {
	return map[rune]byte{'i': 0x7f, 'l': 0x7e, 'f': 0x7d, 'd': 0x7c, 'v': 0x7b, 'r': 0x70}[letter]
}

func limits(least, most int) []byte {
	if most < 0 {
		return cat([]byte{0}, u(least))
	}
	return cat([]byte{1}, u(least), u(most))
}

func text(s string) []byte { return cat(u(len(s)), []byte(s)) }

func vec(items [][]byte) []byte { return cat(u(len(items)), cat(items...)) }

func cat[T ~[]byte](parts ...T) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func u(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func s(v int64) []byte {
	var b []byte
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// Op is instructions as bytes.
func Op(b ...byte) Code { return b }

// Seq joins instructions.
func Seq(c ...Code) Code { return cat(c...) }

// Instructions with immediates.
func I32(v int32) Code           { return cat([]byte{0x41}, s(int64(v))) }
func I64(v int64) Code           { return cat([]byte{0x42}, s(v)) }
func F32(v float32) Code         { return binary.LittleEndian.AppendUint32([]byte{0x43}, math.Float32bits(v)) }
func F64(v float64) Code         { return binary.LittleEndian.AppendUint64([]byte{0x44}, math.Float64bits(v)) }
func LocalGet(i int) Code        { return cat([]byte{0x20}, u(i)) }
func LocalSet(i int) Code        { return cat([]byte{0x21}, u(i)) }
func LocalTee(i int) Code        { return cat([]byte{0x22}, u(i)) }
func GlobalGet(i int) Code       { return cat([]byte{0x23}, u(i)) }
func GlobalSet(i int) Code       { return cat([]byte{0x24}, u(i)) }
func Call(f int) Code            { return cat([]byte{0x10}, u(f)) }
func CallIndirect(t int) Code    { return cat([]byte{0x11}, u(t), []byte{0}) }
func Br(depth int) Code          { return cat([]byte{0x0c}, u(depth)) }
func BrIf(depth int) Code        { return cat([]byte{0x0d}, u(depth)) }
func Load(op byte, at int) Code  { return cat([]byte{op, 0}, u(at)) }
func Store(op byte, at int) Code { return cat([]byte{op, 0}, u(at)) }

// Wide is a 128-bit instruction by its number (WebAssembly's fixed-width SIMD), with its immediates.
func Wide(op int, immediates ...byte) Code { return cat([]byte{0xfd}, u(op), immediates) }

// WideLoad and WideStore move 16 bytes, WideStore8 the first 8 of them.
func WideLoad(at int) Code   { return Wide(0x00, cat([]byte{0}, u(at))...) }
func WideStore(at int) Code  { return Wide(0x0b, cat([]byte{0}, u(at))...) }
func WideStore8(at int) Code { return Wide(0x5b, cat([]byte{0}, u(at), []byte{0})...) }

// WideI64 has the same value twice.
func WideI64(v int64) Code {
	b := binary.LittleEndian.AppendUint64(nil, uint64(v))
	return Wide(0x0c, append(b, b...)...)
}

// MemoryInit copies from a passive segment.
func MemoryInit(segment int) Code { return cat([]byte{0xfc, 8}, u(segment), []byte{0}) }

// Block, Loop and If without results.
func Block(c ...Code) Code { return cat([]byte{0x02, 0x40}, cat(c...), []byte{0x0b}) }
func Loop(c ...Code) Code  { return cat([]byte{0x03, 0x40}, cat(c...), []byte{0x0b}) }
func If(c ...Code) Code    { return cat([]byte{0x04, 0x40}, cat(c...), []byte{0x0b}) }

// Opcodes of loads and stores.
const (
	I32Load, I64Load, I32Load8U      = 0x28, 0x29, 0x2d
	I32Store, I64Store, I32Store8    = 0x36, 0x37, 0x3a
	F64Load, F64Store, I32Store16    = 0x2b, 0x39, 0x3b
	I32Load16U, I64Load32U, I64Load8 = 0x2f, 0x35, 0x31
)

// Instructions without immediates.
var (
	Unreachable = Op(0x00)
	Return      = Op(0x0f)
	Drop        = Op(0x1a)
	Select      = Op(0x1b)
	I32Eqz      = Op(0x45)
	I32Eq       = Op(0x46)
	I32LtU      = Op(0x49)
	I32GeU      = Op(0x4f)
	I64GeU      = Op(0x5a)
	I64GtS      = Op(0x55)
	I32Add      = Op(0x6a)
	I32Sub      = Op(0x6b)
	I32Mul      = Op(0x6c)
	I32Shl      = Op(0x74)
	I64Add      = Op(0x7c)
	I64Mul      = Op(0x7e)
	I32And      = Op(0x71)
	I64Or       = Op(0x84)
	I64Shl      = Op(0x86)
	I64ExtendU  = Op(0xad)
	I32Wrap     = Op(0xa7)
	// Conversions of an f64: to the nearest i32, of a signed i32.
	I32TruncSat   = Op(0xfc, 2)
	F64ConvertI32 = Op(0xb7)

	MemoryCopy = Op(0xfc, 10, 0, 0)
	MemoryFill = Op(0xfc, 11, 0)
	MemoryGrow = Op(0x40, 0)
	MemorySize = Op(0x3f, 0)
)
