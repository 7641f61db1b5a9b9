package session

import "sync/atomic"

// Some venues say at once that a range will not come: NYSE's message 31, and requests that are refused. Waiting for it would hold up everything
// behind it for nothing.
//
//	goroutine: refuse ──► refusals, a ring of 64 ──► refused, 32 of the lane's ──► wontCome: the hole there is given up now
//
// A range is told of for the numbers that it was asked for. When numbers begin anew (count), what was told before is void.
type refusals struct {
	ring [refusalsKept]refusal
	tail atomic.Uint64 // goroutine
	head atomic.Uint64 // lane
}

// refusal is [first, end).
type refusal struct {
	first, end uint64
	generation uint32
}

const refusalsKept = 64

// refused are those that the lane still has a use for.
type refused struct {
	ranges [refusalsKept / 2]refusal
	n      int
}

// refuse says that what was asked for of [first, end) will not come; false: there is no room, and the lane waits as long as ever. One goroutine at
// a time.
func (l *Link) refuse(first, end uint64, generation uint32) bool {
	f := &l.refusals
	tail := f.tail.Load()
	if tail-f.head.Load() == refusalsKept {
		return false
	}
	f.ring[tail%refusalsKept] = refusal{first, end, generation}
	f.tail.Store(tail + 1)
	return true
}

// wontCome says whether number next, which is missing, will not come from the venue; none of [next, end) will. Call it as long as there is a hole:
// what is not asked after is forgotten when next has passed it. Lane; hot path: without a refusal it looks at three words.
func (l *Link) wontCome(next uint64) (end uint64, ok bool) {
	f, kept := &l.refusals, &l.refused
	head, tail := f.head.Load(), f.tail.Load()
	if head == tail && kept.n == 0 {
		return 0, false
	}
	for ; head != tail && kept.n < len(kept.ranges); head++ {
		kept.ranges[kept.n] = f.ring[head%refusalsKept]
		kept.n++
	}
	f.head.Store(head)
	generation := l.generation.Load()
	for i := 0; i < kept.n; {
		switch r := &kept.ranges[i]; {
		case r.generation != generation || r.end <= next:
			kept.n--
			*r = kept.ranges[kept.n]
			continue
		case r.first <= next:
			end = max(end, r.end)
		}
		i++
	}
	return end, end != 0
}

// count says which count of numbers this is: what was asked and told in another one is void. Lane.
func (l *Link) count(generation uint32) {
	if l.generation.Load() != generation {
		l.generation.Store(generation)
	}
}
