package mdp3

import (
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Snapshot is the head of a snapshot message (sheet section 11).
type Snapshot struct {
	Instrument uint32
	Last       uint32 // number of the incremental feed's last packet that is in it (tag 369)
	Reports    uint32 // messages, or for orders instruments, of the loop (tag 911)
	RptSeq     uint32 // last entry that is in it (tag 83); 0 in those of orders
	Time       uint64 // TransactTime of the last event that is in it, ns since the Unix epoch
	Chunk      uint32 // of orders: this message's number, from 1, …
	Chunks     uint32 // … of so many
	Orders     bool   // it is of orders, not of levels
}

// ParseSnapshot reads the head of a snapshot (templates 52, 38, 69, 53, 44). ok is false for other messages, and where the head is cut off.
func ParseSnapshot(m Message) (s Snapshot, ok bool) {
	switch m.Template() {
	case SnapshotFullRefresh, OldSnapshotFullRefresh, SnapshotFullRefreshLongQty:
		block, _, ok := root(m, len(wire.SnapshotFullRefresh52{}))
		if !ok {
			return s, false
		}
		e := (*wire.SnapshotFullRefresh52)(block)
		return Snapshot{Instrument: uint32(e.SecurityID()), Last: e.LastMsgSeqNumProcessed(), Reports: e.TotNumReports(),
			RptSeq: e.RptSeq(), Time: e.TransactTime(), Chunk: 1, Chunks: 1}, true
	case SnapshotFullRefreshOrderBook, OldSnapshotFullRefreshOrderBook:
		block, _, ok := root(m, len(wire.SnapshotFullRefreshOrderBook53{}))
		if !ok {
			return s, false
		}
		e := (*wire.SnapshotFullRefreshOrderBook53)(block)
		return Snapshot{Instrument: uint32(e.SecurityID()), Last: e.LastMsgSeqNumProcessed(), Reports: e.TotNumReports(),
			Time: e.TransactTime(), Chunk: e.CurrentChunk(), Chunks: e.NoChunks(), Orders: true}, true
	}
	return s, false
}

// SnapshotBook makes the rows of one snapshot of price levels (templates 52, 38, 69): the book empty (BookLevels), its levels from the best on, then statistics,
// limits and state; all with FlagSnapshot and with sequence. Entries of the incremental feed are expected from its RptSeq on. out needs room for
// 1,024 rows and 516 side rows. An error leaves no rows.
func (d *Decoder) SnapshotBook(m Message, sequence uint64, out *tick.Batch) error {
	return d.alone(m, sequence, out, func(m Message) error {
		if d.snapshotPlan(m.Template()) == nil {
			return ErrTemplate
		}
		return d.snapshotBook(m, out)
	})
}

// SnapshotOrders does so with one chunk of a snapshot of orders (templates 53, 44): chunk 1 empties the book (BookOrders), orders come in the order in which
// they stand in it. Chunks are to be given in order, all of one Last. The last row of a chunk that is not the last one has FlagMore.
func (d *Decoder) SnapshotOrders(m Message, sequence uint64, out *tick.Batch) error {
	return d.alone(m, sequence, out, func(m Message) error { return d.snapshotOrders(m, out) })
}

// Snapshot is ParseSnapshot of a message that may be of a newer schema (Options.Schema).
func (d *Decoder) Snapshot(m Message) (s Snapshot, ok bool) {
	if m = d.local(m); m == nil {
		return s, false
	}
	return ParseSnapshot(m)
}

// alone makes rows of a message that does not come by Append.
func (d *Decoder) alone(m Message, sequence uint64, out *tick.Batch, rows func(Message) error) error {
	if m = d.local(m); m == nil {
		return errBlock
	}
	if out != d.last || out.N < d.lastOut || out.N == 0 {
		d.into(out)
	}
	was := d.sequence
	d.sequence, d.lacked = sequence, 0
	n := out.N
	err := rows(m)
	if err != nil {
		d.refuse(n, out)
	}
	d.sequence, d.lastOut = was, out.N
	return err
}

// snapshotOrders decodes templates 53 and 44.
func (d *Decoder) snapshotOrders(m Message, out *tick.Batch) error {
	head, ok := ParseSnapshot(m)
	if !ok || !head.Orders {
		return errBlock
	}
	if d.opts.Feed == FeedMBP {
		return nil
	}
	_, rest, _ := root(m, 0)
	orders, _, ok := group(rest, narrow, len(wire.SnapshotFullRefreshOrderBook53MDEntries{}))
	if !ok {
		return errGroup
	}
	scale := int64(1)
	if m.Template() == OldSnapshotFullRefreshOrderBook {
		scale = oldScale
	}
	s := &d.of.slots[d.of.find(head.Instrument)]
	if s.undefined() {
		d.lack(s)
		return nil
	}
	first := out.N
	err := d.beside(head.Time, func() error {
		if head.Chunk <= 1 {
			s.top = 0
			d.clear(out, s, BookOrders)
		}
		return d.whole(s, chainOrders, head.Chunk <= 1, func() error {
			for i := range orders.n {
				o := (*wire.SnapshotFullRefreshOrderBook53MDEntries)(orders.at(i))
				if err := d.order(out, s, o.OrderID(), o.MDOrderPriority(), o.MDEntryPx(), scale, o.MDDisplayQty(), 0, o.MDEntryType()); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	flagSnapshot(out, first)
	if head.Chunk < head.Chunks && out.N > first {
		last := &out.Flags[(out.N-1)&tick.RowMask]
		*last = d.goesOn(*last, chainOrders)
	}
	return nil
}

// topOrders decodes template 59: the best orders of an instrument, told anew each time.
func (d *Decoder) topOrders(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, len(wire.SnapshotRefreshTopOrders59{}))
	if !ok {
		return errBlock
	}
	orders, _, ok := group(rest, narrow, len(wire.SnapshotRefreshTopOrders59MDEntries{}))
	if !ok {
		return errGroup
	}
	e := (*wire.SnapshotRefreshTopOrders59)(block)
	d.begin(e.TransactTime(), out)
	if d.opts.Feed != FeedMBP {
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		if err := d.topOrdersOf(s, orders, out); err != nil {
			return err
		}
	}
	d.end(e.MatchEventIndicator())
	return nil
}

func (d *Decoder) topOrdersOf(s *instrument, orders entries, out *tick.Batch) error {
	if s.undefined() {
		d.lack(s)
		return nil
	}
	s.top = 0
	first := out.N
	d.clear(out, s, BookOrders)
	for i := range orders.n {
		o := (*wire.SnapshotRefreshTopOrders59MDEntries)(orders.at(i))
		if err := d.order(out, s, o.OrderID(), o.MDOrderPriority(), o.MDEntryPx(), 1, o.MDDisplayQty(), 0, o.MDEntryType()); err != nil {
			return err
		}
	}
	flagSnapshot(out, first)
	return nil
}
