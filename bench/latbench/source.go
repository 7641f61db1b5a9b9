package latbench

import (
	"io"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/ringbuf"
)

// source hands packets out when they are due, stamped with that time. It is what a perfect network would be: nothing is lost, nothing
// is late, and a lane that is behind finds all that became due meanwhile. It belongs to the lane.
type source struct {
	d     *day
	work  clockwork
	begin uint64 // CLOCK_MONOTONIC, ns
	due   uint64 // of the next packet
	at    int
	end   int
	late  uint64 // packets that were handed out more than a period after they were due

	warm    uint64            // from when on the lane's own measurement counts
	latency *pipeline.Latency // that measurement; nil: it is nobody's
}

func newSource(d *day, s *Schedule, begin uint64, packets int) *source {
	p := &source{d: d, work: clockwork{s: s}, begin: begin, at: d.warm, end: d.warm + packets}
	p.due = begin + p.work.next()
	return p
}

// Poll is nic.Source's. Hot path: no call into the kernel.
func (s *source) Poll(p []nic.Packet) (n int, err error) {
	now := ringbuf.MonotonicNow()
	for n < len(p) && s.at < s.end && s.due <= now {
		b := s.d.packet(s.at)
		p[n] = nic.Packet{Data: b, TsRecv: s.due, Frame: uint64(s.at + 1), Stamp: nic.StampHardware}
		if s.latency != nil && s.due >= s.warm {
			*s.latency, s.latency, s.late = pipeline.Latency{}, nil, 0
		}
		if now-s.due > uint64(s.work.s.PeriodNs) {
			s.late++
		}
		s.at++
		n++
		s.due = s.begin + s.work.next()
	}
	if n == 0 && s.at == s.end {
		return 0, io.EOF
	}
	return n, nil
}

func (s *source) Close() error { return nil }
