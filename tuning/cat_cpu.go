package tuning

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const cpuDir = "/sys/devices/system/cpu/"

func cpuChecks() []*Check {
	const section = "cpu"
	settings := func(list ...setting) func(*Host) Finding { return func(h *Host) Finding { return h.settings(list...) } }
	const cpuRule = `SUBSYSTEM=="cpu", KERNEL=="cpu[0-9]*"`
	return []*Check{
		{ID: "cpu.governor", Section: section, Title: "frequency governor", Severity: Major, Risk: R1, Bare: true, Want: "performance",
			Why:   "the clock follows the load, and the first packets of a burst find it low",
			Human: "for good: tuned, cpupower.service, or cpufreq.default_governor=performance on the command line",
			Look:  settings(setting{path: cpuDir + "cpufreq/policy*/scaling_governor", udev: cpuRule, attr: "cpufreq/"})},
		{ID: "cpu.epp", Section: section, Title: "energy preference", Severity: Major, Risk: R1, Bare: true,
			Why: "with another preference the processor itself saves power between bursts", Human: "for good: a unit or tuned",
			Look: settings(setting{path: cpuDir + "cpufreq/policy*/energy_performance_preference", want: "performance"},
				setting{path: cpuDir + "cpu[0-9]*/power/energy_perf_bias", want: "0"})},
		{ID: "cpu.minperf", Section: section, Title: "lowest frequency", Severity: Minor, Risk: R1, Bare: true,
			Why: "a ramp up from a low clock takes tens of µs", Human: "for good: a unit or tuned", Look: lookMinPerf},
		{ID: "cpu.turbo", Section: section, Title: "turbo", Severity: Info, Risk: R1, Bare: true,
			Why: "on gives the lowest median, off a constant frequency: site policy", Look: lookTurbo},
		{ID: "cpu.uncore", Section: section, Title: "uncore frequency", Severity: Major, Risk: R1, Bare: true,
			Why: "latency of L3, mesh and PCIe follows it, and idle sockets drop it", Human: "for good: BIOS, uncore frequency scaling disabled, or a unit", Look: lookUncore},
		{ID: "cpu.freq", Section: section, Title: "frequency as it is", Severity: Major, Bare: true, measured: true, Planned: true,
			Why: "what counts is the clock under the real load", Look: lookFreq},
		{ID: "cpu.pmqos", Section: section, Title: "limit on wake-up latency", Severity: Major, Risk: R1, Bare: true, Want: "<=2", valid: validNumbers,
			Why:   "a deep idle state adds 20 to 50 µs to each wake-up",
			Human: "a process holds /dev/cpu_dma_latency open with its limit in it: the feed itself, or tuned (force_latency=cstate.id_no_zero:1)", Look: lookPMQoS},
		{ID: "cpu.cstates", Section: section, Title: "idle states of NAPI and interrupt cores", Severity: Major, Risk: R1, Bare: true, Want: "<=2", valid: validNumbers,
			Why: "a packet waits until its core has woken; package states slow down DMA for all", Human: "for good: BIOS (C-states off), or a unit", Look: lookCstates},
		{ID: "cpu.smt", Section: section, Title: "hardware threads beside HOT and NAPI", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "two threads share one core: while the sibling works, the lane has about half", Human: "for good: BIOS or nosmt", Look: lookSMT},
		{ID: "cpu.numa_plan", Section: section, Title: "cores on the NIC's node", Severity: Crit, Planned: true,
			Why: "each cache line from the other socket takes 100 to 300 ns more", Human: "change the plan's cores, or the NIC's slot", Look: lookNUMAPlan},
		{ID: "cpu.l3_plan", Section: section, Title: "NAPI and receivers under one L3", Severity: Crit, Planned: true,
			Why: "packets pass from one to the other through the cache", Human: "change the plan's cores", Look: lookL3Plan},
		{ID: "cpu.online_hot", Section: section, Title: "planned cores online, none is core 0", Severity: Crit, Risk: R3, Planned: true,
			Why: "core 0 keeps time and has interrupts that cannot be moved", Human: "change the plan's cores", Look: lookOnline},
		{ID: "cpu.thermal", Section: section, Title: "thermal throttling", Severity: Major, Bare: true,
			Why: "a throttled core runs at a fraction of its clock", Human: "cooling, power limits, BIOS", Look: lookThermal},
		{ID: "cpu.smi", Section: section, Title: "system management interrupts", Severity: Major, Bare: true,
			Why:   "each stops all cores for tens to hundreds of µs",
			Human: "BIOS: legacy USB off, power monitoring off, patrol scrub reporting off; ask for the vendor's low-latency guide. ten minutes without one are wanted", Look: lookSMI},
		{ID: "cpu.microcode", Section: section, Title: "microcode", Severity: Info, Risk: R3, Bare: true,
			Why: "machines of a fleet should not differ", Human: "BIOS or the distribution's package", Look: lookMicrocode},
		{ID: "bios.*", Section: section, Title: "settings of the firmware", Severity: Info, Risk: R3, Bare: true,
			Why: "they cannot be read from here",
			Human: "power profile maximum performance; C-states and C1E off, package C0/C1; SMT off; turbo by policy; SNC/NPS as planned; prefetchers default; DDIO on; x2APIC on; SR-IOV off if unused; " +
				"ASPM off; patrol scrub off or slow; determinism slider performance (AMD); relaxed ordering as the vendor of the NIC advises", Look: lookBIOS},
		{ID: "cpu.rdt", Section: section, Title: "cache allocation", Severity: Info, Risk: R1,
			Why: "ways of the L3 can be set aside for HOT and NAPI: optional", Look: func(h *Host) Finding {
				if !h.Exists("/sys/fs/resctrl/schemata") {
					return skip("resctrl is not mounted")
				}
				text, err := h.Read("/sys/fs/resctrl/schemata")
				if err != nil {
					return unread(err)
				}
				return note(strings.Join(strings.Fields(text), " "), "")
			}},
	}
}

