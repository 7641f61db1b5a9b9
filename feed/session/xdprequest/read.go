package xdprequest

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// errStream ends a connection: what came is no stream of packets.
var errStream = errors.New("xdprequest: not what the protocol allows")

// read takes packets until the connection ends. A packet has Whole from its first byte on, however its bytes drip.
func (c *Client) read(conn net.Conn) error {
	buf, n := make([]byte, 4*xdp.MaxPacketBytes), 0
	begun := time.Now() // when the packet that is not whole yet began
	for {
		deadline := time.Now().Add(c.o.Silence)
		if n > 0 {
			deadline = begun.Add(c.o.Whole)
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		got, err := conn.Read(buf[n:])
		if err != nil {
			return err
		}
		if n == 0 {
			begun = time.Now()
		}
		n += got
		used, err := packets(buf[:n], func(h *xdp.Packet, blocks []byte) error { return c.packet(conn, h, blocks) })
		if err != nil {
			return err
		}
		if used > 0 {
			begun = time.Now()
			n = copy(buf, buf[used:n])
		}
	}
}

// packets calls fn with the whole packets at the head of a stream, and says how many bytes they have. An error ends the stream: what follows
// has no beginning. b has room for a packet of any size that is allowed.
func packets(b []byte, fn func(h *xdp.Packet, blocks []byte) error) (used int, err error) {
	for {
		size, err := xdp.Frame(b[used:])
		if err == nil && size > xdp.MaxPacketBytes {
			err = fmt.Errorf("pkt_size %d, want at most %d", size, xdp.MaxPacketBytes)
		}
		if err != nil {
			return used, fmt.Errorf("%w: %w", errStream, err)
		}
		if size == 0 || size > len(b)-used {
			return used, nil
		}
		h, blocks, err := xdp.ParsePacket(b[used : used+size])
		if err == nil {
			if whole, bytes := xdp.Walk(blocks, int(h.Count)); whole != int(h.Count) || bytes != len(blocks) {
				err = fmt.Errorf("%d whole messages of %d bytes, want %d of %d", whole, bytes, h.Count, len(blocks))
			}
		}
		if err != nil {
			return used, fmt.Errorf("%w: %w", errStream, err)
		}
		if err := fn(&h, blocks); err != nil {
			return used, err
		}
		used += size
	}
}

// packet takes one packet from the server.
func (c *Client) packet(conn net.Conn, h *xdp.Packet, blocks []byte) error {
	if h.Kind == xdp.PacketHeartbeat {
		c.mu.Lock()
		c.sequence++
		err := c.write(conn, c.sequence, &xdp.Request{Type: xdp.TypeHeartbeatResponse, Source: c.source})
		c.mu.Unlock()
		if err == nil {
			c.c.heartbeats.Add(1)
		}
		return err
	}
	for range h.Count {
		var m []byte
		m, blocks = xdp.Next(blocks)
		if r, ok := response(m); ok {
			c.response(&r)
		} else {
			c.c.strange.Add(1)
		}
	}
	return nil
}

func response(m []byte) (xdp.Response, bool) {
	if xdp.Type(m) != xdp.TypeRequestResponse {
		return xdp.Response{}, false
	}
	return xdp.ParseResponse(m)
}

// response ends the request that it answers. One that names another id, channel or range than was asked for is not believed.
func (c *Client) response(r *xdp.Response) {
	c.mu.Lock()
	p := c.pending[r.Request]
	if p == nil || r.Source != c.source || r.Product != p.request.Product || r.Channel != p.request.Channel ||
		r.Status == xdp.Accepted && p.request.Type == xdp.TypeRetransmissionReq && (r.Begin != p.request.Begin || r.End != p.request.End) {
		c.mu.Unlock()
		c.c.strange.Add(1)
		return
	}
	delete(c.pending, r.Request)
	c.mu.Unlock()
	p.timer.Stop()
	if r.Status == xdp.Accepted {
		c.c.accepted.Add(1)
	} else {
		c.c.refused.Add(1)
		c.c.lastStatus.Store(uint64(r.Status))
	}
	p.done(Outcome{Status: r.Status})
}
