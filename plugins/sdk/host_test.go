package sdk_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
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

// Every example in plugins/examples is one that the host takes.
func TestExamplesInHost(t *testing.T) {
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	manifests, err := filepath.Glob(filepath.Join("..", "examples", "*", build.ManifestFile))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, m := range manifests {
		dir := filepath.Dir(m)
		plugin, err := host.Compile(read(t, filepath.Join(dir, filepath.Base(dir)+".wasm")))
		if err != nil {
			t.Error(err)
			continue
		}
		defer plugin.Close()
		i, err := plugin.Instance(plugins.Env{})
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		defer i.Close()
		if err := fullCall(i, plugin.Manifest()); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// fullCall calls what works on columns alone with as many rows as there may be, and random bytes in them: fuel must suffice whatever they are.
func fullCall(i *plugins.Instance, m *manifest.Manifest) error {
	n := m.Limits.MaxRows
	for unit, u := range m.Kinds {
		for _, id := range []uint16{manifest.ColumnArg, manifest.ColumnArg + 1, manifest.ColumnArg + 2, manifest.ColumnArg + 3} {
			view, _ := i.Column(unit, id)
			for at := range view {
				view[at] = byte(at * 131 >> 3)
			}
		}
		switch u.Kind {
		case manifest.Function:
			return i.Function(unit, n)
		case manifest.Aggregate:
			groups := i.AggGroups(unit)
			if err := i.AggStart(unit, groups); err != nil {
				return err
			}
			if err := i.AggUpdate(unit, n, groups); err != nil {
				return err
			}
			copy(i.In(unit), i.Out(unit))
			if err := i.AggMerge(unit, groups); err != nil {
				return err
			}
			return i.AggResult(unit, groups)
		case manifest.TypeKind:
			for op := plugins.TypeValidate; op <= plugins.TypeHash; op++ {
				if err := i.Type(unit, op, n); err != nil {
					return fmt.Errorf("op %d: %w", op, err)
				}
			}
		case manifest.Codec:
			block, err := i.Encode(unit, n)
			if err != nil {
				return err
			}
			rows, err := i.Decode(unit, append([]byte(nil), block...))
			if err == nil && rows != n {
				err = fmt.Errorf("%d rows come back, want %d", rows, n)
			}
			return err
		case manifest.Index:
			if _, err := i.IndexAdvise(unit, n); err != nil {
				return err
			}
			index, err := i.IndexBuild(unit, n)
			if err != nil {
				return err
			}
			_, err = i.IndexProbe(unit, append([]byte(nil), index...), make([]byte, 8), []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0}, nil)
			return err
		case manifest.Partition, manifest.Serializer:
			b, err := tick.NewBatch()
			if err != nil {
				return err
			}
			defer b.Free()
			for r := range n {
				b.Kind[r], b.Price[r], b.Size[r], b.Sequence[r], b.TsEvent[r] = 1, -1<<63, 1<<64-1, 1<<64-1, 1<<64-1
			}
			b.N = n
			if u.Kind == manifest.Partition {
				_, err = i.Partition(unit, b, 0, n)
				return err
			}
			if _, err := i.Begin(unit); err != nil {
				return err
			}
			_, err = i.Serialize(unit, b, 0, n, nil)
			return err
		}
	}
	return nil
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
			if lang == "assemblyscript" {
				toolchain.AssemblyScript(b, build.AssemblyScriptVersion)
			}
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
