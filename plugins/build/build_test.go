package build

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/internal/exercise"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
)

// Goal: what `plugin new` writes is a plugin, in each language and of each kind that there is a template of. Method: write it, build it, run it.
func TestTemplates(t *testing.T) {
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			kinds := Kinds(lang)
			for _, k := range []manifest.Kind{manifest.Transform, manifest.Validator, manifest.Function} {
				if !slices.Contains(kinds, k) {
					t.Errorf("there is no template of a %s", k)
				}
			}
			compiles(t, lang)
			for _, kind := range kinds {
				t.Run(string(kind), func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "Desk one")
					if err := New(dir, lang, kind); err != nil {
						t.Fatal(err)
					}
					path, err := Build(dir)
					toolchain.Check(t, err)
					if want := filepath.Join(dir, "desk-one.wasm"); path != want {
						t.Errorf("built %s, want %s", path, want)
					}
					module, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					g := guest.Load(t, module, nil)
					if g.Manifest.Name != "desk-one" || g.Manifest.Kinds[0].Kind != kind {
						t.Errorf("it is %s, a %s", g.Manifest.Name, g.Manifest.Kinds[0].Kind)
					}
					templates[kind](t, g)
					exercise.Module(t, module)
				})
			}
		})
	}
}

// compiles makes ready for builds in a language. Builds take seconds each, and another detector sees no more of them.
func compiles(t *testing.T, lang string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is compiled")
	}
	switch lang {
	case "assemblyscript":
		toolchain.AssemblyScript(t, AssemblyScriptVersion)
	case "javascript":
		toolchain.JavaScript(t, QuickJSVersion)
	}
}

const undef = 1<<63 - 1

// templates says what the plugin of each template does.
var templates = map[manifest.Kind]func(*testing.T, *guest.Guest){
	manifest.Transform: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, 17, []int64{100, undef, 100, 300})
		guest.Set(g, 0, 18, []int64{103, 103, undef, 100})
		if n := g.Call("tw_transform", 0, 4); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnCustom, 5), []int64{3, 0, 0, -200, 0}; !slices.Equal(got, want) {
			t.Errorf("spread %v, want %v", got, want)
		}
	},
	manifest.Validator: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, 11, []int64{1, 0, -1, undef})
		if n := g.Call("tw_validate", 0, 4); n != 2 {
			t.Errorf("%d rows not kept, want 2", n)
		}
		if got, want := guest.Get[uint8](g, 0, manifest.ColumnRowCtl, 5), []uint8{0, 2, 2, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("row_ctl %v, want %v", got, want)
		}
	},
	manifest.Function: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, manifest.ColumnArg, []int64{100, -7, undef, -1 << 63, 5})
		guest.Set(g, 0, manifest.ColumnArg+1, []int64{104, -5, undef - 2, undef, 8})
		if n := g.Call("tw_function", 0, 5); n != 5 {
			t.Errorf("%d rows, want 5", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnResult, 6), []int64{102, -6, undef - 1, -1, 6, 0}; !slices.Equal(got, want) {
			t.Errorf("mid %v, want %v", got, want)
		}
	},
	manifest.Aggregate: func(t *testing.T, g *guest.Guest) {
		start := func() {
			if n := g.Call("tw_agg_start", 0, 3); n != 3 {
				t.Errorf("start %d, want 3", n)
			}
		}
		update := func(prices []int64, groups []uint32) {
			guest.Set(g, 0, manifest.ColumnArg, prices)
			guest.Set(g, 0, manifest.ColumnGroup, groups)
			if n := g.Call("tw_agg_update", 0, uint64(len(prices)), 3); n != int64(len(prices)) {
				t.Errorf("update %d, want %d", n, len(prices))
			}
		}
		start()
		update([]int64{10, -5, 7}, []uint32{0, 1, 0})
		others := slices.Clone(g.Out(0)[:3*g.Manifest.Kinds[0].StateBytes])
		start()
		update([]int64{3, 20}, []uint32{0, 0})
		copy(g.In(0), others)
		if n := g.Call("tw_agg_merge", 0, 3); n != 3 {
			t.Errorf("merge %d, want 3", n)
		}
		if n := g.Call("tw_agg_result", 0, 3); n != 3 {
			t.Errorf("result %d, want 3", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnResult, 2), []int64{17, 0}; !slices.Equal(got, want) {
			t.Errorf("ranges %v, want %v", got, want)
		}
		if got, want := guest.Get[uint8](g, 0, manifest.ColumnNull, 3), []uint8{0, 0, 1}; !slices.Equal(got, want) {
			t.Errorf("NULLs %v, want %v", got, want)
		}
	},
	manifest.Parser: func(t *testing.T, g *guest.Guest) {
		b := binary.LittleEndian.AppendUint32(nil, 17)
		b = binary.LittleEndian.AppendUint32(b, 300)
		b = binary.LittleEndian.AppendUint64(b, 0xfffffffffffffffe)
		b = binary.LittleEndian.AppendUint64(b, 1_700_000_000_123_456_789)
		copy(g.In(0), b)
		if n := g.Call("tw_parse", 0, uint64(len(b)), 1<<40, 1); n != 1 {
			t.Fatalf("%d rows, want 1", n)
		}
		if k, side := guest.Get[uint8](g, 0, 1, 1)[0], guest.Get[uint8](g, 0, 3, 1)[0]; k != 7 || side != 'N' {
			t.Errorf("kind %d side %c", k, side)
		}
		if id, at := guest.Get[uint32](g, 0, 5, 1)[0], guest.Get[uint64](g, 0, 6, 1)[0]; id != 17 || at != 1_700_000_000_123_456_789 {
			t.Errorf("instrument %d at %d", id, at)
		}
		if seq, px, size := guest.Get[uint64](g, 0, 8, 1)[0], guest.Get[int64](g, 0, 11, 1)[0], guest.Get[uint64](g, 0, 12, 1)[0]; seq != 1<<40 || px != -2 || size != 300 {
			t.Errorf("sequence %d price %d size %d", seq, px, size)
		}
		for _, n := range []int{0, 23, 25} {
			if got := g.Call("tw_parse", 0, uint64(n), 1, 1); got >= 0 {
				t.Errorf("a packet of %d bytes gives %d rows", n, got)
			}
		}
	},
}

