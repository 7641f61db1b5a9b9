package fix

import (
	"sync/atomic"
	"time"
)

// order keeps messages that came early away from the library until their turn. The library asks once for what is missing, and then wants all of the
// answer before it looks at what came meanwhile; a loss within the answer it never notices. So it is shown one early message, which makes it ask;
// the others are held here, and given as soon as their number is due, whatever filled the hole before them.
//
//	came     7  8  11 12 13 9' 10' 11' …        ' a copy, with PossDupFlag
//	shown    7  8  11       9' 10'       12 13  and 11 is taken from the library's own shelf behind 10'
//	held              12 13
//
// What it believes the library to await is expect: it runs ahead of what the library has done so far. One goroutine.
type order struct {
	next   *atomic.Uint64 // what the library awaits; nil: not known, all is shown
	expect uint64
	reset  bool   // numbers began anew on this connection
	open   bool   // the library has been shown an early message, and waits
	early  uint64 // that message's number
	behind uint64 // the number behind it, 0: the library does not keep it
	held   map[uint64]heldMessage
	lowest uint64 // no number below it is held that is not over; 0: not known
	bytes  int
	most   int

	missing atomic.Uint64 // last number of the hole that is awaited, 0: not known; watchers read it
}

type heldMessage struct {
	frame []byte
	recv  time.Time
}

type verdict uint8

const (
	show verdict = iota
	hold
	drop
)

// see decides about a message.
func (o *order) see(e *envelope) verdict {
	if o.next == nil {
		return show
	}
	if !o.reset { // after a reset the library's number is the old one until it has seen to it
		o.expect = max(o.expect, o.next.Load(), 1)
	}
	defer o.note()
	after := e.seq + 1
	if e.msgType == "4" && e.gapFill {
		after = max(e.newSeq, o.expect)
	}
	switch {
	case e.msgType == "A" && e.reset:
		clear(o.held)
		o.bytes, o.open, o.reset = 0, false, true
		o.expect = e.seq + 1
		return show
	case e.msgType == "4" && !e.gapFill: // its own number means nothing
		o.expect = max(o.expect, e.newSeq)
		o.settle()
		return show
	case e.msgType == "4" && e.possDup && e.seq > o.expect && e.newSeq <= o.expect:
		// A peer that is asked for more than it ever sent answers with a fill that leads backwards: taken as a gap, it would be asked again for ever.
		return drop
	case e.seq < o.expect:
		return show // the library knows a copy from a fault
	case e.seq == o.expect:
		o.expect = after
		o.settle()
		return show
	case e.msgType == "2", e.msgType == "5":
		return show // answered at once, whatever is missing
	case !o.open:
		o.open, o.early, o.behind = true, e.seq, after
		if e.msgType == "A" {
			o.behind = 0
		}
		return show
	case e.seq == o.early || o.held[e.seq].frame != nil:
		return drop // a copy of what is here already
	}
	return hold
}

// settle is told that expect has moved.
func (o *order) settle() {
	if !o.open || o.expect < o.early {
		return
	}
	if o.expect == o.early {
		o.expect = max(o.expect, o.behind)
	}
	o.open = false
}

// keep holds a message; false: there are too many.
func (o *order) keep(seq uint64, frame []byte, recv time.Time) bool {
	if o.bytes+len(frame)+keptOverhead > o.most {
		return false
	}
	if o.held == nil {
		o.held = map[uint64]heldMessage{}
	}
	o.held[seq] = heldMessage{append([]byte(nil), frame...), recv}
	o.bytes += len(frame) + keptOverhead
	if o.lowest <= o.expect || seq < o.lowest {
		o.lowest = seq // of those that came since the hole: numbers go up
	}
	o.note()
	return true
}

// due gives a held message that is to be shown now, if there is one: see comes next.
func (o *order) due() (m heldMessage, ok bool) {
	if len(o.held) == 0 {
		return m, false
	}
	at := o.expect
	if _, ok := o.held[at]; !ok {
		if o.open {
			return m, false
		}
		if at, ok = o.least(); !ok {
			return m, false
		}
	}
	m = o.held[at]
	o.remove(at)
	return m, true
}

// least is the smallest number that is held; those that are over are dropped.
func (o *order) least() (least uint64, ok bool) {
	for seq := range o.held {
		if seq < o.expect {
			o.remove(seq)
		} else if !ok || seq < least {
			least, ok = seq, true
		}
	}
	return least, ok
}

func (o *order) remove(seq uint64) {
	o.bytes -= len(o.held[seq].frame) + keptOverhead
	delete(o.held, seq)
}

// note keeps where the hole ends, as far as is known: before the early message, or before the least that is held.
func (o *order) note() {
	end := uint64(0)
	if o.open && o.early > o.expect {
		end = o.early - 1
	}
	if o.lowest > o.expect && (end == 0 || o.lowest-1 < end) {
		end = o.lowest - 1
	}
	o.missing.Store(end)
}
