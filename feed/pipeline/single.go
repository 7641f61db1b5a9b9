package pipeline

import (
	"slices"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/tick"
)

// Where the decoder knows whose messages it lacks, the books of those instruments alone are made anew: of few, in sparse books of orders.
//
//	lacks ──► suspect, WantOf ──► logging ──► offered ──► their orders are copied ──► R, A …, top of each
//
// A loss of the channel's numbers, or more than a few, makes it a rebuild of all.

// mostSingle bounds the instruments that are made anew alone.
const mostSingle = 16

// doubtOf notes that messages of an instrument are missing, until what is being delivered has been.
func (r *rebuild) doubtOf(id uint32) {
	if len(r.lacking) <= mostSingle {
		r.lacking = append(r.lacking, id)
	}
}

// doubtful asks for books that have what was found missing in messages that came.
func (l *Lane) doubtful() {
	r := l.rebuild
	lacking := r.lacking
	r.lacking = r.lacking[:0]
	if r.doubted {
		r.doubted = false
		l.lost(r.refusedFirst, r.refusedLast)
		return
	}
	switch all := r.active && len(r.only) == 0; {
	case len(lacking) == 0 || all && r.logging: // what came is in the log, and whoever decodes that notices, too
	case all || len(lacking)+len(r.only) > mostSingle || !l.books.Options().Sparse || l.depth.prices != nil:
		l.lost(0, 0)
	default:
		l.lostOf(lacking)
	}
}

// lostOf asks for the books of some instruments.
func (l *Lane) lostOf(ids []uint32) {
	r := l.rebuild
	if r.shadow != nil {
		l.giveBack()
		r.half.Counters.Interrupted++
	}
	for _, id := range ids {
		if !slices.Contains(r.only, id) {
			r.only = append(r.only, id)
		}
	}
	r.half.WantOf(l.day, r.next, r.only)
	r.active, r.logging = true, true
	r.state(1, l.now)
}

// adoptSingle copies the books that were asked for.
func (l *Lane) adoptSingle(s *resync.Shadow) {
	r := l.rebuild
	for _, id := range r.only {
		l.books.Clear(id)
		l.copyBook(s.Books, id)
		l.books.SetSuspect(id, false)
		l.books.SetBehind(id, true)
	}
	if x, ok := l.main.decoder.(exchanger); ok {
		x.Exchange(s.Decoder)
	}
	l.distrustLacking()
	r.list = append(r.list[:0], r.only...)
	r.shadow, r.at, r.scanned, r.since = s, 0, 0, l.now
	r.half.Counters.Rebuilt++
	r.state(2, l.now)
}

// copyBook puts another book's orders into an instrument's, which is empty, in the order of their queues. The batch is, too.
func (l *Lane) copyBook(from *book.Books, id uint32) {
	b := l.batch
	from.Walk(id, func(o book.Order) bool {
		i := b.N & tick.RowMask
		b.Kind[i], b.Side[i], b.Instrument[i], b.Flags[i], b.Sequence[i] = tick.KindAdd, o.Side, id, tick.FlagSnapshot, l.rebuild.next-1
		b.OrderID[i], b.Price[i], b.Size[i], b.Aux[i] = o.ID, o.Price, o.Size, uint64(o.MPID)
		if b.N++; b.Full() {
			l.books.Apply(b, 0, b.N)
			b.Reset()
		}
		return true
	})
	l.books.Apply(b, 0, b.N)
	b.Reset()
}
