package xdp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
)

// fieldsOf reads a message by the table of layout.go: numbers as uint64, characters and text as string. Opaque bytes must be 0 and are left out.
func fieldsOf(t *testing.T, v Version, m []byte) map[string]any {
	t.Helper()
	got := map[string]any{}
	for _, f := range layouts[v][Type(m)] {
		if f.at+f.width > len(m) {
			continue // a version's tail that this message does not have
		}
		b := m[f.at : f.at+f.width]
		switch f.kind {
		case 'u':
			n := uint64(0)
			for i := len(b) - 1; i >= 0; i-- {
				n = n<<8 | uint64(b[i])
			}
			got[f.name] = n
		case 'c':
			got[f.name] = string(b)
		case 'a':
			got[f.name] = strings.TrimRight(string(b), "\x00")
		case 's':
			got[f.name] = string(b)
		case 'b':
			if !bytes.Equal(b, make([]byte, f.width)) {
				t.Errorf("%s is %x, want zeros", f.name, b)
			}
		}
	}
	return got
}

// TestEncode: every field of every message is where the table of the layouts has it, in all versions, and the size is the documents'.
func TestEncode(t *testing.T) {
	st := Stamp{Seconds: 1_700_000_001, Ns: 123_456_789, Index: 70_001, Number: 42}
	source, err := ParseSourceID("CLIENT1")
	if err != nil {
		t.Fatal(err)
	}
	order := Order{Stamp: st, ID: 1<<56 + 5, Price: 1_234_567, Volume: 300, Side: 'S', Firm: "ABC", Splits: 7, PrevSplits: 9, Moved: 1}
	exec := Execution{Stamp: st, Order: 1<<40 + 6, Trade: 99, Price: 55, Volume: 66, Printable: 1, Splits: 3, DBExec: 0x40302010, Conditions: [4]byte{'@', 'F', 'T', 'I'}}
	auction := Auction{
		Stamp: st, Reference: 1, Paired: 2, Imbalance: 3, MarketImbalance: 4, Time: 1600, Type: 'C', Side: 'B', BookClearing: 5, AuctionClearing: 6,
		SSRFiling: 7, Indicative: 8, Upper: 9, Lower: 10, Status: 1, Freeze: 1, Extensions: 2, Unpaired: 11, UnpairedSide: 'S', Significant: 'Y',
	}
	status := Status{
		Stamp: st, Security: 'A', Halt: '~', Price1: 1, Price2: 2, SSRExchange: 'P', SSRVolume: 3, Time: 93000123, SSRState: 'E', Market: 'O', SessionOf: ' ',
	}
	mapping := Mapping{
		Index: 9, Symbol: "ABCDEFGHIJK", Market: 3, System: 4, Exchange: 'P', Scale: 6, SecurityType: 'C', Lot: 100, PrevClose: 5, PrevVolume: 6,
		PriceResolution: 5, RoundLot: 'Y', MPV: 500, UnitOfTrade: 10,
	}
	summary := Summary{Stamp: st, High: 4, Low: 3, Open: 2, Close: 1, Volume: 5}
	quote := Quote{Stamp: st, AskPrice: 4, AskVolume: 300, BidPrice: 3, BidVolume: 200, Condition: 'R', Retail: 'C'}
	short := "source_time_ns=123456789 symbol_index=70001 symbol_seq_num=42 "
	long := "source_time=1700000001 " + short
	client := " source_id=CLIENT1 product_id=157 channel_id=3"
	for v := range versions {
		tail := func(texts ...string) string { return texts[v] }
		for _, tc := range []struct {
			typ  uint16
			m    []byte
			want string
		}{
			{1, AppendReset(nil, st.Seconds, st.Ns, 157, 3), "source_time=1700000001 source_time_ns=123456789 product_id=157 channel_id=3"},
			{2, AppendTimeReference(nil, 3, st.Seconds), "id=3 symbol_seq_num=0 source_time=1700000001"},
			{3, AppendMapping(nil, &mapping), `symbol_index=9 symbol=ABCDEFGHIJK market_id=3 system_id=4 exchange_code=P price_scale_code=6 security_type=C lot_size=100
				prev_close_price=5 prev_close_volume=6 price_resolution=5 round_lot=Y mpv=500 unit_of_trade=10`},
			{32, AppendSymbolClear(nil, st.Seconds, st.Ns, st.Index, 43), "source_time=1700000001 source_time_ns=123456789 symbol_index=70001 next_source_seq_num=43"},
			{34, AppendStatus(nil, &status), long + `security_status=A halt_condition=~ price_1=1 price_2=2 ssr_triggering_exchange_id=P
				ssr_triggering_volume=3 time=93000123 ssr_state=E market_state=O session_state=_`},
			{35, AppendRefreshHeader(nil, 2, 3, 4, 5), "current_refresh_pkt=2 total_refresh_pkts=3 last_seq_num=4 last_symbol_seq_num=5"},
			{31, AppendUnavailable(nil, 7, 9, 157, 3), "begin_seq_num=7 end_seq_num=9 product_id=157 channel_id=3"},
			{10, AppendRequest(nil, &Request{Type: 10, Begin: 7, End: 9, Source: source, Product: 157, Channel: 3}), "begin_seq_num=7 end_seq_num=9" + client},
			{11, AppendResponse(nil, &Response{Request: 8, Begin: 7, End: 9, Source: source, Product: 157, Channel: 3, Status: '4'}),
				"request_seq_num=8 begin_seq_num=7 end_seq_num=9 status=4" + client},
			{12, AppendRequest(nil, &Request{Type: 12, Source: source}), "source_id=CLIENT1"},
			{13, AppendRequest(nil, &Request{Type: 13, Symbol: 5, Source: source, Product: 157, Channel: 3}), "symbol_index=5 retransmit_method=0" + client},
			{15, AppendRequest(nil, &Request{Type: 15, Symbol: 5, Source: source, Product: 157, Channel: 3}), "symbol_index=5" + client},
			{100, AppendAdd(nil, v, &order), short + "order_id=72057594037927941 price=1234567 volume=300 side=S firm_id=ABC__" + tail(" num_parity_splits=7", " num_parity_splits=7", "")},
			{101, AppendModify(nil, v, &order), short + "order_id=72057594037927941 price=1234567 volume=300 position_change=1" +
				tail(twoParity, twoParity, " side=S")},
			{102, AppendDelete(nil, v, &st, 6, 7), short + "order_id=6" + tail(" num_parity_splits=7", " num_parity_splits=7", "")},
			{103, AppendExecution(nil, v, &exec), short + "order_id=1099511627782 trade_id=99 price=55 volume=66 printable_flag=1" +
				tail(" num_parity_splits=3 db_exec_id=1076895760", " num_parity_splits=3"+conditions, conditions)},
			{104, AppendReplace(nil, v, 6, &order), short + "order_id=6 new_order_id=72057594037927941 price=1234567 volume=300" +
				tail(twoParity, twoParity, " side=S")},
			{105, AppendImbalance(nil, v, &auction), long + `reference_price=1 paired_qty=2 total_imbalance_qty=3 market_imbalance_qty=4 auction_time=1600
				auction_type=C imbalance_side=B continuous_book_clearing_price=5 ssr_filing_price=7 indicative_match_price=8
				upper_collar=9 lower_collar=10 auction_status=1 freeze_status=1 num_extensions=2` + tail(" closing_only_clearing_price=6", unpaired, unpaired)},
			{106, AppendAddRefresh(nil, v, &order), long + "order_id=72057594037927941 price=1234567 volume=300 side=S firm_id=ABC__" + tail(" num_parity_splits=7", " num_parity_splits=7", "")},
			{110, AppendNonDisplayed(nil, v, &exec), short + "trade_id=99 price=55 volume=66 printable_flag=1" + tail(" db_exec_id=1076895760", conditions, conditions)},
			{111, AppendCross(nil, &st, 1, 2, 3, '6'), short + "cross_id=1 price=2 volume=3 cross_type=6"},
			{112, AppendTradeCancel(nil, &st, 4), short + "trade_id=4"},
			{113, AppendCrossCorrection(nil, &st, 5, 6), short + "cross_id=5 volume=6"},
			{114, AppendRetail(nil, &st, 'C'), short + "rpi_indicator=C"},
			{140, AppendQuote(nil, v, &quote), short + "ask_price=4 ask_volume=300 bid_price=3 bid_volume=200 quote_condition=R rpi_indicator=C"},
			{220, AppendTrade(nil, &exec), long + "trade_id=99 price=55 volume=66" + conditions},
			{221, AppendTradesCancel(nil, &st, 4), long + "original_trade_id=4"},
			{222, AppendTradesCorrection(nil, 98, &exec), long + "original_trade_id=98 trade_id=99 price=55 volume=66" + conditions},
			{223, AppendSummary(nil, &summary), "source_time=1700000001 source_time_ns=123456789 symbol_index=70001 high_price=4 low_price=3 open=2 close=1 total_volume=5"},
		} {
			if Type(tc.m) != tc.typ || len(tc.m) != Size(tc.typ, v) || int(le.Uint16(tc.m)) != len(tc.m) {
				t.Errorf("%v %s: type %d of %d bytes, want %d of %d", v, Name(tc.typ), Type(tc.m), len(tc.m), tc.typ, Size(tc.typ, v))
				continue
			}
			got := fieldsOf(t, v, tc.m)
			for _, pair := range strings.Fields(tc.want) {
				name, value, _ := strings.Cut(pair, "=")
				value = strings.ReplaceAll(value, "_", " ")
				if text := textOf(got[name]); text != value {
					t.Errorf("%v %s: %s is %q, want %q", v, Name(tc.typ), name, text, value)
				}
				delete(got, name)
			}
			if len(got) != 0 {
				t.Errorf("%v %s: not looked at: %v", v, Name(tc.typ), got)
			}
		}
	}
	m := AppendShortRefreshHeader(nil, 2, 3)
	if p, _, ok := ParseRefreshHeader(m); !ok || p.Long || p.Packet != 2 || p.Packets != 3 || len(m) != 8 {
		t.Errorf("short header %x", m)
	}
}

