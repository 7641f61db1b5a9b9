package plugins

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Stage is one plugin of a chain: its transform, then its validator, whichever it has.
type Stage struct {
	Plugin *Plugin
	Params []byte // as Manifest.Values gives them; nil: the defaults

	MaxFailures int             // batches in a row that fail and so take it out. The default is the policy's
	OnTrap      manifest.OnTrap // what becomes of a batch whose call failed. The default is the manifest's
}

// Chain is the plugins of one lane in order, with a spare instance of each. Pass and what is beside it belong to the lane's goroutine; Stats, Close and Closed
// may be called from others.
//
//	lane                                      keeper (a goroutine of the chain's)
//	Pass ── a call fails ── the dead instance ──► logs, closes it
//	  next slice: takes the spare ◄────────────── makes another spare
//
// The lane never waits: while there is no spare, rows pass by unhandled and are marked.
type Chain struct {
	Sides
	host    *Host
	stages  []stage
	custom  []manifest.Custom
	mem     []byte // Sides
	epoch   time.Time
	stopped error
	symbols symbols
	keeper  keeper
	reading *reading // nil: rows pass it
	took    func()
	state   atomic.Int32 // chainNew …
}

const (
	chainNew     = iota // no lane has it yet
	chainLive           // a lane has it
	chainRetired        // it is being closed
)

// Codes of a bypassed row's reason.
const (
	BypassFailed  = 0 // the call on these rows failed
	BypassNoSpare = 1 // an instance is being made
	BypassOut     = 2 // the plugin was taken out after failures
)

var bypassTexts = [...]string{"not handled: the plugin failed", "not handled: the plugin is being restarted", "not handled: the plugin was taken out after failures"}

const mostStages = 255

