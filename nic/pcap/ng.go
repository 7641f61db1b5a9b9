package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/tickwire/tickwire/nic"
)

// pcapng is blocks, each
//
//	type u32, total length u32, body padded to 4, total length u32 again
//
// A section header (0a0d0d0a) says the byte order and begins a new list of interfaces; an interface description (1) says
// link type, snap length and the unit of time; packets are enhanced (6), simple (3, without a time) and the old kind (2).
// Blocks of other types are stepped over by their length.
const (
	blockSection  = 0x0A0D0D0A
	blockIface    = 1
	blockOld      = 2
	blockSimple   = 3
	blockEnhanced = 6

	byteOrderMagic = 0x1A2B3C4D
	maxBlock       = 16 << 20
	maxIfaces      = 4096
)

// iface is one interface description.
type iface struct {
	link    nic.LinkType
	snapLen uint32
	perSec  uint64 // units of a stamp in a second
	offset  int64  // seconds to add
}

func (r *Reader) nextBlock() (data []byte, ts uint64, link nic.LinkType, err error) {
	fail := func(err error) ([]byte, uint64, nic.LinkType, error) { return nil, 0, 0, r.fault(err) }
	head, err := r.src.Peek(12)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, 0, 0, io.EOF
	}
	if err != nil {
		return fail(fmt.Errorf("block header is cut off after %d bytes: %w", len(head), cut(err)))
	}
	if binary.BigEndian.Uint32(head) == blockSection {
		switch {
		case binary.BigEndian.Uint32(head[8:]) == byteOrderMagic:
			r.order = binary.BigEndian
		case binary.LittleEndian.Uint32(head[8:]) == byteOrderMagic:
			r.order = binary.LittleEndian
		default:
			return fail(fmt.Errorf("%w: a section without a byte order", ErrBlock))
		}
		r.ifaces = r.ifaces[:0]
	}
	if r.order == nil {
		return fail(fmt.Errorf("%w: the file does not begin with a section", ErrBlock))
	}
	kind, total := r.order.Uint32(head), r.order.Uint32(head[4:])
	if total < 12 || total%4 != 0 || total > maxBlock {
		return fail(fmt.Errorf("%w: length %d", ErrBlock, total))
	}
	at := r.offset
	if err := r.skip(8); err != nil {
		return fail(err)
	}
	mark := len(r.arena)
	body, err := r.take(int(total) - 8)
	if err != nil {
		return nil, 0, 0, err
	}
	if again := r.order.Uint32(body[len(body)-4:]); again != total {
		r.offset = at
		return fail(fmt.Errorf("%w: its two lengths are %d and %d", ErrBlock, total, again))
	}
	body = body[:len(body)-4]
	switch kind {
	case blockIface:
		err = r.addIface(body)
	case blockEnhanced:
		return r.enhanced(body)
	case blockOld:
		return r.old(body)
	case blockSimple:
		return r.simple(body)
	}
	r.arena = r.arena[:mark]
	if err != nil {
		r.offset = at
		return fail(err)
	}
	return nil, 0, 0, nil
}

func (r *Reader) addIface(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%w: an interface of %d bytes", ErrBlock, len(b))
	}
	if len(r.ifaces) == maxIfaces {
		return fmt.Errorf("%w: more than %d interfaces", ErrBlock, maxIfaces)
	}
	f := iface{link: nic.LinkType(r.order.Uint16(b)), snapLen: r.order.Uint32(b[4:]), perSec: 1_000_000}
	for b = b[8:]; len(b) >= 4; {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		padded := (n + 3) &^ 3
		if code == 0 || len(b) < 4+padded {
			break
		}
		v := b[4 : 4+n]
		switch {
		case code == 9 && n == 1: // if_tsresol
			if f.perSec = resolution(v[0]); f.perSec == 0 {
				return fmt.Errorf("%w: a time unit of 2^-%d s", ErrBlock, v[0]&0x7F)
			}
		case code == 14 && n == 8: // if_tsoffset
			f.offset = int64(r.order.Uint64(v))
		}
		b = b[4+padded:]
	}
	r.ifaces = append(r.ifaces, f)
	return nil
}

// resolution is the number of units in a second, 0 when it does not fit: a power of ten, or of two with the high bit.
func resolution(code byte) uint64 {
	n := code & 0x7F
	if code&0x80 != 0 {
		if n > 63 {
			return 0
		}
		return 1 << n
	}
	if n > 19 {
		return 0
	}
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}

// stamp turns units into ns since the Unix epoch, exactly where ns can hold it.
func (f *iface) stamp(units uint64) uint64 {
	sec, rest := units/f.perSec, units%f.perSec
	hi, lo := bits.Mul64(rest, 1_000_000_000)
	ns, _ := bits.Div64(hi, lo, f.perSec)
	return uint64(int64(sec)+f.offset)*1_000_000_000 + ns
}

// packet is what the packet blocks have in common; data has captured bytes at least.
func (r *Reader) packet(id, captured, wire uint32, units uint64, data []byte) ([]byte, uint64, nic.LinkType, error) {
	if int(id) >= len(r.ifaces) {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: interface %d of %d", ErrBlock, id, len(r.ifaces)))
	}
	if int64(captured) > int64(len(data)) {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: %d bytes in a block of %d", ErrLength, captured, len(data)))
	}
	f := &r.ifaces[id]
	if !f.link.Known() {
		r.frame++
		r.counters.Frames++
		r.counters.NotUDP++
		return nil, 0, 0, nil
	}
	ts := uint64(0)
	if units != 0 {
		ts = f.stamp(units)
	}
	return r.whole(data[:captured], captured, wire), ts, f.link, nil
}

func (r *Reader) enhanced(b []byte) ([]byte, uint64, nic.LinkType, error) {
	if len(b) < 20 {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: a packet of %d bytes", ErrBlock, len(b)))
	}
	o := r.order
	units := uint64(o.Uint32(b[4:]))<<32 | uint64(o.Uint32(b[8:]))
	return r.packet(o.Uint32(b), o.Uint32(b[12:]), o.Uint32(b[16:]), units, b[20:])
}

func (r *Reader) old(b []byte) ([]byte, uint64, nic.LinkType, error) {
	if len(b) < 20 {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: a packet of %d bytes", ErrBlock, len(b)))
	}
	o := r.order
	units := uint64(o.Uint32(b[4:]))<<32 | uint64(o.Uint32(b[8:]))
	return r.packet(uint32(o.Uint16(b)), o.Uint32(b[12:]), o.Uint32(b[16:]), units, b[20:])
}

func (r *Reader) simple(b []byte) ([]byte, uint64, nic.LinkType, error) {
	if len(b) < 4 || len(r.ifaces) == 0 {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: a simple packet of %d bytes, %d interfaces", ErrBlock, len(b), len(r.ifaces)))
	}
	wire := r.order.Uint32(b)
	captured := wire
	if limit := r.ifaces[0].snapLen; limit != 0 {
		captured = min(captured, limit)
	}
	return r.packet(0, min(captured, uint32(len(b)-4)), wire, 0, b[4:])
}
