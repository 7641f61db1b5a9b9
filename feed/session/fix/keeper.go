package fix

import (
	"sync"
	"time"
)

// keeper has the frames of application messages whose envelopes are with the library, until it hands an envelope out. Those that it drops (copies of
// what was seen) are found by their numbers when there are many.
type keeper struct {
	mu     sync.Mutex
	frames map[uint64]keptFrame
	last   uint64 // number of the last one kept
	seq    uint64 // MsgSeqNum of the last one handed out
	bytes  int
	most   int // bytes
	sweep  int // bytes at which to look for the dead
}

type keptFrame struct {
	frame  []byte
	recv   time.Time
	seq    uint64
	bad    int
	badTag uint32
}

const keptOverhead = 128 // bytes a frame costs besides its own

func newKeeper(most int) *keeper {
	if most <= 0 {
		most = 64 << 20
	}
	return &keeper{frames: map[uint64]keptFrame{}, most: most, sweep: most / 8}
}

// put copies a frame and gives its number; false: those that wait are too many.
func (k *keeper) put(frame []byte, recv time.Time, e *envelope) (uint64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes+len(frame)+keptOverhead > k.sweep {
		for n, f := range k.frames {
			if f.seq <= k.seq {
				k.drop(n, f)
			}
		}
		k.sweep = min(max(k.most/8, 2*k.bytes), k.most)
		if k.bytes+len(frame)+keptOverhead > k.most {
			return 0, false
		}
	}
	k.last++
	k.frames[k.last] = keptFrame{append([]byte(nil), frame...), recv, e.seq, e.bad, e.badTag}
	k.bytes += len(frame) + keptOverhead
	return k.last, true
}

// take gives the frame of an envelope that the library hands out. It is the caller's.
func (k *keeper) take(number uint64) (keptFrame, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.frames[number]
	if ok {
		k.drop(number, f)
		k.seq = max(k.seq, f.seq)
	}
	return f, ok
}

func (k *keeper) drop(number uint64, f keptFrame) {
	delete(k.frames, number)
	k.bytes -= len(f.frame) + keptOverhead
}

// mostUnderWay is how many messages the library is given beyond those that it has dealt with: what comes faster waits with the venue.
const mostUnderWay = 1024

// full says that so many are under way; next is the number that the library awaits.
func (k *keeper) full(next uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.frames) < mostUnderWay {
		return false
	}
	for n, f := range k.frames {
		if f.seq < next {
			k.drop(n, f)
		}
	}
	return len(k.frames) >= mostUnderWay
}

// reset is told that numbers begin again with 1; clear also forgets what is kept: the connection is gone.
func (k *keeper) reset() {
	k.mu.Lock()
	k.seq = 0
	k.mu.Unlock()
}

func (k *keeper) clear() {
	k.mu.Lock()
	clear(k.frames)
	k.bytes, k.seq = 0, 0
	k.mu.Unlock()
}
