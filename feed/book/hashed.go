package book

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// Venues other than Nasdaq count neither orders nor instruments from small numbers up, and the order ids of some are unique only within
// an instrument. Sparse books (Options.Sparse) find both by hash:
//
//	order ids    slot, 8 bytes:  0      4      8        home: the top bits of tag
//	                             +------+------+        tag: 32 bits of a hash of instrument and id
//	                             | tag  | node |        node 0: empty
//	                             +------+------+
//	instruments  slot, 8 bytes:  | number │ place + 1 | 0: empty; place: the number within these books, given at first sight
//
// Both tables are open to the next slot (linear probing), a power of two large and never more than half full. What leaves the table of orders
// leaves no mark: those behind it that belong farther up move up. Hashes are seeded anew for each Books, so that nobody outside can choose ids that
// collide; nothing but time depends on the seed.
const (
	slotBytes = 8
	minSlots  = 16
	nowhere   = math.MaxUint32 // place of an instrument that is not known
)

// slotsFor is how many slots a table of so many entries has.
func slotsFor(entries int) uint64 { return max(minSlots, uint64(1)<<bits.Len64(uint64(2*entries-1))) }

// probing is what both tables share.
type probing struct {
	slots unsafe.Pointer // nil: the books are not sparse
	mask  uint32
	shift uint8 // a tag's home is tag >> shift
	seed  [2]uint64
}

func newProbing(mem region, slots uint64) probing {
	return probing{
		slots: mem.base, mask: uint32(slots - 1), shift: uint8(32 - bits.Len64(slots-1)), seed: [2]uint64{rand.Uint64(), rand.Uint64()},
	}
}

// tag hashes two numbers: the 128-bit product of both with a secret, folded.
func (p *probing) tag(a uint64, b uint32) uint32 {
	hi, lo := bits.Mul64(a^p.seed[0], uint64(b)*0x9E3779B97F4A7C15^p.seed[1])
	return uint32((hi ^ lo) * 0xD6E8FEB86659FD93 >> 32)
}

type orderSlot struct{ tag, node uint32 }

func (p *probing) order(at uint32) *orderSlot {
	return (*orderSlot)(unsafe.Add(p.slots, uintptr(at)*slotBytes))
}

// hashed is the table of orders.
type hashed struct {
	probing
	nodes unsafe.Pointer
}

// find gives the order of an instrument, by place, with an id, or 0.
func (x *hashed) find(place uint32, id uint64) uint32 {
	if x == nil {
		return 0
	}
	tag := x.tag(id, place)
	for at := tag >> x.shift; ; at = (at + 1) & x.mask {
		s := *x.order(at)
		if s.node == 0 {
			return 0
		}
		if s.tag != tag {
			continue
		}
		if o := (*order)(unsafe.Add(x.nodes, uintptr(s.node)*nodeBytes)); o.id == id && o.owner&^(1<<sideBit) == place {
			return s.node
		}
	}
}

// put enters an order that is not in the table.
func (x *hashed) put(place uint32, id uint64, node uint32) {
	tag := x.tag(id, place)
	at := tag >> x.shift
	for x.order(at).node != 0 {
		at = (at + 1) & x.mask
	}
	*x.order(at) = orderSlot{tag, node}
}

// drop takes an order out, which must be in the table.
func (x *hashed) drop(place uint32, id uint64, node uint32) {
	hole := x.tag(id, place) >> x.shift
	for x.order(hole).node != node {
		hole = (hole + 1) & x.mask
	}
	for at := (hole + 1) & x.mask; ; at = (at + 1) & x.mask {
		s := *x.order(at)
		if s.node == 0 {
			break
		}
		if home := s.tag >> x.shift; (at-home)&x.mask >= (at-hole)&x.mask { // its home is not behind the hole
			*x.order(hole) = s
			hole = at
		}
	}
	*x.order(hole) = orderSlot{}
}

type numberSlot struct{ number, place1 uint32 }

func (p *probing) number(at uint32) *numberSlot {
	return (*numberSlot)(unsafe.Add(p.slots, uintptr(at)*slotBytes))
}

// numbers gives instruments their places, 0, 1, … in the order of their coming.
type numbers struct {
	probing
	count, limit uint32
}

// find gives the place of an instrument, or nowhere.
func (x *numbers) find(number uint32) uint32 {
	for at := x.tag(uint64(number), 0) >> x.shift; ; at = (at + 1) & x.mask {
		s := *x.number(at)
		if s.number == number || s.place1 == 0 {
			return s.place1 - 1 // of none: nowhere
		}
	}
}

// enter gives a place to an instrument that has none, or nowhere when there are no more.
func (x *numbers) enter(number uint32) uint32 {
	if x.count == x.limit {
		return nowhere
	}
	at := x.tag(uint64(number), 0) >> x.shift
	for x.number(at).place1 != 0 {
		at = (at + 1) & x.mask
	}
	x.count++
	*x.number(at) = numberSlot{number, x.count}
	return x.count - 1
}

// place gives an instrument's number within the books: its own, unless they are sparse; nowhere when it is not known there. Numbers that are not below
// MaxInstruments have no record.
func (b *Books) place(number uint32) uint32 {
	if !b.sparse {
		return number
	}
	return b.numbers.find(number)
}

// placeNew is place for an instrument that may be new.
func (b *Books) placeNew(number uint32) uint32 {
	n := b.place(number)
	if n != nowhere || !b.sparse {
		return n
	}
	if n = b.numbers.enter(number); n != nowhere {
		*b.instrument(n) = newInstrument(number, b.unknown)
	}
	return n
}

// known is how many instruments have a record.
func (b *Books) known() uint32 {
	if b.sparse {
		return b.numbers.count
	}
	return b.instruments
}
