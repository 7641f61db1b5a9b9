package plugins

import (
	"github.com/tickwire/tickwire/plugins/manifest"
)

// Plugin is a compiled module, which does nothing until instances are made of it. It may be used from several goroutines.
type Plugin struct {
	host     *Host
	manifest *manifest.Manifest
	digest   [32]byte
}

// Manifest is what the module says of itself, to be read only.
func (p *Plugin) Manifest() *manifest.Manifest { return p.manifest }

// Digest is the SHA-256 of the file.
func (p *Plugin) Digest() [32]byte { return p.digest }

// Close frees the compiled code once the last instance is closed.
func (p *Plugin) Close() error { return nil }

// Metrics are the plugin's own counters (import `metric`), which it shares with other versions of its name that the host loaded.
func (p *Plugin) Metrics() map[string]int64 { return nil }

// Unit finds a unit by kind and name ("" for transform and validator): its index in the manifest's kinds, -1: there is none.
func (p *Plugin) Unit(kind manifest.Kind, name string) int {
	for i := range p.manifest.Kinds {
		if u := &p.manifest.Kinds[i]; u.Kind == kind && u.Name == name {
			return i
		}
	}
	return -1
}

// Instance makes an instance: linear memory, start functions, tw_init, layouts. Never on a lane: it takes 20 µs (C) to 3 ms (Go).
func (p *Plugin) Instance(env Env) (*Instance, error) { return nil, ErrDead }
