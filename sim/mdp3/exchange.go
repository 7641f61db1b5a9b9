package mdp3

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/sim/mold"
)

// Options of an exchange. The zero value works: on lo, 10,000 events a second, no loops, no replay, no faults.
type Options struct {
	// Rate is events a second. A market that is opening (Opening() bool) is hurried through it. The default is 10,000.
	Rate float64
	// Channel says how packets are cut.
	Channel ChannelOptions
	// ChannelID is the channel's number, which the replay service and a receiver's configuration have. The default is 310, as mdp3gen's.
	ChannelID int
	// Interfaces that lines A and B leave by; loops leave by A's. The default is lo, and A's for B.
	Interfaces [2]string
	// TTL of packets. On lo it is 0: nothing leaves this host. The default on any other interface is 1: nothing is routed.
	TTL int
	// Lines are groups, delays and faults of the incremental feed; delays are taken as they are. The default groups are GroupA and GroupB.
	Lines mold.LinesOptions

	// Levels, Orders and Definitions are the groups of the loops. The default is none.
	Levels, Orders, Definitions netip.AddrPort
	// LoopEvery is the time between two packets of a loop. The default is 1 ms.
	LoopEvery time.Duration
	// LoopLossPPM are packets of loops of a million that are lost. The default is 0.
	LoopLossPPM uint32
	// Cut has snapshots made in the middle of packets of the incremental feed (Loop.Cut).
	Cut bool

	// ReplayAt is where packets are sent again over TCP, port 0: any free one. The default is nowhere.
	ReplayAt netip.AddrPort
	// Replay are the server's logons and faults, Keep the packets that it has. The default of Keep is 65,536.
	Replay ReplayOptions
	Keep   int

	// ResetEvery sends a channel reset each so long; Restart has numbers begin with 1 again then. The default is never.
	ResetEvery time.Duration
	Restart    bool
	// Linger is how long loops and replay go on after the market's last event. The default is a second.
	Linger time.Duration
	// Heartbeats of loops without content and of an idle feed come as Channel.HeartbeatNs has it.
}

// Counters are what was done.
type Counters struct {
	Events  uint64 `json:"events"`
	Packets uint64 `json:"packets"` // of the incremental feed, heartbeats included
	Last    uint32 `json:"last"`    // number of the latest one
	Strays  uint64 `json:"strays"`  // of a recording: no whole packets
	Resets  uint64 `json:"resets"`
	Ended   bool   `json:"ended"` // the market has: loops and replay linger
	mold.Counters
	LoopPackets [3]uint64      `json:"loop_packets"` // by LoopKind, lost ones not counted
	LoopLost    uint64         `json:"loop_lost"`
	Rounds      [3]uint64      `json:"rounds"` // of loops, begun
	SendFails   uint64         `json:"send_fails"`
	Replay      ReplayCounters `json:"replay"`
}

// Exchange plays a market on sockets. All methods but Run are safe for concurrent use.
type Exchange struct {
	o       Options
	m       Market
	channel *Channel
	lines   *mold.Lines
	senders [2]*udp.Sender
	loops   []looping
	archive *Archive
	replay  *ReplayServer
	random  uint64

	mu sync.Mutex
	c  Counters
}

// looping is a loop on its group.
type looping struct {
	*Loop
	sender *udp.Sender
	next   time.Time
}

