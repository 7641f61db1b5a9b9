//go:build amd64 && !purego

package mdp3

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// Templates 46 and 47 are nearly all of a channel. Where a message has the lengths that schemas 9 to 13 give it, both books are wanted, and nothing is
// unusual, assembly takes it: a message is checked once, offsets are constants, columns are written where they belong, and nothing branches on an
// entry's action or side. A packet's messages are taken until one is something else. An entry that is something else (a null, a reset, a RptSeq
// that jumped, an instrument that was not met) stops it too: from that entry on its message goes the way of book.go, which is the definition.
//
//	0         2            10             18                 21          24             24 + 32 n       32 + 32 n
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 32, n     | n levels     | 24, padding, m| m orders     |    46
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 40, n     | n orders     |                                   47
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
const (
	rootBytes = 11
	bookHead  = rootBytes | uint32(RefreshBook)<<16 // blockLength, templateId
	aloneHead = rootBytes | uint32(RefreshOrderBook)<<16

	levelShift = 5
	levelBytes = 1 << levelShift
	orderBytes = 24
	aloneBytes = 40

	entryAt    = MessageBytes + rootBytes + narrow + 1 // the first entry
	quickLeast = entryAt + wide + 1                    // of a message
	quickRows  = tick.MaxRows - roomRows               // beyond them no message begins
)

// Where the assembly stopped within a message: at a level, at an order behind levels, at an order alone.
const (
	oddLevel = 1 + iota
	oddOrder
	oddAlone
)

// What the assembly calls by other names, or multiplies by shifting.
const (
	maxRows         = tick.MaxRows
	rowMask         = tick.RowMask
	rowBits         = 12
	instrumentShift = 6
	flagMore        = tick.FlagMore
	kindLevel       = tick.KindLevel
	modifyTail      = tick.ModifyTail

	batchN          = unsafe.Offsetof(tick.Batch{}.N)
	batchKind       = unsafe.Offsetof(tick.Batch{}.Kind)
	batchSub        = unsafe.Offsetof(tick.Batch{}.Sub)
	batchSide       = unsafe.Offsetof(tick.Batch{}.Side)
	batchFlags      = unsafe.Offsetof(tick.Batch{}.Flags)
	batchInstrument = unsafe.Offsetof(tick.Batch{}.Instrument)
	batchTsEvent    = unsafe.Offsetof(tick.Batch{}.TsEvent)
	batchSequence   = unsafe.Offsetof(tick.Batch{}.Sequence)
	batchOrderID    = unsafe.Offsetof(tick.Batch{}.OrderID)
	batchAux        = unsafe.Offsetof(tick.Batch{}.Aux)
	batchPrice      = unsafe.Offsetof(tick.Batch{}.Price)
	batchSize       = unsafe.Offsetof(tick.Batch{}.Size)

	_ = -(tick.MaxRows ^ 1<<rowBits)
	_ = -(unsafe.Sizeof(instrument{}) ^ 1<<instrumentShift)
	_ = -(unsafe.Sizeof(tick.Kind(0)) ^ 1)
	_ = -(unsafe.Sizeof(entryKind{}) ^ 2)
)

// levelCodes is entryKinds of levels alone: Kind, and above it Side; 0: no level.
var levelCodes = func() (t [256]uint16) {
	for typ, k := range entryKinds {
		if k.kind == tick.KindLevel || k.kind == tick.KindImplied {
			t[typ] = uint16(k.kind) | uint16(k.side)<<8
		}
	}
	return t
}()

//go:noescape
func quickColumns(d *Decoder, out *tick.Batch, begin unsafe.Pointer, size uint64) (used, way, entry uint64)

// quick decodes messages of the common shape, until there is another one, and says how many bytes it used.
func (d *Decoder) quick(b []byte, out *tick.Batch) int {
	at := 0
	for len(b)-at >= quickLeast && !d.slow && len(d.trades.room) == 0 && len(d.heldBack) == 0 {
		used, way, entry := quickColumns(d, out, unsafe.Pointer(&b[at]), uint64(len(b)-at))
		at += int(used)
		if way == 0 {
			break
		}
		m, size := Next(b[at:])
		at += size
		if err := d.resume(m, way, int(entry)-entryAt, out); err != nil {
			d.refuse(d.before, out)
		}
	}
	return at
}

// resume goes on with a message from an entry on, so many bytes behind the first.
func (d *Decoder) resume(m Message, way uint64, entry int, out *tick.Batch) error {
	switch way {
	case oddLevel:
		return d.bookFrom(m, 1, entry/levelBytes, 0, out)
	case oddOrder:
		levels := int(m[entryAt-1])
		return d.bookFrom(m, 1, levels, (entry-levels*levelBytes-wide-1)/orderBytes, out)
	}
	return d.orderBookFrom(m, 1, entry/aloneBytes, out)
}
