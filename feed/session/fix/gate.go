package fix

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// gate stands between a connection and the library, which sees it as a net.Conn: Read gives envelopes, Write takes messages to send and never
// waits. One goroutine reads, one writes, anyone closes.
type gate struct {
	conn  net.Conn
	c     *Counters
	kept  *keeper
	limit limits
	born  time.Time

	stream  codec.Stream
	env     envelope
	chunk   []byte
	pending []byte // envelopes not yet read
	out     []byte // its memory
	partial time.Time
	seen    uint64    // whole messages so far
	recv    time.Time // when the last bytes came
	fault   error

	logon  bool        // a Logon came: no longer a stranger
	first  envelope    // of it
	silent atomic.Bool // it asked for no heartbeats
	order  order
	high   atomic.Uint64 // highest MsgSeqNum that came

	given  atomic.Uint64 // application messages that were given to the library to send
	passed atomic.Uint64 // of them, those that it has written here
	widest atomic.Uint64 // bytes of the longest of those

	queue sendQueue
	done  chan struct{}
	close sync.Once
	ended func(error)
}

// limits of a connection.
type limits struct {
	maxBody  int           // bytes of a message
	logon    time.Duration // until the first message is whole
	frame    time.Duration // until a message that has begun is whole
	write    time.Duration // until the peer takes something
	outBytes int           // waiting to be sent
}

func (l *limits) defaults() {
	if l.maxBody <= 0 {
		l.maxBody = DefaultMaxBody
	}
	if l.logon <= 0 {
		l.logon = 10 * time.Second
	}
	if l.frame <= 0 {
		l.frame = 30 * time.Second
	}
	if l.write <= 0 {
		l.write = 30 * time.Second
	}
	if l.outBytes <= 0 {
		l.outBytes = 8 << 20
	}
}

// DefaultMaxBody bounds a message where nothing else is said, bytes.
const DefaultMaxBody = 64 << 10

var (
	errNotLogon  = errors.New("fix: the first message is not Logon; connection closed")
	errNoNumber  = errors.New("fix: message without MsgSeqNum; connection closed")
	errSlowFrame = errors.New("fix: a message did not come to its end in time; connection closed")
	errSlowPeer  = errors.New("fix: the peer does not take what is sent to it; connection closed")
	errKept      = errors.New("fix: too many messages wait for a gap to be filled; connection closed")
)

// newGate takes over conn. ended, if not nil, is called once, with what ended the connection.
func newGate(conn net.Conn, kept *keeper, limit limits, c *Counters, ended func(error)) *gate {
	limit.defaults()
	g := &gate{
		conn: conn, c: c, kept: kept, limit: limit, born: time.Now(), chunk: make([]byte, 16<<10), done: make(chan struct{}), ended: ended,
		stream: codec.Stream{Max: limit.maxBody + 64}, order: order{most: kept.most},
	}
	g.queue.init(limit.outBytes)
	go g.send()
	return g
}

// Read gives the library whole envelopes, in pieces if it wants less.
func (g *gate) Read(p []byte) (int, error) {
	for len(g.pending) == 0 {
		if g.fault != nil {
			return 0, g.fault
		}
		if frame := g.frame(); frame != nil {
			if err := g.take(frame); err != nil {
				g.fail(err)
			}
			continue
		}
		g.breathe()
		if err := g.receive(); err != nil {
			g.fail(err)
		}
	}
	n := copy(p, g.pending)
	g.pending = g.pending[n:]
	return n, nil
}

