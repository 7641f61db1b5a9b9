package fix

import (
	"errors"
	"os"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// ringOrders are the books of all orders of a lane, kept from when somebody first wants more of an instrument than mbp10 has until nobody has wanted it
// for a while.
//
//	.snap ──► books as of slot n        mbo, from n+1 on ──► levels that changed, once a turn each
//	overtaken by the producer, or another ring ──► all anew from .snap; the old books are not firm until then
type ringOrders struct {
	lane    *ringLane
	reader  *ringbuf.Reader
	snap    *ringbuf.SnapReader
	books   *book.Books
	batch   *tick.Batch
	records []tick.Mbo

	joined     bool // books are as of the place in the ring
	had        bool // they were, some time
	behind     bool // and the ring has more
	renumbered bool // the directory began anew, and the ring may not have been read as far
	asOf       uint64
	retry      time.Time
	wanted     time.Time // when somebody last did

	changed map[levelKey]struct{}
	levels  []changedLevel // of this turn, in the order of their first change
	tens    []*ringInstrument
}

type levelKey struct {
	id    uint32 // the market's
	side  byte
	price int64
}

type changedLevel struct {
	levelKey
	x   *ringInstrument
	was book.Level // before this turn
}

const (
	ordersRetry = 100 * time.Millisecond // between looks for a snapshot; a feed writes one a second
	ordersKeep  = time.Minute            // books are kept that nobody wants
	ordersOdd   = 2 * time.Second        // best prices and no order: longer than a first order is under way
)

// newRingOrders reserves the books. They take any venue's numbers.
func newRingOrders(l *ringLane) (*ringOrders, error) {
	o := &ringOrders{lane: l, records: make([]tick.Mbo, 1024), changed: map[levelKey]struct{}{}}
	var err error
	if o.books, err = book.New(book.Options{Sparse: true, ZeroPrice: true, MaxInstruments: 1 << 17}); err != nil {
		return nil, err
	}
	if o.batch, err = tick.NewBatch(); err != nil {
		return nil, errors.Join(err, o.books.Close())
	}
	return o, nil
}

func (o *ringOrders) close() {
	o.leave(true)
	_, _ = o.batch.Free(), o.books.Close()
}

// leave closes the files: the producer has overtaken, or it is another one, whose numbers may mean other instruments.
func (o *ringOrders) leave(another bool) {
	o.joined, o.had = false, o.had && !another
	o.retry = time.Time{}
	o.forget()
	if o.reader != nil {
		_ = o.reader.Close()
	}
	if o.snap != nil {
		_ = o.snap.Close()
	}
	o.reader, o.snap = nil, nil
}

// keepsOrders says whether a lane has the files. Which instruments have orders shows later.
func keepsOrders(o *RingOptions, l *ringLane) bool {
	_, mbo := os.Stat(ringbuf.Path(o.RingDir, l.instance, l.feed, l.lane, ringbuf.KindMbo))
	_, snap := os.Stat(ringbuf.SidePath(o.RingDir, l.instance, l.feed, l.lane, ringbuf.ExtSnap))
	return mbo == nil && snap == nil
}

// join takes the books from the newest snapshot, and the place in the ring behind it.
func (o *ringOrders) join(ringDir string) (err error) {
	l := o.lane
	if o.reader == nil {
		if o.reader, err = ringbuf.Open(ringbuf.Path(ringDir, l.instance, l.feed, l.lane, ringbuf.KindMbo), ringbuf.ReaderOptions{Report: "fix.orders"}); err != nil {
			return err
		}
	}
	if o.snap == nil {
		if o.snap, err = ringbuf.OpenSnap(ringbuf.SidePath(ringDir, l.instance, l.feed, l.lane, ringbuf.ExtSnap)); err != nil {
			return err
		}
	}
	var whole ringbuf.Snapshot // millions of orders, perhaps: not kept
	if err = ringbuf.JoinBook(o.reader, o.snap, &whole); err != nil {
		if errors.Is(err, ringbuf.ErrSnapshotReplaced) {
			_ = o.snap.Close()
			o.snap = nil
		}
		return err
	}
	o.books.Reset()
	o.asOf = whole.Ts
	for rest := whole.Records; len(rest) > 0; {
		n := min(len(rest), tick.MaxRows)
		o.batch.Reset()
		for i := range rest[:n] {
			o.add(&rest[i])
		}
		o.books.Apply(o.batch, 0, o.batch.N)
		rest = rest[n:]
	}
	o.joined, o.had, o.behind = true, true, true
	return nil
}

// add makes the row of a record, and keeps whether the instrument's book is suspect; true: that has changed.
func (o *ringOrders) add(r *tick.Mbo) (turned bool) {
	if r.RType != tick.RTypeMbo || r.Flags&(tick.FlagMBP|tick.FlagTOB) != 0 {
		return false
	}
	suspect := r.Flags&tick.FlagMaybeBadBook != 0
	if turned = o.books.Suspect(r.InstrumentID) != suspect; turned {
		o.books.SetSuspect(r.InstrumentID, suspect)
	}
	book.AppendRecord(o.batch, r)
	return turned
}

// poll reads the ring, and tells what became of what is followed.
func (o *ringOrders) poll(m *RingMarket, most int, fn func(*Event)) (taken int) {
	if !o.joined {
		now := time.Now()
		if now.Before(o.retry) {
			return 0
		}
		o.retry = now.Add(ordersRetry)
		if err := o.join(m.o.RingDir); err != nil {
			m.o.Log.Debug("fix: books of orders are not to be had yet", "lane", o.lane.feed+"."+o.lane.lane, "err", err)
			return 0
		}
		o.anew(fn)
	}
	o.behind = true
	for taken < most && o.behind {
		n, _, st := ringbuf.PollSlice(o.reader, o.records)
		taken += n
		for i := range n {
			o.take(m, &o.records[i], fn)
		}
		o.apply()
		if n > 0 {
			continue
		}
		if st == ringbuf.Overrun || st == ringbuf.EpochChanged || st == ringbuf.Replaced {
			m.o.Log.Warn("fix: books of orders are taken anew", "ring", o.reader.Name(), "why", st.String())
			o.leave(st != ringbuf.Overrun)
			o.anew(fn)
			return taken
		}
		o.behind, o.renumbered = false, false
	}
	o.tell(fn)
	return taken
}

// anew says of all that is followed that its book is another one, or not firm.
func (o *ringOrders) anew(fn func(*Event)) {
	for _, x := range o.lane.ids {
		o.lost(x, fn)
	}
}

func (o *ringOrders) lost(x *ringInstrument, fn func(*Event)) {
	if x.follows[DepthAll] > 0 {
		fn(&Event{Kind: EventAnew, ID: x.ID, Depth: DepthAll})
	}
	if x.follows[DepthTen] > 0 && x.byOrders {
		fn(&Event{Kind: EventAnew, ID: x.ID, Depth: DepthTen})
	}
}

// take applies a record. What others than followers want of it waits in the batch.
func (o *ringOrders) take(m *RingMarket, r *tick.Mbo, fn func(*Event)) {
	if g := ringbuf.GapOfMbo(r); g != nil && g.State == tick.GapLost {
		o.apply()
		if g.InstrumentID == 0 {
			o.books.SetSuspectAll(true)
			o.anew(fn)
		} else {
			o.books.SetSuspect(g.InstrumentID, true)
			if x := o.lane.find(m, g.PublisherID, g.InstrumentID); x != nil {
				o.lost(x, fn)
			}
		}
		return
	}
	if o.batch.N == tick.MaxRows {
		o.apply()
	}
	x := o.lane.ids[ringKey(r.PublisherID, r.InstrumentID)]
	if x == nil || !x.needsOrders() {
		o.add(r)
		return
	}
	o.apply() // what the order is now is to be known
	if r.Action == tick.ActionCancel || r.Action == tick.ActionModify || r.Action == tick.ActionAdd {
		if was, ok := o.books.OrderOf(r.InstrumentID, r.OrderID); ok {
			o.touch(x, was.Side, was.Price)
		}
		o.touch(x, r.Side, r.Price)
	}
	before := o.batch.N
	if o.add(r) || o.batch.N > before && r.Action == tick.ActionClear {
		o.lost(x, fn)
	}
	if o.batch.N > before {
		x.ordersAt = r.TsEvent
		o.apply()
	}
}

func (o *ringOrders) apply() {
	o.books.Apply(o.batch, 0, o.batch.N)
	o.batch.Reset()
}

// touch notes what a level is before it changes for the first time in this turn.
func (o *ringOrders) touch(x *ringInstrument, side byte, price int64) {
	key := levelKey{x.ID, side, price}
	if _, ok := o.changed[key]; ok || price == tick.UndefPrice {
		return
	}
	was, _ := o.books.LevelAt(x.wire, side, price)
	o.changed[key] = struct{}{}
	o.levels = append(o.levels, changedLevel{key, x, was})
	if x.byOrders && !x.touched {
		x.touched = true
		o.tens = append(o.tens, x)
	}
}

// tell says what has changed in this turn.
func (o *ringOrders) tell(fn func(*Event)) {
	for i := range o.levels {
		c := &o.levels[i]
		if c.x.follows[DepthAll] == 0 {
			continue
		}
		now, is := o.books.LevelAt(c.x.wire, c.side, c.price)
		if now == c.was {
			continue
		}
		e := Event{Kind: EventLevel, ID: c.x.ID, Side: c.side, Price: c.price, Size: now.Size, Count: now.Orders, TsEvent: c.x.ordersAt, Action: '1'}
		switch {
		case !is:
			e.Action = '2'
		case c.was.Orders == 0:
			e.Action = '0'
		}
		fn(&e)
	}
	for _, x := range o.tens {
		if x.byOrders && x.follows[DepthTen] > 0 {
			o.ten(x)
			fn(&Event{Kind: EventDeep, ID: x.ID, Book: &x.deep, TsEvent: x.deep.TsEvent})
		}
	}
	o.forget()
}

// forget ends a turn.
func (o *ringOrders) forget() {
	for _, x := range o.tens {
		x.touched = false
	}
	o.levels, o.tens = o.levels[:0], o.tens[:0]
	clear(o.changed)
}

// needsOrders says that somebody wants what only the lane's orders tell.
func (x *ringInstrument) needsOrders() bool {
	return x.follows[DepthAll] > 0 || x.byOrders && x.follows[DepthTen] > 0
}

// suspect says that a book is not firm: something was lost, or its producer is gone.
func (o *ringOrders) suspect(x *ringInstrument) bool {
	return !o.joined || o.lane.down || o.books.Suspect(x.wire)
}

// ten brings an instrument's ten levels up to date.
func (o *ringOrders) ten(x *ringInstrument) {
	x.deep.empty()
	var levels [MostLevels]book.Level
	for i, l := range levels[:o.books.Levels(x.wire, tick.SideBid, levels[:])] {
		p := &x.deep.Pairs[i]
		p.BidPx, p.BidSz, p.BidCt = l.Price, tick.Size32(l.Size), l.Orders
	}
	for i, l := range levels[:o.books.Levels(x.wire, tick.SideAsk, levels[:])] {
		p := &x.deep.Pairs[i]
		p.AskPx, p.AskSz, p.AskCt = l.Price, tick.Size32(l.Size), l.Orders
	}
	x.deep.TsEvent, x.deep.Suspect = o.at(x), o.suspect(x)
}

// at is when an instrument's book last changed, as far as is known.
func (o *ringOrders) at(x *ringInstrument) uint64 {
	if x.ordersAt != 0 {
		return x.ordersAt
	}
	return o.asOf
}

// all fills w with all levels.
func (o *ringOrders) all(x *ringInstrument, w *Whole) {
	for i, side := range []byte{tick.SideBid, tick.SideAsk} {
		levels := w.Sides[i][:cap(w.Sides[i])]
		n := o.books.Levels(x.wire, side, levels)
		for n == len(levels) {
			levels = make([]book.Level, max(64, 2*n))
			n = o.books.Levels(x.wire, side, levels)
		}
		w.Sides[i] = levels[:n]
	}
	w.TsEvent, w.Suspect = o.at(x), o.suspect(x)
}

// answer says what an instrument's book is worth. Of one that has had no order the best prices must say the same: else its orders are not told.
func (o *ringOrders) answer(x *ringInstrument) Answer {
	seen := o.had && o.books.Seen(x.wire)
	switch {
	case !o.had || !x.listed:
		return Nothing
	case o.renumbered:
		return Later
	case !o.joined:
		return Stale
	case seen:
		return Here
	case o.behind:
		return Later
	case !x.hasTop():
		if o.books.Instruments(func(uint32) bool { return false }) {
			return Nothing // has any: they are not told, or the day has not begun
		}
		return Here
	case x.oddSince.IsZero():
		x.oddSince = time.Now()
	case time.Since(x.oddSince) > ordersOdd:
		return Never
	}
	return Later
}
