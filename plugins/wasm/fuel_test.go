package wasm_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tickwire/tickwire/plugins/wasm"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// Fuel is tested by running: a module and what Instrument made of it side by side in the engine, which must agree as long as the fuel suffices, and the fuel that
// is gone afterwards is what the rules say.

var ctx = context.Background()

func engine(t testing.TB) wazero.Runtime {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
	t.Cleanup(func() { r.Close(ctx) })
	return r
}

func instantiate(t testing.TB, r wazero.Runtime, module []byte) api.Module {
	t.Helper()
	mod, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatalf("the engine does not take the module: %v", err)
	}
	t.Cleanup(func() { mod.Close(ctx) })
	return mod
}

func instrumented(t testing.TB, r wazero.Runtime, m *Module) api.Module {
	t.Helper()
	out, err := wasm.Instrument(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return instantiate(t, r, out)
}

func fuelOf(t testing.TB, mod api.Module) api.MutableGlobal {
	t.Helper()
	g, ok := mod.ExportedGlobal(wasm.FuelName).(api.MutableGlobal)
	if !ok {
		t.Fatal("tw_fuel is no mutable global of the module")
	}
	return g
}

// Each immediate form, each followed by a value that a wrong length would swallow or split.
func TestInstrumentForms(t *testing.T) {
	table := []struct {
		name    string
		results string
		locals  string
		code    Code
	}{
		{"block, loop and if with a value each", "i", "", Seq(Op(0x02, 0x7f), Op(0x03, 0x7f), I32(1), Op(0x04, 0x7f), I32(3), Op(0x05), I32(4), Op(0x0b, 0x0b, 0x0b))},
		{"blocks of a type with several values", "il", "", Seq(I32(7), Op(0x02, 1), Op(0x03, 1), I64(9), Op(0x0b), Op(0x0b))}, // type 1 is i:il
		{"a block's type as a longer number", "il", "", Seq(I32(7), Op(0x03, 0x81, 0x80, 0x00), I64(9), Op(0x0b))},
		{"br_table", "i", "", Seq(Op(0x02, 0x40), Op(0x02, 0x40), Op(0x02, 0x40), I32(1), Op(0x0e, 2, 0, 1, 2), Op(0x0b), I32(10), Return, Op(0x0b), I32(20), Return, Op(0x0b), I32(30))},
		{"br_table without entries", "i", "", Seq(Block(I32(5), Op(0x0e, 0, 0)), I32(11))},
		{"typed select", "i", "", Seq(I32(3), I32(11), I32(0), Op(0x1c, 1, 0x7f))},
		{"select", "i", "", Seq(I32(3), I32(11), I32(1), Select)},
		{"constants full of opcodes", "lfd", "", Seq(I64(-0x0b0b0b0b0b0b0b0b), F32(1.5), F64(0x1.030b030b030bp+3))},
		{"the least and greatest integers", "iil", "", Seq(I32(-1<<31), I32(1<<31-1), I64(-1<<63))},
		{"memory with an offset", "i", "", Seq(I32(8), I32(77), Store(I32Store, 3<<14), I32(8), Load(I32Load, 3<<14))},
		{"memory.size, memory.grow", "ii", "", Seq(I32(1), MemoryGrow, MemorySize)},
		{"call_indirect", "i", "", Seq(I32(0), CallIndirect(3))}, // type 3 is :i
		{"references", "ii", "", Seq(Op(0xd0, 0x70), Op(0xd1), Op(0xd0, 0x6f), Op(0xd1))},
		{"table.get, table.set, ref.func", "i", "", Seq(I32(1), Op(0xd2, 0), Op(0x26, 0), I32(1), Op(0x25, 0), Op(0xd1))},
		{"saturating conversions", "illi", "", Seq(F32(1e20), Op(0xfc, 0), F64(1e30), Op(0xfc, 6), F64(-5), Op(0xfc, 7), F64(3.7), Op(0xfc, 2))},
		{"memory.fill and memory.copy", "ll", "", Seq(I32(0), I32(0x5a), I32(4096), MemoryFill, I32(8192), I32(8), I32(777), MemoryCopy, I32(8190), Load(I64Load, 0), I32(8968), Load(I64Load, 0))},
		{"memory.init and data.drop", "i", "", Seq(I32(100), I32(1), I32(2), Op(0xfc, 8, 0, 0), Op(0xfc, 9, 0), I32(100), Load(I32Load, 0))},
		{"table.init, elem.drop, .copy, .grow, .size, .fill", "ii", "", Seq(I32(2), I32(0), I32(0), Op(0xfc, 12, 0, 0), Op(0xfc, 13, 0), I32(1), I32(0), I32(1), Op(0xfc, 14, 0, 0), Op(0xd0, 0x70), I32(3), Op(0xfc, 15, 0), I32(0), Op(0xd0, 0x70), I32(2), Op(0xfc, 17, 0), Op(0xfc, 16, 0))},
		{"v128.const and a lane", "i", "", Seq(Op(0xfd, 12, 3, 0x40, 3, 0x40, 0xb, 0xb, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), Op(0xfd, 27, 2))},
		{"i8x16.shuffle", "i", "", Seq(Op(0xfd, 12, 3, 0x40, 3, 0x40, 0xb, 0xb, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), Op(0xfd, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), Op(0xfd, 13, 3, 0, 3, 11, 11, 11, 0, 0, 16, 17, 18, 31, 3, 3, 3, 3), Op(0xfd, 27, 0))},
		{"v128 loads, stores and their lanes", "ii", "v", Seq(
			I32(0), Op(0xfd, 0, 4, 3), LocalSet(0), I32(64), LocalGet(0), Op(0xfd, 11, 4, 3), // v128.load, .store, offset 3
			I32(64), LocalGet(0), Op(0xfd, 84, 0, 3, 5), LocalSet(0), // v128.load8_lane
			I32(128), LocalGet(0), Op(0xfd, 91, 3, 3, 1), // v128.store64_lane
			I32(3), Op(0xfd, 92, 2, 3), Op(0xfd, 27, 0), LocalGet(0), Op(0xfd, 22, 5))}, // v128.load32_zero, i8x16.extract_lane_u
		{"vector instructions with numbers of two bytes", "i", "", Seq(I32(3), Op(0xfd, 17), I32(4), Op(0xfd, 17), Op(0xfd, 0xae, 1), I32(2), Op(0xfd, 0xab, 1), Op(0xfd, 27, 0))}, // i32x4.splat, .add, .shl
		{"relaxed nothing: a vector comparison", "i", "", Seq(I32(3), Op(0xfd, 15), I32(3), Op(0xfd, 15), Op(0xfd, 35), Op(0xfd, 83))},
		{"loops in loops in code that is not reached", "i", "", Seq(Block(Br(0), Loop(Loop(Block(Br(1))))), I32(6))},
	}
	for _, tc := range table {
		t.Run(tc.name, func(t *testing.T) {
			m := NewModule()
			m.Memory(1, 4)
			m.Table(8, -1)
			if i := m.Type(":"); i != 0 {
				t.Fatal("types moved")
			}
			m.Type("i:il")
			m.Type(":ii")
			m.Type(":i")
			elem := m.Func("", ":i", "", I32(4711))
			m.Elements(elem, elem)
			m.Data(0, []byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 64, 11, 3, 64, 11, 0, 0, 1, 1})
			m.Func("f", ":"+tc.results, tc.locals, tc.code)
			r := engine(t)
			want, err := instantiate(t, r, m.Bytes()).ExportedFunction("f").Call(ctx)
			if err != nil {
				t.Fatalf("the module as it was: %v", err)
			}
			mod := instrumented(t, r, m)
			got, err := mod.ExportedFunction("f").Call(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("instrumented it gives %d, before %d", got, want)
			}
			if left := fuelOf(t, mod).Get(); int64(left) >= wasm.InitialFuel {
				t.Errorf("%d fuel left of %d: nothing was taken", left, wasm.InitialFuel)
			}
		})
	}
}

