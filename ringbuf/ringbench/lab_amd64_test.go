//go:build !purego

package ringbench

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
)

func labRing(tb testing.TB, slots uint64) (*ringbuf.Writer, *labWriter) {
	tb.Helper()
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("TICKWIRE_LAB_DIR"), "/dev/shm"), "tickwire-lab-")
	if err != nil {
		dir = tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	w, err := ringbuf.Create(filepath.Join(dir, "lab.a.mbo.ring"), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: slots, HugePages: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	l, err := openLab(w)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.close() })
	return w, l
}

func labVariants(run int) []labVariant {
	all := []labVariant{{name: "plain"}}
	for _, ahead := range []int{16, 64, 256} {
		if ahead%run == 0 {
			all = append(all, labVariant{name: fmt.Sprint("prefetch", ahead), ahead: ahead})
		}
	}
	return append(all, labVariant{name: "nontemporal", nonTemporal: true})
}

// Each variant publishes what the ordinary reader takes for whole records.
func TestVariantsPublishTheSame(t *testing.T) {
	const run = 8
	for _, v := range labVariants(run) {
		w, l := labRing(t, 1024)
		r, err := ringbuf.Open(w.Path(), ringbuf.ReaderOptions{StaleAfter: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		recs := make([]uint64, run*7)
		for range 300 {
			for i := range recs {
				recs[i] = word(l.next+uint64(i/7), uint64(i%7))
			}
			l.publish(recs, run, v)
			if got := Drain(r, run, func() bool { return true }); got.Records != run || got.Bad != 0 || got.Lost != 0 {
				t.Fatalf("%s: %+v", v.name, got)
			}
		}
		_ = r.Close()
	}
}

// BenchmarkVariants is each variant's cost for the writer, in turns within one run, each turn 2 ms: the medians in ns a record
// and, for those that are not plain, the ratio to plain's of the same turn. TICKWIRE_LAB_DIR may be a directory on hugetlbfs.
//
//	budget  what ringbuf does is no slower than what it does not. seen: ABI.md 4
func BenchmarkVariants(b *testing.B) {
	for _, slots := range []uint64{1 << 18, 1 << 20} {
		for _, run := range []int{1, 2, 4, 8, 64} {
			for _, readers := range []int{0, 1} {
				b.Run(fmt.Sprintf("MiB=%d/run=%d/readers=%d", slots>>14, run, readers), func(b *testing.B) { benchVariants(b, slots, run, readers) })
			}
		}
	}
}

func benchVariants(b *testing.B, slots uint64, run, readers int) {
	w, l := labRing(b, slots)
	var stop atomic.Bool
	var done sync.WaitGroup
	for range readers {
		done.Go(func() {
			runtime.LockOSThread()
			r, err := ringbuf.Open(w.Path(), ringbuf.ReaderOptions{StaleAfter: time.Hour})
			if err != nil {
				b.Error(err)
				return
			}
			defer r.Close()
			recs := make([]uint64, 64*7)
			for !stop.Load() {
				_, _, _ = r.PollInto(unsafe.Pointer(unsafe.SliceData(recs)), 64)
			}
		})
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	variants := labVariants(run)
	ns, ratios := make([][]float64, len(variants)), make([][]float64, len(variants))
	recs := make([]uint64, run*7)
	for b.Loop() {
		for i, v := range variants {
			begin, first := ringbuf.MonotonicNow(), l.next
			for ringbuf.MonotonicNow()-begin < 2e6 {
				for range 512 / run {
					recs[0] = l.next
					l.publish(recs, run, v)
				}
			}
			ns[i] = append(ns[i], float64(ringbuf.MonotonicNow()-begin)/float64(l.next-first))
			ratios[i] = append(ratios[i], ns[i][len(ns[i])-1]/ns[0][len(ns[0])-1])
		}
	}
	stop.Store(true)
	done.Wait()
	for i, v := range variants {
		b.ReportMetric(median(ns[i]), v.name+"-ns")
		if i > 0 {
			b.ReportMetric(median(ratios[i]), v.name+"/plain")
		}
	}
	b.ReportMetric(0, "ns/op")
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[len(v)/2]
}

const labEnd = math.MaxUint64

// BenchmarkVariantLatency is the reader's side: the median time from due to read and validated, each variant in turns of
// 20 ms within one run, single records at 500,000 a second.
func BenchmarkVariantLatency(b *testing.B) {
	w, l := labRing(b, 1<<20)
	variants := labVariants(1)
	turn := make(chan []float64)
	var until atomic.Uint64 // number at which the reader hands its turn over
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread()
		r, err := ringbuf.Open(w.Path(), ringbuf.ReaderOptions{StaleAfter: time.Hour})
		if err != nil {
			b.Error(err)
			return
		}
		defer r.Close()
		var got []float64
		rec := make([]uint64, 7)
		for {
			if n, _, _ := r.PollInto(unsafe.Pointer(unsafe.SliceData(rec)), 1); n == 1 {
				got = append(got, float64(ringbuf.MonotonicNow()-rec[0]))
			} else if u := until.Load(); u == labEnd {
				return
			} else if u != 0 && r.Next() >= u {
				until.Store(0)
				turn <- got
				got = nil
			}
		}
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := make([][]float64, len(variants))
	recs := make([]uint64, 7)
	for b.Loop() {
		for i, v := range variants {
			due := ringbuf.MonotonicNow()
			for range 10_000 {
				due += 2000
				for ringbuf.MonotonicNow() < due {
				}
				recs[0] = due
				l.publish(recs, 1, v)
			}
			until.Store(l.next)
			all[i] = append(all[i], median(<-turn))
		}
	}
	until.Store(labEnd)
	done.Wait()
	for i, v := range variants {
		b.ReportMetric(median(all[i]), v.name+"-p50-ns")
	}
	b.ReportMetric(0, "ns/op")
}
