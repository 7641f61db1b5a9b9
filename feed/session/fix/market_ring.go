package fix

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// RingOptions say which rings a RingMarket reads.
type RingOptions struct {
	RingDir, Instance string
	// Feed whose lanes are read. Default: all of the instance; where two of them have a symbol, the first by name is found.
	Feed string
	// Log is told what goes wrong with a ring. The default is silence.
	Log *slog.Logger
}

// RingMarket is the market in tickwire's rings: an unhurried reader like any other, which no producer waits for.
//
//	.inst ──► symbols        .last ──► tops, when it joins and after a loss
//	mbp1  ──► tops, trades   mbp10 ──► ten levels, of the instruments that have them      events ──► status
//
// Of an instrument that mbp10 has said nothing of since the ring was joined the top is had, and no more: its absence there cannot be told from silence.
type RingMarket struct {
	o        RingOptions
	lanes    []*ringLane
	known    map[string]bool // feed.lane
	symbols  map[string]uint32
	all      []*ringInstrument
	rescanAt time.Time
	book     Book
	tops     []ringbuf.Mbp1Slot
	deeps    []ringbuf.Mbp10Slot
	events   []ringbuf.EventSlot
}

type ringInstrument struct {
	Instrument
	lane      *ringLane
	publisher uint16
	wire      uint32 // instrument_id in the rings
	top, deep Book
	upTo      uint64 // ts_publish of the top that .last gave: what is older in the ring is in it
	hasDeep   bool
	status    uint16
}

const (
	ringRescan = 500 * time.Millisecond // between looks for new lanes and instruments
	ringStale  = time.Second            // without a heartbeat: books are not firm
	ringBatch  = 256
)

// OpenRings joins the rings that are there; those that come later are found. It fails when the folder cannot be read.
func OpenRings(o RingOptions) (*RingMarket, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &RingMarket{
		o: o, known: map[string]bool{}, symbols: map[string]uint32{}, tops: make([]ringbuf.Mbp1Slot, ringBatch), deeps: make([]ringbuf.Mbp10Slot, ringBatch),
		events: make([]ringbuf.EventSlot, ringBatch),
	}
	if err := m.rescan(nil); err != nil {
		return nil, err
	}
	return m, nil
}

// rescan looks for new lanes and instruments. fn may be nil.
func (m *RingMarket) rescan(fn func(*Event)) error {
	m.rescanAt = time.Now().Add(ringRescan)
	entries, err := ringbuf.List(m.o.RingDir, m.o.Instance)
	if err != nil {
		return fmt.Errorf("fix: %w", err)
	}
	for _, e := range entries {
		name := e.Instance + "/" + e.Feed + "." + e.Lane
		if e.Kind != ringbuf.KindMbp1 || m.known[name] || m.o.Feed != "" && e.Feed != m.o.Feed {
			continue
		}
		l := &ringLane{instance: e.Instance, feed: e.Feed, lane: e.Lane}
		if err := l.open(m.o.RingDir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // it is being made
				m.o.Log.Warn("fix: lane not read", "lane", name, "err", err)
			}
			l.close()
			continue
		}
		m.known[name] = true
		m.lanes = append(m.lanes, l)
	}
	for _, l := range m.lanes {
		switch {
		case l.inst == nil:
		case l.inst.Replaced() || l.last.Replaced():
			l.close()
		case l.directory(m):
			m.reload(l, fn)
		}
	}
	return nil
}

// reload takes the tops of a lane from .last.
func (m *RingMarket) reload(l *ringLane, fn func(*Event)) {
	for _, x := range l.ids {
		x.takeLast()
	}
	if fn != nil {
		fn(&Event{Kind: EventLost})
	}
}

func topOf(b *Book, rec *tick.Mbp1) {
	b.Pairs[0] = rec.Levels[0]
	b.TsEvent, b.Suspect = rec.TsEvent, rec.Flags&tick.FlagMaybeBadBook != 0
}

// Find implements Market, as the following do.
func (m *RingMarket) Find(symbol string) (Instrument, bool) {
	id, ok := m.symbols[symbol]
	if !ok {
		return Instrument{}, false
	}
	return m.all[id].Instrument, true
}

// Each calls fn with all instruments.
func (m *RingMarket) Each(fn func(*Instrument) bool) {
	for _, x := range m.all {
		if !fn(&x.Instrument) {
			return
		}
	}
}

// Levels is ten for instruments that mbp10 has, one for the others.
func (m *RingMarket) Levels(id uint32) (int, bool) {
	if m.all[id].hasDeep {
		return MostLevels, false
	}
	return 1, false
}

// Book copies a book.
func (m *RingMarket) Book(id uint32, deep bool, b *Book) bool {
	x := m.all[id]
	if deep {
		*b = x.deep
		return x.hasDeep
	}
	*b = x.top
	return true
}

// Status is the instrument's trading status.
func (m *RingMarket) Status(id uint32) uint16 { return m.all[id].status }

// Poll reads the rings.
func (m *RingMarket) Poll(most int, fn func(*Event)) (n int) {
	if !time.Now().Before(m.rescanAt) {
		if err := m.rescan(fn); err != nil {
			m.o.Log.Warn("fix: rings not listed", "err", err)
		}
	}
	for _, l := range m.lanes {
		if l.mbp1 == nil {
			m.reopen(l, fn)
			continue
		}
		n += m.pollTops(l, most, fn)
		n += m.pollDeep(l, most, fn)
		n += m.pollSide(l, fn)
	}
	return n
}

