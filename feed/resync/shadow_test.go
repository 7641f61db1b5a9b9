package resync

import (
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// TestTradingStates: of an instrument's statuses the latest that tells a trading state is the trading state. What stands beside it, no action, a new price indication, a restriction of short
// sales, does not take its place: the lane would tell nothing then, and readers would keep the state from before the loss.
func TestTradingStates(t *testing.T) {
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	s := &Shadow{about: map[uint32]uint32{}}
	for i, action := range []uint16{tick.StatusPreOpen, tick.StatusTrading, tick.StatusNone, tick.StatusPriceIndication, tick.StatusSSRChange} {
		b.Reset()
		b.Kind[0], b.Aux[0], b.N = tick.KindStatus, tick.SideRows(0, 1), 1
		b.Statuses[0] = tick.Status{Header: tick.Header{RType: tick.RTypeStatus, InstrumentID: 5, TsEvent: uint64(10 + i)}, Action: action, IsShortSellRestricted: "~~~~Y"[i]}
		s.note(b, 0)
	}
	if a := s.About(5); a.Trading.Action != tick.StatusTrading || a.Trading.TsEvent != 11 || a.ShortSale.IsShortSellRestricted != 'Y' {
		t.Errorf("%+v", *a)
	}
	if err := b.Free(); err != nil {
		t.Fatal(err)
	}
}
