package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/manifest"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

const priceBand = "../../plugins/examples/price-band"

// builtPlugin makes a plugin and builds it, or skips the test where the compiler is missing.
func builtPlugin(t *testing.T, lang, kind string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spread")
	plugin(t, exitOK, "Next: tickwire plugin build "+dir, "new", "--lang", lang, "--kind", kind, dir)
	code, out, errs := command(t, "plugin", "build", dir)
	if code == exitFailed && strings.Contains(errs, "which is not on this machine: apt install") && os.Getenv("CI") != "true" {
		t.Skip(errs)
	}
	if code != exitOK || !strings.Contains(out, filepath.Join(dir, "spread.wasm")+": spread 0.1.0, ") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	return dir
}

// TestPluginFromNothing: new, build, test, bench, as the tutorial has it, in C of each kind; then a mistake in the source, which the case that new wrote finds. That
// all kinds are there in all languages is tested beside package build.
func TestPluginFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: nothing is compiled")
	}
	for lang, file := range map[string]string{"rust": "plugin.rs", "c": "plugin.c"} {
		t.Run(lang, func(t *testing.T) {
			kinds := manifest.Kinds
			if lang != "c" { // compilers take their time
				kinds = []manifest.Kind{manifest.Validator}
			}
			for _, kind := range kinds {
				dir := builtPlugin(t, lang, string(kind))
				before, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				ok := "5 of 5 ok"
				if kind == manifest.Serializer { // whose room is looked at too
					ok = "6 of 6 ok"
				}
				plugin(t, exitOK, ok, "test", dir)
				if bench := plugin(t, exitOK, string(kind), "bench", dir, "--for", "1ms"); strings.Contains(bench, " -  ") {
					t.Errorf("a call alone has no time:\n%s", bench)
				}
				if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
					t.Errorf("%d files before the test, %d after it, %v", len(before), len(after), err)
				}
				if kind != manifest.Validator {
					continue
				}
				source, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				wrong := strings.NewReplacer("price[i] > 0", "price[i] >= 0", "price.get() <= 0", "price.get() < 0").Replace(string(source))
				if wrong == string(source) {
					t.Fatalf("%s has no comparison to spoil", file)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(wrong), 0o644); err != nil {
					t.Fatal(err)
				}
				plugin(t, exitFailed, "FAILED: row 2: verdict is keep in what comes out, flagged in what is expected", "test", dir)
				plugin(t, exitOK, "5 of 5 ok", "test", dir, "--update")
				plugin(t, exitOK, "5 of 5 ok", "test", dir)
				plugin(t, exitOK, "tw_validate", "profile", dir, "--for", "1ms")
			}
		})
	}
}

