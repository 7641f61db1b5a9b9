package rxbench

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// load makes n frames numbered from first+1 on, at a rate a second or, with 0, as fast as it can; it returns how many it made and how
// long that took.
type load interface {
	Send(first uint64, n int, rate float64) (int, time.Duration, error)
	Close()
}

// bout is one receiver under one load.
type bout struct {
	receiver running
	load     load
	next     uint64 // frames sent so far
	base     uint64 // of them, those that never came
	span     time.Duration
	lost     bool // some of the last stretch did not come
}

// trial is one stretch of frames.
type trial struct {
	sent, received uint64
	rate           float64 // sent a second
}

func (t trial) lossless() bool { return t.sent == t.received }

func (b *bout) try(n int, rate float64) (trial, error) {
	before := b.receiver.received()
	if b.lost { // it may have been late only: nothing of it is to be counted here
		before = settled(b.receiver, math.MaxUint64)
	}
	sent, took, err := b.load.Send(b.next, n, rate)
	if err != nil {
		return trial{}, err
	}
	b.next += uint64(sent)
	got := settled(b.receiver, before+uint64(sent)) - before
	b.lost = got != uint64(sent)
	return trial{sent: uint64(sent), received: got, rate: float64(sent) / took.Seconds()}, nil
}

// found is what a search came to.
type found struct {
	rate     float64 // the highest without loss
	offered  float64 // as fast as the load goes
	received float64 // of that
}

const (
	halvings = 6
	warmUps  = 5 // a receiver that has just been started may not be there yet
	again    = 2 // a rate is given up when it loses this often: one loss may be the machine's
)

// search finds the highest rate at which nothing is lost.
func (b *bout) search() (found, error) {
	var f found
	var warm trial
	for range warmUps {
		var err error
		if warm, err = b.try(1<<15, 0); err != nil {
			return f, err
		}
		if warm.received != 0 {
			break
		}
	}
	if warm.received == 0 {
		return f, fmt.Errorf("rxbench: %d frames were sent and none came", warm.sent)
	}
	n := int(warm.rate * b.span.Seconds())
	for range again {
		t, err := b.try(n, 0)
		if err != nil {
			return f, err
		}
		f.offered, f.received = t.rate, t.rate*float64(t.received)/float64(t.sent)
		if t.lossless() {
			f.rate = t.rate
			return f, nil
		}
	}
	low, high := 0.0, f.offered
	for step := range halvings {
		at := (low + high) / 2
		if step == 0 {
			at = min(f.received, 0.95*high) // a good guess saves turns
		}
		held := false
		for range again {
			t, err := b.try(int(at*b.span.Seconds()), at)
			if errors.Is(err, errPlayed) {
				f.rate = low
				return f, nil
			}
			if err != nil {
				return f, err
			}
			if held = t.lossless(); held {
				low = max(low, min(t.rate, at))
				break
			}
		}
		if !held {
			high = at
		}
	}
	f.rate = low
	return f, nil
}
