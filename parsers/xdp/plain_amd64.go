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

	kind, sub, side, flags, instrument, tsEvent, seq, orderID, aux, price, size unsafe.Pointer

	plans, seconds, byType, sides unsafe.Pointer
}

// The assembly multiplies by shifting.
const (
	planShift   = 6
	symbolShift = 4

	_ = -(unsafe.Sizeof(plan{}) ^ 1<<planShift)
	_ = -(unsafe.Sizeof(symbol{}) ^ 1<<symbolShift)
)

//go:noescape
func plainColumns(s *stretch)

// fewBytes is how long a stretch must be to be worth the call: some eight messages.
const fewBytes = 300

// fast is plain, by assembly where the stretch is long enough for it. It may leave messages to be taken by another call.
func (d *Decoder) fast(b []byte, end int, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	if end < fewBytes || max < fewBytes/32 || len(d.dense) == 0 {
		return d.plain(b, end, d.dense, sequence, step, max, out)
	}
	var s stretch // field by field: a literal would be built elsewhere and copied
	s.begin, s.end, s.last = unsafe.Pointer(unsafe.SliceData(b)), uint64(end), int64(len(b)-window)
	s.row, s.stop = uint64(out.N), uint64(min(out.N+max, tick.MaxRows-spare+1))
	s.sequence, s.step = sequence, step
	s.table, s.symbols = unsafe.Pointer(unsafe.SliceData(d.dense)), uint64(len(d.dense))
	s.kind, s.sub, s.side, s.flags = unsafe.Pointer(out.Kind), unsafe.Pointer(out.Sub), unsafe.Pointer(out.Side), unsafe.Pointer(out.Flags)
	s.instrument, s.tsEvent, s.seq = unsafe.Pointer(out.Instrument), unsafe.Pointer(out.TsEvent), unsafe.Pointer(out.Sequence)
	s.orderID, s.aux, s.price, s.size = unsafe.Pointer(out.OrderID), unsafe.Pointer(out.Aux), unsafe.Pointer(out.Price), unsafe.Pointer(out.Size)
	s.plans, s.seconds, s.byType, s.sides = unsafe.Pointer(&d.plans), unsafe.Pointer(&d.base), unsafe.Pointer(&d.c.ByType), unsafe.Pointer(&sides)
	plainColumns(&s)
	messages = int(s.row) - out.N
	out.N = int(s.row)
	return int(s.used), messages
}
