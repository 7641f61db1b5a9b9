package resync

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
)

// Options of a Resync. Books and one of Fetch and Parts must be given.
type Options struct {
	// Fetch takes one snapshot, as session/glimpse.Fetch does, of a session by its name (empty: not known), and fails when it is offered one of another session:
	// numbers of the two mean nothing to each other. fn gets its messages as the decoder takes them; next is the number of the first message
	// that is not in it. It is called on Run's goroutine.
	Fetch func(ctx context.Context, session string, fn func(blocks []byte, count int) error) (next uint64, err error)
	// Parts takes one snapshot of a venue that has each instrument as of a number of its own, as session/mdp3loop.Fetch does. fn may answer
	// ErrStale, which says that a newer part of the same instrument is needed; any other error ends the snapshot with that error. Of
	// instruments without a part nothing had happened when the snapshot was begun. It is called on Run's goroutine.
	Parts func(ctx context.Context, fn func(p *Part) error) error
	// Decoder makes the decoder of the rebuild, apart from the lane's. The default is ITCH's.
	Decoder func() (Decoder, error)
	// Books are the lane's. The shadow has the same bounds: its memory is touched by the first rebuild, and kept.
	Books *book.Books
	// Prices makes price books like the lane's, where the venue sends levels. The default is none.
	Prices func() (*pricebook.Books, error)
	// LogBytes is the log's size, a power of two: it must hold what comes while a snapshot is fetched. The default is 64 MiB,
	// two million messages, some seconds of an opening.
	LogBytes int
	// Retry is waited after a void attempt, twice as long after each further one, up to MaxRetry; and lies between the beginnings of any
	// two. The defaults are 250 ms and 30 s.
	Retry, MaxRetry time.Duration
	// Patience bounds how long the stream may take to reach a snapshot's number. The default is 10 s.
	Patience time.Duration
	// Log is told of attempts that fail and rebuilds that are offered. The default is silence.
	Log *slog.Logger
}

func (o *Options) defaults() {
	if o.LogBytes == 0 {
		o.LogBytes = 64 << 20
	}
	if o.Retry <= 0 {
		o.Retry = 250 * time.Millisecond
	}
	if o.MaxRetry <= 0 {
		o.MaxRetry = 30 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Decoder == nil {
		o.Decoder = func() (Decoder, error) { return &itchDecoder{}, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Resync is what lane and worker share. One lane, one worker.
type Resync struct {
	o      Options
	log    *byteLog
	wanted atomic.Uint64 // generation that the lane wants books for; 0: none
	day    atomic.Uint64 // the venue's midnight, of that generation
	only   atomic.Pointer[[]uint32]
	name   [2]atomic.Uint64 // the session's name: ten bytes
	full   atomic.Uint64    // stretches of messages that found no room in the log
	offer  atomic.Pointer[Shadow]
	depths depths

	counters sharedCounters
	lane     Lane
	worker   Worker
}

// New makes a Resync; its log is touched at once, its books when they are needed.
func New(o Options) (*Resync, error) {
	if (o.Fetch == nil) == (o.Parts == nil) || o.Books == nil {
		return nil, errors.New("resync: one source of snapshots, and the lane's books, are needed")
	}
	o.defaults()
	r := &Resync{o: o}
	var err error
	if r.log, err = newByteLog(o.LogBytes); err != nil {
		return nil, err
	}
	r.lane.r, r.worker.r = r, r
	if r.worker.shadow, err = newShadow(&r.o, &r.worker.counters); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Lane is the lane's half.
func (r *Resync) Lane() *Lane { return &r.lane }

// Only are the instruments whose books are wanted, nil: all. For Parts.
func (r *Resync) Only() []uint32 {
	if only := r.only.Load(); only != nil {
		return *only
	}
	return nil
}

// Worker is the other half, for who takes its steps without Run.
func (r *Resync) Worker() *Worker { return &r.worker }

// Close gives the shadow's memory back, after the lane and Run have ended.
func (r *Resync) Close() error {
	if r.worker.shadow == nil {
		return nil
	}
	err := r.worker.shadow.close()
	r.worker.shadow = nil
	return err
}
