package xdprequest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// Options of a client. Servers and Source must be given; the rest works at zero.
type Options struct {
	// Servers are host:port of the request server's modules, 1 to 16: the next one is tried when one fails.
	Servers []string
	// Source is the source id that the venue gave, 1 to 10 characters.
	Source string
	// Interface is the one that connections leave by, whatever the routes say. The default is none: where the routes lead.
	Interface string
	// Dial bounds the making of a connection. The default is 5 s.
	Dial time.Duration
	// Silence is how long the server may say nothing before it is taken for dead. The default is 150 s, two heartbeats and a half.
	Silence time.Duration
	// Whole is how long a packet may take from its first byte to its last. The default is 5 s.
	Whole time.Duration
	// Answer is how long the response to a request may take. The default is 2 s.
	Answer time.Duration
	// Write bounds the sending of one packet. The default is 1 s.
	Write time.Duration
	// Retry is waited before the second connection; it doubles each time up to MaxRetry, and is that again once a connection has lived for
	// MaxRetry. The venue locks out who logs in more than 100 times a day. The defaults are 1 s and 60 s.
	Retry, MaxRetry time.Duration
	// Limits of a day, which begins at 05:00 UTC. The defaults are the venue's.
	Limits Limits
	// Clock is the system's by default.
	Clock func() time.Time
}

// Limits are how much a source id may ask for in a day (common client specification, request limits).
type Limits struct {
	Retransmissions int // default 10,000
	Refreshes       int // refreshes and mappings; default 5,000
	All             int // of those for all symbols, of either kind; default 500
}

func (o *Options) defaults() {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{
		{&o.Dial, 5 * time.Second}, {&o.Silence, 150 * time.Second}, {&o.Whole, 5 * time.Second}, {&o.Answer, 2 * time.Second},
		{&o.Write, time.Second}, {&o.Retry, time.Second}, {&o.MaxRetry, time.Minute},
	} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	for _, d := range []struct{ at, def *int }{
		{&o.Limits.Retransmissions, &venueLimits.Retransmissions}, {&o.Limits.Refreshes, &venueLimits.Refreshes}, {&o.Limits.All, &venueLimits.All},
	} {
		if *d.at <= 0 {
			*d.at = *d.def
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

var venueLimits = Limits{Retransmissions: 10_000, Refreshes: 5_000, All: 500}

const mostServers = 16

// Errors of a request, and of an Outcome.
var (
	ErrDown     = errors.New("xdprequest: not connected")
	ErrQuota    = errors.New("xdprequest: the day's limit is reached")
	ErrNoAnswer = errors.New("xdprequest: no response in time")
	ErrClosed   = errors.New("xdprequest: closed")
)

// Outcome is what a request came to. With Err nil, Status is the response's.
type Outcome struct {
	Status byte
	Err    error
}

// Accepted says that the data will come.
func (o Outcome) Accepted() bool { return o.Err == nil && o.Status == xdp.Accepted }

// Error says why the data will not come, nil when it will.
func (o Outcome) Error() error {
	if o.Err != nil || o.Status == xdp.Accepted {
		return o.Err
	}
	return fmt.Errorf("xdprequest: request refused: %s", xdp.StatusText(o.Status))
}

// Counters count what became of connections and requests.
type Counters struct {
	LiveConnected uint64 // 1: there is a connection
	Connections   uint64
	DialFails     uint64
	Ended         uint64 // connections that the other side ended, or the network
	Silent        uint64 // … that were ended for silence, or for a packet that did not become whole
	Malformed     uint64 // … that were ended for what came
	Heartbeats    uint64 // answered
	Requests      uint64 // sent
	SendFails     uint64 // requests that could not be written: the connection is ended
	Unsent        uint64 // not sent: there was no connection
	OverLimit     uint64 // not sent: the day's limit
	Accepted      uint64
	Refused       uint64
	Unanswered    uint64
	Strange       uint64 // responses to nothing that was asked, and packets of another kind
	LastStatus    uint64 // the latest refusal's status, as a character
}

// Client keeps the connection. All methods are safe for concurrent use.
type Client struct {
	o      Options
	source xdp.SourceID
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	conn     net.Conn // nil: there is none
	sequence uint32
	pending  map[uint32]*pending
	day      int64
	used     Limits
	closed   bool

	c struct {
		connections, dialFails, ended, silent, malformed, heartbeats, requests, sendFails, unsent, overLimit, accepted, refused, unanswered, strange,
		lastStatus atomic.Uint64
	}
}

// pending is a request without a response yet.
type pending struct {
	request xdp.Request
	done    func(Outcome)
	timer   *time.Timer
}

// mostPending bounds the requests without a response.
const mostPending = 1024

// Open starts a client, which connects by itself. It fails when an option is out of range.
func Open(o Options) (*Client, error) {
	o.defaults()
	if n := len(o.Servers); n < 1 || n > mostServers {
		return nil, fmt.Errorf("xdprequest: %d request servers, want 1 to %d", n, mostServers)
	}
	for i, s := range o.Servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, fmt.Errorf("xdprequest: request server %d: %w", i+1, err)
		}
	}
	source, err := xdp.ParseSourceID(o.Source)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{o: o, source: source, cancel: cancel, pending: make(map[uint32]*pending)}
	c.done.Go(func() { c.run(ctx) })
	return c, nil
}

// Close ends the connection, and with ErrClosed whatever was asked. It waits for the client's goroutine.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.done.Wait()
	c.fail(ErrClosed)
	return nil
}

