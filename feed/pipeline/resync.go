package pipeline

import (
	"bytes"
	"errors"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// rebuild is the lane's part in getting its books back after a loss (package resync has the other parts):
//
//	            loss                 books offered               every instrument told
//	certain ──────────► logging ─────────────────► republishing ───────────────────────► certain, Gap{closed}
//	            F_MAYBE_BAD_BOOK      exchange        │ R, A …, top; then its rows are clean
//	                   ▲                              │
//	                   └──────────── loss ────────────┘
//
// Between the exchange and its turn an instrument's rows come from the right book, while readers still have the wrong one: they carry
// F_MAYBE_BAD_BOOK until the instrument's R, which begins its book anew, and the orders behind it. An instrument is told in one go, so
// that no live row comes between its orders.
type rebuild struct {
	half    *resync.Lane
	active  bool           // logging or republishing
	logging bool           // messages are to be copied
	doubted bool           // the parser refused a message of what is being delivered,
	shadow  *resync.Shadow // while republishing; its books are those that were exchanged
	at      uint32         // the instrument to be told next: its number, or its place in the list
	list    []uint32       // of sparse books: the instruments to be told, some of them more than once
	only    []uint32       // the instruments whose books are made anew; none: all
	lacking []uint32       // those of which messages were found to be missing in what is being delivered
	scanned int            // instruments without anything to tell, since the last record
	since   uint64         // lane time when records were told last

	next        uint64 // number of the message after those that were delivered or lost
	first, last uint64 // what was lost, from the first to the last

	refusedFirst, refusedLast uint64 // of those refused the first and the last

	marked [1 << 16 / 64]uint64 // instruments whose best prices were published with F_MAYBE_BAD_BOOK: without orders, it may be for a trade
	system byte                 // latest event that was published
	states [1 << 16]told

	markedHigh map[uint32]struct{} // the same of instruments with greater numbers
	statesHigh map[uint32]told
}

// exchanger is a decoder that learns things which belong to books: it exchanges what it knows with the rebuild's decoder, whose books the lane takes. It keeps its counters.
type exchanger interface{ Exchange(other any) bool }

func newRebuild(half *resync.Lane) *rebuild {
	return &rebuild{half: half, markedHigh: make(map[uint32]struct{}), statesHigh: make(map[uint32]told)}
}

// told is what was published of an instrument's state.
type told struct {
	action uint16 // trading state
	short  byte   // IsShortSellRestricted
}

const (
	// tellMost is how many snapshot records a pass publishes before it stops at an instrument's end.
	tellMost = 2048
	// tellPerUs bounds them in time: readers have other things to follow, and the ring is finite.
	tellPerUs = 2
	// scanPerRecord is how many instruments without anything to tell take the time of a record, about.
	scanPerRecord = 4

	snapshotFlags = tick.FlagSnapshot | tick.FlagBadTsRecv
)

// Resync is the lane's half of what Config.Resync is, with its counters; nil when there is none. Owned by the lane.
func (l *Lane) Resync() *resync.Lane {
	if l.rebuild == nil {
		return nil
	}
	return l.rebuild.half
}

// delivered notes what the channel hands over, and copies it when books are being rebuilt. Hot path.
func (r *rebuild) delivered(blocks []byte, first uint64, count int) {
	r.next = first + uint64(count)
	if r.logging {
		r.half.Messages(blocks, first, count)
	}
}

// doubt notes messages that were refused, until the packet has been delivered.
func (r *rebuild) doubt(first, last uint64) {
	if !r.doubted {
		r.doubted, r.refusedFirst = true, first
	}
	r.refusedLast = last
}

// lost asks for books that have what the lane's lack: the messages from first to last; 0: what is missing has no numbers of the channel.
func (l *Lane) lost(first, last uint64) {
	r := l.rebuild
	if r.shadow != nil {
		l.giveBack()
		r.half.Counters.Interrupted++
	}
	if !r.active || len(r.only) > 0 || r.first == 0 {
		r.first, r.last = first, last
	}
	r.only, r.lacking = r.only[:0], r.lacking[:0]
	if first != 0 {
		r.first, r.last = min(r.first, first), max(r.last, last)
	}
	r.next = max(r.next, last+1)
	r.half.Want(l.day, r.next)
	r.active, r.logging = true, true
	r.state(1, l.now)
}

func (r *rebuild) state(n, now uint64) {
	if c := &r.half.Counters; c.LiveState != n {
		c.LiveState, c.LiveSinceAt = n, now
	}
}

func (l *Lane) giveBack() {
	l.rebuild.half.Return(l.rebuild.shadow)
	l.rebuild.shadow = nil
}

// forget ends a rebuild with its session.
func (l *Lane) forget() {
	r := l.rebuild
	r.half.Forget()
	if r.shadow != nil {
		l.giveBack()
	}
	r.active, r.logging, r.doubted = false, false, false
	r.only, r.lacking = r.only[:0], r.lacking[:0]
	r.system = 0
	r.unmark()
	clear(r.states[:])
	clear(r.statesHigh)
	r.next = 1
	r.state(0, l.now)
}

// rebuildPass does what is due between two passes, while a rebuild is under way.
func (l *Lane) rebuildPass() {
	r := l.rebuild
	r.half.Refresh()
	if r.shadow == nil && !l.adopt() {
		return
	}
	budget := tellMost
	if l.now-r.since < tellMost*1000/tellPerUs && l.now >= r.since {
		budget = int(l.now-r.since) * tellPerUs / 1000
	}
	if budget <= 0 {
		return
	}
	r.since = l.now
	l.tell(budget)
}

// adopt exchanges the books for those that are offered, if there are any that have caught up.
func (l *Lane) adopt() bool {
	r := l.rebuild
	s := r.half.Offered(r.next)
	if s == nil {
		return false
	}
	r.half.Forget() // nothing more is to be logged
	r.logging = false
	if len(r.only) > 0 {
		l.adoptSingle(s)
		return true
	}
	err := l.books.Swap(s.Books)
	if p := l.depth.prices; p != nil && err == nil {
		if s.Prices == nil {
			err = errors.New("pipeline: books are rebuilt without the venue's price books")
		} else {
			err = p.Swap(s.Prices)
		}
	}
	if err != nil {
		l.err = err // New made sure that they fit
		r.half.Return(s)
		return false
	}
	if x, ok := l.main.decoder.(exchanger); ok && !x.Exchange(s.Decoder) {
		l.err = errors.New("pipeline: books were rebuilt by another decoder than the lane's")
	}
	r.shadow, r.at, r.scanned, r.since = s, 0, 0, l.now
	if l.books.Options().Sparse {
		l.listBooks()
	}
	l.suspect = 0 // the mark is the instruments' own now
	l.trustAll()
	l.main.doubtRebuilt()
	l.distrustLacking()
	r.half.Counters.Rebuilt++
	r.state(2, l.now)
	return true
}

// distrustLacking marks those of the books that were made anew which are not the venue's, before anybody is told of them: what the rebuild's decoder has left out, for want
// of a definition that came later, asks for another rebuild with the next message; where none came, books are empty, and not because the venue's are.
func (l *Lane) distrustLacking() {
	s := &l.main
	if s.naming != nil {
		s.doubt(s.last(), s.last())
	}
	if x, ok := s.decoder.(lackingDecoder); ok {
		x.Lacking(func(id uint32) {
			s.unlearnOne(id)
			l.setSuspect(id, true)
		})
	}
}

// listBooks lists the instruments that are to be told, where their numbers may be any: those that have a book, or had one, those that are known by
// name, and those that the snapshot names. It copies their numbers, which takes some ms for all of a venue's.
func (l *Lane) listBooks() {
	r := l.rebuild
	r.list = r.list[:0]
	add := func(id uint32) bool { r.list = append(r.list, id); return true }
	l.books.Instruments(add)
	for _, p := range []*pricebook.Books{l.depth.prices, r.shadow.Prices} {
		if p != nil {
			p.Instruments(add)
		}
	}
	r.shadow.Known(func(a *resync.About) bool { return add(a.Instrument) })
	for id := range r.markedHigh {
		add(id)
	}
	l.symbols.Each(func(in *symbols.Instrument) bool { return add(in.ID) })
}

// tell publishes instruments until the budget of records is used up, and closes the gap behind the last one.
func (l *Lane) tell(budget int) {
	r := l.rebuild
	l.publish = l.now
	if !l.files && !l.replay {
		l.publish = l.clock()
	}
	sparse := l.books.Options().Sparse
	most := uint32(l.books.Options().MaxInstruments)
	if sparse {
		most = uint32(len(r.list))
	}
	if r.at == 0 && r.shadow.System != 0 && r.shadow.System != r.system {
		s := l.systemStatus(r.shadow.System, r.shadow.SystemAt, l.snapshotTime())
		inline(l, &s)
		event(l, &s)
	}
	for budget > 0 && r.at < most {
		id := r.at
		r.at++
		if sparse {
			id = r.list[id]
		}
		n := 0
		if !sparse || l.books.Behind(id) { // else it was told
			n = l.tellInstrument(id)
		}
		if n == 0 {
			if r.scanned++; r.scanned == scanPerRecord {
				r.scanned, n = 0, 1
			}
		}
		budget -= n
	}
	l.flush()
	if r.at < most {
		return
	}
	l.giveBack()
	if sparse {
		l.books.SetBehindAll(false) // an instrument that comes later has readers with it from the start
	}
	r.active = false
	r.unmark()
	if len(r.only) == 0 && r.first != 0 {
		l.gapRecord(session.Gap{First: r.first, Last: r.last, State: tick.GapClosed}, 0, 0)
	}
	r.only = r.only[:0]
	r.half.Counters.LastRebuiltAt = l.now
	r.state(0, l.now)
	r.half.Refresh()
}

// tellInstrument publishes an instrument: its definition if readers do not have it, R, its orders in the order of their queues, its best prices, and
// its states where they changed. It returns how many records that took.
func (l *Lane) tellInstrument(id uint32) (records int) {
	s := l.rebuild.shadow
	about, seen := s.About(id), l.books.Seen(id)
	if p := l.depth.prices; p != nil {
		seen = seen || p.Seen(id) || s.Prices.Seen(id)
	}
	if about == nil || about.Trading.RType == 0 {
		l.books.SetHalted(id, s.Books.Halted(id)) // the venue says nothing: what was known holds
	}
	l.books.SetBehind(id, false)
	if id == 0 || about == nil && !seen && !l.rebuild.isMarked(id) && l.symbols.Lookup(id) == nil {
		if id == 0 && about != nil {
			l.tellStates(about)
		}
		return 0
	}
	if about != nil && about.Defined && !l.knows(&about.Definition) {
		d := about.Definition
		d.PublisherID, d.TsRecv = l.publisher, l.snapshotTime()
		l.define(&d)
		l.depth.want(&d)
	}
	records = l.tellOrders(id)
	if seen || l.rebuild.isMarked(id) {
		l.tellTop(id)
		l.tellDepth(id)
		l.tellImplied(id, s.Prices != nil && s.Prices.HasImplied(id))
	}
	if about != nil {
		l.tellStates(about)
	}
	return records
}

func (r *rebuild) mark(id uint32) {
	if id < uint32(len(r.states)) {
		r.marked[id/64] |= 1 << (id % 64)
	} else {
		r.markedHigh[id] = struct{}{} // memory for an instrument at its first loss only
	}
}

func (r *rebuild) isMarked(id uint32) bool {
	if id < uint32(len(r.states)) {
		return r.marked[id/64]&(1<<(id%64)) != 0
	}
	_, ok := r.markedHigh[id]
	return ok
}

func (r *rebuild) unmark() {
	clear(r.marked[:])
	clear(r.markedHigh)
}

// told gives what was published of an instrument's state.
func (r *rebuild) told(id uint32) told {
	if id < uint32(len(r.states)) {
		return r.states[id]
	}
	return r.statesHigh[id]
}

func (r *rebuild) tells(id uint32, t told) {
	if id < uint32(len(r.states)) {
		r.states[id] = t
	} else {
		r.statesHigh[id] = t
	}
}

// knows says that readers have this definition already.
func (l *Lane) knows(d *tick.Definition) bool {
	in := l.symbols.Lookup(d.InstrumentID)
	return in != nil && in.Named && in.RoundLot == d.MinLotSizeRoundLot &&
		bytes.Equal(in.Symbol(), bytes.TrimRight(d.RawSymbol[:], "\x00"))
}

// snapshotTime is ts_recv of what comes out of a snapshot: that of the latest row, for it never goes back within an instrument.
func (l *Lane) snapshotTime() uint64 {
	if l.lastRecv == 0 {
		l.lastRecv = l.now
	}
	return l.lastRecv
}

// tellOrders stages R and one A for each resting order, the last of them with F_LAST.
func (l *Lane) tellOrders(id uint32) (records int) {
	rec := tick.Mbo{
		Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: l.publisher, InstrumentID: id, TsEvent: l.lastTime},
		Price:  tick.UndefPrice, Flags: l.snapshotFlags(id), ChannelID: l.channelID, Action: tick.ActionClear, Side: tick.SideNone,
		TsRecv: l.snapshotTime(), Sequence: uint32(l.upTo()),
	}
	records = 1
	l.books.Walk(id, func(o book.Order) bool {
		l.stageOrder(&rec)
		rec.OrderID, rec.Price, rec.Size, rec.Action, rec.Side = o.ID, o.Price, tick.Size32(o.Size), tick.ActionAdd, o.Side
		records++
		return true
	})
	if l.depth.levels {
		records += l.tellLevels(&rec)
	}
	rec.Flags |= tick.FlagLast
	l.stageOrder(&rec)
	if l.rebuild != nil {
		l.rebuild.half.Counters.Republished += uint64(records)
	}
	return records
}

