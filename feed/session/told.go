package session

import "github.com/tickwire/tickwire/tick"

// told are the stretches of numbers that were told as recovering: ascending, apart, each until all of it was told as closed or lost.
//
//	next … [first, end) … [first, end) … toldTo       what is missing below toldTo is in one of them, or is never asked for
//
// Bounded: with mostTold open at once, what else is missing is told when a place gets free, or given up in its time.
type told struct {
	stretches [mostTold]stretch
	at        int // of the first
	n         int
}

type stretch struct{ first, end uint64 }

const mostTold = 256

func (t *told) i(i int) *stretch { return &t.stretches[(t.at+i)%mostTold] }

func (t *told) add(s stretch) {
	t.n++
	*t.i(t.n - 1) = s
}

func (t *told) drop() {
	t.at = (t.at + 1) % mostTold
	t.n--
}

// tell says of each hole that was open for Wait what it still lacks: from now on the venue is asked for that.
func (c *Channel) tell(now uint64) {
	if c.start != 0 {
		return // where the stream is has one packet's word only
	}
	from := max(c.toldTo, c.next)
	for i := range c.holes.n {
		hole := c.holes.i(i)
		if hole.end <= from {
			continue
		}
		if since(&hole.at, now) < uint64(c.cfg.Wait) {
			break
		}
		for !hole.unasked && c.told.n < mostTold {
			first, end, ok := c.hold.missing(from, hole.end)
			if !ok {
				from = hole.end
				break
			}
			hole.told = true
			c.told.add(stretch{first, end})
			c.Ask.Asked++
			c.Ask.AskedMessages += end - first
			c.sink.Gap(Gap{First: first, Last: end - 1, State: tick.GapRecovering})
			from = end
		}
		if hole.unasked {
			from = hole.end
		}
		if from < hole.end {
			break // no place
		}
	}
	c.toldTo = max(c.toldTo, from)
}

// closed says of what was told as recovering, and has been delivered, that it came.
func (c *Channel) closed() {
	for c.told.n > 0 && c.told.i(0).end <= c.next {
		s := c.told.i(0)
		if s.first < s.end {
			c.close(s.first, s.end)
		}
		c.told.drop()
	}
}

// settle takes [next, to) out of what was told, for it is lost. Of a stretch that has come up to there, that much is closed.
func (c *Channel) settle(to uint64) {
	for c.told.n > 0 && c.told.i(0).first < to {
		s := c.told.i(0)
		if s.first < c.next {
			c.close(s.first, c.next)
		}
		s.first = min(to, s.end)
		if s.first < s.end {
			return
		}
		c.told.drop()
	}
}

func (c *Channel) close(first, end uint64) {
	c.Ask.Closed++
	c.sink.Gap(Gap{First: first, Last: end - 1, State: tick.GapClosed})
}
