package tick

// Record layouts of DBN version 3, sections 3 and 4 of the encoding: little-endian, natural alignment, every gap a
// reserved field. Sizes and offsets are checked by the compiler below and by record_test.go.
//
//	     0       1        2               4                8               16
//	+--------+--------+---------------+----------------+----------------+- ... -+
//	| length | rtype  | publisher_id  | instrument_id  | ts_event       | body  |
//	| u8, ×4 | u8     | u16           | u32            | u64 ns         |       |
//	+--------+--------+---------------+----------------+----------------+- ... -+
//
// Length counts 32-bit words of the whole record.

// Header begins every record. InstrumentID is unique only within a publisher and a day.
type Header struct {
	Length       uint8  // 32-bit words of the whole record
	RType        uint8  // RType…
	PublisherID  uint16 // dataset and venue
	InstrumentID uint32 // the venue's own number where it has one
	TsEvent      uint64 // matching engine's time, ns since the Unix epoch
}

// Mbo is one order event, 56 bytes: with an 8-byte slot number one cache line.
type Mbo struct {
	Header
	OrderID   uint64
	Price     int64 // 1e-9, UndefPrice: none
	Size      uint32
	Flags     uint8 // Flag…
	ChannelID uint8 // 255: not set
	Action    byte  // Action…
	Side      byte  // Side…
	TsRecv    uint64
	TsInDelta int32  // TsRecv − venue's send time, ns, clamped
	Sequence  uint32 // venue's message sequence, low 32 bits
}

// Trade is one print, 48 bytes.
type Trade struct {
	Header
	Price     int64
	Size      uint32
	Action    byte
	Side      byte
	Flags     uint8
	Depth     uint8
	TsRecv    uint64
	TsInDelta int32
	Sequence  uint32
}

// BidAskPair is one price level of both sides, 32 bytes. An empty side has UndefPrice and zeros.
type BidAskPair struct {
	BidPx int64
	AskPx int64
	BidSz uint32
	AskSz uint32
	BidCt uint32 // orders at the bid
	AskCt uint32 // orders at the ask
}

// EmptyPair is a level without a bid and without an ask.
var EmptyPair = BidAskPair{BidPx: UndefPrice, AskPx: UndefPrice}

// ConsolidatedPair is one level across venues, 32 bytes.
type ConsolidatedPair struct {
	BidPx int64
	AskPx int64
	BidSz uint32
	AskSz uint32
	BidPb uint16 // publisher with the best bid
	_     [2]byte
	AskPb uint16
	_     [2]byte
}

// Mbp1 is a trade or a change of the best prices, with the book's top, 80 bytes. A T shows the book just before the
// trade, everything else the book after the event (DBN section 7).
type Mbp1 struct {
	Trade
	Levels [1]BidAskPair
}

// Mbp10 is Mbp1 with ten levels, best first, 368 bytes.
type Mbp10 struct {
	Trade
	Levels [10]BidAskPair
}

// Bbo is the best prices at the end of an interval with the last trade, 80 bytes.
type Bbo struct {
	Header
	Price    int64
	Size     uint32
	_        [1]byte
	Side     byte
	Flags    uint8
	_        [1]byte
	TsRecv   uint64
	_        [4]byte
	Sequence uint32
	Levels   [1]BidAskPair
}

// Cmbp1 is a change of the consolidated best prices, 80 bytes.
type Cmbp1 struct {
	Header
	Price     int64
	Size      uint32
	Action    byte
	Side      byte
	Flags     uint8
	_         [1]byte
	TsRecv    uint64
	TsInDelta int32
	_         [4]byte
	Levels    [1]ConsolidatedPair
}

// Cbbo is the consolidated best prices at the end of an interval, 80 bytes.
type Cbbo struct {
	Header
	Price  int64
	Size   uint32
	_      [1]byte
	Side   byte
	Flags  uint8
	_      [1]byte
	TsRecv uint64
	_      [8]byte
	Levels [1]ConsolidatedPair
}

// Ohlcv is a bar, 56 bytes; TsEvent is its start.
type Ohlcv struct {
	Header
	Open   int64
	High   int64
	Low    int64
	Close  int64
	Volume uint64
}

// Status is a change of an instrument's trading state, 40 bytes.
type Status struct {
	Header
	TsRecv                uint64
	Action                uint16 // StatusAction…
	Reason                uint16 // StatusReason…
	TradingEvent          uint16
	IsTrading             byte // 'Y', 'N' or '~' for unknown
	IsQuoting             byte
	IsShortSellRestricted byte
	_                     [7]byte
}

// Imbalance is an auction's state, 112 bytes. Public data carries 0 in unused fields: treat 0 and UNDEF alike.
type Imbalance struct {
	Header
	TsRecv               uint64
	RefPrice             int64
	AuctionTime          uint64
	ContBookClrPrice     int64
	AuctInterestClrPrice int64
	SsrFillingPrice      int64
	IndMatchPrice        int64
	UpperCollar          int64
	LowerCollar          int64
	PairedQty            uint32
	TotalImbalanceQty    uint32
	MarketImbalanceQty   uint32
	UnpairedQty          uint32
	AuctionType          byte
	Side                 byte
	AuctionStatus        uint8
	FreezeStatus         uint8
	NumExtensions        uint8
	UnpairedSide         byte
	SignificantImbalance byte
	_                    [1]byte
}

// Statistics is one figure about an instrument, 80 bytes.
type Statistics struct {
	Header
	TsRecv       uint64
	TsRef        uint64
	Price        int64
	Quantity     int64 // MaxInt64: not set
	Sequence     uint32
	TsInDelta    int32
	StatType     uint16 // StatType…
	ChannelID    uint16 // 65535: not set
	UpdateAction uint8  // 1 new, 2 delete
	StatFlags    uint8
	_            [18]byte
}

// ErrorMsg is a gateway's error, 320 bytes.
type ErrorMsg struct {
	Header
	Err    [302]byte
	Code   uint8
	IsLast uint8
}

// SymbolMapping says which symbol an instrument id stands for, 176 bytes.
type SymbolMapping struct {
	Header
	StypeIn        uint8
	StypeInSymbol  [71]byte
	StypeOut       uint8
	StypeOutSymbol [71]byte
	StartTs        uint64
	EndTs          uint64
}

// System is a gateway's message, 320 bytes.
type System struct {
	Header
	Msg  [303]byte
	Code uint8
}
