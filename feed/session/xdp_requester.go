package session

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// XDPOptions of an XDPRequester. Product, Channel and Groups must be given.
type XDPOptions struct {
	// Product and Channel that are asked for: product_id and channel_id of the venue.
	Product, Channel uint8
	// Groups are the channel's retransmission channels, one or both lines.
	Groups []udp.Group
	// Idle is how often the link is looked at while nothing is missing, as RequesterOptions has it. The default is 2 ms.
	Idle time.Duration
	// Keep is for how long after it was asked for something is taken from the retransmission channel, which carries what all clients asked for.
	// The default is 5 s.
	Keep time.Duration
}

// XDPCounters count what became of requests and of what came on the retransmission channel.
type XDPCounters struct {
	Sent        uint64 // requests
	Unsent      uint64 // there was no connection, or it failed: the lane asks again
	Accepted    uint64
	Refused     uint64 // with a status, or by the day's limit: the lane was told that the range will not come
	Unanswered  uint64 // no response: the lane asks again
	Received    uint64 // datagrams
	Heartbeats  uint64 // of those
	Handed      uint64 // to the lane
	Others      uint64 // what this channel did not ask for, or not lately
	Unavailable uint64 // messages 31 of ranges that were asked for
	Malformed   uint64 // no packet, or none that this channel carries, dropped
	Dropped     uint64 // there was no room on the link: the lane is behind
	ReadFails   uint64 // errors of the sockets
}

// XDPRequester asks an NYSE venue for a channel (XDP common client specification, retransmission): requests go by the client's TCP connection, and
// what comes back by multicast is handed over as whole packets, as the lines bring them. Ranges that the venue cannot supply, and those that
// it refuses, are told to the lane at once.
//
//	Link ──requests──► send ──► xdprequest.Client ──► request server
//	Link ◄──refusals──────────────── status ◄───────────┘
//	Link ◄──answers─── read ◄── retransmission channel    flags 13, 15
//	Link ◄──refusals── read ◄──────────┘                  flag 21, message 31
//
// Configure says how a channel asks: requests are counted by the venue, so they are few and large, and an answer of several packets takes its
// time.
type XDPRequester struct {
	link   *Link
	client *xdprequest.Client
	o      XDPOptions
	src    *udp.Source
	closed atomic.Bool
	done   sync.WaitGroup
	c      struct {
		sent, unsent, accepted, refused, unanswered, received, heartbeats, handed, others, unavailable, malformed, dropped, readFails atomic.Uint64
	}

	mu    sync.Mutex // of asked, and of refusing
	asked [xdpAsked]xdpRange
}

// xdpRange is a closed range that was asked for.
type xdpRange struct {
	begin, end uint64
	generation uint32
	until      time.Time
}

const (
	xdpAsked = 256 // ranges that are remembered: the one that ends first gives way
	readWait = 20 * time.Millisecond
	readOnce = 64
)

// NewXDPRequester joins the retransmission channel and starts asking. The client stays the caller's, for other channels too. It fails when a group
// cannot be joined.
func NewXDPRequester(client *xdprequest.Client, o XDPOptions) (*XDPRequester, error) {
	if client == nil || len(o.Groups) == 0 {
		return nil, errors.New("session: XDP retransmission: want a client and a group")
	}
	link, err := newLink(1, linkBytes)
	if err != nil {
		return nil, err
	}
	link.several = true
	if o.Idle <= 0 {
		o.Idle = 2 * time.Millisecond
	}
	if o.Keep <= 0 {
		o.Keep = 5 * time.Second
	}
	r := &XDPRequester{link: link, client: client, o: o}
	if r.src, err = udp.Open(udp.Options{Groups: o.Groups}); err != nil {
		return nil, fmt.Errorf("session: XDP retransmission: %w", err)
	}
	r.done.Go(r.send)
	r.done.Go(r.read)
	return r, nil
}

// Link is the lane's end: Config.Link of one channel, no more.
func (r *XDPRequester) Link() *Link { return r.link }

// Configure gives a channel's settings the link, and where they are 0 what suits the venue: requests of 1,000 messages, 8 at once, each with 20 ms
// for its answer to begin.
func (r *XDPRequester) Configure(c *Config) {
	c.Link = r.link
	orSpan(&c.Retry, 20*time.Millisecond)
	orCount(&c.AskMessages, xdp.MostRetransmitted, xdp.MostRetransmitted)
	orCount(&c.AskAtOnce, 8, mostAsks)
}

// Leave leaves the retransmission groups on the interface with an index, and Rejoin joins them again, after a link that was down: as udp.Source's.
func (r *XDPRequester) Leave(index int)        { r.src.Leave(index) }
func (r *XDPRequester) Rejoin(index int) error { return r.src.Rejoin(index) }

// Close ends both goroutines and waits for them. The lane may go on using its link: nothing comes any more.
func (r *XDPRequester) Close() error {
	r.closed.Store(true)
	r.done.Wait()
	return r.src.Close()
}

// Counters so far. Safe to call at any time; it does not allocate.
func (r *XDPRequester) Counters() XDPCounters {
	return XDPCounters{
		Sent: r.c.sent.Load(), Unsent: r.c.unsent.Load(), Accepted: r.c.accepted.Load(), Refused: r.c.refused.Load(), Unanswered: r.c.unanswered.Load(),
		Received: r.c.received.Load(), Heartbeats: r.c.heartbeats.Load(), Handed: r.c.handed.Load(), Others: r.c.others.Load(),
		Unavailable: r.c.unavailable.Load(), Malformed: r.c.malformed.Load(), Dropped: r.c.dropped.Load(), ReadFails: r.c.readFails.Load(),
	}
}

