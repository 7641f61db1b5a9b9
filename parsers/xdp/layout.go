package xdp

import (
	"fmt"
	"slices"
)

// Messages: number, bytes from msg_size on, and fields in wire order (sheet sections 8, 9, 13 and 14; offset = sum of the widths before it,
// the first one is at 4). u1 u2 u4 u8 are little-endian unsigned integers, a11 text padded with NUL, s5 text padded with spaces, c one ASCII
// character, b4 opaque bytes. What stands behind | is the tail of one version.
//
// Sizes are those of the documents. A venue lengthens messages at their tails and says so to nobody, so msg_size alone tells where the next one
// begins: decoders ask for the fields that they need, never for a size.

// Types of message that all products share.
const (
	TypeSequenceNumberReset  uint16 = 1
	TypeSourceTimeReference  uint16 = 2
	TypeSymbolIndexMapping   uint16 = 3
	TypeRetransmissionReq    uint16 = 10 // TCP, client
	TypeRequestResponse      uint16 = 11 // TCP, server
	TypeHeartbeatResponse    uint16 = 12 // TCP, client
	TypeSymbolMappingReq     uint16 = 13 // TCP, client
	TypeRefreshReq           uint16 = 15 // TCP, client
	TypeMessageUnavailable   uint16 = 31
	TypeSymbolClear          uint16 = 32
	TypeTradingSessionChange uint16 = 33
	TypeSecurityStatus       uint16 = 34
	TypeRefreshHeader        uint16 = 35
)

// Types of message that belong to a product: another one may use a number for something else.
const (
	TypeAddOrder               uint16 = 100 // Integrated …
	TypeModifyOrder            uint16 = 101
	TypeDeleteOrder            uint16 = 102
	TypeOrderExecution         uint16 = 103
	TypeReplaceOrder           uint16 = 104
	TypeImbalance              uint16 = 105
	TypeAddOrderRefresh        uint16 = 106
	TypeNonDisplayedTrade      uint16 = 110
	TypeCrossTrade             uint16 = 111
	TypeTradeCancel            uint16 = 112
	TypeCrossCorrection        uint16 = 113
	TypeRetailPriceImprovement uint16 = 114
	TypeStockSummary           uint16 = 223 // … and Trades, on a channel of its own
	TypeQuote                  uint16 = 140 // BBO
	TypeTrade                  uint16 = 220 // Trades …
	TypeTradesCancel           uint16 = 221
	TypeTradesCorrection       uint16 = 222
	TypeTRFFractional          uint16 = 210 // … its channel of the trade reporting facility
	TypeTRFFractionalCorrect   uint16 = 212
	TypeTRFFractionalPrior     uint16 = 213
	TypeTRFFractionalPriorVoid uint16 = 214
	TypeTRFTrade               uint16 = 215
	TypeTRFCancel              uint16 = 216
	TypeTRFCorrection          uint16 = 217
	TypeTRFPrior               uint16 = 218
	TypeTRFPriorVoid           uint16 = 219
)

// Version of the documents that a channel is sent by. Nothing in a packet tells it.
type Version uint8

// Versions, in order of time.
const (
	V21 Version = iota // XDP 2.1 to 2.3a: parity splits and db_exec_id at the tails
	V24                // Pillar 2.4 (2022): trade conditions in messages 103 and 110, no side in 101 and 104 yet
	V25                // Pillar 2.5 and later
	versions
)

// Versions are the names of all, the default first.
var Versions = []string{"2.5", "2.4", "2.1"}

// ParseVersion reads a version's name; empty is 2.5. 2.2, 2.3 and 2.3a are layouts of 2.1: what differs shows in msg_size.
func ParseVersion(s string) (Version, error) {
	switch s {
	case "", "2.5":
		return V25, nil
	case "2.4":
		return V24, nil
	case "2.1", "2.2", "2.3", "2.3a":
		return V21, nil
	}
	return 0, fmt.Errorf("xdp: version %q is not known; known: 2.5, 2.4, 2.1 (to 2.3a)", s)
}

// String is the version's name.
func (v Version) String() string { return [versions]string{"2.1", "2.4", "2.5"}[v] }

// Product is a feed, of whichever market of the group.
type Product uint8

// Products.
const (
	AnyProduct Product = iota // not told: all three, whose numbers are disjoint, until message 1 says which
	Integrated
	BBO
	Trades
	OtherProduct // message 1 named one that is not known: nothing but control messages is decoded
)

