package book

import (
	"math"

	"github.com/tickwire/tickwire/tick"
)

// Apply completes rows from to to-1 of the batch, in order, and applies them to the books. What it fills in is in
// the comment of tick.Batch; Before, After and State are filled in for every row, whatever its kind:
//
//   - a row that was refused or ignored (unknown order, zero shares, …) has no StateApplied, is counted, and changed nothing;
//   - a row without effect on a book has StateApplied and Before = After = the best prices of its instrument;
//   - a row whose instrument number is from MaxInstruments on has empty best prices.
//
// A row with StateDuplicate removed a stale order, which Stale describes; an Add also has its price and remaining size in
// OldPrice and OldSize. A Replace
// whose new order is refused is applied all the same, for the old order is gone: it has StateGone, and only then.
//
// Hot path: no allocation, no system call but for the first touch of memory.
func (b *Books) Apply(batch *tick.Batch, from, to int) {
	if from == 0 {
		b.stale = b.stale[:0]
	}
	if looksAhead {
		b.chainTo(batch)
	}
	for ahead := from; from < to; ahead += group {
		if looksAhead {
			b.ask(batch, from, ahead, to)
		}
		for end := min(ahead-4*group, to); from < end; from++ {
			b.row(batch, from&tick.RowMask)
		}
	}
}

func (b *Books) row(batch *tick.Batch, i int) {
	switch batch.Kind[i&tick.RowMask] {
	case tick.KindAdd:
		b.add(batch, i&tick.RowMask)
	case tick.KindDelete:
		b.reduce(batch, i&tick.RowMask, tick.KindDelete)
	case tick.KindExec, tick.KindExecAt, tick.KindReduce:
		b.reduce(batch, i&tick.RowMask, batch.Kind[i&tick.RowMask])
	case tick.KindReplace:
		b.replace(batch, i&tick.RowMask)
	case tick.KindClear:
		b.clearRow(batch, i&tick.RowMask)
	default:
		b.leave(batch, i&tick.RowMask, tick.StateApplied)
	}
}

// leave completes a row that does not change a book.
func (b *Books) leave(batch *tick.Batch, i int, state uint8) {
	i &= tick.RowMask
	n := batch.Instrument[i]
	if n >= b.instruments {
		batch.Before[i], batch.After[i] = tick.EmptyPair, tick.EmptyPair
		batch.State[i] = state
		return
	}
	h := b.instrument(n)
	batch.Before[i], batch.After[i] = *h.pair(), *h.pair()
	batch.State[i] = state | suspectState(h)
}

// suspectState is tick.StateSuspect if the instrument is suspect or its readers are behind.
func suspectState(h *instrument) uint8 {
	return (h.flags | h.flags>>behindBit) & flagSuspect * tick.StateSuspect
}

// finish fills in After and State.
func finish(batch *tick.Batch, i int, h *instrument, state uint8) {
	i &= tick.RowMask
	after := h.pair()
	batch.After[i] = *after
	if batch.Before[i] != *after {
		state |= tick.StateTop
	}
	batch.State[i] = state | suspectState(h)
}

func (b *Books) add(batch *tick.Batch, i int) {
	i &= tick.RowMask
	n := batch.Instrument[i]
	if n >= b.instruments {
		b.counters.OverInstrument++
		b.leave(batch, i, 0)
		return
	}
	var side uint32
	switch batch.Side[i] {
	case tick.SideBid:
	case tick.SideAsk:
		side = ask
	default:
		b.counters.BadSide++
		b.leave(batch, i, 0)
		return
	}
	h := b.instrument(n)
	batch.Before[i] = *h.pair()
	state := tick.StateApplied
	id := batch.OrderID[i]
	if stale := b.index.find(id); stale != 0 {
		if b.refused(h, batch, i) || b.noBlocks(h, side) {
			b.leave(batch, i, 0)
			return
		}
		o := b.order(stale)
		batch.OldPrice[i], batch.OldSize[i] = b.price(o), uint64(o.size)
		b.removeStale(i, stale, o)
		state |= tick.StateDuplicate
	}
	if !b.rest(h, batch, i, id, ownerOf(n, side), uint32(batch.Aux[i])) {
		state &^= tick.StateApplied
	}
	finish(batch, i, h, state)
}

