package xdp

import (
	"strings"
	"testing"
)

// The fields that captures do not show: control messages, tails by version, short forms, the trade reporting facility's.
func TestFields(t *testing.T) {
	id := "TICK\x00\x00\x00\x00\x00\x00"
	for _, tc := range []struct {
		version string
		wire    []byte
		want    string
	}{
		{"2.5", msg(10, 5, 9, id, byte(11), byte(3)), `{"begin_seq_num":5,"end_seq_num":9,"source_id":"TICK","product_id":11,"channel_id":3}`},
		{"2.5", msg(11, 1, 5, 9, id, byte(11), byte(3), '0'), `{"request_seq_num":1,"begin_seq_num":5,"end_seq_num":9,"source_id":"TICK","product_id":11,"channel_id":3,"status":"0"}`},
		{"2.5", msg(12, "TENLETTERS"), `{"source_id":"TENLETTERS"}`},
		{"2.5", msg(13, 0, id, byte(11), byte(3), byte(0)), `{"symbol_index":0,"source_id":"TICK","product_id":11,"channel_id":3,"retransmit_method":0}`},
		{"2.5", msg(15, 7, id, byte(11), byte(3)), `{"symbol_index":7,"source_id":"TICK","product_id":11,"channel_id":3}`},
		{"2.5", msg(31, 5, 9, byte(11), byte(3)), `{"begin_seq_num":5,"end_seq_num":9,"product_id":11,"channel_id":3}`},
		{"2.5", msg(32, 1, 2, 3, 4), `{"source_time":1,"source_time_ns":2,"symbol_index":3,"next_source_seq_num":4}`},
		{"2.1", msg(33, 1, 2, 3, 4, byte(7)), `{"source_time":1,"source_time_ns":2,"symbol_index":3,"symbol_seq_num":4,"trading_session":7}`},
		{"2.5", msg(35, uint16(1), uint16(2), 3, 4), `{"current_refresh_pkt":1,"total_refresh_pkts":2,"last_seq_num":3,"last_symbol_seq_num":4}`},
		{"2.5", msg(35, uint16(1), uint16(2)), `{"current_refresh_pkt":1,"total_refresh_pkts":2}`},
		{"2.1", msg(101, 1, 2, 3, uint64(4), 5, 6, byte(1), byte(7), byte(8)), `… "position_change":1,"prev_price_parity_splits":7,"new_price_parity_splits":8}`},
		{"2.4", msg(101, 1, 2, 3, uint64(4), 5, 6, byte(1), byte(7), byte(8)), `… "position_change":1,"prev_price_parity_splits":7,"new_price_parity_splits":8}`},
		{"2.5", msg(101, 1, 2, 3, uint64(4), 5, 6, byte(1), 'B', byte(8)), `… "position_change":1,"side":"B","reserved_2":"08"}`},
		{"2.4", msg(103, 1, 2, 3, uint64(4), 5, 6, 7, byte(1), byte(9), "@F I"), `… "printable_flag":1,"num_parity_splits":9,"trade_cond_1":"@","trade_cond_2":"F","trade_cond_3":" ","trade_cond_4":"I"}`},
		{"2.5", msg(103, 1, 2, 3, uint64(4), 5, 6, 7, byte(1), byte(9), "@F I"), `… "printable_flag":1,"reserved_1":"09","trade_cond_1":"@","trade_cond_2":"F","trade_cond_3":" ","trade_cond_4":"I"}`},
		{"2.5", msg(104, 1, 2, 3, uint64(1<<63), uint64(5), 6, 7, 'S', byte(0)), `… "order_id":9223372036854775808,"new_order_id":5,"price":6,"volume":7,"side":"S","reserved_2":"00"}`},
		{"2.1", msg(110, 1, 2, 3, 4, 5, 6, byte(1), 7), `… "trade_id":4,"price":5,"volume":6,"printable_flag":1,"db_exec_id":7}`},
		{"2.5", msg(140, 1, 2, 3, 4, 5, 6, 7, 'R', '"'), `… "ask_price":4,"ask_volume":5,"bid_price":6,"bid_volume":7,"quote_condition":"R","rpi_indicator":"\""}`},
		{"2.5", msg(106, 1, 2, 3, 4, uint64(5), 6, 7, 'B', "AB   ", byte(0)), `… "side":"B","firm_id":"AB","reserved_1":"00"}`},
		{"2.5", msg(219, 1, 2, 3, 4, 5, 6, 7, 8, 9), `… "trade_id":5,"price":6,"volume":7,"prior_day_time":8,"prior_day_time_ns":9}`},
		{"2.5", msg(210, 1, 2, 3, 4, 5, 6, uint64(1_500_000), "@   ", 8, 9), `… "price":6,"fractional_volume":1500000,"trade_cond_1":"@","trade_cond_2":" ","trade_cond_3":" ","trade_cond_4":" ","exec_day_time":8,"exec_day_time_ns":9}`},
		{"2.5", msg(99, 1), `{}`},
	} {
		v, err := ParseVersion(tc.version)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := AppendFields(nil, tc.wire, v)
		if Type(tc.wire) == 99 {
			ok = !ok
		}
		end, tail := strings.CutPrefix(tc.want, "… ")
		if !ok || !tail && string(got) != tc.want || tail && !strings.HasSuffix(string(got), ","+end) {
			t.Errorf("%d in version %s, %v:\ngot  %s\nwant %s", Type(tc.wire), tc.version, ok, got, tc.want)
		}
	}
	names := func(v Version, size int) string {
		got, _ := AppendFields(nil, make105(size), v)
		return string(got)
	}
	for _, tc := range []struct {
		v        Version
		size     int
		has, not string
	}{
		{V21, 67, `"closing_only_clearing_price":`, `"unpaired_qty":`},
		{V21, 73, `"significant_imbalance":"Y"}`, `"auction_interest_clearing_price":`},
		{V25, 73, `"auction_interest_clearing_price":`, `"closing_only_clearing_price":`},
		{V25, 56, `"indicative_match_price":0}`, `"upper_collar":`},
	} {
		if got := names(tc.v, tc.size); !strings.Contains(got, tc.has) || strings.Contains(got, tc.not) {
			t.Errorf("105 of %d bytes in version %s: %s", tc.size, tc.v, got)
		}
	}
}

// make105 is a message 105 of any length.
func make105(size int) []byte {
	m := msg(105, 1, 2, 3, 4, string(make([]byte, size-20)))
	if size == 73 {
		m[72] = 'Y'
	}
	return m
}
