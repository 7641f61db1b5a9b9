package wasm_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/tickwire/tickwire/plugins/wasm"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// foreign is a module for another host: it imports two functions of env and one of wasi, has a table, data, a start function and a global.
func foreign() []byte {
	m := NewModule()
	gone := m.Import("env", "gone", "i:i")
	kept := m.Import("wasi", "kept", ":i")
	other := m.Import("env", "other", ":")
	m.Memory(1, 1)
	m.Table(2, 2)
	count := m.Global(0)
	add := m.Func("", "i:i", "", LocalGet(0), Call(gone), Call(kept), I32Add)
	m.Func("sum", "i:i", "", LocalGet(0), I32(1), CallIndirect(m.Type("i:i")))
	m.Func("count", ":l", "", GlobalGet(count))
	start := m.Func("", ":", "", Call(other), GlobalGet(count), I64(1), I64Add, GlobalSet(count))
	m.Elements(start, add)
	m.Data(8, []byte("old"))
	m.Start(start)
	m.Custom("name", nil)
	return m.Bytes()
}

func glue() *wasm.Glue {
	return &wasm.Glue{
		Imports: []wasm.GlueFunction{{Module: "tickwire", Name: "ten", Signature: ":i"}},
		Instead: []wasm.GlueFunction{
			{Module: "env", Name: "gone", Signature: "i:i", Body: func(*wasm.Names) []byte { return Seq(LocalGet(0), I32(2), I32Mul) }},
			{Module: "env", Name: "other", Signature: ":", Body: func(*wasm.Names) []byte { return nil }},
		},
		Functions: []wasm.GlueFunction{{Name: "tw_run", Signature: "ii:d", Locals: "il", Export: true, Body: func(n *wasm.Names) []byte {
			return Seq( // the sum of what the engine says, what the host says, a global and a byte of the segment
				I32(0), I32(1), I32(1), MemoryInit(n.Segment()),
				LocalGet(0), Call(n.Function("sum")), Call(n.Function("ten")), I32Add, LocalSet(2),
				I32(100), GlobalSet(n.Global("mine")),
				LocalGet(2), GlobalGet(n.Global("mine")), I32Add, I32(0), Load(I32Load8U, 0), I32Add, F64ConvertI32)
		}}},
		Globals: []string{"mine"}, Data: []byte{1, 7}, Keep: []string{"memory", "count"},
	}
}

// Goal: an engine and glue are one module in which each call reaches what it means. Method: link them, instrument them as a host does, and run.
func TestLink(t *testing.T) {
	module, err := wasm.Link(foreign(), glue())
	if err != nil {
		t.Fatal(err)
	}
	if module, err = wasm.Instrument(module); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	for module, f := range map[string]func() uint32{"wasi/kept": func() uint32 { return 3 }, "tickwire/ten": func() uint32 { return 10 }} {
		host, name, _ := strings.Cut(module, "/")
		if _, err := r.NewHostModuleBuilder(host).NewFunctionBuilder().WithFunc(f).Export(name).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m, err := r.Instantiate(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.ExportedFunction("tw_run").Call(ctx, 20, 0)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if want := float64(20*2 + 3 + 10 + 100 + 7); got[0] != math.Float64bits(want) {
		t.Errorf("got %x, want that of %v", got[0], want)
	}
	if got, err := m.ExportedFunction("count").Call(ctx); err != nil || got[0] != 1 {
		t.Errorf("the start function ran %v times, %v", got, err)
	}
	if m.ExportedFunction("sum") != nil {
		t.Error("an export that was not to be kept is there")
	}
}

// What does not fit is an error, not a module that does something else.
func TestLinkRefuses(t *testing.T) {
	for want, change := range map[string]func(g *wasm.Glue){
		"is not l:i": func(g *wasm.Glue) { g.Instead[0].Signature = "l:i" },
		"for imports that the module does not have": func(g *wasm.Glue) { g.Instead[1].Name = "missing" },
		`does not have: ["nobody"]`: func(g *wasm.Glue) {
			g.Functions[0].Body = func(n *wasm.Names) []byte { return Seq(Call(n.Function("nobody"))) }
		},
	} {
		g := glue()
		change(g)
		if _, err := wasm.Link(foreign(), g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want … %s …", err, want)
		}
	}
}

func FuzzLink(f *testing.F) {
	f.Add(foreign())
	f.Add(Kernel())
	f.Add(WideKernel())
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, module []byte) {
		g := glue()
		linked, err := wasm.Link(module, g)
		if err != nil {
			return
		}
		for _, err := range wasm.Sections(linked) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
