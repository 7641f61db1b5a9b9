package xdp

import (
	"encoding/binary"

	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
)

// PlayOptions say how packets are cut. The zero value works.
type PlayOptions struct {
	// Epoch is what a source's times are counted from, ns since the Unix epoch: packets carry absolute times of sending. The default is 0.
	Epoch uint64
	// PayloadBytes is the longest packet's length, 128 to 1,400. The default is 1,400.
	PayloadBytes int
	// TogetherNs is how long after its first message a packet takes more, as long as they fit. The default is 20 µs.
	TogetherNs uint64
	// HeartbeatNs is the time after which a heartbeat is sent. The default is a second, as the protocol has it.
	HeartbeatNs uint64
	// Primes is how often a reset is told: publishers prime the paths at their start. Heartbeats with number 1 go before the first. The default is 3.
	Primes int
	// Ends is how many heartbeats follow the last message; less than 0: none. The default is 3.
	Ends int
	// Progress is called now and then with the messages so far, and at the end. It may be nil.
	Progress func(messages uint64)

	takeover *takeover // nil: the publisher stays
}

func (o *PlayOptions) defaults() {
	if o.TogetherNs == 0 {
		o.TogetherNs = 20_000
	}
	if o.HeartbeatNs == 0 {
		o.HeartbeatNs = 1_000_000_000
	}
	if o.Primes <= 0 {
		o.Primes = 3
	}
	if o.Ends == 0 {
		o.Ends = 3
	}
}

// Play sends all of a source's messages as packets. ts is as the source's times, of the packet's last message. sure tells the packets that a
// receiver cannot do without: resets, and the heartbeats behind the last message. A packet is valid for the call. Play ends with send's first
// error.
func Play(src mold.Source, o PlayOptions, send func(ts uint64, packet []byte, sure bool) error) error {
	o.defaults()
	p, err := NewPacker(o.PayloadBytes)
	if err != nil {
		return err
	}
	pl := player{o: &o, p: p, send: send}
	buf := make([]byte, 0, 128)
	for {
		b, ok := src.Next(buf[:0])
		if !ok {
			break
		}
		buf = b
		if err := pl.message(b, src.Time()); err != nil {
			return err
		}
	}
	return pl.end()
}

type player struct {
	o        *PlayOptions
	p        *Packer
	send     func(ts uint64, packet []byte, sure bool) error
	began    uint64 // time of the packet's first message
	last     uint64 // time of the latest message or heartbeat
	sent     bool   // there was one
	messages uint64
}

// message sends what is due before a message, and takes it.
func (pl *player) message(b []byte, ts uint64) error {
	ts = max(ts, pl.last)
	if t := pl.o.takeover; t != nil && t.due(pl.messages+1) {
		if err := pl.failover(t, ts); err != nil {
			return err
		}
		ts = max(ts, pl.last)
	}
	if pl.p.Pending() > 0 && ts > pl.began+pl.o.TogetherNs {
		if err := pl.leave(pl.p.Flush(pl.o.Epoch + pl.last)); err != nil {
			return err
		}
	}
	if pl.p.Pending() == 0 {
		for pl.sent && ts > pl.last+pl.o.HeartbeatNs {
			pl.last += pl.o.HeartbeatNs
			if err := pl.send(pl.last, pl.p.Heartbeat(pl.o.Epoch+pl.last), false); err != nil {
				return err
			}
		}
		pl.began = ts
	}
	pl.messages++
	if pl.o.Progress != nil && pl.messages%(1<<16) == 0 {
		pl.o.Progress(pl.messages)
	}
	if len(b) >= wire.MessageHeaderBytes && binary.LittleEndian.Uint16(b[2:]) == wire.TypeSequenceNumberReset {
		return pl.reset(b, ts)
	}
	full, err := pl.p.Add(b, pl.o.Epoch+pl.last)
	if err != nil {
		return err
	}
	if full != nil {
		if err := pl.leave(full); err != nil {
			return err
		}
		pl.began = ts
	}
	pl.last = ts
	return nil
}

// reset sends a message 1: primed, and told several times, a microsecond apart.
func (pl *player) reset(b []byte, ts uint64) error {
	if packet := pl.p.Flush(pl.o.Epoch + pl.last); packet != nil {
		if err := pl.leave(packet); err != nil {
			return err
		}
	}
	pl.last, pl.sent = ts, true
	if pl.p.Next() == 1 {
		if err := pl.send(ts, pl.p.Heartbeat(pl.o.Epoch+ts), false); err != nil {
			return err
		}
	}
	for range pl.o.Primes {
		pl.last += 1_000
		if err := pl.send(pl.last, pl.p.Reset(b, pl.o.Epoch+pl.last), true); err != nil {
			return err
		}
	}
	return nil
}

// leave sends a packet at the time of its last message.
func (pl *player) leave(packet []byte) error {
	pl.sent = true
	return pl.send(pl.last, packet, false)
}

func (pl *player) end() error {
	if packet := pl.p.Flush(pl.o.Epoch + pl.last); packet != nil {
		if err := pl.leave(packet); err != nil {
			return err
		}
	}
	for range max(pl.o.Ends, 0) {
		pl.last += pl.o.HeartbeatNs
		if err := pl.send(pl.last, pl.p.Heartbeat(pl.o.Epoch+pl.last), true); err != nil {
			return err
		}
	}
	if pl.o.Progress != nil {
		pl.o.Progress(pl.messages)
	}
	return nil
}
