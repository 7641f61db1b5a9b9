package book

import "errors"

// ErrOptions is a Swap of books with different bounds.
var ErrOptions = errors.New("book: books with different bounds cannot take each other's place")

// Options are those of New, with defaults filled in.
func (b *Books) Options() Options { return b.options }

// Swap exchanges the contents of two Books, memory and all: orders, and the flags of instruments. Counters stay where they are and go on;
// those of what is in use follow the contents. It returns ErrOptions, and changes nothing, unless both have the same bounds.
// It takes a look at each instrument that had an order, in either: some 0.1 ms for a venue's whole directory, and
// allocates nothing. Afterwards b has seen an instrument when either had.
func (b *Books) Swap(o *Books) error {
	if bounds(b.options) != bounds(o.options) {
		return ErrOptions
	}
	b.instrumentMem, o.instrumentMem = o.instrumentMem, b.instrumentMem
	b.nodeMem, o.nodeMem = o.nodeMem, b.nodeMem
	b.blockMem, o.blockMem = o.blockMem, b.blockMem
	b.dirMem, o.dirMem = o.dirMem, b.dirMem
	b.pageMem, o.pageMem = o.pageMem, b.pageMem
	b.tableMem, o.tableMem = o.tableMem, b.tableMem
	b.numberMem, o.numberMem = o.numberMem, b.numberMem
	b.table, o.table = o.table, b.table
	b.numbers, o.numbers = o.numbers, b.numbers
	b.unknown, o.unknown = o.unknown, b.unknown
	b.orders, o.orders = o.orders, b.orders
	b.halves, o.halves = o.halves, b.halves
	b.levels, o.levels = o.levels, b.levels
	b.blocks, o.blocks = o.blocks, b.blocks
	b.index, o.index = o.index, b.index
	b.index.sparse, o.index.sparse = o.index.sparse, b.index.sparse // each its own table's
	b.lines, o.lines = o.lines, b.lines
	b.seen, o.seen = o.seen, b.seen
	b.stale, o.stale = b.stale[:0], o.stale[:0]
	b.counters.MaxOrders = max(b.counters.MaxOrders, uint64(b.orders.inUse))
	for n := range o.seen {
		if h := o.instrument(n); h.flags&flagSeen != 0 {
			b.see(h.number)
		}
	}
	return nil
}

// see notes that an instrument has had an order.
func (b *Books) see(number uint32) {
	n := b.placeNew(number)
	if n == nowhere {
		b.counters.OverInstrument++
		return
	}
	b.instrument(n).flags |= flagSeen
	b.seen = max(b.seen, n+1)
}

func bounds(o Options) Options {
	o.Prefault = 0
	return o
}

// Seen says whether an instrument has had an order since Reset.
func (b *Books) Seen(instrument uint32) bool { return b.flag(instrument, flagSeen) }

// SetBehind marks an instrument whose readers have not been told its book yet, or takes the mark off. Its rows carry
// tick.StateSuspect, as those of a suspect instrument do; the two marks do not touch each other.
func (b *Books) SetBehind(instrument uint32, on bool) { b.setFlag(instrument, flagBehind, on) }

// Behind says that an instrument has that mark.
func (b *Books) Behind(instrument uint32) bool { return b.flag(instrument, flagBehind) }

// SetBehindAll is SetBehind for every instrument, those of sparse books that are not known yet included.
func (b *Books) SetBehindAll(on bool) { b.setFlagAll(flagBehind, on) }
