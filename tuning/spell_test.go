package tuning

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSpellBoot carries commands out by a shell, on files of their own: what is there afterwards, and after taking it back, counts.
func TestSpellBoot(t *testing.T) {
	for _, tc := range []struct {
		name, file, before, want string
		change                   Change
	}{
		{"grub", "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", "quiet skew_tick=1", setBoot("skew_tick", "1", R3)},
		{"grub, a bare word", "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", "quiet nosoftlockup", setBoot("nosoftlockup", "", R3)},
		{"grub, changed", "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet isolcpus=2-3 audit=0\"\n", "quiet isolcpus=domain,managed_irq,4-7 audit=0", setBoot("isolcpus", "domain,managed_irq,4-7", R3)},
		{"systemd-boot", "/etc/kernel/cmdline", "root=UUID=1 quiet\n", "root=UUID=1 quiet skew_tick=1", setBoot("skew_tick", "1", R3)},
		{"systemd-boot, changed", "/etc/kernel/cmdline", "root=UUID=1 skew_tick=0 quiet\n", "root=UUID=1 skew_tick=1 quiet", setBoot("skew_tick", "1", R3)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			set(t, h, tc.file, tc.before)
			if err := os.MkdirAll(h.path("/etc/default/grub.d"), 0o755); err != nil {
				t.Fatal(err)
			}
			tools := h.path("/tools")
			for _, tool := range []string{"update-grub", "kernel-install"} {
				set(t, h, "/tools/"+tool, "#!/bin/sh\n")
				if err := os.Chmod(filepath.Join(tools, tool), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			h.spell(&tc.change)
			shell := func(command string) string {
				t.Helper()
				for _, dir := range []string{"/etc/default/", "/etc/kernel/"} {
					command = strings.ReplaceAll(command, " "+dir, " "+h.path(dir)+"/")
				}
				cmd := exec.Command("sh", "-ec", command)
				cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v %s", command, err, out)
				}
				h.Refresh(noon)
				var words []string
				for _, p := range h.nextBoot().params {
					words = append(words, paramText(p.Name, p.Value, true))
				}
				return strings.Join(words, " ")
			}
			before := shell(":")
			if got := shell(tc.change.Command); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.change.Command, got, tc.want)
			}
			if got := shell(tc.change.Undo); got != before {
				t.Errorf("%s: %q, was %q", tc.change.Undo, got, before)
			}
		})
	}
	h, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	set(t, h, "/boot/loader/entries/a.conf", "options quiet isolcpus=2\n")
	c := setBoot("isolcpus", "3", R3)
	if h.spell(&c); c.Command != "grubby --update-kernel=ALL --args=isolcpus=3" || c.Undo != "grubby --update-kernel=ALL --args=isolcpus=2" {
		t.Errorf("%s; %s", c.Command, c.Undo)
	}
	c = setBoot("skew_tick", "1", R3)
	if h.spell(&c); c.Undo != "grubby --update-kernel=ALL --remove-args=skew_tick" {
		t.Errorf("%s", c.Undo)
	}
	if h, err = Open(t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	if h.spell(&c); !strings.HasPrefix(c.Command, "# ") || !strings.HasPrefix(c.Undo, "# ") {
		t.Errorf("no boot loader, and %q", c.Command)
	}
}

