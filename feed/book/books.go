package book

import (
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// Options bound a Books. The zero value works: it holds a full Nasdaq day more than twice over and reserves
// address space, not memory.
type Options struct {
	// Sparse takes instruments of any number and orders of any id, which need be unique only within their instrument, and finds both by hash. Without it
	// instruments are numbered below MaxInstruments and ids below MaxReference, as Nasdaq does, and a row that names another
	// instrument than its order's is a fault. Its cost is a look-up more a row, and 16 to 32 bytes for each of MaxOrders and MaxInstruments.
	Sparse bool
	// ZeroPrice lets orders rest at price 0, as spreads do. Without it that is a fault.
	ZeroPrice bool
	// MaxInstruments is one more than the greatest instrument number, or how many there may be of sparse books. Its cost is 64 bytes each.
	// The default is 65,536.
	MaxInstruments int
	// MaxOrders is how many orders may rest at once, of all instruments together; at most 1<<28. Its cost is
	// 64 bytes an order that was ever resting at the same time as others (96 at worst), and the tree of prices. The default is
	// 1<<22: the busiest day published had 1.65 million.
	MaxOrders int
	// MaxReference is one more than the greatest order reference that is taken. Its cost is 4 bytes of
	// directory for 64 references, touched when used. The default is 1<<32; days reach several hundred million. Not for sparse books.
	MaxReference uint64
	// MaxPages bounds the index: a page holds 64 neighbouring references of which at least two are resting, or were, and costs
	// 256 bytes. At most 1<<24 - 1. The default is 1<<22: 1 GiB, which no day needs and no sender of scattered references exceeds. Not
	// for sparse books.
	MaxPages int
	// Prefault is the number of orders for which memory is brought in at New instead of at first touch (which costs
	// some hundred microseconds for each 2 MiB in the middle of a burst). The default is 0.
	Prefault int
}

// withDefaults fills in defaults, and reports all faults at once.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	check := func(name string, v *int, def, most int) {
		switch {
		case *v == 0:
			*v = def
		case *v < 0 || *v > most:
			errs = append(errs, fmt.Errorf("book: %s = %d, want 1 to %d (0: %d)", name, *v, most, def))
		}
	}
	check("MaxInstruments", &o.MaxInstruments, 1<<16, 1<<24)
	check("MaxOrders", &o.MaxOrders, 1<<22, 1<<28)
	check("MaxPages", &o.MaxPages, 1<<22, maxPages)
	if o.MaxReference == 0 {
		o.MaxReference = 1 << 32
	}
	if o.MaxReference > 1<<40 {
		errs = append(errs, fmt.Errorf("book: MaxReference = %d, want at most %d", o.MaxReference, uint64(1)<<40))
	}
	if o.Prefault < 0 || o.Prefault > o.MaxOrders {
		errs = append(errs, fmt.Errorf("book: Prefault = %d, want 0 to MaxOrders (%d)", o.Prefault, o.MaxOrders))
	}
	return o, errors.Join(errs...)
}

// Books are the books of a lane's instruments. See the package comment.
type Books struct {
	instrumentMem, nodeMem, blockMem region
	dirMem, pageMem                  region

	orders, blocks pool   // orders: nodes with a free level half are given back here
	halves         uint32 // head of the list of nodes that have only a level
	levels         uint32 // in use
	index          index
	lines          chain
	sparse         bool
	unknown        uint8 // flags of instruments that are not known yet
	instruments    uint32
	seen           uint32 // places below this one may have had an order

	stale    []Stale
	counters Counters
	options  Options

	tableMem, numberMem region // of sparse books
	table               hashed
	numbers             numbers
	places              *[tick.MaxRows]uint32 // of the rows being applied
}

