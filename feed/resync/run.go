package resync

import (
	"context"
	"time"
)

// pollEvery is how soon Run notices what the lane wants. The lane wakes nobody: that would be a call into the kernel.
const pollEvery = 2 * time.Millisecond

// Run makes attempts whenever the lane wants books, until ctx ends. It is an ordinary goroutine; while nothing is wanted it looks
// every few milliseconds. Start it once.
func (r *Resync) Run(ctx context.Context) {
	w, void := &r.worker, 0
	var begun time.Time
	for sleep(ctx, pollEvery) {
		if !w.Wanted() {
			void = 0
			continue
		}
		if time.Since(begun) < r.o.Retry { // one loss after the other: the server is not asked for each
			continue
		}
		begun = time.Now()
		if w.attempt(ctx) {
			void = 0
			continue
		}
		for end := time.Now().Add(w.backOff(void)); w.Current() && time.Now().Before(end) && sleep(ctx, pollEvery); {
		}
		void++
	}
}

// attempt takes one snapshot and sees it through. false: it was void.
func (w *Worker) attempt(ctx context.Context) bool {
	log := w.r.o.Log
	if !w.Begin() {
		return true
	}
	begun := time.Now()
	next, err := w.fetch(ctx)
	if err != nil {
		w.Fail(err)
	} else if err = w.End(next); err == nil {
		log.Info("resync: snapshot taken", "next", next, "took", time.Since(begun).Round(time.Millisecond))
	}
	for err == nil && ctx.Err() == nil {
		var st State
		switch st, err = w.Step(uint64(time.Since(begun))); st {
		case Done:
			log.Info("resync: books were rebuilt", "took", time.Since(begun).Round(time.Millisecond))
			return true
		case Over:
			return true
		case Waiting:
			sleep(ctx, pollEvery/4)
		}
	}
	if ctx.Err() == nil && w.Current() {
		log.Warn("resync: attempt failed; books stay suspect, the next one follows", "err", err)
	}
	return false
}

// fetch takes a snapshot, and stops when the attempt is void anyway.
func (w *Worker) fetch(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * pollEvery):
			}
			switch {
			case !w.Current():
				cancel(ErrOver)
			case w.r.full.Load() != w.full:
				cancel(ErrLogFull)
			}
		}
	}()
	next, err := uint64(0), error(nil)
	if w.r.o.Parts != nil {
		err = w.r.o.Parts(ctx, w.Part)
	} else if next, err = w.r.o.Fetch(ctx, w.session, w.Snapshot); err == nil && next == 0 {
		err = ErrNumber
	}
	close(done)
	<-watching
	return next, err
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
