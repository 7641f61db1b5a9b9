package dbn

import (
	"math"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// TestColumns reads a record through its columns: every value where the struct has it.
func TestColumns(t *testing.T) {
	r := tick.Mbp1{Trade: tick.Trade{
		Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: 2, InstrumentID: 7, TsEvent: 11},
		Price:  -5, Size: 100, Action: 'T', Side: 'A', Flags: 0x80, TsRecv: tick.UndefTime, TsInDelta: -3, Sequence: 9,
	}, Levels: [1]tick.BidAskPair{{BidPx: 1, AskPx: tick.UndefPrice, BidSz: 3, AskSz: 4, BidCt: 5, AskCt: 6}}}
	rec := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	want := map[string]int64{
		"rtype": 1, "publisher_id": 2, "instrument_id": 7, "ts_event": 11, "price": -5, "size": 100, "flags": 0x80, "depth": 0,
		"ts_in_delta": -3, "sequence": 9, "bid_px_00": 1, "bid_sz_00": 3, "ask_sz_00": 4, "bid_ct_00": 5, "ask_ct_00": 6,
	}
	seen := 0
	for _, c := range Columns(tick.RTypeMbp1) {
		if c.Kind == ColumnChar {
			if got := c.Text(rec); c.Name == "action" && got != "T" || c.Name == "side" && got != "A" {
				t.Errorf("%s: %q", c.Name, got)
			}
			continue
		}
		got, none := c.Int(rec)
		if none != (c.Name == "ts_recv" || c.Name == "ask_px_00") {
			t.Errorf("%s: none is %v", c.Name, none)
		}
		if w, ok := want[c.Name]; ok {
			seen++
			if got != w {
				t.Errorf("%s: %d, want %d", c.Name, got, w)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d columns seen", seen, len(want))
	}
	if n := len(Columns(tick.RTypeMbp10)); n != 4+9+60 {
		t.Errorf("%d columns of ten levels", n)
	}
	if Columns(0xEE) != nil {
		t.Error("columns of an unknown type")
	}
	d := tick.UndefDefinition
	rec = unsafe.Slice((*byte)(unsafe.Pointer(&d)), unsafe.Sizeof(d))
	for _, c := range Columns(tick.RTypeDefinition) {
		if c.Name == "contract_multiplier" {
			if v, none := c.Int(rec); v != math.MaxInt32 || !none {
				t.Errorf("an undefined i32: %d, %v", v, none)
			}
		}
	}
}
