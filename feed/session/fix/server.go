package fix

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	qf "github.com/quickfixgo/quickfix"
	"github.com/quickfixgo/quickfix/config"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// ServerConfig of a server. Clients has no default.
type ServerConfig struct {
	// Address to listen at. The default is 127.0.0.1:5201: nobody but this machine.
	Address string
	// SenderCompID is ours. The default is TICKWIRE.
	SenderCompID string
	// Clients are the CompIDs that may log on, each once at a time.
	Clients []string
	// Versions that are spoken. The default is all.
	Versions []Version
	// TLS of connections. With CAFile clients need certificates. The default is none.
	TLS TLS
	// StoreDir is the folder in which numbers outlive the process. Default: none, in memory.
	StoreDir string
	// Sync makes each number durable before the message is sent. The default is off.
	Sync bool
	// Resend keeps what was sent last and replays it when a client asks; for what is no longer kept gaps are filled without messages, and each subscription
	// gets W. What was sent before the process began is not kept. The default is off: all gaps are filled so, for old quotes have no value.
	Resend bool
	// ResendMessages and ResendBytes bound what is kept for each session. The defaults are 100,000 and 16 MiB.
	ResendMessages, ResendBytes int
	// Schedule of sessions. The default is always.
	Schedule Schedule

	// MaxConnections at a time, logged on or not. The default is twice the clients, at least 16.
	MaxConnections int
	// MaxSymbols that a session may have in its subscriptions together. The default is 10,000.
	MaxSymbols int
	// QueueBytes is what may wait to be sent to one client: from half of it on it gets no X, and W once it has caught up; past it the connection is
	// closed. The default is 8 MiB.
	QueueBytes int
	// QueueMessages is how many messages may be on their way to one client's queue; beyond it is as with half of QueueBytes. The default is 4,096.
	QueueMessages int
	// MaxBody is the longest message that is taken, bytes. The default is 64 KiB.
	MaxBody int
	// LogonTimeout is how long a connection may be without Logon, FrameTimeout how long a message may take. The defaults are 10 s and 30 s.
	LogonTimeout, FrameTimeout time.Duration
	// Patience is how long a gap may stay as it is before it is asked for again; after that twice as long, and so on, 32 times at most. The default is 3 s.
	Patience time.Duration
	// BookPatience is how long a request that was granted may be without its first book, such as one that is made of orders before the feed has written a
	// snapshot; then it is refused after all. The default is 10 s.
	BookPatience time.Duration
	// WriteTimeout is how long a client may take nothing of what is sent to it. The default is 30 s.
	WriteTimeout time.Duration

	// Listen makes the listener. The default is net.Listen.
	Listen func(address string) (net.Listener, error)
	// Log is told what happens. The default is silence.
	Log *slog.Logger
}

// Validate reports all faults at once.
func (c *ServerConfig) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("fix: "+format, args...)) }
	d := *c
	d.defaults()
	if _, _, err := net.SplitHostPort(d.Address); err != nil {
		fault("address %q: want host:port", d.Address)
	}
	if len(c.Clients) == 0 {
		fault("server: clients is empty: nobody could log on")
	}
	seen := map[string]bool{}
	for _, client := range c.Clients {
		if seen[client] {
			fault("server: client %q is named twice", client)
		}
		seen[client] = true
		s := d.session(V44, client)
		s.check("server, client "+client, fault)
	}
	for _, v := range d.Versions {
		if int(v) >= len(Versions) {
			fault("server: version %d is not spoken", v)
		}
	}
	if _, err := c.TLS.server(); err != nil {
		faults = append(faults, err)
	}
	for name, n := range map[string]int{
		"max_connections": c.MaxConnections, "max_symbols": c.MaxSymbols, "queue_bytes": c.QueueBytes, "queue_messages": c.QueueMessages,
		"resend_messages": c.ResendMessages, "resend_bytes": c.ResendBytes,
	} {
		if n < 0 {
			fault("server: %s is %d, want 0 (the default) or more", name, n)
		}
	}
	return errors.Join(faults...)
}

