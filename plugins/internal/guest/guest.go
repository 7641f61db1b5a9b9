// Package guest runs plugins for tests of SDKs and examples: as little as it takes to call a module by ABI.md and to see all of its memory. Unlike the host it
// judges nothing a guest does, so tests see what a guest really did.
package guest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// Guest is an instance of a module.
type Guest struct {
	Manifest *manifest.Manifest
	Metrics  map[string]int64  // what it counted
	Symbols  map[uint32]string // what `lookup` finds (7 is ABC from the start), and `define` adds to
	Log      []string          // level and text

	t       testing.TB
	mod     api.Module
	params  map[string]any
	columns []map[uint16]column
	bytes   []io
}

type column struct{ at, stride, rows uint32 }

type io struct{ in, inBytes, out, outBytes uint32 }

// Now is what `now` says.
const Now = 1_700_000_000_000_000_123

const (
	magic       = 0x31505754
	layoutBytes = 32
	columnBytes = 16
)

// Load instantiates a module that has a manifest, and initialises it with parameters: nil are the defaults. What it cannot do fails the test.
func Load(t testing.TB, module []byte, params map[string]any) *Guest {
	t.Helper()
	m, err := manifest.Of(module)
	if err != nil {
		t.Fatal(err)
	}
	g := &Guest{Manifest: m, Metrics: map[string]int64{}, Symbols: map[uint32]string{7: "ABC"}, t: t}
	values, err := m.Values(params)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(values, &g.params); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	// A guest that grows beyond what it declares must fail here as it does with the host.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(m.Limits.MemoryPages)))
	t.Cleanup(func() { r.Close(ctx) })
	if m.WASI {
		wasi_snapshot_preview1.MustInstantiate(ctx, r)
	}
	if err := g.imports(ctx, r); err != nil {
		t.Fatal(err)
	}
	g.mod, err = r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	if v := g.Call("tw_abi"); v != manifest.ABI {
		t.Fatalf("tw_abi is %d", v)
	}
	if g.Has("tw_init") {
		at := g.Put(values)
		if code := g.Call("tw_init", at, uint64(len(values))); code != 0 {
			t.Fatalf("tw_init gives %d: %s", code, g.Error())
		}
	}
	for unit := range m.Kinds {
		g.layout(unit)
	}
	return g
}

// For has what fails fail another test: one that is part of the test that loaded the guest, as an input of a fuzz test is.
func (g *Guest) For(t testing.TB) { g.t = t }

func (g *Guest) imports(ctx context.Context, r wazero.Runtime) error {
	read := func(m api.Module, at, n uint32) []byte {
		b, ok := m.Memory().Read(at, n)
		if !ok {
			g.t.Errorf("the guest hands over %d bytes at %d, beyond its memory", n, at)
		}
		return b
	}
	give := func(m api.Module, s string, dst, room uint32) int32 {
		m.Memory().WriteString(dst, s[:min(len(s), int(room))])
		return int32(len(s))
	}
	b := r.NewHostModuleBuilder("tickwire")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, level, at, n uint32) {
		g.Log = append(g.Log, fmt.Sprintf("%d %s", level, read(m, at, n)))
	}).Export("log")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, key, n, dst, room uint32) int32 {
		return g.config(m, string(read(m, key, n)), dst, room, give)
	}).Export("config")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, key, n uint32, v int64) {
		g.Metrics[string(read(m, key, n))] += v
	}).Export("metric")
	b.NewFunctionBuilder().WithFunc(func(context.Context) int64 { return Now }).Export("now")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, id, dst, room uint32) int32 {
		s, ok := g.Symbols[id]
		if !ok {
			return -1
		}
		return give(m, s, dst, room)
	}).Export("lookup")
	b.NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, id, at, n uint32) int32 {
		g.Symbols[id] = string(read(m, at, n))
		return 0
	}).Export("define")
	_, err := b.Instantiate(ctx)
	return err
}

func (g *Guest) config(m api.Module, key string, dst, room uint32, give func(api.Module, string, uint32, uint32) int32) int32 {
	v, ok := g.params[key]
	if !ok {
		return -1
	}
	return give(m, fmt.Sprint(v), dst, room)
}

