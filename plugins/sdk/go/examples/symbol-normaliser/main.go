//go:build wasip1

// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
// other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

const stride = 72 // the longest symbol that there is, and a NUL: none is cut

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
		if c < '!' || c > '~' {
			clear(s)
			return
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
	copy(s, out[:])
}

//go:wasmexport tw_transform
func transform(unit, n int32) int32 {
	for i := range n {
		normalise(symbol.At(i))
	}
	return n
}

func main() {}
