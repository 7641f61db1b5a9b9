//go:build cgo

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/duck"
)

// engines gives each session the newest engine. What columns a table has is fixed when an engine is made, so one is made anew when feeds' plugins bring columns: sessions
// that are open go on with theirs, which is closed behind the last of them.
type engines struct {
	build func() (*duck.Engine, error)
	log   *slog.Logger

	newest  atomic.Pointer[duck.Engine]
	former  []*duck.Engine // with sessions: run's, then close's
	learned chan struct{}
}

// newEngines makes the first one. Nobody may call run or Connect when it fails.
func newEngines(build func() (*duck.Engine, error), log *slog.Logger) (*engines, error) {
	e := &engines{build: build, log: log, learned: make(chan struct{}, 1)}
	first, err := build()
	if err != nil {
		return nil, err
	}
	e.newest.Store(first)
	return e, nil
}

// learn says that there are other columns. It does not wait.
func (e *engines) learn() {
	select {
	case e.learned <- struct{}{}:
	default: // one that is not made yet will have them
	}
}

// Present is the engine for a session that begins now.
func (e *engines) Present() sqlgw.Engine { return e.newest.Load() }

// Connect makes a connection to the newest engine.
func (e *engines) Connect(ctx context.Context) (sqlgw.Conn, error) { return e.Present().Connect(ctx) }

// run makes engines as they are wanted, until ctx ends.
func (e *engines) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.learned:
			next, err := e.build()
			if err != nil {
				e.log.Error("feeds' plugins have other columns, which sessions do not see: no engine could be made with them", "err", err)
				continue
			}
			e.former = append(e.former, e.newest.Swap(next))
			e.log.Info("feeds' plugins have other columns: sessions that begin from now on see them")
		case <-tick.C:
		}
		still := e.former[:0]
		for _, old := range e.former {
			if old.Close() != nil { // it has sessions
				still = append(still, old)
			}
		}
		e.former = still
	}
}

// close closes all. run has ended, and there are no sessions.
func (e *engines) close() error {
	errs := []error{e.newest.Load().Close()}
	for _, old := range e.former {
		errs = append(errs, old.Close())
	}
	return errors.Join(errs...)
}
