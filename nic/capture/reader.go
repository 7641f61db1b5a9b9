package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

// Record is one packet as it was taken.
type Record struct {
	Number uint64
	TsRecv uint64 // ns since the Unix epoch, 0: none
	Stamp  nic.StampSource
	Line   uint8
	Flow   uint16
	Frame  []byte // Ethernet; valid until the next call of Next
	Wire   int    // bytes that the frame had before it was cut
	Made   bool   // the frame's headers were made from what the source knew: MAC addresses and IP identification are not the wire's
}

// Reader reads a ring, from another process as a rule. It belongs to one goroutine.
type Reader struct {
	mem
	path   string
	pos    uint64
	next   uint64 // number that comes next
	lost   uint64
	laps   uint64
	closed bool
	raw    []byte
	frame  []byte
}

// ErrNotTap says that a file is no ring of a capture.
var ErrNotTap = errors.New("capture: not a tap")

// OpenReader maps a ring, read-only, and begins with its first packet.
func OpenReader(path string) (*Reader, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer f.Close()
	return newReader(f, path)
}

func newReader(f *os.File, path string) (*Reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() < headerBytes+MinBytes || st.Size() > headerBytes+MaxBytes {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrNotTap, path, st.Size())
	}
	m, err := mapRing(f, int(st.Size()), false)
	if err != nil {
		return nil, err
	}
	if string(m.bytes[:8]) != ringMagic || binary.LittleEndian.Uint64(m.bytes[offCapacity:]) != m.capacity || m.capacity&(m.capacity-1) != 0 {
		return nil, errors.Join(fmt.Errorf("%w: %s begins with %q and says %d bytes of %d", ErrNotTap, path, m.bytes[:8],
			binary.LittleEndian.Uint64(m.bytes[offCapacity:]), m.capacity), unix.Munmap(m.bytes))
	}
	r := &Reader{mem: m, path: path, raw: make([]byte, recordHead+MaxSnap)}
	r.next = 1 // from the ring's first packet on: it was made for this capture
	return r, nil
}

// Next copies the next packet out; false when there is none yet. It never waits.
func (r *Reader) Next(rec *Record) bool {
	for {
		head := atomic.LoadUint64(r.word(offHead))
		if head == r.pos {
			return false
		}
		if head-r.pos > r.capacity {
			r.lapped(head)
			continue
		}
		first := load(r.at(r.pos), 0)
		size, n := first&0xFFFFFFFF, first>>32
		pad := n == padMark
		at := r.pos & (r.capacity - 1)
		fits := size >= 8 && size%8 == 0 && at+size <= r.capacity && (pad || n <= MaxSnap && recordHead+n <= size)
		if fits && !pad {
			copyOut(r.raw[:recordHead+n], r.at(r.pos))
		}
		if atomic.LoadUint64(r.word(offReserve))-r.pos > r.capacity || !fits {
			r.lapped(atomic.LoadUint64(r.word(offHead)))
			continue
		}
		r.pos += size
		if pad {
			continue
		}
		r.decode(rec, r.raw[:recordHead+n])
		r.lost += uint64(max(0, int64(rec.Number-r.next)))
		r.next = rec.Number + 1
		return true
	}
}

// lapped goes to a place about half a ring behind the head. What was missed shows in the next record's number.
func (r *Reader) lapped(head uint64) {
	r.laps++
	best := head
	for i := range uintptr(places) {
		p := atomic.LoadUint64(r.word(offPlaces + i*8))
		// A place may be of a pass that is being written, beyond the head: none.
		if p > r.pos && p <= head && head-p <= r.capacity/2 && p < best {
			best = p
		}
	}
	r.pos = best
}

func (r *Reader) decode(rec *Record, b []byte) {
	le := binary.LittleEndian
	*rec = Record{
		Number: le.Uint64(b[8:]), TsRecv: le.Uint64(b[16:]), Wire: int(le.Uint32(b[24:])), Line: b[28],
		Stamp: min(nic.StampSource(b[29]), nic.StampHardware), Flow: le.Uint16(b[38:]),
	}
	data := b[recordHead:]
	if b[30] == 1 {
		rec.Frame = data
		return
	}
	src, dst := netip.AddrFrom16([16]byte(b[40:56])), netip.AddrFrom16([16]byte(b[56:72]))
	if b[31] == 4 {
		src, dst = src.Unmap(), dst.Unmap()
	}
	r.frame = appendFrame(r.frame[:0], netip.AddrPortFrom(src, le.Uint16(b[34:])), netip.AddrPortFrom(dst, le.Uint16(b[36:])), le.Uint16(b[32:]), data, rec.Wire)
	rec.Wire += len(r.frame) - len(data)
	rec.Frame, rec.Made = r.frame, true
}

// Lost counts packets that were taken and overwritten before they were read.
func (r *Reader) Lost() uint64 { return r.lost }

// Finish adds to Lost what was taken and is not going to be read any more.
func (r *Reader) Finish() uint64 {
	if n := atomic.LoadUint64(r.word(offNumber)); n >= r.next {
		r.lost += n + 1 - r.next
		r.next = n + 1
	}
	return r.lost
}

// Closed says that the lane's process has ended the capture: what Next still gives is the rest.
func (r *Reader) Closed() bool { return atomic.LoadUint32(r.half(offState)) == stateClosed }

// Snap is the most bytes that are kept of a packet.
func (r *Reader) Snap() int { return int(*r.half(offSnap)) }

// Close unmaps.
func (r *Reader) Close() error {
	if r.bytes == nil {
		return nil
	}
	err := unix.Munmap(r.bytes)
	r.bytes, r.base = nil, unsafe.Pointer(nil)
	return err
}
