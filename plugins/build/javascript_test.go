package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// scripted builds a script with a manifest's kinds and parameters.
func scripted(t *testing.T, kinds, params, script string) ([]byte, error) {
	t.Helper()
	compiles(t, "javascript")
	dir := t.TempDir()
	text := `{"name": "scripted", "version": "0.1.0", "abi": 1, "kinds": [` + kinds + `], "params": [` + params + `],
		"limits": {"max_rows": 16, "memory_pages": 64, "fuel_per_row": 100000}, "wasi": true}`
	for name, text := range map[string]string{ManifestFile: text, "plugin.js": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := Build(dir)
	var missing *MissingError
	if errors.As(err, &missing) {
		toolchain.Check(t, err)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Parameters of all types, texts and NULLs reach a script as they are, and go back.
func TestJavaScriptParams(t *testing.T) {
	module, err := scripted(t, `{"kind": "function", "name": "probe", "args": ["str", "f64"], "returns": "str"}`,
		`{"name": "n", "type": "i64", "default": 9223372036854775807}, {"name": "px", "type": "price", "default": "-1.5"}, {"name": "f", "type": "f64", "default": 3},
		{"name": "yes", "type": "bool", "default": true}, {"name": "text", "type": "string", "default": "{\"n\":1,\\ \"é€"}`,
		`tickwire.function("probe", (n, { args: [text, number], result, result_null }, p) => {
			for (let i = 0; i < n; i++) {
				if (text.get(i) === "null") result_null[i] = 1;
				else result.set(i, [text.get(i), number[i], p.n, typeof p.n, p.px, p.f, typeof p.f, p.yes, p.text].join(" "));
			}
		});`)
	if err != nil {
		t.Fatal(err)
	}
	g := guest.Load(t, module, nil)
	g.SetTexts(0, manifest.ColumnArg, []string{"häß€😀", "null", ""})
	guest.Set(g, 0, manifest.ColumnArg+1, []float64{0.5, 1, -2})
	if n := g.Call("tw_function", 0, 3); n != 3 {
		t.Fatalf("%d rows, want 3", n)
	}
	const params = ` 9223372036854775807 bigint -1500000000 3 number true {"n":1,\ "é€`
	for i, want := range []string{"häß€😀 0.5" + params, "", " -2" + params} {
		if got := g.Texts(0, manifest.ColumnResult, 3)[i]; got != want {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
	if got := guest.Get[uint8](g, 0, manifest.ColumnNull, 3); got[0] != 0 || got[1] != 1 || got[2] != 0 {
		t.Errorf("NULLs are %v", got)
	}
}

const doubler = `{"kind": "transform", "reads": ["price"], "writes": ["price"]}`

// What a script does wrong is an error that names its line, the rows stay as they were, and the next batch may be right.
func TestJavaScriptThrows(t *testing.T) {
	module, err := scripted(t, doubler, "", "tickwire.transform((n, { price }) => {\n  price[0] = 7n;\n  for (let i = 0; i < n; i++) price[i] = price[i] * 2;\n});\n")
	if err != nil {
		t.Fatal(err)
	}
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	plugin, err := host.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	defer plugin.Close()
	i, err := plugin.Instance(plugins.Env{Lane: true})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	b.N, b.Price[0], b.Price[1] = 2, 21, 22
	err = i.Transform(0, b, 0, 2, nil)
	if err == nil || !strings.Contains(err.Error(), "TypeError") || !strings.Contains(err.Error(), "plugin.js:3") {
		t.Errorf("got %v, want the type's error in line 3", err)
	}
	if b.Price[0] != 21 || b.Price[1] != 22 {
		t.Errorf("the prices are %d and %d now", b.Price[0], b.Price[1])
	}
}

// Scripts that cannot be plugins do not start, and say why.
func TestJavaScriptRefused(t *testing.T) {
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for script, want := range map[string]string{
		"let a = ;":                     "SyntaxError",
		"// nothing":                    "the script has no transform",
		"tickwire.validator(() => {});": "the manifest has no validator",
		"tickwire.transform(1);":        "want a function",
		"for (;;) ;":                    "out of fuel",
		"const f = () => f() + 1; f();": "call stack size",
		"throw 5;":                      "threw 5",
		"import('x');":                  "the script has no transform", // and nothing is loaded
		"const a = []; for (;;) a.push([a, a]); ": "out of",
	} {
		module, err := scripted(t, doubler, "", script)
		if err != nil {
			t.Fatal(err)
		}
		plugin, err := host.Compile(module)
		if err != nil {
			t.Fatal(err)
		}
		i, err := plugin.Instance(plugins.Env{Lane: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want … %s …", script, err, want)
		}
		if i != nil {
			i.Close()
		}
		plugin.Close()
	}
	if _, err := scripted(t, `{"kind": "codec", "name": "c", "type": "i64"}`, "", ""); err == nil || !strings.Contains(err.Error(), "a codec cannot be written in JavaScript") {
		t.Errorf("a codec: %v", err)
	}
	if _, err := scripted(t, doubler, "", "a\x00b"); err == nil || !strings.Contains(err.Error(), "a NUL at byte 1") {
		t.Errorf("a NUL: %v", err)
	}
}

// Another file than the engine's is refused, whatever is in it.
func TestJavaScriptOtherEngine(t *testing.T) {
	modules := t.TempDir()
	if err := os.MkdirAll(filepath.Join(modules, quickJSPackage), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "p")
	if err := New(dir, "javascript", manifest.Transform); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NODE_PATH", modules)
	for _, engine := range []string{"", "text", "\x00asm\x01\x00\x00\x00"} {
		if err := os.WriteFile(filepath.Join(modules, quickJSPackage, "quickjs.wasm"), []byte(engine), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Build(dir); err == nil || !strings.Contains(err.Error(), "is not that of quickjs-wasi "+QuickJSVersion) {
			t.Errorf("%q: %v", engine, err)
		}
	}
	t.Setenv("NODE_PATH", "")
	var missing *MissingError
	if _, err := Build(dir); !errors.As(err, &missing) || !strings.Contains(missing.Install, "npm install quickjs-wasi@") {
		t.Errorf("without an engine: %v", err)
	}
}
