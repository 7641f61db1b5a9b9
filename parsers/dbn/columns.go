package dbn

import (
	"fmt"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// ColumnKind is how a column's bytes are to be read.
type ColumnKind uint8

// Kinds of column. Integers are little-endian.
const (
	ColumnUint  ColumnKind = iota
	ColumnInt              // two's complement
	ColumnPrice            // i64 in 1e-9; UndefPrice: none
	ColumnTime             // u64 ns since the Unix epoch; UndefTime: none
	ColumnChar             // one byte, one character
	ColumnText             // padded with NUL
)

// Column is one value of a record, levels taken apart.
type Column struct {
	Name  string
	Kind  ColumnKind
	At    int // offset in the record
	Width int // bytes
}

// Columns are the values of a version 3 record type in their order, header first, levels as bid_px_00, ask_px_00 and so
// on; nil for a type that is not known.
func Columns(rtype uint8) []Column {
	l := layoutOf(rtype, versionMax)
	if l == nil {
		return nil
	}
	columns := []Column{
		{"rtype", ColumnUint, 1, 1}, {"publisher_id", ColumnUint, 2, 2}, {"instrument_id", ColumnUint, 4, 4}, {"ts_event", ColumnTime, 8, 8},
	}
	for i := range l.fields {
		f := &l.fields[i]
		switch f.kind {
		case kindPairs, kindConsolidatedPairs:
			columns = appendLevels(columns, f)
		default:
			columns = append(columns, Column{f.name, columnKind(f), f.at, f.width})
		}
	}
	return columns
}

func appendLevels(columns []Column, f *field) []Column {
	last, width := "ct", 4
	if f.kind == kindConsolidatedPairs {
		last, width = "pb", 2
	}
	for i := range f.count {
		at := f.at + 32*i
		name := func(what string) string { return fmt.Sprintf("%s_%02d", what, i) }
		columns = append(columns,
			Column{name("bid_px"), ColumnPrice, at, 8}, Column{name("ask_px"), ColumnPrice, at + 8, 8},
			Column{name("bid_sz"), ColumnUint, at + 16, 4}, Column{name("ask_sz"), ColumnUint, at + 20, 4},
			Column{name("bid_" + last), ColumnUint, at + 24, width}, Column{name("ask_" + last), ColumnUint, at + 28, width})
	}
	return columns
}

// prices and times are told by name: the layouts have only widths.
var prices = map[string]bool{
	"price": true, "open": true, "high": true, "low": true, "close": true, "ref_price": true, "cont_book_clr_price": true,
	"auct_interest_clr_price": true, "ssr_filling_price": true, "ind_match_price": true, "upper_collar": true, "lower_collar": true,
	"min_price_increment": true, "display_factor": true, "high_limit_price": true, "low_limit_price": true, "max_price_variation": true,
	"unit_of_measure_qty": true, "min_price_increment_amount": true, "price_ratio": true, "strike_price": true, "leg_price": true,
	"leg_delta": true,
}

var times = map[string]bool{"ts_recv": true, "ts_ref": true, "auction_time": true, "expiration": true, "activation": true, "start_ts": true, "end_ts": true}

func columnKind(f *field) ColumnKind {
	switch {
	case f.kind == kindChar:
		return ColumnChar
	case f.kind == kindText:
		return ColumnText
	case prices[f.name]:
		return ColumnPrice
	case times[f.name]:
		return ColumnTime
	case f.kind == kindInt:
		return ColumnInt
	}
	return ColumnUint
}

// Int reads an integer, price or time of a record; none says that it is the value for "not there" of its kind. rec must be
// of the column's type.
func (c *Column) Int(rec []byte) (v int64, none bool) {
	u := integer(rec[c.At : c.At+c.Width])
	switch c.Kind {
	case ColumnPrice:
		return int64(u), int64(u) == tick.UndefPrice
	case ColumnTime:
		return int64(u), u == tick.UndefTime
	case ColumnInt:
		v = int64(u<<(64-8*c.Width)) >> (64 - 8*c.Width)
		return v, c.Width == 4 && v == math.MaxInt32 || c.Width == 8 && v == math.MaxInt64
	}
	return int64(u), c.Width == 4 && u == math.MaxUint32
}

// Text reads a character or a padded text.
func (c *Column) Text(rec []byte) string {
	b := rec[c.At : c.At+c.Width]
	if c.Kind == ColumnChar {
		if b[0] == 0 {
			return ""
		}
		return string(rune(b[0]))
	}
	return text(b)
}
