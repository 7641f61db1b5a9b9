package ringbuf

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options of a new ring. The zero value but for Kind works.
type Options struct {
	// Kind says what the ring holds. It has no default.
	Kind Kind
	// Slots is the capacity: a power of two, at least 1,024. A ring should be several times what may pass while a
	// reader is stopped (collector, preemption: 10–100 µs; snapshot join: a second) and costs SlotBytes each. The
	// default is the kind's: 1<<20 for mbo, which is 64 MiB and 0.2 s at 5 million records/s.
	Slots uint64
	// TestSlots replaces Slots in tests of readers and writers: any power of two from 4. Default none.
	TestSlots uint64
	// Dataset is the DBN dataset, such as XNAS.ITCH, at most 16 bytes. Default none.
	Dataset string
	// Publisher is the DBN publisher id. The default, 0, says mixed.
	Publisher uint16
	// Channel is the venue's channel or the lane's number. Default 0.
	Channel uint16
	// Mode of the file: the owner reads and writes, others may at most read. The default is 0640.
	Mode os.FileMode
	// Group that owns the file, by name or number. The default is the process's.
	Group string
	// HugePages puts slots on a 2 MiB boundary and asks the kernel for huge pages. Where it has none to give the ring works the
	// same, at more TLB misses: Writer.HugePages says which. On hugetlbfs it is always so. Default off.
	HugePages bool
	// Private marks a ring whose producer may wait for its reader (Writer.Gate): never one of a live feed. Default off.
	Private bool

	firstNumber uint64 // tests: number of the first record, a multiple of the capacity; 0: the capacity
}

// header checks o and makes the identity of a ring with these options; all faults at once.
func (o Options) header(path string) (Header, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !o.Kind.Valid() {
		fault("ringbuf: %s: %s is no kind of ring", path, o.Kind)
	}
	slots, least := o.Slots, uint64(minSlots)
	if slots == 0 {
		slots = o.Kind.DefaultSlots()
	}
	if o.TestSlots != 0 {
		slots, least = o.TestSlots, minTestSlots
	}
	if o.Kind.Valid() && (bits.OnesCount64(slots) != 1 || slots < least || slots > maxSlots) {
		fault("ringbuf: %s: %d slots: %w: want a power of two from %d to %d", path, slots, ErrCapacity, least, uint64(maxSlots))
	}
	name := ringName(path)
	if len(name) >= nameBytes {
		fault("ringbuf: %s: name %q has %d bytes, a ring's has at most %d: shorten the feed's or the lane's", path, name, len(name), nameBytes-1)
	}
	if len(o.Dataset) > datasetBytes {
		fault("ringbuf: %s: dataset %q has %d bytes, at most %d fit", path, o.Dataset, len(o.Dataset), datasetBytes)
	}
	h := Header{
		ABIMajor: abiMajor, ABIMinor: abiMinor, Kind: o.Kind, SlotBytes: o.Kind.SlotBytes(), Slots: slots, SlotsOffset: headerBytes,
		Schema: o.Kind.Schema(), Publisher: o.Publisher, Channel: o.Channel, Created: time.Now(), Name: name, Dataset: o.Dataset, Gated: o.Private,
	}
	_, _ = rand.Read(h.UUID[:]) // never fails: it ends the process instead
	h.UUID[6], h.UUID[8] = h.UUID[6]&0x0f|0x40, h.UUID[8]&0x3f|0x80
	return h, errors.Join(faults...)
}

// Create makes the ring path, or takes over the one a former producer left there: with the same geometry and identity
// that file goes on in a new epoch and its readers stay; otherwise a new file takes the name and readers are told
// (StateReplaced). Slots are filled in, and so touched, by the calling thread: call it from the lane's NUMA node.
//
// Errors: *BusyError when another producer owns the ring, *NoSpaceError when it does not fit, ErrMagic when the
// path holds something else (which is left alone), and plain ones for options, permissions and groups.
func Create(path string, o Options) (*Writer, error) {
	h, err := o.header(path)
	if err != nil {
		return nil, err
	}
	mode, err := newFileMode(o.Mode, o.Group)
	if err != nil {
		return nil, err
	}
	lock, err := lockName(path, mode)
	if err != nil {
		return nil, err
	}
	w, err := createLocked(path, o, h, mode)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	w.lock = lock
	if !o.Private { // where it cannot be made, readers are not seen, and say so (Reader.Reported): no reason not to publish
		_, _ = readersDirOf(path)
	}
	return w, nil
}

