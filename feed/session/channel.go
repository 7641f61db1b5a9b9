package session

import (
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Sink takes what a channel delivers. It is called on the lane, once a packet, never once a message.
type Sink interface {
	// Messages hands over count whole messages, the first of which has number first. blocks is valid for the call.
	Messages(blocks []byte, first uint64, count int, at Arrival)
	// Gap says that the messages [First, Last] are lost, once for each number. It comes in order with Messages.
	Gap(g Gap)
	// SessionStart comes before the first message of a session. Everything known from the one before is void. It comes
	// again with the same id when the packet that the session was joined by turned out to lie about where it is.
	SessionStart(id [10]byte)
	// SessionEnd comes after the last message, when the venue has said that there will be no more. Should messages come
	// all the same, they are delivered, and a further end is told again.
	SessionEnd(id [10]byte)
}

// Arrival is when and how a packet came in.
type Arrival struct {
	TsRecv uint64 // ns since the Unix epoch, 0: not known
	Stamp  nic.StampSource
	Line   uint8
}

// Gap is a hole in the sequence, both ends inclusive.
type Gap struct {
	First, Last uint64
	State       uint8 // tick.Gap…
}

// Config of a channel. The zero value works.
type Config struct {
	// Wait is how long a hole may stay open for the other line to fill it. It costs latency of everything behind the
	// hole, so it should be just above the lines' skew. The default, also for 0, is 2 ms. With more than 64 holes at once
	// the newest share one time, and may stay open for up to twice as long.
	Wait time.Duration
	// HoldPackets bounds the packets kept behind a hole; at the bound the hole is given up at once. Memory is
	// HoldPackets × 9,216 bytes, touched only when used. The default is 4,096.
	HoldPackets int
	// HoldMessages bounds the messages kept behind a hole. The default is 100,000.
	HoldMessages int
	// Quiet is how long the present session must have been silent before a packet of any other session is taken as the
	// channel's new one rather than a stray. Without silence that takes a packet numbered 1, or the present session's end,
	// and never leads back to the session before. The default is 5 s.
	Quiet time.Duration
}

func (c *Config) defaults() {
	if c.Wait <= 0 {
		c.Wait = 2 * time.Millisecond
	}
	if c.HoldPackets <= 0 {
		c.HoldPackets = 4096
	}
	if c.HoldMessages <= 0 {
		c.HoldMessages = 100_000
	}
	if c.Quiet <= 0 {
		c.Quiet = 5 * time.Second
	}
}

// Channel is the receiving end of one MoldUDP64 session at a time.
type Channel struct {
	cfg  Config
	sink Sink

	id      [10]byte
	before  [10]byte // the session before this one; means something from the second on
	next    uint64   // number of the next message to deliver; 0: no session yet
	highest uint64   // one more than the highest number known to exist
	ended   bool     // the venue said so, and everything came
	ending  uint64   // next number as the end-of-session packet gave it; 0: none seen
	lastAt  uint64   // lane time of the session's last packet
	known   uint64   // a number of the session that is believed, at least: what is too far ahead is reckoned from there

	far       [2]uint64 // a line: where its last packet, if that was too far ahead, would go on; 0: it was not
	start     uint64    // number of the packet the session was joined by, while nothing else bears it out; else 0
	startLine uint8

	hold    hold
	holes   holes
	skew    skewTable
	Lines   [2]LineCounters
	Session Counters
}

// LineCounters count one line. Owned by the lane.
type LineCounters struct {
	Packets    uint64 // of this channel's session, heartbeats included
	Bytes      uint64
	Heartbeats uint64
	Won        uint64 // packets that brought something new
	Duplicates uint64 // packets that brought nothing new: the other line was first, or a repeat
	Short      uint64 // packets without a whole header
	// Malformed packets have a block count or a length that lies: whole blocks before it were used. Or they number messages
	// beyond 2^64-2, or end the session before numbers that exist: dropped.
	Malformed uint64
	Trailing  uint64 // packets with bytes after their last block
	Foreign   uint64 // packets of another session, dropped
	Zero      uint64 // packets that claim number 0, which no session has, dropped
	Far       uint64 // packets that jump ahead by more than is believed of one alone, dropped; and starts that were taken back
	LastAt    uint64 // lane time of the last packet, ns: for the silence alarm
}

// Counters count what a channel did. Owned by the lane.
type Counters struct {
	Sessions     uint64 // sessions begun
	Messages     uint64 // delivered
	Gaps         uint64 // holes noticed
	Filled       uint64 // holes that the other line filled
	Lost         uint64 // stretches of numbers given up, each a Gap
	LostMessages uint64
	HoldFull     uint64 // holes given up because a bound of holding was reached
	HeldPackets  uint64 // packets that had to wait
}

// NewChannel makes a channel that hands everything to sink.
func NewChannel(cfg Config, sink Sink) *Channel {
	cfg.defaults()
	return &Channel{cfg: cfg, sink: sink, hold: newHold(cfg.HoldPackets, cfg.HoldMessages)}
}

// Next is the number of the next message to be delivered, 0 before the first session.
func (c *Channel) Next() uint64 { return c.next }

// ID is the present session's id; zeros before the first.
func (c *Channel) ID() [10]byte { return c.id }

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
	h, blocks, err := moldudp64.Parse(p.Data)
	if err != nil {
		line.Short++
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
		c.begin(&h, p.Line&1)
	}
	if c.tooFar(&h, p.Line&1) {
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
	if h.Count == moldudp64.EndOfSession || count == 0 {
		line.Heartbeats++
		if h.Count == moldudp64.EndOfSession {
			if h.Sequence < c.highest { // later numbers exist: it is not the end
				line.Malformed++
				return
			}
			c.ending = h.Sequence
		}
		c.missing(h.Sequence, now)
		c.endIfComplete()
		return
	}
	if h.Sequence+uint64(count) < h.Sequence {
		line.Malformed++
		return
	}
	whole, used := moldudp64.Walk(blocks, count)
	if whole < count {
		line.Malformed++ // what is missing shows as a hole
	} else if used < len(blocks) {
		line.Trailing++
	}
	c.messages(blocks[:used], h.Sequence, whole, Arrival{TsRecv: p.TsRecv, Stamp: p.Stamp, Line: p.Line}, now)
	if whole < count {
		c.missing(h.Sequence+uint64(count), now)
	}
	if c.ending != 0 {
		c.endIfComplete()
	}
}

// Tick lets time pass: a hole that stayed open for Wait is given up. Call it once a pass.
func (c *Channel) Tick(now uint64) {
	for c.holes.n != 0 && since(&c.holes.first().at, now) >= uint64(c.cfg.Wait) {
		c.giveUp(c.holes.first().end)
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
}

// farthest is how many messages one packet alone may jump ahead: some seconds of the busiest day. A damaged number must not
// take the stream along with it, for everything behind it would then count as old.
const farthest = 1 << 24

// tooFar says that a packet is farther ahead than is believed of one alone. It is believed when the same line's next packet
// goes on from there: the lines were down for long. The other line's is no witness, as it may bring a copy, and must
// not come between either: with a skew, the two alternate.
func (c *Channel) tooFar(h *moldudp64.Header, line uint8) bool {
	c.known = max(c.known, c.highest)
	if h.Sequence <= c.known || h.Sequence-c.known <= farthest {
		c.far[line] = 0
		return false
	}
	if far := c.far[line]; far != 0 && h.Sequence >= far && h.Sequence-far <= farthest {
		c.far = [2]uint64{}
		return false
	}
	c.far[line] = h.Sequence
	if h.Count != moldudp64.EndOfSession {
		c.far[line] += uint64(h.Count)
	}
	return true
}

// checkStart looks after the packet that the session was joined by, which was believed alone. A later number near it bears
// it out. A number far below says that it lied: the session is joined anew, for otherwise everything would count as old.
func (c *Channel) checkStart(h *moldudp64.Header, line uint8) {
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
func (c *Channel) takesOver(h *moldudp64.Header, now uint64) bool {
	if since(&c.lastAt, now) >= uint64(c.cfg.Quiet) {
		return true
	}
	if c.Session.Sessions > 1 && h.Session == c.before {
		return false
	}
	return c.ended || h.Sequence == 1
}

// begin starts the session of h, when the one before, if any, is settled.
func (c *Channel) begin(h *moldudp64.Header, line uint8) {
	if c.next != 0 {
		c.Flush(c.lastAt)
		c.before = c.id
	}
	c.id = h.Session
	c.join(h, line)
}

// join starts counting at 1. A late start is a hole like any other: the other line may be a packet behind, at the start
// of a day above all.
func (c *Channel) join(h *moldudp64.Header, line uint8) {
	c.hold.reset()
	c.skew.reset()
	c.next, c.highest, c.ending, c.ended, c.far = 1, 1, 0, false, [2]uint64{}
	c.known = h.Sequence // a late start may begin anywhere
	c.start, c.startLine = h.Sequence, line
	c.Session.Sessions++
	c.sink.SessionStart(c.id)
}

func (c *Channel) messages(blocks []byte, first uint64, count int, at Arrival, now uint64) {
	line := &c.Lines[at.Line&1]
	end := first + uint64(count)
	switch {
	case count == 0:
		return
	case end <= c.next:
		line.Duplicates++
		c.skew.second(first, at)
		return
	case first > c.next:
		switch c.hold.add(blocks, first, count, at) {
		case holdDuplicate:
			line.Duplicates++
			c.skew.second(first, at)
		case holdFull:
			c.Session.HoldFull++
			c.missing(first, now)
			c.giveUp(min(c.holes.first().end, first)) // not beyond: this packet is at hand
			c.messages(blocks, first, count, at, now) // in order now, or there is room, or the next hole has to go
		case holdAdded:
			line.Won++
			c.Session.HeldPackets++
			c.skew.first(first, at)
			c.missing(first, now)
			c.highest = max(c.highest, end)
		}
		return
	}
	line.Won++
	c.skew.first(first, at)
	c.deliver(blocks, first, count, at)
	c.releaseDue()
}

// deliver hands over what is new of a packet that begins at or before next.
func (c *Channel) deliver(blocks []byte, first uint64, count int, at Arrival) {
	if old := c.next - first; old > 0 {
		blocks = moldudp64.Skip(blocks, int(old))
		first, count = c.next, count-int(old)
	}
	c.next += uint64(count)
	c.highest = max(c.highest, c.next)
	c.Session.Messages += uint64(count)
	c.sink.Messages(blocks, first, count, at)
}

// missing notes that the numbers from highest to end-1 exist and have not come, as a later packet, a heartbeat, or a
// header that promised more says.
func (c *Channel) missing(end, now uint64) {
	if end <= c.highest {
		return
	}
	c.highest = end
	c.holes.add(end, now)
	c.Session.Gaps++
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
			c.Session.Filled += c.holes.close(c.next)
			return
		}
		if h.first+uint64(h.count) > c.next {
			c.deliver(blocks, h.first, h.count, h.at)
		}
		c.hold.pop()
	}
}
