//go:build !purego

package ringbench

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/ringbuf"
)

// The laboratory: what else a writer of 64-byte slots could do, measured beside what it does (BenchmarkVariants). Each
// variant writes the same bytes in the same order, so readers are the ordinary ones.
//
//	plain         as ringbuf does it: marks, payloads, numbers
//	prefetch d    the same, and before each run the lines d slots behind it are fetched for writing (PREFETCHW)
//	nontemporal   payloads by stores that pass the caches by, SFENCE twice

// labWriter writes into the file of a ringbuf.Writer, through a mapping of its own. That Writer publishes nothing itself.
type labWriter struct {
	mem   []byte
	slots unsafe.Pointer
	mask  uint64
	next  uint64
}

func openLab(w *ringbuf.Writer) (*labWriter, error) {
	h := w.Header()
	if h.SlotBytes != 64 {
		return nil, fmt.Errorf("ringbench: the laboratory has slots of 64 bytes, not %d", h.SlotBytes)
	}
	f, err := os.OpenFile(w.Path(), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("ringbench: %w", err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, int(h.FileBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("ringbench: %s: mapping of %d bytes: %w", w.Path(), h.FileBytes, err)
	}
	if w.HugePages() {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // as the Writer did for its own mapping
	}
	return &labWriter{mem: mem, slots: unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), h.SlotsOffset), mask: h.Slots - 1, next: w.Next()}, nil
}

func (l *labWriter) close() error { return unix.Munmap(l.mem) }

// publish writes a run that does not pass the ring's end: the caller's runs divide the capacity.
func (l *labWriter) publish(recs []uint64, run int, v labVariant) {
	slot := unsafe.Add(l.slots, (l.next&l.mask)*64)
	from := unsafe.Pointer(unsafe.SliceData(recs))
	if v.ahead > 0 {
		labPrefetch(unsafe.Add(l.slots, ((l.next+uint64(v.ahead))&l.mask)*64), uintptr(run)) // ahead is a multiple of run
	}
	if v.nonTemporal {
		labPublishNT(slot, l.next, from, uintptr(run))
	} else {
		labPublish(slot, l.next, from, uintptr(run))
	}
	l.next += uint64(run)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&l.mem[cursorOffset])), l.next-1)
}

const cursorOffset = 384 // ABI.md 2

type labVariant struct {
	name        string
	ahead       int
	nonTemporal bool
}

// n is at least 1 in all of them.
//
//go:noescape
func labPrefetch(slot unsafe.Pointer, n uintptr)

//go:noescape
func labPublish(slot unsafe.Pointer, first uint64, recs unsafe.Pointer, n uintptr)

//go:noescape
func labPublishNT(slot unsafe.Pointer, first uint64, recs unsafe.Pointer, n uintptr)
