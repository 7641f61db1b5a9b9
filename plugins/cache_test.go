package plugins

import (
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

func cachedHost(t *testing.T, dir string) *Host {
	t.Helper()
	h, err := New(Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func paths(dir string) []string { return slices.Sorted(maps.Keys(cached(dir))) }

// The cache's folder knows whose code is whose: another process finds it, a module that is removed takes it along, and a note whose code is gone is made anew.
func TestCacheNotes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	h := cachedHost(t, dir)
	kernel, empty := compile(t, h, Kernel()), compile(t, h, Empty())
	if got := paths(dir); len(got) != 2 {
		t.Fatalf("two modules are %q", got)
	}
	digest := func(p *Plugin) string { d := p.Digest(); return hex.EncodeToString(d[:]) }
	note := func(p *Plugin) string { return filepath.Join(dir, cacheUsed, digest(p)) }
	long := time.Now().Add(-time.Hour)
	for _, p := range []*Plugin{kernel, empty} {
		if err := os.Chtimes(note(p), long, long); err != nil {
			t.Fatal(err)
		}
	}
	compile(t, cachedHost(t, dir), Kernel())
	if st, err := os.Stat(note(kernel)); err != nil || !st.ModTime().After(long) {
		t.Errorf("it was used and the note does not say so: %v", err)
	}
	if st, err := os.Stat(note(empty)); err != nil || st.ModTime().After(long.Add(time.Minute)) {
		t.Errorf("it was not used: %v", err)
	}
	if err := Uncache(dir, digest(empty)); err != nil || len(paths(dir)) != 1 {
		t.Errorf("%v, %q are left", err, paths(dir))
	}
	if _, err := os.Stat(note(empty)); err == nil {
		t.Error("its note stayed")
	}
	if err := Uncache(dir, digest(empty)); err != nil {
		t.Errorf("what is not there: %v", err)
	}
	if err := Uncache(dir, "../x"); err == nil {
		t.Error("no digest is taken for one")
	}
	if err := os.Remove(filepath.Join(dir, paths(dir)[0])); err != nil {
		t.Fatal(err)
	}
	compile(t, cachedHost(t, dir), Kernel())
	if len(paths(dir)) != 1 || !usedNow(dir, note(kernel)) {
		t.Errorf("%q are there", paths(dir))
	}
}

// What was not used for long goes, and the longest unused where there is no room; files that are nobody's count by when they were made.
func TestCachePrune(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	for _, d := range []string{"wazero-a", "wazero-b", cacheUsed, "elsewhere"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path string, size int, age time.Duration) {
		t.Helper()
		at := filepath.Join(dir, path)
		if err := os.WriteFile(at, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	noted := func(path, note string, size int, made, used time.Duration) {
		t.Helper()
		file(path, size, made)
		at := filepath.Join(dir, cacheUsed, note)
		if err := os.WriteFile(at, []byte("v1 "+path), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, now.Add(-used), now.Add(-used)); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	noted("wazero-a/kept", "1", 40, 90*day, day)
	noted("wazero-a/unused", "2", 1, 90*day, 31*day)
	noted("wazero-b/large", "3", 70, 2*day, 3*day)
	noted("wazero-b/small", "4", 10, 2*day, 4*day)
	noted("wazero-b/gone", "5", 1, 0, 0)
	if err := os.Remove(filepath.Join(dir, "wazero-b/gone")); err != nil {
		t.Fatal(err)
	}
	file("wazero-b/stray", 30, 2*day)
	file("wazero-a/old", 1, 40*day)
	file("elsewhere/file", 1000, 90*day)
	if err := prune(dir, 100, now); err != nil {
		t.Error(err)
	}
	if got, want := paths(dir), []string{"wazero-a/kept", "wazero-b/small", "wazero-b/stray"}; !slices.Equal(got, want) {
		t.Errorf("%q are left, want %q", got, want)
	}
	notes, err := os.ReadDir(filepath.Join(dir, cacheUsed))
	if err != nil || len(notes) != 2 || notes[0].Name() != "1" || notes[1].Name() != "4" {
		t.Errorf("notes %v, %v", notes, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere/file")); err != nil {
		t.Error(err)
	}
}
