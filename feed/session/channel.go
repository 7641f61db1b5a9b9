package session

import "github.com/tickwire/tickwire/nic"

// Sink takes what a channel delivers. It is called on the lane, once a packet, never once a message.
type Sink interface {
	// Messages hands over count whole messages, the first of which has number first. blocks is valid for the call.
	Messages(blocks []byte, first uint64, count int, at Arrival)
	// Gap says what becomes of messages that are missing. GapLost comes in order with Messages, once for each number that will never
	// come. Where the venue is asked, GapRecovering comes first, at once: what lies between what was delivered and First may still be to come. Each of its
	// numbers is told once more, in order with Messages: in GapClosed, behind it, or in GapLost.
	Gap(g Gap)
	// SessionStart comes before the first message of a session. Everything known from the one before is void. It comes
	// again with the same id when the packet that the session was joined by turned out to lie about where it is, and when the venue counts
	// from 1 again after silence.
	SessionStart(id [10]byte)
	// SessionEnd comes after the last message, when the venue has said that there will be no more. Should messages come
	// all the same, they are delivered, and a further end is told again.
	SessionEnd(id [10]byte)
}

// Arrival is when and how a packet came in.
type Arrival struct {
	TsRecv uint64 // ns since the Unix epoch, 0: not known
	Sent   uint64 // when the venue sent it, likewise
	Stamp  nic.StampSource
	Line   uint8 // 0: A, 1: B, LineRecovery: the venue sent it again
}

// Gap is a stretch of the sequence, both ends inclusive: all of it is missing, has come after all, or is lost.
type Gap struct {
	First, Last uint64
	State       uint8 // tick.Gap…
}

// Channel is the receiving end of one sequence of numbers: of one session at a time, where the venue has sessions.
type Channel struct {
	cfg  Config
	sink Sink

	id        [10]byte
	before    [10]byte // the session before this one; means something from the second on
	next      uint64   // number of the next message to deliver; 0: no session yet
	highest   uint64   // one more than the highest number known to exist
	ended     bool     // the venue said so, and everything came
	ending    uint64   // next number as the end-of-session packet gave it; 0: none seen
	epoch     uint64   // of the last reset that was acted on; 0: none
	resetSent uint64   // when the venue sent that reset; 0: not known
	lastAt    uint64   // lane time of the session's last packet
	known     uint64   // a number of the session that is believed, at least: what is too far ahead is reckoned from there

	far       [2]uint64 // a line: where its last packet, if that was too far ahead, would go on; 0: it was not
	start     uint64    // number of the packet the session was joined by, while nothing else bears it out; else 0
	startLine uint8

	lineNext [2]uint64 // a line: number behind its furthest packet, 0: it had none in this session
	began    uint64    // lane time of the session's first packet
	joinSent uint64    // when the venue sent it; 0: not known
	looked   uint64    // lane time when the lines were last looked after

	busy bool // something is missing, or was at the last Tick
	mold bool // the framing is MoldUDP64's

	Lines    [2]LineCounters
	Recovery LineCounters // of the venue's answers
	Session  Counters
	Ask      AskCounters

	gone  gone
	hold  hold
	holes holes
	skew  skewTable

	told    told
	toldTo  uint64 // what is missing below was told, or is never asked for
	asks    asks
	askedTo uint64
	alerted bool // the link's other end knows of a hole
}

// NewChannel makes a channel that hands everything to sink.
func NewChannel(cfg Config, sink Sink) *Channel {
	cfg.defaults()
	return &Channel{cfg: cfg, mold: cfg.Framing == Mold, sink: sink, hold: newHold(cfg.HoldPackets, cfg.HoldMessages)}
}

// Next is the number of the next message to be delivered, 0 before the first session.
func (c *Channel) Next() uint64 { return c.next }

// ID is the present session's id; zeros before the first.
func (c *Channel) ID() [10]byte { return c.id }

// Follows says that a packet of a session would be looked at, as far as its session goes: it is the present one, or there is none, or that has ended or been
// silent for Quiet. now is the lane's time, ns.
func (c *Channel) Follows(id [10]byte, now uint64) bool {
	return c.next == 0 || id == c.id || c.ended || now >= c.lastAt && now-c.lastAt >= uint64(c.cfg.Quiet)
}

// Ended says that the venue ended the session and everything of it was delivered or named as lost.
func (c *Channel) Ended() bool { return c.ended }

// HoleOpen says that messages are held behind a hole.
func (c *Channel) HoleOpen() bool { return c.holes.n != 0 }

// Skew is the histogram of the time between the first and the second copy of a packet: bucket i counts skews of
// [2^i, 2^(i+1)) ns, the first one everything below 2 ns.
func (c *Channel) Skew() *[SkewBuckets]uint64 { return &c.skew.buckets }

