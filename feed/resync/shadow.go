package resync

import (
	"errors"
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
	highest    uint64 // of all numbers that the snapshot, or its parts, are as of: until then rows are held against parts
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

const (
	pending uint32 = iota
	taken
	declined
)

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
	s.highest = 0
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
			case tick.TradingState(st.Action) && st.TsEvent >= a.Trading.TsEvent: // others would hide the state that the lane lacks
				a.Trading = *st
			}
		}
	}
}
