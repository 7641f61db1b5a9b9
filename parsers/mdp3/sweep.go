package mdp3

import (
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// What makes a row for each of many instruments, more than a batch may have room for. It goes on in the calls that follow, before the next message.
const (
	sweepClear  uint8 = 1 << 0 // a channel reset: the books of all instruments are void
	sweepStatus uint8 = 1 << 1 // the state of a group or product
	sweepClose  uint8 = 1 << 2 // the end of an event that spanned packets
)

// sweep is what is still to be done, one kind after the other.
type sweep struct {
	kinds  uint8
	next   int // slot, or place in heldBack, that comes next in the kind under way
	status tick.Status
	group  uint64
	asset  uint64
	found  bool // the group has an instrument
}

// drain makes the rows that are still to be made, and says whether that was all. Hot path when there is nothing to do.
func (d *Decoder) drain(out *tick.Batch) bool {
	for d.todo.kinds != 0 {
		kind := d.todo.kinds & -d.todo.kinds
		if !d.sweep(kind, out) {
			return false
		}
		d.todo.kinds &^= kind
		d.todo.next = 0
		if !d.open {
			d.event++ // its rows are the last of their event
		}
	}
	return true
}

// sweep goes on with one kind, and says whether it came to its end.
func (d *Decoder) sweep(kind uint8, out *tick.Batch) bool {
	end := len(d.of.slots)
	if kind == sweepClose {
		end = len(d.heldBack)
	}
	for ; d.todo.next < end; d.todo.next++ {
		if out.N >= tick.MaxRows-1 || sidesFull(&out.Sides) {
			return false
		}
		switch kind {
		case sweepClear:
			if s := &d.of.slots[d.todo.next]; s.flags&seen != 0 {
				d.clear(out, s, BookBoth)
			}
		case sweepStatus:
			s, a := &d.of.slots[d.todo.next], &d.of.about[d.todo.next]
			if s.flags&defined != 0 && a.group == d.todo.group && (d.todo.asset == 0 || a.asset == d.todo.asset) {
				d.todo.found = true
				d.statusRow(out, s, &d.todo.status)
			}
		case sweepClose:
			s := &d.of.slots[d.heldBack[d.todo.next]]
			if which := s.flags / held & 3; which != 0 {
				i := d.row(out, s, tick.KindExt)
				out.Sub[i], out.Flags[i] = [4]byte{1: BookOrders, 2: BookLevels, 3: BookBoth}[which], d.flagsOf(which)
			}
			s.flags &^= 3*held | listed
		}
	}
	switch {
	case kind == sweepClose:
		d.heldBack = d.heldBack[:0]
	case kind == sweepStatus && !d.todo.found:
		d.Counters.GroupUnknown++
		d.statusRow(out, &instrument{}, &d.todo.status)
	}
	return true
}

// channelReset decodes template 4: all books of the channel are void, entries are numbered from 1 again (sheet section 11). Definitions stay.
func (d *Decoder) channelReset(m Message, out *tick.Batch) error {
	block, _, ok := root(m, 9)
	if !ok {
		return errBlock
	}
	d.Counters.Resets++
	e := (*wire.ChannelReset4)(block)
	d.begin(e.TransactTime(), out)
	for i := range d.of.slots {
		s := &d.of.slots[i]
		s.rpt, s.top, s.flags = 1, 0, s.flags&^jumped
	}
	d.todo.kinds |= sweepClear
	d.end(e.MatchEventIndicator())
	return nil
}
