//go:build wasip1

// Rows as JSON, an object a line:
//
//	{"ts":1700000000000000000,"symbol":"AAPL","side":"B","price":100.500000000,"size":300}
//
// No price is null. In texts what is no plain ASCII is written as \u00.., byte by byte, so a line is JSON whatever a symbol holds.
package main

import (
	"strconv"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const (
	maxRows  = 1024
	stride   = 72  // the longest symbol that there is, and a NUL: none is cut
	mostLine = 560 // bytes: 20, 432, 6, 21 and 20 for the values, 47 around them
)

var (
	rows    = tickwire.NewLayout(maxRows)
	out     = rows.Out(maxRows * mostLine)
	tsEvent = tickwire.Read[uint64](rows, tickwire.TsEvent)
	symbol  = tickwire.ReadTexts(rows, tickwire.Symbol, stride)
	side    = tickwire.Read[uint8](rows, tickwire.Side)
	price   = tickwire.Read[int64](rows, tickwire.Price)
	size    = tickwire.Read[uint64](rows, tickwire.Size)
)

func init() { tickwire.Units(rows) }

func appendCharacter(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
		return append(b, c)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

//go:wasmexport tw_serialize
func serialize(unit, n int32) int32 {
	b := out[:0] // appended to in place: there is room for all
	for i := range n {
		b = strconv.AppendUint(append(b, `{"ts":`...), tsEvent[i], 10)
		b = append(b, `,"symbol":"`...)
		for _, c := range symbol.At(i) {
			if c == 0 {
				break
			}
			b = appendCharacter(b, c)
		}
		b = appendCharacter(append(b, `","side":"`...), side[i])
		b = append(b, `","price":`...)
		if price[i] == tickwire.UndefPrice {
			b = append(b, "null"...)
		} else {
			b = tickwire.AppendPrice(b, price[i])
		}
		b = strconv.AppendUint(append(b, `,"size":`...), size[i], 10)
		b = append(b, "}\n"...)
	}
	return int32(len(b))
}

func main() {}
