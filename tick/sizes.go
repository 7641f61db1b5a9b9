package tick

import "unsafe"

// A record whose size differs either way does not compile.
const (
	_ = 16 - unsafe.Sizeof(Header{})
	_ = unsafe.Sizeof(Header{}) - 16
	_ = 56 - unsafe.Sizeof(Mbo{})
	_ = unsafe.Sizeof(Mbo{}) - 56
	_ = 48 - unsafe.Sizeof(Trade{})
	_ = unsafe.Sizeof(Trade{}) - 48
	_ = 32 - unsafe.Sizeof(BidAskPair{})
	_ = unsafe.Sizeof(BidAskPair{}) - 32
	_ = 32 - unsafe.Sizeof(ConsolidatedPair{})
	_ = unsafe.Sizeof(ConsolidatedPair{}) - 32
	_ = 80 - unsafe.Sizeof(Mbp1{})
	_ = unsafe.Sizeof(Mbp1{}) - 80
	_ = 368 - unsafe.Sizeof(Mbp10{})
	_ = unsafe.Sizeof(Mbp10{}) - 368
	_ = 80 - unsafe.Sizeof(Bbo{})
	_ = unsafe.Sizeof(Bbo{}) - 80
	_ = 80 - unsafe.Sizeof(Cmbp1{})
	_ = unsafe.Sizeof(Cmbp1{}) - 80
	_ = 80 - unsafe.Sizeof(Cbbo{})
	_ = unsafe.Sizeof(Cbbo{}) - 80
	_ = 56 - unsafe.Sizeof(Ohlcv{})
	_ = unsafe.Sizeof(Ohlcv{}) - 56
	_ = 40 - unsafe.Sizeof(Status{})
	_ = unsafe.Sizeof(Status{}) - 40
	_ = 520 - unsafe.Sizeof(Definition{})
	_ = unsafe.Sizeof(Definition{}) - 520
	_ = 112 - unsafe.Sizeof(Imbalance{})
	_ = unsafe.Sizeof(Imbalance{}) - 112
	_ = 80 - unsafe.Sizeof(Statistics{})
	_ = unsafe.Sizeof(Statistics{}) - 80
	_ = 320 - unsafe.Sizeof(ErrorMsg{})
	_ = unsafe.Sizeof(ErrorMsg{}) - 320
	_ = 176 - unsafe.Sizeof(SymbolMapping{})
	_ = unsafe.Sizeof(SymbolMapping{}) - 176
	_ = 320 - unsafe.Sizeof(System{})
	_ = unsafe.Sizeof(System{}) - 320
	_ = 56 - unsafe.Sizeof(Gap{})
	_ = unsafe.Sizeof(Gap{}) - 56
	_ = 56 - unsafe.Sizeof(Ext{})
	_ = unsafe.Sizeof(Ext{}) - 56
)
