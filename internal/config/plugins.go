package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
)

// Plugins is what all feeds share of plugins.
type Plugins struct {
	// Dir is the set of installed plugins (`tickwire plugin install`), from which those with a name are taken. The default is /var/lib/tickwire/plugins, or a
	// folder of the user's own.
	Dir string `toml:"dir"`
	// CacheDir holds compiled modules: who can write there runs code in our processes. The default is /var/cache/tickwire/plugins, or a folder of the user's own.
	CacheDir string `toml:"cache_dir"`
	// Watch has running feeds take a plugin's new bytes when its file changes, or another version is enabled in Dir. The default is not to.
	Watch bool `toml:"watch"`
	// Unsigned says what becomes of modules that no key of Keys has signed: allow or refuse. The default is refuse when there are keys, else allow.
	Unsigned string `toml:"unsigned"`
	// Keys are those whose signatures count. The default is none.
	Keys []PluginKey `toml:"keys"`
}

// PluginKey is a public key that is trusted.
type PluginKey struct {
	Name    string   `toml:"name"`    // whose it is
	Public  string   `toml:"public"`  // ed25519:… or the path of a PEM file
	Plugins []string `toml:"plugins"` // names that it may sign, with * and ?; the default is all
}

// Plugin is one of a feed's: rows pass them in the order of the file.
type Plugin struct {
	// Path is a module, or a folder with one in it.
	Path string `toml:"path"`
	// Name is an installed plugin's, in the place of Path; Version a range such as "^1.2" that what is enabled there must be of. The default is any.
	Name    string         `toml:"name"`
	Version string         `toml:"version"`
	Params  map[string]any `toml:"params"` // as its manifest names them
	// MaxFailures within a minute take it out. The default is 3.
	MaxFailures int `toml:"max_failures"`
	// OnTrap is what becomes of a batch whose call failed: pass, drop_output or stop_feed. The default is the manifest's.
	OnTrap string `toml:"on_trap"`
}

func (p *Plugins) defaults() {
	orString(&p.Dir, defaultPluginDir("/var/lib/tickwire/plugins", "XDG_DATA_HOME", ".local/share"))
	orString(&p.CacheDir, defaultPluginDir("/var/cache/tickwire/plugins", "XDG_CACHE_HOME", ".cache"))
}

// defaultPluginDir is the system's folder for root, else the user's.
func defaultPluginDir(system, variable, below string) string {
	if os.Geteuid() == 0 {
		return system
	}
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tickwire", "plugins")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return system
	}
	return filepath.Join(home, below, "tickwire", "plugins")
}

// Policy is whose plugins load, keys read.
func (p *Plugins) Policy() (*sign.Policy, error) {
	policy := &sign.Policy{Unsigned: p.Unsigned}
	for _, k := range p.Keys {
		policy.Keys = append(policy.Keys, sign.Key{Name: k.Name, Public: k.Public, Plugins: k.Plugins})
	}
	return policy, policy.Validate()
}

func (p *Plugins) validate(fs *faults) {
	if _, err := p.Policy(); err != nil {
		fs.add("plugins", "policy: %w", err)
	}
	for key, dir := range map[string]string{"plugins.dir": p.Dir, "plugins.cache_dir": p.CacheDir} {
		if !filepath.IsAbs(dir) {
			fs.add(key, "= %q is no absolute path", dir)
		}
	}
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

// MostPlugins of a feed.
const MostPlugins = 16

func (f *Feed) validatePlugins(fs *faults, key string) {
	if len(f.Plugin) > MostPlugins {
		fs.add(key+".plugin", "has %d entries, at most %d", len(f.Plugin), MostPlugins)
	}
	seen := map[string]int{}
	for i := range f.Plugin {
		at := fmt.Sprintf("%s.plugin[%d]", key, i)
		f.Plugin[i].validate(fs, at)
		if was, ok := seen[f.Plugin[i].Path+"\x00"+f.Plugin[i].Name]; ok {
			fs.add(at, "is plugin[%d] again (%s)", was, f.Plugin[i].Source())
		}
		seen[f.Plugin[i].Path+"\x00"+f.Plugin[i].Name] = i
	}
}
