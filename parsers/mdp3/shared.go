package mdp3

import (
	"sync"
	"sync/atomic"
)

// Definitions are DisplayFactors that several decoders share: of the channels of a lane, whose definitions may come on another one; and of the lane and who rebuilds its books,
// so that neither lacks what the other was told. SecurityIDs are the venue's: no two channels give one to different instruments. The zero value is ready. Any goroutine;
// decoders ask where they meet an instrument, lack its definition, or are given one, and nowhere else. The newest definition holds, by LastUpdateTime.
type Definitions struct {
	mu      sync.Mutex
	week    uint64 // Start's midnight from which they are kept
	of      map[uint32]told
	changes atomic.Uint64 // how often one came that is new, or another one than before
}

// told is a factor and LastUpdateTime of its definition, 0: that does not say.
type told struct {
	f       factor
	updated int64
}

// keeps says that what is known from a week's midnight on still holds at another midnight (Decoder.Keeps).
func keeps(week, midnight uint64) bool { return midnight >= week && midnight-week < 6*dayNs }

// start voids what is of another week. What was told before the first one is of that.
func (x *Definitions) start(midnight uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.week == 0 {
		x.week = midnight
	}
	if !keeps(x.week, midnight) {
		x.week = midnight
		clear(x.of)
	}
}

func (x *Definitions) put(id uint32, t told) {
	x.mu.Lock()
	defer x.mu.Unlock()
	was, ok := x.of[id]
	if ok && t.updated != 0 && t.updated < was.updated { // another decoder was told meanwhile
		return
	}
	if x.of == nil {
		x.of = make(map[uint32]told)
	}
	x.of[id] = told{t.f, max(t.updated, was.updated)}
	if !ok || was.f != t.f {
		x.changes.Add(1)
	}
}

func (x *Definitions) get(id uint32) (t told, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t, ok = x.of[id]
	return t, ok
}

// learned says whether an instrument's definition came to another decoder, since it was last asked.
func (x *Definitions) learned(s *instrument) (f factor, ok bool) {
	if x == nil {
		return f, false
	}
	now := uint16(x.changes.Load())
	if now == s.asked { // or 65,536 came meanwhile: then the next one tells
		return f, false
	}
	s.asked = now
	t, ok := x.get(s.id)
	return t.f, ok
}
