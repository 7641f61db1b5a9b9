//go:build amd64 && !purego

package itch

import (
	"math/bits"

	"github.com/tickwire/tickwire/tick"
)

// plan says which field of a type goes into which column. A column without a field is 0, and for Side none.
type plan struct {
	kind                                 tick.Kind
	orderID, aux, size, price, side, sub string
}

const (
	ref    = "order_reference_number"
	shares = "shares"
	done   = "executed_shares"
	match  = "match_number"
	verb   = "buy_sell_indicator"
)

var plans = map[byte]plan{
	'A': {kind: tick.KindAdd, orderID: ref, side: verb, size: shares, price: "price"},
	'F': {kind: tick.KindAdd, orderID: ref, side: verb, size: shares, price: "price", aux: "attribution"},
	'D': {kind: tick.KindDelete, orderID: ref},
	'U': {kind: tick.KindReplace, orderID: "original_" + ref, aux: "new_" + ref, size: shares, price: "price"},
	'E': {kind: tick.KindExec, orderID: ref, size: done, aux: match},
	'C': {kind: tick.KindExecAt, orderID: ref, size: done, aux: match, sub: "printable", price: "execution_price"},
	'X': {kind: tick.KindReduce, orderID: ref, size: "canceled_shares"},
	'P': {kind: tick.KindTrade, size: shares, price: "price", aux: match},
}

// hotTypes have all their columns from a plan. Other types have the first three (instrument, time, sequence) and cold does the rest.
const hotTypes = "ADUEXFCP"

// tables steer the assembly by type; asm/main.go has the same offsets. 41 KB, of which a day's types touch some 2 KB.
type tables struct {
	want  [256]uint32   // the length prefix as a little-endian load sees it; noLength: not known
	one   [256]uint64   // 1 in the byte of counts that counts the type
	pick  [256][64]byte // AVX-512: which byte from the length prefix on goes to which byte of the eight integers
	kinds [64]byte      // Kind by the lower six bits of a type, which tell all of them apart; 0: cold's
	// gather has types, sides and subs of eight messages side by side.
	gather [64]byte

	head  [256][16]byte // AVX2: of bytes 3 … 18: ts, order
	body  [256][64]byte // of bytes 19 … 34, then of 28 … 43: aux, size, price, (side, sub)
	small [6][32]byte
	words [8]uint64 // constants
}

const (
	noLength = 1 << 16 // no prefix of two bytes
	nothing  = 0x80    // index of VPSHUFB that gives 0
)

// wireTables is on the heap for the sake of its alignment: objects of that size begin on a cache line.
var wireTables = newTables()

func newTables() *tables {
	t := new(tables)
	const bytes = 0x0101010101010101
	t.words = [8]uint64{8, 4, priceE4ToE9, bytes * 'B', bytes * 'S', bytes * uint64(tick.SideBid), bytes * uint64(tick.SideAsk), bytes * uint64(tick.SideNone)}
	for i := range 8 {
		for k := range 3 {
			t.gather[8*k+i] = byte(8*i + 4 + k) // type, side and sub are bytes 4, 5, 6 of the sixth integer
		}
	}
	for typ := range 256 {
		length, p := wireLen[typ], plans[byte(typ)]
		if t.want[typ] = noLength; length == 0 || length > lookAhead-2 {
			continue // what is too long to be seen whole would go the portable way too
		}
		t.want[typ] = uint32(bits.ReverseBytes16(uint16(length)))
		t.kinds[typ&63] = byte(p.kind)

		// The eight integers. A byte that is not set is the prefix's first: 0.
		pick := &t.pick[typ]
		for i, name := range []string{"timestamp", p.orderID, p.aux, p.size, p.price} {
			t.field(pick[8*i:], byte(typ), name, func(at int) byte { return byte(2 + at) })
		}
		misc := pick[8*5:]
		t.field(misc, byte(typ), "stock_locate", func(at int) byte { return byte(2 + at) })
		misc[4] = 2 // the type
		t.field(misc[5:], byte(typ), p.side, func(at int) byte { return byte(2 + at) })
		t.field(misc[6:], byte(typ), p.sub, func(at int) byte { return byte(2 + at) })

		head := &t.head[typ]
		for i := range head {
			head[i] = nothing
		}
		within := func(from int) func(at int) byte {
			return func(at int) byte {
				if at < from || at >= from+16 {
					return nothing
				}
				return byte(at - from)
			}
		}
		t.field(head[0:], byte(typ), "timestamp", within(3))
		t.field(head[8:], byte(typ), p.orderID, within(3))
		body := &t.body[typ]
		for i := range body {
			body[i] = nothing
		}
		// A byte that the first load has is not taken from the second: the two are joined by OR, but a field may straddle.
		second := func(at int) byte {
			if at < 19+16 {
				return nothing
			}
			return within(28)(at)
		}
		for i, name := range []string{p.aux, p.size, p.price, p.side} {
			t.field(body[8*i:], byte(typ), name, within(19))
			t.field(body[32+8*i:], byte(typ), name, second)
		}
		t.field(body[25:], byte(typ), p.sub, within(19))
		t.field(body[32+25:], byte(typ), p.sub, second)
	}
	for i, typ := range []byte(hotTypes) {
		t.one[typ] = 1 << (8 * i)
	}
	for i := range t.small {
		for k := range t.small[i] {
			t.small[i][k] = nothing
		}
	}
	for i := range 4 {
		t.small[0][4*i], t.small[0][4*i+1] = byte(4*i+2), byte(4*i+1) // locates, turned
		t.small[1][i] = byte(4 * i)                                   // types
		t.small[4][16*(i/2)+i] = byte(8 * (i % 2))                    // sides of two messages in each half
		t.small[4][16*(i/2)+4+i] = byte(8*(i%2) + 1)                  // and their subs
	}
	for i := range 16 {
		t.small[2][i], t.small[3][i] = 0, 0
		t.small[5][i] = byte(i)
	}
	for typ, p := range plans { // by the lower four bits: types 0x4… and 0x6… in one, 0x5… in the other
		t.small[2+typ>>4&1][typ&15] = byte(p.kind)
	}
	return t
}

// field writes where a field's bytes come from: integers turned, text as it is.
func (t *tables) field(to []byte, typ byte, name string, from func(at int) byte) {
	for _, f := range fields[typ] {
		if f.name != name {
			continue
		}
		for i := range f.width {
			at := f.at + i
			if f.kind == 'u' {
				at = f.at + f.width - 1 - i
			}
			to[i] = from(at)
		}
	}
}
