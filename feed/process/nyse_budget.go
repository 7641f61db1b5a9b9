package process

import (
	"context"
	"time"
)

// A source id may ask for all symbols of any channel 500 times a day, and for one 5,000 times. So that losses that never end do not use that up in minutes, and books that are
// lost in the afternoon come back, too, rounds are the further apart the more there were:
//
//	rounds of a channel in 24 hours    1 … 40     … 120      further
//	time from one to the next          500 ms     1 min      10 min
const (
	refreshRetry = 500 * time.Millisecond
	roundsQuick  = 40
	roundsSlow   = 120
)

// refreshBudget paces rounds. It belongs to one goroutine.
type refreshBudget struct {
	rounds int
	since  time.Time // when the first of them began
	last   time.Time
}

// pause is how long after the last round the next one may begin. now is in the clock's time.
func (b *refreshBudget) pause(now time.Time) time.Duration {
	if now.Sub(b.since) >= 24*time.Hour {
		b.rounds, b.since = 0, now
	}
	switch {
	case b.rounds < roundsQuick:
		return refreshRetry
	case b.rounds < roundsSlow:
		return time.Minute
	}
	return 10 * time.Minute
}

// wait waits until a round may begin, and counts it.
func (b *refreshBudget) wait(ctx context.Context) error {
	if left := time.Until(b.last.Add(b.pause(time.Now()))); left > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(left):
		}
	}
	b.rounds, b.last = b.rounds+1, time.Now()
	return nil
}
