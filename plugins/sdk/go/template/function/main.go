//go:build wasip1

// mid(bid, ask): the middle between two prices.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

var (
	call   = tickwire.NewLayout(1024)
	bid    = tickwire.Read[int64](call, tickwire.Arg)
	ask    = tickwire.Read[int64](call, tickwire.Arg+1)
	result = tickwire.Write[int64](call, tickwire.Result)
)

func init() { tickwire.Units(call) }

//go:wasmexport tw_function
func function(unit, n int32) int32 {
	for i := range n {
		result[i] = bid[i]&ask[i] + (bid[i]^ask[i])>>1 // the sum would not always fit
	}
	return n
}

func main() {}
