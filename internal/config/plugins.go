package config

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins/sign"
)

// Plugins says where this machine's plugins are, and whose are taken.
type Plugins struct {
	// Dir is the folder of installed plugins. The default is /var/lib/tickwire/plugins, or a folder of the user's own.
	Dir string `toml:"dir"`
	// CacheDir holds compiled modules: who can write there runs code in our processes. The default is /var/cache/tickwire/plugins, or a folder of the user's own.
	CacheDir string `toml:"cache_dir"`
	// Watch has running feeds take a plugin's new bytes when its file changes, or another version is enabled in Dir. The default is not to.
	Watch bool `toml:"watch"`
	// KeepFailures is a folder for what plugins of feeds failed on, to be run again by tickwire plugin debug: a file a failure, at most 16 of a version. The default is
	// to keep nothing.
	KeepFailures string `toml:"keep_failures"`
	// Unsigned says what becomes of plugins that no key of Key has signed: allow or refuse. The default is refuse when there are keys, else allow.
	Unsigned string `toml:"unsigned"`
	// Key are those whose signatures count, each with the names of plugins that it may sign. The default is none.
	Key []sign.Key `toml:"key"`
	// Grant is which plugins get folders and environment variables. The default is none: plugins have neither.
	Grant []sign.Grant `toml:"grant"`
}

func (p *Plugins) defaults() {
	if p.Dir == "" {
		p.Dir = defaultPluginDir("/var/lib/tickwire/plugins", "XDG_DATA_HOME", ".local/share")
	}
	orString(&p.CacheDir, defaultPluginDir("/var/cache/tickwire/plugins", "XDG_CACHE_HOME", ".cache"))
}

// Policy is who may sign what and what plugins get, its keys read.
func (p *Plugins) Policy() (sign.Policy, error) {
	policy := p.policy()
	return policy, policy.Validate()
}

func (p *Plugins) policy() sign.Policy {
	return sign.Policy{Unsigned: p.Unsigned, Keys: p.Key, Grants: p.Grant}
}

func (p *Plugins) validate(fs *faults) {
	policy := p.policy()
	for _, fault := range policy.Faults() {
		fs.add("plugins", "%w", fault)
	}
	if !filepath.IsAbs(p.CacheDir) {
		fs.add("plugins.cache_dir", "= %q is no absolute path", p.CacheDir)
	}
	if p.KeepFailures != "" && !filepath.IsAbs(p.KeepFailures) {
		fs.add("plugins.keep_failures", "= %q is no absolute path", p.KeepFailures)
	}
}

// defaultPluginDir is the system's folder for root and for whom it belongs to, as the systemd units have it; else the user's.
func defaultPluginDir(system, variable, below string) string {
	if os.Geteuid() == 0 || unix.Access(system, unix.W_OK) == nil {
		return system
	}
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tickwire", "plugins")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, below, "tickwire", "plugins")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("tickwire-%d", os.Geteuid()), filepath.Base(variable), "plugins")
}
