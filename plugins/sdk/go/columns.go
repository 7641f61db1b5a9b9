//go:build wasip1

package tickwire

// Columns of rows by their numbers; see plugins/ABI.md for what each holds.
const (
	Kind         uint16 = 1
	Sub          uint16 = 2
	Side         uint16 = 3
	Flags        uint16 = 4
	InstrumentID uint16 = 5
	TsEvent      uint16 = 6
	TsRecv       uint16 = 7
	Sequence     uint16 = 8
	OrderID      uint16 = 9
	Aux          uint16 = 10
	Price        uint16 = 11
	Size         uint16 = 12
	State        uint16 = 13
	Left         uint16 = 14
	OldPrice     uint16 = 15
	OldSize      uint16 = 16
	BidPx        uint16 = 17
	AskPx        uint16 = 18
	BidSz        uint16 = 19
	AskSz        uint16 = 20
	BidCt        uint16 = 21
	AskCt        uint16 = 22
	PrevBidPx    uint16 = 23
	PrevAskPx    uint16 = 24
	PrevBidSz    uint16 = 25
	PrevAskSz    uint16 = 26
	PrevBidCt    uint16 = 27
	PrevAskCt    uint16 = 28
	PublisherID  uint16 = 29
	Symbol       uint16 = 30
	MPID         uint16 = 31
	RowCtl       uint16 = 64
	Reason       uint16 = 65
	Custom       uint16 = 128 // and on: the transform's own custom columns in the manifest's order
	Earlier      uint16 = 132 // and on: those of plugins before it, in the order in which `reads` names them
	Arg          uint16 = 512 // and on: arguments
	Group        uint16 = 527 // aggregates: the row's group
	ArgNull      uint16 = 640 // and on: 1: the argument is NULL
	Result       uint16 = 768
	ResultNull   uint16 = 769
)

// Kinds of row: what the columns of each mean is written at tick.Kind.
const (
	KindAdd uint8 = 1 + iota
	KindExec
	KindExecAt
	KindReduce
	KindDelete
	KindReplace
	KindTrade
	KindCross
	KindBreak
	KindStatus
	KindImbalance
	KindDefinition
	KindStatistics
	KindExt
	KindSystem
	KindClear
	KindModify
	KindLevel
	KindImplied
	KindFill
	KindQuote
)

// Verdicts: column RowCtl.
const (
	Keep   uint8 = 0
	Refuse uint8 = 1
	Flag   uint8 = 2
)

// Operations of tw_type.
const (
	OpValidate int32 = iota
	OpNormalise
	OpParse
	OpFormat
	OpCompare
	OpHash
)

// UndefPrice is no price.
const UndefPrice int64 = 1<<63 - 1
