package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/ringbuf"
)

// Idle says what a lane does when nothing comes.
type Idle uint8

const (
	// IdleBlock sleeps in the kernel until a packet comes: no load, some microseconds of wake-up.
	IdleBlock Idle = iota
	// IdleSpin polls again at once: no wake-up, one core used up.
	IdleSpin
	// IdleBusyPoll has the driver look for packets, in the lane's own context, and polls again: one core for the driver
	// and the lane together. With a source that cannot (BusyPoller) it is IdleSpin.
	IdleBusyPoll
)

// ParseIdle reads a policy's name as the configuration has it: block, spin or busy-poll.
func ParseIdle(s string) (Idle, error) {
	for i, name := range [...]string{"block", "spin", "busy-poll"} {
		if s == name {
			return Idle(i), nil
		}
	}
	return 0, fmt.Errorf("pipeline: idle = %q, want block, spin or busy-poll", s)
}

const (
	// blockFor bounds a sleep, so that timers and the stop flag are looked at.
	blockFor = time.Millisecond
	// awayNs is how long a pass may take; beyond, the lane was away.
	awayNs = 5_000_000
	// mostFull bounds the polls for which no time passes: 16,384 packets, as many as wait for two lines at most.
	mostFull = 256
	// betweenNs is how often a lane whose P is pinned goes out for Between: each time it can be stopped.
	betweenNs = 100_000
)

// Waiter is a source that can sleep until something comes.
type Waiter interface {
	// Wait returns when a packet may be there, or after d.
	Wait(d time.Duration) error
}

// BusyPoller is a source that can have the driver look for packets in the caller's context.
type BusyPoller interface {
	// BusyPoll does so once, without waiting.
	BusyPoll() error
}

// Input is where a lane's packets come from, and how they are waited for.
//
// With a Window the lane's P is pinned but for its windows. What then runs pinned is Poll (PollPinned), Route, the channels,
// the parser, books, expansion and publication: plain code over memory that is there, with an allocation where an
// instrument is met for the first time. None of it takes a lock, enters the scheduler or waits; package pin says why that
// is the measure. The lane goes out for everything else: the calendar, Between, Tap, and Poll of other sources. So a lane
// with a Window must not have gated rings: their writer waits.
type Input struct {
	Source nic.Source
	// Direct takes packets in the place of Route and Channels, of a source whose messages are in order already: a TCP session's. It publishes
	// through a Stream. Route is not called then.
	Direct func(p *nic.Packet, now uint64)
	// Route finds the channel of a packet, nil: none, and the packet is counted and dropped.
	Route    func(*nic.Packet) *session.Channel
	Channels []*session.Channel
	Idle     Idle
	// Window pins the P. It is not used with IdleBlock, where the lane gives it away each time it sleeps, nor with
	// PacketClock. The default, nil, is never to pin.
	Window *pin.Window
	// PollPinned says that Poll and BusyPoll of Source may be called with the P pinned: they enter the kernel by RawSyscall
	// only, take no lock and do not panic.
	PollPinned bool
	// PacketClock makes the packets' own time the lane's: a capture is replayed.
	PacketClock bool
	// Between is called after each pass, on the lane: commands, counters. Under a Window it is called each 100 µs at most.
	// It may be nil.
	Between func(now uint64)
	// BeforeSleep is called before the lane sleeps in the kernel for want of packets (IdleBlock). It may be nil.
	BeforeSleep func()
	// Tap is given the packets of a poll, once they are published, while it is on. It may be nil.
	Tap Tap
	// Latency is measured where it is given.
	Latency *Latency

	Counters RunCounters

	window   *pin.Window // Window while it is in use
	outside  *pin.Window // the same for sources that are not polled pinned
	busy     BusyPoller  // of IdleBusyPoll
	waiter   Waiter      // of IdleBlock
	lastOuts uint64      // when Between was called last
	ticked   uint64      // lane time of the last pass; 0: none
	full     int         // polls in a row that came back full, and for which no time passed
}

// Tap takes packets for somebody else. Packets are valid for the call, and it must not wait for anybody.
type Tap interface {
	On() bool
	Take(packets []nic.Packet)
}

// Latency is what a lane's packets take, by stages. Owned by the lane.
type Latency struct {
	Polled    hist.Hist // from a packet's stamp to the poll that brought it; not of packets without a stamp
	Pass      hist.Hist // from a poll that brought something to its records in the rings
	Published hist.Hist // from the stamp of a poll's first packet, which waited longest, to its last record in the rings
}

// measure notes what a pass took. Time is read once a pass: before, by the loop; behind the books, by the last publication.
func (l *Lane) measure(in *Input, n int) {
	m := in.Latency
	if m == nil || in.PacketClock {
		return
	}
	for i := range l.packets[:n] {
		m.Polled.Span(l.packets[i].TsRecv, l.now)
	}
	if l.publish >= l.now {
		m.Pass.Record(l.publish - l.now)
		m.Published.Span(l.packets[0].TsRecv, l.publish)
	}
}

// RunCounters count what a lane polled. Owned by the lane.
type RunCounters struct {
	Polls         uint64 // of the source
	IdlePolls     uint64 // of them, those that brought nothing
	BusyPolls     uint64 // times that the driver was asked to look
	Sleeps        uint64 // in the kernel, for want of packets
	StampHardware uint64 // packets by who stamped them: the NIC,
	StampKernel   uint64 // the kernel or the receive program,
	StampLoop     uint64 // nobody, so the lane's clock stands for it,
	StampFile     uint64 // whoever recorded them
}

