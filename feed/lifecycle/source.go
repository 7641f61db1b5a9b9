package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/store"
)

// Modules reads modules from where a configuration says, and sees that they may load.
type Modules struct {
	config *config.Plugins
	store  *store.Store // nil: not opened yet
}

// NewModules of a configuration.
func NewModules(c *config.Plugins) *Modules { return &Modules{config: c} }

// File is the module that a path means: itself, or the only one in a folder.
func File(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("plugins: %w", err)
	}
	if !st.IsDir() {
		return path, nil
	}
	found, err := filepath.Glob(filepath.Join(path, "*.wasm"))
	switch {
	case err != nil:
		return "", fmt.Errorf("plugins: %s: %w", path, err)
	case len(found) == 0:
		return "", fmt.Errorf("plugins: no .wasm in folder %s; `tickwire plugin build` makes one", path)
	case len(found) > 1:
		return "", fmt.Errorf("plugins: folder %s has %d .wasm files: name one", path, len(found))
	}
	return found[0], nil
}

// open opens the set of installed plugins.
func (m *Modules) open() (*store.Store, error) {
	if m.store != nil {
		return m.store, nil
	}
	policy, err := m.config.Policy()
	if err != nil {
		return nil, err
	}
	m.store = store.Open(m.config.Dir, store.Options{Policy: policy})
	return m.store, nil
}

// Read reads a module. Its policy has been asked.
func (m *Modules) Read(p *config.Plugin) (module []byte, err error) {
	if p.Path == "" {
		s, err := m.open()
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(m.config.Dir); err != nil {
			return nil, fmt.Errorf("plugins: plugins.dir: %w; `tickwire plugin install` makes it", err)
		}
		entry, module, err := s.Load(p.Name)
		if err != nil {
			return nil, err
		}
		if p.Version != "" {
			within, err := manifest.ParseRange(p.Version)
			if err != nil {
				return nil, err
			}
			if !within.Has(entry.Version) {
				return nil, fmt.Errorf("plugins: %s %s is enabled in %s, but %s is wanted", p.Name, entry.Version, m.config.Dir, p.Version)
			}
		}
		return module, nil
	}
	file, err := File(p.Path)
	if err != nil {
		return nil, err
	}
	if module, err = store.ReadModule(file); err != nil {
		return nil, err
	}
	policy, err := m.config.Policy()
	if err != nil {
		return nil, err
	}
	if err := policy.Check(module).Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return module, nil
}

// onLane says that a module has something to do on a lane.
func onLane(m *manifest.Manifest) error {
	if m.Command {
		return fmt.Errorf("plugin %s %s is a command, as plugins in Python are: it gets batches by pipes, and a feed's lane waits for nobody. Queries and conversions of captures take it", m.Name, m.Version)
	}
	for _, u := range m.Kinds {
		if u.Kind == manifest.Transform || u.Kind == manifest.Validator {
			return nil
		}
	}
	return fmt.Errorf("plugin %s %s has no transform and no validator: there is nothing that a feed's rows could pass", m.Name, m.Version)
}

// Check compiles what a feed's configuration names and says all that is wrong with it. Nothing is started, and nothing is left.
func Check(c *config.Plugins, protocol string, list []config.Plugin) error {
	if len(list) == 0 {
		return nil
	}
	fresh := *c
	fresh.CacheDir = "" // whoever checks may be another user than the one who runs
	s, err := Open(Options{Config: &fresh, Protocol: protocol, Plugins: list})
	if err != nil {
		return err
	}
	_, err = s.AddLane("check", nil)
	return errors.Join(err, s.Start(), s.Close())
}
