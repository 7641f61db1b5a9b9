package session

import (
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

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
	h, blocks, err := moldudp64.Parse(a.data)
	switch {
	case err != nil:
		line.Short++
		return
	case h.Sequence == 0:
		line.Zero++
		return
	case c.next == 0 || h.Session != c.id:
		line.Foreign++
		return
	}
	line.Packets++
	line.Bytes += uint64(len(a.data))
	line.LastAt = now
	count := int(h.Count)
	if count == 0 || h.Count == moldudp64.EndOfSession {
		line.Heartbeats++
		return
	}
	whole, used := moldudp64.Walk(blocks, count)
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
		_, used = moldudp64.Walk(blocks, count)
	}
	c.answeredBy(h.Sequence, end, a.server)
	c.fill(blocks[:used], h.Sequence, count, Arrival{TsRecv: a.ts, Stamp: nic.StampLoop, Line: LineRecovery})
	if c.ending != 0 {
		c.endIfComplete()
	}
}

// fill puts an answer's messages where they were missing.
func (c *Channel) fill(blocks []byte, first uint64, count int, at Arrival) {
	line, end := &c.Recovery, first+uint64(count)
	if c.gone.has(first, min(end, c.next)) {
		line.Late++
	}
	fresh := c.fresh(first, end)
	if fresh == 0 {
		line.Duplicates++
		return
	}
	if first > c.next {
		if c.hold.add(blocks, first, count, at) != holdAdded {
			c.Ask.NoRoom++
			return
		}
		c.Session.HeldPackets++
	} else {
		c.deliver(blocks, first, count, at)
		c.releaseDue()
	}
	line.Won++
	c.Ask.Recovered += fresh
}

// fresh is how many of [first, end) are missing.
func (c *Channel) fresh(first, end uint64) (n uint64) {
	for first = max(first, c.next); first < end; {
		from, to, ok := c.hold.missing(first, end)
		if !ok {
			break
		}
		n += to - from
		first = to
	}
	return n
}