// NewChain makes instances and spares. It refuses plugins that contradict: the same custom column twice, more than four, columns read that no plugin before
// adds, the same plugin twice. Params and Lane of env are the chain's to set. Never on a lane.
func (h *Host) NewChain(stages []Stage, env Env) (*Chain, error) {
	if len(stages) > mostStages {
		return nil, fmt.Errorf("plugins: a chain of %d, but at most %d", len(stages), mostStages)
	}
	c := &Chain{host: h, stages: make([]stage, len(stages)), epoch: time.Now()}
	c.symbols.init(env.Directory)
	env.Lane = true
	if err := c.columns(stages); err != nil {
		return nil, err
	}
	if err := c.mapSides(); err != nil {
		return nil, err
	}
	var err error
	for k := range c.stages {
		env.Directory = c.symbols.directory() // with what those before it made of symbols
		if err = c.stages[k].build(stages[k], env, &c.symbols); err != nil {
			break
		}
	}
	c.keeper.start(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// columns gives custom columns their places, and stages the places of those that they write and read.
func (c *Chain) columns(stages []Stage) error {
	owner := map[string]string{}
	for k := range stages {
		m, s := stages[k].Plugin.manifest, &c.stages[k]
		fail := func(format string, a ...any) error {
			return fmt.Errorf("plugins: stage %d: plugin %s %s: "+format, append([]any{k, m.Name, m.Version}, a...)...)
		}
		s.transform, s.validator = stages[k].Plugin.Unit(manifest.Transform, ""), stages[k].Plugin.Unit(manifest.Validator, "")
		if s.transform < 0 && s.validator < 0 {
			return fail("it has neither a transform nor a validator, so it has no place in a chain")
		}
		if slices.ContainsFunc(stages[:k], func(o Stage) bool { return o.Plugin.manifest.Name == m.Name }) {
			return fail("a plugin of that name is in the chain already")
		}
		if s.transform >= 0 {
			u := &m.Kinds[s.transform]
			if err := s.maps[0].read(c.custom, u); err != nil { // what those before it add
				return fail("%w", err)
			}
			for at, col := range u.Custom {
				by, taken := owner[col.Name]
				switch {
				case taken:
					return fail("its custom column %s is %s's already", col.Name, by)
				case len(c.custom) == manifest.MostCustom:
					return fail("its custom column %s would be the fifth of the chain, but a record has room for %d", col.Name, manifest.MostCustom)
				}
				owner[col.Name] = m.Name
				s.maps[0].to[at] = uint8(len(c.custom))
				c.custom = append(c.custom, col)
			}
		}
		if s.validator >= 0 {
			if err := s.maps[1].read(c.custom, &m.Kinds[s.validator]); err != nil { // its own transform's too
				return fail("%w", err)
			}
		}
	}
	return nil
}

// columnMap says where a unit's custom columns are among the chain's.
type columnMap struct {
	to    [manifest.MostCustom]uint8
	from  [manifest.MostCustom]uint8
	types []manifest.Type // of from
}

func (cm *columnMap) read(have []manifest.Custom, u *manifest.Unit) error {
	names := earlier(u)
	if len(names) > manifest.MostCustom {
		return fmt.Errorf("it reads %d custom columns, but there are at most %d", len(names), manifest.MostCustom)
	}
	for at, name := range names {
		k := slices.IndexFunc(have, func(c manifest.Custom) bool { return c.Name == name })
		if k < 0 {
			return fmt.Errorf("it reads %s, which is no column of a batch, and no plugin before it adds it", name)
		}
		cm.from[at] = uint8(k)
		cm.types = append(cm.types, have[k].Type.Wire())
	}
	return nil
}

// mapSides maps the side columns off the heap, apart within a page as a batch's columns are.
func (c *Chain) mapSides() error {
	const (
		gap    = 3 * 64
		custom = tick.MaxRows*8 + gap
		reason = tick.MaxRows*4 + gap
		size   = manifest.MostCustom*custom + reason + tick.MaxRows
	)
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("plugins: no memory for a chain's columns (%d bytes): %w", size, err)
	}
	c.mem = mem
	base := unsafe.Pointer(unsafe.SliceData(mem))
	for k := range c.custom {
		c.Custom[k] = (*[tick.MaxRows]uint64)(unsafe.Add(base, k*custom))
	}
	c.Reason = (*[tick.MaxRows]Reason)(unsafe.Add(base, manifest.MostCustom*custom))
	c.Verdict = (*[tick.MaxRows]Verdict)(unsafe.Add(base, manifest.MostCustom*custom+reason))
	return nil
}

// Pass runs the plugins over all rows of a batch; now is the pass's time, ns since the Unix epoch. Afterwards the batch has their changes and
// F_PUBLISHER_SPECIFIC where a verdict is not Keep, Custom, Verdict and Reason hold for its rows, and Renamed has new symbols. Hot path.
func (c *Chain) Pass(b *tick.Batch, now uint64) {
	if b.N == 0 {
		c.symbols.renamed = c.symbols.renamed[:0]
		return
	}
	clear(c.Verdict[:b.N])
	for k := range c.custom {
		clear(c.Custom[k][:b.N])
	}
	at := time.Since(c.epoch)
	for k := range c.stages {
		s := &c.stages[k]
		s.pass(c, k, b, now)
		then := time.Since(c.epoch)
		s.stats.took(uint64(then - at))
		at = then
	}
	c.symbols.tell()
}

// Renamed are the symbols that changed in the latest pass. Seldom any: a symbol counts as changed when it differs from what was told last.
func (c *Chain) Renamed() []Rename { return c.symbols.renamed }

// Stopped is an error once a plugin with on_trap stop_feed failed: the feed must not go on.
func (c *Chain) Stopped() error { return c.stopped }

// CustomColumns of the chain in the order of Sides.Custom.
func (c *Chain) CustomColumns() []manifest.Custom { return c.custom }

// Why says in words what gave a row its verdict: the plugin's name and version and the reason ("" if it gives none).
func (c *Chain) Why(r Reason) (plugin, version, reason string) {
	if r.Stage() >= len(c.stages) {
		return "", "", ""
	}
	s := &c.stages[r.Stage()]
	m := s.plugin.manifest
	texts := bypassTexts[:]
	switch {
	case r.Source() == FromTransform && s.transform >= 0:
		texts = m.Kinds[s.transform].Reasons
	case r.Source() == FromValidator && s.validator >= 0:
		texts = m.Kinds[s.validator].Reasons
	}
	if r.Index() < len(texts) {
		reason = texts[r.Index()]
	}
	return m.Name, m.Version, reason
}

// Health asks every plugin; errors of those that are not in order are joined. A plugin that fails at that is replaced as if a batch had failed. The lane's.
func (c *Chain) Health() error {
	var all []error
	for k := range c.stages {
		s := &c.stages[k]
		if s.live == nil {
			continue
		}
		if err := s.live.Health(); err != nil {
			all = append(all, err)
			s.failed(c, k, err)
		}
	}
	return errors.Join(all...)
}

// Stats of all stages. From any goroutine.
func (c *Chain) Stats() []StageStats {
	out := make([]StageStats, len(c.stages))
	for k := range c.stages {
		s := &c.stages[k]
		out[k] = s.stats.read()
		out[k].Out = s.out.Load()
		if line := s.latest.Load(); line != nil {
			out[k].LastError = *line
		}
		out[k].Plugin, out[k].Version = s.plugin.manifest.Name, s.plugin.manifest.Version
	}
	return out
}

// Close ends the chain once no lane uses it, and waits until it is gone. Plugins stay.
func (c *Chain) Close() error {
	c.state.Store(chainRetired)
	c.keeper.finish()
	<-c.keeper.done
	return c.keeper.err
}

// Closed is closed when the chain's instances are gone.
func (c *Chain) Closed() <-chan struct{} { return c.keeper.done }
