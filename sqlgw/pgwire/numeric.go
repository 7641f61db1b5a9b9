package pgwire

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"

	"github.com/tickwire/tickwire/sqlgw"
)

// A numeric on the wire (numeric_send) is
//
//	offset  size  field
//	0       2     number of digits, base 10,000
//	2       2     weight: power of 10,000 of the first digit
//	4       2     sign: 0 plus, 0x4000 minus, 0xC000 NaN, 0xD000 infinity, 0xF000 -infinity
//	6       2     decimal digits shown after the point
//	8       2 n   digits

const (
	numericMinus = 0x4000
	numericNaN   = 0xC000
)

// decimal gives sign and decimal digits of value i, at least scale+1 of them. The digits lie in buf.
func decimal(buf *[64]byte, v *sqlgw.Vector, i, scale int) (minus bool, digits []byte) {
	lo := uint64(v.I64[i])
	hi := uint64(v.I64[i] >> 63)
	if v.Hi != nil {
		hi = uint64(v.Hi[i])
	}
	if minus = int64(hi) < 0; minus {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	at := len(buf)
	for hi != 0 {
		// 10^19 is the largest power of ten in 64 bits: one step gives 19 digits.
		const ten19 = 10_000_000_000_000_000_000
		var rest uint64
		hi, rest = hi/ten19, hi%ten19
		lo, rest = bits.Div64(rest, lo, ten19)
		for range 19 {
			at--
			buf[at] = byte('0' + rest%10)
			rest /= 10
		}
	}
	for lo != 0 {
		at--
		buf[at] = byte('0' + lo%10)
		lo /= 10
	}
	for at < len(buf) && buf[at] == '0' {
		at++
	}
	for len(buf)-at < scale+1 {
		at--
		buf[at] = '0'
	}
	return minus, buf[at:]
}

// appendNumericText writes all digits of the scale: 100.010000000.
func appendNumericText(out []byte, v *sqlgw.Vector, i, scale int) []byte {
	var buf [64]byte
	minus, d := decimal(&buf, v, i, scale)
	if minus {
		out = append(out, '-')
	}
	whole := len(d) - scale
	out = append(out, d[:whole]...)
	if scale > 0 {
		out = append(out, '.')
		out = append(out, d[whole:]...)
	}
	return out
}

// appendNumericBinary groups the same digits by four, counted from the point.
func appendNumericBinary(out []byte, v *sqlgw.Vector, i, scale int) []byte {
	var buf [64]byte
	minus, d := decimal(&buf, v, i, scale)
	whole := len(d) - scale
	var groups [24]uint16
	n := 0
	lead := (4 - whole%4) % 4 // zeros that fill the first group
	for p := -lead; p < len(d); p += 4 {
		var g uint16
		for k := p; k < p+4; k++ {
			g *= 10
			if k >= 0 && k < len(d) {
				g += uint16(d[k] - '0')
			}
		}
		groups[n] = g
		n++
	}
	weight := (whole+lead)/4 - 1
	g := groups[:n]
	for len(g) > 0 && g[0] == 0 {
		g = g[1:]
		weight--
	}
	for len(g) > 0 && g[len(g)-1] == 0 {
		g = g[:len(g)-1]
	}
	sign := uint16(0)
	if len(g) == 0 {
		weight = 0
	} else if minus {
		sign = numericMinus
	}
	be := binary.BigEndian
	out = be.AppendUint16(out, uint16(len(g)))
	out = be.AppendUint16(out, uint16(int16(weight)))
	out = be.AppendUint16(out, sign)
	out = be.AppendUint16(out, uint16(scale))
	for _, x := range g {
		out = be.AppendUint16(out, x)
	}
	return out
}

// numericText reads a numeric a client sent in binary. At most 1,000 digits on either side of the point are taken:
// no column here has more than 38.
func numericText(b []byte) (string, error) {
	be := binary.BigEndian
	if len(b) < 8 {
		return "", errors.New("a numeric of less than 8 bytes")
	}
	n, weight, sign, scale := int(be.Uint16(b)), int(int16(be.Uint16(b[2:]))), be.Uint16(b[4:]), int(be.Uint16(b[6:]))
	if len(b) != 8+2*n {
		return "", errors.New("a numeric whose length does not fit its number of digits")
	}
	if sign == numericNaN {
		return "NaN", nil
	}
	if sign != 0 && sign != numericMinus || weight > 250 || weight < -250 || scale > 1000 || n > 500 {
		return "", errors.New("a numeric out of range")
	}
	group := func(i int) int {
		if i < 0 || i >= n {
			return 0
		}
		return int(be.Uint16(b[8+2*i:]))
	}
	var out []byte
	if sign == numericMinus {
		out = append(out, '-')
	}
	if weight < 0 {
		out = append(out, '0')
	}
	for i := range n {
		if group(i) > 9999 {
			return "", errors.New("a numeric with a digit above 9999")
		}
	}
	for i := 0; i <= weight; i++ {
		if i == 0 {
			out = strconv.AppendInt(out, int64(group(0)), 10)
		} else {
			out = appendFour(out, group(i))
		}
	}
	if scale > 0 {
		out = append(out, '.')
		at := len(out)
		for i := weight + 1; len(out)-at < scale; i++ {
			out = appendFour(out, group(i))
		}
		out = out[:at+scale]
	}
	return string(out), nil
}

func appendFour(out []byte, g int) []byte {
	return append(out, byte('0'+g/1000), byte('0'+g/100%10), byte('0'+g/10%10), byte('0'+g%10))
}
