package pricebook

import (
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/tick"
)

// Options bound a Books. The zero value works.
type Options struct {
	// Depth is how many levels a side are kept, at most MaxDepth. It must not be less than what a venue that numbers its levels sends. Its cost is 48 bytes for each of an
	// instrument's levels. The default is 10.
	Depth int
	// Implied is how many levels a side the implied book has, at most Depth, where the definition does not say. The default is 2, CME's.
	Implied int
	// MaxInstruments is how many instruments there may be; their numbers may be any. The default is 1<<18.
	MaxInstruments int
}

// MaxDepth is the most levels a side.
const MaxDepth = 64

// Level is one price of one side, as package book has it.
type Level = book.Level

// Lists of levels of an instrument.
const (
	bids        = 0
	asks        = 1
	implied     = 2 // of bids; of asks one more
	lists       = 4
	perPiece    = 64
	defaultMost = 1 << 18
)

// Flags of an instrument.
const (
	flagSuspect  uint8 = 1 << 0
	flagOrders   uint8 = 1 << 1 // order rows came for it
	flagTouched  uint8 = 1 << 2 // orders or levels changed since they were compared
	flagUnsorted uint8 = 1 << 3 // overlaid levels stand out of order: at the event's end they must not
	flagImplied  uint8 = 1 << 4 // implied levels came for it
	flagMisfit   uint8 = 1 << 5 // a row did not fit since the mark was set, or taken off
)

type instrument struct {
	top    tick.BidAskPair
	number uint32
	n      [lists]uint8  // levels
	depth  [lists]uint8  // most levels
	beyond [lists]uint32 // levels by price that exist and are not kept
	flags  uint8
	event  uint64 // TsEvent of the rows that flagTouched is about
}

// piece is perPiece instruments and their levels.
type piece struct {
	instruments [perPiece]instrument
	levels      []Level
}

// Books are the price books of a lane's instruments. See the package comment.
type Books struct {
	pieces  []*piece
	places  map[uint32]uint32
	depths  map[uint32][2]uint8 // of definitions, where they are not the default
	count   uint32
	unknown uint8               // flags of instruments that are not known yet …
	odd     map[uint32]struct{} // … but of these, which have the other

	lastNumber, lastPlace uint32 // looked up last
	lastKnown             bool

	depth, implied, perInstrument int
	most                          int
	counters                      Counters
	doubts                        uint64

	gone []Gone
}

// Counters count what did not go by the book since Reset. All are zero on a clean day but TopMismatch, which two feeds of a venue may differ by, and Beyond.
type Counters struct {
	Absent         uint64 // changes and deletes of a level that is not there, new ones behind a hole; not applied, instrument suspect
	PriceMismatch  uint64 // changes and deletes of a level that has another price; not applied, instrument suspect
	OutOfOrder     uint64 // levels that are not between their neighbours, and sides whose levels are not at an event's end; suspect
	OverDepth      uint64 // levels beyond the instrument's depth; not applied, instrument suspect
	OverInstrument uint64 // rows, depths and marks of instruments beyond MaxInstruments; not applied
	BadSide        uint64 // levels on neither side; not applied, instrument suspect
	BadPrice       uint64 // new levels at no price; not applied, instrument suspect
	BadCode        uint64 // levels with a code that is none; not applied, instrument suspect
	ZeroSize       uint64 // new and changed levels of size 0; not applied, instrument suspect
	Duplicate      uint64 // new levels by price that were there: taken as changes
	ThruFrom       uint64 // rows that took several levels out; applied, instrument suspect, for their reading is not certain
	RanOut         uint64 // sides that lost all levels kept while others exist; instrument suspect
	TopMismatch    uint64 // events behind which the best prices or sizes of orders and levels differed, with neither suspect; seen when the instrument's next event begins

	Instruments uint64 // known
	Bytes       uint64 // of memory for instruments and levels
}

