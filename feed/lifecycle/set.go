package lifecycle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/deps"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/trial"
	"github.com/tickwire/tickwire/ringbuf"
)

// Options of a Set. Config must be given.
type Options struct {
	Config  *config.Plugins
	Plugins []config.Plugin // that it begins with
	// Protocol is what the feed speaks: a plugin that is a parser of this name is no part of the chain (Set.Parser).
	Protocol  string
	Publisher uint16
	// Helper is the command line of a process that compiles a module which it is given on standard input, with the cache's folder added: HelperMain. The default is
	// none: modules are compiled here.
	Helper []string
	// Path of the file that names plugins to readers (ringbuf.Plugins). The default is none.
	Path string
	Side ringbuf.SideOptions
	// Replay says that the lanes' time is a capture's, so that the present time is of no use to readers: the first chain holds from the beginning. The default is not.
	Replay bool
	// Stats gets counters. The default is none.
	Stats *ringbuf.StatsWriter
	// Log is told of changes and failures. The default is slog's.
	Log *slog.Logger
}

const (
	mostBefore = 4           // versions of a plugin that one can go back to
	probation  = time.Minute // a version that fails within it is taken back
	lookEvery  = 100 * time.Millisecond
	takeWithin = 2 * time.Second // lanes that sleep wake each millisecond
)

// Set is the plugins of one feed. Methods may be called from several goroutines but where they say otherwise.
type Set struct {
	o       Options
	host    *plugins.Host // nil: nothing was compiled yet
	modules *Modules
	log     *slog.Logger
	told    ringbuf.Plugins // what the file has
	figures figures

	changing sync.Mutex // one change at a time: it may compile for seconds
	stopped  bool       // there are none any more; guarded by changing

	mu     sync.Mutex // guards what follows, which changes with changing held too; never held for long
	use    []*entry   // in the order in which rows pass them
	speaks *entry     // the plugin that is the feed's protocol, which may be in use too; nil: the protocol is ours
	lanes  []*Lane
	kept   bool // lanes have copies of their batches
	begun  bool // Start has put chains in the seats
}

// Parser is the plugin that is the feed's protocol, and which of its units.
type Parser struct {
	plugins.Stage
	Unit int
}

// entry is one plugin: of the chain, the feed's protocol, or both.
type entry struct {
	spec   config.Plugin
	now    *version
	before []*version // the latest last
	trial  bool       // now is new: what it does within probation decides
}

// version is a plugin with its parameters.
type version struct {
	plugin *plugins.Plugin
	spec   config.Plugin // where it is from, with its parameters
	params []byte
	since  time.Time
	out    bool // it was told that the plugin was taken out
}

func (v *version) name() string { return v.plugin.Manifest().Name }

// Lane is one lane's part.
type Lane struct {
	Name string
	Seat plugins.Seat

	directory plugins.Directory
	kept      *pipeline.Kept
	chain     *plugins.Chain   // set last
	before    []*plugins.Chain // those before it, and before reader, that were not closed yet

	packets *plugins.Seat  // where the lane finds who reads its packets, nil: no plugin does
	reader  *plugins.Chain // made last for it
	wanted  atomic.Pointer[plugins.Chain]
}

