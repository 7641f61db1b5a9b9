package ringbuf

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header is what a ring says of itself; it never changes during the ring's life.
type Header struct {
	ABIMajor, ABIMinor uint16
	Kind               Kind
	SlotBytes          int
	Slots              uint64
	SlotsOffset        uint64 // bytes
	FileBytes          uint64
	Schema             uint16 // DBN schema id or SchemaMixed
	Publisher          uint16 // 0: mixed
	Channel            uint16
	Created            time.Time
	UUID               [16]byte // new for each file
	Name               string   // <feed>.<lane>.<kind>
	Dataset            string   // such as XNAS.ITCH
	Gated              bool     // the producer waits for one reader: a private ring
}

// Session is what changes when a producer starts or stops.
type Session struct {
	Epoch      uint64 // starts of a producer on this file, from 1
	First      uint64 // first record number of the epoch
	Unused     uint64 // numbers that restarts skipped so far: they are no records and no loss
	StartMono  uint64 // ns, CLOCK_MONOTONIC
	RealOffset uint64 // ns, realtime − monotonic at the start
	PID        int
	State      State
	BootID     [16]byte
}

// readHeader checks the conditions that make a file a ring, one error value each; fileBytes is the file's size.
func readHeader(path string, m *mapping, fileBytes uint64) (Header, error) {
	var h Header
	refuse := func(why error, format string, args ...any) (Header, error) {
		return Header{}, fmt.Errorf("ringbuf: %s: %w: %s; not opened", path, why, fmt.Sprintf(format, args...))
	}
	u16 := func(off uintptr) uint16 { return *(*uint16)(m.at(off)) }
	u32 := func(off uintptr) uint32 { return *(*uint32)(m.at(off)) }
	u64 := func(off uintptr) uint64 { return *(*uint64)(m.at(off)) }
	text := func(off, n uintptr) string {
		return strings.TrimRight(string(unsafe.Slice((*byte)(m.at(off)), n)), "\x00")
	}
	if fileBytes < headerBytes || len(m.mem) < headerBytes {
		return refuse(ErrShort, "%d bytes, a header has %d", fileBytes, headerBytes)
	}
	if magic := text(offMagic, 8); magic != ringMagic {
		return refuse(ErrMagic, "it begins with %q, want %q", magic, ringMagic)
	}
	if o := u32(offByteOrder); o != byteOrder {
		return refuse(ErrByteOrder, "word at 16 is %#x, want %#x", o, byteOrder)
	}
	h.ABIMajor, h.ABIMinor = u16(offMajor), u16(offMinor)
	if h.ABIMajor != abiMajor {
		return refuse(ErrVersion, "%d.%d, this program knows %d", h.ABIMajor, h.ABIMinor, abiMajor)
	}
	if n := u32(offHeaderBytes); n < headerBytes || uint64(n) > fileBytes {
		return refuse(ErrHeaderSize, "%d bytes, want at least %d", n, headerBytes)
	}
	h.Kind = Kind(*(*uint8)(m.at(offKind)))
	h.SlotBytes = int(u32(offSlotBytes))
	if !h.Kind.Valid() || h.SlotBytes != h.Kind.SlotBytes() {
		return refuse(ErrSlotSize, "%d bytes in a ring of kind %s", h.SlotBytes, h.Kind)
	}
	h.Slots = u64(offSlots)
	if bits.OnesCount64(h.Slots) != 1 || h.Slots < minTestSlots || h.Slots > maxSlots {
		return refuse(ErrCapacity, "%d slots", h.Slots)
	}
	h.SlotsOffset = u64(offSlotsOffset)
	if h.SlotsOffset < headerBytes || h.SlotsOffset > hugeBytes || h.SlotsOffset%headerBytes != 0 {
		return refuse(ErrOffset, "%d", h.SlotsOffset)
	}
	h.FileBytes = u64(offFileBytes)
	if need := h.SlotsOffset + h.Slots*uint64(h.SlotBytes); h.FileBytes < need || fileBytes < h.FileBytes {
		return refuse(ErrFileSize, "%d bytes on disk, %d declared, %d needed", fileBytes, h.FileBytes, need)
	}
	if v := *(*uint8)(m.at(offDBNVersion)); v != dbnVersion {
		return refuse(ErrDBNVersion, "%d, want %d", v, dbnVersion)
	}
	h.Schema, h.Publisher, h.Channel = u16(offSchema), u16(offPublisher), u16(offChannel)
	h.Created = time.Unix(0, int64(u64(offCreated)))
	h.UUID = *(*[16]byte)(m.at(offUUID))
	h.Name, h.Dataset = text(offName, nameBytes), text(offDataset, datasetBytes)
	h.Gated = u32(offRingFlags)&flagGated != 0
	return h, nil
}

