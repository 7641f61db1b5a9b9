package tick

import "math"

// Definition describes an instrument, 520 bytes (DBN version 3, section 4.11).
type Definition struct {
	Header
	TsRecv                  uint64
	MinPriceIncrement       int64
	DisplayFactor           int64
	Expiration              uint64
	Activation              uint64
	HighLimitPrice          int64
	LowLimitPrice           int64
	MaxPriceVariation       int64
	UnitOfMeasureQty        int64
	MinPriceIncrementAmount int64
	PriceRatio              int64
	StrikePrice             int64
	RawInstrumentID         uint64
	LegPrice                int64
	LegDelta                int64
	InstAttribValue         int32
	UnderlyingID            uint32
	MarketDepthImplied      int32
	MarketDepth             int32
	MarketSegmentID         uint32
	MaxTradeVol             uint32
	MinLotSize              int32
	MinLotSizeBlock         int32
	MinLotSizeRoundLot      int32
	MinTradeVol             uint32
	ContractMultiplier      int32
	DecayQuantity           int32
	OriginalContractSize    int32
	LegInstrumentID         uint32
	LegRatioPriceNumerator  int32
	LegRatioPriceDenom      int32
	LegRatioQtyNumerator    int32
	LegRatioQtyDenom        int32
	LegUnderlyingID         uint32
	ApplID                  int16
	MaturityYear            uint16
	DecayStartDate          uint16
	ChannelID               uint16
	LegCount                uint16
	LegIndex                uint16
	Currency                [4]byte
	SettlCurrency           [4]byte
	Secsubtype              [6]byte
	RawSymbol               [71]byte
	Group                   [21]byte
	Exchange                [5]byte
	Asset                   [11]byte
	Cfi                     [7]byte
	SecurityType            [7]byte
	UnitOfMeasure           [31]byte
	Underlying              [21]byte
	StrikePriceCurrency     [4]byte
	LegRawSymbol            [71]byte
	InstrumentClass         byte
	MatchAlgorithm          byte
	MainFraction            uint8
	PriceDisplayFormat      uint8
	SubFraction             uint8
	UnderlyingProduct       uint8
	SecurityUpdateAction    byte
	MaturityMonth           uint8
	MaturityDay             uint8
	MaturityWeek            uint8
	UserDefinedInstrument   byte
	ContractMultiplierUnit  int8
	FlowScheduleType        int8
	TickRule                uint8
	LegInstrumentClass      byte
	LegSide                 byte
	_                       [17]byte
}

// UndefDefinition has every field at its "not set" value (section 4.11), and the header's length and type.
var UndefDefinition = Definition{
	Header:            Header{Length: 130, RType: RTypeDefinition},
	TsRecv:            UndefTime,
	MinPriceIncrement: UndefPrice, DisplayFactor: UndefPrice, Expiration: UndefTime, Activation: UndefTime,
	HighLimitPrice: UndefPrice, LowLimitPrice: UndefPrice, MaxPriceVariation: UndefPrice,
	UnitOfMeasureQty: UndefPrice, MinPriceIncrementAmount: UndefPrice, PriceRatio: UndefPrice, StrikePrice: UndefPrice,
	LegPrice: UndefPrice, LegDelta: UndefPrice,
	InstAttribValue: math.MaxInt32, MarketDepthImplied: math.MaxInt32, MarketDepth: math.MaxInt32,
	MarketSegmentID: math.MaxUint32, MaxTradeVol: math.MaxUint32, MinLotSize: math.MaxInt32,
	MinLotSizeBlock: math.MaxInt32, MinLotSizeRoundLot: math.MaxInt32, MinTradeVol: math.MaxUint32,
	ContractMultiplier: math.MaxInt32, DecayQuantity: math.MaxInt32, OriginalContractSize: math.MaxInt32,
	ApplID: math.MaxInt16, MaturityYear: math.MaxUint16, DecayStartDate: math.MaxUint16, ChannelID: math.MaxUint16,
	MainFraction: math.MaxUint8, PriceDisplayFormat: math.MaxUint8, SubFraction: math.MaxUint8,
	UnderlyingProduct: math.MaxUint8, MaturityMonth: math.MaxUint8, MaturityDay: math.MaxUint8, MaturityWeek: math.MaxUint8,
	ContractMultiplierUnit: math.MaxInt8, FlowScheduleType: math.MaxInt8, TickRule: math.MaxUint8,
	InstrumentClass: ' ', MatchAlgorithm: ' ', SecurityUpdateAction: 'A', UserDefinedInstrument: 'N',
	LegSide: 'N',
}