// New makes books without instruments. It fails when an option is out of range.
func New(o Options) (*Books, error) {
	var errs []error
	check := func(name string, v *int, def, most int) {
		switch {
		case *v == 0:
			*v = def
		case *v < 0 || *v > most:
			errs = append(errs, fmt.Errorf("pricebook: %s = %d, want 1 to %d (0: %d)", name, *v, most, def))
		}
	}
	check("Depth", &o.Depth, 10, MaxDepth)
	check("Implied", &o.Implied, min(2, max(1, o.Depth)), max(1, o.Depth))
	check("MaxInstruments", &o.MaxInstruments, defaultMost, 1<<24)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Books{
		places: make(map[uint32]uint32), depths: make(map[uint32][2]uint8), odd: make(map[uint32]struct{}), gone: make([]Gone, 0, tick.MaxRows),
		depth: o.Depth, implied: o.Implied, perInstrument: 2 * (o.Depth + o.Depth), most: o.MaxInstruments,
	}, nil
}

// Reset forgets instruments, their depths, flags and counters: a new day. Memory stays.
func (b *Books) Reset() {
	b.Empty()
	clear(b.depths)
}

// Empty is Reset that keeps depths: a new session of the same instruments.
func (b *Books) Empty() {
	clear(b.places)
	clear(b.odd)
	b.count, b.unknown, b.lastKnown = 0, 0, false
	b.counters = Counters{}
}

// Counters brings the counters up to date and returns them; they stay valid, and grow. They are the lane's: others read what the lane copies out.
func (b *Books) Counters() *Counters {
	b.counters.Instruments = uint64(b.count)
	b.counters.Bytes = uint64(len(b.pieces)) * perPiece * uint64(instrumentBytes+b.perInstrument*levelBytes)
	return &b.counters
}

// Top is the best prices of an instrument, sizes saturated as in a record, without the implied book. Hot path.
func (b *Books) Top(id uint32) tick.BidAskPair {
	if h := b.find(id); h != nil {
		return h.top
	}
	return tick.EmptyPair
}

// Levels fills dst with the best levels of a side (tick.SideBid or tick.SideAsk), best first, and returns how many there were to fill in. Hot path.
func (b *Books) Levels(id uint32, side byte, dst []Level) int { return b.copy(id, side, bids, dst) }

// Implied is Levels of the implied book.
func (b *Books) Implied(id uint32, side byte, dst []Level) int { return b.copy(id, side, implied, dst) }

func (b *Books) copy(id uint32, side byte, list int, dst []Level) int {
	h := b.find(id)
	if h == nil || side != tick.SideBid && side != tick.SideAsk {
		return 0
	}
	list += int(tick.SideBid - side)
	return copy(dst, b.levels(b.lastPlace, list)[:h.n[list]])
}

// Instruments calls fn with the instruments that have had a level since Reset, as they came, until fn returns false; it returns whether fn never did.
func (b *Books) Instruments(fn func(id uint32) bool) bool {
	for at := range b.count {
		if !fn(b.at(at).number) {
			return false
		}
	}
	return true
}

// SetSuspect marks an instrument's book as behind the venue's, or takes the mark off. Rows of a suspect instrument carry tick.StateSuspect; nothing
// else changes. What is out of order sets the mark as well, and a row that says both sides whole (tick.KindQuote) takes it off; a clear does not.
func (b *Books) SetSuspect(id uint32, on bool) {
	if h := b.find(id); h != nil {
		h.mark(on)
		return
	}
	switch {
	case b.unknown&flagSuspect != 0 == on:
		delete(b.odd, id)
	case len(b.odd) == b.most:
		b.counters.OverInstrument++
	default: // no levels yet, so no memory for them: a venue has many instruments that nobody trades
		b.odd[id] = struct{}{}
	}
}

// flagsOf are the flags of an instrument that is not known yet.
func (b *Books) flagsOf(id uint32) uint8 {
	if _, ok := b.odd[id]; ok {
		return b.unknown ^ flagSuspect
	}
	return b.unknown
}

// SetSuspectAll is SetSuspect for every instrument, those not known yet included.
func (b *Books) SetSuspectAll(on bool) {
	for at := range b.count {
		b.at(at).mark(on)
	}
	clear(b.odd)
	b.unknown = 0
	if on {
		b.unknown = flagSuspect
	}
}

// Suspect says whether the instrument's book is suspect.
func (b *Books) Suspect(id uint32) bool {
	if h := b.find(id); h != nil {
		return h.flags&flagSuspect != 0
	}
	return b.flagsOf(id)&flagSuspect != 0
}

