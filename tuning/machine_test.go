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

// machine makes a tree of an archive, and opens it with its own plan.
func machine(t testing.TB, name string) *Host {
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
