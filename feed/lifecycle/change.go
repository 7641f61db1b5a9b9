package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
)

// Request names a plugin, and for Load and Reload where it is from.
type Request struct {
	Name   string         `json:"name,omitempty"`   // of a plugin that is loaded, or an installed one
	Path   string         `json:"path,omitempty"`   // absolute: of a module, or a folder with one
	Range  string         `json:"range,omitempty"`  // of versions, of an installed one
	Params map[string]any `json:"params,omitempty"` // Reload: none are those that it has
	OnTrap string         `json:"on_trap,omitempty"`
}

// Answer says what a change came to.
type Answer struct {
	Plugin string `json:"plugin"`
	Was    string `json:"was,omitempty"` // version, empty: it was not there
	Is     string `json:"is,omitempty"`  // empty: it is not there any more
	Same   bool   `json:"same,omitempty"`
	Trial  *Trial `json:"trial,omitempty"`
	// Waiting says that a lane has not taken it yet, though it was given time.
	Waiting bool `json:"waiting,omitempty"`
}

// find is a plugin, and its place in the chain, -1: it is not there. nil: it is not loaded. It is called with changing held.
func (s *Set) find(name string) (e *entry, at int) {
	for _, e := range s.all() {
		if e.now.name() == name {
			return e, slices.Index(s.use, e)
		}
	}
	return nil, -1
}

// each calls fn with what a plugin counts on each lane: as one that rows pass, and as the one that reads packets. It is called with mu held.
func (s *Set) each(e *entry, fn func(l *Lane, packets bool, st plugins.StageStats)) {
	at := slices.Index(s.use, e)
	for _, l := range s.lanes {
		if at >= 0 && l.chain != nil {
			fn(l, false, l.chain.Stats()[at])
		}
		if e == s.speaks && l.reader != nil {
			fn(l, true, l.reader.Stats()[0])
		}
	}
}

// isOut says that a plugin was taken out after failures: the same bytes again are another try.
func (s *Set) isOut(e *entry) (out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(e, func(_ *Lane, _ bool, st plugins.StageStats) { out = out || st.Out })
	return out
}

func (s *Set) missing(name string) error {
	var names []string
	for _, e := range s.all() {
		names = append(names, e.now.name())
	}
	if len(names) == 0 {
		return fmt.Errorf("plugin %q is not loaded: none is", name)
	}
	return fmt.Errorf("plugin %q is not loaded; there are: %q", name, names)
}

// Load puts a plugin behind the others.
func (s *Set) Load(ctx context.Context, r Request) (Answer, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if len(s.use) >= config.MostPlugins {
		return Answer{}, fmt.Errorf("plugins: there are %d already, at most %d", len(s.use), config.MostPlugins)
	}
	spec := config.Plugin{Path: r.Path, Version: r.Range, Params: r.Params, OnTrap: r.OnTrap}
	if spec.Path == "" {
		spec.Name = r.Name
	}
	if err := spec.Check(); err != nil {
		return Answer{}, err
	}
	v, err := s.open(ctx, spec)
	if err != nil {
		return Answer{}, err
	}
	e := &entry{spec: spec, now: v}
	if there, _ := s.find(v.name()); there != nil {
		return Answer{}, errors.Join(fmt.Errorf("plugin %s is loaded; `tickwire plugin reload` takes another version", v.name()), v.plugin.Close())
	}
	if err = onLane(v.plugin.Manifest()); err == nil {
		return s.apply(ctx, append(slices.Clone(s.use), e), s.speaks, e, Answer{Plugin: v.name(), Is: v.plugin.Manifest().Version}, v)
	}
	return Answer{}, errors.Join(err, v.plugin.Close())
}

// Reload reads a plugin again from where it is from, or from r.Path, and lets rows pass the new version instead.
func (s *Set) Reload(ctx context.Context, r Request) (Answer, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, at := s.find(r.Name)
	if old == nil {
		return Answer{}, s.missing(r.Name)
	}
	spec := old.spec
	if r.Path != "" {
		spec.Path, spec.Name, spec.Version = r.Path, "", ""
	}
	if r.Range != "" && spec.Path == "" {
		spec.Version = r.Range
	}
	if r.Params != nil {
		spec.Params = r.Params
	}
	if r.OnTrap != "" {
		spec.OnTrap = r.OnTrap
	}
	if err := spec.Check(); err != nil {
		return Answer{}, err
	}
	module, params, err := s.module(&spec)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Plugin: r.Name, Was: old.now.plugin.Manifest().Version, Is: old.now.plugin.Manifest().Version}
	if sha256.Sum256(module) == old.now.plugin.Digest() && bytes.Equal(params, old.now.params) && spec.OnTrap == old.spec.OnTrap && !s.isOut(old) {
		a.Same = true
		return a, nil
	}
	v, err := s.compile(ctx, spec, module, params)
	if err != nil {
		return Answer{}, err
	}
	a.Is = v.plugin.Manifest().Version
	if v.name() != r.Name {
		return Answer{}, errors.Join(fmt.Errorf("plugin %s: %s is plugin %s: load that, and unload this one", r.Name, spec.Source(), v.name()), v.plugin.Close())
	}
	if err := s.stillFits(v, old, at); err != nil {
		return Answer{}, errors.Join(err, v.plugin.Close())
	}
	e := &entry{spec: spec, now: v, before: append(slices.Clone(old.before), old.now), trial: true}
	var forgotten *version
	if len(e.before) > mostBefore {
		forgotten, e.before = e.before[0], e.before[1:]
	}
	use, speaks := s.instead(old, e)
	if a, err = s.apply(ctx, use, speaks, e, a, v); err == nil && forgotten != nil {
		err = s.drop(forgotten)
	}
	return a, err
}

