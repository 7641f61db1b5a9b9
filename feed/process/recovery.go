package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/session/glimpse"
	"github.com/tickwire/tickwire/internal/config"
)

// asker is what asks the venue for one channel, with the copy of its counters that is exported.
type asker struct {
	configure func(c *session.Config) // gives the channel's settings the link, and what the venue wants
	counters  any                     // a pointer to a struct
	copy      func()                  // brings it up to date
	groups    regrouper               // nil: it has no multicast groups
	close     func() error
}

// regrouper leaves its groups on an interface that comes up again, and joins them anew.
type regrouper interface {
	Leave(index int)
	Rejoin(index int) error
}

// newAsker opens what asks for a channel; nil where nobody is to be asked, or not this way.
func (p *Process) newAsker(proto *protocol.Protocol, ch *config.Channel) (*asker, error) {
	r := &p.feed.Recovery
	switch {
	case len(r.Servers) == 0 || proto == protocol.MDP3:
		return nil, nil
	case p.nyse != nil:
		return p.nyse.asker(ch)
	}
	servers := make([]netip.AddrPort, len(r.Servers))
	for i, name := range r.Servers {
		a, err := net.ResolveUDPAddr("udp", name)
		if err != nil {
			return nil, fmt.Errorf("re-request server %s: %w", name, err)
		}
		servers[i] = a.AddrPort()
	}
	q, err := session.NewRequester(servers, session.RequesterOptions{Interface: r.Interface, Request: proto.Request})
	if err != nil {
		return nil, err
	}
	c := new(session.RequesterCounters)
	return &asker{configure: func(cfg *session.Config) { cfg.Link = q.Link() }, counters: c, copy: func() { *c = q.Counters() }, close: q.Close}, nil
}

// channelConfig is a channel's part of a feed's settings. a may be nil.
func channelConfig(proto *protocol.Protocol, r *config.Recovery, a *asker) session.Config {
	c := session.Config{
		Framing: proto.Framing,
		Wait:    time.Duration(r.Wait), HoldPackets: r.HoldPackets, HoldMessages: r.HoldMessages, HoldMax: time.Duration(r.HoldMax),
		Retry: time.Duration(r.Retry), Tries: r.Tries, SilentAfter: time.Duration(r.SilentAfter),
	}
	if a != nil {
		a.configure(&c)
	}
	return c
}

// addRecovery registers what a channel asked for, what came of it, and the lines' skew.
func (r *laneRunner) addRecovery(name string, ch *session.Channel, a *asker) error {
	at := r.name + ".channel." + name
	err := errors.Join(r.export.powers(at, "skew", ch.Skew()[:]), r.addReplay(at, ch))
	if a == nil {
		return err
	}
	r.kernel.also(a.copy)
	return errors.Join(err, r.export.add(at+".ask", &ch.Ask), r.export.add(at+".recovery", &ch.Recovery), r.kernel.add(at+".requester", a.counters))
}

// rebuilds makes what rebuilds the lane's books from a snapshot, where a server is named.
func (r *laneRunner) rebuilds(f *config.Feed, p *Process, log *slog.Logger) error {
	switch {
	case p.nyse != nil:
		return r.rebuildNYSE(f, p, log.With("lane", r.name))
	case f.Protocol == protocol.MDP3.Name:
		return r.loops(f, log)
	}
	if f.Recovery.Snapshot == "" || f.Source == "file" {
		return nil
	}
	c := glimpse.Config{Server: f.Recovery.Snapshot, User: f.Recovery.SnapshotUser}
	var err error
	if file := f.Recovery.SnapshotPasswordFile; file != "" {
		if c.Password, err = glimpse.ReadPassword(file); err != nil {
			return err
		}
	}
	r.resync, err = resync.New(resync.Options{
		Books: r.books, Log: log.With("lane", r.name),
		Fetch: func(ctx context.Context, session string, fn func(blocks []byte, count int) error) (uint64, error) {
			c := c
			if f.Recovery.SnapshotSession == config.SnapshotSame {
				c.Session = session
			}
			next, err := glimpse.Fetch(ctx, c, fn)
			if errors.Is(err, glimpse.ErrSession) {
				err = fmt.Errorf("%w (where the venue names them otherwise there, recovery.snapshot_session = %q takes it all the same)", err, config.SnapshotAny)
			}
			return next, err
		},
	})
	return err
}

// addRebuilds registers what became of the rebuilds.
func (r *laneRunner) addRebuilds() error {
	err := r.addCME()
	if r.resync == nil {
		return err
	}
	half := r.lane.Resync()
	r.export.also(half.Refresh)
	return errors.Join(err, r.export.add(r.name+".resync", &half.Counters))
}
