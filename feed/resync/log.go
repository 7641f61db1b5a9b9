package resync

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// byteLog is a ring of records from the lane to the worker, one writer and one reader at a time.
//
//	0        4        8        16           24                 24+size, up to a multiple of 8
//	+--------+--------+--------+------------+-- ... -----------+
//	| size   | count  | first  | generation | blocks           |   count 0, size 0: only says what first comes next
//	| u32    | u32    | u64    | u64        |                  |   size padBytes: the rest up to the ring's end is unused
//	+--------+--------+--------+------------+-- ... -----------+
//
// A record lies in one piece. head and tail count bytes and never wrap; who reads may change hands by an atomic operation elsewhere.
type byteLog struct {
	mem  []byte
	mask uint64

	head atomic.Uint64
	_    [56]byte
	tail atomic.Uint64
	_    [56]byte
	room uint64 // the writer's: tail when it was last looked at
}

type logRecord struct {
	blocks     []byte
	count      int
	first      uint64
	generation uint64
	bytes      uint64 // in the ring
}

const (
	recordHead = 24
	padBytes   = 1<<32 - 1

	minLogBytes = 1 << 16
	maxLogBytes = 1 << 32
)

// newByteLog makes a ring of a power of two bytes, and touches all of it: the lane must not meet a fresh page.
func newByteLog(bytes int) (*byteLog, error) {
	if bytes < minLogBytes || bytes > maxLogBytes || bytes&(bytes-1) != 0 {
		return nil, fmt.Errorf("resync: a log of %d bytes, want a power of two from %d to %d", bytes, minLogBytes, uint64(maxLogBytes))
	}
	g := &byteLog{mem: make([]byte, bytes), mask: uint64(bytes) - 1}
	for i := 0; i < bytes; i += 4096 {
		g.mem[i] = 1
	}
	return g, nil
}

// put appends a record, or returns false when there is no room. Writer only; no allocation, no waiting.
func (g *byteLog) put(generation, first uint64, count int, blocks []byte) bool {
	need := (recordHead + uint64(len(blocks)) + 7) &^ 7
	head := g.head.Load()
	at := head & g.mask
	pad := uint64(0)
	if rest := uint64(len(g.mem)) - at; rest < need {
		pad = rest
	}
	if head+pad+need-g.room > uint64(len(g.mem)) {
		if g.room = g.tail.Load(); head+pad+need-g.room > uint64(len(g.mem)) {
			return false
		}
	}
	le := binary.LittleEndian
	if pad != 0 {
		le.PutUint32(g.mem[at:], padBytes) // records are multiples of 8: there is room for that
		head, at = head+pad, 0
	}
	r := g.mem[at : at+need]
	le.PutUint32(r, uint32(len(blocks)))
	le.PutUint32(r[4:], uint32(count))
	le.PutUint64(r[8:], first)
	le.PutUint64(r[16:], generation)
	copy(r[recordHead:], blocks)
	g.head.Store(head + need)
	return true
}

// peek gives the oldest record without taking it. Reader only.
func (g *byteLog) peek() (r logRecord, ok bool) {
	tail, head := g.tail.Load(), g.head.Load()
	if tail == head {
		return r, false
	}
	le := binary.LittleEndian
	at := tail & g.mask
	if le.Uint32(g.mem[at:]) == padBytes { // never the last: what it made room for comes with it
		tail += uint64(len(g.mem)) - at
		g.tail.Store(tail)
		at = 0
	}
	size := uint64(le.Uint32(g.mem[at:]))
	return logRecord{
		blocks: g.mem[at+recordHead : at+recordHead+size], count: int(le.Uint32(g.mem[at+4:])), first: le.Uint64(g.mem[at+8:]),
		generation: le.Uint64(g.mem[at+16:]), bytes: (recordHead + size + 7) &^ 7,
	}, true
}

// drop takes the record that peek gave; its blocks are void. Reader only.
func (g *byteLog) drop(r *logRecord) { g.tail.Store(g.tail.Load() + r.bytes) }

// pending is how many bytes are in the ring.
func (g *byteLog) pending() uint64 { return g.head.Load() - g.tail.Load() }
