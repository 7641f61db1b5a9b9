package jitter

import (
	"time"

	"golang.org/x/sys/unix"
)

// instant is one moment by several clocks.
type instant struct {
	ticks    uint64
	raw      int64 // CLOCK_MONOTONIC_RAW, ns
	tai, utc int64 // ns since 1970
}

// instantNow takes the best of some tries: the one in which least came between.
func instantNow() (best instant) {
	window := ^uint64(0)
	for range 16 {
		var ts unix.Timespec
		a := now()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts) != nil {
			continue
		}
		b := now()
		if b-a < window {
			window, best.ticks, best.raw = b-a, a+(b-a)/2, ts.Nano()
		}
	}
	window = ^uint64(0)
	for range 16 {
		var tai, utc unix.Timespec
		a := now()
		if unix.ClockGettime(unix.CLOCK_TAI, &tai) != nil || unix.ClockGettime(unix.CLOCK_REALTIME, &utc) != nil {
			continue
		}
		b := now()
		if b-a < window {
			window, best.tai, best.utc = b-a, tai.Nano(), utc.Nano()
		}
	}
	return best
}

// rate is ns per tick from one moment to a later one; not positive: it cannot be told.
func (a instant) rate(b instant) float64 {
	if b.ticks <= a.ticks {
		return 0
	}
	return float64(b.raw-a.raw) / float64(b.ticks-a.ticks)
}

// quickRate is the rate to some ppm, for the warm-up.
func quickRate() float64 {
	a := instantNow()
	time.Sleep(20 * time.Millisecond)
	return a.rate(instantNow())
}
