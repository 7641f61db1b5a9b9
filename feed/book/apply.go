package book

import (
	"math"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// Apply completes rows from to to-1 of the batch, in order, and applies them to the books. What it fills in is in
// the comment of tick.Batch; Before, After and State are filled in for every row, whatever its kind:
//
//   - a row that was refused or ignored (unknown order, zero shares, …) has no StateApplied, is counted, and changed nothing;
//   - a row without effect on a book has StateApplied and Before = After = the best prices of its instrument;
//   - a row whose instrument number is from MaxInstruments on, or not known to sparse books, has empty best prices.
//
// A row with StateDuplicate removed a stale order, which Stale describes; an Add also has its price and remaining size in
// OldPrice and OldSize. A Replace
// whose new order is refused is applied all the same, for the old order is gone: it has StateGone, and only then. So is a Modify (modify.go).
//
// Hot path: no allocation, no system call but for the first touch of memory.
func (b *Books) Apply(batch *tick.Batch, from, to int) {
	if from == 0 {
		b.stale = b.stale[:0]
	}
	if looksAhead {
		b.chainTo(batch)
	}
	for first := from; from < to; first += group {
		if looksAhead {
			b.lines.free, b.lines.halves = b.orders.free, b.halves
			if b.sparse {
				b.hashAhead(batch, first, to)
				lookAheadSparse(&b.lines, from, first, to)
			} else {
				lookAhead(&b.lines, from, first, to)
			}
		}
		for end := min(first-(stages-1)*group, to); from < end; from++ {
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
	default:
		b.others(batch, i&tick.RowMask)
	}
}

// others are not Nasdaq's order messages: apart, so that they are no concern of the switch above, whose every outcome is a surprise.
func (b *Books) others(batch *tick.Batch, i int) {
	switch batch.Kind[i&tick.RowMask] {
	case tick.KindModify:
		b.modify(batch, i)
	case tick.KindClear:
		b.clearRow(batch, i)
	default:
		b.leave(batch, i, tick.StateApplied)
	}
}

// leave completes a row that does not change a book.
func (b *Books) leave(batch *tick.Batch, i int, state uint8) {
	i &= tick.RowMask
	n := b.place(batch.Instrument[i])
	if n >= b.instruments {
		batch.Before[i], batch.After[i] = tick.EmptyPair, tick.EmptyPair
		batch.State[i] = state | suspectFlags(b.unknown)
		return
	}
	h := b.instrument(n)
	batch.Before[i], batch.After[i] = *h.pair(), *h.pair()
	batch.State[i] = state | suspectState(h)
}

// suspectState is tick.StateSuspect if the instrument is suspect or its readers are behind.
func suspectState(h *instrument) uint8 { return suspectFlags(h.flags) }

func suspectFlags(flags uint8) uint8 {
	return (flags | flags>>behindBit) & flagSuspect * tick.StateSuspect
}

// sides is a tick.BidAskPair by side.
type sides struct {
	px     [2]int64
	sz, ct [2]uint32
}

func sidesOf(p *tick.BidAskPair) *sides { return (*sides)(unsafe.Pointer(p)) }

// start fills in Before, and After with the same.
func start(batch *tick.Batch, i int, h *instrument) {
	i &= tick.RowMask
	pair := *h.pair()
	batch.Before[i], batch.After[i] = pair, pair
}

// finish fills in State, and After for the one side that the row may have changed. Field by field and without a branch:
// to load the pair as one after its fields were stored waits for the stores, and whether the top changed is a coin toss.
func finish(batch *tick.Batch, i int, h *instrument, side uint32, state uint8) {
	i &= tick.RowMask
	before, after := sidesOf(&batch.Before[i]), sidesOf(&batch.After[i])
	side &= 1
	px, sz, ct := h.px[side], h.sz[side], h.ct[side]
	changed := uint64(px^before.px[side]) | uint64(sz^before.sz[side]) | uint64(ct^before.ct[side])
	after.px[side], after.sz[side], after.ct[side] = px, sz, ct
	batch.State[i] = state | suspectState(h) | uint8((changed|-changed)>>63)*tick.StateTop
}

// finishBoth is finish for a row that may have changed both sides.
func finishBoth(batch *tick.Batch, i int, h *instrument, state uint8) {
	i &= tick.RowMask
	batch.After[i] = *h.pair()
	if batch.Before[i] != batch.After[i] {
		state |= tick.StateTop
	}
	batch.State[i] = state | suspectState(h)
}

func (b *Books) add(batch *tick.Batch, i int) {
	i &= tick.RowMask
	n := batch.Instrument[i]
	if b.sparse {
		n = b.placeNew(n)
	}
	if n >= b.instruments {
		b.counters.OverInstrument++
		b.leave(batch, i, 0)
		return
	}
	if batch.Side[i] != tick.SideBid && batch.Side[i] != tick.SideAsk {
		b.counters.BadSide++
		b.leave(batch, i, 0)
		return
	}
	side := uint32(batch.Side[i] & 1) // 'A' is odd, 'B' even
	h := b.instrument(n)
	id := batch.OrderID[i]
	if stale := b.index.find(n, id); stale != 0 {
		b.addAgain(batch, i, h, ownerOf(n, side), stale)
		return
	}
	start(batch, i, h)
	state := tick.StateApplied
	if !b.rest(h, batch, i, id, ownerOf(n, side), uint32(batch.Aux[i])) {
		state = 0
	}
	finish(batch, i, h, side, state)
}

// addAgain is add for an id that is resting.
func (b *Books) addAgain(batch *tick.Batch, i int, h *instrument, owner, stale uint32) {
	i &= tick.RowMask
	if b.refused(h, batch, i) || b.noBlocks(h, owner>>sideBit) {
		b.leave(batch, i, 0)
		return
	}
	start(batch, i, h)
	state := tick.StateApplied | tick.StateDuplicate
	o := b.order(stale)
	batch.OldPrice[i], batch.OldSize[i] = b.price(o), uint64(o.size)
	b.removeStale(i, stale, o)
	if !b.rest(h, batch, i, batch.OrderID[i], owner, uint32(batch.Aux[i])) {
		state &^= tick.StateApplied
	}
	finishBoth(batch, i, h, state)
}

// refused says, and counts, that the order of a row cannot rest whatever else happens: its own fields are to blame.
func (b *Books) refused(h *instrument, batch *tick.Batch, i int) bool {
	size, price := batch.Size[i&tick.RowMask], batch.Price[i&tick.RowMask]
	if size-1 < math.MaxUint32 && !b.badPrice(price) {
		return false
	}
	switch {
	case size == 0:
		b.counters.ZeroSize++
	case b.badPrice(price):
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
	if !b.index.takes(id) {
		b.counters.OverReference++
		h.flags |= flagSuspect
		return false
	}
	side := owner >> sideBit
	if !b.roomForOrder() || !b.index.hasRoom(id) {
		b.counters.NoRoom++
		h.flags |= flagSuspect
		return false
	}
	price, size := batch.Price[i], uint32(batch.Size[i])
	var n, at uint32
	if price == h.px[side] { // no order rests at the price that says none
		at = h.best[side]
		l := b.level(at)
		n = b.join(l, size)
		h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
	} else {
		key := keyOf(price, side)
		var k *block
		entry := uint32(0)
		if h.leaf[side] != 0 {
			k = b.home(h, side, key)
			entry = k.after(key)
		}
		if entry != 0 && k.keys[entry-1] == key {
			at = k.refs[entry-1]
			n = b.join(b.level(at), size)
		} else {
			if b.noBlocks(h, side) {
				return false
			}
			if k == nil {
				k = b.firstLeaf(h, side)
			}
			n = b.newOrder()
			at = n
			l := b.level(n)
			l.key, l.size, l.head, l.tail, l.count = key, uint64(size), n, n, 1
			b.order(n).prev = 0
			b.levels++
			b.enter(h, side, k, entry, key, n)
			if h.best[side] == 0 || key > keyOf(h.px[side], side) {
				h.best[side], h.px[side], h.sz[side], h.ct[side] = n, price, tick.Size32(uint64(size)), 1
				if h.flags&flagSeen == 0 {
					h.flags |= flagSeen
					place, _ := splitOwner(owner)
					b.seen = max(b.seen, place+1)
				}
			}
		}
	}
	o := b.order(n)
	o.id, o.size, o.level, o.next, o.owner, o.mpid = id, size, at, 0, owner, mpid
	b.index.put(owner&^(1<<sideBit), id, n)
	b.counters.MaxOrders = max(b.counters.MaxOrders, uint64(b.orders.inUse))
	return true
}

// join puts a new order at the tail of a level that has others. What it does not fill in is the caller's.
func (b *Books) join(l *level, size uint32) uint32 {
	n := b.joiner()
	tail := l.tail
	b.order(n).prev = tail
	b.order(tail).next = n
	l.tail = n
	l.size += uint64(size)
	l.count++
	return n
}

func (b *Books) setBest(h *instrument, side, at uint32, l *level) {
	h.best[side], h.px[side] = at, priceOf(l.key, side)
	h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
}

// price is the price that an order rests at.
func (b *Books) price(o *order) int64 { return priceOf(b.level(o.level).key, o.owner>>sideBit) }

// remove takes an order out of its level, its level out of the tree if it was the last there, and out of the index.
func (b *Books) remove(n uint32, o *order, h *instrument) {
	side := o.owner >> sideBit
	at := o.level
	l := b.level(at)
	if l.count == 1 {
		l.count = 0
		b.levels--
		b.take(h, side, l.key)
		if h.best[side] == at {
			b.nextBest(h, side)
		}
		if at != n {
			b.freeLevel(at)
		}
	} else {
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
		if h.best[side] == at {
			h.sz[side], h.ct[side] = tick.Size32(l.size), l.count
		}
	}
	b.index.drop(o.owner&^(1<<sideBit), o.id, n)
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
	n := b.index.find(b.place(batch.Instrument[i]), batch.OrderID[i])
	if n == 0 {
		b.counters.Unknown[kind%tick.KindCount]++
		b.leave(batch, i, 0)
		return 0, nil, nil
	}
	o := b.order(n)
	place, side := splitOwner(o.owner)
	h := b.instrument(place)
	if h.number != batch.Instrument[i] {
		b.counters.LocateMismatch++
		batch.Instrument[i] = h.number
	}
	batch.Side[i] = sideByte(side)
	start(batch, i, h)
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
	price := priceOf(l.key, side)
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
		b.remove(n, o, h)
	} else {
		o.size -= uint32(size)
		l.size -= size
		if h.best[side] == o.level {
			h.sz[side] = tick.Size32(l.size)
		}
	}
	finish(batch, i, h, side, state)
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
	side := owner >> sideBit
	state := tick.StateApplied
	b.remove(n, o, h)
	id := batch.Aux[i]
	if stale := b.index.find(owner&^(1<<sideBit), id); stale != 0 {
		if b.refused(h, batch, i) || b.noBlocks(h, side) {
			finish(batch, i, h, side, state|tick.StateGone)
			return
		}
		b.removeStale(i, stale, b.order(stale))
		state |= tick.StateDuplicate
	}
	if !b.rest(h, batch, i, id, owner, mpid) {
		state |= tick.StateGone
	}
	if state&tick.StateDuplicate != 0 {
		finishBoth(batch, i, h, state)
		return
	}
	finish(batch, i, h, side, state)
}

func (b *Books) clearRow(batch *tick.Batch, i int) {
	i &= tick.RowMask
	if batch.Sub[i] == tick.ClearLevels { // of the venue's other book
		b.leave(batch, i, tick.StateApplied)
		return
	}
	n := b.place(batch.Instrument[i])
	if n >= b.instruments {
		if b.sparse { // not known: there is nothing to clear
			b.leave(batch, i, tick.StateApplied)
			return
		}
		b.counters.OverInstrument++
		b.leave(batch, i, 0)
		return
	}
	h := b.instrument(n)
	batch.Before[i] = *h.pair()
	b.clear(h)
	if batch.Flags[i]&tick.FlagSnapshot != 0 { // the whole state follows: what was lost before is of no matter
		h.flags &^= flagSuspect
	}
	finishBoth(batch, i, h, tick.StateApplied)
}

// Clear removes all orders of an instrument; its flags stay. It takes time in proportion to their number.
func (b *Books) Clear(instrument uint32) {
	if n := b.place(instrument); n < b.instruments {
		b.clear(b.instrument(n))
	}
}

func (b *Books) clear(h *instrument) {
	for side := range uint32(2) {
		for h.best[side] != 0 {
			n := b.level(h.best[side]).head
			b.remove(n, b.order(n), h)
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
	h := b.instrument(o.owner &^ (1 << sideBit))
	before := *h.pair()
	b.remove(n, o, h)
	s.After = *h.pair()
	s.Top = before != s.After
	b.stale = append(b.stale, s)
	b.counters.Duplicate++
}
