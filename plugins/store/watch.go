package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Change is something that happened to a plugin in use.
type Change struct {
	Name string
	Was  string // the version in use before, "": none
	Is   string // and now
	Err  error  // what is wrong with its file now, nil: it is in order. What runs goes on running
}

// seen is what a watcher remembers of a plugin in use.
type seen struct {
	version, digest string
	info            os.FileInfo // nil: gone
	err             error
}

// Watch looks at the folder every so often (0: 1 s) and tells what changed since it looked last, until ctx ends; the first time it tells all that is in use.
// A plugin whose bytes changed under the same version is ErrAltered, not a change of version. When the state cannot be read, fn is called once with that
// error and no changes, and what was in use counts on. It polls, because that works on every file system and needs nothing.
func (s *Store) Watch(ctx context.Context, every time.Duration, fn func([]Change, error)) {
	if every <= 0 {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, lastErr := map[string]seen{}, ""
	for {
		now, err := s.see(last)
		switch {
		case err == nil:
			lastErr = ""
			if changes := differences(last, now); len(changes) > 0 {
				fn(changes, nil)
			}
			last = now
		case err.Error() != lastErr:
			lastErr = err.Error()
			fn(nil, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// see looks at what is in use. Files are read again only when their size, time or place on the disk changed, or what they should be.
func (s *Store) see(last map[string]seen) (map[string]seen, error) {
	st, err := s.read()
	if err != nil {
		return nil, err
	}
	now := map[string]seen{}
	for name, p := range st.Plugins {
		if p.Version == "" || p.Disabled {
			continue
		}
		is := seen{version: p.Version, digest: p.SHA256[p.Version]}
		is.info, _ = os.Stat(s.path(name, p.Version))
		was, known := last[name]
		if known && was.version == is.version && was.digest == is.digest && sameFile(was.info, is.info) {
			now[name] = was
			continue
		}
		e, _ := s.look(st, name, p.Version)
		is.err = e.Err
		now[name] = is
	}
	return now, nil
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func differences(last, now map[string]seen) (changes []Change) {
	for name, is := range now {
		if was := last[name]; was.version != is.version || was.digest != is.digest || fmt.Sprint(was.err) != fmt.Sprint(is.err) {
			changes = append(changes, Change{name, was.version, is.version, is.err})
		}
	}
	for name, was := range last {
		if _, still := now[name]; !still {
			changes = append(changes, Change{Name: name, Was: was.version})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	return changes
}
