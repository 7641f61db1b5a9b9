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
	// StaleAfter is how long a producer may be without a heartbeat before its books are not firm. The default is 1 s.
	StaleAfter time.Duration
	// Log is told what goes wrong with a ring. The default is silence.
	Log *slog.Logger
}

// RingMarket is the market in tickwire's rings: an unhurried reader like any other, which no producer waits for.
//
//	.inst ──► symbols        .last ──► tops, when it joins and after a loss
//	mbp1  ──► tops, trades   mbp10 ──► ten levels, of the instruments that have them      events ──► status, figures
//	.snap, then mbo ──► all levels, and ten of instruments that mbp10 does not have       (ringOrders: while somebody wants them)
//
// Where a lane's orders are not told, of an instrument that mbp10 has said nothing of since the ring was joined the top is had, and no more: its absence
// there cannot be told from silence.
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
	listed    bool   // in the directory as it is now: else wire may be another's
	top, deep Book
	upTo      uint64 // ts_publish of the top that .last gave: what is older in the ring is in it
	hasDeep   bool   // deep is what mbp10 says
	status    uint16
	figures   map[byte]Figure // by type; nil: none
	follows   [DepthAll + 1]int

	byOrders bool      // deep is made of the lane's orders
	ordersAt uint64    // when those last changed its book, ns since the Unix epoch; 0: not known
	touched  bool      // in this turn
	oddSince time.Time // when its best prices, and none of its orders, were first seen
}

// hasTop says that a side has a best price.
func (x *ringInstrument) hasTop() bool {
	p := &x.top.Pairs[0]
	return p.BidPx != tick.UndefPrice || p.AskPx != tick.UndefPrice
}

const (
	ringRescan = 500 * time.Millisecond // between looks for new lanes and instruments
	ringBatch  = 256
)