// Stamps is the poorest source that stamped a packet since before.
func (c *RunCounters) Stamps(before *RunCounters) nic.StampSource {
	switch {
	case c.StampLoop != before.StampLoop:
		return nic.StampLoop
	case c.StampFile != before.StampFile:
		return nic.StampFile
	case c.StampKernel != before.StampKernel:
		return nic.StampKernel
	case c.StampHardware != before.StampHardware:
		return nic.StampHardware
	}
	return nic.StampNone
}

// Run polls until stop is set, the source ends or fails. What the channels hold back is given up at the end, and
// everything is published. It returns nil at the end of a source. The goroutine must be locked to its thread when there is
// a Window.
func (l *Lane) Run(in *Input, stop *atomic.Bool) error {
	l.replay = in.PacketClock
	in.waiter, in.busy, in.window, in.outside = nil, nil, nil, nil
	in.ticked, in.full = 0, 0
	switch in.Idle {
	case IdleBlock:
		in.waiter, _ = in.Source.(Waiter)
	case IdleBusyPoll:
		in.busy, _ = in.Source.(BusyPoller)
	}
	if in.Idle != IdleBlock && !in.PacketClock {
		in.window = in.Window
	}
	l.window = in.window
	if !in.PollPinned {
		in.outside = in.window
	}
	if in.window != nil {
		gated := false
		l.out.each(func(w *ringbuf.Writer) { gated = gated || w.Header().Gated })
		if gated {
			return errors.New("pipeline: a lane that pins its P has a private ring, and would wait for its reader; not started")
		}
		defer l.pinned(in)()
	}
	for !stop.Load() {
		n, err := l.pass(in)
		if err == nil && n == 0 {
			err = l.idle(in)
		}
		if err != nil {
			in.window.Leave() // what follows formats, and may lock
			l.finish(in)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("pipeline: %w; %d messages before it are published", err, l.counters.Messages)
		}
		in.window.Check(l.now)
	}
	in.window.Leave()
	l.finish(in)
	return nil
}

// pinned pins the P, has the calendar, which reads files, asked outside, and returns what undoes both.
func (l *Lane) pinned(in *Input) func() {
	w, midnight := in.window, l.midnight
	l.midnight = func(now uint64) (uint64, error) {
		was := w.Out()
		day, err := midnight(now)
		w.In(was)
		return day, err
	}
	l.now = l.clock()
	w.Enter(l.now)
	return func() {
		w.Leave()
		l.midnight = midnight
	}
}

// pass takes what is there, publishes it, and lets time pass.
func (l *Lane) pass(in *Input) (int, error) {
	was := in.outside.Out()
	n, err := in.Source.Poll(l.packets)
	in.outside.In(was)
	in.Counters.Polls++
	if !in.PacketClock {
		l.now = l.clock()
	}
	for i := range l.packets[:n] {
		p := &l.packets[i]
		if in.PacketClock {
			l.now = max(l.now, p.TsRecv)
			for _, c := range in.Channels {
				c.Tick(l.now)
			}
		}
		in.Counters.stamp(p.Stamp)
		if in.Direct != nil {
			in.Direct(p, l.now)
			continue
		}
		if c := in.Route(p); c != nil {
			c.Packet(p, l.now)
		} else {
			l.counters.Unrouted++
		}
	}
	l.tick(in, n)
	l.EndPass()
	if n > 0 {
		l.measure(in, n)
		if in.Tap != nil && in.Tap.On() {
			was := in.window.Out()
			in.Tap.Take(l.packets[:n])
			in.window.In(was)
		}
	}
	if in.Between != nil {
		l.between(in)
	}
	if l.err != nil {
		return n, l.err
	}
	return n, err
}

// tick lets time pass for what the channels wait for. While polls come back full it does not: what fills a hole may lie in the rest. Nor
// does the time count that the lane itself was away, when the kernel gave its core to somebody else.
func (l *Lane) tick(in *Input, n int) {
	if !in.PacketClock {
		if away := l.now - in.ticked; in.ticked != 0 && away > awayNs && away < 1<<62 { // a clock that was set back is a large difference
			for _, c := range in.Channels {
				c.Paused(away - awayNs)
			}
		}
		in.ticked = l.now
		if n == len(l.packets) && in.full < mostFull {
			in.full++
			return
		}
		in.full = 0
	}
	for _, c := range in.Channels {
		c.Tick(l.now)
	}
}

// between calls Between when it is time to.
func (l *Lane) between(in *Input) {
	if in.window.Pinned() && l.now-in.lastOuts < betweenNs { // a clock that was set back is a large difference
		return
	}
	in.lastOuts = l.now
	was := in.window.Out()
	in.Between(l.now)
	in.window.In(was)
}

// idle does what the policy says when nothing came.
func (l *Lane) idle(in *Input) error {
	in.Counters.IdlePolls++
	switch {
	case in.waiter != nil:
		if in.BeforeSleep != nil {
			in.BeforeSleep()
		}
		in.Counters.Sleeps++
		if err := in.waiter.Wait(blockFor); err != nil {
			return fmt.Errorf("waiting for packets: %w", err)
		}
	case in.busy != nil:
		in.Counters.BusyPolls++
		was := in.outside.Out()
		err := in.busy.BusyPoll()
		in.outside.In(was)
		return err
	}
	return nil
}

func (c *RunCounters) stamp(s nic.StampSource) {
	switch s {
	case nic.StampHardware:
		c.StampHardware++
	case nic.StampKernel:
		c.StampKernel++
	case nic.StampFile:
		c.StampFile++
	default:
		c.StampLoop++
	}
}

func (l *Lane) finish(in *Input) {
	for _, c := range in.Channels {
		c.Flush(l.now)
	}
	l.EndPass()
	if in.Between != nil {
		in.Between(l.now)
	}
}
