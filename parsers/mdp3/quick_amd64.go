//go:build amd64 && !purego

package mdp3

import (
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/tickwire/tickwire/tick"
)

// Templates 46, 47, 48 and 37 are nearly all of a channel. Where a message has the lengths that schemas 9 to 13 give it, both books are wanted, and
// nothing is unusual, assembly takes it: a message is checked once, offsets are constants, columns are written where they belong, and nothing branches on
// an entry's action or side. A packet's messages are taken until one is something else. An entry that is something else (a null, a reset, a RptSeq that
// jumped, an instrument that was not met or has no definition, a price that is none, a trade whose orders come later) stops it too: from that entry on its message goes the way of book.go,
// trade.go and limits.go, which are the definition. Where trades wait for orders, or rows are held back, no message goes this way.
//
//	0         2            10             18                 21          24             24 + 32 n       32 + 32 n
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 32, n     | n levels     | 24, padding, m| m orders     |    46
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 40, n     | n orders     |                                   47
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 32, n     | n trades     | 16, padding, m| m fills      |    48
//	+---------+------------+--------------+-----------+------+-----------+--------------+---------------+--------------+
//	| MsgSize | header     | TransactTime | indicator | pad  | 16, n     | n volumes    |                                   37
//	+---------+------------+--------------+-----------+------+-----------+--------------+
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

// Where the assembly stopped within a message: at an entry of some kind.
const (
	oddLevel = 1 + iota
	oddOrder
	oddAlone
	oddTrade
	oddFill // its message is refused
	oddVolume
)

// What the assembly calls by other names, or multiplies by shifting.
const (
	maxRows        = tick.MaxRows
	sideRows       = tick.MaxSideRows
	rowMask        = tick.RowMask
	rowBits        = 12
	endShift       = 7
	flagMore       = tick.FlagMore
	flagsOrder     = tick.FlagMoreElse
	kindLevel      = tick.KindLevel
	kindTrade      = tick.KindTrade
	kindFill       = tick.KindFill
	kindStatistics = tick.KindStatistics
	modifyTail     = tick.ModifyTail
	sideNone       = tick.SideNone
	undefPrice     = tick.UndefPrice
	statHeader     = 20 | uint16(tick.RTypeStatistics)<<8

	batchN            = unsafe.Offsetof(tick.Batch{}.N)
	batchKind         = unsafe.Offsetof(tick.Batch{}.Kind)
	batchStatistics   = unsafe.Offsetof(tick.Batch{}.Statistics)
	batchStatisticsN  = unsafe.Offsetof(tick.Batch{}.Sides) + unsafe.Offsetof(tick.SideCounts{}.Statistics)
	batchExtsN        = unsafe.Offsetof(tick.Batch{}.Sides) + unsafe.Offsetof(tick.SideCounts{}.Exts)
	batchDefinitionsN = unsafe.Offsetof(tick.Batch{}.Sides) + unsafe.Offsetof(tick.SideCounts{}.Definitions)
	batchStatusesN    = unsafe.Offsetof(tick.Batch{}.Sides) + unsafe.Offsetof(tick.SideCounts{}.Statuses)

	_ = -(unsafe.Sizeof(tick.Statistics{}) ^ 80)
	_ = -(unsafe.Offsetof(tick.Statistics{}.StatType) ^ 56)
	_ = -(tick.MaxRows ^ 1<<rowBits)
	_ = -(unsafe.Sizeof(instrument{}) ^ 1<<slotShift)
	_ = -(unsafe.Sizeof(tick.Kind(0)) ^ 1)
	_ = -(unsafe.Sizeof(met{}) ^ 16)
	_ = -(EndOfEvent ^ 1<<endShift)
)

// Columns from the first on (tick.Batch.Spread): the assembly has no register for each.
const (
	atKind       = 0
	atSub        = tick.AtSub
	atSide       = tick.AtSide
	atFlags      = tick.AtFlags
	atInstrument = tick.AtInstrument
	atTsEvent    = tick.AtTsEvent
	atSequence   = tick.AtSequence
	atOrderID    = tick.AtOrderID
	atAux        = tick.AtAux
	atPrice      = tick.AtPrice
	atSize       = tick.AtSize
)

// quickTables are the tables of book.go and trade.go in one place.
type quickTables struct {
	codes [256]uint16 // by MDEntryType, of levels: Kind, and above it Side; 0: no level
	sides [256]uint16 // by AggressorSide: the aggressor's, and above it that of the orders that it met
	subs  [8]byte
	kinds [4]tick.Kind
	masks [4]uint64

	flags  [32]byte     // by Kind: those that a row begins with (event.go)
	goesOn [2][256]byte // by chain, and flags: what they become when another row follows
}

var tables = func() (t quickTables) {
	for typ, k := range entryKinds {
		if k.kind == tick.KindLevel || k.kind == tick.KindImplied {
			t.codes[typ] = uint16(k.kind) | uint16(k.side)<<8
		}
		side := aggressor(uint8(typ))
		t.sides[typ] = uint16(side) | uint16(tick.OppositeSide(side))<<8
	}
	copy(t.kinds[:], orderKinds[:])
	t.subs, t.masks = levelSubs, modifyMask
	both := new(Decoder)
	both.chainTables()
	t.flags = both.flags
	for flags := range 256 {
		t.goesOn[chainOrders][flags] = both.goesOn(uint8(flags), chainOrders)
		t.goesOn[chainLevels][flags] = both.goesOn(uint8(flags), chainLevels)
	}
	return t
}()

// met is an instrument of the message under way, the code of the level that named it, and the row of that level, which has the price of its orders. Instruments do not
// move while the assembly runs.
type met struct {
	at   uintptr
	code uint32
	row  uint32
}

// quickColumns takes messages until one is something else, and says how many bytes they had; way: it stopped within the message that follows them.
//
//go:noescape
func quickColumns(d *Decoder, out *tick.Batch, begin unsafe.Pointer, size uint64) (used, way uint64)

const hasQuick = true

// fits says whether messages may go the quick way into a batch.
func (d *Decoder) fits(out *tick.Batch) bool {
	return cpu.X86.HasBMI2 && !d.slow && d.opts.Feed == FeedBoth && out.Spread()
}

// quick decodes messages of the common shape, until there is another one, and says how many bytes it used.
func (d *Decoder) quick(b []byte, out *tick.Batch) (used int) {
	for len(b)-used >= quickLeast && d.fit == out && len(d.trades.room) == 0 && len(d.heldBack) == 0 && !sidesFull(&out.Sides) {
		n, way := quickColumns(d, out, unsafe.Pointer(&b[used]), uint64(len(b)-used))
		used += int(n)
		if way == 0 {
			break
		}
		m, size := Next(b[used:])
		used += size
		if err := d.resume(m, way, out); err != nil {
			d.refuse(d.before, out)
		}
	}
	return used
}

// resume goes on with a message from the entry on at which the assembly stopped.
func (d *Decoder) resume(m Message, way uint64, out *tick.Batch) error {
	entry := d.entry - entryAt
	switch way {
	case oddFill:
		return errSize
	case oddTrade:
		fills := entryAt + int(m[entryAt-1])*tradeBytes + wide + 1
		return d.tradesFrom(m, 1, entry/tradeBytes, (d.fill-fills)/fillBytes, out)
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
