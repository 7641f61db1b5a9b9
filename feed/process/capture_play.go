package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/mdp3"
)

// PlayOptions say how a capture is played. The zero value plays as fast as it goes.
type PlayOptions struct {
	// Pace is "max", "recorded", "x10" (ten times as fast as recorded) or "50000/s". The default is "max".
	Pace string
	// Session bounds waiting and holding. The zero value works.
	Session session.Config
	// Between is called after each pass, on the lane. It may be nil.
	Between func(now uint64)
}

// Run plays the capture through a lane until its end, or until stop is set. What came before a fault is published.
func (c *Capture) Run(lane *pipeline.Lane, o PlayOptions, stop *atomic.Bool) error {
	pacer, err := pace.Parse(o.Pace)
	if err != nil {
		return err
	}
	c.decoders = []pipeline.Decoder{lane.Main().Decoder()}
	switch {
	case c.day != nil:
		err = c.playDay(lane, pacer, &o, stop)
	case c.messages != nil:
		err = c.playMessages(lane, pacer, &o, stop)
	default:
		err = c.playPackets(lane, pacer, &o, stop)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return nil
}

// playPackets plays a capture of packets: its own times are the lane's clock, so that a replay is exact.
func (c *Capture) playPackets(lane *pipeline.Lane, pacer *pace.Pacer, o *PlayOptions, stop *atomic.Bool) error {
	c.channels = newChannels(c.proto, o.Session, func(channel uint8) (session.Sink, error) {
		if channel == 0 {
			return lane, nil
		}
		decoder, err := c.decoder(channel)
		if err != nil {
			return nil, err
		}
		c.decoders = append(c.decoders, decoder)
		return lane.Stream(decoder, channel), nil
	})
	in := &pipeline.Input{
		Source:      &pacedSource{Reader: c.packets, pacer: pacer, stop: stop},
		PacketClock: true, Between: o.Between,
	}
	in.Route = func(p *nic.Packet) *session.Channel {
		if c.aside(lane, p) {
			return nil
		}
		had := len(c.channels.all)
		ch := c.channels.route(p)
		if len(c.channels.all) != had {
			in.Channels = c.channels.sessions()
		}
		return ch
	}
	err := lane.Run(in, stop)
	if c.channels.end(); len(c.channels.all) != len(in.Channels) {
		lane.EndPass()
		if o.Between != nil {
			o.Between(c.channels.now)
		}
	}
	return errors.Join(err, c.channels.err)
}

// eachDefinition calls fn with all that the other capture says of instruments.
func (c *Capture) eachDefinition(fn func(m mdp3.Message)) error {
	if c.definitions == "" {
		return nil
	}
	r, err := pcap.Open(c.definitions)
	if err != nil {
		return err
	}
	defer r.Close()
	packets, found := make([]nic.Packet, 64), false
	for {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			_, body, err := mdp3.ParsePacket(packets[i].Data)
			for err == nil {
				m, used := mdp3.Next(body)
				if used == 0 {
					break
				}
				if mdp3.Defines(m) {
					found = true
					fn(m)
				}
				body = body[used:]
			}
		}
		switch {
		case errors.Is(err, io.EOF) && !found:
			return fmt.Errorf("%s holds no definitions", c.definitions)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", c.definitions, err)
		}
	}
}

// mostAside bounds the messages that are remembered, so that what is said over and over is told once.
const mostAside = 1 << 20

// aside takes a packet of a feed that says over and over what instruments are, if it is one.
func (c *Capture) aside(lane *pipeline.Lane, p *nic.Packet) bool {
	if c.proto.Aside == nil {
		return false
	}
	is := c.proto.Aside(p.Data)
	if c.told == nil && (is || c.definitions != "") { // before the first session of a channel, whose day it is
		c.told, c.seed = map[uint64]struct{}{}, maphash.MakeSeed()
		if midnight, err := c.Midnight(p.TsRecv); err == nil && c.channels.all == nil {
			lane.SetNow(p.TsRecv)
			lane.StartDay(midnight)
		}
		c.channels.err = errors.Join(c.channels.err, c.eachDefinition(func(m mdp3.Message) { c.tellOnce(lane, m) }))
	}
	if !is {
		return false
	}
	_, blocks, err := c.proto.Framing.Parse(p.Data)
	for err == nil && len(blocks) > 0 {
		m, used := mdp3.Next(blocks)
		if used == 0 {
			break
		}
		c.tellOnce(lane, m)
		blocks = blocks[used:]
	}
	return true
}

