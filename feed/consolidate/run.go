package consolidate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// RunOptions of a process that consolidates. Name, Feeds and Publishers must be given.
type RunOptions struct {
	RingDir, Instance, Group string
	// Name is the feed name of what is written: <instance>/<name>.0.cbbo.ring.
	Name string
	// Feeds are the venues, in the order that breaks ties, and Publishers theirs.
	Feeds      []string
	Publishers []uint16
	StaleAfter time.Duration
	// Slots of the ring; 0: the kind's default.
	Slots uint64
	Log   *slog.Logger
}

const (
	rescan    = 100 * time.Millisecond // new lanes are looked for, and silence, and staleness
	beatEvery = time.Millisecond
	most      = 256 // records that are published at once
)

// Process consolidates. Open, Run, Close.
type Process struct {
	o      RunOptions
	engine *Engine
	ring   *ringbuf.Writer
	inst   *ringbuf.InstWriter
	stats  *ringbuf.StatsWriter
	words  []statWord
	lanes  []*lane
	lane   LaneCounters
	staged []ringbuf.CbboSlot
	down   bool // no venue is live
}

type statWord struct {
	handle int
	from   *uint64
}

// Dataset of consolidated records.
const Dataset = "CONS.CBBO"

// Open makes the ring, its directory and its counters.
func Open(o RunOptions) (*Process, error) {
	if len(o.Feeds) != len(o.Publishers) {
		return nil, errors.New("consolidate: each feed has one publisher")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Process{o: o, staged: make([]ringbuf.CbboSlot, 0, most)}
	var err error
	fail := func(err error) (*Process, error) { return nil, errors.Join(err, p.Close()) }
	if p.engine, err = New(Options{Publishers: o.Publishers, StaleNs: uint64(max(0, o.StaleAfter))}, p); err != nil {
		return nil, err
	}
	p.ring, err = ringbuf.Create(ringbuf.Path(o.RingDir, o.Instance, o.Name, "0", ringbuf.KindCbbo), ringbuf.Options{
		Kind: ringbuf.KindCbbo, Slots: o.Slots, Dataset: Dataset, Publisher: tick.PublisherCBBO, Group: o.Group,
	})
	if err != nil {
		return fail(err)
	}
	side := func(lane, ext string) string { return ringbuf.SidePath(o.RingDir, o.Instance, o.Name, lane, ext) }
	if p.inst, err = ringbuf.CreateInst(side("0", ringbuf.ExtInst), 1<<17, ringbuf.SideOptions{Group: o.Group}); err != nil {
		return fail(err)
	}
	if p.stats, err = ringbuf.CreateStats(side("", ringbuf.ExtStats), 64, ringbuf.SideOptions{Group: o.Group}); err != nil {
		return fail(err)
	}
	c, l := &p.engine.Counters, &p.lane
	for _, w := range []struct {
		name string
		kind ringbuf.StatKind
		from *uint64
	}{
		{"0.cbbo.updates", ringbuf.StatCounter, &c.Updates}, {"0.cbbo.older", ringbuf.StatCounter, &c.Older},
		{"0.cbbo.records", ringbuf.StatCounter, &c.Records}, {"0.cbbo.locked", ringbuf.StatCounter, &c.Locked},
		{"0.cbbo.crossed", ringbuf.StatCounter, &c.Crossed}, {"0.cbbo.stale", ringbuf.StatCounter, &c.Stale},
		{"0.cbbo.refused", ringbuf.StatCounter, &c.Refused}, {"0.cbbo.instruments", ringbuf.StatGauge, &c.Instruments},
		{"0.read.overruns", ringbuf.StatCounter, &l.Overruns}, {"0.read.restarts", ringbuf.StatCounter, &l.Restarts},
		{"0.read.sessions", ringbuf.StatCounter, &l.Sessions}, {"0.read.unnamed", ringbuf.StatCounter, &l.Unnamed},
		{"0.read.live_open", ringbuf.StatGauge, &l.LiveOpen},
	} {
		handle, err := p.stats.Add(w.name, w.kind)
		if err != nil {
			return fail(err)
		}
		p.words = append(p.words, statWord{handle, w.from})
	}
	return p, nil
}

// Counters are the engine's and the readers', for the goroutine of Run.
func (p *Process) Counters() (*Counters, *LaneCounters) { return &p.engine.Counters, &p.lane }

// Run reads until ctx ends.
func (p *Process) Run(ctx context.Context) error {
	p.ring.SetState(ringbuf.StateRunning)
	var nextScan, nextBeat time.Time
	for ctx.Err() == nil {
		now := time.Now()
		if now.After(nextScan) {
			nextScan = now.Add(rescan)
			if err := p.scan(uint64(now.UnixNano())); err != nil {
				return err
			}
		}
		if now.After(nextBeat) {
			nextBeat = now.Add(beatEvery)
			p.beat()
		}
		taken := 0
		for _, l := range p.lanes {
			if l.ring == nil {
				continue
			}
			n, gone := l.take(p.engine, &p.lane, uint64(now.UnixNano()))
			taken += n
			if gone {
				p.o.Log.Warn("a venue's feed began anew", "feed", l.entry.Feed, "lane", l.entry.Lane)
				l.close()
				l.forget(p.engine, uint64(now.UnixNano()))
				nextScan = now
			}
		}
		p.flush()
		if taken == 0 {
			p.rest()
		}
	}
	return nil
}

// rest sleeps until the first lane that is there rings, but not for long: others may.
func (p *Process) rest() {
	for _, l := range p.lanes {
		if l.ring != nil {
			l.ring.Wait(beatEvery / 4)
			return
		}
	}
	time.Sleep(beatEvery)
}

// scan joins lanes that are there by now, and looks for silence and staleness.
func (p *Process) scan(now uint64) error {
	entries, err := ringbuf.List(p.o.RingDir, p.o.Instance)
	if err != nil {
		return fmt.Errorf("consolidate: %w", err)
	}
	for _, e := range entries {
		v := slices.Index(p.o.Feeds, e.Feed)
		if e.Kind != ringbuf.KindMbp1 || v < 0 || slices.ContainsFunc(p.lanes, func(l *lane) bool { return l.entry == e }) {
			continue
		}
		p.lanes = append(p.lanes, &lane{venue: v, entry: e, dir: p.o.RingDir})
	}
	silent := make([]bool, len(p.o.Feeds))
	heard := make([]bool, len(p.o.Feeds))
	p.lane.LiveOpen = 0
	for _, l := range p.lanes {
		if l.ring == nil {
			p.join(l)
		}
		heard[l.venue] = true
		if l.silent() {
			silent[l.venue] = true // one lane of several is enough: which instruments are its is not for us to say
		}
		if l.ring != nil {
			p.lane.LiveOpen++
		}
	}
	down := true
	for v := range silent {
		p.engine.Silent(v, silent[v] || !heard[v], now)
		down = down && (silent[v] || !heard[v])
	}
	p.engine.Sweep(now)
	p.flush()
	if p.down != down {
		p.down = down
		if down {
			p.ring.SetState(ringbuf.StateFeedDown)
		} else {
			p.ring.SetState(ringbuf.StateRunning)
		}
	}
	return nil
}

// join opens a lane when its producer is ready, and takes what it shows.
func (p *Process) join(l *lane) {
	switch err := l.open(); {
	case err == nil:
		if got, want := l.ring.Header().Publisher, p.o.Publishers[l.venue]; got != want {
			if !l.dead {
				p.o.Log.Error("a feed's ring carries another publisher than configured: not read", "feed", l.entry.Feed, "publisher", got, "want", want)
			}
			l.dead = true
			l.close()
			return
		}
		p.o.Log.Info("joined", "feed", l.entry.Feed, "lane", l.entry.Lane)
		l.dead = false
		l.load(p.engine) // whether the venue is silent is for all of its lanes to say
	case !notReady(err) && !l.dead:
		l.dead = true
		p.o.Log.Error("a lane cannot be read", "feed", l.entry.Feed, "lane", l.entry.Lane, "err", err)
	}
}

// Instrument enters a symbol in the directory.
func (p *Process) Instrument(id uint32, symbol string) {
	d := tick.UndefDefinition
	d.PublisherID, d.InstrumentID, d.RawInstrumentID = tick.PublisherCBBO, id, uint64(id)
	copy(d.RawSymbol[:len(d.RawSymbol)-1], symbol)
	if err := p.inst.Put(&d, 0); err != nil {
		p.engine.Counters.Refused++
	}
}

// Record stages a record.
func (p *Process) Record(rec *ringbuf.CbboSlot) {
	if len(p.staged) == cap(p.staged) {
		p.flush()
	}
	p.staged = append(p.staged, *rec)
}

// flush publishes what is staged.
func (p *Process) flush() {
	n := len(p.staged)
	if n == 0 {
		return
	}
	now := uint64(time.Now().UnixNano())
	for i := range p.staged {
		p.staged[i].TsPublish = now
	}
	p.ring.Publish(unsafe.Pointer(&p.staged[0]), n)
	p.ring.PublishHint()
	p.staged = p.staged[:0]
}

// beat shows signs of life, and the counters.
func (p *Process) beat() {
	p.ring.Beat(ringbuf.MonotonicNow())
	p.inst.Beat()
	p.count()
	p.stats.Beat()
}

// Close ends the ring: readers are told that nothing more comes.
func (p *Process) Close() error {
	for _, l := range p.lanes {
		l.close()
	}
	var errs []error
	if p.ring != nil {
		p.flush()
		errs = append(errs, p.ring.Close())
	}
	if p.inst != nil {
		errs = append(errs, p.inst.Close())
	}
	if p.stats != nil {
		p.count()
		errs = append(errs, p.stats.Close())
	}
	return errors.Join(errs...)
}

// count shows the counters.
func (p *Process) count() {
	for _, w := range p.words {
		p.stats.Set(w.handle, *w.from)
	}
}