var productNames = []string{"", "integrated", "bbo", "trades", "other"}

// ParseProduct reads a product's name; empty is AnyProduct.
func ParseProduct(s string) (Product, error) {
	if i := slices.Index(productNames[:OtherProduct], s); i >= 0 {
		return Product(i), nil
	}
	return 0, fmt.Errorf("xdp: product %q is not known; known: integrated, bbo, trades", s)
}

// String is the product's name.
func (p Product) String() string { return productNames[p] }

// ProductOf is the product of a product_id (sheet section 12.1).
func ProductOf(id uint8) Product {
	if m := MarketOfProduct(id); m != nil {
		return Product(slices.Index(m.products[:], id))
	}
	return OtherProduct
}

// message is what is known of one type.
type message struct {
	name     string
	products []Product // nil: all
	need     int       // bytes that a decoder must have: what is behind may be missing
	base     string    // fields that all versions have
	tails    [versions]string
}

const (
	timed  = "source_time u4, source_time_ns u4, symbol_index u4, " // complete time stamp
	inside = "source_time_ns u4, symbol_index u4, symbol_seq_num u4, "
	whole  = timed + "symbol_seq_num u4, "
	conds  = ", trade_cond_1 c, trade_cond_2 c, trade_cond_3 c, trade_cond_4 c"
	client = "source_id a10, product_id u1, channel_id u1"

	bothSplits = ", prev_price_parity_splits u1, new_price_parity_splits u1"
	auction    = `ssr_filing_price u4, indicative_match_price u4, upper_collar u4, lower_collar u4, auction_status u1, freeze_status u1, num_extensions u1,
		unpaired_qty u4, unpaired_side c, significant_imbalance c`
)

var (
	splits    = [versions]string{", num_parity_splits u1", ", num_parity_splits u1", ", reserved_1 b1"}
	twoSplits = [versions]string{bothSplits, bothSplits, ", side c, reserved_2 b1"}

	integrated = []Product{Integrated}
	bbo        = []Product{BBO}
	trades     = []Product{Trades}
	summary    = []Product{Integrated, Trades}
)

