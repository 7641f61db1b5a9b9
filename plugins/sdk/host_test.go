package sdk_test

import (
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/exercise"
	"github.com/tickwire/tickwire/plugins/sdk/conformance"
	"github.com/tickwire/tickwire/tick"
)

// symbols are those of the conformance rows, one an instrument.
type symbols []string

func (s symbols) Symbol(instrument uint32) []byte {
	if int(instrument) > len(s) || instrument == 0 {
		return nil
	}
	return []byte(s[instrument-1])
}

// Goal: the three examples give the same under the host too, on a lane and with the fuel that they declare. Method: a chain of one, the conformance rows as a batch.
func TestConformanceInHost(t *testing.T) {
	host, err := plugins.New(plugins.Options{CacheDir: filepath.Join(t.TempDir(), "cache")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	r := conformance.Batch()
	price, flagged := conformance.PriceNormaliser(r)
	symbol, outside := conformance.SymbolNormaliser(r), conformance.PriceBand(r)
	for _, lang := range build.Languages() {
		t.Run(lang, func(t *testing.T) {
			compiles(t, lang)
			run := func(name string, params map[string]any, instrument func(row int) uint32, check func(c *plugins.Chain, b *tick.Batch)) {
				t.Helper()
				plugin, err := host.Compile(built(t, filepath.Join(examples[lang], name)))
				if err != nil {
					t.Fatal(err)
				}
				defer plugin.Close()
				values, err := plugin.Manifest().Values(params)
				if err != nil {
					t.Fatal(err)
				}
				chain, err := host.NewChain([]plugins.Stage{{Plugin: plugin, Params: values}}, plugins.Env{Directory: symbols(r.Symbol)})
				if err != nil {
					t.Fatal(err)
				}
				defer chain.Close()
				b, err := tick.NewBatch()
				if err != nil {
					t.Fatal(err)
				}
				defer b.Free()
				for i := range r.Kind {
					b.Kind[i], b.Side[i], b.Price[i], b.Instrument[i] = tick.Kind(r.Kind[i]), 'B', r.Price[i], instrument(i)
				}
				b.N = len(r.Kind)
				chain.Pass(b, 1)
				if s := chain.Stats()[0]; s.Errors+s.Traps+s.Bypassed != 0 || s.Rows != uint64(b.N) {
					t.Fatalf("%s: %+v", name, s)
				} else {
					t.Logf("%s: %.2f fuel a row", name, float64(s.Fuel)/float64(s.Rows))
				}
				check(chain, b)
			}
			run("price-normaliser", map[string]any{"multiplier": conformance.Multiplier, "divisor": conformance.Divisor}, func(i int) uint32 { return r.Instrument[i] },
				func(c *plugins.Chain, b *tick.Batch) {
					for i := range b.N {
						if b.Price[i] != price[i] || int64(c.Custom[0][i]) != r.Price[i] || (c.Verdict[i] == plugins.Flagged) != (flagged[i] == 2) {
							t.Fatalf("row %d: price %d, raw_price %d, verdict %d", i, b.Price[i], int64(c.Custom[0][i]), c.Verdict[i])
						}
					}
				})
			run("price-band", map[string]any{"band_bp": conformance.BandBP}, func(i int) uint32 { return r.Instrument[i] },
				func(c *plugins.Chain, b *tick.Batch) {
					for i := range b.N {
						if (c.Verdict[i] == plugins.Flagged) != (outside[i] == 2) {
							t.Fatalf("row %d: verdict %d", i, c.Verdict[i])
						}
					}
				})
			run("symbol-normaliser", nil, func(i int) uint32 { return uint32(i + 1) },
				func(c *plugins.Chain, b *tick.Batch) {
					got := map[uint32]string{}
					for _, n := range c.Renamed() {
						got[n.Instrument] = n.Symbol
					}
					for i := range b.N {
						want := symbol[i]
						if want == "" {
							want = r.Symbol[i] // emptied: the instrument keeps what it has
						}
						now, renamed := got[uint32(i+1)]
						if !renamed {
							now = r.Symbol[i]
						}
						if now != want {
							t.Fatalf("row %d: %q is %q now, want %q", i, r.Symbol[i], now, want)
						}
					}
				})
		})
	}
}

// A full table is the most that price-band does for a row: it has fuel for a batch of such rows, in each language.
func TestPriceBandFullInHost(t *testing.T) {
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	for _, lang := range build.Languages() {
		t.Run(lang, func(t *testing.T) {
			compiles(t, lang)
			plugin, err := host.Compile(built(t, filepath.Join(examples[lang], "price-band")))
			if err != nil {
				t.Fatal(err)
			}
			defer plugin.Close()
			chain, err := host.NewChain([]plugins.Stage{{Plugin: plugin}}, plugins.Env{})
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Close()
			const batch = 4096
			most := uint64(0)
			for first := uint32(1); first < 40*batch; first += batch {
				for i := range uint32(batch) {
					b.Kind[i], b.Side[i], b.Price[i], b.Instrument[i] = tick.KindTrade, 'N', 100_000_000_000, first+i
				}
				b.N = batch
				before := chain.Stats()[0].Fuel
				chain.Pass(b, 1)
				most = max(most, chain.Stats()[0].Fuel-before)
			}
			if s := chain.Stats()[0]; s.Errors+s.Traps+s.Bypassed != 0 {
				t.Errorf("%+v", s)
			}
			if interpreted(lang) {
				return // scripts have no counters
			}
			if n := plugin.Metrics()["untracked"]; n < 39*batch-16384 {
				t.Errorf("%d instruments are untracked, so the table was not full", n)
			}
			t.Logf("%.1f fuel a row at most", float64(most)/batch)
		})
	}
}

// Every example in plugins/examples is one that the host takes, and has fuel for the largest batch.
func TestExamplesInHost(t *testing.T) {
	manifests, err := filepath.Glob(filepath.Join("..", "examples", "*", build.ManifestFile))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, m := range manifests {
		dir := filepath.Dir(m)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			exercise.Module(t, read(t, filepath.Join(dir, filepath.Base(dir)+".wasm")))
		})
	}
}

// BenchmarkLanguages is what a row of the price normaliser costs on a lane, by language: copies, checks and fuel included.
func BenchmarkLanguages(b *testing.B) {
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	batch, err := tick.NewBatch()
	if err != nil {
		b.Fatal(err)
	}
	defer batch.Free()
	const rows = 1024
	for _, lang := range build.Languages() {
		b.Run(lang, func(b *testing.B) {
			engines(b, lang)
			plugin, err := host.Compile(built(b, filepath.Join(examples[lang], "price-normaliser")))
			if err != nil {
				b.Fatal(err)
			}
			defer plugin.Close()
			chain, err := host.NewChain([]plugins.Stage{{Plugin: plugin}}, plugins.Env{})
			if err != nil {
				b.Fatal(err)
			}
			defer chain.Close()
			batch.N = rows
			for i := range rows {
				batch.Kind[i], batch.Side[i] = tick.KindAdd, 'B'
			}
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					batch.Price[i] = 150_010_000_000 + int64(i)
				}
				chain.Pass(batch, 1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
