//go:build amd64 && !purego

package itch

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/tickwire/tickwire/tick"
)

//go:generate go run -C asm . -out ../columns_amd64.s

// How Append works where there is AVX2 or AVX-512 with VBMI. What costs in appendPortable is its switch: types come as they like, so a
// branch on them is missed every other message, at some 15 cycles. Here nothing branches on a type: assembly takes messages by the group,
// every one through the same instructions with the shuffle of its type (plans_amd64.go), and stores a group's columns at once. What
// is left to Go is rare:
//
//	b ──> groups of known messages of their type's length ──> columns ──> rows of seldom types: cold completes them
//	 └──> one that is not, and some behind it; the last rows of a batch; with AVX2 the last 70 bytes: appendPortable
//
// A group may store columns of rows that it does not take: those are rows behind N, which nobody has written yet.

// The ways of appendBest.
const (
	portable = iota
	avx2
	avx512
)

var best = func() int {
	switch x := &cpu.X86; {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VBMI && x.HasBMI2:
		return avx512
	case x.HasAVX2:
		return avx2
	}
	return portable
}()

const (
	mostGroups = 31 // of one call: counts has bytes, and 31 groups of 8 are 248
	lookAhead  = 64 // bytes that may be read from a length prefix on
	// Fewer messages are not worth a call, which costs as much as five of them by the portable way.
	fewMessages = 8
)

// work is one call's arguments and results. asm/main.go has the same offsets.
type work struct {
	begin    unsafe.Pointer // length prefix of the first message
	room     uint64         // how far from there a message may begin and lookAhead bytes be read
	left     uint64         // messages to take, at least 1; what is left of them
	row      uint64         // of the first message; then the one behind the last
	midnight uint64
	sequence uint64
	tables   *tables

	kind, sub, side, instrument, tsEvent, seq, orderID, aux, price, size unsafe.Pointer

	bytes  uint64                 // from begin to the end
	used   uint64                 // bytes of the messages taken
	counts uint64                 // a byte for each of hotTypes, the first lowest: how many there were
	seldom uint64                 // not 0: there is something in cold
	cold   [4]uint64              // a byte a group: bit set, the row of the group is for cold
	base   [mostGroups + 1]uint32 // bytes from begin to each group
}

const (
	_ = -(unsafe.Offsetof(work{}.tables) ^ 48)
	_ = -(unsafe.Offsetof(work{}.size) ^ 128)
	_ = -(unsafe.Offsetof(work{}.bytes) ^ 136)
	_ = -(unsafe.Offsetof(work{}.counts) ^ 152)
	_ = -(unsafe.Offsetof(work{}.cold) ^ 168)
	_ = -(unsafe.Offsetof(work{}.base) ^ 200)

	_ = -(unsafe.Offsetof(tables{}.one) ^ 1024)
	_ = -(unsafe.Offsetof(tables{}.pick) ^ 3072)
	_ = -(unsafe.Offsetof(tables{}.kinds) ^ 19456)
	_ = -(unsafe.Offsetof(tables{}.gather) ^ 19520)
	_ = -(unsafe.Offsetof(tables{}.head) ^ 19584)
	_ = -(unsafe.Offsetof(tables{}.body) ^ 23680)
	_ = -(unsafe.Offsetof(tables{}.small) ^ 40064)
	_ = -(unsafe.Offsetof(tables{}.words) ^ 40256)
)

// Both take messages from begin on until left is 0, or one is of no known type, or not of its length, or cut off. columnsAVX2 also stops
// before one that begins behind room.
//
//go:noescape
func columnsAVX512(w *work)

//go:noescape
func columnsAVX2(w *work)

func appendBest(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int) {
	if best == portable || max < fewMessages {
		return appendPortable(b, midnight, sequence, max, out, c)
	}
	return appendColumns(best, b, midnight, sequence, max, out, c)
}

