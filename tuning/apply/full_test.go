package apply

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// TestFullDisk: a journal that cannot be written in the middle of a run, and only gets half a line, keeps nothing from being set back,
// and can be read afterwards. The disk is full by this process's limit of a file's size, which is lifted again.
func TestFullDisk(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	lift := func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	defer lift()
	o, n := everything(), 0
	o.fault = func(point string, e *Entry) error {
		if point != "journal" {
			return nil
		}
		if n++; n == 3 {
			info, err := os.Stat(filepath.Join(h.Root, DefaultDir, journalFile))
			if err != nil {
				return err
			}
			full := was
			full.Cur = uint64(info.Size()) + 30
			return unix.Setrlimit(unix.RLIMIT_FSIZE, &full)
		}
		return nil
	}
	out, err := Run(context.Background(), h, h.Run(tuning.Select{Only: []string{"kern.vmstat", "kern.numa_balancing", "nic.rings"}}).Changes(), o)
	lift()
	if !errors.Is(err, unix.EFBIG) || out.Count(Undone) != 2 {
		t.Errorf("%v\n%s", err, show(out))
	}
	sameTree(t, treeOf(t, h.Root), before)
	if _, err := Revert(h, Which{All: true}, everything()); err != nil {
		t.Error(err)
	}
	if len(standing(t, h)) != 0 {
		t.Error("something stands")
	}
}

