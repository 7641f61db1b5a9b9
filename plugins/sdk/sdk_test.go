package sdk_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk/conformance"
)

var rewrite = flag.Bool("rewrite", false, "write conformance/batch.txt anew")

// batch.txt is what package conformance says, so SDKs outside of this tree are held to the same.
func TestBatchText(t *testing.T) {
	path := filepath.Join("conformance", "batch.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(conformance.Text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != conformance.Text() {
		t.Errorf("%s is another one than package conformance makes: go test ./plugins/sdk -rewrite", path)
	}
}

// The batch must be able to tell a wrong plugin from a right one: each verdict and each change is there, and lies in more than one call.
func TestBatchIsWorthIt(t *testing.T) {
	r := conformance.Batch()
	price, flagged := conformance.PriceNormaliser(r)
	symbol, outside := conformance.SymbolNormaliser(r), conformance.PriceBand(r)
	n := len(r.Kind)
	changed := func(i int) bool { return price[i] != r.Price[i] }
	for what, got := range map[string]int{
		"prices changed":     count(n, changed),
		"prices flagged":     count(n, func(i int) bool { return flagged[i] == 2 }),
		"symbols changed":    count(n, func(i int) bool { return symbol[i] != r.Symbol[i] }),
		"symbols as before":  count(n, func(i int) bool { return symbol[i] == r.Symbol[i] }),
		"rows outside":       count(n, func(i int) bool { return outside[i] == 2 }),
		"rows without price": count(n, func(i int) bool { return r.Price[i] == undef }),
	} {
		if got < 20 {
			t.Errorf("%s: %d, too few to show anything", what, got)
		}
	}
	if n <= 1024 || slices.ContainsFunc(r.Symbol, func(s string) bool { return len(s) > conformance.SymbolBytes }) {
		t.Errorf("%d rows: want more than one call takes, and symbols that fit", n)
	}
}

const undef = 1<<63 - 1

func count(n int, f func(int) bool) (sum int) {
	for i := range n {
		if f(i) {
			sum++
		}
	}
	return sum
}

// examples are where each language has the three.
var examples = map[string]string{
	"c":              "../examples",
	"cpp":            "cpp/examples",
	"rust":           "rust/examples",
	"go":             "go/examples",
	"javascript":     "javascript/examples",
	"python":         "python/examples",
	"assemblyscript": "assemblyscript/examples",
}

