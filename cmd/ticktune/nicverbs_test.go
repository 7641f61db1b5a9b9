package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/tuning"
)

// TestVerbsExitCodes: each verb of the host's devices, its faults and what it says of them.
func TestVerbsExitCodes(t *testing.T) {
	root, _ := machine(t, "mlx5")
	for _, tc := range []struct {
		args string
		want int
		text string
	}{
		{"nic eth2", tuning.ExitOK, "driver    mlx5_core"},
		{"nic", tuning.ExitOK, "eth2  mlx5_core"},
		{"nic eth9", tuning.ExitPlatform, "eth9: no such interface"},
		{"nic eth2 eth3", tuning.ExitUsage, "one argument too many"},
		{"nic set eth2", tuning.ExitUsage, "an argument is missing"},
		{"nic set eth2 rings.rx=9999", tuning.ExitUsage, "up to 8192"},
		{"nic set eth2 rings.rx=2048", tuning.ExitOK, "nothing to do"},
		{"nic set eth2 rings.rx=4096 --dry-run", tuning.ExitOK, "planned  r2  nic set"},
		{"flow list eth2", tuning.ExitOK, "0: udp4 233.54.12.11:26477 -> queue 1"},
		{"flow add eth2 10.0.0.1:5 0", tuning.ExitUsage, "want one such as"},
		{"flow add eth2 233.54.12.12:5 x", tuning.ExitUsage, "is no number"},
		{"flow add eth2 233.54.12.12:5 2", tuning.ExitUsage, "there are 0 to 1"},
		{"flow add eth2 233.54.12.12:5 1 --dry-run", tuning.ExitOK, "dst-ip 233.54.12.12 dst-port 5 action 1"},
		{"flow delete eth2 9", tuning.ExitUsage, "there is no rule 9"},
		{"irq --for 10ms --all", tuning.ExitOK, "mlx5_comp1@pci:0000:3b:00.0  (eth2 queue 1)"},
		{"irq --for 1ms", tuning.ExitUsage, "less than 10ms"},
		{"irq --on 5-4", tuning.ExitUsage, "--on"},
		{"irq --nic eth9", tuning.ExitPlatform, "eth9: no such interface"},
		{"irq move eth2:9 1", tuning.ExitPlatform, "no such interrupt"},
		{"irq move 120 99", tuning.ExitUsage, "online are 0-15"},
		{"irq move 120", tuning.ExitUsage, "an argument is missing"},
		{"irq move eth2 8 --dry-run", tuning.ExitOK, "echo 8 > /proc/irq/120/smp_affinity_list"},
		{"numa --cores 0 --nic eth2", tuning.ExitOK, "eth2 is on node 1, and cores 0 of the plan are not"},
		{"ptp eth2", tuning.ExitOK, "keeps TAI, +150 ns from the system's"},
		{"ptp --domain 300", tuning.ExitUsage, "want 0 to 255"},
		{"ptp --log /none", tuning.ExitUsage, "no such file"},
		{"isolate 900 --cores 4 --dry-run", tuning.ExitOK, "taskset -cp 4 900"},
		{"isolate 901 --cores 4", tuning.ExitPlatform, "no such process"},
		{"isolate x --cores 4", tuning.ExitUsage, "is no number"},
		{"isolate 900", tuning.ExitUsage, "no cores are named"},
		{"isolate 900 --cores 4 --policy fifo", tuning.ExitUsage, "want fifo with 1 to 99"},
		{"isolate 900 --cores 4 --thread lane", tuning.ExitUsage, "want NAME=CORES"},
		{"isolate 40 --cores 4", tuning.ExitUsage, "a thread of the kernel"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			code, out, errs := call(append(strings.Fields(tc.args), "--root", root)...)
			if code != tc.want || !strings.Contains(out+errs, tc.text) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, tc.want, tc.text, out, errs)
			}
			if code >= tuning.ExitUsage && out != "" {
				t.Errorf("output with a fault: %q", out)
			}
		})
	}
}

