package dbn

import (
	"strconv"
	"strings"
	"sync"

	"github.com/tickwire/tickwire/tick"
)

// Layouts of section 4, field by field behind the 16-byte header, as text: type name, in order. Types: u8 … i64, c one
// character, sN a NUL-padded string of N bytes, _N reserved bytes, pairs and cpairs price levels. The sums of the
// widths are checked against the record sizes by TestLayoutSizes, version 3 against package tick by TestLayoutsMatchTick.
const (
	tradeFields = `i64 price, u32 size, c action, c side, u8 flags, u8 depth, u64 ts_recv, i32 ts_in_delta, u32 sequence`

	mboFields       = `u64 order_id, i64 price, u32 size, u8 flags, u8 channel_id, c action, c side, u64 ts_recv, i32 ts_in_delta, u32 sequence`
	mbp1Fields      = tradeFields + `, pairs1 levels`
	mbp10Fields     = tradeFields + `, pairs10 levels`
	bboFields       = `i64 price, u32 size, _1, c side, u8 flags, _1, u64 ts_recv, _4, u32 sequence, pairs1 levels`
	cmbp1Fields     = `i64 price, u32 size, c action, c side, u8 flags, _1, u64 ts_recv, i32 ts_in_delta, _4, cpairs1 levels`
	cbboFields      = `i64 price, u32 size, _1, c side, u8 flags, _1, u64 ts_recv, _8, cpairs1 levels`
	ohlcvFields     = `i64 open, i64 high, i64 low, i64 close, u64 volume`
	statusFields    = `u64 ts_recv, u16 action, u16 reason, u16 trading_event, c is_trading, c is_quoting, c is_short_sell_restricted, _7`
	imbalanceFields = `u64 ts_recv, i64 ref_price, u64 auction_time, i64 cont_book_clr_price, i64 auct_interest_clr_price,
		i64 ssr_filling_price, i64 ind_match_price, i64 upper_collar, i64 lower_collar, u32 paired_qty, u32 total_imbalance_qty,
		u32 market_imbalance_qty, u32 unpaired_qty, c auction_type, c side, u8 auction_status, u8 freeze_status, u8 num_extensions,
		c unpaired_side, c significant_imbalance, _1`
	statFields = `u64 ts_recv, u64 ts_ref, i64 price, i64 quantity, u32 sequence, i32 ts_in_delta, u16 stat_type, u16 channel_id,
		u8 update_action, u8 stat_flags, _18`
	statFieldsV1 = `u64 ts_recv, u64 ts_ref, i64 price, i32 quantity, u32 sequence, i32 ts_in_delta, u16 stat_type, u16 channel_id,
		u8 update_action, u8 stat_flags, _6`
	errorFields     = `s302 err, u8 code, u8 is_last`
	errorFieldsV1   = `s64 err`
	mappingFields   = `u8 stype_in, s71 stype_in_symbol, u8 stype_out, s71 stype_out_symbol, u64 start_ts, u64 end_ts`
	mappingFieldsV1 = `s22 stype_in_symbol, s22 stype_out_symbol, _4, u64 start_ts, u64 end_ts`
	systemFields    = `s303 msg, u8 code`
	systemFieldsV1  = `s64 msg`

	definitionFields = `u64 ts_recv, i64 min_price_increment, i64 display_factor, u64 expiration, u64 activation,
		i64 high_limit_price, i64 low_limit_price, i64 max_price_variation, i64 unit_of_measure_qty,
		i64 min_price_increment_amount, i64 price_ratio, i64 strike_price, u64 raw_instrument_id, i64 leg_price, i64 leg_delta,
		i32 inst_attrib_value, u32 underlying_id, i32 market_depth_implied, i32 market_depth, u32 market_segment_id,
		u32 max_trade_vol, i32 min_lot_size, i32 min_lot_size_block, i32 min_lot_size_round_lot, u32 min_trade_vol,
		i32 contract_multiplier, i32 decay_quantity, i32 original_contract_size, u32 leg_instrument_id,
		i32 leg_ratio_price_numerator, i32 leg_ratio_price_denominator, i32 leg_ratio_qty_numerator,
		i32 leg_ratio_qty_denominator, u32 leg_underlying_id, i16 appl_id, u16 maturity_year, u16 decay_start_date,
		u16 channel_id, u16 leg_count, u16 leg_index, s4 currency, s4 settl_currency, s6 secsubtype, s71 raw_symbol, s21 group,
		s5 exchange, s11 asset, s7 cfi, s7 security_type, s31 unit_of_measure, s21 underlying, s4 strike_price_currency,
		s71 leg_raw_symbol, c instrument_class, c match_algorithm, u8 main_fraction, u8 price_display_format, u8 sub_fraction,
		u8 underlying_product, c security_update_action, u8 maturity_month, u8 maturity_day, u8 maturity_week,
		c user_defined_instrument, i8 contract_multiplier_unit, i8 flow_schedule_type, u8 tick_rule, c leg_instrument_class,
		c leg_side, _17`
	definitionFieldsV2 = `u64 ts_recv, i64 min_price_increment, i64 display_factor, u64 expiration, u64 activation,
		i64 high_limit_price, i64 low_limit_price, i64 max_price_variation, i64 trading_reference_price, i64 unit_of_measure_qty,
		i64 min_price_increment_amount, i64 price_ratio, i64 strike_price, i32 inst_attrib_value, u32 underlying_id,
		u32 raw_instrument_id, i32 market_depth_implied, i32 market_depth, u32 market_segment_id, u32 max_trade_vol,
		i32 min_lot_size, i32 min_lot_size_block, i32 min_lot_size_round_lot, u32 min_trade_vol, i32 contract_multiplier,
		i32 decay_quantity, i32 original_contract_size, u16 trading_reference_date, i16 appl_id, u16 maturity_year,
		u16 decay_start_date, u16 channel_id, s4 currency, s4 settl_currency, s6 secsubtype, s71 raw_symbol, s21 group,
		s5 exchange, s7 asset, s7 cfi, s7 security_type, s31 unit_of_measure, s21 underlying, s4 strike_price_currency,
		c instrument_class, c match_algorithm, u8 md_security_trading_status, u8 main_fraction, u8 price_display_format,
		u8 settl_price_type, u8 sub_fraction, u8 underlying_product, c security_update_action, u8 maturity_month,
		u8 maturity_day, u8 maturity_week, c user_defined_instrument, i8 contract_multiplier_unit, i8 flow_schedule_type,
		u8 tick_rule, _10`
	definitionFieldsV1 = `u64 ts_recv, i64 min_price_increment, i64 display_factor, u64 expiration, u64 activation,
		i64 high_limit_price, i64 low_limit_price, i64 max_price_variation, i64 trading_reference_price, i64 unit_of_measure_qty,
		i64 min_price_increment_amount, i64 price_ratio, i32 inst_attrib_value, u32 underlying_id, u32 raw_instrument_id,
		i32 market_depth_implied, i32 market_depth, u32 market_segment_id, u32 max_trade_vol, i32 min_lot_size,
		i32 min_lot_size_block, i32 min_lot_size_round_lot, u32 min_trade_vol, _4, i32 contract_multiplier, i32 decay_quantity,
		i32 original_contract_size, _4, u16 trading_reference_date, i16 appl_id, u16 maturity_year, u16 decay_start_date,
		u16 channel_id, s4 currency, s4 settl_currency, s6 secsubtype, s22 raw_symbol, s21 group, s5 exchange, s7 asset, s7 cfi,
		s7 security_type, s31 unit_of_measure, s21 underlying, s4 strike_price_currency, c instrument_class, _2, i64 strike_price,
		_6, c match_algorithm, u8 md_security_trading_status, u8 main_fraction, u8 price_display_format, u8 settl_price_type,
		u8 sub_fraction, u8 underlying_product, c security_update_action, u8 maturity_month, u8 maturity_day, u8 maturity_week,
		c user_defined_instrument, i8 contract_multiplier_unit, i8 flow_schedule_type, u8 tick_rule, _3`
)