func createLocked(path string, o Options, h Header, mode fileMode) (*Writer, error) {
	old, oldHeader, err := openRing(path, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createFresh(path, o, h, mode)
	case err == nil:
		h.SlotsOffset, h.FileBytes = placeSlots(old.file, h, o.HugePages)
		if sameRing(oldHeader, h) {
			if err := mode.apply(old.file); err != nil {
				return nil, errors.Join(err, old.close())
			}
			if w, ok := restart(path, old, oldHeader); ok {
				return w, nil
			}
		}
		w, err := createFresh(path, o, h, mode)
		if err == nil { // only now: a reader that sees the state finds the new file
			old.store32(offState, uint32(StateReplaced))
			ringDoorbell(old)
		}
		return w, errors.Join(err, old.close())
	case errors.Is(err, ErrMagic), errors.Is(err, ErrShort):
		return nil, fmt.Errorf("%w: another file has the name, remove it or choose another ring_dir", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: another user's ring, remove it or run as that user", err)
	default: // a ring of another version or a damaged one: its readers notice that the name has moved
		return createFresh(path, o, h, mode)
	}
}

// placeSlots says where slots begin and how long the file is, by the file system and the wish for huge pages.
func placeSlots(f *os.File, h Header, huge bool) (slotsOffset, fileBytes uint64) {
	slotsOffset, unit := uint64(headerBytes), uint64(1)
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err == nil && st.Type == unix.HUGETLBFS_MAGIC {
		slotsOffset, unit = hugeBytes, uint64(st.Bsize)
	} else if huge {
		slotsOffset, unit = hugeBytes, hugeBytes
	}
	fileBytes = slotsOffset + h.Slots*uint64(h.SlotBytes)
	return slotsOffset, (fileBytes + unit - 1) / unit * unit
}

// createFresh makes a new file whose slots look as if the lap before the first record had been published: who joins
// early waits, and zeros are never taken for a record.
func createFresh(path string, o Options, h Header, mode fileMode) (*Writer, error) {
	if err := mode.makeDir(dirOf(path)); err != nil {
		return nil, err
	}
	dir, err := os.Open(dirOf(path))
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	h.SlotsOffset, h.FileBytes = placeSlots(dir, h, o.HugePages)
	_ = dir.Close()
	first := h.Slots
	if o.firstNumber != 0 {
		first = o.firstNumber
	}
	huge := false
	m, err := createFile(path, int(h.FileBytes), mode, func(m *mapping) error {
		initRing(m, h, first)
		huge = h.SlotsOffset == hugeBytes && collapse(m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newWriter(path, m, h, first, huge), nil
}

// initRing fills in all of a new ring, running its first epoch.
func initRing(m *mapping, h Header, first uint64) {
	writeHeader(m, h)
	slots := m.at(uintptr(h.SlotsOffset))
	for i := range h.Slots {
		*(*uint64)(unsafe.Add(slots, uintptr(i)*uintptr(h.SlotBytes))) = first - h.Slots + i
	}
	m.store64(offNextFirst, first)
	m.store64(offEpochIntent, 1)
	publishSession(m, first, 0, 1)
}

// collapse asks the kernel to put the mapping, already filled, on huge pages, and says whether it did.
func collapse(m *mapping) bool {
	const madvCollapse = 25 // since Linux 6.1
	_ = unix.Madvise(m.mem, unix.MADV_HUGEPAGE)
	return unix.Madvise(m.mem, madvCollapse) == nil
}