func TestFuelCosts(t *testing.T) {
	m := NewModule()
	m.Memory(16, 16)
	m.Table(0, -1)
	leaf := m.Func("leaf", ":", "")
	m.Func("calls", ":", "", Call(leaf), Call(leaf), Call(leaf))
	m.Func("locals", ":", strings.Repeat("l", 40))
	m.Func("loop", "i:", "", Loop(LocalGet(0), I32(1), I32Sub, LocalTee(0), BrIf(0)))
	m.Func("fill", "i:", "", I32(0), I32(1), LocalGet(0), MemoryFill)
	m.Func("copy", "i:", "", I32(0), I32(1), LocalGet(0), MemoryCopy)
	m.Func("grow", "i:i", "", Op(0xd0, 0x70), LocalGet(0), Op(0xfc, 15, 0))
	m.Func("spin", ":", "", Loop(Br(0)))
	self := m.Func("", ":", "")
	_ = self
	rec := m.Func("recurse", ":", "", Call(self+1))
	if rec != self+1 {
		t.Fatal("indexes moved")
	}
	mod := instrumented(t, engine(t), m)
	fuel := fuelOf(t, mod)
	for _, tc := range []struct {
		f        string
		arg      []uint64
		give     int64
		left     int64
		exhausts bool
	}{
		{"leaf", nil, 10, 9, false},
		{"leaf", nil, 1, 0, false},
		{"leaf", nil, 0, -1, true},
		{"calls", nil, 10, 6, false},
		{"locals", nil, 10, 10 - 1 - 2, false},
		{"loop", []uint64{1000}, 5000, 5000 - 1 - 1000, false},
		{"loop", []uint64{1000}, 1000, -1, true},
		{"fill", []uint64{6400}, 1000, 1000 - 1 - 1 - 100, false}, // its entry, 1 + 6400/64
		{"copy", []uint64{63}, 1000, 1000 - 2, false},
		{"fill", []uint64{1 << 20}, 1000, 1000 - 2 - 1<<14, true}, // before a byte is written
		{"fill", []uint64{0xffffffff}, 1000, 1000 - 2 - 0xffffffff/64, true},
		{"grow", []uint64{64}, 1000, 1000 - 3, false},
		{"spin", nil, 1_000_000, -1, true},
		{"recurse", nil, 1_000, -1, true},
	} {
		t.Run(fmt.Sprintf("%s(%d) with %d", tc.f, tc.arg, tc.give), func(t *testing.T) {
			fuel.Set(uint64(tc.give))
			_, err := mod.ExportedFunction(tc.f).Call(ctx, tc.arg...)
			if (err != nil) != tc.exhausts {
				t.Errorf("error %v", err)
			}
			if left := int64(fuel.Get()); left != tc.left {
				t.Errorf("left %d, want %d", left, tc.left)
			}
		})
	}
}

