package fix

import (
	"fmt"
	"testing"
)

// benchMessages are X messages of a busy session: one to four entries each.
func benchMessages(n int) (all []byte, each [][]byte) {
	for i := range n {
		rest := fmt.Sprintf("35=X|34=%d|49=VENUE|52=20261123-03:24:24.489%03d|56=TICKWIRE|262=R1|268=%d|", i+2, i%1000, 1+i%4)
		for k := range 1 + i%4 {
			rest += fmt.Sprintf("279=%d|269=%d|55=ESZ4|270=%d.%02d|271=%d|290=%d|", i%3, k%2, 5000+i%100, i%4*25, 1+i%70, 1+k)
		}
		all = append(all, framed("FIX.4.4", rest)...)
	}
	for rest := all; len(rest) > 0; {
		_, n, _ := Frame(rest, 0)
		each, rest = append(each, rest[:n]), rest[n:]
	}
	return all, each
}

// BenchmarkScan is finding fields in whole messages, and summing them, beside a loop over bytes.
//
//	budget  AVX2 faster than the plain loop in the same run; 0 allocs/op
func BenchmarkScan(b *testing.B) {
	all, each := benchMessages(2000)
	dst := make([]Field, 128)
	run := func(name string, f func(m []byte)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(all)))
			b.ReportAllocs()
			for b.Loop() {
				for _, m := range each {
					f(m)
				}
			}
		})
	}
	run("plain", func(m []byte) { scanPlain(m, dst) })
	for _, way := range ways() {
		name := []string{"portable", "avx2"}[way]
		run(name, func(m []byte) { scan(m, dst, way) })
		run(name+"-sum", func(m []byte) { sum(m, way) })
		run(name+"-masks", func(m []byte) { var x chunkMasks; findMasks(m[:min(len(m), chunkBytes)], &x, way) })
	}
}

// BenchmarkParse is framing, and fields and groups of whole messages.
func BenchmarkParse(b *testing.B) {
	all, each := benchMessages(2000)
	d := dictionary(b, "FIX.4.4")
	var m Message
	for _, step := range []struct {
		name string
		f    func(raw []byte) error
	}{
		{"frame", func(raw []byte) error { _, _, err := Frame(raw, 0); return err }},
		{"parse", func(raw []byte) error { return m.Parse(raw, d) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(all)))
			for b.Loop() {
				for _, raw := range each {
					if err := step.f(raw); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(each)), "ns/msg")
		})
	}
}

// BenchmarkDecode is messages of a session, framed and summed, into rows.
//
//	budget  0 allocs/op
func BenchmarkDecode(b *testing.B) {
	_, levels := benchMessages(2000)
	var snapshots, orders [][]byte
	for i := range 500 {
		rest := fmt.Sprintf("35=W|34=%d|49=VENUE|52=20261123-03:24:24.489%03d|56=TICKWIRE|262=R1|55=ESZ4|268=20|", i+2, i)
		for k := range 20 {
			rest += fmt.Sprintf("269=%d|270=%d.%02d|271=%d|290=%d|", k%2, 5000+i%100, i%4*25, 1+i%70, 1+k/2)
		}
		snapshots = append(snapshots, framed("FIX.4.4", rest))
	}
	for i := range 2000 {
		orders = append(orders, framed("FIX.4.4", fmt.Sprintf("35=X|34=%d|49=VENUE|52=20261123-03:24:24.489%03d|56=TICKWIRE|262=R1|268=2|"+
			"279=0|269=0|278=ord-%d|55=ESZ4|270=5000.25|271=%d|279=2|269=0|278=ord-%d|", i+2, i%1000, i, 1+i%70, (i+1900)%2000)))
	}
	for _, bench := range []struct {
		name string
		each [][]byte
	}{{"X-levels", levels}, {"W-20", snapshots}, {"X-orders", orders}} {
		b.Run(bench.name, func(b *testing.B) {
			d := decoderOf(b, Options{})
			out := batch(b)
			var all []byte
			for _, m := range bench.each {
				all = append(all, m...)
			}
			b.SetBytes(int64(len(all)))
			b.ReportAllocs()
			for b.Loop() {
				for rest := all; len(rest) > 0; {
					out.Reset()
					used, _ := d.Append(rest, 1, 64, out)
					rest = rest[used:]
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(bench.each)), "ns/msg")
		})
	}
}
