package process

import (
	"time"

	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic/udp"
)

// nyse is what the channels of an NYSE feed share: the connection to the venue's request servers, of which a source id may have one.
//
//	channel ──► XDPRequester ──┐
//	channel ──► XDPRequester ──┼──► xdprequest.Client ──TCP──► request server
//	sideline (nyse_aside.go) ──┘
type nyse struct {
	feed     *config.Feed
	client   *xdprequest.Client
	counters xdprequest.Counters // as exported
}

// openNYSE starts the connection, which makes itself. nil: the feed is another venue's, a file's, or names no servers.
func openNYSE(f *config.Feed) (*nyse, error) {
	if f.Protocol != protocol.XDP.Name || f.Source == "file" || len(f.Recovery.Servers) == 0 {
		return nil, nil
	}
	client, err := xdprequest.Open(xdprequest.Options{Servers: f.Recovery.Servers, Source: f.Recovery.User, Interface: f.Recovery.Interface})
	if err != nil {
		return nil, err
	}
	return &nyse{feed: f, client: client}, nil
}

// export registers what the connection counts.
func (n *nyse) export(kernel *exporter) error {
	if n == nil {
		return nil
	}
	kernel.also(func() { n.counters = n.client.Counters() })
	return kernel.add("requests", &n.counters)
}

// asker asks for a channel; nil: it has no group that answers come by.
func (n *nyse) asker(ch *config.Channel) (*asker, error) {
	groups := groupsOf(ch, config.ServiceRetransmission)
	if len(groups) == 0 {
		return nil, nil
	}
	q, err := session.NewXDPRequester(n.client, session.XDPOptions{Product: n.feed.Recovery.ProductID, Channel: uint8(ch.ID), Groups: groups})
	if err != nil {
		return nil, err
	}
	c := new(session.XDPCounters)
	return &asker{
		configure: func(cfg *session.Config) {
			cfg.Retry = max(cfg.Retry, nyseRetry)
			q.Configure(cfg)
		},
		groups: q, counters: c, copy: func() { *c = q.Counters() }, close: q.Close,
	}, nil
}

func (n *nyse) close() error {
	if n == nil {
		return nil
	}
	return n.client.Close()
}

// nyseRetry is the least time that an answer has: requests are counted by the venue, 10,000 a day, and an answer is several packets.
const nyseRetry = 20 * time.Millisecond

// groupsOf are the groups of a channel's services of one kind, lines A and B in the order of the configuration.
func groupsOf(ch *config.Channel, kind string) (groups []udp.Group) {
	for i := range ch.Service {
		if s := &ch.Service[i]; s.Kind == kind {
			groups = append(groups, udp.Group{Group: s.Group, Interface: s.Interface, SourceIP: s.SourceIP, Line: uint8(len(groups) % 2)})
		}
	}
	return groups
}
