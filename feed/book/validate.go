package book

import (
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// Validate checks everything that ties the structures together, and describes the first thing that is wrong by
// instrument, level and order: best prices ↔ trees ↔ leaf chains ↔ level sums ↔ queues ↔ orders ↔ index ↔ pools. It
// visits all memory in use and allocates; it is for tests and for looking at a suspected defect.
func (b *Books) Validate() error {
	v := validator{b: b, orders: make(map[uint32]bool), levels: make(map[uint32]bool), blocks: make(map[uint32]bool)}
	for n := range b.known() {
		number := b.instrument(n).number
		if b.place(number) != n {
			return fmt.Errorf("book: instrument %d is at place %d, but found at %d", number, n, b.place(number))
		}
		for side := range uint32(2) {
			if err := v.side(n, side); err != nil {
				return fmt.Errorf("book: instrument %d side %c: %w", number, sideByte(side), err)
			}
		}
	}
	if err := v.index(); err != nil {
		return fmt.Errorf("book: index: %w", err)
	}
	for _, p := range []struct {
		what string
		pool *pool
		used map[uint32]bool
		next func(n uint32) uint32
		more []uint32
	}{
		{"orders", &b.orders, v.orders, func(n uint32) uint32 { return b.order(n).next }, []uint32{b.halves}},
		{"blocks", &b.blocks, v.blocks, func(n uint32) uint32 { return b.block(n).worse }, nil},
	} {
		if err := checkPool(p.pool, p.used, p.next, p.more...); err != nil {
			return fmt.Errorf("book: %s: %w", p.what, err)
		}
	}
	for n := b.orders.free; n != 0; n = b.order(n).next {
		if b.level(n).count != 0 {
			return fmt.Errorf("book: orders: free number %d still has a level", n)
		}
	}
	for n, prev := b.halves, uint32(0); n != 0; n, prev = b.order(n).next, n {
		if b.level(n).count == 0 || b.order(n).prev != prev {
			return fmt.Errorf("book: orders: half %d has no level, or follows %d and says %d", n, prev, b.order(n).prev)
		}
	}
	if len(v.levels) != int(b.levels) {
		return fmt.Errorf("book: levels: %d are linked in, %d counted as in use", len(v.levels), b.levels)
	}
	return nil
}

// validator remembers what it has met, so that nothing is linked twice and nothing is missing.
type validator struct {
	b                      *Books
	orders, levels, blocks map[uint32]bool
	lastKey                uint64 // of the level met before, worse first
	leaves                 []uint32
}

// checkPool checks that what was handed out is either in use or in one of the free lists: the pool's, or those that begin
// with more.
func checkPool(p *pool, used map[uint32]bool, next func(uint32) uint32, more ...uint32) error {
	if len(used) != int(p.inUse) {
		return fmt.Errorf("%d are linked in, %d counted as in use", len(used), p.inUse)
	}
	limit := uint64(p.limit)
	if more != nil {
		limit += limit / 2 // see records.go
	}
	if uint64(p.fresh) > limit {
		return fmt.Errorf("%d handed out, limit %d", p.fresh, limit)
	}
	free := uint32(0)
	for _, n := range append(more, p.free) {
		for ; n != 0; n = next(n) {
			if n > p.fresh || used[n] {
				return fmt.Errorf("free list has %d, which is in use or was never handed out", n)
			}
			if free++; free > p.fresh {
				return fmt.Errorf("free list has a loop")
			}
		}
	}
	if free+p.inUse != p.fresh {
		return fmt.Errorf("%d handed out, but %d in use and %d free", p.fresh, p.inUse, free)
	}
	return nil
}

func (v *validator) side(n, side uint32) error {
	b, h := v.b, v.b.instrument(n)
	best, px, sz, ct := h.best[side], h.px[side], h.sz[side], h.ct[side]
	if h.root[side] == 0 {
		if h.leaf[side] != 0 || h.height[side] != 0 || best != 0 || px != tick.UndefPrice || sz != 0 || ct != 0 {
			return fmt.Errorf("no tree, but leaf %d, height %d, best level %d: %s × %d (%d orders)",
				h.leaf[side], h.height[side], best, tick.FormatPrice(px), sz, ct)
		}
		return nil
	}
	v.lastKey, v.leaves = 0, v.leaves[:0]
	if err := v.tree(ownerOf(n, side), h.root[side], int(h.height[side]), 0, noKey); err != nil {
		return err
	}
	if err := v.chain(h.leaf[side]); err != nil {
		return err
	}
	top := b.block(h.leaf[side])
	if at := top.refs[top.n-1]; at != best {
		return fmt.Errorf("best level is %d, but the tree's is %d", best, at)
	}
	l := b.level(best)
	if px != priceOf(l.key, side) || sz != tick.Size32(l.size) || ct != l.count {
		return fmt.Errorf("best price %s × %d (%d orders), its level has %s × %d (%d)", tick.FormatPrice(px), sz, ct,
			tick.FormatPrice(priceOf(l.key, side)), l.size, l.count)
	}
	return nil
}

// tree checks the block and what lies below it: keys from low (inclusive) to high (exclusive).
func (v *validator) tree(owner, n uint32, height int, low, high uint64) error {
	b := v.b
	if n == 0 || n > b.blocks.fresh || v.blocks[n] {
		return fmt.Errorf("block %d is linked twice or was never handed out", n)
	}
	v.blocks[n] = true
	k := b.block(n)
	if k.n == 0 || k.n > blockEntries || height > 0 && k.n == 1 && n == b.instrument(owner &^ (1 << sideBit)).root[owner>>sideBit] {
		return fmt.Errorf("block %d at height %d has %d entries", n, height, k.n)
	}
	if height == 0 {
		v.leaves = append(v.leaves, n)
	}
	for at := k.n; at < blockEntries; at++ {
		if k.keys[at] != noKey {
			return fmt.Errorf("block %d entry %d is not in use, but has key %d", n, at, k.keys[at])
		}
	}
	for at := range k.n {
		key, ref := k.keys[at], k.refs[at]
		if height > 0 {
			from, to := low, high
			if at > 0 {
				from = key
			}
			if at+1 < k.n {
				to = k.keys[at+1]
			}
			if from < low || to > high || from >= to {
				return fmt.Errorf("block %d entry %d: bounds %d to %d, within %d to %d", n, at, from, to, low, high)
			}
			if err := v.tree(owner, ref, height-1, from, to); err != nil {
				return err
			}
			continue
		}
		if key < low || key >= high || key <= v.lastKey {
			return fmt.Errorf("block %d entry %d: key %d after %d, within %d to %d", n, at, key, v.lastKey, low, high)
		}
		v.lastKey = key
		if err := v.level(owner, n, key, ref); err != nil {
			return fmt.Errorf("level %d at %s: %w", ref, tick.FormatPrice(priceOf(key, owner>>sideBit)), err)
		}
	}
	return nil
}

// chain checks that the leaves are chained in the order the tree has them.
func (v *validator) chain(best uint32) error {
	better := uint32(0)
	n := best
	for i := len(v.leaves) - 1; i >= 0; i-- {
		if n != v.leaves[i] || v.b.block(n).better != better {
			return fmt.Errorf("leaf chain has %d (better: %d) where the tree has %d (better: %d)", n, v.b.block(n).better, v.leaves[i], better)
		}
		better, n = n, v.b.block(n).worse
	}
	if n != 0 {
		return fmt.Errorf("leaf chain goes on with %d after the worst leaf", n)
	}
	return nil
}

func (v *validator) level(owner, leaf uint32, key uint64, ref uint32) error {
	b := v.b
	if ref == 0 || ref > b.orders.fresh || v.levels[ref] {
		return fmt.Errorf("linked twice or never handed out")
	}
	v.levels[ref] = true
	l := b.level(ref)
	if l.key != key || l.count == 0 {
		return fmt.Errorf("has key %d, %d orders; its entry has key %d in leaf %d", l.key, l.count, key, leaf)
	}
	var size uint64
	var count, prev uint32
	for n := l.head; n != 0; n = b.order(n).next {
		if n > b.orders.fresh || v.orders[n] {
			return fmt.Errorf("order number %d linked twice or never handed out", n)
		}
		v.orders[n] = true
		o := b.order(n)
		switch {
		case o.prev != prev:
			return fmt.Errorf("order %d: follows number %d, but says %d", o.id, prev, o.prev)
		case o.level != ref || o.owner != owner:
			return fmt.Errorf("order %d: says level %d, owner %#x", o.id, o.level, o.owner)
		case o.size == 0:
			return fmt.Errorf("order %d: no shares left", o.id)
		case b.index.find(owner&^(1<<sideBit), o.id) != n:
			return fmt.Errorf("order %d: is number %d, the index says %d", o.id, n, b.index.find(owner&^(1<<sideBit), o.id))
		}
		prev = n
		size += uint64(o.size)
		count++
	}
	if l.tail != prev || l.size != size || l.count != count {
		return fmt.Errorf("ends with number %d, has %d × %d; its orders: %d, %d × %d", l.tail, l.count, l.size, prev, count, size)
	}
	return nil
}

// index checks that every entry names a resting order (each order was looked up before), and the pages' counts.
func (v *validator) index() error {
	x := &v.b.index
	if v.b.sparse {
		return v.hashed(x.sparse)
	}
	pages, entries := map[uint32]bool{}, 0
	for at := range x.top {
		d := *x.dirEntry(at << pageShift)
		if d == 0 {
			continue
		}
		if d&loneBit != 0 {
			ref, n := at<<pageShift|uint64(d>>loneShift)&pageMask, d&loneMask
			if !v.orders[n] || v.b.order(n).id != ref {
				return fmt.Errorf("reference %d names number %d, which does not rest or is order %d", ref, n, v.b.order(n).id)
			}
			entries++
			continue
		}
		page := d >> usedBits
		if page == 0 || page > x.pool.fresh || pages[page] {
			return fmt.Errorf("page %d of references from %d: in use twice or never handed out", page, at<<pageShift)
		}
		pages[page] = true
		used := uint32(0)
		for ref := at << pageShift; ref < (at+1)<<pageShift; ref++ {
			if n := *x.slot(page, ref); n != 0 {
				used++
				if !v.orders[n] || v.b.order(n).id != ref {
					return fmt.Errorf("reference %d names number %d, which does not rest or is order %d", ref, n, v.b.order(n).id)
				}
			}
		}
		if used == 0 || used != d&usedMask {
			return fmt.Errorf("page %d of references from %d: %d in use, counted %d", page, at<<pageShift, used, d&usedMask)
		}
		entries += int(used)
	}
	if entries != len(v.orders) {
		return fmt.Errorf("%d entries, %d orders", entries, len(v.orders))
	}
	for ref := range uint64(pageRefs) {
		if *x.slot(0, ref) != 0 {
			return fmt.Errorf("page 0 was written")
		}
	}
	return checkPool(&x.pool, pages, func(n uint32) uint32 { return *x.slot(n, 0) })
}

// hashed checks that the table of orders has those that rest, and nothing else: each was looked up before, so none stands behind a hole.
func (v *validator) hashed(x *hashed) error {
	entries := 0
	for at := range x.mask + 1 {
		if s := *x.order(at); s.node != 0 {
			if entries++; !v.orders[s.node] {
				return fmt.Errorf("slot %d names number %d, which does not rest", at, s.node)
			}
		} else if s.tag != 0 {
			return fmt.Errorf("slot %d is empty, but has tag %#x", at, s.tag)
		}
	}
	if entries != len(v.orders) {
		return fmt.Errorf("%d entries, %d orders", entries, len(v.orders))
	}
	return nil
}
