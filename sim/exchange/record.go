package exchange

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/mold"
)

// recorder does what is to be done with each packet besides sending it: keep it for re-requests, build the books for snapshots, write
// the truth down. It has a goroutine of its own, so that none of these makes a packet late.
//
//	sending thread ──packets──► recorder        the queue is bounded: when it is full the sending thread waits, counted
type recorder struct {
	queue chan []byte
	free  chan []byte
	done  chan struct{}
	books *glimpse.State // nil: no snapshots
	keep  int            // 0: no re-requests

	mu   sync.RWMutex
	logs []*mold.Log // the latest sessions', newest last

	path      string // of the truth
	session   [10]byte
	sessions  int
	file      *os.File
	out       *bufio.Writer
	unwritten atomic.Uint64
	failed    atomic.Pointer[error]
}

const (
	queued      = 4096 // packets
	mostLogs    = 4    // sessions that are sent again
	expectChunk = 1 << 20
)

func newRecorder(o *Options, books *glimpse.State) (*recorder, error) {
	r := &recorder{
		queue: make(chan []byte, queued), free: make(chan []byte, queued), done: make(chan struct{}), books: books, path: o.Expect,
	}
	if o.Requests.Addr.IsValid() {
		r.keep = o.Requests.Keep
	}
	if r.path == "" {
		return r, nil
	}
	return r, r.create(r.path)
}

func (r *recorder) create(path string) (err error) {
	if r.file, err = os.Create(path); err != nil {
		return fmt.Errorf("exchange: the truth: %w", err)
	}
	if r.out == nil {
		r.out = bufio.NewWriterSize(r.file, expectChunk)
	}
	r.out.Reset(r.file)
	return nil
}

// finish ends a file as a BinaryFILE ends.
func (r *recorder) finish() error {
	if r.file == nil {
		return nil
	}
	_, err := r.out.Write([]byte{0, 0})
	err = errors.Join(err, r.out.Flush(), r.file.Close())
	r.file = nil
	if err != nil {
		return fmt.Errorf("exchange: the truth: %w", err)
	}
	return nil
}

// log is a session's; nil: there is none.
func (r *recorder) log(session [10]byte) *mold.Log {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, l := range r.logs {
		if l.Session() == session {
			return l
		}
	}
	return nil
}

// take gives a packet to the recorder; it says whether it had to wait.
func (r *recorder) take(packet []byte) (stalled bool) {
	var b []byte
	select {
	case b = <-r.free:
	default:
	}
	b = append(b[:0], packet...)
	select {
	case r.queue <- b:
		return false
	default:
	}
	r.queue <- b
	return true
}

// err is what went wrong so far.
func (r *recorder) err() error {
	if p := r.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail remembers the first fault.
func (r *recorder) fail(err error) {
	r.failed.CompareAndSwap(nil, &err)
}

// run records until the queue is closed. After a fault it goes on with what still can be done.
func (r *recorder) run() {
	defer close(r.done)
	for b := range r.queue {
		if err := r.record(b); err != nil {
			r.fail(err)
		}
		select {
		case r.free <- b:
		default:
		}
	}
	if err := r.finish(); err != nil {
		r.fail(err)
	}
}

func (r *recorder) record(packet []byte) error {
	h, blocks, err := moldudp64.Parse(packet)
	if err != nil || h.Count == moldudp64.EndOfSession {
		return err
	}
	if h.Session != r.session || r.sessions == 0 {
		if err := r.change(h.Session); err != nil {
			return err
		}
	}
	if h.Count == 0 {
		return nil
	}
	if r.keep != 0 {
		if err := r.logs[len(r.logs)-1].AppendPacket(packet); err != nil {
			return err
		}
	}
	if r.books != nil {
		if err := skipTo(r.books, h.Sequence); err != nil {
			return err
		}
	}
	for range h.Count {
		end := 2 + int(blocks[0])<<8 + int(blocks[1])
		if r.books != nil {
			r.books.Apply(blocks[2:end])
		}
		if end == 2 {
			r.unwritten.Add(1)
		} else if r.file != nil {
			if _, err := r.out.Write(blocks[:end]); err != nil { // a block and a BinaryFILE's record are the same
				r.file = nil
				return fmt.Errorf("exchange: the truth: %w", err)
			}
		}
		blocks = blocks[end:]
	}
	return nil
}

// change begins another session.
func (r *recorder) change(id [10]byte) error {
	r.session = id
	r.sessions++
	if r.keep != 0 {
		r.mu.Lock()
		r.logs = append(r.logs, mold.NewLog(id, r.keep))
		if len(r.logs) > mostLogs {
			r.logs = append(r.logs[:0], r.logs[1:]...)
		}
		r.mu.Unlock()
	}
	if r.books != nil {
		r.books.Begin(name(id))
	}
	if r.sessions == 1 || r.path == "" {
		return nil
	}
	return errors.Join(r.finish(), r.create(fmt.Sprintf("%s.%d", r.path, r.sessions)))
}
