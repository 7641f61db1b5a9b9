package xdp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func newBatch(t testing.TB) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	for i := range tick.MaxRows { // of a column that is not filled in, anything may be left
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i], b.Instrument[i] = 99, 0xA5, '?', 0xFF, 1<<32-2
		b.TsEvent[i], b.Sequence[i], b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i] = 11, 12, 13, 14, 15, 16
		b.OldPrice[i], b.OldSize[i] = 17, 18
	}
	return b
}

func newDecoder(t testing.TB, o Options) *Decoder {
	t.Helper()
	d, err := NewDecoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// msg builds a message: values of 1, 2, 4 or 8 bytes, or text.
func msg(typ uint16, values ...any) []byte {
	b := []byte{0, 0, byte(typ), byte(typ >> 8)}
	le := binary.LittleEndian
	for _, v := range values {
		switch v := v.(type) {
		case byte:
			b = append(b, v)
		case rune:
			b = append(b, byte(v))
		case uint16:
			b = le.AppendUint16(b, v)
		case uint32:
			b = le.AppendUint32(b, v)
		case int:
			b = le.AppendUint32(b, uint32(v))
		case uint64:
			b = le.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		default:
			panic(v)
		}
	}
	le.PutUint16(b, uint16(len(b)))
	return b
}

// packet puts a header before messages.
func packet(flag uint8, sequence uint32, messages ...[]byte) []byte {
	p := make([]byte, PacketHeaderBytes)
	for _, m := range messages {
		p = append(p, m...)
	}
	le := binary.LittleEndian
	le.PutUint16(p, uint16(len(p)))
	p[2], p[3] = flag, byte(len(messages))
	le.PutUint32(p[4:], sequence)
	le.PutUint32(p[8:], daySecond)
	return p
}

const daySecond = 1_700_000_000

// mapped is a message 3.
func mapped(index uint32, symbol string, system, scale byte) []byte {
	name := [11]byte{}
	copy(name[:], symbol)
	return msg(3, index, string(name[:]), byte('A'), uint16(1), system, 'N', scale, 'A', uint16(100), 508500, 0, byte(0), 'Y', uint16(500), uint16(1), uint16(0))
}

func clock(system, sec uint32) []byte { return msg(2, system, uint32(0), sec) }

// mix is a stream of a day's kinds of message in a day's proportions; every symbol is mapped and every second told at its beginning.
func mix(messages, symbols int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	next := make([]uint32, symbols+1)
	var b []byte
	for i := 1; i <= symbols; i++ {
		b = append(b, mapped(uint32(i), "SYM", byte(i%4), 4)...)
	}
	sec := uint32(daySecond)
	ids := uint64(1 << 40)
	for n := symbols; n < messages; n++ {
		if n%4000 == 0 || n == symbols {
			sec++
			for s := range uint32(4) {
				b = append(b, clock(s, sec)...)
			}
		}
		i := 1 + r.IntN(symbols)
		if r.IntN(2) == 0 {
			i = 1 + i%100 // few symbols have most of the traffic
		}
		next[i]++
		ns, index, number := uint32(n%4000)*250_000, uint32(i), next[i]
		ids++
		id, px, sz := ids-r.Uint64N(1000), uint32(500_000+r.IntN(1000)), uint32(100+r.IntN(900))
		side := 'B'
		if r.IntN(2) == 0 {
			side = 'S'
		}
		switch k := r.IntN(1000); {
		case k < 430:
			b = append(b, msg(100, ns, index, number, id, px, sz, side, "     ", byte(0))...)
		case k < 830:
			b = append(b, msg(102, ns, index, number, id, byte(0))...)
		case k < 890:
			b = append(b, msg(104, ns, index, number, id, id+1, px, sz, side, byte(0))...)
		case k < 940:
			b = append(b, msg(103, ns, index, number, id, 7, px, sz, byte(1), byte(0), "@   ")...)
		case k < 980:
			b = append(b, msg(101, ns, index, number, id, px, sz, byte(0), side, byte(0))...)
		case k < 995:
			b = append(b, msg(110, ns, index, number, 7, px, sz, byte(n&1), "@   ")...)
		case k < 998:
			b = append(b, msg(105, sec, ns, index, number, px, 100, 200, 0, uint16(1600), 'C', side, px, px, 0, 0, 0, 0, byte(0), byte(0), byte(0), 0, ' ', ' ')...)
		default:
			b = append(b, msg(114, ns, index, number, 'A')...)
		}
	}
	return b
}

// quoted is a stream of quotes, with every symbol mapped and every second told.
func quoted(messages, symbols int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	next := make([]uint32, symbols+1)
	var b []byte
	for i := 1; i <= symbols; i++ {
		b = append(b, mapped(uint32(i), "SYM", byte(i%4), 4)...)
	}
	for n := symbols; n < messages; n++ {
		if n%4000 == 0 || n == symbols {
			for s := range uint32(4) {
				b = append(b, clock(s, daySecond+uint32(n/4000))...)
			}
		}
		i := 1 + r.IntN(symbols)
		next[i]++
		px := uint32(500_000 + r.IntN(1000))
		b = append(b, msg(140, uint32(n%4000)*250_000, uint32(i), next[i], px+100, uint32(100*(1+r.IntN(9))), px, uint32(100*(1+r.IntN(9))), 'R', ' ')...)
	}
	return b
}
