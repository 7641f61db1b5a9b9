package mdp3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/tick"
)

type groups = map[string][]f

const day0 = 19_000 // a LocalMktDate

// TestRows gives the rows of one message of each template, built by the schema's tables.
func TestRows(t *testing.T) {
	level := func(price float64, size, id, rpt, level, action int, typ byte) f {
		return f{"MDEntryPx": px(price), "MDEntrySize": size, "SecurityID": id, "RptSeq": rpt, "MDPriceLevel": level, "MDUpdateAction": action, "MDEntryType": int(typ), "NumberOfOrders": 3}
	}
	status := f{"TransactTime": 5, "SecurityID": 7, "MatchEventIndicator": 0x80, "SecurityTradingStatus": 17, "HaltReason": 0, "SecurityTradingEvent": 5}
	for _, tc := range []struct {
		name   string
		id     uint16
		root   f
		groups groups
		want   string
	}{
		{"all actions of levels, a reset, best prices", 46, at(5, 0x84), groups{"NoMDEntries": {level(1, 10, 7, 1, 1, 0, '0'), level(-2.5, 10, 7, 2, 2, 1, '1'),
			level(3, 10, 7, 3, 3, 2, '0'), level(3, 10, 7, 4, 3, 3, '0'), level(3, 10, 7, 5, 3, 4, '0'), level(3, 10, 7, 6, 3, 5, '0'), level(4, 10, 7, 7, 1, 0, 'F'),
			{"SecurityID": 7, "RptSeq": 8, "MDEntryType": int('J')}, level(4, 10, 7, 9, 1, 0, 'w')}},
			`level N 7 B1 10 @ 1.00, 3 orders +
level C 7 A2 10 @ -2.50, 3 orders +
level D 7 B3 10 @ 3.00, 3 orders +
level T 7 B3 10 @ 3.00, 3 orders +
level F 7 B3 10 @ 3.00, 3 orders +
level O 7 B3 10 @ 3.00, 3 orders +
implied N 7 A1 10 @ 4.00, 3 orders
clear 7
ext 7 46/269=119 46/270=4000000000 46/271=10 46/279=0`},
		{"a level that goes says no more than its number", 46, at(5, 0x84), groups{"NoMDEntries": {{"SecurityID": 7, "RptSeq": 1, "MDPriceLevel": 2, "MDUpdateAction": 2, "MDEntryType": int('0')}}},
			`level D 7 B2 0 @ -, 0 orders`},
		{"orders of 64 bits", 47, at(5, 0x84), groups{"NoMDEntries": {{"OrderID": uint64(1<<64 - 2), "MDOrderPriority": uint64(1 << 63), "MDEntryPx": px(1), "MDDisplayQty": 5, "SecurityID": 7, "MDEntryType": int('1')}}},
			`add 7 18446744073709551614 A 5 @ 1.00`},
		{"sizes of 64 bits", 64, at(5, 0x84), groups{"NoMDEntries": {{"MDEntryPx": px(1.1), "MDEntrySize": uint64(1 << 62), "SecurityID": 7, "RptSeq": 1, "MDPriceLevel": 1, "MDEntryType": int('0')}},
			"NoOrderIDEntries": {{"OrderID": 4, "MDOrderPriority": 3, "MDDisplayQty": 2, "ReferenceID": 1}}},
			"level N 7 B1 4611686018427387904 @ 1.10, 0 orders\nadd 7 4 B 2 @ 1.10"},
		{"trades of 64 bits", 65, at(5, 0x81), groups{"NoMDEntries": {{"MDEntryPx": px(1.1), "MDEntrySize": uint64(1 << 62), "SecurityID": 7, "RptSeq": 1, "NumberOfOrders": 1, "MDTradeEntryID": 9, "AggressorSide": 2}},
			"NoOrderIDEntries": {{"OrderID": 4, "LastQty": 2}}}, `trade 7 4 A 4611686018427387904 @ 1.10 aux 9`},
		{"volume of 64 bits", 66, at(5, 0x82), groups{"NoMDEntries": {{"MDEntrySize": uint64(1<<63 - 2), "SecurityID": 7, "RptSeq": 1}}}, `stat 7 type 10001 - 9223372036854775806 action 1 flags 0`},
		{"trades without aggressor, corrected, taken back", 48, at(5, 0x81), groups{"NoMDEntries": {
			{"MDEntryPx": px(1), "MDEntrySize": 4, "SecurityID": 7, "RptSeq": 1, "NumberOfOrders": 2, "MDTradeEntryID": 9, "AggressorSide": 0},
			{"MDEntryPx": px(2), "MDEntrySize": 4, "SecurityID": 7, "RptSeq": 2, "MDTradeEntryID": 8, "AggressorSide": 1, "MDUpdateAction": 1},
			{"MDEntryPx": px(2), "MDEntrySize": 4, "SecurityID": 7, "RptSeq": 3, "NumberOfOrders": 1, "MDTradeEntryID": 7, "AggressorSide": 1, "MDUpdateAction": 2},
			{"MDEntryPx": px(2), "MDEntrySize": 4, "SecurityID": 7, "RptSeq": 4, "AggressorSide": 1, "MDUpdateAction": 2}},
			"NoOrderIDEntries": {{"OrderID": 4, "LastQty": 2}, {"OrderID": 5, "LastQty": 2}, {"OrderID": 6, "LastQty": 4}}},
			"trade 7 0 N 4 @ 1.00 aux 9 +\nfill 7 4 N 2 @ 1.00 aux 9 +\nfill 7 5 N 2 @ 1.00 aux 9 +\nbreak 7 of 8\ntrade 7 0 B 4 @ 2.00 aux 8\nbreak 7 of 7\next 7 48/279=2 48/270=2000000000 48/271=4"},
		{"the old trade", 36, at(5, 0x81), groups{"NoMDEntries": {{"MDEntryPx": 12_500_000, "MDEntrySize": 4, "SecurityID": 7, "RptSeq": 1, "TradeID": 12, "AggressorSide": 2}}}, `trade 7 0 A 4 @ 1.25 aux 12`},
		{"daily statistics", 49, at(5, 0x80), groups{"NoMDEntries": {
			{"MDEntryPx": px(1), "SecurityID": 7, "RptSeq": 1, "TradingReferenceDate": day0, "SettlPriceType": 3, "MDEntryType": int('6')},
			{"MDEntrySize": 5, "SecurityID": 7, "RptSeq": 2, "SettlPriceType": 0x80, "MDEntryType": int('B')},
			{"MDEntrySize": 6, "SecurityID": 7, "RptSeq": 3, "MDEntryType": int('C'), "MDUpdateAction": 2}, {"MDEntryPx": px(3), "SecurityID": 7, "RptSeq": 4, "MDEntryType": int('W')}}},
			`stat 7 type 3 1.00 9223372036854775807 action 1 flags 3 ref 19000
stat 7 type 6 - 5 action 1 flags 0
stat 7 type 9 - 6 action 2 flags 0
stat 7 type 10 3.00 9223372036854775807 action 1 flags 0`},
		{"old daily statistics", 33, at(5, 0x80), groups{"NoMDEntries": {{"MDEntryPx": 10_000_000, "SecurityID": 7, "RptSeq": 1, "MDEntryType": int('6')}}},
			`stat 7 type 3 1.00 9223372036854775807 action 1 flags 0`},
		{"session statistics", 51, at(5, 0x88), groups{"NoMDEntries": {
			{"MDEntryPx": px(1), "SecurityID": 7, "RptSeq": 1, "OpenCloseSettlFlag": 0, "MDEntryType": int('4')},
			{"MDEntryPx": px(1), "SecurityID": 7, "RptSeq": 2, "OpenCloseSettlFlag": 5, "MDEntryType": int('4'), "MDEntrySize": 11},
			{"MDEntryPx": px(2), "SecurityID": 7, "RptSeq": 3, "MDEntryType": int('7')}, {"MDEntryPx": px(3), "SecurityID": 7, "RptSeq": 4, "MDEntryType": int('8')},
			{"MDEntryPx": px(4), "SecurityID": 7, "RptSeq": 5, "MDEntryType": int('N')}, {"MDEntryPx": px(5), "SecurityID": 7, "RptSeq": 6, "MDEntryType": int('O')},
			{"MDEntryPx": px(6), "SecurityID": 7, "RptSeq": 7, "MDEntryType": int('9'), "OpenCloseSettlFlag": 100}}},
			`stat 7 type 1 1.00 9223372036854775807 action 1 flags 0
stat 7 type 2 1.00 11 action 1 flags 0
stat 7 type 5 2.00 9223372036854775807 action 1 flags 0
stat 7 type 4 3.00 9223372036854775807 action 1 flags 0
stat 7 type 8 4.00 9223372036854775807 action 1 flags 0
stat 7 type 7 5.00 9223372036854775807 action 1 flags 0
stat 7 type 13 6.00 9223372036854775807 action 1 flags 0`},
		{"old session statistics", 35, at(5, 0x88), groups{"NoMDEntries": {{"MDEntryPx": 10_000_000, "SecurityID": 7, "RptSeq": 1, "MDEntryType": int('7'), "MDEntrySize": 3}}}, `stat 7 type 5 1.00 3 action 1 flags 0`},
		{"session statistics of 64 bits", 67, at(5, 0x88), groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": uint64(1 << 40), "SecurityID": 7, "RptSeq": 1, "MDEntryType": int('7')}}}, `stat 7 type 5 1.00 1099511627776 action 1 flags 0`},
		{"limits, one taken away", 50, at(5, 0x80), groups{"NoMDEntries": {{"HighLimitPrice": px(9), "MaxPriceVariation": px(2), "SecurityID": 7, "RptSeq": 1}}},
			"stat 7 type 17 9.00 9223372036854775807 action 1 flags 0\nstat 7 type 18 - 9223372036854775807 action 2 flags 0\next 7 50/1143=2000000000"},
		{"old limits", 34, at(5, 0x80), groups{"NoMDEntries": {{"HighLimitPrice": 90_000_000, "LowLimitPrice": -10_000_000, "SecurityID": 7, "RptSeq": 1}}},
			"stat 7 type 17 9.00 9223372036854775807 action 1 flags 0\nstat 7 type 18 -1.00 9223372036854775807 action 1 flags 0\next 7 34/1143=9223372036854775807"},
		{"state of an instrument", 30, status, nil, `status 7 action 7 reason 1 event 3 trading Y quoting Y`},
		{"state of a group that is not known", 30, f{"TransactTime": 5, "SecurityGroup": "ES", "MatchEventIndicator": 0x80, "SecurityTradingStatus": 2, "HaltReason": 1}, nil, `status 0 action 8 reason 2 event 0 trading N quoting ~`},
		{"workup", 60, f{"TransactTime": 5, "MDEntryPx": px(1), "SecurityID": 7, "MatchEventIndicator": 0x80, "TradeLinkID": 4, "SecurityTradingStatus": 201, "HaltReason": 5},
			groups{"NoOrderIDEntries": {{"OrderID": 12, "Side": 1, "AggressorIndicator": 1}}}, "status 7 action 7 reason 0 event 0 trading Y quoting Y\next 7 60/270=1000000000 60/820=4\next 7 60/37=12 60/54=1 60/1057=1"},
		{"quote request", 39, f{"TransactTime": 5, "QuoteReqID": "q", "MatchEventIndicator": 0x80}, groups{"NoRelatedSym": {{"Symbol": "ESZ4", "SecurityID": 7, "OrderQty": 50, "QuoteType": 1, "Side": 2}, {"SecurityID": 8}}},
			"ext 7 39/38=50 39/54=2 39/537=1\next 8 39/537=0"},
		{"collateral", 62, at(5, 0x80), groups{"NoMDEntries": {{"UnderlyingSecurityAltID": "ABCDEFGHIJKL", "UnderlyingSecurityAltIDSource": 1, "CollateralMarketPrice": 3, "DirtyPrice": 4, "UnderlyingInstrumentGUID": 9}}},
			"ext 0 62/37519=9 62/2689=3 62/37001=4\next 0 62/458=5208208757389214273 62/458=1280002633 62/459=1"},
		{"top orders", 59, f{"TransactTime": 5, "MatchEventIndicator": 0x80, "SecurityID": 7}, groups{"NoMDEntries": {{"OrderID": 12, "MDOrderPriority": 1, "MDEntryPx": px(1), "MDDisplayQty": 3, "MDEntryType": int('0')}}},
			"clear O 7 s +\nadd 7 12 B 3 @ 1.00 s"},
		{"snapshot of levels, out of order", 52, f{"LastMsgSeqNumProcessed": 99, "SecurityID": 7, "RptSeq": 41, "TransactTime": 5, "MDSecurityTradingStatus": 21, "LowLimitPrice": px(0.5)}, groups{"NoMDEntries": {
			{"MDEntryPx": px(2), "MDEntrySize": 4, "NumberOfOrders": 2, "MDPriceLevel": 2, "MDEntryType": int('1')}, {"MDEntryPx": px(1), "MDEntrySize": 3, "NumberOfOrders": 1, "MDPriceLevel": 1, "MDEntryType": int('1')},
			{"MDEntryPx": px(1), "MDEntrySize": 3, "MDPriceLevel": 1, "MDEntryType": int('E')}, {"MDEntryPx": px(1.5), "MDEntrySize": 6, "MDEntryType": int('2')}, {"MDEntrySize": 1000, "MDEntryType": int('e')},
			{"MDEntryPx": px(7), "TradingReferenceDate": day0, "SettlPriceType": 1, "MDEntryType": int('6')}}},
			`clear L 7 s +
level N 7 A1 3 @ 1.00, 1 orders s +
level N 7 A2 4 @ 2.00, 2 orders s
implied N 7 B1 3 @ 1.00, 0 orders s
ext 7 52/31=1500000000 52/32=6 s
stat 7 type 10001 - 1000 action 1 flags 0 s
stat 7 type 3 7.00 9223372036854775807 action 1 flags 1 ref 19000 s
stat 7 type 17 - 9223372036854775807 action 2 flags 0 s
stat 7 type 18 0.50 9223372036854775807 action 1 flags 0 s
ext 7 52/1143=9223372036854775807 s
status 7 action 1 reason 0 event 0 trading N quoting Y s`},
		{"old snapshot", 38, f{"SecurityID": 7, "RptSeq": 41, "TransactTime": 5}, groups{"NoMDEntries": {{"MDEntryPx": 20_000_000, "MDEntrySize": 4, "MDPriceLevel": 1, "MDEntryType": int('0')}}}, "clear L 7 s +\nlevel N 7 B1 4 @ 2.00, 0 orders s"},
		{"snapshot of 64 bits", 69, f{"SecurityID": 7, "RptSeq": 41, "TransactTime": 5}, groups{"NoMDEntries": {{"MDEntryPx": px(2), "MDEntrySize": uint64(1 << 50), "MDPriceLevel": 1, "MDEntryType": int('0')}}}, "clear L 7 s +\nlevel N 7 B1 1125899906842624 @ 2.00, 0 orders s"},
		{"snapshot by TCP", 61, f{"SecurityID": 7, "TransactTime": 5}, groups{"NoMDEntries": {{"MDEntryPx": px(2), "MDEntrySize": 8, "MDPriceLevel": 1, "MDEntryType": int('0')}}}, "clear L 7 s +\nlevel N 7 B1 8 @ 2.00, 0 orders s"},
		{"snapshot by TCP of 64 bits", 68, f{"SecurityID": 7, "TransactTime": 5}, groups{"NoMDEntries": {{"MDEntryPx": px(2), "MDEntrySize": uint64(1 << 50), "MDPriceLevel": 1, "MDEntryType": int('0')}}}, "clear L 7 s +\nlevel N 7 B1 1125899906842624 @ 2.00, 0 orders s"},
		{"snapshot of an empty book", 52, f{"SecurityID": 7, "TransactTime": 5}, nil, "clear L 7 s"},
		{"snapshot of orders, first of two chunks", 53, f{"SecurityID": 7, "TransactTime": 5, "NoChunks": 2, "CurrentChunk": 1}, groups{"NoMDEntries": {{"OrderID": 12, "MDOrderPriority": 1, "MDEntryPx": px(1), "MDDisplayQty": 3, "MDEntryType": int('0')}}},
			"clear O 7 s +\nadd 7 12 B 3 @ 1.00 s +"},
		{"and the second", 53, f{"SecurityID": 7, "TransactTime": 5, "NoChunks": 2, "CurrentChunk": 2}, groups{"NoMDEntries": {{"OrderID": 13, "MDOrderPriority": 2, "MDEntryPx": px(1), "MDDisplayQty": 3, "MDEntryType": int('0')}}}, "add 7 13 B 3 @ 1.00 s"},
		{"old snapshot of orders", 44, f{"SecurityID": 7, "TransactTime": 5, "NoChunks": 1, "CurrentChunk": 1}, groups{"NoMDEntries": {{"OrderID": 13, "MDOrderPriority": 2, "MDEntryPx": -10_000_000, "MDDisplayQty": 3, "MDEntryType": int('1')}}},
			"clear O 7 s +\nadd 7 13 A 3 @ -1.00 s"},
		{"old orders", 43, at(5, 0x84), groups{"NoMDEntries": {{"OrderID": 13, "MDOrderPriority": 2, "MDEntryPx": -10_000_000, "MDDisplayQty": 3, "SecurityID": 7, "MDEntryType": int('1')}}}, "add 7 13 A 3 @ -1.00"},
		{"heartbeat", 12, nil, nil, ""},
		{"login", 15, f{"HeartBtInt": 30}, nil, ""},
		{"logout", 16, f{"Text": "bye"}, nil, ""},
	} {
		p := packet(3, msg(t, tc.id, tc.root, tc.groups))
		if got := strings.Join(decode(t, onWire, p), "\n"); got != tc.want {
			t.Errorf("%s: rows are\n%s\nwant\n%s", tc.name, got, tc.want)
		}
		long := enlarge(t, p, 8)
		if tc.id == 12 {
			continue
		}
		if got := strings.Join(decode(t, onWire, long), "\n"); got != tc.want {
			t.Errorf("%s: rows of longer blocks are\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

func future(id int, symbol, group, asset string) f {
	return f{"MatchEventIndicator": 0x80, "SecurityUpdateAction": int('A'), "LastUpdateTime": 77, "SecurityID": id, "Symbol": symbol, "SecurityGroup": group, "Asset": asset,
		"SecurityExchange": "XCME", "SecurityType": "FUT", "CFICode": "FFIXSX", "Currency": "USD", "SettlCurrency": "USD", "MatchAlgorithm": int('F'), "MinTradeVol": 1, "MaxTradeVol": 3000,
		"MinPriceIncrement": px(0.25), "DisplayFactor": px(0.01), "UnitOfMeasure": "IPNT", "UnitOfMeasureQty": px(50), "HighLimitPrice": px(5000), "MarketSegmentID": 64, "ApplID": 310,
		"UnderlyingProduct": 5, "UserDefinedInstrument": int('N'), "MaturityMonthYear": f{"year": 2024, "month": 12, "day": 255, "week": 255}, "PriceDisplayFormat": 2}
}

var futureGroups = groups{"NoEvents": {{"EventType": 5, "EventTime": 1000}, {"EventType": 7, "EventTime": 2000}}, "NoMDFeedTypes": {{"MDFeedType": "GBX", "MarketDepth": 10}, {"MDFeedType": "GBI", "MarketDepth": 2}},
	"NoInstAttrib": {{"InstAttribValue": 0x80000001}}, "NoLotTypeRules": {{"LotType": 2, "MinLotSize": 10_000}, {"LotType": 3, "MinLotSize": 4_000_000}, {"LotType": 1, "MinLotSize": 5_000}}}

// TestDefinition compares every field that a future's definition has.
func TestDefinition(t *testing.T) {
	root := future(7, "ESZ4", "ES", "ES")
	root["TradingReferencePrice"], root["TradingReferenceDate"], root["OpenInterestQty"], root["ClearedVolume"] = px(4000), day0, 12, 13
	root["TotNumReports"], root["MDSecurityTradingStatus"] = 500, 4
	d, out := newDecoder(t, mdp3.Options{Prices: mdp3.PricesWire, Channel: 310}), newBatch(t)
	feed(t, d, out, packet(1, msg(t, 54, root, futureGroups)))
	rows := strings.Join(rowsOf(out), "\n")
	if want := `definition 7 ESZ4 class F leg 0/0 s
stat 7 type 3 4000.00 9223372036854775807 action 1 flags 0 ref 19000 s
stat 7 type 9 - 12 action 1 flags 0 s
stat 7 type 6 - 13 action 1 flags 0 s
status 7 action 12 reason 0 event 0 trading N quoting N s`; rows != want {
		t.Errorf("rows are\n%s\nwant\n%s", rows, want)
	}
	want := tick.UndefDefinition
	want.InstrumentID, want.TsEvent, want.RawInstrumentID, want.ChannelID = 7, 77, 7, 310
	want.MinPriceIncrement, want.DisplayFactor, want.UnitOfMeasureQty, want.HighLimitPrice = 250_000_000, 10_000_000, 50_000_000_000, 5_000_000_000_000
	want.Activation, want.Expiration, want.MarketDepth, want.MarketDepthImplied = 1000, 2000, 10, 2
	want.InstAttribValue, want.MinLotSizeRoundLot, want.MinLotSizeBlock = -0x7FFFFFFF, 1, 400
	want.MarketSegmentID, want.MinTradeVol, want.MaxTradeVol, want.ApplID = 64, 1, 3000, 310
	want.MaturityYear, want.MaturityMonth, want.UnderlyingProduct, want.PriceDisplayFormat = 2024, 12, 5, 2
	want.InstrumentClass, want.MatchAlgorithm, want.SecurityUpdateAction, want.UserDefinedInstrument = 'F', 'F', 'A', 'N'
	copy(want.RawSymbol[:], "ESZ4")
	copy(want.Group[:], "ES")
	copy(want.Asset[:], "ES")
	copy(want.Exchange[:], "XCME")
	copy(want.Currency[:], "USD")
	copy(want.SettlCurrency[:], "USD")
	copy(want.Cfi[:], "FFIXSX")
	copy(want.SecurityType[:], "FUT")
	copy(want.UnitOfMeasure[:], "IPNT")
	want.Header = out.Definitions[0].Header
	if out.Definitions[0] != want {
		t.Errorf("definition is\n%+v\nwant\n%+v", out.Definitions[0], want)
	}
	if h := out.Definitions[0].Header; h.InstrumentID != 7 || h.TsEvent != 77 || h.Length != 130 {
		t.Errorf("header is %+v", h)
	}
}

// TestDefinitions: options, spreads with their legs, bonds, repos, currencies, and the templates of schema 8 with prices in 1e-7.
func TestDefinitions(t *testing.T) {
	d, out := newDecoder(t, onWire), newBatch(t)
	old := func(root f) f {
		out := f{}
		for name, v := range root {
			if n, ok := v.(int64); ok {
				v = n / 100
			}
			out[name] = v
		}
		return out
	}
	option := func(id int, putOrCall int) f {
		return f{"SecurityUpdateAction": int('A'), "LastUpdateTime": 77, "SecurityID": id, "Symbol": fmt.Sprint("OPT", id), "SecurityGroup": "EW", "Asset": "EW", "SecurityType": "OOF",
			"PutOrCall": putOrCall, "StrikePrice": px(4100), "StrikeCurrency": "USD", "MinPriceIncrement": px(0.05)}
	}
	under := groups{"NoUnderlyings": {{"UnderlyingSecurityID": 7, "UnderlyingSymbol": "ESZ4"}}}
	feed(t, d, out, packet(1, msg(t, 54, future(7, "ESZ4", "ES", "ES"), nil), msg(t, 27, old(future(8, "ESH5", "ES", "ES")), nil), msg(t, 55, option(20, 1), under), msg(t, 41, old(option(21, 0)), under)))
	spread := func(id int, typ string) f {
		return f{"SecurityUpdateAction": int('A'), "SecurityID": id, "Symbol": "ESZ4-ESH5", "SecurityGroup": "ES", "Asset": "ES", "SecurityType": typ, "SecuritySubType": "SP", "PriceRatio": px(2)}
	}
	legs := func(a, b int, price any) groups {
		return groups{"NoLegs": {{"LegSecurityID": a, "LegSide": 1, "LegRatioQty": 1}, {"LegSecurityID": b, "LegSide": 2, "LegRatioQty": 2, "LegPrice": price, "LegOptionDelta": 5000}}}
	}
	feed(t, d, out, packet(2, msg(t, 56, spread(30, "FUT"), legs(7, 8, px(3))), msg(t, 29, old(spread(31, "OOF")), legs(98, 99, 30_000_000)), msg(t, 56, spread(32, "FUT"), legs(7, 20, nil))))
	feed(t, d, out, packet(3, msg(t, 57, f{"SecurityUpdateAction": int('D'), "SecurityID": 40, "Symbol": "BOND", "MaturityDate": day0, "MinPriceIncrement": 1}, nil),
		msg(t, 58, f{"SecurityUpdateAction": int('M'), "SecurityID": 41, "Symbol": "REPO", "SecuritySubType": 1}, groups{"NoUnderlyings": {{"UnderlyingSymbol": "BOND", "UnderlyingSecurityID": 40}}}),
		msg(t, 63, f{"SecurityUpdateAction": int('A'), "SecurityID": 42, "Symbol": "EUR/USD"}, groups{"NoLotTypeRules": {{"LotType": 2, "MinLotSize": 1_000_000}}})))
	want := `definition 7 ESZ4 class F leg 0/0
definition 8 ESH5 class F leg 0/0
definition 20 OPT20 class C leg 0/0
definition 21 OPT21 class P leg 0/0
definition 30 ESZ4-ESH5 class S leg 0/2
definition 30 ESZ4-ESH5 class S leg 1/2
definition 31 ESZ4-ESH5 class T leg 0/2
definition 31 ESZ4-ESH5 class T leg 1/2
definition 32 ESZ4-ESH5 class M leg 0/2
definition 32 ESZ4-ESH5 class M leg 1/2
definition 40 BOND class B leg 0/0
definition 41 REPO class B leg 0/0
definition 42 EUR/USD class X leg 0/0`
	if got := strings.Join(rowsOf(out), "\n"); got != want || d.Refused() != 0 {
		t.Fatalf("rows are\n%s\nwant\n%s\n%+v", got, want, d.Counters)
	}
	v := out.Definitions
	if v[1].MinPriceIncrement != 250_000_000 || v[1].HighLimitPrice != 5_000_000_000_000 || v[1].DisplayFactor != 10_000_000 {
		t.Errorf("old prices are %+v", v[1])
	}
	if v[2].StrikePrice != 4_100_000_000_000 || v[2].UnderlyingID != 7 || string(v[2].Underlying[:5]) != "ESZ4\x00" || string(v[2].StrikePriceCurrency[:]) != "USD\x00" || v[3].StrikePrice != v[2].StrikePrice {
		t.Errorf("options are %+v\n%+v", v[2], v[3])
	}
	a, b := v[4], v[5]
	if a.LegInstrumentID != 7 || a.LegSide != 'B' || a.LegRatioQtyNumerator != 1 || a.LegRatioQtyDenom != 1 || a.LegPrice != tick.UndefPrice || a.LegDelta != tick.UndefPrice || a.LegInstrumentClass != 'F' || a.PriceRatio != 2_000_000_000 {
		t.Errorf("first leg is %+v", a)
	}
	if b.LegInstrumentID != 8 || b.LegSide != 'A' || b.LegRatioQtyNumerator != 2 || b.LegPrice != 3_000_000_000 || b.LegDelta != 500_000_000 || string(b.LegRawSymbol[:5]) != "ESH5\x00" {
		t.Errorf("second leg is %+v", b)
	}
	if v[7].LegPrice != 3_000_000_000 || v[7].LegRawSymbol != [71]byte{} {
		t.Errorf("leg of the old spread is %+v", v[7])
	}
	if v[10].MaturityYear != 2022 || v[10].MaturityMonth != 1 || v[10].MaturityDay != 8 || v[10].SecurityUpdateAction != 'D' || v[11].UnderlyingID != 40 || v[12].MinLotSizeRoundLot != 1_000_000 {
		t.Errorf("bond, repo, currency are %+v\n%+v\n%+v", v[10], v[11], v[12])
	}
}
