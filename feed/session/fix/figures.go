package fix

import (
	"math"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// figureTypes are the MDEntryTypes of what the events ring has, by DBN's StatType (package parsers/fix reads the same back). amount says that the value is a
// size.
var figureTypes = map[uint16]struct {
	typ    byte
	amount bool
}{
	tick.StatOpeningPrice: {typ: '4'},
	tick.StatClosePrice:   {typ: '5'},
	3:                     {typ: '6'}, // settlement
	5:                     {typ: '7'}, // session's high
	4:                     {typ: '8'}, // session's low
	13:                    {typ: '9'}, // VWAP
	10001:                 {typ: 'B', amount: true},
	9:                     {typ: 'C', amount: true},
}

// typeImbalance is the MDEntryType of one side of an auction having more than the other.
const typeImbalance = 'A'

// isFigure says that entries of a type are figures.
func isFigure(typ byte) bool { return typ >= '4' && typ <= '9' || typ >= 'A' && typ <= 'C' }

// figureOf reads a record of the events ring; gone: it is taken back; false: it is none.
func figureOf(e *ringbuf.EventSlot) (f Figure, gone, ok bool) {
	if s := e.Statistics(); s != nil {
		t, ok := figureTypes[s.StatType]
		f = Figure{Type: t.typ, Side: tick.SideNone, Price: s.Price, Size: noSize, TsEvent: s.TsEvent}
		if t.amount {
			f.Price = tick.UndefPrice
			if s.Quantity >= 0 && s.Quantity != math.MaxInt64 {
				f.Size = uint64(s.Quantity)
			}
		}
		gone = s.UpdateAction == 2 || f.Price == tick.UndefPrice && f.Size == noSize
		return f, gone, ok
	}
	if i := e.Imbalance(); i != nil {
		f = Figure{Type: typeImbalance, Side: i.Side, Price: i.RefPrice, Size: noSize, TsEvent: i.TsEvent}
		if i.TotalImbalanceQty != tick.UndefSize {
			f.Size = uint64(i.TotalImbalanceQty)
		}
		return f, false, true
	}
	return f, false, false
}

// entryOf is a figure's line.
func entryOf(f *Figure) entry {
	return entry{typ: f.Type, px: f.Price, size: f.Size, ns: f.TsEvent, more: f.Side}
}
