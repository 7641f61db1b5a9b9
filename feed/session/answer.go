package session

import "github.com/tickwire/tickwire/nic"

// LineRecovery in Arrival.Line says that the venue sent a message again.
const LineRecovery = 2

// answersPerTick bounds the work on answers between two looks at the lines.
const answersPerTick = 32

// answers takes what the venue sent, a bounded number of datagrams.
func (c *Channel) answers(now uint64) {
	link := c.cfg.Link
	for range answersPerTick {
		a, ok := link.answer()
		if !ok {
			return
		}
		c.answer(&a, now)
		link.release()
	}
}

// answer takes one datagram. It has no say on where the stream is: it begins and ends no session, tells of no number, and never costs a held
// packet its place. What contradicts itself is refused whole, for it can be asked for again.
func (c *Channel) answer(a *answer, now uint64) {
	line := &c.Recovery
	h, blocks, err := c.parse(a.data)
	switch {
	case err != nil:
		line.Short++
		return
	case h.Kind == PacketAside:
		line.Aside++
		return
	case h.Sequence == 0:
		line.Zero++
		return
	case c.next == 0 || h.Session != c.id || a.void:
		line.Foreign++
		return
	}
	line.Packets++
	line.Bytes += uint64(len(a.data))
	line.LastAt = now
	count := int(h.Count)
	if count == 0 {
		line.Heartbeats++
		return
	}
	whole, used := c.walk(blocks, count)
	end := h.Sequence + uint64(count)
	if whole < count || end < h.Sequence {
		line.Malformed++
		return
	}
	if used < len(blocks) {
		line.Trailing++
	}
	if h.Sequence >= c.highest {
		line.Far++
		return
	}
	if end > c.highest { // what nobody asked for stays away
		count, end = int(c.highest-h.Sequence), c.highest
		_, used = c.walk(blocks, count)
	}
	c.answeredBy(h.Sequence, end, a.server)
	c.fill(blocks[:used], h.Sequence, count, Arrival{TsRecv: a.ts, Sent: h.Sent, Stamp: nic.StampLoop, Line: LineRecovery})
	if c.ending != 0 {
		c.endIfComplete()
	}
}

// fill puts an answer's messages where they were missing. What a line brought is never replaced.
func (c *Channel) fill(blocks []byte, first uint64, count int, at Arrival) {
	line, end := &c.Recovery, first+uint64(count)
	if c.gone.has(first, min(end, c.next)) {
		line.Late++
	}
	fresh, room := uint64(0), true
	for room {
		from, to, ok := c.hold.missing(max(first, c.next), end)
		if !ok {
			break
		}
		blocks = c.skip(blocks, int(from-first))
		first, count = from, int(to-from)
		_, used := c.walk(blocks, count)
		if from == c.next {
			c.deliver(blocks[:used], from, count, at)
			c.releaseDue()
		} else if room = c.hold.add(blocks[:used], from, count, at) == holdAdded; room {
			c.Session.HeldPackets++
		} else {
			c.Ask.NoRoom++
			break
		}
		fresh += uint64(count)
	}
	c.Ask.Recovered += fresh
	switch {
	case fresh > 0:
		line.Won++
	case room:
		line.Duplicates++
	}
}