func lookMinPerf(h *Host) Finding {
	list := []setting{{path: cpuDir + "intel_pstate/min_perf_pct", want: "100"}}
	for _, name := range h.Glob(cpuDir + "cpufreq/policy*/scaling_min_freq") {
		top, err := h.Read(path.Dir(name) + "/scaling_max_freq")
		if err != nil {
			return unread(err)
		}
		list = append(list, setting{path: name, want: top})
	}
	return h.settings(list...)
}

func lookTurbo(h *Host) Finding {
	if off, err := h.Int(cpuDir + "intel_pstate/no_turbo"); err == nil {
		return note(map[bool]string{true: "off", false: "on"}[off != 0], "")
	}
	on, err := h.Int(cpuDir + "cpufreq/boost")
	if err != nil {
		return unread(err)
	}
	return note(map[bool]string{true: "on", false: "off"}[on != 0], "")
}

func lookUncore(h *Host) Finding {
	var list []setting
	dirs := slices.Concat(h.Glob(cpuDir+"intel_uncore_frequency/package_*_die_*"), h.Glob(cpuDir+"intel_uncore_frequency/uncore[0-9]*"))
	for _, dir := range dirs {
		top, err := h.Read(dir + "/initial_max_freq_khz")
		if err != nil {
			return unread(err)
		}
		list = append(list, setting{path: dir + "/min_freq_khz", want: top}, setting{path: dir + "/max_freq_khz", want: top})
	}
	if len(list) == 0 {
		return skip("not present: intel_uncore_frequency (AMD: fabric P-states are the BIOS's)")
	}
	return h.settings(list...)
}

// freqLimit is what a core may lose of its frequency under load, in millionths.
const freqLimit = 10_000

// freqProbed judges what cores ran at when they were loaded.
func freqProbed(cores []CoreFrequency) Finding {
	var shown, wrong []string
	for _, c := range cores {
		text := fmt.Sprintf("%d: %.0f MHz", c.Core, c.MHz)
		shown = append(shown, text)
		if c.SpreadPPM > freqLimit {
			wrong = append(wrong, fmt.Sprintf("core %d fell to %.0f of %.0f MHz", c.Core, c.LeastMHz, c.MHz))
		}
	}
	const want = "within 1 % under load"
	if len(wrong) > 0 {
		return deviates(strings.Join(shown, ", "), want, someOf(wrong))
	}
	return pass(strings.Join(shown, ", "), want)
}

