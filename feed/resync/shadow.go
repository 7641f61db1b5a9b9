package resync

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/tick"
)

// Shadow is books under construction, and what snapshot and log say of instruments besides. It belongs to the worker until it is
// offered, then to the lane until Lane.Return.
type Shadow struct {
	Books *book.Books
	// System is the code of the latest system event, SystemAt its time, ns since the Unix epoch; 0: none came.
	System   byte
	SystemAt uint64

	about   [1 << 16]uint32 // 1 + place in entries, by instrument
	entries []About

	generation uint64
	day        uint64 // the venue's midnight
	next       uint64 // number of the next message to apply
	guarded    uint64 // numbers below it are near the snapshot's end
	odd        int    // rows there that say the number is wrong
	verdict    atomic.Uint32

	batch    *tick.Batch
	parser   itch.Counters
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

// resting is an order of a snapshot, 48 bytes.
type resting struct {
	at         uint64 // ts_event
	id         uint64
	price      int64
	size       uint32 // as on the wire
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

func newShadow(o book.Options, c *Counters) (*Shadow, error) {
	s := &Shadow{counters: c}
	var err error
	if s.Books, err = book.New(o); err != nil {
		return nil, err
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
	clear(s.about[:])
	s.entries, s.orders = s.entries[:0], s.orders[:0]
	s.System, s.SystemAt = 0, 0
	s.generation, s.day, s.next, s.odd = generation, day, 0, 0
	s.parser = itch.Counters{}
	s.verdict.Store(pending)
}

// About gives what is known of an instrument, or nil.
func (s *Shadow) About(instrument uint32) *About {
	if instrument >= uint32(len(s.about)) || s.about[instrument] == 0 {
		return nil
	}
	return &s.entries[s.about[instrument]-1]
}

// know is About that makes an entry. Instruments have two bytes on the wire.
func (s *Shadow) know(instrument uint32) *About {
	instrument &= uint32(len(s.about) - 1)
	if s.about[instrument] == 0 {
		s.entries = append(s.entries, About{Instrument: instrument})
		s.about[instrument] = uint32(len(s.entries))
	}
	return &s.entries[s.about[instrument]-1]
}

// snapshot takes messages of a snapshot. Orders wait for its end: they may come in any order, and queues go by time.
func (s *Shadow) snapshot(blocks []byte, count int) error {
	most := s.Books.Options().MaxOrders
	for b := s.batch; count > 0; {
		used, n := itch.Append(blocks, s.day, 0, count, b, &s.parser)
		if n == 0 {
			return ErrUnreadable
		}
		blocks, count = blocks[used:], count-n
		s.counters.Snapshots += uint64(n)
		for i := range b.N {
			i &= tick.RowMask
			switch b.Kind[i] {
			case tick.KindAdd:
				s.orders = append(s.orders, resting{
					at: b.TsEvent[i], id: b.OrderID[i], price: b.Price[i], size: uint32(b.Size[i]), mpid: uint32(b.Aux[i]),
					instrument: b.Instrument[i], turn: uint32(len(s.orders)), side: b.Side[i],
				})
			case tick.KindDefinition, tick.KindStatus, tick.KindSystem, tick.KindExt:
				s.note(b, i)
			default:
				s.counters.Strange++
			}
		}
		b.Reset()
	}
	switch {
	case s.parser.Short != 0:
		return ErrUnreadable
	case len(s.orders) > most:
		return ErrTooMany
	}
	return nil
}

// end puts the snapshot's orders into the books: within a level by the time of their message, then as they came. Queue
// positions are estimates: nobody promises that a venue's queues go by these times.
func (s *Shadow) end(next uint64) {
	s.next, s.guarded = next, next+guard
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
			b.Kind[i], b.Side[i], b.Instrument[i] = tick.KindAdd, o.side, o.instrument
			b.OrderID[i], b.Price[i], b.Size[i], b.Aux[i] = o.id, o.price, uint64(o.size), uint64(o.mpid)
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
	case r.first > s.next:
		return missing
	case end <= s.next:
		s.counters.Superseded += uint64(r.count)
		return superseded
	}
	blocks, skip := r.blocks, int(s.next-r.first)
	b := s.batch
	if skip > 0 {
		s.counters.Superseded += uint64(skip)
		blocks = moldudp64.Skip(blocks, skip)
	}
	for count := r.count - skip; count > 0; {
		used, n := itch.Append(blocks, s.day, s.next, count, b, &s.parser)
		if n == 0 {
			return unreadable
		}
		s.rows()
		b.Reset()
		blocks, count = blocks[used:], count-n
		s.next += uint64(n)
		s.counters.Replayed += uint64(n)
	}
	if s.parser.Short != 0 {
		return unreadable
	}
	return applied
}

// rows has the books apply the batch, one row at a time near the snapshot's end.
func (s *Shadow) rows() {
	b := s.batch
	for i := range b.N {
		switch b.Kind[i&tick.RowMask] {
		case tick.KindDefinition, tick.KindStatus, tick.KindSystem:
			s.note(b, i&tick.RowMask)
		}
	}
	if s.next >= s.guarded {
		s.Books.Apply(b, 0, b.N)
		return
	}
	for i := range b.N {
		before := s.Books.Counters().Unknown
		if b.Kind[i] == tick.KindAdd && s.has(b, i) {
			b.Kind[i] = 0
			s.counters.AlreadyThere++
			s.odd++
		}
		s.Books.Apply(b, i, i+1)
		if s.Books.Counters().Unknown != before {
			s.counters.UnknownAfter++
			s.odd++
		}
	}
}

// has says that the order of an add rests already, the same in everything.
func (s *Shadow) has(b *tick.Batch, i int) bool {
	o, ok := s.Books.Order(b.OrderID[i])
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
