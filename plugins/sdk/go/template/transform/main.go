//go:build wasip1

// Adds the spread of the best prices to each row: the custom column `spread`.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

var (
	rows   = tickwire.NewLayout(1024)
	bid    = tickwire.Read[int64](rows, tickwire.BidPx)
	ask    = tickwire.Read[int64](rows, tickwire.AskPx)
	spread = tickwire.Write[int64](rows, tickwire.Custom)
)

func init() { tickwire.Units(rows) }

//go:wasmexport tw_transform
func transform(unit, n int32) int32 {
	for i := range n {
		if bid[i] != tickwire.UndefPrice && ask[i] != tickwire.UndefPrice {
			spread[i] = ask[i] - bid[i]
		}
	}
	return n
}

func main() {}
