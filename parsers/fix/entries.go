package fix

import "github.com/tickwire/tickwire/tick"

type identity uint8

const (
	unset identity = iota
	byID
	byLevel
)

// market makes the rows of a W or an X.
func (d *Decoder) market(out *tick.Batch) (fits bool, err error) {
	md := &d.md
	if err = md.Decode(&d.m); err != nil {
		return true, err
	}
	if err = d.resolve(md.Instruments); err != nil {
		return true, err
	}
	if err = d.check(); err != nil {
		return true, err
	}
	whole := false
	if d.done == 0 {
		if fits, whole = d.fit(out); !fits {
			return false, nil
		}
		d.Counters.Entries += uint64(len(md.Entries))
	}
	d.unnumbered = d.opts.Identity == ByPrice
	if md.MsgType == 'W' {
		d.snapshot(out)
	}
	for ; d.done < len(md.Entries); d.done++ {
		if !whole && !hasRoom(out) {
			d.more(out)
			return false, nil
		}
		e := &md.Entries[d.done]
		x := &d.in.all[d.found[e.Instrument]]
		d.tell(out, x, md.SendingTime)
		if md.MsgType == 'X' {
			d.count(x, e)
		} else if e.Type == EntryEmptyBook {
			continue // the snapshot began with that
		}
		d.entry(out, x, e)
	}
	return true, nil
}

// fit says whether the message is to be taken now, and whether all of its rows have room: see fits.
func (d *Decoder) fit(out *tick.Batch) (now, whole bool) {
	rows, side := len(d.md.Entries)+1, 0
	for i := range d.md.Entries {
		switch e := &d.md.Entries[i]; e.Type {
		case EntryBid, EntryOffer, EntryEmptyBook, 0:
		case EntryTrade:
			if e.Action == ActionChange {
				rows++
			}
		default:
			side++
		}
	}
	return d.fits(out, rows, side)
}

// more says of a message's rows in this batch that others follow.
func (d *Decoder) more(out *tick.Batch) {
	for i := d.done; i < len(d.md.Entries); i++ {
		if x := &d.in.all[d.found[d.md.Entries[i].Instrument]]; x.message == d.number {
			out.Flags[x.row] |= tick.FlagMore
		}
	}
}

// check refuses what entries say before any of them has an effect, and settles what says which entry of a book each is about.
func (d *Decoder) check() error {
	md := &d.md
	news := 0
	for i := d.done; i < len(md.Entries); i++ {
		e := &md.Entries[i]
		if e.Action > ActionOverlay || e.Action < ActionNew {
			return ErrValue
		}
		switch e.Type {
		case EntryBid, EntryOffer:
			e.by = d.identity(&d.in.all[d.found[e.Instrument]], e)
		case 0:
			e.by = byID
			if e.Action == ActionNew {
				return ErrMissing
			}
		case EntryTrade:
			if e.Action > ActionDelete {
				return ErrValue
			}
			if e.Action != ActionNew && e.TradeID == nil && e.ID == nil {
				return ErrMissing
			}
			continue
		default:
			continue
		}
		if err := checkBook(e); err != nil {
			return err
		}
		if e.by == byID && (e.Action == ActionNew || e.Action == ActionOverlay) {
			news++
		}
	}
	if d.ids.count+news > d.ids.most {
		return errFull
	}
	return nil
}

// checkBook says whether a bid or an offer has all that it takes.
func checkBook(e *MDEntry) error {
	priced, sized := e.Price != tick.UndefPrice, e.Has&HasSize != 0
	switch {
	case e.by == byID:
		if e.ID == nil && (e.RefID == nil || e.Action == ActionNew) || e.Action == ActionNew && !(priced && sized) {
			return ErrMissing
		}
		if len(e.ID) > mostIDBytes {
			return errFull
		}
		if e.Action == ActionDeleteThru || e.Action == ActionDeleteFrom {
			return ErrValue // ids have no order
		}
	case e.Action == ActionNew || e.Action == ActionOverlay:
		if !priced || !sized {
			return ErrMissing
		}
	case e.Level == 0 && !priced, e.Action == ActionChange && !sized:
		return ErrMissing
	}
	return nil
}

// identity is what says which entry of the instrument's book is meant.
func (d *Decoder) identity(x *instrument, e *MDEntry) identity {
	switch d.opts.Identity {
	case ByID:
		return byID
	case ByLevel, ByPrice:
		return byLevel
	}
	switch d.md.BookType {
	case '1', '2':
		return byLevel
	case '3':
		return byID
	}
	if x.identity != unset && d.md.MsgType == 'X' {
		return x.identity
	}
	if e.ID != nil {
		return byID
	}
	return byLevel
}