func appendColumns(way int, b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int) {
	// In the group's k-th message the place is compared with 2k bytes of prefixes not added to it.
	size, margin, least := 8, lookAhead+2*7, 3 // a length and a type
	if way == avx2 {
		size, margin, least = 4, lookAhead+2*3, lookAhead+2*3
	}
	// Field by field: a literal would be built elsewhere and copied here, at a third of what a short call costs.
	var w work
	w.midnight, w.tables = midnight, wireTables
	w.kind, w.sub, w.side = unsafe.Pointer(out.Kind), unsafe.Pointer(out.Sub), unsafe.Pointer(out.Side)
	w.instrument, w.tsEvent, w.seq = unsafe.Pointer(out.Instrument), unsafe.Pointer(out.TsEvent), unsafe.Pointer(out.Sequence)
	w.orderID, w.aux = unsafe.Pointer(out.OrderID), unsafe.Pointer(out.Aux)
	w.price, w.size = unsafe.Pointer(out.Price), unsafe.Pointer(out.Size)
	for {
		n := min(max-messages, mostGroups*size, (tick.MaxRows-out.N)&^(size-1), sideRoom(&out.Sides))
		room := len(b) - used
		if n < fewMessages || room < least {
			u, m := appendPortable(b[used:], midnight, sequence+uint64(messages), max-messages, out, c)
			return used + u, messages + m
		}
		w.begin, w.room, w.bytes = unsafe.Pointer(&b[used]), uint64(room-margin), uint64(room)
		w.left, w.row, w.sequence = uint64(n), uint64(out.N), sequence+uint64(messages)
		if way == avx512 {
			columnsAVX512(&w)
		} else {
			columnsAVX2(&w)
		}
		first := out.N
		out.N = int(w.row)
		for i := range len(hotTypes) {
			c.ByType[hotTypes[i]] += w.counts >> (8 * i) & 0xFF
		}
		if w.seldom != 0 {
			w.complete(b[used:], size, first, out, c)
		}
		c.Messages += uint64(out.N - first)
		messages += out.N - first
		used += int(w.used)
		if out.N-first == n {
			if messages == max {
				return used, messages
			}
			continue
		}
		// A message that is none for a group, or the end is near. Where one is strange others are too: not back at once.
		most, short := min(max-messages, strangeRun), c.Short
		u, m := appendPortable(b[used:], midnight, sequence+uint64(messages), most, out, c)
		used, messages = used+u, messages+m
		if m < most || out.Full() || c.Short != short {
			return used, messages
		}
	}
}

// strangeRun is how many messages go the portable way from one that is unknown or not of its length on.
const strangeRun = 16

// sideRoom is how many messages may come, whatever they are, before a side table may be full.
func sideRoom(s *tick.SideCounts) int {
	const entries = 3 // of one message in one table, at most
	return (tick.MaxSideRows - tick.SideRoom - max(s.Statuses, s.Imbalances, s.Definitions, s.Statistics, s.Exts)) / entries
}

// complete fills in the rows of types that come seldom. b begins where the work did.
func (w *work) complete(b []byte, size, first int, out *tick.Batch, c *Counters) {
	for i, mask := range w.cold {
		for ; mask != 0; mask &= mask - 1 {
			group, k := i*8+bits.TrailingZeros64(mask)/8, bits.TrailingZeros64(mask)%8
			row := first + group*size + k
			if row >= out.N {
				return // of a group that ended before, or is left from the work before
			}
			m := b[w.base[group]:]
			for ; k > 0; k-- {
				m = m[2+binary.BigEndian.Uint16(m):]
			}
			m = m[2 : 2+binary.BigEndian.Uint16(m)]
			c.ByType[m[0]]++
			cold(m, row, out)
		}
	}
}

// variant is a way to decode that this machine has.
type variant struct {
	name   string
	append func(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int)
}

func variants() (all []variant) {
	all = append(all, variant{"portable", appendPortable})
	for way, name := range []string{avx2: "avx2", avx512: "avx512"} {
		if portable < way && way <= best {
			all = append(all, variant{name, func(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (int, int) {
				return appendColumns(way, b, midnight, sequence, max, out, c)
			}})
		}
	}
	return append(all, variant{"best", Append})
}
