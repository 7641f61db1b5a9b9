package machine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestLook: a made-up host is read as it is.
func TestLook(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 hypervisor avx512f\n",
		"proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n",
		"proc/loadavg": "0.50 1.25 2.00 3/120 4711\n",
		"sys/devices/system/cpu/cpu0/cache/index0/level":                  "1\n",
		"sys/devices/system/cpu/cpu0/cache/index0/type":                   "Instruction\n",
		"sys/devices/system/cpu/cpu0/cache/index0/size":                   "64K\n",
		"sys/devices/system/cpu/cpu0/cache/index1/level":                  "1\n",
		"sys/devices/system/cpu/cpu0/cache/index1/type":                   "Data\n",
		"sys/devices/system/cpu/cpu0/cache/index1/size":                   "32K\n",
		"sys/devices/system/cpu/cpu0/cache/index2/level":                  "3\n",
		"sys/devices/system/cpu/cpu0/cache/index2/type":                   "Unified\n",
		"sys/devices/system/cpu/cpu0/cache/index2/size":                   "16M\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":            "performance\n",
		"sys/devices/system/cpu/cpu0/topology/thread_siblings_list":       "0,8\n",
		"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
		"sys/devices/system/cpu/isolated":                                 "2-3\n",
		"sys/devices/system/cpu/nohz_full":                                "(null)\n",
		"sys/kernel/mm/transparent_hugepage/enabled":                      "always [madvise] never\n",
		"sys/kernel/mm/transparent_hugepage/shmem_enabled":                "always within_size [advise] never deny force\n",
		"proc/sys/vm/nr_hugepages":                                        "12\n",
		"sys/class/dmi/id/sys_vendor":                                     "Maker\n",
		"sys/class/dmi/id/product_name":                                   "Model\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := look(root)
	want := Machine{
		CPU: "Some CPU", Arch: got.Arch, Cores: got.Cores, Threads: 2, SIMD: "avx2 avx512f", L1d: 32 << 10, L3: 16 << 20, Memory: 2 << 20,
		Virtual: true, Product: "Maker Model", Kernel: got.Kernel, Go: got.Go, Governor: "performance", Clocksource: "tsc", Huge: "madvise",
		HugeShared: "advise", HugeTLB: 12, Isolated: "2-3", Load: [3]float64{0.5, 1.25, 2}, Tasks: 3,
	}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if s := got.String(); !strings.Contains(s, "Some CPU") || !strings.Contains(s, "isolated cores 2-3") || strings.Count(s, "\n") != 1 {
		t.Error(s)
	}
}

// TestHere: this machine says something of itself, and nothing there is makes it fail.
func TestHere(t *testing.T) {
	m := Look()
	if m.Cores < 1 || m.Kernel == "" || m.Go == "" || m.Memory == 0 {
		t.Errorf("%+v", m)
	}
	if none := look(t.TempDir()); none.CPU != "" || none.L2 != 0 || none.String() == "" {
		t.Errorf("%+v of an empty tree", none)
	}
	var back Machine
	b, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || !reflect.DeepEqual(m, back) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "?", 32 << 10: "32 KiB", 8 << 20: "8 MiB", 3 << 29: "1.5 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
