//go:build wasip1

// The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
// (times, sequences), of no use for what does not: that is what it advises by.
//
//	0        8                   16 × zones + 8
//	| rows   | least, greatest … |                  i64 each, little-endian
package main

import (
	"encoding/binary"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const (
	maxRows   = 4096
	zoneRows  = 64
	headBytes = 8
	zoneBytes = 16
	mostBytes = headBytes + maxRows/zoneRows*zoneBytes
)

var (
	block    = tickwire.NewLayout(maxRows)
	in       = block.In(mostBytes)
	out      = block.Out(mostBytes)
	values   = tickwire.Read[int64](block, tickwire.Arg)
	least    = tickwire.Read[int64](block, tickwire.Arg+1)
	greatest = tickwire.Read[int64](block, tickwire.Arg+2)
	from     = tickwire.Write[uint32](block, tickwire.Arg+3)
	behind   = tickwire.Write[uint32](block, tickwire.Arg+4)
)

const ( // strategies
	use = iota
	leave
)

func init() { tickwire.Units(block) }

func zonesOf(rows uint64) int { return int((rows + zoneRows - 1) / zoneRows) }

// zone gives the values of a zone of n rows.
func zone(z, n int) []int64 { return values[z*zoneRows : min((z+1)*zoneRows, n)] }

// ends are the least and the greatest of values.
func ends(values []int64) (least, greatest int64) {
	least, greatest = values[0], values[0]
	for _, v := range values[1:] {
		least, greatest = min(least, v), max(greatest, v)
	}
	return least, greatest
}

//go:wasmexport tw_index_build
func build(unit, n int32) int32 {
	b := binary.LittleEndian.AppendUint64(out[:0], uint64(n)) // appended to in place: there is room for all
	for z := range zonesOf(uint64(n)) {
		low, high := ends(zone(z, int(n)))
		b = binary.LittleEndian.AppendUint64(b, uint64(low))
		b = binary.LittleEndian.AppendUint64(b, uint64(high))
	}
	return int32(len(b))
}

//go:wasmexport tw_index_probe
func probe(unit, size int32) int32 {
	rows := binary.LittleEndian.Uint64(in)
	if size < headBytes || rows > maxRows || int(size) != headBytes+zonesOf(rows)*zoneBytes {
		return tickwire.Fail("these are no bytes of an index")
	}
	ranges := int32(0)
	for z := range zonesOf(rows) {
		at := in[headBytes+z*zoneBytes:]
		if int64(binary.LittleEndian.Uint64(at[8:])) < least[0] || int64(binary.LittleEndian.Uint64(at)) > greatest[0] {
			continue
		}
		if ranges == 0 || behind[ranges-1] != uint32(z*zoneRows) {
			from[ranges] = uint32(z * zoneRows)
			ranges++
		}
		behind[ranges-1] = uint32(min((z+1)*zoneRows, int(rows)))
	}
	return ranges
}

func width(least, greatest int64) float64 { return float64(greatest) - float64(least) }

// advise finds it of use where a zone covers less than a quarter of the values' range on average.
//
//go:wasmexport tw_index_advise
func advise(unit, n int32) int32 {
	if n <= zoneRows {
		return leave
	}
	widths, zones := 0.0, zonesOf(uint64(n))
	for z := range zones {
		widths += width(ends(zone(z, int(n))))
	}
	if widths/float64(zones) < width(ends(values[:n]))/4 {
		return use
	}
	return leave
}

func main() {}