// TestSpellLink: what the commands make is one file that keeps names as they are, found by what stays when they change.
func TestSpellLink(t *testing.T) {
	h := ownMachine(t, "mlx5")
	dir := t.TempDir()
	ring, mtu := setLink("eth2", "RxBufferSize", "2048", R2), setLink("eth2", "MTUBytes", "1500", R2)
	h.spell(&ring)
	h.spell(&mtu)
	shell := func(command string) string {
		t.Helper()
		if out, err := exec.Command("sh", "-ec", strings.ReplaceAll(command, "/etc/systemd/network", dir)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "90-feed-eth2.link"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const head = "[Match]\nPath=pci-0000:3b:00.0\n[Link]\nNamePolicy=keep kernel database onboard slot path\nAlternativeNamesPolicy=database onboard slot path\nMACAddressPolicy=persistent\n"
	shell(ring.Command)
	if got := shell(mtu.Command); got != head+"RxBufferSize=2048\nMTUBytes=1500\n" {
		t.Errorf("%s", got)
	}
	if got := shell(ring.Undo); got != head+"MTUBytes=1500\n" {
		t.Errorf("%s", got)
	}
	if got := h.netMatch("eth2"); got != `SUBSYSTEM=="net", KERNELS=="0000:3b:00.0"` {
		t.Errorf("%s: a rule sees the name that the kernel gives, not the one that it gets", got)
	}
	if got := h.netMatch("veth0"); got != `SUBSYSTEM=="net", KERNEL=="veth0"` {
		t.Errorf("%s", got)
	}
}

func TestBootPages(t *testing.T) {
	for _, tc := range []struct {
		line, usual string
		want        int
	}{
		{"quiet", "2M", 0},
		{"hugepages=100", "2M", 100},
		{"hugepages=100", "", 0},
		{"hugepagesz=1G hugepages=128", "2M", 0},
		{"hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=64", "2M", 64},
		{"hugepagesz=2m hugepages=0:32,1:40", "", 72},
		{"default_hugepagesz=1G hugepages=4", "2M", 0},
		{"hugepages=10 hugepages=20", "2M", 20},
		{"hugepages= hugepages=x hugepages=-4", "2M", 0},
	} {
		if got, _ := bootPages(ParseCommandLine(tc.line), tc.usual); got != tc.want {
			t.Errorf("%q: %d, want %d", tc.line, got, tc.want)
		}
	}
}

// TestPagesOfAnotherSize: pages of 1 GiB do not pass for as many of 2 MiB, and nothing is said that would change what they are.
func TestPagesOfAnotherSize(t *testing.T) {
	h := ownMachine(t, "ice")
	set(t, h, "/proc/cmdline", "hugepagesz=1G hugepages=128\n")
	got := outcome(t, h, "cmdline.hugepages")
	if got.Status != Fail || !strings.Contains(got.Reason, "not of 2 MiB") || len(got.Remediation.Changes) > 0 || !strings.Contains(got.Remediation.Human, "hugepagesz=2M") {
		t.Errorf("%s %s %+v", got.Status, got.Reason, got.Remediation)
	}
}

// TestHiddenProcesses: what may not be seen is not taken for not running.
func TestHiddenProcesses(t *testing.T) {
	h := ownMachine(t, "mlx5")
	if err := os.RemoveAll(h.path("/proc/1")); err != nil {
		t.Fatal(err)
	}
	set(t, h, "/usr/lib/systemd/system/irqbalance.service", "")
	for _, id := range []string{"irq.irqbalance", "kern.usertasks", "time.single"} {
		if got := outcome(t, h, id); got.Status != Error || !strings.Contains(got.Reason, "privilege") {
			t.Errorf("%s: %s %s", id, got.Status, got.Reason)
		}
	}
}

// TestIsolatedByOthers: what somebody else has isolated stays isolated, and nothing is moved there.
func TestIsolatedByOthers(t *testing.T) {
	h := ownMachine(t, "ice")
	busy := h.Plan.Busy()
	other := h.HK()[len(h.HK())-1]
	set(t, h, "/proc/cmdline", "isolcpus=nohz,domain,"+number2(other)+" nohz_full="+number2(other)+" rcu_nocbs="+number2(other)+"\n")
	set(t, h, "/sys/devices/system/cpu/isolated", number2(other)+"\n")
	if err := os.RemoveAll(h.path("/boot/loader")); err != nil {
		t.Fatal(err)
	}
	h.Refresh(noon)
	if h.HK().Has(other) || len(h.HK()) == 0 {
		t.Errorf("housekeeping on %s, core %d is isolated", h.HK(), other)
	}
	all := busy.Union(CPUs{other})
	for id, want := range map[string]string{"cmdline.isolcpus": "nohz,domain,managed_irq," + all.String(), "cmdline.nohz_full": h.Plan.Hot.Union(CPUs{other}).String(), "cmdline.rcu_nocbs": all.String()} {
		got := outcome(t, h, id)
		if got.Remediation == nil || len(got.Remediation.Changes) == 0 || got.Remediation.Changes[0].Value != want {
			t.Errorf("%s: %s %s %+v, want %s", id, got.Status, got.Reason, got.Remediation, want)
		}
	}
}

func TestChannelsOfOneDirection(t *testing.T) {
	h := ownMachine(t, "ice")
	file := h.path("/fake/nic/eth2.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]any
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatal(err)
	}
	groups["channels"] = Channels{MaxRx: 16, MaxTx: 16, Rx: 9, Tx: 9}
	if text, err = json.Marshal(groups); err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := outcome(t, h, "nic.channels")
	if got.Remediation == nil || len(got.Remediation.Changes) != 2 || got.Remediation.Changes[0].Key != "channels.rx" || got.Remediation.Changes[1].Key != "RxChannels" {
		t.Errorf("%s %s %+v", got.Status, got.Reason, got.Remediation)
	}
}

func TestSteeringByFlow(t *testing.T) {
	h := ownMachine(t, "mlx5")
	if got := outcome(t, h, "rps.off"); got.Status != Pass {
		t.Fatalf("%s %s", got.Status, got.Reason)
	}
	set(t, h, "/proc/sys/net/core/rps_sock_flow_entries", "32768\n")
	set(t, h, "/proc/sys/net/core/rps_default_mask", "3\n")
	set(t, h, "/sys/class/net/eth2/queues/rx-0/rps_flow_cnt", "2048\n")
	h.Refresh(noon)
	got := outcome(t, h, "rps.off")
	if got.Status != Fail || !strings.Contains(got.Effective.Raw, "rx-0 steers 2048 flows") || !strings.Contains(got.Effective.Raw, "new queues to 0-1") || len(got.Remediation.Changes) != 4 {
		t.Errorf("%s %s %+v", got.Status, got.Reason, got.Remediation)
	}
}

// TestSlicesOfARunningFeed: no remedy takes the cores of a feed that runs.
func TestSlicesOfARunningFeed(t *testing.T) {
	h := ownMachine(t, "ice")
	got := outcome(t, h, "sys.cpuaffinity")
	if got.Status != Fail || len(got.Remediation.Changes) == 0 || !strings.Contains(got.Remediation.Human, "tickwire.slice") {
		t.Fatalf("%s %+v", got.Status, got.Remediation)
	}
	dir := "/proc/4242/task/4242/"
	set(t, h, dir+"stat", "4242 (tickwire) S"+strings.Repeat(" 0", 50)+"\n")
	set(t, h, dir+"status", "Name:\ttickwire\nCpus_allowed_list:\t9\n")
	set(t, h, "/proc/4242/cgroup", "0::/system.slice/tickwire-feed@itch.service\n")
	h.Refresh(noon)
	if got := outcome(t, h, "sys.cpuaffinity"); len(got.Remediation.Changes) != 0 || !strings.Contains(got.Remediation.Human, "would lose its cores") {
		t.Errorf("%s %+v", got.Status, got.Remediation)
	}
}

// TestTuned: who reads a remedy is told that another sets the same things.
func TestTuned(t *testing.T) {
	h := ownMachine(t, "mlx5")
	set(t, h, "/etc/tuned/active_profile", "network-latency\n")
	h.Refresh(noon)
	if got := outcome(t, h, "kern.services"); strings.Contains(got.Effective.Raw, "tuned") {
		t.Errorf("it does not run, and %s", got.Effective.Raw)
	}
	dir := "/proc/4242/task/4242/"
	set(t, h, dir+"stat", "4242 (tuned) S"+strings.Repeat(" 0", 50)+"\n")
	set(t, h, dir+"status", "Name:\ttuned\nCpus_allowed_list:\t0\n")
	h.Refresh(noon)
	if got := outcome(t, h, "kern.services"); !strings.Contains(got.Effective.Raw, "tuned keeps profile network-latency") || !strings.Contains(got.Reason, "includes network-latency") {
		t.Errorf("%s %s: %s", got.Status, got.Effective.Raw, got.Reason)
	}
}

// TestConfinedWatchdog: a detector that leaves HOT alone is as good at boot as at run time.
func TestConfinedWatchdog(t *testing.T) {
	h := ownMachine(t, "mlx5")
	set(t, h, "/proc/sys/kernel/soft_watchdog", "1\n")
	set(t, h, "/proc/sys/kernel/nmi_watchdog", "0\n")
	set(t, h, "/proc/sys/kernel/watchdog_cpumask", h.HK().String()+"\n")
	h.Refresh(noon)
	if got := outcome(t, h, "cmdline.lockup"); got.Status != Pass {
		t.Errorf("%s %s", got.Status, got.Reason)
	}
	set(t, h, "/proc/sys/kernel/watchdog_cpumask", h.Online().String()+"\n")
	h.Refresh(noon)
	if got := outcome(t, h, "cmdline.lockup"); got.Status != Warn {
		t.Errorf("%s %s", got.Status, got.Reason)
	}
}

// TestStrangeFiles empties every file of a machine, then fills it with nonsense: no check panics.
func TestStrangeFiles(t *testing.T) {
	h := ownMachine(t, "mlx5")
	var files []string
	err := filepath.WalkDir(h.Root, func(name string, d os.DirEntry, err error) error {
		rel := strings.TrimPrefix(name, filepath.Clean(h.Root))
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(rel, "/fake/") && rel != "/plan.toml" {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) < 100 {
		t.Fatal(err, len(files))
	}
	for _, content := range []string{"", "-1\n", "99999999999999999999\n", "\x00\xff\x1b[2J\n", "0-99999999\n", ":::\n\n(()) = [\n"} {
		var errs []error
		for _, name := range files {
			errs = append(errs, os.WriteFile(name, []byte(content), 0o644))
		}
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		h.earlier = &earlier{h.Now, h.read, h.calls} // what was there before is strange too
		h.Refresh(noon)
		for _, c := range h.Run(Select{}).Checks {
			if strings.Contains(c.Reason, "internal") {
				t.Errorf("files hold %q: %s: %s", content, c.ID, c.Reason)
			}
		}
	}
}

func FuzzBootPages(f *testing.F) {
	f.Add("hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=0:1,1:2")
	f.Fuzz(func(t *testing.T, line string) {
		if n, _ := bootPages(ParseCommandLine(line), "2M"); n < 0 {
			t.Errorf("%d pages", n)
		}
	})
}