// Open reads and compiles what the configuration names. Lanes are added before Start.
func Open(o Options) (*Set, error) {
	s := &Set{o: o, modules: NewModules(o.Config), log: o.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	var faults []error
	for i := range o.Plugins {
		spec := o.Plugins[i]
		v, err := s.open(context.Background(), spec)
		if err != nil {
			faults = append(faults, fmt.Errorf("plugin[%d]: %w", i, err))
			continue
		}
		m := v.plugin.Manifest()
		e := &entry{spec: spec, now: v}
		if s.speaks == nil && v.plugin.Unit(manifest.Parser, o.Protocol) >= 0 {
			s.speaks = e
			if onLane(m) != nil {
				continue
			}
		}
		if err := onLane(m); err != nil {
			faults = append(faults, fmt.Errorf("plugin[%d]: %w", i, err))
		}
		s.use = append(s.use, e)
	}
	if s.speaks == nil && len(faults) == 0 && o.Protocol != "" && !slices.Contains(config.Protocols(), o.Protocol) {
		faults = append(faults, fmt.Errorf("protocol %q is none of ours (%s), and none of the feed's plugins is a parser of this name", o.Protocol, strings.Join(config.Protocols(), ", ")))
	}
	if len(faults) == 0 {
		faults = append(faults, s.fit(s.use, s.speaks))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Parser is the plugin that is the feed's protocol, nil: none of them is.
func (s *Set) Parser() *Parser {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.speaks == nil {
		return nil
	}
	return &Parser{s.speaks.stage(), s.unit(s.speaks.now)}
}

// unit of a version that is the feed's protocol, -1: none is.
func (s *Set) unit(v *version) int { return v.plugin.Unit(manifest.Parser, s.o.Protocol) }

// all are the entries, each once. It is called with mu or changing held.
func (s *Set) all() []*entry {
	if s.speaks == nil || slices.Contains(s.use, s.speaks) {
		return s.use
	}
	return append(slices.Clip(s.use), s.speaks)
}

// Empty says that no rows pass any plugin.
func (s *Set) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.use) == 0
}

// AddLane makes a lane's part. kept, which may be nil, gets its batches. Before Start.
func (s *Set) AddLane(name string, kept *pipeline.Kept) (*Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lanes) >= 256 {
		return nil, errors.New("plugins: more than 256 lanes")
	}
	l := &Lane{Name: name, kept: kept}
	s.lanes = append(s.lanes, l)
	s.kept = s.kept || kept != nil
	return l, nil
}

// SetDirectory says where the lane's symbols are. Before Start; without it there are none.
func (l *Lane) SetDirectory(d plugins.Directory) { l.directory = d }

// SetReader says where the lane finds who reads its packets, and who does first: the plugin that Parser names. Before Start.
func (l *Lane) SetReader(seat *plugins.Seat, first *plugins.Chain) {
	l.packets, l.reader = seat, first
	l.wanted.Store(first)
}

// Start puts the chains in the lanes' seats. Lanes do not run yet.
func (s *Set) Start() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.o.Path != "" {
		if was, err := ringbuf.ReadPlugins(s.o.Path); err == nil {
			s.told = *was // records of a process before this one may still be in the rings
		} else {
			s.log.Warn("who former plugins were is lost", "err", err)
		}
		if len(s.use) == 0 && len(s.told.Chain) == 0 {
			return nil
		}
	}
	return s.swap(s.use, s.speaks)
}

// module reads a module, and its parameters as it wants them.
func (s *Set) module(spec *config.Plugin) (module, params []byte, err error) {
	if module, err = s.modules.Read(spec); err != nil {
		return nil, nil, err
	}
	m, err := manifest.Of(module)
	if err != nil {
		return nil, nil, fmt.Errorf("plugin %s: %w", spec.Source(), err)
	}
	params, err = m.Values(spec.Params)
	return module, params, err
}

// open is module, then compile.
func (s *Set) open(ctx context.Context, spec config.Plugin) (*version, error) {
	module, params, err := s.module(&spec)
	if err != nil {
		return nil, err
	}
	return s.compile(ctx, spec, module, params)
}

// mostKept is how many failures of a version of a plugin are kept.
const mostKept = 16

// compile compiles a module, in the helper first: so what compiling needs and risks is another process's.
func (s *Set) compile(ctx context.Context, spec config.Plugin, module, params []byte) (*version, error) {
	if s.stopped {
		return nil, errStopped
	}
	if s.host == nil { // a feed without plugins needs no folder of theirs
		trust, err := s.o.Config.Policy()
		if err != nil {
			return nil, err
		}
		o := plugins.Options{CacheDir: s.o.Config.CacheDir, Trust: &trust, Log: s.log}
		if dir := s.o.Config.KeepFailures; dir != "" {
			o.OnFailure = trial.Keep(dir, mostKept, s.log)
		}
		h, err := plugins.New(o)
		if err != nil {
			return nil, err
		}
		s.host = h
	}
	if len(s.o.Helper) > 0 && s.o.Config.CacheDir != "" {
		if err := s.help(ctx, module); err != nil {
			return nil, err
		}
	}
	p, err := s.host.Compile(module)
	if err != nil {
		return nil, err
	}
	return &version{plugin: p, spec: spec, params: params}, nil
}

