package book

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// The records drawn in doc.go. Numbers, never pointers.

type order struct {
	id    uint64
	size  uint32 // remaining shares, never 0 while it rests
	level uint32
	prev  uint32 // ahead in the queue
	next  uint32 // behind; of a free order: the next free one
	owner uint32
	mpid  uint32
}

type level struct {
	key   int64
	size  uint64 // sum of its orders
	head  uint32 // first in the queue; of a free level: the next free one
	tail  uint32
	count uint32 // orders, never 0
	leaf  uint32 // block that has its entry
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
	_      [5]byte
}

// Flags of an instrument.
const (
	flagSuspect uint8 = 1 << 0
	flagHalted  uint8 = 1 << 1
	flagSeen    uint8 = 1 << 2 // has had an order
	flagBehind  uint8 = 1 << behindBit

	behindBit = 3
)

const blockEntries = 20

type block struct {
	n      uint32
	worse  uint32 // neighbouring leaves; of a free block, worse is the next free one
	better uint32
	_      uint32
	keys   [blockEntries]int64
	refs   [blockEntries]uint32 // levels in a leaf, blocks in an inner block
}

// A record whose size differs either way does not compile.
const (
	_ = orderBytes - unsafe.Sizeof(order{})
	_ = unsafe.Sizeof(order{}) - orderBytes
	_ = levelBytes - unsafe.Sizeof(level{})
	_ = unsafe.Sizeof(level{}) - levelBytes
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

func ownerOf(instrument, side uint32) uint32 { return instrument | side<<sideBit }

func splitOwner(owner uint32) (instrument, side uint32) {
	return owner &^ (1 << sideBit), owner >> sideBit
}

// keyOf turns a price into a key, and a key into its price: negated for asks.
func keyOf(price int64, side uint32) int64 { return (price ^ -int64(side)) + int64(side) }

func sideByte(side uint32) byte { return tick.SideBid - byte(side) } // 'B', 'A'

// Numbers to records. A number comes from a pool or is 0, record 0 exists and is never linked in, so no bounds are
// checked here: Validate and the tests check that numbers stay within their pools.
func (b *Books) order(n uint32) *order {
	return (*order)(unsafe.Add(b.orderMem.base, uintptr(n)*orderBytes))
}

func (b *Books) level(n uint32) *level {
	return (*level)(unsafe.Add(b.levelMem.base, uintptr(n)*levelBytes))
}

func (b *Books) block(n uint32) *block {
	return (*block)(unsafe.Add(b.blockMem.base, uintptr(n)*blockBytes))
}

// instrument needs n < MaxInstruments.
func (b *Books) instrument(n uint32) *instrument {
	return (*instrument)(unsafe.Add(b.instrumentMem.base, uintptr(n)*instrumentBytes))
}

func (h *instrument) pair() *tick.BidAskPair { return (*tick.BidAskPair)(unsafe.Pointer(h)) }

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

func (b *Books) freeOrder(n uint32, o *order) {
	o.next = b.orders.free
	o.level = 0
	b.orders.free = n
	b.orders.inUse--
}

func (b *Books) newLevel() uint32 {
	p := &b.levels
	p.inUse++
	if n := p.free; n != 0 {
		p.free = b.level(n).head
		return n
	}
	p.fresh++
	return p.fresh
}

func (b *Books) freeLevel(n uint32, l *level) {
	l.head, l.count = b.levels.free, 0
	b.levels.free = n
	b.levels.inUse--
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
	return n, k
}

func (b *Books) freeBlock(n uint32) {
	k := b.block(n)
	k.n, k.worse = 0, b.blocks.free
	b.blocks.free = n
	b.blocks.inUse--
}
