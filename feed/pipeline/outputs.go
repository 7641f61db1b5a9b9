package pipeline

import (
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Outputs are the rings of a lane. A nil ring is not written, and its records are not made.
type Outputs struct {
	Mbo    *ringbuf.Writer
	Mbp1   *ringbuf.Writer
	Trades *ringbuf.Writer
	Events *ringbuf.Writer
	Ext    *ringbuf.Writer
	Mbp10  *ringbuf.Writer

	Last        *ringbuf.LastWriter        // latest top of book of each instrument
	Instruments *ringbuf.InstWriter        // directory
	Definitions *ringbuf.DefinitionsWriter // full definitions
}

// Payloads of the slots, as words so that records can be cast onto them.
type (
	slot56  [56 / 8]uint64
	slot120 [120 / 8]uint64
)

// Records that one row can become, at most: R, the C of a stale order, and T, F, C of an execution.
const (
	mboPerRow    = 5
	mbp1PerRow   = 3
	tradesPerRow = 1
	eventsPerRow = tick.SideRoom
	extPerRow    = tick.SideRoom + 3
)

// staging holds a pass's records until they go out, one run a ring. It stays in the second-level cache.
type staging struct {
	rows   int // as many rows' records have room
	mbo    []slot56
	mbp1   []ringbuf.Mbp1Slot
	trades []ringbuf.TradeSlot
	events []slot120
	ext    []tick.Ext
	mbp10  []ringbuf.Mbp10Slot

	open map[uint32]uint8 // instruments whose event is not at its end (tick.More), by rings: open…
}

func newStaging(rows int) staging {
	return staging{
		rows:   rows,
		mbo:    make([]slot56, 0, rows*mboPerRow),
		mbp1:   make([]ringbuf.Mbp1Slot, 0, rows*mbp1PerRow),
		trades: make([]ringbuf.TradeSlot, 0, rows*tradesPerRow),
		events: make([]slot120, 0, rows*eventsPerRow),
		ext:    make([]tick.Ext, 0, rows*extPerRow),
		mbp10:  make([]ringbuf.Mbp10Slot, 0, rows*mbp1PerRow),
		open:   make(map[uint32]uint8),
	}
}

// flush publishes what is staged, orders first: whoever follows a reference from another ring finds it there.
func (l *Lane) flush() {
	s := &l.staged
	if n := len(s.mbo); n > 0 {
		publish(l.out.Mbo, unsafe.Pointer(&s.mbo[0]), n)
		l.counters.Mbo += uint64(n)
		s.mbo = s.mbo[:0]
	}
	if n := len(s.mbp1); n > 0 {
		publish(l.out.Mbp1, unsafe.Pointer(&s.mbp1[0]), n)
		l.counters.Mbp1 += uint64(n)
		s.mbp1 = s.mbp1[:0]
	}
	if n := len(s.trades); n > 0 {
		publish(l.out.Trades, unsafe.Pointer(&s.trades[0]), n)
		l.counters.Trades += uint64(n)
		s.trades = s.trades[:0]
	}
	if n := len(s.ext); n > 0 {
		publish(l.out.Ext, unsafe.Pointer(&s.ext[0]), n)
		l.counters.Ext += uint64(n)
		s.ext = s.ext[:0]
	}
	if n := len(s.events); n > 0 {
		publish(l.out.Events, unsafe.Pointer(&s.events[0]), n)
		l.counters.Events += uint64(n)
		s.events = s.events[:0]
	}
	if n := len(s.mbp10); n > 0 {
		publish(l.out.Mbp10, unsafe.Pointer(&s.mbp10[0]), n)
		l.counters.Mbp10 += uint64(n)
		s.mbp10 = s.mbp10[:0]
	}
}

func publish(w *ringbuf.Writer, recs unsafe.Pointer, n int) {
	if w == nil {
		return
	}
	w.Publish(recs, n)
	w.PublishHint()
}

func (o *Outputs) each(fn func(*ringbuf.Writer)) {
	for _, w := range []*ringbuf.Writer{o.Mbo, o.Mbp1, o.Trades, o.Events, o.Ext, o.Mbp10} {
		if w != nil {
			fn(w)
		}
	}
}
