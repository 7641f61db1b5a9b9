package hist

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/ringbuf"
)

// Every value lies in the first bucket whose bound is not below it, and a bucket is no wider than a quarter of its values.
func TestBuckets(t *testing.T) {
	slow := func(ns uint64) int {
		for i := range Buckets {
			if ns <= Bound(i) {
				return i
			}
		}
		return -1
	}
	values := []uint64{0, 1, 15, 16, 17, 20, 21, 32, 33, 1<<34 - 1, 1 << 34, 1<<34 + 1, 1<<64 - 1}
	for i := range Buckets - 1 {
		values = append(values, Bound(i)-1, Bound(i), Bound(i)+1)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		values = append(values, r.Uint64()>>r.IntN(64))
	}
	for _, v := range values {
		if got, want := index(v), slow(v); got != want {
			t.Fatalf("%d lies in bucket %d, want %d", v, got, want)
		}
	}
	for i := 1; i < Buckets-1; i++ {
		if low, high := Bound(i-1), Bound(i); high <= low || float64(high-low) > float64(low)/4+1e-9 {
			t.Errorf("bucket %d is %d … %d", i, low, high)
		}
	}
	if Bound(Buckets-2) != 1<<34 || Bound(Buckets-1) != Inf {
		t.Errorf("the last bounds are %d and %d", Bound(Buckets-2), uint64(Bound(Buckets-1)))
	}
}

// Quantiles are those of the sorted values, to within a bucket.
func TestQuantiles(t *testing.T) {
	var h Hist
	r := rand.New(rand.NewPCG(3, 4))
	var values []uint64
	for range 20_000 {
		v := uint64(r.ExpFloat64() * 5000)
		values = append(values, v)
		h.Record(v)
	}
	slices.Sort(values)
	s := h.Snapshot()
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := values[min(len(values)-1, max(0, int(q*float64(len(values))+0.9999999)-1))]
		if got := s.Quantile(q); got < exact || float64(got) > float64(max(exact, 13))*1.26 {
			t.Errorf("quantile %v is %d, exactly %d", q, got, exact)
		}
	}
	if s.Count() != 20_000 || s.Max() < values[len(values)-1] {
		t.Errorf("%d values, at most %d", s.Count(), s.Max())
	}
	var none Snapshot
	if none.Quantile(0.5) != 0 || none.Max() != 0 {
		t.Error("of nothing")
	}
	two := Snapshot{}
	if two.Merge(&s) != nil || two.Merge(&s) != nil || two.Count() != 40_000 || two.Sum != 2*s.Sum || s.Count() != 20_000 {
		t.Errorf("twice: %d", two.Count())
	}
	if err := two.Merge(&Snapshot{Bounds: []uint64{Inf}, Counts: []uint64{1}}); err == nil {
		t.Error("other bounds were added")
	}
	noSum := s
	noSum.HasSum = false
	if e := noSum.Estimate(); e < float64(s.Sum)*0.8 || e > float64(s.Sum)*1.2 {
		t.Errorf("estimated %v, is %d", e, s.Sum)
	}
}

func TestSpan(t *testing.T) {
	var h Hist
	h.Span(0, 5)
	h.Span(5, 0)
	h.Span(10, 110)
	h.Span(110, 10)
	if s := h.Snapshot(); s.Count() != 1 || s.Sum != 100 || h.Backwards() != 1 {
		t.Errorf("%d values, sum %d, %d backwards", s.Count(), s.Sum, h.Backwards())
	}
}

// What a lane records is what a reader of its counter file finds.
func TestThroughCounterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.stats")
	w, err := ringbuf.CreateStats(path, 0, ringbuf.SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	plain, err := w.Add("0.lane.messages", ringbuf.StatCounter)
	if err != nil {
		t.Fatal(err)
	}
	w.Set(plain, 7)
	var h Hist
	var skew [40]uint64
	e, err := Register(w, "0", "wire_to_poll", &h)
	if err != nil {
		t.Fatal(err)
	}
	p, err := RegisterPowers(w, "0.channel.itch", "skew", skew[:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(1000) {
		h.Record(i * i)
	}
	h.Span(2, 1)
	skew[0], skew[21], skew[39] = 1, 2, 3
	e.Publish()
	p.Publish()
	r, err := ringbuf.OpenStats(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found, rest := Parse(r.Append(nil))
	if len(found) != 2 || len(rest) != 1 || rest[0].Value != 7 {
		t.Fatalf("%d histograms, rest %v", len(found), rest)
	}
	want := h.Snapshot()
	if g := found[0]; g.Prefix != "0" || g.Stage != "wire_to_poll" || !slices.Equal(g.Counts, want.Counts) || !slices.Equal(g.Bounds, want.Bounds) || g.Sum != want.Sum || g.Backwards != 1 {
		t.Errorf("%+v", g)
	}
	g := found[1]
	if g.Prefix != "0.channel.itch" || g.Stage != "skew" || g.HasSum || len(g.Bounds) != 40 || g.Bounds[0] != 1 || g.Bounds[21] != 1<<22-1 || g.Bounds[39] != Inf ||
		g.Counts[21] != 2 || g.Counts[39] != 3 || g.Quantile(0.5) != 1<<22-1 {
		t.Errorf("%+v", g)
	}
	if n := testing.AllocsPerRun(100, func() { h.Record(99); e.Publish() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0.hist.a.le.16\n0.hist.a.le.inf\n0.hist.a.sum\n0.lane.x", uint64(3))
	f.Add(".hist..le.\n0.hist.a.le.18446744073709551615\n0.hist.a.le.16\n0.hist.a.le.16\n0.hist.b.sum", uint64(1))
	f.Fuzz(func(t *testing.T, names string, v uint64) {
		var stats []ringbuf.Stat
		for i, name := range strings.Split(names, "\n") {
			stats = append(stats, ringbuf.Stat{Name: name, Value: v + uint64(i)})
		}
		found, rest := Parse(stats)
		if len(rest) > len(stats) {
			t.Fatal("more than there was")
		}
		for _, h := range found {
			if len(h.Bounds) == 0 || len(h.Bounds) != len(h.Counts) || h.Bounds[len(h.Bounds)-1] != Inf || !slices.IsSorted(h.Bounds) {
				t.Fatalf("%+v", h)
			}
			_ = fmt.Sprint(h.Quantile(0.5), h.Estimate())
		}
	})
}

// BenchmarkRecord is what each stage costs a packet, BenchmarkPublish what the export costs each 10 ms.
//
//	budget  0 allocs/op, 8 ns a value; an export of a histogram with 20 buckets moving 0.5 µs
//	seen    5 ns, 0.3 µs on a two-core EPYC VM with other work, Go 1.26
func BenchmarkRecord(b *testing.B) {
	var h Hist
	b.ReportAllocs()
	v := uint64(500)
	for b.Loop() {
		v = v*6364136223846793005 + 1442695040888963407
		h.Record(v >> 50)
	}
}

func BenchmarkPublish(b *testing.B) {
	w, err := ringbuf.CreateStats(filepath.Join(b.TempDir(), "f.stats"), 0, ringbuf.SideOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	var h Hist
	e, err := Register(w, "0", "x", &h)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for v := range uint64(20) {
			h.Record(100 * v)
		}
		e.Publish()
	}
}
