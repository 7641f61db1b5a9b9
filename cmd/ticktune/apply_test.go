package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
)

// asProcess starts the program: what it does may start it again, which the test binary itself must not be.
func asProcess(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// applying is a machine to change, with calls of the program on it.
type applying struct {
	*testing.T
	root, plan string
}

func newApplying(t *testing.T) *applying {
	root, plan := machine(t, "ice")
	return &applying{t, root, plan}
}

// want calls a verb, and checks exit code and a part of what it tells.
func (a *applying) want(code int, text string, verb string, args ...string) string {
	a.Helper()
	args = append([]string{verb, "--root", a.root, "--plan", a.plan}, args...)
	got, out := asProcess(a.T, args...)
	if got != code || !strings.Contains(out, text) {
		a.Fatalf("%s: exit %d, want %d with %q\n%s", strings.Join(args, " "), got, code, text, out)
	}
	return out
}

func (a *applying) file(name, want string) {
	a.Helper()
	text, err := os.ReadFile(filepath.Join(a.root, name))
	if err != nil || strings.TrimSpace(string(text)) != want {
		a.Fatalf("%s is %q (%v), want %q", name, text, err, want)
	}
}

// ring waits until the ring of eth2 has a size.
func (a *applying) ring(want string) {
	a.Helper()
	h, err := tuning.Open(a.root, nil)
	if err != nil {
		a.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got, err := tuning.Field(h.Devices, "eth2", "rings", "rx_pending")
		if err != nil {
			a.Fatal(err)
		}
		if got == want {
			return
		}
		if time.Now().After(end) {
			a.Fatalf("the ring has %s, want %s", got, want)
		}
	}
}

// TestApplyVerbs goes through a day: plan, apply, look, set back.
func TestApplyVerbs(t *testing.T) {
	a := newApplying(t)
	only := []string{"--only", "kern.vmstat,mem.swap"}
	const interval = "proc/sys/vm/stat_interval"
	plan := a.want(tuning.ExitOK, "planned  r1  kern.vmstat", "plan", only...)
	if dry := a.want(tuning.ExitOK, "2 planned, 2 held", "apply", append(only, "--dry-run")...); dry != plan {
		t.Errorf("plan and apply --dry-run differ:\n%s\n%s", plan, dry)
	}
	a.want(tuning.ExitUsage, "nothing was changed", "apply", only...) // there is nobody to ask
	a.file(interval, "1")
	a.want(tuning.ExitOK, "clean", "snapshot", "clean")
	a.want(tuning.ExitOK, "", "diff", "clean")
	a.want(tuning.ExitOK, "2 done, 2 held", "apply", append(only, "--yes")...)
	a.file(interval, "10")
	a.want(tuning.ExitOK, "2 held", "apply", append(only, "--yes")...)
	a.want(tuning.ExitFail, interval, "diff", "clean")
	a.want(tuning.ExitOK, "clean\n", "diff")
	a.want(tuning.ExitOK, "   2  r1 ", "revert", "--list")
	var out struct {
		Schema string
		apply.Outcome
	}
	if err := json.Unmarshal([]byte(a.want(tuning.ExitOK, "", "apply", "--only", "mem.swap", "--max-risk", "r4", "--accept-security-risk", "--yes", "--json")), &out); err != nil || out.Schema != "ticktune.apply/1" || out.Count(apply.Done) != 2 || out.Run != 2 {
		t.Errorf("%+v (%v)", out, err)
	}
	a.want(tuning.ExitOK, "1 undone", "revert", "4")
	if err := os.WriteFile(filepath.Join(a.root, interval), []byte("55\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.want(tuning.ExitFail, "it is 55 now, and was set to 10", "revert", "--to", "clean")
	a.file(interval, "55")
	a.want(tuning.ExitFail, "refused", "apply", "--only", "irq.irqbalance", "--yes")
	a.want(tuning.ExitFail, "nothing waits", "confirm")
}

// TestApplyUsage: mistakes on the command line change nothing, and say what is wanted.
func TestApplyUsage(t *testing.T) {
	root, plan := machine(t, "ice")
	for _, tc := range []struct {
		args []string
		text string
	}{
		{[]string{"apply", "--max-risk", "r0"}, "want r1 to r4"},
		{[]string{"apply", "--max-risk", "much"}, "want r1 to r4"},
		{[]string{"apply", "--confirm-within", "-1s"}, "negative"},
		{[]string{"apply", "--only", "kern.vmstat", "--json"}, "--json cannot ask"},
		{[]string{"apply", "--only", "kern.vmsat"}, "no check"},
		{[]string{"apply", "now"}, "one argument too many"},
		{[]string{"revert"}, "what is to be set back?"},
		{[]string{"revert", "--all", "3"}, "what is to be set back?"},
		{[]string{"revert", "x3"}, "neither the number"},
		{[]string{"revert", "r0"}, "neither the number"},
		{[]string{"diff", "a", "b", "c"}, "one argument too many"},
		{[]string{"deadman"}, "an argument is missing"},
	} {
		code, out, errs := call(append(tc.args, "--root", root, "--plan", plan)...)
		if code != tuning.ExitUsage || !strings.Contains(errs, tc.text) {
			t.Errorf("%v: exit %d with %q, want %q\n%s", tc.args, code, errs, tc.text, out)
		}
	}
	if _, err := os.Stat(filepath.Join(root, apply.DefaultDir, "journal.jsonl")); err == nil {
		if text, err := os.ReadFile(filepath.Join(root, apply.DefaultDir, "journal.jsonl")); err != nil || len(text) > 0 {
			t.Errorf("the journal has %q (%v)", text, err)
		}
	}
}

// TestApplyConfirm: a change of an interface undoes itself, by a process that the program leaves behind, or stays when told.
func TestApplyConfirm(t *testing.T) {
	a := newApplying(t)
	rings := func(within string) {
		t.Helper()
		a.want(tuning.ExitOK, "unless: ticktune confirm", "apply", "--only", "nic.rings", "--yes", "--confirm-within", within)
	}
	rings("300ms")
	a.ring("512")
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) { // until the guard is done with its journal
		code, out := asProcess(t, "confirm", "--root", a.root)
		if code == tuning.ExitFail && strings.Contains(out, "nothing waits") {
			break
		}
		if time.Now().After(end) {
			t.Fatal(out)
		}
	}
	rings("1h")
	a.want(tuning.ExitFail, "wait to be confirmed", "apply", "--only", "kern.vmstat", "--yes")
	a.want(tuning.ExitOK, "run r2 stay", "confirm")
	a.ring("2048")
	a.want(tuning.ExitOK, "2 undone", "revert", "--all")
	a.want(tuning.ExitOK, "2 done\n", "apply", "--only", "nic.rings", "--yes", "--confirm-within", "0")
}

// TestApplyUnprivileged: who may not write learns so, with the exit code for it.
func TestApplyUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run the program as nobody, which is what is tested")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ticktune")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	copyFile(t, self, filepath.Join(dir, "ticktune"))
	state := filepath.Join(dir, "state")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o700); err != nil { // root's
		t.Fatal(err)
	}
	if code, out := asNobody(dir, state, "plan", "--only", "kern.vmstat"); code != tuning.ExitOK {
		t.Errorf("plan: exit %d\n%s", code, out)
	}
	for _, args := range [][]string{{"apply", "--only", "kern.vmstat", "--yes"}, {"snapshot"}, {"revert", "--all"}, {"confirm"}} {
		if code, out := asNobody(dir, state, args...); code != tuning.ExitPrivilege || !strings.Contains(out, "needs root") {
			t.Errorf("%v: exit %d, want %d\n%s", args, code, tuning.ExitPrivilege, out)
		}
	}
}

// asNobody starts the program of a folder as nobody.
func asNobody(dir, state string, args ...string) (code int, out string) {
	cmd := exec.Command(filepath.Join(dir, "ticktune"), append(args, "--state", state)...)
	cmd.Env, cmd.Dir = append(os.Environ(), asProgram+"=1"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), string(text)
}