// layout is one record type in one version.
type layout struct {
	name   string
	size   int // bytes, without ts_out
	fields []field
}

type field struct {
	name  string
	kind  fieldKind
	at    int // offset in the record
	width int // bytes; for levels, of all of them
	count int // levels
}

type fieldKind uint8

const (
	kindUint fieldKind = iota
	kindInt
	kindChar
	kindText
	kindPairs
	kindConsolidatedPairs
)

// recordLayouts says what a record of a type is in each version; nil: as in version 3.
type recordLayouts struct{ v1, v2, v3 *layout }

var layouts = sync.OnceValue(func() map[uint8]recordLayouts {
	mbp1 := parseLayout("Mbp1Msg", mbp1Fields)
	ohlcv := parseLayout("OhlcvMsg", ohlcvFields)
	bbo := parseLayout("BboMsg", bboFields)
	cmbp1 := parseLayout("Cmbp1Msg", cmbp1Fields)
	cbbo := parseLayout("CbboMsg", cbboFields)
	statV1 := parseLayout("StatMsgV1", statFieldsV1)
	return map[uint8]recordLayouts{
		tick.RTypeTrade:      {v3: parseLayout("TradeMsg", tradeFields)},
		tick.RTypeMbp1:       {v3: mbp1},
		tick.RTypeMbp10:      {v3: parseLayout("Mbp10Msg", mbp10Fields)},
		0x11:                 {v3: ohlcv},
		tick.RTypeStatus:     {v3: parseLayout("StatusMsg", statusFields)},
		tick.RTypeDefinition: {v1: parseLayout("InstrumentDefMsgV1", definitionFieldsV1), v2: parseLayout("InstrumentDefMsgV2", definitionFieldsV2), v3: parseLayout("InstrumentDefMsg", definitionFields)},
		tick.RTypeImbalance:  {v3: parseLayout("ImbalanceMsg", imbalanceFields)},
		tick.RTypeError:      {v1: parseLayout("ErrorMsgV1", errorFieldsV1), v3: parseLayout("ErrorMsg", errorFields)},
		tick.RTypeMapping:    {v1: parseLayout("SymbolMappingMsgV1", mappingFieldsV1), v3: parseLayout("SymbolMappingMsg", mappingFields)},
		tick.RTypeSystem:     {v1: parseLayout("SystemMsgV1", systemFieldsV1), v3: parseLayout("SystemMsg", systemFields)},
		tick.RTypeStatistics: {v1: statV1, v2: statV1, v3: parseLayout("StatMsg", statFields)},
		tick.RTypeOhlcv1s:    {v3: ohlcv},
		tick.RTypeOhlcv1m:    {v3: ohlcv},
		tick.RTypeOhlcv1h:    {v3: ohlcv},
		tick.RTypeOhlcv1d:    {v3: ohlcv},
		tick.RTypeOhlcvEod:   {v3: ohlcv},
		tick.RTypeMbo:        {v3: parseLayout("MboMsg", mboFields)},
		tick.RTypeCmbp1:      {v3: cmbp1},
		tick.RTypeTcbbo:      {v3: cmbp1},
		tick.RTypeCbbo1s:     {v3: cbbo},
		tick.RTypeCbbo1m:     {v3: cbbo},
		tick.RTypeBbo1s:      {v3: bbo},
		tick.RTypeBbo1m:      {v3: bbo},
	}
})

