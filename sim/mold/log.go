package mold

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Log keeps a session's messages by number, so that they can be sent again. Safe for concurrent use.
//
//	runs:  [first 1: blocks, offsets] [first 9,021: …] [first 18,500: …]      ascending; numbers between two runs are not known
//
// Memory: the messages with their lengths and 4 bytes each; the oldest run is used anew when all of it is older than what is kept.
type Log struct {
	mu      sync.RWMutex
	session [10]byte
	keep    uint64
	next    uint64 // number of the next message
	runs    []*run
}

// run is messages with consecutive numbers.
type run struct {
	first  uint64
	blocks []byte   // messages with their lengths, as on the wire
	at     []uint32 // where each begins
}

// runBytes is where a run ends: it holds at least one message, and is never much longer than the longest.
const runBytes = 256 << 10

func (r *run) end() uint64 { return r.first + uint64(len(r.at)) }

// block is message n with its length.
func (r *run) block(n uint64) []byte {
	i := n - r.first
	if i+1 < uint64(len(r.at)) {
		return r.blocks[r.at[i]:r.at[i+1]]
	}
	return r.blocks[r.at[i]:]
}

// NewLog begins the log of a session, which has its last keep messages; 0: all of them. The first message has number 1.
func NewLog(session [10]byte, keep int) *Log {
	return &Log{session: session, keep: uint64(max(keep, 0)), next: 1}
}

// Session is the session's id.
func (l *Log) Session() [10]byte { return l.session }

// Next is the number of the next message.
func (l *Log) Next() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.next
}

// Append takes the next message; msg is not kept. It fails when the message has more than 65,535 bytes, and takes nothing then.
func (l *Log) Append(msg []byte) error {
	if len(msg) > 0xFFFF {
		return fmt.Errorf("mold: message of %d bytes, want at most 65,535; refused", len(msg))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(msg)
	return nil
}

// AppendPacket takes the messages of a packet as it is sent; packet is not kept. Numbers that the log has already are skipped, numbers
// that are left out are not known to it; heartbeats and ends of the session change nothing. It fails, and takes nothing, when the packet
// is of another session, has no number, or has fewer whole messages than it says.
func (l *Log) AppendPacket(packet []byte) error {
	h, blocks, err := moldudp64.Parse(packet)
	if err != nil {
		return fmt.Errorf("mold: %w; refused", err)
	}
	count := uint64(h.Count)
	if count == 0 || h.Count == moldudp64.EndOfSession {
		return nil
	}
	if whole, _ := moldudp64.Walk(blocks, int(count)); uint64(whole) != count {
		return fmt.Errorf("mold: packet %d has %d whole messages and says %d; refused", h.Sequence, whole, count)
	}
	if h.Session != l.session || h.Sequence == 0 || h.Sequence+count < count {
		return fmt.Errorf("mold: packet %d of session %q, the log is of %q; refused", h.Sequence, h.Session, l.session)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, h.Sequence)
	for n := h.Sequence; n < h.Sequence+count; n++ {
		size := 2 + int(binary.BigEndian.Uint16(blocks))
		if n == l.next {
			l.add(blocks[2:size])
		}
		blocks = blocks[size:]
	}
	return nil
}

// add takes message next.
func (l *Log) add(msg []byte) {
	r := l.last()
	r.at = append(r.at, uint32(len(r.blocks)))
	r.blocks, _ = moldudp64.AppendBlock(r.blocks, msg) // its length was checked, or is of the wire
	l.next++
}

// last is the run that takes message next: the last one, or a new one.
func (l *Log) last() *run {
	n := len(l.runs)
	if n > 0 && l.runs[n-1].end() == l.next && len(l.runs[n-1].blocks) < runBytes {
		return l.runs[n-1]
	}
	r := new(run)
	if n > 0 && l.keep != 0 && l.runs[0].end()+l.keep <= l.next {
		r = l.runs[0]
		l.runs = append(l.runs[:0], l.runs[1:]...)
	}
	r.first, r.blocks, r.at = l.next, r.blocks[:0], r.at[:0]
	l.runs = append(l.runs, r)
	return r
}

// oldest is the first number that is kept, whatever runs still hold.
func (l *Log) oldest() uint64 {
	if l.keep == 0 || l.next <= l.keep {
		return 1
	}
	return l.next - l.keep
}
