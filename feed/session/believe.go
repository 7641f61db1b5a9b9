package session

// farthest is how many messages one packet alone may jump ahead: some tenths of a second of the busiest day's peak. Lines that were down for
// longer lose one packet more each, among all those: their second one is believed. A damaged number must not
// take the stream along with it, for everything behind it would then count as old.
const farthest = 1 << 17

// tooFar says that a packet is farther ahead than is believed of one alone. It is believed when the same line's next packet
// goes on from there: the lines were down for long. The other line's is no witness, as it may bring a copy, and must
// not come between either: with a skew, the two alternate.
func (c *Channel) tooFar(h *Header, line uint8) bool {
	c.known = max(c.known, c.highest)
	if h.Sequence <= c.known || h.Sequence-c.known <= farthest {
		c.far[line] = 0
		return false
	}
	if far := c.far[line]; far != 0 && h.Sequence >= far && h.Sequence-far <= farthest {
		c.far = [2]uint64{}
		return false
	}
	c.far[line] = h.Sequence + uint64(h.Count)
	return true
}

// checkStart looks after the packet that the session was joined by, which was believed alone. A later number near it bears
// it out. A number far below says that it lied: the session is joined anew, for otherwise everything would count as old.
func (c *Channel) checkStart(h *Header, line uint8) {
	switch {
	case h.Sequence > c.start:
		c.start = 0
	case c.start-h.Sequence > farthest:
		c.Lines[c.startLine].Far++
		c.holes.n = 0 // nothing is missing where nothing is
		c.join(h, line)
	}
}

// takesOver decides whether a packet of another session is the channel's new session: when the present one has ended
// or fallen silent, or when the new one starts at its beginning. What a slow line still brings of the session before
// does not count, unless there is silence.
func (c *Channel) takesOver(h *Header, now uint64) bool {
	if since(&c.lastAt, now) >= uint64(c.cfg.Quiet) {
		return true
	}
	if c.Session.Sessions > 1 && h.Session == c.before {
		return false
	}
	return c.ended || h.Sequence == 1
}

// restarted says that the present session counts from 1 again, which the venue's rules have as a new day or a failover: after
// silence, for a packet that is only late comes sooner.
func (c *Channel) restarted(h *Header, now uint64) bool {
	return c.next > 1 && h.Kind != PacketEnd && since(&c.lastAt, now) >= uint64(c.cfg.Quiet)
}

// begin starts the session of h, when the one before, if any, is settled.
func (c *Channel) begin(h *Header, line uint8, now uint64) {
	if c.next != 0 {
		c.Flush(c.lastAt)
		if h.Session != c.id {
			c.before = c.id
		}
	}
	c.id, c.began = h.Session, now
	c.join(h, line)
}

// join starts counting at 1. A late start is a hole like any other: the other line may be a packet behind, at the start
// of a day above all.
func (c *Channel) join(h *Header, line uint8) {
	c.hold.reset()
	c.skew.reset()
	c.next, c.highest, c.ending, c.ended, c.far = 1, 1, 0, false, [2]uint64{}
	c.known = h.Sequence // a late start may begin anywhere
	c.start, c.startLine, c.joinSent = h.Sequence, line, h.Sent
	if h.Sequence <= farthest { // nothing is so far below that it could say otherwise
		c.start = 0
	}
	c.told.n, c.toldTo, c.asks.n, c.askedTo, c.gone = 0, 0, 0, 0, gone{}
	for i := range c.lineNext {
		c.lineNext[i] = 0
		if h.Sequence == 1 && c.Lines[i].LastAt != 0 {
			c.lineNext[i] = 1 // the session's first packet counts, on a line that is up
		}
	}
	c.Session.Sessions++
	if c.cfg.Link != nil {
		c.cfg.Link.count(uint32(c.Session.Sessions))
	}
	c.gauges()
	c.sink.SessionStart(c.id)
}
