package ringbuf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shared memory, for rings and for the files beside them: mapping, creating whole under a temporary name, and words
// that another process may change at any time.
//
// Pointers into a mapping are derived from its first byte only (unsafe.Add), so that the pointer checks of -race hold.

// mapping is a file in memory. The zero value is no mapping. Safe for concurrent use but for close.
type mapping struct {
	mem  []byte
	base unsafe.Pointer
	file *os.File
}

// mapFile maps the first size bytes of f, which the mapping owns from here on, even on failure. Pages are mapped
// before it returns, so that no later access faults.
func mapFile(f *os.File, size int, writable bool) (*mapping, error) {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, prot, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("ringbuf: %s: mapping of %d bytes: %w", f.Name(), size, err)
	}
	return &mapping{mem: mem, base: unsafe.Pointer(unsafe.SliceData(mem)), file: f}, nil
}

// heapMapping is the same layout on the Go heap, where the race detector sees it.
func heapMapping(size int) *mapping {
	words := make([]uint64, (size+7)/8+cacheLineWords)
	base := unsafe.Pointer(unsafe.SliceData(words))
	for uintptr(base)%(8*cacheLineWords) != 0 {
		base = unsafe.Add(base, 8)
	}
	return &mapping{mem: unsafe.Slice((*byte)(base), size), base: base}
}

const cacheLineWords = 8

// close unmaps. Nobody may touch the mapping during the call or after it.
func (m *mapping) close() error {
	if m == nil || m.file == nil {
		return nil
	}
	err := unix.Munmap(m.mem)
	m.mem, m.base = nil, nil
	return errors.Join(err, m.file.Close())
}

func (m *mapping) at(off uintptr) unsafe.Pointer { return unsafe.Add(m.base, off) }
func (m *mapping) word(off uintptr) *uint64      { return (*uint64)(unsafe.Add(m.base, off)) }
func (m *mapping) half(off uintptr) *uint32      { return (*uint32)(unsafe.Add(m.base, off)) }
func (m *mapping) load64(off uintptr) uint64     { return atomic.LoadUint64(m.word(off)) }
func (m *mapping) store64(off uintptr, v uint64) { atomic.StoreUint64(m.word(off), v) }
func (m *mapping) load32(off uintptr) uint32     { return atomic.LoadUint32(m.half(off)) }
func (m *mapping) store32(off uintptr, v uint32) { atomic.StoreUint32(m.half(off), v) }

// loadWords copies n words out of shared memory, each by one atomic load, in ascending order.
func loadWords(dst, shared unsafe.Pointer, n int) {
	for i := range n {
		*(*uint64)(unsafe.Add(dst, i*8)) = atomic.LoadUint64((*uint64)(unsafe.Add(shared, i*8)))
	}
}

// storeWords copies n words into shared memory, each by one atomic store, in ascending order.
func storeWords(shared, src unsafe.Pointer, n int) {
	for i := range n {
		atomic.StoreUint64((*uint64)(unsafe.Add(shared, i*8)), *(*uint64)(unsafe.Add(src, i*8)))
	}
}

// fileMode is who may do what with a file in shared memory.
type fileMode struct {
	mode os.FileMode // 0: 0640
	gid  int         // −1: the process's own
}

