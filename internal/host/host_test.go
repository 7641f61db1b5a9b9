package host

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// good is a host of eight cores that was made for lanes on cores 2 and 3, packets by eth1.
var good = map[string]string{
	"sys/devices/system/cpu/online":                             "0-7\n",
	"sys/devices/system/cpu/isolated":                           "2-3,6-7\n",
	"sys/devices/system/cpu/nohz_full":                          "2-3\n",
	"proc/cmdline":                                              "root=/dev/sda1 isolcpus=domain,managed_irq,2-3,6-7 nohz_full=2-3 rcu_nocbs=2-3\n",
	"proc/irq/24/effective_affinity_list":                       "1\n",
	"proc/irq/24/smp_affinity_list":                             "0-7\n",
	"proc/irq/24/eth1-TxRx-0/x":                                 "",
	"proc/irq/25/smp_affinity_list":                             "0-1\n",
	"proc/irq/25/nvme0q1/x":                                     "",
	"proc/irq/26/effective_affinity_list":                       "3\n", // nobody uses it
	"sys/devices/system/cpu/cpu2/cpufreq/scaling_governor":      "performance\n",
	"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor":      "performance\n",
	"sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "2,6\n",
	"sys/devices/system/cpu/cpu3/topology/thread_siblings_list": "3,7\n",
	"sys/devices/system/cpu/cpu2/node0/x":                       "",
	"sys/devices/system/cpu/cpu3/node0/x":                       "",
	"sys/devices/system/node/node0/x":                           "",
	"sys/devices/system/node/node1/x":                           "",
	"sys/class/net/eth1/device/numa_node":                       "0\n",
	"sys/class/net/eth1/queues/rx-0/rps_cpus":                   "00,00000000\n",
	"sys/class/net/eth1/napi_defer_hard_irqs":                   "100\n",
	"sys/class/net/eth1/gro_flush_timeout":                      "200000\n",
	"sys/kernel/mm/transparent_hugepage/enabled":                "always [madvise] never\n",
	"proc/swaps":                          "Filename\tType\tSize\tUsed\tPriority\n",
	"proc/sys/vm/swappiness":              "60\n",
	"proc/sys/kernel/numa_balancing":      "0\n",
	"proc/sys/kernel/sched_rt_runtime_us": "950000\n",
}

var lanes = Plan{Cores: []int{3, 2}, Interfaces: []string{"eth1"}}

