package xdp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/udp"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
)

// Counters of a venue.
type Counters struct {
	mold.Counters
	Messages  uint64          `json:"messages"`   // published, those that a publisher told again when it took over included
	Failovers uint64          `json:"failovers"`  // publishers that took over
	SendFails [2]uint64       `json:"send_fails"` // packets of lines A and B that the kernel refused
	Lost      []Span          `json:"lost"`       // numbers that neither line had: the first 4,096 ranges
	Requests  RequestCounters `json:"requests"`
}

// Span is numbers from First to Last.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// mostSpans bounds what is remembered of losses; further ones are counted only.
const mostSpans = 4096

// Venue plays one run. All methods but Run are safe for concurrent use.
type Venue struct {
	o       Options
	rec     *Record
	lines   [2]*udp.Sender
	again   [2]*udp.Sender // retransmission, refresh
	server  *Server
	mu      sync.Mutex
	c       Counters
	started time.Time
	closed  bool
}

// New opens all sockets and the server, in the network namespace of the calling thread, and sends nothing yet.
func New(o Options) (_ *Venue, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	v := &Venue{o: o.withDefaults()}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
		}
	}()
	v.rec = NewRecord(v.o.Version, v.o.Keep)
	for i, group := range []netip.AddrPort{v.o.Lines.A.Group, v.o.Lines.B.Group} {
		if v.lines[i], err = udp.NewSender(group, v.o.Interfaces[i], v.o.TTL); err != nil {
			return nil, err
		}
	}
	if !v.o.Requests.Addr.IsValid() {
		return v, nil
	}
	for i, group := range []netip.AddrPort{v.o.Retransmission, v.o.Refresh} {
		if v.again[i], err = udp.NewSender(group, v.o.Interfaces[0], v.o.TTL); err != nil {
			return nil, err
		}
	}
	v.server, err = NewServer(v.rec, v.again[0], v.again[1], v.o.Requests)
	return v, err
}

// RequestAddr is where the request server listens; not valid when there is none.
func (v *Venue) RequestAddr() netip.AddrPort {
	if v.server == nil {
		return netip.AddrPort{}
	}
	return v.server.Addr()
}

// Server is the request server, nil: there is none.
func (v *Venue) Server() *Server { return v.server }

// Record is what was published so far.
func (v *Venue) Record() *Record { return v.rec }

// Counters as of some moment ago.
func (v *Venue) Counters() Counters {
	v.mu.Lock()
	c := v.c
	c.Lost = slices.Clone(c.Lost)
	v.mu.Unlock()
	if v.server != nil {
		c.Requests = v.server.Counters()
	}
	return c
}

// Run plays until the source has ended, or ctx: then the result is nil. It may be called once. The server goes on until Close.
func (v *Venue) Run(ctx context.Context) error {
	p, err := pace.Parse(v.o.Pace)
	if err != nil {
		return err
	}
	paced := !p.Max()
	v.started = time.Now()
	o := v.o.Lines
	o.Lost = v.lost
	lines, err := newLines(o, func(line int, at uint64, packet []byte) error {
		if paced {
			if err := v.wait(ctx, at); err != nil {
				return err
			}
		}
		return v.out(line, packet)
	})
	if err != nil {
		return err
	}
	epoch := uint64(v.started.UnixNano())
	send := func(ts uint64, packet []byte, sure bool) error {
		if err := lines.Advance(ts); err != nil {
			return err
		}
		if paced {
			if err := v.wait(ctx, ts); err != nil {
				return err
			}
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
		return v.publish(lines, ts, packet, sure)
	}
	if v.o.Packets != nil {
		err = v.packets(p, epoch, send)
	} else {
		play := v.o.Play
		play.Epoch = epoch
		play.takeover = v.takeover()
		err = Play(&pacedSource{Source: v.o.Source, p: p}, play, send)
	}
	if err == nil {
		err = lines.Flush()
	}
	v.mu.Lock()
	v.c.Counters = lines.Counters()
	v.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lost notes numbers that neither line has.
func (v *Venue) lost(session [10]byte, first uint64, count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := first + uint64(count) - 1
	if n := len(v.c.Lost); n > 0 && v.c.Lost[n-1].Last+1 == first {
		v.c.Lost[n-1].Last = last
	} else if n < mostSpans {
		v.c.Lost = append(v.c.Lost, Span{first, last})
	}
	if v.o.Lines.Lost != nil {
		v.o.Lines.Lost(session, first, count)
	}
}

// publish records a packet, before it can be missed, and gives it to the lines.
func (v *Venue) publish(lines *mold.Lines, ts uint64, packet []byte, sure bool) error {
	before := v.rec.Next()
	if err := v.rec.Take(packet); err != nil {
		return err
	}
	published := v.rec.Next()
	if published >= before {
		published -= before
	} else {
		published-- // the numbers began anew
	}
	send := lines.Send
	if sure {
		send = lines.SendSurely
	}
	err := errors.Join(send(ts, packet), lines.Advance(ts))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.c.Counters = lines.Counters()
	v.c.Messages += published
	return err
}

// takeover is what a player needs for Options.Failovers.
func (v *Venue) takeover() *takeover {
	left := v.o.Failovers
	if len(left) == 0 {
		return nil
	}
	return &takeover{
		due: func(message uint64) bool {
			if len(left) == 0 || message < left[0] {
				return false
			}
			left = left[1:]
			v.mu.Lock()
			v.c.Failovers++
			v.mu.Unlock()
			return true
		},
		state: v.rec.Failover,
		reset: func(seconds, ns uint32) []byte { return wire.AppendReset(nil, seconds, ns, v.o.Product, v.o.Channel) },
	}
}

// packets plays those that are made elsewhere, and then heartbeats.
func (v *Venue) packets(p *pace.Pacer, epoch uint64, send func(ts uint64, packet []byte, sure bool) error) error {
	last := uint64(0)
	err := v.o.Packets(p, epoch, func(ts uint64, packet []byte, sure bool) error {
		last = ts
		return send(ts, packet, sure)
	})
	for i := 0; i < v.o.Play.Ends && err == nil; i++ {
		last += v.o.Play.HeartbeatNs
		err = send(last, packet(wire.DeliveryHeartbeat, 0, v.rec.Next(), epoch+last, nil), true)
	}
	return err
}

// wait sleeps until a time of the schedule, ns since Run began.
func (v *Venue) wait(ctx context.Context, at uint64) error {
	left := time.Until(v.started.Add(time.Duration(at)))
	if left <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (v *Venue) out(line int, packet []byte) error {
	if _, err := v.lines[line].Send([][]byte{packet}); err != nil {
		v.mu.Lock()
		v.c.SendFails[line]++
		v.mu.Unlock()
	}
	return nil
}

// Close ends the server and closes everything. Run has returned before.
func (v *Venue) Close() error {
	if v.closed {
		return nil
	}
	v.closed = true
	var errs []error
	if v.server != nil {
		errs = append(errs, v.server.Close())
	}
	for _, s := range []*udp.Sender{v.lines[0], v.lines[1], v.again[0], v.again[1]} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