const (
	conditions = " trade_cond_1=@ trade_cond_2=F trade_cond_3=T trade_cond_4=I"
	twoParity  = " prev_price_parity_splits=9 new_price_parity_splits=7"
	unpaired   = " auction_interest_clearing_price=6 unpaired_qty=11 unpaired_side=S significant_imbalance=Y"
)

func textOf(v any) string {
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}

// TestEncodeAsCaptured: what real packets carry is encoded again from their fields, byte for byte but for what is documented as opaque.
func TestEncodeAsCaptured(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testvec.Dir(t, "nyse"), "integrated.xdp.v2.1", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files map[string]struct {
		Packets []struct {
			Messages []struct {
				Type   uint16
				Fields json.RawMessage
				Raw    string
			}
		}
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]int{}
	for name, f := range files {
		for _, p := range f.Packets {
			for _, m := range p.Messages {
				raw, err := hex.DecodeString(m.Raw)
				if err != nil {
					t.Fatal(err)
				}
				got := again(t, m.Type, m.Fields)
				if got == nil {
					continue
				}
				seen[m.Type]++
				for _, fl := range layouts[V21][m.Type] {
					if fl.kind == 'b' {
						clear(raw[fl.at : fl.at+fl.width])
					}
				}
				if !bytes.Equal(got, raw) {
					t.Errorf("%s, %s:\n got %x\nwant %x", name, Name(m.Type), got, raw)
				}
			}
		}
	}
	for _, typ := range []uint16{1, 2, 3, 34, 100, 103, 104, 105} {
		if seen[typ] == 0 {
			t.Errorf("no %s in the captures", Name(typ))
		}
	}
}

