package session

import (
	"math/rand/v2"
	"testing"
)

// TestHoldKnowsWhatIsMissing: packets that overlap in any way, added and taken off in any order, against a list of numbers.
func TestHoldKnowsWhatIsMissing(t *testing.T) {
	const most = 120
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 9))
		h := newHold(16, 1000)
		next := uint64(1)
		for range 60 {
			var have [most + 40]bool
			whole := func(first, end uint64) bool { // some held packet has all of it
				for _, e := range h.order[h.head:] {
					if e.first <= first && end <= e.first+uint64(e.count) {
						return true
					}
				}
				return false
			}
			if r.IntN(6) == 0 {
				next += r.Uint64N(10)
				for e, _, ok := h.due(next); ok; e, _, ok = h.due(next) {
					next = max(next, e.first+uint64(e.count)) // delivered
					h.pop()
				}
			} else if next < most {
				first, count := next+1+r.Uint64N(most-next), 1+r.IntN(30)
				was := whole(first, first+uint64(count))
				if got := h.add(make([]byte, 3), first, count, Arrival{}); (got == holdDuplicate) != was {
					t.Fatalf("seed %d: %d from %d on: added as %d, there already: %v", seed, count, first, got, was)
				}
			}
			for _, e := range h.order[h.head:] {
				for n := e.first; n < e.first+uint64(e.count); n++ {
					have[n] = true
				}
			}
			from := next + r.Uint64N(40)
			to := from + r.Uint64N(60)
			first, end := from, uint64(0)
			for first < to && first < uint64(len(have)) && have[first] {
				first++
			}
			for end = first; end < to && (end >= uint64(len(have)) || !have[end]); {
				end++
			}
			gotFirst, gotEnd, ok := h.missing(from, to)
			if ok != (first < to) || ok && (gotFirst != first || gotEnd != end) {
				t.Fatalf("seed %d: within [%d, %d): missing [%d, %d) %v, want [%d, %d)", seed, from, to, gotFirst, gotEnd, ok, first, end)
			}
		}
	}
}
