package afxdp

import (
	"testing"
	"unsafe"
)

// fake makes both ends of a ring over ordinary memory, with the indices at start.
func fake(entries int, start uint32) (ours, theirs *ring) {
	mem := make([]uint64, entries*2)
	index := new([3]uint32)
	index[0], index[1] = start, start
	end := func() *ring {
		return &ring{producer: &index[0], consumer: &index[1], flags: &index[2], entries: unsafe.Pointer(&mem[0]), mask: uint32(entries - 1), mine: start, seen: start}
	}
	return end(), end()
}

// TestRingWraps: indices run over 2^32; every address goes round once, in order, whatever the batches are.
func TestRingWraps(t *testing.T) {
	for _, start := range []uint32{0, ^uint32(0) - 100, 1<<31 - 5} {
		producer, consumer := fake(64, start)
		next, want := uint64(0), uint64(0)
		for turn := range 1000 {
			n := producer.room(uint32(turn%70) + 1)
			if held := uint32(next - want); n > 64-held {
				t.Fatalf("start %d: room for %d behind %d", start, n, held)
			}
			for i := range n {
				producer.put(i, next*2048)
				next++
			}
			producer.submit(n)
			// The consumer of a fill ring is the kernel: it reads words, where ours would read descriptors.
			got := consumer.available(uint32(turn%33) + 1)
			for i := range got {
				addr := *(*uint64)(unsafe.Add(consumer.entries, uintptr((consumer.mine+i)&consumer.mask)*8))
				if addr != want*2048 {
					t.Fatalf("start %d: address %d, want %d", start, addr, want*2048)
				}
				want++
			}
			consumer.release(got)
			if consumer.between() != uint32(next-want) {
				t.Fatalf("start %d: %d between, want %d", start, consumer.between(), next-want)
			}
		}
		if want < 10_000 {
			t.Errorf("start %d: only %d went round", start, want)
		}
	}
}

// TestDescriptors: nothing that a descriptor says leads outside of packet memory.
func TestDescriptors(t *testing.T) {
	mem := make([]byte, 8192)
	u := umem{mem: mem, base: unsafe.Pointer(&mem[0])}
	for _, tc := range []struct {
		addr uint64
		len  uint32
		ok   bool
	}{{256, 60, true}, {8192 - 60, 60, true}, {8192 - 60, 61, false}, {0, 60, false}, {^uint64(0) - 10, 60, false}, {9000, 0, false}, {256, 1 << 31, false}} {
		if b, ok := u.at(tc.addr, tc.len); ok != tc.ok || ok && len(b) != int(tc.len) {
			t.Errorf("%d bytes at %d: %v", tc.len, tc.addr, ok)
		}
	}
}
