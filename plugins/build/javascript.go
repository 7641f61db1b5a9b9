package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
	"github.com/tickwire/tickwire/plugins/wasm"
	asm "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// A plugin in JavaScript is an interpreter that was made for another host, QuickJS, linked with glue:
//
//	quickjs.wasm ── its imports env.* ─► glue that does nothing          (module loaders, interrupts, promises: not for plugins)
//	             ── its exports qjs_* ◄─ glue: tw_init, tw_layout, tw_transform, …  ◄── the host, as of any plugin
//	segment: tickwire.js (the columns as typed arrays) | the script | names
//
// The module that comes out has the ABI's exports and WASI's imports, and the host's bounds hold for it as for any other. It is interpreted: a row takes hundreds
// of times what compiled code takes.

// QuickJSVersion is the package of npm that has the engine (MIT licence).
const QuickJSVersion = "3.6.2"

const quickJSPackage = "quickjs-wasi"

func compileJavaScript(j job) error {
	engine, err := findPackaged(j.dir, quickJSPackage, "quickjs.wasm")
	if err != nil {
		return &MissingError{"JavaScript", "the engine " + quickJSPackage, "npm install " + quickJSPackage + "@" + QuickJSVersion + " in " + j.dir}
	}
	module, err := os.ReadFile(engine)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	script, err := os.ReadFile(filepath.Join(j.dir, j.sources[0]))
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	if bytes.IndexByte(script, 0) >= 0 {
		return fmt.Errorf("build: %s: a NUL at byte %d", j.sources[0], bytes.IndexByte(script, 0))
	}
	if !j.manifest.WASI {
		return fmt.Errorf("build: %s: a plugin in JavaScript needs \"wasi\": true, since its engine does", ManifestFile)
	}
	prelude, err := preludeOf(j.manifest)
	if err != nil {
		return err
	}
	module, err = wasm.Link(module, javaScriptGlue(j.manifest, prelude, script, j.sources[0]))
	if err != nil {
		return fmt.Errorf("build: %s is not that of %s %s: %w", engine, quickJSPackage, QuickJSVersion, err)
	}
	return os.WriteFile(j.out, module, 0o644)
}