// Packet takes one packet. now is the lane's time in ns; when it is set back, what is waited for is waited for anew. The
// packet's memory is not kept. Hot path.
func (c *Channel) Packet(p *nic.Packet, now uint64) {
	line := &c.Lines[p.Line&1]
	h, blocks, err := c.parse(p.Data)
	if err != nil {
		line.Short++
		return
	}
	if h.Sent < c.resetSent && c.void(now) {
		line.Void++
		return
	}
	if h.Kind >= PacketReset && !c.special(&h, p.Line&1, now) {
		return
	}
	if h.Sequence == 0 {
		line.Zero++
		return
	}
	if c.next == 0 || h.Session != c.id {
		if c.next != 0 && !c.takesOver(&h, now) {
			line.Foreign++
			return
		}
		c.begin(&h, p.Line&1, now)
	} else if h.Sequence == 1 && c.restarted(&h, now) {
		c.begin(&h, p.Line&1, now)
	}
	if (h.Sequence > c.highest || c.far[p.Line&1] != 0) && c.tooFar(&h, p.Line&1) { // the first half is for speed
		line.Far++
		return
	}
	if c.start != 0 {
		c.checkStart(&h, p.Line&1)
	}
	c.lastAt, line.LastAt = now, now
	line.Packets++
	line.Bytes += uint64(len(p.Data))

	count := int(h.Count)
	if count == 0 {
		c.control(&h, p.Line&1, now)
		return
	}
	if h.Sequence+uint64(count) < h.Sequence {
		line.Malformed++
		return
	}
	whole, used := c.walk(blocks, count)
	if whole < count {
		// What it promised and did not bring may not exist: a damaged count must not carry the stream away. If it does, the next packet
		// or heartbeat shows the hole.
		line.Malformed++
	} else if used < len(blocks) {
		line.Trailing++
	}
	c.messages(blocks[:used], h.Sequence, whole, Arrival{TsRecv: p.TsRecv, Sent: h.Sent, Stamp: p.Stamp, Line: p.Line & 1}, now)
	c.passes(p.Line&1, h.Sequence, h.Sequence+uint64(whole))
	if c.ending != 0 {
		c.endIfComplete()
	}
}

// control takes a heartbeat or an end of the session: the numbers before theirs exist.
func (c *Channel) control(h *Header, at uint8, now uint64) {
	line := &c.Lines[at]
	line.Heartbeats++
	if h.Kind == PacketEnd {
		if h.Sequence < c.highest { // later numbers exist: it is not the end
			line.Malformed++
			return
		}
		c.ending = h.Sequence
	}
	c.passes(at, h.Sequence, h.Sequence)
	c.missing(h.Sequence, now)
	c.endIfComplete()
}

// Tick lets time pass: what the venue sent is taken, what was missing for Wait is asked for, and what has been missing for too long is
// given up. Call it once a pass. Hot path: with nothing missing it looks at three words.
func (c *Channel) Tick(now uint64) {
	if link := c.cfg.Link; link != nil && link.pending() {
		c.answers(now)
	}
	if c.busy {
		c.age(now)
	}
	if now-c.looked >= uint64(c.cfg.SilentAfter)/32 { // also when the clock was set back
		c.silence(now)
	}
}

// Paused says that the lane was away for ns: whatever waits has not been waited for meanwhile. What had come lay unread, the other line's
// copy and the venue's answer among it, and must not count as never having come. Hot path: with nothing missing it looks at one word.
func (c *Channel) Paused(ns uint64) {
	if !c.busy {
		return
	}
	c.Session.PausedNs += ns
	for i := range c.holes.n {
		c.holes.i(i).at += ns
	}
	for i := range c.asks.n {
		c.asks.open[i].at += ns
	}
}

// age gives up the holes that were open for too long, and asks for what the others lack.
func (c *Channel) age(now uint64) {
	for c.holes.n != 0 && c.overdue(c.holes.first(), now) {
		c.giveUp(c.holes.first().end)
	}
	if c.cfg.Link != nil {
		c.tell(now)
		c.ask(now)
	}
	c.busy = c.holes.n != 0
	c.gauges()
}

// lastChance times HoldMax is how long a hole that holds nothing up may stay open.
const lastChance = 10

// overdue says that a hole has been open for as long as it may be. One at the tail holds nothing up, above all one that the end of the
// session tells of, when the venue answers for the last time: it may be asked for Tries times first.
func (c *Channel) overdue(hole *hole, now uint64) bool {
	open := since(&hole.at, now)
	if hole.unasked {
		return open >= uint64(c.cfg.Wait)
	}
	if open < uint64(c.cfg.HoldMax) {
		return false
	}
	return c.hold.messages != 0 || c.asks.n == 0 || open/lastChance >= uint64(c.cfg.HoldMax)
}

// gauges brings up to date what is counted of the present.
func (c *Channel) gauges() {
	c.Session.LiveState, c.Session.LiveHoles, c.Session.LiveHeld = uint64(c.State()), uint64(c.holes.n), uint64(c.hold.messages)
	if link := c.cfg.Link; link != nil && c.alerted != (c.holes.n != 0) {
		c.alerted = c.holes.n != 0
		link.alert.Store(c.alerted)
	}
}

// since is the time from *at to now, ns. A clock that was set back starts it anew: whole hours of a difference below zero
// would count as all the time there is.
func since(at *uint64, now uint64) uint64 {
	*at = min(*at, now)
	return now - *at
}

// Flush gives up every hole at once: the input has ended.
func (c *Channel) Flush(now uint64) {
	for c.holes.n != 0 {
		c.giveUp(c.holes.first().end)
	}
	c.gauges()
}
