package pipeline

import (
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/tick"
)

// Where a venue numbers its levels, price books come back from the stream itself (resync.Natural), instrument by instrument:
//
//	       loss                         a book is known, between two events
//	clean ──────► suspect, learning ────────────────────────────────────────► its levels are clean; R … , top, Gap{closed} of the instrument
//
// The mark is the instruments' own from the start: no row is marked for its channel's sake. What is told goes by what has become certain:
//
//	venue's levels alone (Config.Levels)     mbo: R and the levels; mbp1, mbp10, .last, ext; Gap{closed} that names the instrument
//	levels beside orders                     mbp1, mbp10, .last, ext: orders do not come back so, and stay suspect in the mbo ring …
//	… unless the venue has emptied the book  the same, and mbo: R and the orders since, Gap{closed}
//
// A snapshot, where there is one, is better: the exchange of books ends it.

// entryDecoder is a decoder of a venue that counts the entries of each instrument: RptSeq is the number of the last one, 0: none came.
type entryDecoder interface{ RptSeq(id uint32) uint32 }

// naturalMost is how many instruments are told in a pass: some 1,600 records.
const naturalMost = 64

// Natural are the counters of books that come back from the stream itself; nil when that is off. Owned by the lane.
func (l *Lane) Natural() *resync.NaturalCounters {
	if len(l.naturals) == 0 {
		return nil
	}
	return &l.natural
}

// learns gives a stream what learns its price books. It must not move from here on.
func (s *Stream) learns(on bool) {
	if !on {
		return
	}
	s.natural = resync.NewNatural(&s.l.natural)
	s.entries, _ = s.decoder.(entryDecoder)
	s.l.naturals = append(s.l.naturals, s)
}

// unlearn puts all of the channel's books in doubt: the messages from first to last are missing. refused: one that came could not be read, so that what the decoder knows of
// entries' numbers is no measure, and of the rows that are in the batch nobody knows which are before it.
func (s *Stream) unlearn(first, last uint64, refused bool) {
	l, n, p := s.l, s.natural, s.l.depth.prices
	if books, orders := n.Doubted(); books == 0 && (orders == 0 || l.depth.levels) || s.lostFirst == 0 {
		s.lostFirst, s.lostLast = first, last
	}
	s.lostFirst, s.lostLast = min(s.lostFirst, first), max(s.lostLast, last)
	s.skip = refused && l.batch.N > 0
	n.Begin()
	s.decoder.Instruments(func(id uint32) bool {
		next, was := uint64(0), p.Suspect(id)
		if !was && !refused && s.entries != nil {
			next = uint64(s.entries.RptSeq(id)) + 1
		}
		n.Lose(id, next)
		l.setSuspect(id, true)
		if !was && (p.Seen(id) || l.books.Seen(id)) { // else its latest value is marked, or says nothing
			l.distrustLast(id)
		}
		return true
	})
	if l.streams == 1 {
		l.setSuspectAll(true)
	} else {
		s.unsure = true // what is met later is marked then: others of the lane's instruments are not of this channel
	}
	l.noteNatural()
}

// unlearnOne puts one instrument in doubt, orders and all: the decoder says that messages of it are missing. Of its rows in the batch nobody knows which are before them.
func (s *Stream) unlearnOne(id uint32) {
	if s.natural == nil {
		return
	}
	s.natural.Lack(id)
	if s.l.batch.N > 0 {
		s.lacked = append(s.lacked, id)
	}
	s.l.noteNatural()
}

// markNew marks instruments that are met for the first time since a loss.
func (s *Stream) markNew(from int) {
	b := s.l.batch
	for i := from; i < b.N; i++ {
		if id := b.Instrument[i&tick.RowMask]; id != 0 && !s.natural.Knows(id) {
			s.natural.Lose(id, 1)
			s.l.setSuspect(id, true)
		}
	}
}

