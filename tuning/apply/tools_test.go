package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
)

// withTools gives a machine's tree tools of testdata/tools, and files.
func withTools(t *testing.T, h *tuning.Host, tools []string, files map[string]string) {
	t.Helper()
	for _, name := range tools {
		script, err := os.ReadFile(filepath.Join("testdata/tools", name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, h, "/fake/bin/"+name, string(script), 0o755)
	}
	for name, text := range files {
		put(t, h, name, text, 0o644)
	}
}

func put(t *testing.T, h *tuning.Host, name, text string, mode os.FileMode) {
	t.Helper()
	full := filepath.Join(h.Root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	h.Refresh(h.Now)
}

func get(t *testing.T, h *tuning.Host, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// grubFiles are those of a Debian.
func grubFiles(t *testing.T, h *tuning.Host) {
	withTools(t, h, []string{"update-grub"}, map[string]string{"/etc/default/grub": "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\n"})
	if err := os.RemoveAll(filepath.Join(h.Root, "boot/loader")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.Root, "boot/grub"), 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(h, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.run("update-grub"); err != nil {
		t.Fatal(err)
	}
}

func boot(name, value string) tuning.Change {
	return tuning.Change{Check: "cmdline.test", Kind: tuning.CommandLine, Target: name, Value: value, Persistent: true, Reboot: true, Risk: tuning.R3, Command: "boot " + name}
}

// TestBootLoaders sets parameters by each tool, sees them in what the tool makes, and takes them out again. Entries to
// recover with are left alone.
func TestBootLoaders(t *testing.T) {
	changes := []tuning.Change{boot("skew_tick", "1"), boot("nosoftlockup", ""), boot("rcupdate.rcu_normal_after_boot", "1")}
	const want = "skew_tick=1 nosoftlockup rcupdate.rcu_normal_after_boot=1"
	for _, tc := range []struct {
		name  string
		tools []string
		files map[string]string
		see   string // where the parameters have to be
		not   string // and where not
	}{
		{"grubby", []string{"grubby"}, map[string]string{
			"/boot/loader/entries/a.conf":        "title Linux\nlinux /vmlinuz-6.12\noptions root=/dev/sda1 quiet\n",
			"/boot/loader/entries/b.conf":        "title Linux\nlinux /vmlinuz-6.11\noptions root=/dev/sda1 quiet\n",
			"/boot/loader/entries/0-rescue.conf": "title Rescue\nlinux /vmlinuz-0-rescue\noptions root=/dev/sda1 skew_tick=0\n"},
			"/boot/loader/entries/b.conf", "/boot/loader/entries/0-rescue.conf"},
		{"update-grub", nil, nil, "/boot/grub/grub.cfg", ""},
		{"kernelstub", []string{"kernelstub"}, map[string]string{"/etc/kernelstub/configuration": `{"user": {"kernel_options": ["quiet"]}}`}, "/etc/kernelstub/configuration", ""},
		{"kernel-install", []string{"kernel-install"}, map[string]string{"/etc/kernel/cmdline": "root=/dev/sda1 quiet -- single\n", "/lib/modules/6.12/vmlinuz": "x",
			"/boot/efi/6.12.conf": "version 6.12\noptions root=/dev/sda1 quiet -- single\n"}, "/boot/efi/6.12.conf", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := machineOf(t, "ice")
			if tc.name == "update-grub" {
				grubFiles(t, h)
			} else if err := os.RemoveAll(filepath.Join(h.Root, "boot")); err != nil {
				t.Fatal(err)
			}
			withTools(t, h, tc.tools, tc.files)
			before := treeOf(t, h.Root)
			out := do(t, h, changes, everything())
			if out.Count(Done) != 3 || !out.Reboot {
				t.Fatal(show(out))
			}
			text := get(t, h, tc.see)
			for _, word := range strings.Fields(want) {
				if !strings.Contains(text, word) {
					t.Errorf("%s has no %s:\n%s", tc.see, word, text)
				}
			}
			if i, j := strings.Index(text, "-- single"), strings.Index(text, "skew_tick"); i >= 0 && j > i {
				t.Errorf("a parameter of the kernel's is behind those of init: %s", text)
			}
			if tc.not != "" && get(t, h, tc.not) != before[tc.not[1:]] {
				t.Errorf("%s was changed", tc.not)
			}
			if i := strings.Index(text, "recovery nomodeset"); i >= 0 && strings.Contains(text[i:], "skew_tick") {
				t.Error("the recovery entry was changed")
			}
			if kept, _ := filepath.Glob(filepath.Join(h.Root, DefaultDir, "originals/run-1/*/*")); len(kept) == 0 {
				t.Error("no originals were kept")
			}
			if again := do(t, h, changes, everything()); again.Count(Already) != 3 {
				t.Error(show(again))
			}
			u, err := Revert(h, Which{All: true}, everything())
			if err != nil {
				t.Fatal(err)
			}
			if u.Count(Undone) != 3 {
				t.Error(u.Text())
			}
			sameTree(t, treeOf(t, h.Root), before)
		})
	}
}

// TestEverythingThere: a machine with systemd and GRUB is made fit by all kinds of changes, and is as before after that.
func TestEverythingThere(t *testing.T) {
	h := fullMachine(t)
	before := treeOf(t, h.Root)
	changes := changesOf(h)
	out := do(t, h, changes, everything())
	kinds := map[tuning.Kind]bool{}
	for i := range out.Steps {
		if s := &out.Steps[i]; s.State == Done {
			kinds[s.Kind] = true
		}
	}
	for _, k := range []tuning.Kind{tuning.WriteFile, tuning.Sysctl, tuning.Tmpfiles, tuning.Udev, tuning.Systemd, tuning.CommandLine, tuning.Ethtool, tuning.Affinity, tuning.Link} {
		if !kinds[k] {
			t.Errorf("nothing of kind %s was done\n%s", k, show(out))
		}
	}
	if out.Count(Refused, Held) > 0 {
		t.Error(show(out))
	}
	for name, want := range map[string]string{
		sysctlFile:                       "# kern.vmstat: vm.stat_interval\nvm.stat_interval = 10\n",
		linkFile("eth2"):                 "[Match]\nPath=pci-0000:3b:00.0\n[Link]\n",
		"/fake/units/irqbalance.service": "disabled inactive\n",
	} {
		if text := get(t, h, name); !strings.Contains(text, want) {
			t.Errorf("%s:\n%s\nwant in it:\n%s", name, text, want)
		}
	}
	r := h.Run(tuning.Select{})
	for _, id := range []string{"kern.vmstat", "nic.rings", "nic.coalesce", "cpu.governor", "mem.thp", "irq.irqbalance", "irq.hot", "rps.off", "ptp.rxfilter"} {
		for _, c := range r.Checks {
			if c.ID == id && c.Status != tuning.Pass && id != "irq.irqbalance" && id != "irq.hot" { // of a tree neither process nor interrupt moves
				t.Errorf("after it, %s is %s: %s", id, c.Status, c.Reason)
			}
		}
	}
	u, err := Revert(h, Which{All: true}, everything())
	if err != nil {
		t.Fatal(err)
	}
	if u.Count(Undone) != out.Count(Done) {
		t.Error(u.Text())
	}
	sameTree(t, treeOf(t, h.Root), before)
}

// fullMachine is one with tools for all kinds of changes.
func fullMachine(t *testing.T) *tuning.Host {
	h := machineOf(t, "ice")
	grubFiles(t, h)
	withTools(t, h, []string{"systemctl"}, map[string]string{"/fake/units/irqbalance.service": "enabled active\n", "/fake/units/fstrim.timer": "enabled active\n"})
	for cpu := 12; cpu < 16; cpu++ {
		put(t, h, fmt.Sprintf("/sys/devices/system/cpu/cpu%d/online", cpu), "1\n", 0o644)
	}
	return h
}

// TestTuned: where tuned is active, what it would set again goes into a child of its profile.
func TestTuned(t *testing.T) {
	h := fullMachine(t)
	withTools(t, h, []string{"tuned-adm"}, map[string]string{"/etc/tuned/active_profile": "throughput-performance\n", "/etc/tuned/profile_mode": "auto\n", "/usr/lib/tuned/throughput-performance/tuned.conf": "[main]\n",
		"/proc/700/task/700/stat": strings.Replace(get(t, h, "/proc/800/task/800/stat"), "800 (irqbalance)", "700 (tuned)", 1), "/proc/700/task/700/status": "Name:\ttuned\nCpus_allowed_list:\t0-15\n"})
	before := treeOf(t, h.Root)
	changes := h.Run(tuning.Select{Only: []string{"kern.vmstat", "cpu.governor", "mem.thp"}}).Changes()
	out := do(t, h, changes, everything())
	if out.Count(Refused, Failed) > 0 {
		t.Fatal(show(out))
	}
	text := get(t, h, "/etc/tuned/tickwire/tuned.conf")
	for _, want := range []string{"[main]\n# ", "include=throughput-performance\n", "[sysctl]\n", "vm.stat_interval=10\n", "[cpu]\n", "governor=performance\n", "[sysfs]\n", "/sys/kernel/mm/transparent_hugepage/enabled=never\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if get(t, h, "/etc/tuned/active_profile") != "tickwire\n" {
		t.Error("the child profile is not active")
	}
	for _, name := range []string{sysctlFile, tmpfilesFile, udevFile} {
		if _, err := os.Stat(filepath.Join(h.Root, name)); err == nil {
			t.Errorf("%s was made beside tuned's profile", name)
		}
	}
	if again := do(t, h, changes, everything()); again.Run != 0 {
		t.Error(show(again))
	}
	u, err := Revert(h, Which{All: true}, everything())
	if err != nil || u.Count(Drift) > 0 {
		t.Fatal(err)
	}
	sameTree(t, treeOf(t, h.Root), before)
}
