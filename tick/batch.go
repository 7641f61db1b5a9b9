package tick

// A Batch is the rows of one pass, one row a venue message, as columns.
//
// The parser fills the first group, one row at index N, then counts N up; package book completes rows in place and
// fills the second; package pipeline turns them into records.
//
//	column      unit            who       for
//	Kind        Kind            parser    all
//	Sub         venue's code    parser    see Kind
//	Side        'B' 'A' 'N'     parser    Add, Level, Fill, Trade (the aggressor's, 'N': not known); the book fills in the resting order's for Exec … Replace, Modify
//	Flags       Flag…           parser    all: FlagSnapshot, FlagMBP, FlagTOB, FlagMore; the pipeline adds what the session says of the row
//	Instrument  venue's number  parser    all, 0: not about one instrument
//	TsEvent     ns since epoch  parser    all
//	TsRecv      ns since epoch  pipeline  all
//	Sequence    venue's         parser    all, full width
//	OrderID     –               parser    see Kind
//	Aux         see Kind        parser    see Kind
//	Price       1e-9            parser    see Kind; the book fills in the resting price for Exec, Reduce, Delete
//	Size        shares          parser    see Kind; the book clamps it to what was there, and for Delete fills it in
//
//	State       State…          book      all
//	Left        shares          book      Exec … Delete: what remains of the order
//	OldPrice    1e-9            book      Replace, ExecAt, Modify: the resting order's price; Quote: the parser's, the ask
//	OldSize     shares          book      Replace, Modify: what the old order still had; Quote: the parser's, the ask's
//	Before      best prices     book      all rows of an instrument: before the row …
//	After       best prices     book      … and after it
//
// Memory: one anonymous mapping off the Go heap, columns on 64-byte boundaries, on one huge page where the kernel
// gives one. Columns start at different places within a page: with all of them at the same one, a row's lines would
// fall into a single set of an 8-way first-level cache and evict each other (measured by BenchmarkStagger).
//
// A batch belongs to one goroutine. Columns are pointers to arrays so that an index masked with RowMask needs no
// bounds check.
type Batch struct {
	N int // rows in use

	Kind       *[MaxRows]Kind
	Sub        *[MaxRows]uint8
	Side       *[MaxRows]uint8
	Flags      *[MaxRows]uint8
	Instrument *[MaxRows]uint32
	TsEvent    *[MaxRows]uint64
	TsRecv     *[MaxRows]uint64
	Sequence   *[MaxRows]uint64
	OrderID    *[MaxRows]uint64
	Aux        *[MaxRows]uint64
	Price      *[MaxRows]int64
	Size       *[MaxRows]uint64

	State    *[MaxRows]uint8
	Left     *[MaxRows]uint64
	OldPrice *[MaxRows]int64
	OldSize  *[MaxRows]uint64
	Before   *[MaxRows]BidAskPair
	After    *[MaxRows]BidAskPair

	// Side tables hold what has no column: a row's Aux says which entries are its own (SideRows). Entries are DBN
	// records with everything filled in but PublisherID and TsRecv, which the pipeline knows.
	Statuses    *[MaxSideRows]Status
	Imbalances  *[MaxSideRows]Imbalance
	Definitions *[MaxSideRows]Definition
	Statistics  *[MaxSideRows]Statistics
	Exts        *[MaxSideRows]Ext
	Sides       SideCounts

	mem []byte
}

// SideCounts says how many entries of each side table are in use.
type SideCounts struct {
	Statuses, Imbalances, Definitions, Statistics, Exts int
}

// Bounds of a batch. A parser stops before a message that does not fit either of them.
const (
	MaxRows     = 4096
	RowMask     = MaxRows - 1
	MaxSideRows = 1024
	SideRoom    = 4 // entries that one message may need in one side table, at most
)

// States of a row after the book had it: bits.
const (
	StateApplied   uint8 = 1 << 0 // the row had its effect; without it nothing is published but a counter
	StateTop       uint8 = 1 << 1 // Before and After differ
	StateGone      uint8 = 1 << 2 // the resting order is gone
	StateClamped   uint8 = 1 << 3 // the row took more than there was; Size is what there was
	StateDuplicate uint8 = 1 << 4 // the new order's id was live: that stale order was removed first
	StateSuspect   uint8 = 1 << 5 // the instrument's book is suspect (FlagMaybeBadBook)
	// StateSuspectLevels: its price book is, where the venue sends levels beside orders. Best prices hang on that one alone.
	StateSuspectLevels uint8 = 1 << 6
)

// Reset forgets all rows. It may be called on the hot path.
func (b *Batch) Reset() {
	b.N = 0
	b.Sides = SideCounts{}
}

// Full says that no further message may be decoded into the batch. Hot path.
func (b *Batch) Full() bool { return b.N >= MaxRows || b.Sides.full() }

func (s *SideCounts) full() bool {
	const most = MaxSideRows - SideRoom
	return s.Statuses > most || s.Imbalances > most || s.Definitions > most || s.Statistics > most || s.Exts > most
}
