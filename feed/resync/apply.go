package resync

import (
	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/tick"
)

// guard is how many messages behind a snapshot are checked for a number that is wrong by one or a few.
const guard = 1024

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
