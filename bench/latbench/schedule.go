package latbench

import (
	"fmt"
	"time"
)

// Schedule says when packets are due, in ns from its beginning. In each round the rate is steady but for one burst in the middle.
//
//	|── steady ──|▓ burst ▓|░ behind it ░|── steady ──|── steady ──|▓▓▓…
//	0          Round/2   +Burst        +Behind       Round
type Schedule struct {
	PeriodNs float64 `json:"period_ns"` // between packets, when it is steady
	Round    uint64  `json:"round_ns"`
	Burst    uint64  `json:"burst_ns"`  // 0: none
	Factor   float64 `json:"factor"`    // how many times the rate in the burst
	Behind   uint64  `json:"behind_ns"` // that is still counted apart
}

// Parts of a round.
const (
	Steady = iota
	InBurst
	BehindBurst
	parts
)

// schedule makes one, with rounds that hold their bursts.
func schedule(packetsPerSecond float64, o *Options) Schedule {
	s := Schedule{PeriodNs: 1e9 / packetsPerSecond, Round: uint64(o.Round), Burst: uint64(o.Burst), Factor: o.Factor}
	s.Behind = s.Round / 10
	if o.Factor <= 1 {
		s.Burst, s.Behind, s.Factor = 0, 0, 1
	}
	return s
}

// part is where in its round a moment lies. Hot path of the reader.
func (s *Schedule) part(ns uint64) int {
	if s.Burst == 0 {
		return Steady
	}
	at := ns % s.Round
	switch half := s.Round / 2; {
	case at < half || at >= half+s.Burst+s.Behind:
		return Steady
	case at < half+s.Burst:
		return InBurst
	}
	return BehindBurst
}

// clockwork gives the due times, one after the other.
type clockwork struct {
	s  *Schedule
	at float64
}

// next is the next due time. No allocation.
func (c *clockwork) next() uint64 {
	due := c.at
	step := c.s.PeriodNs
	if c.s.Burst != 0 && c.s.part(uint64(due)) == InBurst {
		step /= c.s.Factor
	}
	c.at += step
	return uint64(due)
}

// packets is how many are due in d.
func (s *Schedule) packets(d time.Duration) (n int) {
	for c := (clockwork{s: s}); c.next() < uint64(d); {
		n++
	}
	return n
}

// check refuses what cannot be measured.
func (o *Options) check() error {
	switch {
	case o.Round < time.Millisecond || o.Round > 10*time.Second:
		return fmt.Errorf("latbench: rounds of %v, want 1 ms to 10 s", o.Round)
	case o.Factor > 1 && (o.Burst <= 0 || o.Burst > o.Round/4):
		return fmt.Errorf("latbench: bursts of %v in rounds of %v, want up to a quarter", o.Burst, o.Round)
	case o.PerPacket < 1 || o.PerPacket > mostPerPacket:
		return fmt.Errorf("latbench: %d messages a packet, want 1 to %d", o.PerPacket, mostPerPacket)
	case o.Factor > 1000:
		return fmt.Errorf("latbench: bursts of %v times the rate, want up to 1000", o.Factor)
	}
	for _, rate := range o.Rates {
		if rate < 100 || rate > 50_000_000 {
			return fmt.Errorf("latbench: %d messages a second, want 100 to 50000000", rate)
		}
	}
	return nil
}
