package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

// machineOf makes the tree of an archive, and opens it with its plan.
func machineOf(t *testing.T, name string) *tuning.Host {
	t.Helper()
	root := t.TempDir()
	if err := fakeroot.Write(root, os.DirFS("../testdata/machines"), name+".txtar"); err != nil {
		t.Fatal(err)
	}
	return open(t, root)
}

func open(t *testing.T, root string) *tuning.Host {
	t.Helper()
	var plan *tuning.Plan
	if _, err := os.Stat(filepath.Join(root, "plan.toml")); err == nil {
		if plan, err = tuning.ReadPlan(filepath.Join(root, "plan.toml")); err != nil {
			t.Fatal(err)
		}
	}
	h, err := tuning.Open(root, plan)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// treeOf is all that a machine holds, but the state of apply itself: files by what they say, folders, links.
func treeOf(t *testing.T, root string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case rel == "var/lib/ticktune":
			return filepath.SkipDir
		case rel == "var" || rel == "var/lib":
		case d.IsDir():
			tree[rel+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			tree[rel], err = os.Readlink(path)
		default:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			tree[rel] = string(text)
			if strings.HasSuffix(rel, ".json") { // as a driver, it has fields and no spelling
				var v any
				if err := json.Unmarshal(text, &v); err != nil {
					return fmt.Errorf("%s: %w", rel, err)
				}
				tree[rel] = fmt.Sprint(v)
			} else if strings.HasPrefix(rel, "proc/") || strings.HasPrefix(rel, "sys/") { // the kernel spells values its own way
				tree[rel] = strings.Join(strings.Fields(string(text)), " ")
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// sameTree fails with the first differences.
func sameTree(t *testing.T, got, want map[string]string) {
	t.Helper()
	n := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[name]; !ok || v != want[name] {
			if n++; n < 6 {
				t.Errorf("%s: %q (there: %v), want %q", name, v, ok, want[name])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			if n++; n < 6 {
				t.Errorf("%s was left behind: %q", name, got[name])
			}
		}
	}
}

// everything allows whatever can be done, and needs no guard; one that is asked for is the test binary (TestMain).
func everything() Options {
	return Options{MaxRisk: tuning.R4, AcceptSecurityRisk: true, AllowMgmt: true, Confirm: -1, Guard: SelfGuard}
}

func changesOf(h *tuning.Host) []tuning.Change { return h.Run(tuning.Select{}).Changes() }

// do runs and wants no failure.
func do(t *testing.T, h *tuning.Host, changes []tuning.Change, o Options) *Outcome {
	t.Helper()
	out, err := Run(context.Background(), h, changes, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func show(out *Outcome) string {
	var b strings.Builder
	_ = out.Text(&b)
	return b.String()
}

// TestApplyAndRevert makes machines fit and as they were: everything that was done reads as wanted, and comes back.
func TestApplyAndRevert(t *testing.T) {
	for _, name := range []string{"vm", "ice", "offline"} {
		t.Run(name, func(t *testing.T) {
			h := machineOf(t, name)
			before := treeOf(t, h.Root)
			out := do(t, h, changesOf(h), everything())
			if out.Count(Done) < 1 || out.Count(Failed, Undone, Stuck, Skipped) > 0 {
				t.Fatal(show(out))
			}
			u, err := Revert(h, Which{All: true}, everything())
			if err != nil {
				t.Fatal(err)
			}
			if u.Count(Undone) != out.Count(Done) {
				t.Fatal(u.Text())
			}
			sameTree(t, treeOf(t, h.Root), before)
		})
	}
}

// TestIdempotent: what is done is not done again, and a run with nothing to do writes nothing.
func TestIdempotent(t *testing.T) {
	h := machineOf(t, "vm")
	changes := changesOf(h)
	first := do(t, h, changes, everything())
	journal := filepath.Join(h.Root, DefaultDir, "journal.jsonl")
	was, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	tree := treeOf(t, h.Root)
	second := do(t, h, changes, everything())
	if second.Run != 0 || second.Count(Done) != 0 || second.Count(Already) < first.Count(Done) {
		t.Error(show(second))
	}
	if is, err := os.ReadFile(journal); err != nil || string(is) != string(was) {
		t.Errorf("the journal grew (%v)", err)
	}
	sameTree(t, treeOf(t, h.Root), tree)
}

// TestDryRun plans the same steps in the same order, and touches nothing.
func TestDryRun(t *testing.T) {
	h := machineOf(t, "ice")
	before := treeOf(t, h.Root)
	changes := changesOf(h)
	o := everything()
	o.DryRun = true
	plan := do(t, h, changes, o)
	sameTree(t, treeOf(t, h.Root), before)
	if _, err := os.Stat(filepath.Join(h.Root, DefaultDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dry run left %s (%v)", DefaultDir, err)
	}
	real := do(t, h, changes, everything())
	if len(plan.Steps) != len(real.Steps) {
		t.Fatalf("%d steps planned, %d done", len(plan.Steps), len(real.Steps))
	}
	for i := range plan.Steps {
		a, b := &plan.Steps[i], &real.Steps[i]
		if a.Command != b.Command || a.State != b.State && !(a.State == Planned && b.State == Done) || a.Reason != b.Reason {
			t.Errorf("step %d: planned %s %s (%s), done %s %s (%s)", i, a.State, a.Command, a.Reason, b.State, b.Command, b.Reason)
		}
	}
}