func (c *ServerConfig) defaults() {
	if c.Address == "" {
		c.Address = "127.0.0.1:5201"
	}
	if c.SenderCompID == "" {
		c.SenderCompID = "TICKWIRE"
	}
	if len(c.Versions) == 0 {
		c.Versions = Versions[:]
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = max(16, 2*len(c.Clients))
	}
	if c.MaxSymbols == 0 {
		c.MaxSymbols = 10_000
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = 8 << 20
	}
	if c.QueueMessages == 0 {
		c.QueueMessages = 4096
	}
	if c.ResendMessages == 0 {
		c.ResendMessages = 100_000
	}
	if c.ResendBytes == 0 {
		c.ResendBytes = 16 << 20
	}
	if c.Patience <= 0 {
		c.Patience = 3 * time.Second
	}
	if c.BookPatience <= 0 {
		c.BookPatience = 10 * time.Second
	}
	if c.Listen == nil {
		c.Listen = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func (c *ServerConfig) session(v Version, client string) Session {
	s := Session{
		Version: v, SenderCompID: c.SenderCompID, TargetCompID: client, StoreDir: c.StoreDir, Sync: c.Sync, Schedule: c.Schedule,
		MaxBody: c.MaxBody, LogonTimeout: c.LogonTimeout, FrameTimeout: c.FrameTimeout, Log: c.Log,
	}
	s.defaults()
	return s
}

// Server is a venue: clients log on and subscribe to a Market.
//
//	client ──V──► session's goroutine: checked ──► requests ──► pump: the market's only reader
//	client ◄────── gate's queue ◄── library ◄── W, X, Y, y, f ───┘
//
// A client that does not keep up has no backlog: once much waits for it, what changes is only noted, and when it has caught up it gets W.
type Server struct {
	c        ServerConfig
	market   Market
	counters ServerCounters
	listener *listener
	qf       *qf.Acceptor
	dicts    map[Version]*codec.Dictionary
	requests chan serverRequest
	done     chan struct{}
	stop     sync.Once
	wg       sync.WaitGroup

	mu       sync.Mutex
	sessions map[qf.SessionID]*serverSession

	pump pump
}

// ServerCounters are a server's, over all its sessions.
type ServerCounters struct {
	Counters
	Subscriptions atomic.Uint64 // requests that were granted
	Denied        atomic.Uint64 // requests answered with Y
	Snapshots     atomic.Uint64 // W sent
	Increments    atomic.Uint64 // X sent
	Entries       atomic.Uint64 // in them
	Conflated     atomic.Uint64 // changes that were not sent as X since much waited for the client: W follows
	LostTrades    atomic.Uint64 // trades not sent for that reason: no W brings them back
	Catchups      atomic.Uint64 // W sent because of a conflation or a loss
	ResendsShort  atomic.Uint64 // ResendRequests for messages that were no longer kept: filled, and W follows
}

// Serve starts a server over a market, which is the server's from then on, and closed with it.
func Serve(c ServerConfig, market Market) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.defaults()
	s := &Server{
		c: c, market: market, requests: make(chan serverRequest, 256), done: make(chan struct{}), sessions: map[qf.SessionID]*serverSession{},
		dicts: map[Version]*codec.Dictionary{},
	}
	for _, v := range c.Versions {
		d, err := codec.Builtin(codec.Versions[v])
		if err != nil {
			return nil, err
		}
		s.dicts[v] = d
	}
	secure, err := c.TLS.server()
	if err != nil {
		return nil, err
	}
	l, err := c.Listen(c.Address)
	if err != nil {
		return nil, fmt.Errorf("fix: listening at %s: %w", c.Address, err)
	}
	s.listener = &listener{Listener: l, s: s, tls: secure}
	if err := s.startLibrary(); err != nil {
		_ = l.Close()
		return nil, err
	}
	s.pump.start(s)
	s.wg.Go(s.pump.run)
	s.wg.Go(s.watch)
	return s, nil
}

func (s *Server) startLibrary() error {
	all := qf.NewSettings()
	all.GlobalSettings().Set(config.SocketAcceptPort, strconv.Itoa(s.listener.Addr().(*net.TCPAddr).Port))
	for _, v := range s.c.Versions {
		for _, client := range s.c.Clients {
			one := s.c.session(v, client)
			q := one.settings()
			q.Set(config.PersistMessages, yesNo(s.c.Resend))
			id, err := all.AddSession(q)
			if err != nil {
				return fmt.Errorf("fix: %w", err)
			}
			s.sessions[id] = newServerSession(s, id, v)
		}
	}
	first := s.c.session(s.c.Versions[0], s.c.Clients[0])
	var err error
	var sent func(qf.SessionID) *sentMessages
	if s.c.Resend {
		sent = func(id qf.SessionID) *sentMessages { return s.session(id).sentMessages() }
	}
	store := first.store(all, func(id qf.SessionID) *atomic.Uint64 { return &s.session(id).next }, sent)
	if s.qf, err = qf.NewAcceptor(serverApp{s}, store, all, logFactory{s.c.Log}); err != nil {
		return fmt.Errorf("fix: server: %w", err)
	}
	s.qf.SetConnectionValidator(s)
	s.qf.SetNewListenerCallback(func(string, *tls.Config) (net.Listener, error) { return s.listener, nil })
	if err := s.qf.Start(); err != nil {
		return fmt.Errorf("fix: server: %w", err)
	}
	return nil
}

// watch asks again for gaps that do not close, and has books sent anew behind a resend that was not whole.
func (s *Server) watch() {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-t.C:
			for _, x := range s.sessions {
				if x.short.Swap(false) {
					serverApp{s}.ask(serverRequest{kind: askRefresh, x: x})
				}
				if m := x.gap.ask(x.gate.Load(), now, s.c.Patience); m != nil {
					s.counters.Reasked.Add(1)
					x.send(m)
				}
			}
		}
	}
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Counters of the server since it started.
func (s *Server) Counters() *ServerCounters { return &s.counters }

