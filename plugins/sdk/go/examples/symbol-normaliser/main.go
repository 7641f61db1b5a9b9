//go:build wasip1

// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. A symbol of which nothing is left stays as it is.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

const stride = 32

var (
	rows   = tickwire.NewLayout(1024)
	symbol = tickwire.BothTexts(rows, tickwire.Symbol, stride)
)

func init() { tickwire.Units(rows) }

func normalise(s []byte) {
	var out [stride]byte
	length, dot := 0, false
	for _, c := range s {
		if c == 0 {
			break
		}
		switch c {
		case ' ', '/', '-', '_', '.':
			dot = length > 0
			continue
		}
		if dot {
			out[length] = '.'
			length++
		}
		dot = false
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		out[length] = c
		length++
	}
	if length > 0 {
		copy(s, out[:])
	}
}

//go:wasmexport tw_transform
func transform(unit, n int32) int32 {
	for i := range n {
		normalise(symbol.At(i))
	}
	return n
}

func main() {}
