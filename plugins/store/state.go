package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// state.json, format 1:
//
//	{
//	  "format": 1,
//	  "plugins": {
//	    "price-band": {
//	      "version": "1.3.0",                  the one that was chosen; absent: none yet
//	      "disabled": true,                    it is switched off
//	      "history": ["1.1.0", "1.2.0"],       those that were chosen before, the latest last
//	      "sha256": {"1.2.0": "…", "1.3.0": "…"}   of each version's file when it was installed
//	    }
//	  }
//	}
const (
	stateName      = "state.json"
	stateFormat    = 1
	mostStateBytes = 4 << 20
	mostHistory    = 16 // versions to go back to; older ones are forgotten, not removed
)

type state struct {
	Format  int                `json:"format"`
	Plugins map[string]*plugin `json:"plugins"`
}

type plugin struct {
	Version  string            `json:"version,omitempty"`
	Disabled bool              `json:"disabled,omitempty"`
	History  []string          `json:"history,omitempty"`
	SHA256   map[string]string `json:"sha256,omitempty"`
}

// plugin gives a name's part, which is there from then on.
func (st *state) plugin(name string) *plugin {
	p := st.Plugins[name]
	if p == nil {
		p = &plugin{SHA256: map[string]string{}}
		st.Plugins[name] = p
	}
	return p
}

// remember a version to go back to.
func (p *plugin) remember(version string) {
	p.History = append(p.History, version)
	p.History = p.History[max(0, len(p.History)-mostHistory):]
}

func (p *plugin) forget(version string) {
	delete(p.SHA256, version)
	p.History = slices.DeleteFunc(p.History, func(v string) bool { return v == version })
	if p.Version == version {
		p.Version, p.Disabled = "", false
	}
}

// read gives the state as it is. A folder without one has no plugins.
func (s *Store) read() (*state, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return &state{stateFormat, map[string]*plugin{}}, nil
	} else if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	st, err := parseState(text)
	if err != nil {
		return nil, fmt.Errorf("plugins: %s: %w; it is left as it is, and nothing is changed: mend it, or move it away and install anew", filepath.Join(s.dir, stateName), err)
	}
	return st, nil
}

// parseState checks what it reads: names and versions become paths.
func parseState(text []byte) (*state, error) {
	if len(text) > mostStateBytes {
		return nil, fmt.Errorf("%d bytes, but at most %d", len(text), mostStateBytes)
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return nil, err
	}
	switch {
	case st.Format > stateFormat:
		return nil, fmt.Errorf("format %d is newer than this tickwire's %d", st.Format, stateFormat)
	case st.Format != stateFormat:
		return nil, fmt.Errorf("format %d: there is only %d", st.Format, stateFormat)
	case st.Plugins == nil:
		st.Plugins = map[string]*plugin{}
	}
	for name, p := range st.Plugins {
		if !manifest.ValidName(name) || p == nil {
			return nil, fmt.Errorf("%q is no plugin", name)
		}
		if p.SHA256 == nil {
			p.SHA256 = map[string]string{}
		}
		for v, digest := range p.SHA256 {
			if sum, err := hex.DecodeString(digest); err != nil || len(sum) != 32 || !manifest.ValidVersion(v) {
				return nil, fmt.Errorf("%s: version %q with digest %q", name, v, digest)
			}
		}
		for _, v := range p.History {
			if !manifest.ValidVersion(v) {
				return nil, fmt.Errorf("%s: history has version %q", name, v)
			}
		}
		if p.Version != "" && p.SHA256[p.Version] == "" {
			return nil, fmt.Errorf("%s: version %q is chosen, but was never installed", name, p.Version)
		}
	}
	return &st, nil
}

// write puts the state in its place in one step. It is called with the lock held.
func (s *Store) write(st *state) error {
	for name, p := range st.Plugins {
		if p.Version == "" && len(p.SHA256) == 0 {
			delete(st.Plugins, name)
		}
	}
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	path := filepath.Join(s.dir, stateName)
	if had, err := os.ReadFile(path); err == nil && bytes.Equal(had, append(text, '\n')) {
		return nil // nothing changed: watchers need not look
	}
	temp := filepath.Join(s.dir, "."+stateName+".tmp")
	if err := writeSynced(temp, append(text, '\n')); err != nil {
		return err
	}
	atStep("state written")
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	atStep("state named")
	return syncDir(s.dir)
}

// writeSynced writes a file that is on the disk when it returns.
func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("plugins: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// syncDir makes names in a folder last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	return nil
}
