package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
)

// lend gives a machine a file, or another content of one, for the time of a test.
func lend(t *testing.T, h *tuning.Host, name, text string) {
	t.Helper()
	full := filepath.Join(h.Root, name)
	was, err := os.ReadFile(full)
	put(t, h, name, text, 0o644)
	t.Cleanup(func() {
		if err != nil {
			err = os.Remove(full)
		} else {
			err = os.WriteFile(full, was, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
		h.Refresh(h.Now)
	})
}

// TestRefused: what is not understood, what another would take back, and what would cut the operator off is refused, with the
// reason; nothing of it is tried.
func TestRefused(t *testing.T) {
	file := func(name, value string) tuning.Change {
		return tuning.Change{Kind: tuning.WriteFile, Target: name, Value: value, Risk: tuning.R1}
	}
	rings := tuning.Change{Kind: tuning.Ethtool, Target: "eth2", Key: "rings.rx_pending", Value: "1024", Risk: tuning.R2, NIC: "eth2"}
	link := tuning.Change{Kind: tuning.Link, Target: "eth2", Key: "RxBufferSize", Value: "1024", Persistent: true, Risk: tuning.R2}
	sysctl := tuning.Change{Kind: tuning.Sysctl, Target: "vm.stat_interval", Value: "10", Persistent: true, Risk: tuning.R1}
	unit := func(name, key, value string) tuning.Change {
		return tuning.Change{Kind: tuning.Systemd, Target: name, Key: key, Value: value, Persistent: true, Risk: tuning.R1}
	}
	governor := file("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "performance")
	h := fullMachine(t)
	const routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
	for _, tc := range []struct {
		name   string
		change tuning.Change
		with   map[string]string
		run    string // a process
		why    string
	}{
		{"ordinary file", file("/etc/passwd", "x"), nil, "", "not the kernel's"},
		{"way out", file("/sys/../etc/passwd", "x"), nil, "", "not the kernel's"},
		{"another of /proc", file("/proc/sysrq-trigger", "b"), nil, "", "not the kernel's"},
		{"no such file", file("/proc/sys/vm/none", "1"), nil, "", "no such file"},
		{"two lines", file("/proc/sys/vm/swappiness", "1\n2"), nil, "", "not one line"},
		{"another kind", tuning.Change{Kind: "magic", Target: "x"}, nil, "", "kind"},
		{"driver's field", tuning.Change{Kind: tuning.Ethtool, Target: "eth2", Key: "driver.version", Value: "2"}, nil, "", "not understood"},
		{"no interface", tuning.Change{Kind: tuning.Ethtool, Target: "eth9", Key: "rings.rx_pending", Value: "2"}, nil, "", "no such device"},
		{"task", tuning.Change{Kind: tuning.Affinity, Target: "0", Value: "2"}, nil, "", "the task"},
		{"rule that runs something", tuning.Change{Kind: tuning.Udev, Target: "/sys/x", Key: "y", Value: `ACTION=="add", KERNEL=="x", RUN+="/bin/x"`}, nil, "", "udev rule"},
		{"link key", tuning.Change{Kind: tuning.Link, Target: "eth2", Key: "Name", Value: "eth0"}, nil, "", "not understood"},
		{"unit", unit("../x.service", "Service.Nice", "1"), nil, "", "not understood"},
		{"unit's key", unit("x.service", "Service.exec start", "1"), nil, "", "not understood"},
		{"unit's state", unit("irqbalance.service", "state", "maybe"), nil, "", "not understood"},
		{"static unit", unit("y.service", "state", "disabled"), map[string]string{"/fake/units/y.service": "static active\n"}, "", "mask it by hand"},
		{"parameter", boot("a b", "1"), nil, "", "not understood"},
		{"parameter's value", boot("init", "$(x)"), nil, "", "not understood"},
		{"parameter that is there", boot("quiet", "3"), nil, "", "/etc/default/grub has quiet already"},
		{"every core of a node", boot("isolcpus", "domain,managed_irq,0-7"), nil, "", "every core of node 0"},
		{"every core", boot("nohz_full", "0-15"), nil, "", "every core there is"},
		{"cores that are none", boot("isolcpus", "domain,x"), nil, "", "not understood"},
		{"slice without a core", unit("system.slice", "Slice.AllowedCPUs", "40"), nil, "", "without a core"},
		{"irqbalance", file("/proc/irq/120/smp_affinity_list", "0"), nil, "", "irqbalance runs"},
		{"vendor's script", file("/proc/irq/120/smp_affinity_list", "0"), nil, "mlnx_tune", "mlnx_tune runs"},
		{"power daemon", governor, nil, "power-profiles-daemon", "power-profiles-daemon runs"},
		{"later sysctl.d", sysctl, map[string]string{"/etc/sysctl.d/99-own.conf": "vm.stat_interval = 5\n"}, "", "99-own.conf makes it \"5\""},
		{"sysctl.conf", sysctl, map[string]string{"/etc/sysctl.conf": "vm/stat_interval=5\n"}, "", "/etc/sysctl.conf makes it \"5\""},
		{"earlier .link", link, map[string]string{"/etc/systemd/network/10-x.link": "[Match]\nOriginalName=eth2\n"}, "", "10-x.link matches eth2 first"},
		{"earlier .link by path", link, map[string]string{"/run/systemd/network/10-netplan.link": "[Match]\nPath=pci-0000:3b:00.0\n"}, "", "10-netplan.link"},
		{"own name", link, map[string]string{"/etc/systemd/network/90-feed-eth2.link": "[Match]\nOriginalName=eth2\n"}, "", "not ticktune's"},
		{"NetworkManager", link, map[string]string{"/etc/NetworkManager/system-connections/eth2.nmconnection": "[connection]\ninterface-name=eth2\n[ethtool]\nring-rx=512\n"}, "NetworkManager", "eth2.nmconnection"},
		{"default route", rings, map[string]string{"/proc/net/route": routes + "eth2\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\n"}, "", "eth2 carries the default route"},
		{"default route of IPv6", rings, map[string]string{"/proc/net/ipv6_route": strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 00000400 1 0 3 eth2\n"}, "", "the default route"},
		{"session", rings, map[string]string{"/proc/net/route": routes + "eth2\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"}, "", "eth2 carries the session"},
		{"below the session's", rings, map[string]string{"/proc/net/route": routes + "bond0.7\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
			"/sys/class/net/bond0.7/lower_bond0": "", "/sys/class/net/bond0/lower_eth2": ""}, "", "eth2 carries the session"},
		{"its file for the next boot", link, map[string]string{"/proc/net/route": routes + "eth2\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\n"}, "", "the default route"},
		{"AF_XDP", rings, map[string]string{"/fake/nic/eth2.json": `{"rings": {"rx_pending": 512}, "queues": [{"id": 0}, {"id": 1, "xsk": true}]}`}, "", "bound to queue 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, text := range tc.with {
				lend(t, h, name, text)
			}
			if tc.run != "" { // in place of irqbalance; the kernel keeps 15 bytes of a name
				const stat = "/proc/800/task/800/stat"
				lend(t, h, stat, strings.Replace(get(t, h, stat), "irqbalance", tc.run[:min(15, len(tc.run))], 1))
			}
			before := treeOf(t, h.Root)
			o := everything()
			o.AllowMgmt, o.Session = false, "192.168.2.9"
			out := do(t, h, []tuning.Change{tc.change}, o)
			if len(out.Steps) != 1 || out.Steps[0].State != Refused || !strings.Contains(out.Steps[0].Reason, tc.why) {
				t.Errorf("want it refused with %q:\n%s", tc.why, show(out))
			}
			sameTree(t, treeOf(t, h.Root), before)
			if o.AllowMgmt = true; strings.Contains(tc.why, "route") || strings.Contains(tc.why, "session") {
				if out := do(t, h, []tuning.Change{tc.change}, o); out.Count(Done) != 1 {
					t.Errorf("with AllowMgmt:\n%s", show(out))
				}
				if _, err := Revert(h, Which{All: true}, o); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestTwoMinds: two changes that want different values of one place are a mistake of whoever made them.
func TestTwoMinds(t *testing.T) {
	h := fullMachine(t)
	c := tuning.Change{Kind: tuning.WriteFile, Target: "/proc/sys/vm/stat_interval", Value: "10", Risk: tuning.R1}
	d := c
	d.Value = "20"
	out := do(t, h, []tuning.Change{c, d, c}, everything())
	if out.Count(Done) != 1 || out.Count(Refused) != 1 || get(t, h, c.Target) != "10\n" {
		t.Error(show(out))
	}
}

// TestHeld: what risks more than was allowed is left out, and the rest is done.
func TestHeld(t *testing.T) {
	h := fullMachine(t)
	changes := h.Run(tuning.Select{Only: []string{"kern.vmstat", "cmdline.skew_tick", "mem.swap", "nic.rings"}}).Changes()
	held := func(o Options) (risks string) {
		o.DryRun = true
		for _, s := range do(t, h, changes, o).Steps {
			if s.State == Held {
				risks += s.Risk.String() + " "
			} else if s.State != Planned {
				t.Errorf("%s is %s: %s", s.Command, s.State, s.Reason)
			}
		}
		return risks
	}
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "r4 r4 r3 "},
		{Options{MaxRisk: tuning.R1}, "r4 r2 r4 r2 r3 "},
		{Options{MaxRisk: tuning.R3}, "r4 r4 "},
		{Options{MaxRisk: tuning.R4}, "r4 r4 "},
		{Options{MaxRisk: tuning.R3, AcceptSecurityRisk: true}, "r4 r4 "},
		{Options{MaxRisk: tuning.R4, AcceptSecurityRisk: true}, ""},
	} {
		if got := held(tc.o); got != tc.want {
			t.Errorf("%+v holds %q, want %q", tc.o, got, tc.want)
		}
	}
}

// TestOrder: stages in the order of doing, one interface at a time within those of NICs.
func TestOrder(t *testing.T) {
	face := func(nic, key string) tuning.Change {
		return tuning.Change{Kind: tuning.Ethtool, Target: nic, Key: key, Value: "1"}
	}
	file := func(name string) tuning.Change {
		return tuning.Change{Kind: tuning.WriteFile, Target: name, Value: "1"}
	}
	want := []tuning.Change{
		{Kind: tuning.Systemd, Target: "irqbalance.service", Key: "state", Value: "disabled"},
		file("/sys/devices/system/cpu/intel_pstate/no_turbo"), file("/sys/kernel/mm/ksm/run"), file("/proc/sys/kernel/watchdog"), file("/proc/irq/9/smp_affinity_list"),
		face("eth1", "channels.combined"), file("/sys/class/net/eth1/mtu"), face("eth1", "rss.equal"), file("/sys/class/net/eth1/threaded"), face("eth1", "hwtstamp.rx_filter"),
		face("eth2", "rings.rx_pending"), face("eth2", "hwtstamp.rx_filter"),
		{Kind: tuning.Sysctl, Target: "a.b", Value: "1"}, {Kind: tuning.Systemd, Target: "a.slice", Key: "Slice.AllowedCPUs", Value: "1"}, {Kind: tuning.CommandLine, Target: "a", Value: "1"},
	}
	given := slices.Clone(want)
	slices.Reverse(given)
	for i, j := 0, len(given)/2; j < len(given); i, j = i+1, j+1 {
		given[i], given[j] = given[j], given[i]
	}
	h := fullMachine(t)
	o := everything()
	o.DryRun = true
	for i, s := range do(t, h, given, o).Steps {
		if s.Kind != want[i].Kind || s.Target != want[i].Target || s.Key != want[i].Key {
			t.Errorf("step %d is %s, want %s", i, label(&s.Change), label(&want[i]))
		}
	}
}

// TestSnapshots: what two differ in is what was changed between them.
func TestSnapshots(t *testing.T) {
	h := fullMachine(t)
	o := everything()
	if _, err := Take(h, "a", o); err != nil {
		t.Fatal(err)
	}
	if d, err := Diff(h, "a", Now, o); err != nil || len(d) != 0 {
		t.Fatalf("%v %v", d, err)
	}
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.vmstat", "nic.rings"}}).Changes(), o)
	if _, err := Take(h, "b", o); err != nil {
		t.Fatal(err)
	}
	d, err := Diff(h, "a", "b", o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range d {
		names = append(names, one.What+" "+one.A.Text+" "+one.B.Text)
	}
	got := strings.Join(names, "\n")
	for _, want := range []string{"/proc/sys/vm/stat_interval 1 10\n", "eth2 rings.rx_pending 512 2048\n", "\nkern.vmstat WARN", "\nnic.rings FAIL"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if len(d) != 4 {
		t.Errorf("%d differences:\n%s", len(d), got)
	}
	if _, err := Take(h, "a", o); err == nil {
		t.Error("a snapshot was written over")
	}
	if _, err := Take(h, "../x", o); err == nil {
		t.Error("a snapshot left its folder")
	}
	if names, err := Snapshots(h, o); err != nil || !slices.Contains(names, "a") || len(names) != 3 {
		t.Errorf("%v %v", names, err)
	}
	dir := filepath.Join(h.Root, DefaultDir, "snapshots")
	for i := range 2 * keptSnapshots {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("20200101T000000-%d.json", 1000+i)), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do(t, h, h.Run(tuning.Select{Only: []string{"kern.numa_balancing"}}).Changes(), o)
	if names, err := Snapshots(h, o); err != nil || len(names) != keptSnapshots+2 || !slices.Contains(names, "a") || slices.Contains(names, "20200101T000000-1000") {
		t.Errorf("%d snapshots are kept: %v (%v)", len(names), names, err)
	}
	if _, err := Diff(h, "a", "none", o); err == nil || !strings.Contains(err.Error(), "there are: ") {
		t.Error(err)
	}
}
