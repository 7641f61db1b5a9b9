package pgwire

import (
	"context"
	"sync"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
)

// reason why a statement was stopped. It decides what the client is told.
type reason uint8

const (
	notStopped reason = iota
	byUser            // CancelRequest or pg_cancel_backend
	byTimeout         // statement_timeout
	byShutdown        // the server ends
	byAbsence         // the client closed its socket
)

func (r reason) err() *sqlgw.Error {
	switch r {
	case byUser:
		return &sqlgw.Error{State: "57014", Message: "canceling statement due to user request"}
	case byTimeout:
		return &sqlgw.Error{State: "57014", Message: "canceling statement due to statement timeout"}
	case byShutdown:
		return &sqlgw.Error{State: "57P01", Message: "terminating connection due to administrator command"}
	case byAbsence:
		return &sqlgw.Error{State: "57014", Message: "canceling statement since the client has gone"}
	}
	return nil
}

// running is the statement a session works on, as others may stop it. While one runs, a timer looks every beat
// for its time limit and whether its client is still there, and repeats an interrupt the engine may have
// missed because it came before the engine had begun.
type running struct {
	mu     sync.Mutex
	active bool
	why    reason
	conn   sqlgw.Conn
	cancel context.CancelFunc
	until  time.Time
	timer  *time.Timer
	gone   func() bool
	ended  func(reason)
}

const beat = 50 * time.Millisecond

// begin marks the start of a statement and gives the context it runs under. end must follow, before another begin.
func (r *running) begin(ctx context.Context, limit time.Duration) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active, r.why, r.cancel, r.conn, r.until = true, notStopped, cancel, nil, time.Time{}
	wait := beat
	if limit > 0 {
		r.until = time.Now().Add(limit)
		wait = min(wait, limit)
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, r.tick)
	} else {
		r.timer.Reset(wait)
	}
	return ctx
}

// on names the engine's connection that works for the statement now.
func (r *running) on(c sqlgw.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn = c
}

// end of the statement. It says whether it was stopped, and why.
func (r *running) end() reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.active {
		return notStopped
	}
	r.active, r.conn = false, nil
	r.timer.Stop()
	r.cancel()
	if r.why != notStopped && r.ended != nil {
		r.ended(r.why)
	}
	return r.why
}

// stopped says why the statement must end, from the session's own goroutine.
func (r *running) stopped() reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// stop a statement, if one runs. From any goroutine.
func (r *running) stop(why reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active && r.why == notStopped {
		r.why = why
		r.interrupt()
	}
}

func (r *running) interrupt() {
	r.cancel()
	if r.conn != nil {
		r.conn.Interrupt()
	}
}

func (r *running) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.active {
		return
	}
	if r.why == notStopped {
		switch {
		case !r.until.IsZero() && !time.Now().Before(r.until):
			r.why = byTimeout
		case r.gone != nil && r.gone():
			r.why = byAbsence
		}
	}
	wait := beat
	if r.why != notStopped {
		r.interrupt()
	} else if !r.until.IsZero() {
		wait = min(wait, max(time.Until(r.until), time.Millisecond))
	}
	r.timer.Reset(wait)
}