// Code without loops takes fuel by its length, on whichever way it is gone through: a loop could have half a million bytes in it, and jump over what takes fuel.
func TestFuelOfLongCode(t *testing.T) {
	const chunk, chunks = 100, 400
	work := bytes.Repeat(Seq(LocalGet(0), I32(3), Op(0x6d), LocalSet(0)), chunk/7)
	var skips Code // out of a block before its end, where a charge may stand
	for range chunks {
		skips = Seq(skips, Block(work, Br(0), bytes.Repeat([]byte{1}, 4*chunk)))
	}
	table := Seq(bytes.Repeat([]byte{2, 0x40}, chunks), LocalGet(1), Op(0x0e, 1, 0, 0)) // on to the innermost block's end
	for k := range chunks {
		table = Seq(table, Op(0x0b), work)
		if k%2 == 0 {
			table = Seq(table, LocalGet(1), BrIf(0))
		}
	}
	either := bytes.Repeat(Seq(LocalGet(1), Op(0x04, 0x40), work, Op(0x05), work, Op(0x0b)), chunks)
	without := bytes.Repeat(Seq(work, LocalGet(1), If(bytes.Repeat([]byte{1}, 4*chunk))), chunks)
	m := NewModule()
	for name, code := range map[string]Code{"straight": bytes.Repeat(work, chunks), "skips": skips, "table": Seq(table, LocalGet(1), Drop), "either": either, "without": without} {
		m.Func(name, "ii:i", "", code, LocalGet(0))
	}
	mod := instrumented(t, engine(t), m)
	fuel := fuelOf(t, mod)
	for _, name := range []string{"straight", "skips", "table", "either", "without"} {
		fuel.Set(1_000_000)
		if _, err := mod.ExportedFunction(name).Call(ctx, 1<<30, 0); err != nil {
			t.Fatal(name, err)
		}
		if took := 1_000_000 - int64(fuel.Get()); took < chunk*chunks*9/10/wasm.ChargeBytes || took > 2+2*chunk*chunks/wasm.ChargeBytes+chunks {
			t.Errorf("%s: %d bytes of code took %d", name, chunk*chunks, took)
		}
	}
}

