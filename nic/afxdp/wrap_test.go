package afxdp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/nic"
)

// kernelModel is the other side of a socket's two rings, written down anew: it counts in 64 bits, and shares nothing with package code but the
// memory. It takes chunks from the fill ring in order, and hands each back on the receive ring.
type kernelModel struct {
	fill, rx     *ring  // ours, for their memory alone
	taken, given uint64 // chunks from the fill ring, descriptors to the receive ring
}

// free is how many frames could come now.
func (k *kernelModel) free() uint64 {
	inRx := uint64(uint32(k.given) - *k.rx.consumer)
	chunks := uint64(*k.fill.producer - uint32(k.taken))
	return min(chunks, uint64(k.rx.mask)+1-inRx)
}

// bring has n frames come in, n at most free.
func (k *kernelModel) bring(n uint64) {
	chunks := unsafe.Slice((*uint64)(k.fill.entries), k.fill.mask+1)
	descs := unsafe.Slice((*desc)(k.rx.entries), k.rx.mask+1)
	for i := range n {
		descs[(k.given+i)&uint64(len(descs)-1)] = desc{addr: chunks[(k.taken+i)&uint64(len(chunks)-1)], len: uint32(k.given + i)}
	}
	k.taken, k.given = k.taken+n, k.given+n
	*k.fill.consumer, *k.rx.producer = uint32(k.taken), uint32(k.given)
}

// TestMoreThanAnIndex: 2^32 descriptors and some more go round a socket's rings, each of them, in batches of all sizes. Every one comes once, in order,
// with the chunk that was given for it, and no chunk is in two places or missing in between.
func TestMoreThanAnIndex(t *testing.T) {
	most := uint64(1<<32 + 1<<20)
	if testing.Short() || raceEnabled {
		most = 1 << 24
	}
	const entries = 1024 // they stay in the nearest cache
	_, rx := fake(entries, 0)
	fill, _ := fake(entries, 0)
	k := &kernelModel{fill: fill, rx: rx}
	random := rand.New(rand.NewPCG(1, 2))
	// Chunk i is handed out i-th: so the address of descriptor n is known, and a chunk that was given twice would be seen.
	address := func(n uint64) uint64 { return n % entries << 11 }
	if room := fill.room(entries + 1); room != entries {
		t.Fatalf("room for %d in an empty ring of %d", room, entries)
	}
	for i := range uint32(entries) {
		fill.put(i, address(uint64(i)))
	}
	fill.submit(entries)
	seen, batches := uint64(0), 0
	for ; seen < most; batches++ {
		want := uint32(random.Uint64N(2*entries) + 1)
		k.bring(min(k.free(), random.Uint64N(entries)+1))
		n := rx.available(want)
		if have := k.given - seen; uint64(n) != min(uint64(want), have) {
			t.Fatalf("descriptor %d: %d are to be had of %d that are there, %d wanted", seen, n, have, want)
		}
		for i := range n {
			if d := rx.desc(i); d.addr != address(seen+uint64(i)) || d.len != uint32(seen+uint64(i)) {
				t.Fatalf("descriptor %d: number %d at %d, want %d at %d", seen+uint64(i), d.len, d.addr, uint32(seen)+i, address(seen+uint64(i)))
			}
		}
		rx.release(n)
		if room := fill.room(n); room != n {
			t.Fatalf("descriptor %d: no room for a chunk that went round: %d of %d", seen, room, n)
		}
		for i := range n {
			fill.put(i, address(seen+uint64(i)))
		}
		fill.submit(n)
		seen += uint64(n)
		if sum := fill.between() + rx.between(); sum != entries {
			t.Fatalf("descriptor %d: %d chunks of %d in the rings", seen, sum, entries)
		}
	}
	t.Logf("%d descriptors in %d batches", seen, batches)
}

// TestPollOverTheEnd: the same for Poll, with indices near their end and half way, and with frames in the chunks: each packet comes once, whole.
func TestPollOverTheEnd(t *testing.T) {
	for _, start := range []uint32{^uint32(0) - 5000, 1<<31 - 5000, ^uint32(0)} {
		s, q, _ := fakeQueue(false)
		at := func(r *ring) { *r.producer, *r.consumer, r.mine, r.seen = start, start, start, start }
		at(&q.rx)
		at(&q.fill)
		k := &kernelModel{fill: &q.fill, rx: &q.rx, taken: uint64(start), given: uint64(start)}
		for i := range uint32(q.chunks) {
			q.fill.put(i, uint64(i)*2048)
		}
		q.fill.submit(uint32(q.chunks))
		random := rand.New(rand.NewPCG(3, uint64(start)))
		packets, next, sent := make([]nic.Packet, 64), uint64(0), uint64(0)
		for turn := 0; next < 100_000; turn++ {
			if turn == 10_000 {
				t.Fatalf("start %d: only %d packets in %d turns", start, next, turn)
			}
			n := min(k.free(), random.Uint64N(uint64(q.chunks))+1)
			first := k.given
			k.bring(n)
			for i := range n { // what the program and the copy would have left there
				d := &unsafe.Slice((*desc)(q.rx.entries), q.rx.mask+1)[(first+i)%uint64(q.chunks)]
				frame := frameTo(groupA, nil, binary.BigEndian.AppendUint64(nil, sent))
				sent++
				d.addr, d.len = d.addr&^2047+headroom, uint32(len(frame))
				copy(q.umem.mem[d.addr:], frame)
				*(*bpf.Meta)(unsafe.Pointer(&q.umem.mem[d.addr-bpf.MetaBytes])) = bpf.Meta{TAINs: 1, Version: bpf.MetaVersion, Source: bpf.SourceXDP, Payload: leastHead}
			}
			for range random.IntN(40) {
				got, err := s.Poll(packets[:random.IntN(64)+1])
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if number := binary.BigEndian.Uint64(packets[i].Data); number != next {
						t.Fatalf("start %d: packet %d, want %d", start, number, next)
					}
					next++
				}
				if n := int(q.fill.between()) + int(q.rx.between()) + len(q.held); n != q.chunks {
					t.Fatalf("start %d: %d chunks of %d", start, n, q.chunks)
				}
			}
		}
		if s.counters.BadFrames+s.counters.Malformed+s.counters.Stray != 0 {
			t.Errorf("%+v", s.counters)
		}
	}
}