// stillFits says whether a version can do all that the one before it does.
func (s *Set) stillFits(v *version, old *entry, at int) error {
	m := v.plugin.Manifest()
	if old == s.speaks && s.unit(v) < 0 {
		return fmt.Errorf("plugin %s %s: it has no parser %s, which is the feed's protocol", m.Name, m.Version, s.o.Protocol)
	}
	if at >= 0 {
		return onLane(m)
	}
	return nil
}

// instead is what there is with an entry in the place of another.
func (s *Set) instead(old, e *entry) (use []*entry, speaks *entry) {
	use, speaks = slices.Clone(s.use), s.speaks
	if at := slices.Index(use, old); at >= 0 {
		use[at] = e
	}
	if speaks == old {
		speaks = e
	}
	return use, speaks
}

// Rollback goes back to the version before.
func (s *Set) Rollback(ctx context.Context, name string) (Answer, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.rollback(ctx, name)
}

func (s *Set) rollback(ctx context.Context, name string) (Answer, error) {
	old, _ := s.find(name)
	if old == nil {
		return Answer{}, s.missing(name)
	}
	if len(old.before) == 0 {
		return Answer{}, fmt.Errorf("plugin %s %s: there was no version before it in this process", name, old.now.plugin.Manifest().Version)
	}
	back := old.before[len(old.before)-1]
	e := &entry{spec: back.spec, now: back, before: old.before[:len(old.before)-1]}
	back.out = false
	use, speaks := s.instead(old, e)
	a := Answer{Plugin: name, Was: old.now.plugin.Manifest().Version, Is: back.plugin.Manifest().Version}
	a, err := s.apply(ctx, use, speaks, nil, a, nil)
	if err == nil {
		err = s.drop(old.now)
	}
	return a, err
}

// Unload takes a plugin out.
func (s *Set) Unload(ctx context.Context, name string) (Answer, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, at := s.find(name)
	switch {
	case old == nil:
		return Answer{}, s.missing(name)
	case at < 0:
		return Answer{}, fmt.Errorf("plugin %s is the feed's protocol, and no rows pass it: there is nothing to unload", name)
	}
	a := Answer{Plugin: name, Was: old.now.plugin.Manifest().Version}
	a, err := s.apply(ctx, slices.Delete(slices.Clone(s.use), at, at+1), s.speaks, nil, a, nil)
	if err == nil {
		for _, v := range append(old.before, old.now) {
			err = errors.Join(err, s.drop(v))
		}
	}
	return a, err
}

// drop closes a version that is used no more. A plugin that is the feed's protocol goes on as that when it is out of the chain.
func (s *Set) drop(v *version) error {
	for _, e := range s.all() {
		if e.now == v || slices.Contains(e.before, v) {
			return nil
		}
	}
	return v.plugin.Close()
}

// apply tries what is new and has the lanes take it. When it fails, made is closed and all is as it was. It is called with changing held.
func (s *Set) apply(ctx context.Context, use []*entry, speaks, e *entry, a Answer, made *version) (Answer, error) {
	fail := func(err error) (Answer, error) {
		if made != nil {
			err = errors.Join(err, made.plugin.Close())
		}
		return Answer{}, err
	}
	if s.stopped {
		return fail(errStopped)
	}
	if err := s.fit(use, speaks); err != nil {
		return fail(err)
	}
	if e != nil && e == speaks {
		if err := s.tryReading(e); err != nil {
			return fail(err)
		}
	}
	if e != nil && slices.Contains(use, e) {
		t, err := s.try(ctx, use, e)
		if err != nil {
			return fail(err)
		}
		a.Trial = &t
	}
	if err := s.swap(use, speaks); err != nil {
		return fail(err)
	}
	a.Waiting = !s.taken(ctx)
	s.log.Info("plugins changed", "plugin", a.Plugin, "was", a.Was, "is", a.Is, "waiting", a.Waiting)
	return a, nil
}

// Status is a feed's plugins as they are.
type Status struct {
	Plugins []PluginStatus         `json:"plugins"`
	Custom  []ringbuf.PluginColumn `json:"custom,omitempty"`
}

// PluginStatus is one plugin: of the chain, in order, or behind them the feed's protocol.
type PluginStatus struct {
	Name     string         `json:"name"`
	Version  string         `json:"version"`
	Source   string         `json:"source"`
	Digest   string         `json:"digest"`
	Since    time.Time      `json:"since"`
	Before   []string       `json:"before,omitempty"` // versions to go back to, the latest last
	TakenOut bool           `json:"taken_out,omitempty"`
	Note     string         `json:"note,omitempty"`
	Params   map[string]any `json:"params,omitempty"`
	Granted  []string       `json:"granted,omitempty"` // what the policy gives it beside its rows, in words
	Lanes    []LaneStatus   `json:"lanes"`
}

// LaneStatus is what a plugin did on a lane since its chain came into use.
type LaneStatus struct {
	Lane    string `json:"lane"`
	Packets bool   `json:"packets,omitempty"` // as the feed's protocol: batches are packets, and what passed by is messages that were refused
	plugins.StageStats
}
