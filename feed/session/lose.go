package session

import "github.com/tickwire/tickwire/tick"

// lose names [next, to) as lost for good and moves next behind it.
func (c *Channel) lose(to uint64) {
	g := Gap{First: c.next, Last: to - 1, State: tick.GapLost}
	c.Session.LostMessages += to - c.next
	c.next = to
	c.highest = max(c.highest, to)
	c.sink.Gap(g)
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
		c.sink.SessionEnd(c.id)
	}
}
