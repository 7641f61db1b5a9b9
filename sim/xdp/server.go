package xdp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/tcp"
)

// Sender takes datagrams of one multicast group: nic/udp has one.
type Sender interface {
	Send(packets [][]byte) (int, error)
}

// Server is a request server with its two multicast channels.
type Server struct {
	o                       RequestOptions
	rec                     *Record
	retransmission, refresh Sender
	clients                 *tcp.Clients
	faults                  atomic.Pointer[Faults]
	jobs                    chan job
	stop                    chan struct{}
	c                       [13]atomic.Uint64

	mu      sync.Mutex
	sources map[wire.SourceID]*source

	end     sync.Once
	sending sync.WaitGroup
}

// source is what is known of a source id.
type source struct {
	conn                            net.Conn
	retransmissions, refreshes, all int
}

const (
	cReplaced = iota
	cMalformed
	cDropped
	cRequests
	cRefused
	cRetransmitted
	cUnavailable
	cRefreshed
	cPackets
	cLost
	cSpoilt
	cSendFails
	cLimited
)

// NewServer serves a channel's record until Close. The senders are used by one goroutine, and stay the caller's.
func NewServer(rec *Record, retransmission, refresh Sender, o RequestOptions) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.defaults()
	clients, err := tcp.Listen(o.Addr, o.Clients)
	if err != nil {
		return nil, fmt.Errorf("xdp: requests: %w", err)
	}
	s := &Server{
		o: o, rec: rec, retransmission: retransmission, refresh: refresh, clients: clients, jobs: make(chan job, mostJobs), stop: make(chan struct{}),
		sources: map[wire.SourceID]*source{},
	}
	s.SetFaults(o.Faults)
	s.sending.Go(s.send)
	clients.Serve(s.serve)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.clients.Addr() }

// SetFaults changes what goes wrong from now on.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// Counters are a copy.
func (s *Server) Counters() RequestCounters {
	c := func(i int) uint64 { return s.c[i].Load() }
	return RequestCounters{
		Connections: s.clients.Accepted(), TooMany: s.clients.TooMany(), Replaced: c(cReplaced), Malformed: c(cMalformed), Dropped: c(cDropped),
		Requests: c(cRequests), Refused: c(cRefused), Retransmitted: c(cRetransmitted), Unavailable: c(cUnavailable), Refreshed: c(cRefreshed),
		Packets: c(cPackets), Lost: c(cLost), Spoilt: c(cSpoilt), SendFails: c(cSendFails), Limited: c(cLimited),
	}
}

// DropClients closes all connections: clients come back.
func (s *Server) DropClients() { s.clients.Drop() }

// Close drops all clients and waits until nothing of the server runs. Closing again does nothing.
func (s *Server) Close() error {
	s.end.Do(func() { close(s.stop) })
	err := s.clients.Close()
	s.sending.Wait()
	return err
}

// of is what is known of a source id that has just spoken on c: only its latest connection lives. nil: it may not ask.
func (s *Server) of(id wire.SourceID, c net.Conn) *source {
	if !id.Valid() || len(s.o.Sources) > 0 && !slices.Contains(s.o.Sources, id.String()) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[id]
	if src == nil {
		src = &source{}
		s.sources[id] = src
	}
	if src.conn != nil && src.conn != c && s.clients.Has(src.conn) {
		s.c[cReplaced].Add(1)
		_ = src.conn.Close()
	}
	src.conn = c
	return src
}

// verdict is the status of a request. Limits are counted here.
func (s *Server) verdict(r *wire.Request, src *source) byte {
	f := s.faults.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.Refuse != 0:
		return f.Refuse
	case src == nil:
		return wire.UnknownSource
	case r.Product != s.o.Product:
		return wire.UnknownProduct
	case r.Channel != s.o.Channel:
		return wire.UnknownChannel
	}
	if r.Type == wire.TypeRefreshReq && wire.ProductOf(r.Product) == wire.Trades { // it has no state
		return wire.InvalidMessageType
	}
	if r.Type == wire.TypeRetransmissionReq {
		return s.ranged(r, src)
	}
	if r.Symbol == 0 {
		if src.all++; src.all > s.o.All {
			return wire.TooManyRefreshes
		}
	}
	if src.refreshes++; src.refreshes > s.o.Refreshes {
		return wire.TooManyRefreshes
	}
	return wire.Accepted
}

// ranged is verdict for a retransmission.
func (s *Server) ranged(r *wire.Request, src *source) byte {
	next, oldest := s.rec.bounds()
	invalid := r.Begin == 0 || r.Begin > r.End
	switch {
	case invalid && s.o.Legacy, s.o.Legacy && uint64(r.End) >= next:
		return wire.InvalidRange
	case !invalid && uint64(r.End)-uint64(r.Begin) >= uint64(s.o.MostMessages):
		return wire.TooLong
	case s.o.Legacy && uint64(r.Begin) < oldest:
		return wire.TooOld
	}
	if src.retransmissions++; src.retransmissions > s.o.Retransmissions {
		return wire.TooManyRequests
	}
	return wire.Accepted
}
