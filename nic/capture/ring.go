package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

// The ring of bytes, written by one lane and read by anybody:
//
//	byte 0            256        384           512                        4096            4096+C
//	+-----------------+----------+-------------+------------------- … ----+------- … -----+
//	| identity        | head     | state       | places, 16 u64           | records       |
//	| magic, C, snap  | reserve  |             |                          |               |
//	+-----------------+----------+-------------+------------------- … ----+------- … -----+
//	  once, before      lane, a    housekeeping   lane, each C/16 bytes
//	  the rename        pass
//
// Positions count bytes since the beginning and never wrap; a position lies at 4096 + position mod C. A record is
//
//	0   u32     bytes of the record, a multiple of 8
//	4   u32     bytes of what follows the head, cut to the snap length; 0xFFFFFFFF: nothing up to the ring's end
//	8   u64     number of the packet: 1 and up, without a hole
//	16  u64     time of arrival, ns since the Unix epoch
//	24  u32     bytes that were not cut: of the frame, or of the payload
//	28  u8      line: 0 A, 1 B
//	29  u8      source of the stamp (nic.StampSource)
//	30  u8      1: a whole frame follows; 0: a UDP payload
//	31  u8      address family of the following: 4 or 6, 0 none
//	32  u16[3]  VLAN, source port, destination port
//	38  u16     flow
//	40  u8[32]  source and destination address
//	72          bytes
//
// Protocol. The lane overwrites what is old; a reader notices:
//
//	lane                                     reader at position p
//	1. reserve ← end of what it writes       1. h ← head            p = h: nothing · h − p > C: lapped
//	2. records                               2. copy
//	3. head ← reserve                        3. reserve − p > C: lapped while copying, the copy is void
//
// It is one pair of stores a pass of the lane, not a packet. On a lap the reader goes on at a place, a position where a
// record begins, some half a ring behind the head; what it missed is the difference of the numbers.
const (
	ringMagic   = "TWTAP001"
	headerBytes = 4096
	recordHead  = 72
	padMark     = 0xFFFFFFFF
	places      = 16

	offMagic    = 0
	offCapacity = 8   // u64
	offSnap     = 16  // u32
	offPID      = 20  // u32
	offName     = 32  // char[96]: <feed>.<lane>
	offHead     = 256 // u64
	offReserve  = 264 // u64
	offNumber   = 272 // u64: packets taken so far
	offState    = 384 // u32
	offPlaces   = 512

	stateOpen   = 1
	stateClosed = 2

	// MinBytes and MaxBytes bound a ring. The least holds some hundred of the largest frames.
	MinBytes = 1 << 20
	MaxBytes = 1 << 32
	// DefaultBytes holds 0.1 s of a million packets of 250 bytes a second.
	DefaultBytes = 32 << 20
	// MaxSnap is the most that is kept of a packet.
	MaxSnap = 9216 + 64
)

// mem is the mapping of a ring.
type mem struct {
	bytes    []byte
	base     unsafe.Pointer
	capacity uint64
}

func (m *mem) word(off uintptr) *uint64 { return (*uint64)(unsafe.Add(m.base, off)) }
func (m *mem) half(off uintptr) *uint32 { return (*uint32)(unsafe.Add(m.base, off)) }
func (m *mem) at(pos uint64) unsafe.Pointer {
	return unsafe.Add(m.base, headerBytes+uintptr(pos&(m.capacity-1)))
}

func mapRing(f *os.File, size int, writable bool) (mem, error) {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, prot, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return mem{}, fmt.Errorf("capture: %s: mapping of %d bytes: %w", f.Name(), size, err)
	}
	return mem{bytes: b, base: unsafe.Pointer(unsafe.SliceData(b)), capacity: uint64(size - headerBytes)}, nil
}

// ring is the lane's side.
type ring struct {
	mem
	path    string
	file    *os.File
	head    uint64
	number  uint64
	nextAt  uint64 // position from which the next place is noted
	snap    uint32
	want    filter
	spread  uint64 // capacity/places
	biggest uint64 // bytes of the largest record
}

// createRing makes the file of a ring, complete before it has its name. All of it is allocated first.
func createRing(path, name string, capacity uint64, snap int, gid int) (*ring, error) {
	if capacity < MinBytes || capacity > MaxBytes || capacity&(capacity-1) != 0 {
		return nil, fmt.Errorf("capture: a buffer of %d bytes: want a power of two from %d to %d", capacity, MinBytes, uint64(MaxBytes))
	}
	if snap <= 0 || snap > MaxSnap {
		snap = MaxSnap
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.Itoa(os.Getpid())+".new")
	_ = os.Remove(tmp) // of a dead process that had our number
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	fail := func(err error) (*ring, error) {
		return nil, errors.Join(err, f.Close(), os.Remove(tmp))
	}
	r, err := initRing(f, name, capacity, snap)
	if err != nil {
		return fail(err)
	}
	if gid >= 0 {
		if err := f.Chown(-1, gid); err != nil {
			return fail(errors.Join(fmt.Errorf("capture: %w", err), r.unmap()))
		}
	}
	if err := errors.Join(f.Chmod(0o640), os.Rename(tmp, path)); err != nil {
		return fail(errors.Join(fmt.Errorf("capture: %w", err), r.unmap()))
	}
	r.path = path
	return r, nil
}

