package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/ringbuf"
)

// Process is a running feed.
type Process struct {
	feed  *config.Feed
	log   *slog.Logger
	stats *ringbuf.StatsWriter
	lanes []*laneRunner
	host  afxdp.Host
	stop  atomic.Bool
}

// laneRunner is a lane with all that it owns.
type laneRunner struct {
	name     string
	core     *int
	lane     *pipeline.Lane
	books    *book.Books
	shared   *shared
	input    pipeline.Input
	listener *listener // nil: a file
	askers   []*asker  // one a channel, where servers are named
	capture  *Capture
	snap     *snapshotter
	export   exporter // of what the lane counts: it copies the values itself
	kernel   exporter // of what the kernel counts: the housekeeping's
}

// Open makes shared memory and joins the groups of a feed. What it made is undone when it fails.
func Open(c *config.Config, f *config.Feed, log *slog.Logger) (*Process, error) {
	p := &Process{feed: f, log: log}
	fail := func(err error) (*Process, error) { return nil, errors.Join(err, p.Close()) }
	var err error
	statsPath := ringbuf.SidePath(c.Instance.RingDir, c.Instance.Name, f.Name, "", ringbuf.ExtStats)
	if p.stats, err = ringbuf.CreateStats(statsPath, statsRoom, ringbuf.SideOptions{Group: c.Instance.Group}); err != nil {
		return fail(err)
	}
	for i := range f.Lane {
		r := &laneRunner{name: f.Lane[i].Name, core: f.Lane[i].Core}
		p.lanes = append(p.lanes, r)
		if err := r.open(c, f, i, p, log); err != nil {
			return fail(fmt.Errorf("feed %s lane %s: %w", f.Name, r.name, err))
		}
		if f.Source == "file" {
			break // a file is one channel
		}
	}
	return p, nil
}