// fit says what plugins want of one another and do not get.
func (s *Set) fit(use []*entry, speaks *entry) error {
	var set []*manifest.Manifest
	seen := map[string]bool{}
	for _, e := range use {
		m := e.now.plugin.Manifest()
		if seen[m.Name] {
			return fmt.Errorf("plugin %s is there twice", m.Name)
		}
		seen[m.Name] = true
		set = append(set, m)
	}
	if speaks != nil && !seen[speaks.now.name()] {
		set = append(set, speaks.now.plugin.Manifest())
	}
	return errors.Join(deps.Faults(set)...)
}

// stages of a chain.
func stages(use []*entry) (all []plugins.Stage) {
	for _, e := range use {
		all = append(all, e.stage())
	}
	return all
}

func (e *entry) stage() plugins.Stage {
	return plugins.Stage{Plugin: e.now.plugin, Params: e.now.params, MaxFailures: e.now.spec.MaxFailures, OnTrap: manifest.OnTrap(e.now.spec.OnTrap)}
}

// chain makes a lane's chain, nil when there is nothing in it.
func (s *Set) chain(l *Lane, use []*entry) (*plugins.Chain, error) {
	if len(use) == 0 {
		return nil, nil
	}
	return s.host.NewChain(stages(use), plugins.Env{
		Directory: l.directory, Publisher: s.o.Publisher, Lane: true, Now: uint64(time.Now().UnixNano()),
	})
}

// read makes who reads a lane's packets.
func (s *Set) read(l *Lane, speaks *entry) (*plugins.Chain, error) {
	c, err := s.host.NewReader(speaks.stage(), s.unit(speaks.now), plugins.Env{Lane: true, Now: uint64(time.Now().UnixNano())})
	if err == nil && c.Framed() != l.reader.Framed() {
		err = errors.Join(fmt.Errorf("plugin %s %s: it reads framing (tw_frame) and the version before does not, or the other way round: that wants a new start of the feed",
			speaks.now.name(), speaks.now.plugin.Manifest().Version), c.Close())
		return nil, err
	}
	return c, err
}

