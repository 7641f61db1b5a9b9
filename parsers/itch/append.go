package itch

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// Counters of one channel, plain words that belong to the lane.
type Counters struct {
	Messages uint64 // seen, whatever became of them
	Unknown  uint64 // of a type that is not known: stepped over by their length
	Short    uint64 // shorter than their type: refused, each the last one of its call; neighbours kept
	Extended uint64 // types that came longer than known: their known part is decoded; counted once a type
	Empty    uint64 // of length 0: they have a number and nothing else

	ByType        [256]uint64 // messages by type byte, refused and unknown ones included
	extendedTypes [4]uint64   // bit set: the type was counted in Extended
}

const (
	priceE4ToE9 = 100_000 // wire prices count 1e-4
	u48         = 1<<48 - 1
)

// Append decodes length-prefixed messages (u16 length, then the message: MoldUDP64 blocks and BinaryFILE alike) from b into
// out. midnight is the start of the venue's day in ns since the Unix epoch, sequence the number of the first message; each
// message has one, whether it becomes a row or not. Append stops after max messages, before a message that is cut off,
// when out may be full, and behind a message that it refuses: one that is shorter than its type, which Short counts. It returns the bytes and the messages it used. Columns that a row's kind does not have (tick.Kind)
// hold anything. Hot path: no allocation.
func Append(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int) {
	return appendBest(b, midnight, sequence, max, out, c)
}

// appendPortable is the definition of Append: what other ways there are (columns_amd64.go) must give the same.
func appendPortable(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int) {
	if out.Full() { // a side table may have no room for the next message
		return 0, 0
	}
	n := out.N
	for messages < max && n < tick.MaxRows {
		if len(b)-used < 2 {
			break
		}
		end := used + 2 + int(binary.BigEndian.Uint16(b[used:]))
		if end > len(b) {
			break
		}
		m := b[used+2 : end]
		used = end
		messages++
		if len(m) == 0 {
			c.Empty++
			continue
		}
		c.ByType[m[0]]++
		if want := int(wireLen[m[0]]); len(m) != want {
			if want == 0 {
				c.Unknown++
				continue
			}
			if len(m) < want {
				c.Short++
				break
			}
			c.extended(m[0])
		}
		i := n & tick.RowMask
		out.TsEvent[i] = midnight + binary.BigEndian.Uint64(m[3:11])&u48 // every known type has 12 bytes or more
		out.Instrument[i] = uint32(binary.BigEndian.Uint16(m[1:3]))
		out.Sequence[i] = sequence + uint64(messages) - 1
		switch m[0] {
		case 'A':
			p := (*[36]byte)(m)
			out.Kind[i] = tick.KindAdd
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Side[i] = sideOf(p[19])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[20:]))
			out.Price[i] = int64(binary.BigEndian.Uint32(p[32:])) * priceE4ToE9
			out.Aux[i] = 0
		case 'D':
			p := (*[19]byte)(m)
			out.Kind[i] = tick.KindDelete
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
		case 'U':
			p := (*[35]byte)(m)
			out.Kind[i] = tick.KindReplace
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Aux[i] = binary.BigEndian.Uint64(p[19:])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[27:]))
			out.Price[i] = int64(binary.BigEndian.Uint32(p[31:])) * priceE4ToE9
		case 'E':
			p := (*[31]byte)(m)
			out.Kind[i] = tick.KindExec
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[19:]))
			out.Aux[i] = binary.BigEndian.Uint64(p[23:])
		case 'X':
			p := (*[23]byte)(m)
			out.Kind[i] = tick.KindReduce
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[19:]))
		case 'F':
			p := (*[40]byte)(m)
			out.Kind[i] = tick.KindAdd
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Side[i] = sideOf(p[19])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[20:]))
			out.Price[i] = int64(binary.BigEndian.Uint32(p[32:])) * priceE4ToE9
			out.Aux[i] = uint64(binary.LittleEndian.Uint32(p[36:]))
		case 'C':
			p := (*[36]byte)(m)
			out.Kind[i] = tick.KindExecAt
			out.OrderID[i] = binary.BigEndian.Uint64(p[11:])
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[19:]))
			out.Aux[i] = binary.BigEndian.Uint64(p[23:])
			out.Sub[i] = p[31]
			out.Price[i] = int64(binary.BigEndian.Uint32(p[32:])) * priceE4ToE9
		case 'P':
			p := (*[44]byte)(m)
			out.Kind[i] = tick.KindTrade
			out.OrderID[i] = 0
			out.Side[i] = tick.SideNone // the wire's is always B and says nothing
			out.Size[i] = uint64(binary.BigEndian.Uint32(p[20:]))
			out.Price[i] = int64(binary.BigEndian.Uint32(p[32:])) * priceE4ToE9
			out.Aux[i] = binary.BigEndian.Uint64(p[36:])
		default:
			cold(m, i, out)
			n++
			out.N = n
			if out.Full() {
				c.Messages += uint64(messages)
				return used, messages
			}
			continue
		}
		n++
	}
	out.N = n
	c.Messages += uint64(messages)
	return used, messages
}

func (c *Counters) extended(typ byte) {
	if bit := uint64(1) << (typ & 63); c.extendedTypes[typ>>6]&bit == 0 {
		c.extendedTypes[typ>>6] |= bit
		c.Extended++
	}
}

// sideOf turns the wire's B and S into a record's side; another code is no side.
func sideOf(code byte) byte { return sides[code] }

var sides = func() (t [256]byte) {
	for i := range t {
		t[i] = tick.SideNone
	}
	t['B'], t['S'] = tick.SideBid, tick.SideAsk
	return t
}()
