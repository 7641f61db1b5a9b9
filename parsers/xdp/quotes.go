package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// quotes is plain for a run of message 140: those of a symbol that is in the table, due, and say nothing new of retail interest.
func (d *Decoder) quotes(b []byte, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	const needed = 32
	le := binary.LittleEndian
	p := &d.plans[TypeQuote]
	table, n := d.dense, out.N
	stop := min(n+max, tick.MaxRows-spare+1)
	for n < stop && len(b)-used >= needed && p.inside {
		m := b[used:]
		size := int(le.Uint16(m))
		if le.Uint16(m[2:]) != TypeQuote || size < needed || size > len(m) {
			break
		}
		w := (*[needed]byte)(m)
		index := le.Uint32(w[8:])
		if uint64(index) >= uint64(len(table)) {
			break
		}
		s := &table[index]
		number, ns := le.Uint32(w[12:]), le.Uint32(w[4:])
		base := d.base[s.system]
		if s.scale == 0 || number != s.next || base == 0 || ns >= second || size > 33 && m[33] != s.rpi {
			break
		}
		used += size
		s.next = number + 1
		i := n & tick.RowMask
		out.TsEvent[i] = base + uint64(ns)
		out.Instrument[i] = index
		out.Sequence[i] = sequence
		out.Kind[i], out.Flags[i], out.Sub[i], out.Side[i], out.Aux[i] = tick.KindQuote, tick.FlagTOB, 0, tick.SideNone, 0
		out.OldPrice[i], out.OldSize[i] = best(le.Uint32(w[16:]), le.Uint32(w[20:]), s.scale)
		out.Price[i], out.Size[i] = best(le.Uint32(w[24:]), le.Uint32(w[28:]), s.scale)
		sequence += step
		n++
	}
	messages = n - out.N
	out.N = n
	d.c.ByType[TypeQuote] += uint64(messages)
	return used, messages
}
