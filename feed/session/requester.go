package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// RequesterOptions of a requester. The zero value works.
type RequesterOptions struct {
	// Interface is the one that requests leave by, whatever the routes say. The default is none: where the servers' own routes lead.
	Interface string
	// Local is the address that requests come from, port 0: any free one. The default is any address and port.
	Local netip.AddrPort
	// Idle is how often the link is looked at while nothing is missing; with a hole open it is every 100 µs. It should not be above the channel's
	// Wait, or requests leave late; each look costs some 10 µs of another core. The default is 2 ms.
	Idle time.Duration
	// Request appends a request for count messages of a session from number first on. The default is MoldUDP64's.
	Request func(dst []byte, session [10]byte, first uint64, count int) []byte
	// Clock gives an answer's time of arrival, ns since the Unix epoch. The default is the system's clock.
	Clock func() uint64
}

// RequesterCounters count what became of requests and answers on the way between link and network.
type RequesterCounters struct {
	Sent      uint64 // requests
	SendFails uint64 // requests that the kernel refused
	Received  uint64 // datagrams, whoever sent them
	Handed    uint64 // to the lane
	Strangers uint64 // from an address that is no server's, dropped
	Short     uint64 // without a whole header, dropped
	Oversize  uint64 // larger than any that can be held, 9,236 bytes, dropped
	Dropped   uint64 // there was no room on the link: the lane is behind, or a server floods
	ReadFails uint64 // errors of the socket
}

// Requester asks the venue for a channel: it sends what a lane queues on its link, and hands back what the servers send. One socket, two
// goroutines; the lane waits for neither.
//
//	Link ──requests──► send ──► socket ──► servers, by number
//	Link ◄──answers─── read ◄── socket ◄── whoever; only servers' datagrams are taken
type Requester struct {
	link    *Link
	o       RequesterOptions
	conn    *net.UDPConn
	servers []netip.AddrPort
	closed  atomic.Bool
	done    sync.WaitGroup
	c       struct{ sent, sendFails, received, handed, strangers, short, oversize, dropped, readFails atomic.Uint64 }
}

// lookEvery is how often requests are looked for while a hole is open.
const lookEvery = 100 * time.Microsecond

// NewRequester opens a socket for requests to servers, 1 to 16, whose numbers are their places in the list. It fails when an address is no
// server's, named twice, or of another family than the others, and when there can be no such socket.
func NewRequester(servers []netip.AddrPort, o RequesterOptions) (*Requester, error) {
	link, err := newLink(len(servers), linkBytes)
	if err != nil {
		return nil, err
	}
	r := &Requester{link: link, o: o}
	for i, s := range servers {
		s = unmapped(s)
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() || s.Addr().IsMulticast() || slices.Contains(r.servers, s) {
			return nil, fmt.Errorf("session: re-request server %d, %s: want a host's address and port, once", i+1, s)
		}
		if s.Addr().Is4() != unmapped(servers[0]).Addr().Is4() {
			return nil, fmt.Errorf("session: re-request server %d, %s: the servers before it are of the other IP version", i+1, s)
		}
		r.servers = append(r.servers, s)
	}
	if r.o.Idle <= 0 {
		r.o.Idle = 2 * time.Millisecond
	}
	if r.o.Request == nil {
		r.o.Request = moldudp64.AppendRequest
	}
	if r.o.Clock == nil {
		r.o.Clock = func() uint64 { return uint64(time.Now().UnixNano()) }
	}
	if r.conn, err = r.listen(); err != nil {
		return nil, fmt.Errorf("session: socket for re-requests: %w", err)
	}
	r.done.Go(r.send)
	r.done.Go(r.read)
	return r, nil
}

// listen opens the socket. It is not connected: there may be several servers.
func (r *Requester) listen() (*net.UDPConn, error) {
	network, local := "udp4", ""
	if !r.servers[0].Addr().Is4() {
		network = "udp6"
	}
	if local = ":0"; r.o.Local.IsValid() {
		local = r.o.Local.String()
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if r.o.Interface == "" {
			return nil
		}
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), r.o.Interface) })
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("interface %s: %w", r.o.Interface, err)
		}
		return nil
	}}
	conn, err := config.ListenPacket(context.Background(), network, local)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// Link is the lane's end: Config.Link of one channel, no more.
func (r *Requester) Link() *Link { return r.link }

// Close ends both goroutines and waits for them. The lane may go on using its link: nothing comes any more.
func (r *Requester) Close() error {
	r.closed.Store(true)
	err := r.conn.Close()
	r.done.Wait()
	return err
}

// Counters so far. Safe to call at any time; it does not allocate.
func (r *Requester) Counters() RequesterCounters {
	return RequesterCounters{
		Sent: r.c.sent.Load(), SendFails: r.c.sendFails.Load(), Received: r.c.received.Load(), Handed: r.c.handed.Load(),
		Strangers: r.c.strangers.Load(), Short: r.c.short.Load(), Oversize: r.c.oversize.Load(), Dropped: r.c.dropped.Load(),
		ReadFails: r.c.readFails.Load(),
	}
}

// send sends what is queued. Nobody wakes it, for that would be the lane's system call: it looks, often when there is a hole.
func (r *Requester) send() {
	buf := make([]byte, 0, moldudp64.HeaderBytes)
	for !r.closed.Load() {
		q, ok := r.link.asked()
		if !ok {
			if r.link.alert.Load() {
				time.Sleep(min(lookEvery, r.o.Idle))
			} else {
				time.Sleep(r.o.Idle)
			}
			continue
		}
		buf = r.o.Request(buf[:0], q.session, q.first, int(q.count))
		if _, err := r.conn.WriteToUDPAddrPort(buf, r.servers[q.server]); err != nil {
			r.c.sendFails.Add(1)
			continue
		}
		r.c.sent.Add(1)
	}
}

// read hands over what comes in until the socket is closed.
func (r *Requester) read() {
	buf := make([]byte, mostAnswerSize+1)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			r.c.readFails.Add(1)
			time.Sleep(lookEvery) // should it fail for good, then without a load
		default:
			r.take(buf[:n], from)
		}
	}
}

// take hands over a datagram, if it is from a server and can be an answer.
func (r *Requester) take(b []byte, from netip.AddrPort) {
	r.c.received.Add(1)
	server := slices.Index(r.servers, unmapped(from))
	switch {
	case server < 0:
		r.c.strangers.Add(1)
	case len(b) < moldudp64.HeaderBytes:
		r.c.short.Add(1)
	case len(b) > mostAnswerSize:
		r.c.oversize.Add(1)
	case !r.link.put(server, r.o.Clock(), b):
		r.c.dropped.Add(1)
	default:
		r.c.handed.Add(1)
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
