package ringbuf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A progress file says how far one reader is. Rings are mapped read-only, so nobody sees who reads them; a reader that
// wants to be seen writes a file of its own: <ring_dir>/<instance>/readers/<ring>.<pid>.<n>.progress, one line.
//
//	0    char[8]   magic TWPROG01
//	8    u16, u16  version: 1, 0
//	12   u32       pid, in the reader's own pid namespace
//	16   char[32]  the reader's name, NUL padded
//	48   u64       next: number of the record it reads next
//	56   u64       lost: records it missed since it opened the ring
//	64   u64       epoch that next belongs to
//	72   u64       heartbeat, CLOCK_MONOTONIC ns
//	80   u8[16]    UUID of the ring file
//	96   u8[32]    zero
//
// Whose it is says the kernel: the owner of the file. Whether its reader lives says the kernel too: a reader holds a lock
// (flock) on its file until it ends, however it ends. The words are stored by the reader and copied out, never mapped, by
// whoever looks: a file that its owner cuts short must not hurt others.
//
// Nothing depends on these files; no producer opens one.
const (
	progressMagic = "TWPROG01"
	progressBytes = 128
	progressNames = 32

	progName  = 16
	progNext  = 48
	progLost  = 56
	progEpoch = 64
	progBeat  = 72
	progUUID  = 80

	progressExt     = ".progress"
	readersDir      = "readers"
	maxProgressFile = 4096     // files of a folder that are looked at
	progressEvery   = 1 << 12  // records between two stores of a reader that is never idle
	progressBeatNs  = 50000000 // at least so far apart are two heartbeats of an idle reader
)

// progress is the reader's side.
type progress struct {
	path string
	m    *mapping // the file, whose lock lives as long as it is open
	next uint64   // as stored last
	beat uint64
}

// readersDirOf makes the folder of progress files beside a ring. Whoever may enter the instance's folder may leave a file there and
// take away only its own (sticky).
func readersDirOf(ring string) (string, error) {
	parent := filepath.Dir(ring)
	dir := filepath.Join(parent, readersDir)
	if st, err := os.Lstat(dir); err == nil {
		if !st.IsDir() {
			return "", fmt.Errorf("ringbuf: %s is no folder", dir)
		}
		return dir, nil
	}
	st, err := os.Stat(parent)
	if err != nil {
		return "", fmt.Errorf("ringbuf: folder of readers: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) { // another one was faster
			return dir, nil
		}
		return "", fmt.Errorf("ringbuf: folder of readers: %w", err)
	}
	if gid, ok := gidOf(st); ok {
		_ = os.Chown(dir, -1, gid) // who is no member of that group leaves the folder to its own
	}
	mode := os.ModeSticky | 0o770
	if st.Mode()&0o001 != 0 {
		mode |= 0o007
	}
	if err := os.Chmod(dir, mode); err != nil {
		return "", fmt.Errorf("ringbuf: folder of readers: %w", err)
	}
	return dir, nil
}

// openProgress makes the file of a reader that is named name. Files of readers that are gone are removed on the way.
func openProgress(r *Reader, name string) (_ *progress, err error) {
	dir, err := readersDirOf(r.path)
	if err != nil {
		return nil, err
	}
	sweepProgress(dir)
	f, err := newProgressFile(dir, ringName(r.path))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			_ = f.Close()
		}
	}()
	// Locked first, then filled: a file without its line is one that is being made.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("ringbuf: lock on %s: %w", f.Name(), err)
	}
	if err := f.Chmod(0o644); err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	var line [progressBytes]byte
	le := binary.LittleEndian
	copy(line[:], progressMagic)
	le.PutUint16(line[8:], 1)
	le.PutUint32(line[12:], uint32(os.Getpid()))
	copy(line[progName:progName+progressNames-1], name)
	le.PutUint64(line[progNext:], r.next)
	le.PutUint64(line[progEpoch:], r.epoch)
	le.PutUint64(line[progBeat:], MonotonicNow())
	copy(line[progUUID:], r.header.UUID[:])
	// Written, not stretched: a full file system says so here and not by a signal later.
	if _, err := f.WriteAt(line[:], 0); err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	path := f.Name()
	mem, err := unix.Mmap(int(f.Fd()), 0, progressBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %s: %w", path, err)
	}
	return &progress{path: path, m: &mapping{mem: mem, base: unsafe.Pointer(unsafe.SliceData(mem)), file: f}, next: r.next}, nil
}

// newProgressFile finds a name that is free.
func newProgressFile(dir, ring string) (*os.File, error) {
	for n := range maxProgressFile {
		path := filepath.Join(dir, ring+"."+strconv.Itoa(os.Getpid())+"."+strconv.Itoa(n)+progressExt)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			if err != nil {
				err = fmt.Errorf("ringbuf: %w", err)
			}
			return f, err
		}
	}
	return nil, fmt.Errorf("ringbuf: %s: this process has %d readers of %s there already", dir, maxProgressFile, ring)
}

