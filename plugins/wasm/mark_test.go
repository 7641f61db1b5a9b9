package wasm_test

import (
	"bytes"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/tickwire/tickwire/plugins/wasm"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// A trap is found by its offset in the module as it was, and fuel is what it is without marks.
func TestMarked(t *testing.T) {
	m := everything()
	m.Func("load", "i:i", "", LocalGet(0), Load(I32Load, 0))
	m.Func("fill", "i:", "", I32(64), I32(1), LocalGet(0), MemoryFill)
	module := m.Bytes()
	r := engine(t)
	out, err := wasm.InstrumentMarked(module)
	if err != nil {
		t.Fatal(err)
	}
	marked, bare := instantiate(t, r, out), instrumented(t, r, m)
	mark := marked.ExportedGlobal(wasm.MarkName)
	if bare.ExportedGlobal(wasm.MarkName) != nil {
		t.Error("without being asked a module has marks")
	}
	for _, tc := range []struct {
		call  string
		arg   uint64
		bytes []byte // at the mark
		text  string
		traps bool
	}{
		{"trap", 0, []byte{0x6d}, "i32.div_s", true},
		{"load", 0xffff0, []byte{0x28, 0, 0}, "i32.load", true},
		{"load", 0, []byte{0x28, 0, 0}, "i32.load", false},
		{"fill", 0xfffff, []byte{0xfc, 0x0b, 0}, "memory.fill", true},
		{"spin", 0, []byte{0x03, 0x40}, "loop", true},
	} {
		var fuel [2]uint64
		for k, mod := range []api.Module{marked, bare} {
			fuelOf(t, mod).Set(10_000)
			var args []uint64
			if f := mod.ExportedFunction(tc.call); len(f.Definition().ParamTypes()) > 0 {
				args = []uint64{tc.arg}
			}
			if _, err := mod.ExportedFunction(tc.call).Call(ctx, args...); (err != nil) != tc.traps {
				t.Errorf("%s(%d): %v", tc.call, tc.arg, err)
			}
			fuel[k] = fuelOf(t, mod).Get()
		}
		at := int(mark.Get())
		if fuel[0] != fuel[1] || at >= len(module) || !bytes.HasPrefix(module[at:], tc.bytes) || wasm.InstructionAt(module, at) != tc.text {
			t.Errorf("%s(%d): fuel %d, want %d; the mark is at %d of %d, %q", tc.call, tc.arg, fuel[0], fuel[1], at, len(module), wasm.InstructionAt(module, at))
		}
	}
	fuelOf(t, marked).Set(10_000)
	if _, err := marked.ExportedFunction("sum").Call(ctx); err != nil {
		t.Error(err)
	}
	for at := -1; at <= len(module); at++ {
		wasm.InstructionAt(module, at) // whatever is there
	}
	if n, err := wasm.FunctionCount(module); n != 7 || err != nil {
		t.Errorf("%d functions, %v", n, err)
	}
}

func TestMarkedRefuses(t *testing.T) {
	m := everything()
	m.Export(wasm.MarkName, 0, 0)
	if _, err := wasm.InstrumentMarked(m.Bytes()); err == nil {
		t.Error("a module with an export of that name is taken")
	}
	if _, err := wasm.Instrument(m.Bytes()); err != nil {
		t.Error(err)
	}
}
