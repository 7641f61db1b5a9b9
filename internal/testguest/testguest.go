// Package testguest has plugins for tests of what uses plugins: modules put together by hand (package wasmtest), so that tests need no compiler.
package testguest

import (
	"fmt"

	w "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

var i64Eq = w.Op(0x51)

// address of row's cell: row << shift, the column's place is the load's or store's offset.
func address(row, shift int) w.Code { return w.Seq(w.LocalGet(row), w.I32(int32(shift)), w.I32Shl) }

// Mark is a transform that writes value into the custom column "mark" of every row, and traps where a row's size is trapSize (0: never).
func Mark(name, version string, value int64, trapSize uint64) []byte {
	return MarkColumn(name, version, "mark", value, trapSize)
}

// MarkColumn is Mark with another column's name.
func MarkColumn(name, version, column string, value int64, trapSize uint64) []byte {
	g := w.NewGuest(2)
	p := g.Layout(1024, 0, 0, w.Col{ID: 12, Type: 4, Access: 1}, w.Col{ID: 128, Type: 6, Access: 2})
	trap := w.Code(nil)
	if trapSize != 0 {
		trap = w.Seq(address(2, 3), w.Load(w.I64Load, p.Col[12]), w.I64(int64(trapSize)), i64Eq, w.If(w.Unreachable))
	}
	g.Func("tw_transform", "ii:i", "i", w.EachRow(1, 2, trap, address(2, 3), w.I64(value), w.Store(w.I64Store, p.Col[128])), w.LocalGet(1))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "limits": {"memory_pages": 2}, "kinds": [
		{"kind": "transform", "reads": ["size"], "custom": [{"name": %q, "type": "i64", "description": "the version's number"}]}]}`, name, version, column))
}

// Refuse is a validator that refuses rows of size or more, for the reason "too large". onTrap is the manifest's; it traps where a row's size is trapSize (0: never).
func Refuse(name, version string, size, trapSize uint64, onTrap string) []byte {
	g := w.NewGuest(1)
	p := g.Layout(1024, 0, 0, w.Col{ID: 12, Type: 4, Access: 1}, w.Col{ID: 64, Type: 1, Access: 2}, w.Col{ID: 65, Type: 1, Access: 2})
	trap := w.Code(nil)
	if trapSize != 0 {
		trap = w.Seq(address(2, 3), w.Load(w.I64Load, p.Col[12]), w.I64(int64(trapSize)), i64Eq, w.If(w.Unreachable))
	}
	g.Func("tw_validate", "ii:i", "ii", w.EachRow(1, 2, trap,
		address(2, 3), w.Load(w.I64Load, p.Col[12]), w.I64(int64(size)), w.I64GeU, w.If(
			w.LocalGet(2), w.I32(1), w.Store(w.I32Store8, p.Col[64]), w.LocalGet(3), w.I32(1), w.I32Add, w.LocalSet(3))),
		w.LocalGet(3))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "on_trap": %q, "kinds": [{"kind": "validator", "reads": ["size"], "reasons": ["too large"]}]}`,
		name, version, onTrap))
}

// Rename is a transform that puts a letter before every symbol.
func Rename(name, version string, letter byte) []byte {
	const stride = 24
	g := w.NewGuest(1)
	p := g.Layout(1024, 0, 0, w.Col{ID: 30, Type: 8, Access: 3, Stride: stride})
	cell := func(plus int) w.Code {
		return w.Seq(w.LocalGet(2), w.I32(stride), w.I32Mul, w.I32(int32(p.Col[30]+plus)), w.I32Add)
	}
	g.Func("tw_transform", "ii:i", "i", w.EachRow(1, 2,
		cell(0), w.Load(w.I32Load8U, 0), w.If(
			cell(1), cell(0), w.I32(stride-1), w.MemoryCopy, cell(0), w.I32(int32(letter)), w.Store(w.I32Store8, 0))),
		w.LocalGet(1))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "kinds": [{"kind": "transform", "reads": ["symbol"], "writes": ["symbol"]}]}`, name, version))
}

// Count is a transform whose custom column "count" numbers rows, and whose number moves to the next version.
func Count(name, version string) []byte {
	g := w.NewGuest(2)
	n := g.Global(0)
	p := g.Layout(1024, 0, 0, w.Col{ID: 128, Type: 6, Access: 2})
	const state = 64
	g.Func("tw_transform", "ii:i", "i", w.EachRow(1, 2,
		w.GlobalGet(n), w.I64(1), w.I64Add, w.GlobalSet(n), address(2, 3), w.GlobalGet(n), w.Store(w.I64Store, p.Col[128])), w.LocalGet(1))
	g.Func("tw_alloc", "i:i", "", w.I32(state))
	g.Func("tw_save", ":l", "", w.I32(state), w.GlobalGet(n), w.Store(w.I64Store, 0), w.I64(state<<32|8))
	g.Func("tw_restore", "ii:i", "", w.LocalGet(0), w.Load(w.I64Load, 0), w.GlobalSet(n), w.I32(0))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "limits": {"memory_pages": 2}, "kinds": [
		{"kind": "transform", "custom": [{"name": "count", "type": "i64"}]}]}`, name, version))
}

// Packets is a parser without framing: each packet is an add of one share at 1, its number the packet's. It traps on one that begins with '!', and cannot read one that
// begins with '?'.
func Packets(name string) []byte { return PacketsOf(name, "1.0.0", 1) }

// PacketsOf is Packets of a version whose orders are at another price.
func PacketsOf(name, version string, price int64) []byte {
	g := w.NewGuest(2)
	p := g.Layout(16, 4096, 0, w.Col{ID: 1, Type: 1, Access: 2}, w.Col{ID: 3, Type: 1, Access: 2}, w.Col{ID: 5, Type: 3, Access: 2}, w.Col{ID: 9, Type: 4, Access: 2},
		w.Col{ID: 11, Type: 6, Access: 2}, w.Col{ID: 12, Type: 4, Access: 2})
	first := func(c byte, then ...w.Code) w.Code {
		return w.Seq(w.I32(0), w.Load(w.I32Load8U, p.In), w.I32(int32(c)), w.I32Eq, w.If(then...))
	}
	g.Func("tw_parse", "iili:i", "", first('!', w.Unreachable), first('?', w.I32(-1), w.Return),
		w.I32(0), w.I32(1), w.Store(w.I32Store8, p.Col[1]), w.I32(0), w.I32('B'), w.Store(w.I32Store8, p.Col[3]), w.I32(0), w.I32(7), w.Store(w.I32Store, p.Col[5]),
		w.I32(0), w.LocalGet(2), w.Store(w.I64Store, p.Col[9]), w.I32(0), w.I64(price*1_000_000_000), w.Store(w.I64Store, p.Col[11]), w.I32(0), w.I64(1), w.Store(w.I64Store, p.Col[12]), w.I32(1))
	g.Func("tw_start", "il:i", "", w.I32(0))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "limits": {"max_rows": 16, "memory_pages": 2}, "kinds": [
		{"kind": "parser", "name": %q, "writes": ["kind", "side", "instrument_id", "order_id", "price", "size"]}]}`, name, version, name))
}

// Requiring is a validator that does nothing and needs another plugin.
func Requiring(name, version, other, versions string) []byte {
	g := w.NewGuest(1)
	g.Layout(1024, 0, 0, w.Col{ID: 64, Type: 1, Access: 2}, w.Col{ID: 65, Type: 1, Access: 2})
	g.Func("tw_validate", "ii:i", "", w.I32(0))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "requires": [{"name": %q, "version": %q}], "kinds": [{"kind": "validator"}]}`, name, version, other, versions))
}
