package iex

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// Counters of one channel, plain words that belong to the lane.
type Counters struct {
	Messages uint64 // seen, whatever became of them
	Unknown  uint64 // of a type that is not known: stepped over by their length
	Short    uint64 // shorter than their type: refused, neighbours kept
	Extended uint64 // longer than known: their known part was read
	Empty    uint64 // of length 0
	NoSymbol uint64 // refused: their symbol is empty, or one too many
	BadPrice uint64 // refused: a price that no record can hold
	BadFlags uint64 // modifications with flag bits beyond the one that is known: the known one was taken
}

// Decoder turns DEEP+ or TOPS messages into rows (pipeline.Decoder). It owns the instrument numbers of the session: the first
// message about a symbol becomes a definition row and its own. It belongs to one goroutine.
type Decoder struct {
	Counters Counters
	protocol uint16
	layout   *layout
	symbols  symbols
}

// NewDecoder makes a decoder of DEEP+ (ProtocolDEEPPlus) or TOPS (ProtocolTOPS): types mean different things in each.
func NewDecoder(protocol uint16) *Decoder {
	d := &Decoder{protocol: protocol, layout: layoutFor(protocol)}
	d.symbols.reset()
	return d
}

// Start begins a session: numbers are given out anew. Times on the wire are whole, so the day is of no matter.
func (d *Decoder) Start(uint64) { d.symbols.reset() }

// Refused counts the messages that could not be taken.
func (d *Decoder) Refused() uint64 {
	return d.Counters.Short + d.Counters.NoSymbol + d.Counters.BadPrice
}

// Instruments calls fn with the numbers given out.
func (d *Decoder) Instruments(fn func(id uint32) bool) {
	for id := uint32(1); id <= d.symbols.count; id++ {
		if !fn(id) {
			return
		}
	}
}

const (
	priceE4ToE9 = 100_000
	mostPriceE4 = (1<<63 - 1) / priceE4ToE9
	rowsNeeded  = 2 // of a message at most: a definition and its own
)

// Append decodes length-prefixed messages (Walk's blocks) into out: see pipeline.Decoder. Hot path: it allocates when the symbols
// outgrow their table, which has room for 16,384.
func (d *Decoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	for messages < max && out.N <= tick.MaxRows-rowsNeeded && !out.Full() {
		if len(blocks)-used < 2 {
			break
		}
		end := used + 2 + int(binary.LittleEndian.Uint16(blocks[used:]))
		if end > len(blocks) {
			break
		}
		m := blocks[used+2 : end]
		used = end
		d.message(m, first+uint64(messages), out)
		messages++
	}
	d.Counters.Messages += uint64(messages)
	return used, messages
}

func (d *Decoder) message(m []byte, sequence uint64, out *tick.Batch) {
	if len(m) == 0 {
		d.Counters.Empty++
		return
	}
	if want := int(d.layout.length[m[0]]); len(m) != want {
		if want == 0 {
			d.Counters.Unknown++
			return
		}
		if len(m) < want {
			d.Counters.Short++
			return
		}
		d.Counters.Extended++
	}
	ts := binary.LittleEndian.Uint64(m[2:]) // every known type has it there
	if m[0] == 'S' {
		i := d.row(0, ts, sequence, out)
		out.Kind[i], out.Sub[i], out.Aux[i] = tick.KindSystem, systemCode(m[1]), 0
		return
	}
	id, fresh := d.symbols.id(m[10:18])
	if id == 0 {
		d.Counters.NoSymbol++
		return
	}
	defined := -1
	if fresh && m[0] != 'D' {
		defined = d.row(id, ts, sequence, out)
		out.Flags[defined] = tick.FlagMore
		definition(defined, out, m[10:18])
	}
	i := d.row(id, ts, sequence, out)
	if !d.body(m, i, out) {
		out.N--
		if defined >= 0 {
			out.Flags[defined] = 0 // nothing follows: the definition is all of the event
		}
	}
}

