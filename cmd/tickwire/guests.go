package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/deps"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/store"
	"github.com/tickwire/tickwire/ringbuf"
)

// guests are the plugins that a command runs with: --plugin, or [[serve.plugin]].
type guests struct {
	specs  []config.Plugin
	paths  []string
	params []string

	noAggregates bool // in SQL

	host     *plugins.Host
	loaded   []guest
	asked    []guest   // installed ones, which are asked whether the input is of their protocol: rows do not pass them
	speakers []speaker // parsers: the one that is the input's protocol, or all that were asked whether they are
	errs     io.Writer // of a command without a configuration of its own
	chain    *plugins.Chain
	seat     plugins.Seat // of chain
}

// speaker is a parser that may be the input's protocol.
type speaker struct {
	*protocol.Plugin
	of guest
}

// guest is a plugin with its parameters.
type guest struct {
	*plugins.Plugin
	params []byte
	spec   config.Plugin
	given  bool // the command names it
}

// stage is the plugin in a chain.
func (p *guest) stage() plugins.Stage {
	return plugins.Stage{Plugin: p.Plugin, Params: p.params, MaxFailures: p.spec.MaxFailures, OnTrap: manifest.OnTrap(p.spec.OnTrap)}
}

func (g *guests) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&g.paths, "plugin", nil, "plugin that rows pass, in the order given: a module, or the folder that it is in")
	f.StringArrayVar(&g.params, "plugin-param", nil, "parameter of one of them, such as price-band.band_bp=100")
}

// list makes the plugins' entries as a configuration has them.
func (g *guests) list() []config.Plugin {
	list := append([]config.Plugin(nil), g.specs...)
	for _, path := range g.paths {
		list = append(list, config.Plugin{Path: path})
	}
	return list
}

// pluginConfig is [plugins] of the configuration that the environment names, for commands that have none of their own.
func pluginConfig() (*config.Plugins, error) {
	cfg, err := loadConfig(os.Getenv("TICKWIRE_CONFIG"))
	if err != nil {
		return nil, err
	}
	return &cfg.Plugins, nil
}

// openHere is open with pluginConfig.
func (g *guests) openHere(errs io.Writer) error {
	g.errs = errs
	if len(g.paths)+len(g.params) == 0 {
		return nil
	}
	c, err := pluginConfig()
	if err != nil {
		return err
	}
	return g.open(c, guestLog(errs))
}

