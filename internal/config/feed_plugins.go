package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// Plugin is one of a feed's: rows pass them in the order of the file.
type Plugin struct {
	// Path is a module, or a folder with one in it.
	Path string `toml:"path"`
	// Name is an installed plugin's, in the place of Path; Version a range such as "^1.2" that what is enabled there must be of. The default is any.
	Name    string         `toml:"name"`
	Version string         `toml:"version"`
	Params  map[string]any `toml:"params"` // as its manifest names them
	// MaxFailures is how many batches in a row it may fail on before it is taken out. The default is 3.
	MaxFailures int `toml:"max_failures"`
	// OnTrap is what becomes of a batch whose call failed: pass, drop_output or stop_feed. The default is the manifest's.
	OnTrap string `toml:"on_trap"`
}

// Source names where the plugin comes from, for people.
func (p *Plugin) Source() string {
	if p.Path != "" {
		return p.Path
	}
	if p.Version != "" {
		return p.Name + "@" + p.Version
	}
	return p.Name
}

func (p *Plugin) validate(fs *faults, key string) {
	switch {
	case p.Path == "" && p.Name == "":
		fs.add(key, "has neither path nor name")
	case p.Path != "" && (p.Name != "" || p.Version != ""):
		fs.add(key, "has path and name or version: a file is what it is")
	}
	if p.Version != "" {
		if _, err := manifest.ParseRange(p.Version); err != nil {
			fs.add(key+".version", "%w", err)
		}
	}
	if p.MaxFailures < 0 || p.MaxFailures > 1000 {
		fs.add(key+".max_failures", "= %d is not in 0 … 1000 (0: 3)", p.MaxFailures)
	}
	if p.OnTrap != "" {
		oneOf(fs, key+".on_trap", p.OnTrap, string(manifest.Pass), string(manifest.DropOutput), string(manifest.StopFeed))
	}
}

// Check says what is wrong with an entry that is not of a file.
func (p *Plugin) Check() error {
	var fs faults
	p.validate(&fs, "plugin")
	return errors.Join(fs...)
}

// MostPlugins of a feed.
const MostPlugins = 16

func (f *Feed) validatePlugins(fs *faults, key string) { validatePlugins(fs, key, f.Plugin) }

func validatePlugins(fs *faults, key string, list []Plugin) {
	if len(list) > MostPlugins {
		fs.add(key+".plugin", "has %d entries, at most %d", len(list), MostPlugins)
	}
	seen := map[string]int{}
	for i := range list {
		at := fmt.Sprintf("%s.plugin[%d]", key, i)
		list[i].validate(fs, at)
		if was, ok := seen[list[i].Path+"\x00"+list[i].Name]; ok {
			fs.add(at, "is plugin[%d] again (%s)", was, list[i].Source())
		}
		seen[list[i].Path+"\x00"+list[i].Name] = i
	}
}

// validatePlugins of the server: what goes wrong in SQL is an error of the query, so there is nothing to set about it.
func (s *Serve) validatePlugins(fs *faults) {
	oneOf(fs, "serve.plugin_aggregates", s.PluginAggregates, "", AggregatesOn, AggregatesOff)
	validatePlugins(fs, "serve", s.Plugin)
	for i := range s.Plugin {
		if s.Plugin[i].MaxFailures != 0 || s.Plugin[i].OnTrap != "" {
			fs.add(fmt.Sprintf("serve.plugin[%d]", i), "has max_failures or on_trap, which are for plugins of feeds")
		}
	}
}

// Records of a protocol that a plugin speaks, unless the feed says otherwise. Package feed/protocol's test holds them together with what is there.
const (
	foreignPublisher = 40_102
	foreignDataset   = "PLUGIN."
)

// Foreign says that the feed's protocol is none of ours, so that one of its plugins must be a parser of that name.
func (f *Feed) Foreign() bool {
	_, ours := protocols[f.Protocol]
	return !ours && len(f.Plugin) > 0
}

func (f *Feed) foreignDefaults() {
	if !f.Foreign() {
		return
	}
	if f.Publisher == 0 {
		f.Publisher = foreignPublisher
	}
	orString(&f.Dataset, foreignDataset+strings.ToUpper(f.Protocol[:min(len(f.Protocol), 8)]))
}

// validateForeign checks what a plugin's protocol can have.
func (f *Feed) validateForeign(fs *faults, key string) {
	name(fs, key+".protocol", f.Protocol)
	oneOf(fs, key+".product", f.Product, "", "orders", "levels", "both")
	if len(f.Recovery.Servers) > 0 || f.Recovery.Snapshot != "" {
		fs.add(key+".recovery", "names servers, but protocol %s is a plugin's: nobody knows how to ask them", f.Protocol)
	}
	for i := range f.Channel {
		if len(f.Channel[i].Service) > 0 {
			fs.add(fmt.Sprintf("%s.channel[%d].service", key, i), "is there, but protocol %s has no groups for recovery", f.Protocol)
		}
	}
}
