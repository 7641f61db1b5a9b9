package resync

import (
	"encoding/binary"
	"slices"

	"github.com/tickwire/tickwire/feed/book"
)

// Lane is the lane's half of a Resync. It is called on the lane only, allocates nothing, waits for nothing.
type Lane struct {
	r          *Resync
	generation uint64
	behind     bool   // the log had no room: where it goes on must be said
	next       uint64 // number of the message to come, when behind

	// Counters are the lane's copy, as of the latest Refresh.
	Counters Counters
}

// takeMost is the most that the lane applies itself before it exchanges books, bytes of log: some thousand messages.
const takeMost = 64 << 10

// Fits says that books can be exchanged for the shadow's.
func (l *Lane) Fits(b *book.Books) bool { return b == l.r.o.Books }

// Want asks for books as of message next or later, of the day that begins at the given midnight (ns since the Unix epoch), and
// begins to log. Asked again while it logs, it says that what came before next is not in the log. For a snapshot by instrument it begins anew: parts are as of
// numbers on both sides of the hole, and what was logged before it cannot be joined to what comes.
func (l *Lane) Want(day, next uint64) { l.want(day, next, nil) }

// WantOf is Want for the books of some instruments alone: the rest of what is offered means nothing.
func (l *Lane) WantOf(day, next uint64, only []uint32) { l.want(day, next, slices.Clone(only)) }

func (l *Lane) want(day, next uint64, only []uint32) {
	if l.r.wanted.Load() == 0 || l.r.o.Parts != nil {
		l.generation++
		l.behind = false
		l.r.day.Store(day)
		l.r.only.Store(&only)
		l.r.wanted.Store(l.generation)
	}
	l.next = next
	if l.behind = !l.r.log.put(l.generation, next, 0, nil); l.behind {
		l.r.full.Add(1)
	}
}

// Logging says that messages are to be logged.
func (l *Lane) Logging() bool { return l.r.wanted.Load() != 0 }

// Messages copies messages to the log. What finds no room makes the present attempt void.
func (l *Lane) Messages(blocks []byte, first uint64, count int) {
	if l.r.log.put(l.generation, first, count, blocks) {
		l.behind = false
		l.Counters.Logged += uint64(count)
		return
	}
	if !l.behind {
		l.r.full.Add(1)
	}
	l.behind, l.next = true, first+uint64(count)
	l.Counters.NotLogged += uint64(count)
}

// Session says which session the messages are of from now on. It is called after Forget: who fetches for the one before is told of its end first.
func (l *Lane) Session(id [10]byte) {
	l.r.name[0].Store(binary.LittleEndian.Uint64(id[:]))
	l.r.name[1].Store(uint64(binary.LittleEndian.Uint16(id[8:])))
}

// Forget stops logging: the session is over. The worker gives up what it was doing.
func (l *Lane) Forget() { l.r.wanted.Store(0) }

// Offered gives books that have caught up with message next, not included, or nil. It is asked between two passes, with nothing of a
// packet half applied. The shadow is the lane's until Return.
func (l *Lane) Offered(next uint64) *Shadow {
	if l.behind {
		l.behind = !l.r.log.put(l.generation, l.next, 0, nil)
	}
	s := l.r.offer.Load()
	if s == nil || s.generation != l.generation || !l.r.offer.CompareAndSwap(s, nil) {
		return nil
	}
	if odd := s.odd; l.r.log.pending() <= takeMost {
		for {
			rec, ok := l.r.log.peek()
			if !ok || rec.generation == l.generation && s.apply(&rec) > superseded {
				break
			}
			l.r.log.drop(&rec)
		}
		if s.next == next && !l.behind && l.r.log.pending() == 0 && s.odd == odd { // else the worker decides on what is odd
			return s
		}
	}
	s.verdict.Store(declined)
	return nil
}

// Return gives a shadow back that the lane is done with; its books may have been exchanged. Whether more are wanted is said by Want
// and Forget, before.
func (l *Lane) Return(s *Shadow) { s.verdict.Store(taken) }

// Refresh brings the worker's part of Counters up to date.
func (l *Lane) Refresh() { l.r.counters.fetch(&l.Counters) }
