//go:build wasip1

// Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
// What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged.
package main

import (
	"math"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

var (
	rows     = tickwire.NewLayout(1024)
	price    = tickwire.Both[int64](rows, tickwire.Price)
	rowCtl   = tickwire.Write[uint8](rows, tickwire.RowCtl)
	reason   = tickwire.Write[uint8](rows, tickwire.Reason)
	rawPrice = tickwire.Write[int64](rows, tickwire.Custom)
)

const tooLarge = 0

var multiplier, divisor int64 // 1 to 1,000,000: the manifest sees to it

func init() {
	tickwire.Units(rows)
	tickwire.OnInit(func(p tickwire.Params) error {
		multiplier, divisor = p.Int("multiplier"), p.Int("divisor")
		return nil
	})
}

func normal(px int64) int64 {
	product := px * multiplier
	rest, away := product%divisor, int64(1)
	if rest < 0 {
		away = -1
	}
	if rest*away*2 >= divisor {
		return product/divisor + away
	}
	return product / divisor
}

//go:wasmexport tw_transform
func transform(unit, n int32) int32 {
	most := math.MaxInt64 / multiplier
	for i := range n {
		px := price[i]
		rawPrice[i] = px
		switch {
		case px == tickwire.UndefPrice:
		case px > most || px < -most:
			rowCtl[i], reason[i] = tickwire.Flag, tooLarge
		default:
			price[i] = normal(px)
		}
	}
	return n
}

func main() {}