// tree writes the good host with some files changed; "-" takes a file away.
func tree(t testing.TB, changed map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := maps.Clone(good)
	maps.Copy(files, changed)
	for name, text := range files {
		if text == "-" {
			continue
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindings(t *testing.T) {
	busy := Plan{Cores: lanes.Cores, Interfaces: lanes.Interfaces, BusyPoll: true}
	const cpu = "sys/devices/system/cpu/"
	for _, tc := range []struct {
		name    string
		plan    Plan
		changed map[string]string
		check   string // "": nothing is found
		text    string // that it has in it
	}{
		{"good", lanes, nil, "", ""},
		{"good for busy polling", busy, nil, "", ""},
		{"not isolated", lanes, map[string]string{cpu + "isolated": "2,6-7"}, "cmdline.isolcpus", "core 3 is not isolated"},
		{"isolated by a group", lanes, map[string]string{cpu + "isolated": "6-7", "sys/fs/cgroup/cpuset.cpus.isolated": "2-3"}, "", ""},
		{"ticks", lanes, map[string]string{cpu + "nohz_full": "(null)"}, "cmdline.nohz_full", "cores 2-3 are interrupted"},
		{"ticks are right for busy polling", busy, map[string]string{cpu + "nohz_full": " "}, "", ""},
		{"kernel without nohz_full", lanes, map[string]string{cpu + "nohz_full": "-"}, "", ""},
		{"callbacks", busy, map[string]string{cpu + "nohz_full": "2", "proc/cmdline": "quiet rcu_nocbs=7"}, "cmdline.rcu_nocbs", "run on core 3"},
		{"callbacks of all offloaded", busy, map[string]string{cpu + "nohz_full": "", "proc/cmdline": "rcu_nocbs=all"}, "", ""},
		{"interrupt", lanes, map[string]string{"proc/irq/24/effective_affinity_list": "3"}, "irq.hot", "core 3 serves 1 device interrupt: 24 eth1-TxRx-0"},
		{"interrupt, if the controller does not say", lanes, map[string]string{"proc/irq/25/smp_affinity_list": "0-2"}, "irq.hot", "core 2 serves 1 device interrupt: 25 nvme0q1"},
		{"interrupt of the polled interface", busy, map[string]string{"proc/irq/24/effective_affinity_list": "3"}, "", ""},
		{"governor", lanes, map[string]string{cpu + "cpu3/cpufreq/scaling_governor": "powersave"}, "cpu.governor", "governor of core 3 is powersave"},
		{"sibling works for others", lanes, map[string]string{cpu + "isolated": "2-3,7"}, "cpu.smt", "core 2 shares its hardware with core 6"},
		{"sibling is off", lanes, map[string]string{cpu + "isolated": "2-3,7", cpu + "online": "0-5,7"}, "", ""},
		{"two lanes on one core", lanes, map[string]string{cpu + "cpu2/topology/thread_siblings_list": "2-3", cpu + "cpu3/topology/thread_siblings_list": "2-3"},
			"cpu.smt", "core 2 and core 3 are threads of one core"},
		{"offline", Plan{Cores: []int{2, 8}}, map[string]string{cpu + "isolated": "2-8", cpu + "nohz_full": "2-8"}, "cpu.online_hot", "core 8 is not online"},
		{"core 0", Plan{Cores: []int{0}}, map[string]string{cpu + "isolated": "0", cpu + "nohz_full": "0", "proc/irq/25/smp_affinity_list": "1"}, "cpu.online_hot", "core 0 has a lane"},
		{"far from the NIC", lanes, map[string]string{"sys/class/net/eth1/device/numa_node": "1"}, "cpu.numa_plan", "eth1 hangs on NUMA node 1, cores 2-3 are on another"},
		{"one node, says the NIC", lanes, map[string]string{"sys/class/net/eth1/device/numa_node": "-1"}, "", ""},
		{"huge pages for all", lanes, map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"}, "mem.thp", "madvise"},
		{"swap", lanes, map[string]string{"proc/swaps": good["proc/swaps"] + "/dev/sdb1 partition 1 0 -2\n"}, "mem.swap", "vm.swappiness"},
		{"swap, not eager, and locked", Plan{MemoryLocked: true}, map[string]string{"proc/swaps": good["proc/swaps"] + "/dev/sdb1 partition 1 0 -2\n", "proc/sys/vm/swappiness": "1"}, "", ""},
		{"pages are sampled", lanes, map[string]string{"proc/sys/kernel/numa_balancing": "1"}, "kern.numa_balancing", "NUMA balancing is on"},
		{"pages are sampled on one node", lanes, map[string]string{"proc/sys/kernel/numa_balancing": "1", "sys/devices/system/node/node1/x": "-"}, "", ""},
		{"fifo", Plan{Cores: lanes.Cores, FIFO: true}, nil, "kern.rt_throttle", "950000 µs"},
		{"fifo, unbounded", Plan{Cores: lanes.Cores, FIFO: true}, map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "-1"}, "", ""},
		{"steered by software", lanes, map[string]string{"sys/class/net/eth1/queues/rx-0/rps_cpus": "00,00000030"}, "rps.off", "(RPS, rx-0): cores 4-5"},
		{"interrupts after busy polls", busy, map[string]string{"sys/class/net/eth1/napi_defer_hard_irqs": "0"}, "nic.napi_defer", "napi_defer_hard_irqs is 0"},
		{"nothing spins", Plan{}, map[string]string{cpu + "isolated": "", "proc/irq/24/effective_affinity_list": "3"}, "", ""},
		{"three cores", Plan{Cores: []int{2}}, map[string]string{cpu + "online": "0-2", cpu + "isolated": "", cpu + "nohz_full": "", cpu + "cpu2/topology/thread_siblings_list": "2"}, "", ""},
		{"lists that lie", lanes, map[string]string{cpu + "isolated": "3-2", cpu + "nohz_full": "0-99999999", "proc/irq/24/effective_affinity_list": "a,b"}, "irq.hot", "24 eth1"},
	} {
		found := Look(tree(t, tc.changed), tc.plan)
		switch {
		case tc.check == "" && len(found) > 0:
			t.Errorf("%s: found %v, want nothing", tc.name, found)
		case tc.check == "":
		case tc.name == "interrupt, if the controller does not say" || tc.name == "lists that lie":
			if !slices.ContainsFunc(found, func(w Warning) bool { return w.Check == tc.check && strings.Contains(w.Text, tc.text) }) {
				t.Errorf("%s: found %v, want %s with %q", tc.name, found, tc.check, tc.text)
			}
		case len(found) != 1 || found[0].Check != tc.check || !strings.Contains(found[0].Text, tc.text):
			t.Errorf("%s: found %v, want %s alone with %q", tc.name, found, tc.check, tc.text)
		}
	}
}

// Where nothing can be read nothing is said: a container without /sys.
func TestNothingThere(t *testing.T) {
	if found := Look(t.TempDir(), Plan{Cores: []int{1, 2}, Interfaces: []string{"eth0"}, BusyPoll: true, FIFO: true}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// The host that the test runs on is looked at without harm, whatever it is.
func TestThisHost(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(\.[a-z_]+)+$`)
	for _, p := range []Plan{{}, {Cores: []int{0, 1, 5000}, Interfaces: []string{"lo", "../x"}, BusyPoll: true, FIFO: true}} {
		for _, w := range Look("/", p) {
			t.Log(w)
			if !id.MatchString(w.Check) || w.Text == "" || !strings.HasSuffix(w.String(), "(ticktune check --explain "+w.Check+")") {
				t.Errorf("%+v is no warning", w)
			}
		}
	}
}

func TestLists(t *testing.T) {
	for text, want := range map[string]string{
		"0-3,8": "cores 0-3,8", "5": "core 5", "7,1,2,2-3": "cores 1-3,7", "": "core", "(null)": "core",
	} {
		if got, ok := parseList(text); !ok || got.String() != want {
			t.Errorf("%q is %s (%v), want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"x", "1-", "-1", "4-2", "1,,2", "0-99999999", "1 2"} {
		if got, ok := parseList(text); ok {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
	for text, want := range map[string]string{"ff": "cores 0-7", "00000001,80000000": "cores 31-32", "0": "core"} {
		if got, ok := parseMask(text); !ok || got.String() != want {
			t.Errorf("%q is %s (%v), want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "g", "1,,2", "100000000"} {
		if got, ok := parseMask(text); ok {
			t.Errorf("mask %q was taken as %s", text, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"0-3,8", "(null)", "1-", "0-16383", "domain,managed_irq,2-5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if set, ok := parseList(s); ok && len(set) > 0 {
			again, ok := parseList(strings.TrimPrefix(strings.TrimPrefix(set.String(), "cores "), "core "))
			if !ok || !slices.Equal(set, again) {
				t.Errorf("%q: %v, written and read again %v", s, set, again)
			}
		}
		parseBootList(s, cpus{0, 1})
		if set, ok := parseMask(s); ok && !slices.IsSorted(set) {
			t.Errorf("%q: %v", s, set)
		}
	})
}
