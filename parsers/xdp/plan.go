package xdp

import "github.com/tickwire/tickwire/tick"

// plan is where a type's columns are.
type plan struct {
	need    uint32 // bytes of a plain message; never: special has the type
	kind    tick.Kind
	inside  bool  // its time stamp is short
	price   uint8 // offsets …
	size    uint8
	aux     uint8
	side    uint8
	sub     uint8
	must    uint8      // offset of what makes the message plain: where mask has bits, value
	subs    *[256]byte // Sub by the byte at sub
	sides   *[256]byte // Side by the byte at side
	auxMask uint64
	value   uint64
	mask    uint64
	_       [8]byte // a cache line each
}

const (
	never = 1 << 16 // more than a msg_size can say
	word4 = 1<<32 - 1
	word5 = 1<<40 - 1

	ordinary = 0x20_20_20_40 // trade conditions that say nothing: @ and three spaces
)

// plans of the types with a short time stamp. Where a column is read that a type has not, the row's kind has it not either.
var plans = map[uint16]plan{
	TypeAddOrder:          {inside: true, need: 38, kind: tick.KindAdd, price: 24, size: 28, side: 32, sides: &sides, must: 33, value: blanks, mask: word5}, // without a firm
	TypeModifyOrder:       {inside: true, need: 33, kind: tick.KindModify, price: 24, size: 28, sub: 32, subs: &tails},
	TypeDeleteOrder:       {inside: true, need: 24, kind: tick.KindDelete},
	TypeOrderExecution:    {inside: true, need: 37, kind: tick.KindExecAt, aux: 24, auxMask: word4, price: 28, size: 32, sub: 36, subs: &printed},
	TypeReplaceOrder:      {inside: true, need: 40, kind: tick.KindReplace, aux: 24, auxMask: 1<<64 - 1, price: 32, size: 36},
	TypeNonDisplayedTrade: {inside: true, need: 29, kind: tick.KindTrade, aux: 16, auxMask: word4, price: 20, size: 24, must: 28, value: 1, mask: 0xFF}, // printed

	TypeCrossTrade:             {inside: true, need: never},
	TypeTradeCancel:            {inside: true, need: never},
	TypeCrossCorrection:        {inside: true, need: never},
	TypeRetailPriceImprovement: {inside: true, need: never},
	TypeQuote:                  {inside: true, need: never},
}

// planOf is a type's plan in a version.
func planOf(typ uint16, v Version) plan {
	p, ok := plans[typ]
	switch {
	case !ok:
		p.need = never
	case typ == TypeModifyOrder && v == V25: // from here on it has its side
		p.need, p.side, p.sides = 34, 33, &sides
	case v == V21:
	case typ == TypeOrderExecution: // its conditions are those of every day
		p.need, p.must, p.value, p.mask = 42, 38, ordinary, word4
	case typ == TypeNonDisplayedTrade:
		p.need, p.value, p.mask = 33, p.value|ordinary<<8, word5
	}
	if p.subs == nil {
		p.subs = &zeros
	}
	if p.sides == nil {
		p.sides = &nones
	}
	return p
}

// Columns by a byte of the message.
var (
	zeros   [256]byte
	tails   = table(tick.ModifyTail, map[byte]byte{0: tick.ModifyKeep})                 // position_change
	printed = table('N', map[byte]byte{1: 'Y'})                                         // printable_flag: only 1 says that it was
	sides   = table(tick.SideNone, map[byte]byte{'B': tick.SideBid, 'S': tick.SideAsk}) // another code is no side
	nones   = table(tick.SideNone, nil)
)

func table(other byte, some map[byte]byte) (t [256]byte) {
	for i := range t {
		t[i] = other
	}
	for code, value := range some {
		t[code] = value
	}
	return t
}
