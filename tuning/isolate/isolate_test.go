package isolate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

// asSpinner makes the test binary a process with threads of its own names, to be put in place.
const asSpinner = "ISOLATE_TEST_AS_SPINNER"

func TestMain(m *testing.M) {
	if os.Getenv(asSpinner) != "" {
		spinner()
		return
	}
	os.Exit(m.Run())
}

// spinner has two threads with names besides the runtime's, and lives until its input ends.
func spinner() {
	named := make(chan struct{})
	for _, name := range []string{"lane:a", "lane:b"} {
		go func() {
			runtime.LockOSThread()
			if err := os.WriteFile("/proc/thread-self/comm", []byte(name), 0); err != nil {
				fmt.Println(err)
			}
			named <- struct{}{}
			select {}
		}()
		<-named
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func machine(t testing.TB) *tuning.Host {
	t.Helper()
	root := t.TempDir()
	if err := fakeroot.Write(root, os.DirFS("testdata"), "feed.txtar"); err != nil {
		t.Fatal(err)
	}
	h, err := tuning.Open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// files is a tree as a person would compare it, without apply's own.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == filepath.Join(root, "var"):
			return filepath.SkipDir
		case d.IsDir():
			all[name] = "folder"
			return nil
		}
		text, err := os.ReadFile(name)
		all[name] = strings.Join(strings.Fields(string(text)), " ")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %q, want %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s was left behind", name)
		}
	}
}

var options = apply.Options{MaxRisk: tuning.R3}