func (r *laneRunner) open(c *config.Config, f *config.Feed, number int, p *Process, log *slog.Logger) (err error) {
	midnight := itch.MidnightBefore
	if f.Source == "file" {
		if r.capture, err = OpenCapture(f.Path, f.Date); err != nil {
			return err
		}
		if note := r.capture.DayNote(); note != "" {
			log.Warn(note)
		}
		midnight = r.capture.Midnight
	}
	day, err := midnight(uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	if r.shared, err = openShared(c, f, r.name, uint16(number), day); err != nil {
		return err
	}
	// Prefault: the first orders of a session come in a burst, and a fresh page costs more than a thousand of them.
	if r.books, err = book.New(book.Options{Prefault: 1 << 17}); err != nil {
		return err
	}
	directory, err := symbols.New(0)
	if err != nil {
		return err
	}
	paced := f.Source == "file"
	r.lane, err = pipeline.New(pipeline.Config{
		Publisher: f.Publisher, ChannelID: uint8(number), Books: r.books, Symbols: directory, Out: r.shared.out,
		Midnight: midnight, FileStamps: paced && r.capture.Stampless(), MaxPass: f.Lane[number].MaxPass, Depth: f.Depth,
	})
	if err != nil {
		return err
	}
	r.export.file, r.kernel.file = p.stats, p.stats
	if err := r.export.addLane(r.name, r); err != nil {
		return err
	}
	if r.capture == nil {
		if err := r.join(f, &p.host, log); err != nil {
			return err
		}
	}
	rings := func(kind ringbuf.Kind) string {
		return ringbuf.Path(c.Instance.RingDir, c.Instance.Name, f.Name, r.name, kind)
	}
	side := func(ext string) string {
		return ringbuf.SidePath(c.Instance.RingDir, c.Instance.Name, f.Name, r.name, ext)
	}
	r.snap, err = newSnapshotter(rings(ringbuf.KindMbo), side(ringbuf.ExtSnap), side(ringbuf.ExtInst), side(ringbuf.ExtLast),
		f.Rings.Snapshot, uint8(number), f.Publisher, ringbuf.SideOptions{Group: c.Instance.Group})
	return err
}

// join opens the lane's channels and the source that feeds them.
func (r *laneRunner) join(f *config.Feed, host *afxdp.Host, log *slog.Logger) error {
	for i := range f.Channel {
		ch := &f.Channel[i]
		if ch.Lane != r.name {
			continue
		}
		a, err := newAsker(&f.Recovery)
		if err != nil {
			return fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		if a != nil {
			r.askers = append(r.askers, a)
		}
		channel := session.NewChannel(channelConfig(&f.Recovery, a), r.lane)
		r.input.Channels = append(r.input.Channels, channel)
		if err := errors.Join(r.export.addChannel(r.name, ch, channel), r.addRecovery(ch.Name, channel, a)); err != nil {
			return err
		}
	}
	if len(r.input.Channels) == 0 {
		return errors.New("no channel names this lane")
	}
	var err error
	if r.listener, err = listen(f, r.name, r.input.Channels, host, log); err != nil {
		return err
	}
	for _, w := range r.listener.Warnings() {
		log.Warn(w, "lane", r.name)
	}
	if err := r.listener.export(r.name, &r.export, &r.kernel); err != nil {
		return err
	}
	r.input.Source, r.input.Route = r.listener.live, r.listener.route
	if f.Idle == "spin" {
		r.input.Idle = pipeline.IdleSpin
	}
	return nil
}

// Run runs every lane until ctx ends, a file source has ended on all of them, or one of them fails.
func (p *Process) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	house := make(chan struct{})
	var keeping, running sync.WaitGroup
	keeping.Go(func() { p.beat(house) })
	for _, r := range p.lanes {
		keeping.Go(func() { p.snapshots(r, house) })
		keeping.Go(func() { r.keep(house, p.log) })
	}
	errs := make([]error, len(p.lanes))
	for i, r := range p.lanes {
		running.Go(func() {
			if errs[i] = r.run(p.feed, &p.stop); errs[i] != nil {
				cancel() // the other lanes must not look alive while this one is dead
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
	close(house)
	keeping.Wait()
	for i, err := range errs {
		if err != nil {
			for _, w := range p.lanes[i].shared.rings {
				w.SetState(ringbuf.StateFailed)
			}
			errs[i] = fmt.Errorf("feed %s lane %s: %w", p.feed.Name, p.lanes[i].name, err)
		}
	}
	return errors.Join(errs...)
}

// run is the lane's thread.
func (r *laneRunner) run(f *config.Feed, stop *atomic.Bool) error {
	runtime.LockOSThread() // never unlocked: a pinned thread ends with its goroutine
	defer r.export.last()
	if r.core != nil {
		var set unix.CPUSet
		set.Set(*r.core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pinning to core %d: %w (is it there, and does the process's cpuset allow it?)", *r.core, err)
		}
	}
	between := func(now uint64) { r.export.export(now) }
	if r.capture != nil {
		return r.capture.Run(r.lane, PlayOptions{Pace: f.Pace, Between: between}, stop)
	}
	r.input.Between = between
	r.input.BeforeSleep = r.bell
	return r.lane.Run(&r.input, stop)
}

// bell wakes readers that sleep: the lane is about to enter the kernel anyway.
func (r *laneRunner) bell() {
	now := ringbuf.MonotonicNow()
	for _, w := range r.shared.rings {
		w.Beat(now)
	}
}

// beatEvery is how soon a sleeping reader of a lane that spins hears of a record, at the latest. A Go timer would take
// a millisecond (the runtime's poller counts in those), so this thread sleeps in the kernel.
const beatEvery = 200 * time.Microsecond

func (p *Process) beat(done <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := unix.NsecToTimespec(int64(beatEvery))
	for turn := 0; ; turn++ {
		select {
		case <-done:
			p.drain()
			return
		default:
		}
		now := ringbuf.MonotonicNow()
		for _, r := range p.lanes {
			for _, w := range r.shared.rings {
				w.Beat(now)
			}
		}
		if turn%8 == 0 {
			p.drain()
		}
		_ = unix.Nanosleep(&pause, nil)
	}
}

// drain writes what came for the definitions files, and touches what is not a ring.
func (p *Process) drain() {
	for _, r := range p.lanes {
		if err := r.shared.out.Definitions.Drain(); err != nil {
			p.log.Error("definitions file", "feed", p.feed.Name, "lane", r.name, "err", err)
		}
		r.shared.out.Instruments.Beat()
		r.shared.out.Last.Beat()
	}
	p.stats.Beat()
}

// snapshots keeps .snap of a lane.
func (p *Process) snapshots(r *laneRunner, done <-chan struct{}) {
	told := false
	for {
		if !r.snap.follow(1 << 16) {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
		if err := r.snap.write(time.Now()); err != nil {
			p.log.Error("snapshot", "feed", p.feed.Name, "lane", r.name, "err", err)
		}
		if r.snap.Stopped != told {
			told = r.snap.Stopped
			if told {
				p.log.Error("snapshots stop until the next session: the ring overtook their reader; a larger mbo ring or a core for it helps",
					"feed", p.feed.Name, "lane", r.name)
			}
		}
	}
}

// Close gives shared memory and sockets back; rings say that they have stopped.
func (p *Process) Close() error {
	var errs []error
	for _, r := range p.lanes {
		errs = append(errs, r.close())
	}
	if p.stats != nil {
		errs = append(errs, p.stats.Close())
	}
	return errors.Join(errs...)
}

func (r *laneRunner) close() error {
	var errs []error
	if r.snap != nil {
		errs = append(errs, r.snap.close())
	}
	for _, a := range r.askers {
		errs = append(errs, a.Close())
	}
	if r.listener != nil {
		errs = append(errs, r.listener.Close())
	}
	if r.capture != nil {
		errs = append(errs, r.capture.Close())
	}
	if r.shared != nil {
		errs = append(errs, r.shared.close())
	}
	if r.lane != nil {
		errs = append(errs, r.lane.Close())
	}
	if r.books != nil {
		errs = append(errs, r.books.Close())
	}
	return errors.Join(errs...)
}
