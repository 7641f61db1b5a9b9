package resync

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// Worker makes attempts, step by step. It has no clock, starts no goroutine and does not wait: times are arguments, so that a simulation
// drives it as Run does.
//
//	Wanted ──► Begin ──► Snapshot… ──► End ──► Step… ──► Done
//	   ▲                     └───────────┴────────┴──► void: Begin again, later
//	   └── the lane's books are exchanged, or the session is over
type Worker struct {
	r        *Resync
	shadow   *Shadow
	full     uint64 // as of Begin
	session  string // as of Begin: its name
	logEnd   uint64 // number that the log goes on from; 0: not known
	from     uint64 // number that it began with, of the present attempt; 0: not known
	phase    phase
	doubts   int    // attempts in a row that were void because of ErrDoubtful
	since    uint64 // when the stream was first waited for, ns; 0: it is not
	counters Counters
}

type phase uint8

const (
	idle phase = iota
	fetching
	catchingUp
	offered
)

// State is where an attempt stands after a step.
type State uint8

// States.
const (
	Working State = iota // there is more to do: step again
	Waiting              // for the lane, or the stream: step again soon
	Done                 // the lane has the books, and has given the old ones back
	Void                 // the attempt came to nothing: Begin again
	Over                 // the lane does not want books any more
)

// Errors that end an attempt.
var (
	ErrOver       = errors.New("resync: the session ended meanwhile")
	ErrLogFull    = errors.New("resync: the log had no room for what came meanwhile")
	ErrUnreadable = errors.New("resync: a message was refused by the parser")
	ErrTooMany    = errors.New("resync: the snapshot has more orders than the books hold")
	ErrDoubtful   = errors.New("resync: the first messages behind the snapshot do not fit it: its number is wrong")
	ErrTooOld     = errors.New("resync: the snapshot is too old for what was logged, or there was another loss")
	ErrNumber     = errors.New("resync: the snapshot does not say which message follows it")
	ErrFuture     = errors.New("resync: the stream did not reach the snapshot's number")
)

// futureMost is how far a snapshot may be ahead of the log, messages.
const futureMost = 1 << 24

// offerAt is how little must be waiting in the log when books are offered, bytes: the lane applies it in some ten µs.
const offerAt = 8 << 10

// doubtsMost is how many snapshots in a row are refused because their number seems wrong. A venue that is always like that, or whose stream
// has such rows anyway, gets its books all the same: they are nearer to the truth than those with a hole, and the counters tell.
const doubtsMost = 2

// stepRecords is the most logged packets that a step applies.
const stepRecords = 1024

// Wanted says that the lane wants books.
func (w *Worker) Wanted() bool { return w.r.wanted.Load() != 0 }

// Session is the name of the session that the present attempt is for; empty: not known.
func (w *Worker) Session() string { return w.session }

// Current says that the present attempt is still wanted.
func (w *Worker) Current() bool { return w.r.wanted.Load() == w.shadow.generation }

// Begin starts an attempt from empty books, or returns false when none is wanted any more. What was logged is kept, unless it has a
// hole or takes half the log.
func (w *Worker) Begin() bool {
	generation := w.r.wanted.Load()
	if generation == 0 {
		return false
	}
	if generation != w.shadow.generation {
		w.logEnd = 0
	}
	w.shadow.reset(generation, w.r.day.Load())
	w.r.depths.tell(w.shadow.Prices)
	id := binary.LittleEndian.AppendUint64(nil, w.r.name[0].Load())
	id = binary.LittleEndian.AppendUint16(id, uint16(w.r.name[1].Load()))
	w.session = strings.Trim(string(id), " \x00")
	w.counters.Attempts++
	w.phase, w.since = fetching, 0
	w.from = 0
	full := w.r.full.Load()
	discard := full != w.full || w.r.log.pending() > uint64(len(w.r.log.mem))/2
	w.full = full
	for {
		rec, ok := w.r.log.peek()
		if !ok || rec.generation == generation && !discard {
			break
		}
		if rec.generation == generation {
			w.logEnd = rec.first + uint64(rec.count)
		}
		w.r.log.drop(&rec)
	}
	w.logFrom()
	w.publish()
	return true
}

// Snapshot takes messages of a snapshot that is as of one number. An error ends the attempt; Step will say so.
func (w *Worker) Snapshot(blocks []byte, count int) error {
	err := w.standing()
	if err == nil {
		if err = w.shadow.snapshot(blocks, count); err != nil {
			w.phase = idle // it is a failed snapshot, and Fail counts it
		}
	}
	w.publish()
	return err
}

// Part takes one instrument's part of a snapshot. ErrStale ends nothing: a newer one of it is to be had, or none at all. Any other error ends the
// attempt; Step will say so.
func (w *Worker) Part(p *Part) error {
	err := w.standing()
	if from := w.logFrom(); err == nil && p.What != Nothings && (from == 0 || p.AsOf+1 < from) {
		w.counters.Stale++
		w.publish()
		return ErrStale
	}
	if err == nil {
		if err = w.shadow.part(p); err != nil {
			w.phase = idle
		}
	}
	w.publish()
	return err
}

