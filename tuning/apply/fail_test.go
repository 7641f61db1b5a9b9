package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// The test binary is also what it starts: the guard, and a run that kills itself.
const (
	envRoot = "TICKWIRE_APPLY_TEST_ROOT"
	envDo   = "TICKWIRE_APPLY_TEST_DO" // apply, revert
	envKill = "TICKWIRE_APPLY_TEST_KILL"
	envReal = "TICKWIRE_APPLY_TEST_REAL"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "deadman":
		if err := Guard(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv(envReal) != "":
		os.Exit(realChild())
	case os.Getenv(envRoot) != "":
		os.Exit(killedChild())
	}
	os.Exit(m.Run())
}

// fewOf is a change of each kind.
var fewOf = tuning.Select{Only: []string{"kern.vmstat", "mem.thp", "rps.off", "nic.rings", "irq.irqbalance", "sys.cpuaffinity", "cmdline.skew_tick", "cmdline.thp", "time.irq", "kern.usertasks"}}

func fewChanges(h *tuning.Host) []tuning.Change { return h.Run(fewOf).Changes() }

// killedChild does what the environment says, and at the given point kills itself without another word.
func killedChild() int {
	plan, err := tuning.ReadPlan(filepath.Join(os.Getenv(envRoot), "plan.toml"))
	if err != nil {
		panic(err)
	}
	h, err := tuning.Open(os.Getenv(envRoot), plan)
	if err != nil {
		panic(err)
	}
	left, err := strconv.Atoi(os.Getenv(envKill))
	if err != nil {
		panic(err)
	}
	o := everything()
	if s := os.Getenv("TICKWIRE_APPLY_TEST_CONFIRM"); s != "" {
		if o.Confirm, err = time.ParseDuration(s); err != nil {
			panic(err)
		}
	}
	o.fault = func(string, *Entry) error {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if os.Getenv(envDo) == "revert" {
		_, err = Revert(h, Which{All: true}, o)
	} else {
		_, err = Run(context.Background(), h, fewChanges(h), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killed starts a child that kills itself at a point, and says whether it did; else it came to its end.
func killed(t *testing.T, root, what string, at int, env ...string) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), envRoot+"="+root, envDo+"="+what, envKill+"="+strconv.Itoa(at)), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
		return true
	}
	t.Fatalf("%s, point %d: %v\n%s", what, at, err, out)
	return false
}

