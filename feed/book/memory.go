package book

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of records; records.go's compile-time checks hold them.
const (
	nodeBytes       = 64
	instrumentBytes = 64
	blockBytes      = 192
	pageBytes       = pageRefs * 4

	hugePage = 2 << 20
)

// region is one anonymous mapping of a fixed number of records. Address space is reserved whole; memory comes page by
// page when it is first touched, so a generous bound costs nothing until it is used.
type region struct {
	base unsafe.Pointer
	mem  []byte
}

func mapRegion(what string, records uint64, size uintptr) (region, error) {
	bytes := (uintptr(records)*size + hugePage - 1) &^ (hugePage - 1)
	mem, err := unix.Mmap(-1, 0, int(bytes+hugePage), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return region{}, fmt.Errorf("book: no address space for %d %s (%d bytes): %w", records, what, bytes, err)
	}
	start := unsafe.Pointer(unsafe.SliceData(mem))
	start = unsafe.Add(start, (hugePage-uintptr(start)%hugePage)%hugePage)
	// Advice only: without huge pages everything works the same, at more TLB misses.
	_ = unix.Madvise(unsafe.Slice((*byte)(start), bytes), unix.MADV_HUGEPAGE)
	return region{base: start, mem: mem}, nil
}

// prefault brings the first bytes of the region in, so that the first touch, a few hundred microseconds a huge page,
// does not happen in the middle of a burst. A kernel that cannot (before 5.14) leaves it to the first touch.
func (r region) prefault(bytes uintptr) {
	if bytes = (bytes + hugePage - 1) &^ (hugePage - 1); bytes > 0 {
		_ = unix.Madvise(unsafe.Slice((*byte)(r.base), bytes), unix.MADV_POPULATE_WRITE)
	}
}

func (r *region) unmap() error {
	mem := r.mem
	*r = region{}
	if mem == nil {
		return nil
	}
	return unix.Munmap(mem)
}

// clear zeroes the first bytes of the region.
func (r region) clear(bytes uintptr) { clear(unsafe.Slice((*byte)(r.base), bytes)) }

// pool hands out numbers 1 … limit: those given back first, latest first, because their lines are still in cache.
type pool struct {
	free  uint32 // head of the list of those given back; the link is kept inside the record, see records.go
	fresh uint32 // numbers 1 … fresh have been handed out at least once
	limit uint32
	inUse uint32
}

func (p *pool) room() uint32 { return p.limit - p.inUse }

func (p *pool) reset() { p.free, p.fresh, p.inUse = 0, 0, 0 }
