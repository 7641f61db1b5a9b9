// Package store is the set of plugins that a machine has: which versions are there, which of each is in use, and which was before.
//
//	<dir>/price-band/1.2.0.wasm     a module, never changed once it is there
//	<dir>/price-band/1.3.0.wasm
//	<dir>/state.json                what is in use, what was, and the digest of each module: state.go
//	<dir>/.lock                     flock: one change at a time, whoever makes it
//
// A change is whole or not there: files are written beside their place, synced and renamed, and state.json last. Who only reads takes no lock. What is
// done to the folder behind tickwire's back (a file deleted, changed, or put there by hand) is noticed by digest and told, and never used in silence.
package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins/deps"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
)

// What can be wrong with what was asked for.
var (
	ErrNotInstalled = errors.New("is not installed")
	ErrOtherBytes   = errors.New("is there with other bytes: a version is never changed. Give the new one a version of its own, or remove the old one first")
	ErrInUse        = errors.New("is enabled: disable it first")
	ErrNoHistory    = errors.New("has no earlier version to go back to")
	ErrLocked       = errors.New("another process is changing the plugins")
)

// What can be wrong with a module of the set.
var (
	ErrGone       = errors.New("its file is gone: install it again, or remove it from the set")
	ErrAltered    = errors.New("its file is not the one that was installed: remove it and install it again")
	ErrUnreadable = errors.New("its file is no plugin of this name and version")
)

// Options of a store. The zero value is good.
type Options struct {
	// Policy says whose plugins are installed, enabled and loaded; it has been validated. The default allows all that is not broken.
	Policy sign.Policy
	// Wait is how long a change waits for another process's to end. The default is 10 s.
	Wait time.Duration
}

// Store is a folder of plugins. Several, in several processes, may be open on one folder. Its methods may be called from several goroutines.
type Store struct {
	dir string
	o   Options
}

// Open gives the set in a folder. One that is not there has no plugins; the first change makes it.
func Open(dir string, o Options) *Store {
	o.Wait = cmp.Or(o.Wait, 10*time.Second)
	return &Store{dir, o}
}

// State of a version in the set.
type State string

// States. Whether the file is in order is another matter: Entry.Err.
const (
	Enabled   State = "enabled"   // in use
	Disabled  State = "disabled"  // the one that was chosen, switched off
	Installed State = "installed" // there, not chosen
	Found     State = "found"     // a file that nobody installed: its digest is known to none. Enabling it takes it into the set
)

// Entry is one version of one plugin.
type Entry struct {
	Name     string             `json:"name"`
	Version  string             `json:"version"`
	State    State              `json:"state"`
	SHA256   string             `json:"sha256"` // of the file as it was installed
	Bytes    int64              `json:"bytes"`
	Path     string             `json:"path"`
	Problem  string             `json:"problem,omitempty"` // Err in words
	Manifest *manifest.Manifest `json:"-"`                 // nil if the file cannot be read
	Err      error              `json:"-"`                 // what is wrong with the file: ErrGone, ErrAltered, ErrUnreadable
}

// Ref names a version: the newest installed one of the range, or the one that was chosen last if there is none.
type Ref struct{ Name, Range string }

// ParseRef reads name or name@range.
func ParseRef(text string) (Ref, error) {
	name, within, ranged := strings.Cut(text, "@")
	if !manifest.ValidName(name) {
		return Ref{}, fmt.Errorf("plugins: %q is no plugin's name", name)
	}
	if _, err := manifest.ParseRange(within); ranged && err != nil {
		return Ref{}, fmt.Errorf("plugins: %s: %w", name, err)
	}
	return Ref{name, within}, nil
}

func (s *Store) path(name, version string) string {
	return filepath.Join(s.dir, name, version+".wasm")
}

