package session

import "github.com/tickwire/tickwire/tick"

// lose names [next, to) as lost for good and moves next behind it.
func (c *Channel) lose(to uint64) {
	if c.told.n != 0 {
		c.settle(to)
	}
	g := Gap{First: c.next, Last: to - 1, State: tick.GapLost}
	c.Session.LostMessages += to - c.next
	c.gone.add(c.next, to)
	c.next = to
	c.highest = max(c.highest, to)
	c.sink.Gap(g)
}

// gone remembers the stretches that were given up last, so that what comes too late is told from what comes twice.
type gone struct {
	end       uint64 // of the last one
	n         uint64
	stretches [goneKept]stretch
}

const goneKept = 16

func (g *gone) add(first, end uint64) {
	g.stretches[g.n%goneKept] = stretch{first, end}
	g.n++
	g.end = end
}

// has says that one of [first, end) was given up.
func (g *gone) has(first, end uint64) bool {
	if first >= g.end {
		return false
	}
	for i := range min(g.n, goneKept) {
		if s := g.stretches[i]; first < s.end && s.first < end {
			return true
		}
	}
	return false
}

// endIfComplete tells of the session's end when everything before it was delivered or named. Numbers that exist behind it
// say that it was no end.
func (c *Channel) endIfComplete() {
	switch {
	case c.ending == 0:
	case c.highest > c.ending:
		c.ending, c.ended = 0, false
	case !c.ended && c.next == c.ending:
		c.ended = true
		c.gauges()
		c.sink.SessionEnd(c.id)
	}
}