func lookFreq(h *Host) Finding {
	if h.Probes.Frequency != nil {
		cores, err := h.Probes.Frequency(h.Plan.Hot)
		h.record("measured: dependent instructions on "+h.Plan.Hot.String(), fmt.Sprint(cores), err)
		if err != nil {
			return Finding{Status: Error, Reason: err.Error()}
		}
		f := freqProbed(cores)
		if kind := h.Virt(); kind != "" && f.bad {
			f.bad, f.Status, f.Human = false, Warn, "look at its host"
			f.Reason += "; in a virtual machine (" + kind + ")"
		}
		return f
	}
	low, high, seen := 0, 0, 0
	for _, cpu := range h.Plan.Hot {
		khz, err := h.Int(fmt.Sprintf("%scpu%d/cpufreq/scaling_cur_freq", cpuDir, cpu))
		if err != nil {
			return unread(err)
		}
		if seen++; seen == 1 || khz < low {
			low = khz
		}
		high = max(high, khz)
	}
	return note(fmt.Sprintf("%d to %d MHz", low/1000, high/1000), "a hint, of this moment: under the real load HOT should stay within 1 % for a minute")
}

// latencyLimit is what PM QoS allows, µs.
func (h *Host) latencyLimit() (int32, error) {
	b, err := h.ReadAt("/dev/cpu_dma_latency", 0, 4)
	if err != nil {
		return 0, err
	}
	return native32(b), nil
}

func lookPMQoS(h *Host) Finding {
	if driver, err := h.Read(cpuDir + "cpuidle/current_driver"); err != nil {
		return unread(err)
	} else if driver == "none" {
		return skip("no driver of idle states")
	}
	limit, err := h.latencyLimit()
	if err != nil {
		return unread(err)
	}
	v := strconv.Itoa(int(limit))
	if meets(v, h.want) {
		f := pass(v, wantText(h.want))
		f.Unit = "µs"
		return f
	}
	f := deviates(v, wantText(h.want), "up to "+v+" µs are allowed")
	if limit == 2_000_000_000 {
		f.Reason = "there is no limit"
	}
	f.Unit = "µs"
	return f
}

func lookCstates(h *Host) Finding {
	cores := h.Plan.NAPI
	if !h.Plan.Named() {
		cores = h.Online() // without a plan: any core may serve a NIC
	} else {
		cores = cores.Union(h.HK())
	}
	type state struct{ name, latency string }
	deep := map[state]CPUs{}
	var order []state
	var changes []Change
	seen := 0
	for _, cpu := range cores {
		for _, dir := range h.Glob(fmt.Sprintf("%scpu%d/cpuidle/state[0-9]*", cpuDir, cpu)) {
			latency, err := h.Read(dir + "/latency")
			if err != nil {
				return unread(err)
			}
			disabled, err := h.Read(dir + "/disable")
			if err != nil {
				return unread(err)
			}
			seen++
			if meets(latency, h.want) || disabled != "0" {
				continue
			}
			name, _ := h.Read(dir + "/name")
			s := state{name, latency}
			if deep[s] == nil {
				order = append(order, s)
			}
			deep[s] = append(deep[s], cpu)
			changes = append(changes, setFile(dir+"/disable", "1", "0", R1))
		}
	}
	want := "no state above " + strings.TrimPrefix(h.want, "<=") + " µs"
	if seen == 0 {
		return skip("no idle states")
	}
	if len(deep) == 0 {
		return pass("none", want)
	}
	var text []string
	for _, s := range order {
		text = append(text, fmt.Sprintf("%s (%s µs) on %s", s.name, s.latency, deep[s]))
	}
	shown := strings.Join(text, ", ")
	if limit, err := h.latencyLimit(); err == nil && meets(strconv.Itoa(int(limit)), h.want) {
		f := pass(shown, want)
		f.Reason = fmt.Sprintf("PM QoS allows %d µs: they are not entered", limit)
		return f
	}
	return deviates(shown, want, shown, changes...)
}