// NewExchange opens all sockets, in the network namespace of the calling thread, and sends nothing yet.
func NewExchange(m Market, o Options) (_ *Exchange, err error) {
	o.defaults()
	e := &Exchange{o: o, m: m, archive: NewArchive(o.Keep), random: o.Lines.Seed}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if o.Rate < 0 || o.LoopLossPPM > 1_000_000 || o.LoopEvery < 0 || o.ResetEvery < 0 {
		return nil, fmt.Errorf("mdp3: %g events a second, loops each %s with %d ppm lost, resets each %s: want nothing below 0, and at most all lost", o.Rate, o.LoopEvery, o.LoopLossPPM, o.ResetEvery)
	}
	lineDefaults(&e.o.Lines)
	e.o.Lines.A.Exact, e.o.Lines.B.Exact = true, true
	for i, group := range []netip.AddrPort{e.o.Lines.A.Group, e.o.Lines.B.Group} {
		if e.senders[i], err = udp.NewSender(group, o.Interfaces[i], o.TTL); err != nil {
			return nil, err
		}
	}
	if e.lines, err = mold.NewLinesWith(e.o.Lines, func(line int, _ uint64, packet []byte) error {
		e.send(e.senders[line], packet)
		return nil
	}); err != nil {
		return nil, err
	}
	if e.channel, err = NewChannel(m, o.Channel, e.packet); err != nil {
		return nil, err
	}
	for kind, group := range []netip.AddrPort{o.Levels, o.Orders, o.Definitions} {
		if !group.IsValid() {
			continue
		}
		l := looping{}
		if l.Loop, err = NewLoop(e.channel, LoopKind(kind)); err != nil {
			return nil, err
		}
		l.Cut = o.Cut
		if l.sender, err = udp.NewSender(group, o.Interfaces[0], o.TTL); err != nil {
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	if o.ReplayAt.IsValid() {
		e.replay, err = NewReplayServer(e.archive, o.ReplayAt, o.Replay)
	}
	return e, err
}

func (o *Options) defaults() {
	if o.Rate == 0 {
		o.Rate = 10_000
	}
	if o.ChannelID == 0 {
		o.ChannelID = 310
	}
	if o.Replay.Channel == 0 {
		o.Replay.Channel = o.ChannelID
	}
	if o.Interfaces[0] == "" {
		o.Interfaces[0] = "lo"
	}
	if o.Interfaces[1] == "" {
		o.Interfaces[1] = o.Interfaces[0]
	}
	if o.TTL == 0 && o.Interfaces[0] != "lo" && o.Interfaces[1] != "lo" {
		o.TTL = 1
	}
	if o.LoopEvery == 0 {
		o.LoopEvery = time.Millisecond
	}
	if o.Linger == 0 {
		o.Linger = time.Second
	}
}

// ReplayAddr is where the replay service listens; not valid when there is none.
func (e *Exchange) ReplayAddr() netip.AddrPort {
	if e.replay == nil {
		return netip.AddrPort{}
	}
	return e.replay.Addr()
}

// Archive has what was sent.
func (e *Exchange) Archive() *Archive { return e.archive }

// Counters as of some milliseconds ago while Run runs, and exact after it.
func (e *Exchange) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.c
	if e.replay != nil {
		c.Replay = e.replay.Counters()
	}
	return c
}

// packet is the channel's: to the archive, and on both lines.
func (e *Exchange) packet(sequence uint32, ts uint64, packet []byte) error {
	e.archive.Add(sequence, packet)
	e.mu.Lock()
	e.c.Packets++
	e.c.Last = sequence
	e.mu.Unlock()
	return e.lines.Send(ts, packet)
}

func (e *Exchange) send(s *udp.Sender, packet []byte) {
	if n, err := s.Send([][]byte{packet}); n != 1 || err != nil {
		e.mu.Lock()
		e.c.SendFails++
		e.mu.Unlock()
	}
}

// Run plays until the market has ended and Linger is over, or ctx: the result is nil then. It may be called once; the replay service goes on until Close.
func (e *Exchange) Run(ctx context.Context) error {
	begun := time.Now()
	nextReset := begun.Add(e.o.ResetEvery)
	var ended time.Time
	due, from := 0.0, begun
	for now := begun; ctx.Err() == nil && (ended.IsZero() || now.Sub(ended) < e.o.Linger); now = time.Now() {
		ns := uint64(now.UnixNano())
		if ended.IsZero() {
			due += now.Sub(from).Seconds() * e.o.Rate
			from = now
			if o, ok := e.m.(interface{ Opening() bool }); ok && o.Opening() {
				due = max(due, 64)
			}
			done, err := e.events(&due, ns)
			if err != nil {
				return err
			}
			if done {
				ended = now
				e.mu.Lock()
				e.c.Ended = true
				e.mu.Unlock()
			}
		}
		if e.o.ResetEvery > 0 && now.After(nextReset) {
			nextReset = nextReset.Add(e.o.ResetEvery)
			e.mu.Lock()
			e.c.Resets++
			e.mu.Unlock()
			if err := e.channel.Reset(e.o.Restart); err != nil {
				return err
			}
		}
		if err := errors.Join(e.channel.Due(ns), e.channel.Idle(ns), e.turn(now), e.lines.Advance(ns)); err != nil {
			return err
		}
		e.note()
		time.Sleep(200 * time.Microsecond)
	}
	err := errors.Join(e.channel.Flush(), e.lines.Flush())
	e.note()
	return err
}

// events takes as many as are due, some hundred at most. done: the market has ended.
func (e *Exchange) events(due *float64, now uint64) (done bool, err error) {
	n := 0
	for ; *due >= 1 && n < 512; n++ {
		*due--
		ok, err := e.channel.EventAt(now)
		if err != nil {
			return false, err
		}
		if !ok {
			done = true
			break
		}
	}
	*due = min(*due, 10_000) // what could not be kept up with is not made good in one burst
	e.mu.Lock()
	e.c.Events += uint64(n)
	e.mu.Unlock()
	return done, nil
}

// turn sends the loops' packets that are due.
func (e *Exchange) turn(now time.Time) error {
	for i := range e.loops {
		l := &e.loops[i]
		if l.next.IsZero() {
			l.next = now
		}
		for n := 0; !now.Before(l.next) && n < 16; n++ {
			l.next = l.next.Add(e.o.LoopEvery)
			packet, err := l.Next(uint64(now.UnixNano()))
			if err != nil {
				return err
			}
			lost := e.lose()
			e.mu.Lock()
			e.c.Rounds[l.kind] = l.Rounds
			if lost {
				e.c.LoopLost++
			} else {
				e.c.LoopPackets[l.kind]++
			}
			e.mu.Unlock()
			if !lost {
				e.send(l.sender, packet)
			}
		}
		if now.After(l.next) {
			l.next = now
		}
	}
	return nil
}

// lose draws whether a loop's packet is lost (splitmix64).
func (e *Exchange) lose() bool {
	e.random += 0x9E3779B97F4A7C15
	z := e.random
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return (z^z>>31)%1_000_000 < uint64(e.o.LoopLossPPM)
}

func (e *Exchange) note() {
	e.mu.Lock()
	e.c.Counters = e.lines.Counters()
	e.mu.Unlock()
}

// Close ends the replay service and closes everything. Run has returned before.
func (e *Exchange) Close() error {
	var errs []error
	for i, s := range e.senders {
		if s != nil {
			errs = append(errs, s.Close())
			e.senders[i] = nil
		}
	}
	for _, l := range e.loops {
		if l.sender != nil {
			errs = append(errs, l.sender.Close())
		}
	}
	e.loops = nil
	if e.replay != nil {
		errs = append(errs, e.replay.Close())
		e.replay = nil
	}
	return errors.Join(errs...)
}