// A table without a maximum gets one; beyond it growing fails as the engine lets it fail.
func TestTablesAreBounded(t *testing.T) {
	m := NewModule()
	m.Table(10, -1)
	m.Func("grow", "i:i", "", Op(0xd0, 0x70), LocalGet(0), Op(0xfc, 15, 0))
	mod := instrumented(t, engine(t), m)
	for _, tc := range []struct {
		by   uint64
		want int32
	}{{wasm.MostElements, -1}, {wasm.MostElements - 10, 10}, {1, -1}} {
		got, err := mod.ExportedFunction("grow").Call(ctx, tc.by)
		if err != nil || int32(got[0]) != tc.want {
			t.Errorf("growing by %d: %d, %v; want %d", tc.by, int32(got[0]), err, tc.want)
		}
	}
}

func TestStartFunctionIsBounded(t *testing.T) {
	m := NewModule()
	m.Start(m.Func("", ":", "", Loop(Br(0))))
	out, err := wasm.Instrument(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntime(ctx) // the compiler where there is one: the interpreter takes 8 s for so much fuel
	defer r.Close(ctx)
	if _, err := r.Instantiate(ctx, out); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("a start function that loops: %v", err)
	}
}

// What is there stays: names of functions, custom sections in their places.
func TestCustomSectionsStay(t *testing.T) {
	m := NewModule()
	m.Func("f", ":", "", I32(0), I32(1), I32(2), MemoryFill)
	m.Memory(1, 1)
	b := m.Bytes()
	b = wasm.AppendCustom(b, "name", []byte{1, 4, 1, 0, 1, 'f'})
	front := wasm.AppendCustom(append([]byte(nil), b[:8]...), "first", []byte("!"))
	out, err := wasm.Instrument(append(front, b[8:]...))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for s, err := range wasm.Sections(out) {
		if err != nil {
			t.Fatal(err)
		}
		if s.ID == 0 {
			names = append(names, fmt.Sprint(s.Name, s.At == 8))
		}
	}
	if got := fmt.Sprint(names); got != "[firsttrue namefalse]" && got != "[first true name false]" {
		t.Errorf("custom sections are %s", got)
	}
	instantiate(t, engine(t), out)
}

