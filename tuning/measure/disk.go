package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DiskOptions of Disk.
type DiskOptions struct {
	// Dir is the folder that is measured. It must exist, and hold twice Bytes more.
	Dir string
	// Bytes that are written and read in a row: whole MiB, at most 16 GiB. The default is 256 MiB. Less than the memory of a
	// disk's controller measures that.
	Bytes int
	// Syncs is how many times 4 KiB are written and fdatasync is called. The default is 300.
	Syncs int
	// Limit bounds each of the three parts: on a slow disk there is less of it, and Missing says so. The default is 30 s.
	Limit time.Duration
}

// DiskResult of Disk.
type DiskResult struct {
	Where
	Dir         string   `json:"dir"`
	Filesystem  string   `json:"filesystem"`
	InMemory    bool     `json:"in_memory"` // no disk at all: tmpfs and the like
	Direct      bool     `json:"direct"`    // past the page cache (O_DIRECT); else reading may be from memory
	Bytes       int      `json:"bytes"`
	WriteMBPerS float64  `json:"write_mb_per_s"` // 10⁶ bytes a second, with the fdatasync at the end
	ReadMBPerS  float64  `json:"read_mb_per_s"`
	WriteMiBUs  Times    `json:"write_mib_us"` // each MiB in a row
	SyncUs      Times    `json:"sync_us"`      // 4 KiB at the end of the file, and fdatasync
	Missing     []string `json:"missing,omitempty"`
}

// Times of calls, in the unit of the field that holds them.
type Times struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func timesOf(values []float64) Times {
	slices.Sort(values)
	t := Times{Count: len(values), P50: quantile(values, 0.5), P99: quantile(values, 0.99)}
	if len(values) > 0 {
		t.Max = values[len(values)-1]
	}
	return t
}

const (
	mib          = 1 << 20
	mostDisk     = 16 << 30
	syncBytes    = 4096
	abandonAfter = 80 * time.Millisecond
)

