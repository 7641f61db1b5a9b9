// Package hist counts latencies on the hot path and reads them back from counter files.
//
//	lane: h.Record(ns) ──► plain words ──Export.Publish, each 10 ms──► .stats: <prefix>.hist.<stage>.le.<ns> ──Parse──► quantiles, Prometheus
//
// Buckets are log-linear: four of equal width in each power of two, so that a value is known to within a fifth, from
// 16 ns to 2^34 ns (17 s). Bucket i holds the values up to and including Bound(i):
//
//	0: 0…16   1: …20   2: …24   3: …28   4: …32   5: …40   6: …48   7: …56   8: …64   …   120: …2^34   121: more
package hist

import "math/bits"

// Buckets is the number of buckets, the last one without a bound.
const Buckets = 122

const (
	lowBits  = 4 // the first bucket ends at 1<<lowBits ns
	highBits = 34
)

// Hist is one histogram. It has one writer; nobody else reads it while that runs, but through Export. The zero value
// is empty.
type Hist struct {
	words     [Buckets]uint64
	sum       uint64
	backwards uint64
}

// Record counts a latency of ns. Hot path: a few ns, no allocation, no call.
func (h *Hist) Record(ns uint64) {
	h.words[index(ns)]++
	h.sum += ns
}

// Span records the time from one stamp to a later one, both ns of one clock. A stamp of 0 is none, and nothing is counted;
// when the later is before the earlier the clocks do not agree, which is counted apart (Backwards). Hot path.
func (h *Hist) Span(from, to uint64) {
	if from == 0 || to == 0 {
		return
	}
	if to < from {
		h.backwards++
		return
	}
	h.Record(to - from)
}

// Backwards counts spans that ended before they began: stamps of clocks that do not agree.
func (h *Hist) Backwards() uint64 { return h.backwards }

// index is the bucket of a value. Bounds are inclusive, so that what is looked at is the value less one.
func index(ns uint64) int {
	w := ns - 1
	if ns <= 1<<lowBits {
		return 0
	}
	e := bits.Len64(w) - 1
	if e >= highBits {
		return Buckets - 1
	}
	return 1 + (e-lowBits)*4 + int(w>>(e-2)&3)
}

// Bound is the greatest value of bucket i, in ns. The last bucket has none: Inf.
func Bound(i int) uint64 {
	switch {
	case i <= 0:
		return 1 << lowBits
	case i >= Buckets-1:
		return Inf
	}
	e, sub := (i-1)/4+lowBits, (i-1)%4
	return uint64(5+sub) << (e - 2)
}

// Inf is the bound of a bucket without one.
const Inf = 1<<64 - 1

// Snapshot is a copy of this moment, for the writer's own goroutine.
func (h *Hist) Snapshot() Snapshot {
	s := Snapshot{Bounds: bounds[:], Counts: append([]uint64(nil), h.words[:]...), Sum: h.sum, HasSum: true}
	return s
}

var bounds = func() (b [Buckets]uint64) {
	for i := range b {
		b[i] = Bound(i)
	}
	return b
}()
