package session

// silence looks after each line that was heard once: without a packet for SilentAfter it is silent, until the next one. A session that ended
// is no silence, and a new one gives a line its time anew.
//
// Call it at any time; it looks only 32 times in SilentAfter.
func (c *Channel) silence(now uint64) {
	c.looked = now
	for i := range c.Lines {
		line := &c.Lines[i]
		quiet := min(since(&line.LastAt, now), since(&c.began, now))
		switch {
		case line.LastAt == 0:
		case c.ended || quiet < uint64(c.cfg.SilentAfter):
			line.SilentAt = 0
		case line.SilentAt == 0:
			line.SilentAt = now
			line.Silences++
		}
	}
	c.gauges()
}

// passes notes that a line has a packet with [first, end): what it went past is lost to it, as far as one can tell now.
func (c *Channel) passes(line uint8, first, end uint64) {
	l, was := &c.Lines[line], c.lineNext[line]
	switch {
	case first < was:
		l.Behind++
	case was != 0:
		l.Lost += first - was
	}
	c.lineNext[line] = max(was, end)
}
