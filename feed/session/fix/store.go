package fix

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	qf "github.com/quickfixgo/quickfix"
)

// stores make stores that tell the number that comes next to whoever has to know, and that yield.
//
// While the library's writer is not at its channel, its session tries again and again without a pause; asking the store for its age is the one thing
// that it does each time round. On a busy machine the writer would wait for the session's time slice to end, at each message.
type stores struct {
	qf.MessageStoreFactory
	next func(qf.SessionID) *atomic.Uint64
	sent func(qf.SessionID) *sentMessages // nil: what was sent is not kept
}

// Create makes the store of a session.
func (f stores) Create(id qf.SessionID) (qf.MessageStore, error) {
	s, err := f.MessageStoreFactory.Create(id)
	if err != nil {
		return nil, err
	}
	t := store{MessageStore: s, mu: new(sync.Mutex), next: f.next(id)}
	if f.sent != nil {
		t.sent = f.sent(id)
		t.sent.forget(s.NextSenderMsgSeqNum())
	}
	t.tell()
	return t, nil
}

// store is a library's store whose next number is seen by the gate, and whose numbers may be read while another goroutine sends: the library's session does.
type store struct {
	qf.MessageStore
	mu   *sync.Mutex
	next *atomic.Uint64
	sent *sentMessages // nil: not kept
}

func (s store) tell() { s.next.Store(uint64(max(0, s.MessageStore.NextTargetMsgSeqNum()))) }

// CreationTime is the store's age.
func (s store) CreationTime() time.Time {
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MessageStore.CreationTime()
}

// The following do what the library's store does, one at a time.

func (s store) NextSenderMsgSeqNum() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MessageStore.NextSenderMsgSeqNum()
}

func (s store) NextTargetMsgSeqNum() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MessageStore.NextTargetMsgSeqNum()
}

func (s store) IncrNextSenderMsgSeqNum() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MessageStore.IncrNextSenderMsgSeqNum()
}

func (s store) SaveMessageAndIncrNextSenderMsgSeqNum(seq int, message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		return s.MessageStore.SaveMessageAndIncrNextSenderMsgSeqNum(seq, message)
	}
	s.sent.keep(seq, message)
	return s.MessageStore.IncrNextSenderMsgSeqNum()
}

// IterateMessages gives what is kept of a range.
func (s store) IterateMessages(from, to int, fn func([]byte) error) error {
	if s.sent == nil {
		return s.MessageStore.IterateMessages(from, to, fn)
	}
	s.mu.Lock()
	kept := s.sent.between(from, to)
	s.mu.Unlock() // fn sends, and asks for numbers
	s.sent.resending.Store(true)
	defer s.sent.resending.Store(false)
	for _, message := range kept {
		s.sent.room()
		if err := fn(message); err != nil {
			return err
		}
	}
	return nil
}

func (s store) SetNextSenderMsgSeqNum(next int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent != nil {
		s.sent.forget(next)
	}
	return s.MessageStore.SetNextSenderMsgSeqNum(next)
}

func (s store) IncrNextTargetMsgSeqNum() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	return s.MessageStore.IncrNextTargetMsgSeqNum()
}

func (s store) SetNextTargetMsgSeqNum(next int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	return s.MessageStore.SetNextTargetMsgSeqNum(next)
}

func (s store) Refresh() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	return s.MessageStore.Refresh()
}

func (s store) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	if s.sent != nil {
		s.sent.forget(1)
	}
	return s.MessageStore.Reset()
}

// stall finds gaps that do not close. The library asks once for what is missing; where the answer is lost too it waits for ever, with heartbeats going to and
// fro. So when later messages have come and the number that is awaited stays the same for a while, it is asked for again; and then again after twice that time, and
// so on: a peer that is slow to answer must not be given the whole of it to do again and again.
type stall struct {
	next  *atomic.Uint64
	at    uint64 // the number that is awaited
	since time.Time
	times int // it was asked for again
}

// mostDoubled is how often the time before asking again is doubled: with 3 s it comes to a minute and a half.
const mostDoubled = 5

// ask gives the ResendRequest that is due, nil: none is.
func (s *stall) ask(g *gate, now time.Time, patience time.Duration) *qf.Message {
	next := s.next.Load()
	if g == nil || g.isDone() || g.high.Load() < next || next != s.at {
		s.at, s.since, s.times = next, now, 0
		return nil
	}
	if now.Sub(s.since) < patience<<s.times {
		return nil
	}
	s.since, s.times = now, min(s.times+1, mostDoubled)
	end := g.order.missing.Load()
	if end < next {
		end = 0 // all
	}
	m := qf.NewMessage()
	m.Header.SetString(35, "2")
	m.Body.SetInt(7, int(next))
	m.Body.SetInt(16, int(end))
	return m
}
