package book

import "math/bits"

// The tree of prices of one side, see doc.go. Keys of an inner block are lower bounds of what lies below; that of its
// first entry is not looked at. Every block but a root has at least one entry; leaves are chained.

// maxHeight is never reached with fewer than billions of levels: neighbouring inner blocks have more than 10 children
// together whenever one of them has just lost one. At it, an order that would need a new level is refused.
const maxHeight = 14

// step is one inner block of a descent and the entry that was followed.
type step struct {
	block uint32
	at    uint32
}

// reserve is how many blocks one insertion may take at most: a leaf, one a height, and a new root.
const reserve = maxHeight + 2

// after is the number of entries whose keys are not greater than key. All are compared, for where the key stands is
// anyone's guess: a loop that ends there costs more for ending unexpectedly than the comparisons do.
func (k *block) after(key uint64) uint32 {
	var greater0, greater1, borrow uint64
	for at := 0; at < blockEntries; at += 2 {
		_, borrow = bits.Sub64(key, k.keys[at], 0)
		greater0 += borrow
		_, borrow = bits.Sub64(key, k.keys[at+1], 0)
		greater1 += borrow
	}
	return blockEntries - uint32(greater0+greater1)
}

// child is the entry of an inner block to follow for a key.
func (k *block) child(key uint64) uint32 {
	_, below := bits.Sub64(key, k.keys[0], 0) // the first entry's key is not looked at
	return k.after(key) - 1 + uint32(below)
}

// home gives the leaf that a key belongs to. The side must have a tree.
func (b *Books) home(h *instrument, side uint32, key uint64) *block {
	k := b.block(h.leaf[side])
	if h.height[side] == 0 || key >= k.keys[0] {
		return k
	}
	return b.block(b.descend(h, side, key, nil))
}

// enter puts a level into a leaf that has no such key, at an entry. The caller has made sure of room for reserve blocks.
func (b *Books) enter(h *instrument, side uint32, k *block, at uint32, key uint64, n uint32) {
	if k.n < blockEntries {
		k.insert(at, key, n)
	} else {
		b.split(h, side, key, n)
	}
}

// firstLeaf makes the tree of a side that has none.
func (b *Books) firstLeaf(h *instrument, side uint32) *block {
	leaf, k := b.newBlock()
	h.leaf[side], h.root[side], h.height[side] = leaf, leaf, 0
	return k
}

// descend finds the leaf a key belongs to and, when path is given, how it got there.
func (b *Books) descend(h *instrument, side uint32, key uint64, path *[maxHeight]step) uint32 {
	n := h.root[side]
	for depth := range h.height[side] {
		k := b.block(n)
		at := k.child(key)
		if path != nil {
			path[depth%maxHeight] = step{n, at}
		}
		n = k.refs[at]
	}
	return n
}

func (k *block) insert(at uint32, key uint64, ref uint32) {
	for i := k.n; i > at; i-- {
		k.keys[i], k.refs[i] = k.keys[i-1], k.refs[i-1]
	}
	k.keys[at], k.refs[at] = key, ref
	k.n++
}

func (k *block) remove(at uint32) {
	k.n--
	for i := at; i < k.n; i++ {
		k.keys[i], k.refs[i] = k.keys[i+1], k.refs[i+1]
	}
	k.keys[k.n] = noKey
}

