package xdp

import (
	"fmt"
	"slices"
	"sync"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// Record remembers what a channel has sent: its messages by number, so that they can be sent again, and the state of its symbols, so that it
// can be told anew. Safe for concurrent use.
//
//	runs:  [first 1: messages, offsets] [first 9,021: …] …      ascending; numbers between two are not known; the oldest goes when all of it is
//	                                                            older than what is kept
type Record struct {
	mu    sync.Mutex
	keep  uint64
	next  uint64 // number of the next message
	epoch uint64 // of the reset that it began with
	runs  []*run
	state state
}

// run is messages with consecutive numbers.
type run struct {
	first  uint64
	blocks []byte
	at     []uint32 // where each begins
}

const runBytes = 256 << 10

func (r *run) end() uint64 { return r.first + uint64(len(r.at)) }

func (r *run) message(n uint64) []byte {
	i := n - r.first
	if i+1 < uint64(len(r.at)) {
		return r.blocks[r.at[i]:r.at[i+1]]
	}
	return r.blocks[r.at[i]:]
}

// NewRecord begins the record of a channel, which has its last keep messages; 0: all of them. version is that of the layouts.
func NewRecord(version wire.Version, keep int) *Record {
	r := &Record{keep: uint64(max(keep, 0))}
	r.state.version = version
	r.clear()
	return r
}

func (r *Record) clear() {
	r.next, r.runs = 1, nil
	r.state.clear()
}

// Next is the number of the next message.
func (r *Record) Next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// Symbols are the indexes of all symbols, in the order in which they were told.
func (r *Record) Symbols() []uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.state.order)
}

// Orders is how many orders rest.
func (r *Record) Orders() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.state.orders)
}

// Take takes a packet as it is published; packet is not kept. Numbers that the record has already are skipped; a reset begins it anew. Numbers that
// are left out are not known to it, and with them it forgets the state of all symbols, which cannot be told from then on. It fails, and takes
// nothing, when the packet is damaged.
func (r *Record) Take(packet []byte) error {
	h, blocks, err := wire.ParsePacket(packet)
	if err != nil {
		return fmt.Errorf("%w; refused", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch h.Kind {
	case wire.PacketHeartbeat:
		return nil
	case wire.PacketReset:
		if h.Epoch == r.epoch && r.next > 1 { // told again
			return nil
		}
		r.clear()
		r.epoch = h.Epoch
	case wire.PacketData:
	default:
		return fmt.Errorf("xdp: packet %d with delivery flag %d is not published; refused", h.Sequence, h.Flag)
	}
	if whole, used := wire.Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
		return fmt.Errorf("xdp: packet %d has %d whole messages and says %d; refused", h.Sequence, whole, h.Count)
	}
	if uint64(h.Sequence) > r.next { // of a capture with a hole
		r.next = uint64(h.Sequence)
		r.state.clear()
	}
	for n := uint64(h.Sequence); len(blocks) > 0; n++ {
		var m []byte
		if m, blocks = wire.Next(blocks); n == r.next {
			r.add(m)
			r.state.apply(m)
		}
	}
	return nil
}

func (r *Record) add(m []byte) {
	n := len(r.runs)
	if n == 0 || len(r.runs[n-1].blocks) >= runBytes || r.runs[n-1].end() != r.next {
		r.runs = append(r.runs, &run{first: r.next})
		if r.keep != 0 && r.runs[0].end()+r.keep <= r.next {
			r.runs = append(r.runs[:0], r.runs[1:]...)
		}
	}
	last := r.runs[len(r.runs)-1]
	last.at = append(last.at, uint32(len(last.blocks)))
	last.blocks = append(last.blocks, m...)
	r.next++
}

// oldest is the first number that is kept, whatever runs still hold.
func (r *Record) oldest() uint64 {
	if r.keep == 0 || r.next <= r.keep {
		return 1
	}
	return r.next - r.keep
}

// find is message n, nil: it is not kept.
func (r *Record) find(n uint64) []byte {
	if i := r.runOf(n); n >= r.oldest() && i < len(r.runs) && n >= r.runs[i].first {
		return r.runs[i].message(n)
	}
	return nil
}

// known is the first number from n on that is kept, 2^32: there is none.
func (r *Record) known(n uint64) uint64 {
	n = max(n, r.oldest())
	if i := r.runOf(n); i < len(r.runs) {
		return max(n, r.runs[i].first)
	}
	return 1 << 32
}

// runOf is the index of the run that has number n, or of the first one behind it.
func (r *Record) runOf(n uint64) int {
	i, _ := slices.BinarySearchFunc(r.runs, n, func(r *run, n uint64) int {
		if r.end() <= n {
			return -1
		}
		return 1
	})
	return i
}

// bounds are the number of the next message, and of the oldest that is kept.
func (r *Record) bounds() (next, oldest uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next, r.oldest()
}

// Message is a copy of message n, nil: it is not kept.
func (r *Record) Message(n uint64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.find(n))
}
