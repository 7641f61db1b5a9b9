// Package tcp has the clients of a simulated venue's servers: so many at a time, one goroutine each, and none after Close.
package tcp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Clients are the connections of one listening server. All methods are safe for concurrent use.
type Clients struct {
	listener net.Listener
	most     int
	accepted atomic.Uint64
	tooMany  atomic.Uint64

	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	running sync.WaitGroup
}

// Listen binds an address (port 0: any free one), in the network namespace of the calling thread, for at most so many clients at a time. Nobody is accepted
// before Serve.
func Listen(addr netip.AddrPort, most int) (*Clients, error) {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return &Clients{listener: l, most: most, conns: make(map[net.Conn]bool)}, nil
}

// Serve begins to accept: serve has each connection on a goroutine of its own, and it is closed when serve returns. One more than there may be is closed at
// once. Call it once.
func (c *Clients) Serve(serve func(net.Conn)) {
	c.running.Go(func() { c.accept(serve) })
}

func (c *Clients) accept(serve func(net.Conn)) {
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, perhaps: some will be given back
			continue
		}
		c.accepted.Add(1)
		c.mu.Lock()
		room := !c.closed && len(c.conns) < c.most
		if room {
			c.conns[conn] = true
			c.running.Go(func() {
				defer c.leave(conn)
				serve(conn)
			})
		}
		c.mu.Unlock()
		if !room {
			c.tooMany.Add(1)
			_ = conn.Close()
		}
	}
}

func (c *Clients) leave(conn net.Conn) {
	_ = conn.Close()
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
}

// Addr is where the server listens.
func (c *Clients) Addr() netip.AddrPort { return c.listener.Addr().(*net.TCPAddr).AddrPort() }

// Accepted is how many connections there were.
func (c *Clients) Accepted() uint64 { return c.accepted.Load() }

// TooMany is how many of those found no room and were closed at once.
func (c *Clients) TooMany() uint64 { return c.tooMany.Load() }

// Has says whether a connection is served still.
func (c *Clients) Has(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns[conn]
}

// Drop closes all connections: clients may come back.
func (c *Clients) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// Close ends listening and all connections, and waits until none is served any more. Closing again does nothing.
func (c *Clients) Close() (err error) {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		err = c.listener.Close()
	}
	c.mu.Unlock()
	c.Drop()
	c.running.Wait()
	return err
}
