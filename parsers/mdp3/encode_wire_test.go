package mdp3_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// flat is a message's fields in one line: names sorted, constants left out, decimals as mantissas, codes as numbers.
func flat(t *testing.T, fields []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(fields))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(simple(v))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"`, "")
}

// simple leaves of what EachMessage says of a field only its value.
func simple(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"mantissa", "value"} {
			if x, ok := v[key]; ok {
				return x
			}
		}
		for k, x := range v {
			if f, ok := x.(map[string]any); ok && f["constant"] != nil {
				delete(v, k)
				continue
			}
			v[k] = simple(x)
		}
	case []any:
		for i := range v {
			v[i] = simple(v[i])
		}
	}
	return v
}

// TestEncoders: what the encoder writes is what the decoder's other half reads by the schema, field by field, in both versions.
func TestEncoders(t *testing.T) {
	const no = mdp3.WireNoPrice
	level := []mdp3.WireLevel{{Price: -1, Size: 2, Security: 3, RptSeq: 4, Orders: 5, Level: 6, Action: 1, Type: '0'}, {Price: no, Size: mdp3.WireNoSize, Orders: mdp3.WireNoInt, Level: 1, Action: 5, Type: 'F'}}
	orders := []mdp3.WireOrder{{ID: 21, Priority: 22, Size: 23, Reference: 1, Action: 2}}
	alone := []mdp3.WireOrderLevel{{ID: 31, Priority: 32, Price: 33, Size: 34, Security: 35, Action: 1, Type: '1'}}
	trades := []mdp3.WireTrade{{Price: 41, Size: 42, Security: 43, RptSeq: 44, Orders: 2, Aggressor: 2, Action: 0, ID: 46}}
	fills := []mdp3.WireFill{{ID: 51, Size: 52}, {ID: 53, Size: 54}}
	volume := []mdp3.WireVolume{{Size: 61, Security: 62, RptSeq: 63}}
	stat := []mdp3.WireStatistic{{Price: 71, Size: 72, Security: 73, RptSeq: 74, Date: 75, SettlPrice: 3, OpenClose: 5, Action: 0, Type: '6'}}
	session := []mdp3.WireStatistic{{Price: 71, Size: mdp3.WireNoSize, Security: 73, RptSeq: 74, OpenClose: 5, Type: '7'}}
	snapshot := mdp3.WireSnapshot{LastMsgSeqNumProcessed: 81, TotNumReports: 82, Security: 83, RptSeq: 84, TransactTime: 85, LastUpdateTime: 86, TradeDate: 87, Trading: 17, High: 88, Low: 89, Variation: no}
	entries := []mdp3.WireEntry{{Price: 91, Size: 92, Orders: 93, Level: 4, Date: 94, OpenClose: 5, SettlPrice: 3, Type: 'E'}, {Price: no, Size: mdp3.WireNoSize, Orders: mdp3.WireNoInt, Date: mdp3.WireNoDate, OpenClose: mdp3.WireNoByte, SettlPrice: 0x80, Type: 'e'}}
	pieces := mdp3.WireOrderSnapshot{LastMsgSeqNumProcessed: 101, TotNumReports: 102, Security: 103, NoChunks: 104, CurrentChunk: 105, TransactTime: 106}
	status := mdp3.WireStatus{TransactTime: 111, Group: "GRP", Asset: "ASSETS", Security: mdp3.WireNoInt, TradeDate: 112, Indicator: 0x80, Trading: 17, Reason: 2, Event: 4}
	def := mdp3.WireInstrument{
		Indicator: 0x80, TotNumReports: 201, Action: 'M', LastUpdateTime: 202, Trading: 21, Channel: 203, Segment: 204, Product: 5, Exchange: "XCME", Group: "GR", Asset: "AS",
		Symbol: "SYM", Security: 205, SecurityType: "FUT", CFI: "FFIXSX", Year: 2026, Month: 9, Currency: "USD", Increment: 206, DisplayFactor: 207, Unit: "BBL", UnitQty: 208,
		Reference: 209, ReferenceDate: 210, OpenInterest: 211, Cleared: 212, High: 213, Low: 214, Activation: 215, Expiration: 216, Depth: 10, ImpliedDepth: 2, Attributes: 1 << 19,
		GUID: 217, Put: true, Strike: 218, Underlying: 219, UnderlyingSymbol: "UND", Legs: []mdp3.WireLeg{{Security: 220, Side: 1, Ratio: 1}, {Security: 221, Side: 2, Ratio: 3}},
	}
	for _, tc := range []struct {
		name string
		make func(v mdp3.Encoder) []byte
		want string
	}{
		{"4", func(v mdp3.Encoder) []byte { return v.AppendChannelReset(nil, 9, 0x80, 310) },
			`{MatchEventIndicator:128,NoMDEntries:[{ApplID:310}],TransactTime:9}`},
		{"12", func(v mdp3.Encoder) []byte { return v.AppendHeartbeat(nil) },
			`{}`},
		{"15", func(v mdp3.Encoder) []byte { return v.AppendLogin(nil, 30) },
			`{HeartBtInt:30}`},
		{"16", func(v mdp3.Encoder) []byte { return v.AppendLogout(nil, "bye") },
			`{Text:bye}`},
		{"30", func(v mdp3.Encoder) []byte { return v.AppendStatus(nil, &status) },
			`{Asset:ASSETS,HaltReason:2,MatchEventIndicator:128,SecurityGroup:GRP,SecurityID:null,SecurityTradingEvent:4,SecurityTradingStatus:17,TradeDate:112,TransactTime:111}`},
		{"46", func(v mdp3.Encoder) []byte { return v.AppendBook(nil, 9, 0x84, level, orders) },
			`{MatchEventIndicator:132,NoMDEntries:[{MDEntryPx:-1,MDEntrySize:2,MDEntryType:0,MDPriceLevel:6,MDUpdateAction:1,NumberOfOrders:5,RptSeq:4,SecurityID:3,TradeableSize:null},{MDEntryPx:null,MDEntrySize:null,MDEntryType:F,MDPriceLevel:1,MDUpdateAction:5,NumberOfOrders:null,RptSeq:0,SecurityID:0,TradeableSize:null}],NoOrderIDEntries:[{MDDisplayQty:23,MDOrderPriority:22,OrderID:21,OrderUpdateAction:2,ReferenceID:1}],TransactTime:9}`},
		{"47", func(v mdp3.Encoder) []byte { return v.AppendOrders(nil, 9, 4, alone) },
			`{MatchEventIndicator:4,NoMDEntries:[{MDDisplayQty:34,MDEntryPx:33,MDEntryType:1,MDOrderPriority:32,MDUpdateAction:1,OrderID:31,SecurityID:35}],TransactTime:9}`},
		{"48", func(v mdp3.Encoder) []byte { return v.AppendTrades(nil, 9, 1, trades, fills) },
			`{MatchEventIndicator:1,NoMDEntries:[{AggressorSide:2,MDEntryPx:41,MDEntrySize:42,MDTradeEntryID:46,MDUpdateAction:0,NumberOfOrders:2,RptSeq:44,SecurityID:43}],NoOrderIDEntries:[{LastQty:52,OrderID:51},{LastQty:54,OrderID:53}],TransactTime:9}`},
		{"37", func(v mdp3.Encoder) []byte { return v.AppendVolume(nil, 9, 2, volume) },
			`{MatchEventIndicator:2,NoMDEntries:[{MDEntrySize:61,MDUpdateAction:0,RptSeq:63,SecurityID:62}],TransactTime:9}`},
		{"49", func(v mdp3.Encoder) []byte { return v.AppendDaily(nil, 9, 0, stat) },
			`{MatchEventIndicator:0,NoMDEntries:[{MDEntryPx:71,MDEntrySize:72,MDEntryType:6,MDUpdateAction:0,RptSeq:74,SecurityID:73,SettlPriceType:3,TradingReferenceDate:75}],TransactTime:9}`},
		{"50", func(v mdp3.Encoder) []byte { return v.AppendLimits(nil, 9, 0, []mdp3.WireLimits{{1, no, 2, 3, 4}}) },
			`{MatchEventIndicator:0,NoMDEntries:[{HighLimitPrice:1,LowLimitPrice:null,MaxPriceVariation:2,RptSeq:4,SecurityID:3}],TransactTime:9}`},
		{"51", func(v mdp3.Encoder) []byte { return v.AppendStatistics(nil, 9, 8, session) },
			`{MatchEventIndicator:8,NoMDEntries:[{MDEntryPx:71,MDEntrySize:null,MDEntryType:7,MDUpdateAction:0,OpenCloseSettlFlag:5,RptSeq:74,SecurityID:73}],TransactTime:9}`},
		{"52", func(v mdp3.Encoder) []byte { return v.AppendSnapshot(nil, &snapshot, entries) },
			`{HighLimitPrice:88,LastMsgSeqNumProcessed:81,LastUpdateTime:86,LowLimitPrice:89,MDSecurityTradingStatus:17,MaxPriceVariation:null,NoMDEntries:[{MDEntryPx:91,MDEntrySize:92,MDEntryType:E,MDPriceLevel:4,NumberOfOrders:93,OpenCloseSettlFlag:5,SettlPriceType:3,TradingReferenceDate:94},{MDEntryPx:null,MDEntrySize:null,MDEntryType:e,MDPriceLevel:null,NumberOfOrders:null,OpenCloseSettlFlag:null,SettlPriceType:128,TradingReferenceDate:null}],RptSeq:84,SecurityID:83,TotNumReports:82,TradeDate:87,TransactTime:85}`},
		{"53", func(v mdp3.Encoder) []byte { return v.AppendOrderSnapshot(nil, &pieces, alone) },
			`{CurrentChunk:105,LastMsgSeqNumProcessed:101,NoChunks:104,NoMDEntries:[{MDDisplayQty:34,MDEntryPx:33,MDEntryType:1,MDOrderPriority:32,OrderID:31}],SecurityID:103,TotNumReports:102,TransactTime:106}`},
		{"64", func(v mdp3.Encoder) []byte { return v.AppendBookLong(nil, 9, 0x84, level, orders) },
			`{MatchEventIndicator:132,NoMDEntries:[{MDEntryPx:-1,MDEntrySize:2,MDEntryType:0,MDPriceLevel:6,MDUpdateAction:1,NumberOfOrders:5,RptSeq:4,SecurityID:3},{MDEntryPx:null,MDEntrySize:null,MDEntryType:F,MDPriceLevel:1,MDUpdateAction:5,NumberOfOrders:null,RptSeq:0,SecurityID:0}],NoOrderIDEntries:[{MDDisplayQty:23,MDOrderPriority:22,OrderID:21,OrderUpdateAction:2,ReferenceID:1}],TransactTime:9}`},
		{"65", func(v mdp3.Encoder) []byte { return v.AppendTradesLong(nil, 9, 1, trades, fills) },
			`{MatchEventIndicator:1,NoMDEntries:[{AggressorSide:2,MDEntryPx:41,MDEntrySize:42,MDTradeEntryID:46,MDUpdateAction:0,NumberOfOrders:2,RptSeq:44,SecurityID:43}],NoOrderIDEntries:[{LastQty:52,OrderID:51},{LastQty:54,OrderID:53}],TransactTime:9}`},
		{"66", func(v mdp3.Encoder) []byte { return v.AppendVolumeLong(nil, 9, 2, volume) },
			`{MatchEventIndicator:2,NoMDEntries:[{MDEntrySize:61,MDUpdateAction:0,RptSeq:63,SecurityID:62}],TransactTime:9}`},
		{"67", func(v mdp3.Encoder) []byte { return v.AppendStatisticsLong(nil, 9, 8, session) },
			`{MatchEventIndicator:8,NoMDEntries:[{MDEntryPx:71,MDEntrySize:null,MDEntryType:7,MDUpdateAction:0,OpenCloseSettlFlag:5,RptSeq:74,SecurityID:73}],TransactTime:9}`},
		{"69", func(v mdp3.Encoder) []byte { return v.AppendSnapshotLong(nil, &snapshot, entries) },
			`{HighLimitPrice:88,LastMsgSeqNumProcessed:81,LastUpdateTime:86,LowLimitPrice:89,MDSecurityTradingStatus:17,MaxPriceVariation:null,NoMDEntries:[{MDEntryPx:91,MDEntrySize:92,MDEntryType:E,MDPriceLevel:4,NumberOfOrders:93,OpenCloseSettlFlag:5},{MDEntryPx:null,MDEntrySize:null,MDEntryType:e,MDPriceLevel:null,NumberOfOrders:null,OpenCloseSettlFlag:null}],RptSeq:84,SecurityID:83,TotNumReports:82,TradeDate:87,TransactTime:85}`},
		{"54", func(v mdp3.Encoder) []byte { return v.AppendFuture(nil, &def) },
			`{ApplID:203,Asset:AS,CFICode:FFIXSX,ClearedVolume:212,ContractMultiplier:null,ContractMultiplierUnit:null,Currency:USD,DecayQuantity:null,DecayStartDate:null,DisplayFactor:207,FlowScheduleType:null,HighLimitPrice:213,InstrumentGUID:217,LastUpdateTime:202,LowLimitPrice:214,MDSecurityTradingStatus:21,MainFraction:null,MarketSegmentID:204,MatchAlgorithm:F,MatchEventIndicator:128,MaturityMonthYear:{day:null,month:9,week:null,year:2026},MaxPriceVariation:null,MaxTradeVol:10000,MinPriceIncrement:206,MinPriceIncrementAmount:null,MinTradeVol:1,NoEvents:[{EventTime:215,EventType:5},{EventTime:216,EventType:7}],NoInstAttrib:[{InstAttribValue:524288}],NoLotTypeRules:[{LotType:3,MinLotSize:10000}],NoMDFeedTypes:[{MDFeedType:GBI,MarketDepth:2},{MDFeedType:GBX,MarketDepth:10}],OpenInterestQty:211,OriginalContractSize:null,PriceDisplayFormat:null,SecurityExchange:XCME,SecurityGroup:GR,SecurityID:205,SecurityType:FUT,SecurityUpdateAction:M,SettlCurrency:USD,SettlPriceType:0,SubFraction:null,Symbol:SYM,TotNumReports:201,TradingReferenceDate:210,TradingReferencePrice:209,UnderlyingProduct:5,UnitOfMeasure:BBL,UnitOfMeasureQty:208,UserDefinedInstrument:N}`},
		{"55", func(v mdp3.Encoder) []byte { return v.AppendOption(nil, &def) },
			`{ApplID:203,Asset:AS,CFICode:FFIXSX,ClearedVolume:212,Currency:USD,DisplayFactor:207,HighLimitPrice:213,InstrumentGUID:217,LastUpdateTime:202,LowLimitPrice:214,MDSecurityTradingStatus:21,MainFraction:null,MarketSegmentID:204,MatchAlgorithm:F,MatchEventIndicator:128,MaturityMonthYear:{day:null,month:9,week:null,year:2026},MaxTradeVol:10000,MinCabPrice:null,MinPriceIncrement:206,MinPriceIncrementAmount:null,MinTradeVol:1,NoEvents:[{EventTime:215,EventType:5},{EventTime:216,EventType:7}],NoInstAttrib:[{InstAttribValue:524288}],NoLotTypeRules:[{LotType:3,MinLotSize:10000}],NoMDFeedTypes:[{MDFeedType:GBI,MarketDepth:2},{MDFeedType:GBX,MarketDepth:10}],NoRelatedInstruments:[],NoUnderlyings:[{UnderlyingSecurityID:219,UnderlyingSymbol:UND}],OpenInterestQty:211,PriceDisplayFormat:null,PutOrCall:0,SecurityExchange:XCME,SecurityGroup:GR,SecurityID:205,SecurityType:FUT,SecurityUpdateAction:M,SettlCurrency:USD,SettlPriceType:0,StrikeCurrency:USD,StrikePrice:218,SubFraction:null,Symbol:SYM,TickRule:null,TotNumReports:201,TradingReferenceDate:210,TradingReferencePrice:209,UnderlyingProduct:5,UnitOfMeasure:BBL,UnitOfMeasureQty:208,UserDefinedInstrument:N}`},
		{"56", func(v mdp3.Encoder) []byte { return v.AppendSpread(nil, &def) },
			`{ApplID:203,Asset:AS,CFICode:FFIXSX,ClearedVolume:212,Currency:USD,DisplayFactor:207,FinancialInstrumentFullName:SYM,HighLimitPrice:213,InstrumentGUID:217,LastUpdateTime:202,LowLimitPrice:214,MDSecurityTradingStatus:21,MainFraction:null,MarketSegmentID:204,MarketSet:,MatchAlgorithm:F,MatchEventIndicator:128,MaturityMonthYear:{day:null,month:9,week:null,year:2026},MaxPriceVariation:null,MaxTradeVol:10000,MinPriceIncrement:206,MinTradeVol:1,NoEvents:[{EventTime:215,EventType:5},{EventTime:216,EventType:7}],NoInstAttrib:[{InstAttribValue:524288}],NoLegs:[{LegOptionDelta:null,LegPrice:null,LegRatioQty:1,LegSecurityID:220,LegSide:1},{LegOptionDelta:null,LegPrice:null,LegRatioQty:3,LegSecurityID:221,LegSide:2}],NoLotTypeRules:[{LotType:3,MinLotSize:10000}],NoMDFeedTypes:[{MDFeedType:GBI,MarketDepth:2},{MDFeedType:GBX,MarketDepth:10}],OpenInterestQty:211,PriceDisplayFormat:null,PriceQuoteMethod:,PriceRatio:null,RiskSet:,SecurityExchange:XCME,SecurityGroup:GR,SecurityID:205,SecuritySubType:SP,SecurityType:FUT,SecurityUpdateAction:M,SettlPriceType:0,SubFraction:null,Symbol:SYM,TickRule:null,TotNumReports:201,TradingReferenceDate:210,TradingReferencePrice:209,UnderlyingProduct:5,UnitOfMeasure:BBL,UserDefinedInstrument:N}`},
	} {
		for _, v := range []mdp3.Encoder{mdp3.EncodeV9, mdp3.EncodeV13} {
			packet := append(mdp3.AppendPacketHeader(nil, 5, 7), tc.make(v)...)
			want := tc.want
			if v < 10 { // fields that came with version 10
				want = strings.NewReplacer(",TradeableSize:null", "", "InstrumentGUID:217,", "", "FinancialInstrumentFullName:SYM,", "", "MarketSet:,", "", "RiskSet:,", "", "PriceQuoteMethod:,", "").Replace(want)
			}
			n := 0
			err := mdp3.EachMessage(packet, "", func(sequence uint64, typ string, _, fields []byte, err error) bool {
				if n++; err != nil || sequence != 5 || !strings.HasSuffix(typ, tc.name) || flat(t, fields) != want {
					t.Errorf("version %d, packet %d, %s: %v\n%s, want\n%s", v, sequence, typ, err, flat(t, fields), want)
				}
				return true
			})
			if err != nil || n != 1 {
				t.Errorf("template %s, version %d: %d messages, %v", tc.name, v, n, err)
			}
		}
	}
}