// Goal: the three examples give the same bytes in all languages. Method: build each from source, run the conformance rows in batches of several sizes, and
// compare with what package conformance computes.
func TestConformance(t *testing.T) {
	for _, lang := range build.Languages() {
		t.Run(lang, func(t *testing.T) {
			compiles(t, lang)
			if lang == "python" {
				t.Skip("its plugins are commands, which are not called: TestConformanceInHost")
			}
			for name, check := range checks {
				t.Run(name, func(t *testing.T) {
					module := built(t, filepath.Join(examples[lang], name))
					m, err := manifest.Of(module)
					if err != nil {
						t.Fatal(err)
					}
					for _, size := range []int{1, 7, 256, 1024} {
						check(t, module, min(size, m.Limits.MaxRows))
					}
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
	engines(t, lang)
}

// engines puts what npm has for a language where builds find it.
func engines(t testing.TB, lang string) {
	switch lang {
	case "assemblyscript":
		toolchain.AssemblyScript(t, build.AssemblyScriptVersion)
	case "javascript":
		toolchain.JavaScript(t, build.QuickJSVersion)
	case "python":
		toolchain.Python(t, build.PythonVersion)
	}
}

// modules that were built, by folder.
var modules = map[string][]byte{}

// built builds a plugin, once for all tests, and leaves the tree as it is.
func built(t testing.TB, dir string) []byte {
	t.Helper()
	if modules[dir] == nil {
		path, err := build.BuildTo(dir, t.TempDir())
		toolchain.Check(t, err)
		modules[dir] = read(t, path)
	}
	return modules[dir]
}

// batches gives the rows in parts of at most size.
func batches(r conformance.Rows, size int, f func(from, to int)) {
	for from := 0; from < len(r.Kind); from += size {
		f(from, min(from+size, len(r.Kind)))
	}
}

var checks = map[string]func(t *testing.T, module []byte, size int){
	"price-normaliser": func(t *testing.T, module []byte, size int) {
		g := guest.Load(t, module, map[string]any{"multiplier": conformance.Multiplier, "divisor": conformance.Divisor})
		r := conformance.Batch()
		wantPrice, wantCtl := conformance.PriceNormaliser(r)
		batches(r, size, func(from, to int) {
			n := to - from
			guest.Set(g, 0, 11, r.Price[from:to])
			guest.Set(g, 0, manifest.ColumnRowCtl, make([]uint8, n))
			guest.Set(g, 0, manifest.ColumnReason, make([]uint8, n))
			if got := g.Call("tw_transform", 0, uint64(n)); got != int64(n) {
				t.Fatalf("%d rows, want %d", got, n)
			}
			same(t, "price", from, guest.Get[int64](g, 0, 11, n), wantPrice[from:to])
			same(t, "raw_price", from, guest.Get[int64](g, 0, manifest.ColumnCustom, n), r.Price[from:to])
			same(t, "row_ctl", from, guest.Get[uint8](g, 0, manifest.ColumnRowCtl, n), wantCtl[from:to])
			same(t, "reason", from, guest.Get[uint8](g, 0, manifest.ColumnReason, n), make([]uint8, n))
		})
	},
	"symbol-normaliser": func(t *testing.T, module []byte, size int) {
		g := guest.Load(t, module, nil)
		r := conformance.Batch()
		want := conformance.SymbolNormaliser(r)
		batches(r, size, func(from, to int) {
			g.SetTexts(0, 30, r.Symbol[from:to])
			if got := g.Call("tw_transform", 0, uint64(to-from)); got != int64(to-from) {
				t.Fatalf("%d rows, want %d", got, to-from)
			}
			same(t, "symbol", from, g.Texts(0, 30, to-from), want[from:to])
		})
	},
	"price-band": func(t *testing.T, module []byte, size int) {
		for _, refuse := range []bool{false, true} {
			g := guest.Load(t, module, map[string]any{"band_bp": conformance.BandBP, "refuse": refuse})
			r := conformance.Batch()
			want := conformance.PriceBand(r)
			if refuse {
				for i := range want {
					want[i] /= 2
				}
			}
			batches(r, size, func(from, to int) {
				n := to - from
				guest.Set(g, 0, 1, r.Kind[from:to])
				guest.Set(g, 0, 5, r.Instrument[from:to])
				guest.Set(g, 0, 11, r.Price[from:to])
				guest.Set(g, 0, manifest.ColumnRowCtl, make([]uint8, n))
				guest.Set(g, 0, manifest.ColumnReason, make([]uint8, n))
				notKept := count(n, func(i int) bool { return want[from+i] != 0 })
				if got := g.Call("tw_validate", 0, uint64(n)); got != int64(notKept) {
					t.Fatalf("rows from %d: %d are not kept, want %d", from, got, notKept)
				}
				same(t, "row_ctl", from, guest.Get[uint8](g, 0, manifest.ColumnRowCtl, n), want[from:to])
			})
			if len(g.Metrics) != 0 {
				t.Errorf("counted %v, though all instruments have room", g.Metrics)
			}
		}
	},
}

func same[T comparable](t *testing.T, column string, from int, got, want []T) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s of row %d is %v, want %v", column, from+i, got[i], want[i])
		}
	}
}

// An instrument that finds no slot in price-band's table is counted and not judged, in each language; those that have one go on being judged.
func TestPriceBandFull(t *testing.T) {
	const more = 30_000 // instruments; the table has 16,384 slots
	for _, lang := range build.Languages() {
		t.Run(lang, func(t *testing.T) {
			if interpreted(lang) {
				t.Skip("scripts have no counters, by which those without a slot are told: TestPriceBandFullInHost")
			}
			compiles(t, lang)
			g := guest.Load(t, built(t, filepath.Join(examples[lang], "price-band")), nil)
			judge := func(first, n uint32, kind uint8, price int64) (notKept int64) {
				kinds, ids, prices := make([]uint8, n), make([]uint32, n), make([]int64, n)
				for i := range ids {
					kinds[i], ids[i], prices[i] = kind, first+uint32(i), price
				}
				guest.Set(g, 0, 1, kinds)
				guest.Set(g, 0, 5, ids)
				guest.Set(g, 0, 11, prices)
				return g.Call("tw_validate", 0, uint64(n))
			}
			for first := uint32(1); first < more; first += 1000 {
				judge(first, 1000, 7, 100_000_000_000)
			}
			untracked := g.Metrics["untracked"]
			if untracked < more-16_384 || untracked == more {
				t.Errorf("%d of %d instruments are counted as untracked", untracked, more)
			}
			outside := int64(0)
			for first := uint32(1); first < more; first += 1000 {
				outside += judge(first, 1000, 1, 1)
			}
			if outside+untracked != more || g.Metrics["untracked"] != 2*untracked {
				t.Errorf("%d judged, %d untracked, then %d: want all %d to be one or the other, each time", outside, untracked, g.Metrics["untracked"]-untracked, more)
			}
		})
	}
}

// interpreted says that plugins in a language are scripts.
func interpreted(lang string) bool { return lang == "javascript" || lang == "python" }

// The manifests of the three examples say the same in all languages, but for limits and wasi.
func TestExampleManifests(t *testing.T) {
	for name := range checks {
		var first string
		for _, lang := range build.Languages() {
			b, err := os.ReadFile(filepath.Join(examples[lang], name, build.ManifestFile))
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifest.Parse(b)
			if err != nil {
				t.Fatalf("%s, %s: %v", lang, name, err)
			}
			m.Limits, m.WASI, m.Command = manifest.Limits{}, false, false
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				t.Errorf("%s, %s: manifest\n%s\nbut C has\n%s", lang, name, text, first)
			}
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