// Each template has a manifest that parses, and the same for a kind in all languages but for limits and wasi.
func TestTemplateManifests(t *testing.T) {
	first := map[manifest.Kind]string{}
	for _, lang := range Languages() {
		for _, kind := range Kinds(lang) {
			b, err := fs.ReadFile(sdk.Files, lang+"/template/"+string(kind)+"/plugin.json")
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifest.Parse(b)
			if err != nil {
				t.Fatalf("%s, %s: %v", lang, kind, err)
			}
			if m.Name != templateName {
				t.Errorf("%s, %s: the name is %s", lang, kind, m.Name)
			}
			if m.WASI != (lang == "go") {
				t.Errorf("%s, %s: wasi is %v", lang, kind, m.WASI)
			}
			m.Limits, m.WASI = manifest.Limits{}, false
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if first[kind] == "" {
				first[kind] = string(text)
			}
			if string(text) != first[kind] {
				t.Errorf("%s, %s: manifest\n%s\nbut another language has\n%s", lang, kind, text, first[kind])
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir, lang string
		kind      manifest.Kind
		want      string
	}{
		{filepath.Join(t.TempDir(), "p"), "cobol", manifest.Transform, `language "cobol" is none of c, cpp, rust, go, javascript, assemblyscript`},
		{filepath.Join(t.TempDir(), "p"), "assemblyscript", manifest.Codec, "no template of a codec in assemblyscript, only of [transform validator function]"},
		{filepath.Join(t.TempDir(), "__"), "c", manifest.Transform, "no letter or digit"},
		{full, "c", manifest.Transform, "is not empty, so nothing was written"},
	} {
		if err := New(tc.dir, tc.lang, tc.kind); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("New(%s, %s): %v, want … %s …", tc.lang, tc.kind, err, tc.want)
		}
	}
	if entries, _ := os.ReadDir(full); len(entries) != 1 {
		t.Error("something was written to a folder that was not empty")
	}
}

const goodManifest = `{"name": "p", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "transform", "reads": ["price"], "writes": ["price"]}]}`

func TestBuildRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no manifest", map[string]string{"a.c": ""}, "has no plugin.json"},
		{"a broken manifest", map[string]string{"plugin.json": `{"name": "P"}`, "a.c": ""}, `name "P": want`},
		{"no source", map[string]string{"plugin.json": goodManifest, "README.md": ""}, "has no source"},
		{"two languages", map[string]string{"plugin.json": goodManifest, "a.c": "", "b.rs": ""}, "has sources in c and in rust"},
		{"the SDK's file only", map[string]string{"plugin.json": goodManifest, "tickwire.rs": ""}, "has no source"},
		{"no main source", map[string]string{"plugin.json": goodManifest, "a.rs": "", "b.rs": ""}, "none of them is plugin.rs or lib.rs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if path, err := Build(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %v, want … %s …", path, err, tc.want)
			}
		})
	}
}