// layoutOf is nil for a type that is not known.
func layoutOf(rtype, version uint8) *layout {
	r := layouts()[rtype]
	switch {
	case version == 1 && r.v1 != nil:
		return r.v1
	case version == 2 && r.v2 != nil:
		return r.v2
	}
	return r.v3
}

const headerBytes = 16

func parseLayout(name, text string) *layout {
	l := &layout{name: name}
	at := headerBytes
	for entry := range strings.SplitSeq(text, ",") {
		kind, fieldName, _ := strings.Cut(strings.TrimSpace(entry), " ")
		f := field{name: fieldName, at: at, width: 1}
		letters := strings.TrimRight(kind, "0123456789")
		n, _ := strconv.Atoi(kind[len(letters):])
		switch letters {
		case "u":
			f.kind, f.width = kindUint, n/8
		case "i":
			f.kind, f.width = kindInt, n/8
		case "c":
			f.kind = kindChar
		case "s":
			f.kind, f.width = kindText, n
		case "pairs":
			f.kind, f.width, f.count = kindPairs, n*32, n
		case "cpairs":
			f.kind, f.width, f.count = kindConsolidatedPairs, n*32, n
		case "_":
			at += n
			continue
		default:
			panic("dbn: layout " + name + " has a field " + entry)
		}
		l.fields = append(l.fields, f)
		at += f.width
	}
	l.size = at
	return l
}

func (l *layout) field(name string) *field {
	for i := range l.fields {
		if l.fields[i].name == name {
			return &l.fields[i]
		}
	}
	return nil
}
