package mdp3

import "github.com/tickwire/tickwire/tick"

// Events (sheet section 6). An event is several messages with one TransactTime, the last of which has EndOfEvent; it may span packets, and a packet
// may have several. Orders and price levels are two chains of an instrument's rows in it, for they become records of different rings; trades, and a clear of both
// books, are of both. A row says whether another one of its chain follows: tick.FlagMore, tick.FlagMoreElse. Rows of no chain (implied levels, statistics, states, …)
// come between them and end nothing: they have FlagMore.
//
//   - Within a packet that is known: as a row is made, the one before it is flagged.
//   - An event that a packet leaves open may go on: all its rows keep FlagMore, for the book is not consistent yet.
//   - When its end comes, an instrument of which nothing more came gets a row that says only this: KindExt without entries, Sub the book.
//   - An end that does not come (another TransactTime, or a hole in the sequence) is taken for one, and counted.

// Chains of rows. With FeedMBP or FeedMBO there is only one.
const (
	chainOrders = 0
	chainLevels = 1
	ofOrders    = 1 << chainOrders
	ofLevels    = 1 << chainLevels
)

// Sub of rows that are about one of an instrument's two books: KindClear of a snapshot, KindExt at the end of an event.
const (
	BookBoth   byte = 0
	BookLevels byte = 'L' // price levels, the implied ones too
	BookOrders byte = 'O' // orders, and trades
)

// begin makes a message part of its event.
func (d *Decoder) begin(time uint64, out *tick.Batch) {
	if d.open && time != d.time {
		d.interrupt()
	}
	if !d.open {
		d.start, d.open = out.N, true
	}
	d.time = time
}

// end closes the event if a message says that it was the last.
func (d *Decoder) end(indicator uint8) {
	if indicator&EndOfEvent != 0 {
		d.close()
	}
}

// interrupt closes an event whose end did not come.
func (d *Decoder) interrupt() {
	if d.open {
		d.Counters.Interrupted++
		d.close()
	}
}

func (d *Decoder) close() {
	d.open = false
	d.event++
	d.trades.reset()
	if len(d.heldBack) > 0 {
		d.todo.kinds |= sweepClose
	}
}

// row fills in what rows have in common and counts it. Its caller has made sure that there is room. Hot path.
func (d *Decoder) row(out *tick.Batch, s *instrument, kind tick.Kind) (i int) {
	i = out.N & tick.RowMask
	out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = kind, 0, tick.SideNone, d.flags[kind&31]
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = s.id, d.time, d.sequence
	out.OrderID[i], out.Aux[i] = 0, 0
	out.Price[i], out.Size[i] = tick.UndefPrice, 0
	s.flags |= seen
	out.N++
	switch kind {
	case tick.KindTrade, tick.KindFill:
		d.markAll(out, s, i)
	}
	return i
}

// clear makes a row that empties one of an instrument's books, or both.
func (d *Decoder) clear(out *tick.Batch, s *instrument, book byte) {
	i := d.row(out, s, tick.KindClear)
	out.Sub[i], out.Flags[i] = book, d.flagsOf(d.chainsOf(tick.KindClear, book))
	d.markAll(out, s, i)
}

// markAll is mark for every chain that a row is of, by its kind.
func (d *Decoder) markAll(out *tick.Batch, s *instrument, i int) (chains uint8) {
	chains = d.chainsOf(out.Kind[i&tick.RowMask], out.Sub[i&tick.RowMask])
	for chain := range 2 {
		if chains>>chain&1 != 0 {
			d.mark(out, s, i, chain)
		}
	}
	return chains
}

// chainsOf are the chains of a row, one bit each.
func (d *Decoder) chainsOf(kind tick.Kind, sub byte) uint8 {
	switch {
	case kind == tick.KindTrade, kind == tick.KindClear && sub == BookBoth:
		return d.chains
	case kind == tick.KindLevel, kind == tick.KindClear && sub == BookLevels:
		return d.chains & ofLevels
	case kind == tick.KindFill && d.chains == ofLevels: // beside trades
		return ofLevels
	case kind == tick.KindAdd, kind == tick.KindModify, kind == tick.KindDelete, kind == tick.KindFill, kind == tick.KindClear:
		return d.chains & ofOrders
	}
	return 0
}

