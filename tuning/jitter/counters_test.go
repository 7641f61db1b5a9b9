package jitter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
)

// root writes a machine's files, and opens it.
func root(t *testing.T, files map[string]string) (*tuning.Host, string) {
	t.Helper()
	dir := t.TempDir()
	change(t, dir, files)
	h, err := tuning.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, dir
}

func change(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// registers is a file of MSRs: SMIs at 0x34, MPERF and APERF at 0xe7 and 0xe8. They overlap, as offsets of 8 bytes in it do, so that APERF's is one more.
func registers(smi byte, perf byte) string {
	b := make([]byte, 0x100)
	b[0x34] = smi
	b[0xe8], b[0xe9] = perf, perf
	return string(b)
}

// TestCounters: deltas of one core between two looks, by names and not by columns, since cores come and go.
func TestCounters(t *testing.T) {
	h, dir := root(t, map[string]string{
		"proc/cpuinfo":    "processor\t: 0\nvendor_id\t: GenuineIntel\n",
		"proc/interrupts": "           CPU0       CPU4\n  9:          5       100   IO-APIC   9-fasteoi   acpi\nLOC:        10        1000   Local timer interrupts\nERR:          0\n",
		"proc/softirqs":   "                    CPU0       CPU4\n       TIMER:          7          70\n         RCU:          1          2\n",
		"proc/stat":       "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu4 1 2 3 4 5 6 7 100 9 10\n",
		"sys/devices/system/cpu/cpu4/thermal_throttle/core_throttle_count":    "3\n",
		"sys/devices/system/cpu/cpu4/thermal_throttle/package_throttle_count": "4\n",
		"sys/devices/system/cpu/cpu4/cpuidle/state1/name":                     "C1\n",
		"sys/devices/system/cpu/cpu4/cpuidle/state1/usage":                    "50\n",
		"dev/cpu/4/msr": registers(7, 1),
	})
	a := takeLook(h, tuning.CPUs{4}, tuning.CPUs{4})
	change(t, dir, map[string]string{
		"proc/interrupts": "           CPU4       CPU5\n  9:          101       5   IO-APIC   9-fasteoi   acpi\n 77:   12   0   PCI-MSI   eth9\nLOC:        1500        11   Local timer interrupts\n",
		"proc/softirqs":   "                    CPU0       CPU4\n       TIMER:          7          90\n         RCU:          1          2\n",
		"proc/stat":       "cpu  1 2 3 4 5 6 7 8 9 10\ncpu4 1 2 3 4 5 6 7 103 9 10\n",
		"sys/devices/system/cpu/cpu4/thermal_throttle/core_throttle_count": "5\n",
		"sys/devices/system/cpu/cpu4/cpuidle/state1/usage":                 "60\n",
		"dev/cpu/4/msr": registers(9, 2),
	})
	b := takeLook(h, tuning.CPUs{4}, tuning.CPUs{4})
	c := between(a, b, 4, 2e9)
	if len(c.Interrupts) != 3 || c.Interrupts[0] != (Count{"LOC", "Local timer interrupts", 500}) || c.Interrupts[1] != (Count{"77", "PCI-MSI eth9", 12}) || c.Interrupts[2].Count != 1 {
		t.Errorf("interrupts %+v", c.Interrupts)
	}
	if len(c.Softirqs) != 1 || c.Softirqs[0] != (Count{"TIMER", "", 20}) {
		t.Errorf("softirqs %+v", c.Softirqs)
	}
	if c.StealMs == nil || *c.StealMs != 30 || c.SMI == nil || *c.SMI != 2 || c.Throttle == nil || *c.Throttle != 2 || c.FreqMHz == nil || len(c.Unseen) != 0 {
		t.Errorf("%+v", c)
	}
	if idle := idleBetween(a, b, Host); len(idle) != 1 || idle[0].CPU != 4 || idle[0].Entries["C1"] != 10 || len(idleBetween(b, b, Host)) != 0 {
		t.Errorf("idle %+v", idle)
	}
	// A core that went away, or counters that went back, are told and not subtracted.
	change(t, dir, map[string]string{"proc/interrupts": "           CPU0\nLOC:        10   Local timer interrupts\n"})
	if c := between(b, takeLook(h, tuning.CPUs{4}, nil), 4, 2e9); c.Irregular == "" || len(c.Interrupts) != 0 {
		t.Errorf("%+v", c)
	}
	if c := between(b, a, 4, 2e9); c.Irregular == "" || len(c.Interrupts) != 0 || c.StealMs != nil || c.Throttle != nil {
		t.Errorf("%+v", c)
	}
	// Of a machine that tells nothing, everything is missing by name.
	none, _ := root(t, nil)
	c = between(takeLook(none, tuning.CPUs{0}, nil), takeLook(none, tuning.CPUs{0}, nil), 0, 2e9)
	if text := strings.Join(c.Unseen, "\n"); c.StealMs != nil || c.SMI != nil || c.FreqMHz != nil || c.Throttle != nil || !strings.Contains(text, "interrupts: ") || !strings.Contains(text, "softirqs: ") ||
		!strings.Contains(text, "steal: ") || !strings.Contains(text, "throttling: ") || !strings.Contains(text, "frequency") {
		t.Errorf("%+v", c)
	}
}

func TestWaited(t *testing.T) {
	for text, want := range map[string]uint64{"1 2 3\n": 2, "1 18446744073709551615 3\x00\x00": 1<<64 - 1} {
		if _, n, ok := waited([]byte(text)); !ok || n != want {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "1", "a b", "1 -2 3", "\x00\x00"} {
		if _, _, ok := waited([]byte(text)); ok {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestSiblings: a core whose hardware has another thread online is told of, one whose sibling is off line is not.
func TestSiblings(t *testing.T) {
	h, _ := root(t, map[string]string{
		"sys/devices/system/cpu/online":                             "0-2\n",
		"sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "1,2\n",
		"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,3\n",
	})
	s := &session{host: h, cores: tuning.CPUs{0, 1}, report: &Report{}}
	s.siblings()
	if len(s.report.Notes) != 1 || !strings.HasPrefix(s.report.Notes[0], "core 1 shares its hardware with 2 ") {
		t.Errorf("%q", s.report.Notes)
	}
}
