package fix

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Write queues a message. It fails when the peer has not taken what was sent before.
func (g *gate) Write(p []byte) (int, error) {
	if isAppFrame(p) {
		if n := uint64(len(p)); n > g.widest.Load() {
			g.widest.Store(n) // one goroutine writes
		}
		g.passed.Add(1)
	}
	if g.isDone() {
		return 0, net.ErrClosed
	}
	if !g.queue.put(p) {
		g.c.Backlog.Add(1)
		g.shut(errSlowPeer)
		return 0, errSlowPeer
	}
	return len(p), nil
}

// isAppFrame tells a message of the application by its third field.
func isAppFrame(p []byte) bool {
	at := bytes.Index(p[:min(len(p), 64)], []byte("\x0135="))
	if at < 0 || at+5 >= len(p) {
		return false
	}
	end := bytes.IndexByte(p[at+4:], soh)
	return end > 0 && !isAdmin(string(p[at+4:at+4+end]))
}

func (g *gate) isDone() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// send writes what is queued.
func (g *gate) send() {
	for {
		b := g.queue.take()
		if b == nil {
			_ = g.conn.Close()
			return
		}
		_ = g.conn.SetWriteDeadline(time.Now().Add(g.limit.write))
		if _, err := g.conn.Write(b); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				g.c.Slow.Add(1)
				err = errSlowPeer
			}
			g.shut(err)
			_ = g.conn.Close()
			return
		}
	}
}

// sendQueue is bytes that wait to be sent, up to a limit. One goroutine takes, any put.
type sendQueue struct {
	mu     sync.Mutex
	wake   sync.Cond
	fill   []byte // grows
	work   []byte // being sent
	limit  int
	closed bool
}

func (q *sendQueue) init(limit int) {
	q.limit = limit
	q.wake.L = &q.mu
}

func (q *sendQueue) put(p []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.fill)+len(p) > q.limit {
		return false
	}
	q.fill = append(q.fill, p...)
	q.wake.Signal()
	return true
}

// take waits for bytes; nil: there will be none.
func (q *sendQueue) take() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.fill) == 0 {
		if q.closed {
			return nil
		}
		q.wake.Wait()
	}
	q.work, q.fill = q.fill, q.work[:0]
	return q.work
}

func (q *sendQueue) end() {
	q.mu.Lock()
	q.closed = true
	q.wake.Signal()
	q.mu.Unlock()
}

// waiting is how many bytes the peer has yet to take, those being written aside.
func (q *sendQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.fill)
}