// Install puts a module into the set, switched off. The same again is no error; the same version with other bytes is ErrOtherBytes.
func (s *Store) Install(module []byte) (e Entry, err error) {
	if len(module) > manifest.MostModuleBytes {
		return Entry{}, fmt.Errorf("plugins: %d bytes, but a module has at most %d", len(module), manifest.MostModuleBytes)
	}
	m, err := manifest.Of(module)
	if err != nil {
		return Entry{}, fmt.Errorf("plugins: %w", err)
	}
	if err := s.o.Policy.Check(module).Err(); err != nil {
		return Entry{}, fmt.Errorf("plugins: %w", err)
	}
	digest := Digest(module)
	err = s.change(func(st *state) error {
		p := st.plugin(m.Name)
		if had, ok := p.SHA256[m.Version]; ok && had != digest {
			return fmt.Errorf("plugins: %s %s %w", m.Name, m.Version, ErrOtherBytes)
		}
		switch there, err := readModule(s.path(m.Name, m.Version)); {
		case err == nil && bytes.Equal(there, module):
		case err == nil && p.SHA256[m.Version] != "":
			return fmt.Errorf("plugins: %s %s: %w", m.Name, m.Version, ErrAltered)
		case err == nil:
			return fmt.Errorf("plugins: %s %s %w", m.Name, m.Version, ErrOtherBytes)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		default:
			if err := s.put(m.Name, m.Version, module); err != nil {
				return err
			}
		}
		p.SHA256[m.Version] = digest
		e, _ = s.look(st, m.Name, m.Version)
		return nil
	})
	return e, err
}

// put writes a module under its name. It is called with the lock held, so whatever else was left half written is swept up.
func (s *Store) put(name, version string, module []byte) error {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	for _, path := range left {
		_ = os.Remove(path)
	}
	temp := filepath.Join(dir, "."+version+".tmp")
	if err := writeSynced(temp, module); err != nil {
		return err
	}
	atStep("module written")
	if err := os.Rename(temp, s.path(name, version)); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	atStep("module named")
	return errors.Join(syncDir(dir), syncDir(s.dir))
}