// chainTables sets what follows from the feed: the chains that there are, and the flags that rows begin with. Of levels alone all rows are of one chain.
func (d *Decoder) chainTables() {
	switch d.chains = ofOrders | ofLevels; d.opts.Feed {
	case FeedMBO:
		d.chains = ofOrders
	case FeedMBP:
		d.chains = ofLevels
	}
	for kind := range d.flags {
		d.flags[kind] = d.flagsOf(d.chainsOf(tick.Kind(kind), 0))
	}
}

// flagsOf are the flags of a row that is the last of these chains, and is not of the others: there more may follow.
func (d *Decoder) flagsOf(chains uint8) uint8 {
	switch {
	case chains == d.chains:
		return 0
	case chains == 0:
		return tick.FlagMore
	case chains == ofOrders:
		return tick.FlagMoreElse
	}
	return tick.FlagMore | tick.FlagMoreElse
}

// goesOn are a row's flags when another one of a chain follows.
func (d *Decoder) goesOn(flags uint8, chain int) uint8 {
	orders, levels := tick.More(flags)
	switch {
	case d.chains != ofOrders|ofLevels:
		return flags | tick.FlagMore
	case chain == chainOrders && !orders:
		return flags ^ (tick.FlagMore | tick.FlagMoreElse)
	case chain == chainLevels && !levels:
		return flags ^ tick.FlagMoreElse
	}
	return flags
}

// mark notes that an instrument's last row of a chain is i, and that the one before it in the event is not. Hot path.
func (d *Decoder) mark(out *tick.Batch, s *instrument, i, chain int) {
	chain &= 1
	here := d.here()
	if was := s.chain[chain]; was^here < tick.MaxRows {
		before := &out.Flags[was&tick.RowMask]
		*before = d.goesOn(*before, chain)
	}
	s.chain[chain] = here | uint64(i)
	s.flags = s.flags&^(held<<chain) | seen
}

// here is the number of row 0 of the batch in the event: the event's number, the batch's, the row's, in 32, 20 and 12 bits.
func (d *Decoder) here() uint64 { return uint64(d.event)<<32 | uint64(d.batch)*tick.MaxRows }

// aside fills in a row that is about no instrument.
func (d *Decoder) aside(out *tick.Batch, kind tick.Kind) (i int) {
	return d.row(out, &instrument{}, kind)
}

// hold flags the rows of an event that the call leaves open, and remembers their instruments.
func (d *Decoder) hold(out *tick.Batch) {
	for i := d.start; i < out.N; i++ {
		i := i & tick.RowMask
		chains := d.chainsOf(out.Kind[i], out.Sub[i])
		if chains == 0 || out.Flags[i]&tick.FlagSnapshot != 0 {
			continue
		}
		out.Flags[i] = tick.FlagMore
		n := d.of.find(out.Instrument[i])
		s := &d.of.slots[n]
		if s.flags&listed == 0 {
			d.heldBack = append(d.heldBack, n)
		}
		s.flags |= held*chains | listed
	}
}

// beside runs what makes rows that are no part of the channel's events: snapshots, definitions.
func (d *Decoder) beside(time uint64, rows func() error) error {
	open, was := d.open, d.time
	d.event++
	d.time = time
	err := rows()
	d.event++
	d.open, d.time = open, was
	return err
}

// repair flags the call's rows of the open event anew, after a refused message's rows were taken back.
func (d *Decoder) repair(out *tick.Batch) {
	d.event++
	if !d.open {
		return
	}
	for i := d.start; i < out.N; i++ {
		i := i & tick.RowMask
		if out.Instrument[i] != 0 && out.Flags[i]&tick.FlagSnapshot == 0 {
			out.Flags[i] = d.flagsOf(d.chainsOf(out.Kind[i], out.Sub[i]))
			d.markAll(out, &d.of.slots[d.of.find(out.Instrument[i])], i)
		}
	}
}