// breathe waits while the library has much to do, a few seconds at most: should it have left messages aside, their number does not fall.
func (g *gate) breathe() {
	for range 5000 {
		if g.order.next == nil || g.order.reset || g.isDone() || !g.kept.full(g.order.next.Load()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (g *gate) fail(err error) {
	g.fault = err
	g.shut(err)
}

// frame gives the next whole frame and moves the stream's counters to where they can be read.
func (g *gate) frame() []byte {
	frame := g.stream.Next()
	n := g.stream.Counters
	g.stream.Counters = codec.StreamCounters{}
	g.c.Frames.Add(n.Messages)
	g.c.Garbled.Add(n.Garbled)
	g.c.TooLong.Add(n.TooLong)
	g.c.Junk.Add(n.Skipped)
	return frame
}

// receive waits for bytes.
func (g *gate) receive() error {
	rest := g.stream.Rest()
	var until time.Time
	switch {
	case g.seen == 0:
		until = g.born.Add(g.limit.logon)
	case len(rest) > 0 && g.partial.IsZero():
		g.partial = g.recv
		fallthrough
	case len(rest) > 0:
		until = g.partial.Add(g.limit.frame)
	default:
		g.partial = time.Time{}
	}
	if err := g.conn.SetReadDeadline(until); err != nil {
		return err
	}
	n, err := g.conn.Read(g.chunk)
	if n > 0 {
		g.recv = time.Now()
		g.c.Bytes.Add(uint64(n))
		g.stream.Add(g.chunk[:n])
		return nil
	}
	if g.isDone() {
		return net.ErrClosed
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if g.seen > 0 && g.resync() {
			return nil
		}
		g.c.Slow.Add(1)
		return errSlowFrame
	}
	return err
}

// resync gives up on a message that does not come to its end when another one has begun behind its start: its BodyLength was wrong.
func (g *gate) resync() bool {
	rest := append([]byte(nil), g.stream.Rest()...)
	if len(rest) == 0 {
		return false
	}
	if skip, _, _ := codec.Frame(rest[1:], g.stream.Max); skip == len(rest)-1 {
		return false
	}
	g.c.Garbled.Add(1)
	g.c.Junk.Add(1)
	g.stream = codec.Stream{Max: g.stream.Max}
	g.stream.Add(rest[1:])
	g.partial = time.Time{}
	return true
}

// take shows the library a frame, or holds it, and shows it what has become due.
func (g *gate) take(frame []byte) error {
	g.seen++
	g.partial = time.Time{}
	e := &g.env
	e.read(frame)
	if e.msgType == "" { // 35= and no type: garbled like one whose first fields are others
		g.c.Garbled.Add(1)
		return nil
	}
	if !e.hasSeq {
		g.c.NoNumber.Add(1)
		return errNoNumber
	}
	if !g.logon {
		if e.msgType != "A" {
			return errNotLogon
		}
		g.logon, g.first = true, envelope{msgType: "A", seq: e.seq, reset: e.reset}
	}
	switch {
	case e.msgType == "A":
		g.silent.Store(e.silent)
		if e.reset {
			g.kept.reset()
			g.high.Store(e.seq)
		}
	case e.msgType == "4" && !e.gapFill: // its own number means nothing
	default:
		g.high.Store(max(g.high.Load(), e.seq))
	}
	g.out = g.out[:0]
	switch g.order.see(e) {
	case show:
		if err := g.show(frame, g.recv); err != nil {
			return err
		}
	case hold:
		if !g.order.keep(e.seq, frame, g.recv) {
			g.c.Backlog.Add(1)
			return errKept
		}
	}
	for {
		m, ok := g.order.due()
		if !ok {
			break
		}
		e.read(m.frame)
		g.order.see(e)
		if err := g.show(m.frame, m.recv); err != nil {
			return err
		}
	}
	g.pending = g.out
	return nil
}

// show makes the envelope of the frame that was read last, and keeps the frame if it is the application's.
func (g *gate) show(frame []byte, recv time.Time) error {
	number := uint64(0)
	if !isAdmin(g.env.msgType) {
		var ok bool
		if number, ok = g.kept.put(frame, recv, &g.env); !ok {
			g.c.Backlog.Add(1)
			return errKept
		}
	}
	g.out = g.env.appendTo(g.out, number)
	return nil
}

// bind tells the gate where the library's awaited number is. The Logon has passed, and the library has not seen it yet.
func (g *gate) bind(next *atomic.Uint64) {
	g.order.next = next
	g.order.see(&g.first)
}

// Close ends the connection when what is queued was sent, within a second.
func (g *gate) Close() error {
	g.shut(net.ErrClosed)
	return nil
}

func (g *gate) shut(why error) {
	g.close.Do(func() {
		close(g.done)
		g.queue.end()
		now := time.Now()
		_ = g.conn.SetReadDeadline(now)
		_ = g.conn.SetWriteDeadline(now.Add(time.Second))
		if g.ended != nil {
			g.ended(why)
		}
	})
}

func (g *gate) LocalAddr() net.Addr                { return g.conn.LocalAddr() }
func (g *gate) RemoteAddr() net.Addr               { return g.conn.RemoteAddr() }
func (g *gate) SetDeadline(time.Time) error        { return nil } // deadlines are the gate's own
func (g *gate) SetReadDeadline(t time.Time) error  { return nil }
func (g *gate) SetWriteDeadline(t time.Time) error { return nil }