// messages are all types that are known.
var messages = map[uint16]message{
	1: {name: "sequence_number_reset", need: 13, base: "source_time u4, source_time_ns u4, product_id u1, channel_id u1"},
	2: {name: "source_time_reference", need: 16, base: "id u4, symbol_seq_num u4, source_time u4"},
	3: {name: "symbol_index_mapping", need: 25, base: `symbol_index u4, symbol a11, reserved_1 b1, market_id u2, system_id u1, exchange_code c, price_scale_code u1,
		security_type c, lot_size u2, prev_close_price u4, prev_close_volume u4, price_resolution u1, round_lot c, mpv u2, unit_of_trade u2, reserved_2 b2`},
	10: {name: "retransmission_request", need: 24, base: "begin_seq_num u4, end_seq_num u4, " + client},
	11: {name: "request_response", need: 29, base: "request_seq_num u4, begin_seq_num u4, end_seq_num u4, " + client + ", status c"},
	12: {name: "heartbeat_response", need: 14, base: "source_id a10"},
	13: {name: "symbol_index_mapping_request", need: 20, base: "symbol_index u4, " + client + ", retransmit_method u1"},
	15: {name: "refresh_request", need: 20, base: "symbol_index u4, " + client},
	31: {name: "message_unavailable", need: 14, base: "begin_seq_num u4, end_seq_num u4, product_id u1, channel_id u1"},
	32: {name: "symbol_clear", need: 20, base: timed + "next_source_seq_num u4"},
	33: {name: "trading_session_change", need: 21, base: whole + "trading_session u1"},
	34: {name: "security_status", need: 22, base: whole + `security_status c, halt_condition c, reserved_4 b4, price_1 u4, price_2 u4, ssr_triggering_exchange_id c,
		ssr_triggering_volume u4, time u4, ssr_state c, market_state c, session_state c`},
	35: {name: "refresh_header", need: 8, base: "current_refresh_pkt u2, total_refresh_pkts u2, last_seq_num u4, last_symbol_seq_num u4"},

	100: {name: "add_order", products: integrated, need: 33, base: inside + "order_id u8, price u4, volume u4, side c, firm_id s5", tails: splits},
	101: {name: "modify_order", products: integrated, need: 33, base: inside + "order_id u8, price u4, volume u4, position_change u1", tails: twoSplits},
	102: {name: "delete_order", products: integrated, need: 24, base: inside + "order_id u8", tails: splits},
	103: {name: "order_execution", products: integrated, need: 37, base: inside + "order_id u8, trade_id u4, price u4, volume u4, printable_flag u1",
		tails: [versions]string{splits[V21] + ", db_exec_id u4", splits[V24] + conds, splits[V25] + conds}},
	104: {name: "replace_order", products: integrated, need: 40, base: inside + "order_id u8, new_order_id u8, price u4, volume u4", tails: twoSplits},
	105: {name: "imbalance", products: integrated, need: 40, base: whole + `reference_price u4, paired_qty u4, total_imbalance_qty u4, market_imbalance_qty u4,
		auction_time u2, auction_type c, imbalance_side c, continuous_book_clearing_price u4`,
		tails: [versions]string{", closing_only_clearing_price u4, " + auction, ", auction_interest_clearing_price u4, " + auction, ", auction_interest_clearing_price u4, " + auction}},
	106: {name: "add_order_refresh", products: integrated, need: 37, base: whole + "order_id u8, price u4, volume u4, side c, firm_id s5", tails: splits},
	110: {name: "non_displayed_trade", products: integrated, need: 29, base: inside + "trade_id u4, price u4, volume u4, printable_flag u1",
		tails: [versions]string{", db_exec_id u4", conds, conds}},
	111: {name: "cross_trade", products: integrated, need: 29, base: inside + "cross_id u4, price u4, volume u4, cross_type c"},
	112: {name: "trade_cancel", products: integrated, need: 20, base: inside + "trade_id u4"},
	113: {name: "cross_correction", products: integrated, need: 24, base: inside + "cross_id u4, volume u4"},
	114: {name: "retail_price_improvement", products: integrated, need: 17, base: inside + "rpi_indicator c"},
	140: {name: "quote", products: bbo, need: 32, base: inside + "ask_price u4, ask_volume u4, bid_price u4, bid_volume u4, quote_condition c, rpi_indicator c, reserved_4 b4"},

	220: {name: "trade", products: trades, need: 32, base: whole + "trade_id u4, price u4, volume u4" + conds},
	221: {name: "trade_cancel", products: trades, need: 24, base: whole + "original_trade_id u4"},
	222: {name: "trade_correction", products: trades, need: 36, base: whole + "original_trade_id u4, trade_id u4, price u4, volume u4" + conds},
	223: {name: "stock_summary", products: summary, need: 36, base: timed + "high_price u4, low_price u4, open u4, close u4, total_volume u4"},
	215: {name: "trf_trade", products: trades, need: 32, base: whole + "trade_id u4, price u4, volume u4" + conds},
	216: {name: "trf_trade_cancel", products: trades, need: 24, base: whole + "original_trade_id u4"},
	217: {name: "trf_trade_correction", products: trades, need: 36, base: whole + "original_trade_id u4, trade_id u4, price u4, volume u4" + conds},
	218: {name: "trf_prior_day_trade", products: trades, need: 44,
		base: whole + "trade_id u4, price u4, volume u4" + conds + ", prior_day_time u4, prior_day_time_ns u4"},
	219: {name: "trf_prior_day_trade_cancel", products: trades, need: 40,
		base: whole + "trade_id u4, price u4, volume u4, prior_day_time u4, prior_day_time_ns u4"},
	210: {name: "trf_fractional_trade", products: trades, need: 48,
		base: whole + "trade_id u4, price u4, fractional_volume u8" + conds + ", exec_day_time u4, exec_day_time_ns u4"},
	212: {name: "trf_fractional_trade_correction", products: trades, need: 52,
		base: whole + "original_trade_id u4, trade_id u4, price u4, fractional_volume u8" + conds + ", exec_day_time u4, exec_day_time_ns u4"},
	213: {name: "trf_fractional_prior_day_trade", products: trades, need: 48,
		base: whole + "trade_id u4, price u4, fractional_volume u8" + conds + ", prior_day_time u4, prior_day_time_ns u4"},
	214: {name: "trf_fractional_prior_day_trade_cancel", products: trades, need: 44,
		base: whole + "trade_id u4, price u4, fractional_volume u8, prior_day_time u4, prior_day_time_ns u4"},
}

// of says that a product has the type.
func (m *message) of(p Product) bool {
	return m.products == nil || p == AnyProduct || slices.Contains(m.products, p)
}
