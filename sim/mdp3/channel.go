package mdp3

import (
	wire "github.com/tickwire/tickwire/parsers/mdp3"
)

// Market is where events and the state behind them come from. Package mdp3gen has one.
type Market interface {
	// Next appends the messages of the next event; ok is false, and nothing appended, after the last one.
	Next(dst []byte) (out []byte, ok bool)
	// NextAt is Next at a time, ns since the Unix epoch.
	NextAt(dst []byte, now uint64) (out []byte, ok bool)
	// Time is that of the latest event, ns since the Unix epoch.
	Time() uint64
	// Reset appends a channel reset, and the messages that restore the state.
	Reset(dst []byte) []byte
	// Instruments is how many there are. Active ones are in snapshot loops.
	Instruments() int
	Active(i int) bool
	AppendDefinition(dst []byte, i int, total uint32) []byte
	AppendSnapshot(dst []byte, i int, last, total uint32) []byte
	EachOrderSnapshot(i int, last, total uint32, fn func(message []byte))
}

// ChannelOptions say how packets are cut. The zero value works.
type ChannelOptions struct {
	// PayloadBytes is the longest packet's length. The default is 1,400.
	PayloadBytes int
	// TogetherNs is how long after its first message a packet takes more. The default is 20 µs.
	TogetherNs uint64
	// HeartbeatNs is the idle time after which a heartbeat is sent; it has a number like any packet. The default is 10 s.
	HeartbeatNs uint64
}

// Channel makes the incremental feed's packets out of a market's events, and knows which of them its state reflects. It belongs to one
// goroutine.
type Channel struct {
	m     Market
	o     ChannelOptions
	p     *Packer
	out   func(sequence uint32, ts uint64, packet []byte) error
	event []byte
	began uint64 // when the packet's first message came
	now   uint64 // of the latest message or heartbeat
	ended bool

	// Packets so far, and Heartbeats among them.
	Packets, Heartbeats uint64
}

// NewChannel makes a channel that hands each packet to out, valid for the call.
func NewChannel(m Market, o ChannelOptions, out func(sequence uint32, ts uint64, packet []byte) error) (*Channel, error) {
	p, err := NewPacker(o.PayloadBytes)
	if err != nil {
		return nil, err
	}
	if o.TogetherNs == 0 {
		o.TogetherNs = 20_000
	}
	if o.HeartbeatNs == 0 {
		o.HeartbeatNs = 10_000_000_000
	}
	return &Channel{m: m, o: o, p: p, out: out}, nil
}

// Event takes the market's next event, at its own time. ok is false after the last one, whose packet has left then.
func (c *Channel) Event() (ok bool, err error) {
	b, ok := c.m.Next(c.event[:0])
	return c.take(b, ok)
}

// EventAt is Event at a time, ns since the Unix epoch.
func (c *Channel) EventAt(now uint64) (ok bool, err error) {
	b, ok := c.m.NextAt(c.event[:0], now)
	return c.take(b, ok)
}

// Reset sends a channel reset, and what restores the books, which are void. Numbers go on, or begin with 1 again.
func (c *Channel) Reset(restart bool) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if restart {
		c.p.Restart()
	}
	if _, err := c.take(c.m.Reset(c.event[:0]), true); err != nil {
		return err
	}
	return c.Flush()
}

func (c *Channel) take(event []byte, ok bool) (bool, error) {
	c.event = event
	if !ok {
		return false, c.Flush()
	}
	now := c.m.Time()
	if c.p.Pending() && now > c.began+c.o.TogetherNs {
		if err := c.Flush(); err != nil {
			return true, err
		}
	}
	if !c.p.Pending() {
		if err := c.Idle(now); err != nil {
			return true, err
		}
	}
	c.now = max(c.now, now)
	for b := event; len(b) > 0; {
		m, n := wire.Next(b)
		if !c.p.Fits(n) {
			if err := c.Flush(); err != nil {
				return true, err
			}
		}
		if !c.p.Pending() {
			c.began = now
		}
		if err := c.p.Add(m); err != nil {
			return true, err
		}
		b = b[n:]
	}
	return true, nil
}

// Idle sends the heartbeats that are due by a time, when nothing is pending.
func (c *Channel) Idle(now uint64) error {
	for c.now != 0 && !c.p.Pending() && now > c.now+c.o.HeartbeatNs {
		c.now += c.o.HeartbeatNs
		if err := c.p.Add(wire.EncodeV13.AppendHeartbeat(nil)); err != nil {
			return err
		}
		c.Heartbeats++
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// Due has a packet leave that has waited for company long enough.
func (c *Channel) Due(now uint64) error {
	if c.p.Pending() && now > c.began+c.o.TogetherNs {
		return c.Flush()
	}
	return nil
}

// Flush has the pending packet leave.
func (c *Channel) Flush() error {
	sequence := c.p.Next()
	packet := c.p.Flush(c.now)
	if packet == nil {
		return nil
	}
	c.Packets++
	return c.out(sequence, c.now, packet)
}

// Reflected is the number of the last packet that the market's state has: the pending one, of which it may have only a part of what will be in
// it, or the last that left.
func (c *Channel) Reflected() uint32 {
	if c.p.Pending() {
		return c.p.Next()
	}
	return c.p.Next() - 1
}