// standing are the journal's changes that could be set back.
func standing(t *testing.T, h *tuning.Host) []Entry {
	t.Helper()
	list, err := Standing(h, everything())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestFailAnywhere lets each step of a run fail in turn, on one machine: after each failure all is as before, nothing stands
// in the journal, and the error says so. The last time nothing fails, and everything is done.
func TestFailAnywhere(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	changes := fewChanges(h)
	boom := errors.New("boom")
	points := map[string]int{}
	n, step := 1, 1
	if testing.Short() || raceEnabled {
		step = 5
	}
	for ; ; n += step {
		if n > 2000 {
			t.Fatal("a run does not come to its end")
		}
		left, where := n, ""
		o := everything()
		o.fault = func(point string, e *Entry) error {
			if left--; left == 0 {
				where = point
				return boom
			}
			return nil
		}
		out, err := Run(context.Background(), h, changes, o)
		if where == "" {
			if err != nil || out.Count(Done) < 12 || out.Count(Done, Already) != len(out.Steps) {
				t.Fatalf("%v\n%s", err, show(out))
			}
			break
		}
		points[where]++
		if !errors.Is(err, boom) || !errors.Is(err, ErrUndone) && out.Run != 0 { // without a snapshot there is no run

			t.Fatalf("point %d (%s): %v\n%s", n, where, err, show(out))
		}
		if out.Count(Done) != 0 || out.Count(Stuck) != 0 {
			t.Fatalf("point %d (%s): something is done\n%s", n, where, show(out))
		}
		sameTree(t, treeOf(t, h.Root), before)
		if list := standing(t, h); len(list) != 0 || t.Failed() {
			t.Fatalf("point %d (%s): %d changes stand", n, where, len(list))
		}
	}
	for _, p := range []string{"journal", "write", "written", "read back", "rename", "settle", "verify"} {
		if points[p] == 0 {
			t.Errorf("no failure at %q", p)
		}
	}
	t.Logf("%d points", n-1)
}

// TestKillAnywhere kills a run at each of its points in turn. The next run undoes what it left; every third time it then
// makes all of it, as if nothing had been.
func TestKillAnywhere(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	step := 1
	if testing.Short() || raceEnabled {
		step = 7 // each point is a process
	}
	n := 1
	for ; killed(t, h.Root, "apply", n); n += step {
		if n > 2000 {
			t.Fatal("a run does not come to its end")
		}
		h = open(t, h.Root)
		if n%3 == 0 {
			if _, err := Recover(h, everything()); err != nil {
				t.Fatal(err)
			}
			sameTree(t, treeOf(t, h.Root), before)
			out := do(t, h, fewChanges(h), everything())
			if out.Count(Done) < 12 || out.Count(Done, Already) != len(out.Steps) {
				t.Fatalf("after a kill at point %d:\n%s", n, show(out))
			}
		}
		if _, err := Revert(h, Which{All: true}, everything()); err != nil {
			t.Fatalf("after a kill at point %d: %v", n, err)
		}
		sameTree(t, treeOf(t, h.Root), before)
		if len(standing(t, h)) != 0 || t.Failed() {
			t.Fatalf("after a kill at point %d changes stand", n)
		}
	}
	t.Logf("killed at points up to %d", n-step)

	// What was done stands now: set back, and killed while at it.
	h = open(t, h.Root)
	for n := 1; killed(t, h.Root, "revert", n); n += 2 + step {
		if n > 2000 {
			t.Fatal("a revert does not come to its end")
		}
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// TestKeepGoing: what the kernel refuses is left out, and the rest is done.
func TestKeepGoing(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	o := everything()
	o.KeepGoing = true
	o.fault = func(point string, e *Entry) error {
		if point == "write" && e.Check == "mem.thp" {
			return syscall.EIO
		}
		return nil
	}
	out := do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat", "mem.thp"}}).Changes(), o)
	if out.Count(Failed) != 2 || out.Count(Done) != 2 || len(standing(t, h)) != 2 {
		t.Error(show(out))
	}
	if _, err := Revert(h, Which{All: true}, everything()); err != nil {
		t.Fatal(err)
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// TestCancelled: a run that is told to end undoes what it did.
func TestCancelled(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	ctx, cancel := context.WithCancel(context.Background())
	o, n := everything(), 0
	o.fault = func(string, *Entry) error {
		if n++; n == 12 {
			cancel()
		}
		return nil
	}
	out, err := Run(ctx, h, fewChanges(h), o)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUndone) || out.Count(Undone) == 0 {
		t.Errorf("%v\n%s", err, show(out))
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// TestReadBack: a value that does not stay fails the run, and one that a later change puts back is set once more.
func TestReadBack(t *testing.T) {
	h := fullMachine(t)
	changes := h.Run(tuning.Select{Only: []string{"kern.vmstat", "kern.numa_balancing"}}).Changes()
	const file = "/proc/sys/vm/stat_interval"
	lies := func(times int, point string) Options {
		o := everything()
		o.fault = func(p string, e *Entry) error {
			if p == point && times > 0 && (e == nil || e.Target == file) {
				times--
				put(t, h, file, "1\n", 0o644)
			}
			return nil
		}
		return o
	}
	out, err := Run(context.Background(), h, changes, lies(1, "written"))
	if !errors.Is(err, ErrUndone) || !strings.Contains(err.Error(), "reads back as 1, want 10") {
		t.Errorf("%v\n%s", err, show(out))
	}
	if out, err = Run(context.Background(), h, changes, lies(100, "verify")); !errors.Is(err, ErrUndone) || !strings.Contains(err.Error(), "put it back to 1") {
		t.Errorf("%v\n%s", err, show(out))
	}
	if out, err = Run(context.Background(), h, changes, lies(1, "verify")); err != nil || get(t, h, file) != "10\n" {
		t.Errorf("%v\n%s", err, show(out))
	}
}

// TestDrift: what somebody else changed after us is told and left, and stays in the journal.
func TestDrift(t *testing.T) {
	h := fullMachine(t)
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat", "kern.numa_balancing"}}).Changes(), everything())
	put(t, h, "/proc/sys/vm/stat_interval", "77\n", 0o644)
	u, err := Revert(h, Which{All: true}, everything())
	if err != nil {
		t.Fatal(err)
	}
	if u.Count(Drift) != 1 || u.Count(Undone) != 3 || get(t, h, "/proc/sys/vm/stat_interval") != "77\n" || !strings.Contains(u.Text(), "it is 77 now, and was set to 10") {
		t.Error(u.Text())
	}
	if list := standing(t, h); len(list) != 1 || list[0].Target != "/proc/sys/vm/stat_interval" {
		t.Errorf("%+v", list)
	}
}

// TestOtherBoot: after a reboot what was set at run time is void, also where it looks the same; files are taken back.
func TestOtherBoot(t *testing.T) {
	h := fullMachine(t)
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat"}}).Changes(), everything())
	put(t, h, "/proc/sys/kernel/random/boot_id", "22222222-2222-3333-4444-555555555555\n", 0o644)
	u, err := Revert(h, Which{All: true}, everything())
	if err != nil {
		t.Fatal(err)
	}
	if u.Count(Void) != 1 || u.Count(Undone) != 1 || get(t, h, "/proc/sys/vm/stat_interval") != "10\n" {
		t.Error(u.Text())
	}
	if _, err := os.Stat(filepath.Join(h.Root, sysctlFile)); err == nil {
		t.Error("the drop-in is still there")
	}
	if len(standing(t, h)) != 0 {
		t.Error("something stands")
	}
}

// TestWhich: single changes, runs, and what came after a snapshot.
func TestWhich(t *testing.T) {
	h := fullMachine(t)
	name, err := Take(h, "clean", everything())
	if err != nil || name != "clean" {
		t.Fatal(name, err)
	}
	before := treeOf(t, h.Root)
	first := do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat"}}).Changes(), everything())
	middle := treeOf(t, h.Root)
	if name, err = Take(h, "middle", everything()); err != nil {
		t.Fatal(err)
	}
	second := do(t, h, h.Run(tuning.Select{Only: []string{"kern.numa_balancing"}}).Changes(), everything())
	if first.Run != 1 || second.Run != 2 {
		t.Fatalf("runs %d and %d", first.Run, second.Run)
	}
	revert := func(w Which, undone int) {
		t.Helper()
		u, err := Revert(h, w, everything())
		if err != nil {
			t.Fatal(err)
		}
		if u.Count(Undone) != undone {
			t.Error(u.Text())
		}
	}
	revert(Which{Entries: []int{4}}, 1) // of the second run, out of the middle of a file
	if text := get(t, h, sysctlFile); strings.Contains(text, "numa_balancing") || !strings.Contains(text, "stat_interval") {
		t.Error(text)
	}
	revert(Which{Snapshot: "middle"}, 1)
	sameTree(t, treeOf(t, h.Root), middle)
	revert(Which{Runs: []int{1}}, 2)
	sameTree(t, treeOf(t, h.Root), before)
	for _, w := range []Which{{Entries: []int{4}}, {Runs: []int{1}}, {Snapshot: "none"}, {Snapshot: "../x"}} {
		if _, err := Revert(h, w, everything()); err == nil {
			t.Errorf("%+v was found", w)
		}
	}
}

// TestBusy: two runs do not work at once.
func TestBusy(t *testing.T) {
	h := fullMachine(t)
	o := everything()
	tried := false
	o.fault = func(string, *Entry) error {
		if tried {
			return nil
		}
		tried = true
		for _, f := range []func() error{
			func() error { _, err := Run(context.Background(), open(t, h.Root), nil, everything()); return err },
			func() error { _, err := Revert(open(t, h.Root), Which{All: true}, everything()); return err },
			func() error { _, err := Confirm(open(t, h.Root), everything()); return err },
		} {
			if err := f(); !errors.Is(err, ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
		}
		return nil
	}
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat"}}).Changes(), o)
	if !tried {
		t.Error("not tried")
	}
}

// TestTornJournal: a last line that a crash cut is as if it had not been; damage elsewhere stops everything.
func TestTornJournal(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat"}}).Changes(), everything())
	const name = DefaultDir + "/journal.jsonl"
	whole := get(t, h, name)
	put(t, h, name, strings.Replace(whole, `"do":"set"`, `"do:set"`, 1), 0o600)
	if _, err := Revert(h, Which{All: true}, everything()); !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
	for _, tail := range []string{`{"do":"set","entry":{"id":3`, "\x00\x00\x00", "{"} {
		put(t, h, name, whole+tail, 0o600)
		if _, err := Run(context.Background(), h, nil, everything()); err != nil {
			t.Fatal(err)
		}
		if get(t, h, name) != whole {
			t.Errorf("after the tail %q the journal is another", tail)
		}
	}
	if _, err := Revert(h, Which{All: true}, everything()); err != nil {
		t.Fatal(err)
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// eventually waits for a condition; the time is for machines that do not get on.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not so after two minutes", what)
		}
	}
}

func guardGone(h *tuning.Host) bool {
	o := everything()
	m, err := newMachine(h, &o)
	if err != nil {
		return false
	}
	o.Dir = DefaultDir
	return !m.guardLives()
}

// TestGuard: network changes that nobody confirms undo themselves, by a process of its own; confirmed ones stay, and the rest
// of a run stays in any case. A run that is killed amidst is undone as well.
func TestGuard(t *testing.T) {
	only := tuning.Select{Only: []string{"kern.vmstat", "nic.rings"}}
	ring := func(h *tuning.Host) string {
		v, err := tuning.Field(h.Devices, "eth2", "rings", "rx_pending")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	o := everything()

	t.Run("unconfirmed", func(t *testing.T) {
		h := fullMachine(t)
		o := o
		o.Confirm = 300 * time.Millisecond
		out := do(t, h, h.Run(only).Changes(), o)
		if out.ConfirmS != 0.3 {
			t.Errorf("%v s", out.ConfirmS)
		}
		eventually(t, "the ring is as before", func() bool { return ring(h) == "512" })
		eventually(t, "the guard ended", func() bool { return guardGone(h) })
		if _, err := os.Stat(filepath.Join(h.Root, linkFile("eth2"))); err == nil {
			t.Error("the .link file stayed")
		}
		if get(t, h, "/proc/sys/vm/stat_interval") != "10\n" || len(standing(t, h)) != 2 {
			t.Error("what is not of the network did not stay")
		}
		if run, err := Confirm(h, o); run != 0 || err != nil {
			t.Errorf("confirmed run %d after that (%v)", run, err)
		}
	})
	t.Run("confirmed", func(t *testing.T) {
		h := fullMachine(t)
		o := o
		o.Confirm = time.Hour
		do(t, h, h.Run(only).Changes(), o)
		if guardGone(h) {
			t.Fatal("there is no guard")
		}
		if _, err := Run(context.Background(), h, changesOf(h), o); !errors.Is(err, ErrPending) {
			t.Errorf("a run before that: %v", err)
		}
		if run, err := Confirm(h, o); run != 1 || err != nil {
			t.Fatalf("confirmed run %d (%v)", run, err)
		}
		eventually(t, "the guard ended", func() bool { return guardGone(h) })
		if ring(h) != "2048" || len(standing(t, h)) != 4 {
			t.Error("confirmed changes did not stay")
		}
	})
	t.Run("set back", func(t *testing.T) { // by a person, before the time is over: the next run has a guard of its own
		h := fullMachine(t)
		o := o
		o.Confirm = time.Hour
		changes := h.Run(only).Changes()
		for range 2 {
			do(t, h, changes, o)
			if u, err := Revert(h, Which{All: true}, o); err != nil || u.Count(Undone) != 4 {
				t.Fatalf("%v\n%s", err, u.Text())
			}
		}
		eventually(t, "the guards ended", func() bool { return guardGone(h) })
	})
	t.Run("journal gone", func(t *testing.T) { // a guard makes no new one
		h := fullMachine(t)
		o := o
		o.Confirm = time.Hour
		do(t, h, h.Run(only).Changes(), o)
		dir := filepath.Join(h.Root, DefaultDir)
		lock, err := os.Open(filepath.Join(dir, guardLock))
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the guard ended", func() bool { return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil })
		if _, err := os.Stat(dir); err == nil {
			t.Error("the guard made a journal anew")
		}
	})
	t.Run("killed", func(t *testing.T) {
		h := fullMachine(t)
		before := treeOf(t, h.Root)
		if !killed(t, h.Root, "apply", 40, "TICKWIRE_APPLY_TEST_CONFIRM=300ms") {
			t.Fatal("it came to its end")
		}
		eventually(t, "the guard undid the run", func() bool { return len(standing(t, h)) == 0 })
		eventually(t, "the guard ended", func() bool { return guardGone(h) })
		sameTree(t, treeOf(t, h.Root), before)
	})
	t.Run("failed", func(t *testing.T) {
		h := fullMachine(t)
		before := treeOf(t, h.Root)
		o := o
		o.Confirm = time.Hour
		once := true
		o.fault = func(point string, e *Entry) error {
			if once && point == "written" && e.Kind == tuning.Link {
				once = false
				return errors.New("boom")
			}
			return nil
		}
		if _, err := Run(context.Background(), h, h.Run(only).Changes(), o); !errors.Is(err, ErrUndone) {
			t.Error(err)
		}
		if !guardGone(h) {
			t.Error("the guard of a run that undid itself is still there")
		}
		sameTree(t, treeOf(t, h.Root), before)
	})
	t.Run("no guard", func(t *testing.T) {
		h := fullMachine(t)
		before := treeOf(t, h.Root)
		o := o
		o.Confirm, o.Guard = time.Hour, []string{"/bin/false"}
		if _, err := Run(context.Background(), h, h.Run(only).Changes(), o); err == nil || !strings.Contains(err.Error(), "guard") {
			t.Errorf("%v", err)
		}
		sameTree(t, treeOf(t, h.Root), before)
	})
}

// TestBrokenTool: where update-grub does not work, a run that needs it is undone, and the next one is not kept from working.
func TestBrokenTool(t *testing.T) {
	h := fullMachine(t)
	lend(t, h, "/fake/bin/update-grub", "#!/bin/sh\necho no such device >&2\nexit 1\n")
	before := treeOf(t, h.Root)
	out, err := Run(context.Background(), h, fewChanges(h), everything())
	if !errors.Is(err, ErrUndone) || !strings.Contains(err.Error(), "no such device") {
		t.Fatalf("%v\n%s", err, show(out))
	}
	sameTree(t, treeOf(t, h.Root), before)
	if len(standing(t, h)) != 0 {
		t.Error("something stands")
	}
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat"}}).Changes(), everything())
}

// TestTaskEnds: that a task comes to its end amidst a run is no failure of the run.
func TestTaskEnds(t *testing.T) {
	for _, point := range []string{"journal", "write", "written", "verify"} {
		h := fullMachine(t)
		o := everything()
		o.fault = func(p string, e *Entry) error {
			if p == point && (e == nil || e.Target == "800") {
				return os.RemoveAll(filepath.Join(h.Root, "proc/800"))
			}
			return nil
		}
		out := do(t, h, h.Run(tuning.Select{Only: []string{"kern.usertasks", "kern.vmstat"}}).Changes(), o)
		if out.Count(Done) < 2 || out.Count(Failed, Undone) > 0 {
			t.Errorf("%s:\n%s", point, show(out))
		}
		u, err := Revert(h, Which{All: true}, everything())
		if err != nil || u.Count(Undone) != 2 || len(standing(t, h)) != 0 {
			t.Errorf("%s: %v\n%s", point, err, u.Text())
		}
	}
}