// lookSMT wants the siblings of busy cores to be offline or isolated, and not busy themselves.
func lookSMT(h *Host) Finding {
	control, err := h.Read(cpuDir + "smt/control")
	if err != nil {
		return unread(err)
	}
	if control == "notsupported" || control == "notimplemented" {
		return skip("no SMT on this machine")
	}
	busy, isolated, online := h.Plan.Busy(), h.Isolated(), h.Online()
	var wrong []string
	var changes []Change
	for _, cpu := range busy {
		siblings, err := h.List(fmt.Sprintf("%scpu%d/topology/thread_siblings_list", cpuDir, cpu))
		if err != nil {
			continue // offline: cpu.online_hot tells
		}
		for _, s := range siblings.Without(CPUs{cpu}) {
			switch {
			case !online.Has(s):
			case busy.Has(s):
				if s > cpu { // once a pair
					wrong = append(wrong, fmt.Sprintf("%d and %d are threads of one core, and both are planned", cpu, s))
				}
			case !isolated.Has(s):
				wrong = append(wrong, fmt.Sprintf("%d shares its core with %d, where others run", cpu, s))
				changes = append(changes, setFile(fmt.Sprintf("%scpu%d/online", cpuDir, s), "0", "1", R3))
			}
		}
	}
	const want = "off, or siblings of HOT and NAPI offline or isolated"
	if len(wrong) == 0 {
		return pass("smt "+control, want)
	}
	f := deviates("smt "+control, want, someOf(wrong), changes...)
	if h.Virt() != "" {
		f = Finding{Status: Warn, Effective: f.Effective, Want: want, Reason: f.Reason + "; a guest's topology may be untrue"}
	}
	return f
}

func lookNUMAPlan(h *Host) Finding {
	if len(h.Nodes()) < 2 {
		return skip("a single node")
	}
	if len(h.Plan.Interfaces) == 0 {
		return skip("no plan: name the interface (--nic eth2, or [[interface]] in a plan file)")
	}
	var shown, wrong []string
	for _, f := range h.Plan.Interfaces {
		node, err := h.Int("/sys/class/net/" + f.Name + "/device/numa_node")
		if err != nil {
			return unread(err)
		}
		if node < 0 {
			return skip("the firmware does not tell the node of %s (pci.numa)", f.Name)
		}
		shown = append(shown, fmt.Sprintf("%s on node %d", f.Name, node))
		var far CPUs
		for _, cpu := range h.Plan.Busy() {
			if at := h.NodeOf(cpu); at >= 0 && at != node {
				far = append(far, cpu)
			}
		}
		if len(far) > 0 {
			wrong = append(wrong, fmt.Sprintf("cores %s are not on node %d of %s", far, node, f.Name))
		}
	}
	if len(wrong) > 0 {
		return deviates(strings.Join(shown, ", "), "HOT and NAPI on the node of the NIC", strings.Join(wrong, "; "))
	}
	return pass(strings.Join(shown, ", "), "HOT and NAPI on the node of the NIC")
}

func lookL3Plan(h *Host) Finding {
	if len(h.Plan.NAPI) == 0 {
		return skip("the plan has no NAPI cores apart from HOT")
	}
	first := h.Plan.NAPI[0]
	set, err := h.List(fmt.Sprintf("%scpu%d/cache/index3/shared_cpu_list", cpuDir, first))
	if err != nil {
		return unread(err)
	}
	want := fmt.Sprintf("all under the L3 of core %d (%s)", first, set)
	if left := h.Plan.Busy().Without(set); len(left) > 0 {
		return deviates(set, want, "under another L3: "+left.String())
	}
	return pass(set, want)
}

