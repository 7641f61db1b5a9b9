package book

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// A row's lines are found one after the other, each where the one before it points: directory entry, page, order, then
// level and neighbours. One at a time that is four misses a row, waited for. So the rows go through five stages, a group
// behind each other; the first four only ask for the lines that the next one reads:
//
//	group g+4   directory entries of id and new id; instrument
//	group g+3   page entries; for an add: best level, leaf with the best prices
//	group g+2   order; for an add: last order of the best level
//	group g+1   level, neighbours in the queue, leaf
//	group g     applied
//
// What a stage reads may be out of date when its row is applied: rows before it may add, remove or move things. That
// costs a miss, never a wrong result, for Apply looks everything up itself. Everything read lies within the mappings: page, order, level,
// block and instrument numbers stay within their regions even in records that have been freed.
//
// The group is small enough for the lines in flight to fit into a core's miss buffers and for those of five groups to fit into half its
// first-level cache, and large enough that applying one group takes longer than a miss.
const group = 8

// chain is what the stages need; prefetch_amd64.s knows its offsets.
type chain struct {
	dir, pages, orders, levels, blocks, instruments unsafe.Pointer // 0 8 16 24 32 40

	limit           uint64         // 48: references from here on are not looked up
	instrumentCount uint64         // 56
	kind, side      unsafe.Pointer // 64 72: columns
	instrument, id  unsafe.Pointer // 80 88
	aux             unsafe.Pointer // 96
}

func (b *Books) chainTo(batch *tick.Batch) {
	c := &b.lines
	c.kind, c.side = unsafe.Pointer(batch.Kind), unsafe.Pointer(batch.Side)
	c.instrument, c.id, c.aux = unsafe.Pointer(batch.Instrument), unsafe.Pointer(batch.OrderID), unsafe.Pointer(batch.Aux)
}
