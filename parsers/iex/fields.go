package iex

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Fields of each type behind the type byte, in wire order: name and type. u4 is an unsigned integer of 4 bytes, i8 a signed one of 8, a8 text
// padded with spaces, c one character, b an opaque byte. Lengths are the sums of the widths. Printing goes by this table, decoding (append.go)
// does not: each is the other's check.
var fieldTexts = map[uint16]map[byte]string{
	0: { // of both
		'S': "system_event c, timestamp i8",
		'D': "flags u1, timestamp i8, symbol a8, round_lot_size u4, adjusted_poc_price i8, luld_tier u1",
		'H': "trading_status c, timestamp i8, symbol a8, reason a4",
		'I': "retail_liquidity_indicator c, timestamp i8, symbol a8",
		'O': "operational_halt_status c, timestamp i8, symbol a8",
		'P': "short_sale_price_test_status u1, timestamp i8, symbol a8, detail c",
		'T': "sale_condition_flags u1, timestamp i8, symbol a8, size u4, price i8, trade_id i8",
		'B': "sale_condition_flags u1, timestamp i8, symbol a8, size u4, price i8, trade_id i8",
	},
	ProtocolDEEPPlus: {
		'E': "security_event c, timestamp i8, symbol a8",
		'a': "side c, timestamp i8, symbol a8, order_id i8, size u4, price i8",
		'M': "modify_flags u1, timestamp i8, symbol a8, order_id_reference i8, size u4, price i8",
		'R': "reserved b, timestamp i8, symbol a8, order_id_reference i8",
		'L': "sale_condition_flags u1, timestamp i8, symbol a8, order_id_reference i8, size u4, price i8, trade_id i8",
		'C': "reserved b, timestamp i8, symbol a8",
	},
	ProtocolTOPS: {
		'Q': "flags u1, timestamp i8, symbol a8, bid_size u4, bid_price i8, ask_price i8, ask_size u4",
		'X': "price_type c, timestamp i8, symbol a8, official_price i8",
		'A': `auction_type c, timestamp i8, symbol a8, paired_shares u4, reference_price i8, indicative_clearing_price i8, imbalance_shares u4,
			imbalance_side c, extension_number u1, scheduled_auction_time u4, auction_book_clearing_price i8, collar_reference_price i8,
			lower_auction_collar i8, upper_auction_collar i8`,
	},
}

type field struct {
	name  string
	kind  byte // u, i, a, b or c
	at    int
	width int
}

// layout is one protocol's messages by type.
type layout struct {
	fields [256][]field
	length [256]uint8
}

var deepPlus, tops = layoutOf(ProtocolDEEPPlus), layoutOf(ProtocolTOPS)

func layoutOf(protocol uint16) (l layout) {
	for _, of := range []uint16{0, protocol} {
		for typ, text := range fieldTexts[of] {
			at := 1
			for entry := range strings.SplitSeq(text, ",") {
				name, kind, _ := strings.Cut(strings.TrimSpace(entry), " ")
				f := field{name: name, kind: kind[0], at: at, width: 1}
				if len(kind) > 1 {
					f.width = int(kind[1] - '0')
				}
				l.fields[typ] = append(l.fields[typ], f)
				at += f.width
			}
			l.length[typ] = uint8(at)
		}
	}
	return l
}

func layoutFor(protocol uint16) *layout {
	if protocol == ProtocolTOPS {
		return &tops
	}
	return &deepPlus
}

// Length is the length of a type's messages, type byte included; 0 for a type that is not known.
func Length(protocol uint16, typ byte) int { return int(layoutFor(protocol).length[typ]) }

// AppendFields appends a message's fields as a JSON object in wire order: integers as they are on the wire, text without its padding. A
// message that is empty, of an unknown type, or shorter than its type has none: the object is empty and ok false.
func AppendFields(dst []byte, protocol uint16, msg []byte) (out []byte, ok bool) {
	l := layoutFor(protocol)
	dst = append(dst, '{')
	if len(msg) > 0 && l.length[msg[0]] != 0 && len(msg) >= int(l.length[msg[0]]) {
		for i, f := range l.fields[msg[0]] {
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
	const hex = "0123456789abcdef"
	switch kind {
	case 'u', 'i':
		var wide [8]byte
		copy(wide[:], b)
		if v := binary.LittleEndian.Uint64(wide[:]); kind == 'i' {
			return strconv.AppendInt(dst, int64(v), 10)
		} else {
			return strconv.AppendUint(dst, v, 10)
		}
	case 'b':
		return append(dst, '"', hex[b[0]>>4], hex[b[0]&15], '"')
	case 'a':
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
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
