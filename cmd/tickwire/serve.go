//go:build cgo

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/metrics"
	"github.com/tickwire/tickwire/internal/sdnotify"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sqlgw/duck"
	"github.com/tickwire/tickwire/sqlgw/pgwire"
	"github.com/tickwire/tickwire/store"
)

func serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "serve", Short: "the SQL port over the rings of every feed of the instance", Args: exactly(0),
		Long: `serve reads the rings of the instance as any strategy does, keeps the latest rows in memory, and answers SQL by the
PostgreSQL protocol. A query there cannot delay a feed. It may be started before the feeds, and again at any time: it takes
what the rings still hold.

With serve.fix clients of FIX 4.2, 4.4 and 5.0 SP2 subscribe to the same (V, W, X); by default from this machine only.

Functions and aggregates of plugins that serve.plugin names are SQL's; columns that the feeds' plugins add are columns of ticks, from
the next start of serve on when a feed has got new ones (docs/plugins-sql.md).

With serve.metrics it also answers Prometheus, about every process and ring of the instance (docs/metrics.md).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", "serve")
			return serve(cmd.Context(), cfg, serviceManager(log), log)
		},
	}
	configFlag(c, &path)
	return c
}

func serve(ctx context.Context, cfg *config.Config, manager *sdnotify.Manager, log *slog.Logger) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := guests{specs: cfg.Serve.Plugin, noAggregates: cfg.Serve.PluginAggregates == config.AggregatesOff}
	if err := g.open(&cfg.Plugins, log); err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, g.close()) }()
	var engine *engines
	s, err := store.Open(store.Options{
		Memory: int64(cfg.Serve.Memory), RingDir: cfg.Instance.RingDir, Instance: cfg.Instance.Name, Custom: customOfFeeds(cfg, log),
		Learn: func() { engine.learn() }, // rows are taken in from where the engine is there
		Log:   func(text string, c ringbuf.PluginColumn) { log.Warn(text, "column", c.Name, "plugin", c.Plugin) },
	})
	if err != nil {
		return usageError{err}
	}
	options, names, err := portOptions(&cfg.Serve, log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	engine, err = newEngines(func() (*duck.Engine, error) { return engineOver(s, cfg.Serve.Threads, names, &g) }, log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	server := &pgwire.Server{Engine: engine, Options: options}
	scrapes, err := metricsPort(cfg, options.TLS, log)
	if err != nil {
		return errors.Join(err, engine.close(), s.Close())
	}
	var wg sync.WaitGroup
	errs := make([]error, 3)
	wg.Go(func() { engine.run(ctx) })
	wg.Go(func() {
		errs[0] = s.Follow(ctx, store.FollowOptions{
			RingDir: cfg.Instance.RingDir, Instance: cfg.Instance.Name,
			Log: func(text string, err error) { log.Warn(text, "err", err) },
		})
		cancel()
	})
	l, err := net.Listen("tcp", cfg.Serve.SQL)
	if err != nil {
		err = fmt.Errorf("serve: %w (another server has the port? `ss -ltnp`; serve.sql chooses another)", err)
		cancel()
		wg.Wait()
		if scrapes != nil {
			err = errors.Join(err, scrapes.Close())
		}
		return errors.Join(err, engine.close(), s.Close())
	}
	fix, err := fixPort(cfg, log)
	if err != nil {
		cancel()
		wg.Wait()
		if scrapes != nil {
			err = errors.Join(err, scrapes.Close())
		}
		return errors.Join(err, l.Close(), engine.close(), s.Close())
	}
	log.Info("listening", "sql", l.Addr().String(), "rings", cfg.Instance.RingDir+"/"+cfg.Instance.Name)
	var turns atomic.Uint64
	wg.Go(func() { errs[1] = export(ctx, cfg, s, server, fixValues(fix), &turns) })
	if scrapes != nil {
		log.Info("listening", "metrics", scrapes.Addr())
		wg.Go(func() { errs[2] = scrapes.Serve(ctx) })
	}
	wg.Go(func() { tellManager(ctx, manager, "SQL on "+l.Addr().String(), moves(&turns), log) })
	served := server.Serve(ctx, l)
	cancel()
	if fix != nil {
		served = errors.Join(served, fix.Close())
	}
	wg.Wait()
	return errors.Join(append(errs, served, engine.close(), s.Close())...)
}

// customOfFeeds are the columns that the feeds' plugins add to ticks: those of their configuration, and those that running feeds say they have. A plugin that cannot
// be read is its feed's matter; of two columns of one name the first counts, and so does another type's then.
func customOfFeeds(cfg *config.Config, log *slog.Logger) (all []ringbuf.PluginColumn) {
	add := func(feed string, columns []ringbuf.PluginColumn) {
		for _, c := range columns {
			if slices.ContainsFunc(store.Tables(), func(t *store.Table) bool { return t.Name == "ticks" && t.Column(c.Name) >= 0 }) {
				log.Warn("a plugin's column is left out of ticks: it has one of that name", "feed", feed, "column", c.Name)
				continue
			}
			switch i := slices.IndexFunc(all, func(o ringbuf.PluginColumn) bool { return o.Name == c.Name }); {
			case i >= 0 && all[i].Type != c.Type:
				log.Warn("a column of ticks is NULL for a feed: another feed has it with another type", "feed", feed, "column", c.Name, "type", c.Type, "other", all[i].Type)
			case i >= 0:
			case len(all) == store.MostCustom:
				log.Warn("a plugin's column is left out of ticks: there are too many", "feed", feed, "column", c.Name, "most", store.MostCustom)
			default:
				all = append(all, c)
			}
		}
	}
	modules := lifecycle.NewModules(&cfg.Plugins)
	for i := range cfg.Feed {
		f := &cfg.Feed[i]
		for k := range f.Plugin {
			module, err := modules.Read(&f.Plugin[k])
			if err != nil {
				log.Warn("a feed's plugin cannot be read: ticks have no columns of it", "feed", f.Name, "err", err)
				continue
			}
			m, err := manifest.Of(module)
			if err != nil {
				log.Warn("a feed's plugin cannot be read: ticks have no columns of it", "feed", f.Name, "err", err)
				continue
			}
			add(f.Name, customOf(m))
		}
	}
	paths, _ := filepath.Glob(ringbuf.SidePath(cfg.Instance.RingDir, cfg.Instance.Name, "*", "", ringbuf.ExtPlugins)) // an error is of a bad pattern: then there is none
	for _, path := range paths {
		told, err := ringbuf.ReadPlugins(path)
		if err != nil {
			log.Warn("what a feed's plugins are cannot be read", "err", err)
			continue
		}
		add(strings.TrimSuffix(filepath.Base(path), "."+ringbuf.ExtPlugins), told.Custom)
	}
	return all
}

// metricsPort opens the Prometheus port, nil when the configuration has none.
func metricsPort(cfg *config.Config, secure *tls.Config, log *slog.Logger) (*metrics.Server, error) {
	if cfg.Serve.Metrics == "" {
		return nil, nil
	}
	o := metrics.Options{RingDir: cfg.Instance.RingDir, Instance: cfg.Instance.Name}
	for i := range cfg.Feed {
		o.Feeds = append(o.Feeds, cfg.Feed[i].Name)
	}
	return metrics.Listen(cfg.Serve.Metrics, secure, metrics.NewCollector(o), log)
}

// portOptions reads users and certificates. names are the users'.
func portOptions(c *config.Serve, log *slog.Logger) (o pgwire.Options, names []string, err error) {
	o = pgwire.Options{Version: buildinfo.Version, Log: log}
	for _, u := range c.Users {
		text, err := os.ReadFile(u.PasswordFile)
		if err != nil {
			return o, nil, fmt.Errorf("serve: password of user %s: %w", u.Name, err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		o.Users = append(o.Users, pgwire.User{Name: u.Name, Password: strings.TrimRight(line, "\r")})
		names = append(names, u.Name)
	}
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return o, nil, fmt.Errorf("serve: certificate: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	return o, names, nil
}

const exportEvery = 10 * time.Millisecond

// moves is whether turns has become more since the last call.
func moves(turns *atomic.Uint64) func() error {
	before := uint64(0)
	return func() error {
		now := turns.Load()
		if now == before {
			return errors.New("serve: its counters stand still")
		}
		before = now
		return nil
	}
}

// export shows the process's counters to status and SQL, and counts the turns.
func export(ctx context.Context, cfg *config.Config, s *store.Store, server *pgwire.Server, more []fixValue, turns *atomic.Uint64) error {
	w, err := ringbuf.CreateStats(ringbuf.SidePath(cfg.Instance.RingDir, cfg.Instance.Name, "serve", "", ringbuf.ExtStats), 0, ringbuf.SideOptions{Group: cfg.Instance.Group})
	if err != nil {
		return err
	}
	defer w.Close()
	p := &server.Counters
	values := []fixValue{
		{"store.rows", ringbuf.StatCounter, s.Rows.Load}, {"store.evicted_rows", ringbuf.StatCounter, s.Evicted.Load},
		{"store.lost_records", ringbuf.StatCounter, s.LostRecords.Load}, {"store.inexact_sizes", ringbuf.StatGauge, s.Inexact.Load},
		{"store.unnamed_rows", ringbuf.StatCounter, s.Unnamed.Load}, {"store.unknown_breaks", ringbuf.StatCounter, s.UnknownBreak.Load},
		{"store.no_memory_rows", ringbuf.StatCounter, s.NoMemory.Load}, {"store.prices_out_of_range", ringbuf.StatCounter, s.OverPrice.Load},
		{"sql.connections", ringbuf.StatGauge, func() uint64 { return uint64(p.Connections.Load()) }},
		{"sql.accepted", ringbuf.StatCounter, p.Accepted.Load}, {"sql.refused", ringbuf.StatCounter, p.Refused.Load},
		{"sql.statements", ringbuf.StatCounter, p.Statements.Load}, {"sql.errors", ringbuf.StatCounter, p.Errors.Load},
		{"sql.cancelled", ringbuf.StatCounter, p.Cancelled.Load}, {"sql.rows", ringbuf.StatCounter, p.Rows.Load},
		{"sql.bytes_out", ringbuf.StatCounter, p.BytesOut.Load}, {"sql.protocol_faults", ringbuf.StatCounter, p.ProtocolFault.Load},
		{"sql.panics", ringbuf.StatCounter, p.Panics.Load},
	}
	values = append(values, more...)
	handles := make([]int, len(values))
	for i, v := range values {
		if handles[i], err = w.Add(v.name, v.kind); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(exportEvery)
	defer ticker.Stop()
	for {
		for i, v := range values {
			w.Set(handles[i], v.read())
		}
		w.Beat()
		turns.Add(1)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