// New reserves address space for books within the given bounds. It fails when an option is out of range or the
// kernel refuses the space.
func New(o Options) (*Books, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Books{options: o, instruments: uint32(o.MaxInstruments), sparse: o.Sparse}
	// Nodes cannot run out before orders (records.go). Blocks can when someone arranges for nearly empty ones; such orders
	// are refused like those beyond MaxOrders.
	nodes := 2*uint64(o.MaxOrders) + 1
	blocks := uint64(o.MaxOrders)/2 + 4*uint64(o.MaxInstruments) + 4*reserve
	dirs, pages := (o.MaxReference+pageMask)>>pageShift, uint64(o.MaxPages)+1
	orderSlots, numberSlots := slotsFor(o.MaxOrders), slotsFor(o.MaxInstruments)
	if o.Sparse {
		dirs, pages = 1, 1 // the look-ahead may read the first of each
	} else {
		orderSlots, numberSlots = 0, 0
	}
	for _, r := range []struct {
		mem     *region
		what    string
		records uint64
		size    uintptr
	}{
		{&b.instrumentMem, "instruments", uint64(o.MaxInstruments), instrumentBytes},
		{&b.nodeMem, "orders", nodes, nodeBytes},
		{&b.blockMem, "tree blocks", blocks + 1, blockBytes},
		{&b.dirMem, "directory entries", dirs, 4},
		{&b.pageMem, "index pages", pages, pageBytes},
		{&b.tableMem, "order slots", orderSlots, slotBytes},
		{&b.numberMem, "instrument slots", numberSlots, slotBytes},
	} {
		if r.records == 0 {
			continue
		}
		if *r.mem, err = mapRegion(r.what, r.records, r.size); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	b.orders.limit = uint32(o.MaxOrders)
	b.blocks.limit = uint32(blocks)
	b.index = index{dir: b.dirMem.base, pages: b.pageMem.base, limit: o.MaxReference, lone: nodes <= loneMask, pool: pool{limit: uint32(o.MaxPages)}}
	if o.Sparse {
		b.index.limit = 0
		b.places = new([tick.MaxRows]uint32)
		b.table = hashed{newProbing(b.tableMem, orderSlots), b.nodeMem.base}
		b.index.sparse = &b.table
		b.numbers = numbers{probing: newProbing(b.numberMem, numberSlots), limit: uint32(o.MaxInstruments)}
	}
	b.lines = chain{
		dir: b.dirMem.base, pages: b.pageMem.base, nodes: b.nodeMem.base,
		blocks: b.blockMem.base, instruments: b.instrumentMem.base,
		limit: b.index.limit, instrumentCount: uint64(o.MaxInstruments),
	}
	if !o.Sparse {
		b.instrumentMem.prefault(uintptr(o.MaxInstruments) * instrumentBytes)
	}
	if n := uintptr(o.Prefault); n > 0 {
		b.nodeMem.prefault(n * nodeBytes)
		b.blockMem.prefault(n * 16)
		b.pageMem.prefault(n * 16)
		b.dirMem.prefault(1)
		b.tableMem.prefault(uintptr(orderSlots) * slotBytes)
	}
	b.Reset()
	return b, nil
}

// Close gives the memory back. The Books must not be used afterwards; closing again does nothing.
func (b *Books) Close() error {
	var errs []error
	for _, r := range []*region{&b.instrumentMem, &b.nodeMem, &b.blockMem, &b.dirMem, &b.pageMem, &b.tableMem, &b.numberMem} {
		errs = append(errs, r.unmap())
	}
	return errors.Join(errs...)
}

// Reset empties all books and forgets flags and counters: a new day. Bounds and mappings stay. It takes time in
// proportion to what was in use and is not for the hot path.
func (b *Books) Reset() {
	b.resetSparse()
	b.dirMem.clear(uintptr(b.index.top) * 4)
	b.pageMem.clear(uintptr(b.index.pool.fresh+1) * pageBytes)
	b.index.pool.reset()
	b.index.top = 0
	b.nodeMem.clear(uintptr(b.orders.fresh+1) * nodeBytes)
	b.orders.reset()
	b.halves, b.levels = 0, 0
	b.blocks.reset()
	for n := range b.known() {
		*b.instrument(n) = newInstrument(n, 0)
	}
	b.seen = 0
	b.counters = Counters{}
}

// resetSparse empties both tables, and forgets the instruments.
func (b *Books) resetSparse() {
	if !b.sparse {
		return
	}
	if slots := uint64(b.table.mask) + 1; uint64(b.orders.inUse) > slots/16 {
		b.tableMem.clear(uintptr(slots) * slotBytes)
	} else {
		for n := uint32(1); n <= b.orders.fresh; n++ { // few: the rest of the table was perhaps never touched
			if o := b.order(n); o.size != 0 {
				b.index.drop(o.owner&^(1<<sideBit), o.id, n)
			}
		}
	}
	if b.numbers.count != 0 {
		b.numberMem.clear((uintptr(b.numbers.mask) + 1) * slotBytes)
	}
	b.numbers.count, b.unknown = 0, 0
}

// Counters count what did not go by the book since Reset, and what is in use. All are exact; those of unusual
// events are zero on a clean day.
type Counters struct {
	Unknown        [tick.KindCount]uint64 // by kind: rows that name an order that does not rest; ignored
	Duplicate      uint64                 // adds and replaces whose new id was resting; the stale order was removed
	Clamped        uint64                 // executions and reductions of more than there was
	ZeroSize       uint64                 // adds and replaces of no shares; no order made
	BadPrice       uint64                 // adds, replaces and modifies at price 0 or no price; no order made
	BadSide        uint64                 // adds on neither side; ignored
	BadSize        uint64                 // adds, replaces and modifies of more than 4,294,967,295 shares; refused, instrument suspect
	OverReference  uint64                 // adds and replaces with a reference from MaxReference on; refused, instrument suspect
	OverInstrument uint64                 // order rows and flags of an instrument from MaxInstruments on, or beyond that many; ignored
	NoRoom         uint64                 // adds, replaces and modifies beyond MaxOrders, MaxPages or the tree; refused, instrument suspect
	SideMismatch   uint64                 // modifies that name another side than their order's; the order's was taken
	LocateMismatch uint64                 // rows that name another instrument than their order's; the order's was taken
	OutOfTurn      uint64                 // executions of an order that was not first in its queue (not a fault)

	Orders    uint64 // resting
	MaxOrders uint64 // most that ever rested at once
	Levels    uint64 // prices with an order
	Blocks    uint64 // tree blocks in use
	Pages     uint64 // index pages in use
	Bytes     uint64 // memory touched so far, all regions; the tables of sparse books count whole
}

// Counters brings the counters up to date and returns them; they stay valid, and grow, until Close. They are
// the lane's: others read what the lane copies out.
func (b *Books) Counters() *Counters {
	c := &b.counters
	c.Orders, c.Levels = uint64(b.orders.inUse), uint64(b.levels)
	c.Blocks, c.Pages = uint64(b.blocks.inUse), uint64(b.index.pool.inUse)
	c.Bytes = uint64(b.known())*instrumentBytes + uint64(b.orders.fresh+1)*nodeBytes +
		uint64(b.blocks.fresh+1)*blockBytes +
		uint64(b.index.pool.fresh+1)*pageBytes + b.index.top*4
	if b.sparse {
		c.Bytes += (uint64(b.table.mask) + uint64(b.numbers.mask) + 2) * slotBytes
	}
	return c
}

// SetSuspect marks an instrument's book as behind the venue's after a loss, or takes the mark off. Rows of a suspect
// instrument carry tick.StateSuspect; nothing else changes. Instruments beyond MaxInstruments are ignored.
func (b *Books) SetSuspect(instrument uint32, on bool) { b.setFlag(instrument, flagSuspect, on) }

// SetSuspectAll is SetSuspect for every instrument, those of sparse books that are not known yet included.
func (b *Books) SetSuspectAll(on bool) { b.setFlagAll(flagSuspect, on) }

// Suspect says whether the instrument's book is suspect.
func (b *Books) Suspect(instrument uint32) bool { return b.flag(instrument, flagSuspect) }

// SetHalted notes that trading in an instrument is halted or resumed. It never gates the book.
func (b *Books) SetHalted(instrument uint32, on bool) { b.setFlag(instrument, flagHalted, on) }

// Halted says whether SetHalted was last called with true.
func (b *Books) Halted(instrument uint32) bool { return b.flag(instrument, flagHalted) }

func (b *Books) flag(number uint32, flag uint8) bool {
	if n := b.place(number); n < b.instruments {
		return b.instrument(n).flags&flag != 0
	}
	return b.unknown&flag != 0
}

func (b *Books) setFlag(number uint32, flag uint8, on bool) {
	n := b.place(number)
	if n >= b.instruments {
		if !b.sparse || b.unknown&flag != 0 == on {
			return
		}
		if n = b.placeNew(number); n == nowhere {
			b.counters.OverInstrument++
			return
		}
	}
	b.instrument(n).set(flag, on)
}

func (b *Books) setFlagAll(flag uint8, on bool) {
	for n := range b.known() {
		b.instrument(n).set(flag, on)
	}
	if b.sparse {
		b.unknown &^= flag
		if on {
			b.unknown |= flag
		}
	}
}

func (h *instrument) set(flag uint8, on bool) {
	h.flags &^= flag
	if on {
		h.flags |= flag
	}
}

// badPrice says that no order may rest at this price. The least integer has no negation, so it is no key; an ask at the next would have
// that of no price.
func (b *Books) badPrice(price int64) bool {
	return price == 0 && !b.options.ZeroPrice || price == tick.UndefPrice || price <= -tick.UndefPrice
}
