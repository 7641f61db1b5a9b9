package plugins

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
)

// Plugin is a compiled module, which does nothing until instances are made of it. It may be used from several goroutines.
type Plugin struct {
	host     *Host
	manifest *manifest.Manifest
	digest   [32]byte
	compiled wazero.CompiledModule
	args     []string // of a command
	metrics  *metrics
	limiter  limiter
	granted  sign.Granted
	environ  []string // of granted

	mu        sync.Mutex
	instances int
	closed    bool
}

// Host that compiled it.
func (p *Plugin) Host() *Host { return p.host }

// Manifest is what the module says of itself, to be read only.
func (p *Plugin) Manifest() *manifest.Manifest { return p.manifest }

// Digest is the SHA-256 of the file.
func (p *Plugin) Digest() [32]byte { return p.digest }

// Granted is what the policy gives it beside its rows.
func (p *Plugin) Granted() sign.Granted {
	if !p.manifest.WASI {
		return sign.Granted{} // it has no way to ask for it
	}
	return p.granted
}

// Metrics are the plugin's own counters (import `metric`), which it shares with other versions of its name that the host loaded.
func (p *Plugin) Metrics() map[string]int64 { return p.metrics.values() }

// Tell logs an instance's failure for an owner that has no chain, off its goroutine, as one of the plugin's lines: so many a second. Other errors it leaves alone.
func (p *Plugin) Tell(err error) {
	var f *Failure
	if !errors.As(err, &f) {
		return
	}
	if ok, _ := p.limiter.allow(p.host.policy.LogLines); ok {
		p.say(slog.LevelError, "plugins: a call failed", slog.String("error", f.Error()))
	}
}

// Unit finds a unit by kind and name ("" for transform and validator): its index in the manifest's kinds, -1: there is none.
func (p *Plugin) Unit(kind manifest.Kind, name string) int {
	for i := range p.manifest.Kinds {
		if u := &p.manifest.Kinds[i]; u.Kind == kind && u.Name == name {
			return i
		}
	}
	return -1
}

// Close frees the compiled code, once the last instance is closed. No instance can be made from here on.
func (p *Plugin) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return p.freeIfLast()
}

func (p *Plugin) hold() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.instances++
	return true
}

func (p *Plugin) release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances--
	return p.freeIfLast()
}

func (p *Plugin) freeIfLast() error {
	if p.closed && p.instances == 0 {
		return p.compiled.Close(context.Background())
	}
	return nil
}