func (m *RingMarket) pollTops(l *ringLane, most int, fn func(*Event)) (taken int) {
	for taken < most {
		n, _, st := ringbuf.PollSlice(l.mbp1, m.tops)
		taken += n
		if l.down && (n > 0 || l.mbp1.Alive()) {
			l.down = false
			m.reload(l, fn) // with what was just read: .last is newer
			continue
		}
		for i := range n {
			m.top(l, &m.tops[i], fn)
		}
		if n > 0 {
			continue
		}
		if l.lost != l.mbp1.Lost() && st != ringbuf.EpochChanged {
			l.lost = l.mbp1.Lost()
			m.o.Log.Warn("fix: records of a ring were missed", "ring", l.mbp1.Name(), "why", st.String())
			l.directory(m)
			m.reload(l, fn)
			continue
		}
		m.state(l, st, fn)
		return taken
	}
	return taken
}

// state acts on what the ring's producer does: books of one that is gone are not firm.
func (m *RingMarket) state(l *ringLane, st ringbuf.Status, fn func(*Event)) {
	switch st {
	case ringbuf.Replaced, ringbuf.EpochChanged: // a producer that starts makes new files beside the ring
		l.close()
		m.reopen(l, fn)
	case ringbuf.Silent, ringbuf.Stopped:
		if l.down {
			return
		}
		l.down = true
		m.o.Log.Warn("fix: a ring's producer is "+st.String(), "ring", l.mbp1.Name())
		for _, x := range l.ids {
			x.top.Suspect, x.deep.Suspect = true, true
		}
		fn(&Event{Kind: EventLost})
	}
}

// reopen takes a lane's files anew, when it is time to try.
func (m *RingMarket) reopen(l *ringLane, fn func(*Event)) {
	if now := time.Now(); now.Before(l.retryAt) {
		return
	} else {
		l.retryAt = now.Add(ringRescan)
	}
	for _, x := range l.ids {
		x.hasDeep = false
	}
	if err := l.open(m.o.RingDir); err != nil {
		l.close()
		return
	}
	l.down, l.generation, l.count = false, 0, 0
	l.directory(m)
	m.reload(l, fn)
}

func (m *RingMarket) top(l *ringLane, rec *ringbuf.Mbp1Slot, fn func(*Event)) {
	x := l.find(m, rec.PublisherID, rec.InstrumentID)
	if x == nil || rec.TsPublish <= x.upTo {
		return
	}
	if rec.Action == tick.ActionTrade {
		fn(&Event{Kind: EventTrade, ID: x.ID, Price: rec.Price, Size: rec.Size, Side: rec.Side, TsEvent: rec.TsEvent})
		return
	}
	topOf(&x.top, &rec.Mbp1)
	fn(&Event{Kind: EventTop, ID: x.ID, Book: &x.top, TsEvent: rec.TsEvent})
}

func (m *RingMarket) pollDeep(l *ringLane, most int, fn func(*Event)) (taken int) {
	for l.mbp10 != nil && taken < most {
		n, _, st := ringbuf.PollSlice(l.mbp10, m.deeps)
		taken += n
		for i := range n {
			rec := &m.deeps[i]
			x := l.find(m, rec.PublisherID, rec.InstrumentID)
			if x == nil || rec.Action == tick.ActionTrade {
				continue
			}
			copy(x.deep.Pairs[:], rec.Levels[:])
			x.deep.TsEvent, x.deep.Suspect, x.hasDeep = rec.TsEvent, rec.Flags&tick.FlagMaybeBadBook != 0, true
			fn(&Event{Kind: EventDeep, ID: x.ID, Book: &x.deep, TsEvent: rec.TsEvent})
		}
		switch {
		case n > 0:
		case st == ringbuf.Overrun || st == ringbuf.EpochChanged:
			for _, x := range l.ids { // each is whole with its next record, and not before
				x.hasDeep = false
			}
			fn(&Event{Kind: EventLost})
		default:
			return taken
		}
	}
	return taken
}

func (m *RingMarket) pollSide(l *ringLane, fn func(*Event)) (taken int) {
	if l.side == nil {
		return 0
	}
	n, _, _ := ringbuf.PollSlice(l.side, m.events)
	for i := range n {
		s := m.events[i].Status()
		if s == nil {
			continue
		}
		if x := l.find(m, s.PublisherID, s.InstrumentID); x != nil && x.status != s.Action && s.Action != tick.StatusSSRChange && s.Action != 0 {
			x.status = s.Action
			fn(&Event{Kind: EventStatus, ID: x.ID, Status: s.Action, TsEvent: s.TsEvent})
		}
	}
	return n
}

// Wait sleeps on the doorbell of a lane.
func (m *RingMarket) Wait(timeout time.Duration) {
	for _, l := range m.lanes {
		if l.mbp1 != nil {
			l.mbp1.Wait(timeout)
			return
		}
	}
	time.Sleep(timeout)
}

// Close unmaps all.
func (m *RingMarket) Close() error {
	for _, l := range m.lanes {
		l.close()
	}
	return nil
}