// tell stores where the reader is. Some plain stores; the clock is asked only when beat is set.
func (p *progress) tell(r *Reader, beat bool) {
	p.next = r.next
	p.m.store64(progNext, r.next)
	p.m.store64(progLost, r.lost)
	p.m.store64(progEpoch, r.epoch)
	if beat {
		if now := MonotonicNow(); now-p.beat >= progressBeatNs {
			p.beat = now
			p.m.store64(progBeat, now)
		}
	}
}

func (p *progress) close() error {
	if p == nil {
		return nil
	}
	err := os.Remove(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.m.close())
}

// Report is one reader's progress file, as copied out. All but UID is the reader's own word.
type Report struct {
	Path  string
	Ring  string // <feed>.<lane>.<kind>
	UID   uint32 // owner of the file: the kernel's word
	PID   int    // in the reader's pid namespace
	Name  string
	Next  uint64
	Lost  uint64
	Epoch uint64
	UUID  [16]byte
	Beat  uint64 // CLOCK_MONOTONIC, ns
}

// errDeadReader says that nobody holds the lock of a progress file.
var errDeadReader = errors.New("ringbuf: its reader is gone")

// readProgress copies a progress file out.
func readProgress(path string) (Report, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return Report{}, fmt.Errorf("ringbuf: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("ringbuf: %w", err)
	}
	var line [progressBytes]byte
	if !st.Mode().IsRegular() {
		return Report{}, fmt.Errorf("ringbuf: %s is no file", path)
	}
	if n, err := f.ReadAt(line[:], 0); n < len(line) {
		return Report{}, fmt.Errorf("ringbuf: %s has %d bytes, want %d: %w", path, n, len(line), err)
	}
	p, err := parseProgress(&line)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %s", err, path)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return Report{}, fmt.Errorf("%w: %s", errDeadReader, path)
	}
	p.Path = path
	p.Ring, _ = ringOfProgress(filepath.Base(path))
	p.UID, _ = uidOf(st)
	return p, nil
}

// parseProgress reads the line of a progress file: another one's words, to be shown and not to be trusted.
func parseProgress(line *[progressBytes]byte) (Report, error) {
	le := binary.LittleEndian
	if magic, major := string(line[:8]), le.Uint16(line[8:]); magic != progressMagic || major != 1 {
		return Report{}, fmt.Errorf("ringbuf: a progress file begins with %q version %d, want %q version 1", magic, major, progressMagic)
	}
	return Report{
		PID: int(le.Uint32(line[12:])), Name: printable(cstring(line[progName : progName+progressNames])),
		Next: le.Uint64(line[progNext:]), Lost: le.Uint64(line[progLost:]), Epoch: le.Uint64(line[progEpoch:]),
		UUID: [16]byte(line[progUUID : progUUID+16]), Beat: le.Uint64(line[progBeat:]),
	}, nil
}

// ringOfProgress takes <ring>.<pid>.<n>.progress apart.
func ringOfProgress(name string) (ring string, ok bool) {
	rest, ok := strings.CutSuffix(name, progressExt)
	if !ok || strings.HasPrefix(name, ".") {
		return "", false
	}
	for range 2 {
		dot := strings.LastIndexByte(rest, '.')
		if dot <= 0 {
			return "", false
		}
		if _, err := strconv.ParseUint(rest[dot+1:], 10, 32); err != nil {
			return "", false
		}
		rest = rest[:dot]
	}
	return rest, true
}

// printable makes another one's text fit for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F || r == 0xFFFD {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// sweepProgress reads the folder's files and removes those of readers that are gone, where we may.
func sweepProgress(dir string) (reports []Report) {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxProgressFile) // what was read before an error counts
	for _, name := range names {
		if _, ok := ringOfProgress(name); !ok {
			continue
		}
		p, err := readProgress(filepath.Join(dir, name))
		switch {
		case err == nil:
			reports = append(reports, p)
		case errors.Is(err, errDeadReader):
			_ = os.Remove(filepath.Join(dir, name)) // another user's stays: its next reader removes it
		}
	}
	return reports
}

// Reports lists the readers of an instance's rings that say how far they are, and removes the files of those that are
// gone, where it may. Not for the hot path.
func Reports(ringDir, instance string) []Report {
	return sweepProgress(filepath.Join(ringDir, instance, readersDir))
}

// Reported says why a reader that was to be seen (ReaderOptions.Report) is not, nil when it is or was not to be.
func (r *Reader) Reported() error { return r.unreported }

// told brings the progress file up to date when there is something new to say: after many records, or when idle.
func (r *Reader) told(beat bool) {
	if p := r.progress; p != nil && (beat || p.next != r.next) {
		p.tell(r, beat)
	}
}