func lookOnline(h *Host) Finding {
	online, busy := h.Online(), h.Plan.Busy()
	if len(online) == 0 {
		return unread(&missingError{"cpu/online"})
	}
	if left := busy.Without(online); len(left) > 0 {
		f := deviates(online, busy.String()+" online", "not online: "+left.String())
		for _, cpu := range left.And(h.Possible()) {
			f.Changes = append(f.Changes, setFile(fmt.Sprintf("%scpu%d/online", cpuDir, cpu), "1", "0", R3))
		}
		return f
	}
	if busy.Has(0) {
		return deviates(online, "core 0 is housekeeping", "core 0 is planned")
	}
	if len(online.Without(busy)) == 0 {
		return deviates(online, "cores for housekeeping", "the plan leaves no core for anything else")
	}
	return pass(online, busy.String()+" online, none is 0")
}

func lookThermal(h *Host) Finding {
	total, newly, seen := 0, 0, 0
	for _, name := range slices.Concat(h.Glob(cpuDir+"cpu[0-9]*/thermal_throttle/core_throttle_count"), h.Glob(cpuDir+"cpu[0-9]*/thermal_throttle/package_throttle_count")) {
		n, err := h.Int(name)
		if err != nil {
			return unread(err)
		}
		total, newly = total+n, newly+h.wentUp(name, n)
		seen++
	}
	if seen == 0 {
		return skip("not present: thermal_throttle")
	}
	if over := h.interval(); over != "" {
		if newly > 0 {
			return deviates(newly, "0", fmt.Sprintf("%d times in %s, over all cores", newly, over))
		}
		return pass(0, "0 in "+over)
	}
	if total > 0 {
		return Finding{Status: Warn, Effective: valueOf(total), Want: "0", Reason: strconv.Itoa(total) + " times since boot, over all cores; a test wants no more of them", Human: h.check.Human}
	}
	return pass(total, "0 since boot")
}

// smiRegister is MSR_SMI_COUNT.
const smiRegister = 0x34

func lookSMI(h *Host) Finding {
	cpu := 0
	if h.Plan.Named() {
		cpu = h.Plan.Hot[0]
	}
	if info, err := h.quiet("/proc/cpuinfo"); err == nil && cpuField(info, "vendor_id") != "GenuineIntel" {
		return skip("not counted on this processor from here (AMD: perf event ls_smi_rx)")
	}
	name := fmt.Sprintf("/dev/cpu/%d/msr", cpu)
	b, err := h.ReadAt(name, smiRegister, 8)
	if err != nil {
		f := unread(err)
		if f.Status == Skip {
			f.Reason = "no /dev/cpu/N/msr: modprobe msr"
		}
		return f
	}
	n := smis(b)
	if was, err := hex.DecodeString(h.wasCall(readAt(name, smiRegister, 8))); err == nil && len(was) == 8 {
		over := h.interval()
		if more := n - smis(was); more > 0 {
			return deviates(more, "0", fmt.Sprintf("%d in %s", more, over))
		}
		return pass(0, "0 in "+over)
	}
	return note(n, "since boot; ten minutes without a new one are wanted")
}

func lookMicrocode(h *Host) Finding {
	info, err := h.quiet("/proc/cpuinfo")
	if err != nil {
		return unread(err)
	}
	v := cpuField(info, "microcode")
	h.record("/proc/cpuinfo microcode", v, nil)
	if v == "" {
		return skip("not told by this processor")
	}
	return h.golden("microcode", v)
}

// golden compares with the version that the plan says the fleet has.
func (h *Host) golden(what, version string) Finding {
	want := h.Plan.Firmware[what]
	if want == "" {
		return note(version, "")
	}
	if version != want {
		return Finding{Status: Warn, Effective: Value{Raw: version}, Want: want, Reason: version + " is not the golden version", Human: h.check.Human}
	}
	return pass(version, want)
}

func lookBIOS(h *Host) Finding {
	v, err := h.Read("/sys/class/dmi/id/bios_version")
	if err != nil {
		return unread(err)
	}
	f := h.golden("bios", v)
	if f.Human == "" {
		f.Human = h.check.Human
	}
	return f
}
