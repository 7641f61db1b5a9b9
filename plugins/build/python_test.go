package build

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/trial"
	"github.com/tickwire/tickwire/tick"
)

// Goal: plugins in Python do what they say, and what they do wrong stays theirs. Method: build them, and run them in the host. One host for all: the interpreter
// takes seconds to compile, and its cache keeps it.
func TestPython(t *testing.T) {
	compiles(t, "python")
	host, err := plugins.New(plugins.Options{CacheDir: filepath.Join(t.TempDir(), "cache")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })

	instance := func(t *testing.T, dir string) (*plugins.Instance, error) {
		t.Helper()
		path, err := Build(dir)
		var missing *MissingError
		if errors.As(err, &missing) {
			toolchain.Check(t, err)
		}
		if err != nil {
			return nil, err
		}
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plugin, err := host.Compile(module)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { plugin.Close() })
		i, err := plugin.Instance(plugins.Env{})
		if err == nil {
			t.Cleanup(func() { i.Close() })
		}
		return i, err
	}
	script := func(t *testing.T, kinds, params, text string) (*plugins.Instance, error) {
		t.Helper()
		dir := t.TempDir()
		m := `{"name": "scripted", "version": "0.1.0", "abi": 1, "kinds": [` + kinds + `], "params": [` + params + `],
			"limits": {"max_rows": 16, "memory_pages": 1024, "fuel_per_row": 100000}, "wasi": true, "command": true}`
		for name, text := range map[string]string{ManifestFile: m, "plugin.py": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return instance(t, dir)
	}
	template := func(t *testing.T, kind manifest.Kind) *plugins.Instance {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "my-plugin")
		if err := New(dir, "python", kind); err != nil {
			t.Fatal(err)
		}
		i, err := instance(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	set := func(i *plugins.Instance, id uint16, row int, b []byte) {
		view, stride := i.Column(0, id)
		clear(view[row*stride : (row+1)*stride])
		copy(view[row*stride:], b)
	}
	get := func(i *plugins.Instance, id uint16, row int) string {
		view, stride := i.Column(0, id)
		return strings.TrimRight(string(view[row*stride:(row+1)*stride]), "\x00")
	}

	t.Run("transform", func(t *testing.T) {
		i := template(t, manifest.Transform)
		for r, p := range [][2]int64{{100, 103}, {undef, 103}, {100, undef}, {300, 100}} {
			b.After[r].BidPx, b.After[r].AskPx = p[0], p[1]
		}
		b.N = 4
		s := plugins.Sides{}
		s.Custom[0] = new([tick.MaxRows]uint64)
		for range 3 { // it stays between calls
			if err := i.Transform(0, b, 0, 4, &s); err != nil {
				t.Fatal(err)
			}
		}
		if got := [4]uint64(s.Custom[0][:4]); got != [4]uint64{3, 0, 0, 1<<64 - 200} {
			t.Errorf("spreads are %v", got)
		}
	})
	t.Run("validator", func(t *testing.T) {
		i := template(t, manifest.Validator)
		copy(b.Price[:], []int64{5, 0, -1, 7})
		if n, err := i.Validate(0, b, 0, 4, nil); n != 2 || err != nil {
			t.Errorf("%d rows are not kept, want 2: %v", n, err)
		}
	})
	t.Run("partition", func(t *testing.T) {
		i := template(t, manifest.Partition)
		const day = 86_400_000_000_000
		copy(b.TsEvent[:], []uint64{0, day - 1, day, 1<<64 - 1})
		copy(b.Instrument[:], []uint32{0, 1, 2, 1<<32 - 1})
		keys, err := i.Partition(0, b, 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		for r := range keys {
			if want := b.TsEvent[r]/day*16 + uint64(b.Instrument[r]*2654435769>>28); keys[r] != want {
				t.Errorf("row %d: key %d, want %d", r, keys[r], want)
			}
		}
	})
	t.Run("function, by tools", func(t *testing.T) { // a command has no exports that they could call themselves
		dir := filepath.Join(t.TempDir(), "my-plugin")
		if err := errors.Join(New(dir, "python", manifest.Function), trial.WriteTemplate(dir, manifest.Function)); err != nil {
			t.Fatal(err)
		}
		i, err := instance(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		checks, err := trial.CheckAll(i.Plugin(), filepath.Join(dir, trial.Folder), trial.Options{})
		if err != nil || len(checks) < 5 {
			t.Fatal(checks, err)
		}
		for _, k := range checks {
			if !k.Ok {
				t.Errorf("%s: %s", k.Name, k.What)
			}
		}
		costs, err := trial.Bench(i.Plugin(), nil, time.Millisecond)
		if err != nil || len(costs) == 0 {
			t.Fatal(costs, err)
		}
		for _, c := range costs {
			if c.RowNs <= 0 || c.CallNs <= 0 {
				t.Errorf("%+v", c)
			}
		}
	})
	t.Run("parameters and texts", func(t *testing.T) {
		i, err := script(t, `{"kind": "function", "name": "probe", "args": ["str"], "returns": "str"}`,
			`{"name": "n", "type": "i64", "default": 9223372036854775807}, {"name": "px", "type": "price", "default": "-1.5"}, {"name": "f", "type": "f64", "default": 3.5},
			{"name": "yes", "type": "bool", "default": true}, {"name": "text", "type": "string", "default": "{\"n\":1,\\ \"é€"}`,
			`import tickwire
@tickwire.function("probe")
def probe(n, c, p):
    print("words")
    for i in range(n):
        if c.args[0][i] == "null":
            c.result_null[i] = 1
        else:
            c.result[i] = f"{c.args[0][i]} {p.n} {p.px} {p.f} {p.yes} {p.text}"
`)
		if err != nil {
			t.Fatal(err)
		}
		set(i, manifest.ColumnArg, 0, []byte("häß€😀"))
		set(i, manifest.ColumnArg, 1, []byte("null"))
		if err := i.Function(0, 2); err != nil {
			t.Fatal(err)
		}
		if got, want := get(i, manifest.ColumnResult, 0), "häß€😀 9223372036854775807 -1500000000 3.5 True {\"n\":1,\\ \"é€"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if null, _ := i.Column(0, manifest.ColumnNull); null[0] != 0 || null[1] != 1 {
			t.Errorf("NULLs are %v", null[:2])
		}
	})
	t.Run("NULLs", func(t *testing.T) { // as of any function that does not look at them; one that does is told
		const kinds = `{"kind": "function", "name": "inverse", "args": ["i64", "str"], "returns": "f64"}, {"kind": "function", "name": "seen", "args": ["i64"], "returns": "i64"},
			{"kind": "function", "name": "text", "args": ["str"], "returns": "str"}`
		i, err := script(t, kinds, "", `import tickwire
@tickwire.function("inverse")
def inverse(n, c, p):
    for i in range(n):
        if c.args[0][i] == 4:
            c.result_null[i] = 1
        c.result[i] = 1 / c.args[0][i] + len(c.args[1][i])
@tickwire.function("seen", nulls=True)
def seen(n, c, p):
    for i in range(n):
        c.result[i] = -1 if c.nulls[0][i] else c.args[0][i]
@tickwire.function("text")
def text(n, c, p):
    for i in range(n):
        c.result[i] = c.args[0][i].upper()
`)
		if err != nil {
			t.Fatal(err)
		}
		put := func(unit int, id uint16, bytes ...byte) {
			view, _ := i.Column(unit, id)
			copy(view, bytes)
		}
		for range 2 { // what a call said of NULLs is not the next one's
			for row, v := range []byte{2, 0, 4, 5, 8} {
				view, stride := i.Column(0, manifest.ColumnArg)
				view[row*stride] = v
			}
			put(0, manifest.ColumnArgNull, 0, 1, 0, 0, 0)
			put(0, manifest.ColumnArgNull+1, 0, 0, 0, 1, 0)
			set(i, manifest.ColumnArg+1, 4, []byte("ab"))
			if err := i.Function(0, 5); err != nil {
				t.Fatal(err)
			}
			null, _ := i.Column(0, manifest.ColumnNull)
			result, _ := i.Column(0, manifest.ColumnResult)
			first, last := math.Float64frombits(binary.LittleEndian.Uint64(result)), math.Float64frombits(binary.LittleEndian.Uint64(result[4*8:]))
			if [5]byte(null) != [5]byte{0, 1, 1, 1, 0} || first != 0.5 || last != 2.125 {
				t.Errorf("NULLs are %v, the first result %v, the last %v", null[:5], first, last)
			}
		}
		put(0, manifest.ColumnArgNull, 1, 1)
		if err := i.Function(0, 2); err != nil { // nobody is asked
			t.Fatal(err)
		}
		put(1, manifest.ColumnArgNull, 1, 0)
		if err := i.Function(1, 2); err != nil {
			t.Fatal(err)
		}
		null, _ := i.Column(1, manifest.ColumnNull)
		if result, _ := i.Column(1, manifest.ColumnResult); result[0] != 0xff || result[8] != 0 || null[0] != 0 {
			t.Errorf("one that sees NULLs: %v, NULLs %v", result[:16], null[:2])
		}
		text, stride := i.Column(2, manifest.ColumnArg)
		copy(text, "x")
		copy(text[2*stride:], "abc")
		put(2, manifest.ColumnArgNull, 0, 1, 0)
		if err := i.Function(2, 3); err != nil {
			t.Fatal(err)
		}
		null, _ = i.Column(2, manifest.ColumnNull)
		result, stride := i.Column(2, manifest.ColumnResult)
		if got := string(bytes.ReplaceAll(result[:2*stride+4], []byte{0}, nil)); got != "XABC" || [3]byte(null) != [3]byte{0, 1, 0} {
			t.Errorf("texts: %q, NULLs %v", got, null[:3])
		}
	})
	for name, tc := range map[string]struct{ script, want string }{
		"a type":        {"def f(n, c, p):\n    c.price[0] = 1.5\n", "TypeError: 'float' object cannot be interpreted as an integer at plugin.py:4"},
		"a value":       {"def f(n, c, p):\n    c.price[0] = 2**63\n", "OverflowError"},
		"a length":      {"def f(n, c, p):\n    c.price.append(1)\n", "its length must stay"},
		"no end":        {"def f(n, c, p):\n    while True: pass\n", "out of fuel"},
		"too much":      {"def f(n, c, p):\n    bytearray(1 << 30)\n", "MemoryError"},
		"exit":          {"def f(n, c, p):\n    import os\n    os._exit(0)\n", "it ended"},
		"too long":      {"def f(n, c, p):\n    import os\n    os.write(1, bytes(100000))\n", "it answers with more than"},
		"another":       {"def f(n, c, p):\n    import os\n    os.write(1, bytes(4))\n", "it answered with"},
		"input is gone": {"def f(n, c, p):\n    import os\n    os.read(0, 100)\n", "it left 0 bytes of its input and answered with 0"},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := script(t, doubler, "", "import tickwire\n@tickwire.transform\n"+tc.script)
			if err != nil {
				t.Fatal(err)
			}
			b.Price[0] = 21
			if err := i.Transform(0, b, 0, 1, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want … %s …", err, tc.want)
			}
			if b.Price[0] != 21 {
				t.Errorf("the price is %d now", b.Price[0])
			}
		})
	}
	for script1, want := range map[string]string{
		"def f(:\n":         "SyntaxError",
		"import tickwire\n": "the script has no transform",
		"import tickwire\ntickwire.validator(len)":   "the manifest has no validator at plugin.py:2",
		"open('/etc/passwd')":                        "Error",
		"import socket\nsocket.create_connection(1)": "Error",
		"while True: pass":                           "out of fuel",
	} {
		t.Run(script1, func(t *testing.T) {
			if i, err := script(t, doubler, "", script1); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want … %s …", err, want)
			} else if i != nil {
				t.Error("there is an instance")
			}
		})
	}
}
