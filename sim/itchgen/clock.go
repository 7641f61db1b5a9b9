package itchgen

// clock spreads the messages of a phase over its time: bursts, quiet between them, and now and then a microburst of some
// thousand messages within a millisecond. It corrects itself: the phase ends in time.
type clock struct {
	now   uint64 // ns since midnight
	end   uint64 // of the phase
	burst uint64 // events left of the present burst
	step  uint64 // ns between its events, at most
}

const (
	burstStepNs = 1_500
	microburst  = 2_000 // events at least
)

// tick is the time of the next event. left is how many messages the phase has still.
func (c *clock) tick(r *random, left uint64) uint64 {
	if c.burst > 0 {
		c.burst--
		if x := r.next(); x>>63 == 0 { // every other event shares its time with the one before
			c.now = min(c.now+(x>>31&0xFFFFFFFF)*c.step>>32, c.end)
		}
		return c.now
	}
	mean := (c.end - c.now) / max(left, 1)
	c.burst = r.decay() * r.decay()
	c.step = min(mean, burstStepNs)
	if r.below(20_000) == 0 {
		c.burst = min(microburst+r.below(microburst/2), left/8)
		c.step = min(mean, burstStepNs/3)
	}
	c.now = min(c.now+r.spread(mean*(c.burst+1)), c.end)
	return c.now
}