// row begins a row.
func (d *Decoder) row(id uint32, ts, sequence uint64, out *tick.Batch) int {
	i := out.N & tick.RowMask
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = id, ts, sequence
	out.Flags[i], out.Sub[i], out.Side[i], out.OrderID[i], out.Aux[i] = 0, 0, tick.SideNone, 0, 0
	out.N++
	return i
}

// body fills in what a message says; false: it says something that cannot be.
func (d *Decoder) body(m []byte, i int, out *tick.Batch) bool {
	le := binary.LittleEndian
	switch m[0] {
	case 'a':
		p := (*[38]byte)(m)
		out.Kind[i] = tick.KindAdd
		switch p[1] {
		case '8':
			out.Side[i] = tick.SideBid
		case '5':
			out.Side[i] = tick.SideAsk
		}
		out.OrderID[i], out.Size[i] = le.Uint64(p[18:]), uint64(le.Uint32(p[26:]))
		return d.price(le.Uint64(p[30:]), &out.Price[i])
	case 'M':
		p := (*[38]byte)(m)
		out.Kind[i], out.Sub[i] = tick.KindModify, tick.ModifyTail
		if p[1]&1 != 0 {
			out.Sub[i] = tick.ModifyKeep
		}
		if p[1]&^1 != 0 {
			d.Counters.BadFlags++
		}
		out.OrderID[i], out.Size[i] = le.Uint64(p[18:]), uint64(le.Uint32(p[26:]))
		return d.price(le.Uint64(p[30:]), &out.Price[i])
	case 'R':
		out.Kind[i], out.OrderID[i] = tick.KindDelete, le.Uint64((*[26]byte)(m)[18:])
	case 'L':
		p := (*[46]byte)(m)
		out.Kind[i], out.Sub[i] = tick.KindExecAt, 'Y'
		out.OrderID[i], out.Size[i], out.Aux[i] = le.Uint64(p[18:]), uint64(le.Uint32(p[26:])), le.Uint64(p[38:])
		return d.price(le.Uint64(p[30:]), &out.Price[i])
	case 'T':
		p := (*[38]byte)(m)
		out.Kind[i] = tick.KindTrade
		out.Size[i], out.Aux[i] = uint64(le.Uint32(p[18:])), le.Uint64(p[30:])
		return d.price(le.Uint64(p[22:]), &out.Price[i])
	case 'B':
		out.Kind[i], out.Aux[i] = tick.KindBreak, le.Uint64((*[38]byte)(m)[30:])
	case 'C':
		out.Kind[i] = tick.KindClear
	case 'Q':
		return d.quote((*[42]byte)(m), i, out)
	default:
		return d.cold(m, i, out)
	}
	return true
}

// quote is TOPS's: both sides, 0 for none.
func (d *Decoder) quote(p *[42]byte, i int, out *tick.Batch) bool {
	le := binary.LittleEndian
	out.Kind[i], out.Flags[i] = tick.KindQuote, tick.FlagTOB
	out.Size[i], out.OldSize[i] = uint64(le.Uint32(p[18:])), uint64(le.Uint32(p[38:]))
	if !d.price(le.Uint64(p[22:]), &out.Price[i]) || !d.price(le.Uint64(p[30:]), &out.OldPrice[i]) {
		return false
	}
	if out.Price[i] == 0 {
		out.Price[i], out.Size[i] = tick.UndefPrice, 0
	}
	if out.OldPrice[i] == 0 {
		out.OldPrice[i], out.OldSize[i] = tick.UndefPrice, 0
	}
	return true
}

// price turns 1e-4 into 1e-9.
func (d *Decoder) price(e4 uint64, to *int64) bool {
	if v := int64(e4); v <= mostPriceE4 && v >= -mostPriceE4 {
		*to = v * priceE4ToE9
		return true
	}
	d.Counters.BadPrice++
	return false
}