// tellOnce has the lane take a message that is said over and over, the first time.
func (c *Capture) tellOnce(lane *pipeline.Lane, m mdp3.Message) {
	h := maphash.Bytes(c.seed, m)
	if _, again := c.told[h]; again {
		return
	}
	lane.Main().Aside(m, 1)
	if len(c.told) < mostAside {
		c.told[h] = struct{}{}
	}
}

// Scan plays a capture of packets to sinks instead of a lane, one for each channel with the decoder that is its: what they are given is what a lane would
// be, so that numbers that a decoder gives out are the same.
func (c *Capture) Scan(sink func(decoder pipeline.Decoder) session.Sink) error {
	all := newChannels(c.proto, session.Config{}, func(channel uint8) (session.Sink, error) {
		decoder, err := c.decoder(channel)
		if err != nil {
			return nil, err
		}
		return sink(decoder), nil
	})
	packets, now := make([]nic.Packet, 64), uint64(0)
	if c.definitions != "" {
		decoder, err := c.decoder(0)
		if err != nil {
			return err
		}
		to := sink(decoder)
		if err := c.eachDefinition(func(m mdp3.Message) { to.Messages(m, 1, 1, session.Arrival{}) }); err != nil {
			return err
		}
	}
	for {
		n, err := c.packets.Poll(packets)
		for i := range packets[:n] {
			p := &packets[i]
			now = max(now, p.TsRecv)
			for _, ch := range all.all {
				ch.session.Tick(now)
			}
			if ch := all.route(p); ch != nil {
				ch.Packet(p, now)
			}
		}
		for _, ch := range all.all {
			ch.session.Tick(now)
		}
		if err == nil {
			continue
		}
		for _, ch := range all.all {
			ch.session.Flush(now)
		}
		all.end()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, all.err)
	}
}

// decoder makes one of a channel.
func (c *Capture) decoder(channel uint8) (pipeline.Decoder, error) {
	o := c.options
	o.Channel = channel
	return c.proto.New(o)
}

// pacedSource hands out a capture's packets when they are due.
type pacedSource struct {
	*pcap.Reader
	pacer *pace.Pacer
	stop  *atomic.Bool
}

// Poll hands out one packet at a time when there is a pace: the next may be due much later.
func (s *pacedSource) Poll(p []nic.Packet) (int, error) {
	if s.pacer.Max() {
		return s.Reader.Poll(p)
	}
	n, err := s.Reader.Poll(p[:1])
	if n == 1 {
		s.pacer.Wait(p[0].TsRecv, 1, s.stop)
	}
	return n, err
}

const (
	spanMessages = 4096
	timeAt       = 2 + 5 // length prefix; type, locate, tracking number; then 6 bytes of time (specification, section 7)
	timeEnd      = timeAt + 6
)

// playDay plays a BinaryFILE.
func (c *Capture) playDay(lane *pipeline.Lane, pacer *pace.Pacer, o *PlayOptions, stop *atomic.Bool) error {
	lane.StartDay(c.midnight)
	between := func() {
		now := uint64(time.Now().UnixNano())
		lane.SetNow(now)
		if o.Between != nil {
			o.Between(now)
		}
	}
	between()
	for !stop.Load() {
		span, first, count, err := c.day.Next(spanMessages)
		if count > 0 {
			if pacer.Max() {
				lane.Span(span, first)
			} else {
				c.paced(lane, pacer, span, first, stop, between)
			}
			lane.EndPass()
			between()
		}
		if err := lane.Err(); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w; %d messages before it are published", err, lane.Counters().Messages)
		}
	}
	return nil
}

// paced hands messages to the lane when they are due, those that are due together as one pass.
func (c *Capture) paced(lane *pipeline.Lane, pacer *pace.Pacer, span []byte, first uint64, stop *atomic.Bool, between func()) {
	from, n := 0, uint64(0) // messages that are due and not handed over
	for at := 0; at < len(span) && !stop.Load(); {
		end := at + 2 + int(binary.BigEndian.Uint16(span[at:]))
		if end-at >= timeEnd {
			ts := c.midnight + (binary.BigEndian.Uint64(span[at+timeAt-2:]) & (1<<48 - 1))
			if n > 0 && !pacer.Due(ts) {
				lane.Span(span[from:at], first)
				lane.EndPass()
				between()
				from, first, n = at, first+n, 0
			}
			pacer.Wait(ts, 1, stop)
		}
		at, n = end, n+1
	}
	if n > 0 {
		lane.Span(span[from:], first)
	}
}
