//go:build cgo

package main

import (
	"log/slog"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/process"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/ringbuf"
)

// fixPort opens the port at which FIX clients subscribe, nil when the configuration has none.
func fixPort(cfg *config.Config, log *slog.Logger) (*fixsession.Server, error) {
	x := &cfg.Serve.FIX
	if len(x.Clients) == 0 {
		return nil, nil
	}
	market, err := fixsession.OpenRings(fixsession.RingOptions{RingDir: cfg.Instance.RingDir, Instance: cfg.Instance.Name, Feed: x.Feed, Log: log})
	if err != nil {
		return nil, err
	}
	server, err := fixsession.Serve(fixsession.ServerConfig{
		Address: x.Address, SenderCompID: x.Sender, Clients: x.Clients, StoreDir: x.StoreDir, TLS: process.FIXTLS(&x.TLS), Log: log,
		Resend: x.Resend, ResendMessages: x.ResendMessages, ResendBytes: int(x.ResendBytes),
		Schedule: fixsession.Schedule{Start: x.Start, End: x.End, StartDay: x.StartDay, EndDay: x.EndDay, Zone: x.Zone},
	}, market)
	if err != nil {
		return nil, err
	}
	log.Info("listening", "fix", server.Addr().String())
	return server, nil
}

// fixValue is a counter of the FIX port, as export shows it.
type fixValue struct {
	name string
	kind ringbuf.StatKind
	read func() uint64
}

func fixValues(s *fixsession.Server) (values []fixValue) {
	if s == nil {
		return nil
	}
	c := s.Counters()
	for name, v := range map[string]*atomic.Uint64{
		"connections": &c.Connections, "refused": &c.Refused, "logons": &c.Logons, "logouts": &c.Logouts, "garbled": &c.Garbled, "slow": &c.Slow,
		"backlog": &c.Backlog, "subscriptions": &c.Subscriptions, "denied": &c.Denied, "snapshots": &c.Snapshots, "increments": &c.Increments,
		"conflated": &c.Conflated, "lost_trades": &c.LostTrades, "catchups": &c.Catchups, "resends": &c.Resends,
		"resends_short": &c.ResendsShort,
	} {
		values = append(values, fixValue{"fix." + name, ringbuf.StatCounter, v.Load})
	}
	return values
}
