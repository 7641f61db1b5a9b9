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
	if instrument >= b.instruments {
		return tick.EmptyPair
	}
	return *b.instrument(instrument).pair()
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

// eachLevel calls fn with the levels of a side, best first, until it returns false.
func (b *Books) eachLevel(instrument uint32, side byte, fn func(at uint32) bool) bool {
	if instrument >= b.instruments || side != tick.SideBid && side != tick.SideAsk {
		return true
	}
	s := uint32(tick.SideBid - side)
	for leaf := b.instrument(instrument).leaf[s]; leaf != 0; leaf = b.block(leaf).worse {
		k := b.block(leaf)
		for at := k.n; at > 0; at-- {
			if !fn(k.refs[at-1]) {
				return false
			}
		}
	}
	return true
}

// Order gives the resting order with this id. One look-up.
func (b *Books) Order(id uint64) (Order, bool) {
	n := b.index.find(id)
	if n == 0 {
		return Order{}, false
	}
	return b.describe(b.order(n)), true
}

func (b *Books) describe(o *order) Order {
	instrument, side := splitOwner(o.owner)
	return Order{
		ID: o.id, Price: b.price(o), Size: uint64(o.size), Instrument: instrument, MPID: o.mpid, Side: sideByte(side),
	}
}

// QueuePosition says how many orders of its level are ahead of an order, and how many shares they have. It takes time
// in proportion to their number.
func (b *Books) QueuePosition(id uint64) (ahead int, aheadSize uint64, ok bool) {
	n := b.index.find(id)
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

// Instruments calls fn with the instruments that have had an order since Reset, ascending, until fn returns false; it
// returns whether fn never did.
func (b *Books) Instruments(fn func(id uint32) bool) bool {
	for n := range b.seen {
		if b.flag(n, flagSeen) && !fn(n) {
			return false
		}
	}
	return true
}