// Doubts grows with each instrument that a row made suspect, because it did not fit. Hot path.
func (b *Books) Doubts() uint64 { return b.doubts }

// doubt makes an instrument suspect: what came for it does not fit what is there.
func (b *Books) doubt(h *instrument) {
	h.flags |= flagMisfit
	if h.flags&flagSuspect == 0 {
		h.flags |= flagSuspect
		b.doubts++
	}
}

// Misfit says whether a row of the instrument did not fit since SetSuspect, whatever that said: a book that is suspect for another reason is not right then, either.
func (b *Books) Misfit(id uint32) bool {
	h := b.find(id)
	return h != nil && h.flags&flagMisfit != 0
}

// HasImplied says whether an instrument has had an implied level since Reset.
func (b *Books) HasImplied(id uint32) bool {
	h := b.find(id)
	return h != nil && h.flags&flagImplied != 0
}

// SetDepth says how many levels a side the venue keeps of an instrument; 0: as Options say. Levels beyond are forgotten. Apply does so for definitions
// by itself. What is more than Options.Depth cannot be kept.
func (b *Books) SetDepth(id uint32, depth, impliedDepth int) {
	d := [2]uint8{b.clip(depth, b.depth), b.clip(impliedDepth, b.implied)}
	switch had, ok := b.depths[id]; {
	case ok && had == d || !ok && d == [2]uint8{uint8(b.depth), uint8(b.implied)}:
		return
	case !ok && len(b.depths) == b.most:
		b.counters.OverInstrument++
		return
	}
	b.depths[id] = d
	if h := b.find(id); h != nil {
		h.depth = [lists]uint8{d[0], d[0], d[1], d[1]}
		for list := range h.n {
			if gone := int(h.n[list]) - int(h.depth[list]); gone > 0 {
				h.n[list] = h.depth[list]
				h.more(list, gone)
			}
		}
	}
}

func (b *Books) clip(depth, def int) uint8 {
	if depth <= 0 {
		depth = def
	}
	return uint8(min(depth, b.depth))
}

// mark sets or takes off the mark of a suspect book.
func (h *instrument) mark(on bool) {
	h.flags &^= flagMisfit
	h.set(flagSuspect, on)
}

func (h *instrument) set(flag uint8, on bool) {
	h.flags &^= flag
	if on {
		h.flags |= flag
	}
}

// at gives the instrument at a place below count.
func (b *Books) at(place uint32) *instrument {
	return &b.pieces[place/perPiece].instruments[place%perPiece]
}

// levels gives a list of the instrument at a place, as long as it may become.
func (b *Books) levels(place uint32, list int) []Level {
	first := int(place%perPiece)*b.perInstrument + list*b.depth
	return b.pieces[place/perPiece].levels[first : first+b.depth : first+b.depth]
}

// find gives an instrument, or nil, and notes its place. Rows of one instrument come in runs.
func (b *Books) find(id uint32) *instrument {
	if b.lastKnown && b.lastNumber == id {
		return b.at(b.lastPlace)
	}
	place, ok := b.places[id]
	if !ok {
		return nil
	}
	b.lastNumber, b.lastPlace, b.lastKnown = id, place, true
	return b.at(place)
}

// meet is find for an instrument that may be new, and nil when there are too many.
func (b *Books) meet(id uint32) *instrument {
	if h := b.find(id); h != nil {
		return h
	}
	if int(b.count) == b.most {
		b.counters.OverInstrument++
		return nil
	}
	if b.count/perPiece == uint32(len(b.pieces)) {
		b.pieces = append(b.pieces, &piece{levels: make([]Level, perPiece*b.perInstrument)})
	}
	b.places[id] = b.count
	h := b.at(b.count)
	b.count++
	d, ok := b.depths[id]
	if !ok {
		d = [2]uint8{uint8(b.depth), uint8(b.implied)}
	}
	*h = instrument{top: tick.EmptyPair, number: id, depth: [lists]uint8{d[0], d[0], d[1], d[1]}, flags: b.flagsOf(id)}
	delete(b.odd, id)
	return b.find(id)
}
