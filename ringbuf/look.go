package ringbuf

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Info is what a ring's header page says at one moment: for monitors, that look at many rings and read none.
type Info struct {
	Header
	Path     string
	State    State
	Epoch    uint64
	First    uint64 // number of the epoch's first record
	PID      int    // of the producer
	Cursor   uint64 // newest number known to monitors, First-1 before the first record
	CursorTs uint64 // ts_recv of that record, ns since the Unix epoch
	Beat     time.Duration
	Alive    bool // running, of this boot, with a heartbeat younger than a second
	Counters Counters
	dev, ino uint64
}

// Records is how many records this epoch has.
func (i *Info) Records() uint64 { return i.Cursor + 1 - i.First }

// LagOf is how far behind the newest record a reader is that reads next, 0 when the place is of another epoch.
func (i *Info) LagOf(next uint64) uint64 { return uint64(max(0, int64(i.Cursor+1-next))) }

// lookAlive is generous: a monitor that shares the producer's core must not call it dead.
const lookAlive = time.Second

// Look reads the header of a ring without mapping its slots. Errors are those of Open. Some tens of microseconds.
func Look(path string) (Info, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return Info{}, fmt.Errorf("ringbuf: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return Info{}, fmt.Errorf("ringbuf: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() < headerBytes {
		_ = f.Close()
		return Info{}, fmt.Errorf("ringbuf: %s: %w: %s of %d bytes; not opened", path, ErrShort, st.Mode().Type(), st.Size())
	}
	size := headerBytes
	var fsys unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fsys); err == nil && fsys.Type == unix.HUGETLBFS_MAGIC {
		size = int(fsys.Bsize) // nothing smaller can be mapped there
	}
	m, err := mapFile(f, size, false)
	if err != nil {
		return Info{}, err
	}
	defer m.close()
	h, err := readHeader(path, m, uint64(st.Size()))
	if err != nil {
		return Info{}, err
	}
	s, err := awaitSession(path, m)
	if err != nil {
		return Info{}, err
	}
	i := Info{
		Header: h, Path: path, State: s.State, Epoch: s.Epoch, First: s.First, PID: s.PID,
		Cursor: m.load64(offCursor), CursorTs: m.load64(offCursorTs),
	}
	i.dev, i.ino = inodeOf(st)
	i.Beat = time.Duration(max(0, int64(MonotonicNow()-m.load64(offHeartbeat))))
	i.Alive = s.State.Alive() && s.BootID == bootID() && i.Beat < lookAlive
	if int64(i.Cursor+1-i.First) < 0 { // the page is of the moment of a restart
		i.Cursor = i.First - 1
	}
	loadWords(unsafe.Pointer(&i.Counters), m.at(offCounters), int(unsafe.Sizeof(i.Counters)/8))
	return i, nil
}
