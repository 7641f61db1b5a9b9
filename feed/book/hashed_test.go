package book

import (
	"math/rand/v2"
	"testing"
)

// Goal: the table of orders is a map, however full and whatever the ids. Method: against a map, with few enough slots that runs of them wrap around
// and holes are closed all the time; nodes hold what find looks at.
func TestHashedIsAMap(t *testing.T) {
	b := newBooks(t, Options{Sparse: true, MaxOrders: 64, MaxInstruments: 4})
	x := b.index.sparse
	if x.mask != 127 {
		t.Fatalf("%d slots", x.mask+1)
	}
	r := rand.New(rand.NewPCG(7, 7))
	want, free := map[naiveID]uint32{}, []uint32{}
	for n := range uint32(64) {
		free = append(free, n+1)
	}
	for step := range 300_000 {
		key := naiveID{r.Uint32N(4), r.Uint64N(40)}
		if got := x.find(key.instrument, key.id); got != want[key] {
			t.Fatalf("step %d: find(%v) = %d, want %d", step, key, got, want[key])
		}
		if n := want[key]; n != 0 {
			x.drop(key.instrument, key.id, n)
			delete(want, key)
			free = append(free, n)
		} else if len(free) > 0 {
			n := free[len(free)-1]
			free = free[:len(free)-1]
			o := b.order(n)
			o.id, o.owner = key.id, ownerOf(key.instrument, r.Uint32N(2))
			x.put(key.instrument, key.id, n)
			want[key] = n
		}
		if step%1000 == 0 {
			*x = hashed{newProbing(b.tableMem, 128), x.nodes} // other seeds: other runs
			b.tableMem.clear(128 * slotBytes)
			for key, n := range want {
				x.put(key.instrument, key.id, n)
			}
		}
	}
}

// A tag is no name: where two orders share one, instrument and id tell them apart.
func TestHashedTellsApart(t *testing.T) {
	b := newBooks(t, Options{Sparse: true, MaxOrders: 64, MaxInstruments: 4})
	for _, other := range []order{{id: 5, owner: ownerOf(2, ask)}, {id: 6, owner: ownerOf(1, ask)}} {
		*b.order(1) = other
		b.table.put(1, 5, 1) // a slot with the tag of order 5 of instrument 1, but another one's
		if n := b.table.find(1, 5); n != 0 {
			t.Errorf("found order %d of %d", b.order(n).id, b.order(n).owner)
		}
		*b.order(2) = order{id: 5, owner: ownerOf(1, ask)}
		b.table.put(1, 5, 2)
		if n := b.table.find(1, 5); n != 2 {
			t.Errorf("found number %d behind another of the same tag", n)
		}
		b.table.drop(1, 5, 2)
		b.table.drop(1, 5, 1)
	}
}

// Goal: no pattern of ids makes long runs of slots, which every look-up in them walks. Method: half full with patterns that defeat hashes which keep
// some of their structure; random placement has runs of some 40 at most.
func TestHashedSpreads(t *testing.T) {
	const orders = 1 << 16
	b := newBooks(t, Options{Sparse: true, MaxOrders: orders, MaxInstruments: orders})
	for name, key := range map[string]func(i uint64) (uint32, uint64){
		"counting":         func(i uint64) (uint32, uint64) { return 1, i },
		"high bits":        func(i uint64) (uint32, uint64) { return 1, i << 48 },
		"middle bits":      func(i uint64) (uint32, uint64) { return 1, i << 24 },
		"by instrument":    func(i uint64) (uint32, uint64) { return uint32(i), 5 },
		"both":             func(i uint64) (uint32, uint64) { return uint32(i), i },
		"one a neighbour":  func(i uint64) (uint32, uint64) { return uint32(i >> 8), i & 255 },
		"time and counter": func(i uint64) (uint32, uint64) { return uint32(i & 7), 1_700_000_000<<32 + i>>3<<12 },
	} {
		x := hashed{newProbing(b.tableMem, 2*orders), b.nodeMem.base}
		b.tableMem.clear(2 * orders * slotBytes)
		for i := range uint64(orders) {
			place, id := key(i)
			x.put(place, id, uint32(i+1))
		}
		run, longest, sum := 0, 0, 0
		for at := range x.mask + 1 {
			s := x.order(at)
			if s.node == 0 {
				run = 0
				continue
			}
			run++
			longest = max(longest, run)
			sum += int((at - s.tag>>x.shift) & x.mask)
		}
		if mean := float64(sum) / orders; longest > 250 || mean > 1 {
			t.Errorf("%s: runs of up to %d slots, %.2f beyond its home on average; want some 50, and 0.5", name, longest, mean)
		}
	}
}
