//go:build amd64 && !purego

package xdp

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// stretch is one call's arguments and results.
type stretch struct {
	begin unsafe.Pointer // the first message
	used  uint64         // bytes of the messages that were taken
	end   uint64         // bytes to the end of the last
	last  int64          // where a message may begin, at most
	row   uint64         // of the first message; then the one behind the last
	stop  uint64         // row that is not written any more

	sequence, step uint64

	table   unsafe.Pointer
	symbols uint64

	columns unsafe.Pointer // the first one; the others have constant distances from it (tick.Batch.Spread)

	plans, seconds, byType unsafe.Pointer
}

// The assembly multiplies by shifting.
const (
	planShift   = 6
	symbolShift = 4

	_ = -(unsafe.Sizeof(plan{}) ^ 1<<planShift)
	_ = -(unsafe.Sizeof(symbol{}) ^ 1<<symbolShift)
)

// What the assembly calls by other names.
const (
	undefPrice = tick.UndefPrice
	quoteKind  = tick.KindQuote
	quoteFlags = tick.FlagTOB
	sideNone   = tick.SideNone

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
	atOldPrice   = tick.AtOldPrice
	atOldSize    = tick.AtOldSize
)

//go:noescape
func plainColumns(s *stretch)

//go:noescape
func quoteColumns(s *stretch)

// How long a stretch must be to be worth the call.
const (
	fewMessages = 8
	fewBytes    = 300
)

// spread asks once a batch whether its columns are where the assembly takes them to be.
func (d *Decoder) spread(out *tick.Batch) bool {
	if d.asked != out {
		d.asked, d.spreads = out, out.Spread()
	}
	return d.spreads
}

// fast is plain, by assembly where the stretch is long enough for it.
func (d *Decoder) fast(b []byte, end int, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	if end < fewBytes || max < fewMessages || len(d.dense) == 0 || !d.spread(out) {
		return d.plain(b, end, d.dense, sequence, step, max, out)
	}
	var s stretch
	s.begins(d, b, end, sequence, step, max, out)
	plainColumns(&s)
	clear(out.Flags[out.N:s.row])
	messages = int(s.row) - out.N
	out.N = int(s.row)
	return int(s.used), messages
}

// fastQuotes is quotes, in the same way.
func (d *Decoder) fastQuotes(b []byte, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	if len(b) < fewBytes || max < fewMessages || len(d.dense) == 0 || !d.spread(out) || !d.plans[TypeQuote].inside {
		return d.quotes(b, sequence, step, max, out)
	}
	var s stretch
	s.begins(d, b, len(b), sequence, step, max, out)
	quoteColumns(&s)
	messages = int(s.row) - out.N
	out.N = int(s.row)
	d.c.ByType[TypeQuote] += uint64(messages)
	return int(s.used), messages
}

// begins fills in the arguments, field by field: a literal would be built elsewhere and copied.
func (s *stretch) begins(d *Decoder, b []byte, end int, sequence, step uint64, max int, out *tick.Batch) {
	s.begin, s.end, s.last = unsafe.Pointer(unsafe.SliceData(b)), uint64(end), int64(len(b)-window)
	s.row, s.stop = uint64(out.N), uint64(min(out.N+max, tick.MaxRows-spare+1))
	s.sequence, s.step = sequence, step
	s.table, s.symbols = unsafe.Pointer(unsafe.SliceData(d.dense)), uint64(len(d.dense))
	s.columns = unsafe.Pointer(out.Kind)
	s.plans, s.seconds, s.byType = unsafe.Pointer(&d.plans), unsafe.Pointer(&d.base), unsafe.Pointer(&d.c.ByType)
}
