package package_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBoot boots systemd with the packages installed, in namespaces of its own, a feed by AF_XDP on a virtual cable, and looks at what the units do there: rights and walls of
// the processes that run, readiness, what becomes of a crash, a hang and a wrong configuration, an upgrade, removal.
func TestBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a machine is booted")
	}
	need(t, "unshare", "setpriv", "ip", "dpkg", "/lib/systemd/systemd")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("booting needs root")
		}
		t.Skip("booting needs root")
	}
	kernel, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	for _, fs := range []string{"overlay", "cgroup2"} {
		if !strings.Contains(string(kernel), "\t"+fs+"\n") {
			t.Skipf("this kernel has no %s", fs)
		}
	}
	dir, out := packages(t), t.TempDir()
	told, err := exec.Command("testdata/boot.sh", dir, out).CombinedOutput()
	text, _ := os.ReadFile(filepath.Join(out, "found"))
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		found[name] = value
	}
	if _, whole := found["end"]; !whole {
		t.Errorf("it did not come to its end: %v", err)
	}
	for name, want := range map[string]string{
		"tickwire-feed@f.state": "active", "tickwire-feed@f.status": "1 lane(s), afxdp copy", "tickwire-feed@f.user": "tickwire",
		"tickwire-feed@f.group": "/tickwire.slice/tickwire-feed@f.service",
		// NET_ADMIN 12, NET_RAW 13, IPC_LOCK 14, SYS_NICE 23, PERFMON 38, BPF 39
		"tickwire-feed@f.CapEff": "000000c000807000", "tickwire-feed@f.CapBnd": "000000c000807000",
		"tickwire-feed@f.NoNewPrivs": "1", "tickwire-feed@f.Seccomp": "2",
		"tickwire-serve.state": "active", "tickwire-serve.status": "SQL on 127.0.0.1:5433", "tickwire-serve.user": "tickwire",
		"tickwire-serve.group":  "/system.slice/tickwire-serve.service",
		"tickwire-serve.CapEff": "0000000000000000", "tickwire-serve.CapBnd": "0000000000000000",
		"tickwire-serve.NoNewPrivs": "1", "tickwire-serve.Seccomp": "2",
		"tickwire-consolidate.state": "active", "tickwire-consolidate.status": "joins f", "tickwire-consolidate.user": "tickwire",
		"tickwire-consolidate.group":  "/tickwire.slice/tickwire-consolidate.service",
		"tickwire-consolidate.CapEff": "0000000000000000", "tickwire-consolidate.CapBnd": "0000000000000000",
		"tickwire-consolidate.NoNewPrivs": "1", "tickwire-consolidate.Seccomp": "2",
		"run.state": "active", "run.status": "3 processes", "run.others": "inactive inactive inactive", "run.after": "inactive active",
		"run.feed": "000000c000807000", "run.serve": "0000000000000000", "run.consolidate": "0000000000000000",
		"sql": "n 0", "processes": "3", "socket": "tickwire 660", "others": "Permission denied", "cache": "tickwire 700",
		"upgrade.same": "yes", "upgrade.told": "1", "crash.again": "yes", "hang.again": "yes",
		"wrong.code": "2", "wrong.restarts": "0", "wrong.started": "",
		"removal.before": "2", "removal.after": "0", "removal.left": "",
	} {
		if found[name] != want {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	if t.Failed() {
		for _, file := range []string{"errors", "dpkg", "upgrade", "purge", "journal"} {
			text, _ := os.ReadFile(filepath.Join(out, file))
			t.Logf("%s:\n%s", file, text)
		}
		t.Logf("boot.sh:\n%s", told)
	}
}
