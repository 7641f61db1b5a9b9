package mdp3

// instrument is what the decoder remembers of one SecurityID, 64 bytes: one cache line.
type instrument struct {
	id    uint32
	rpt   uint32    // the RptSeq that comes next, 0: not known
	event [2]uint32 // by chain: the last event that had a row of it …
	row   [2]uint32 // … and that row: its place, and above it the number of its batch
	past  uint32    // RptSeq that were missing
	under uint32    // UnderlyingSecurityID of its definition
	top   uint64    // highest MDOrderPriority that one of its orders had
	group uint64    // SecurityGroup and Asset of its definition, packed as on the wire
	asset uint64
	class byte // DBN instrument_class of its definition
	flags uint8
}

const (
	seen    uint8 = 1 << 0 // met since Start
	defined uint8 = 1 << 1 // its definition is known
	jumped  uint8 = 1 << 2 // its RptSeq jumped, and nobody asked yet
	listed  uint8 = 1 << 3 // it is in Decoder.heldBack
	held    uint8 = 1 << 4 // by chain, two bits: its last row was given out with FlagMore
)

// instruments finds them by SecurityID: open addressing over slots, grown by doubling. It allocates where an instrument is met for the first time.
type instruments struct {
	slots   []instrument
	symbols [][20]byte // Symbol by slot, zeros: not known
	index   []uint64   // slot + 1, and the SecurityID above it; 0: nothing
	shift   uint
	last    uint32 // slot + 1 that was found last: entries of one instrument stand together
	lastID  uint32
}

func (t *instruments) reset() {
	*t = instruments{}
	t.grow(1 << 10)
}

func (t *instruments) grow(size int) {
	t.index = make([]uint64, size)
	t.shift = 32
	for n := size; n > 1; n >>= 1 {
		t.shift--
	}
	for i := range t.slots {
		t.index[t.place(t.slots[i].id)] = uint64(t.slots[i].id)<<32 | uint64(i+1)
	}
}

// place is where the index has an id, or would.
func (t *instruments) place(id uint32) uint32 {
	mask := uint32(len(t.index) - 1)
	at := id * 2654435769 >> t.shift
	for {
		n := t.index[at&mask]
		if uint32(n>>32) == id && n != 0 || n == 0 {
			return at & mask
		}
		at++
	}
}

// find gives an instrument's slot, met for the first time or not. Hot path.
func (t *instruments) find(id uint32) uint32 {
	if id == t.lastID && t.last != 0 {
		return t.last - 1
	}
	return t.search(id)
}

func (t *instruments) search(id uint32) uint32 {
	n := uint32(t.index[t.place(id)])
	if n == 0 {
		return t.meet(id)
	}
	t.last, t.lastID = n, id
	return n - 1
}

func (t *instruments) meet(id uint32) uint32 {
	if 2*len(t.slots) >= len(t.index) {
		t.grow(2 * len(t.index))
	}
	t.slots = append(t.slots, instrument{id: id, class: ' '})
	t.symbols = append(t.symbols, [20]byte{})
	t.last, t.lastID = uint32(len(t.slots)), id
	t.index[t.place(id)] = uint64(id)<<32 | uint64(t.last)
	return t.last - 1
}

// known gives an instrument's slot, and not of one that was never met.
func (t *instruments) known(id uint32) (slot uint32, ok bool) {
	n := uint32(t.index[t.place(id)])
	return n - 1, n != 0
}

// forget voids what was of the session; definitions stay.
func (t *instruments) forget() {
	for i := range t.slots {
		s := &t.slots[i]
		s.rpt, s.event, s.top, s.past, s.flags = 0, [2]uint32{}, 0, 0, s.flags&defined
	}
}

// Instruments calls fn with all instruments of the channel, until it returns false. Not for the hot path.
func (d *Decoder) Instruments(fn func(id uint32) bool) {
	for i := range d.of.slots {
		if d.of.slots[i].flags&seen != 0 && !fn(d.of.slots[i].id) {
			return
		}
	}
}

// RptSeq is the number of the last entry that an instrument's price book reflects (tag 83), 0: none is known.
func (d *Decoder) RptSeq(id uint32) uint32 {
	if n, ok := d.of.known(id); ok && d.of.slots[n].rpt != 0 {
		return d.of.slots[n].rpt - 1
	}
	return 0
}

// SetRptSeq says that an instrument's book reflects all entries up to this one: it was taken from a snapshot.
func (d *Decoder) SetRptSeq(id, rpt uint32) {
	s := &d.of.slots[d.of.find(id)]
	s.rpt, s.flags = rpt+1, s.flags&^jumped|seen
}

// Jumped calls fn with the instruments whose RptSeq jumped since it was last asked, and how many entries were missing in all since Start, until fn
// returns false: their price books are not right any more. Not for the hot path.
func (d *Decoder) Jumped(fn func(id, missing uint32) bool) {
	for i := range d.of.slots {
		s := &d.of.slots[i]
		if s.flags&jumped == 0 {
			continue
		}
		s.flags &^= jumped
		if !fn(s.id, s.past) {
			return
		}
	}
}

// report checks an entry's RptSeq. It goes up by one an entry and instrument, over all templates that have it (sheet section 7). What jumps is
// counted and decoded all the same: whether the book still holds is for the recovery to say.
func (d *Decoder) report(s *instrument, rpt uint32) {
	if want := s.rpt; rpt != want && want != 0 {
		if rpt > want {
			d.Counters.RptSeqGaps++
			s.past += rpt - want
			s.flags |= jumped
		} else {
			d.Counters.RptSeqBack++
		}
	}
	s.rpt = rpt + 1
}
