package ringbuf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// The snapshot file, `.snap`: all resting orders of a lane and the mbo slot number that they hold at. Whoever joins late
// or was lapped reads it, seeks the mbo ring to that number plus one, and has a book.
//
//	header page, then at 1024 and 1152 the two buffers' control lines, then the buffers, capacity × 56 bytes each
//
//	control line: 0 u64 version: 0 never written, odd being written, even stable
//	              8 u64 number of the last mbo slot that is in the snapshot    16 u64 records    24 u64 time, ns
//	              32 u64 epoch of the ring                                       40 u64 resting orders
//	header 392:   u64 buffer (0 or 1) that was completed last
//
// Records are DBN MBO: for each instrument R, then one A a resting order in queue priority, all with
// F_SNAPSHOT | F_BAD_TS_RECV, the last one also with F_LAST; an empty book is R alone. ts_event and ts_recv are those of
// the slot that the snapshot holds at. Slot number 0 with no record: nothing has been published yet.
const (
	snapMagic   = "TWSNAP01"
	snapControl = 1024
	snapLine    = 128
	snapActive  = 392
	snapRecord  = 56
)

// ErrSnapSmall says that a snapshot has more records than its file: make a larger one.
var ErrSnapSmall = errors.New("ringbuf: snapshot file is too small")

// ErrNoSnapshot says that none has been written yet, or that the writer is at it each time one looks.
var ErrNoSnapshot = errors.New("ringbuf: no snapshot to be had yet")

// SnapWriter writes snapshots, in turn into one of two buffers. One goroutine, off the lane.
type SnapWriter struct {
	f        *sideFile
	capacity uint64
	next     int
	after    uint64 // version that the buffer will have
	count    uint64
}

// CreateSnap makes a snapshot file for capacity records a buffer.
func CreateSnap(path string, capacity uint64, o SideOptions) (*SnapWriter, error) {
	f, err := createSide(path, snapMagic, snapRecord, capacity, int(capacity)*snapRecord, o)
	if err != nil {
		return nil, err
	}
	return &SnapWriter{f: f, capacity: capacity}, nil
}

// Capacity is the number of records a buffer holds.
func (w *SnapWriter) Capacity() uint64 { return w.capacity }

func (w *SnapWriter) control(buffer int, at uintptr) *uint64 {
	return w.f.m.word(snapControl + uintptr(buffer)*snapLine + at)
}

// Begin starts a snapshot in the buffer that readers use less.
func (w *SnapWriter) Begin() {
	w.after = seqlockBegin(w.control(w.next, 0))
	w.count = 0
}

// Put adds a record.
func (w *SnapWriter) Put(rec *tick.Mbo) error {
	if w.count == w.capacity {
		return ErrSnapSmall
	}
	at := (uintptr(w.next)*uintptr(w.capacity) + uintptr(w.count)) * snapRecord
	storePayload(unsafe.Add(w.f.entries(), at), unsafe.Pointer(rec), snapRecord/8)
	w.count++
	return nil
}

// End completes the snapshot: it holds at the mbo slot number seq of the ring's epoch, with so many resting orders.
func (w *SnapWriter) End(seq, epoch, ts, orders uint64) {
	atomic.StoreUint64(w.control(w.next, 8), seq)
	atomic.StoreUint64(w.control(w.next, 16), w.count)
	atomic.StoreUint64(w.control(w.next, 24), ts)
	atomic.StoreUint64(w.control(w.next, 32), epoch)
	atomic.StoreUint64(w.control(w.next, 40), orders)
	seqlockEnd(w.control(w.next, 0), w.after)
	atomic.StoreUint64(w.f.m.word(snapActive), uint64(w.next))
	w.next ^= 1
	w.f.beat()
}

// Close says that the writer stopped, and unmaps.
func (w *SnapWriter) Close() error { return w.f.stop() }

// Snapshot is a copy of all resting orders.
type Snapshot struct {
	Seq     uint64 // the last mbo slot that it contains: go on at Seq+1
	Epoch   uint64 // of the mbo ring
	Ts      uint64 // ns since the Unix epoch
	Orders  uint64
	Records []tick.Mbo
}

// SnapReader reads snapshots.
type SnapReader struct{ f *sideFile }

// OpenSnap maps a snapshot file read-only.
func OpenSnap(path string) (*SnapReader, error) {
	f, err := openSide(path, snapMagic, snapRecord)
	if err != nil {
		return nil, err
	}
	if want := sideHeaderBytes + 2*f.capacity()*snapRecord; want > uint64(len(f.m.mem)) {
		f.unmap()
		return nil, fmt.Errorf("ringbuf: %s has %d bytes, two buffers need %d", path, len(f.m.mem), want)
	}
	return &SnapReader{f: f}, nil
}

// Read copies the newest whole snapshot into s, reusing its memory.
func (r *SnapReader) Read(s *Snapshot) error {
	capacity := binary.LittleEndian.Uint64(r.f.m.mem[sideCapacity:])
	for range 16 {
		buffer := uintptr(atomic.LoadUint64(r.f.m.word(snapActive)) & 1)
		line := unsafe.Add(r.f.m.base, snapControl+buffer*snapLine)
		word := func(at uintptr) uint64 { return atomic.LoadUint64((*uint64)(unsafe.Add(line, at))) }
		version := word(0)
		if version == 0 {
			return ErrNoSnapshot
		}
		if version&1 != 0 {
			continue
		}
		s.Seq, s.Ts, s.Epoch, s.Orders = word(8), word(24), word(32), word(40)
		count := word(16)
		if count > capacity {
			continue
		}
		if uint64(cap(s.Records)) < count {
			s.Records = make([]tick.Mbo, count)
		}
		s.Records = s.Records[:count]
		if count > 0 {
			loadWords(unsafe.Pointer(&s.Records[0]), unsafe.Add(r.f.entries(), buffer*uintptr(capacity)*snapRecord), int(count)*snapRecord/8)
		}
		if word(0) == version {
			return nil
		}
	}
	return ErrNoSnapshot
}

// Replaced says that a new file has this name.
func (r *SnapReader) Replaced() bool { return r.f.replaced() }

// Close unmaps.
func (r *SnapReader) Close() error { return r.f.unmap() }
