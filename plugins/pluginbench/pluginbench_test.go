package pluginbench

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// The run works, and its figures are those of something that ran. What they are is a machine's business.
func TestRun(t *testing.T) {
	f, err := Run(Options{Time: 5 * time.Millisecond, Swaps: 20})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]float64
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for name, v := range all {
		if v <= 0 && name != "disturbed" && name != "over_native_row_ns" && name != "wide_over_native_row_ns" {
			t.Errorf("%s is %v", name, v)
		}
	}
	if f.Swaps != 20 {
		t.Errorf("%d swaps, want 20", f.Swaps)
	}
}

// Both sides of the comparison do the same.
func TestNativeIsTheKernel(t *testing.T) {
	for name, module := range map[string][]byte{"kernel": wasmtest.Kernel(), "wide kernel": wasmtest.WideKernel()} {
		chain := chain(t, module)
		for _, n := range []int{1, 7, 8, 9, 1023, Rows} {
			a, b := batch(t), batch(t)
			for _, batch := range []*tick.Batch{a, b} {
				batch.N = n
				batch.Size[0], batch.Size[1], batch.Price[0], batch.Price[1] = 1<<63, 99, math.MinInt64, -1
			}
			verdict := new([tick.MaxRows]plugins.Verdict)
			chain.Pass(a, 1)
			Native(b, verdict)
			if *a.Price != *b.Price || *a.Flags != *b.Flags || !slices.Equal(chain.Verdict[:n], verdict[:n]) {
				t.Errorf("%s, %d rows: it and its twin in Go differ", name, n)
			}
		}
	}
}

func batch(t testing.TB) *tick.Batch {
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	Fill(b, Rows)
	return b
}

func chain(t testing.TB, module []byte) *plugins.Chain {
	h, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.NewChain([]plugins.Stage{{Plugin: p}}, plugins.Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		p.Close()
		h.Close()
	})
	return c
}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}

// BenchmarkKernel is three columns touched, of 1,024 rows.
//
//	budget  0 allocs/op, 5 ns/row over BenchmarkNative in one run; the aim is 2
func BenchmarkKernel(b *testing.B) {
	rows, c := batch(b), chain(b, wasmtest.Kernel())
	b.ReportAllocs()
	for b.Loop() {
		c.Pass(rows, 1)
	}
	perRow(b, Rows)
}

// BenchmarkNative is the same in Go.
func BenchmarkNative(b *testing.B) {
	rows, verdict := batch(b), new([tick.MaxRows]plugins.Verdict)
	for b.Loop() {
		Native(rows, verdict)
	}
	perRow(b, Rows)
}

// BenchmarkOneRow is a quiet market's batch.
//
//	budget  0 allocs/op, 250 ns
func BenchmarkOneRow(b *testing.B) {
	rows, c := batch(b), chain(b, wasmtest.Kernel())
	rows.N = 1
	b.ReportAllocs()
	for b.Loop() {
		c.Pass(rows, 1)
	}
}

// BenchmarkEmpty is a plugin that does nothing, by rows of a batch.
func BenchmarkEmpty(b *testing.B) {
	for _, n := range []int{1, Rows} {
		b.Run(map[int]string{1: "1", Rows: "1024"}[n], func(b *testing.B) {
			rows, c := batch(b), chain(b, wasmtest.Empty())
			rows.N = n
			b.ReportAllocs()
			for b.Loop() {
				c.Pass(rows, 1)
			}
		})
	}
}