// learn takes what the batch says of levels, before the price books complete it.
func (s *Stream) learn() {
	if b := s.l.batch; !s.skip {
		s.natural.Apply(b, 0, b.N)
	}
	for _, id := range s.lacked {
		s.natural.Lack(id)
	}
	s.skip, s.lacked = false, s.lacked[:0]
	s.l.noteNatural()
}

// doubtBooks puts instruments in doubt for which rows of the batch came that do not fit.
func (s *Stream) doubtBooks() {
	b := s.l.batch
	s.l.doubts = s.l.depth.prices.Doubts()
	for i := range b.N {
		if b.State[i&tick.RowMask]&tick.StateSuspectLevels != 0 {
			if id := b.Instrument[i&tick.RowMask]; s.natural.Doubt(id) {
				s.l.distrustLast(id)
			}
		}
	}
	s.l.noteNatural()
}

// tellWhole publishes the instruments whose books have become known.
func (s *Stream) tellWhole() {
	l := s.l
	s.begin()
	l.publish = l.now
	if !l.files && !l.replay {
		l.publish = l.clock()
	}
	s.natural.Whole(naturalMost, l.batch, func(w resync.Whole, b *tick.Batch) bool { return s.whole(w, b) })
	l.batch.Reset()
	l.flush()
	l.noteNatural()
}

// whole makes an instrument's price book what b says, unless nothing was lost, and publishes it. false: it does not fit the instrument.
func (s *Stream) whole(w resync.Whole, b *tick.Batch) bool {
	l, p, id := s.l, s.l.depth.prices, w.Instrument
	switch {
	case w.Follows && p.Misfit(id): // it was right, and what came since says that it is not
		return false
	case w.Follows:
		p.SetSuspect(id, false)
	default:
		p.Apply(b, 0, b.N)
		l.doubts = p.Doubts()
		if p.Suspect(id) {
			return false
		}
	}
	orders := w.Lost && w.Orders || l.depth.levels
	if orders {
		l.books.SetSuspect(id, false)
		l.books.SetBehind(id, false)
		l.tellOrders(id)
	}
	l.tellTop(id)
	l.tellDepth(id)
	if !w.Follows {
		l.tellImplied(id, false)
	}
	if orders && w.Lost && s.lostFirst != 0 {
		l.flush()
		l.gapRecord(session.Gap{First: s.lostFirst, Last: s.lostLast, State: tick.GapClosed}, 0, id)
	}
	return true
}

// trustAll ends natural refresh of all channels: their books are the venue's again.
func (l *Lane) trustAll() {
	for _, s := range l.naturals {
		s.trust(false)
	}
}

// doubtRebuilt begins it for the price books that were made anew and are in doubt all the same: what came meanwhile did not fit them.
func (s *Stream) doubtRebuilt() {
	p := s.l.depth.prices
	if s.natural == nil {
		return
	}
	p.Instruments(func(id uint32) bool {
		if p.Suspect(id) {
			s.natural.Doubt(id)
		}
		return true
	})
	s.l.noteNatural()
}

// trust ends it for a channel. definitions: those of its instruments are void as well.
func (s *Stream) trust(definitions bool) {
	if s.natural == nil {
		return
	}
	s.natural.Forget(definitions)
	s.unsure, s.skip, s.lacked, s.lostFirst, s.lostLast = false, false, s.lacked[:0], 0, 0
	s.l.noteNatural()
}

// States of natural refresh, as resync.NaturalCounters.LiveState says them.
const (
	naturalClean  uint64 = 0
	naturalLevels uint64 = 1
	naturalOrders uint64 = 2
)

// noteNatural keeps what the counters say of the present.
func (l *Lane) noteNatural() {
	c := &l.natural
	c.LiveDoubted, c.LiveState = 0, naturalClean
	for _, s := range l.naturals {
		books, orders := s.natural.Doubted()
		c.LiveDoubted += uint64(books)
		switch {
		case orders > 0 && !l.depth.levels:
			c.LiveState = naturalOrders
		case books > 0:
			c.LiveState = max(c.LiveState, naturalLevels)
		}
	}
}
