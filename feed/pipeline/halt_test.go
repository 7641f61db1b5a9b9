package pipeline

import (
	"fmt"
	"testing"

	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// TestHalt: the trading state in both directories and in the books. What says nothing of it, as a short-sale status does, leaves it as it was, and is a record
// all the same.
func TestHalt(t *testing.T) {
	var directory *symbols.Directory
	b := newBench(t, func(c *Config) { directory = c.Symbols })
	b.feed(1, define(7, "AAPL"), msg('H', 7, 2, "AAPL    ", "T", " ", "    "))
	b.lane.EndPass()
	for _, tc := range []struct {
		action, want uint16
		halted       bool
	}{
		{tick.StatusHalt, tick.StatusHalt, true},
		{tick.StatusSSRChange, tick.StatusHalt, true},
		{tick.StatusNone, tick.StatusHalt, true},
		{tick.StatusPriceIndication, tick.StatusHalt, true},
		{tick.StatusTrading, tick.StatusTrading, false},
		{tick.StatusSSRChange, tick.StatusTrading, false},
		{tick.StatusSuspend, tick.StatusSuspend, true},
		{tick.StatusQuoting, tick.StatusQuoting, false},
		{tick.StatusNotAvail, tick.StatusNotAvail, true},
		{tick.StatusTrading, tick.StatusTrading, false},
		{tick.StatusPause, tick.StatusPause, true},
	} {
		b.lane.halt(&tick.Status{Header: tick.Header{InstrumentID: 7}, Action: tc.action})
		in, _ := b.inst.Lookup(2, 7)
		got := fmt.Sprint(in.StatusAction, directory.Lookup(7).Status, b.books.Halted(7))
		if want := fmt.Sprint(tc.want, tc.want, tc.halted); got != want {
			t.Errorf("after action %d: %s, want %s", tc.action, got, want)
		}
	}
	b.feed(3, msg('Y', 7, 3, "AAPL    ", "1")) // as it comes: after a pause
	b.lane.EndPass()
	if in, _ := b.inst.Lookup(2, 7); in.StatusAction != uint8(tick.StatusPause) {
		t.Errorf("a short-sale status made it %d", in.StatusAction)
	}
}

// TestGapBeforeTheFirstRow: no venue's time is known yet; the gap is of today all the same.
func TestGapBeforeTheFirstRow(t *testing.T) {
	b := newBench(t, nil)
	b.lane.Gap(lostGap(1, 9))
	var slot [1]ringbuf.EventSlot
	if n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindEvents], slot[:]); n != 1 || slot[0].Gap() == nil || slot[0].Gap().TsEvent < testMidnight {
		t.Errorf("%d records, %+v", n, slot[0].Gap())
	}
}