func TestInstrumentRefuses(t *testing.T) {
	body := func(code ...byte) []byte {
		m := NewModule()
		m.FuncRaw("f", ":", append([]byte{0}, code...))
		return m.Bytes()
	}
	good := body(0x0b)
	many := NewModule()
	for range wasm.MostFunctions + 1 {
		many.Func("", ":", "")
	}
	big := NewModule()
	big.Func("f", ":", "", bytes.Repeat([]byte{1}, wasm.MostBody))
	locals := NewModule()
	locals.FuncRaw("f", ":", []byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b})
	deep := NewModule()
	deep.Func("f", ":", "", bytes.Repeat([]byte{3, 0x40}, 6000), bytes.Repeat([]byte{0x0b}, 6000))
	heavy := NewModule()
	heavy.Func("f", ":", strings.Repeat("l", 4000), bytes.Repeat(Block(), 2500))
	tables := NewModule()
	for range 101 {
		tables.Func("", "i:", "", LocalGet(0), Op(0x0e, 0xe8, 7), bytes.Repeat([]byte{0}, 1001))
	}
	taken := NewModule()
	taken.Export(wasm.FuelName, 3, taken.Global(1))
	table := NewModule()
	table.Table(1<<20, -1)
	with := func(id byte, body ...byte) []byte {
		return append(append([]byte("\x00asm\x01\x00\x00\x00"), id, byte(len(body))), body...)
	}
	alias := NewModule()
	alias.Export("mine", 3, 0)
	imported := NewModule()
	imported.ImportRaw("a", "b", 9)
	for _, tc := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"no module", []byte("\x7fELF and more of it"), "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"a section that is longer than the module", append(good[:len(good):len(good)], 11, 9), "offset 31: section 11 is longer"},
		{"a section twice", append(good[:len(good):len(good)], 10, 1, 0), "offset 31: section 10 is out of order"},
		{"sections out of order", append(good[:len(good):len(good)], 1, 1, 0), "offset 31: section 1 is out of order"},
		{"a section of exceptions", append(good[:len(good):len(good)], 13, 1, 0), "offset 31: section 13 is not known"},
		{"too many functions", many.Bytes(), "50001 functions, but at most 50000"},
		{"a function too large", big.Bytes(), "bytes, but at most 524288"},
		{"four billion locals in six bytes", locals.Bytes(), "more than 4096 locals"},
		{"blocks within blocks", deep.Bytes(), "more than 5000 blocks within each other"},
		{"locals times blocks", heavy.Bytes(), "blocks and 4000 locals: a function may have"},
		{"branch tables", tables.Bytes(), "101000 branches in tables, but at most 100000"},
		{"the host's name", taken.Bytes(), "the export tw_fuel is the host's"},
		{"the host's global under another name", alias.Bytes(), "global 0, but it has 0"},
		{"a huge table", table.Bytes(), "a table of 1048576 elements"},
		{"data segments by the million in five bytes", with(11, 0xf9, 0xf9, 0xf9, 0x30, 0x30), "offset 10: 102661369 items in 1 bytes"},
		{"elements by the million", with(9, 1, 0, 0x41, 0, 0x0b, 0xf9, 0xf9, 0xf9, 0x30), "items in 0 bytes"},
		{"types by the million", with(1, 1, 0x60, 0xf9, 0xf9, 0xf9, 0x30), "items in 0 bytes"},
		{"names by the million", with(0, 4, 'n', 'a', 'm', 'e', 1, 4, 0xf9, 0xf9, 0xf9, 0x30), "items in 0 bytes"},
		{"locals' names by the million", with(0, 4, 'n', 'a', 'm', 'e', 2, 6, 1, 0, 0xf9, 0xf9, 0xf9, 0x30), "items in 0 bytes"},
		{"a name behind its subsection", with(0, 4, 'n', 'a', 'm', 'e', 0, 1, 9), "cut off"},
		{"nine tables", with(4, 9, 0x70, 0, 0, 0x70, 0, 0, 0x70, 0, 0, 0x70, 0, 0), "9 tables, but at most 8"},
		{"a call in a constant", with(6, 1, 0x7e, 0, 0x10, 0, 0x0b), "instruction 0x10 in a constant"},
		{"an import of no kind", imported.Bytes(), "an import of kind 9"},
		{"code that does not end", body(0x01, 0x01), "offset 32: cut off"},
		{"code behind the end", body(0x0b, 0x0b), "offset 31: more bytes"},
		{"fuel made by the module", body(0x42, 0x7f, 0x24, 0, 0x0b), "offset 32: global 0, but it has 0"},
		{"fuel looked at", body(0x23, 0, 0x1a, 0x0b), "global 0, but it has 0"},
		{"the host's function called", body(0x41, 0, 0x10, 1, 0x1a, 0x0b), "function 1, but it has 1"},
		{"an instruction that is not known", body(0x06, 0x0b), "offset 30: instruction 0x06"},
		{"atomics", body(0xfe, 0, 0x0b), "instruction 0xfe"},
		{"a tail call", body(0x12, 0, 0x0b), "instruction 0x12"},
		{"a second memory", body(0x3f, 1, 0x1a, 0x0b), "a second memory"},
		{"a second memory in an argument", body(0x41, 0, 0x28, 0x42, 0, 0, 0x1a, 0x0b), "a second memory"},
		{"a bulk instruction not known", body(0xfc, 18, 0x0b), "instruction 0xfc 18"},
		{"a bulk instruction's number longer than need be", body(0xfc, 0x8b, 0, 0, 0x0b), "instruction 0xfc 139"},
		{"a vector instruction's number that hides v128.const", body(0xfd, 0x8c, 0, 3, 0x40, 0x0c, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0x0b), "a vector instruction that is not known"},
		{"a block of a typed reference", body(0x02, 0x63, 0x70, 0x0b, 0x0b), "value type 0x63"},
		{"a block whose type is negative in two bytes", body(0x02, 0xff, 0x7f, 0x0b, 0x0b), "a block's type"},
		{"a typed select of two", body(0x1c, 2, 0x7f, 0x7f, 0x0b), "a select of more than one type"},
		{"a reference to a typed nothing", body(0xd0, 0x00, 0x1a, 0x0b), "value type 0x00"},
		{"a br_table longer than the code", body(0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b), "4294967295 items in 1 bytes"},
		{"a number that does not end", body(0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a, 0x0b), "a number that does not end"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := wasm.Instrument(tc.module); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// Every prefix of a module is refused or valid, never a panic.
func TestInstrumentTruncated(t *testing.T) {
	whole := everything().Bytes()
	if _, err := wasm.Instrument(whole); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range whole {
		if _, err := wasm.Instrument(whole[:n]); err != nil {
			refused++
		}
	}
	if refused < len(whole)/2 {
		t.Errorf("only %d of %d prefixes were refused", refused, len(whole))
	}
}

// everything is a module with something of all that Instrument touches.
func everything() *Module {
	m := NewModule()
	m.Memory(1, 4)
	m.Table(4, 9)
	m.Global(7)
	double := m.Func("double", "i:i", "", LocalGet(0), LocalGet(0), I32Add)
	m.Elements(double)
	m.Data(16, []byte("some data"))
	m.Func("sum", ":i", "ii", Loop(
		LocalGet(0), LocalGet(1), I32Add, Call(double), LocalSet(1),
		LocalGet(0), I32(1), I32Add, LocalTee(0), I32(100), I32LtU, BrIf(0)),
		LocalGet(1))
	m.Func("bulk", ":i", "", I32(64), I32(0x21), I32(256), MemoryFill, I32(0), I32(65), I32(100), MemoryCopy, I32(4), Load(I32Load, 0))
	m.Func("trap", ":i", "", I32(1), I32(0), Op(0x6d))
	m.Func("spin", ":", "", Loop(Br(0)))
	m.Custom("name", []byte{1, 1, 0})
	return m
}

// What Instrument accepts and the engine accepted before, the engine accepts after, and runs with the same results as long as the fuel suffices; and it ends, whatever
// it is.
func FuzzInstrument(f *testing.F) {
	f.Add(everything().Bytes())
	small := NewModule()
	small.Start(small.Func("f", ":l", "l", Op(0x03, 0x7e), I64(1), Op(0x0b), LocalGet(0), I64Add))
	f.Add(small.Bytes())
	vector := NewModule()
	vector.Func("f", ":i", "", I32(3), Op(0xfd, 17), I32(4), Op(0xfd, 17), Op(0xfd, 0xae, 1), Op(0xfd, 27, 0))
	f.Add(vector.Bytes())
	branch := NewModule()
	branch.Func("f", ":i", "", Op(0x02, 0x40), Op(0x02, 0x40), I32(1), Op(0x0e, 1, 0, 1), Op(0x0b), I32(10), Return, Op(0x0b), I32(20), I32(2), I32(1), Op(0x1c, 1, 0x7f))
	f.Add(branch.Bytes())
	r := engine(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		out, err := wasm.Instrument(module)
		if err != nil {
			return
		}
		before, err := r.CompileModule(ctx, module)
		after, errAfter := r.CompileModule(ctx, out)
		if err == nil {
			defer before.Close(ctx)
		}
		if errAfter == nil {
			defer after.Close(ctx)
		}
		if err == nil && errAfter != nil {
			t.Fatalf("the engine takes it, but not what Instrument made of it: %v", errAfter)
		}
		if marked, err := wasm.InstrumentMarked(module); err == nil && errAfter == nil {
			m, err := r.CompileModule(ctx, marked)
			if err != nil {
				t.Fatalf("the engine takes it, but not with marks: %v", err)
			}
			defer m.Close(ctx)
		}
		if err != nil || len(before.ImportedFunctions())+len(before.ImportedMemories()) > 0 {
			return
		}
		config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
		b, err := r.InstantiateModule(ctx, after, config)
		if err != nil {
			return
		}
		defer b.Close(ctx)
		fuel := fuelOf(t, b)
		if used := wasm.InitialFuel - int64(fuel.Get()); used > 1_000_000 {
			return
		}
		a, err := r.InstantiateModule(ctx, before, config)
		if err != nil {
			t.Fatalf("instrumented it starts, before it did not: %v", err)
		}
		defer a.Close(ctx)
		for name, def := range before.ExportedFunctions() {
			if len(def.ParamTypes()) > 0 {
				continue
			}
			fuel.Set(100_000)
			got, err := b.ExportedFunction(name).Call(ctx)
			if int64(fuel.Get()) < 0 || err != nil && strings.Contains(err.Error(), "overflow") {
				return // it may not have ended without; states differ from here on
			}
			want, errBefore := a.ExportedFunction(name).Call(ctx)
			if (err == nil) != (errBefore == nil) || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s: %d, %v before; %d, %v after", name, want, errBefore, got, err)
			}
			if len(before.ExportedMemories()) > 0 {
				x, _ := a.Memory().Read(0, a.Memory().Size())
				y, _ := b.Memory().Read(0, b.Memory().Size())
				if !bytes.Equal(x, y) {
					t.Fatalf("%s leaves another memory", name)
				}
			}
		}
	})
}
