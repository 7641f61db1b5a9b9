package afxdp

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is memory shared with the kernel: one producer, one consumer, indices that run freely and wrap at 2^32.
//
//	+----------+-----+----------+-----+-------+-----+---------------------------+
//	| producer | …   | consumer | …   | flags | …   | entries, a power of two   |
//	| u32      |     | u32      |     | u32   |     | u64 (fill) or desc (rx)   |
//	+----------+-----+----------+-----+-------+-----+---------------------------+
//
// Where each lies the kernel tells (XDP_MMAP_OFFSETS): it has moved between versions. Our own index is kept here and stored
// once a batch, the other side's is read anew only when what was seen of it is used up.
type ring struct {
	producer, consumer, flags *uint32
	entries                   unsafe.Pointer
	mask                      uint32
	mine                      uint32 // our index
	seen                      uint32 // the other side's, as last read
	mem                       []byte
}

// desc is struct xdp_desc.
type desc struct {
	addr    uint64
	len     uint32
	options uint32
}

func mapRing(fd int, pgoff int64, off unix.XDPRingOffset, entries, entryBytes int) (ring, error) {
	mem, err := unix.Mmap(fd, pgoff, int(off.Desc)+entries*entryBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return ring{}, fmt.Errorf("mapping a ring of %d entries: %w", entries, err)
	}
	base := unsafe.Pointer(&mem[0])
	return ring{
		producer: (*uint32)(unsafe.Add(base, off.Producer)), consumer: (*uint32)(unsafe.Add(base, off.Consumer)),
		flags: (*uint32)(unsafe.Add(base, off.Flags)), entries: unsafe.Add(base, off.Desc), mask: uint32(entries - 1), mem: mem,
	}, nil
}

func (r *ring) unmap() error {
	if r.mem == nil {
		return nil
	}
	err := unix.Munmap(r.mem)
	r.mem = nil
	return err
}

// available is how many entries we may consume: at most want of them are looked for. Hot path.
func (r *ring) available(want uint32) uint32 {
	n := r.seen - r.mine
	if n < want {
		r.seen = atomic.LoadUint32(r.producer) // what it counts was written before it
		n = r.seen - r.mine
	}
	return min(n, want)
}

// desc is entry i of those that are available.
func (r *ring) desc(i uint32) *desc {
	return (*desc)(unsafe.Add(r.entries, uintptr((r.mine+i)&r.mask)*unsafe.Sizeof(desc{})))
}

// release gives n consumed entries back.
func (r *ring) release(n uint32) {
	r.mine += n
	atomic.StoreUint32(r.consumer, r.mine)
}

// room is how many entries we may produce, at most want.
func (r *ring) room(want uint32) uint32 {
	free := r.mask + 1 - (r.mine - r.seen)
	if free < want {
		r.seen = atomic.LoadUint32(r.consumer)
		free = r.mask + 1 - (r.mine - r.seen)
	}
	return min(free, want)
}

// put writes an address n entries behind our index.
func (r *ring) put(n uint32, addr uint64) {
	*(*uint64)(unsafe.Add(r.entries, uintptr((r.mine+n)&r.mask)*8)) = addr
}

// submit hands n entries over.
func (r *ring) submit(n uint32) {
	r.mine += n
	atomic.StoreUint32(r.producer, r.mine)
}

// wanted says that the kernel stopped and has to be called.
func (r *ring) wanted() bool { return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0 }

// between is how far the producer is ahead of the consumer. Any goroutine.
func (r *ring) between() uint32 { return atomic.LoadUint32(r.producer) - atomic.LoadUint32(r.consumer) }
