//go:build wasip1

// A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

const (
	dayNs  = 86_400_000_000_000
	groups = 16
)

var (
	rows       = tickwire.NewLayout(1024)
	tsEvent    = tickwire.Read[uint64](rows, tickwire.TsEvent)
	instrument = tickwire.Read[uint32](rows, tickwire.InstrumentID)
	key        = tickwire.Write[uint64](rows, tickwire.Result)
)

func init() { tickwire.Units(rows) }

//go:wasmexport tw_partition
func partition(unit, n int32) int32 {
	for i := range n { // numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ
		key[i] = tsEvent[i]/dayNs*groups + uint64(instrument[i]*2654435769>>28)
	}
	return n
}

func main() {}
