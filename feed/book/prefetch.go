package book

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// A row's lines are found one after the other, each where the one before it points: directory entry, page, order, then
// level and neighbours, then the level's leaf. One at a time that is five misses a row, waited for. So the rows go
// through stages, a group behind each other, which only ask for the lines that the next one reads:
//
//	group g+5   directory entries of id and new id; instrument
//	group g+4   page entries                     an add: best level, leaf with the best prices, root
//	group g+3   order                            an add: its level if that leaf has it, else the block below the root
//	group g+2   level, neighbours in the queue   an add: its level, or the last order of its queue
//	group g+1   leaf, if the level will be gone  an add: the last order of its level's queue
//	group g     applied
//
// What a stage reads may be out of date when its row is applied: rows before it may add, remove or move things. That
// costs a miss, never a wrong result, for Apply looks everything up itself. Everything read lies within the mappings:
// page, order, level, block and instrument numbers stay within their regions even in records that have been freed.
//
// The group is large enough that applying one takes longer than a miss, and small enough for the lines of all groups
// on their way to fit into half a first-level cache.
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

// ask takes the groups on their way one stage further; the first of them begins at row ahead. Rows before from are applied.
func (b *Books) ask(batch *tick.Batch, from, ahead, to int) {
	c := &b.lines
	askDirectory(c, ahead, min(ahead+group, to))
	askPage(c, max(ahead-group, from), min(ahead, to))
	askOrder(c, max(ahead-2*group, from), min(ahead-group, to))
	b.seek(batch, max(ahead-2*group, from), min(ahead-group, to), 3)
	askLevel(c, max(ahead-3*group, from), min(ahead-2*group, to))
	b.seek(batch, max(ahead-3*group, from), min(ahead-2*group, to), 2)
	askLeaf(c, max(ahead-4*group, from), min(ahead-3*group, to))
	b.seek(batch, max(ahead-4*group, from), min(ahead-3*group, to), 1)
}

// A guess is what an add's stages have found so far: a level, or a block in which to look for it.
const (
	guesses    = 64 // more than rows on their way; a power of two
	guessBlock = 1 << 31
)

// seek is the adds' part of the stages g+3, g+2 and g+1.
func (b *Books) seek(batch *tick.Batch, from, to, stage int) {
	for i := from; i < to; i++ {
		i := i & tick.RowMask
		if batch.Kind[i] != tick.KindAdd || batch.Instrument[i] >= b.instruments {
			continue
		}
		side := uint32(batch.Side[i] & 1)
		key := keyOf(batch.Price[i], side)
		h := b.instrument(batch.Instrument[i])
		guess := &b.guess[i%guesses]
		switch {
		case stage == 3:
			*guess = b.seekFirst(h, side, key)
		case *guess == 0:
		case *guess&guessBlock == 0:
			askLine(unsafe.Pointer(b.order(b.level(*guess).tail)))
			*guess = 0
		default:
			*guess = b.seekIn(*guess&^guessBlock, key)
		}
	}
}

// seekFirst asks for the level of a key, or for the block to look into next, and returns it.
func (b *Books) seekFirst(h *instrument, side uint32, key int64) uint32 {
	if h.best[side] == 0 || key == keyOf(h.px[side], side) {
		return h.best[side] // asked for a stage ago
	}
	k := b.block(h.leaf[side])
	if h.height[side] == 0 || key >= k.keys[0] {
		return b.seekIn(h.leaf[side], key)
	}
	k = b.block(h.root[side])
	n := k.refs[k.child(key)]
	askBlock(unsafe.Pointer(b.block(n)))
	if h.height[side] > 1 {
		return 0 // a thousand levels and more: the rest of the way is for the row itself
	}
	return n | guessBlock
}

// seekIn asks for the level of a key if the leaf has it, and returns it. Of an inner block, which a leaf may have become
// since, it may find a child instead: as a level that is some other one, or none.
func (b *Books) seekIn(leaf uint32, key int64) uint32 {
	k := b.block(leaf)
	at := k.after(key)
	if at == 0 || k.keys[at-1] != key {
		return 0
	}
	n := k.refs[at-1]
	if n > b.levels.fresh {
		return 0
	}
	askLine(unsafe.Pointer(b.level(n)))
	return n
}