// tellLevels stages the levels of an instrument whose venue sends no orders: A with F_MBP. The last one is left in rec.
func (l *Lane) tellLevels(rec *tick.Mbo) (records int) {
	var levels [pricebook.MaxDepth]book.Level
	for _, side := range [2]byte{tick.SideBid, tick.SideAsk} {
		for _, level := range levels[:l.ladder().Levels(rec.InstrumentID, side, levels[:])] {
			l.stageOrder(rec)
			rec.Price, rec.Size, rec.Action, rec.Side = level.Price, tick.Size32(level.Size), tick.ActionAdd, side
			rec.Flags |= tick.FlagMBP
			records++
		}
	}
	return records
}

// snapshotFlags keep the mark of an instrument whose book cannot hold what the venue sent.
func (l *Lane) snapshotFlags(id uint32) uint8 {
	if l.suspected(id) {
		return snapshotFlags | tick.FlagMaybeBadBook
	}
	return snapshotFlags
}

// snapshotTopFlags are snapshotFlags of the book that best prices are of.
func (l *Lane) snapshotTopFlags(id uint32) uint8 {
	if p := l.depth.prices; p != nil && !p.Suspect(id) {
		return snapshotFlags
	}
	return l.snapshotFlags(id)
}

// upTo is the number of the last message that what is told reflects.
func (l *Lane) upTo() uint64 {
	if l.rebuild != nil {
		return l.rebuild.next - 1
	}
	return l.current.last()
}

