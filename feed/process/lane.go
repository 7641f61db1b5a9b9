package process

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/capture"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/ringbuf"
)

// laneRunner is a lane with all that it owns.
type laneRunner struct {
	name      string
	number    int
	lane      *pipeline.Lane
	kept      protocol.Kept
	books     *book.Books // kept.Orders
	shared    *shared
	input     pipeline.Input
	latency   pipeline.Latency
	listener  *listener      // nil: a file, or a FIX session
	fix       *fixFeed       // nil: not one
	askers    []*asker       // one a channel, where servers are named
	resync    *resync.Resync // nil: no snapshot server is named
	sides     sidelines      // of an NYSE feed's channels
	cme       cme            // what CME's channels are recovered by
	tap       *capture.Tap
	capture   *Capture
	defined   mdp3.Definitions // of CME's instruments, by all of the lane's channels
	plugins   *lifecycle.Lane
	guest     *protocol.Plugin // nil: the protocol is not a plugin's
	samples   *pipeline.Kept   // copies of batches, for plugins to be tried on
	snap      *snapshotter
	_         [64]byte
	state     atomic.Uint32 // ringbuf.State that the rings are to show: the lane stores it, and the beat looks
	stamps    atomic.Uint32 // nic.StampSource of the latest packets
	silent    atomic.Uint64 // lines that are silent, two bits a channel: A, B
	passed    passed        // what reports of losses take from the lane
	_         [64]byte      // what the beat stores is in no line of the lane's
	shown     ringbuf.State // that they show: the beat's
	stamped   uint32        // that the rings show: the beat's
	heard     uint64        // silent, as the log was told: the beat's
	gone      error         // an interface of the lane's: whoever watches links writes it, Run reads it at the end
	losses    losses        // the housekeeping's
	undrained bool          // its definitions file could not be written just now: the beat's
	export    exporter      // of what the lane counts: it copies the values itself
	turned    uint64        // export.turns as Alive saw them: its caller's
	kernel    exporter      // of what the kernel counts: the housekeeping's
}

