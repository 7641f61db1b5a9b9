//go:build wasip1

// Whole numbers as differences: each from the one before it (the first from 0), as varints of 7 bits a byte, low ones first, zigzag so that small negative ones are
// small too. Times and prices of neighbours become one to three bytes.
package main

import (
	"encoding/binary"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const maxRows = 4096

var (
	block   = tickwire.NewLayout(maxRows)
	in      = block.In(maxRows * binary.MaxVarintLen64)
	out     = block.Out(maxRows * binary.MaxVarintLen64)
	values  = tickwire.Read[int64](block, tickwire.Arg)
	decoded = tickwire.Write[int64](block, tickwire.Result)
)

func init() { tickwire.Units(block) }

//go:wasmexport tw_encode
func encode(unit, n int32) int32 {
	b, before := out[:0], int64(0) // appended to in place: there is room for all
	for _, v := range values[:n] {
		b = binary.AppendVarint(b, v-before)
		before = v
	}
	return int32(len(b))
}

//go:wasmexport tw_decode
func decode(unit, size int32) int32 {
	rows, value := int32(0), int64(0)
	for b := in[:size]; len(b) > 0; rows++ {
		difference, n := binary.Varint(b)
		switch {
		case n == 0:
			return tickwire.Fail("a number is cut off")
		case n < 0:
			return tickwire.Fail("a number has more than 64 bits")
		case rows == maxRows:
			return tickwire.Fail("more numbers than a block has")
		}
		value += difference
		decoded[rows], b = value, b[n:]
	}
	return rows
}

func main() {}
