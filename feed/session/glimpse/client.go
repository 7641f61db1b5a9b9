// Package glimpse fetches a venue's snapshot: GLIMPSE 5.0 over SoupBinTCP (Nasdaq's specifications of both).
//
//	dial ──► login (sequence 1) ──► A ──► S S S … ──► S 'G' number ──► logout
//	                                 └── heartbeats both ways, each second ──┘
//
// It runs on an ordinary goroutine; lanes only see what package resync makes of it. Everything that a server may do wrong ends in an
// error, and nothing of it is believed to the end: the time, the messages and the bytes of a snapshot are bounded.
package glimpse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tickwire/tickwire/parsers/soupbin"
)

// Config of a client. Server must be given; the rest works at zero.
type Config struct {
	// Server is host:port.
	Server string
	// User and Password are at most 6 and 10 characters. They appear in no error and no log.
	User, Password string
	// Session is the one that the snapshot is to be of, padded or not: what a server offers of another one is not taken. The default is whatever it offers.
	Session string
	// HeartbeatTimeoutMs makes the login one of version 4, with this time-out, ms. The default, 0, is version 3.
	HeartbeatTimeoutMs uint32
	// Dial bounds the making of a connection, with the resolving of a name. The default is 5 s.
	Dial time.Duration
	// Heartbeat is after how long a silence of our own the server is told that we are there. The default is 1 s.
	Heartbeat time.Duration
	// Silence is how long the server may say nothing before it is taken for dead. The default is 15 s.
	Silence time.Duration
	// Most is how long a whole snapshot may take, from dialling to its end. The default is 2 min.
	Most time.Duration
	// MaxMessages and MaxBytes bound a snapshot. The defaults are 16 million, five times a busy day's, and 1 GiB.
	MaxMessages, MaxBytes uint64
}

func (c *Config) defaults() {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&c.Dial, 5 * time.Second}, {&c.Heartbeat, time.Second}, {&c.Silence, 15 * time.Second}, {&c.Most, 2 * time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	if c.MaxMessages == 0 {
		c.MaxMessages = 16 << 20
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
}

// Errors of Fetch, wrapped with what was seen. A dial or a connection that fails is the network's own error.
var (
	ErrRejected = errors.New("login rejected")
	ErrSession  = errors.New("snapshot is of another session")
	ErrEnded    = errors.New("session ended before the snapshot did")
	ErrProtocol = errors.New("not what the protocol allows")
	ErrTooMuch  = errors.New("snapshot is larger than is believed")
	ErrSilent   = errors.New("server fell silent")
	ErrTooSlow  = errors.New("snapshot took too long")
)

// Fetch takes one snapshot. fn gets its messages, length-prefixed as MoldUDP64 blocks are, some thousand at a time, on the calling
// goroutine; blocks is valid for the call, and an error of fn ends the snapshot with that error. Fetch returns the number of
// the first real-time message that is not in the snapshot. After an error whatever fn got is void.
func Fetch(ctx context.Context, cfg Config, fn func(blocks []byte, count int) error) (next uint64, err error) {
	cfg.defaults()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Most, ErrTooSlow)
	defer cancel()
	login, err := soupbin.AppendLogin(nil, &soupbin.Login{
		User: cfg.User, Password: cfg.Password, Sequence: 1, HeartbeatTimeoutMs: cfg.HeartbeatTimeoutMs,
	})
	if err != nil {
		return 0, fmt.Errorf("glimpse: %s: %w", cfg.Server, err)
	}
	dialer := net.Dialer{Timeout: cfg.Dial}
	conn, err := dialer.DialContext(ctx, "tcp", cfg.Server)
	if err != nil {
		return 0, fmt.Errorf("glimpse: %s: %w", cfg.Server, because(ctx, err))
	}
	defer conn.Close()
	// A context that ends closes the connection: whatever blocks on it returns.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err = write(conn, login, cfg.Silence); err == nil {
		s := stream{cfg: &cfg, conn: conn, fn: fn}
		stop := s.heartbeats()
		next, err = s.run()
		stop()
		if err == nil {
			_ = write(conn, []byte{0, 1, soupbin.Logout}, time.Second) // politeness: the snapshot is whole
		}
	}
	if err != nil {
		return 0, fmt.Errorf("glimpse: %s: %w", cfg.Server, because(ctx, err))
	}
	return next, nil
}

// because gives the context's reason when that is what ended things.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return err
}

func write(conn net.Conn, b []byte, most time.Duration) error {
	if err := conn.SetWriteDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}

// stream is the receiving half of a connection.
type stream struct {
	cfg      *Config
	conn     net.Conn
	fn       func([]byte, int) error
	accepted bool
	messages uint64
	bytes    uint64

	blocks []byte // messages for fn
	count  int
}

