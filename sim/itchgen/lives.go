package itchgen

import "math/bits"

// lives knows when each order is due to end, in events of the market. Lifetimes are rounded down to 1, 1.5, 2, 3, 4, 6, 8, …: orders
// of one lifetime end in the order in which they came, so each lifetime has a queue, and nothing is ever sorted.
//
//	lifetime   8     12    16    24   …            2^40
//	queue    [due…][due…][due…][due…]
//
// Long queues are looked at less often than short ones: an order ends late by a sixteenth of its life at most.
type lives struct {
	queues [2 * lifeOctaves]fifo
	ready  fifo
}

const (
	lifeOctaves = 41
	leastOctave = 3 // the shortest life is 8 events
)

// life is an order's; when the reference is not the order's any more, it has ended before its time.
type life struct {
	due   uint64
	ref   uint64
	order uint32
}

// fifo is a ring that grows.
type fifo struct {
	ring       []life
	head, tail uint64 // numbers of the first, and behind the last
}

func (f *fifo) push(l life) {
	if f.tail-f.head == uint64(len(f.ring)) {
		grown := make([]life, max(64, 2*len(f.ring)))
		for i := f.head; i != f.tail; i++ {
			grown[i&uint64(len(grown)-1)] = f.ring[i&uint64(len(f.ring)-1)]
		}
		f.ring = grown
	}
	f.ring[f.tail&uint64(len(f.ring)-1)] = l
	f.tail++
}

func (f *fifo) first() *life { return &f.ring[f.head&uint64(len(f.ring)-1)] }

func (f *fifo) empty() bool { return f.head == f.tail }

// schedule has an order end after lifetime events.
func (w *lives) schedule(now, lifetime uint64, order uint32, ref uint64) {
	lifetime = min(max(lifetime, 1<<leastOctave), 1<<(lifeOctaves-1))
	octave := bits.Len64(lifetime) - 1
	half := lifetime >> (octave - 1) & 1
	w.queues[uint64(2*octave)+half].push(life{now + (2+half)<<(octave-1), ref, order})
}

// collect moves what is due into ready. To be called with each now, ascending.
func (w *lives) collect(now uint64) {
	top := min(leastOctave+2+bits.TrailingZeros64(now|1<<40), lifeOctaves)
	for i := 2 * leastOctave; i < 2*top; i++ {
		q := &w.queues[i]
		for q.head != q.tail && q.first().due <= now {
			w.ready.push(*q.first())
			q.head++
		}
	}
}

// next gives an order that is due and rests still, 0: none is.
func (w *lives) next(p *pool) uint32 {
	for !w.ready.empty() {
		l := *w.ready.first()
		w.ready.head++
		if p.orders[l.order].ref == l.ref {
			return l.order
		}
	}
	return 0
}

// oldest gives an order that is not due yet, of the longest lifetime there is; 0: none rests.
func (w *lives) oldest(p *pool) uint32 {
	for i := len(w.queues) - 1; i >= 0; i-- {
		for q := &w.queues[i]; !q.empty(); {
			l := *q.first()
			q.head++
			if p.orders[l.order].ref == l.ref {
				return l.order
			}
		}
	}
	return w.next(p)
}
