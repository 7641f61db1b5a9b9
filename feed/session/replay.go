package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// ReplayOptions of a replayer. Channel must be given where the venue checks it; the rest works at zero.
type ReplayOptions struct {
	// Channel is the channel whose packets are asked for (ApplID).
	Channel int
	// User and Password of the logon. They appear in no error and no log.
	User, Password string
	// Interface is the one that connections leave by, whatever the routes say. The default is none: where the servers' own routes lead.
	Interface string
	// Dial bounds the making of a connection, Silence how long the server may say nothing, Most a whole answer. The defaults are 2 s, 5 s and 30 s.
	Dial, Silence, Most time.Duration
	// Idle is how often the link is looked at while nothing is missing; with a hole open it is every 100 µs. The default is 2 ms.
	Idle time.Duration
	// LoginTemplate and LogoutTemplate are the service's administrative templates, of whatever schema. The defaults are 15 and 16.
	LoginTemplate, LogoutTemplate uint16
	// Clock gives a packet's time of arrival, ns since the Unix epoch. The default is the system's clock.
	Clock func() uint64
	// Log is told of answers that fail. The default is silence.
	Log *slog.Logger
}

// ReplayCounters count what became of requests and packets on the way between link and venue.
type ReplayCounters struct {
	Requests  uint64 // connections that were made, one each
	Spared    uint64 // requests for what an answer had just brought: the lane asked again meanwhile
	Failed    uint64 // that ended before the venue's logout, or never began
	Rejected  uint64 // that the venue answered with a logout and no packet
	Received  uint64 // packets
	Handed    uint64 // to the lane
	Outside   uint64 // that were not asked for, dropped
	Malformed uint64 // frames that are no packet, dropped with their connection
	Oversize  uint64 // larger than any that can be held, 9,236 bytes, dropped
	Dropped   uint64 // for which the lane had no room for a second
}

// Replayer asks CME's TCP replay for packets of a channel: it takes what a lane queues on its link, and hands back whole packets as answers. One goroutine; the
// lane does not wait for it.
//
//	Link ──request──► connect ──► 35=A logon ──► AdminLogin ──► 35=V, first to last ──► packets … ──► AdminLogout ──► 35=5 ──► close
//	Link ◄──────────────────────────────────────────────────── packets
//
// A connection has one request of at most 2,000 packets; the venue keeps them a day. Frames on it are a length in two bytes, little-endian, and a packet; what
// the client says is FIX without tag 8. Rules: CME MDP 3.0, TCP Recovery.
type Replayer struct {
	link    *Link
	o       ReplayOptions
	servers []string
	dialer  net.Dialer
	ctx     context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup
	c       struct{ requests, spared, failed, rejected, received, handed, outside, malformed, oversize, dropped atomic.Uint64 }
}

// replayMost is how many packets a request may ask for.
const replayMost = 2_000

// NewReplayer prepares requests to servers, host:port each, 1 to 16, whose numbers are their places in the list.
func NewReplayer(servers []string, o ReplayOptions) (*Replayer, error) {
	link, err := newLink(len(servers), linkBytes)
	if err != nil {
		return nil, err
	}
	link.several = true
	for i, s := range servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, fmt.Errorf("session: replay server %d, %q: %w", i+1, s, err)
		}
	}
	o.defaults()
	r := &Replayer{link: link, o: o, servers: servers, dialer: net.Dialer{Timeout: o.Dial}}
	if o.Interface != "" {
		r.dialer.Control = func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), o.Interface) })
			if err = errors.Join(err, failed); err != nil {
				return fmt.Errorf("interface %s: %w", o.Interface, err)
			}
			return nil
		}
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.done.Go(r.run)
	return r, nil
}

func (o *ReplayOptions) defaults() {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&o.Dial, 2 * time.Second}, {&o.Silence, 5 * time.Second}, {&o.Most, 30 * time.Second}, {&o.Idle, 2 * time.Millisecond}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	if o.LoginTemplate == 0 {
		o.LoginTemplate = mdp3.AdminLogin
	}
	if o.LogoutTemplate == 0 {
		o.LogoutTemplate = mdp3.AdminLogout
	}
	if o.Clock == nil {
		o.Clock = func() uint64 { return uint64(time.Now().UnixNano()) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Link is the lane's end: Config.Link of one channel, no more.
func (r *Replayer) Link() *Link { return r.link }

// Close ends the goroutine, and the connection it may have, and waits. The lane may go on using its link: nothing comes any more.
func (r *Replayer) Close() error {
	r.cancel()
	r.done.Wait()
	return nil
}

// Counters so far. Safe to call at any time; it does not allocate.
func (r *Replayer) Counters() ReplayCounters {
	return ReplayCounters{
		Requests: r.c.requests.Load(), Spared: r.c.spared.Load(), Failed: r.c.failed.Load(), Rejected: r.c.rejected.Load(), Received: r.c.received.Load(),
		Handed: r.c.handed.Load(), Outside: r.c.outside.Load(), Malformed: r.c.malformed.Load(), Oversize: r.c.oversize.Load(), Dropped: r.c.dropped.Load(),
	}
}

// run serves requests one after the other. Those that were queued while an answer came, for what it brought, are spared.
func (r *Replayer) run() {
	var served request
	for r.ctx.Err() == nil {
		q, ok := r.link.asked()
		if !ok {
			served = request{}
			if r.link.alert.Load() {
				time.Sleep(min(lookEvery, r.o.Idle))
			} else {
				time.Sleep(r.o.Idle)
			}
			continue
		}
		if served.count != 0 && q.first >= served.first && q.first+uint64(q.count) <= served.first+uint64(served.count) {
			r.c.spared.Add(1)
			continue
		}
		q.count = min(q.count, replayMost) // the lane asks for the rest when it sees that it is missing
		r.c.requests.Add(1)
		served = request{}
		if err := r.serve(q); err == nil {
			served = q
		} else if r.ctx.Err() == nil {
			r.c.failed.Add(1)
			r.o.Log.Warn("session: packets were not replayed", "server", r.servers[q.server], "first", q.first, "count", q.count, "err", err)
		}
	}
}
