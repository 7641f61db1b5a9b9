package xdp

import (
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

const (
	benchMessages = 2_000_000
	benchChunk    = 1 << 20 // bytes timed at once
	benchPass     = 512     // messages of a batch
)

// BenchmarkAppend is the decoder alone beside that of ITCH, on a day's kinds of message from memory. They take turns, five runs each; a stream is
// timed by the chunk, and what counts is a chunk's median over the runs: what else the machine does hits some runs of a chunk, seldom most.
//
//	budget  within 2 × of ITCH per byte; 0 allocs (TestSteadyState)
//	seen    orders 7.9 ns/msg, 1.7 × (1.55 to 2.05), quotes 5.7 ns/msg, 1.2 × (1.1 to 1.5), ITCH 4.3 ns/msg (two-core EPYC (Zen 4) VM, busy with
//	        other work, Go 1.26, 2026-11-26); orders without assembly 11 ns/msg
//
// A thousand symbols are what a channel has: each one's scale, second and number are looked up, which ITCH needs not.
func BenchmarkAppend(b *testing.B) {
	out := newBatch(b)
	orders, quotes := mix(benchMessages, 1000), quoted(benchMessages, 1000)
	g, err := itchgen.New(itchgen.Options{Messages: benchMessages, Symbols: 8000, Seed: 42, Profile: itchgen.Realistic})
	if err != nil {
		b.Fatal(err)
	}
	ours := func(stream []byte, product string) func() []float64 {
		return func() []float64 {
			d := newDecoder(b, Options{Product: product})
			return run(b, stream, out, func(chunk []byte, n uint64) (int, int) { return d.Append(chunk, n+1, benchPass, out) })
		}
	}
	other := itchgen.AppendAll(make([]byte, 0, benchMessages*36), g, nil)
	var c itch.Counters
	ways := []func() []float64{ours(orders, "integrated"), ours(quotes, "bbo"), func() []float64 {
		return run(b, other, out, func(chunk []byte, n uint64) (int, int) { return itch.Append(chunk, 1, n, benchPass, out, &c) })
	}}
	runs := make([][][]float64, len(ways))
	for b.Loop() {
		for range 5 {
			for w, way := range ways {
				runs[w] = append(runs[w], way())
			}
		}
	}
	x, q, i := median(runs[0]), median(runs[1]), median(runs[2])
	b.ReportMetric(x/benchMessages, "ns/msg")
	b.ReportMetric(float64(len(orders))/x, "GB/s")
	b.ReportMetric(q/benchMessages, "quote-ns/msg")
	b.ReportMetric(i/benchMessages, "ITCH-ns/msg")
	b.ReportMetric((x/float64(len(orders)))/(i/float64(len(other))), "×ITCH/byte")
	b.ReportMetric((q/float64(len(quotes)))/(i/float64(len(other))), "quote×ITCH/byte")
	b.ReportMetric(0, "ns/op")
}

// median is the sum of the chunks' medians.
func median(runs [][]float64) (ns float64) {
	for i := range runs[0] {
		var of []float64
		for _, r := range runs {
			of = append(of, r[i])
		}
		slices.Sort(of)
		ns += of[len(of)/2]
	}
	return ns
}

// run decodes all of a stream and gives the nanoseconds of each chunk.
func run(b *testing.B, stream []byte, out *tick.Batch, decode func(chunk []byte, n uint64) (used, messages int)) (times []float64) {
	n := uint64(0)
	for len(stream) > 0 {
		began := time.Now()
		for left := benchChunk; left > 0 && len(stream) > 0; {
			out.Reset()
			used, messages := decode(stream, n)
			if messages == 0 {
				b.Fatalf("stuck at message %d", n)
			}
			stream, n, left = stream[used:], n+uint64(messages), left-used
		}
		times = append(times, float64(time.Since(began).Nanoseconds()))
	}
	return times
}
