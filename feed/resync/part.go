package resync

import (
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// Part is what a snapshot says of one instrument: of its orders, of its levels, or what it is. Venues that send snapshots by instrument have each as of a number of
// its own (CME's LastMsgSeqNumProcessed):
//
//	log      … 41  42  43  44  45  46 …
//	ES, levels as of 42 ────►│           rows of 43 on are applied to its levels
//	ES, orders as of 44 ─────────►│      rows of 45 on to its orders
//	NQ, in no part               all rows that were logged are applied to an empty book
type Part struct {
	Instrument uint32
	What       What
	// AsOf is the number of the last message that the part reflects.
	AsOf uint64
	// Until is the time of the latest event that the part reflects, ns since the Unix epoch: of message AsOf, the rows of later events are not in
	// the part. 0: all of message AsOf is.
	Until uint64
	// Entry is the venue's number of the last entry of this instrument that the part reflects (CME's RptSeq), 0: there is none. Where rows have such numbers, in
	// OrderID of Level and Implied rows, they decide instead of AsOf.
	Entry uint64
	// Messages are the part's, as the decoder takes them: with the same decoder as what is logged, for it may learn from them. Their Add rows are
	// orders, in the order of their queues; Level and Implied rows are levels, from the first on, and Quote rows both sides; Definition, Status and System rows are noted; others
	// are not looked at.
	Messages [][]byte
}

// What a part is about.
type What uint8

// Kinds of parts.
const (
	Orders   What = iota // all resting orders of the instrument
	Levels               // all its levels, implied ones included
	Nothings             // neither: definitions and states, which AsOf is not looked at for
)

// ErrStale is a part that is older than the log: what came between is not known. The instrument's next one may do. It ends no attempt.
var ErrStale = errors.New("resync: this part of the snapshot is older than the log")

// reflected is how far an instrument's part reaches. The zero value reflects nothing.
type reflected struct {
	asOf, until, entry uint64
}

// has says that a row is in the part.
func (r *reflected) has(b *tick.Batch, i int) bool {
	if r.asOf == 0 {
		return false
	}
	if k := b.Kind[i]; r.entry != 0 && b.OrderID[i] != 0 && (k == tick.KindLevel || k == tick.KindImplied) {
		return b.OrderID[i] <= r.entry
	}
	return b.Sequence[i] < r.asOf || b.Sequence[i] == r.asOf && (r.until == 0 || b.TsEvent[i] <= r.until)
}

// of is what an instrument's rows are held against: by What.
type of [2]reflected

// part takes one part into the shadow.
func (s *Shadow) part(p *Part) error {
	if p.What > Nothings {
		return fmt.Errorf("resync: a part about %d", p.What)
	}
	if p.What != Nothings {
		o := s.parts[p.Instrument]
		if o[p.What].asOf != 0 {
			return fmt.Errorf("resync: instrument %d comes twice in a snapshot", p.Instrument)
		}
		o[p.What] = reflected{p.AsOf, p.Until, p.Entry}
		s.parts[p.Instrument] = o
		s.highest = max(s.highest, p.AsOf)
	}
	left := 0
	for _, m := range p.Messages {
		left += s.decode(m, p.AsOf, 1, func(b *tick.Batch) {
			s.counters.Snapshots += uint64(b.N)
			for i := range b.N {
				s.snapshotRow(b, i&tick.RowMask, p.What)
			}
			if s.Prices != nil && p.What != Orders {
				s.Prices.Apply(b, 0, b.N)
			}
		})
	}
	switch {
	case s.doubted() || left > 0:
		return ErrUnreadable
	case len(s.orders) > s.Books.Options().MaxOrders:
		return ErrTooMany
	}
	return nil
}

// snapshotRow takes a row of a snapshot.
func (s *Shadow) snapshotRow(b *tick.Batch, i int, what What) {
	switch b.Kind[i] {
	case tick.KindAdd:
		if what != Orders {
			break
		}
		s.orders = append(s.orders, resting{
			at: b.TsEvent[i], id: b.OrderID[i], price: b.Price[i], size: b.Size[i], mpid: uint32(b.Aux[i]),
			instrument: b.Instrument[i], turn: uint32(len(s.orders)), side: b.Side[i],
		})
		return
	case tick.KindDefinition, tick.KindStatus, tick.KindSystem, tick.KindExt:
		s.note(b, i)
		return
	case tick.KindLevel, tick.KindImplied, tick.KindQuote, tick.KindClear, tick.KindStatistics, tick.KindTrade:
		if what == Levels || what == Nothings && b.Kind[i] == tick.KindStatistics { // the price books apply levels; the rest has no place in them
			return
		}
		if what == Orders && b.Kind[i] == tick.KindClear {
			return
		}
	}
	s.counters.Strange++
}