// snapshot begins a W: its instrument's book is what it says, and nothing else. A W that has neither bids nor offers, such as
// that of a subscription of trades, leaves the book to the subscription that brought it, unless it says that it is empty.
func (d *Decoder) snapshot(out *tick.Batch) {
	md := &d.md
	x := &d.in.all[d.found[0]]
	d.tell(out, x, md.SendingTime)
	d.flags = tick.FlagSnapshot
	d.unnumbered = d.unnumbered || !d.numbered()
	if d.done > 0 {
		return
	}
	book, request, last := len(md.Entries) == 0, d.hashOf(md.ReqID), uint64(0)
	for i := range md.Entries {
		e := &md.Entries[i]
		book = book || e.Type == EntryBid || e.Type == EntryOffer || e.Type == EntryEmptyBook
		last = max(last, e.RptSeq)
	}
	if book || x.hasBook && x.bookOf == request {
		ts := md.SendingTime
		if md.body.Has&HasTime != 0 {
			ts = md.body.Time
		}
		x.bookOf, x.hasBook, x.lost, x.rptSeq = request, true, false, 0
		d.empty(out, x, ts)
	}
	x.rptSeq = max(x.rptSeq, last)
}

// empty makes a Clear row and forgets what was in the book.
func (d *Decoder) empty(out *tick.Batch, x *instrument, ts uint64) {
	d.ids.forget(&x.ids)
	x.identity = unset
	d.row(out, x, ts, tick.KindClear, true)
}

// count checks an entry's RptSeq: one for each entry of an instrument.
func (d *Decoder) count(x *instrument, e *MDEntry) {
	if e.RptSeq == 0 {
		return
	}
	if x.rptSeq != 0 && e.RptSeq != x.rptSeq+1 {
		d.Counters.SeqGaps++
		d.lose(x)
	}
	x.rptSeq = e.RptSeq
}

// entry makes an entry's rows. Hot path.
func (d *Decoder) entry(out *tick.Batch, x *instrument, e *MDEntry) {
	ts := d.md.SendingTime
	if e.Has&HasTime != 0 {
		ts = e.Time
	}
	typ := e.Type
	if typ == 0 { // the id says what it is: of bids and offers only ids are kept
		id := e.RefID
		if id == nil {
			id = e.ID
		}
		k := d.ids.find(x.id, id)
		if k == 0 {
			d.unknownID(x)
			return
		}
		typ = EntryBid
		if d.ids.nodes[k].side == tick.SideAsk {
			typ = EntryOffer
		}
	}
	switch typ {
	case EntryBid, EntryOffer:
		side := tick.SideBid
		if typ == EntryOffer {
			side = tick.SideAsk
		}
		if e.by == byID {
			d.order(out, x, e, side, ts)
		} else {
			d.level(out, x, e, side, ts)
		}
	case EntryTrade:
		d.trade(out, x, e, ts)
	case EntryEmptyBook:
		d.empty(out, x, ts)
	case EntryImbalance:
		d.imbalance(out, x, e, ts)
	default:
		d.statistic(out, x, e, ts)
	}
}

func (d *Decoder) unknownID(x *instrument) {
	d.Counters.UnknownIDs++
	d.lose(x)
}

// level makes a Level row. Where the entry has a number a size of 0 is left to the book, which doubts it: whether the levels behind move is not said.
func (d *Decoder) level(out *tick.Batch, x *instrument, e *MDEntry, side byte, ts uint64) {
	x.identity = byLevel
	number, code := e.Level, levelCodes[e.Action-ActionNew]
	if d.unnumbered {
		number = 0
	}
	if e.Size == 0 && number == 0 && e.Action <= ActionChange {
		d.Counters.Empty++
		if code = tick.LevelDelete; d.md.MsgType == 'W' {
			return
		}
	}
	i := d.row(out, x, ts, tick.KindLevel, true)
	out.Sub[i], out.Side[i], out.Price[i], out.Size[i], out.Aux[i] = code, side, e.Price, e.Size, tick.LevelAt(number, e.Orders)
}

// numbered says whether the levels of a W are numbered 1, 2, 3 … in turn on each side: else they are found by price.
func (d *Decoder) numbered() bool {
	var last [2]uint32
	for i := range d.md.Entries {
		e := &d.md.Entries[i]
		if e.Type != EntryBid && e.Type != EntryOffer {
			continue
		}
		side := &last[e.Type-EntryBid]
		if *side++; e.Level != *side || e.Size == 0 {
			return false
		}
	}
	return true
}

var levelCodes = [...]byte{tick.LevelNew, tick.LevelChange, tick.LevelDelete, tick.LevelThru, tick.LevelFrom, tick.LevelOverlay}
