// Package ringbench measures a ring between two processes: one calls Flood or Pace on the writer, the other Drain or
// Latencies on a reader. Who starts, pins and repeats them, and prints the figures, is the caller's business.
//
//	Flood ──> ring ──> Drain        records a second, written and read, none torn
//	Pace  ──> ring ──> Latencies    ns from the time a record was due to the reader's clock after validation
//
// Both processes read CLOCK_MONOTONIC, which is the host's.
package ringbench

import (
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
)

// MaxRun is the longest run that Flood publishes at once.
const MaxRun = 1024

// Written is what a writer did.
type Written struct {
	Records uint64
	Elapsed time.Duration
	Late    uint64 // Pace: records that were due when the one before was published
}

// Read is what a reader saw.
type Read struct {
	Records uint64
	Lost    uint64
	Bad     uint64 // accepted records that are not what was written: must be 0
	Elapsed time.Duration
}

// word is word j of record number in Flood: cheap, different for each of both.
func word(number, j uint64) uint64 { return number + j*0x9E3779B97F4A7C15 }

// Flood publishes runs of the given length (1 to MaxRun) as fast as it goes for d, filling every word of every record.
// It beats as a lane's housekeeping would. One goroutine; the caller locks and pins its thread.
func Flood(w *ringbuf.Writer, run int, d time.Duration) Written {
	run = min(max(run, 1), MaxRun)
	words := w.Header().Kind.PayloadBytes() / 8
	recs := make([]uint64, run*words)
	begin := ringbuf.MonotonicNow()
	now, beat, end := begin, begin, begin+uint64(d)
	first := w.Next()
	for pass := 0; now < end; pass++ {
		at, number := 0, w.Next()
		for range run {
			for j := range words {
				recs[at+j] = word(number, uint64(j))
			}
			at += words
			number++
		}
		w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), run)
		w.PublishHint()
		if pass%64 != 0 {
			continue
		}
		if now = ringbuf.MonotonicNow(); now-beat > 1e6 {
			w.Beat(now)
			beat = now
		}
	}
	return Written{Records: w.Next() - first, Elapsed: time.Duration(now - begin)}
}

// Drain reads until stop, asked at every empty poll and every few thousand records, says so, and checks every word.
func Drain(r *ringbuf.Reader, batch int, stop func() bool) Read {
	batch = min(max(batch, 1), MaxRun)
	words := r.Kind().PayloadBytes() / 8
	recs := make([]uint64, batch*words)
	var out Read
	lost, begin := r.Lost(), ringbuf.MonotonicNow()
	for next := uint64(4096); ; {
		n, first, _ := r.PollInto(unsafe.Pointer(unsafe.SliceData(recs)), batch)
		for i := range n {
			rec := recs[i*words : (i+1)*words]
			var diff uint64
			for j, v := range rec {
				diff |= v ^ word(first+uint64(i), uint64(j))
			}
			if diff != 0 {
				out.Bad++
			}
		}
		out.Records += uint64(n)
		if n == 0 || out.Records >= next {
			next = out.Records + 4096
			if stop() {
				break
			}
		}
	}
	out.Lost = r.Lost() - lost
	out.Elapsed = time.Duration(ringbuf.MonotonicNow() - begin)
	return out
}

// Pace publishes one record at a time, perSecond of them, for d, each with the time it was due in its first word: a
// record that is published late is late, not moved (no coordinated omission). It spins between records.
func Pace(w *ringbuf.Writer, perSecond int, d time.Duration) Written {
	rec := make([]uint64, w.Header().Kind.PayloadBytes()/8)
	period := uint64(1e9) / uint64(max(1, perSecond))
	begin := ringbuf.MonotonicNow()
	var out Written
	beat := begin
	for due := begin; due < begin+uint64(d); due += period {
		now := ringbuf.MonotonicNow()
		if now > due+period {
			out.Late++
		}
		for now < due {
			now = ringbuf.MonotonicNow()
		}
		rec[0] = due
		w.Publish(unsafe.Pointer(unsafe.SliceData(rec)), 1)
		w.PublishHint()
		out.Records++
		if now-beat > 1e6 {
			w.Beat(now)
			beat = now
		}
	}
	out.Elapsed = time.Duration(ringbuf.MonotonicNow() - begin)
	return out
}

// Latencies reads what Pace writes and gives record the ns from due time to now for each, the clock being read after the
// record was validated. It spins until stop, asked at empty polls now and then.
func Latencies(r *ringbuf.Reader, record func(ns uint64), stop func() bool) Read {
	rec := make([]uint64, r.Kind().PayloadBytes()/8)
	var out Read
	lost, begin := r.Lost(), ringbuf.MonotonicNow()
	for idle := 0; ; {
		n, _, _ := r.PollInto(unsafe.Pointer(unsafe.SliceData(rec)), 1)
		if n == 1 {
			now := ringbuf.MonotonicNow()
			out.Records++
			record(max(now, rec[0]) - rec[0])
			continue
		}
		if idle++; idle%4096 == 0 && stop() {
			break
		}
	}
	out.Lost = r.Lost() - lost
	out.Elapsed = time.Duration(ringbuf.MonotonicNow() - begin)
	return out
}