// split enters a level into a leaf that is full: the better half moves to a new block, and so on upwards.
func (b *Books) split(h *instrument, side uint32, key uint64, ref uint32) {
	var path [maxHeight]step
	n := b.descend(h, side, key, &path)
	at := b.block(n).after(key)
	for depth := int(h.height[side]); ; depth-- {
		k := b.block(n)
		if k.n < blockEntries {
			k.insert(at, key, ref)
			return
		}
		const half = blockEntries / 2
		m, more := b.newBlock()
		more.n = uint32(copy(more.keys[:], k.keys[half:]))
		copy(more.refs[:], k.refs[half:])
		k.n = half
		for at := range k.keys[half:] {
			k.keys[half+at] = noKey
		}
		if at > half {
			more.insert(at-half, key, ref)
		} else {
			k.insert(at, key, ref)
		}
		if depth == int(h.height[side]) { // a leaf
			b.chain(h, side, n, m)
		}
		key, ref = more.keys[0], m
		if depth == 0 {
			root, r := b.newBlock()
			r.n = 2
			r.keys[0], r.refs[0] = k.keys[0], n
			r.keys[1], r.refs[1] = key, ref
			h.root[side] = root
			h.height[side]++
			return
		}
		n, at = path[depth-1].block, path[depth-1].at+1
	}
}

// chain puts leaf m on the better side of leaf n.
func (b *Books) chain(h *instrument, side, n, m uint32) {
	k, more := b.block(n), b.block(m)
	more.worse, more.better = n, k.better
	k.better = m
	if more.better != 0 {
		b.block(more.better).worse = m
	} else {
		h.leaf[side] = m
	}
}

// take removes the entry of a level. Blocks that run empty are freed, and nearly empty ones join a neighbour; looking
// for one only at one fill keeps a leaf near the touch from looking at each removal.
func (b *Books) take(h *instrument, side uint32, key uint64) {
	k := b.home(h, side, key)
	k.remove(k.after(key) - 1)
	switch {
	case h.height[side] == 0:
		if k.n == 0 {
			b.freeBlock(h.leaf[side])
			h.leaf[side], h.root[side] = 0, 0
		}
	case k.n == blockEntries/4 || k.n == 0:
		b.shrink(h, side, key)
	}
}

// shrink joins the blocks on the way to a key with a neighbour where both fit into one with room to spare, frees those
// without entries, and drops a root with one child.
func (b *Books) shrink(h *instrument, side uint32, key uint64) {
	var path [maxHeight]step
	n := b.descend(h, side, key, &path)
	for depth := int(h.height[side]); depth > 0; depth-- {
		parent, at := b.block(path[depth-1].block), path[depth-1].at
		leaf := depth == int(h.height[side])
		switch {
		case b.block(n).n == 0:
			b.dropChild(h, side, parent, at, leaf)
		case at > 0 && b.joins(parent.refs[at-1], n):
			b.merge(h, side, parent, at, leaf)
		case at+1 < parent.n && b.joins(n, parent.refs[at+1]):
			b.merge(h, side, parent, at+1, leaf)
		default:
			return
		}
		n = path[depth-1].block
	}
	for h.height[side] > 0 && b.block(h.root[side]).n == 1 {
		old := h.root[side]
		h.root[side] = b.block(old).refs[0]
		h.height[side]--
		b.freeBlock(old)
	}
}

func (b *Books) joins(n, m uint32) bool { return b.block(n).n+b.block(m).n <= blockEntries*3/4 }

// merge moves the entries of the parent's child at into its worse neighbour.
func (b *Books) merge(h *instrument, side uint32, parent *block, at uint32, leaf bool) {
	into := parent.refs[at-1]
	left, right := b.block(into), b.block(parent.refs[at])
	had := left.n
	copy(left.refs[had:], right.refs[:right.n])
	left.n += uint32(copy(left.keys[had:], right.keys[:right.n]))
	if !leaf {
		left.keys[had] = parent.keys[at] // a first entry's own key was not kept: the bound is the parent's
	}
	right.n = 0
	b.dropChild(h, side, parent, at, leaf)
}

// dropChild takes an empty child out of its parent and frees it.
func (b *Books) dropChild(h *instrument, side uint32, parent *block, at uint32, leaf bool) {
	n := parent.refs[at]
	if leaf {
		k := b.block(n)
		if k.worse != 0 {
			b.block(k.worse).better = k.better
		}
		if k.better != 0 {
			b.block(k.better).worse = k.worse
		} else {
			h.leaf[side] = k.worse
		}
	}
	parent.remove(at)
	b.freeBlock(n)
}
