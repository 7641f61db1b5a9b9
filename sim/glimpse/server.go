package glimpse

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/parsers/soupbin"
	"github.com/tickwire/tickwire/sim/tcp"
)

// Options of a server. The zero value works.
type Options struct {
	// User and Password a login must have, in upper or lower case. The default, no user, is that any login will do.
	User, Password string
	// Session is told to clients, whatever the session is. The default is the present one's name where the Snapshotter knows it (Sessioner), else "SIM".
	Session string
	// Clients bounds the connections at a time; one more is closed at once, and counted. The default is 16.
	Clients int
	// Heartbeat is after how long without a packet the server sends a heartbeat. The default is 1 s.
	Heartbeat time.Duration
	// Patience is how long a client may be silent, or not take what is sent, before it is dropped. The default is 15 s.
	Patience time.Duration
	// Faults are none by default; SetFaults changes them.
	Faults Faults
}

func (o *Options) defaults() {
	if o.Clients <= 0 {
		o.Clients = 16
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 15 * time.Second
	}
}

// Counters count what a server did.
type Counters struct {
	Connections uint64
	TooMany     uint64 // connections closed at once: Clients were there
	Rejected    uint64 // logins refused
	Malformed   uint64 // connections dropped for what they sent
	Snapshots   uint64 // sent whole
	Messages    uint64 // of snapshots, their ends included
	Bytes       uint64 // sent
	Cut         uint64 // snapshots that a fault ended
	Dropped     uint64 // clients that fell silent, did not take what was sent, or left before the end
}

// Server is a listening server.
type Server struct {
	o        Options
	src      Snapshotter
	clients  *tcp.Clients
	faults   atomic.Pointer[Faults]
	counters [7]atomic.Uint64
}

const (
	cRejected = iota
	cMalformed
	cSnapshots
	cMessages
	cBytes
	cCut
	cDropped
)

// NewServer listens on addr (port 0: any) and serves src's snapshots until Close.
func NewServer(addr netip.AddrPort, src Snapshotter, opts Options) (*Server, error) {
	opts.defaults()
	if _, err := soupbin.AppendAccepted(nil, soupbin.Accepted{Session: opts.Session}); err != nil {
		return nil, fmt.Errorf("glimpse: session: %w", err)
	}
	clients, err := tcp.Listen(addr, opts.Clients)
	if err != nil {
		return nil, fmt.Errorf("glimpse: %w", err)
	}
	s := &Server{o: opts, src: src, clients: clients}
	s.SetFaults(opts.Faults)
	clients.Serve(s.serve)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.clients.Addr() }

// SetFaults changes what goes wrong with logins from now on.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// Counters are a copy.
func (s *Server) Counters() Counters {
	c := func(i int) uint64 { return s.counters[i].Load() }
	return Counters{
		Connections: s.clients.Accepted(), TooMany: s.clients.TooMany(), Rejected: c(cRejected), Malformed: c(cMalformed), Snapshots: c(cSnapshots),
		Messages: c(cMessages), Bytes: c(cBytes), Cut: c(cCut), Dropped: c(cDropped),
	}
}

// Close drops all clients and waits until nothing of the server runs. Closing again does nothing.
func (s *Server) Close() error { return s.clients.Close() }

// client is one connection.
type client struct {
	s    *Server
	f    Faults
	conn net.Conn
	gone chan struct{} // closed when the client left or is to be dropped

	mu   sync.Mutex // of writing
	last time.Time  // of the latest packet
	cut  bool       // a fault ended the connection

	session string // that the client was told
}

func (s *Server) serve(c net.Conn) {
	k := &client{s: s, f: *s.faults.Load(), conn: c, gone: make(chan struct{})}
	buf, rest, ok := k.login()
	if !ok {
		return
	}
	var reading sync.WaitGroup
	reading.Go(func() { k.read(buf, rest) })
	reading.Go(k.heartbeats)
	if !k.snapshot() {
		_ = c.Close()
	}
	<-k.gone // the client logs out when it has what it wants
	_ = c.Close()
	reading.Wait()
}

// login reads the first packet and answers it. rest is what came behind it, at the front of buf.
func (k *client) login() (buf []byte, rest int, ok bool) {
	buf = make([]byte, soupbin.MaxPacket)
	_ = k.conn.SetReadDeadline(time.Now().Add(k.s.o.Patience))
	for n := 0; ; {
		p, used, err := soupbin.Split(buf[:n])
		if err != nil || used != 0 && p.Type != soupbin.LoginRequest {
			k.s.counters[cMalformed].Add(1)
			return nil, 0, false
		}
		if used != 0 {
			ok = k.answer(p.Payload)
			return buf, copy(buf, buf[used:n]), ok
		}
		got, err := k.conn.Read(buf[n:])
		if n += got; err != nil {
			k.s.counters[cDropped].Add(1)
			return nil, 0, false
		}
	}
}

