package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pages says what memory lies on.
type Pages string

const (
	SmallPages  Pages = "small pages" // of the processor's base size, mostly 4 KiB
	Transparent Pages = "transparent huge pages"
	HugeTLB     Pages = "hugetlb pages" // reserved ones
)

const hugeBytes = 2 << 20

// mapping is memory of one kind of pages, aligned to them. Nothing of it has been touched.
type mapping struct {
	mem   []byte
	base  unsafe.Pointer
	size  int
	pages Pages
}

// newMapping maps size bytes; page is the size of hugetlb's pages, in bytes.
func newMapping(size int, pages Pages, page int) (*mapping, error) {
	m := &mapping{size: size, pages: pages}
	flags, room := unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE, size+hugeBytes
	if pages == HugeTLB {
		shift := 0
		for 1<<shift < page {
			shift++
		}
		flags, room = unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_HUGETLB|shift<<unix.MAP_HUGE_SHIFT, size
	}
	var err error
	if m.mem, err = unix.Mmap(-1, 0, room, unix.PROT_READ|unix.PROT_WRITE, flags); err != nil {
		return nil, fmt.Errorf("%d KiB of memory: %w", size>>10, err)
	}
	m.base = unsafe.Pointer(unsafe.SliceData(m.mem))
	switch pages {
	case SmallPages:
		m.base = unsafe.Add(m.base, -uintptr(m.base)&(hugeBytes-1))
		_ = unix.Madvise(m.mem, unix.MADV_NOHUGEPAGE) // EINVAL: a kernel that has no others
	case Transparent:
		m.base = unsafe.Add(m.base, -uintptr(m.base)&(hugeBytes-1))
		_ = unix.Madvise(m.mem, unix.MADV_HUGEPAGE) // EINVAL: hugeShare says that they are none
	}
	return m, nil
}

func (m *mapping) free() { _ = unix.Munmap(m.mem) }

// bytes are the part that is used.
func (m *mapping) bytes() []byte { return unsafe.Slice((*byte)(m.base), m.size) }

const (
	mpolBind   = 2 // linux/mempolicy.h
	mostNodes  = 1 << 10
	nodesWords = mostNodes / 64
)

// bind has pages come from one node only. Before they are touched.
func (m *mapping) bind(node int) error {
	var mask [nodesWords]uint64
	if node < 0 || node >= mostNodes {
		return fmt.Errorf("node %d, want 0 to %d", node, mostNodes-1)
	}
	mask[node/64] = 1 << (node % 64)
	_, _, e := unix.Syscall6(unix.SYS_MBIND, uintptr(m.base), uintptr(m.size), mpolBind, uintptr(unsafe.Pointer(&mask)), mostNodes, 0)
	if e != 0 {
		return fmt.Errorf("memory of node %d only (mbind): %w", node, e)
	}
	return nil
}

// populate touches all pages, page by page of the given size. An error is what the kernel answers where a plain store would
// end the process with SIGBUS: the pool or the node has no more pages. granted is how many bytes there are.
func (m *mapping) populate(ctx context.Context, page int) (granted int, err error) {
	all := m.bytes()
	for granted < m.size {
		if err := ctx.Err(); err != nil {
			return granted, err
		}
		if err := unix.Madvise(all[granted:granted+page], unix.MADV_POPULATE_WRITE); err != nil {
			return granted, err
		}
		granted += page
	}
	return granted, nil
}

// where asks on which node each page of the first n bytes is: bytes by node.
func (m *mapping) where(n, page int) (map[int]int, error) {
	count := n / page
	if count == 0 {
		return nil, nil
	}
	addrs, status := make([]uintptr, count), make([]int32, count)
	for i := range addrs {
		addrs[i] = uintptr(m.base) + uintptr(i*page)
	}
	// Without nodes to move to, move_pages only tells.
	_, _, e := unix.Syscall6(unix.SYS_MOVE_PAGES, 0, uintptr(count), uintptr(unsafe.Pointer(&addrs[0])), 0, uintptr(unsafe.Pointer(&status[0])), 0)
	if e != 0 {
		return nil, fmt.Errorf("which node pages are on (move_pages): %w", e)
	}
	by := map[int]int{}
	for _, s := range status {
		if s < 0 {
			return nil, fmt.Errorf("which node a page is on (move_pages): %w", unix.Errno(-s))
		}
		by[int(s)] += page
	}
	return by, nil
}

// hugeShare is how much of the mapping lies on huge pages, 0 to 1, as the kernel says.
func (m *mapping) hugeShare() float64 {
	if m.pages == HugeTLB {
		return 1
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return 0
	}
	inside, at := false, uint64(uintptr(m.base))
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, " ")
		if from, to, isRange := strings.Cut(name, "-"); isRange {
			a, err1 := strconv.ParseUint(from, 16, 64)
			b, err2 := strconv.ParseUint(to, 16, 64)
			inside = err1 == nil && err2 == nil && a <= at && at < b
		} else if inside && name == "AnonHugePages:" {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return min(1, float64(kib<<10)/float64(m.size))
		}
	}
	return 0
}

// gate lets threads begin a piece of work at the same time. Who leaves is not waited for any more.
type gate struct {
	mu      sync.Mutex
	inside  int // who takes part
	waiting int
	open    chan struct{}
}

func newGate(n int) *gate { return &gate{inside: n, open: make(chan struct{})} }

// wait returns when all have come. False: the context has ended.
func (g *gate) wait(ctx context.Context) bool {
	g.mu.Lock()
	g.waiting++
	open := g.open
	g.pass()
	g.mu.Unlock()
	select {
	case <-open:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	g.inside--
	g.pass()
	g.mu.Unlock()
}

func (g *gate) pass() {
	if g.waiting > 0 && g.waiting >= g.inside {
		close(g.open)
		g.open, g.waiting = make(chan struct{}), 0
	}
}

// noSuch says whether a call is one that this kernel does not have, or not for this.
func noSuch(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}
