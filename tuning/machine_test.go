package tuning

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tuning/fakeroot"
)

// machines are the archives of testdata/machines.
var machines = []string{"mlx5", "ice", "vm", "arm", "container", "cgroup1", "offline", "refuse"}

// noon is when tests look: waivers expire by it.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// shared are trees that tests only look at: one has a thousand files.
var shared struct{ dir string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tuning")
	if err != nil {
		panic(err)
	}
	shared.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// machine opens a machine with its own plan, to look at.
func machine(t testing.TB, name string) *Host {
	t.Helper()
	dir := filepath.Join(shared.dir, name)
	if _, err := os.Stat(dir); err != nil {
		if err := fakeroot.Write(dir, os.DirFS("testdata/machines"), name+".txtar"); err != nil {
			t.Fatal(err)
		}
	}
	return openMachine(t, dir)
}

// ownMachine makes a tree that the test may change.
func ownMachine(t testing.TB, name string) *Host {
	t.Helper()
	dir := t.TempDir()
	if err := fakeroot.Write(dir, os.DirFS("testdata/machines"), name+".txtar"); err != nil {
		t.Fatal(err)
	}
	return openMachine(t, dir)
}

func openMachine(t testing.TB, dir string) *Host {
	t.Helper()
	plan, err := ReadPlan(filepath.Join(dir, "plan.toml"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(dir, plan)
	if err != nil {
		t.Fatal(err)
	}
	h.Now = noon
	return h
}

// set writes one file of a machine, before it is looked at.
func set(t testing.TB, h *Host, name, text string) {
	t.Helper()
	full := h.path(name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
