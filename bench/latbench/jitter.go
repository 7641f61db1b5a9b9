package latbench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/ringbuf"
)

// jitter is what the calling thread's core makes of a handler that does nothing: for each message that is due, every period, how late a
// loop that only looks at the clock sees it.
func jitter(periodNs float64, d time.Duration) *hdrhistogram.Histogram {
	h := meter.NewHistogram()
	begin := ringbuf.MonotonicNow()
	end := begin + uint64(d)
	at := 0.0
	for due := begin; due < end; {
		now := ringbuf.MonotonicNow()
		for due <= now && due < end {
			meter.Record(h, now-due)
			at += periodNs
			due = begin + uint64(at)
		}
	}
	return h
}
