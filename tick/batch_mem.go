package tick

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hugePage    = 2 << 20
	cacheLine   = 64
	stagger     = 3 * cacheLine // distance within a page from one column's start to the next one's
	pageBytes   = 4096
	batchMapped = 2 * hugePage // room to align one huge page
)

// NewBatch maps an empty batch of 2 MiB. It fails only when the kernel gives no memory. Free it when done.
func NewBatch() (*Batch, error) {
	mem, err := unix.Mmap(-1, 0, batchMapped, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("tick: no memory for a batch (%d bytes): %w", batchMapped, err)
	}
	lay := layout{base: alignUp(unsafe.Pointer(unsafe.SliceData(mem)), hugePage)}
	// Advice only: without huge pages a batch works the same, at some more TLB misses.
	_ = unix.Madvise(unsafe.Slice((*byte)(lay.base), hugePage), unix.MADV_HUGEPAGE)

	b := &Batch{
		mem:         mem,
		Kind:        column[[MaxRows]Kind](&lay),
		Sub:         column[[MaxRows]uint8](&lay),
		Side:        column[[MaxRows]uint8](&lay),
		Flags:       column[[MaxRows]uint8](&lay),
		Instrument:  column[[MaxRows]uint32](&lay),
		TsEvent:     column[[MaxRows]uint64](&lay),
		TsRecv:      column[[MaxRows]uint64](&lay),
		Sequence:    column[[MaxRows]uint64](&lay),
		OrderID:     column[[MaxRows]uint64](&lay),
		Aux:         column[[MaxRows]uint64](&lay),
		Price:       column[[MaxRows]int64](&lay),
		Size:        column[[MaxRows]uint64](&lay),
		State:       column[[MaxRows]uint8](&lay),
		Left:        column[[MaxRows]uint64](&lay),
		OldPrice:    column[[MaxRows]int64](&lay),
		OldSize:     column[[MaxRows]uint64](&lay),
		Before:      column[[MaxRows]BidAskPair](&lay),
		After:       column[[MaxRows]BidAskPair](&lay),
		Statuses:    column[[MaxSideRows]Status](&lay),
		Imbalances:  column[[MaxSideRows]Imbalance](&lay),
		Definitions: column[[MaxSideRows]Definition](&lay),
		Statistics:  column[[MaxSideRows]Statistics](&lay),
		Exts:        column[[MaxSideRows]Ext](&lay),
	}
	if lay.used > hugePage {
		panic(fmt.Sprintf("tick: a batch needs %d bytes, more than its page of %d", lay.used, hugePage))
	}
	return b, nil
}

// Free unmaps the batch; using a column afterwards is a fault.
func (b *Batch) Free() error {
	mem := b.mem
	*b = Batch{}
	if mem == nil {
		return nil
	}
	return unix.Munmap(mem)
}

// layout hands out columns one after the other, each at its own place within a page.
type layout struct {
	base    unsafe.Pointer
	used    uintptr
	columns uintptr
}

func column[T any](l *layout) *T {
	var zero T
	at := (l.used + cacheLine - 1) &^ (cacheLine - 1)
	want := l.columns * stagger % pageBytes
	at += (want - at%pageBytes + pageBytes) % pageBytes
	l.columns++
	l.used = at + unsafe.Sizeof(zero)
	if l.used > hugePage {
		return nil // NewBatch reports it
	}
	return (*T)(unsafe.Add(l.base, at))
}

func alignUp(p unsafe.Pointer, to uintptr) unsafe.Pointer {
	return unsafe.Add(p, (to-uintptr(p)%to)%to)
}
