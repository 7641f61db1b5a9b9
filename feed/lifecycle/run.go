package lifecycle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/store"
)

// Run looks after the plugins until ctx ends: figures, versions that fail while they are new, files that change.
func (s *Set) Run(ctx context.Context) {
	installed := make(chan store.Change)
	if s.o.Config.Watch {
		go s.watchInstalled(ctx, installed)
	}
	files := map[string]fileState{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			s.look(ctx)
			return
		case c := <-installed:
			s.follow(ctx, c)
		case <-tick.C:
			s.look(ctx)
			if s.o.Config.Watch && turn%10 == 0 {
				s.watchFiles(ctx, files)
			}
		}
	}
}

// look shows figures, tells of plugins that were taken out, and takes back what fails while it is new.
func (s *Set) look(ctx context.Context) {
	for _, e := range s.judge() {
		if ctx.Err() != nil || !s.changing.TryLock() {
			return // a change is being made: next time
		}
		if there, _ := s.find(e.now.name()); there == e {
			if _, err := s.rollback(ctx, e.now.name()); err != nil {
				s.log.Error("going back failed: the version stays", "plugin", e.now.name(), "err", err)
				s.mu.Lock()
				e.trial = false // once is enough
				s.mu.Unlock()
			}
		}
		s.changing.Unlock()
	}
}

// judge is look without taking back: it gives what is to be.
func (s *Set) judge() (back []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show()
	for _, e := range s.all() {
		failures, out, why := uint64(0), false, ""
		s.each(e, func(_ *Lane, _ bool, st plugins.StageStats) {
			if st.Failures > 0 || st.Out {
				failures += st.Failures
				out, why = out || st.Out, st.LastError
			}
		})
		m := e.now.plugin.Manifest()
		if out && !e.now.out {
			s.log.Error(takenOut(e == s.speaks), "plugin", m.Name, "version", m.Version, "failures", failures, "latest", why)
		}
		e.now.out = out // a change of the chain is another try for all of it
		switch {
		case !e.trial:
		case failures > 0 && len(e.before) > 0:
			s.log.Error("plugin failed while it was new: going back to the version before", "plugin", m.Name, "version", m.Version, "failures", failures, "latest", why)
			back = append(back, e)
		case time.Since(e.now.since) > probation:
			e.trial = false
		}
	}
	return back
}

// takenOut says what that means for the rows, or for the packets if the plugin is the feed's protocol.
func takenOut(speaks bool) string {
	if speaks {
		return "plugin is taken out after failures: packets are refused, and books are suspect, until it is reloaded"
	}
	return "plugin is taken out after failures: rows pass it by, flagged, until it is reloaded"
}

// fileState is what tells that a file is another one.
type fileState struct {
	size    int64
	changed time.Time
	info    os.FileInfo
	gone    bool
}

// watchFiles reloads plugins whose files changed. A file that is refused is tried again when it changes again.
func (s *Set) watchFiles(ctx context.Context, seen map[string]fileState) {
	s.mu.Lock()
	var names, paths []string
	var runs [][32]byte // SHA-256 of what runs
	for _, e := range s.all() {
		if e.spec.Path != "" {
			names, paths, runs = append(names, e.now.name()), append(paths, e.spec.Path), append(runs, e.now.plugin.Digest())
		}
	}
	s.mu.Unlock()
	for i, path := range paths {
		was, known := seen[path]
		file, err := File(path)
		var st os.FileInfo
		if err == nil {
			st, err = os.Stat(file)
		}
		if err != nil {
			if known && !was.gone {
				s.log.Error("a plugin's file is gone; what runs goes on", "plugin", names[i], "err", err)
				was.gone = true
				seen[path] = was
			}
			continue
		}
		now := fileState{size: st.Size(), changed: st.ModTime(), info: st}
		same := known && !was.gone && was.size == now.size && was.changed.Equal(now.changed) && os.SameFile(was.info, now.info)
		seen[path] = now
		if same {
			continue
		}
		if !known { // it may have changed between being loaded and this first look
			if module, err := store.ReadModule(file); err == nil && sha256.Sum256(module) == runs[i] {
				continue
			}
		}
		s.reloaded(ctx, names[i])
	}
}

// watchInstalled tells of changes in the set of installed plugins.
func (s *Set) watchInstalled(ctx context.Context, out chan<- store.Change) {
	s.changing.Lock()
	set, err := s.modules.open()
	s.changing.Unlock()
	if err != nil {
		s.log.Error("installed plugins are not watched", "err", err)
		return
	}
	set.Watch(ctx, 0, func(changes []store.Change, err error) {
		if err != nil {
			s.log.Error("installed plugins", "err", err)
		}
		for _, c := range changes {
			select {
			case out <- c:
			case <-ctx.Done():
			}
		}
	})
}

// follow takes over a change of the installed set.
func (s *Set) follow(ctx context.Context, c store.Change) {
	s.mu.Lock()
	e, _ := s.find(c.Name)
	ours := e != nil && e.spec.Path == ""
	s.mu.Unlock()
	switch {
	case !ours:
	case c.Err != nil:
		s.log.Error("an installed plugin is not in order; what runs goes on", "plugin", c.Name, "err", c.Err)
	case c.Is == "":
		s.log.Warn("an installed plugin was disabled; what runs goes on until it is unloaded", "plugin", c.Name)
	default:
		s.reloaded(ctx, c.Name)
	}
}

// reloaded reloads a plugin and tells how that went.
func (s *Set) reloaded(ctx context.Context, name string) {
	if _, err := s.Reload(ctx, Request{Name: name}); err != nil && ctx.Err() == nil {
		s.log.Error("a plugin's new version is not taken; what runs goes on", "plugin", name, "err", err)
	}
}

// Status says what runs.
func (s *Set) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{Plugins: []PluginStatus{}, Custom: s.told.Custom}
	for _, e := range s.all() {
		m, digest := e.now.plugin.Manifest(), e.now.plugin.Digest()
		p := PluginStatus{
			Name: m.Name, Version: m.Version, Source: e.spec.Source(), Digest: "sha256:" + hex.EncodeToString(digest[:]), Since: e.now.since, Params: e.spec.Params,
			Granted: e.now.plugin.Granted().Lines(),
		}
		for _, v := range e.before {
			p.Before = append(p.Before, v.plugin.Manifest().Version)
		}
		s.each(e, func(l *Lane, packets bool, st plugins.StageStats) {
			p.TakenOut = p.TakenOut || st.Out
			p.Lanes = append(p.Lanes, LaneStatus{l.Name, packets, st})
		})
		if p.TakenOut {
			p.Note = takenOut(e == s.speaks) + "; `tickwire plugin reload` or `rollback` puts a version in its place"
		}
		out.Plugins = append(out.Plugins, p)
	}
	return out
}