// newFileMode looks the group up, by name or number; an empty one leaves the process's own.
func newFileMode(mode os.FileMode, group string) (fileMode, error) {
	if mode == 0 {
		mode = 0o640
	}
	if mode.Perm() != mode || mode&0o133 != 0 || mode&0o600 != 0o600 {
		return fileMode{}, fmt.Errorf("ringbuf: file mode %#o: the owner must read and write, others may at most read; 0640 is usual", mode)
	}
	if group == "" {
		return fileMode{mode, -1}, nil
	}
	if gid, err := strconv.Atoi(group); err == nil && gid >= 0 {
		return fileMode{mode, gid}, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return fileMode{}, fmt.Errorf("ringbuf: group of shared memory files: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fileMode{}, fmt.Errorf("ringbuf: group %q has the id %q: %w", group, g.Gid, err)
	}
	return fileMode{mode, gid}, nil
}

// apply sets group, then mode, whatever the umask.
func (m fileMode) apply(f *os.File) error {
	if m.gid >= 0 {
		if err := f.Chown(-1, m.gid); err != nil {
			return fmt.Errorf("ringbuf: %s: group %d: %w; the process must be a member of it", f.Name(), m.gid, err)
		}
	}
	if err := f.Chmod(m.mode); err != nil {
		return fmt.Errorf("ringbuf: %s: mode %#o: %w", f.Name(), m.mode, err)
	}
	return nil
}

// makeDir makes a directory of shared memory files that whoever may read the files may enter.
func (m fileMode) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	perm := m.mode | (m.mode&0o444)>>2 // r brings x
	if err := os.MkdirAll(dir, perm); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("ringbuf: directory of rings: %w: the folder that it is to be in must be this user's own; ring_dir names another", err)
	} else if err != nil {
		return fmt.Errorf("ringbuf: directory of rings: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("ringbuf: directory of rings: %w", err)
	}
	defer d.Close()
	return fileMode{perm, m.gid}.apply(d)
}

// createFile makes a file of size bytes under a temporary name, has init fill it in, and only then gives it its name,
// in place of one that had it: a name that exists is complete. The caller holds the lock of the name (lockName), so
// that a temporary file found is a dead process's and is removed.
//
// All of it is allocated first: a file system that is full says so here (*NoSpaceError) and not by SIGBUS later.
func createFile(path string, size int, m fileMode, init func(*mapping) error) (made *mapping, err error) {
	if err := m.makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ringbuf: left from a dead producer: %w", err)
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	defer func() {
		if err != nil {
			_ = made.close()
			made = nil
			_ = os.Remove(tmp)
		}
	}()
	if err := allocate(f, path, size); err != nil {
		_ = f.Close()
		return nil, err
	}
	if made, err = mapFile(f, size, true); err != nil {
		return nil, err
	}
	if err := init(made); err != nil {
		return made, err
	}
	if err := m.apply(f); err != nil {
		return made, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return made, fmt.Errorf("ringbuf: %w", err)
	}
	return made, nil
}

// allocate reserves all blocks of f.
func allocate(f *os.File, path string, size int) error {
	var st unix.Statfs_t
	var free uint64
	if err := unix.Fstatfs(int(f.Fd()), &st); err == nil {
		free = st.Bavail * uint64(st.Bsize)
		if st.Blocks > 0 && free < uint64(size) { // a tmpfs without a limit has no blocks
			return &NoSpaceError{Path: path, Need: uint64(size), Free: free}
		}
	}
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, int64(size)); err {
		case nil:
			return nil
		case unix.EINTR: // a signal of the runtime: go on
		case unix.ENOSPC, unix.ENOMEM, unix.EDQUOT:
			return &NoSpaceError{Path: path, Need: uint64(size), Free: free}
		default:
			return fmt.Errorf("ringbuf: %s: %d bytes cannot be reserved: %w; use a ring_dir on tmpfs or hugetlbfs", path, size, err)
		}
	}
}

// lockName makes this process the only producer of path until the file returned is closed or the process ends,
// however it ends. The lock is on a file of its own, which only the owner may open: with the lock on the ring itself
// any reader could keep a producer out.
func lockName(path string, m fileMode) (*os.File, error) {
	if err := m.makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if err != unix.EWOULDBLOCK {
			return nil, fmt.Errorf("ringbuf: lock on %s: %w", f.Name(), err)
		}
		return nil, &BusyError{Path: path, PID: ownerPID(f, path)}
	}
	// For people only. hugetlbfs has no writing; there the ring's own header says who.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	return f, nil
}

// ownerPID is the process that holds the lock, 0 when it has not said yet.
func ownerPID(lock *os.File, path string) int {
	var text [16]byte
	n, _ := lock.ReadAt(text[:], 0)
	if pid, err := strconv.Atoi(string(text[:n])); err == nil {
		return pid
	}
	m, _, err := openRing(path, false)
	if err != nil {
		return 0
	}
	defer m.close()
	return int(m.load32(offPID))
}
