package wasmtest

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Guest is a module that is a plugin: layouts lie in its data, tw_abi and tw_layout are added with the manifest.
type Guest struct {
	*Module
	ABI     int32 // what tw_abi returns: 1
	NoABI   bool  // leaves tw_abi out
	next    int   // address of what comes next
	layouts []int
	pages   int
}

// Col is a column of a layout.
type Col struct {
	ID           uint16
	Type, Access uint8
	Stride       uint32 // 0: the type's size
}

// Column is a Col of a row.
func Column(id uint16, typ, access uint8, stride uint32) Col { return Col{id, typ, access, stride} }

// Place is where a unit's things are.
type Place struct {
	Layout  int
	In, Out int
	Col     map[uint16]int
}

// NewGuest is a plugin of so many pages that cannot grow.
func NewGuest(pages int) *Guest {
	g := &Guest{Module: NewModule(), ABI: 1, next: 1024, pages: pages}
	g.Memory(pages, pages)
	return g
}

// Layout adds the next unit's layout, with room for bytes in and out.
func (g *Guest) Layout(maxRows, in, out int, cols ...Col) Place {
	p := Place{Layout: g.next, Col: map[uint16]int{}}
	g.layouts = append(g.layouts, p.Layout)
	g.next += 32 + 16*len(cols)
	p.In, p.Out = g.room(in), g.room(out)
	words := []uint32{0x31505754, uint32(maxRows), uint32(p.In), uint32(in), uint32(p.Out), uint32(out), uint32(len(cols)), 0}
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	for _, c := range cols {
		if c.Stride == 0 {
			c.Stride = [...]uint32{0, 1, 2, 4, 8, 4, 8, 8, 16}[c.Type]
		}
		at := g.room(int(c.Stride) * maxRows)
		p.Col[c.ID] = at
		b = binary.LittleEndian.AppendUint16(b, c.ID)
		b = append(b, c.Type, c.Access)
		for _, w := range []uint32{uint32(at), c.Stride, 0} {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
	}
	g.Data(p.Layout, b)
	return p
}

func (g *Guest) room(n int) int {
	at := (g.next + 63) &^ 63
	g.next = at + n
	if g.next > g.pages<<16 {
		panic(fmt.Sprintf("wasmtest: the guest's %d pages are full", g.pages))
	}
	return at
}

// Plugin is the module with its manifest.
func (g *Guest) Plugin(manifest string) []byte {
	if !g.NoABI {
		g.Func("tw_abi", ":i", "", I32(g.ABI))
	}
	var code Code
	for k, at := range g.layouts {
		code = Seq(code, LocalGet(0), I32(int32(k)), I32Eq, If(I32(int32(at)), Return))
	}
	g.Func("tw_layout", "i:i", "", code, I32(0))
	g.Custom("tickwire.plugin.v1", []byte(manifest))
	return g.Module.Bytes()
}

// EachRow is a loop over rows: n is the local that holds how many, row the local that counts; both are i32.
func EachRow(n, row int, body ...Code) Code {
	return Seq(I32(0), LocalSet(row), Block(LocalGet(n), I32Eqz, BrIf(0), Loop(
		Seq(body...), LocalGet(row), I32(1), I32Add, LocalTee(row), LocalGet(n), I32LtU, BrIf(0))))
}

// KernelManifest is of the plugin that Kernel makes.
const KernelManifest = `{"name": "kernel", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "transform", "reads": ["size", "price"], "writes": ["price", "row_ctl"]}]}`

// Kernel is the plugin by which hosts are measured: for each of up to 1,024 rows the price times 100, and a flag where the size is 100 or more.
func Kernel() []byte {
	g := NewGuest(1)
	p := kernelLayout(g)
	g.Func("tw_transform", "ii:i", "ii", EachRow(1, 2, kernelRow(p)), LocalGet(1))
	return g.Plugin(KernelManifest)
}

// WideKernel is Kernel with 128-bit instructions, eight rows at a time, as a desk writes it that counts nanoseconds.
func WideKernel() []byte {
	const row, at, whole, flags = 2, 3, 4, 5 // locals: a row, 8 times that, rows that are whole eights, a vector
	const mul, greater, and, xor, shuffle, narrow16, narrow8 = 0xd5, 0xd9, 0x4e, 0x51, 0x0d, 0x85, 0x65
	evens := []byte{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27} // the low halves of two pairs of 64 bits
	g := NewGuest(1)
	p := kernelLayout(g)
	var prices Code
	var masks [4]Code // all ones where the size, unsigned, is above 99
	for k := range masks {
		prices = Seq(prices, LocalGet(at), LocalGet(at), WideLoad(p.Col[11]+16*k), WideI64(100), Wide(mul), WideStore(p.Col[11]+16*k))
		masks[k] = Seq(LocalGet(at), WideLoad(p.Col[12]+16*k), WideI64(math.MinInt64), Wide(xor), WideI64(math.MinInt64+99), Wide(greater))
	}
	const twos = 0x0202020202020202
	g.Func("tw_transform", "ii:i", "iiiv",
		LocalGet(1), I32(-8), I32And, LocalSet(whole),
		Block(LocalGet(whole), I32Eqz, BrIf(0), Loop(prices,
			LocalGet(row),
			masks[0], masks[1], Wide(shuffle, evens...), masks[2], masks[3], Wide(shuffle, evens...), Wide(narrow16), LocalTee(flags), LocalGet(flags), Wide(narrow8),
			WideI64(twos), Wide(and), WideStore8(p.Col[64]),
			LocalGet(at), I32(64), I32Add, LocalSet(at), LocalGet(row), I32(8), I32Add, LocalTee(row), LocalGet(whole), I32LtU, BrIf(0))),
		Block(LocalGet(row), LocalGet(1), I32GeU, BrIf(0), Loop(
			kernelRow(p), LocalGet(row), I32(1), I32Add, LocalTee(row), LocalGet(1), I32LtU, BrIf(0))),
		LocalGet(1))
	return g.Plugin(KernelManifest)
}

func kernelLayout(g *Guest) Place {
	return g.Layout(1024, 0, 0, Column(11, 6, 3, 0), Column(12, 4, 1, 0), Column(64, 1, 2, 0))
}

// kernelRow does the row in local 2, whose prices and sizes are at local 3, and moves that on.
func kernelRow(p Place) Code {
	return Seq(LocalGet(3), LocalGet(3), Load(I64Load, p.Col[11]), I64(100), I64Mul, Store(I64Store, p.Col[11]),
		LocalGet(2), LocalGet(3), Load(I64Load, p.Col[12]), I64(100), I64GeU, I32(1), I32Shl, Store(I32Store8, p.Col[64]),
		LocalGet(3), I32(8), I32Add, LocalSet(3))
}

// Empty is a plugin that is called and does nothing: a validator of no columns.
func Empty() []byte {
	g := NewGuest(1)
	g.Layout(1024, 0, 0, Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	g.Func("tw_validate", "ii:i", "", I32(0))
	return g.Plugin(`{"name": "empty", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "validator"}]}`)
}
