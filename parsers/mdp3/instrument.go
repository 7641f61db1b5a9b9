package mdp3

// instrument is what the decoder remembers of one SecurityID for each of its entries, 64 bytes: one cache line.
type instrument struct {
	id      uint32
	rpt     uint32    // the RptSeq that comes next, 0: not known
	chain   [2]uint64 // by chain: the last row of it, as Decoder.here counts rows
	top     uint64    // highest MDOrderPriority that one of its orders had
	inverse uint64    // these and shift: its factor (price.go)
	bias    uint64
	num     int64
	past    uint32 // RptSeq that were missing
	asked   uint16 // changes of the shared definitions when it was last found lacking (shared.go)
	shift   uint8
	flags   uint8
}

// about is what else its definition says, for states of groups and for spreads of which it is a leg.
type about struct {
	group  uint64 // SecurityGroup and Asset, packed as on the wire
	asset  uint64
	symbol [20]byte // zeros: not known
	under  uint32   // UnderlyingSecurityID
	class  byte     // DBN instrument_class
	short  uint8    // by chain: the latest snapshot of that book had inexact prices
	// updated is LastUpdateTime of the definition in force, 0: it has none.
	updated int64
}

const (
	seen    uint8 = 1 << 0 // met since Start
	defined uint8 = 1 << 1 // its definition is known
	jumped  uint8 = 1 << 2 // its RptSeq jumped, and nobody asked yet
	listed  uint8 = 1 << 3 // it is in Decoder.heldBack
	held    uint8 = 1 << 4 // by chain, two bits: its last row was given out with FlagMore
	lacking uint8 = 1 << 6 // entries were left out since Start for want of its definition
	doubted uint8 = 1 << 7 // it is in Decoder.doubtful
)

// instruments finds them by SecurityID: open addressing over slots, grown by doubling. It allocates where an instrument is met for the first time.
//
//	index   63           32 31            0
//	        | SecurityID   | slot × 64    |    0: nothing, for slot 0 is nobody's
type instruments struct {
	slots  []instrument
	about  []about // by slot
	index  []uint64
	begin  factor       // that an instrument has before its definition
	share  *Definitions // where others may have met it; nil: there are none, or no need
	shift  uint
	last   uint32 // slot that was found last, 0: none: entries of one instrument stand together
	lastID uint32
}

func (t *instruments) reset(begin factor, share *Definitions) {
	*t = instruments{begin: begin, share: share, slots: make([]instrument, 1), about: make([]about, 1)}
	t.slots[0].bias = unknown.bias
	t.grow(1 << 10)
}

func (t *instruments) grow(size int) {
	t.index = make([]uint64, size)
	t.shift = 32
	for n := size; n > 1; n >>= 1 {
		t.shift--
	}
	for i := range t.slots[1:] {
		t.put(uint32(i + 1))
	}
}

// put enters a slot in the index.
func (t *instruments) put(slot uint32) {
	id := t.slots[slot].id
	t.index[t.place(id)] = uint64(id)<<32 | uint64(slot)<<slotShift
}

const (
	slotShift = 6 // a slot has 64 bytes
	mostSlots = 1 << (32 - slotShift)
)

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
		return t.last
	}
	return t.search(id)
}

func (t *instruments) search(id uint32) uint32 {
	n := uint32(t.index[t.place(id)]) >> slotShift
	if n == 0 {
		return t.meet(id)
	}
	t.last, t.lastID = n, id
	return n
}

func (t *instruments) meet(id uint32) uint32 {
	if len(t.slots) == mostSlots {
		return 0 // nobody's, without a definition: left out
	}
	if 2*len(t.slots) >= len(t.index) {
		t.grow(2 * len(t.index))
	}
	f := t.begin
	if t.share != nil {
		if shared, ok := t.share.get(id); ok {
			f = shared.f
		}
	}
	t.slots = append(t.slots, instrument{id: id, inverse: f.inverse, bias: f.bias, num: f.num, shift: f.shift})
	t.about = append(t.about, about{class: ' '})
	t.last, t.lastID = uint32(len(t.slots)-1), id
	t.put(t.last)
	return t.last
}

// known gives an instrument's slot, and not of one that was never met.
func (t *instruments) known(id uint32) (slot uint32, ok bool) {
	n := uint32(t.index[t.place(id)]) >> slotShift
	return n, n != 0
}

// forget voids what was of the session; definitions stay.
func (t *instruments) forget() {
	for i := range t.slots {
		s := &t.slots[i]
		s.rpt, s.chain, s.top, s.past, s.flags = 0, [2]uint64{}, 0, 0, s.flags&defined
		t.about[i].short = 0
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
