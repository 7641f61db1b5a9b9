package session

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Link joins a lane and the goroutine that asks the venue for it. Neither waits for the other, and neither allocates: a full ring refuses, and its
// writer counts that.
//
//	lane ──► requests: 256 places ──────────────► Requester ──► venue
//	lane ◄── answers: whole datagrams, 1 MiB ◄─── Requester ◄── venue
//	lane ◄── refusals: ranges that will not come ◄ Requester ◄── venue
//	lane ──► alert: there is a hole, requests may follow soon
//
// The answers' ring: each frame has 16 bytes of header and its datagram, padded to 8 bytes; none wraps round the end.
//
//	0          4          8                16
//	+----------+----------+----------------+-------------------+- ...
//	| bytes u32| server   | ts_recv u64    | datagram          | next frame
//	|          | u8, gene-| ns             |                   |
//	|          | ration   |                |                   |
//	+----------+----------+----------------+-------------------+- ...
//	bytes = 2^32-1: nothing up to the ring's end
//	generation, 24 bits: which count of numbers the datagram is of, as far as the link was told when it came
//
// One goroutine at each end. head and tail count bytes, or requests, since the beginning: they are never set back.
type Link struct {
	servers int

	requests [linkRequests]request
	answers  []byte

	_           [64]byte
	requestTail atomic.Uint64 // lane
	answerHead  atomic.Uint64 // lane
	alert       atomic.Bool   // lane
	taken       uint64        // lane: bytes of the frame that is being looked at
	generation  atomic.Uint32 // lane: which count of numbers this is
	refused     refused       // lane
	_           [64]byte
	requestHead atomic.Uint64 // goroutine
	answerTail  atomic.Uint64 // goroutine
	refusals    refusals
	_           [64]byte

	// several says that a request may be answered by several datagrams, in order: one of them does not end it, but shows that it goes on. Set
	// by the requester, before the lane has the link.
	several bool
}

// request asks a server for count messages from first on.
type request struct {
	session [10]byte
	first   uint64
	count   uint16
	server  uint16

	generation uint32 // of the link, when it was asked
}

// answer is a datagram from the venue, in the ring's memory: valid until Link.release.
type answer struct {
	data   []byte
	ts     uint64
	server int
	void   bool // of numbers that were counted before the present ones
}

const (
	linkRequests   = 256
	linkBytes      = 1 << 20
	linkFrame      = 16
	linkSkip       = 1<<32 - 1
	mostServers    = 16
	mostAnswerSize = 20 + slotBytes // what can be held
)

// newLink makes a link to servers, with room for the given bytes of answers: a power of two, at least twice the largest answer's.
func newLink(servers, bytes int) (*Link, error) {
	if servers < 1 || servers > mostServers {
		return nil, fmt.Errorf("session: %d re-request servers, want 1 to %d", servers, mostServers)
	}
	if bytes&(bytes-1) != 0 || bytes < 2*(linkFrame+mostAnswerSize) {
		return nil, fmt.Errorf("session: answers' ring of %d bytes, want a power of two from 32,768 on", bytes)
	}
	return &Link{servers: servers, answers: make([]byte, bytes)}, nil
}

// ask queues a request; false: there is no room. Lane.
func (l *Link) ask(r request) bool {
	tail := l.requestTail.Load()
	if tail-l.requestHead.Load() == linkRequests {
		return false
	}
	r.generation = l.generation.Load()
	l.requests[tail%linkRequests] = r
	l.requestTail.Store(tail + 1)
	return true
}

// asked takes the next request off the queue. Goroutine.
func (l *Link) asked() (r request, ok bool) {
	head := l.requestHead.Load()
	if head == l.requestTail.Load() {
		return r, false
	}
	r = l.requests[head%linkRequests]
	l.requestHead.Store(head + 1)
	return r, true
}

// put is putOf for a datagram of the present count of numbers. Goroutine.
func (l *Link) put(server int, ts uint64, data []byte) bool {
	return l.putOf(l.generation.Load(), server, ts, data)
}

// putOf copies a datagram into the ring; false: there is no room, or it is too large for any. Goroutine.
func (l *Link) putOf(generation uint32, server int, ts uint64, data []byte) bool {
	if len(data) > mostAnswerSize {
		return false
	}
	size := uint64(linkFrame+len(data)+7) &^ 7
	whole := uint64(len(l.answers))
	tail := l.answerTail.Load()
	at := tail & (whole - 1)
	skip := uint64(0)
	if at+size > whole {
		skip = whole - at
	}
	if tail+skip+size-l.answerHead.Load() > whole {
		return false
	}
	if skip != 0 {
		binary.LittleEndian.PutUint32(l.answers[at:], linkSkip) // frames are multiples of 8 bytes: there is room for this
		at = 0
	}
	b := l.answers[at : at+size]
	binary.LittleEndian.PutUint32(b, uint32(len(data)))
	binary.LittleEndian.PutUint32(b[4:], uint32(server)|generation<<8)
	binary.LittleEndian.PutUint64(b[8:], ts)
	copy(b[linkFrame:], data)
	l.answerTail.Store(tail + skip + size)
	return true
}

// pending says that there is a datagram. Lane.
func (l *Link) pending() bool { return l.answerTail.Load() != l.answerHead.Load() }

// answer looks at the next datagram. It stays in the ring until release. Lane.
func (l *Link) answer() (a answer, ok bool) {
	head := l.answerHead.Load()
	if head == l.answerTail.Load() {
		return a, false
	}
	whole := uint64(len(l.answers))
	at, skip := head&(whole-1), uint64(0)
	if binary.LittleEndian.Uint32(l.answers[at:]) == linkSkip {
		skip, at = whole-at, 0
	}
	b := l.answers[at:]
	n := uint64(binary.LittleEndian.Uint32(b))
	l.taken = skip + (linkFrame+n+7)&^7
	from := binary.LittleEndian.Uint32(b[4:])
	return answer{
		data: b[linkFrame : linkFrame+n], ts: binary.LittleEndian.Uint64(b[8:]), server: int(from & 0xFF), void: from>>8 != l.generation.Load()&(1<<24-1),
	}, true
}

// release gives back the memory of the datagram that answer looked at. Lane.
func (l *Link) release() {
	l.answerHead.Store(l.answerHead.Load() + l.taken)
}