// Close logs all clients out and ends the server.
func (s *Server) Close() error {
	var err error
	s.stop.Do(func() {
		_ = s.listener.Close()
		s.qf.Stop()
		s.listener.drop()
		close(s.done)
		s.wg.Wait()
		err = s.market.Close()
	})
	return err
}

// Validate binds a connection whose Logon names a session to it. The library asks before it takes the connection.
func (s *Server) Validate(conn net.Conn, id qf.SessionID) error {
	g, ok := conn.(*gate)
	x := s.session(id)
	if !ok || x == nil {
		s.counters.Refused.Add(1)
		return fmt.Errorf("fix: %s is not a session of this server", id)
	}
	if old := x.gate.Load(); old != nil && !old.isDone() {
		s.counters.Refused.Add(1)
		return fmt.Errorf("fix: %s has a connection", id)
	}
	g.bind(&x.next)
	x.gate.Store(g)
	return nil
}

func (s *Server) session(id qf.SessionID) *serverSession {
	id.Qualifier = ""
	return s.sessions[id]
}

// listener puts a gate before each connection and bounds how many there are.
type listener struct {
	net.Listener
	s   *Server
	tls *tls.Config

	mu    sync.Mutex
	gates map[*gate]bool
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.gates == nil {
			l.gates = map[*gate]bool{}
		}
		if len(l.gates) >= l.s.c.MaxConnections {
			l.mu.Unlock()
			l.s.counters.Refused.Add(1)
			_ = conn.Close()
			continue
		}
		if l.tls != nil {
			conn = tls.Server(conn, l.tls)
		}
		limit := limits{maxBody: l.s.c.MaxBody, logon: l.s.c.LogonTimeout, frame: l.s.c.FrameTimeout, write: l.s.c.WriteTimeout, outBytes: l.s.c.QueueBytes}
		var g *gate
		g = newGate(conn, newKeeper(4<<20), limit, &l.s.counters.Counters, func(error) {
			l.mu.Lock()
			delete(l.gates, g)
			l.mu.Unlock()
		})
		l.gates[g] = true
		l.mu.Unlock()
		l.s.counters.Connections.Add(1)
		return g, nil
	}
}

// drop closes what is left.
func (l *listener) drop() {
	l.mu.Lock()
	left := make([]*gate, 0, len(l.gates))
	for g := range l.gates {
		left = append(left, g)
	}
	l.mu.Unlock()
	for _, g := range left {
		_ = g.Close()
	}
}