// heartbeats says each second that we are there, until stop is called.
func (s *stream) heartbeats() (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(s.cfg.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if write(s.conn, []byte{0, 1, soupbin.ClientHeartbeat}, s.cfg.Silence) != nil {
					return // the reader notices
				}
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// run reads until the snapshot ends.
func (s *stream) run() (next uint64, err error) {
	buf := make([]byte, 2*soupbin.MaxPacket)
	for n := 0; ; {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.cfg.Silence)); err != nil {
			return 0, err
		}
		got, err := s.conn.Read(buf[n:])
		if err != nil {
			return 0, fmt.Errorf("after %d messages: %w", s.messages, err)
		}
		n += got
		if s.bytes += uint64(got); s.bytes > s.cfg.MaxBytes {
			return 0, fmt.Errorf("%w: over %d bytes", ErrTooMuch, s.cfg.MaxBytes)
		}
		used, next, whole, err := s.packets(buf[:n])
		if err != nil {
			return 0, err
		}
		if err := s.hand(); err != nil {
			return 0, err
		}
		if whole {
			return next, nil
		}
		n = copy(buf, buf[used:n])
	}
}

// packets takes the whole packets of b. whole says that the snapshot's end was one of them.
func (s *stream) packets(b []byte) (used int, next uint64, whole bool, err error) {
	for {
		p, n, err := soupbin.Split(b[used:])
		if err != nil {
			return used, 0, false, fmt.Errorf("%w: after %d messages: %w", ErrProtocol, s.messages, err)
		}
		if n == 0 {
			return used, 0, false, nil
		}
		used += n
		if next, whole, err = s.packet(p); whole || err != nil {
			return used, next, whole, err
		}
	}
}

func (s *stream) packet(p soupbin.Packet) (next uint64, whole bool, err error) {
	switch p.Type {
	case soupbin.ServerHeartbeat, soupbin.Debug:
		return 0, false, nil
	case soupbin.LoginRejected:
		if s.accepted {
			break
		}
		reason, err := soupbin.ParseRejected(p.Payload)
		switch {
		case err != nil:
			return 0, false, fmt.Errorf("%w: %w", ErrRejected, err)
		case reason == soupbin.NotAuthorised:
			return 0, false, fmt.Errorf("%w: not authorised (user or password)", ErrRejected)
		case reason == soupbin.SessionNotAvailable:
			return 0, false, fmt.Errorf("%w: session not available", ErrRejected)
		}
		return 0, false, fmt.Errorf("%w: reason %q", ErrRejected, reason)
	case soupbin.LoginAccepted:
		if s.accepted {
			break
		}
		a, err := soupbin.ParseAccepted(p.Payload)
		if err != nil {
			return 0, false, fmt.Errorf("%w: login accepted: %w", ErrProtocol, err)
		}
		if a.Sequence != 1 {
			return 0, false, fmt.Errorf("%w: the snapshot begins with message %d, want 1: its start is missing", ErrProtocol, a.Sequence)
		}
		if want := strings.TrimSpace(s.cfg.Session); want != "" && strings.TrimSpace(a.Session) != want {
			return 0, false, fmt.Errorf("%w: it is of %q, wanted is %q", ErrSession, a.Session, want)
		}
		s.accepted = true
		return 0, false, nil
	case soupbin.EndOfSession:
		return 0, false, fmt.Errorf("%w, after %d messages", ErrEnded, s.messages)
	case soupbin.Unsequenced:
		if s.accepted {
			return 0, false, nil // not used by market data
		}
	case soupbin.Sequenced:
		if s.accepted {
			return s.message(p.Payload)
		}
	}
	return 0, false, fmt.Errorf("%w: packet of type %q after %d messages, login accepted: %v", ErrProtocol, p.Type, s.messages, s.accepted)
}

func (s *stream) message(m []byte) (next uint64, whole bool, err error) {
	if len(m) > 0 && m[0] == soupbin.SnapshotEnd {
		next, err = soupbin.ParseSnapshotEnd(m)
		if err == nil && next == 0 {
			err = soupbin.ErrNumber
		}
		if err != nil {
			return 0, false, fmt.Errorf("%w: end of snapshot: %w", ErrProtocol, err)
		}
		return next, true, nil
	}
	if s.messages++; s.messages > s.cfg.MaxMessages {
		return 0, false, fmt.Errorf("%w: over %d messages", ErrTooMuch, s.cfg.MaxMessages)
	}
	s.blocks = binary.BigEndian.AppendUint16(s.blocks, uint16(len(m)))
	s.blocks = append(s.blocks, m...)
	s.count++
	return 0, false, nil
}

// hand gives what came to whoever wants it.
func (s *stream) hand() error {
	if s.count == 0 {
		return nil
	}
	err := s.fn(s.blocks, s.count)
	s.blocks, s.count = s.blocks[:0], 0
	return err
}
