package book

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// A row's lines are found one after the other, each where the one before it points: directory entry, page, order, then
// level and neighbours, and the tree's blocks. One at a time that is five misses a row, waited for. So the rows go through
// stages, a group behind each other, which only ask for the lines that the next one reads:
//
//	group g+6   directory entries of id and new id; instrument
//	group g+5   page entries
//	group g+4   order
//	group g+3   level, neighbours in the queue; leaf with the best prices, root, best level
//	group g+2   the level of an add's price, or the one that a removed level leaves the next best: in the leaf, or a block
//	            below the root
//	group g+1   the last order of an add's level, or the level in that block
//	group g     applied
//
// Of sparse books (hashed.go) the first three are two, and a loop of Go before them computes what they need: hashing has no misses to wait for, and
// the table of instruments is small.
//
//	group g+6   slots of id and new id; instrument
//	group g+5   –
//	group g+4   order, if the id's slot is the first or second from its home
//
// What a stage reads may be out of date when its row is applied: rows before it may add, remove or move things. That
// costs a miss, never a wrong result, for Apply looks everything up itself. Everything read lies within the mappings:
// page, order, level, block and instrument numbers stay within their regions even in records that have been freed.
//
// Stages are straight assembly: written in Go, with a branch for each case, they cost as much as they saved, since what
// a row is comes as a surprise to each of them.
//
// A group is two rows. The rows on their way then ask for some two hundred lines, less than half a first-level cache, and
// a stage is two rows' work, about a miss, ahead of the next. With one row stages wait for each other; with eight, the
// lines asked for first are gone when they are needed: a fifth more a row, and half more on a hostile day.

// chain is what the stages need.
type chain struct {
	dir, pages, nodes, blocks, instruments unsafe.Pointer

	limit           uint64 // references from here on are not looked up
	instrumentCount uint64
	kind, side      unsafe.Pointer // columns
	instrument, id  unsafe.Pointer
	aux, price      unsafe.Pointer

	free, halves uint32 // nodes that the next orders will get: asked for with each group

	// What the stages of a row tell each other, at its number modulo ahead.
	num   [ahead]uint32 // of its order, or 0
	sides [ahead]uint32
	keys  [ahead]uint64 // looked for in the tree
	found [ahead]uint32 // a level, or a block with the top bit set

	// Of sparse books; instrument is a column of places.
	table  unsafe.Pointer // of orders
	mask   uint32
	tags   [ahead]uint32
	homes  [ahead]uint32
	homes2 [ahead]uint32 // of the new id, if there is one
}

const (
	group  = 2
	stages = 6
	ahead  = 16 // not less than the rows on their way; a power of two

	kindAdd     = uint8(tick.KindAdd) // for the assembly
	kindReplace = uint8(tick.KindReplace)
)

const _ = uint(ahead - stages*group)

func (b *Books) chainTo(batch *tick.Batch) {
	c := &b.lines
	c.kind, c.side = unsafe.Pointer(batch.Kind), unsafe.Pointer(batch.Side)
	c.instrument, c.id, c.aux = unsafe.Pointer(batch.Instrument), unsafe.Pointer(batch.OrderID), unsafe.Pointer(batch.Aux)
	c.price = unsafe.Pointer(batch.Price)
	if b.sparse {
		c.instrument = unsafe.Pointer(b.places)
		c.table, c.mask = b.table.slots, b.table.mask
	}
}

// hashAhead computes what the stages of sparse books need of a group that begins at row first.
func (b *Books) hashAhead(batch *tick.Batch, first, to int) {
	c, x := &b.lines, &b.table
	for i := first; i < min(first+group, to); i++ {
		i &= tick.RowMask
		place := b.numbers.find(batch.Instrument[i])
		b.places[i] = place
		tag := x.tag(batch.OrderID[i], place)
		home := tag >> x.shift
		c.tags[i%ahead], c.homes[i%ahead], c.homes2[i%ahead] = tag, home, home
		if batch.Kind[i] == tick.KindReplace {
			c.homes2[i%ahead] = x.tag(batch.Aux[i], place) >> x.shift
		}
	}
}
