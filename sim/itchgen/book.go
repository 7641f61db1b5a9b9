package itchgen

import "math/bits"

// The generator's own books: for each symbol and side levels levels around the price that the day began at, each a queue of
// orders. Prices never leave the window, for the walk tends back.
//
//	levels   0 …… 255 │ 256 …… 511     in ticks; the day begins at the middle
//	bits     which levels have orders: the best is one scan of eight words away
const (
	levels = 512
	middle = levels / 2
	words  = levels / 64
)

type order struct {
	ref        uint64
	next, prev uint32 // in its queue, 0: none
	size       uint32
	symbol     uint16
	level      uint16
	side       uint8 // 0 bid, 1 ask
	mpid       bool
	place      uint32 // in live (hostile)
}

type queue struct{ head, tail uint32 }

type symbol struct {
	name    [8]byte
	base    uint32 // price of level 0, 1e-4
	tick    uint32 // 1e-4
	mid     int32  // level of the walk
	half    int32  // half the usual spread, in ticks
	lot     uint32
	halted  bool
	bits    [2][words]uint64
	queues  [2][levels]queue
	locate  uint16
	noCross bool // thinly traded: no NOII
}

func (s *symbol) price(level uint16) uint32 { return s.base + uint32(level)*s.tick }

// best gives the best level of a side, -1: none.
func (s *symbol) best(side uint8) int32 {
	b := &s.bits[side]
	if side == 0 {
		for w := words - 1; w >= 0; w-- {
			if b[w] != 0 {
				return int32(w*64 + 63 - bits.LeadingZeros64(b[w]))
			}
		}
		return -1
	}
	for w := range words {
		if b[w] != 0 {
			return int32(w*64 + bits.TrailingZeros64(b[w]))
		}
	}
	return -1
}

// pool is the resting orders. Number 0 is none.
type pool struct {
	orders []order
	free   uint32 // chained by next
	count  int
}

func (p *pool) take() uint32 {
	if p.free != 0 {
		n := p.free
		p.free = p.orders[n].next
		p.count++
		return n
	}
	p.orders = append(p.orders, order{})
	p.count++
	return uint32(len(p.orders) - 1)
}

// rest puts an order at the end of its queue.
func (g *Gen) rest(o order) uint32 {
	n := g.pool.take()
	s := &g.symbols[o.symbol]
	q := &s.queues[o.side][o.level]
	o.next, o.prev = 0, q.tail
	if q.tail != 0 {
		g.pool.orders[q.tail].next = n
	} else {
		q.head = n
		s.bits[o.side][o.level/64] |= 1 << (o.level % 64)
	}
	q.tail = n
	if g.hostile {
		o.place = uint32(len(g.live))
		g.live = append(g.live, n)
	}
	g.pool.orders[n] = o
	return n
}

// remove takes an order out.
func (g *Gen) remove(n uint32) {
	o := &g.pool.orders[n]
	s := &g.symbols[o.symbol]
	q := &s.queues[o.side][o.level]
	if o.prev != 0 {
		g.pool.orders[o.prev].next = o.next
	} else {
		q.head = o.next
	}
	if o.next != 0 {
		g.pool.orders[o.next].prev = o.prev
	} else {
		q.tail = o.prev
	}
	if q.head == 0 {
		s.bits[o.side][o.level/64] &^= 1 << (o.level % 64)
	}
	if g.hostile {
		last := g.live[len(g.live)-1]
		g.live[o.place] = last
		g.pool.orders[last].place = o.place
		g.live = g.live[:len(g.live)-1]
	}
	*o = order{next: g.pool.free}
	g.pool.free = n
	g.pool.count--
}

// reduce takes size off an order, all of it if that is what it has, and says whether it is gone.
func (g *Gen) reduce(n, size uint32) bool {
	o := &g.pool.orders[n]
	if size >= o.size {
		g.remove(n)
		return true
	}
	o.size -= size
	return false
}
