package resync

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/tick"
)

// Shadow is books under construction, and what snapshot and log say of instruments besides. It belongs to the worker until it is
// offered, then to the lane until Lane.Return.
type Shadow struct {
	Books  *book.Books
	Prices *pricebook.Books // nil: the venue has none
	// Decoder has had the snapshot and all messages up to those that the books have: what it learned on the way (priorities, numbers of entries)
	// goes with them. A lane that exchanges it too gives its own one in return.
	Decoder Decoder
	// System is the code of the latest system event, SystemAt its time, ns since the Unix epoch; 0: none came.
	System   byte
	SystemAt uint64

	about   map[uint32]uint32 // place in entries, by instrument
	entries []About

	generation uint64
	day        uint64 // the venue's midnight
	next       uint64 // number of the next message to apply
	lowest     uint64 // of all that the snapshot's parts are as of …
	highest    uint64 // … and the highest: until then rows are held against parts
	guarded    uint64 // numbers below it are near the snapshot's end
	odd        int    // rows there that say the number is wrong
	verdict    atomic.Uint32

	batch    *tick.Batch
	refused  uint64        // Decoder.Refused when it was looked at last
	parts    map[uint32]of // of a snapshot by instrument
	orders   []resting
	counters *Counters
}

// About is what is known of an instrument but its orders. Records lack publisher and time of arrival.
type About struct {
	Instrument uint32
	Defined    bool
	Definition tick.Definition
	Trading    tick.Status // latest trading state; RType 0: none came
	ShortSale  tick.Status // latest restriction; RType 0: none came
}

// resting is an order of a snapshot, 56 bytes.
type resting struct {
	at         uint64 // ts_event
	id         uint64
	price      int64
	size       uint64
	mpid       uint32
	instrument uint32
	turn       uint32 // of its arrival
	side       byte
}

const (
	pending uint32 = iota
	taken
	declined
)

// guard is how many messages behind a snapshot are checked for a number that is wrong by one or a few.
const guard = 1024

func newShadow(o *Options, c *Counters) (*Shadow, error) {
	s := &Shadow{counters: c, about: make(map[uint32]uint32), parts: make(map[uint32]of)}
	var err error
	if s.Decoder, err = o.Decoder(); err != nil {
		return nil, err
	}
	if s.Books, err = book.New(o.Books.Options()); err != nil {
		return nil, err
	}
	if o.Prices != nil {
		if s.Prices, err = o.Prices(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if s.batch, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Shadow) close() error {
	var first error
	if s.batch != nil {
		first = s.batch.Free()
	}
	if s.Books != nil {
		if err := s.Books.Close(); first == nil {
			first = err
		}
	}
	return first
}

// reset empties everything: a snapshot is always put into empty books.
func (s *Shadow) reset(generation, day uint64) {
	s.Books.Reset()
	s.Books.SetBehindAll(true)
	if s.Prices != nil {
		s.Prices.Reset()
	}
	clear(s.about)
	clear(s.parts)
	s.entries, s.orders = s.entries[:0], s.orders[:0]
	s.System, s.SystemAt = 0, 0
	s.generation, s.day, s.next, s.odd = generation, day, 0, 0
	s.lowest, s.highest = ^uint64(0), 0
	s.Decoder.Start(day)
	s.refused = s.Decoder.Refused()
	s.verdict.Store(pending)
}

// About gives what is known of an instrument, or nil.
func (s *Shadow) About(instrument uint32) *About {
	if at, ok := s.about[instrument]; ok {
		return &s.entries[at]
	}
	return nil
}

// Known calls fn with all of which something is known, in the order in which it came, until fn returns false. The pointer is valid for the call.
func (s *Shadow) Known(fn func(a *About) bool) {
	for i := range s.entries {
		if !fn(&s.entries[i]) {
			return
		}
	}
}

// know is About that makes an entry. The pointer is valid until the next one is made.
func (s *Shadow) know(instrument uint32) *About {
	at, ok := s.about[instrument]
	if !ok {
		at = uint32(len(s.entries))
		s.entries = append(s.entries, About{Instrument: instrument})
		s.about[instrument] = at
	}
	return &s.entries[at]
}

// doubted says that the decoder refused messages since it was last asked.
func (s *Shadow) doubted() bool {
	was := s.refused
	s.refused = s.Decoder.Refused()
	return s.refused != was
}

// snapshot takes messages of a snapshot. Orders wait for its end: they may come in any order, and queues go by time.
func (s *Shadow) snapshot(blocks []byte, count int) error {
	left := s.decode(blocks, 0, count, func(b *tick.Batch) {
		for i := range b.N {
			s.snapshotRow(b, i&tick.RowMask, Orders)
		}
	})
	s.counters.Snapshots += uint64(count - left)
	switch {
	case s.doubted() || left > 0:
		return ErrUnreadable
	case len(s.orders) > s.Books.Options().MaxOrders:
		return ErrTooMany
	}
	return nil
}

// end puts the snapshot's orders into the books: within a level by the time of their message, then as they came. Queue
// positions are estimates: nobody promises that a venue's queues go by these times. next is the number of the first message that is
// not in the snapshot; 0: each of its parts has its own.
func (s *Shadow) end(next uint64) {
	switch {
	case next != 0:
		s.lowest, s.highest = next-1, next-1
	case len(s.parts) == 0: // nothing has happened: all of the log is news
		s.lowest = 0
	}
	s.next, s.guarded = s.lowest+1, s.highest+1+guard
	if s.next > 1 && next == 0 { // of the message that a part is as of, it may lack rows
		s.next = s.lowest
	}
	s.counters.Orders += uint64(len(s.orders))
	slices.SortFunc(s.orders, func(a, b resting) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.turn, b.turn)
	})
	b := s.batch
	for from := 0; from < len(s.orders); from += b.N {
		b.Reset()
		for _, o := range s.orders[from:min(len(s.orders), from+tick.MaxRows)] {
			i := b.N & tick.RowMask
			b.Kind[i], b.Side[i], b.Instrument[i], b.Flags[i] = tick.KindAdd, o.side, o.instrument, tick.FlagSnapshot
			b.OrderID[i], b.Price[i], b.Size[i], b.Aux[i] = o.id, o.price, o.size, uint64(o.mpid)
			b.N++
		}
		s.Books.Apply(b, 0, b.N)
	}
	b.Reset()
	s.orders = s.orders[:0]
}

