package afxdp

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// headroom is what the kernel keeps before a frame: XDP_PACKET_HEADROOM.
const headroom = 256

// umem is the packet memory of one socket, outside the Go heap: chunks of a power of two bytes.
//
//	| front | 256 bytes of headroom ........ [ struct meta, 32 ] | frame …                |
//	^ chunk                                                      ^ desc.addr = chunk + front + 256
//
// Where the kernel copies frames, 32 bytes in front are ours: the program's findings and the beginning of the frame then share a cache line, and
// a frame is written to one line less.
type umem struct {
	mem  []byte
	base unsafe.Pointer
	huge bool
}

const hugeBytes = 2 << 20

// newUmem maps and touches the memory: of huge pages when the host has some, for fewer TLB misses; else of such as the kernel puts together.
func newUmem(bytes int) (umem, error) {
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	whole := (bytes + hugeBytes - 1) &^ (hugeBytes - 1)
	if mem, err := unix.Mmap(-1, 0, whole, unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_HUGETLB|unix.MAP_POPULATE); err == nil {
		return umem{mem, unsafe.Pointer(&mem[0]), true}, nil
	}
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return umem{}, fmt.Errorf("mapping %d MiB of packet memory: %w", bytes>>20, err)
	}
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // a wish
	for i := 0; i < len(mem); i += os.Getpagesize() {
		mem[i] = 0
	}
	_ = unix.Madvise(mem, unix.MADV_DONTFORK) // a child must not share pages that a NIC writes to
	return umem{mem: mem, base: unsafe.Pointer(&mem[0])}, nil
}

func (u *umem) unmap() error {
	if u.mem == nil {
		return nil
	}
	err := unix.Munmap(u.mem)
	u.mem = nil
	return err
}

// at is a frame's memory; the kernel's descriptor is checked: nothing of it may lead outside.
func (u *umem) at(addr uint64, n uint32) ([]byte, bool) {
	if end := addr + uint64(n); end > uint64(len(u.mem)) || end < addr || addr < headroom {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Add(u.base, addr)), n), true
}
