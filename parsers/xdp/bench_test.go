package xdp

import (
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// BenchmarkAppend is the decoder alone beside that of ITCH, on a mix of a day from memory: the two take turns, five runs each, medians.
//
//	budget  within 2 × of ITCH per byte; 0 allocs
func BenchmarkAppend(b *testing.B) {
	const messages = 2_000_000
	day := mix(messages, 8000)
	g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 8000, Seed: 42, Profile: itchgen.Realistic})
	if err != nil {
		b.Fatal(err)
	}
	other := itchgen.AppendAll(make([]byte, 0, messages*36), g, nil)
	out := newBatch(b)
	xdp := func() float64 {
		d := newDecoder(b, Options{Product: "integrated"})
		return run(b, day, out, func(chunk []byte, n uint64) (int, int) { return d.Append(chunk, n+1, 512, out) })
	}
	var c itch.Counters
	peer := func() float64 {
		return run(b, other, out, func(chunk []byte, n uint64) (int, int) { return itch.Append(chunk, 1, n, 512, out, &c) })
	}
	var ours, theirs []float64
	for b.Loop() {
		for range 5 {
			ours, theirs = append(ours, xdp()), append(theirs, peer())
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	x, i := ours[len(ours)/2], theirs[len(theirs)/2]
	b.ReportMetric(x/messages, "ns/msg")
	b.ReportMetric(float64(len(day))/x, "GB/s")
	b.ReportMetric(i/messages, "ITCH-ns/msg")
	b.ReportMetric((x/float64(len(day)))/(i/float64(len(other))), "×ITCH/byte")
	b.ReportMetric(0, "ns/op")
}

// run decodes all of a stream and gives the nanoseconds.
func run(b *testing.B, stream []byte, out *tick.Batch, decode func(chunk []byte, n uint64) (used, messages int)) float64 {
	began := time.Now()
	n := uint64(0)
	for len(stream) > 0 {
		out.Reset()
		used, messages := decode(stream, n)
		if messages == 0 {
			b.Fatalf("stuck at message %d", n)
		}
		stream, n = stream[used:], n+uint64(messages)
	}
	return float64(time.Since(began).Nanoseconds())
}
