package session

import (
	"time"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Config of a channel. The zero value works.
type Config struct {
	// Framing is how the venue cuts packets. The default is Mold, MoldUDP64's.
	Framing Framing
	// Wait is how long a hole may stay open for the other line to fill it, before the venue is asked or, without servers, the hole is given up.
	// It costs latency of everything behind the hole, so it should be just above the lines' skew. The default, also for 0, is 2 ms. With more
	// than 256 holes at once the newest share one time, and may stay open for up to twice as long.
	Wait time.Duration
	// HoldPackets bounds the packets kept behind a hole; at the bound the hole is given up at once. Memory is
	// HoldPackets × 9,216 bytes, touched only when used. The default is 4,096.
	HoldPackets int
	// HoldMessages bounds the messages kept behind a hole. The default is 100,000.
	HoldMessages int
	// Quiet is how long the present session must have been silent before a packet of any other session is taken as the
	// channel's new one rather than a stray. Without silence that takes a packet numbered 1, or the present session's end,
	// and never leads back to the session before. After such silence a packet numbered 1 of the present session is its new beginning. The
	// default is 5 s.
	Quiet time.Duration
	// SilentAfter is the time without a packet after which a line that was heard before is silent; heartbeats come each second. It is
	// looked at 32 times in that span. The default is 3 s.
	SilentAfter time.Duration

	// Link leads to the goroutine that asks the venue: Requester.Link. The default is none: holes are given up after Wait.
	Link *Link
	// HoldMax is how long a hole may stay open when the venue is asked, counted from when it was noticed: no message is held back for
	// longer. A hole that holds nothing up, at the tail, may be asked for Tries times first, for ten times as long at most. It should be
	// well above Wait; at or below, there is no time to ask. The default is 50 ms.
	HoldMax time.Duration
	// Retry is how long an answer may take before the same is asked again, of the next server; it doubles each time. The default is 5 ms.
	Retry time.Duration
	// Tries is how often the same messages are asked for, at most; what an answer left out counts anew. The default is 5.
	Tries int
	// AskMessages bounds the messages of a request, 1 to 65,534. An answer is one packet: more than fit are asked for again behind it, one packet after
	// the other, while requests for what follows go in parallel. The default is 64, a packet and a half of small messages.
	AskMessages int
	// AskAtOnce bounds the requests that wait for an answer, 1 to 64. The default is 32.
	AskAtOnce int
	// MostAsked is the largest hole that is asked for, in messages. A larger one, such as before a late start, is given up after Wait: that is
	// a snapshot's business. The default, also for more, is HoldMessages; it is never more than 2^24.
	MostAsked int
}

// mostEverAsked bounds MostAsked.
const mostEverAsked = 1 << 24

func (c *Config) defaults() {
	if c.Framing == nil {
		c.Framing = Mold
	}
	orSpan(&c.Wait, 2*time.Millisecond)
	orSpan(&c.Quiet, 5*time.Second)
	orSpan(&c.SilentAfter, 3*time.Second)
	orSpan(&c.HoldMax, 50*time.Millisecond)
	orSpan(&c.Retry, 5*time.Millisecond)
	orCount(&c.HoldPackets, 4096, 1<<31-1)
	orCount(&c.HoldMessages, 100_000, 1<<31-1)
	orCount(&c.Tries, 5, 32)
	orCount(&c.AskMessages, 64, moldudp64.MaxRequest)
	orCount(&c.AskAtOnce, 32, mostAsks)
	orCount(&c.MostAsked, c.HoldMessages, min(c.HoldMessages, mostEverAsked))
	c.HoldMax = max(c.HoldMax, c.Wait)
}

func orSpan(p *time.Duration, value time.Duration) {
	if *p <= 0 {
		*p = value
	}
}

// orCount takes the default for 0 or less, and most for more.
func orCount(p *int, value, most int) {
	if *p <= 0 {
		*p = value
	}
	*p = min(*p, most)
}
