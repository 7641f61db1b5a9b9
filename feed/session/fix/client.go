package fix

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	qf "github.com/quickfixgo/quickfix"
	"github.com/quickfixgo/quickfix/config"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// Sink takes the application messages of a session as they came, from 8= to 10= and its SOH, in the order of their numbers; raw is the sink's. It is
// called by the session's goroutine: while it does not return no heartbeat is answered.
type Sink func(raw []byte, recv time.Time)

// Client is a session that we initiate, and its subscriptions: it logs on, asks for the security list if it is to, subscribes, and does so again
// whenever messages may be missing.
type Client struct {
	c        Config
	id       qf.SessionID
	user     string
	password string
	tls      *tls.Config
	sink     Sink
	source   *Source // nil: there is a sink
	counters Counters
	hop      *hop
	retry    *backOff
	kept     *keeper
	qf       *qf.Initiator
	gate     atomic.Pointer[gate]
	in       atomic.Uint64 // MsgSeqNum that comes next, 0: not known
	stop     sync.Once
	stopped  chan struct{}
	wg       sync.WaitGroup

	mu   sync.Mutex
	subs subscriptions
	up   bool
	last string // text of the last reason to end

	read   message           // the session's goroutine, as the following
	dict   *codec.Dictionary // nil: not strict
	strict codec.Message
}

// Open starts a client that hands messages to sink. It returns at once: logging on, and again after a loss, goes on until Close.
func Open(c Config, sink Sink) (*Client, error) {
	if sink == nil {
		return nil, errors.New("fix: no sink")
	}
	return open(c, sink)
}

// OpenSource starts a client whose messages are polled.
func OpenSource(c Config) (*Client, *Source, error) {
	k, err := open(c, nil)
	if err != nil {
		return nil, nil, err
	}
	return k, k.source, nil
}

func open(c Config, sink Sink) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.defaults()
	k := &Client{c: c, sink: sink, kept: newKeeper(c.MostKept), stopped: make(chan struct{})}
	k.c.Log = c.Log.With("session", c.SenderCompID+">"+c.TargetCompID)
	if sink == nil {
		k.source = newSource(c.RingBytes)
		k.sink = k.toRing
	}
	if c.CredentialsFile != "" {
		var err error
		if k.user, k.password, err = readCredentials(c.CredentialsFile); err != nil {
			return nil, err
		}
	}
	var err error
	if k.tls, err = c.TLS.client(c.Address); err != nil {
		return nil, err
	}
	if c.Strict {
		if k.dict, err = codec.Builtin(codec.Versions[c.Version]); err != nil {
			return nil, err
		}
	}
	k.subs.start(&k.c)
	k.retry = &backOff{least: c.RetryLeast, most: c.RetryMost, now: time.Now, chance: rand.Float64}
	if k.hop, err = newHop(k.dial, k.retry, k.c.Log); err != nil {
		return nil, err
	}
	if err := k.startLibrary(); err != nil {
		k.hop.stop()
		return nil, err
	}
	k.wg.Go(k.tend)
	return k, nil
}

func (k *Client) startLibrary() error {
	all, q := qf.NewSettings(), k.c.settings()
	q.Set(config.HeartBtInt, strconv.Itoa(int(k.c.Heartbeat/time.Second)))
	q.Set(config.ResetOnLogon, yesNo(k.c.ResetOnLogon))
	q.Set(config.PersistMessages, "N") // what we send are requests: stale ones are made anew, not replayed, and no password lies in a file
	q.Set(config.ReconnectInterval, "100ms")
	q.Set(config.LogonTimeout, k.c.LogonTimeout.String())
	q.Set(config.SocketConnectHost, "venue.invalid") // the hop knows where to
	q.Set(config.SocketConnectPort, "1")
	q.Set(config.ProxyType, "socks")
	q.Set(config.ProxyHost, "127.0.0.1")
	q.Set(config.ProxyPort, k.hop.port())
	q.Set(config.ProxyUser, k.hop.user)
	q.Set(config.ProxyPassword, k.hop.pass)
	if k.c.Name != "" {
		q.Set(config.SessionQualifier, k.c.Name)
	}
	id, err := all.AddSession(q)
	if err != nil {
		return fmt.Errorf("fix: %w", err)
	}
	k.id = id
	if k.qf, err = qf.NewInitiator(clientApp{k}, k.c.store(all, func(qf.SessionID) *atomic.Uint64 { return &k.in }, nil), all, logFactory{k.c.Log}); err != nil {
		return fmt.Errorf("fix: session %s: %w", id, err)
	}
	if err := k.qf.Start(); err != nil {
		return fmt.Errorf("fix: session %s: %w", id, err)
	}
	return nil
}

