//go:build wasip1

// ISINs, which name securities: a country's two letters, nine letters or digits, and a check digit. US0378331005 is one. In small letters, and with spaces and -
// within, as people write them, they are read too; written they are as they are normal.
package main

import (
	"bytes"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const (
	maxRows   = 1024
	stride    = 32
	isinBytes = 12
)

var (
	call    = tickwire.NewLayout(maxRows)
	text    = tickwire.ReadTexts(call, tickwire.Arg, stride)
	a       = tickwire.BothTexts(call, tickwire.Arg+1, stride)
	b       = tickwire.ReadTexts(call, tickwire.Arg+2, stride)
	written = tickwire.WriteTexts(call, tickwire.Arg+3, stride)
	result  = tickwire.Write[int64](call, tickwire.Result)
	bad     = tickwire.Write[uint8](call, tickwire.ResultNull)
	normal  [stride]byte
)

func init() { tickwire.Units(call) }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// checked adds up digits. Letters are numbers of two digits, A is 10; from the right each second digit counts twice; the sum is a multiple of ten.
func checked(isin []byte) bool {
	sum, twice := 0, 0
	for i := len(isin) - 1; i >= 0; i-- {
		v := int(isin[i] - '0')
		if !digit(isin[i]) {
			v = int(isin[i]-'A') + 10
		}
		for more := true; more; more = v > 0 {
			d := v % 10 << twice
			sum += d/10 + d%10
			twice ^= 1
			v /= 10
		}
	}
	return sum%10 == 0
}

// read reads an ISIN; false: it is none, and to is empty.
func read(from, to []byte) bool {
	n := 0
	clear(to)
	for _, c := range from {
		if c == 0 {
			break
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c == ' ' || c == '-' {
			continue
		}
		if n == isinBytes || !(c >= 'A' && c <= 'Z' || n >= 2 && digit(c)) {
			clear(to)
			return false
		}
		to[n] = c
		n++
	}
	if n == isinBytes && digit(to[n-1]) && checked(to[:n]) {
		return true
	}
	clear(to)
	return false
}

func hash(s []byte) int64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range s[:isinBytes] {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return int64(h)
}

func not(ok bool) uint8 {
	if ok {
		return 0
	}
	return 1
}

//go:wasmexport tw_type
func typed(unit, op, n int32) int32 {
	for i := range n {
		switch op {
		case tickwire.OpValidate:
			result[i] = 1 - int64(not(read(text.At(i), normal[:])))
		case tickwire.OpNormalise:
			bad[i] = not(read(text.At(i), written.At(i)))
		case tickwire.OpParse:
			bad[i] = not(read(text.At(i), a.At(i)))
		case tickwire.OpFormat:
			bad[i] = not(read(a.At(i), written.At(i)))
		case tickwire.OpCompare:
			result[i] = int64(bytes.Compare(a.At(i)[:isinBytes], b.At(i)[:isinBytes]))
		case tickwire.OpHash:
			result[i] = hash(a.At(i))
		default:
			return tickwire.Fail("an operation that is not known")
		}
	}
	return n
}

func main() {}
