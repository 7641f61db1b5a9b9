package book

import (
	"math"

	"github.com/tickwire/tickwire/tick"
)

// modify gives an order a new price and size, as NYSE's message 101, IEX's M and CME's order update do:
//
//	new price    new size    code        the order
//	the same     any         ModifyKeep  keeps its place in the queue, even when it grew
//	the same     any         ModifyTail  goes to the tail of its level
//	another      any         any         goes to the tail of the new level
//	any          0           any         is gone, as by a Delete: StateGone
//
// OldPrice and OldSize are what it had, Left what it has. Where the new price or size cannot rest, which is counted, the order is gone as well
// and the instrument suspect: what the venue says of it is not what it was.
func (b *Books) modify(batch *tick.Batch, i int) {
	i &= tick.RowMask
	said := batch.Side[i]
	n, o, h := b.resting(batch, i, tick.KindModify)
	if n == 0 {
		return
	}
	if said != batch.Side[i] && (said == tick.SideBid || said == tick.SideAsk) {
		b.counters.SideMismatch++
	}
	l := b.level(o.level)
	side := o.owner >> sideBit
	price, size := batch.Price[i], batch.Size[i]
	had := priceOf(l.key, side)
	batch.OldPrice[i], batch.OldSize[i], batch.Left[i] = had, uint64(o.size), size
	state := tick.StateApplied
	switch {
	case size != 0 && size <= math.MaxUint32 && price == had:
		l.size += size - uint64(o.size)
		o.size = uint32(size)
		if batch.Sub[i] == tick.ModifyTail && o.next != 0 {
			b.toTail(n, o, l)
		}
		if h.best[side] == o.level {
			h.sz[side] = tick.Size32(l.size)
		}
	default:
		id, owner, mpid := o.id, o.owner, o.mpid
		b.remove(n, o, h)
		if size == 0 {
			state |= tick.StateGone
		} else if !b.rest(h, batch, i, id, owner, mpid) {
			h.flags |= flagSuspect
			batch.Left[i] = 0
			state |= tick.StateGone
		}
	}
	finish(batch, i, h, side, state)
}

// toTail moves an order that has others behind it to the end of its queue.
func (b *Books) toTail(n uint32, o *order, l *level) {
	if o.prev != 0 {
		b.order(o.prev).next = o.next
	} else {
		l.head = o.next
	}
	b.order(o.next).prev = o.prev
	b.order(l.tail).next = n
	o.prev, o.next = l.tail, 0
	l.tail = n
}
