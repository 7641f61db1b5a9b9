package tuning

import (
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

func cmdlineChecks() []*Check {
	const section = "kernel command line"
	return []*Check{
		{ID: "cmdline.isolcpus", Section: section, Title: "cores out of load balancing", Severity: Crit, Risk: R3, Uncontained: true, Planned: true,
			Why:   "the scheduler puts other programs on cores that are not isolated, and a lane waits while they run",
			Human: "without a reboot: ticktune isolate --cgroup NAME puts a running feed into a cpuset partition of cgroup v2; only its members may then run there",
			Refs:  []string{"Documentation/admin-guide/kernel-parameters.txt", "Documentation/admin-guide/cgroup-v2.rst"}, Look: lookIsolcpus},
		{ID: "cmdline.nohz_full", Section: section, Title: "no scheduler tick on HOT", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "the tick takes the core 100 to 1000 times a second", Look: lookNohz, Refs: []string{"Documentation/timers/no_hz.rst"}},
		{ID: "cmdline.rcu_nocbs", Section: section, Title: "RCU callbacks elsewhere", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "the kernel's deferred work runs between a lane's packets", Look: lookRCU},
		{ID: "cmdline.rcu_nocb_poll", Section: section, Title: "RCU threads poll", Severity: Info, Risk: R3, Uncontained: true,
			Why: "costs housekeeping cores power; wanted only where wake-ups of these threads are seen on HOT", Look: func(h *Host) Finding {
				_, ok, err := h.Param("rcu_nocb_poll")
				if err != nil {
					return unread(err)
				}
				return note(paramText("rcu_nocb_poll", "", ok), "unset is the default; set it only if osnoise shows wake-ups from HOT")
			}},
		{ID: "cmdline.rcu_normal", Section: section, Title: "no expedited grace periods", Severity: Minor, Risk: R1, Uncontained: true,
			Why: "expedited RCU grace periods interrupt every core", Look: lookRCUNormal},
		{ID: "cmdline.irqaffinity", Section: section, Title: "default mask of interrupts", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "interrupts that are requested later land on HOT", Look: lookIRQAffinity},
		{ID: "cmdline.cstate", Section: section, Title: "deepest idle state by command line", Severity: Major, Risk: R3, Bare: true, Uncontained: true,
			Why: "leaving deep idle states takes tens of µs", Look: lookCmdCstate},
		{ID: "cmdline.pstate", Section: section, Title: "driver of frequencies", Severity: Minor, Risk: R3, Bare: true, Uncontained: true,
			Why: "passive mode leaves ramps to the scheduler", Want: "active|disable", valid: among("active", "disable", "passive", "guided"), Look: lookPstate},
		{ID: "cmdline.mitigations", Section: section, Title: "mitigations of CPU vulnerabilities", Severity: Info, Risk: R4, Uncontained: true,
			Why: "the kernel's receive path gets some percent faster without; only for machines with one tenant, with written consent", Look: lookMitigations},
		{ID: "cmdline.thp", Section: section, Title: "transparent huge pages at boot", Severity: Major, Risk: R1, Uncontained: true,
			Why: "what is set at run time only is gone after a reboot (mem.thp)", Look: lookCmdTHP},
		{ID: "cmdline.skew_tick", Section: section, Title: "ticks of the cores apart", Severity: Minor, Risk: R3, Uncontained: true,
			Why: "ticks at the same moment fight for locks", Look: func(h *Host) Finding { return h.param("skew_tick", "1", exactly("1")) }},
		{ID: "cmdline.tsc", Section: section, Title: "no watchdog of the TSC", Severity: Minor, Risk: R3, Bare: true, Uncontained: true,
			Why: "the watchdog's timer hops over all cores twice a second", Look: lookCmdTSC},
		{ID: "cmdline.lockup", Section: section, Title: "lockup detectors at boot", Severity: Minor, Risk: R3, Uncontained: true,
			Why: "their timers run on every core (kern.watchdog)", Look: lookLockup},
		{ID: "cmdline.audit", Section: section, Title: "auditing of system calls", Severity: Minor, Risk: R4, Uncontained: true,
			Why: "any system call rule puts every system call on the slow path", Human: "compliance decides: ask before audit=0", Look: lookAudit},
		{ID: "cmdline.iommu", Section: section, Title: "IOMMU by identity", Severity: Minor, Risk: R4, NICs: true,
			Why: "translation stands in the path of each DMA", Look: lookIOMMU},
		{ID: "cmdline.hugepages", Section: section, Title: "huge pages at boot", Severity: Major, Risk: R3, Uncontained: true,
			Why: "late allocations meet fragmented memory (mem.hugepages)", Look: lookCmdHuge},
		{ID: "cmdline.nosmt", Section: section, Title: "SMT at boot", Severity: Major, Risk: R3, Bare: true, Uncontained: true, Planned: true,
			Why: "what is switched off at run time comes back with the next boot (cpu.smt)", Look: lookCmdSMT},
		{ID: "cmdline.workqueue", Section: section, Title: "unbound workqueues at boot", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "the kernel's unbound work runs on HOT from boot until somebody sets a mask (kern.workqueue)", Look: lookCmdWorkqueue},
		{ID: "cmdline.aspm", Section: section, Title: "PCIe power saving at boot", Severity: Minor, Risk: R3, Bare: true, Uncontained: true,
			Why: "pcie_aspm=off does not switch it off: it only leaves alone what the firmware has set", Look: lookCmdASPM},
		{ID: "cmdline.mce", Section: section, Title: "polling for corrected memory errors", Severity: Info, Risk: R4, Bare: true,
			Why: "it touches every core; where the management controller logs errors it is not needed", Human: "it hides corrected errors from Linux: decide with who owns the hardware",
			Look: lookMCE},
		{ID: "cmdline.console", Section: section, Title: "log level of the console", Severity: Minor, Risk: R1, Uncontained: true, Want: "<=3", valid: validNumbers,
			Why: "printing on a serial line can hold a core for milliseconds", Look: lookConsole},
		{ID: "cmdline.preempt", Section: section, Title: "preemption model", Severity: Info,
			Why: "spinning receivers do not need PREEMPT_RT: it forces threaded interrupts and changes locking", Look: lookPreempt},
	}
}

// fewCPUs: with fewer there is nothing to isolate a core from.
const fewCPUs = 4

func lookIsolcpus(h *Host) Finding {
	if n := len(h.Online()); n < fewCPUs {
		return skip("%d cores: fewer than %d leave nothing to isolate", n, fewCPUs)
	}
	boot, err := h.List("/sys/devices/system/cpu/isolated")
	if err != nil {
		return unread(err)
	}
	group, _ := h.List("/sys/fs/cgroup/cpuset.cpus.isolated")
	isolated, need := boot.Union(group), h.Plan.Busy()
	value, _, lineErr := h.Param("isolcpus")
	want := need.String() + " isolated, with managed_irq"
	// Cores that others have isolated stay so, and so do the flags that they gave.
	others, flags := h.bootCores("isolcpus")
	for _, flag := range []string{"domain", "managed_irq"} {
		if !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	change := setBoot("isolcpus", strings.Join(flags, ",")+","+need.Union(others).String(), R3)
	good := h.covers(need)
	f := pass(isolated, want)
	if left := need.Without(isolated); len(left) > 0 {
		f = deviates(isolated, want, "not isolated: "+left.String(), change)
	} else if lineErr != nil && len(need.And(boot)) > 0 {
		f = unread(lineErr)
		f.Effective, f.Want, f.Reason = valueOf(isolated), want, "isolated; whether with managed_irq: "+f.Reason
	} else if _, flags, _ := ParseBootCPUs(value, h.Possible()); len(need.And(boot)) > 0 && !slices.Contains(flags, "managed_irq") {
		f = Finding{Status: Warn, Effective: valueOf(isolated), Want: want, Reason: "isolcpus without managed_irq: interrupts that the kernel places itself may land there", Changes: nil,
			Human: "add managed_irq to isolcpus: " + change.Command}
	}
	h.persist(&f, "isolcpus", good)
	return f
}

// bootCores is what a parameter's set of cores and flags are, at the next boot where that is known, else now.
func (h *Host) bootCores(name string) (CPUs, []string) {
	value, _, known := h.NextParam(name)
	if !known {
		value, _, _ = h.Param(name)
	}
	set, flags, err := ParseBootCPUs(value, h.Possible())
	if err != nil {
		return nil, nil // the kernel does not take it either
	}
	return set, flags
}

func lookNohz(h *Host) Finding {
	set, err := h.List("/sys/devices/system/cpu/nohz_full")
	if err != nil {
		f := unread(err)
		if f.Status == Skip {
			f.Reason = "needs a kernel with NO_HZ_FULL"
		}
		return f
	}
	need := h.Plan.Hot
	if h.Plan.Layout == LayoutB {
		return skip("receivers poll in line (layout B): each of their system calls would get slower")
	}
	f := pass(set, "HOT ("+need.String()+")")
	if left := need.Without(set); len(left) > 0 {
		others, _ := h.bootCores("nohz_full")
		f = deviates(set, f.Want, "with a tick: "+left.String(), setBoot("nohz_full", need.Union(others).String(), R3))
	} else if both := set.And(h.Plan.NAPI); len(both) > 0 {
		f = Finding{Status: Warn, Effective: valueOf(set), Want: f.Want, Reason: "NAPI cores are in it too (" + both.String() + "): each interrupt there gets slower", Human: "take them out of nohz_full"}
	}
	h.persist(&f, "nohz_full", h.covers(need))
	return f
}

// kernelConfig says whether the kernel was built with an option, where its configuration can be read.
func (h *Host) kernelConfig(option string) (on, known bool) {
	release, _ := h.quiet("/proc/sys/kernel/osrelease")
	source := "/boot/config-" + release
	text, err := h.quiet(source)
	if err != nil || strings.Contains(release, "/") {
		source = "/proc/config.gz"
		packed, err := h.quiet(source)
		if err != nil {
			return false, false
		}
		z, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			return false, false
		}
		// What follows the trimmed end, or is not there of it, does not matter: the options come before it.
		plain, _ := io.ReadAll(io.LimitReader(z, maxFile))
		text = string(plain)
	}
	if !strings.Contains(text, "CONFIG_") {
		return false, false
	}
	on = strings.Contains("\n"+text, "\n"+option+"=y")
	h.record(source+", "+option, strconv.FormatBool(on), nil)
	return on, true
}

func lookRCU(h *Host) Finding {
	value, ok, err := h.Param("rcu_nocbs")
	if err != nil {
		return unread(err)
	}
	if on, known := h.kernelConfig("CONFIG_RCU_NOCB_CPU"); known && !on {
		return skip("needs a kernel with CONFIG_RCU_NOCB_CPU")
	}
	need := h.Plan.Busy()
	var set CPUs
	if ok && value == "" {
		set = h.Possible()
	} else if ok {
		if set, _, err = ParseBootCPUs(value, h.Possible()); err != nil {
			return Finding{Status: Error, Reason: "rcu_nocbs: " + err.Error()}
		}
	}
	tickless, _ := h.List("/sys/devices/system/cpu/nohz_full")
	set = set.Union(tickless) // nohz_full implies it
	want := need.String()
	f := pass(set, want)
	if left := need.Without(set); len(left) > 0 {
		others, _ := h.bootCores("rcu_nocbs")
		f = deviates(set, want, "callbacks run on "+left.String(), setBoot("rcu_nocbs", need.Union(others).String(), R3))
	}
	tasks, _ := h.Tasks()
	var near []string
	for _, t := range tasks {
		if t.Kernel && (strings.HasPrefix(t.Name, "rcuo")) && len(t.Allowed.And(need)) > 0 && !t.Fixed {
			near = append(near, t.Name)
			f.Changes = append(f.Changes, setAffinity(t, h.HK(), R1))
		}
	}
	if len(near) > 0 {
		f.bad, f.Status = true, 0
		f.Reason = strings.TrimPrefix(f.Reason+fmt.Sprintf("; %d threads of RCU may run on them: %s", len(near), someOf(near)), "; ")
	}
	h.persist(&f, "rcu_nocbs", func(v string, ok bool) bool { return ok && v == "" || h.covers(need)(v, ok) })
	return f
}

// someOf shows the first names of many.
func someOf(names []string) string {
	const shown = 4
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

func setAffinity(t Task, to CPUs, risk Risk) Change {
	id := strconv.Itoa(t.TID)
	return Change{Kind: Affinity, Target: id, Key: t.Name, Value: to.String(), Old: t.Allowed.String(), Risk: risk,
		Command: "taskset -cp " + to.String() + " " + id, Undo: "taskset -cp " + t.Allowed.String() + " " + id}
}

func lookRCUNormal(h *Host) Finding {
	f := h.settings(
		setting{path: "/sys/kernel/rcu_normal", want: "1", temp: true},
		setting{path: "/sys/module/rcutree/parameters/nohz_full_patience_delay", want: "1000", unfix: true})
	if f.bad {
		f.Changes = append(f.Changes, setBoot("rcupdate.rcu_normal_after_boot", "1", R1), setBoot("rcutree.nohz_full_patience_delay", "1000", R1))
	}
	return f
}

func lookIRQAffinity(h *Host) Finding {
	set, err := h.Mask("/proc/irq/default_smp_affinity")
	if err != nil {
		return unread(err)
	}
	hk := h.HK()
	f := pass(set, "within "+hk.String())
	if left := set.And(h.Plan.Busy()); len(left) > 0 {
		c := setFile("/proc/irq/default_smp_affinity", hk.Mask(), set.Mask(), R1)
		f = deviates(set, "within "+hk.String(), "new interrupts may land on "+left.String(), c, setBoot("irqaffinity", hk.String(), R3))
	}
	h.persist(&f, "irqaffinity", func(v string, ok bool) bool {
		next, _, err := ParseBootCPUs(v, h.Possible())
		return ok && err == nil && len(next.And(h.Plan.Busy())) == 0
	})
	return f
}

func lookCmdCstate(h *Host) Finding {
	driver, err := h.Read("/sys/devices/system/cpu/cpuidle/current_driver")
	if err != nil {
		return unread(err)
	}
	if driver == "none" {
		return skip("no driver of idle states")
	}
	idle, polls, err := h.Param("idle")
	if err != nil {
		return unread(err)
	}
	intel, hasIntel, _ := h.Param("intel_idle.max_cstate")
	acpi, hasACPI, _ := h.Param("processor.max_cstate")
	text := strings.Join([]string{"driver " + driver, paramText("intel_idle.max_cstate", intel, hasIntel), paramText("processor.max_cstate", acpi, hasACPI), paramText("idle", idle, polls)}, ", ")
	const want = "intel_idle.max_cstate=1 or processor.max_cstate=1, or a limit by PM QoS (cpu.pmqos)"
	if active, _ := h.Read("/sys/devices/system/cpu/smt/active"); polls && idle == "poll" && active == "1" {
		return Finding{Status: Warn, Effective: Value{Raw: text}, Want: want, Reason: "idle=poll with SMT on: idle threads take power and pipelines from their siblings", Human: "take idle=poll away"}
	}
	if hasIntel && intel == "0" && acpi != "1" {
		return deviates(text, want, "intel_idle.max_cstate=0 only hands over to acpi_idle, which may go deeper", setBoot("processor.max_cstate", "1", R3))
	}
	if limit, err := h.latencyLimit(); err == nil && limit <= 2 {
		f := pass(text, want)
		f.Reason = fmt.Sprintf("PM QoS allows %d µs", limit)
		return f
	}
	if hasIntel && intel == "1" || hasACPI && acpi == "1" || polls {
		return pass(text, want)
	}
	name := "processor.max_cstate"
	if driver == "intel_idle" {
		name = "intel_idle.max_cstate"
	}
	return deviates(text, want, "nothing limits idle states", setBoot(name, "1", R3))
}

func lookPstate(h *Host) Finding {
	for _, d := range []struct{ file, param string }{
		{"/sys/devices/system/cpu/intel_pstate/status", "intel_pstate"}, {"/sys/devices/system/cpu/amd_pstate/status", "amd_pstate"}} {
		status, err := h.Read(d.file)
		if err != nil {
			if unread(err).Status == Error {
				return unread(err)
			}
			continue
		}
		if status == "off" {
			status = "disable"
		}
		want := wantText(h.want)
		good := func(v string, ok bool) bool { return !ok && meets("active", h.want) || meets(v, h.want) }
		f := pass(d.param+" "+status, want)
		if !meets(status, h.want) {
			f = deviates(d.param+" "+status, want, status, setBoot(d.param, toSet(h.want), R3))
		}
		h.persist(&f, d.param, good)
		return f
	}
	return skip("neither intel_pstate nor amd_pstate")
}

func lookMitigations(h *Host) Finding {
	value, ok, err := h.Param("mitigations")
	if err != nil {
		return unread(err)
	}
	open := []string{}
	for _, name := range h.Glob("/sys/devices/system/cpu/vulnerabilities/*") {
		if text, err := h.Read(name); err == nil && strings.HasPrefix(text, "Vulnerable") {
			open = append(open, path.Base(name))
		}
	}
	f := note(paramText("mitigations", value, ok), "")
	if len(open) > 0 {
		f.Reason = "open: " + strings.Join(open, ", ")
	}
	return f
}

const thpFile = "/sys/kernel/mm/transparent_hugepage/enabled"

func lookCmdTHP(h *Host) Finding {
	now, err := h.Chosen(thpFile)
	if err != nil {
		return unread(err)
	}
	value, ok, err := h.Param("transparent_hugepage")
	if err != nil {
		return unread(err)
	}
	good := func(v string, ok bool) bool { return ok && (v == "never" || v == "madvise") }
	text, want := paramText("transparent_hugepage", value, ok)+", now "+now, "never or madvise, from boot"
	f := pass(text, want)
	tmp, hasTmp := h.NextTmpfile(thpFile)
	switch {
	case good(value, ok) || hasTmp && good(tmp, true):
	case now != "always": // by whatever means: the kernel's own default may be so
	default:
		f = deviates(text, want, "always", setFile(thpFile, "never", now, R1), setTmpfile(thpFile, "never", R1))
	}
	h.persist(&f, "transparent_hugepage", func(v string, ok bool) bool {
		return good(v, ok) || hasTmp && good(tmp, true) || !ok && now != "always"
	})
	return f
}

func lookCmdTSC(h *Host) Finding {
	source, err := h.Read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		return unread(err)
	}
	info, err := h.quiet("/proc/cpuinfo")
	if err != nil {
		return unread(err)
	}
	flags := strings.Fields(cpuField(info, "flags"))
	var has []string
	for _, f := range []string{"constant_tsc", "nonstop_tsc", "tsc_adjust"} {
		if slices.Contains(flags, f) {
			has = append(has, f)
		}
	}
	h.record("/proc/cpuinfo flags", strings.Join(has, " "), nil)
	if len(flags) == 0 {
		return skip("no TSC: not an x86 processor")
	}
	if source != "tsc" {
		return skip("the clock source is %s (time.clocksource)", source)
	}
	if len(has) == 3 && len(h.Nodes()) <= 4 {
		// arch/x86/kernel/tsc.c: with these the kernel trusts it by itself (check_system_tsc_reliable, at most four sockets)
		return skip("the kernel trusts this TSC by itself, and runs no watchdog")
	}
	good := func(v string, ok bool) bool { return ok && (v == "reliable" || v == "nowatchdog") }
	if !slices.Contains(has, "constant_tsc") || !slices.Contains(has, "nonstop_tsc") {
		return Finding{Status: Warn, Effective: Value{Raw: strings.Join(has, " ")}, Want: "constant_tsc nonstop_tsc", Reason: "this TSC is not to be trusted: its watchdog is needed", Human: "use a processor with an invariant TSC"}
	}
	return h.param("tsc", "reliable", good)
}

func lookLockup(h *Host) Finding {
	var on []string
	for _, name := range []string{"soft_watchdog", "nmi_watchdog"} {
		n, err := h.Int("/proc/sys/kernel/" + name)
		if err != nil && unread(err).Status == Error {
			return unread(err)
		}
		_, confined := h.watchdogConfined()
		if err == nil && n != 0 && !(name == "soft_watchdog" && confined) {
			on = append(on, name)
		}
	}
	soft, hasSoft, err := h.Param("nosoftlockup")
	if err != nil {
		return unread(err)
	}
	nmi, hasNMI, _ := h.Param("nmi_watchdog")
	text := paramText("nosoftlockup", soft, hasSoft) + ", " + paramText("nmi_watchdog", nmi, hasNMI)
	if len(on) == 0 {
		return pass(text, "off, however it was reached")
	}
	var changes []Change
	if slices.Contains(on, "soft_watchdog") {
		changes = append(changes, setBoot("nosoftlockup", "", R3))
	}
	if slices.Contains(on, "nmi_watchdog") {
		changes = append(changes, setBoot("nmi_watchdog", "0", R3))
	}
	return deviates(text, "off, however it was reached", strings.Join(on, " and ")+" on", changes...)
}

func lookAudit(h *Host) Finding {
	value, ok, err := h.Param("audit")
	if err != nil {
		return unread(err)
	}
	if ok && (value == "0" || value == "off") {
		f := pass(paramText("audit", value, ok), "audit=0, or no rules")
		h.persist(&f, "audit", func(v string, ok bool) bool { return ok && (v == "0" || v == "off") })
		return f
	}
	a, err := Ask[Audit](h, "", "audit")
	if err != nil {
		return unread(err)
	}
	text := fmt.Sprintf("enabled %d, %d rules", a.Enabled, a.Rules)
	if a.Enabled == 0 || a.Rules == 0 {
		return pass(text, "audit=0, or no rules")
	}
	return deviates(text, "audit=0, or no rules", fmt.Sprintf("%d rules are looked at in system calls", a.Rules), setBoot("audit", "0", R4))
}

func lookIOMMU(h *Host) Finding {
	return h.eachPCI(func(nic, bdf string) Finding {
		to := h.LinkName("/sys/bus/pci/devices/" + bdf + "/iommu_group")
		if to == "" {
			return skip("no IOMMU group")
		}
		kind, err := h.Read("/sys/kernel/iommu_groups/" + to + "/type")
		if err != nil {
			return unread(err)
		}
		if kind == "identity" {
			return pass(kind, "identity")
		}
		f := deviates(kind, "identity", kind+": each DMA is translated", setBoot("iommu", "pt", R4))
		h.persist(&f, "iommu", exactly("pt"))
		return f
	})
}

// bootPages is how many pages of 2 MiB a command line sets aside: "hugepages" is about the size named last before it, else about
// the default's. sizes are those that it names.
func bootPages(params []Param, size string) (pages int, sizes []string) {
	for _, p := range params {
		switch {
		case sameParam(p.Name, "default_hugepagesz"), sameParam(p.Name, "hugepagesz"):
			size = strings.ToUpper(p.Value)
			sizes = append(sizes, size)
		case sameParam(p.Name, "hugepages") && size == "2M":
			pages = 0                                          // said twice, the last counts
			for _, part := range strings.Split(p.Value, ",") { // of each node apart: 0:64,1:64
				if n, err := number(part[strings.LastIndexByte(part, ':')+1:]); err == nil {
					pages += n
				}
			}
		}
	}
	return pages, sizes
}

func lookCmdHuge(h *Host) Finding {
	pages, ok, err := h.Param("hugepages")
	if err != nil {
		return unread(err)
	}
	size, hasSize, _ := h.Param("hugepagesz")
	text := paramText("hugepagesz", size, hasSize) + ", " + paramText("hugepages", pages, ok)
	need := h.hugePages()
	if need == 0 {
		return skip("no plan: how many follow from the queues of its interfaces")
	}
	usual := "" // the kernel's default, where it is not 2 MiB
	if info, err := h.quiet("/proc/meminfo"); err != nil || statusField(info, "Hugepagesize") == "2048 kB" {
		usual = "2M"
	}
	want := fmt.Sprintf("%d of 2 MiB by hugepages=, or sysctl vm.nr_hugepages", need)
	line, _ := h.quiet("/proc/cmdline")
	now, sizes := bootPages(ParseCommandLine(line), usual)
	sysctl := false
	if v, _, configured := h.NextSysctl("vm.nr_hugepages"); configured && usual == "2M" {
		n, err := number(v)
		sysctl = err == nil && n >= need
	}
	next, known := 0, false
	if b := h.nextBoot(); b != nil {
		var more []string
		next, more = bootPages(b.params, usual)
		sizes, known = append(sizes, more...), true
	}
	f := pass(text, want)
	if now < need && !sysctl {
		reason := "none are set aside at boot"
		if now > 0 {
			reason = fmt.Sprintf("%d of 2 MiB are set aside at boot", now)
		} else if ok {
			reason = "those that are set aside at boot are not of 2 MiB"
		}
		f = deviates(text, want, reason)
		other := slices.ContainsFunc(sizes, func(s string) bool { return s != "2M" })
		if !other && (usual == "2M" || len(sizes) > 0) {
			f.Changes = []Change{setBoot("hugepages", strconv.Itoa(need), R3)}
		} else {
			f.Human = fmt.Sprintf("hugepagesz=2M hugepages=%d on the command line, one right after the other, and after what it says of other sizes", need)
		}
	}
	if nextGood := next >= need || sysctl; known {
		switch {
		case f.bad && nextGood:
			f.Persistence = Pending
		case !f.bad && nextGood:
			f.Persistence = Kept
		case !f.bad:
			f.Persistence = Lost
		}
		value, there, _ := h.NextParam("hugepages")
		f.Configured = Value{Raw: paramText("hugepages", value, there)}
	}
	return f
}

func lookCmdSMT(h *Host) Finding {
	control, err := h.Read("/sys/devices/system/cpu/smt/control")
	if err != nil {
		return unread(err)
	}
	switch control {
	case "notsupported", "notimplemented":
		return skip("no SMT on this machine")
	case "forceoff":
		return pass(control, "off from boot")
	}
	smt := lookSMT(h)
	if !smt.bad && control != "off" {
		f := pass(control, "off from boot, or siblings of HOT and NAPI isolated")
		f.Reason = "the siblings are looked after (cpu.smt)"
		return f
	}
	f := h.param("nosmt", "", func(_ string, ok bool) bool { return ok })
	if f.Effective.Raw != "" {
		f.Effective = Value{Raw: "smt " + control + ", " + f.Effective.Raw}
	}
	return f
}

func lookCmdWorkqueue(h *Host) Finding {
	hk := h.HK()
	good := func(v string, ok bool) bool {
		set, _, err := ParseBootCPUs(v, h.Possible())
		return ok && err == nil && len(set) > 0 && len(set.And(h.Plan.Busy())) == 0
	}
	now, err := h.Mask(workqueueMask)
	if err != nil {
		return unread(err)
	}
	if len(now.And(h.Plan.Busy())) == 0 {
		f := pass(now, "within "+hk.String())
		// isolcpus keeps them away too (kernel/workqueue.c: wq_cpumask of the domain's housekeeping cores)
		h.persist(&f, "workqueue.unbound_cpus", func(v string, ok bool) bool {
			if next, there, _ := h.NextParam("isolcpus"); there && h.covers(h.Plan.Busy())(next, true) {
				return true
			}
			_, tmp := h.NextTmpfile(workqueueMask)
			return good(v, ok) || tmp
		})
		return f
	}
	return h.param("workqueue.unbound_cpus", hk.String(), good)
}

func lookCmdASPM(h *Host) Finding {
	policy, err := h.Chosen("/sys/module/pcie_aspm/parameters/policy")
	if err != nil {
		return unread(err)
	}
	value, ok, err := h.Param("pcie_aspm")
	if err != nil {
		return unread(err)
	}
	text := "policy " + policy + ", " + paramText("pcie_aspm", value, ok)
	if ok && value == "off" {
		return Finding{Status: Warn, Effective: Value{Raw: text}, Want: "pcie_aspm.policy=performance", Reason: "pcie_aspm=off leaves alone what the firmware has set: it does not switch it off",
			Human: "switch ASPM off in the BIOS, or replace it by pcie_aspm.policy=performance"}
	}
	f := pass(text, "pcie_aspm.policy=performance")
	if policy != "performance" {
		f = deviates(text, f.Want, "policy "+policy, setFile("/sys/module/pcie_aspm/parameters/policy", "performance", policy, R1), setBoot("pcie_aspm.policy", "performance", R3))
	}
	h.persist(&f, "pcie_aspm.policy", exactly("performance"))
	return f
}

func lookMCE(h *Host) Finding {
	const dir = "/sys/devices/system/machinecheck/machinecheck0/"
	ignore, err := h.Int(dir + "ignore_ce")
	if err != nil {
		return unread(err)
	}
	every, err := h.Int(dir + "check_interval")
	if err != nil {
		return unread(err)
	}
	h.Read(dir + "cmci_disabled")
	text := fmt.Sprintf("ignore_ce=%d check_interval=%d", ignore, every)
	const want = "ignore_ce=1 where the management controller logs errors, else check_interval ≥ 300"
	if ignore == 1 || every >= 300 || every == 0 {
		return pass(text, want)
	}
	return deviates(text, want, "polled every "+strconv.Itoa(every)+" s", setFile(dir+"check_interval", "300", strconv.Itoa(every), R4), setBoot("mce", "ignore_ce", R4))
}

func lookConsole(h *Host) Finding {
	text, err := h.Read("/proc/sys/kernel/printk")
	if err != nil {
		return unread(err)
	}
	f := strings.Fields(text)
	if len(f) != 4 {
		return Finding{Status: Error, Reason: fmt.Sprintf("/proc/sys/kernel/printk holds %q, want four numbers", short(text))}
	}
	console, ok, _ := h.Param("console")
	h.Read("/sys/module/printk/parameters/console_no_auto_verbose")
	shown := "level " + f[0] + ", " + paramText("console", console, ok)
	if meets(f[0], h.want) {
		return pass(shown, "level "+h.want)
	}
	return deviates(shown, "level "+h.want, "messages up to level "+f[0]+" are printed", setSysctl("kernel.printk", toSet(h.want)+" 4 1 3", strings.Join(f, " "), R1)...)
}

func lookPreempt(h *Host) Finding {
	value, ok, err := h.Param("preempt")
	if err != nil {
		return unread(err)
	}
	text := paramText("preempt", value, ok)
	if now, err := h.Chosen("/sys/kernel/debug/sched/preempt"); err == nil {
		text = strings.Trim(now, "()")
		if open := strings.IndexByte(now, '('); open >= 0 {
			if word, _, found := strings.Cut(now[open+1:], ")"); found {
				text = word
			}
		}
	}
	if rt, err := h.Read("/sys/kernel/realtime"); err == nil && rt == "1" {
		return note(text+", PREEMPT_RT", "not needed for receivers that spin")
	}
	return note(text, "")
}