// again encodes a captured message's fields.
func again(t *testing.T, typ uint16, fields []byte) []byte {
	var f struct {
		SourceTime   uint32 `json:"source_time"`
		SourceTimeNs uint32 `json:"source_time_ns"`
		Index        uint32 `json:"symbol_index"`
		Number       uint32 `json:"symbol_seq_num"`
		ID           uint32 `json:"id"`
		Product      uint8  `json:"product_id"`
		Channel      uint8  `json:"channel_id"`
		Order        uint64 `json:"order_id"`
		NewOrder     uint64 `json:"new_order_id"`
		Trade        uint32 `json:"trade_id"`
		Price        uint32 `json:"price"`
		Volume       uint32 `json:"volume"`
		Side         string `json:"side"`
		Firm         string `json:"firm_id"`
		Splits       uint8  `json:"num_parity_splits"`
		Prev         uint8  `json:"prev_price_parity_splits"`
		New          uint8  `json:"new_price_parity_splits"`
		Printable    uint8  `json:"printable_flag"`
		DBExec       uint32 `json:"db_exec_id"`

		Symbol     string `json:"symbol"`
		Market     uint16 `json:"market_id"`
		System     uint8  `json:"system_id"`
		Exchange   string `json:"exchange_code"`
		Scale      uint8  `json:"price_scale_code"`
		Kind       string `json:"security_type"`
		Lot        uint16 `json:"lot_size"`
		PrevClose  uint32 `json:"prev_close_price"`
		PrevVolume uint32 `json:"prev_close_volume"`
		Resolution uint8  `json:"price_resolution"`
		RoundLot   string `json:"round_lot"`
		MPV        uint16 `json:"mpv"`
		Unit       uint16 `json:"unit_of_trade"`

		Security     string `json:"security_status"`
		Halt         string `json:"halt_condition"`
		Price1       uint32 `json:"price_1"`
		Price2       uint32 `json:"price_2"`
		SSRExchange  string `json:"ssr_triggering_exchange_id"`
		SSRVolume    uint32 `json:"ssr_triggering_volume"`
		Time         uint32 `json:"time"`
		SSR          string `json:"ssr_state"`
		MarketState  string `json:"market_state"`
		SessionState string `json:"session_state"`

		Reference  uint32 `json:"reference_price"`
		Paired     uint32 `json:"paired_qty"`
		Imbalance  uint32 `json:"total_imbalance_qty"`
		MarketImb  uint32 `json:"market_imbalance_qty"`
		At         uint16 `json:"auction_time"`
		Type       string `json:"auction_type"`
		ImbSide    string `json:"imbalance_side"`
		Clearing   uint32 `json:"continuous_book_clearing_price"`
		Closing    uint32 `json:"closing_only_clearing_price"`
		Filing     uint32 `json:"ssr_filing_price"`
		Indicative uint32 `json:"indicative_match_price"`
		Upper      uint32 `json:"upper_collar"`
		Lower      uint32 `json:"lower_collar"`
		Status     uint8  `json:"auction_status"`
		Freeze     uint8  `json:"freeze_status"`
		Extensions uint8  `json:"num_extensions"`
	}
	if err := json.Unmarshal(fields, &f); err != nil {
		t.Fatal(err)
	}
	char := func(s string) byte {
		if s == "" {
			return 0
		}
		return s[0]
	}
	st := Stamp{Seconds: f.SourceTime, Ns: f.SourceTimeNs, Index: f.Index, Number: f.Number}
	switch typ {
	case 1:
		return AppendReset(nil, f.SourceTime, f.SourceTimeNs, f.Product, f.Channel)
	case 2:
		m := AppendTimeReference(nil, f.ID, f.SourceTime)
		le.PutUint32(m[8:], f.Number) // without a meaning, and not always 0
		return m
	case 3:
		return AppendMapping(nil, &Mapping{
			Index: f.Index, Symbol: f.Symbol, Market: f.Market, System: f.System, Exchange: char(f.Exchange), Scale: f.Scale, SecurityType: char(f.Kind),
			Lot: f.Lot, PrevClose: f.PrevClose, PrevVolume: f.PrevVolume, PriceResolution: f.Resolution, RoundLot: char(f.RoundLot), MPV: f.MPV, UnitOfTrade: f.Unit,
		})
	case 34:
		return AppendStatus(nil, &Status{
			Stamp: st, Security: char(f.Security), Halt: char(f.Halt), Price1: f.Price1, Price2: f.Price2, SSRExchange: char(f.SSRExchange),
			SSRVolume: f.SSRVolume, Time: f.Time, SSRState: char(f.SSR), Market: char(f.MarketState), SessionOf: char(f.SessionState),
		})
	case 100:
		return AppendAdd(nil, V21, &Order{Stamp: st, ID: f.Order, Price: f.Price, Volume: f.Volume, Side: char(f.Side), Firm: f.Firm, Splits: f.Splits})
	case 103:
		return AppendExecution(nil, V21, &Execution{
			Stamp: st, Order: f.Order, Trade: f.Trade, Price: f.Price, Volume: f.Volume, Printable: f.Printable, Splits: f.Splits, DBExec: f.DBExec,
		})
	case 104:
		return AppendReplace(nil, V21, f.Order, &Order{Stamp: st, ID: f.NewOrder, Price: f.Price, Volume: f.Volume, PrevSplits: f.Prev, Splits: f.New})
	case 105:
		return AppendImbalance(nil, V21, &Auction{
			Stamp: st, Reference: f.Reference, Paired: f.Paired, Imbalance: f.Imbalance, MarketImbalance: f.MarketImb, Time: f.At, Type: char(f.Type),
			Side: char(f.ImbSide), BookClearing: f.Clearing, AuctionClearing: f.Closing, SSRFiling: f.Filing, Indicative: f.Indicative, Upper: f.Upper,
			Lower: f.Lower, Status: f.Status, Freeze: f.Freeze, Extensions: f.Extensions,
		})
	}
	return nil
}

