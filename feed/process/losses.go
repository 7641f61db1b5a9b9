package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic/link"
	"github.com/tickwire/tickwire/nic/udp"
)

// When messages never came, the log says so, with what was counted meanwhile on the way from the wire to the lane: where two neighbours differ is where
// it got lost, and where they do not it was before the wire.
//
//	wire ──► [seen ──► redirected] ──► received ──► lane: lost
//	  damaged, no_room      passed, ring_full, dropped

// face is an interface that a lane receives from.
type face struct {
	name     string
	index    int
	counters link.Counters
}

// passage is what was counted up to a moment. It has no more than the sums: which interface or queue, the counters tell.
type passage struct {
	lost                    uint64 // messages
	wire, damaged, noRoom   uint64 // frames, as the drivers count
	seen, redirected        uint64 // frames, by the programs
	ringFull, dropped, full uint64 // frames and datagrams that the kernel lost behind them
	received                uint64 // packets that the lane polled
}

// losses compares a moment with the one of the report before.
type losses struct {
	stats *link.Stats
	faces []*face
	told  passage
	dumb  bool // the kernel does not tell of interfaces, and that was said
}

// lookForLosses reads the interfaces' counters, and tells of messages that never came since the last time. Once a second, on the lane's housekeeping, after
// Refresh.
func (r *laneRunner) lookForLosses(log *slog.Logger) {
	r.losses.read(r.name, log)
	now, before := r.passage(), r.losses.told
	if now.lost == before.lost {
		return
	}
	r.losses.told = now
	args := []any{"lane", r.name, "messages", now.lost - before.lost, "wire", now.wire - before.wire, "damaged", now.damaged - before.damaged, "no_room", now.noRoom - before.noRoom}
	if r.listener.xdp != nil {
		args = append(args, "seen", now.seen-before.seen, "redirected", now.redirected-before.redirected, "ring_full", now.ringFull-before.ringFull, "dropped", now.dropped-before.dropped)
	} else {
		args = append(args, "buffer_full", now.full-before.full)
	}
	log.Warn("messages were lost; frames since the last loss", append(args, "received", now.received-before.received)...)
}

// passage is what was counted up to now.
func (r *laneRunner) passage() (p passage) {
	p.lost, p.received, p.full = r.passed.lost.Load(), r.passed.received.Load(), r.passed.bufferFull.Load()
	for _, f := range r.losses.faces {
		c := &f.counters
		p.wire += c.RxPackets
		p.damaged += c.RxErrors
		p.noRoom += c.RxDropped + c.RxMissed
	}
	if r.listener.xdp == nil {
		return p
	}
	counted := map[string]bool{}
	for i := range r.listener.xdp.Kernel() {
		k := &r.listener.xdp.Kernel()[i]
		p.ringFull += k.RxRingFull
		p.dropped += k.RxDropped
		if !counted[k.Interface] { // one program for all queues
			counted[k.Interface] = true
			p.seen += k.Program.Seen
			p.redirected += k.Program.Redirected
		}
	}
	return p
}

// passed is what the housekeeping may not read of the lane's: it stores that itself.
type passed struct{ lost, received, bufferFull atomic.Uint64 }

// note is called on the lane, between two passes.
func (p *passed) note(r *laneRunner) {
	p.lost.Store(lostMessages(r.input.Channels) + r.lane.Main().Decoder().Refused() + r.lane.Counters().Refused)
	c := &r.input.Counters
	p.received.Store(c.StampHardware + c.StampKernel + c.StampLoop)
	if s, ok := r.listener.live.(*udp.Source); ok {
		p.bufferFull.Store(s.Counters().KernelDrops)
	}
}

// open registers the counters of the lane's interfaces; those that lanes share are told under the first of them.
func (l *losses) open(r *laneRunner, p *Process, log *slog.Logger) (err error) {
	if l.stats, err = link.OpenStats(); err != nil {
		log.Warn("interfaces' counters are not read: where packets get lost before the kernel is not told", "lane", r.name, "err", err)
		return nil
	}
	var errs []error
	for _, name := range r.listener.interfaces {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		f := &face{name: name, index: i.Index}
		l.faces = append(l.faces, f)
		if !p.faces[name] {
			p.faces[name] = true
			errs = append(errs, r.kernel.add(fmt.Sprintf("%s.link.interface.%s", r.name, name), &f.counters))
		}
	}
	l.read(r.name, log)
	l.told = r.passage() // what the interfaces had counted before
	return errors.Join(errs...)
}

func (l *losses) read(lane string, log *slog.Logger) {
	if l.stats == nil {
		return
	}
	for _, f := range l.faces {
		if err := l.stats.Read(f.index, &f.counters); err != nil && !l.dumb {
			l.dumb = true
			log.Warn("an interface's counters cannot be read: where packets get lost before the kernel is not told", "lane", lane, "interface", f.name, "err", err)
		}
	}
}

func (l *losses) close() {
	if l.stats != nil {
		l.stats.Close()
		l.stats = nil
	}
}

func lostMessages(channels []*session.Channel) (n uint64) {
	for _, c := range channels {
		n += c.Session.LostMessages
	}
	return n
}