// open reads and compiles the plugins. The configuration says whose signatures count.
func (g *guests) open(c *config.Plugins, log *slog.Logger) (err error) {
	list := g.list()
	if len(list) == 0 {
		if len(g.params) > 0 {
			return usageError{errors.New("--plugin-param goes with --plugin")}
		}
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if err := g.start(c, log); err != nil {
		return err
	}
	modules := lifecycle.NewModules(c)
	used := map[string]bool{}
	var set []*manifest.Manifest
	for i := range list {
		one, err := g.load(modules, list[i], used)
		if err != nil {
			return err
		}
		m := one.Manifest()
		for _, other := range set {
			if other.Name == m.Name {
				return fmt.Errorf("plugin %s is there twice", m.Name)
			}
		}
		set = append(set, m)
	}
	for _, p := range g.params {
		if !used[p] {
			return usageError{fmt.Errorf("--plugin-param %q: want PLUGIN.NAME=VALUE of one of the plugins", p)}
		}
	}
	return errors.Join(deps.Faults(set)...)
}

// start makes the host.
func (g *guests) start(c *config.Plugins, log *slog.Logger) error {
	trust, err := c.Policy()
	if err != nil {
		return usageError{err}
	}
	g.host, err = plugins.New(plugins.Options{CacheDir: c.CacheDir, Trust: &trust, Log: log})
	return err
}

// load reads and compiles one of the command's.
func (g *guests) load(modules *lifecycle.Modules, spec config.Plugin, used map[string]bool) (*guest, error) {
	p, err := g.read(modules, spec, used)
	if err != nil {
		return nil, err
	}
	p.given = true
	g.loaded = append(g.loaded, p)
	return &g.loaded[len(g.loaded)-1], nil
}

func (g *guests) read(modules *lifecycle.Modules, spec config.Plugin, used map[string]bool) (guest, error) {
	module, err := modules.Read(&spec)
	if err != nil {
		return guest{}, err
	}
	m, err := manifest.Of(module)
	if err != nil {
		return guest{}, fmt.Errorf("plugin %s: %w", spec.Source(), err)
	}
	for _, p := range g.params {
		key, text, ok := strings.Cut(p, "=")
		name, param, there := strings.Cut(key, ".")
		if !ok || !there || name != m.Name {
			continue
		}
		used[p] = true
		if spec.Params == nil {
			spec.Params = map[string]any{}
		}
		spec.Params[param] = text // Values reads it as what the manifest wants
	}
	params, err := m.Values(spec.Params)
	if err != nil {
		return guest{}, err
	}
	p, err := g.host.Compile(module)
	return guest{Plugin: p, params: params, spec: spec}, err
}

// reads makes a parser among the plugins the input's protocol, when it is asked for by name. When none is, parsers are asked whether it is theirs.
func (g *guests) reads(o *process.CaptureOptions) error {
	if o.Protocol == "" || o.Protocol == "auto" {
		o.Others = g.others
		return nil
	}
	for i := range g.loaded {
		if unit := g.loaded[i].Unit(manifest.Parser, o.Protocol); unit >= 0 {
			p, err := g.speak(&g.loaded[i], unit)
			o.Plugin = p
			return err
		}
	}
	return nil
}

// protocol is the one with a name, ours or a plugin's.
func (g *guests) protocol(name string) (*protocol.Protocol, error) {
	p, err := protocol.Find(name)
	if err == nil {
		return p, nil
	}
	for i := range g.loaded {
		if unit := g.loaded[i].Unit(manifest.Parser, name); unit >= 0 {
			spoken, err := g.speak(&g.loaded[i], unit)
			if err != nil {
				return nil, err
			}
			return &spoken.Protocol, nil
		}
	}
	return nil, err
}

// speak makes a protocol of one of a plugin's parsers.
func (g *guests) speak(p *guest, unit int) (*protocol.Plugin, error) {
	out, err := protocol.FromPlugin(p.stage(), unit, false)
	if err == nil {
		g.speakers = append(g.speakers, speaker{out, *p})
	}
	return out, err
}

// others are the parsers of the command's plugins, and of those that are enabled in the installed set. What of the set cannot be had is told and left out: nobody asked for it.
func (g *guests) others() (all []*protocol.Plugin, err error) {
	if len(g.speakers) == 0 {
		if err := g.installed(); err != nil {
			return nil, err
		}
		list := append(slices.Clone(g.loaded), g.asked...)
		for i := range list {
			for unit, u := range list[i].Manifest().Kinds {
				if u.Kind != manifest.Parser {
					continue
				}
				switch _, err := g.speak(&list[i], unit); {
				case err == nil:
				case list[i].given:
					return nil, err
				default:
					g.notAsked(list[i].Manifest().Name, err)
				}
			}
		}
	}
	for _, s := range g.speakers {
		all = append(all, s.Plugin)
	}
	return all, nil
}

func (g *guests) notAsked(name string, err error) {
	fmt.Fprintf(g.errs, "tickwire: plugin %s is not asked whose packets these are: %v\n", name, err)
}

// installed loads the installed parsers.
func (g *guests) installed() error {
	c, err := pluginConfig()
	if err != nil {
		return err
	}
	policy, err := c.Policy()
	if err != nil {
		return usageError{err}
	}
	entries, err := store.Open(c.Dir, store.Options{Policy: policy}).List()
	if err != nil {
		return err
	}
	modules := lifecycle.NewModules(c)
	for _, e := range entries {
		parses := func(u manifest.Unit) bool { return u.Kind == manifest.Parser }
		switch {
		case e.State != store.Enabled || e.Manifest == nil || !slices.ContainsFunc(e.Manifest.Kinds, parses):
			continue
		case slices.ContainsFunc(g.loaded, func(p guest) bool { return p.Manifest().Name == e.Name }):
			continue // the command has its own
		}
		if g.host == nil {
			if err := g.start(c, guestLog(g.errs)); err != nil {
				return err
			}
		}
		p, err := g.read(modules, config.Plugin{Name: e.Name}, map[string]bool{})
		if err != nil {
			g.notAsked(e.Name, err)
			continue
		}
		g.asked = append(g.asked, p)
	}
	return nil
}

// owner is the plugin whose protocol it is, nil: it is ours.
func (g *guests) owner(p *protocol.Protocol) *guest {
	for i := range g.speakers {
		if &g.speakers[i].Protocol == p {
			return &g.speakers[i].of
		}
	}
	return nil
}

// stages are those that rows pass.
func (g *guests) stages() (all []plugins.Stage) {
	for _, p := range g.loaded {
		if p.Unit(manifest.Transform, "") >= 0 || p.Unit(manifest.Validator, "") >= 0 {
			all = append(all, p.stage())
		}
	}
	return all
}

// custom are the columns that they add to ticks.
func (g *guests) custom() (all []ringbuf.PluginColumn) {
	for _, p := range g.loaded {
		all = append(all, customOf(p.Manifest())...)
	}
	return all
}

func customOf(m *manifest.Manifest) (all []ringbuf.PluginColumn) {
	for _, u := range m.Kinds {
		for _, c := range u.Custom {
			all = append(all, ringbuf.PluginColumn{Name: c.Name, Type: c.Type.String(), Plugin: m.Name, Description: c.Description})
		}
	}
	return all
}

// place is where an offline run's lane finds the chain, nil when there is none.
func (g *guests) place() *plugins.Seat {
	if len(g.stages()) == 0 {
		return nil
	}
	return &g.seat
}

// join puts the chain before the lane of an offline run, whose options have place.
func (g *guests) join(f *process.Offline, publisher uint16) (err error) {
	stages := g.stages()
	if len(stages) == 0 {
		return nil
	}
	if publisher == 0 {
		publisher, _ = f.Capture.Records()
	}
	if g.chain, err = g.host.NewChain(stages, plugins.Env{Directory: f.Lane.Directory(), Publisher: publisher, Lane: true}); err != nil {
		return err
	}
	told := lifecycle.Describe(g.chain)
	told.Generation, told.Since = 1, 0 // the clock is the capture's: all rows are of this chain
	path := ringbuf.SidePath(f.Dir, process.OfflineInstance, process.OfflineFeed, "", ringbuf.ExtPlugins)
	if err := ringbuf.WritePlugins(path, &told, ringbuf.SideOptions{}); err != nil {
		return err
	}
	g.seat.Set(g.chain)
	return nil
}

// tell says what plugins did not let through, or did not do.
func (g *guests) tell(errs io.Writer, input string) {
	for _, p := range g.speakers { // what they could not read the input's own summary says
		s := p.Reader().Stats()[0]
		if s.Errors+s.Traps == 0 {
			continue
		}
		line := fmt.Sprintf("plugin %s %s: %d packets read, %d calls failed", s.Plugin, s.Version, s.Batches, s.Errors+s.Traps)
		if s.LastError != "" {
			line += ": " + s.LastError
		}
		if s.Out {
			line += "; it was taken out, and packets behind that were refused"
		}
		fmt.Fprintf(errs, "tickwire: %s: %s\n", input, line)
	}
	if g.chain == nil {
		return
	}
	for _, s := range g.chain.Stats() {
		if s.Refused+s.Flagged+s.Bypassed+s.Errors+s.Traps+s.Cut == 0 {
			continue
		}
		line := fmt.Sprintf("plugin %s %s: of %d rows %d flagged, %d refused", s.Plugin, s.Version, s.Rows+s.Bypassed, s.Flagged, s.Refused)
		for _, more := range []struct {
			n    uint64
			what string
		}{{s.Dropped, "dropped"}, {s.Bypassed, "passed it by"}, {s.Errors + s.Traps, "calls failed"}, {s.Cut, "texts cut"}} {
			if more.n > 0 {
				line += fmt.Sprintf(", %d %s", more.n, more.what)
			}
		}
		if s.LastError != "" {
			line += ": " + s.LastError
		}
		if s.Out {
			line += "; it was taken out"
		}
		fmt.Fprintf(errs, "tickwire: %s: %s\n", input, line)
	}
}

// leave ends the chain: the lane has ended.
func (g *guests) leave() error {
	if g.chain == nil {
		return nil
	}
	c := g.chain
	g.chain = nil
	return c.Close()
}

// close frees the plugins. Whoever runs them has ended.
func (g *guests) close() error {
	errs := []error{g.leave()}
	for _, s := range g.speakers {
		errs = append(errs, s.Plugin.Close())
	}
	for _, p := range append(g.loaded, g.asked...) {
		errs = append(errs, p.Close())
	}
	if g.host != nil {
		errs = append(errs, g.host.Close())
	}
	g.host, g.speakers, g.loaded, g.asked = nil, nil, nil, nil
	return errors.Join(errs...)
}

// guestLog writes what plugins say to standard error.
func guestLog(errs io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(errs, nil)) }
