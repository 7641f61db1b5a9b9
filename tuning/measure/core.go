package measure

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CoreOptions of CoreToCore.
type CoreOptions struct {
	// Cores to pair with each other. nil: all that are online and allowed.
	Cores []int
	// PairFor is how long each direction of a pair is measured. n cores take n·(n−1) times that. The default is 20 ms.
	PairFor time.Duration
}

// CoreResult has a cell for each pair, by the places of both cores in Cores: the row began, and the line lies in memory near
// it. A cell is half of there and back. Those of a core with itself are 0.
type CoreResult struct {
	Where
	Cores    []int       `json:"cores"`
	MedianNs [][]float64 `json:"median_ns"` // of pieces of 100 rounds
	MinNs    [][]float64 `json:"min_ns"`    // of the best piece
	BestNs   float64     `json:"best_ns"`   // the least median
	WorstNs  float64     `json:"worst_ns"`  // the greatest median
	Slowest  [2]int      `json:"slowest"`   // the cores of that pair
}

// CoreToCore measures how long a cache line takes from one core to another, for all pairs in both directions. It takes two cores.
func CoreToCore(ctx context.Context, o CoreOptions) (*CoreResult, error) {
	if o.PairFor <= 0 {
		o.PairFor = 20 * time.Millisecond
	}
	cores, err := usable(o.Cores)
	if err != nil {
		return nil, err
	}
	if len(cores) < 2 {
		return nil, fmt.Errorf("measure: core to core: it takes two cores, there is %d", len(cores))
	}
	end, err := begin(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer end()
	r := &CoreResult{Where: where(), Cores: cores}
	for i, from := range cores {
		medians, least := make([]float64, len(cores)), make([]float64, len(cores))
		for j, to := range cores {
			if i == j {
				continue
			}
			s, err := handover(ctx, from, to, o.PairFor)
			if err != nil {
				return nil, err
			}
			medians[j], least[j] = s.Median, s.Min
			if r.BestNs == 0 || s.Median < r.BestNs {
				r.BestNs = s.Median
			}
			if s.Median > r.WorstNs {
				r.WorstNs, r.Slowest = s.Median, [2]int{from, to}
			}
		}
		r.MedianNs, r.MinNs = append(r.MedianNs, medians), append(r.MinNs, least)
	}
	return r, nil
}

const (
	rounds      = 100 // there and back, that are timed together
	leastPieces = 10  // of a pair, however slow
	// patience bounds a pair: where two threads never run at the same time, a round takes two of the scheduler's slices.
	patience = 2 * time.Second
	// spins between two looks at the context. They are also what lets the runtime stop a thread that spins, where it may not
	// interrupt it (asyncpreemptoff).
	spins = 1 << 14
)

// pair is what two threads share, one cache line at the beginning of a page. The stamp goes along with the number: on a line of
// its own, which the other has read, it would hold the number back by a whole turn, one way only.
type pair struct{ seq, stamp atomic.Uint64 }

const ended = ^uint64(0) // of seq: the other thread may go

// await spins until seq is n. False: the context or the pair has ended.
func (p *pair) await(ctx context.Context, n uint64) bool {
	for i := 1; ; i++ {
		switch is := p.seq.Load(); is {
		case n:
			return true
		case ended:
			return false
		}
		if i%spins == 0 && ctx.Err() != nil {
			return false
		}
	}
}

// together runs lead on one core and follow on another. The pair's memory is near lead's core.
func together(ctx context.Context, from, to int, lead, follow func(*pair)) error {
	err := <-on(from, func() error {
		mem, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		p := (*pair)(unsafe.Pointer(unsafe.SliceData(mem)))
		p.seq.Store(0) // the first to touch it
		ready := make(chan struct{})
		done := on(to, func() error { close(ready); follow(p); return nil })
		select {
		case <-ready:
			lead(p) // returns between two rounds, or when the context has ended: follow does not write over what comes now
			p.seq.Store(ended)
			err = <-done
		case err = <-done: // it could not be put there
		}
		return errors.Join(err, unix.Munmap(mem))
	})
	if err != nil {
		return fmt.Errorf("measure: cores %d and %d: %w", from, to, err)
	}
	return ctx.Err()
}

// handover is half of there and back, ns.
func handover(ctx context.Context, from, to int, length time.Duration) (Stat, error) {
	var pieces []float64
	err := together(ctx, from, to, func(p *pair) {
		at := uint64(0)
		for began := time.Now(); ; {
			start := time.Now()
			if passed := start.Sub(began); passed > patience || passed > length && len(pieces) >= leastPieces {
				return
			}
			for range rounds {
				p.seq.Store(at + 1)
				at += 2
				if !p.await(ctx, at) {
					return
				}
			}
			pieces = append(pieces, float64(time.Since(start).Nanoseconds())/(2*rounds))
		}
	}, func(p *pair) {
		for n := uint64(1); p.await(ctx, n); n += 2 {
			p.seq.Store(n + 1)
		}
	})
	if err == nil && len(pieces) == 0 {
		err = fmt.Errorf("measure: cores %d and %d: not %d rounds in %v: their threads do not run at the same time", from, to, rounds, patience)
	}
	return statOf(pieces), err
}
