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
	KindTrade      Kind = 7  // Price, Size; Aux: match id. No resting order named
	KindCross      Kind = 8  // Price, Size; Aux: match id; Sub: venue's cross type. Size 0: no cross took place
	KindBreak      Kind = 9  // Aux: match id of the void trade
	KindStatus     Kind = 10 // Aux: rows of Statuses
	KindImbalance  Kind = 11 // Aux: rows of Imbalances; Size: paired, OrderID: imbalance, full width
	KindDefinition Kind = 12 // Aux: rows of Definitions
	KindStatistics Kind = 13 // Aux: rows of Statistics
	KindExt        Kind = 14 // Aux: rows of Exts
	KindSystem     Kind = 15 // Sub: System… code; the whole channel
	KindClear      Kind = 16 // the instrument's book is empty from here on
	KindCount           = 17
)

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
