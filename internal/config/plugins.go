package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickwire/tickwire/plugins/sign"
)

// Plugins says where this machine's plugins are, and whose are taken.
type Plugins struct {
	// Dir is the folder of installed plugins. The default is /var/lib/tickwire/plugins, or a folder of the user's own.
	Dir string `toml:"dir"`
	// Unsigned says what becomes of plugins that no key of Key has signed: allow or refuse. The default is refuse when there are keys, else allow.
	Unsigned string `toml:"unsigned"`
	// Key are those whose signatures count, each with the names of plugins that it may sign. The default is none.
	Key []sign.Key `toml:"key"`
}

func (p *Plugins) defaults() {
	if p.Dir == "" {
		p.Dir = defaultPluginDir()
	}
}

// Policy is who may sign what, its keys read.
func (p *Plugins) Policy() (sign.Policy, error) {
	policy := sign.Policy{Unsigned: p.Unsigned, Keys: p.Key}
	return policy, policy.Validate()
}

func (p *Plugins) validate(fs *faults) {
	policy := sign.Policy{Unsigned: p.Unsigned, Keys: p.Key}
	for _, fault := range policy.Faults() {
		fs.add("plugins", "%w", fault)
	}
}

func defaultPluginDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/tickwire/plugins"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "tickwire", "plugins")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "tickwire", "plugins")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("tickwire-%d", os.Geteuid()), "plugins")
}