func (k *client) answer(payload []byte) bool {
	l, err := soupbin.ParseLogin(payload)
	if err != nil {
		k.s.counters[cMalformed].Add(1)
		return false
	}
	if k.f.Silent {
		return true
	}
	o, reason := &k.s.o, k.f.Refuse
	k.session = k.s.session()
	switch {
	case reason != 0:
	case o.User != "" && !(strings.EqualFold(l.User, o.User) && strings.EqualFold(l.Password, o.Password)):
		reason = soupbin.NotAuthorised
	case l.Session != "" && l.Session != k.session || l.Sequence > 1: // each connection is a stream of its own
		reason = soupbin.SessionNotAvailable
	}
	if reason != 0 {
		k.s.counters[cRejected].Add(1)
		k.write(soupbin.AppendRejected(nil, reason))
		return false
	}
	b, _ := soupbin.AppendAccepted(nil, soupbin.Accepted{Session: k.session, Sequence: 1})
	return k.write(b)
}

// session is what a client is told now.
func (s *Server) session() string {
	if s.o.Session != "" {
		return s.o.Session
	}
	if src, ok := s.src.(Sessioner); ok {
		if name := src.Session(); name != "" {
			return name
		}
	}
	return "SIM"
}

// read takes what the client sends, until it logs out, leaves or falls silent.
func (k *client) read(buf []byte, n int) {
	defer close(k.gone)
	for {
		for {
			p, used, err := soupbin.Split(buf[:n])
			if err != nil {
				k.s.counters[cMalformed].Add(1)
				return
			}
			if used == 0 {
				break
			}
			if p.Type == soupbin.Logout {
				return
			}
			n = copy(buf, buf[used:n])
		}
		_ = k.conn.SetReadDeadline(time.Now().Add(k.s.o.Patience))
		got, err := k.conn.Read(buf[n:])
		if n += got; err != nil {
			if !k.wasCut() {
				k.s.counters[cDropped].Add(1)
			}
			return
		}
	}
}

func (k *client) wasCut() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cut
}

func (k *client) heartbeats() {
	every := k.s.o.Heartbeat
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	for {
		select {
		case <-k.gone:
			return
		case now := <-tick.C:
			k.mu.Lock()
			due := now.Sub(k.last) >= every
			k.mu.Unlock()
			if due && !k.f.Silent && !k.f.NoHeartbeats {
				k.write([]byte{0, 1, soupbin.ServerHeartbeat})
			}
		}
	}
}

// write sends whole packets.
func (k *client) write(b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.conn.SetWriteDeadline(time.Now().Add(k.s.o.Patience))
	n, err := k.conn.Write(b)
	k.s.counters[cBytes].Add(uint64(n))
	k.last = time.Now()
	return err == nil
}

// sleep waits, and says whether the client is still there.
func (k *client) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-k.gone:
		return false
	case <-time.After(d):
		return true
	}
}

// chunk is how much is written at a time.
const chunk = 32 << 10

// snapshot sends the whole of it; false: the connection is to be closed.
func (k *client) snapshot() bool {
	if k.f.Silent {
		return true
	}
	if !k.sleep(k.f.Delay) {
		return false
	}
	blocks, next := k.s.src.Snapshot(nil)
	if k.s.session() != k.session { // another one began meanwhile: this is none of what the client was told
		return false
	}
	if !k.sleep(k.f.Late) {
		return false
	}
	out := append(make([]byte, 0, chunk+soupbin.MaxPacket), k.f.Garbage...)
	sent := uint64(0)
	for rest := blocks; ; {
		if len(rest) < 2 {
			if !k.f.Endless || len(blocks) < 2 {
				break
			}
			rest = blocks
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		out, _ = soupbin.AppendPacket(out, soupbin.Sequenced, rest[2:end])
		rest = rest[end:]
		sent++
		if cut := k.f.CutAfter != 0 && sent >= k.f.CutAfter; cut || k.f.EndAfter != 0 && sent >= k.f.EndAfter {
			if !cut {
				out, _ = soupbin.AppendPacket(out, soupbin.EndOfSession, nil)
			}
			k.mu.Lock()
			k.cut = true
			k.mu.Unlock()
			k.s.counters[cCut].Add(1)
			k.s.counters[cMessages].Add(sent)
			k.write(out)
			return false
		}
		limit := chunk
		if k.f.BytesPerSecond > 0 {
			limit = 1
		}
		if len(out) >= limit {
			if !k.write(out) || !k.pace(len(out)) {
				return false
			}
			out = out[:0]
		}
	}
	out, _ = soupbin.AppendPacket(out, soupbin.Sequenced, soupbin.AppendSnapshotEnd(nil, next+uint64(k.f.Shift)))
	k.s.counters[cMessages].Add(sent + 1)
	if !k.write(out) {
		return false
	}
	k.s.counters[cSnapshots].Add(1)
	return true
}

func (k *client) pace(bytes int) bool {
	if k.f.BytesPerSecond <= 0 {
		return true
	}
	return k.sleep(time.Duration(bytes) * time.Second / time.Duration(k.f.BytesPerSecond))
}
