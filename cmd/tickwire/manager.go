package main

import (
	"context"
	"log/slog"

	"github.com/tickwire/tickwire/internal/sdnotify"
)

// serviceManager is who started this process and wants to hear how it is: nil when nobody does.
func serviceManager(log *slog.Logger) *sdnotify.Manager {
	m, err := sdnotify.FromEnvironment()
	if err != nil {
		log.Warn("what the service manager wants to hear is not clear", "err", err)
	}
	return m
}

// tellManager says that the process is ready, gives signs of life until ctx ends, as long as alive returns nil, and says that it stops.
// A nil alive is always alive. It returns when that is done.
func tellManager(ctx context.Context, m *sdnotify.Manager, status string, alive func() error, log *slog.Logger) {
	if m == nil {
		return
	}
	if alive == nil {
		alive = func() error { return nil }
	}
	if err := m.Ready(status); err != nil {
		log.Warn("the service manager was not told that this is ready", "err", err)
	}
	m.Watch(ctx, alive, func(fault string, err error) {
		switch {
		case fault != "":
			log.Error("no sign of life to the service manager", "because", fault)
		case err == nil:
			log.Warn("signs of life to the service manager again")
		}
		if err != nil {
			log.Warn("the service manager was not reached", "err", err)
		}
	})
	<-ctx.Done()
	if err := m.Stopping(); err != nil {
		log.Warn("the service manager was not told that this ends", "err", err)
	}
}