// A compiler's complaint reaches the user with the file as it is named in his folder, and what was built before stays.
func TestBuildFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := New(dir, "c", manifest.Transform); err != nil {
		t.Fatal(err)
	}
	path, err := Build(dir)
	toolchain.Check(t, err)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugin.c"), []byte("#include \"tickwire.h\"\nint nonsense = ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(dir); err == nil || !strings.Contains(err.Error(), "plugin.c:2:16: error") {
		t.Errorf("%v, want the compiler's complaint about plugin.c:2:16", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the module that was there is another one now (%v)", err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

// A wasm-opt in PATH, which clang's driver would run, has no part in what is built; and sources of several files are linked.
func TestNobodyElseOptimises(t *testing.T) {
	dir, bin := filepath.Join(t.TempDir(), "p"), t.TempDir()
	if err := New(dir, "c", manifest.Function); err != nil {
		t.Fatal(err)
	}
	more := "#include <stdint.h>\nint64_t middle(int64_t a, int64_t b);\nint64_t middle(int64_t a, int64_t b) { return (a & b) + ((a ^ b) >> 1); }\n"
	source, err := os.ReadFile(filepath.Join(dir, "plugin.c"))
	if err != nil {
		t.Fatal(err)
	}
	_, calls, _ := strings.Cut(string(source), "result[i] = ")
	calls, _, _ = strings.Cut(calls, ";")
	text := "#include <stdint.h>\nint64_t middle(int64_t a, int64_t b);\n" + strings.Replace(string(source), calls, "middle(bid[i], ask[i])", 1)
	for path, text := range map[string]string{filepath.Join(dir, "more.c"): more, filepath.Join(dir, "plugin.c"): text, filepath.Join(bin, "wasm-opt"): "#!/bin/sh\nexit 1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	path, err := Build(dir)
	toolchain.Check(t, err)
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	templates[manifest.Function](t, guest.Load(t, module, nil))
}

// Without a compiler the error says which one, and how to get it.
func TestMissingCompilers(t *testing.T) {
	install := map[string]string{"c": "apt install clang", "cpp": "apt install clang", "go": "install Go", "assemblyscript": "apt install nodejs"}
	for lang, want := range install {
		dir := filepath.Join(t.TempDir(), "p")
		if err := New(dir, lang, manifest.Transform); err != nil {
			t.Fatal(err)
		}
		path := os.Getenv("PATH")
		os.Setenv("PATH", t.TempDir())
		_, err := Build(dir)
		os.Setenv("PATH", path)
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.Contains(missing.Install, want) {
			t.Errorf("%s: %v, want a missing compiler and: %s", lang, err, want)
		}
	}
	t.Run("a linker", func(t *testing.T) {
		clang, err := exec.LookPath("clang")
		if err != nil {
			t.Skip("clang is not on this machine")
		}
		bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "p")
		if err := New(dir, "c", manifest.Transform); err != nil {
			t.Fatal(err)
		}
		// A driver that finds no linker: the real one would find it beside itself.
		script := "#!/bin/sh\ncase \"$*\" in *-print-prog-name=wasm-ld) echo wasm-ld;; *) exec " + clang + " \"$@\";; esac\n"
		if err := os.WriteFile(filepath.Join(bin, "clang"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		var missing *MissingError
		if _, err := Build(dir); !errors.As(err, &missing) || missing.What != "wasm-ld" {
			t.Errorf("%v, want that wasm-ld is missing", err)
		}
	})
}

func TestNameOf(t *testing.T) {
	for folder, want := range map[string]string{"price-band": "price-band", "Price Band 2": "price-band-2", "--x": "x", strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62), "日本": ""} {
		if got, err := nameOf(folder); got != want || (err == nil) != (want != "") {
			t.Errorf("nameOf(%q) = %q, %v, want %q", folder, got, err, want)
		}
	}
}