// logFrom is the number of the first message that is logged, or would be, as of the first time that it was known during the attempt: should the log go
// on from a later one, something is missing. 0: it is not known yet.
func (w *Worker) logFrom() uint64 {
	if w.from != 0 {
		return w.from
	}
	w.from = w.logEnd
	if rec, ok := w.r.log.peek(); ok && rec.generation == w.shadow.generation {
		w.from = rec.first
	}
	return w.from
}

// standing says why an attempt cannot go on, counted, or nil.
func (w *Worker) standing() error {
	switch {
	case w.phase == idle:
		return ErrUnreadable
	case !w.Current():
		w.counters.Abandoned++
		w.phase = idle
		return ErrOver
	case w.r.full.Load() != w.full:
		w.counters.LogFull++
		w.phase = idle
		return ErrLogFull
	}
	return nil
}

// Fail ends an attempt whose snapshot did not come whole.
func (w *Worker) Fail(err error) {
	switch known := w.phase != fetching; {
	case errors.Is(err, ErrOver) && !known:
		w.counters.Abandoned++
	case errors.Is(err, ErrLogFull) && !known:
		w.counters.LogFull++
	case !errors.Is(err, ErrOver) && !errors.Is(err, ErrLogFull):
		w.counters.Failed++
	}
	w.phase = idle
	w.publish()
}

// End says that the snapshot is whole, and from which number on messages are to be applied to it; 0: its parts said so.
func (w *Worker) End(next uint64) error {
	err := w.standing()
	switch {
	case err != nil:
	case next == 0 && w.logFrom() == 0:
		w.counters.TooOld++
		w.phase, err = idle, ErrTooOld
	default:
		w.shadow.end(next, w.logFrom())
		w.phase = catchingUp
	}
	w.publish()
	return err
}

// Step goes on after End. now is any time that does not go back, ns. The error is why an attempt is void.
func (w *Worker) Step(now uint64) (State, error) {
	st, err := w.step(now)
	if st == Void || st == Over || st == Done {
		w.phase = idle
	}
	if w.phase != offered { // the counters are the lane's as long as the shadow is
		w.publish()
	}
	return st, err
}

func (w *Worker) step(now uint64) (State, error) {
	switch w.phase {
	case offered:
		return w.offered(), nil
	case catchingUp:
	default:
		return Void, ErrUnreadable
	}
	switch err := w.standing(); {
	case errors.Is(err, ErrOver):
		return Over, err
	case err != nil:
		return Void, err
	}
	s := w.shadow
	for range stepRecords {
		rec, ok := w.r.log.peek()
		if !ok {
			break
		}
		if rec.generation == s.generation {
			switch s.apply(&rec) {
			case missing:
				w.counters.TooOld++ // the record stays: the log begins there for the next attempt
				return Void, ErrTooOld
			case unreadable:
				w.r.log.drop(&rec)
				w.logEnd = rec.first + uint64(rec.count)
				w.counters.Unreadable++
				return Void, ErrUnreadable
			}
			w.logEnd = rec.first + uint64(rec.count)
		}
		w.r.log.drop(&rec)
	}
	if w.logEnd != 0 && w.logEnd > s.next { // all of it was taken out by an attempt before
		w.counters.TooOld++
		return Void, ErrTooOld
	}
	if s.next != w.logEnd || s.next <= s.highest {
		return w.wait(now)
	}
	if w.r.log.pending() > offerAt {
		return Working, nil
	}
	s.odd += s.jumps()
	if s.odd > 0 && w.doubts < doubtsMost {
		w.doubts++
		w.counters.Doubtful++
		return Void, ErrDoubtful
	}
	w.phase = offered
	w.publish()
	w.r.offer.Store(s)
	return Waiting, nil
}

// wait is for a stream that is behind the snapshot.
func (w *Worker) wait(now uint64) (State, error) {
	if w.r.log.pending() != 0 {
		return Working, nil
	}
	if w.since == 0 {
		w.since = max(now, 1)
	}
	if w.logEnd != 0 && w.shadow.highest+1 > w.logEnd+futureMost || now-w.since > uint64(w.r.o.Patience) && now > w.since {
		w.counters.Future++
		return Void, ErrFuture
	}
	return Waiting, nil
}

func (w *Worker) offered() State {
	s := w.shadow
	switch s.verdict.Load() {
	case taken:
		w.doubts = 0
		return Done
	case declined:
		s.verdict.Store(pending)
		w.logEnd = s.next // the lane may have applied some of the log
		w.counters.Declined++
		w.phase = catchingUp
		return Working
	}
	if !w.Current() && w.r.offer.CompareAndSwap(s, nil) {
		w.counters.Abandoned++
		return Over
	}
	return Waiting
}

func (w *Worker) publish() {
	w.counters.LiveLogBytes = w.r.log.pending()
	w.r.counters.publish(&w.counters)
}

// backOff is how long to wait after the n-th void attempt in a row.
func (w *Worker) backOff(n int) time.Duration {
	return min(w.r.o.Retry<<min(n, 16), w.r.o.MaxRetry)
}