// TestRequests: what is appended is read back, sizes are strict, and a source id must be clean behind its end.
func TestRequests(t *testing.T) {
	source, err := ParseSourceID("ABCDEFGHIJ")
	if err != nil || source.String() != "ABCDEFGHIJ" || !source.Valid() {
		t.Fatal(source, err)
	}
	for _, r := range []Request{
		{Type: 10, Begin: 1, End: 1000, Source: source, Product: 157, Channel: 9}, {Type: 12, Source: source},
		{Type: 13, Symbol: 77, Source: source, Product: 1, Channel: 2}, {Type: 15, Source: source, Product: 1, Channel: 2},
	} {
		m := AppendRequest(nil, &r)
		got, err := ParseRequest(m)
		if err != nil || got != r {
			t.Errorf("%+v, %v, want %+v", got, err, r)
		}
		for _, bad := range [][]byte{m[:len(m)-1], append(bytes.Clone(m), 0)} {
			le.PutUint16(bad, uint16(len(bad)))
			if _, err := ParseRequest(bad); err == nil {
				t.Errorf("type %d was taken with %d bytes", r.Type, len(bad))
			}
		}
	}
	if AppendRequest(nil, &Request{Type: 11}) != nil {
		t.Error("a response was made for a request")
	}
	for _, bad := range []string{"", "ABCDEFGHIJK", "A B", "é"} {
		if _, err := ParseSourceID(bad); err == nil {
			t.Errorf("source id %q was taken", bad)
		}
	}
	for _, bad := range []SourceID{{}, {0, 'A'}, {'A', 0, 'B'}, {'A', ' ', 7}} {
		if bad.Valid() {
			t.Errorf("source id % x is valid", bad)
		}
	}
	want := Response{Request: 1, Begin: 2, End: 3, Source: source, Product: 4, Channel: 5, Status: '9'}
	if got, ok := ParseResponse(AppendResponse(nil, &want)); !ok || got != want {
		t.Errorf("%+v", got)
	}
	if _, ok := ParseResponse(make([]byte, 28)); ok {
		t.Error("a short response was taken")
	}
	if u, ok := ParseUnavailable(AppendUnavailable(nil, 1, 2, 3, 4)); !ok || u != (Unavailable{1, 2, 3, 4}) {
		t.Errorf("%+v", u)
	}
	if StatusText('3') != "range too long" || StatusText('x') != `status 'x'` {
		t.Error("status texts")
	}
}

// TestSymbolOf: each type's symbol index is where the table has it.
func TestSymbolOf(t *testing.T) {
	for typ, fields := range layouts[V25] {
		m := make([]byte, 80)
		le.PutUint16(m, 80)
		le.PutUint16(m[2:], typ)
		want := uint32(0)
		for _, f := range fields {
			if f.name == "symbol_index" && typ > 31 || f.name == "symbol_index" && typ == 3 {
				want = 7
				le.PutUint32(m[f.at:], want)
				if SymbolOf(m[:f.at+3]) != 0 {
					t.Errorf("%s: a short one has a symbol", Name(typ))
				}
			}
		}
		if got := SymbolOf(m); got != want {
			t.Errorf("%s: %d, want %d", Name(typ), got, want)
		}
	}
}
