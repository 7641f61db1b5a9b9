package mdp3

import "errors"

// Feed says which of CME's two books rows are wanted of. Both come on the same incremental feed.
type Feed uint8

const (
	FeedBoth Feed = iota // price levels and orders
	FeedMBO              // orders only: no level or implied rows
	FeedMBP              // price levels only: no order rows
)

// Options of a decoder. The zero value is one for schema 13 and both books.
type Options struct {
	// Schema is the path of an SBE schema to go by for messages of its version and of versions later than 13. Templates whose fields moved there are
	// laid out anew before they are decoded, some 0.4 µs a message; others cost nothing. The default is none.
	Schema string
	// Feed leaves out rows of one of the books. The default is FeedBoth.
	Feed Feed
	// Prices says which prices rows have. The default is PricesConventional, for which definitions must come first.
	Prices Prices
	// Definitions are shared with other decoders, for PricesConventional. The default is none: what this one is told.
	Definitions *Definitions
	// Channel is the channel_id of statistics and definitions. The default is 0, which is a channel's number too: DBN numbers a feed's channels from there.
	Channel uint16
}

// Counters of one channel, plain words that belong to the lane.
type Counters struct {
	Packets  uint64 // decoded to their end
	Messages uint64 // seen, whatever became of them
	Unknown  uint64 // of a template that is not known: stepped over by their length
	Foreign  uint64 // of another schema: stepped over
	Newer    uint64 // of a version later than the schema: their known part was decoded
	Refused  uint64 // contradict themselves, or lack what must be known: no rows
	Relaid   uint64 // laid out anew (Options.Schema)
	Admin    uint64 // heartbeats, logons, logouts

	RptSeqGaps    uint64 // times that RptSeq jumped forward: entries of an instrument are missing
	RptSeqBack    uint64 // times that it did not go forward
	Resets        uint64 // channel resets
	Ranges        uint64 // DeleteThru and DeleteFrom, of which CME's pages know nothing (sheet section 7)
	GroupUnknown  uint64 // states of a group of which no instrument is known
	LateAggressor uint64 // order entries of an aggressor that came in another message than its trade: the trade's row had gone without its id
	FillsUnplaced uint64 // order entries of trade summaries that belong to no trade
	Interrupted   uint64 // events whose end did not come

	Undefined            uint64 // messages of which entries, or all, were left out: of instruments whose definition, and so DisplayFactor, did not come
	UndefinedInstruments uint64 // … times that this began for an instrument
	Inexact              uint64 // entries, and fields, left out for a price whose product with DisplayFactor is no multiple of 1e-9, or does not fit 64 bits
	Rescaled             uint64 // definitions that changed the DisplayFactor of an instrument that was met in this session: its books were emptied
	Older                uint64 // definitions that were left out, for a newer one of the instrument is known (LastUpdateTime)
}

// Reasons for which a message is refused. Append counts them, EachMessage gives them.
var (
	errBlock     = errors.New("root block is shorter than its fields, or longer than its message")
	errGroup     = errors.New("group is longer than its message, or its blocks are shorter than their fields")
	errReference = errors.New("order entry refers to no entry with a side and a price")
	errPrice     = errors.New("price is missing, or does not fit 64 bits in 1e-9")
	errLevel     = errors.New("level has no number, or a price or size is missing, negative, or does not fit 64 bits in 1e-9")
	errFactor    = errors.New("DisplayFactor is not positive")
	errSize      = errors.New("size is missing or negative")
	errCode      = errors.New("update action or entry type is not known")
)