// TestKilledAtAnothersValue: a run that is killed between a write and its reading back, where the kernel took another value than it
// was given, is undone too.
func TestKilledAtAnothersValue(t *testing.T) {
	h := fullMachine(t)
	const file = "/proc/sys/vm/stat_interval"
	before := treeOf(t, h.Root)
	j := journalOf(t, h)
	run, err := j.begin(strings.TrimSpace(get(t, h, "/proc/sys/kernel/random/boot_id")), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/proc/sys/kernel/numa_balancing", file} {
		old := strings.TrimSpace(get(t, h, target))
		if err := j.set(&Entry{Run: run, Boot: j.runs[0].Boot, Kind: tuning.WriteFile, Target: target, Old: some(old), New: some("10")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	put(t, h, file, "9\n", 0o644) // the kernel made it 9 of 10, and then came the end
	if u, err := Recover(h, everything()); err != nil || u.Count(Drift) != 0 {
		t.Errorf("%v\n%s", err, u.Text())
	}
	sameTree(t, treeOf(t, h.Root), before)
}

func journalOf(t *testing.T, h *tuning.Host) *journal {
	t.Helper()
	o := everything().withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := m.open(patience)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestRenamedTask: a thread that has called itself something else since then is set back all the same.
func TestRenamedTask(t *testing.T) {
	h := isolated(t)
	before := treeOf(t, h.Root)
	out := do(t, h, isolating(), everything())
	var renamed []string
	for _, s := range out.Steps {
		if p, ok := s.place.(interface{ file(string) string }); ok && s.State == Done && s.Key != "" {
			name := p.file("stat")
			put(t, h, name, strings.Replace(get(t, h, name), "("+s.Key+")", "(another)", 1), 0o644)
			renamed = append(renamed, name)
		}
	}
	if len(renamed) == 0 {
		t.Skip("no task with a name")
	}
	u, err := Revert(h, Which{All: true}, everything())
	if err != nil || u.Count(Void) != 0 || u.Count(Drift) != 0 {
		t.Errorf("%v\n%s", err, u.Text())
	}
	now := treeOf(t, h.Root)
	for _, name := range renamed {
		now[name[1:]] = before[name[1:]]
	}
	sameTree(t, now, before)
}

// TestGuardTriesAgain: what a guard cannot set back at once it tries again.
func TestGuardTriesAgain(t *testing.T) {
	h := fullMachine(t)
	const file = "/sys/class/net/eth2/mtu"
	old := strings.TrimSpace(get(t, h, file))
	o := everything()
	o.Confirm = 300 * time.Millisecond
	out := do(t, h, []tuning.Change{{Check: "test", Kind: tuning.WriteFile, Target: file, Value: "1400", Risk: tuning.R2}}, o)
	full := filepath.Join(h.Root, file)
	if err := errors.Join(os.Rename(full, full+".away"), os.Mkdir(full, 0o755)); err != nil || out.Count(Done) != 1 {
		t.Fatalf("%v\n%s", err, show(out))
	}
	time.Sleep(time.Second) // it has tried by then, or else this test is about nothing
	if err := errors.Join(os.Remove(full), os.Rename(full+".away", full)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guard set it back", func() bool { return strings.TrimSpace(get(t, h, file)) == old })
	eventually(t, "the guard ended", func() bool { return guardGone(h) })
}

// TestGuardOfSysctls: what the guard takes back of now it takes back of the next boot, too.
func TestGuardOfSysctls(t *testing.T) {
	h := fullMachine(t)
	const key = "net.ipv4.conf.all.arp_ignore"
	put(t, h, tuning.SysctlPath(key), "0\n", 0o644)
	before := treeOf(t, h.Root)
	o := everything()
	o.Confirm = 300 * time.Millisecond
	out := do(t, h, []tuning.Change{
		{Check: "net.arp", Kind: tuning.WriteFile, Target: tuning.SysctlPath(key), Value: "1", Risk: tuning.R2},
		{Check: "net.arp", Kind: tuning.Sysctl, Target: key, Value: "1", Persistent: true, Risk: tuning.R2}}, o)
	if out.Count(Done) != 2 {
		t.Fatal(show(out))
	}
	eventually(t, "the guard set it back", func() bool { return strings.TrimSpace(get(t, h, tuning.SysctlPath(key))) == "0" })
	eventually(t, "the guard ended", func() bool { return guardGone(h) })
	sameTree(t, treeOf(t, h.Root), before)
	for _, c := range []tuning.Change{
		{Kind: tuning.Sysctl, Target: "net.ipv4.conf.eth2/100.arp_ignore", Risk: tuning.R2},
		{Kind: tuning.Tmpfiles, Target: "/sys/class/net/eth2.100/mtu", Risk: tuning.R2},
	} {
		if nic := nicOf(&c); nic != "eth2.100" {
			t.Errorf("%s is of %q", c.Target, nic)
		}
	}
}

// TestOwner: a file that is written anew keeps owner and mode.
func TestOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	h := machineOf(t, "ice")
	if err := os.RemoveAll(filepath.Join(h.Root, "boot")); err != nil {
		t.Fatal(err)
	}
	withTools(t, h, []string{"kernel-install"}, map[string]string{kernelLine: "root=/dev/sda1 quiet\n", "/lib/modules/6.12/vmlinuz": "x", "/boot/efi/6.12.conf": "version 6.12\noptions root=/dev/sda1 quiet\n"})
	full := filepath.Join(h.Root, kernelLine)
	if err := errors.Join(os.Chmod(full, 0o640), os.Chown(full, 12, 34)); err != nil {
		t.Fatal(err)
	}
	if out := do(t, h, []tuning.Change{boot("skew_tick", "1")}, everything()); out.Count(Done) != 1 {
		t.Fatal(show(out))
	}
	info, err := os.Stat(full)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 12 || s.Gid != 34 || info.Mode() != 0o640 {
		t.Errorf("%v, owner %d:%d", info.Mode(), s.Uid, s.Gid)
	}
}

// TestLinkMatches: which .link files are for an interface, by their patterns.
func TestLinkMatches(t *testing.T) {
	facts := map[string]string{"OriginalName": "eth2", "MACAddress": "00:11:22:33:44:55", "PermanentMACAddress": "00:11:22:33:44:55", "Driver": "ice", "Path": "pci-0000:3b:00.0"}
	for text, want := range map[string]bool{
		"[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep\n":                 true,
		"[Match]\nOriginalName=en* eth?\n":                                   true,
		"[Match]\nOriginalName = eth2\n":                                     true,
		"[Match]\nOriginalName=!eth*\n":                                      false,
		"[Match]\nOriginalName=*\nDriver=mlx5_core\n":                        false,
		"[Match]\nDriver=ice ixgbe\n":                                        true,
		"[Match]\nMACAddress=00-11-22-33-44-55\n":                            true,
		"[Match]\nMACAddress=00:11:22:33:44:56\n":                            false,
		"[Match]\nPath=pci-0000:3b:*\n":                                      true,
		"[Match]\nPath=*-usb-*\n":                                            false,
		"[Match]\nType=wlan\n":                                               false,
		"[Match]\n#OriginalName=eth2\nDriver=e1000\n":                        false,
		"[Match]\nDriver=e1000\n[Link]\nOriginalName=eth2\n":                 false,
		"[Match]\nPermanentMACAddress=AA:BB:CC:DD:EE:FF 00:11:22:33:44:55\n": true,
	} {
		if got := linkMatches(text, facts); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestTellsSockets: which kernels say that a queue is an AF_XDP socket's.
func TestTellsSockets(t *testing.T) {
	for release, want := range map[string]bool{"6.12.0-55.el10.x86_64\n": false, "5.14.0-570.el9.x86_64": false, "6.15.0": true, "6.18.4-fc\n": true, "7.0-rc1": true, "": false, "x": false} {
		if tellsSockets(release) != want {
			t.Errorf("%q", release)
		}
	}
}

// TestToolGroup: a tool is no process of the terminal's foreground, whose Control-C would cut it off.
func TestToolGroup(t *testing.T) {
	h := machineOf(t, "ice")
	put(t, h, "/fake/bin/group", "#!/bin/sh\ncut -d' ' -f5 /proc/$$/stat\n", 0o755)
	o := everything()
	m, err := newMachine(h, &o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.run("group")
	if group, err2 := strconv.Atoi(strings.TrimSpace(out)); err != nil || err2 != nil || group == unix.Getpgrp() {
		t.Errorf("group %q of %d: %v %v", out, unix.Getpgrp(), err, err2)
	}
}
