package tuning

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestIndex holds the catalogue against the list of ids: each is there once, with its severity and risk, and where virtual
// machines or containers cannot be judged, it says so.
func TestIndex(t *testing.T) {
	text, err := os.ReadFile("testdata/index.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range Catalogue() {
		seen[c.ID]++
		if c.Title == "" || c.Why == "" || c.Section == "" || c.Look == nil {
			t.Errorf("%s: title, why, section and look are needed", c.ID)
		}
		if c.Want != "" {
			if err := c.validWant(c.Want); err != nil {
				t.Errorf("%s: its own want: %v", c.ID, err)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines {
		f := strings.SplitN(line, " ", 4)
		c := Find(f[0])
		if seen[f[0]] != 1 {
			t.Errorf("%s is there %d times", f[0], seen[f[0]])
			continue
		}
		if c.Severity.String() != f[1] || c.Risk.String() != f[2] {
			t.Errorf("%s is %s %s, want %s %s", c.ID, c.Severity, c.Risk, f[1], f[2])
		}
		not := regexp.MustCompile(`[,;] *`).Split(f[3], -1)
		if slices.Contains(not, "ct") && !c.Uncontained {
			t.Errorf("%s does not apply in a container", c.ID)
		}
		if slices.Contains(not, "vm") && !c.Bare {
			t.Errorf("%s does not apply in a virtual machine", c.ID)
		}
	}
	if len(seen) != len(lines) {
		t.Errorf("%d checks, the index has %d", len(seen), len(lines))
	}
}

// TestMachines compares what is told of each machine, as text and as JSON, with what a person has read and found right.
func TestMachines(t *testing.T) {
	for _, name := range machines {
		t.Run(name, func(t *testing.T) {
			h := machine(t, name)
			r := h.Run(Select{})
			r.ToolVersion, r.DurationMs = "test", 0
			var text, doc bytes.Buffer
			if err := r.Text(&text, Style{}); err != nil {
				t.Fatal(err)
			}
			if err := r.JSON(&doc); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".json", doc.Bytes())
			for _, secret := range []string{"hunter2", h.Root} {
				if strings.Contains(doc.String(), secret) || strings.Contains(text.String(), secret) {
					t.Errorf("the report has %q in it", secret)
				}
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *rewrite {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("%s line %d:\n got %s\nwant %s\n(go test ./tuning -rewrite writes it anew)", name, i+1, a[i], strings.Join(b[min(i, len(b)):min(i+1, len(b))], ""))
			}
		}
		t.Fatalf("%s is shorter than wanted", name)
	}
}

// outcome is the result of one check of a machine.
func outcome(t *testing.T, h *Host, id string) Result {
	t.Helper()
	c := Find(id)
	if c == nil {
		t.Fatalf("no check %s", id)
	}
	return h.Look(c)
}

// TestOutcomes states, apart from the golden files, what must come of single checks.
func TestOutcomes(t *testing.T) {
	type row struct {
		machine, id string
		want        Status
		part        string // of reason, or of what is in effect
	}
	for _, r := range []row{
		{"mlx5", "cmdline.isolcpus", Pass, "8-11"},
		{"mlx5", "cmdline.cstate", Pass, "1 µs"},
		{"mlx5", "irq.feed", Pass, "irq 121 on 8"},
		{"mlx5", "ptp.phc2sys", Pass, "+150 ns"},
		{"mlx5", "ptp.ptp4l", Fail, "nobody"},
		{"mlx5", "pci.link", Pass, "x16"},
		{"mlx5", "cpu.smi", Note, "5"},
		{"mlx5", "nic.ntuple", Pass, "1 rules"},
		{"ice", "cmdline.isolcpus", Fail, "8-11"},
		{"ice", "cpu.pmqos", Fail, "no limit"},
		{"ice", "cpu.smt", Fail, "9 shares its core"}, // both siblings of none are planned
		{"ice", "cpu.numa_plan", Fail, "not on node 0"},
		{"ice", "irq.hot", Fail, "120 (IR-PCI-MSIX-0000:3b:00.0 1-edge ice-eth2-TxRx-0) on 9, 4000 times"},
		{"ice", "irq.feed", Fail, "queue 1 interrupts 0"},
		{"ice", "nic.driver", Fail, "outside"},
		{"ice", "nic.rss", Fail, "queues [1]"},
		{"ice", "pci.link", Fail, "x8"},
		{"ice", "nic.mtu", Fail, "9000"},
		{"ice", "ptp.tai", Fail, "UTC + 0 s"},
		{"ice", "mem.swap", Warn, "swappiness=60"},
		{"vm", "cpu.governor", Skip, "kvm"},
		{"vm", "time.clocksource", Warn, "hypervisor"},
		{"vm", "mem.thp", Waived, "always"},
		{"vm", "lim.misc", Waived, "no feed runs"}, // warnings that no severity decides are waived too
		{"vm", "irq.hot", Fail, "virtio3-input.0"}, // its waiver has expired
		{"vm", "kern.vmstat", Pass, "1"},           // as the plan wants
		{"vm", "nic.gro", Skip, "generic XDP is not used"},
		{"vm", "ptp.phc", Skip, "no PTP"},
		{"arm", "cmdline.tsc", Skip, ""},
		{"arm", "time.clocksource", Pass, "arch_sys_counter"},
		{"arm", "cpu.smt", Skip, "no SMT"},
		{"container", "cmdline.isolcpus", Skip, "container"},
		{"container", "plat.nic", Fail, "eth9 is not there"},
		{"cgroup1", "sys.cpuaffinity", Fail, "no cgroup v2"},
		{"offline", "cpu.online_hot", Fail, "11"},
		{"offline", "irq.hot", Fail, "3 times"},
		{"refuse", "irq.hot", Error, "privilege"},
		{"refuse", "cpu.pmqos", Error, "privilege"},
		{"refuse", "cpu.governor", Error, "privilege"},
		{"refuse", "mem.thp", Skip, "EINVAL"},
		{"refuse", "mem.swap", Error, ""},
		{"refuse", "kern.numa_balancing", Skip, "not present"},
		{"refuse", "kern.vmstat", Warn, "soon"}, // no number: not as wanted, and it is shown
		{"refuse", "cmdline.console", Error, "four numbers"},
		{"refuse", "kern.workqueue", Error, "mask"},
		{"refuse", "nic.link", Fail, "down"},
		{"refuse", "nic.driver", Error, "privilege"},
		{"refuse", "nic.coalesce", Skip, "EOPNOTSUPP"},
		{"refuse", "nic.xdp", Error, "xdp"},
		{"refuse", "cmdline.skew_tick", Error, "privilege"},
		{"refuse", "time.single", Error, "stat"},
		{"refuse", "time.clocksource", Error, "empty"},
		{"refuse", "cmdline.isolcpus", Error, "managed_irq"},
		{"refuse", "cmdline.cstate", Error, "privilege"},
	} {
		t.Run(r.machine+" "+r.id, func(t *testing.T) {
			got := outcome(t, machine(t, r.machine), r.id)
			text := got.Reason
			if got.Effective != nil {
				text += " " + got.Effective.Raw
			}
			if got.Status != r.want || !strings.Contains(text, r.part) {
				t.Errorf("%s: %s, want %s with %q", got.Status, text, r.want, r.part)
			}
		})
	}
}

// TestPersistence: what is, and what the next boot will bring, are two things.
func TestPersistence(t *testing.T) {
	for _, tc := range []struct {
		machine, id string
		want        Persistence
	}{
		{"mlx5", "cmdline.isolcpus", Kept}, // GRUB's defaults have it
		{"mlx5", "kern.vmstat", Kept},
		{"mlx5", "mem.compaction", Lost}, // two of its three are set by nobody
		{"ice", "cmdline.isolcpus", Pending},
		{"ice", "kern.vmstat", Unknown},
		{"arm", "net.busy", Unknown},
	} {
		if got := outcome(t, machine(t, tc.machine), tc.id).Persistence; got != tc.want {
			t.Errorf("%s of %s: %q, want %q", tc.id, tc.machine, got, tc.want)
		}
	}
}

// TestEvidence: whoever reads the files that a result names finds what it says, and the command line is never among them.
func TestEvidence(t *testing.T) {
	h := machine(t, "ice")
	for _, res := range h.Run(Select{}).Checks {
		if res.Evidence == nil {
			t.Errorf("%s: evidence is null", res.ID)
		}
		for _, e := range res.Evidence {
			if e.Source == "/proc/cmdline" || e.Error == "" && !strings.HasPrefix(e.Source, "/") && !strings.Contains(e.Source, "ethtool") &&
				!strings.Contains(e.Source, "netlink") && !strings.Contains(e.Source, "netdev-genl") && groupOf(e.Source) == "" {
				t.Errorf("%s: evidence of %q", res.ID, e.Source)
			}
			text, err := os.ReadFile(h.path(e.Source))
			if err == nil && e.Error == "" && strings.HasPrefix(e.Source, "/sys/") && e.Value != "(is there)" && strings.TrimSpace(string(text)) != e.Value {
				t.Errorf("%s: %s holds %q, evidence says %q", res.ID, e.Source, text, e.Value)
			}
		}
	}
}

func groupOf(source string) string {
	for name, g := range groups {
		if strings.Contains(source, g.source) {
			return name
		}
	}
	return ""
}

// TestLooksOnly: nothing in the tree is another after a look.
func TestLooksOnly(t *testing.T) {
	h := machine(t, "ice")
	before := tree(t, h.Root)
	h.Run(Select{})
	if after := tree(t, h.Root); after != before {
		t.Error("a look changed the machine")
	}
}

func tree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestChanges: each change says who carries it out, what it does by hand, how it is undone, and its risk; a check's worst is
// no more than the report says.
func TestChanges(t *testing.T) {
	kinds := map[Kind]bool{}
	for _, name := range machines {
		r := machine(t, name).Run(Select{})
		for _, res := range r.Checks {
			bad := res.Status == Fail || res.Status == Warn
			if res.Remediation == nil {
				if bad {
					t.Errorf("%s of %s: nothing is said of what to do", res.ID, name)
				}
				continue
			}
			if bad && len(res.Remediation.Changes) == 0 && res.Remediation.Human == "" {
				t.Errorf("%s of %s: neither a command nor words", res.ID, name)
			}
			for _, c := range res.Remediation.Changes {
				kinds[c.Kind] = true
				if c.Check != res.ID || c.Kind == "" || c.Target == "" || c.Command == "" || c.Undo == "" || c.Risk > res.Remediation.Risk {
					t.Errorf("%s of %s: %+v", res.ID, name, c)
				}
				if c.Kind == Ethtool && c.Risk < R1 || c.Kind == CommandLine && (!c.Reboot || c.Risk < R3) {
					t.Errorf("%s of %s: risk %s of %s", res.ID, name, c.Risk, c.Command)
				}
			}
		}
	}
	for _, k := range []Kind{WriteFile, Sysctl, Tmpfiles, Udev, Systemd, CommandLine, Ethtool, Affinity, Link} {
		if !kinds[k] {
			t.Errorf("no machine needs a change of kind %s", k)
		}
	}
}

// TestNoPlan: cores and interfaces are never guessed.
func TestNoPlan(t *testing.T) {
	h := machine(t, "ice")
	h.Plan = &Plan{}
	if err := h.Plan.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range Catalogue() {
		res := h.Look(c)
		if c.Planned && (res.Status != Skip || !strings.Contains(res.Reason, "no plan: name the cores")) {
			t.Errorf("%s: %s %s", c.ID, res.Status, res.Reason)
		}
		if c.NICs && res.Status != Skip {
			t.Errorf("%s: %s %s", c.ID, res.Status, res.Reason)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		s      Summary
		strict bool
		want   int
	}{
		{Summary{Pass: 3, Skip: 1, Info: 2}, true, 0},
		{Summary{Warn: 1}, false, 0},
		{Summary{Warn: 1}, true, 2},
		{Summary{Fail: 1, Error: 1, Warn: 1}, true, 1},
		{Summary{Error: 1, Warn: 1}, true, 3},
		{Summary{Waived: 1}, true, 0},
	} {
		if got := (&Report{Summary: tc.s}).ExitCode(tc.strict); got != tc.want {
			t.Errorf("%v strict=%v: %d, want %d", tc.s, tc.strict, got, tc.want)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, tc := range []struct {
		profile string
		want    [4]Status // info, minor, major, crit
	}{{Colo, [4]Status{Note, Warn, Fail, Fail}}, {Lab, [4]Status{Note, Warn, Warn, Fail}}, {VM, [4]Status{Note, Warn, Warn, Fail}}} {
		for s := Info; s <= Crit; s++ {
			if got := judge(s, tc.profile); got != tc.want[s] {
				t.Errorf("%s in %s: %s, want %s", s, tc.profile, got, tc.want[s])
			}
		}
	}
}

// TestPlanFaults: all faults are told at once.
func TestPlanFaults(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "hto = '4-7'", "unknown key"},
		{"profile", "profile = 'prod'", `profile = "prod"`},
		{"overlap", "hot = '4-7'\nnapi = '7-8'", "cores 7 are in hot and napi"},
		{"cores", "hot = '7-4'", "no list of cores"},
		{"interface", "[[interface]]\nname = '../../etc'", "no name of an interface"},
		{"twice", "[[interface]]\nname = 'eth2'\n[[interface]]\nname = 'eth2'", "twice"},
		{"group", "[[interface]]\nname = 'eth2'\ngroups = ['10.0.0.1:5']", "want one such as"},
		{"bdf", "[[interface]]\nname = 'eth2'\nbdf = '3b:00.0'", "bdf"},
		{"waiver of nothing", "[[waiver]]\ncheck = 'cpu.nothing'\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-01", "there is no check"},
		{"waiver without an end", "[[waiver]]\ncheck = 'cpu.smt'\nreason = 'r'\nowner = 'o'", "all needed"},
		{"override of nothing", "[check.'x.y']\nwant = '1'", "no such check"},
		{"want that is none", "[check.'nic.rings']\nwant = 'many'", "want a number"},
		{"want that follows", "[check.'irq.hot']\nwant = '1'", "comes from the plan"},
		{"severity", "[check.'nic.rings']\nseverity = 'awful'", "awful"},
		{"both", "profile = 'prod'\nlayout = 'Z'", `layout = "Z", want A, B or plain; profile = "prod"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParsePlan([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "plan: ") {
				t.Errorf("%v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestWaiverEnds(t *testing.T) {
	p, err := ParsePlan([]byte("[[waiver]]\ncheck = 'cpu.smt'\nreason = 'r'\nowner = 'o'\nexpires = 2026-03-02"))
	if err != nil {
		t.Fatal(err)
	}
	if p.waiver("cpu.smt", noon) == nil {
		t.Error("it holds on its last day")
	}
	if p.waiver("cpu.smt", noon.Add(24*time.Hour)) != nil {
		t.Error("it does not hold on the day after")
	}
}

// TestTransitions: a second look tells what changed, and only that.
func TestTransitions(t *testing.T) {
	h := ownMachine(t, "mlx5")
	before := h.Run(Select{})
	if again := h.Run(Select{}); len(Transitions(before, again)) != 0 {
		t.Errorf("nothing changed: %v", Transitions(before, again))
	}
	set(t, h, "/sys/class/net/eth2/carrier", "0\n")
	set(t, h, "/sys/class/net/eth2/statistics/rx_dropped", "7\n")
	h.Refresh(noon)
	middle := h.Run(Select{})
	var ids []string
	for _, c := range Transitions(before, middle) {
		ids = append(ids, c.ID+" "+c.Is.String())
	}
	if !slices.Equal(ids, []string{"nic.link FAIL", "nic.drops WARN"}) {
		t.Errorf("%v", ids)
	}
	set(t, h, "/sys/class/net/eth2/statistics/rx_dropped", "9\n")
	h.Refresh(noon)
	changed := Transitions(middle, h.Run(Select{}))
	if len(changed) != 1 || !strings.Contains(changed[0].String(), "rx_dropped 9") {
		t.Errorf("more drops: %v", changed)
	}
}

func TestFormats(t *testing.T) {
	r := machine(t, "ice").Run(Select{})
	var lines, suite, text bytes.Buffer
	if err := r.JSONLines(&lines); err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSpace(lines.String()), "\n")
	if len(all) != len(r.Checks)+1 {
		t.Errorf("%d lines for %d checks", len(all), len(r.Checks))
	}
	for _, l := range all {
		if !json.Valid([]byte(l)) {
			t.Errorf("no JSON: %s", l)
		}
	}
	if err := r.JUnit(&suite); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(suite.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for _, c := range got.Cases {
		if c.Failure != nil {
			failures++
		}
	}
	if got.Tests != len(r.Checks) || got.Failures != r.Summary.Fail || failures != r.Summary.Fail {
		t.Errorf("suite of %d with %d and %d failures; summary %s", got.Tests, got.Failures, failures, r.Summary)
	}
	r.BySeverity()
	if err := r.Text(&text, Style{Colour: true, Quiet: true, Flat: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text.String(), "\x1b[31mFAIL") || strings.Contains(text.String(), "PASS  ") {
		t.Errorf("quiet, coloured, the worst first: %.200q", text.String())
	}
}

// TestControlCharacters: what a file of the machine holds does not steer the terminal.
func TestControlCharacters(t *testing.T) {
	h := ownMachine(t, "mlx5")
	set(t, h, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "\x1b[2Jevil\n")
	var b bytes.Buffer
	if err := h.Run(Select{Only: []string{"time.clocksource"}}).Text(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), "evil") {
		t.Errorf("%q", b.String())
	}
}

// TestKernelConfig: an option that the kernel lacks is said, from the plain file or the packed one.
func TestKernelConfig(t *testing.T) {
	const without = "CONFIG_SMP=y\n# CONFIG_RCU_NOCB_CPU is not set\n"
	h := ownMachine(t, "ice")
	set(t, h, "/boot/config-6.12.0-55.el10.x86_64", without)
	if got := outcome(t, h, "cmdline.rcu_nocbs"); got.Status != Skip || !strings.Contains(got.Reason, "CONFIG_RCU_NOCB_CPU") {
		t.Errorf("%s %s", got.Status, got.Reason)
	}
	if err := os.Remove(h.path("/boot/config-6.12.0-55.el10.x86_64")); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(without)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	set(t, h, "/proc/config.gz", packed.String())
	h.Refresh(noon)
	if on, known := h.kernelConfig("CONFIG_SMP"); !on || !known {
		t.Errorf("CONFIG_SMP: %v %v", on, known)
	}
	if on, known := h.kernelConfig("CONFIG_RCU_NOCB_CPU"); on || !known {
		t.Errorf("CONFIG_RCU_NOCB_CPU: %v %v", on, known)
	}
}

func TestSelect(t *testing.T) {
	h := machine(t, "mlx5")
	r := h.Run(Select{Only: []string{"nic.*"}, Skip: []string{"nic.gro"}})
	for _, c := range r.Checks {
		if !strings.HasPrefix(c.ID, "nic.") || c.ID == "nic.gro" {
			t.Errorf("%s is not selected", c.ID)
		}
	}
	if len(r.Checks) < 20 {
		t.Errorf("%d checks", len(r.Checks))
	}
	for _, s := range []Select{{Only: []string{"nic.rngs"}}, {Skip: []string{"zz*"}}, {Groups: []string{"cpus"}}} {
		if s.Validate() == nil {
			t.Errorf("%v is taken", s)
		}
	}
}

// TestPanicIsAnError: a check that is wrong does not take the others with it.
func TestPanicIsAnError(t *testing.T) {
	h := machine(t, "mlx5")
	res := h.Look(&Check{ID: "x.y", Look: func(*Host) Finding { var p *Plan; return note(p.Hot, "") }})
	if res.Status != Error || !strings.Contains(res.Reason, "internal") || !strings.Contains(res.Reason, "tuning_test.go:") {
		t.Errorf("%s %s", res.Status, res.Reason)
	}
}

// TestThisMachine looks at the machine that the tests run on, with a plan and without: whatever it is, nothing is internal.
func TestThisMachine(t *testing.T) {
	for _, p := range []*Plan{nil, {Hot: CPUs{1}, NAPI: CPUs{0}, Interfaces: []Interface{{Name: "lo", Queues: []int{0}}}, HardwareTime: true}, {Layout: LayoutB, Hot: CPUs{0}, Interfaces: []Interface{{Name: "lo"}}},
		{Layout: Plain, Hot: CPUs{0}, Interfaces: []Interface{{Name: "lo"}, {Name: "nosuch0"}}}} {
		h, err := Open("/", p)
		if err != nil {
			t.Fatal(err)
		}
		r := h.Run(Select{})
		if len(r.Checks) != len(Catalogue()) {
			t.Errorf("%d results of %d checks", len(r.Checks), len(Catalogue()))
		}
		for _, c := range r.Checks {
			if strings.Contains(c.Reason, "internal") {
				t.Errorf("%s: %s", c.ID, c.Reason)
			}
		}
		if r.Host.Kernel == "" || r.Host.Fingerprint == "" {
			t.Errorf("host %+v", r.Host)
		}
	}
}
