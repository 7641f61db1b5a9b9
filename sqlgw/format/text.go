package format

import (
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
)

// AppendText appends a value as PostgreSQL writes it. The value must not be NULL.
func AppendText(dst []byte, c *sqlgw.Column, v *sqlgw.Vector, i int) []byte {
	switch c.Kind {
	case sqlgw.Bool:
		if v.I64[i] != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case sqlgw.Int2, sqlgw.Int4, sqlgw.Int8:
		return strconv.AppendInt(dst, v.I64[i], 10)
	case sqlgw.Float4:
		return appendFloat(dst, v.F64[i], 32)
	case sqlgw.Float8:
		return appendFloat(dst, v.F64[i], 64)
	case sqlgw.Numeric:
		return appendNumeric(dst, v, i, int(c.Scale))
	case sqlgw.Text:
		return append(dst, v.Str[i]...)
	case sqlgw.Bytea:
		const hex = "0123456789abcdef"
		dst = append(dst, `\x`...)
		for _, b := range []byte(v.Str[i]) {
			dst = append(dst, hex[b>>4], hex[b&15])
		}
		return dst
	case sqlgw.Date:
		return time.Unix(v.I64[i]*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case sqlgw.Time:
		return appendMicros(time.UnixMicro(v.I64[i]).UTC().AppendFormat(dst, time.TimeOnly), v.I64[i])
	case sqlgw.Timestamp:
		return appendMicros(time.UnixMicro(v.I64[i]).UTC().AppendFormat(dst, time.DateTime), v.I64[i])
	case sqlgw.TimestampTZ:
		return append(appendMicros(time.UnixMicro(v.I64[i]).UTC().AppendFormat(dst, time.DateTime), v.I64[i]), "+00"...)
	case sqlgw.Interval:
		return appendInterval(dst, v.Hi[i], v.I64[i])
	}
	return dst
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// appendMicros appends the fraction of a second, without trailing zeros.
func appendMicros(dst []byte, us int64) []byte {
	frac := ((us % 1e6) + 1e6) % 1e6
	if frac == 0 {
		return dst
	}
	text := strconv.FormatInt(1e6+frac, 10)[1:]
	for text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	return append(append(dst, '.'), text...)
}

// appendNumeric appends the 128-bit, or 64-bit, integer divided by 10^scale.
func appendNumeric(dst []byte, v *sqlgw.Vector, i, scale int) []byte {
	var digits string
	negative := false
	if v.Hi == nil || v.Hi[i] == v.I64[i]>>63 {
		n := v.I64[i]
		negative = n < 0
		u := uint64(n)
		if negative {
			u = -u
		}
		digits = strconv.FormatUint(u, 10)
	} else {
		n := new(big.Int).Lsh(big.NewInt(v.Hi[i]), 64)
		n.Add(n, new(big.Int).SetUint64(uint64(v.I64[i])))
		negative = n.Sign() < 0
		digits = n.Abs(n).String()
	}
	if negative {
		dst = append(dst, '-')
	}
	for len(digits) <= scale {
		digits = "0" + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst
}

func appendInterval(dst []byte, hi, us int64) []byte {
	months, days := hi>>32, int64(int32(hi))
	start := len(dst)
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = append(append(strconv.AppendInt(dst, n, 10), ' '), unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
	}
	part(months/12, "year")
	part(months%12, "mon")
	part(days, "day")
	if us == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	if us < 0 {
		dst = append(dst, '-')
		us = -us
	}
	dst = appendTwo(dst, us/3600e6)
	dst = append(dst, ':')
	dst = appendTwo(dst, us/60e6%60)
	dst = append(dst, ':')
	dst = appendTwo(dst, us/1e6%60)
	return appendMicros(dst, us)
}

func appendTwo(dst []byte, n int64) []byte {
	if n < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, n, 10)
}
