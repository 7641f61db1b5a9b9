//go:build wasip1

// A wire format of trades over UDP, little-endian. A packet is a header and as many messages as it says, none is a heartbeat:
//
//	0          8       12       16
//	| sequence | count | "TRD1" | messages …      sequence of the first message, of a heartbeat the next one's
//
//	0            4      8              16                    24
//	| instrument | size | price, 1e-9  | time, ns since 1970 |
package main

import (
	"encoding/binary"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const (
	maxRows      = 1024
	magic        = 0x31445254
	headerBytes  = 16
	messageBytes = 24
)

var (
	rows       = tickwire.NewLayout(maxRows)
	in         = rows.In(64 << 10)
	framing    = rows.Frame()
	kind       = tickwire.Write[uint8](rows, tickwire.Kind)
	side       = tickwire.Write[uint8](rows, tickwire.Side)
	instrument = tickwire.Write[uint32](rows, tickwire.InstrumentID)
	tsEvent    = tickwire.Write[uint64](rows, tickwire.TsEvent)
	sequence   = tickwire.Write[uint64](rows, tickwire.Sequence)
	price      = tickwire.Write[int64](rows, tickwire.Price)
	size       = tickwire.Write[uint64](rows, tickwire.Size)
)

func init() { tickwire.Units(rows) }

//go:wasmexport tw_looks
func looks(unit, n int32) int32 {
	if n >= headerBytes && binary.LittleEndian.Uint32(in[12:]) == magic {
		return 90
	}
	return 0
}

//go:wasmexport tw_frame
func frame(unit, n int32) int32 {
	if looks(unit, n) == 0 {
		return tickwire.Fail("the packet has no header of this format")
	}
	framing.Sequence = binary.LittleEndian.Uint64(in)
	framing.Count = binary.LittleEndian.Uint32(in[8:])
	framing.Kind, framing.At = 0, headerBytes
	if framing.Count == 0 {
		framing.Kind = 1
	}
	return 0
}

//go:wasmexport tw_parse
func parse(unit, n int32, first int64, count int32) int32 {
	if count < 0 || count > maxRows || n != count*messageBytes {
		return tickwire.Fail("the packet has not as many messages as its header says")
	}
	for i := range count {
		m := in[i*messageBytes:][:messageBytes]
		kind[i], side[i] = tickwire.KindTrade, 'N'
		instrument[i] = binary.LittleEndian.Uint32(m)
		size[i] = uint64(binary.LittleEndian.Uint32(m[4:]))
		price[i] = int64(binary.LittleEndian.Uint64(m[8:]))
		tsEvent[i] = binary.LittleEndian.Uint64(m[16:])
		sequence[i] = uint64(first) + uint64(i)
	}
	return count
}

func main() {}
