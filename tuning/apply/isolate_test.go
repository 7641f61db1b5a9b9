package apply

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// isolated is a machine with cgroup v2 and one process.
func isolated(t *testing.T) *tuning.Host {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/sys/kernel/random/boot_id":                "0f0f0f0f-1111-2222-3333-444444444444\n",
		"sys/fs/cgroup/cgroup.controllers":              "cpuset cpu\n",
		"sys/fs/cgroup/cgroup.subtree_control":          "cpu\n",
		"sys/fs/cgroup/user.slice/a.scope/cgroup.procs": "4711\n",
		"proc/4711/cgroup":                              "12:cpu:/old\n0::/user.slice/a.scope\n",
		"proc/4711/task/4711/status":                    "Name:\ta (b) c\nCpus_allowed_list:\t0-3\n",
		"proc/4711/task/4711/stat":                      "4711 (a (b) c) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 25 5 4 0 5000 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n",
	} {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, root)
}

// isolating is a change of each kind, in the order in which they can be done.
func isolating() []tuning.Change {
	const name = "a (b) c"
	return []tuning.Change{
		{Kind: tuning.Affinity, Target: "4711", Key: name, Value: "2", Risk: tuning.R1},
		{Kind: tuning.Schedule, Target: "4711", Key: name, Value: "rr 7", Risk: tuning.R3},
		{Kind: tuning.Controller, Target: "/", Key: "cpuset", Value: "on", Risk: tuning.R1},
		{Kind: tuning.Cgroup, Target: "/feed", Value: "isolated 2-3", Risk: tuning.R1},
		{Kind: tuning.Member, Target: "4711", Key: name, Value: "/feed", Risk: tuning.R1},
	}
}

// TestIsolateFailsAnywhere lets each step of a run fail at each point: the tree is then as it was.
func TestIsolateFailsAnywhere(t *testing.T) {
	broken := errors.New("broken by the test")
	for _, point := range []string{"journal", "write", "written", "read back", "verify"} {
		for at := 1; at <= len(isolating()); at++ {
			t.Run(point+strconv.Itoa(at), func(t *testing.T) {
				h := isolated(t)
				before := treeOf(t, h.Root)
				o, n := everything(), 0
				o.fault = func(p string, _ *Entry) error {
					if p != point {
						return nil
					}
					if n++; n == at {
						return broken
					}
					return nil
				}
				if _, err := Run(t.Context(), h, isolating(), o); !errors.Is(err, broken) || !errors.Is(err, ErrUndone) {
					t.Fatal(err)
				}
				sameTree(t, treeOf(t, h.Root), before)
			})
		}
	}
}

// TestIsolateKinds does all of it, a second time nothing, and takes it back.
func TestIsolateKinds(t *testing.T) {
	h := isolated(t)
	before := treeOf(t, h.Root)
	if out := do(t, h, isolating(), everything()); out.Count(Done) != 5 {
		t.Fatal(show(out))
	}
	for name, want := range map[string]string{"sys/fs/cgroup/feed/cpuset.cpus": "2-3", "sys/fs/cgroup/feed/cpuset.cpus.partition": "isolated", "proc/4711/cgroup": "12:cpu:/old\n0::/feed", "sys/fs/cgroup/feed/cgroup.procs": "4711"} {
		if text, err := os.ReadFile(filepath.Join(h.Root, name)); err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
	if out := do(t, h, isolating(), everything()); out.Count(Already) != 5 {
		t.Fatal(show(out))
	}
	if u, err := Revert(h, Which{All: true}, everything()); err != nil || u.Count(Undone) != 5 {
		t.Fatalf("%+v, %v", u, err)
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// TestIsolateUnknown: what is not understood is refused, and a task that is gone is no fault.
func TestIsolateUnknown(t *testing.T) {
	h := isolated(t)
	before := treeOf(t, h.Root)
	for _, c := range []tuning.Change{
		{Kind: tuning.Cgroup, Target: "/../etc", Value: "isolated 2"}, {Kind: tuning.Cgroup, Target: "/a/b", Value: "isolated 2"}, {Kind: tuning.Controller, Target: "/", Key: "io", Value: "on"},
		{Kind: tuning.Member, Target: "0", Value: "/feed"}, {Kind: tuning.Schedule, Target: "x", Value: "fifo 1"},
	} {
		if out := do(t, h, []tuning.Change{c}, everything()); out.Count(Refused) != 1 {
			t.Errorf("%+v: %s", c, show(out))
		}
	}
	for _, c := range []tuning.Change{{Kind: tuning.Schedule, Target: "4711", Key: "a (b) c", Value: "deadline 1"}, {Kind: tuning.Schedule, Target: "4711", Key: "a (b) c", Value: "fifo 100"},
		{Kind: tuning.Cgroup, Target: "/feed", Value: "owner 2"}, {Kind: tuning.Member, Target: "4711", Key: "a (b) c", Value: "/../feed"}} {
		if _, err := Run(t.Context(), h, []tuning.Change{c}, everything()); !errors.Is(err, ErrUndone) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if out := do(t, h, []tuning.Change{{Kind: tuning.Schedule, Target: "4711", Key: "another", Value: "batch 0"}, {Kind: tuning.Member, Target: "4712", Value: "/feed"}}, everything()); out.Count(Already, Refused) != 2 {
		t.Error(show(out))
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// TestScheduleForReal schedules a child of the test's as batch and, where that is allowed, as fifo, and as it was.
func TestScheduleForReal(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := everything()
	o.Dir = filepath.Join(t.TempDir(), "journal")
	was, err := unix.SchedGetAttr(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		value  string
		policy uint32
		number int32
	}{{"batch 12", unix.SCHED_BATCH, 12}, {"fifo 1", unix.SCHED_FIFO, 1}} {
		out, err := Run(t.Context(), h, []tuning.Change{{Kind: tuning.Schedule, Target: strconv.Itoa(cmd.Process.Pid), Value: tc.value, Risk: tuning.R3}}, o)
		if errors.Is(err, unix.EPERM) && tc.policy == unix.SCHED_FIFO {
			t.Logf("no real-time scheduling here: %v", err)
			continue
		} else if err != nil {
			t.Fatalf("%s: %v\n%s", tc.value, err, show(out))
		}
		a, err := unix.SchedGetAttr(cmd.Process.Pid, 0)
		if err != nil || a.Policy != tc.policy || max(a.Nice, int32(a.Priority)) != tc.number {
			t.Errorf("%s: %+v, %v", tc.value, a, err)
		}
	}
	if _, err := Revert(h, Which{All: true}, o); err != nil {
		t.Fatal(err)
	}
	if a, err := unix.SchedGetAttr(cmd.Process.Pid, 0); err != nil || a.Policy != was.Policy || a.Nice != was.Nice {
		t.Errorf("put back as %+v, %v, want %+v", a, err, was)
	}
}
