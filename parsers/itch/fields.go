package itch

import (
	"strconv"
	"strings"
)

// Fields of each type behind the common 11 bytes, in wire order, as text: name and type. u4 is an unsigned integer of 4
// bytes, a8 text of 8 padded with spaces, c one character. Offsets are the sums of the widths (specification, section
// 7); the length of a type is the sum of all of them. Printing goes by this table, decoding (append.go) does not: each
// is the other's check.
var fieldTexts = map[byte]string{
	'S': "event_code c",
	'R': `stock a8, market_category c, financial_status_indicator c, round_lot_size u4, round_lots_only c, issue_classification c,
		issue_sub_type a2, authenticity c, short_sale_threshold_indicator c, ipo_flag c, luld_reference_price_tier c, etp_flag c,
		etp_leverage_factor u4, inverse_indicator c`,
	'H': "stock a8, trading_state c, reserved c, reason a4",
	'Y': "stock a8, reg_sho_action c",
	'L': "mpid a4, stock a8, primary_market_maker c, market_maker_mode c, market_participant_state c",
	'V': "level_1 u8, level_2 u8, level_3 u8",
	'W': "breached_level c",
	'K': "stock a8, ipo_quotation_release_time u4, ipo_quotation_release_qualifier c, ipo_price u4",
	'J': `stock a8, auction_collar_reference_price u4, upper_auction_collar_price u4, lower_auction_collar_price u4,
		auction_collar_extension u4`,
	'h': "stock a8, market_code c, operational_halt_action c",
	'A': "order_reference_number u8, buy_sell_indicator c, shares u4, stock a8, price u4",
	'F': "order_reference_number u8, buy_sell_indicator c, shares u4, stock a8, price u4, attribution a4",
	'E': "order_reference_number u8, executed_shares u4, match_number u8",
	'C': "order_reference_number u8, executed_shares u4, match_number u8, printable c, execution_price u4",
	'X': "order_reference_number u8, canceled_shares u4",
	'D': "order_reference_number u8",
	'U': "original_order_reference_number u8, new_order_reference_number u8, shares u4, price u4",
	'P': "order_reference_number u8, buy_sell_indicator c, shares u4, stock a8, price u4, match_number u8",
	'Q': "shares u8, stock a8, cross_price u4, match_number u8, cross_type c",
	'B': "match_number u8",
	'I': `paired_shares u8, imbalance_shares u8, imbalance_direction c, stock a8, far_price u4, near_price u4,
		current_reference_price u4, cross_type c, price_variation_indicator c`,
	'N': "stock a8, interest_flag c",
	'O': `stock a8, open_eligibility_status c, minimum_allowable_price u4, maximum_allowable_price u4, near_execution_price u4,
		near_execution_time u8, lower_price_range_collar u4, upper_price_range_collar u4`,
}

const commonFields = "stock_locate u2, tracking_number u2, timestamp u6, "

type field struct {
	name  string
	kind  byte // u, a or c
	at    int
	width int
}

var (
	fields  [256][]field
	wireLen = lengths()
)

// lengths builds both tables; the compiler orders package variables so that this runs before anything uses them.
func lengths() (length [256]uint8) {
	for typ, text := range fieldTexts {
		at := 1
		for entry := range strings.SplitSeq(commonFields+text, ",") {
			name, kind, _ := strings.Cut(strings.TrimSpace(entry), " ")
			f := field{name: name, kind: kind[0], at: at, width: 1}
			if len(kind) > 1 {
				f.width = int(kind[1] - '0')
			}
			fields[typ] = append(fields[typ], f)
			at += f.width
		}
		length[typ] = uint8(at)
	}
	return length
}

// Length is the length of a type's messages, 0 for a type that is not known.
func Length(typ byte) int { return int(wireLen[typ]) }

// AppendFields appends a message's fields as a JSON object in wire order: integers as they are on the wire, text
// without its padding, one-character codes as they are. A message that is empty, of an unknown type, or shorter than its
// type has no fields: the object is empty and ok false.
func AppendFields(dst, msg []byte) (out []byte, ok bool) {
	dst = append(dst, '{')
	if len(msg) > 0 && wireLen[msg[0]] != 0 && len(msg) >= int(wireLen[msg[0]]) {
		for i, f := range fields[msg[0]] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, f.name...)
			dst = append(dst, '"', ':')
			dst = appendValue(dst, msg[f.at:f.at+f.width], f.kind)
		}
		ok = true
	}
	return append(dst, '}'), ok
}

func appendValue(dst, b []byte, kind byte) []byte {
	if kind == 'u' {
		v := uint64(0)
		for _, c := range b {
			v = v<<8 | uint64(c)
		}
		return strconv.AppendUint(dst, v, 10)
	}
	if kind == 'a' {
		for len(b) > 0 && b[len(b)-1] == ' ' {
			b = b[:len(b)-1]
		}
	}
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7F:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
