//go:build wasip1

// price_range(price): the greatest price less the least.
package main

import (
	"encoding/binary"

	tickwire "github.com/tickwire/tickwire/plugins/sdk/go"
)

const (
	maxRows    = 1024
	stateBytes = 24 // rows, least, greatest: 8 bytes each. The host moves states, so they have no addresses in them
)

var (
	call   = tickwire.NewLayout(maxRows)
	price  = tickwire.Read[int64](call, tickwire.Arg)
	group  = tickwire.Read[uint32](call, tickwire.Group)
	result = tickwire.Write[int64](call, tickwire.Result)
	null   = tickwire.Write[uint8](call, tickwire.ResultNull)
	states = call.Out(maxRows * stateBytes)
	others = call.In(maxRows * stateBytes)
)

type state struct{ rows, least, greatest int64 }

func init() { tickwire.Units(call) }

func load(b []byte, i int32) state {
	b = b[i*stateBytes:][:stateBytes]
	at := func(o int) int64 { return int64(binary.LittleEndian.Uint64(b[o:])) }
	return state{at(0), at(8), at(16)}
}

func store(b []byte, i int32, s state) {
	b = b[i*stateBytes:][:stateBytes]
	binary.LittleEndian.PutUint64(b, uint64(s.rows))
	binary.LittleEndian.PutUint64(b[8:], uint64(s.least))
	binary.LittleEndian.PutUint64(b[16:], uint64(s.greatest))
}

func sum(a, b state) state {
	switch {
	case b.rows == 0:
		return a
	case a.rows == 0:
		return b
	}
	return state{a.rows + b.rows, min(a.least, b.least), max(a.greatest, b.greatest)}
}

//go:wasmexport tw_agg_start
func start(unit, groups int32) int32 {
	clear(states[:groups*stateBytes])
	return groups
}

//go:wasmexport tw_agg_update
func update(unit, n, groups int32) int32 {
	for i := range n {
		of := int32(group[i])
		store(states, of, sum(load(states, of), state{1, price[i], price[i]}))
	}
	return n
}

//go:wasmexport tw_agg_merge
func merge(unit, groups int32) int32 {
	for i := range groups {
		store(states, i, sum(load(states, i), load(others, i)))
	}
	return groups
}

//go:wasmexport tw_agg_result
func results(unit, groups int32) int32 {
	for i := range groups {
		s := load(states, i)
		null[i] = 0
		if s.rows == 0 {
			null[i] = 1
		}
		result[i] = s.greatest - s.least
	}
	return groups
}

func main() {}
