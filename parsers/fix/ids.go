package fix

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// ids are the entries of books that are known by a text (278), until they are deleted: what number the text became, and what a change that says
// only a part leaves as it was. Texts are compared, not only their hashes.
//
//	table   hash ──> node number, open addressing, at most 2/3 full, a deletion closes its hole
//	nodes   text, instrument, side, price, size; those of an instrument are a ring through its head, so that a W can forget them
//
// Memory is 96 bytes a node and 6 to 12 in the table; it grows as entries are met, to the limit, and is kept.
type ids struct {
	seed  maphash.Seed
	table []uint32 // node, 0: free
	nodes []idNode // 0 is not used
	free  uint32   // list through next
	count int
	most  int
	given uint64
}

const (
	mostIDBytes = 48 // of a text
	firstIDs    = 64
)

type idNode struct {
	text       [mostIDBytes]byte
	length     uint8
	side       byte
	instrument uint32
	hash       uint64
	number     uint64
	price      int64
	size       uint64
	next, prev uint32 // of the instrument
}

func newIDs(most int) ids {
	return ids{seed: maphash.MakeSeed(), table: make([]uint32, firstIDs), nodes: make([]idNode, 1, firstIDs), most: most}
}

// clear forgets all.
func (t *ids) clear() {
	clear(t.table)
	t.nodes, t.free, t.count, t.given = t.nodes[:1], 0, 0, 0
}

func (t *ids) hash(instrument uint32, text []byte) uint64 {
	hi, lo := bits.Mul64(maphash.Bytes(t.seed, text)^uint64(instrument)<<32, 0x9E3779B97F4A7C15)
	return hi ^ lo
}

// find gives the node of a text, 0: there is none. Hot path.
func (t *ids) find(instrument uint32, text []byte) uint32 {
	h := t.hash(instrument, text)
	mask := uint64(len(t.table) - 1)
	for at := h & mask; t.table[at] != 0; at = (at + 1) & mask {
		n := &t.nodes[t.table[at]]
		if n.hash == h && n.instrument == instrument && bytes.Equal(n.text[:n.length], text) {
			return t.table[at]
		}
	}
	return 0
}

// add makes a node of a text that is not there, at the end of an instrument's ring; 0: the text is too long or the limit is reached.
func (t *ids) add(instrument uint32, text []byte, head *uint32) uint32 {
	if len(text) > mostIDBytes || t.count >= t.most {
		return 0
	}
	if 3*(t.count+1) > 2*len(t.table) {
		t.grow()
	}
	k := t.free
	if k != 0 {
		t.free = t.nodes[k].next
	} else {
		k = uint32(len(t.nodes))
		t.nodes = append(t.nodes, idNode{})
	}
	n := &t.nodes[k]
	*n = idNode{instrument: instrument, hash: t.hash(instrument, text), next: k, prev: k}
	n.length = uint8(copy(n.text[:], text))
	if *head == 0 {
		*head = k
	} else {
		first := &t.nodes[*head]
		n.next, n.prev = *head, first.prev
		t.nodes[first.prev].next, first.prev = k, k
	}
	n.number = t.number(text)
	t.count++
	t.put(k)
	return k
}

// number is what stands for a text: the number that it is, below 2^63, or one above that, given in turn.
func (t *ids) number(text []byte) uint64 {
	if v, ok := plainNumber(text); ok {
		return v
	}
	t.given++
	return 1<<63 | t.given
}

// plainNumber is a text that is a number in its only way of writing, from 1 to below 2^63.
func plainNumber(text []byte) (uint64, bool) {
	v, ok := Uint(text)
	return v, ok && text[0] != '0' && v < 1<<63
}

func (t *ids) put(k uint32) {
	mask := uint64(len(t.table) - 1)
	at := t.nodes[k].hash & mask
	for t.table[at] != 0 {
		at = (at + 1) & mask
	}
	t.table[at] = k
}

func (t *ids) grow() {
	old := t.table
	t.table = make([]uint32, 2*len(old))
	for _, k := range old {
		if k != 0 {
			t.put(k)
		}
	}
}

// remove frees a node.
func (t *ids) remove(k uint32, head *uint32) {
	n := &t.nodes[k]
	if n.next == k {
		*head = 0
	} else {
		t.nodes[n.prev].next, t.nodes[n.next].prev = n.next, n.prev
		if *head == k {
			*head = n.next
		}
	}
	mask := uint64(len(t.table) - 1)
	hole := n.hash & mask
	for t.table[hole] != k {
		hole = (hole + 1) & mask
	}
	// Those behind the hole that may not stand behind one move into it.
	for at := (hole + 1) & mask; t.table[at] != 0; at = (at + 1) & mask {
		home := t.nodes[t.table[at]].hash & mask
		if (at-home)&mask >= (at-hole)&mask {
			t.table[hole], hole = t.table[at], at
		}
	}
	t.table[hole] = 0
	n.next, t.free = t.free, k
	t.count--
}

// forget frees all nodes of an instrument.
func (t *ids) forget(head *uint32) {
	for *head != 0 {
		t.remove(*head, head)
	}
}
