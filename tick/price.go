package tick

import (
	"math"
	"strconv"
)

// PriceScale is the number of price units in 1.0: prices are int64 in 1e-9 (DBN, FIXED_PRICE_SCALE).
const PriceScale = 1_000_000_000

// Values that mean "not set" (DBN section 5).
const (
	UndefPrice = math.MaxInt64  // no price: an empty side, a market order
	UndefTime  = math.MaxUint64 // no time
	UndefSize  = math.MaxUint32 // no size
	MaxSize    = UndefSize - 1  // a record's size saturates here; the exact value is in the ext ring
)

// Size32 is a 64-bit size as a record holds it: saturated at MaxSize, so that UndefSize is never written by accident.
// It may be called on the hot path.
func Size32(size uint64) uint32 {
	if size > MaxSize {
		return MaxSize
	}
	return uint32(size)
}

// AppendPrice appends a price (unit 1e-9) as a decimal number: at least two decimals, trailing zeros beyond them cut,
// "-" for UndefPrice. For people; machines read the integer.
func AppendPrice(dst []byte, price int64) []byte {
	if price == UndefPrice {
		return append(dst, '-')
	}
	magnitude := uint64(price)
	if price < 0 {
		dst = append(dst, '-')
		magnitude = -magnitude
	}
	dst = strconv.AppendUint(dst, magnitude/PriceScale, 10)
	dst = append(dst, '.')
	frac := magnitude % PriceScale
	for unit, digits := uint64(PriceScale/10), 0; unit > 0 && (frac > 0 || digits < 2); unit, digits = unit/10, digits+1 {
		dst = append(dst, byte('0'+frac/unit))
		frac %= unit
	}
	return dst
}

// FormatPrice is AppendPrice as a string.
func FormatPrice(price int64) string { return string(AppendPrice(nil, price)) }
