package session

func (c *Channel) messages(blocks []byte, first uint64, count int, at Arrival, now uint64) {
	line := &c.Lines[at.Line&1]
	end := first + uint64(count)
	switch {
	case count == 0:
		return
	case end <= c.next:
		line.Duplicates++
		c.second(first, at)
		if c.gone.has(first, end) {
			line.Late++
		}
		return
	case first > c.next:
		c.early(blocks, first, count, at, now)
		return
	}
	line.Won++
	if c.next < c.highest && first >= c.lineNext[at.Line&1] {
		line.LateWins++
	}
	c.skew.first(first, at)
	c.deliver(blocks, first, count, at)
	if c.holes.n != 0 { // else nothing is held
		c.releaseDue()
	}
}

// early holds a packet that begins behind a hole.
func (c *Channel) early(blocks []byte, first uint64, count int, at Arrival, now uint64) {
	line := &c.Lines[at.Line&1]
	end := first + uint64(count)
	fills := first >= c.lineNext[at.Line&1] && first < c.highest
	if fills {
		_, _, fills = c.hold.missing(first, min(end, c.highest))
	}
	switch c.hold.add(blocks, first, count, at) {
	case holdDuplicate:
		line.Duplicates++
		c.second(first, at)
	case holdFull:
		c.Session.HoldFull++
		c.missing(first, now)
		c.giveUp(min(c.holes.first().end, first)) // not beyond: this packet is at hand
		c.messages(blocks, first, count, at, now) // in order now, or there is room, or the next hole has to go
	case holdAdded:
		line.Won++
		if fills {
			line.LateWins++
		}
		c.Session.HeldPackets++
		c.skew.first(first, at)
		c.missing(first, now)
		c.highest = max(c.highest, end)
	}
}

// second measures the skew of a packet's second copy.
func (c *Channel) second(first uint64, at Arrival) {
	c.Session.SkewNs += c.skew.second(first, at)
}

// deliver hands over what is new of a packet that begins at or before next.
func (c *Channel) deliver(blocks []byte, first uint64, count int, at Arrival) {
	if old := c.next - first; old > 0 {
		blocks = c.skip(blocks, int(old))
		first, count = c.next, count-int(old)
	}
	c.next += uint64(count)
	c.highest = max(c.highest, c.next)
	c.Session.Messages += uint64(count)
	c.sink.Messages(blocks, first, count, at)
	if c.told.n != 0 {
		c.closed()
	}
}

// missing notes that the numbers from highest to end-1 exist and have not come, as a later packet, a heartbeat, or a
// header that promised more says.
func (c *Channel) missing(end, now uint64) {
	if end <= c.highest {
		return
	}
	unasked := c.cfg.Link == nil
	if !unasked && end-c.highest > uint64(c.cfg.MostAsked) {
		unasked = true
		c.Ask.TooLarge++
	}
	c.holes.add(end, now, unasked)
	c.highest, c.busy = end, true
	c.Session.Gaps++
	if c.cfg.Link != nil && !c.alerted {
		c.gauges()
	}
}

// giveUp names every number below end that has not come as lost, and delivers what was held between them.
func (c *Channel) giveUp(end uint64) {
	for c.next < end {
		to := end
		if first, ok := c.hold.lowest(); ok && first < to {
			to = first
		}
		if to > c.next {
			c.Session.Lost++
			c.holes.lose(to)
			c.lose(to)
		}
		c.releaseDue()
	}
	c.endIfComplete()
}

// releaseDue delivers what was held and is in order now.
func (c *Channel) releaseDue() {
	for {
		h, blocks, ok := c.hold.due(c.next)
		if !ok {
			filled, recovered := c.holes.close(c.next)
			c.Session.Filled += filled
			c.Session.Recovered += recovered
			return
		}
		if h.first+uint64(h.count) > c.next {
			c.deliver(blocks, h.first, h.count, h.at)
		}
		c.hold.pop()
	}
}