// dial makes a connection to the venue, with a gate in front of it.
func (k *Client) dial(ctx context.Context) (*gate, error) {
	conn, err := k.c.Dial(ctx, k.c.Address)
	if err != nil {
		return nil, err
	}
	if k.tls != nil {
		secure := tls.Client(conn, k.tls)
		ctx, cancel := context.WithTimeout(ctx, k.c.LogonTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("tls: %w", err)
		}
		conn = secure
	}
	k.counters.Connections.Add(1)
	k.kept.clear()
	g := newGate(conn, k.kept, k.c.limits(), &k.counters, nil)
	g.order.next = &k.in
	k.gate.Store(g)
	return g, nil
}

// Close logs out and ends the session; what the library still holds is handed out before it returns.
func (k *Client) Close() error {
	k.stop.Do(func() {
		close(k.stopped)
		k.qf.Stop()
		k.hop.stop()
		k.wg.Wait()
		if k.source != nil {
			k.source.end()
		}
	})
	return nil
}

// Counters of the client since Open.
func (k *Client) Counters() *Counters { return &k.counters }

// Status is a client at one moment.
type Status struct {
	Up       bool
	Wanted   int    // symbols that are asked for
	Live     int    // of them, those whose W has come in the request that runs now
	Refused  int    // of them, those that the venue refused
	Breaks   uint64 // places where messages may be missing
	LastText string // what the venue said last when it refused or ended something
}

// Status says how the client is.
func (k *Client) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Up: k.up, Wanted: len(k.subs.symbols), LastText: k.last}
	s.Live, s.Refused = k.subs.live()
	if k.source != nil {
		s.Breaks = k.source.Breaks()
	}
	return s
}

// toRing waits a second at most for the lane, then the message is lost, which is counted and mended like any loss.
func (k *Client) toRing(raw []byte, recv time.Time) {
	for range 10_000 {
		if k.source.put(raw, recv) {
			return
		}
		select {
		case <-k.stopped:
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
	k.counters.RingFull.Add(1)
	k.lost("the lane took no message for a second")
}

// lost is told that messages may be missing: the lane must know, and only new snapshots make books right again.
func (k *Client) lost(why string) {
	if k.source != nil {
		k.source.broke()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.up {
		k.c.Log.Warn("fix: messages may be missing; subscribing anew", "why", why)
	}
	k.subs.stale = true
}

// Resubscribe asks anew for some symbols, or for all: a message said that something of theirs is missing at the venue's own count, or could not be read. The
// requests that have them are replaced, at most once a second; nothing else is disturbed, and no break is told. Any goroutine, but not the lane: it takes a lock.
func (k *Client) Resubscribe(symbols ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.subs.want(symbols)
}

// tend makes requests whose time has come: at most ten times a second, so that a venue that fills gaps all day is not flooded.
func (k *Client) tend() {
	gap := stall{next: &k.in}
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-k.stopped:
			return
		case <-t.C:
		}
		k.mu.Lock()
		var out []*qf.Message
		if k.up && k.subs.stale && time.Since(k.subs.made) > resubscribeLeast {
			k.counters.Resubscribe.Add(1)
			out = k.subs.again()
		}
		if k.up && len(k.subs.wanted) > 0 && time.Since(k.subs.made) > resubscribeLeast {
			k.counters.Renewed.Add(1)
			out = append(out, k.subs.renew()...)
		}
		if k.up {
			out = append(out, k.subs.complete()...)
		}
		up := k.up
		k.mu.Unlock()
		k.send(out)
		if m := gap.ask(k.gate.Load(), time.Now(), k.c.Patience); m != nil && up {
			k.counters.Reasked.Add(1)
			k.send([]*qf.Message{m})
		}
	}
}

func (k *Client) send(out []*qf.Message) {
	for _, m := range out {
		if err := qf.SendToTarget(m, k.id); err != nil {
			k.c.Log.Warn("fix: request not sent", "err", err)
		}
	}
}

// Next is the MsgSeqNum that is awaited of the venue.
func (k *Client) Next() uint64 { return k.in.Load() }
