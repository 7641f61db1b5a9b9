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

	tradesHead  = rootBytes | uint32(RefreshTradeSummary)<<16
	volumesHead = rootBytes | uint32(RefreshVolume)<<16

	levelShift  = 5
	levelBytes  = 1 << levelShift
	orderBytes  = 24
	aloneBytes  = 40
	tradeBytes  = 1 << levelShift
	fillShift   = 4
	fillBytes   = 1 << fillShift
	volumeShift = 4
	volumeBytes = 1 << volumeShift

	entryAt    = MessageBytes + rootBytes + narrow + 1 // the first entry
	quickLeast = entryAt + wide + 1                    // of a message
	quickRows  = tick.MaxRows - roomRows               // beyond them no message begins
)

// Why the assembly stopped where another message might follow: at an entry of some kind, or because a side table may be full.
const (
	oddLevel = 1 + iota
	oddOrder
	oddAlone
	oddTrade
	oddFill // its message is refused
	oddVolume
	fullSides
)

// What the assembly calls by other names, or multiplies by shifting.
const (
	maxRows         = tick.MaxRows
	rowMask         = tick.RowMask
	rowBits         = 12
	instrumentShift = 6
	flagMore        = tick.FlagMore
	kindLevel       = tick.KindLevel
	kindTrade       = tick.KindTrade
	kindFill        = tick.KindFill
	kindStatistics  = tick.KindStatistics
	modifyTail      = tick.ModifyTail
	sideNone        = tick.SideNone
	undefPrice      = tick.UndefPrice
	statHeader      = 20 | uint16(tick.RTypeStatistics)<<8

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

	batchStatistics  = unsafe.Offsetof(tick.Batch{}.Statistics)
	batchStatisticsN = unsafe.Offsetof(tick.Batch{}.Sides) + unsafe.Offsetof(tick.SideCounts{}.Statistics)

	_ = -(unsafe.Sizeof(tick.Statistics{}) ^ 80)
	_ = -(unsafe.Offsetof(tick.Statistics{}.StatType) ^ 56)
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

// aggressors is aggressor by code, and above it the side of the orders that it met.
var aggressors = func() (t [256]uint16) {
	for code := range t {
		side := aggressor(uint8(code))
		t[code] = uint16(side) | uint16(tick.OppositeSide(side))<<8
	}
	return t
}()

//go:noescape
func quickColumns(d *Decoder, out *tick.Batch, begin unsafe.Pointer, size uint64) (used, way, entry, fill uint64)

// quick decodes messages of the common shape, until there is another one, and says how many bytes it used.
func (d *Decoder) quick(b []byte, out *tick.Batch) int {
	at := 0
	d.statsMost = tick.MaxSideRows - roomSides - out.Sides.Exts - out.Sides.Definitions - out.Sides.Statuses
	for len(b)-at >= quickLeast && !d.slow && len(d.trades.room) == 0 && len(d.heldBack) == 0 {
		used, way, entry, fill := quickColumns(d, out, unsafe.Pointer(&b[at]), uint64(len(b)-at))
		at += int(used)
		if way == 0 || way == fullSides {
			break
		}
		m, size := Next(b[at:])
		at += size
		if err := d.resume(m, way, int(entry)-entryAt, int(fill), out); err != nil {
			d.refuse(d.before, out)
		}
	}
	return at
}

// resume goes on with a message from an entry on, so many bytes behind the first. fill is where the order entry of a trade that comes next is.
func (d *Decoder) resume(m Message, way uint64, entry, fill int, out *tick.Batch) error {
	switch way {
	case oddFill:
		return errSize
	case oddTrade:
		fills := entryAt + int(m[entryAt-1])*tradeBytes + wide + 1
		return d.tradesFrom(m, 1, entry/tradeBytes, (fill-fills)/fillBytes, out)
	case oddVolume:
		return d.volumesFrom(m, entry/volumeBytes, out)
	case oddLevel:
		return d.bookFrom(m, 1, entry/levelBytes, 0, out)
	case oddOrder:
		levels := int(m[entryAt-1])
		return d.bookFrom(m, 1, levels, (entry-levels*levelBytes-wide-1)/orderBytes, out)
	}
	return d.orderBookFrom(m, 1, entry/aloneBytes, out)
}
