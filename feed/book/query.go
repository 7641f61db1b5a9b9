package book

import "github.com/tickwire/tickwire/tick"

// Level is one price of one side.
type Level struct {
	Price  int64  // 1e-9
	Size   uint64 // sum of its orders' remaining shares
	Orders uint32
}

// Order is a resting order.
type Order struct {
	ID         uint64
	Price      int64  // 1e-9
	Size       uint64 // remaining shares
	Instrument uint32
	MPID       uint32 // attribution, 4 ASCII characters, first lowest; 0: none
	Side       byte   // tick.SideBid or tick.SideAsk
}

// Top is the best prices of an instrument, sizes saturated as in a record. Hot path.
func (b *Books) Top(instrument uint32) tick.BidAskPair {
	n := b.place(instrument)
	if n >= b.instruments {
		return tick.EmptyPair
	}
	return *b.instrument(n).pair()
}

// Levels fills dst with the best levels of a side (tick.SideBid or tick.SideAsk), best first, and returns how many
// there were to fill in. Hot path for some ten levels: a line each.
func (b *Books) Levels(instrument uint32, side byte, dst []Level) int {
	n := 0
	b.eachLevel(instrument, side, func(at uint32) bool {
		if n == len(dst) {
			return false
		}
		l := b.level(at)
		dst[n] = Level{Price: priceOf(l.key, uint32(tick.SideBid-side)), Size: l.size, Orders: l.count}
		n++
		return true
	})
	return n
}

// LevelAt gives the level of a side (tick.SideBid or tick.SideAsk) at a price; false: there is none. A descent at most.
func (b *Books) LevelAt(instrument uint32, side byte, price int64) (Level, bool) {
	place := b.place(instrument)
	if place >= b.instruments || side != tick.SideBid && side != tick.SideAsk {
		return Level{}, false
	}
	s := uint32(tick.SideBid - side)
	h, key := b.instrument(place), keyOf(price, s)
	if h.leaf[s] == 0 || key == noKey {
		return Level{}, false
	}
	k := b.home(h, s, key)
	at := k.after(key)
	if at == 0 || k.keys[at-1] != key {
		return Level{}, false
	}
	l := b.level(k.refs[at-1])
	return Level{Price: price, Size: l.size, Orders: l.count}, true
}

// eachLevel calls fn with the levels of a side, best first, until it returns false.
func (b *Books) eachLevel(instrument uint32, side byte, fn func(at uint32) bool) bool {
	place := b.place(instrument)
	if place >= b.instruments || side != tick.SideBid && side != tick.SideAsk {
		return true
	}
	s := uint32(tick.SideBid - side)
	for leaf := b.instrument(place).leaf[s]; leaf != 0; leaf = b.block(leaf).worse {
		k := b.block(leaf)
		for at := k.n; at > 0; at-- {
			if !fn(k.refs[at-1]) {
				return false
			}
		}
	}
	return true
}

// Order gives the resting order with this id. One look-up. In sparse books an id alone names no order: see OrderOf.
func (b *Books) Order(id uint64) (Order, bool) {
	if b.sparse {
		return Order{}, false
	}
	return b.found(b.index.find(0, id))
}

// OrderOf gives the resting order of an instrument with this id, in books of either sort.
func (b *Books) OrderOf(instrument uint32, id uint64) (Order, bool) {
	return b.found(b.findOf(instrument, id))
}

// findOf is the number of an instrument's order, or 0.
func (b *Books) findOf(instrument uint32, id uint64) uint32 {
	place := b.place(instrument)
	n := b.index.find(place, id)
	if n != 0 && b.order(n).owner&^(1<<sideBit) != place {
		return 0
	}
	return n
}

func (b *Books) found(n uint32) (Order, bool) {
	if n == 0 {
		return Order{}, false
	}
	return b.describe(b.order(n)), true
}

func (b *Books) describe(o *order) Order {
	place, side := splitOwner(o.owner)
	return Order{
		ID: o.id, Price: b.price(o), Size: uint64(o.size), Instrument: b.instrument(place).number, MPID: o.mpid, Side: sideByte(side),
	}
}

// QueuePosition says how many orders of its level are ahead of an order, and how many shares they have. It takes time
// in proportion to their number. In sparse books an id alone names no order: see QueuePositionOf.
func (b *Books) QueuePosition(id uint64) (ahead int, aheadSize uint64, ok bool) {
	if b.sparse {
		return 0, 0, false
	}
	return b.queuePosition(b.index.find(0, id))
}

// QueuePositionOf is QueuePosition of an instrument's order, in books of either sort.
func (b *Books) QueuePositionOf(instrument uint32, id uint64) (ahead int, aheadSize uint64, ok bool) {
	return b.queuePosition(b.findOf(instrument, id))
}

func (b *Books) queuePosition(n uint32) (ahead int, aheadSize uint64, ok bool) {
	if n == 0 {
		return 0, 0, false
	}
	for n = b.order(n).prev; n != 0; n = b.order(n).prev {
		ahead++
		aheadSize += uint64(b.order(n).size)
	}
	return ahead, aheadSize, true
}

// Walk calls fn with the resting orders of an instrument, bids from best to worst, then asks from best to worst, each
// level in queue order, until fn returns false; it returns whether fn never did. The books must not change meanwhile.
func (b *Books) Walk(instrument uint32, fn func(o Order) bool) bool {
	orders := func(at uint32) bool {
		for n := b.level(at).head; n != 0; n = b.order(n).next {
			if !fn(b.describe(b.order(n))) {
				return false
			}
		}
		return true
	}
	return b.eachLevel(instrument, tick.SideBid, orders) && b.eachLevel(instrument, tick.SideAsk, orders)
}

// Instruments calls fn with the instruments that have had an order since Reset, ascending, or as they came when the books are sparse, until fn
// returns false; it returns whether fn never did.
func (b *Books) Instruments(fn func(id uint32) bool) bool {
	for n := range b.seen {
		if h := b.instrument(n); h.flags&flagSeen != 0 && !fn(h.number) {
			return false
		}
	}
	return true
}
