package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// Messages with a short time stamp, which are nearly all, begin with the same 16 bytes and are decoded here; cold.go has the others.
//
//	     0        4                8              12               16         24           28        32
//	     +--------+----------------+--------------+----------------+----------+------------+---------+-----------+- ...
//	 100 | size,  | source_time_ns | symbol_index | symbol_seq_num | order_id | price      | volume  | side, firm
//	 101 | type   |                |              |                | order_id | price      | volume  | position_change
//	 102 |        |                |              |                | order_id |            |         |
//	 103 |        |                |              |                | order_id | trade_id   | price   | volume, printable_flag
//	 104 |        |                |              |                | order_id | new_order_id         | price, volume
//	 110 |        |                |              |                | trade_id, price | volume, printable_flag
//	 140 |        |                |              |                | ask, volume     | bid, volume  | condition, rpi_indicator
//	     +--------+----------------+--------------+----------------+----------+------------+---------+-----------+- ...

// window is what the decoder looks at of a message, 64 bytes and the rest of a word: more than any of these has.
const window = 72

// plan is where a type's columns are.
type plan struct {
	need     uint32 // bytes of a plain message; never: special has the type
	kind     tick.Kind
	inside   bool  // its time stamp is short
	price    uint8 // offsets …
	size     uint8
	aux      uint8
	side     uint8
	sub      uint8
	sideMask uint8   // … and 0 where there is no side
	subs     [4]byte // Sub by the byte at sub: 0, 1, 2, more
	auxMask  uint64
	firm     uint64 // mask of a firm_id at 33
}

const (
	never = 1 << 16 // more than a msg_size can say
	zero  = 3       // upper byte of the type: always 0
	word4 = 1<<32 - 1
	word5 = 1<<40 - 1
)

// plans of the types with a short time stamp. Where a column is read that a type has not, the row's kind has it not either.
var plans = map[uint16]plan{
	TypeAddOrder:       {inside: true, need: 38, kind: tick.KindAdd, sub: zero, price: 24, size: 28, side: 32, sideMask: 0xFF, firm: word5},
	TypeModifyOrder:    {inside: true, need: 33, kind: tick.KindModify, price: 24, size: 28, sub: 32, subs: [4]byte{tick.ModifyKeep, tick.ModifyTail, tick.ModifyTail, tick.ModifyTail}},
	TypeDeleteOrder:    {inside: true, need: 24, kind: tick.KindDelete, sub: zero},
	TypeOrderExecution: {inside: true, need: 37, kind: tick.KindExecAt, aux: 24, auxMask: word4, price: 28, size: 32, sub: 36, subs: [4]byte{'N', 'Y', 'N', 'N'}},
	TypeReplaceOrder:   {inside: true, need: 40, kind: tick.KindReplace, aux: 24, auxMask: 1<<64 - 1, price: 32, size: 36, sub: zero},

	TypeNonDisplayedTrade:      {inside: true, need: never},
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
		p.need, p.side, p.sideMask = 34, 33, 0xFF
	}
	return p
}

// spare is how many rows one message may need.
const spare = 4

// Append decodes whole messages from blocks into out, at most max of them (pipeline.Decoder); the first has number first. It stops before a message
// that is cut off or whose msg_size lies, and when out may be full. Columns that a row's kind does not have hold anything. Hot path: no
// allocation but for a symbol that is mapped for the first time.
func (d *Decoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if first != d.due && d.due != 0 {
		d.doubt()
	}
	used, messages = d.append(blocks, first, 1, max, out)
	d.due = first + uint64(messages)
	return used, messages
}

// append gives each message a number step more than the one before. What is plain is decoded by the run, the rest one by one.
func (d *Decoder) append(blocks []byte, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	for messages < max && out.N <= tick.MaxRows-spare && room(out) {
		rest, end := blocks[used:], len(blocks)-used
		if end < window { // plain looks at so many bytes: what is behind the packet's end is anything
			rest = d.tail[:copy(d.tail[:], rest)+window]
		}
		u, n := d.plain(rest, end, d.dense, sequence, step, max-messages, out)
		used, messages, sequence = used+u, messages+n, sequence+uint64(n)*step
		if messages == max || out.N > tick.MaxRows-spare {
			break
		}
		m, _ := Next(blocks[used:])
		if m == nil {
			break
		}
		d.single(m, sequence, out)
		used, messages, sequence = used+len(m), messages+1, sequence+step
	}
	d.c.Messages += uint64(messages)
	return used, messages
}

