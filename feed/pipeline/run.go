package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
)

// Idle says what a lane does when nothing comes.
type Idle uint8

const (
	// IdleBlock sleeps in the kernel until a packet comes: no load, some microseconds of wake-up.
	IdleBlock Idle = iota
	// IdleSpin polls again at once: no wake-up, one core used up.
	IdleSpin
)

// blockFor bounds a sleep, so that timers and the stop flag are looked at.
const blockFor = time.Millisecond

// Waiter is a source that can sleep until something comes.
type Waiter interface {
	// Wait returns when a packet may be there, or after d.
	Wait(d time.Duration) error
}

// Input is where a lane's packets come from.
type Input struct {
	Source nic.Source
	// Route finds the channel of a packet, nil: none, and the packet is counted and dropped.
	Route    func(*nic.Packet) *session.Channel
	Channels []*session.Channel
	Idle     Idle
	// PacketClock makes the packets' own time the lane's: a capture is replayed.
	PacketClock bool
	// Between is called after each pass, on the lane: commands, counters. It may be nil.
	Between func(now uint64)
	// BeforeSleep is called before the lane sleeps in the kernel for want of packets (IdleBlock). It may be nil.
	BeforeSleep func()
}

// Run polls until stop is set, the source ends or fails. What the channels hold back is given up at the end, and
// everything is published. It returns nil at the end of a source.
func (l *Lane) Run(in *Input, stop *atomic.Bool) error {
	l.replay = in.PacketClock
	for !stop.Load() {
		n, err := l.pass(in)
		if err != nil {
			l.finish(in)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("pipeline: %w; %d messages before it are published", err, l.counters.Messages)
		}
		if n == 0 && in.Idle == IdleBlock {
			if w, ok := in.Source.(Waiter); ok {
				if in.BeforeSleep != nil {
					in.BeforeSleep()
				}
				if err := w.Wait(blockFor); err != nil {
					l.finish(in)
					return fmt.Errorf("pipeline: waiting for packets: %w", err)
				}
			}
		}
	}
	l.finish(in)
	return nil
}

// pass takes what is there, publishes it, and lets time pass.
func (l *Lane) pass(in *Input) (int, error) {
	n, err := in.Source.Poll(l.packets)
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
		if c := in.Route(p); c != nil {
			c.Packet(p, l.now)
		} else {
			l.counters.Unrouted++
		}
	}
	for _, c := range in.Channels {
		c.Tick(l.now)
	}
	l.EndPass()
	if in.Between != nil {
		in.Between(l.now)
	}
	if l.err != nil {
		return n, l.err
	}
	return n, err
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
