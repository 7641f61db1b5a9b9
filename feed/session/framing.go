package session

import "github.com/tickwire/tickwire/parsers/moldudp64"

// PacketKind is what a packet is for.
type PacketKind uint8

// Kinds of packet.
const (
	PacketData      PacketKind = iota // Count messages from Sequence on
	PacketHeartbeat                   // nothing: Sequence is the number of the next message
	PacketEnd                         // the session has ended: Sequence is one more than its last number
	PacketReset                       // Count messages, the first of which begins the sequence anew: Sequence is its number. Epoch tells resets apart
	PacketAside                       // outside the sequence, and nobody's business here: counted
)

// Header is what a packet says of the sequence.
type Header struct {
	Session  [10]byte // the venue's name of it; zeros where the venue has none
	Sequence uint64
	Sent     uint64 // when the venue sent the packet, ns since the Unix epoch; 0: it does not say
	Epoch    uint64 // of PacketReset: ns since the Unix epoch. One that is not later than the last one acted on is a repetition
	Count    uint16
	Kind     PacketKind
}

// Framing is how a venue cuts packets into messages. Its methods are called once a packet, on the lane, and remember nothing: hot path, no
// allocation. Implementations are one each in package parsers' folders.
type Framing interface {
	// Parse reads a packet's header; blocks is what follows, in p's memory. An error refuses the packet.
	Parse(p []byte) (h Header, blocks []byte, err error)
	// Walk counts the whole messages in blocks, at most count, and the bytes they take. A count or a length that lies shows as whole < count.
	Walk(blocks []byte, count int) (whole, used int)
}

// Mold is MoldUDP64's framing.
var Mold Framing = moldFraming{}

type moldFraming struct{}

func (moldFraming) Parse(p []byte) (h Header, blocks []byte, err error) {
	m, blocks, err := moldudp64.Parse(p)
	h = Header{Session: m.Session, Sequence: m.Sequence, Count: m.Count}
	switch m.Count {
	case 0:
		h.Kind = PacketHeartbeat
	case moldudp64.EndOfSession:
		h.Kind, h.Count = PacketEnd, 0
	}
	return h, blocks, err
}

func (moldFraming) Walk(blocks []byte, count int) (whole, used int) {
	return moldudp64.Walk(blocks, count)
}

// parse is Framing.Parse, without an interface between a lane and the framing that most packets have.
func (c *Channel) parse(p []byte) (Header, []byte, error) {
	if c.mold {
		return moldFraming{}.Parse(p)
	}
	return c.cfg.Framing.Parse(p)
}

func (c *Channel) walk(blocks []byte, count int) (whole, used int) {
	if c.mold {
		return moldudp64.Walk(blocks, count)
	}
	return c.cfg.Framing.Walk(blocks, count)
}

// skip drops the first n messages, or all that there are.
func (c *Channel) skip(blocks []byte, n int) []byte {
	_, used := c.walk(blocks, n)
	return blocks[used:]
}

// special takes what is no ordinary packet of the sequence, and says whether it goes on as one. A reset does: it has a number, which most
// often is 1. It comes several times over, on both lines, so it is acted on when its epoch is later than the last one's; and when none was
// seen yet, unless the sequence was joined just now, by what came behind it: then the venue sent that later, as far as it says.
func (c *Channel) special(h *Header, at uint8, now uint64) bool {
	line := &c.Lines[at]
	if h.Kind != PacketReset {
		line.Aside++
		return false
	}
	line.Resets++
	if h.Epoch <= c.epoch {
		return true
	}
	if c.next > 1 && (h.Sequence >= c.next || h.Sequence > 1 && c.gone.has(h.Sequence, h.Sequence+1)) { // numbers go on behind it, or did when it was given up
		c.epoch = h.Epoch // its copy on the other line comes when they have gone on
		return true
	}
	young := c.epoch == 0 && since(&c.began, now) < uint64(c.cfg.Quiet) && (c.joinSent == 0 || h.Epoch <= c.joinSent)
	c.epoch, c.resetSent = h.Epoch, h.Sent
	if c.next == 0 || young {
		return true
	}
	c.begin(h, at, now)
	return true
}

// void says that a packet which the venue sent before the last reset is one of the numbers before it, which the slow line still brings: heartbeats
// and messages with numbers that mean something else by now. It is so for as long as lines may be apart; after that the venue's clock was set back.
func (c *Channel) void(now uint64) bool { return since(&c.began, now) < uint64(c.cfg.Quiet) }