// writeHeader fills in the identity of a new ring. Nobody else sees the file yet.
func writeHeader(m *mapping, h Header) {
	*(*[8]byte)(m.at(offMagic)) = [8]byte([]byte(ringMagic))
	*(*uint16)(m.at(offMajor)), *(*uint16)(m.at(offMinor)) = h.ABIMajor, h.ABIMinor
	*(*uint32)(m.at(offHeaderBytes)) = headerBytes
	*(*uint32)(m.at(offByteOrder)) = byteOrder
	*(*uint32)(m.at(offSlotBytes)) = uint32(h.SlotBytes)
	*(*uint64)(m.at(offSlots)) = h.Slots
	*(*uint64)(m.at(offSlotsOffset)) = h.SlotsOffset
	*(*uint64)(m.at(offFileBytes)) = h.FileBytes
	*(*uint16)(m.at(offSchema)) = h.Schema
	*(*uint8)(m.at(offDBNVersion)), *(*uint8)(m.at(offKind)) = dbnVersion, uint8(h.Kind)
	*(*uint16)(m.at(offPublisher)), *(*uint16)(m.at(offChannel)) = h.Publisher, h.Channel
	*(*uint64)(m.at(offCreated)) = uint64(h.Created.UnixNano())
	*(*[16]byte)(m.at(offUUID)) = h.UUID
	copy(unsafe.Slice((*byte)(m.at(offName)), nameBytes-1), h.Name)
	copy(unsafe.Slice((*byte)(m.at(offDataset)), datasetBytes), h.Dataset)
	if h.Gated {
		*(*uint32)(m.at(offRingFlags)) = flagGated
	}
}

// sameRing says that a producer with header b may go on in a file with header a.
func sameRing(a, b Header) bool {
	a.UUID, a.Created, a.ABIMinor = b.UUID, b.Created, b.ABIMinor
	return a == b
}

// readSession reads the session's fields; not ok while a producer is changing them.
func readSession(m *mapping) (s Session, ok bool) {
	s.Epoch = m.load64(offEpoch)
	s.First, s.Unused = m.load64(offFirst), m.load64(offUnused)
	s.StartMono, s.RealOffset = m.load64(offStartMono), m.load64(offRealOffset)
	pidState := m.load64(offPID)
	s.PID, s.State = int(uint32(pidState)), State(pidState>>32)
	loadWords(unsafe.Pointer(&s.BootID), m.at(offBootID), 2)
	return s, m.load64(offEpochIntent) == s.Epoch && s.Epoch != 0
}

// awaitSession is readSession with some patience: a tenth of a second.
func awaitSession(path string, m *mapping) (Session, error) {
	for range 100 {
		if s, ok := readSession(m); ok {
			return s, nil
		}
		time.Sleep(time.Millisecond)
	}
	return Session{}, fmt.Errorf("ringbuf: %s: %w; start it (again), then open the ring", path, ErrRestarting)
}

// ringName is what a ring's header says as its name: the file's without extension.
func ringName(path string) string { return strings.TrimSuffix(filepath.Base(path), ringExt) }

// openRing opens and checks a ring file. The header page is looked at before all of the file is mapped.
func openRing(path string, writable bool) (*mapping, Header, error) {
	flags := os.O_RDONLY | unix.O_NONBLOCK // a pipe of that name must not block us
	if writable {
		flags = os.O_RDWR | unix.O_NONBLOCK
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, Header{}, fmt.Errorf("ringbuf: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, Header{}, fmt.Errorf("ringbuf: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() < headerBytes {
		_ = f.Close()
		return nil, Header{}, fmt.Errorf("ringbuf: %s: %w: %s of %d bytes; not opened", path, ErrShort, st.Mode().Type(), st.Size())
	}
	m, err := mapFile(f, int(st.Size()), writable)
	if err != nil {
		return nil, Header{}, err
	}
	h, err := readHeader(path, m, uint64(st.Size()))
	if err != nil {
		_ = m.close()
		return nil, Header{}, err
	}
	return m, h, nil
}
