package plugins

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

// The folder of compiled modules has a file a module, whose name only the engine can tell. Beside them stands whose they are, so that what nobody uses can go:
//
//	<cache>/wazero-…/<key>                   compiled code
//	<cache>/used/<SHA-256 of the module>     the engine's version and the code's place; its time is that of the last use. Of commands, which share an interpreter, it is
//	                                         the interpreter's
//	<cache>/.lock                            held by who compiles: what is new in the folder then is the module's
//
// It is a cache: whatever is taken away is compiled again when it is wanted.
const (
	cacheUsed  = "used"
	cacheLock  = ".lock"
	cacheBytes = 256 << 20           // at most: the longest unused go first
	cacheAge   = 30 * 24 * time.Hour // without use
)

// engineVersion is that of the compiler, by which it names its files.
var engineVersion = func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return "unknown"
}()

// compileModule compiles, or finds in the cache, and notes that the module was used.
func (h *Host) compileModule(ctx context.Context, code []byte, digest [32]byte) (wazero.CompiledModule, error) {
	if h.cacheDir == "" || h.mark || h.trace != nil { // code for tools has other names, and is not worth keeping
		return h.runtime.CompileModule(ctx, code)
	}
	note := filepath.Join(h.cacheDir, cacheUsed, hex.EncodeToString(digest[:]))
	if usedNow(h.cacheDir, note) {
		return h.runtime.CompileModule(ctx, code)
	}
	lock, err := lockCache(h.cacheDir)
	if err != nil {
		h.speaker.say(slog.LevelWarn, "plugins: the cache of compiled modules cannot be locked", slog.String("error", err.Error()))
		return h.runtime.CompileModule(ctx, code)
	}
	defer lock.Close()
	before := cached(h.cacheDir)
	compiled, err := h.runtime.CompileModule(ctx, code)
	if err != nil {
		return nil, err
	}
	for path := range cached(h.cacheDir) {
		if _, old := before[path]; !old {
			err = errors.Join(os.MkdirAll(filepath.Dir(note), 0o700), os.WriteFile(note, []byte(engineVersion+" "+path), 0o600))
		}
	}
	if err = errors.Join(err, prune(h.cacheDir, cacheBytes, time.Now())); err != nil {
		h.speaker.say(slog.LevelWarn, "plugins: the cache of compiled modules", slog.String("error", err.Error()))
	}
	return compiled, nil
}

// usedNow says that a note's code is there, and that it is used now.
func usedNow(dir, note string) bool {
	text, err := os.ReadFile(note)
	version, path, ok := strings.Cut(string(text), " ")
	if err != nil || !ok || version != engineVersion {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
		return false
	}
	now := time.Now()
	return os.Chtimes(note, now, now) == nil
}

// lockCache waits until nobody else compiles into the folder. Closing it ends that.
func lockCache(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, cacheLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err {
		case nil:
			return f, nil
		case unix.EINTR:
		default:
			return nil, errors.Join(err, f.Close())
		}
	}
}

// cached are the engine's files, by their place in the folder.
func cached(dir string) map[string]fs.FileInfo {
	all := map[string]fs.FileInfo{}
	found, _ := filepath.Glob(filepath.Join(dir, "wazero-*", "*")) // the pattern is sound
	for _, path := range found {
		if st, err := os.Lstat(path); err == nil && st.Mode().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			all[rel] = st
		}
	}
	return all
}

// prune takes away what was not used for long, and of the rest what has no room within so many bytes. A file that is nobody's counts as used when it was made. The
// folder is locked.
func prune(dir string, most int64, now time.Time) error {
	type entry struct {
		path, note string // note "": it is nobody's
		used       time.Time
		size       int64
	}
	files := cached(dir)
	var all []entry
	var errs []error
	notes, err := os.ReadDir(filepath.Join(dir, cacheUsed))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range notes {
		note := filepath.Join(dir, cacheUsed, n.Name())
		st, err := os.Stat(note)
		text, err2 := os.ReadFile(note)
		if errors.Join(err, err2) != nil {
			continue // it goes just now
		}
		_, path, _ := strings.Cut(string(text), " ")
		f, there := files[path]
		if !there {
			errs = append(errs, os.Remove(note))
			continue
		}
		delete(files, path)
		all = append(all, entry{path, note, st.ModTime(), f.Size()})
	}
	for path, f := range files {
		all = append(all, entry{path, "", f.ModTime(), f.Size()})
	}
	slices.SortFunc(all, func(a, b entry) int { return b.used.Compare(a.used) }) // the latest first
	total := int64(0)
	for _, e := range all {
		if total += e.size; total <= most && now.Sub(e.used) <= cacheAge {
			continue
		}
		total -= e.size
		errs = append(errs, os.Remove(filepath.Join(dir, e.path)))
		if e.note != "" {
			errs = append(errs, os.Remove(e.note))
		}
	}
	return errors.Join(errs...)
}

// Uncache takes a module's compiled code out of a cache's folder: the module, by its SHA-256 in hexadecimal digits, was removed. What is not there is no error.
func Uncache(dir, digest string) error {
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return errors.New("plugins: no SHA-256: " + digest)
	}
	note := filepath.Join(dir, cacheUsed, digest)
	text, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, path, ok := strings.Cut(string(text), " "); ok && filepath.IsLocal(path) {
		if err := os.Remove(filepath.Join(dir, path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(note)
}