// Outcomes of apply.
type outcome uint8

const (
	applied    outcome = iota
	superseded         // the snapshot has all of it
	missing            // something before it is not there
	unreadable         // the parser refused a message of it
)

// apply takes a logged record.
func (s *Shadow) apply(r *logRecord) outcome {
	end := r.first + uint64(r.count)
	switch {
	case r.first > s.next && !s.fresh() && !s.begins(r.first):
		return missing
	case end <= s.next:
		s.counters.Superseded += uint64(r.count)
		return superseded
	}
	blocks, skip := r.blocks, 0
	if r.first < s.next { // what is decoded only to be stepped over
		skip = int(s.next - r.first)
		s.counters.Superseded += uint64(skip)
		blocks = s.stepOver(blocks, r.first, skip)
	}
	s.next = r.first + uint64(skip)
	if s.decode(blocks, s.next, r.count-skip, s.rows) > 0 || s.doubted() {
		return unreadable
	}
	s.next = end
	s.counters.Replayed += uint64(r.count - skip)
	return applied
}

// begins says that the log may begin with this message: nothing but what the snapshot's parts say they have is before it.
func (s *Shadow) begins(first uint64) bool { return s.next == s.lowest && first == s.lowest+1 }

// fresh says that the snapshot had nothing at all: where the log begins does not matter then.
func (s *Shadow) fresh() bool { return s.next == 1 && s.lowest == 0 }

// stepOver gives what follows the first count messages.
func (s *Shadow) stepOver(blocks []byte, first uint64, count int) []byte {
	for b := s.batch; count > 0; b.Reset() {
		used, n := s.Decoder.Append(blocks, first, count, b)
		if used == 0 && n == 0 && b.N == 0 {
			break
		}
		blocks, first, count = blocks[used:], first+uint64(n), count-n
	}
	s.batch.Reset()
	s.doubted() // whoever is refused there is not of interest
	return blocks
}

// rows has the books apply a batch: one row at a time near the snapshot's end, or ends.
func (s *Shadow) rows(b *tick.Batch) {
	for i := range b.N {
		switch b.Kind[i&tick.RowMask] {
		case tick.KindDefinition, tick.KindStatus, tick.KindSystem:
			s.note(b, i&tick.RowMask)
		}
	}
	if s.next >= s.guarded {
		s.Books.Apply(b, 0, b.N)
		if s.Prices != nil {
			s.Prices.Apply(b, 0, b.N)
		}
		return
	}
	for i := range b.N {
		s.guardedRow(b, i)
	}
}

// guardedRow applies a row to the books that do not have it yet.
func (s *Shadow) guardedRow(b *tick.Batch, i int) {
	var in of
	if b.Sequence[i] <= s.highest && len(s.parts) > 0 {
		in = s.parts[b.Instrument[i]]
	}
	kind := b.Kind[i]
	if in[Orders].has(b, i) {
		b.Kind[i] = 0
		s.counters.Superseded++
	} else if kind == tick.KindAdd && s.has(b, i) {
		b.Kind[i] = 0
		s.counters.AlreadyThere++
		s.odd++
	}
	before := s.Books.Counters().Unknown
	s.Books.Apply(b, i, i+1)
	if s.Books.Counters().Unknown != before {
		s.counters.UnknownAfter++
		s.odd++
	}
	if b.Kind[i] = kind; s.Prices == nil {
		return
	}
	if in[Levels].has(b, i) {
		b.Kind[i] = 0
		s.counters.Superseded++
	}
	s.Prices.Apply(b, i, i+1)
	b.Kind[i] = kind
}

// has says that the order of an add rests already, the same in everything.
func (s *Shadow) has(b *tick.Batch, i int) bool {
	o, ok := s.Books.OrderOf(b.Instrument[i], b.OrderID[i])
	return ok && o == book.Order{
		ID: b.OrderID[i], Price: b.Price[i], Size: b.Size[i], Instrument: b.Instrument[i], MPID: uint32(b.Aux[i]), Side: b.Side[i],
	}
}

// note takes what is said of instruments. Of two trading states the later one holds, whatever order a snapshot has them in.
func (s *Shadow) note(b *tick.Batch, i int) {
	first, n := tick.SplitSideRows(b.Aux[i])
	switch b.Kind[i] {
	case tick.KindSystem:
		s.System, s.SystemAt = b.Sub[i], b.TsEvent[i]
	case tick.KindDefinition:
		for k := first; k < first+n; k++ {
			a := s.know(b.Definitions[k].InstrumentID)
			a.Defined, a.Definition = true, b.Definitions[k]
		}
	case tick.KindStatus:
		for k := first; k < first+n; k++ {
			st := &b.Statuses[k]
			a := s.know(st.InstrumentID)
			switch {
			case st.Action == tick.StatusSSRChange:
				a.ShortSale = *st
			case st.TsEvent >= a.Trading.TsEvent:
				a.Trading = *st
			}
		}
	}
}