// TestVerbsJSON: every verb has a document with its schema.
func TestVerbsJSON(t *testing.T) {
	root, _ := machine(t, "ice")
	if code, out, _ := call("irq", "move", "120", "0", "--root", root, "--json"); code != tuning.ExitFail || !strings.Contains(out, `"state": "refused"`) || !strings.Contains(out, "irqbalance") {
		t.Errorf("irqbalance would undo it: exit %d\n%s", code, out)
	}
	if code, _, errs := call("flow", "eth2"); code != tuning.ExitUsage || !strings.Contains(errs, "there is no command flow eth2") {
		t.Errorf("exit %d %s", code, errs)
	}
	for args, schema := range map[string]string{"nic": "ticktune.nic/1-list", "nic eth2": "ticktune.nic/1", "flow list eth2": "ticktune.flow/1", "irq --for 10ms": "ticktune.irq/1", "numa": "ticktune.numa/1", "ptp": "ticktune.ptp/1",
		"isolate 800 --cores 4 --dry-run": changedSchema, "nic set eth2 rings.rx=2048 --dry-run": changedSchema} {
		code, out, errs := call(append(strings.Fields(args), "--root", root, "--json")...)
		var doc struct {
			Schema string `json:"schema"`
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Schema != schema || code != 0 || strings.Contains(out, root) {
			t.Errorf("%s: exit %d, %v\n%.400s%s", args, code, err, out, errs)
		}
	}
}

// TestSetAndRevert changes a tree by the verbs and takes all of it back by revert; what was kept for the next boot goes, too.
func TestSetAndRevert(t *testing.T) {
	root, _ := machine(t, "mlx5")
	do := func(want string, args ...string) {
		t.Helper()
		code, out, errs := call(append(args, "--root", root)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q: exit %d, want %q\n%s%s", args, code, want, out, errs)
		}
	}
	do("rx 2048 of 8192", "nic", "eth2")
	do("taken back by: ticktune revert 1 2", "nic", "set", "eth2", "rings.rx=4096", "--keep", "--confirm-within", "0")
	do("taken back by: ticktune revert 3", "flow", "add", "eth2", "233.54.12.12:5", "1", "--confirm-within", "0")
	do("taken back by: ticktune revert 4", "irq", "move", "120", "3")
	do("taken back by: ticktune revert 5", "isolate", "900", "--cores", "5")
	do("rx 4096 of 8192", "nic", "eth2")
	do("233.54.12.12:5 -> queue 1", "flow", "list", "eth2")
	do("isolate", "revert", "--list")
	do("undone", "revert", "5", "4", "3", "2", "1")
	do("rx 2048 of 8192", "nic", "eth2")
	if _, out, _ := call("flow", "list", "eth2", "--root", root); strings.Contains(out, "233.54.12.12") {
		t.Errorf("the rule is still there: %s", out)
	}
	if left, err := filepath.Glob(filepath.Join(root, "etc/systemd/network/*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestRealVeth sets an offload of a veth in a namespace of the test's as a person does, by the program itself; nobody confirms, and
// it comes back by itself.
func TestRealVeth(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	state := filepath.Join(t.TempDir(), "state")
	nstest.Inside(t, p.Rx, func() error {
		ticktune := func(args ...string) string {
			t.Helper()
			cmd := exec.Command(os.Args[0], args...)
			cmd.Env = append(os.Environ(), asProgram+"=1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%q: %v\n%s", args, err, out)
			}
			return string(out)
		}
		if out := ticktune("nic", "feed0"); !strings.Contains(out, "gso on") || !strings.Contains(out, "veth") {
			t.Fatalf("%s", out)
		}
		if out := ticktune("nic", "set", "feed0", "features.gso=off", "--confirm-within", "2s", "--state", state); !strings.Contains(out, "1 done") || !strings.Contains(out, "ticktune confirm") {
			t.Fatalf("%s", out)
		}
		for !strings.Contains(ticktune("nic", "feed0"), "gso on") { // the deadline of tests ends this, if nothing else does
			time.Sleep(100 * time.Millisecond)
		}
		if out := ticktune("nic", "set", "feed0", "features.gso=off", "--confirm-within", "2m", "--state", state); !strings.Contains(out, "1 done") {
			t.Fatalf("%s", out)
		}
		ticktune("confirm", "--state", state)
		if out := ticktune("nic", "feed0"); !strings.Contains(out, "gso off") {
			t.Errorf("%s", out)
		}
		ticktune("revert", "--all", "--state", state)
		if out := ticktune("nic", "feed0"); !strings.Contains(out, "gso on") {
			t.Errorf("%s", out)
		}
		return nil
	})
}

// TestRealIsolate moves a child of the test's by the command line.
func TestRealIsolate(t *testing.T) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	was, err := h.TasksOf(cmd.Process.Pid)
	if err != nil || len(was) != 1 || len(was[0].Allowed) < 2 {
		t.Skipf("a process is to be taken from one core to another, and this machine has one: %+v, %v", was, err)
	}
	pid, core, state := strconv.Itoa(cmd.Process.Pid), strconv.Itoa(was[0].Allowed[0]), filepath.Join(t.TempDir(), "state")
	if code, out, errs := call("isolate", pid, "--cores", core, "--state", state); code != 0 || !strings.Contains(out, "→ "+core) {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if now, err := h.TasksOf(cmd.Process.Pid); err != nil || now[0].Allowed.String() != core {
		t.Errorf("%+v, %v", now, err)
	}
	if code, out, errs := call("revert", "--all", "--state", state); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if now, err := h.TasksOf(cmd.Process.Pid); err != nil || !slices.Equal(now[0].Allowed, was[0].Allowed) {
		t.Errorf("%+v, %v, want %+v", now, err, was)
	}
}
