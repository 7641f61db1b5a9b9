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

// spare is how many rows one message may need.
const spare = 4

// Append decodes whole messages from blocks into out, at most max of them (pipeline.Decoder); the first has number first. It stops before a message
// that is cut off or whose msg_size lies, and when out may be full. Columns that a row's kind does not have hold anything. Hot path: no
// allocation but for a symbol that is mapped for the first time.
func (d *Decoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if first != d.due && d.due != 0 {
		d.doubt(blocks)
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
		u, n := d.fast(rest, end, sequence, step, max-messages, out)
		used, messages, sequence = used+u, messages+n, sequence+uint64(n)*step
		if messages == max || out.N > tick.MaxRows-spare {
			break
		}
		if n > 0 && end >= window && end-u < window { // what stopped it may be no more than the packet's end
			continue
		}
		m, _ := Next(blocks[used:])
		if m == nil {
			break
		}
		if Type(m) == TypeQuote {
			u, n = d.fastQuotes(blocks[used:], sequence, step, max-messages, out)
			used, messages, sequence = used+u, messages+n, sequence+uint64(n)*step
			if n > 0 {
				continue
			}
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
// a branch that is guessed wrong costs more than all else here. Where there is assembly it does the same for longer stretches (fast).
func (d *Decoder) plain(b []byte, end int, table []symbol, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	le := binary.LittleEndian
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
		if s.scale == 0 || number != s.next || base == 0 || ns >= second || (le.Uint64(w[p.must&63:])^p.value)&p.mask != 0 {
			break
		}
		used += int(size)
		d.c.ByType[uint8(head>>16)]++
		s.next = number + 1
		i := n & tick.RowMask
		out.TsEvent[i] = base + uint64(ns)
		out.Instrument[i] = index
		out.Sequence[i] = sequence
		out.Flags[i] = 0
		out.Kind[i] = p.kind
		out.Sub[i] = p.subs[w[p.sub&63]]
		out.Side[i] = p.sides[w[p.side&63]]
		out.OrderID[i] = le.Uint64(w[16:])
		out.Price[i] = int64(le.Uint32(w[p.price&63:])) * s.scale
		out.Size[i] = uint64(le.Uint32(w[p.size&63:]))
		out.Aux[i] = le.Uint64(w[p.aux&63:]) & p.auxMask
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
	d.track(s, index, le.Uint32(m[12:]))
	if typ == TypeNonDisplayedTrade && m[28] != 1 {
		d.c.ByType[typ]++
		d.c.NotPrinted++
		return
	}
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
	at := p.must & 63
	le.PutUint64(w[at:], le.Uint64(w[at:])&^p.mask|p.value)
	alone := [1]symbol{*s}
	alone[0].next = le.Uint32(w[12:])
	was := d.base[s.system]
	d.base[s.system] = base
	i := out.N & tick.RowMask
	d.plain(w[:], window, alone[:], sequence, 0, 1, out)
	d.base[s.system] = was
	out.Instrument[i] = index
	switch {
	case typ == TypeAddOrder:
		out.Aux[i] = firm(m, 33)
	case d.version == V21:
	case typ == TypeOrderExecution:
		tellConditions(m, 38, i, out)
	case typ == TypeNonDisplayedTrade:
		tellConditions(m, 29, i, out)
	}
}

// tellConditions tells those of row i's trade, where they say anything.
func tellConditions(m []byte, at, i int, out *tick.Batch) {
	if len(m) < at+4 {
		return
	}
	c := uint64(0)
	for k := 3; k >= 0; k-- {
		c = c<<8 | uint64(blank(m[at+k]))
	}
	if c != ordinary && c != blanks&word4 {
		trade := out.Aux[i]
		ext(also(i, out), out, tick.ExtConditions, c, trade, 0)
	}
}

// room says that any message's entries still fit the side tables.
func room(out *tick.Batch) bool {
	const most = tick.MaxSideRows - 2*tick.SideRoom
	s := &out.Sides
	return s.Statuses <= most && s.Imbalances <= most && s.Definitions <= most && s.Statistics <= most && s.Exts <= most
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
