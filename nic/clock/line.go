package clock

import (
	"math/bits"
	"sync/atomic"
)

// line is y = at + (x − base) × mult / 2^48, good as long as x is no further than limit from base on either side.
type line struct {
	base, at uint64
	mult     uint64 // 16.48 fixed point: a ratio below 65536 to 3.6e-15
	limit    uint64 // 0: there is no line
}

const fraction = 48

func multOf(ratio float64) uint64 { return uint64(ratio*(1<<fraction) + 0.5) }

func (l *line) ratio() float64 { return float64(l.mult) / (1 << fraction) }

// value does not look at the limit.
func (l *line) value(x uint64) uint64 {
	if d := x - l.base; int64(d) >= 0 {
		return l.at + l.scale(d)
	}
	return l.at - l.scale(l.base-x)
}

func (l *line) scale(d uint64) uint64 {
	hi, lo := bits.Mul64(d, l.mult)
	return hi<<(64-fraction) | lo>>fraction
}

// within says whether the line is good at x.
func (l *line) within(x uint64) bool {
	d := x - l.base
	return (d <= l.limit || -d <= l.limit) && l.limit != 0
}

// latch publishes a line: the writer fills the slot that nobody reads and then turns to it, so a reader never waits for a
// writer that was interrupted half-way. It reads again only if the writer turned meanwhile.
//
//	seq even: slot 0 holds          seq odd: slot 1 holds
type latch struct {
	seq   atomic.Uint64
	slots [2]struct{ base, at, mult, limit atomic.Uint64 }
	_     [128 - 9*8]byte // what lies behind belongs to somebody else
}

// publish is the writer's; there is one.
func (t *latch) publish(l line) {
	next := t.seq.Load() + 1
	s := &t.slots[next&1]
	s.base.Store(l.base)
	s.at.Store(l.at)
	s.mult.Store(l.mult)
	s.limit.Store(l.limit)
	t.seq.Store(next)
}

// read is anybody's. Hot path.
func (t *latch) read() line {
	for {
		seq := t.seq.Load()
		s := &t.slots[seq&1]
		l := line{s.base.Load(), s.at.Load(), s.mult.Load(), s.limit.Load()}
		if t.seq.Load() == seq {
			return l
		}
	}
}