// OpenRings joins the rings that are there; those that come later are found. It fails when the folder cannot be read.
func OpenRings(o RingOptions) (*RingMarket, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StaleAfter <= 0 {
		o.StaleAfter = time.Second
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
		if err := l.open(&m.o); err != nil {
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
		m.tend(l)
		switch {
		case l.inst == nil:
		case l.inst.Replaced() || l.last.Replaced():
			l.close()
		default:
			l.directory(m)
			m.renew(l, fn)
		}
	}
	return nil
}

// renew reloads a lane whose directory began anew, whoever noticed.
func (m *RingMarket) renew(l *ringLane, fn func(*Event)) {
	if l.anew {
		m.reload(l, fn)
	}
}

// reload takes the tops of a lane from .last.
func (m *RingMarket) reload(l *ringLane, fn func(*Event)) {
	l.anew = false
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

// Levels is ten for instruments that mbp10 has, or whose orders are told, one for the others.
func (m *RingMarket) Levels(id uint32) (int, bool) {
	if x := m.all[id]; x.hasDeep || x.lane.orderly {
		return MostLevels, false
	}
	return 1, false
}

// Orders says that there are an mbo ring and a snapshot: whether they have the instrument's orders Whole says, a moment later.
func (m *RingMarket) Orders(id uint32) bool { return m.all[id].lane.orderly }

// Follow has the lane's orders followed where they are needed.
func (m *RingMarket) Follow(id uint32, d Depth, on bool) {
	x := m.all[id]
	if on {
		x.follows[d]++
	} else {
		x.follows[d]--
	}
	if d == DepthTen {
		x.byOrders = x.follows[DepthTen] > 0 && (x.byOrders || !x.hasDeep && x.lane.orderly)
	}
	if x.needsOrders() {
		m.followOrders(x.lane)
	}
}

// followOrders begins to keep a lane's orders.
func (m *RingMarket) followOrders(l *ringLane) {
	if l.orders != nil || !l.orderly {
		return
	}
	var err error
	if l.orders, err = newRingOrders(l); err != nil {
		m.o.Log.Error("fix: no books of orders", "lane", l.feed+"."+l.lane, "err", err)
	}
}

// tend begins to keep a lane's orders, or ends it, as they are wanted.
func (m *RingMarket) tend(l *ringLane) {
	if !l.orderly {
		l.orderly = keepsOrders(&m.o, l)
	}
	now := time.Now()
	for _, x := range l.ids {
		if x.needsOrders() {
			if m.followOrders(l); l.orders != nil {
				l.orders.wanted = now
			}
			return
		}
	}
	if l.orders != nil && now.Sub(l.orders.wanted) > ordersKeep {
		l.orders.close()
		l.orders = nil
	}
}

// Book copies a book.
func (m *RingMarket) Book(id uint32, d Depth, b *Book) Answer {
	x := m.all[id]
	switch {
	case d == DepthTop:
		*b = x.top
		return Here
	case x.byOrders:
		o := x.lane.orders
		if o == nil || !x.listed {
			return Nothing
		}
		o.ten(x)
		*b = x.deep
		return o.answer(x)
	case x.hasDeep:
		*b = x.deep
		return Here
	case x.deep.TsEvent != 0: // each is whole with its next record, and not before
		*b = x.deep
		b.Suspect = true
		return Stale
	}
	return Nothing
}

// Whole fills w from the lane's orders.
func (m *RingMarket) Whole(id uint32, w *Whole) Answer {
	x := m.all[id]
	o := x.lane.orders
	if o == nil {
		return Nothing
	}
	a := o.answer(x)
	if a == Here || a == Stale {
		o.all(x, w)
	}
	return a
}

// Figures are those that the events ring has told.
func (m *RingMarket) Figures(id uint32, dst []Figure) []Figure {
	for _, f := range m.all[id].figures {
		dst = append(dst, f)
	}
	return dst
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
		m.renew(l, fn)
		if l.orders != nil {
			n += l.orders.poll(m, most, fn) // behind the tops: whoever has orders has had one by then
			m.renew(l, fn)
		}
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
		x.hasDeep, x.top.Suspect, x.deep.Suspect = false, true, true
	}
	if l.orders != nil {
		l.orders.leave(true)
	}
	if err := l.open(&m.o); err != nil { // it is being made
		if l.close(); !l.down {
			l.down = true
			fn(&Event{Kind: EventLost})
		}
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
		fn(&Event{Kind: EventTrade, ID: x.ID, Price: rec.Price, Size: uint64(rec.Size), Side: rec.Side, TsEvent: rec.TsEvent})
		return
	}
	topOf(&x.top, &rec.Mbp1)
	if o := l.orders; o != nil && o.joined && x.needsOrders() && x.oddSince.IsZero() && !o.books.Seen(x.wire) && x.hasTop() {
		o.lost(x, fn) // was its book empty, or are its orders not told? That shows: see answer
	}
	fn(&Event{Kind: EventTop, ID: x.ID, Book: &x.top, TsEvent: rec.TsEvent})
}

func (m *RingMarket) pollDeep(l *ringLane, most int, fn func(*Event)) (taken int) {
	for l.mbp10 != nil && taken < most {
		n, _, st := ringbuf.PollSlice(l.mbp10, m.deeps)
		taken += n
		for i := range n {
			rec := &m.deeps[i]
			x := l.find(m, rec.PublisherID, rec.InstrumentID)
			if x == nil || rec.Action == tick.ActionTrade || x.byOrders {
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
	n, _, st := ringbuf.PollSlice(l.side, m.events)
	for i := range n {
		m.side(l, &m.events[i], fn)
	}
	if n == 0 && st == ringbuf.Overrun { // what was missed is not known: statuses are in the directory, figures are no more
		m.o.Log.Warn("fix: records of a ring were missed", "ring", l.side.Name(), "why", st.String())
		was := map[*ringInstrument]uint16{}
		for _, x := range l.ids {
			was[x] = x.status
			clear(x.figures)
		}
		l.count = 0
		l.directory(m)
		for x, status := range was {
			if x.status != status && x.status != 0 {
				fn(&Event{Kind: EventStatus, ID: x.ID, Status: x.status})
			}
		}
		fn(&Event{Kind: EventLost})
	}
	return n
}

// side tells a status or a figure.
func (m *RingMarket) side(l *ringLane, e *ringbuf.EventSlot, fn func(*Event)) {
	h := e.Header()
	x := l.find(m, h.PublisherID, h.InstrumentID)
	if x == nil {
		return
	}
	if s := e.Status(); s != nil {
		if x.status != s.Action && s.Action != tick.StatusSSRChange && s.Action != 0 {
			x.status = s.Action
			fn(&Event{Kind: EventStatus, ID: x.ID, Status: s.Action, TsEvent: s.TsEvent})
		}
		return
	}
	f, gone, ok := figureOf(e)
	if !ok {
		return
	}
	ev := Event{Kind: EventFigure, ID: x.ID, Figure: &f, Action: '1', TsEvent: f.TsEvent}
	was, had := x.figures[f.Type]
	switch {
	case gone && !had:
		return
	case gone:
		ev.Action = '2'
		f = was // what it was is what is taken back
		delete(x.figures, f.Type)
	default:
		if !had {
			ev.Action = '0'
		}
		if x.figures == nil {
			x.figures = map[byte]Figure{}
		}
		x.figures[f.Type] = f
	}
	fn(&ev)
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
		if l.close(); l.orders != nil {
			l.orders.close()
		}
	}
	return nil
}
