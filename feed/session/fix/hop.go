package fix

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"
)

// hop is how an initiator's bytes pass through a gate: the library dials by itself, and can be told of a SOCKS proxy. The hop is one, on lo, for
// this library only: it wants a user and a password that were drawn for it. What it is asked for it does not care about; it dials the venue.
//
//	library ──SOCKS 5, lo──► hop ──► gate ──► TLS, TCP ──► venue
//
// It also waits: the library tries again at once, the hop dials when its back-off says so.
type hop struct {
	listener   net.Listener
	user, pass string
	dial       func(context.Context) (*gate, error)
	retry      *backOff
	log        *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newHop(dial func(context.Context) (*gate, error), retry *backOff, log *slog.Logger) (*hop, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fix: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: it ends the process instead
	h := &hop{listener: l, user: hex.EncodeToString(secret[:16]), pass: hex.EncodeToString(secret[16:]), dial: dial, retry: retry, log: log}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.wg.Go(h.serve)
	return h, nil
}

func (h *hop) port() string {
	return strconv.Itoa(h.listener.Addr().(*net.TCPAddr).Port)
}

// stop closes everything and returns when all is closed.
func (h *hop) stop() {
	h.cancel()
	_ = h.listener.Close()
	h.wg.Wait()
}

// serve takes connections: the library has one at a time, strangers do not get past the greeting.
func (h *hop) serve() {
	for {
		conn, err := h.listener.Accept()
		if err != nil {
			return
		}
		h.wg.Go(func() {
			h.carry(conn)
			_ = conn.Close()
		})
	}
}

func (h *hop) carry(lib net.Conn) {
	stop := context.AfterFunc(h.ctx, func() { _ = lib.Close() })
	defer stop()
	_ = lib.SetDeadline(time.Now().Add(2 * time.Second))
	if err := h.greet(lib); err != nil {
		return // a stranger on lo
	}
	_ = lib.SetDeadline(time.Time{})
	if !h.retry.wait(h.ctx) {
		return
	}
	g, err := h.dial(h.ctx)
	if err != nil {
		if h.ctx.Err() == nil {
			h.retry.failed()
			h.log.Warn("fix: venue not reached", "err", err, "next", h.retry.due().Round(time.Millisecond).String())
		}
		_, _ = lib.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0}) // host unreachable
		return
	}
	h.retry.failed() // taken back by a Logon
	defer g.Close()
	stopGate := context.AfterFunc(h.ctx, func() { _ = g.Close() })
	defer stopGate()
	if _, err := lib.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := io.Copy(lib, onlyRead{g})
		if err != nil && !errors.Is(err, net.ErrClosed) && h.ctx.Err() == nil {
			h.log.Warn("fix: connection ended", "err", err)
		}
		_ = lib.Close()
	})
	_, _ = io.Copy(onlyWrite{g}, onlyRead{lib})
	_ = g.Close()
	wg.Wait()
	h.retry.ended()
}

// onlyRead and onlyWrite keep io.Copy from finding short cuts past a gate.
type onlyRead struct{ io.Reader }
type onlyWrite struct{ io.Writer }

var errStranger = errors.New("fix: not the library")

// greet is the server's side of SOCKS 5 with user and password (RFC 1928, 1929), up to the request.
func (h *hop) greet(conn net.Conn) error {
	var b [515]byte
	read := func(n int) ([]byte, error) {
		_, err := io.ReadFull(conn, b[:n])
		return b[:n], err
	}
	head, err := read(2)
	if err != nil || head[0] != 5 {
		return errStranger
	}
	methods, err := read(int(head[1]))
	if err != nil {
		return err
	}
	offered := false
	for _, m := range methods {
		offered = offered || m == 2
	}
	if !offered {
		_, _ = conn.Write([]byte{5, 0xFF})
		return errStranger
	}
	if _, err := conn.Write([]byte{5, 2}); err != nil {
		return err
	}
	var said [2]string
	if head, err = read(1); err != nil || head[0] != 1 {
		return errStranger
	}
	for i := range said {
		if head, err = read(1); err != nil {
			return err
		}
		text, err := read(int(head[0]))
		if err != nil {
			return err
		}
		said[i] = string(text)
	}
	if subtle.ConstantTimeCompare([]byte(said[0]+"\x00"+said[1]), []byte(h.user+"\x00"+h.pass)) != 1 {
		_, _ = conn.Write([]byte{1, 1})
		return errStranger
	}
	if _, err := conn.Write([]byte{1, 0}); err != nil {
		return err
	}
	if head, err = read(4); err != nil || head[0] != 5 || head[1] != 1 {
		return errStranger
	}
	size := 4
	switch head[3] {
	case 3:
		if head, err = read(1); err != nil {
			return err
		}
		size = int(head[0])
	case 4:
		size = 16
	}
	_, err = read(size + 2)
	return err
}

// backOff is when to dial again: least after a logged-on session, then twice as long each time, up to most, a fifth more or less by chance so that
// clients that lost their venue together do not come back together.
type backOff struct {
	least, most time.Duration
	now         func() time.Time
	chance      func() float64 // 0 to 1

	mu    sync.Mutex
	fails int
	next  time.Time
}

// failed moves the next attempt away.
func (b *backOff) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	delay := b.least << min(b.fails, 20)
	if delay > b.most || delay <= 0 {
		delay = b.most
	}
	b.fails++
	b.next = b.now().Add(time.Duration(float64(delay) * (0.8 + 0.4*b.chance())))
}

// worked is told of a Logon.
func (b *backOff) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.next = 0, b.now()
}

// ended is told that a connection is no more.
func (b *backOff) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails == 0 {
		b.next = b.now().Add(b.least)
	}
}

// due is how long from now the next attempt is.
func (b *backOff) due() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.next.Sub(b.now()))
}

// wait returns when the next attempt is due; false: ctx ended.
func (b *backOff) wait(ctx context.Context) bool {
	t := time.NewTimer(b.due())
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
