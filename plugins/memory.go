package plugins

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const pageBytes = 64 << 10

// memory is the linear memory of an instance: mapped off the Go heap at its limit, so that growing it moves nothing and views stay valid. The kernel gives
// pages as they are touched.
type memory struct {
	all  []byte // the mapping
	size int    // what the guest has of it
}

func mapMemory(pages int) (*memory, error) {
	all, err := unix.Mmap(-1, 0, pages*pageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("no room for a memory of %d pages: %w", pages, err)
	}
	return &memory{all: all}, nil
}

// Reallocate is wazero's question for a larger memory; nil refuses it, which the guest sees as -1.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	m.size = int(size)
	return m.all[:size]
}

// Free does nothing: the instance unmaps when nobody can look any more.
func (m *memory) Free() {}

func (m *memory) unmap() error {
	all := m.all
	m.all, m.size = nil, 0
	if all == nil {
		return nil
	}
	return unix.Munmap(all)
}

// view of n bytes at an address, nil: not within.
func (m *memory) view(at, n uint32) []byte {
	if uint64(at)+uint64(n) > uint64(m.size) {
		return nil
	}
	return m.all[at : at+n : at+n]
}

// touch has the kernel give pages now, so that the first batch does not wait for them. Kernels before 5.14 cannot: then it waits.
func (m *memory) touch(at, n int) {
	const page = 4096
	if n > 0 {
		_ = unix.Madvise(m.all[at&^(page-1):at+n], unix.MADV_POPULATE_WRITE)
	}
}
