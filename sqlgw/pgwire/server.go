package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
)

// Options of a Server. The zero value answers loopback clients without a password.
type Options struct {
	// Users may log in, by SCRAM-SHA-256. Without any, clients on loopback need no password and others are refused.
	Users []User
	// Open lets clients from elsewhere in, too, when there are no Users.
	Open bool
	// TLS makes SSLRequest answer 'S'. Without it the port speaks clear text.
	TLS *tls.Config
	// Version is shown behind server_version, as in "15.4 (tickwire 1.2)".
	Version string
	// MaxConnections is how many sessions there may be. The default is 100; more get SQLSTATE 53300.
	MaxConnections int
	// MaxMessage bounds a message from a client, in bytes. The default is 16 MiB.
	MaxMessage int
	// StartupTimeout is from the first byte to the end of authentication. The default is 10 s.
	StartupTimeout time.Duration
	// StatementTimeout is what sessions begin with; 0: none. "SET statement_timeout" changes a session's.
	StatementTimeout time.Duration
	// PortalAge ends portals and cursors nobody has asked for that long. The default is 10 minutes.
	PortalAge time.Duration
	// Grace is how long running statements may go on after Serve's context has ended. The default is 3 s.
	Grace time.Duration
	// Settings are further defaults of session parameters, as "timezone".
	Settings map[string]string
	// Log gets one line a refused or broken session; statements and secrets never. The default is slog.Default().
	Log *slog.Logger
}

// Counters of a Server, all since it was made but Connections.
type Counters struct {
	Connections   atomic.Int64  // open now, without those still starting up
	Accepted      atomic.Uint64 // TCP connections, cancel requests too
	Refused       atomic.Uint64 // ended during start-up with an error
	Statements    atomic.Uint64 // run, by Query or Execute
	Errors        atomic.Uint64 // ErrorResponse sent, refusals too
	Cancelled     atomic.Uint64 // statements ended by a client, a time-out or a client that went
	Rows          atomic.Uint64 // DataRow sent
	BytesOut      atomic.Uint64
	ProtocolFault atomic.Uint64 // sessions ended since their bytes are no messages
	Panics        atomic.Uint64 // sessions ended by a fault of ours
}

// Server answers PostgreSQL clients. Engine must be set; Serve may be called for several listeners at once.
type Server struct {
	Engine   sqlgw.Engine
	Options  Options
	Counters Counters

	once     sync.Once
	started  time.Time
	users    map[string]*verifier
	decoy    []byte // seed of the salts of unknown users
	mu       sync.Mutex
	sessions map[uint32]*session
	lastPID  uint32
}

const defaultConnections = 100

func (s *Server) init() error {
	var err error
	s.once.Do(func() {
		o := &s.Options
		o.MaxConnections = or(o.MaxConnections, defaultConnections)
		o.MaxMessage = or(o.MaxMessage, 16<<20)
		o.StartupTimeout = or(o.StartupTimeout, 10*time.Second)
		o.PortalAge = or(o.PortalAge, 10*time.Minute)
		o.Grace = or(o.Grace, 3*time.Second)
		if o.Log == nil {
			o.Log = slog.Default()
		}
		s.started = time.Now()
		s.sessions = map[uint32]*session{}
		s.decoy = make([]byte, 32)
		rand.Read(s.decoy)
		s.users, err = verifiers(o.Users)
	})
	if err == nil && s.users == nil {
		err = errors.New("pgwire: the users were refused before")
	}
	return err
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Serve accepts clients until ctx ends or the listener fails, and returns when the last of its sessions has ended. It
// closes the listener. At the end of ctx idle sessions get SQLSTATE 57P01 at once, running ones after Options.Grace.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := s.init(); err != nil {
		l.Close()
		return err
	}
	var all sync.WaitGroup
	ending := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { close(ending); l.Close() })
	defer stop()
	var fault error
	for {
		c, err := l.Accept()
		if err != nil {
			var passing interface{ Temporary() bool }
			if ctx.Err() == nil && errors.As(err, &passing) && passing.Temporary() {
				// Out of file descriptors, or a client that went before it was taken: the port stays open.
				s.Options.Log.Warn("sql port cannot accept for a moment", "err", err)
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if ctx.Err() == nil {
				fault = err
			}
			break
		}
		s.Counters.Accepted.Add(1)
		all.Go(func() { s.handle(ctx, c) })
	}
	l.Close()
	all.Wait()
	return fault
}

// handle lives as long as a connection.
func (s *Server) handle(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer func() {
		if p := recover(); p != nil {
			s.Counters.Panics.Add(1)
			s.Options.Log.Error("sql session ended by a fault of ours", "client", c.RemoteAddr(), "panic", p, "stack", stack())
		}
	}()
	ss := &session{srv: s, w: newWire(c, s.Options.MaxMessage, &s.Counters), raw: c, ctx: ctx, settings: newSettings(&s.Options)}
	ok, err := ss.startup()
	if !ok {
		if err != nil {
			s.Counters.Refused.Add(1)
			s.Options.Log.Info("sql client refused", "client", c.RemoteAddr(), "err", err)
		}
		return
	}
	defer s.forget(ss)
	s.Counters.Connections.Add(1)
	defer s.Counters.Connections.Add(-1)
	stop := context.AfterFunc(ctx, ss.shutdown)
	defer stop()
	defer ss.close()
	if err := ss.serve(); err != nil && !errors.Is(err, errGone) {
		s.Options.Log.Info("sql session ended", "client", c.RemoteAddr(), "user", ss.user, "err", err)
	}
}

// remember gives a session its process id and key, unless there are too many.
func (s *Server) remember(ss *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= s.Options.MaxConnections {
		return false
	}
	for {
		s.lastPID = (s.lastPID + 1) & 0x7fff_ffff // clients show it as a signed number
		if _, taken := s.sessions[s.lastPID]; !taken && s.lastPID != 0 {
			break
		}
	}
	ss.pid = s.lastPID
	rand.Read(ss.key[:])
	s.sessions[ss.pid] = ss
	return true
}

func (s *Server) forget(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ss.pid)
}

// cancel acts on a CancelRequest body: code, process id, key. Who asks learns nothing.
func (s *Server) cancel(body []byte) {
	if len(body) != 12 {
		return
	}
	s.mu.Lock()
	ss := s.sessions[binary.BigEndian.Uint32(body[4:])]
	s.mu.Unlock()
	if ss != nil && subtle.ConstantTimeCompare(ss.key[:], body[8:]) == 1 {
		ss.run.stop(byUser)
	}
}

// other finds a session by process id, for pg_cancel_backend.
func (s *Server) other(pid int64) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[uint32(pid)]
}
