package xdp

import (
	"net"
	"sync"
	"time"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// client is one connection. Units on the stream are packets (sheet 11.2):
//
//	client ──► flag 11, one message: 10, 12, 13 or 15       server ──► flag 11, message 11       server ──► flag 1: a heartbeat
//
// A packet of anything else, or one larger than any, ends the connection.
type client struct {
	s    *Server
	conn net.Conn
	gone chan struct{}

	mu   sync.Mutex // of writing, and of what follows
	beat time.Time  // when the heartbeat was sent that was not answered yet; zero: none
}

func (s *Server) serve(c net.Conn) {
	k := &client{s: s, conn: c, gone: make(chan struct{})}
	var beating sync.WaitGroup
	beating.Go(k.heartbeats)
	k.read()
	close(k.gone)
	_ = c.Close()
	beating.Wait()
}

// read takes the client's packets until it leaves, or is to be left.
func (k *client) read() {
	buf, n, requests := make([]byte, 2*MaxPayload), 0, 0
	for {
		got, err := k.conn.Read(buf[n:])
		if n += got; err != nil {
			return
		}
		for {
			size, err := wire.Frame(buf[:n])
			if err != nil || size > MaxPayload {
				k.s.c[cMalformed].Add(1)
				return
			}
			if size == 0 || size > n {
				break
			}
			request, ok := k.packet(buf[:size])
			if !ok {
				k.s.c[cMalformed].Add(1)
				return
			}
			n = copy(buf, buf[size:n])
			if request == nil {
				continue
			}
			f := k.s.faults.Load()
			if requests++; f.CutAfter > 0 && requests >= f.CutAfter {
				return
			}
			if !f.Silent {
				k.answer(request)
			}
		}
	}
}

// asked is a request with the number of its packet.
type asked struct {
	wire.Request
	number uint32
	bad    bool // no request, or a size that does not fit
}

// packet reads one packet; nil: it asks for nothing.
func (k *client) packet(b []byte) (*asked, bool) {
	h, blocks, err := wire.ParsePacket(b)
	if err != nil || h.Kind != wire.PacketData || h.Count != 1 {
		return nil, false
	}
	r, err := wire.ParseRequest(blocks)
	if err != nil {
		return &asked{number: h.Sequence, bad: true}, true
	}
	if r.Type == wire.TypeHeartbeatResponse {
		k.mu.Lock()
		k.beat = time.Time{}
		k.mu.Unlock()
		k.s.of(r.Source, k.conn)
		return nil, true
	}
	return &asked{Request: r, number: h.Sequence}, true
}

// answer says at once what becomes of a request, and has the data sent if anything does.
func (k *client) answer(r *asked) {
	s := k.s
	s.c[cRequests].Add(1)
	status := wire.InvalidMessageType
	if !r.bad {
		status = s.verdict(&r.Request, s.of(r.Source, k.conn))
	}
	if status != wire.Accepted {
		s.c[cRefused].Add(1)
	}
	f := s.faults.Load()
	b := wire.AppendResponse(nil, &wire.Response{
		Request: r.number, Begin: r.Begin, End: r.End, Source: r.Source, Product: r.Product, Channel: r.Channel, Status: status,
	})
	at := uint64(time.Now().UnixNano())
	b = packet(wire.DeliveryOriginal, 1, uint64(r.number), at, b)
	if len(f.Garbage) > 0 {
		b = f.Garbage
	}
	k.write(b)
	if status != wire.Accepted || f.NoData {
		return
	}
	select {
	case s.jobs <- job{r.Request, time.Now().Add(f.Delay)}:
	default:
		s.c[cLimited].Add(1)
	}
}

// heartbeats sends them, and leaves a client that does not answer in time.
func (k *client) heartbeats() {
	o := &k.s.o
	tick := time.NewTicker(max(min(o.Heartbeat, o.Patience)/4, time.Millisecond))
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-k.gone:
			return
		case now := <-tick.C:
			k.mu.Lock()
			late := !k.beat.IsZero() && now.Sub(k.beat) > o.Patience
			k.mu.Unlock()
			if late {
				k.s.c[cDropped].Add(1)
				_ = k.conn.Close()
				return
			}
			if now.Sub(last) < o.Heartbeat || k.s.faults.Load().Silent {
				continue
			}
			last = now
			at := uint64(now.UnixNano())
			k.mu.Lock()
			if k.beat.IsZero() {
				k.beat = now
			}
			k.mu.Unlock()
			k.write(packet(wire.DeliveryHeartbeat, 0, 1, at, nil))
		}
	}
}

// write sends a whole packet, or with Faults.Slow byte after byte.
func (k *client) write(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	slow := k.s.faults.Load().Slow
	for len(b) > 0 {
		n := len(b)
		if slow > 0 {
			n = 1
		}
		_ = k.conn.SetWriteDeadline(time.Now().Add(k.s.o.Patience))
		if _, err := k.conn.Write(b[:n]); err != nil {
			_ = k.conn.Close() // the reader notices
			return
		}
		if b = b[n:]; slow > 0 {
			select {
			case <-k.gone:
				return
			case <-time.After(slow):
			}
		}
	}
}
