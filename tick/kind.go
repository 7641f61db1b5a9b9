package tick

// Kind says what a batch row is, whatever the venue calls it. Zero is not a kind: a row without one is a defect.
type Kind uint8

// Kinds of row. The comment gives the columns that the parser fills beyond Instrument, TsEvent and Sequence; what
// package book adds is in the comment of Batch.
const (
	KindAdd        Kind = 1  // OrderID, Side, Price, Size; Aux: MPID (4 ASCII, first lowest) or 0
	KindExec       Kind = 2  // OrderID, Size; Aux: match id. At the order's own price
	KindExecAt     Kind = 3  // OrderID, Size, Price; Aux: match id; Sub: 'Y' printable, 'N' part of a cross
	KindReduce     Kind = 4  // OrderID, Size taken off
	KindDelete     Kind = 5  // OrderID
	KindReplace    Kind = 6  // OrderID (old), Aux (new), Price, Size (new)
	KindTrade      Kind = 7  // Price, Size; Aux: match id. No resting order named; with a Side OrderID is the aggressor's order, 0: not told
	KindCross      Kind = 8  // Price, Size; Aux: match id; Sub: venue's cross type. Size 0: no cross took place
	KindBreak      Kind = 9  // Aux: match id of the void trade
	KindStatus     Kind = 10 // Aux: rows of Statuses
	KindImbalance  Kind = 11 // Aux: rows of Imbalances; Size: paired, OrderID: imbalance, full width
	KindDefinition Kind = 12 // Aux: rows of Definitions
	KindStatistics Kind = 13 // Aux: rows of Statistics
	KindExt        Kind = 14 // Aux: rows of Exts
	KindSystem     Kind = 15 // Sub: System… code; the whole channel
	KindClear      Kind = 16 // the instrument's book is empty from here on; with FlagSnapshot its whole state follows: the book is not suspect any more

	// Of venues other than Nasdaq:

	KindModify  Kind = 17 // OrderID, Price, Size (both new), Side or 'N': the resting order's; Sub: Modify… code
	KindLevel   Kind = 18 // a price level, not an order: Sub: Level… code, Side, Price, Size, Aux: LevelAt; OrderID: the venue's number of this instrument's entry (CME's RptSeq), 0: it has none
	KindImplied Kind = 19 // the same of the implied book, which stands beside the other
	KindFill    Kind = 20 // OrderID, Side, Price, Size; Aux: match id. What an order got of a trade that another row reports; books are changed by rows of their own
	KindQuote   Kind = 21 // both best prices: Price, Size the bid's, OldPrice, OldSize the ask's; UndefPrice: that side is empty. Aux: LevelAt's orders are not known
	KindCount        = 22
)

// Codes in Sub of a KindClear row: which of an instrument's books is empty, where the venue has two.
const (
	ClearBoth   byte = 0
	ClearLevels byte = 'L'
	ClearOrders byte = 'O'
)

// Codes in Sub of a KindModify row.
const (
	ModifyKeep byte = 0   // the order keeps its place in the queue unless its price changes
	ModifyTail byte = 'T' // it goes to the tail of its level whatever changes
)

// Codes in Sub of a KindLevel or KindImplied row: what becomes of a side's list of levels, best first. Where Aux names no level
// the price does (LevelAt).
const (
	LevelNew     byte = 'N' // a level comes in at its number; those from there on move one back, what falls off the end is gone
	LevelChange  byte = 'C' // new size and orders
	LevelDelete  byte = 'D' // the level goes; those behind it move one up
	LevelThru    byte = 'T' // all levels from the first to this one go
	LevelFrom    byte = 'F' // this level and all behind it go
	LevelOverlay byte = 'O' // the level is replaced, price and all
)

// LevelAt packs a level's number, 1 the best, 0: found by its price, and its orders, 0: not known, into Aux of a KindLevel row.
func LevelAt(level uint32, orders uint32) uint64 { return uint64(level) | uint64(orders)<<32 }

// SplitLevelAt is LevelAt backwards.
func SplitLevelAt(aux uint64) (level, orders uint32) { return uint32(aux), uint32(aux >> 32) }

// Codes in Sub of a KindSystem row: where in its day the channel is.
const (
	SystemStartOfMessages byte = 'O'
	SystemStartOfHours    byte = 'S'
	SystemMarketOpen      byte = 'Q'
	SystemMarketClose     byte = 'M'
	SystemEndOfHours      byte = 'E'
	SystemEndOfMessages   byte = 'C'
)

// SideRows packs the place of n rows of a side table, beginning at first, into a row's Aux.
func SideRows(first, n int) uint64 { return uint64(uint32(first)) | uint64(n)<<32 }

// SplitSideRows is SideRows backwards.
func SplitSideRows(aux uint64) (first, n int) { return int(uint32(aux)), int(aux >> 32) }