// Disk measures writing, reading and syncing in a folder. Its file has no name, so nothing is left whatever happens. When the
// context ends while the kernel does not answer, Disk returns all the same; the call that hangs goes on until it ends, and then
// takes the file with it.
func Disk(ctx context.Context, o DiskOptions) (*DiskResult, error) {
	if o.Bytes <= 0 {
		o.Bytes = 256 * mib
	}
	if o.Bytes = max(mib, o.Bytes&^(mib-1)); o.Bytes > mostDisk {
		return nil, fmt.Errorf("measure: disk: %d bytes, want %d at most", o.Bytes, mostDisk)
	}
	if o.Syncs <= 0 {
		o.Syncs = 300
	}
	if o.Limit <= 0 {
		o.Limit = 30 * time.Second
	}
	if o.Dir == "" {
		return nil, errors.New("measure: disk: which folder?")
	}
	end, err := begin(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer end()
	type outcome struct {
		r   *DiskResult
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := disk(ctx, o)
		done <- outcome{r, err}
	}()
	var got outcome
	select {
	case got = <-done:
	case <-ctx.Done():
		select {
		case got = <-done:
		case <-time.After(abandonAfter):
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	} else if got.err != nil {
		return nil, fmt.Errorf("measure: disk: %w", got.err)
	}
	return got.r, nil
}

func disk(ctx context.Context, o DiskOptions) (*DiskResult, error) {
	r := &DiskResult{Where: where(), Dir: o.Dir, Bytes: o.Bytes}
	var fs unix.Statfs_t
	if err := unix.Statfs(o.Dir, &fs); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Dir, err)
	}
	if free := uint64(fs.Bavail) * uint64(fs.Bsize); free < 2*uint64(o.Bytes) {
		return nil, fmt.Errorf("%s has %d MiB left, and %d are to be written: twice as much must be free", o.Dir, free/mib, o.Bytes/mib)
	}
	r.Filesystem, r.InMemory = filesystem(int64(fs.Type))
	fd, direct, err := nameless(o.Dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if r.Direct = direct; !direct {
		r.Missing = append(r.Missing, "past the page cache: the filesystem has no O_DIRECT, so reading may be from memory")
	}
	if r.InMemory {
		r.Missing = append(r.Missing, r.Filesystem+" is memory: its figures are no disk's")
	}
	buf, err := unix.Mmap(-1, 0, mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned, as O_DIRECT wants it
	if err != nil {
		return nil, err
	}
	defer unix.Munmap(buf)
	noise(buf) // disks and filesystems compress, and know zeros

	written, began := 0, time.Now()
	var each []float64
	for ; written < o.Bytes && ctx.Err() == nil && time.Since(began) < o.Limit; written += mib {
		buf[0]++ // no two alike
		at := time.Now()
		if err := writeAll(fd, buf, int64(written)); err != nil {
			return nil, err
		}
		each = append(each, micros(time.Since(at)))
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := unix.Fdatasync(fd); err != nil {
		return nil, fmt.Errorf("fdatasync: %w", err)
	}
	r.WriteMBPerS, r.WriteMiBUs = float64(written)/micros(time.Since(began)), timesOf(each)
	if written < o.Bytes {
		r.Missing = append(r.Missing, fmt.Sprintf("writing: %d of %d MiB in %v", written/mib, o.Bytes/mib, o.Limit))
	}

	var syncs []float64
	began = time.Now()
	for i := 0; i < o.Syncs && ctx.Err() == nil && time.Since(began) < o.Limit; i++ {
		buf[0]++
		at := time.Now()
		if err := writeAll(fd, buf[:syncBytes], int64(written+i*syncBytes)); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(fd); err != nil {
			return nil, fmt.Errorf("fdatasync: %w", err)
		}
		syncs = append(syncs, micros(time.Since(at)))
	}
	if r.SyncUs = timesOf(syncs); len(syncs) < o.Syncs {
		r.Missing = append(r.Missing, fmt.Sprintf("syncing: %d of %d times in %v", len(syncs), o.Syncs, o.Limit))
	}

	if !direct {
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	}
	read := 0
	for began = time.Now(); read < written && ctx.Err() == nil && time.Since(began) < o.Limit; {
		n, err := unix.Pread(fd, buf, int64(read))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return nil, fmt.Errorf("reading at %d: %d bytes, %v", read, n, err)
		}
		read += n
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.ReadMBPerS = float64(read) / micros(time.Since(began))
	if read < written {
		r.Missing = append(r.Missing, fmt.Sprintf("reading: %d of %d MiB in %v", read/mib, written/mib, o.Limit))
	}
	return r, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// nameless opens a file without a name in dir, past the page cache where that works.
func nameless(dir string) (fd int, direct bool, err error) {
	for _, direct := range []bool{true, false} {
		flags := unix.O_RDWR | unix.O_CLOEXEC
		if direct {
			flags |= unix.O_DIRECT
		}
		fd, err = unix.Open(dir, flags|unix.O_TMPFILE, 0o600)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // NFS, overlays of old kernels
			fd, err = unlinked(dir, flags)
		}
		if err == nil {
			return fd, direct, nil
		} else if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return 0, false, fmt.Errorf("a file in %s: %w", dir, err)
}

// unlinked is a file whose name is gone as soon as it is open.
func unlinked(dir string, flags int) (int, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s/.measure-%d-%d", dir, unix.Getpid(), n)
		fd, err := unix.Open(name, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
		if errors.Is(err, unix.EEXIST) { // another's: it stays
			if n < 100 {
				continue
			}
			return 0, err
		}
		if gone := unix.Unlink(name); err == nil && gone != nil {
			unix.Close(fd)
			return 0, gone
		}
		return fd, err // an open that is refused for O_DIRECT leaves its file: its name is gone too
	}
}

func writeAll(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("writing at %d: %w", at, err)
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// noise fills b with what cannot be compressed (xorshift64).
func noise(b []byte) {
	x := uint64(88172645463325252)
	for i := range unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8) {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		*(*uint64)(unsafe.Pointer(&b[i*8])) = x
	}
}

// filesystem names the usual ones.
func filesystem(magic int64) (name string, memory bool) {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", false
	case unix.XFS_SUPER_MAGIC:
		return "xfs", false
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", false
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", false
	case unix.NFS_SUPER_MAGIC:
		return "nfs", false
	case unix.TMPFS_MAGIC:
		return "tmpfs", true
	case unix.RAMFS_MAGIC:
		return "ramfs", true
	case unix.HUGETLBFS_MAGIC:
		return "hugetlbfs", true
	case 0x2fc12fc1: // not the kernel's own: no constant
		return "zfs", false
	}
	return fmt.Sprintf("0x%x", uint64(magic)), false
}
