package xdp

import (
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/sim/mold"
)

// pacedSource gives a source's messages the times at which they are due, ns since the run began.
type pacedSource struct {
	mold.Source
	p  *pace.Pacer
	at uint64
}

func (s *pacedSource) Next(dst []byte) ([]byte, bool) {
	out, ok := s.Source.Next(dst)
	if ok {
		s.at = uint64(s.p.Offset(s.Source.Time(), 1))
	}
	return out, ok
}

func (s *pacedSource) Time() uint64 { return s.at }

// Generator makes messages at the caller's times: package xdpgen's, with Options.Live.
type Generator interface {
	NextAt(dst []byte, nsSinceMidnight uint64) []byte
	Done() bool
}

// Live is a source of a generator's messages, so many a second from now on, which is so long since the venue's midnight. Its times are those
// of the schedule: Options.Pace stays "recorded".
func Live(g Generator, perSecond float64, sinceMidnight uint64) mold.Source {
	return &live{g: g, step: 1e9 / perSecond, from: sinceMidnight}
}

type live struct {
	g    Generator
	step float64
	from uint64
	n    float64
	at   uint64
}

func (l *live) Next(dst []byte) ([]byte, bool) {
	if l.g.Done() {
		return dst, false
	}
	l.at = l.from + uint64(l.n*l.step)
	l.n++
	out := l.g.NextAt(dst, l.at)
	return out, len(out) > len(dst)
}

func (l *live) Time() uint64 { return l.at }
