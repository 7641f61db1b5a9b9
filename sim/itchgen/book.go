package itchgen

import "math/bits"

// The generator's own books. A level belongs to one side at a time, for books are never crossed, so bids and asks share a
// symbol's queues; bits say which levels have bids and which have asks.
//
//	symbol ── best bid ──► level ──► head ⇄ order ⇄ order ⇄ tail      (queues: levels × symbols)
//	       └─ bits: the next best is a scan of words away
//
// Orders lie in one slice and name each other by number; 0 is none.
type order struct {
	ref        uint64
	size       uint32
	next, prev uint32 // in its queue; next also chains free ones
	place      uint32 // in Gen.everyone (hostile)
	symbol     uint16
	level      int16
	side       uint8 // bid or ask
	mpid       uint8 // 0: none, else number of the participant + 1
}

const (
	bid = 0
	ask = 1
)

type queue struct{ head, tail uint32 }

type pool struct {
	orders []order
	free   uint32
	count  uint64 // resting
}

func (p *pool) take() uint32 {
	p.count++
	if n := p.free; n != 0 {
		p.free = p.orders[n].next
		return n
	}
	p.orders = append(p.orders, order{})
	return uint32(len(p.orders) - 1)
}

func (g *Gen) queue(symbol uint16, level int16) *queue {
	return &g.queues[int(symbol)*levels+int(level)]
}

// fits moves a level that an order would have to where it neither meets the other side nor leaves the ladder; false when
// there is no such place.
func (s *symbol) fits(side uint8, level int16) (int16, bool) {
	level = min(max(level, s.low), stubAsk-1)
	if side == bid {
		level = min(level, s.best[ask]-1)
		return level, level >= s.low
	}
	level = max(level, s.best[bid]+1)
	return level, level < stubAsk
}

// rest puts an order at the end of its queue and returns its number.
func (g *Gen) rest(o order) uint32 {
	n := g.pool.take()
	s := &g.symbols[o.symbol]
	q := g.queue(o.symbol, o.level)
	o.next, o.prev = 0, q.tail
	if q.tail != 0 {
		g.pool.orders[q.tail].next = n
	} else {
		q.head = n
		s.bits[o.side][o.level>>6] |= 1 << (o.level & 63)
		if o.side == bid {
			s.best[bid] = max(s.best[bid], o.level)
		} else {
			s.best[ask] = min(s.best[ask], o.level)
		}
	}
	q.tail = n
	if g.hostile {
		o.place = uint32(len(g.everyone))
		g.everyone = append(g.everyone, n)
	}
	g.pool.orders[n] = o
	return n
}

// remove takes an order out; its number may be given to another one.
func (g *Gen) remove(n uint32) {
	o := &g.pool.orders[n]
	q := g.queue(o.symbol, o.level)
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
		g.symbols[o.symbol].emptied(o.side, o.level)
	}
	if g.hostile {
		last := g.everyone[len(g.everyone)-1]
		g.everyone[o.place] = last
		g.pool.orders[last].place = o.place
		g.everyone = g.everyone[:len(g.everyone)-1]
	}
	*o = order{next: g.pool.free}
	g.pool.free = n
	g.pool.count--
}

// emptied notes that a level has no orders any more and finds the next best one.
func (s *symbol) emptied(side uint8, level int16) {
	b := &s.bits[side]
	b[level>>6] &^= 1 << (level & 63)
	if s.best[side] != level {
		return
	}
	if side == bid {
		for w := int(level >> 6); w >= 0; w-- {
			if b[w] != 0 {
				s.best[bid] = int16(w*64 + bits.Len64(b[w]) - 1)
				return
			}
		}
		s.best[bid] = -1
		return
	}
	for w := int(level >> 6); w < words; w++ {
		if b[w] != 0 {
			s.best[ask] = int16(w*64 + bits.TrailingZeros64(b[w]))
			return
		}
	}
	s.best[ask] = levels
}

// reduce takes size off an order, which must have it, and says whether it is gone.
func (g *Gen) reduce(n, size uint32) (gone bool) {
	o := &g.pool.orders[n]
	if size == o.size {
		g.remove(n)
		return true
	}
	o.size -= size
	return false
}