// TestPlaceAndBack puts a feed in place, with a partition of its own, and takes it back: the tree is as it was.
func TestPlaceAndBack(t *testing.T) {
	h := machine(t)
	before := files(t, h.Root)
	lane, err := ParseRule("lane:*=4-5:fifo:10")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{PID: 4711, Cores: tuning.CPUs{4, 5, 6}, Rules: []Rule{lane}, Cgroup: "feed"}
	p, err := Plan(h, o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `thread  name         last on  may run on  scheduled
4711    tickwire     3        0-3 → 4-6   other 0
4712    lane:a       1        0-3 → 4-5   other 0 → fifo 10
4713    lane:b       2        0-3 → 4-5   other 0 → fifo 10
4714    store (old)  0        0-3 → 4-6   other 5
cgroup /feed: isolated, cores 4-6, the process comes from /system.slice/feed.service
note: the process leaves feed.service: the unit's limits no longer hold, and systemd does not see it in there; for good set AllowedCPUs= of a slice
note: core 6 shares its circuits with 2, which is not meant to be quiet
note: lane:a is to be real-time: if it never sleeps, nothing else of its core runs, the kernel's own work neither (check kern.rt_throttle)
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	out, err := apply.Run(context.Background(), h, p.Changes, options)
	if err != nil || out.Count(apply.Done) != len(p.Changes) || len(p.Changes) != 9 {
		t.Fatalf("%d changes, %+v, %v", len(p.Changes), out, err)
	}
	for name, want := range map[string]string{"/sys/fs/cgroup/feed/cpuset.cpus": "4-6", "/sys/fs/cgroup/feed/cpuset.cpus.partition": "isolated", "/sys/fs/cgroup/feed/cgroup.procs": "4711",
		"/sys/fs/cgroup/cgroup.subtree_control": "cpu memory cpuset", "/proc/4711/cgroup": "0::/feed"} {
		if text, err := os.ReadFile(h.Path(name)); err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
	again, err := Plan(h, o)
	if err != nil || len(again.Changes) != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	if u, err := apply.Revert(h, apply.Which{All: true}, options); err != nil || u.Count(apply.Undone) != 9 {
		t.Fatalf("%+v, %v", u, err)
	}
	after := files(t, h.Root)
	delete(before, h.Path("/sys/fs/cgroup/cgroup.procs")) // what a tree remembers is who was written there last
	delete(after, h.Path("/sys/fs/cgroup/cgroup.procs"))
	same(t, after, before)
}

// TestPartitionAlone makes a partition without a process, and grows one that is there.
func TestPartitionAlone(t *testing.T) {
	h := machine(t)
	for _, cores := range []tuning.CPUs{{4}, {4, 5}} {
		p, err := Plan(h, Options{Cores: cores, Cgroup: "feed"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apply.Run(context.Background(), h, p.Changes, options); err != nil {
			t.Fatal(err)
		}
		h.Refresh(h.Now)
		if text, err := h.Read("/sys/fs/cgroup/feed/cpuset.cpus"); err != nil || text != cores.String() {
			t.Errorf("%q, %v, want %s", text, err, cores)
		}
	}
	if u, err := apply.Revert(h, apply.Which{All: true}, options); err != nil || u.Count(apply.Undone) != 3 || h.Exists("/sys/fs/cgroup/feed") {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestFaults: what cannot be is told before anything is done, all at once.
func TestFaults(t *testing.T) {
	four := tuning.CPUs{4}
	for _, tc := range []struct {
		name string
		o    Options
		want string
	}{
		{"no cores", Options{PID: 4711}, "no cores are named"},
		{"offline", Options{PID: 4711, Cores: tuning.CPUs{9}}, "cores 9 are not online (0-7 are)"},
		{"init", Options{PID: 1, Cores: four}, "process 1 is not put in place"},
		{"nothing", Options{Cores: four}, "neither a process nor a cgroup"},
		{"a kernel thread", Options{PID: 40, Cores: four}, "a thread of the kernel (migration/1)"},
		{"a whole node", Options{PID: 4711, Cores: tuning.CPUs{3, 4, 5, 6, 7}, Cgroup: "feed"}, "all of NUMA node 1"},
		{"a way out", Options{PID: 4711, Cores: four, Cgroup: "../feed"}, "no name of one below the root"},
		{"outside the cgroup", Options{PID: 4711, Cores: four, Cgroup: "feed", Rules: []Rule{{Name: "lane*", Cores: tuning.CPUs{5}}}}, "cores 5 are not the cgroup's (4)"},
		{"a cgroup of nothing", Options{PID: 4711, Cgroup: "feed", Rules: []Rule{{Name: "lane*", Cores: four}}}, "a cgroup needs --cores"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if p, err := Plan(machine(t), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v, want %q", p, err, tc.want)
			}
		})
	}
	if _, err := Plan(machine(t), Options{PID: 999, Cores: four}); !errors.Is(err, ErrGone) {
		t.Errorf("no process: %v", err)
	}
}

// TestNoPartition: without cgroup v2, or without its controller, the reason is told, and affinities can be set all the same.
func TestNoPartition(t *testing.T) {
	for file, text := range map[string]string{"cgroup.controllers": "", "cgroup.controllers ": "cpu memory"} {
		h := machine(t)
		name := h.Path("/sys/fs/cgroup/" + strings.TrimSpace(file))
		err := os.Remove(name)
		if text != "" {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Plan(h, Options{PID: 4711, Cores: tuning.CPUs{4}, Cgroup: "feed"}); !errors.Is(err, ErrNoCgroup) {
			t.Errorf("%q: %v", text, err)
		}
		p, err := Plan(h, Options{PID: 4711, Cores: tuning.CPUs{4}})
		if err != nil || len(p.Changes) != 4 {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
		if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "its cgroup has cores 0-3 only, not 4") || !strings.Contains(notes, "cores 4 are not isolated") {
			t.Errorf("notes %s", notes)
		}
	}
}

// TestInvalidPartition: a partition that the kernel calls invalid is not taken for one: it is made anew.
func TestInvalidPartition(t *testing.T) {
	h := machine(t)
	if err := os.MkdirAll(h.Path("/sys/fs/cgroup/feed"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"cpuset.cpus": "4", "cpuset.cpus.partition": "isolated invalid (Parent is not a partition root)", "cgroup.procs": ""} {
		if err := os.WriteFile(h.Path("/sys/fs/cgroup/feed/"+name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Plan(h, Options{Cores: tuning.CPUs{4}, Cgroup: "feed"})
	if err != nil || len(p.Changes) != 2 || !strings.Contains(p.Changes[1].Old, "isolated invalid (Parent") {
		t.Fatalf("%+v, %v", p, err)
	}
	if out, err := apply.Run(context.Background(), h, p.Changes, options); err != nil || out.Count(apply.Done) != 2 {
		t.Errorf("%+v, %v", out, err)
	}
	h.Refresh(h.Now)
	if text, err := h.Read("/sys/fs/cgroup/feed/cpuset.cpus.partition"); err != nil || text != "isolated" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestGoneThread: a thread that ends between plan and run is left out, the rest is done.
func TestGoneThread(t *testing.T) {
	h := machine(t)
	p, err := Plan(h, Options{PID: 4711, Cores: tuning.CPUs{4}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(h.Path("/proc/4711/task/4713")); err != nil {
		t.Fatal(err)
	}
	out, err := apply.Run(context.Background(), h, p.Changes, options)
	if err != nil || out.Count(apply.Done) != 3 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestRealProcess puts a child of the test's in place for real: its lanes on core one, batch; the rest on another. Then it takes it back.
func TestRealProcess(t *testing.T) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	cores := h.Online()
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	cores = slices.DeleteFunc(slices.Clone(cores), func(c int) bool { return !mine.IsSet(c) })
	if len(cores) < 2 {
		t.Skip("one core")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asSpinner+"=1", "GODEBUG=", "GOTRACEBACK=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if line := make([]byte, 6); true {
		if n, err := out.Read(line); err != nil || !strings.HasPrefix(string(line[:n]), "ready") {
			t.Fatalf("%q, %v", line[:n], err)
		}
	}
	first, second := cores[:1], cores[1:2]
	o := Options{PID: cmd.Process.Pid, Cores: first, Rules: []Rule{{Name: "lane:*", Cores: second, Policy: "batch 3"}}}
	was, err := h.TasksOf(o.PID)
	if err != nil || len(was) < 3 {
		t.Fatalf("%+v, %v", was, err)
	}
	a := options
	a.Dir = filepath.Join(t.TempDir(), "journal")
	// The runtime may start a thread at any time: it then has what its parent has, and is put in place by another run.
	for round := 0; ; round++ {
		p, err := Plan(h, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Changes) == 0 {
			break
		}
		if round == 10 {
			t.Fatalf("still not in place: %+v", p.Changes)
		}
		if done, err := apply.Run(context.Background(), h, p.Changes, a); err != nil {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	lanes := 0
	now, err := h.TasksOf(o.PID)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range now {
		want, policy := first, policyOf(was[0])
		if strings.HasPrefix(task.Name, "lane:") {
			want, policy = second, "batch 3"
			lanes++
		}
		if !slices.Equal(task.Allowed, want) || policyOf(task) != policy {
			t.Errorf("%+v, want on %s, %s", task, want, policy)
		}
	}
	if lanes != 2 {
		t.Errorf("%d lanes", lanes)
	}
	if _, err := apply.Revert(h, apply.Which{All: true}, a); err != nil {
		t.Fatal(err)
	}
	if now, err = h.TasksOf(o.PID); err != nil {
		t.Fatal(err)
	}
	for _, old := range was {
		i := slices.IndexFunc(now, func(task tuning.Task) bool { return task.TID == old.TID })
		if i < 0 {
			continue
		}
		if !slices.Equal(now[i].Allowed, old.Allowed) || policyOf(now[i]) != policyOf(old) {
			t.Errorf("put back as %+v, want %+v", now[i], old)
		}
	}
}

// FuzzRule: what people write for threads and policies.
func FuzzRule(f *testing.F) {
	for _, s := range []string{"lane*=4-5:fifo:10", "a=1", "=1", "a=", "a=1:deadline", "a=1:other:-20", "a=1:rr:0", "[=1", "a=b=0-3:idle", "a=1:fifo:10:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		if r.Name == "" || len(r.Cores) == 0 {
			t.Fatalf("%q gives %+v", s, r)
		}
		if r.Policy != "" {
			if again, err := Policy(strings.ReplaceAll(r.Policy, " ", ":")); err != nil || again != r.Policy {
				t.Fatalf("%q: policy %q is read as %q, %v", s, r.Policy, again, err)
			}
		}
	})
}