func (r *laneRunner) open(c *config.Config, f *config.Feed, number int, p *Process, log *slog.Logger) (err error) {
	proto, err := r.protocol(f, p.plugins.Parser())
	if err != nil {
		return err
	}
	midnight := proto.MidnightBefore
	if f.Source == "file" {
		if r.capture, err = OpenCapture(f.Path, CaptureOptions{
			Date: f.Date, Protocol: f.Protocol, Version: f.Version, Product: f.Product, Prices: f.Prices, Schema: f.Schema, Definitions: f.Definitions, Market: f.MarketID(), Plugin: r.guest,
		}); err != nil {
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
	product := f.Product
	if r.capture != nil {
		product = r.capture.options.Product
	}
	if r.kept, err = proto.Keep(product, 1<<17); err != nil {
		return err
	}
	r.books = r.kept.Orders
	directory, err := symbols.New(0)
	if err != nil {
		return err
	}
	paced := f.Source == "file"
	first := firstChannel(proto, f, r.name, number)
	if err := r.rebuilds(f, p, log); err != nil {
		return err
	}
	decoder, err := proto.New(r.decoderOptions(f, first))
	if r.capture != nil {
		decoder, err = r.capture.Decoder() // for the product that its packets tell
	}
	if err != nil {
		return err
	}
	if r.samples, err = pipeline.NewKept(); err != nil {
		return err
	}
	if r.plugins, err = p.plugins.AddLane(r.name, r.samples); err != nil {
		return err
	}
	r.lane, err = pipeline.New(pipeline.Config{
		Publisher: f.Publisher, ChannelID: first, Decoder: decoder, Books: r.books, Prices: r.kept.Prices, Levels: r.kept.Levels, Mends: proto.Mends, Natural: proto.Natural && f.Recovery.Natural != config.NaturalOff, Symbols: directory, Out: r.shared.out,
		Midnight: midnight, FileStamps: paced && r.capture.Stampless(), MaxPass: f.Lane[number].MaxPass, Depth: f.Depth,
		Clock: p.runtime.now(), Resync: r.resync, Plugins: &r.plugins.Seat, Kept: r.samples,
	})
	if err != nil {
		return err
	}
	r.plugins.SetDirectory(r.lane.Directory())
	if r.guest != nil {
		r.plugins.SetReader(r.guest.Seat(), r.guest.Reader())
	}
	r.export.file, r.kernel.file = p.stats, p.stats
	r.export.also(r.lane.ShowCounters)
	lost := r.export.word(r.name+".lane.definitions_dropped", ringbuf.StatCounter, &r.shared.out.Definitions.Dropped)
	if err := errors.Join(r.export.addLane(r.name, r), lost, r.addRebuilds()); err != nil {
		return err
	}
	switch {
	case f.Source == "tcp":
		if err := r.dial(f, log); err != nil {
			return err
		}
	case r.capture != nil:
		r.watchMarket(f, r.lane.Main().Decoder(), log)
	default:
		if err := r.join(proto, f, p, log); err != nil {
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
		f.Rings.Snapshot, first, f.Publisher, proto.BookOptions(product), ringbuf.SideOptions{Group: c.Instance.Group})
	return err
}

// protocol is the feed's: one of ours, or a plugin's.
func (r *laneRunner) protocol(f *config.Feed, parser *lifecycle.Parser) (p *protocol.Protocol, err error) {
	if parser == nil {
		if p, err = protocol.Find(f.Protocol); err != nil && len(f.Plugin) > 0 {
			err = fmt.Errorf("%w; and none of the feed's plugins is a parser of this name", err)
		}
		return p, err
	}
	if r.guest, err = protocol.FromPlugin(parser.Stage, parser.Unit, true); err != nil {
		return nil, err
	}
	return &r.guest.Protocol, nil
}

// join opens the lane's channels and the source that feeds them.
func (r *laneRunner) join(proto *protocol.Protocol, f *config.Feed, p *Process, log *slog.Logger) (err error) {
	if proto.Framing == nil {
		return fmt.Errorf("protocol %s has no multicast lines", proto.Name)
	}
	for i := range f.Channel {
		ch := &f.Channel[i]
		if ch.Lane != r.name {
			continue
		}
		if proto.Unnumbered && len(ch.Line) > 1 {
			return fmt.Errorf("channel %s has two lines, but packets of protocol %s have no numbers to tell which is the other's copy", ch.Name, proto.Name)
		}
		a, err := p.newAsker(proto, ch)
		if err != nil {
			return fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		if a != nil {
			r.askers = append(r.askers, a)
		}
		sink, err := r.sink(proto, f, i)
		if err != nil {
			return fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		if err := r.sides.join(r, f, ch, sink, log); err != nil {
			return err
		}
		c := channelConfig(proto, &f.Recovery, a)
		if err := r.cme.replay(&c, f, ch, r.resync != nil, log); err != nil {
			return fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		channel := session.NewChannel(c, sink)
		r.input.Channels = append(r.input.Channels, channel)
		if err := errors.Join(r.export.addChannel(r.name, ch, channel), r.addRecovery(ch.Name, channel, a)); err != nil {
			return err
		}
	}
	if len(r.input.Channels) == 0 {
		return errors.New("no channel names this lane")
	}
	if r.number == 0 {
		if err := p.nyse.export(&r.kernel); err != nil {
			return err
		}
	}
	if r.listener, err = listen(f, r.name, r.input.Channels, p, log); err != nil {
		return err
	}
	for _, w := range r.listener.Warnings() {
		log.Warn(w, "lane", r.name)
	}
	if err := errors.Join(r.listener.export(r.name, &r.export, &r.kernel, p.programs), r.losses.open(r, p, log)); err != nil {
		return err
	}
	r.input.Source, r.input.Route, r.input.PollPinned = r.listener.live, r.listener.route, true
	if r.input.Idle, err = pipeline.ParseIdle(f.Idle); err != nil {
		return err
	}
	r.input.Window, r.input.Latency = p.runtime.window(r.number), &r.latency
	r.tap = p.captures.Lane(capture.LaneInfo{Lane: r.name, Interfaces: r.listener.names})
	r.input.Tap = r.tap
	errs := []error{
		r.export.add(r.name+".poll", &r.input.Counters), r.export.word(r.name+".capture.taken", ringbuf.StatCounter, r.tap.Taken()),
		r.export.latency(r.name+".lane", "stamp_to_poll", &r.latency.Polled), r.export.latency(r.name+".lane", "pass", &r.latency.Pass),
		r.export.latency(r.name+".lane", "stamp_to_ring", &r.latency.Published),
	}
	if w := r.input.Window; w != nil {
		errs = append(errs, r.export.add(r.name+".window", w.Counters()))
	}
	return errors.Join(errs...)
}

// firstChannel is the number of a lane's first channel: by its place in the configuration, where the venue has several, so that no two of a feed have the
// same, whatever lanes they are on; else the lane's.
func firstChannel(proto *protocol.Protocol, f *config.Feed, lane string, number int) uint8 {
	if i := slices.IndexFunc(f.Channel, func(c config.Channel) bool { return c.Lane == lane }); proto.Channels && i >= 0 {
		return uint8(i)
	}
	return uint8(number)
}

func (r *laneRunner) decoderOptions(f *config.Feed, channel uint8) protocol.Options {
	return protocol.Options{Version: f.Version, Product: f.Product, Prices: f.Prices, Schema: f.Schema, Channel: channel, Market: f.MarketID(), Definitions: &r.defined}
}

// sink is where a channel's messages go: the lane itself for its first, and for all where the venue has one directory for all of them.
func (r *laneRunner) sink(proto *protocol.Protocol, f *config.Feed, channel int) (session.Sink, error) {
	if !proto.Channels || len(r.input.Channels) == 0 {
		r.cme.reads(r.lane.Main().Decoder())
		return r.lane, nil
	}
	decoder, err := proto.New(r.decoderOptions(f, uint8(channel)))
	if err != nil {
		return nil, err
	}
	r.cme.reads(decoder)
	return r.lane.Stream(decoder, uint8(channel)), nil
}

// run is the lane's thread.
func (r *laneRunner) run(p *Process) error {
	runtime.LockOSThread() // never unlocked: a pinned thread ends with its goroutine
	defer r.export.last()
	if err := p.runtime.thread(r.number); err != nil {
		return err
	}
	if r.capture != nil {
		between := func(now uint64) { r.export.export(now) }
		err := r.capture.Run(r.lane, PlayOptions{Pace: p.feed.Pace, Between: between}, &p.stop)
		for _, line := range summary(r.capture, r.lane, &r.kept) {
			p.log.Warn(line, "lane", r.name)
		}
		return err
	}
	before := r.input.Counters
	r.input.Between = func(now uint64) {
		if from := r.input.Counters.Stamps(&before); from != nic.StampNone {
			r.stamps.Store(uint32(from))
			before = r.input.Counters
		}
		r.state.Store(uint32(r.ringState()))
		r.silent.Store(silentLines(r.input.Channels))
		if r.listener != nil {
			r.passed.note(r)
			r.sides.between(now, r.lane)
			r.cme.between()
		}
		if r.fix != nil {
			r.fix.between(r)
		}
		r.export.export(now)
	}
	r.input.BeforeSleep = r.bell
	return r.lane.Run(&r.input, &p.stop)
}

// ringState is what the rings say: of a FIX session that is not logged on, that nothing comes.
func (r *laneRunner) ringState() ringbuf.State {
	if r.fix != nil && !r.fix.source.Up() {
		return ringbuf.StateFeedDown
	}
	return ringState(r.input.Channels)
}

// ringState is what the rings say of the channels: the worst of them.
func ringState(channels []*session.Channel) ringbuf.State {
	state := ringbuf.StateRunning
	for _, c := range channels {
		switch {
		case c.Silent():
			return ringbuf.StateFeedDown
		case c.State() == session.StateRecovering:
			state = ringbuf.StateRecovering
		}
	}
	return state
}

// silentLines are the lines of the first 32 channels that were heard and are silent: bit 2i is A of channel i, 2i+1 B.
func silentLines(channels []*session.Channel) (silent uint64) {
	for i, c := range channels[:min(len(channels), 32)] {
		for line := range c.Lines {
			if c.Lines[line].SilentAt != 0 && !c.Ended() {
				silent |= 1 << (2*i + line)
			}
		}
	}
	return silent
}

// bell wakes readers that sleep: the lane is about to enter the kernel anyway.
func (r *laneRunner) bell() {
	now := ringbuf.MonotonicNow()
	for _, w := range r.shared.rings {
		w.Beat(now)
	}
}

func (r *laneRunner) close() error {
	var errs []error
	if r.snap != nil {
		errs = append(errs, r.snap.close())
	}
	if r.fix != nil {
		errs = append(errs, r.fix.close())
	}
	for _, a := range r.askers {
		errs = append(errs, a.close())
	}
	errs = append(errs, r.cme.close())
	if r.listener != nil {
		errs = append(errs, r.listener.Close())
	}
	r.losses.close()
	if r.capture != nil {
		errs = append(errs, r.capture.Close())
	}
	if r.shared != nil {
		errs = append(errs, r.shared.close())
	}
	if r.lane != nil {
		errs = append(errs, r.lane.Close())
	}
	if r.resync != nil {
		errs = append(errs, r.resync.Close())
	}
	if r.samples != nil {
		errs = append(errs, r.samples.Close())
	}
	if r.guest != nil {
		errs = append(errs, r.guest.Close())
	}
	errs = append(errs, r.kept.Close())
	return errors.Join(errs...)
}