// send sends what is queued, as Requester does.
func (r *XDPRequester) send() {
	for !r.closed.Load() {
		q, ok := r.link.asked()
		if !ok {
			if r.link.alert.Load() {
				time.Sleep(min(lookEvery, r.o.Idle))
			} else {
				time.Sleep(r.o.Idle)
			}
			continue
		}
		for first, end := q.first, q.first+uint64(q.count); first < end; first += xdp.MostRetransmitted {
			r.ask(xdpRange{begin: first, end: min(end, first+xdp.MostRetransmitted) - 1, generation: q.generation})
		}
	}
}

// ask asks for one range, at most as large as is allowed.
func (r *XDPRequester) ask(a xdpRange) {
	if a.begin == 0 || a.end > 1<<32-1 { // no number of this protocol
		r.refuse(a)
		return
	}
	r.remember(a)
	err := r.client.Retransmission(r.o.Product, r.o.Channel, uint32(a.begin), uint32(a.end), func(o xdprequest.Outcome) {
		switch {
		case o.Accepted():
			r.c.accepted.Add(1)
		case o.Err != nil:
			r.c.unanswered.Add(1)
		default:
			r.refuse(a)
		}
	})
	switch {
	case err == nil:
		r.c.sent.Add(1)
	case errors.Is(err, xdprequest.ErrQuota):
		r.refuse(a)
	default:
		r.c.unsent.Add(1)
	}
}

// refuse tells the lane that a range will not come.
func (r *XDPRequester) refuse(a xdpRange) {
	r.c.refused.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link.refuse(a.begin, a.end+1, a.generation) // no room: the lane waits as long as ever
}

// remember notes what was asked for.
func (r *XDPRequester) remember(a xdpRange) {
	a.until = time.Now().Add(r.o.Keep)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := 0
	for i := range r.asked {
		switch b := &r.asked[i]; {
		case b.begin == a.begin && b.end == a.end && b.generation == a.generation:
			b.until = a.until
			return
		case b.until.Before(r.asked[at].until):
			at = i
		}
	}
	r.asked[at] = a
}

// read takes what the retransmission channel brings until the requester is closed.
func (r *XDPRequester) read() {
	var packets [readOnce]nic.Packet
	for !r.closed.Load() {
		n, err := r.src.Poll(packets[:])
		if err != nil {
			r.c.readFails.Add(1)
			time.Sleep(lookEvery) // should it fail for good, then without a load
		}
		for i := range n {
			r.take(&packets[i])
		}
		if n == 0 {
			_ = r.src.Wait(readWait)
		}
	}
}

// take looks at one packet.
func (r *XDPRequester) take(p *nic.Packet) {
	r.c.received.Add(1)
	h, blocks, err := xdp.ParsePacket(p.Data)
	switch {
	case err != nil:
		r.c.malformed.Add(1)
	case h.Kind == xdp.PacketHeartbeat:
		r.c.heartbeats.Add(1)
	case h.Kind == xdp.PacketUnavailable:
		r.unavailable(blocks, int(h.Count))
	case h.Flag != xdp.DeliveryRetransmit && h.Flag != xdp.DeliveryRetransmitPart:
		r.c.malformed.Add(1)
	default:
		generation, wanted := r.wanted(uint64(h.Sequence), uint64(h.Sequence)+uint64(h.Count)-1)
		switch {
		case !wanted:
			r.c.others.Add(1)
		case !r.link.putOf(generation, 0, p.TsRecv, p.Data):
			r.c.dropped.Add(1)
		default:
			r.c.handed.Add(1)
		}
	}
}

// wanted says that some of a closed range was asked for lately, and in which count of numbers: the present one.
func (r *XDPRequester) wanted(begin, end uint64) (generation uint32, ok bool) {
	now, generation := time.Now(), r.link.generation.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.asked {
		if a := &r.asked[i]; a.begin <= end && begin <= a.end && a.generation == generation && now.Before(a.until) {
			return generation, true
		}
	}
	return generation, false
}

// unavailable takes messages 31. What others asked for may still come on the lines, so only what was asked for here counts.
func (r *XDPRequester) unavailable(blocks []byte, count int) {
	for range count {
		var m []byte
		if m, blocks = xdp.Next(blocks); m == nil {
			r.c.malformed.Add(1)
			return
		}
		u, ok := xdp.ParseUnavailable(m)
		if xdp.Type(m) != xdp.TypeMessageUnavailable || !ok || u.Begin > u.End {
			r.c.malformed.Add(1)
			continue
		}
		if u.Product != r.o.Product || u.Channel != r.o.Channel {
			r.c.others.Add(1)
			continue
		}
		r.refuseAsked(uint64(u.Begin), uint64(u.End))
	}
}

// refuseAsked tells the lane of what it asked for of a closed range.
func (r *XDPRequester) refuseAsked(begin, end uint64) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := false
	for i := range r.asked {
		a := &r.asked[i]
		if a.begin > end || begin > a.end || !now.Before(a.until) {
			continue
		}
		mine = true
		r.link.refuse(max(begin, a.begin), min(end, a.end)+1, a.generation)
		if begin <= a.begin && a.end <= end {
			a.until = time.Time{} // all of it: nothing is waited for any more
		}
	}
	if mine {
		r.c.unavailable.Add(1)
	} else {
		r.c.others.Add(1)
	}
}
