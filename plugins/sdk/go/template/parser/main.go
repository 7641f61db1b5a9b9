//go:build wasip1

// A wire format of one message a packet, a trade, little-endian:
//
//	0              4        8               16                       24
//	| instrument   | size   | price, 1e-9   | time, ns since 1970    |
package main

import (
	"encoding/binary"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

var (
	rows       = tickwire.NewLayout(1024)
	in         = rows.In(64 << 10)
	kind       = tickwire.Write[uint8](rows, tickwire.Kind)
	side       = tickwire.Write[uint8](rows, tickwire.Side)
	instrument = tickwire.Write[uint32](rows, tickwire.InstrumentID)
	tsEvent    = tickwire.Write[uint64](rows, tickwire.TsEvent)
	sequence   = tickwire.Write[uint64](rows, tickwire.Sequence)
	price      = tickwire.Write[int64](rows, tickwire.Price)
	size       = tickwire.Write[uint64](rows, tickwire.Size)
)

const messageBytes = 24

func init() { tickwire.Units(rows) }

//go:wasmexport tw_parse
func parse(unit, n int32, first int64, count int32) int32 {
	if n != messageBytes {
		return tickwire.Fail("a message has 24 bytes")
	}
	kind[0], side[0] = tickwire.KindTrade, 'N'
	instrument[0] = binary.LittleEndian.Uint32(in)
	size[0] = uint64(binary.LittleEndian.Uint32(in[4:]))
	price[0] = int64(binary.LittleEndian.Uint64(in[8:]))
	tsEvent[0] = binary.LittleEndian.Uint64(in[16:])
	sequence[0] = uint64(first)
	return 1
}

func main() {}