func initRing(f *os.File, name string, capacity uint64, snap int) (*ring, error) {
	size := headerBytes + int(capacity)
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("capture: %d bytes of shared memory: %w (--buffer takes less)", size, err)
		}
		break
	}
	m, err := mapRing(f, size, true)
	if err != nil {
		return nil, err
	}
	copy(m.bytes[offMagic:], ringMagic)
	binary.LittleEndian.PutUint64(m.bytes[offCapacity:], capacity)
	binary.LittleEndian.PutUint32(m.bytes[offSnap:], uint32(snap))
	binary.LittleEndian.PutUint32(m.bytes[offPID:], uint32(os.Getpid()))
	copy(m.bytes[offName:offName+95], name)
	atomic.StoreUint32(m.half(offState), stateOpen)
	r := &ring{mem: m, file: f, snap: uint32(snap), spread: capacity / places, biggest: recordHead + (uint64(snap)+7)&^7}
	return r, nil
}

// put writes packets that are wanted. It never waits. Records of one call are published together.
func (r *ring) put(packets []nic.Packet) (taken uint64) {
	for len(packets) > 0 {
		// At most a quarter of the ring at a time, so that what readers may copy in peace stays more than half.
		n, room := 0, r.capacity/4
		for n < len(packets) && room >= 2*r.biggest {
			room -= r.biggest
			n++
		}
		taken += r.run(packets[:n])
		packets = packets[n:]
	}
	return taken
}

func (r *ring) run(packets []nic.Packet) uint64 {
	end := r.head
	for i := range packets {
		if p := &packets[i]; r.want.match(p) {
			size := r.sizeOf(p)
			end += r.pad(end, size) + size
		}
	}
	if end == r.head {
		return 0
	}
	atomic.StoreUint64(r.word(offReserve), end)
	first := r.number
	for i := range packets {
		if p := &packets[i]; r.want.match(p) {
			r.record(p)
		}
	}
	atomic.StoreUint64(r.word(offNumber), r.number)
	atomic.StoreUint64(r.word(offHead), r.head)
	return r.number - first
}

// pad is how many bytes are left to the ring's end when a record of size does not fit there.
func (r *ring) pad(at, size uint64) uint64 {
	if left := r.capacity - at&(r.capacity-1); left < size {
		return left
	}
	return 0
}

func (r *ring) sizeOf(p *nic.Packet) uint64 {
	n := len(p.Wire)
	if n == 0 {
		n = len(p.Data)
	}
	return recordHead + (uint64(min(n, int(r.snap)))+7)&^7
}

// record writes one packet at the head.
func (r *ring) record(p *nic.Packet) {
	size := r.sizeOf(p)
	if left := r.pad(r.head, size); left > 0 {
		store(r.at(r.head), 0, uint64(padMark)<<32|left)
		r.head += left
	}
	if r.head >= r.nextAt { // before the records of this place are visible, and so never ahead of the head for long
		atomic.StoreUint64(r.word(offPlaces+uintptr(r.head/r.spread%places)*8), r.head)
		r.nextAt = (r.head/r.spread + 1) * r.spread
	}
	from, wire := p.Wire, uint64(1)
	if len(from) == 0 {
		from, wire = p.Data, 0
	}
	whole := uint64(len(from))
	from = from[:min(len(from), int(r.snap))]
	family := uint64(0)
	src, dst := p.Src.Addr().As16(), p.Group.Addr().As16()
	if wire == 0 {
		family = 6
		if p.Group.Addr().Unmap().Is4() {
			family = 4
		}
	}
	r.number++
	at := r.at(r.head)
	store(at, 0, uint64(len(from))<<32|size)
	store(at, 8, r.number)
	store(at, 16, p.TsRecv)
	store(at, 24, family<<56|wire<<48|uint64(p.Stamp)<<40|uint64(p.Line)<<32|whole)
	store(at, 32, uint64(p.Flow)<<48|uint64(p.Group.Port())<<32|uint64(p.Src.Port())<<16|uint64(p.VLAN))
	le := binary.LittleEndian
	store(at, 40, le.Uint64(src[:]))
	store(at, 48, le.Uint64(src[8:]))
	store(at, 56, le.Uint64(dst[:]))
	store(at, 64, le.Uint64(dst[8:]))
	copyIn(unsafe.Add(at, recordHead), from)
	r.head += size
}

func (r *ring) unmap() error {
	if r.bytes == nil {
		return nil
	}
	err := unix.Munmap(r.bytes)
	r.bytes, r.base = nil, nil
	return err
}

// close says that no more comes, and removes the name. Readers keep what they mapped.
func (r *ring) close() error {
	atomic.StoreUint32(r.half(offState), stateClosed)
	err := errors.Join(r.unmap(), r.file.Close())
	if r.path != "" {
		err = errors.Join(err, os.Remove(r.path))
	}
	return err
}