// refused says, and counts, that the order of a row cannot rest whatever else happens: its own fields are to blame.
func (b *Books) refused(h *instrument, batch *tick.Batch, i int) bool {
	size, price := batch.Size[i&tick.RowMask], batch.Price[i&tick.RowMask]
	if size-1 < math.MaxUint32 && !badPrice(price) {
		return false
	}
	switch {
	case size == 0:
		b.counters.ZeroSize++
	case badPrice(price):
		b.counters.BadPrice++
	default:
		b.counters.BadSize++
		h.flags |= flagSuspect
	}
	return true
}

// noBlocks says, and counts, that a new level might find no room in the tree.
func (b *Books) noBlocks(h *instrument, side uint32) bool {
	if b.blocks.room() >= reserve && h.height[side] < maxHeight {
		return false
	}
	b.counters.NoRoom++
	h.flags |= flagSuspect
	return true
}

// rest puts the order of a row, whose id is not in use, at the tail of its level, unless something forbids it, which is
// counted.
func (b *Books) rest(h *instrument, batch *tick.Batch, i int, id uint64, owner, mpid uint32) bool {
	i &= tick.RowMask
	if b.refused(h, batch, i) {
		return false
	}
	if id >= b.index.limit {
		b.counters.OverReference++
		h.flags |= flagSuspect
		return false
	}
	side := owner >> sideBit
	if b.orders.inUse >= b.orders.limit || !b.index.hasRoom(id) {
		b.counters.NoRoom++
		h.flags |= flagSuspect
		return false
	}
	if b.noBlocks(h, side) {
		return false
	}
	size := uint32(batch.Size[i])
	key := keyOf(batch.Price[i], side)
	best := h.best[side]
	at := best
	if best == 0 || key != keyOf(h.px[side], side) {
		at = b.put(h, side, key)
	}
	l := b.level(at)
	n := b.newOrder()
	o := b.order(n)
	*o = order{id: id, size: size, level: at, prev: l.tail, owner: owner, mpid: mpid}
	if l.tail != 0 {
		b.order(l.tail).next = n
	} else {
		l.head = n
	}
	l.tail = n
	l.size += uint64(size)
	l.count++
	b.index.put(id, n)
	if at == best {
		h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
	} else if best == 0 || key > keyOf(h.px[side], side) {
		b.setBest(h, side, at, l)
		if instrument, _ := splitOwner(owner); h.flags&flagSeen == 0 {
			h.flags |= flagSeen
			b.seen = max(b.seen, instrument+1)
		}
	}
	if live := uint64(b.orders.inUse); live > b.counters.MaxOrders {
		b.counters.MaxOrders = live
	}
	return true
}

func (b *Books) setBest(h *instrument, side, at uint32, l *level) {
	h.best[side], h.px[side] = at, keyOf(l.key, side)
	h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
}

// price is the price that an order rests at.
func (b *Books) price(o *order) int64 { return keyOf(b.level(o.level).key, o.owner>>sideBit) }

// remove takes an order out of its level, its level out of the tree if it was the last there, and out of the index.
func (b *Books) remove(n uint32, o *order) {
	owner, side := splitOwner(o.owner)
	h := b.instrument(owner)
	at := o.level
	l := b.level(at)
	if o.prev != 0 {
		b.order(o.prev).next = o.next
	} else {
		l.head = o.next
	}
	if o.next != 0 {
		b.order(o.next).prev = o.prev
	} else {
		l.tail = o.prev
	}
	l.size -= uint64(o.size)
	l.count--
	if l.count != 0 {
		if h.best[side] == at {
			h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
		}
	} else {
		b.take(h, side, l)
		b.freeLevel(at, l)
		if h.best[side] == at {
			b.nextBest(h, side)
		}
	}
	b.index.drop(o.id)
	b.freeOrder(n, o)
}

// nextBest finds the best price after the one that was best is gone: the last entry of the leaf with the best prices.
func (b *Books) nextBest(h *instrument, side uint32) {
	leaf := h.leaf[side]
	if leaf == 0 {
		h.best[side], h.px[side], h.sz[side], h.ct[side] = 0, tick.UndefPrice, 0, 0
		return
	}
	k := b.block(leaf)
	at := k.refs[k.n-1]
	b.setBest(h, side, at, b.level(at))
}