// stageOrder stages one record outside of a pass: there may be more than a pass ever has.
func (l *Lane) stageOrder(rec *tick.Mbo) {
	if l.out.Mbo == nil {
		return
	}
	if len(l.staged.mbo) == cap(l.staged.mbo) {
		l.flush()
	}
	n := len(l.staged.mbo)
	l.staged.mbo = l.staged.mbo[:n+1]
	*(*tick.Mbo)(asMbo(&l.staged.mbo[n])) = *rec
}

// snapshotTrade is the head of a record that only says what the book is now.
func (l *Lane) snapshotTrade(id uint32, length, rtype uint8) tick.Trade {
	return tick.Trade{
		Header: tick.Header{Length: length, RType: rtype, PublisherID: l.publisher, InstrumentID: id, TsEvent: l.lastTime},
		Price:  tick.UndefPrice, Action: tick.ActionNone, Side: tick.SideNone, Flags: l.snapshotTopFlags(id) | tick.FlagLast,
		TsRecv: l.snapshotTime(), Sequence: uint32(l.upTo()),
	}
}

// tellTop publishes the best prices: the mbp1 ring's own record of them, and the latest value.
func (l *Lane) tellTop(id uint32) {
	rec := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{
		Trade: l.snapshotTrade(id, 20, tick.RTypeMbp1), Levels: [1]tick.BidAskPair{l.ladder().Top(id)},
	}, TsPublish: l.publish}
	if l.out.Last != nil {
		l.out.Last.Put(id, &rec)
	}
	if l.out.Mbp1 == nil {
		return
	}
	if len(l.staged.mbp1) == cap(l.staged.mbp1) {
		l.flush()
	}
	l.staged.mbp1 = append(l.staged.mbp1, rec)
}

