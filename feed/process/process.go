package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/capture"
	"github.com/tickwire/tickwire/nic/link"
	"github.com/tickwire/tickwire/ringbuf"
)

// Process is a running feed.
type Process struct {
	feed  *config.Feed
	log   *slog.Logger
	stats *ringbuf.StatsWriter
	lanes []*laneRunner
	stop  atomic.Bool

	host     afxdp.Host
	programs map[string]bool // interfaces whose program's counters a lane tells of
	faces    map[string]bool // interfaces whose own counters a lane tells of
	runtime  *runtimePolicy
	control  *control.Server // nil: there can be none here
	captures *capture.Host
	plugins  *lifecycle.Set
	nyse     *nyse // nil: another venue's, or nobody is to be asked

	watch        *link.Watch // nil: a file source, or a host that does not tell
	linkCounters LinkCounters
	linkStats    exporter
}

// Options of a process beside its configuration. The zero value works.
type Options struct {
	// CompileHelper is the command line of a process that compiles a plugin: lifecycle.Options.Helper. The default is none: this process does it.
	CompileHelper []string
}

// Open makes shared memory and joins the groups of a feed. What it made is undone when it fails.
func Open(c *config.Config, f *config.Feed, log *slog.Logger) (*Process, error) {
	return OpenWith(c, f, log, Options{})
}

// OpenWith is Open with options.
func OpenWith(c *config.Config, f *config.Feed, log *slog.Logger, o Options) (*Process, error) {
	log = log.With("feed", f.Name)
	p := &Process{feed: f, log: log, programs: map[string]bool{}, faces: map[string]bool{}}
	fail := func(err error) (*Process, error) { return nil, errors.Join(err, p.Close()) }
	var err error
	statsPath := ringbuf.SidePath(c.Instance.RingDir, c.Instance.Name, f.Name, "", ringbuf.ExtStats)
	if p.stats, err = ringbuf.CreateStats(statsPath, statsRoom, ringbuf.SideOptions{Group: c.Instance.Group}); err != nil {
		return fail(err)
	}
	if p.runtime, err = startRuntime(f, p.stats, log); err != nil {
		return fail(err)
	}
	if p.captures, err = capture.NewHost(capture.HostOptions{
		Dir: filepath.Join(c.Instance.RingDir, c.Instance.Name), Feed: f.Name, Group: c.Instance.Group,
	}); err != nil {
		return fail(err)
	}
	if p.plugins, err = openPlugins(c, f, o.CompileHelper, p.stats, log); err != nil {
		return fail(fmt.Errorf("feed %s: %w", f.Name, err))
	}
	if err := p.commands(c); err != nil {
		return fail(err)
	}
	if f.Source != "file" {
		if p.watch, err = link.Open(); err != nil {
			log.Warn("interfaces are not watched: a link that was down is not joined anew, and one that is gone may not be noticed", "err", err)
		}
		p.linkStats.file = p.stats
		if err := p.linkStats.add("links", &p.linkCounters); err != nil {
			return fail(err)
		}
	}
	if p.nyse, err = openNYSE(f); err != nil {
		return fail(fmt.Errorf("feed %s: %w", f.Name, err))
	}
	for i := range f.Lane {
		r := &laneRunner{name: f.Lane[i].Name, number: i}
		p.lanes = append(p.lanes, r)
		if err := r.open(c, f, i, p, log); err != nil {
			return fail(fmt.Errorf("feed %s lane %s: %w", f.Name, r.name, err))
		}
		if f.Source == "file" {
			break // a file is one channel
		}
	}
	if err := p.plugins.Start(); err != nil {
		return fail(fmt.Errorf("feed %s: %w", f.Name, err))
	}
	return p, nil
}

// Run runs every lane until ctx ends, a file source has ended on all of them, or one of them fails.
func (p *Process) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	house := make(chan struct{})
	var keeping, running sync.WaitGroup
	keeping.Go(func() { p.beat(house) })
	keeping.Go(func() { p.runtime.keep(house) })
	keeping.Go(func() { p.plugins.Run(ctx) })
	for _, r := range p.lanes {
		keeping.Go(func() { p.snapshots(r, house) })
		keeping.Go(func() { r.keep(house, p.log) })
		r.sides.run(ctx, &keeping)
		if r.resync != nil {
			keeping.Go(func() { r.resync.Run(ctx) })
		}
	}
	if p.watch != nil {
		keeping.Go(func() { p.links(p.watch, end) })
	}
	if p.control != nil {
		keeping.Go(func() {
			if err := p.control.Serve(ctx); err != nil {
				p.log.Error("control socket", "err", err)
			}
		})
	}
	errs := make([]error, len(p.lanes))
	for i, r := range p.lanes {
		running.Go(func() {
			if errs[i] = r.run(p); errs[i] != nil {
				end() // the other lanes must not look alive while this one is dead
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-ctx.Done():
		p.stop.Store(true)
		<-done
	case <-done:
	}
	end() // what waits for ctx
	close(house)
	if p.watch != nil {
		p.watch.Close()
	}
	keeping.Wait()
	for i, err := range errs {
		if err == nil {
			err = p.lanes[i].gone
		}
		if err != nil {
			for _, w := range p.lanes[i].shared.rings {
				w.SetState(ringbuf.StateFailed)
			}
			errs[i] = fmt.Errorf("feed %s lane %s: %w", p.feed.Name, p.lanes[i].name, err)
		}
	}
	return errors.Join(errs...)
}

// Alive is an error that names the lanes which have made no turn since it was called last; an idle lane makes turns too. It is meant
// for a watchdog: called seconds apart, by one goroutine, while Run runs. Lanes of files are not looked at: they wait as their pace says.
func (p *Process) Alive() error {
	var still []string
	for _, r := range p.lanes {
		turns := r.export.turns.Load()
		if turns == r.turned && r.capture == nil {
			still = append(still, r.name)
		}
		r.turned = turns
	}
	if len(still) > 0 {
		return fmt.Errorf("feed %s: no turn of lane %s since the last look", p.feed.Name, strings.Join(still, ", "))
	}
	return nil
}

// Close gives shared memory and sockets back; rings say that they have stopped.
func (p *Process) Close() error {
	var errs []error
	if p.control != nil {
		errs = append(errs, p.control.Close())
	}
	if p.plugins != nil {
		p.plugins.Stop() // a command that is carried out looks at the lanes' batches
	}
	for _, r := range p.lanes {
		errs = append(errs, r.close())
	}
	if p.plugins != nil {
		errs = append(errs, p.plugins.Close()) // behind the lanes, whose chains they are
	}
	errs = append(errs, p.nyse.close()) // behind the lanes, which ask by it
	if p.watch != nil {
		p.watch.Close()
	}
	if p.runtime != nil {
		p.runtime.stop()
	}
	if p.stats != nil {
		errs = append(errs, p.stats.Close())
	}
	return errors.Join(errs...)
}
