//go:build wasip1

// Flags rows whose price is not above zero.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

var (
	rows   = tickwire.NewLayout(1024)
	price  = tickwire.Read[int64](rows, tickwire.Price)
	rowCtl = tickwire.Write[uint8](rows, tickwire.RowCtl)
	reason = tickwire.Write[uint8](rows, tickwire.Reason)
)

const notAboveZero = 0 // an index into the manifest's reasons

func init() { tickwire.Units(rows) }

//go:wasmexport tw_validate
func validate(unit, n int32) int32 {
	notKept := int32(0)
	for i := range n {
		if price[i] > 0 {
			continue
		}
		rowCtl[i], reason[i] = tickwire.Flag, notAboveZero
		notKept++
	}
	return notKept
}

func main() {}
