package tick

import (
	"testing"
	"unsafe"
)

// Offsets as sections 3 and 4 of the DBN encoding give them; sizes are checked by the compiler in sizes.go.
func TestOffsets(t *testing.T) {
	var (
		mbo  Mbo
		tr   Trade
		m1   Mbp1
		m10  Mbp10
		bbo  Bbo
		cm   Cmbp1
		cb   Cbbo
		bar  Ohlcv
		st   Status
		im   Imbalance
		sta  Statistics
		e    ErrorMsg
		sm   SymbolMapping
		sy   System
		d    Definition
		pair BidAskPair
		cp   ConsolidatedPair
	)
	for _, tc := range []struct {
		name      string
		got, want uintptr
	}{
		{"header.rtype", unsafe.Offsetof(mbo.RType), 1},
		{"header.publisher_id", unsafe.Offsetof(mbo.PublisherID), 2},
		{"header.instrument_id", unsafe.Offsetof(mbo.InstrumentID), 4},
		{"header.ts_event", unsafe.Offsetof(mbo.TsEvent), 8},
		{"mbo.order_id", unsafe.Offsetof(mbo.OrderID), 16},
		{"mbo.price", unsafe.Offsetof(mbo.Price), 24},
		{"mbo.size", unsafe.Offsetof(mbo.Size), 32},
		{"mbo.flags", unsafe.Offsetof(mbo.Flags), 36},
		{"mbo.channel_id", unsafe.Offsetof(mbo.ChannelID), 37},
		{"mbo.action", unsafe.Offsetof(mbo.Action), 38},
		{"mbo.side", unsafe.Offsetof(mbo.Side), 39},
		{"mbo.ts_recv", unsafe.Offsetof(mbo.TsRecv), 40},
		{"mbo.ts_in_delta", unsafe.Offsetof(mbo.TsInDelta), 48},
		{"mbo.sequence", unsafe.Offsetof(mbo.Sequence), 52},
		{"trade.price", unsafe.Offsetof(tr.Price), 16},
		{"trade.size", unsafe.Offsetof(tr.Size), 24},
		{"trade.action", unsafe.Offsetof(tr.Action), 28},
		{"trade.side", unsafe.Offsetof(tr.Side), 29},
		{"trade.flags", unsafe.Offsetof(tr.Flags), 30},
		{"trade.depth", unsafe.Offsetof(tr.Depth), 31},
		{"trade.ts_recv", unsafe.Offsetof(tr.TsRecv), 32},
		{"trade.ts_in_delta", unsafe.Offsetof(tr.TsInDelta), 40},
		{"trade.sequence", unsafe.Offsetof(tr.Sequence), 44},
		{"pair.ask_px", unsafe.Offsetof(pair.AskPx), 8},
		{"pair.bid_sz", unsafe.Offsetof(pair.BidSz), 16},
		{"pair.ask_sz", unsafe.Offsetof(pair.AskSz), 20},
		{"pair.bid_ct", unsafe.Offsetof(pair.BidCt), 24},
		{"pair.ask_ct", unsafe.Offsetof(pair.AskCt), 28},
		{"cpair.bid_pb", unsafe.Offsetof(cp.BidPb), 24},
		{"cpair.ask_pb", unsafe.Offsetof(cp.AskPb), 28},
		{"mbp1.levels", unsafe.Offsetof(m1.Levels), 48},
		{"mbp10.levels", unsafe.Offsetof(m10.Levels), 48},
		{"bbo.side", unsafe.Offsetof(bbo.Side), 29},
		{"bbo.flags", unsafe.Offsetof(bbo.Flags), 30},
		{"bbo.ts_recv", unsafe.Offsetof(bbo.TsRecv), 32},
		{"bbo.sequence", unsafe.Offsetof(bbo.Sequence), 44},
		{"bbo.levels", unsafe.Offsetof(bbo.Levels), 48},
		{"cmbp1.ts_recv", unsafe.Offsetof(cm.TsRecv), 32},
		{"cmbp1.ts_in_delta", unsafe.Offsetof(cm.TsInDelta), 40},
		{"cmbp1.levels", unsafe.Offsetof(cm.Levels), 48},
		{"cbbo.flags", unsafe.Offsetof(cb.Flags), 30},
		{"cbbo.ts_recv", unsafe.Offsetof(cb.TsRecv), 32},
		{"cbbo.levels", unsafe.Offsetof(cb.Levels), 48},
		{"ohlcv.open", unsafe.Offsetof(bar.Open), 16},
		{"ohlcv.volume", unsafe.Offsetof(bar.Volume), 48},
		{"status.ts_recv", unsafe.Offsetof(st.TsRecv), 16},
		{"status.action", unsafe.Offsetof(st.Action), 24},
		{"status.trading_event", unsafe.Offsetof(st.TradingEvent), 28},
		{"status.is_short_sell_restricted", unsafe.Offsetof(st.IsShortSellRestricted), 32},
		{"imbalance.ref_price", unsafe.Offsetof(im.RefPrice), 24},
		{"imbalance.lower_collar", unsafe.Offsetof(im.LowerCollar), 80},
		{"imbalance.paired_qty", unsafe.Offsetof(im.PairedQty), 88},
		{"imbalance.auction_type", unsafe.Offsetof(im.AuctionType), 104},
		{"imbalance.significant_imbalance", unsafe.Offsetof(im.SignificantImbalance), 110},
		{"statistics.quantity", unsafe.Offsetof(sta.Quantity), 40},
		{"statistics.stat_type", unsafe.Offsetof(sta.StatType), 56},
		{"statistics.stat_flags", unsafe.Offsetof(sta.StatFlags), 61},
		{"error.code", unsafe.Offsetof(e.Code), 318},
		{"mapping.stype_out", unsafe.Offsetof(sm.StypeOut), 88},
		{"mapping.start_ts", unsafe.Offsetof(sm.StartTs), 160},
		{"system.code", unsafe.Offsetof(sy.Code), 319},
		{"definition.raw_instrument_id", unsafe.Offsetof(d.RawInstrumentID), 112},
		{"definition.inst_attrib_value", unsafe.Offsetof(d.InstAttribValue), 136},
		{"definition.min_lot_size_round_lot", unsafe.Offsetof(d.MinLotSizeRoundLot), 168},
		{"definition.leg_underlying_id", unsafe.Offsetof(d.LegUnderlyingID), 208},
		{"definition.currency", unsafe.Offsetof(d.Currency), 224},
		{"definition.raw_symbol", unsafe.Offsetof(d.RawSymbol), 238},
		{"definition.exchange", unsafe.Offsetof(d.Exchange), 330},
		{"definition.leg_raw_symbol", unsafe.Offsetof(d.LegRawSymbol), 416},
		{"definition.instrument_class", unsafe.Offsetof(d.InstrumentClass), 487},
		{"definition.user_defined_instrument", unsafe.Offsetof(d.UserDefinedInstrument), 497},
		{"definition.leg_side", unsafe.Offsetof(d.LegSide), 502},
	} {
		if tc.got != tc.want {
			t.Errorf("%s at %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}

func TestFormatPrice(t *testing.T) {
	for _, tc := range []struct {
		price int64
		want  string
	}{
		{150_000_000_000, "150.00"},
		{22_480_000_000, "22.48"},
		{100_000, "0.0001"},
		{1, "0.000000001"},
		{-1_500_000_000, "-1.50"},
		{-1 << 63, "-9223372036.854775808"},
		{UndefPrice, "-"},
	} {
		if got := FormatPrice(tc.price); got != tc.want {
			t.Errorf("FormatPrice(%d) = %q, want %q", tc.price, got, tc.want)
		}
	}
}

func TestSize32(t *testing.T) {
	for _, tc := range []struct {
		size uint64
		want uint32
	}{{0, 0}, {MaxSize, MaxSize}, {UndefSize, MaxSize}, {1 << 40, MaxSize}} {
		if got := Size32(tc.size); got != tc.want {
			t.Errorf("Size32(%d) = %d, want %d", tc.size, got, tc.want)
		}
	}
}
