package fix

import (
	"errors"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// What a number's text cannot say.
var (
	ErrNumber   = errors.New("fix: not a number: optional '-', digits, optional '.' and digits; no exponent, no '+'")
	ErrDigits   = errors.New("fix: more digits behind the point than the unit has, and not all of them 0")
	ErrRange    = errors.New("fix: number does not fit 64 bits in its unit")
	ErrNegative = errors.New("fix: negative where only 0 and more have a meaning")
)

// Uint reads digits; leading zeros are accepted. Nothing else is, nor what does not fit.
func Uint(b []byte) (v uint64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c -= '0'; c > 9 || v > math.MaxUint64/10 || v == math.MaxUint64/10 && c > math.MaxUint64%10 {
			return 0, false
		}
		v = v*10 + uint64(c)
	}
	return v, true
}

// Int reads INT: an optional '-' and digits.
func Int(b []byte) (v int64, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	u, ok := Uint(b)
	switch {
	case !ok || u > math.MaxInt64+1 || u > math.MaxInt64 && !negative:
		return 0, false
	case negative:
		return -int64(u), true
	}
	return int64(u), true
}

// Price reads a decimal as a price in 1e-9, exactly; tick.UndefPrice, which would say that there is none, is out of range. Hot path.
func Price(b []byte) (int64, error) {
	v, negative, err := decimal(b, 9)
	switch {
	case err != nil:
		return 0, err
	case negative && v <= math.MaxInt64+1:
		return -int64(v), nil
	case !negative && v < tick.UndefPrice:
		return int64(v), nil
	}
	return 0, ErrRange
}

// Size reads a decimal as a size that counts in 10 to the power of -decimals (0 to 18), exactly. Hot path.
func Size(b []byte, decimals int) (uint64, error) {
	v, negative, err := decimal(b, decimals)
	if err == nil && negative && v != 0 {
		err = ErrNegative
	}
	return v, err
}

// decimal reads digits with so many of them behind the point; further ones may only be zeros.
func decimal(b []byte, decimals int) (v uint64, negative bool, err error) {
	if len(b) > 0 && b[0] == '-' {
		negative, b = true, b[1:]
	}
	const most = math.MaxUint64/10 - 1 // one more digit always fits
	places, digits := -1, 0            // of the places behind the point, -1: there is none yet
	for _, c := range b {
		if c == '.' && places < 0 {
			places = 0
			continue
		}
		if c -= '0'; c > 9 {
			return 0, negative, ErrNumber
		}
		digits++
		if places >= 0 {
			if places == decimals {
				if c != 0 {
					return 0, negative, ErrDigits
				}
				continue
			}
			places++
		}
		if v > most {
			return 0, negative, ErrRange
		}
		v = v*10 + uint64(c)
	}
	if digits == 0 {
		return 0, negative, ErrNumber
	}
	for places = max(places, 0); places < decimals; places++ {
		if v > most {
			return 0, negative, ErrRange
		}
		v *= 10
	}
	return v, negative, nil
}
