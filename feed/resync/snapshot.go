package resync

import (
	"cmp"
	"slices"

	"github.com/tickwire/tickwire/tick"
)

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
// not in the snapshot; 0: each of its parts has its own, and what was logged is applied from its beginning, number from.
func (s *Shadow) end(next, from uint64) {
	if s.next = next; next == 0 {
		s.next = from
	} else {
		s.highest = next - 1
	}
	s.guarded = s.highest + 1 + guard
	s.counters.Orders += uint64(len(s.orders))
	if next != 0 { // those of parts come in the order of their queues
		slices.SortFunc(s.orders, func(a, b resting) int {
			if a.at != b.at {
				return cmp.Compare(a.at, b.at)
			}
			return cmp.Compare(a.turn, b.turn)
		})
	}
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