// findPackaged finds a file of a package where npm puts it, in dir and the folders that dir is in, then in NODE_PATH.
func findPackaged(dir, name, file string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	var folders []string
	for ; ; at = filepath.Dir(at) {
		folders = append(folders, filepath.Join(at, "node_modules"))
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, folder := range append(folders, filepath.SplitList(os.Getenv("NODE_PATH"))...) {
		path := filepath.Join(folder, name, file)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fs.ErrNotExist
}

// scriptColumn is a column as the script's prelude knows it.
type scriptColumn struct {
	ID     int    `json:"id"`
	Name   string `json:"name,omitempty"`
	List   string `json:"list,omitempty"` // it is one of a list of that name
	Type   string `json:"type"`
	Access int    `json:"access"`
	Stride int    `json:"stride"`
}

type scriptUnit struct {
	Kind    manifest.Kind  `json:"kind"`
	Name    string         `json:"name,omitempty"`
	Rows    int            `json:"rows"`
	Columns []scriptColumn `json:"columns"`
}

// Strides of texts: a symbol and a NUL, a participant, an argument.
const (
	symbolStride = 72
	mpidStride   = 8
	textStride   = 256
)

// preludeOf is tickwire.js with what it has to know of the manifest.
func preludeOf(m *manifest.Manifest) ([]byte, error) {
	text, err := sdk.Files.ReadFile("javascript/tickwire.js")
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	units := []scriptUnit{}
	for k := range m.Kinds {
		u, err := scriptUnitOf(&m.Kinds[k], m.Limits.MaxRows)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	floats := []string{}
	for _, p := range m.Params {
		if p.Type == "f64" {
			floats = append(floats, p.Name)
		}
	}
	for mark, v := range map[string]any{"TICKWIRE_UNITS": units, "TICKWIRE_FLOATS": floats} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("build: %w", err)
		}
		text = bytes.ReplaceAll(text, []byte(mark), b)
	}
	return text, nil
}

func scriptUnitOf(u *manifest.Unit, rows int) (scriptUnit, error) {
	out := scriptUnit{Kind: u.Kind, Name: u.Name, Rows: rows}
	add := func(id int, name, list string, t manifest.Type, access int) {
		c := scriptColumn{ID: id, Name: name, List: list, Type: t.Wire().String(), Access: access, Stride: t.Bytes()}
		if t.Wire() == manifest.Str {
			c.Stride = map[string]int{"symbol": symbolStride, "mpid": mpidStride}[name]
			if c.Stride == 0 {
				c.Stride = textStride
			}
		}
		for k := range out.Columns {
			if out.Columns[k].ID == id {
				out.Columns[k].Access |= access
				return
			}
		}
		out.Columns = append(out.Columns, c)
	}
	earlier := 0
	named := func(names []string, access int) {
		for _, name := range names {
			if c, ok := manifest.ColumnNamed(name); ok {
				add(int(c.ID), name, "", c.Type, access)
			} else { // of a plugin before it, whose type only the chain knows
				add(manifest.ColumnEarlier+earlier, name, "", manifest.I64, access)
				earlier++
			}
		}
	}
	const read, write = 1, 2
	named(u.Reads, read)
	switch u.Kind {
	case manifest.Transform:
		named(u.Writes, write)
		for k, c := range u.Custom {
			add(manifest.ColumnCustom+k, c.Name, "", c.Type, write)
		}
	case manifest.Validator:
		named([]string{"row_ctl", "reason"}, write)
	case manifest.Function:
		for k, t := range u.Args {
			add(manifest.ColumnArg+k, "", "args", t, read)
		}
		add(manifest.ColumnResult, "result", "", u.Returns, write)
		add(manifest.ColumnNull, "result_null", "", manifest.U8, write)
	case manifest.Partition:
		add(manifest.ColumnResult, "key", "", manifest.U64, write)
	default:
		return out, fmt.Errorf("build: a %s cannot be written in JavaScript: only transform, validator, function, partition", u.Kind)
	}
	return out, nil
}

// Calls of the prelude, by number.
const (
	callStart  = iota // address of the memory, parameters
	callLayout        // unit
	callRun           // unit, rows
	callReady
	callCaught // -, what was thrown
	callErrorAt
	callErrorBytes
)

// scriptStack is the engine's stack that a script may use: half of what it has, so that a recursion without end is an error of the script and no trap.
const scriptStack = 512 << 10

// javaScriptGlue is what makes a plugin of the engine.
//
// Values of the engine are boxes in its memory, held by their address: what is got is given back with qjs_free_value.
func javaScriptGlue(m *manifest.Manifest, prelude, script []byte, name string) *wasm.Glue {
	g := &wasm.Glue{
		Globals: []string{"call", "argv", "data"},
		Keep:    []string{"memory", "_initialize"},
	}
	text := func(b []byte) int {
		at := len(g.Data)
		g.Data = append(append(g.Data, b...), 0)
		return at
	}
	preludeAt, scriptAt, preludeName, scriptName := text(prelude), text(script), text([]byte("tickwire.js")), text([]byte(name))
	callName, memoryName := text([]byte("__tickwire")), text([]byte("__tickwire_memory"))

	for _, f := range []wasm.GlueFunction{
		{Name: "host_get_timezone_offset", Signature: "ii:i"}, {Name: "host_interrupt", Signature: ":i"}, {Name: "host_promise_rejection", Signature: "iii:"},
		{Name: "host_module_normalize", Signature: "ii:i"}, {Name: "host_module_load", Signature: "ii:i"}, {Name: "host_call", Signature: "iiiii:i"},
	} {
		f.Module = "env"
		f.Body = func(*wasm.Names) []byte { // nothing of it is for plugins: 0
			if strings.HasSuffix(f.Signature, ":") {
				return nil
			}
			return asm.I32(0)
		}
		g.Instead = append(g.Instead, f)
	}
	add := func(name, signature, locals string, export bool, body func(n *wasm.Names) asm.Code) {
		g.Functions = append(g.Functions, wasm.GlueFunction{
			Name: name, Signature: signature, Locals: locals, Export: export, Body: func(n *wasm.Names) []byte { return body(n) },
		})
	}
	call := func(n *wasm.Names, f string, args ...asm.Code) asm.Code {
		return asm.Seq(asm.Seq(args...), asm.Call(n.Function(f)))
	}
	data := func(n *wasm.Names, at int) asm.Code {
		return asm.Seq(asm.GlobalGet(n.Global("data")), asm.I32(int32(at)), asm.I32Add)
	}
	number := func(n *wasm.Names, i32 asm.Code) asm.Code { return call(n, "qjs_new_number", i32, asm.F64ConvertI32) }

	// ask(call, a, b box) → answer: calls the prelude. b is given back.
	add("ask", "iii:i", "i", false, func(n *wasm.Names) asm.Code {
		argv := asm.GlobalGet(n.Global("argv"))
		return asm.Seq(
			argv, number(n, asm.LocalGet(0)), asm.Store(asm.I32Store, 0),
			argv, number(n, asm.LocalGet(1)), asm.Store(asm.I32Store, 4),
			argv, asm.LocalGet(2), asm.Store(asm.I32Store, 8),
			call(n, "qjs_get_undefined"), asm.LocalSet(0),
			call(n, "qjs_call", asm.GlobalGet(n.Global("call")), asm.LocalGet(0), asm.I32(3), argv), asm.LocalSet(3),
			call(n, "qjs_free_value", asm.LocalGet(0)),
			call(n, "qjs_free_value", argv, asm.Load(asm.I32Load, 0)),
			call(n, "qjs_free_value", argv, asm.Load(asm.I32Load, 4)),
			call(n, "qjs_free_value", asm.LocalGet(2)),
			call(n, "qjs_is_exception", asm.LocalGet(3)), asm.If(asm.I32(-1), asm.Return), // no memory, not even for the error
			call(n, "qjs_get_float64", asm.LocalGet(3)), asm.I32TruncSat, asm.LocalSet(0),
			call(n, "qjs_free_value", asm.LocalGet(3)),
			asm.LocalGet(0))
	})
	number0 := func(n *wasm.Names) asm.Code { return number(n, asm.I32(0)) }
	// evaluate(at, bytes, name) → 0, or −1: a text of the segment, as a script.
	add("evaluate", "iii:i", "i", false, func(n *wasm.Names) asm.Code {
		return asm.Seq(
			call(n, "qjs_eval", asm.LocalGet(0), asm.LocalGet(1), asm.LocalGet(2), asm.I32(0)), asm.LocalSet(3),
			call(n, "qjs_is_exception", asm.LocalGet(3)), asm.LocalSet(0),
			call(n, "qjs_free_value", asm.LocalGet(3)),
			asm.LocalGet(0), asm.If(
				asm.GlobalGet(n.Global("call")), asm.I32Eqz, asm.If(asm.I32(-1), asm.Return), // the prelude itself
				call(n, "ask", asm.I32(callCaught), asm.I32(0), call(n, "qjs_get_exception")), asm.Drop,
				asm.I32(-1), asm.Return),
			asm.I32(0))
	})
	add("tw_abi", ":i", "", true, func(*wasm.Names) asm.Code { return asm.I32(int32(m.ABI)) })
	add("tw_alloc", "i:i", "", true, func(n *wasm.Names) asm.Code { return call(n, "wasm_malloc", asm.LocalGet(0)) })
	add("tw_init", "ii:i", "ii", true, func(n *wasm.Names) asm.Code {
		failed := asm.If(asm.I32(-1), asm.Return)
		return asm.Seq(
			call(n, "qjs_init"), failed,
			call(n, "qjs_set_max_stack_size", asm.I32(scriptStack)),
			call(n, "qjs_set_gc_threshold", asm.I32(-1)), // none: what no cycle holds goes at once, and a search for cycles would fall on any batch
			call(n, "wasm_malloc", asm.I32(int32(len(g.Data)))), asm.GlobalSet(n.Global("data")),
			call(n, "wasm_malloc", asm.I32(16)), asm.GlobalSet(n.Global("argv")),
			asm.GlobalGet(n.Global("data")), asm.I32Eqz, failed, asm.GlobalGet(n.Global("argv")), asm.I32Eqz, failed,
			asm.GlobalGet(n.Global("data")), asm.I32(0), asm.I32(int32(len(g.Data))), asm.MemoryInit(n.Segment()),
			call(n, "evaluate", data(n, preludeAt), asm.I32(int32(len(prelude))), data(n, preludeName)), failed,
			call(n, "qjs_get_global"), asm.LocalSet(2),
			call(n, "qjs_get_prop_string", asm.LocalGet(2), data(n, memoryName)), asm.LocalSet(3),
			call(n, "qjs_get_prop_string", asm.LocalGet(2), data(n, callName)), asm.GlobalSet(n.Global("call")),
			call(n, "qjs_free_value", asm.LocalGet(2)),
			// The memory lives as long as the prelude, which holds it.
			call(n, "ask", asm.I32(callStart), call(n, "qjs_get_array_buffer", asm.LocalGet(3), asm.GlobalGet(n.Global("argv"))),
				call(n, "qjs_new_string", asm.LocalGet(0), asm.LocalGet(1))), failed,
			call(n, "qjs_free_value", asm.LocalGet(3)),
			call(n, "evaluate", data(n, scriptAt), asm.I32(int32(len(script))), data(n, scriptName)), failed,
			call(n, "ask", asm.I32(callReady), asm.I32(0), number0(n)))
	})
	add("tw_layout", "i:i", "", true, func(n *wasm.Names) asm.Code {
		return call(n, "ask", asm.I32(callLayout), asm.LocalGet(0), number0(n))
	})
	add("tw_error", ":l", "", true, func(n *wasm.Names) asm.Code {
		return asm.Seq(
			asm.GlobalGet(n.Global("call")), asm.I32Eqz, asm.If(asm.I64(0), asm.Return),
			call(n, "ask", asm.I32(callErrorAt), asm.I32(0), number0(n)), asm.I64ExtendU, asm.I64(32), asm.I64Shl,
			call(n, "ask", asm.I32(callErrorBytes), asm.I32(0), number0(n)), asm.I64ExtendU, asm.I64Or)
	})
	exports := map[manifest.Kind]string{
		manifest.Transform: "tw_transform", manifest.Validator: "tw_validate", manifest.Function: "tw_function", manifest.Partition: "tw_partition",
	}
	for k := range m.Kinds {
		name := exports[m.Kinds[k].Kind]
		delete(exports, m.Kinds[k].Kind)
		if name != "" {
			add(name, "ii:i", "", true, func(n *wasm.Names) asm.Code {
				return call(n, "ask", asm.I32(callRun), asm.LocalGet(0), number(n, asm.LocalGet(1)))
			})
		}
	}
	return g
}
