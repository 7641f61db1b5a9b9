package tick

import "unsafe"

// Where columns are, in bytes behind Kind: NewBatch lays them out one after the other, each stagger further within its page (TestSpread). Assembly that
// writes columns addresses them by one register and these, where it would otherwise load eleven pointers a row.
const (
	AtSub        = 1*MaxRows + 1*stagger
	AtSide       = 2*MaxRows + 2*stagger
	AtFlags      = 3*MaxRows + 3*stagger
	AtInstrument = 4*MaxRows + 4*stagger
	AtTsEvent    = 8*MaxRows + 5*stagger
	AtSequence   = 24*MaxRows + 7*stagger // TsRecv is between
	AtOrderID    = 32*MaxRows + 8*stagger
	AtAux        = 40*MaxRows + 9*stagger
	AtPrice      = 48*MaxRows + 10*stagger
	AtSize       = 56*MaxRows + 11*stagger
	AtOldPrice   = 73*MaxRows + 14*stagger // State and Left are between
	AtOldSize    = 81*MaxRows + 15*stagger
)

// Spread says that the columns are where the constants say. It is true of a batch that NewBatch made; who goes by the constants asks once a batch.
func (b *Batch) Spread() bool {
	at := func(column unsafe.Pointer) uintptr { return uintptr(column) - uintptr(unsafe.Pointer(b.Kind)) }
	return at(unsafe.Pointer(b.Sub)) == AtSub && at(unsafe.Pointer(b.Side)) == AtSide && at(unsafe.Pointer(b.Flags)) == AtFlags &&
		at(unsafe.Pointer(b.Instrument)) == AtInstrument && at(unsafe.Pointer(b.TsEvent)) == AtTsEvent &&
		at(unsafe.Pointer(b.Sequence)) == AtSequence && at(unsafe.Pointer(b.OrderID)) == AtOrderID && at(unsafe.Pointer(b.Aux)) == AtAux &&
		at(unsafe.Pointer(b.Price)) == AtPrice && at(unsafe.Pointer(b.Size)) == AtSize &&
		at(unsafe.Pointer(b.OldPrice)) == AtOldPrice && at(unsafe.Pointer(b.OldSize)) == AtOldSize
}
