package book

import (
	"math"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// The records drawn in doc.go. Numbers, never pointers.

// A node is an order and, beside it in the same cache line, the level that this order once opened. Both have the node's
// number. The order may go before its level does: the node's level half stays, and an order that joins a queue moves in.
type node struct {
	order
	level
}

type order struct {
	id    uint64
	size  uint32 // remaining shares, 0 when it does not rest
	level uint32
	prev  uint32 // ahead in the queue
	next  uint32 // behind; of a free order: the next free one, and in halves prev is the one before
	owner uint32
	mpid  uint32
}

type level struct {
	key   uint64
	size  uint64 // sum of its orders
	head  uint32 // first in the queue
	tail  uint32
	count uint32 // orders, 0 when the level is free
	_     uint32
}

type instrument struct {
	px     [2]int64 // px, sz, ct: a tick.BidAskPair
	sz     [2]uint32
	ct     [2]uint32
	best   [2]uint32 // level with the best price
	leaf   [2]uint32 // leaf with the best prices
	root   [2]uint32 // = leaf when height is 0
	height [2]uint8  // inner blocks above a leaf
	flags  uint8
	_      byte
	number uint32 // the venue's
}

func newInstrument(number uint32, flags uint8) instrument {
	return instrument{px: [2]int64{tick.UndefPrice, tick.UndefPrice}, number: number, flags: flags}
}

// Flags of an instrument.
const (
	flagSuspect uint8 = 1 << 0
	flagHalted  uint8 = 1 << 1
	flagSeen    uint8 = 1 << 2 // has had an order
	flagBehind  uint8 = 1 << behindBit

	behindBit = 3
)

const (
	blockEntries = 14
	noKey        = math.MaxUint64 // of entries that are not in use: greater than any key
)

type block struct {
	n      uint32
	worse  uint32 // neighbouring leaves; of a free block, worse is the next free one
	better uint32
	_      uint32
	keys   [blockEntries]uint64
	refs   [blockEntries]uint32 // levels in a leaf, blocks in an inner block
	_      [8]byte
}

// A record whose size differs either way does not compile.
const (
	_ = nodeBytes - unsafe.Sizeof(node{})
	_ = unsafe.Sizeof(node{}) - nodeBytes
	_ = instrumentBytes - unsafe.Sizeof(instrument{})
	_ = unsafe.Sizeof(instrument{}) - instrumentBytes
	_ = blockBytes - unsafe.Sizeof(block{})
	_ = unsafe.Sizeof(block{}) - blockBytes
)

// The first half of an instrument is a BidAskPair: px, sz and ct stand where its fields do.
const (
	_ = unsafe.Offsetof(tick.BidAskPair{}.AskPx) - unsafe.Offsetof(instrument{}.px) - 8
	_ = unsafe.Offsetof(tick.BidAskPair{}.BidSz) - unsafe.Offsetof(instrument{}.sz)
	_ = unsafe.Offsetof(instrument{}.sz) - unsafe.Offsetof(tick.BidAskPair{}.BidSz)
	_ = unsafe.Offsetof(tick.BidAskPair{}.BidCt) - unsafe.Offsetof(instrument{}.ct)
	_ = unsafe.Offsetof(instrument{}.ct) - unsafe.Offsetof(tick.BidAskPair{}.BidCt)
)

// Sides count 0 for bids, 1 for asks.
const (
	bid     = 0
	ask     = 1
	sideBit = 31
)

func ownerOf(place, side uint32) uint32 { return place | side<<sideBit }

func splitOwner(owner uint32) (place, side uint32) {
	return owner &^ (1 << sideBit), owner >> sideBit
}

// keyOf turns a price into a key: negated for asks, then moved up so that all are positive. The greatest of all, which
// is that of no price, is noKey; such an order is refused before.
func keyOf(price int64, side uint32) uint64 {
	return uint64((price^-int64(side))+int64(side)) ^ 1<<63
}

func priceOf(key uint64, side uint32) int64 {
	return (int64(key^1<<63) ^ -int64(side)) + int64(side)
}

func sideByte(side uint32) byte { return tick.SideBid - byte(side) } // 'B', 'A'

// Numbers to records. A number comes from a pool or is 0, record 0 exists and is never linked in, so no bounds are
// checked here: Validate and the tests check that numbers stay within their pools.
func (b *Books) node(n uint32) *node {
	return (*node)(unsafe.Add(b.nodeMem.base, uintptr(n)*nodeBytes))
}

func (b *Books) order(n uint32) *order { return &b.node(n).order }
func (b *Books) level(n uint32) *level { return &b.node(n).level }

func (b *Books) block(n uint32) *block {
	return (*block)(unsafe.Add(b.blockMem.base, uintptr(n)*blockBytes))
}

// instrument needs a place below MaxInstruments.
func (b *Books) instrument(n uint32) *instrument {
	return (*instrument)(unsafe.Add(b.instrumentMem.base, uintptr(n)*instrumentBytes))
}

func (h *instrument) pair() *tick.BidAskPair { return (*tick.BidAskPair)(unsafe.Pointer(h)) }

// Free nodes are kept in two lists: whole, whose level half is free too, and halves, whose level half is not, for the level has
// outlived its order. A queue that already has a level takes from halves first, and a level that goes takes its node from halves to the
// whole ones. So there is never a half without orders in its level: nodes ever used stay below twice the most orders
// that ever rested, and in practice below one and a half times, for each order that joins makes up for one that left its level behind.

// roomForOrder says that an order which needs a level of its own finds a node.
func (b *Books) roomForOrder() bool {
	return b.orders.inUse < b.orders.limit && (b.orders.free != 0 || b.orders.fresh < 2*b.orders.limit)
}

// newOrder gives a node whose level half is free.
func (b *Books) newOrder() uint32 {
	p := &b.orders
	p.inUse++
	if n := p.free; n != 0 {
		p.free = b.order(n).next
		return n
	}
	p.fresh++
	return p.fresh
}

// joiner gives a node for an order that needs no level.
func (b *Books) joiner() uint32 {
	n := b.halves
	if n == 0 {
		return b.newOrder()
	}
	b.orders.inUse++
	if b.halves = b.order(n).next; b.halves != 0 {
		b.order(b.halves).prev = 0
	}
	return n
}

func (b *Books) freeOrder(n uint32, o *order) {
	list := &b.orders.free
	if b.level(n).count != 0 {
		list = &b.halves
		if *list != 0 {
			b.order(*list).prev = n
		}
	}
	o.next, o.prev, o.level, o.size = *list, 0, 0, 0
	*list = n
	b.orders.inUse--
}

// freeLevel is for a level that has lost its last order, which was another node's: when its own order is free as well, its node is whole
// again.
func (b *Books) freeLevel(n uint32) {
	o := b.order(n)
	if o.size != 0 {
		return // rests elsewhere
	}
	if o.prev != 0 {
		b.order(o.prev).next = o.next
	} else {
		b.halves = o.next
	}
	if o.next != 0 {
		b.order(o.next).prev = o.prev
	}
	o.next, o.prev = b.orders.free, 0
	b.orders.free = n
}

func (b *Books) newBlock() (uint32, *block) {
	p := &b.blocks
	p.inUse++
	n := p.free
	if n != 0 {
		p.free = b.block(n).worse
	} else {
		p.fresh++
		n = p.fresh
	}
	k := b.block(n)
	k.n, k.worse, k.better = 0, 0, 0
	clear(k.refs[:]) // the look-ahead may follow those that are not in use: they must not be of another sort than the block's
	for at := range k.keys {
		k.keys[at] = noKey
	}
	return n, k
}

func (b *Books) freeBlock(n uint32) {
	k := b.block(n)
	k.n, k.worse = 0, b.blocks.free
	b.blocks.free = n
	b.blocks.inUse--
}
