package fix

import (
	"time"

	qf "github.com/quickfixgo/quickfix"
)

// Encoder writes market data messages as a session would have sent them, for generated files. The zero value but for Version and the CompIDs works.
type Encoder struct {
	Version                    Version
	SenderCompID, TargetCompID string
	// Number of the message that comes next. 0 is taken for 1.
	Number int

	stamp stamp
	lines []entry
	x     increments
}

// Snapshot appends W for a book; id may be empty.
func (e *Encoder) Snapshot(dst []byte, id, symbol string, b *Book, levels int, sent time.Time) []byte {
	e.lines = bookLines(e.lines[:0], b, levels, wanted{bids: true, offers: true})
	return e.frame(dst, snapshot(e.Version, id, symbol, e.lines, levels, &e.stamp), id, sent)
}

// Increment appends X for what turns the book was into now, nothing if they are the same. rpt counts the instrument's entries (83, 5.0 SP2).
func (e *Encoder) Increment(dst []byte, id, symbol string, was, now *Book, levels int, rpt *uint64, sent time.Time) []byte {
	e.lines = changes(changes(e.lines[:0], was, now, levels, '0'), was, now, levels, '1')
	if len(e.lines) == 0 {
		return dst
	}
	e.x.add(e.Version, symbol, e.lines, rpt, &e.stamp)
	return e.frame(dst, e.x.message(id), id, sent)
}

// Trade appends X for a trade.
func (e *Encoder) Trade(dst []byte, id, symbol string, px int64, size uint32, ns uint64, rpt *uint64, sent time.Time) []byte {
	e.lines = append(e.lines[:0], entry{action: '0', typ: '2', px: px, size: uint64(size), ns: ns})
	e.x.add(e.Version, symbol, e.lines, rpt, &e.stamp)
	return e.frame(dst, e.x.message(id), id, sent)
}

func (e *Encoder) frame(dst []byte, m *qf.Message, id string, sent time.Time) []byte {
	e.Number = max(e.Number, 1)
	if id == "" {
		m.Body.Remove(262)
	}
	m.Header.SetString(8, e.Version.BeginString())
	m.Header.SetInt(34, e.Number)
	m.Header.SetString(49, e.SenderCompID)
	m.Header.SetString(52, sent.UTC().Format("20060102-15:04:05.000"))
	m.Header.SetString(56, e.TargetCompID)
	e.Number++
	return append(dst, m.Bytes()...)
}