// swap makes chains for all lanes, of what changes, names them to readers, and puts them in the seats. When it fails, everything is as it was.
func (s *Set) swap(use []*entry, speaks *entry) error {
	rows, packets := !s.begun || !slices.Equal(use, s.use), speaks != s.speaks
	chains, readers := make([]*plugins.Chain, len(s.lanes)), make([]*plugins.Chain, len(s.lanes))
	drop := func(err error) error {
		for _, c := range append(chains, readers...) {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
		return err
	}
	for i, l := range s.lanes {
		var err error
		if rows {
			chains[i], err = s.chain(l, use)
		}
		if err == nil && packets && l.packets != nil {
			readers[i], err = s.read(l, speaks)
		}
		if err != nil {
			return drop(err)
		}
	}
	next := s.told
	if rows && len(chains) > 0 {
		next.Follow(describe(chains[0]))
		if s.o.Replay && next.Generation == 1 {
			next.Since = 0
		}
	}
	if rows && s.o.Path != "" {
		if err := ringbuf.WritePlugins(s.o.Path, &next, s.o.Side); err != nil {
			return drop(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.all()
	s.use, s.speaks, s.told, s.begun = use, speaks, next, true
	for _, e := range s.all() {
		if !slices.Contains(was, e) || e.now.since.IsZero() {
			e.now.since = time.Now()
		}
	}
	for i, l := range s.lanes {
		l.leftAll()
		if c := readers[i]; c != nil {
			l.reader.Drop() // the lane may not have taken it yet
			l.before = append(l.before, l.reader)
			l.reader = c
			l.wanted.Store(c)
		}
		if rows {
			s.figures.leave(l, use)
			if l.chain != nil {
				l.before = append(l.before, l.chain)
			}
			l.chain = chains[i]
		}
		switch {
		case l.packets == nil:
		case rows && l.chain != nil: // a plugin that is both changes as both between the same two passes
			l.chain.OnTake(func() { l.packets.SetWanted(&l.wanted) })
		default:
			l.packets.Set(l.wanted.Load())
		}
		if rows {
			l.Seat.Set(l.chain)
		}
	}
	return nil
}

// describe is a chain as readers are told of it.
func describe(c *plugins.Chain) ringbuf.Plugins {
	d := ringbuf.Plugins{Since: uint64(time.Now().UnixNano())}
	if c == nil {
		return d
	}
	owner := map[string]string{}
	for _, p := range c.Plugins() {
		m, digest := p.Manifest(), p.Digest()
		for _, u := range m.Kinds {
			for _, custom := range u.Custom {
				owner[custom.Name] = m.Name
			}
		}
		info := ringbuf.PluginInfo{ID: ringbuf.PluginID(digest), Name: m.Name, Version: m.Version, Digest: "sha256:" + hex.EncodeToString(digest[:])}
		if u := p.Unit(manifest.Transform, ""); u >= 0 {
			info.TransformReasons = m.Kinds[u].Reasons
		}
		if u := p.Unit(manifest.Validator, ""); u >= 0 {
			info.ValidatorReasons = m.Kinds[u].Reasons
		}
		d.Chain = append(d.Chain, info)
	}
	for _, custom := range c.CustomColumns() {
		d.Custom = append(d.Custom, ringbuf.PluginColumn{
			Name: custom.Name, Type: custom.Type.String(), Plugin: owner[custom.Name], Description: custom.Description,
		})
	}
	return d
}

// settled says that the lane has taken what was set last, and left what was before it.
func (l *Lane) settled() bool {
	return l.leftAll() && (l.chain == nil || l.chain.Taken()) && (l.reader == nil || l.reader.Taken())
}

// leftAll forgets chains that are closed, and says whether all before the present one are.
func (l *Lane) leftAll() bool {
	l.before = slices.DeleteFunc(l.before, func(c *plugins.Chain) bool {
		select {
		case <-c.Closed():
			return true
		default:
			return false
		}
	})
	return len(l.before) == 0
}

// taken waits until the lanes have taken what is in their seats, and says whether all did.
func (s *Set) taken(ctx context.Context) bool {
	end := time.Now().Add(takeWithin)
	for _, l := range s.lanes {
		for !l.settled() {
			if ctx.Err() != nil || time.Now().After(end) {
				return false
			}
			time.Sleep(time.Millisecond)
		}
	}
	return true
}

var errStopped = errors.New("plugins: the feed ends: nothing is changed any more")

// Stop waits for a change that is being made, and refuses those to come: before the lanes, whose batches new versions are tried on, are closed.
func (s *Set) Stop() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.stopped = true
}

// Close ends it, once the lanes have ended.
func (s *Set) Close() error {
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, l := range s.lanes {
		l.Seat.Set(nil)
		l.Seat.Take() // the lane has ended: nobody else does
		if l.packets != nil {
			l.reader.Drop()
			l.packets.Set(nil)
			l.packets.Take()
		}
	}
	for _, l := range s.lanes { // the host goes behind them
		for _, c := range append(l.before, l.chain, l.reader) {
			if c != nil {
				<-c.Closed()
			}
		}
		l.before, l.chain, l.reader = nil, nil, nil
	}
	for _, e := range s.all() {
		for _, v := range append(e.before, e.now) {
			errs = append(errs, v.plugin.Close())
		}
	}
	s.use, s.lanes, s.speaks = nil, nil, nil
	if s.host != nil {
		errs = append(errs, s.host.Close())
	}
	return errors.Join(errs...)
}