// Remove takes a version out of the set, or all of them if version is "", and deletes the files. What is enabled stays, and is ErrInUse.
func (s *Store) Remove(name, version string) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var gone []string
	err = s.changeLocked(func(st *state) error {
		files, err := s.versions(name)
		if err != nil {
			return err
		}
		p := st.plugin(name)
		for v := range p.SHA256 {
			if !slices.Contains(files, v) {
				files = append(files, v)
			}
		}
		for _, v := range files {
			if version != "" && v != version {
				continue
			}
			if v == p.Version && !p.Disabled {
				return fmt.Errorf("plugins: %s %s %w", name, v, ErrInUse)
			}
			gone = append(gone, v)
			p.forget(v)
		}
		if len(gone) == 0 {
			return notInstalled(name, version)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range gone { // behind the state: a file that stays after a crash is found, not missed
		if err := os.Remove(s.path(name, v)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("plugins: %w", err)
		}
	}
	_ = os.Remove(filepath.Join(s.dir, name)) // if it is empty
	return syncDir(s.dir)
}

func notInstalled(name, version string) error {
	return fmt.Errorf("plugins: %s %w", strings.TrimSpace(name+" "+version), ErrNotInstalled)
}

// Enable switches versions on, all or none: those that need one another may come together. What another enabled plugin needs must stay satisfied. It
// gives what is in use then.
func (s *Store) Enable(refs ...Ref) ([]Entry, error) {
	var chosen []Entry
	err := s.change(func(st *state) error {
		for _, ref := range refs {
			e, module, err := s.choose(st, ref)
			if err != nil {
				return err
			}
			if err := s.o.Policy.Check(module).Err(); err != nil {
				return fmt.Errorf("plugins: %w", err)
			}
			p := st.plugin(e.Name)
			if p.Version != "" && p.Version != e.Version {
				p.remember(p.Version)
			}
			p.Version, p.Disabled, p.SHA256[e.Version] = e.Version, false, e.SHA256
			e.State = Enabled
			chosen = append(chosen, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return chosen, nil
}

// choose finds the version that a ref means.
func (s *Store) choose(st *state, ref Ref) (Entry, []byte, error) {
	files, err := s.versions(ref.Name)
	if err != nil {
		return Entry{}, nil, err
	}
	p := st.plugin(ref.Name)
	for v := range p.SHA256 {
		if !slices.Contains(files, v) {
			files = append(files, v) // its file is gone: that is the error to tell, if it is meant
		}
	}
	version := p.Version
	if ref.Range != "" || version == "" {
		within, err := manifest.ParseRange(cmp.Or(ref.Range, "*"))
		if err != nil {
			return Entry{}, nil, fmt.Errorf("plugins: %s: %w", ref.Name, err)
		}
		version = within.Newest(files)
		if slices.Contains(files, ref.Range) {
			version = ref.Range // and not another build of it, which has the same place in the order
		}
	}
	if version == "" {
		return Entry{}, nil, notInstalled(ref.Name, ref.Range)
	}
	e, module := s.look(st, ref.Name, version)
	if e.Err != nil {
		return e, nil, fmt.Errorf("plugins: %s %s: %w", e.Name, e.Version, e.Err)
	}
	return e, module, nil
}

// Disable switches plugins off, all or none. Which version it was stays known: Enable without a range switches that on again.
func (s *Store) Disable(names ...string) error {
	return s.change(func(st *state) error {
		for _, name := range names {
			p := st.plugin(name)
			if p.Version == "" || p.Disabled {
				return fmt.Errorf("plugins: %s is not enabled", name)
			}
			p.Disabled = true
		}
		return nil
	})
}

// Rollback goes back to the version that was in use before this one. Versions of then that are gone are passed over and told in skipped.
func (s *Store) Rollback(name string) (from, to string, skipped []string, err error) {
	err = s.change(func(st *state) error {
		p := st.plugin(name)
		from, skipped = p.Version, nil
		for len(p.History) > 0 {
			last := len(p.History) - 1
			to, p.History = p.History[last], p.History[:last]
			e, module := s.look(st, name, to)
			if e.Err == nil {
				e.Err = s.o.Policy.Check(module).Err()
			}
			if e.Err == nil {
				p.Version, p.Disabled, p.SHA256[to] = to, false, e.SHA256
				return nil
			}
			skipped = append(skipped, fmt.Sprintf("%s %s: %v", name, to, e.Err))
		}
		if len(skipped) > 0 {
			return fmt.Errorf("plugins: %s %w: %s", name, ErrNoHistory, strings.Join(skipped, "; "))
		}
		return fmt.Errorf("plugins: %s %w", name, ErrNoHistory)
	})
	return from, to, skipped, err
}

// List is every version of every plugin, by name, the newest first; files are read and compared with what was installed.
func (s *Store) List() ([]Entry, error) {
	st, err := s.read()
	if err != nil {
		return nil, err
	}
	folders, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	names := map[string]bool{}
	for _, f := range folders {
		if f.IsDir() && manifest.ValidName(f.Name()) {
			names[f.Name()] = true
		}
	}
	for name := range st.Plugins {
		names[name] = true
	}
	all := []Entry{}
	for name := range names {
		versions, err := s.versions(name)
		if err != nil {
			return nil, err
		}
		for v := range st.plugin(name).SHA256 {
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
		for _, v := range versions {
			e, _ := s.look(st, name, v)
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), manifest.Compare(b.Version, a.Version), strings.Compare(a.Version, b.Version))
	})
	return all, nil
}

// Get looks at one version, as Ref means it. What is wrong with its file is in its Err.
func (s *Store) Get(name, within string) (Entry, error) {
	st, err := s.read()
	if err != nil {
		return Entry{}, err
	}
	e, _, err := s.choose(st, Ref{name, within})
	if e.Name != "" {
		return e, nil
	}
	return e, err
}

// Load reads the module of a plugin that is in use: its file has the digest that was installed, and the policy allows it.
func (s *Store) Load(name string) (Entry, []byte, error) {
	st, err := s.read()
	if err != nil {
		return Entry{}, nil, err
	}
	p := st.plugin(name)
	if p.Version == "" || p.Disabled {
		return Entry{}, nil, fmt.Errorf("plugins: %s is not enabled", name)
	}
	e, module := s.look(st, name, p.Version)
	if e.Err == nil {
		e.Err = s.o.Policy.Check(module).Err()
	}
	if e.Err != nil {
		return e, nil, fmt.Errorf("plugins: %s %s: %w", name, p.Version, e.Err)
	}
	return e, module, nil
}

// InUse is the plugins that are enabled, in load order. Those whose file is not in order are there with their Err, behind the others.
func (s *Store) InUse() ([]Entry, error) {
	st, err := s.read()
	if err != nil {
		return nil, err
	}
	var bad []Entry
	var set []*manifest.Manifest
	good := map[string]Entry{}
	for _, e := range s.enabled(st) {
		if e.Err != nil {
			bad = append(bad, e)
			continue
		}
		good[e.Name] = e
		set = append(set, e.Manifest)
	}
	set, err = deps.Order(set)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	all := make([]Entry, 0, len(set)+len(bad))
	for _, m := range set {
		all = append(all, good[m.Name])
	}
	return append(all, bad...), nil
}

// enabled entries, by name.
func (s *Store) enabled(st *state) (all []Entry) {
	for name, p := range st.Plugins {
		if p.Version != "" && !p.Disabled {
			e, _ := s.look(st, name, p.Version)
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// look reads a version's file and compares it with the state.
func (s *Store) look(st *state, name, version string) (Entry, []byte) {
	p := st.plugin(name)
	e := Entry{Name: name, Version: version, State: Installed, SHA256: p.SHA256[version], Path: s.path(name, version)}
	switch {
	case e.SHA256 == "":
		e.State = Found
	case p.Version == version && p.Disabled:
		e.State = Disabled
	case p.Version == version:
		e.State = Enabled
	}
	module, err := readModule(e.Path)
	e.Bytes = int64(len(module))
	switch m, bad := manifest.Of(module); {
	case errors.Is(err, fs.ErrNotExist):
		e.Err = ErrGone
	case err != nil:
		e.Err = err
	case e.SHA256 != "" && Digest(module) != e.SHA256:
		e.Err = ErrAltered
	case bad != nil:
		e.Err = fmt.Errorf("%w: %w", ErrUnreadable, bad)
	case m.Name != name || m.Version != version:
		e.Err = fmt.Errorf("%w: it says that it is %s %s", ErrUnreadable, m.Name, m.Version)
	default:
		e.Manifest, e.SHA256 = m, Digest(module)
	}
	if e.Err != nil {
		e.Problem = e.Err.Error()
		return e, nil
	}
	return e, module
}

// versions that have a file.
func (s *Store) versions(name string) ([]string, error) {
	if !manifest.ValidName(name) {
		return nil, fmt.Errorf("plugins: %q is no plugin's name", name) // and may be a path out of the folder
	}
	files, err := os.ReadDir(filepath.Join(s.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	var all []string
	for _, f := range files {
		if v, ok := strings.CutSuffix(f.Name(), ".wasm"); ok && manifest.ValidVersion(v) {
			all = append(all, v)
		}
	}
	return all, nil
}

// change runs fn on the state under the lock, and writes it if fn and the needs of what is enabled then allow.
func (s *Store) change(fn func(*state) error) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.changeLocked(fn)
}

func (s *Store) changeLocked(fn func(*state) error) error {
	st, err := s.read()
	if err != nil {
		return err
	}
	before := s.faults(st)
	if err := fn(st); err != nil {
		return err
	}
	var faults []error
	for _, f := range s.faults(st) { // what was wrong before does not stand in the way of something else
		if !slices.ContainsFunc(before, func(b error) bool { return b.Error() == f.Error() }) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("plugins: nothing is changed: %w", errors.Join(faults...))
	}
	return s.write(st)
}

// faults is what does not fit among the plugins in use.
func (s *Store) faults(st *state) []error {
	var set []*manifest.Manifest
	for _, e := range s.enabled(st) {
		if e.Manifest != nil {
			set = append(set, e.Manifest)
		}
	}
	faults := deps.Faults(set)
	if len(faults) > 0 {
		return faults
	}
	if _, err := deps.Order(set); err != nil {
		return []error{err}
	}
	return nil
}

// lock takes the folder's lock. It ends with the process, however that ends.
func (s *Store) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	for end := time.Now().Add(s.o.Wait); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("plugins: lock of %s: %w", s.dir, errors.Join(err, f.Close()))
		case time.Now().After(end):
			return nil, fmt.Errorf("plugins: %w in %s, for %s by now", errors.Join(ErrLocked, f.Close()), s.dir, s.o.Wait)
		}
	}
}

// Digest of a module's bytes, as entries have it.
func Digest(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

// readModule reads a file that may be a module, and no more of it than a module may have.
func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("plugins: %s is no file", path)
	}
	module, err := io.ReadAll(io.LimitReader(f, manifest.MostModuleBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("plugins: %w", err)
	case len(module) > manifest.MostModuleBytes:
		return nil, fmt.Errorf("plugins: %s is larger than a module's %d bytes", path, manifest.MostModuleBytes)
	}
	return module, nil
}

// ReadModule reads a file that may be a module, as Install takes it. It refuses what is larger than any module.
func ReadModule(path string) ([]byte, error) { return readModule(path) }

// atStep is where tests stop a process in the middle of a change.
var atStep = func(string) {}
