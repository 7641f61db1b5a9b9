// Package pace says when a recorded packet, or the next of so many a second, is due.
//
//	recorded   as far apart as they were
//	x10        ten times as fast
//	50000/s    so many messages a second, whatever their stamps
//	max        at once
//
// Due times are reckoned from the first packet, never from the one before: lateness does not add up.
package pace

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Pacer tells due times. It belongs to one goroutine.
type Pacer struct {
	speed float64 // of recorded time; 0: not by stamps
	rate  float64 // a second; 0: not by count

	started time.Time
	first   uint64 // stamp of the first packet, ns
	latest  uint64 // highest stamp so far
	count   uint64
	// Backwards counts stamps that lay before the one before: they are due at once.
	Backwards uint64

	now   func() time.Time
	sleep func(time.Duration)
}

// Parse reads a pace as above; empty is max.
func Parse(text string) (*Pacer, error) {
	p := &Pacer{now: time.Now, sleep: time.Sleep}
	bad := func() (*Pacer, error) {
		return nil, fmt.Errorf("pace %q is none of: max, recorded, x10, 50000/s", text)
	}
	positive := func(s string) float64 {
		if f, err := strconv.ParseFloat(s, 64); err == nil && f > 0 && f <= 1e12 {
			return f
		}
		return 0
	}
	switch {
	case text == "" || text == "max":
		return p, nil
	case text == "recorded":
		p.speed = 1
	case strings.HasPrefix(text, "x"):
		if p.speed = positive(text[1:]); p.speed == 0 {
			return bad()
		}
	case strings.HasSuffix(text, "/s"):
		if p.rate = positive(strings.TrimSuffix(text, "/s")); p.rate == 0 {
			return bad()
		}
	default:
		return bad()
	}
	return p, nil
}

// Max says that everything is due at once: Wait does nothing.
func (p *Pacer) Max() bool { return p.speed == 0 && p.rate == 0 }

// Rate is the messages a second that were asked for, 0 for any other pace.
func (p *Pacer) Rate() float64 { return p.rate }

// due is how long after the start something is due that is stamped ts (ns) and comes after count messages.
func (p *Pacer) due(ts uint64) time.Duration {
	if p.rate != 0 {
		return time.Duration(float64(p.count) / p.rate * 1e9)
	}
	return time.Duration(float64(max(ts, p.latest)-p.first) / p.speed)
}

// Offset is how long after the first one something is due that is stamped ts, ns, and has n messages; without a pace, as long as
// the stamps say. It takes note of it as Wait does, and does not sleep: for whoever keeps the time himself.
func (p *Pacer) Offset(ts uint64, n int) time.Duration {
	p.begin(ts)
	if ts < p.latest {
		p.Backwards++
	}
	due := time.Duration(max(ts, p.latest) - p.first)
	if !p.Max() {
		due = p.due(ts)
	}
	p.latest = max(p.latest, ts)
	p.count += uint64(n)
	return due
}

func (p *Pacer) begin(ts uint64) {
	if p.started.IsZero() {
		p.started, p.first, p.latest = p.now(), ts, ts
	}
}

// Due says that something stamped ts, ns, is due by now.
func (p *Pacer) Due(ts uint64) bool {
	if p.Max() || p.started.IsZero() {
		return true
	}
	return p.now().Sub(p.started) >= p.due(ts)
}

// Time says how long it is until something stamped ts, ns, is due; 0 or less: it is.
func (p *Pacer) Time(ts uint64) time.Duration {
	if p.Max() {
		return 0
	}
	p.begin(ts)
	return p.due(ts) - p.now().Sub(p.started)
}

// nap bounds one sleep, so that stop is looked at.
const nap = 20 * time.Millisecond

// Wait sleeps until n messages stamped ts, ns, are due, or until stop is set.
func (p *Pacer) Wait(ts uint64, n int, stop *atomic.Bool) {
	if p.Max() {
		return
	}
	p.begin(ts)
	if ts < p.latest {
		p.Backwards++
	}
	for !stop.Load() {
		left := p.due(ts) - p.now().Sub(p.started)
		if left <= 0 {
			break
		}
		p.sleep(min(left, nap))
	}
	p.latest = max(p.latest, ts)
	p.count += uint64(n)
}
