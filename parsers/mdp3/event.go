package mdp3

import "github.com/tickwire/tickwire/tick"

// Events (sheet section 6). An event is several messages with one TransactTime, the last of which has EndOfEvent; it may span packets, and a packet
// may have several. A row has FlagMore if another row of its instrument follows in the event:
//
//   - Within a packet that is known: as a row is made, the one before it of its instrument is flagged.
//   - An event that a packet leaves open may go on: all its rows keep FlagMore, for the book is not consistent yet.
//   - When its end comes, an instrument of which nothing more came gets a row that says only this: KindExt without entries and without FlagMore.
//   - An end that does not come (another TransactTime, or a hole in the sequence) is taken for one, and counted.

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
	out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = kind, 0, tick.SideNone, 0
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = s.id, d.time, d.sequence
	out.OrderID[i], out.Aux[i] = 0, 0
	out.Price[i], out.Size[i] = tick.UndefPrice, 0
	d.mark(out, s, i)
	out.N++
	return i
}

// mark notes that an instrument's last row is i, and that the one before it in the event is not. Hot path.
func (d *Decoder) mark(out *tick.Batch, s *instrument, i int) {
	if s.event == d.event && s.batch == d.batch {
		out.Flags[s.row&tick.RowMask] |= tick.FlagMore
	}
	s.event, s.batch, s.row = d.event, d.batch, uint32(i)
	s.flags = s.flags&^held | seen
}

// aside fills in a row that is about no instrument.
func (d *Decoder) aside(out *tick.Batch, kind tick.Kind) (i int) {
	none := instrument{batch: d.batch - 1}
	return d.row(out, &none, kind)
}

// hold flags the rows of an event that the call leaves open, and remembers their instruments.
func (d *Decoder) hold(out *tick.Batch) {
	if !d.open {
		return
	}
	for i := d.start; i < out.N; i++ {
		id := out.Instrument[i&tick.RowMask]
		if id == 0 || out.Flags[i&tick.RowMask]&tick.FlagSnapshot != 0 {
			continue
		}
		out.Flags[i&tick.RowMask] |= tick.FlagMore
		n := d.of.find(id)
		s := &d.of.slots[n]
		if s.flags&listed == 0 {
			d.heldBack = append(d.heldBack, n)
		}
		s.flags |= held | listed
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
		out.Flags[i&tick.RowMask] &^= tick.FlagMore
		if out.Instrument[i&tick.RowMask] == 0 {
			continue
		}
		d.mark(out, &d.of.slots[d.of.find(out.Instrument[i&tick.RowMask])], i)
	}
}