func (l *Lane) tellDepth(id uint32) {
	w := l.depth.ids[id]
	if w == nil || l.out.Mbp10 == nil {
		return
	}
	tenLevels(l.ladder(), id, &w.levels)
	if len(l.staged.mbp10) == cap(l.staged.mbp10) {
		l.flush()
	}
	l.staged.mbp10 = append(l.staged.mbp10, ringbuf.Mbp10Slot{
		Mbp10: tick.Mbp10{Trade: l.snapshotTrade(id, 92, tick.RTypeMbp10), Levels: w.levels},
	})
}

// tellStates publishes the states that differ from what was published last.
func (l *Lane) tellStates(about *resync.About) {
	known := l.rebuild.told(about.Instrument)
	for _, s := range []*tick.Status{&about.Trading, &about.ShortSale} {
		switch {
		case s.RType == 0:
			continue
		case s == &about.Trading && s.Action == known.action:
			l.halt(s) // the books are new: their flag is not
			continue
		case s == &about.ShortSale && s.IsShortSellRestricted == known.short:
			continue
		}
		st := *s
		st.PublisherID, st.TsRecv = l.publisher, l.snapshotTime()
		l.halt(&st)
		if len(l.staged.mbo) == cap(l.staged.mbo) || len(l.staged.events) == cap(l.staged.events) {
			l.flush()
		}
		inline(l, &st)
		event(l, &st)
	}
}

// toldStatus notes what was published of an instrument's state. What a snapshot says of it is out of date from here on.
func (r *rebuild) toldStatus(s *tick.Status) {
	if s.Action != tick.StatusSSRChange && !tick.TradingState(s.Action) {
		return
	}
	t := r.told(s.InstrumentID)
	if s.Action == tick.StatusSSRChange {
		t.short = s.IsShortSellRestricted
	} else {
		t.action = s.Action
	}
	r.tells(s.InstrumentID, t)
	if r.shadow == nil {
		return
	}
	if about := r.shadow.About(s.InstrumentID); about != nil {
		if s.Action == tick.StatusSSRChange {
			about.ShortSale.RType = 0
		} else {
			about.Trading = *s
		}
	}
}

// toldDefinition says that readers have a newer definition than a snapshot's.
func (r *rebuild) toldDefinition(d *tick.Definition) {
	if r.shadow == nil {
		return
	}
	if about := r.shadow.About(d.InstrumentID); about != nil {
		about.Defined = false
	}
}