// layout reads the layout of a unit and checks what ABI.md demands of one.
func (g *Guest) layout(unit int) {
	g.t.Helper()
	at := uint32(g.Call("tw_layout", uint64(unit)))
	head := g.read(at, layoutBytes)
	word := func(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	rows := word(head, 4)
	switch {
	case at == 0:
		g.t.Fatalf("kinds[%d] has no layout", unit)
	case word(head, 0) != magic || rows != uint32(g.Manifest.Limits.MaxRows) || word(head, 28) != 0:
		g.t.Fatalf("kinds[%d]: layout begins with % x", unit, head)
	}
	type span struct{ from, to uint32 }
	n := word(head, 24)
	used := []span{{at, at + layoutBytes + n*columnBytes}}
	take := func(what string, from, bytes uint32) {
		g.t.Helper()
		if uint64(from)+uint64(bytes) > uint64(g.mod.Memory().Size()) {
			g.t.Fatalf("kinds[%d]: %s lies beyond the memory", unit, what)
		}
		for _, u := range used {
			if from < u.to && u.from < from+bytes {
				g.t.Fatalf("kinds[%d]: %s at %d overlaps what is at %d", unit, what, from, u.from)
			}
		}
		used = append(used, span{from, from + bytes})
	}
	b := io{word(head, 8), word(head, 12), word(head, 16), word(head, 20)}
	take("in", b.in, b.inBytes)
	take("out", b.out, b.outBytes)
	columns := map[uint16]column{}
	for i := range n {
		c := g.read(at+layoutBytes+i*columnBytes, columnBytes)
		id, typ, access := binary.LittleEndian.Uint16(c), manifest.Type(c[2]), c[3]
		col := column{word(c, 4), word(c, 8), rows}
		if col.at%64 != 0 || access < 1 || access > 3 || word(c, 12) != 0 || typ < manifest.U8 || typ > manifest.Str {
			g.t.Fatalf("kinds[%d], column %d: % x", unit, id, c)
		}
		if want := uint32(typ.Bytes()); want != col.stride && typ != manifest.Str || typ == manifest.Str && (col.stride%8 != 0 || col.stride < 8 || col.stride > 256) {
			g.t.Fatalf("kinds[%d], column %d: stride %d", unit, id, col.stride)
		}
		if id < manifest.ColumnCustom {
			g.declared(unit, id, typ, access)
		}
		take(fmt.Sprintf("column %d", id), col.at, col.stride*rows)
		columns[id] = col
	}
	g.columns, g.bytes = append(g.columns, columns), append(g.bytes, b)
}

// declared checks a column of rows against the manifest.
func (g *Guest) declared(unit int, id uint16, typ manifest.Type, access uint8) {
	g.t.Helper()
	u := &g.Manifest.Kinds[unit]
	for _, c := range manifest.Columns {
		if c.ID != id {
			continue
		}
		var want uint8
		for _, name := range u.Reads {
			if name == c.Name {
				want |= 1
			}
		}
		for _, name := range u.Writes {
			if name == c.Name {
				want |= 2
			}
		}
		if u.Kind == manifest.Validator && c.Hidden {
			want = 2
		}
		if access != want || typ != c.Type.Wire() {
			g.t.Fatalf("kinds[%d], column %s: type %s access %d, the manifest has %s and %d", unit, c.Name, typ, access, c.Type.Wire(), want)
		}
		return
	}
	g.t.Fatalf("kinds[%d]: there is no column %d", unit, id)
}

func (g *Guest) read(at, n uint32) []byte {
	g.t.Helper()
	b, ok := g.mod.Memory().Read(at, n)
	if !ok {
		g.t.Fatalf("%d bytes at %d are beyond the memory", n, at)
	}
	return b
}

// Has says whether the module exports a function.
func (g *Guest) Has(name string) bool { return g.mod.ExportedFunction(name) != nil }

// Try calls an export; its result as i32, 0 without one.
func (g *Guest) Try(name string, args ...uint64) (int64, error) {
	f := g.mod.ExportedFunction(name)
	if f == nil {
		return 0, fmt.Errorf("the module does not export %s", name)
	}
	res, err := f.Call(context.Background(), args...)
	if err != nil || len(res) == 0 {
		return 0, err
	}
	if f.Definition().ResultTypes()[0] == api.ValueTypeI64 {
		return int64(res[0]), nil
	}
	return int64(int32(res[0])), nil
}

// Call is Try, and a trap fails the test.
func (g *Guest) Call(name string, args ...uint64) int64 {
	g.t.Helper()
	v, err := g.Try(name, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// Put hands bytes over by tw_alloc.
func (g *Guest) Put(b []byte) uint64 {
	g.t.Helper()
	at := g.Call("tw_alloc", uint64(len(b)))
	if at == 0 || !g.mod.Memory().Write(uint32(at), b) {
		g.t.Fatalf("tw_alloc(%d) gives %d", len(b), at)
	}
	return uint64(uint32(at))
}

// Got reads bytes that a call returned as ptr ≪ 32 | len.
func (g *Guest) Got(v int64) []byte {
	g.t.Helper()
	return append([]byte(nil), g.read(uint32(v>>32), uint32(v))...)
}

// Error is the latest error's text.
func (g *Guest) Error() string {
	g.t.Helper()
	if !g.Has("tw_error") {
		return ""
	}
	return string(g.Got(g.Call("tw_error")))
}

// Bytes is a view of a column: max_rows times its stride. Until the memory grows.
func (g *Guest) Bytes(unit int, id uint16) (view []byte, stride int) {
	g.t.Helper()
	c, ok := g.columns[unit][id]
	if !ok {
		g.t.Fatalf("kinds[%d] has no column %d in its layout", unit, id)
	}
	return g.read(c.at, c.stride*c.rows), int(c.stride)
}

// In is a view of a unit's bytes in, Out of its bytes out.
func (g *Guest) In(unit int) []byte {
	g.t.Helper()
	return g.read(g.bytes[unit].in, g.bytes[unit].inBytes)
}

// Out is a view of a unit's bytes out.
func (g *Guest) Out(unit int) []byte {
	g.t.Helper()
	return g.read(g.bytes[unit].out, g.bytes[unit].outBytes)
}

// Number is a type of column.
type Number interface {
	uint8 | uint16 | uint32 | uint64 | int32 | int64 | float64
}

// Set writes values to a column from its first row on.
func Set[T Number](g *Guest, unit int, id uint16, values []T) {
	g.t.Helper()
	view, stride := g.Bytes(unit, id)
	if stride != binary.Size(T(0)) {
		g.t.Fatalf("column %d has %d bytes a value, not %d", id, stride, binary.Size(T(0)))
	}
	if _, err := binary.Encode(view, binary.LittleEndian, values); err != nil {
		g.t.Fatal(err)
	}
}

// Get reads the first n values of a column.
func Get[T Number](g *Guest, unit int, id uint16, n int) []T {
	g.t.Helper()
	view, _ := g.Bytes(unit, id)
	values := make([]T, n)
	if _, err := binary.Decode(view, binary.LittleEndian, values); err != nil {
		g.t.Fatal(err)
	}
	return values
}

// SetTexts writes texts to a column, each filled up with NUL.
func (g *Guest) SetTexts(unit int, id uint16, values []string) {
	g.t.Helper()
	view, stride := g.Bytes(unit, id)
	for i, s := range values {
		at := view[i*stride : (i+1)*stride]
		clear(at[copy(at, s):])
	}
}

// Texts reads the first n texts of a column. Bytes behind a NUL that are not NUL fail the test.
func (g *Guest) Texts(unit int, id uint16, n int) []string {
	g.t.Helper()
	view, stride := g.Bytes(unit, id)
	values := make([]string, n)
	for i := range values {
		at := view[i*stride : (i+1)*stride]
		end := 0
		for end < stride && at[end] != 0 {
			end++
		}
		for _, b := range at[end:] {
			if b != 0 {
				g.t.Fatalf("column %d, row %d: %q has bytes behind a NUL", id, i, at)
			}
		}
		values[i] = string(at[:end])
	}
	return values
}
