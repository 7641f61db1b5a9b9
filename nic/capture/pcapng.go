package capture

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/nic"
)

// pcapng (draft-ietf-opsawg-pcapng), what of it is written here, little-endian:
//
//	section header         os, application
//	interface description  one for each lane, line, source of stamps and kind of frame: name, which those are, unit 10^-9 s
//	enhanced packets       in the order they were read
//	interface statistics   at the end of the file: packets of each interface; packets missed by all of them, at the first
//
// An interface is described when its first packet comes.
const (
	ngSection  = 0x0A0D0D0A
	ngIface    = 1
	ngStats    = 5
	ngEnhanced = 6

	optEnd     = 0
	optComment = 1
)

type ifaceKey struct {
	input int
	line  uint8
	stamp nic.StampSource
	made  bool
}

type ifaceCount struct {
	id    uint32
	count uint64
}

// ngWriter writes one file.
type ngWriter struct {
	w       io.Writer
	inputs  []*Input
	snap    int
	started uint64 // ns
	ifaces  map[ifaceKey]*ifaceCount
	order   []*ifaceCount
	last    ifaceKey
	lastTo  *ifaceCount
	b       []byte
	packets uint64
}

func newNGWriter(w io.Writer, inputs []*Input, snap int, now uint64) (*ngWriter, error) {
	n := &ngWriter{w: w, inputs: inputs, snap: snap, started: now, ifaces: map[ifaceKey]*ifaceCount{}}
	n.begin(ngSection)
	n.b = binary.LittleEndian.AppendUint32(n.b, 0x1A2B3C4D)
	n.b = binary.LittleEndian.AppendUint16(n.b, 1)
	n.b = binary.LittleEndian.AppendUint16(n.b, 0)
	n.b = binary.LittleEndian.AppendUint64(n.b, 1<<64-1) // length of the section: not known
	n.option(3, []byte("Linux"))
	n.option(4, []byte("tickwire capture "+buildinfo.Version))
	return n, n.end(true)
}

func (n *ngWriter) begin(kind uint32) {
	n.b = binary.LittleEndian.AppendUint32(n.b[:0], kind)
	n.b = append(n.b, 0, 0, 0, 0)
}

func (n *ngWriter) option(code uint16, value []byte) {
	n.b = binary.LittleEndian.AppendUint16(n.b, code)
	n.b = binary.LittleEndian.AppendUint16(n.b, uint16(len(value)))
	n.b = append(n.b, value...)
	n.pad()
}

func (n *ngWriter) pad() {
	for len(n.b)%4 != 0 {
		n.b = append(n.b, 0)
	}
}

// end completes a block and writes it.
func (n *ngWriter) end(options bool) error {
	if options {
		n.b = append(n.b, optEnd, 0, 0, 0)
	}
	total := uint32(len(n.b) + 4)
	n.b = binary.LittleEndian.AppendUint32(n.b, total)
	binary.LittleEndian.PutUint32(n.b[4:], total)
	_, err := n.w.Write(n.b)
	return err
}

// iface finds or describes the interface of a packet.
func (n *ngWriter) iface(k ifaceKey) (*ifaceCount, error) {
	if n.lastTo != nil && n.last == k {
		return n.lastTo, nil
	}
	i, ok := n.ifaces[k]
	if !ok {
		i = &ifaceCount{id: uint32(len(n.order))}
		n.ifaces[k] = i
		n.order = append(n.order, i)
		if err := n.describe(k); err != nil {
			return nil, err
		}
	}
	n.last, n.lastTo = k, i
	return i, nil
}

func (n *ngWriter) describe(k ifaceKey) error {
	in := n.inputs[k.input]
	line := string(rune('A' + k.line))
	name := line
	if k.line < 2 && in.Interfaces[k.line] != "" {
		name = in.Interfaces[k.line]
	}
	what := fmt.Sprintf("line %s, stamps: %s", line, stampText(k.stamp))
	if in.Lane != "" {
		what = fmt.Sprintf("lane %s, %s", in.Lane, what)
	}
	n.begin(ngIface)
	n.b = binary.LittleEndian.AppendUint16(n.b, uint16(nic.LinkEthernet))
	n.b = append(n.b, 0, 0)
	n.b = binary.LittleEndian.AppendUint32(n.b, uint32(n.snap))
	n.option(2, []byte(name))
	n.option(3, []byte(what))
	n.option(9, []byte{9})
	if k.made {
		n.option(optComment, []byte("headers are made from what a socket tells: MAC addresses, TTL and IP identification are not the wire's"))
	}
	return n.end(true)
}

func stampText(s nic.StampSource) string {
	switch s {
	case nic.StampHardware:
		return "hardware (the NIC's clock)"
	case nic.StampKernel:
		return "kernel (when the driver handed the packet over)"
	case nic.StampLoop:
		return "loop (when the lane polled)"
	case nic.StampFile:
		return "file (of the capture that was replayed)"
	}
	return "none (when the packet was written here)"
}

// packet writes a record.
func (n *ngWriter) packet(input int, r *Record) error {
	i, err := n.iface(ifaceKey{input, r.Line, r.Stamp, r.Made})
	if err != nil {
		return err
	}
	i.count++
	n.packets++
	le := binary.LittleEndian
	frame := r.Frame[:min(len(r.Frame), n.snap)]
	n.begin(ngEnhanced)
	n.b = le.AppendUint32(n.b, i.id)
	n.b = le.AppendUint32(n.b, uint32(r.TsRecv>>32))
	n.b = le.AppendUint32(n.b, uint32(r.TsRecv))
	n.b = le.AppendUint32(n.b, uint32(len(frame)))
	n.b = le.AppendUint32(n.b, uint32(max(r.Wire, len(frame))))
	n.b = append(n.b, frame...)
	n.pad()
	return n.end(false)
}

// finish writes the statistics: drops are packets that this file lacks.
func (n *ngWriter) finish(now, drops uint64) error {
	if len(n.order) == 0 { // a file without packets still says how many it lacks
		if _, err := n.iface(ifaceKey{}); err != nil {
			return err
		}
	}
	for _, i := range n.order {
		n.begin(ngStats)
		le := binary.LittleEndian
		n.b = le.AppendUint32(n.b, i.id)
		n.b = le.AppendUint32(n.b, uint32(now>>32))
		n.b = le.AppendUint32(n.b, uint32(now))
		n.option(2, le.AppendUint64(nil, n.started>>32|n.started<<32)) // a stamp is its high half, then its low one
		n.option(3, le.AppendUint64(nil, now>>32|now<<32))
		received, dropped := i.count, uint64(0)
		if i.id == 0 {
			received, dropped = i.count+drops, drops
		}
		n.option(4, le.AppendUint64(nil, received))
		n.option(5, le.AppendUint64(nil, dropped))
		n.option(8, le.AppendUint64(nil, i.count))
		if i.id == 0 && drops > 0 {
			n.option(optComment, fmt.Appendf(nil, "%d packets of all lines came faster than they could be written and are not in this file", drops))
		}
		if err := n.end(true); err != nil {
			return err
		}
	}
	return nil
}
