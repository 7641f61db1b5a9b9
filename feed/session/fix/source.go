package fix

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/nic"
)

// Source is the lane's end of a client: messages as they came, polled like packets. Session and lane share a ring of bytes; neither waits for the
// other there, and neither allocates.
//
//	0          4          8                16               24
//	+----------+----------+----------------+----------------+---------------+- ...
//	| bytes u32| 0        | ts_recv u64 ns | number u64     | 8=FIX… …10=…| | next message, on 8 bytes
//	+----------+----------+----------------+----------------+---------------+- ...
//	bytes = 2^32-1: nothing up to the ring's end
//
// Numbers go up by one. Where messages may be missing one number is left out: Packet.Frame has them, and Breaks counts.
type Source struct {
	ring []byte
	from netip.AddrPort

	_      [64]byte
	head   atomic.Uint64 // lane: bytes taken since the beginning
	given  uint64        // lane: bytes handed out by the last Poll
	_      [64]byte
	tail   atomic.Uint64 // session
	number uint64        // session: of the last message
	breaks atomic.Uint64 // session
	up     atomic.Bool   // session
	ended  atomic.Bool   // session
	_      [64]byte
}

const (
	sourceHead = 24
	sourceSkip = 1<<32 - 1
)

func newSource(bytes int) *Source {
	if bytes < 1<<12 || bytes&(bytes-1) != 0 {
		panic(fmt.Sprintf("fix: source of %d bytes, want a power of two", bytes))
	}
	return &Source{ring: make([]byte, bytes)}
}

// Poll fills p with messages, one a packet: Data is the message from 8= to 10= and its SOH, valid until the next Poll; TsRecv is when its bytes were
// read, Stamp nic.StampLoop; Frame is its number. None and no error: nothing has come; io.EOF: nothing will. Hot path. Lane.
func (s *Source) Poll(p []nic.Packet) (int, error) {
	head := s.head.Load() + s.given
	s.head.Store(head)
	at := head
	ended := s.ended.Load() // before the tail: what was put before the end is seen
	tail := s.tail.Load()
	n, mask := 0, uint64(len(s.ring)-1)
	for n < len(p) && at != tail {
		b := s.ring[at&mask:]
		size := binary.LittleEndian.Uint32(b)
		if size == sourceSkip {
			at += uint64(len(b))
			continue
		}
		p[n] = nic.Packet{
			Data: b[sourceHead : sourceHead+int(size) : sourceHead+int(size)], TsRecv: binary.LittleEndian.Uint64(b[8:]),
			Frame: binary.LittleEndian.Uint64(b[16:]), Src: s.from, Stamp: nic.StampLoop,
		}
		n++
		at += (sourceHead + uint64(size) + 7) &^ 7
	}
	s.given = at - head
	if n == 0 && ended {
		return 0, io.EOF
	}
	return n, nil
}

// Breaks counts the places where messages may be missing: each left a number out of Packet.Frame. It grows when it happens, before the message that
// comes next. Any goroutine.
func (s *Source) Breaks() uint64 { return s.breaks.Load() }

// Drained says that all messages so far have been polled. Lane.
func (s *Source) Drained() bool { return s.head.Load()+s.given == s.tail.Load() }

// Up says that the session is logged on. Any goroutine.
func (s *Source) Up() bool { return s.up.Load() }

// Close does nothing: the client is closed by its owner.
func (s *Source) Close() error { return nil }

// put copies a message in; false: there is no room. Session.
func (s *Source) put(data []byte, recv time.Time) bool {
	whole := uint64(len(s.ring))
	size := uint64(sourceHead+len(data)+7) &^ 7
	if size > whole/2 {
		return false
	}
	tail := s.tail.Load()
	at, skip := tail&(whole-1), uint64(0)
	if at+size > whole {
		skip = whole - at
	}
	if tail+skip+size-s.head.Load() > whole {
		return false
	}
	if skip != 0 {
		binary.LittleEndian.PutUint32(s.ring[at:], sourceSkip) // messages lie on 8 bytes: there is room for this
		at = 0
	}
	s.number++
	b := s.ring[at : at+size]
	binary.LittleEndian.PutUint32(b, uint32(len(data)))
	binary.LittleEndian.PutUint32(b[4:], 0)
	binary.LittleEndian.PutUint64(b[8:], uint64(recv.UnixNano()))
	binary.LittleEndian.PutUint64(b[16:], s.number)
	copy(b[sourceHead:], data)
	s.tail.Store(tail + skip + size)
	return true
}

// broke says that messages may be missing here. Session.
func (s *Source) broke() {
	s.number++
	s.breaks.Add(1)
}

func (s *Source) end() { s.ended.Store(true) }