// Connected says that there is a connection.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// Counters so far. It does not allocate.
func (c *Client) Counters() Counters {
	live := uint64(0)
	if c.Connected() {
		live = 1
	}
	return Counters{
		LiveConnected: live, Connections: c.c.connections.Load(), DialFails: c.c.dialFails.Load(), Ended: c.c.ended.Load(), Silent: c.c.silent.Load(),
		Malformed: c.c.malformed.Load(), Heartbeats: c.c.heartbeats.Load(), Requests: c.c.requests.Load(), SendFails: c.c.sendFails.Load(),
		Unsent: c.c.unsent.Load(), OverLimit: c.c.overLimit.Load(), Accepted: c.c.accepted.Load(), Refused: c.c.refused.Load(),
		Unanswered: c.c.unanswered.Load(), Strange: c.c.strange.Load(), LastStatus: c.c.lastStatus.Load(),
	}
}

// run connects, again and again, until ctx ends.
func (c *Client) run(ctx context.Context) {
	for attempt, fails := 0, 0; ctx.Err() == nil; attempt++ {
		lived := c.connect(ctx, c.o.Servers[attempt%len(c.o.Servers)])
		if lived >= c.o.MaxRetry {
			fails = 0
		}
		wait := min(c.o.Retry<<min(fails, 16), c.o.MaxRetry)
		fails++
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// connect makes a connection, reads from it until it ends, and says for how long it lived.
func (c *Client) connect(ctx context.Context, server string) time.Duration {
	dialer := net.Dialer{Timeout: c.o.Dial, Control: c.bind}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		if ctx.Err() == nil {
			c.c.dialFails.Add(1)
		}
		return 0
	}
	c.c.connections.Add(1)
	began := time.Now()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	err = c.read(conn)
	c.mu.Lock()
	c.conn = nil
	c.mu.Unlock()
	_ = conn.Close()
	var n net.Error
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errStream):
		c.c.malformed.Add(1)
	case errors.As(err, &n) && n.Timeout():
		c.c.silent.Add(1)
	default:
		c.c.ended.Add(1)
	}
	c.fail(ErrDown)
	return time.Since(began)
}

func (c *Client) bind(_, _ string, raw syscall.RawConn) error {
	if c.o.Interface == "" {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), c.o.Interface) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("interface %s: %w", c.o.Interface, err)
	}
	return nil
}

// fail ends all requests that have no response.
func (c *Client) fail(err error) {
	c.mu.Lock()
	failed := c.pending
	c.pending = make(map[uint32]*pending)
	c.mu.Unlock()
	for _, p := range failed {
		p.timer.Stop()
		c.c.unanswered.Add(1)
		p.done(Outcome{Err: err})
	}
}
