package ringbuf

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkPublish is the writer's cost of a record, alone and with a reader that keeps polling on another core (where
// there is one).
//
//	budget  0 allocs/op; under 10 ns a 64-byte record with a reader (specification of the ring, 7.12.6)
//	seen    2-core EPYC (Zen 4) VM, Go 1.26, 4 KiB pages: ABI.md, "Figures"
func BenchmarkPublish(b *testing.B) {
	for _, k := range []Kind{KindMbo, KindMbp1} {
		for _, run := range []int{1, 8, 64} {
			for _, readers := range []int{0, 1} {
				b.Run(fmt.Sprintf("slot=%d/run=%d/readers=%d", k.SlotBytes(), run, readers), func(b *testing.B) { benchPublish(b, k, run, readers) })
			}
		}
	}
}

func benchPublish(b *testing.B, k Kind, run, readers int) {
	w := mustCreate(b, filepath.Join(shmDir(b), "bench.a."+k.String()+".ring"), Options{Kind: k, Slots: 1 << 18})
	var stop atomic.Bool
	var read, lost atomic.Uint64
	done := make(chan struct{})
	for range readers {
		r := mustOpen(b, w.Path(), ReaderOptions{StaleAfter: time.Hour})
		go func() {
			buf := make([]byte, 64*k.PayloadBytes())
			for !stop.Load() {
				n, _, _ := r.Poll(buf, 64)
				read.Add(uint64(n))
			}
			lost.Store(r.Lost())
			done <- struct{}{}
		}()
	}
	recs := make([]uint64, run*k.PayloadBytes()/8)
	fillWords(recs, k.PayloadBytes()/8, 1)
	b.ReportAllocs()
	b.SetBytes(int64(k.SlotBytes()))
	n := 0
	for b.Loop() { // an operation is a record
		if n++; n == run {
			w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), run)
			w.PublishHint()
			n = 0
		}
	}
	b.StopTimer()
	stop.Store(true)
	for range readers {
		<-done
	}
	if readers > 0 {
		b.ReportMetric(100*float64(lost.Load())/float64(max(1, lost.Load()+read.Load())), "%lost")
	}
}

// BenchmarkPoll is the reader's cost of a record that is there already.
//
//	budget  0 allocs/op
func BenchmarkPoll(b *testing.B) {
	for _, k := range []Kind{KindMbo, KindMbp1, KindMbp10} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("slot=%d/batch=%d", k.SlotBytes(), batch), func(b *testing.B) {
				const slots = 1 << 14
				w := mustCreate(b, filepath.Join(shmDir(b), "bench.a."+k.String()+".ring"), Options{Kind: k, Slots: slots})
				publishN(w, slots)
				r := mustOpen(b, w.Path(), ReaderOptions{Join: JoinOldest})
				first := r.Next()
				buf := make([]byte, batch*k.PayloadBytes())
				b.ReportAllocs()
				b.SetBytes(int64(k.SlotBytes()))
				at := 0
				for b.Loop() {
					if at++; at < batch {
						continue
					}
					at = 0
					if n, _, _ := r.Poll(buf, batch); n == 0 {
						r.next = first // around again: the ring is full of this lap
					}
				}
			})
		}
	}
}
