package xdprequest

import (
	"net"
	"time"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// Retransmission asks for a closed range of a channel's messages, at most xdp.MostRetransmitted of them. done is called once, on a goroutine of
// the client's, with what came of it, and must not block; the messages come on the retransmission channel. An error says that nothing was
// asked, and done is not called.
func (c *Client) Retransmission(product, channel uint8, begin, end uint32, done func(Outcome)) error {
	return c.ask(xdp.Request{Type: xdp.TypeRetransmissionReq, Begin: begin, End: end, Product: product, Channel: channel}, done)
}

// Refresh asks for a symbol's present state, 0: all symbols'. It comes on the refresh channel. done and the error are as Retransmission's.
func (c *Client) Refresh(product, channel uint8, symbol uint32, done func(Outcome)) error {
	return c.ask(xdp.Request{Type: xdp.TypeRefreshReq, Symbol: symbol, Product: product, Channel: channel}, done)
}

// Mapping asks for a symbol's message 3, 0: all symbols'. It comes on the refresh channel. done and the error are as Retransmission's.
func (c *Client) Mapping(product, channel uint8, symbol uint32, done func(Outcome)) error {
	return c.ask(xdp.Request{Type: xdp.TypeSymbolMappingReq, Symbol: symbol, Product: product, Channel: channel}, done)
}

func (c *Client) ask(r xdp.Request, done func(Outcome)) error {
	r.Source = c.source
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case c.conn == nil || len(c.pending) >= mostPending:
		c.c.unsent.Add(1)
		return ErrDown
	case !c.within(&r):
		c.c.overLimit.Add(1)
		return ErrQuota
	}
	c.sequence++
	number := c.sequence
	if err := c.write(c.conn, number, &r); err != nil {
		c.c.sendFails.Add(1)
		_ = c.conn.Close() // the reader notices
		return ErrDown
	}
	c.c.requests.Add(1)
	p := &pending{request: r, done: done}
	p.timer = time.AfterFunc(c.o.Answer, func() {
		if c.take(number) == p {
			c.c.unanswered.Add(1)
			done(Outcome{Err: ErrNoAnswer})
		}
	})
	c.pending[number] = p
	return nil
}

// within counts a request against the day's limits; false: it is beyond. Under mu.
func (c *Client) within(r *xdp.Request) bool {
	const dayBegins = 5 * 3600 // UTC: midnight in New York, or an hour after
	if day := (c.o.Clock().Unix() - dayBegins) / 86_400; day != c.day {
		c.day, c.used = day, Limits{}
	}
	if r.Type == xdp.TypeRetransmissionReq {
		if c.used.Retransmissions >= c.o.Limits.Retransmissions {
			return false
		}
		c.used.Retransmissions++
		return true
	}
	if c.used.Refreshes >= c.o.Limits.Refreshes || r.Symbol == 0 && c.used.All >= c.o.Limits.All {
		return false
	}
	c.used.Refreshes++
	if r.Symbol == 0 {
		c.used.All++
	}
	return true
}

// take takes a request off those without a response; nil: it is none of them.
func (c *Client) take(number uint32) *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[number]
	delete(c.pending, number)
	return p
}

// write sends one request in a packet of its own. Under mu.
func (c *Client) write(conn net.Conn, number uint32, r *xdp.Request) error {
	at := c.o.Clock().UnixNano()
	b := xdp.AppendPacket(nil, xdp.DeliveryOriginal, 1, number, uint32(at/1e9), uint32(at%1e9), xdp.AppendRequest(nil, r))
	if err := conn.SetWriteDeadline(time.Now().Add(c.o.Write)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}