// plain decodes messages of a plan, whose symbol is in the table, from b, until one has anything to it that needs a second look. Each is a row.
// Messages end at end, b is longer by as much as is looked at.
//
// What follows the first 16 bytes is taken from where the type's plan says, without a branch on the type: types alternate as they please, and
// a branch that is guessed wrong costs more than all else here. Nothing is called, so that what the loop needs stays in registers.
func (d *Decoder) plain(b []byte, end int, table []symbol, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	le := binary.LittleEndian
	cTs, cIn, cSeq, cFl, cK, cSu, cSi, cO, cP, cSz, cA := out.TsEvent, out.Instrument, out.Sequence, out.Flags, out.Kind, out.Sub, out.Side, out.OrderID, out.Price, out.Size, out.Aux
	_, _, _, _, _, _, _, _, _, _, _ = cTs[0], cIn[0], cSeq[0], cFl[0], cK[0], cSu[0], cSi[0], cO[0], cP[0], cSz[0], cA[0]
	n := out.N
	stop := min(n+max, tick.MaxRows-spare+1)
	for n < stop && len(b)-used >= window {
		w := (*[window]byte)(b[used:])
		head := le.Uint32(w[:])
		size := head & 0xFFFF
		p := &d.plans[uint8(head>>16)]
		if head>>24 != 0 || size < p.need || int(size) > end-used {
			break
		}
		index := le.Uint32(w[8:])
		if uint64(index) >= uint64(len(table)) {
			break
		}
		s := &table[index]
		number, ns := le.Uint32(w[12:]), le.Uint32(w[4:])
		base := d.base[s.system]
		if s.scale == 0 || number != s.next || base == 0 || ns >= second || (le.Uint64(w[33:])^blanks)&p.firm != 0 {
			break
		}
		used += int(size)
		d.c.ByType[uint8(head>>16)]++
		s.next = number + 1
		i := n & tick.RowMask
		cTs[i] = base + uint64(ns)
		cIn[i] = index
		cSeq[i] = sequence
		cFl[i] = 0
		cK[i] = p.kind
		cSu[i] = p.subs[min(w[p.sub&63], 3)&3]
		cSi[i] = sides[w[p.side&63]&p.sideMask]
		cO[i] = le.Uint64(w[16:])
		cP[i] = int64(le.Uint32(w[p.price&63:])) * s.scale
		cSz[i] = uint64(le.Uint32(w[p.size&63:]))
		cA[i] = le.Uint64(w[p.aux&63:]) & p.auxMask
		sequence += step
		n++
	}
	messages = n - out.N
	out.N = n
	return used, messages
}

// single decodes one message that is not plain, or is the last of a packet. What keeps one of a plan from being so is dealt with here, in a copy, and
// then it is plain.
func (d *Decoder) single(m []byte, sequence uint64, out *tick.Batch) {
	typ := Type(m)
	if typ > 255 || len(m) < int(d.need[typ]) || !d.plans[typ].inside {
		d.cold(m, typ, sequence, out)
		return
	}
	le := binary.LittleEndian
	index := le.Uint32(m[8:])
	s := d.symbol(index)
	if s.scale == 0 {
		d.c.ByType[typ]++
		d.remember(index)
		return
	}
	d.track(s, le.Uint32(m[12:]))
	base, ns := d.moment(s.system, uint64(le.Uint32(m[4:])))
	p := &d.plans[typ]
	if p.need == never {
		d.c.ByType[typ]++
		i := row(index, sequence, base+ns, out)
		d.special(m, typ, s, i, out)
		return
	}

	var w [window]byte // what a field that is missing has: blanks
	for i := copy(w[:], m); i < window; i++ {
		w[i] = ' '
	}
	le.PutUint16(w[:], window)
	le.PutUint32(w[4:], uint32(ns))
	le.PutUint32(w[8:], 0)
	if p.firm != 0 {
		copy(w[33:38], "     ")
	}
	alone := [1]symbol{*s}
	alone[0].next = le.Uint32(w[12:])
	was := d.base[s.system]
	d.base[s.system] = base
	i := out.N & tick.RowMask
	d.plain(w[:], window, alone[:], sequence, 0, 1, out)
	d.base[s.system] = was
	out.Instrument[i] = index
	if p.firm != 0 {
		out.Aux[i] = firm(m, 33)
	}
}

// room says that any message's entries still fit the side tables.
func room(out *tick.Batch) bool {
	const most = tick.MaxSideRows - 2*tick.SideRoom
	s := &out.Sides
	return s.Statuses <= most && s.Imbalances <= most && s.Definitions <= most && s.Statistics <= most && s.Exts <= most
}

// moment is a time in its two parts: those that are not simply nanoseconds of a second that is known, too.
func (d *Decoder) moment(system uint8, ns uint64) (base, within uint64) {
	if ns >= second {
		d.c.OddTimes++
		ns = second - 1
	}
	if base = d.base[system]; base == 0 {
		base = d.doubtful(system, ns)
	}
	return base, ns
}

// best is one side of a quote. Without a price or without shares nobody is there.
func best(price, volume uint32, scale int64) (int64, uint64) {
	if price == 0 || volume == 0 {
		return tick.UndefPrice, 0
	}
	return int64(price) * scale, uint64(volume)
}

// firm packs a firm_id, up to five characters, the first one lowest; blank, or cut off, is 0.
func firm(m []byte, at int) (v uint64) {
	if len(m) < at+5 {
		return 0
	}
	id := m[at : at+5]
	v = uint64(binary.LittleEndian.Uint32(id)) | uint64(id[4])<<32
	if v == blanks {
		return 0
	}
	for k := 4; k >= 0 && (id[k] == ' ' || id[k] == 0); k-- {
		v &^= 0xFF << (8 * k)
	}
	return v
}

const blanks = 0x20_2020_2020

// blank is a character of which NUL says the same as a space.
func blank(c byte) byte {
	if c == 0 {
		return ' '
	}
	return c
}

// sides turns B and S into a record's side; another code is no side.
var sides = func() (t [256]byte) {
	for i := range t {
		t[i] = tick.SideNone
	}
	t['B'], t['S'] = tick.SideBid, tick.SideAsk
	return t
}()