// TestPluginTest: a module as it is, on the cases beside it.
func TestPluginTest(t *testing.T) {
	var got struct {
		Plugin string
		Ok     bool
		Checks []struct {
			Name, Unit, Problem string
			Rows                int
			Ok                  bool
		}
	}
	module := filepath.Join(priceBand, "price-band.wasm")
	if err := json.Unmarshal([]byte(plugin(t, exitOK, "", "test", module, "--json", "--fuzz", "20ms")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Plugin != "price-band" || !got.Ok || len(got.Checks) != 7 || got.Checks[0].Name != "band" || got.Checks[0].Rows != 55 {
		t.Errorf("%+v", got)
	}
	cases := t.TempDir()
	if err := os.WriteFile(filepath.Join(cases, "mine.txt"), []byte("unit validator\nin\nkind price\n1 1\nwant\nverdict reason\nflagged \"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "row 1: verdict is keep", "test", module, "--cases", cases)
	plugin(t, exitUsage, "is not there", "test", filepath.Join(cases, "missing.wasm"))
	plugin(t, exitFailed, "not a WebAssembly module", "test", filepath.Join(cases, "mine.txt"))
	plugin(t, exitUsage, "--fuzz", "test", module, "--fuzz", "-1s")
	plugin(t, exitUsage, "has 0 modules", "test", cases)
}

// faulty is a module that divides by zero where a price is above 100.
func faulty(t *testing.T) string {
	t.Helper()
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(11, 6, 1, 0), Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	g.Func("tw_validate", "ii:i", "ii", EachRow(1, 2,
		LocalGet(3), Load(I64Load, p.Col[11]), I64(100_000_000_000), I64GtS, If(I32(1), I32(0), Op(0x6d), Drop),
		LocalGet(3), I32(8), I32Add, LocalSet(3)), I32(0))
	path := filepath.Join(t.TempDir(), "faulty.wasm")
	module := g.Plugin(`{"name": "faulty", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "validator", "reads": ["price"]}], "limits": {"max_rows": 64}}`)
	if err := os.WriteFile(path, module, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPluginDebug: what test finds is written down, debug runs it again and says where; a batch of its own is dumped and is one.
func TestPluginDebug(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := faulty(t)
	out := plugin(t, exitFailed, "integer divide by zero", "test", path)
	_, kept, _ := strings.Cut(out, "the batch that fails is in ")
	kept, _, _ = strings.Cut(kept, ": tickwire plugin debug")
	small := filepath.Join(t.TempDir(), "small.txt")
	out = plugin(t, exitFailed, "tw_validate trapped: wasm error: integer divide by zero\n  at offset 0x", "debug", path, kept, "--reduce", "--dump", small)
	if !strings.Contains(out, ": i32.div_s\n  in ") || !strings.Contains(out, "with 1 rows or packets:\n\nunit validator\n") {
		t.Error(out)
	}
	plugin(t, exitFailed, "i32.div_s", "debug", path, small)
	var fault struct {
		Call   string
		Trap   bool
		Offset int
		Stack  []string
	}
	if err := json.Unmarshal([]byte(plugin(t, exitFailed, "", "debug", path, small, "--json")), &fault); err != nil || fault.Call != "tw_validate" || !fault.Trap || fault.Offset == 0 || len(fault.Stack) != 1 {
		t.Errorf("%+v, %v", fault, err)
	}
	dumped := filepath.Join(t.TempDir(), "batch.txt")
	first := plugin(t, exitOK, "→", "debug", priceBand+"/price-band.wasm", "--rows", "9", "--seed", "4", "--dump", dumped)
	if again := plugin(t, exitOK, "→", "debug", priceBand+"/price-band.wasm", dumped); again != first {
		t.Errorf("first\n%s\nand then\n%s", first, again)
	}
	plugin(t, exitFailed, "divide by zero", "profile", path)
	plugin(t, exitFailed, "divide by zero", "bench", path, "--for", "1ms")
	for _, bad := range [][]string{{"debug"}, {"debug", path, "no-such-file"}, {"debug", path, "--rows", "0"}, {"debug", path, "--unit", "codec"}, {"debug", path, "--rows", "4097"}} {
		plugin(t, exitUsage, "tickwire: ", bad...)
	}
}

func TestPluginLook(t *testing.T) {
	folded := filepath.Join(t.TempDir(), "folded")
	plugin(t, exitOK, "tw_type", "profile", "../../plugins/examples/treasury/treasury.wasm", "--for", "1ms", "--folded", folded)
	if text, err := os.ReadFile(folded); err != nil || !strings.HasPrefix(string(text), "tw_type ") {
		t.Errorf("%q, %v", text, err)
	}
	plugin(t, exitOK, "declared", "bench", priceBand+"/price-band.wasm", "--for", "1ms")
	var costs []struct {
		Unit string
		Rows int
		Row  float64 `json:"row_ns"`
	}
	if err := json.Unmarshal([]byte(plugin(t, exitOK, "", "bench", priceBand+"/price-band.wasm", "--for", "1ms", "--json")), &costs); err != nil || len(costs) != 4 || costs[3].Rows != 1024 || costs[3].Row <= 0 {
		t.Errorf("%+v, %v", costs, err)
	}
	plugin(t, exitOK, "PARAMETERS", "docs", priceBand)
	plugin(t, exitOK, "| band_bp | i64 | 500 | 1 to 10000 |", "docs", priceBand+"/price-band.wasm", "--markdown")
	plugin(t, exitFailed, "no such file", "docs", "no-such-file")
	for _, bad := range [][]string{{"new", "x"}, {"new", "--lang", "cobol", "--kind", "transform", "x"}, {"new", "--lang", "c", "--kind", "thing", "x"}, {"build"}, {"bench"}, {"docs"}} {
		plugin(t, exitUsage, "tickwire: ", bad...)
	}
	plugin(t, exitFailed, "has no plugin.json", "build", t.TempDir())
}

// TestBenchPlugin: the figures are there, and of the order that a plugin is of.
func TestBenchPlugin(t *testing.T) {
	code, out, errs := command(t, "bench", "plugin", "--json", "--runs", "1", "--for", "2ms", "--swaps", "3", "--core", "-1")
	var b struct {
		Swaps   int
		Figures []struct {
			Name string
			Ns   struct{ Median float64 }
		}
	}
	if err := json.Unmarshal([]byte(out), &b); code != exitOK || err != nil || b.Swaps != 3 || len(b.Figures) != len(pluginFigures()) {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	for _, f := range b.Figures {
		if f.Ns.Median <= 0 && f.Name != "fuel_row" && f.Name != "over_native_row" && f.Name != "wide_over_native_row" { // differences
			t.Error(fmt.Sprint(f))
		}
	}
	if code, out, errs := command(t, "bench", "plugin", "--runs", "2", "--for", "1ms", "--swaps", "2", "--core", "-1"); code != exitOK || !strings.Contains(out, "over_native_row") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, _ := command(t, "bench", "plugin", "--swaps", "0"); code != exitUsage {
		t.Errorf("exit %d", code)
	}
}
