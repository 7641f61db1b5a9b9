package book

import (
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// Options bound a Books. The zero value works: it holds a full Nasdaq day more than twice over and reserves
// address space, not memory.
type Options struct {
	// MaxInstruments is one more than the greatest instrument number. Its cost is 64 bytes each. The default is 65,536.
	MaxInstruments int
	// MaxOrders is how many orders may rest at once, of all instruments together; at most 1<<28. Its cost is
	// 64 bytes an order that was ever resting at the same time as others (96 at worst), and the tree of prices. The default is
	// 1<<22: the busiest day published had 1.65 million.
	MaxOrders int
	// MaxReference is one more than the greatest order reference that is taken. Its cost is 4 bytes of
	// directory for 64 references, touched when used. The default is 1<<32; days reach several hundred million.
	MaxReference uint64
	// MaxPages bounds the index: a page holds 64 neighbouring references of which at least two are resting, or were, and costs
	// 256 bytes. At most 1<<24 - 1. The default is 1<<22: 1 GiB, which no day needs and no sender of scattered references exceeds.
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
	instruments    uint32
	seen           uint32 // instruments below this number may have had an order

	stale    []Stale
	counters Counters
	options  Options
}

// New reserves address space for books within the given bounds. It fails when an option is out of range or the
// kernel refuses the space.
func New(o Options) (*Books, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Books{options: o, instruments: uint32(o.MaxInstruments)}
	// Nodes cannot run out before orders (records.go). Blocks can when someone arranges for nearly empty ones; such orders
	// are refused like those beyond MaxOrders.
	nodes := 2*uint64(o.MaxOrders) + 1
	blocks := uint64(o.MaxOrders)/2 + 4*uint64(o.MaxInstruments) + 4*reserve
	dirs := (o.MaxReference + pageMask) >> pageShift
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
		{&b.pageMem, "index pages", uint64(o.MaxPages) + 1, pageBytes},
	} {
		if *r.mem, err = mapRegion(r.what, r.records, r.size); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	b.orders.limit = uint32(o.MaxOrders)
	b.blocks.limit = uint32(blocks)
	b.index = index{dir: b.dirMem.base, pages: b.pageMem.base, limit: o.MaxReference, lone: nodes <= loneMask, pool: pool{limit: uint32(o.MaxPages)}}
	b.lines = chain{
		dir: b.dirMem.base, pages: b.pageMem.base, nodes: b.nodeMem.base,
		blocks: b.blockMem.base, instruments: b.instrumentMem.base,
		limit: o.MaxReference, instrumentCount: uint64(o.MaxInstruments),
	}
	b.instrumentMem.prefault(uintptr(o.MaxInstruments) * instrumentBytes)
	if n := uintptr(o.Prefault); n > 0 {
		b.nodeMem.prefault(n * nodeBytes)
		b.blockMem.prefault(n * 16)
		b.pageMem.prefault(n * 16)
		b.dirMem.prefault(1)
	}
	b.Reset()
	return b, nil
}

// Close gives the memory back. The Books must not be used afterwards; closing again does nothing.
func (b *Books) Close() error {
	var errs []error
	for _, r := range []*region{&b.instrumentMem, &b.nodeMem, &b.blockMem, &b.dirMem, &b.pageMem} {
		errs = append(errs, r.unmap())
	}
	return errors.Join(errs...)
}

// Reset empties all books and forgets flags and counters: a new day. Bounds and mappings stay. It takes time in
// proportion to what was in use and is not for the hot path.
func (b *Books) Reset() {
	b.dirMem.clear(uintptr(b.index.top) * 4)
	b.pageMem.clear(uintptr(b.index.pool.fresh+1) * pageBytes)
	b.index.pool.reset()
	b.index.top = 0
	b.nodeMem.clear(uintptr(b.orders.fresh+1) * nodeBytes)
	b.orders.reset()
	b.halves, b.levels = 0, 0
	b.blocks.reset()
	for n := range b.instruments {
		*b.instrument(n) = instrument{px: [2]int64{tick.UndefPrice, tick.UndefPrice}}
	}
	b.seen = 0
	b.counters = Counters{}
}

// Counters count what did not go by the book since Reset, and what is in use. All are exact; those of unusual
// events are zero on a clean day.
type Counters struct {
	Unknown        [tick.KindCount]uint64 // by kind: rows that name an order that does not rest; ignored
	Duplicate      uint64                 // adds and replaces whose new id was resting; the stale order was removed
	Clamped        uint64                 // executions and reductions of more than there was
	ZeroSize       uint64                 // adds and replaces of no shares; no order made
	BadPrice       uint64                 // adds and replaces at price 0 or no price; no order made
	BadSide        uint64                 // adds on neither side; ignored
	BadSize        uint64                 // adds and replaces of more than 4,294,967,295 shares; refused, instrument suspect
	OverReference  uint64                 // adds and replaces with a reference from MaxReference on; refused, instrument suspect
	OverInstrument uint64                 // order rows of an instrument from MaxInstruments on; ignored
	NoRoom         uint64                 // adds and replaces beyond MaxOrders, MaxPages or the tree; refused, instrument suspect
	LocateMismatch uint64                 // rows that name another instrument than their order's; the order's was taken
	OutOfTurn      uint64                 // executions of an order that was not first in its queue (not a fault)

	Orders    uint64 // resting
	MaxOrders uint64 // most that ever rested at once
	Levels    uint64 // prices with an order
	Blocks    uint64 // tree blocks in use
	Pages     uint64 // index pages in use
	Bytes     uint64 // memory touched so far, all regions
}

// Counters brings the counters up to date and returns them; they stay valid, and grow, until Close. They are
// the lane's: others read what the lane copies out.
func (b *Books) Counters() *Counters {
	c := &b.counters
	c.Orders, c.Levels = uint64(b.orders.inUse), uint64(b.levels)
	c.Blocks, c.Pages = uint64(b.blocks.inUse), uint64(b.index.pool.inUse)
	c.Bytes = uint64(b.instruments)*instrumentBytes + uint64(b.orders.fresh+1)*nodeBytes +
		uint64(b.blocks.fresh+1)*blockBytes +
		uint64(b.index.pool.fresh+1)*pageBytes + b.index.top*4
	return c
}

// SetSuspect marks an instrument's book as behind the venue's after a loss, or takes the mark off. Rows of a suspect
// instrument carry tick.StateSuspect; nothing else changes. Numbers from MaxInstruments on are ignored.
func (b *Books) SetSuspect(instrument uint32, on bool) { b.setFlag(instrument, flagSuspect, on) }

// SetSuspectAll is SetSuspect for every instrument.
func (b *Books) SetSuspectAll(on bool) {
	for n := range b.instruments {
		b.setFlag(n, flagSuspect, on)
	}
}

// Suspect says whether the instrument's book is suspect.
func (b *Books) Suspect(instrument uint32) bool { return b.flag(instrument, flagSuspect) }

// SetHalted notes that trading in an instrument is halted or resumed. It never gates the book.
func (b *Books) SetHalted(instrument uint32, on bool) { b.setFlag(instrument, flagHalted, on) }

// Halted says whether SetHalted was last called with true.
func (b *Books) Halted(instrument uint32) bool { return b.flag(instrument, flagHalted) }

func (b *Books) flag(n uint32, flag uint8) bool {
	return n < b.instruments && b.instrument(n).flags&flag != 0
}

func (b *Books) setFlag(n uint32, flag uint8, on bool) {
	if n >= b.instruments {
		return
	}
	h := b.instrument(n)
	h.flags &^= flag
	if on {
		h.flags |= flag
	}
}

// badPrice says that no order may rest at this price. The least integer has no negation, so it is no key; an ask at the next would have
// that of no price.
func badPrice(price int64) bool {
	return price == 0 || price == tick.UndefPrice || price <= -tick.UndefPrice
}
