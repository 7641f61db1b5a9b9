package book

// The tree of prices of one side, see doc.go. Entry keys of an inner block are lower bounds of what lies below; that of
// its first entry is not looked at. Every block but a root has at least one entry; leaves are chained.

// maxHeight is never reached with fewer than billions of levels: neighbouring inner blocks have more than 23 children
// together whenever one of them has just lost one. At it, an order that would need a new level is refused.
const maxHeight = 12

// step is one inner block of a descent and the entry that was followed.
type step struct {
	block uint32
	at    uint32
}

// reserve is how many blocks one insertion may take at most: a leaf, one a height, and a new root.
const reserve = maxHeight + 2

// put gives the level of a key, making it when there is none. The caller has made sure of room for a level and for
// reserve blocks. A new level is empty, and is not yet anyone's best.
func (b *Books) put(h *instrument, owner, side uint32, key int64) uint32 {
	leaf := h.leaf[side]
	if leaf == 0 {
		leaf, _ = b.newBlock()
		h.leaf[side], h.root[side], h.height[side] = leaf, leaf, 0
	}
	k := b.block(leaf)
	if h.height[side] != 0 && key < k.e[0].key {
		leaf = b.descend(h, side, key, nil)
		k = b.block(leaf)
	}
	at := k.n
	for at > 0 && k.e[at-1].key > key {
		at--
	}
	if at > 0 && k.e[at-1].key == key {
		return k.e[at-1].ref
	}
	n := b.newLevel()
	l := b.level(n)
	*l = level{key: key, owner: owner}
	if k.n < blockEntries {
		k.insert(at, entry{key: key, ref: n})
	} else {
		b.split(h, side, entry{key: key, ref: n})
	}
	b.noteFill(h, side)
	return n
}

// noteFill keeps the fill of the leaf with the best prices where the prefetch stages find it.
func (b *Books) noteFill(h *instrument, side uint32) { h.fill[side] = uint8(b.block(h.leaf[side]).n) }

// descend finds the leaf a key belongs to and, when path is given, how it got there.
func (b *Books) descend(h *instrument, side uint32, key int64, path *[maxHeight]step) uint32 {
	n := h.root[side]
	for depth := range h.height[side] {
		k := b.block(n)
		at := k.n - 1
		for at > 0 && k.e[at].key > key {
			at--
		}
		if path != nil {
			path[depth%maxHeight] = step{n, at}
		}
		n = k.e[at].ref
	}
	return n
}

func (k *block) insert(at uint32, e entry) {
	copy(k.e[at+1:k.n+1], k.e[at:k.n])
	k.e[at] = e
	k.n++
}

func (k *block) remove(at uint32) {
	copy(k.e[at:k.n-1], k.e[at+1:k.n])
	k.n--
}

// split makes room for an entry whose leaf is full: the better half moves to a new block, and so on upwards.
func (b *Books) split(h *instrument, side uint32, e entry) {
	var path [maxHeight]step
	n := b.descend(h, side, e.key, &path)
	at := uint32(0)
	for k := b.block(n); at < k.n && k.e[at].key < e.key; {
		at++
	}
	for depth := int(h.height[side]); ; depth-- {
		k := b.block(n)
		if k.n < blockEntries {
			k.insert(at, e)
			return
		}
		m, more := b.newBlock()
		const half = blockEntries / 2
		more.n = uint32(copy(more.e[:], k.e[half:]))
		k.n = half
		if depth == int(h.height[side]) { // a leaf
			b.chain(h, side, n, m)
		}
		if at > half {
			more.insert(at-half, e)
		} else {
			k.insert(at, e)
		}
		e = entry{key: more.e[0].key, ref: m}
		if depth == 0 {
			root, r := b.newBlock()
			r.n = 2
			r.e[0], r.e[1] = entry{key: k.e[0].key, ref: n}, e
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

// take removes the entry of a key that is there. Blocks that run empty are freed, and nearly empty ones join a
// neighbour; looking for one only at certain fills keeps a leaf near the touch from looking at each removal.
func (b *Books) take(h *instrument, side uint32, key int64) {
	n := h.leaf[side]
	k := b.block(n)
	far := h.height[side] != 0 && key < k.e[0].key
	if far {
		n = b.descend(h, side, key, nil)
		k = b.block(n)
	}
	at := k.n - 1
	for k.e[at].key != key {
		at--
	}
	k.remove(at)
	switch {
	case h.height[side] == 0:
		if k.n == 0 {
			b.freeBlock(n)
			h.leaf[side], h.root[side] = 0, 0
		}
	case k.n <= 8 && k.n%4 == 0:
		b.shrink(h, side, key)
	}
	b.noteFill(h, side)
}

// shrink joins the blocks on the way to a key with a neighbour where both fit into one with room to spare, frees those
// without entries, and drops a root with one child.
func (b *Books) shrink(h *instrument, side uint32, key int64) {
	var path [maxHeight]step
	n := b.descend(h, side, key, &path)
	for depth := int(h.height[side]); depth > 0; depth-- {
		parent, at := b.block(path[depth-1].block), path[depth-1].at
		leaf := depth == int(h.height[side])
		switch {
		case b.block(n).n == 0:
			b.dropChild(h, side, parent, at, leaf)
		case at > 0 && b.joins(parent.e[at-1].ref, n):
			b.join(h, side, parent, at, leaf)
		case at+1 < parent.n && b.joins(n, parent.e[at+1].ref):
			b.join(h, side, parent, at+1, leaf)
		default:
			return
		}
		n = path[depth-1].block
	}
	for h.height[side] > 0 && b.block(h.root[side]).n == 1 {
		old := h.root[side]
		h.root[side] = b.block(old).e[0].ref
		h.height[side]--
		b.freeBlock(old)
	}
}

func (b *Books) joins(n, m uint32) bool { return b.block(n).n+b.block(m).n <= blockEntries*3/4 }

// join moves the entries of the parent's child at into its worse neighbour.
func (b *Books) join(h *instrument, side uint32, parent *block, at uint32, leaf bool) {
	left, right := b.block(parent.e[at-1].ref), b.block(parent.e[at].ref)
	had := left.n
	left.n += uint32(copy(left.e[had:], right.e[:right.n]))
	if !leaf {
		left.e[had].key = parent.e[at].key // a first entry's own key was not kept: the bound is the parent's
	}
	right.n = 0
	b.dropChild(h, side, parent, at, leaf)
}

// dropChild takes an empty child out of its parent and frees it.
func (b *Books) dropChild(h *instrument, side uint32, parent *block, at uint32, leaf bool) {
	n := parent.e[at].ref
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