// resting finds the order of a row, completes what any row about a resting order has, and gives its number, or 0 after
// completing the row as ignored.
func (b *Books) resting(batch *tick.Batch, i int, kind tick.Kind) (uint32, *order, *instrument) {
	i &= tick.RowMask
	n := b.index.find(batch.OrderID[i])
	if n == 0 {
		b.counters.Unknown[kind%tick.KindCount]++
		b.leave(batch, i, 0)
		return 0, nil, nil
	}
	o := b.order(n)
	owner, side := splitOwner(o.owner)
	if owner != batch.Instrument[i] {
		b.counters.LocateMismatch++
		batch.Instrument[i] = owner
	}
	batch.Side[i] = sideByte(side)
	h := b.instrument(owner)
	batch.Before[i] = *h.pair()
	return n, o, h
}

// reduce applies Exec, ExecAt, Reduce and Delete.
func (b *Books) reduce(batch *tick.Batch, i int, kind tick.Kind) {
	i &= tick.RowMask
	n, o, h := b.resting(batch, i, kind)
	if n == 0 {
		return
	}
	l := b.level(o.level)
	side := o.owner >> sideBit
	price := keyOf(l.key, side)
	if kind == tick.KindExecAt {
		batch.OldPrice[i] = price
	} else {
		batch.Price[i] = price
	}
	if kind <= tick.KindExecAt && o.prev != 0 {
		b.counters.OutOfTurn++
	}
	state := tick.StateApplied
	size, had := batch.Size[i], uint64(o.size)
	if kind == tick.KindDelete {
		size = had
		batch.Size[i] = had
	} else if size > had {
		b.counters.Clamped++
		state |= tick.StateClamped
		size = had
		batch.Size[i] = had
	}
	batch.Left[i] = had - size
	if size == had {
		state |= tick.StateGone
		b.remove(n, o)
	} else {
		o.size -= uint32(size)
		l.size -= size
		if h.best[side] == o.level {
			h.sz[side] = tick.Size32(l.size)
		}
	}
	finish(batch, i, h, state)
}

// replace removes the old order and puts the new one, with the old one's side, instrument and attribution, at the tail
// of its level.
func (b *Books) replace(batch *tick.Batch, i int) {
	i &= tick.RowMask
	n, o, h := b.resting(batch, i, tick.KindReplace)
	if n == 0 {
		return
	}
	batch.OldPrice[i], batch.OldSize[i] = b.price(o), uint64(o.size)
	owner, mpid := o.owner, o.mpid
	state := tick.StateApplied
	b.remove(n, o)
	id := batch.Aux[i]
	if stale := b.index.find(id); stale != 0 {
		if b.refused(h, batch, i) || b.noBlocks(h, owner>>sideBit) {
			finish(batch, i, h, state|tick.StateGone)
			return
		}
		b.removeStale(i, stale, b.order(stale))
		state |= tick.StateDuplicate
	}
	if !b.rest(h, batch, i, id, owner, mpid) {
		state |= tick.StateGone
	}
	finish(batch, i, h, state)
}

func (b *Books) clearRow(batch *tick.Batch, i int) {
	i &= tick.RowMask
	n := batch.Instrument[i]
	if n >= b.instruments {
		b.counters.OverInstrument++
		b.leave(batch, i, 0)
		return
	}
	h := b.instrument(n)
	batch.Before[i] = *h.pair()
	b.Clear(n)
	finish(batch, i, h, tick.StateApplied)
}

// Clear removes all orders of an instrument; its flags stay. It takes time in proportion to their number.
func (b *Books) Clear(instrument uint32) {
	if instrument >= b.instruments {
		return
	}
	h := b.instrument(instrument)
	for side := range uint32(2) {
		for h.best[side] != 0 {
			n := b.level(h.best[side]).head
			b.remove(n, b.order(n))
		}
	}
}

// A Stale order was removed because the venue gave its id out again. It may be another instrument's than the row's.
type Stale struct {
	Row   int // of the batch
	Order Order
	Top   bool            // its leaving changed the best prices of its instrument …
	After tick.BidAskPair // … to these
}

// Stale gives the orders that Apply removed as stale since it was last called with the batch's first row, by rising row.
// Valid until then.
func (b *Books) Stale() []Stale { return b.stale }

// removeStale removes an order whose id is given out again by row i, and notes what it was. A defect of the venue or the
// line: allocation is no matter here.
func (b *Books) removeStale(i int, n uint32, o *order) {
	s := Stale{Row: i, Order: b.describe(o)}
	h := b.instrument(s.Order.Instrument)
	before := *h.pair()
	b.remove(n, o)
	s.After = *h.pair()
	s.Top = before != s.After
	b.stale = append(b.stale, s)
	b.counters.Duplicate++
}
