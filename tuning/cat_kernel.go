package tuning

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const workqueueMask = "/sys/devices/virtual/workqueue/cpumask"

func kernelChecks() []*Check {
	const section = "kernel"
	settings := func(list ...setting) func(*Host) Finding { return func(h *Host) Finding { return h.settings(list...) } }
	return []*Check{
		{ID: "kern.workqueue", Section: section, Title: "unbound work on housekeeping", Severity: Major, Risk: R1, Uncontained: true, Planned: true,
			Why: "the kernel's unbound work runs on any core of its mask", Look: lookWorkqueue},
		{ID: "kern.kthreads", Section: section, Title: "kernel threads off HOT", Severity: Minor, Risk: R1, Uncontained: true, Planned: true,
			Why: "those that can be moved need not run there", Look: lookKthreads},
		{ID: "kern.usertasks", Section: section, Title: "programs off HOT", Severity: Major, Risk: R1, Uncontained: true, Planned: true,
			Why: "whoever may run on HOT will, while a lane waits", Human: "a cpuset partition, isolcpus, or CPUAffinity= and AllowedCPUs= of systemd", Look: lookUserTasks},
		{ID: "kern.timer_migration", Section: section, Title: "timers move to busy cores", Severity: Info, Risk: R1,
			Why: "a core that spins is always busy: on kernels up to 6.8, timers of idle cores move to it", Look: lookTimerMigration},
		{ID: "kern.vmstat", Section: section, Title: "interval of memory statistics", Severity: Minor, Risk: R1, Uncontained: true, Want: ">=10", valid: validNumbers,
			Why: "each interval, in seconds, work is run on every core", Look: settings(setting{sysctl: "vm.stat_interval", def: "1"})},
		{ID: "kern.watchdog", Section: section, Title: "lockup detectors", Severity: Minor, Risk: R1,
			Why: "their timers and counters work on every core", Look: lookWatchdog},
		{ID: "kern.rt_throttle", Section: section, Title: "throttling of real-time tasks", Severity: Minor, Risk: R3,
			Why: "a lane in class fifo loses what is left of each second; a recommended one is in none", Human: "better: lanes in class other on isolated cores", Look: lookRTThrottle},
		{ID: "kern.numa_balancing", Section: section, Title: "automatic NUMA balancing", Severity: Major, Risk: R1,
			Why: "it takes pages away to see who uses them, and lanes fault on them", Look: func(h *Host) Finding {
				if len(h.Nodes()) < 2 {
					return skip("a single node")
				}
				return h.settings(setting{sysctl: "kernel.numa_balancing", want: "0"})
			}},
		{ID: "kern.perf", Section: section, Title: "tracing and sampling", Severity: Info, Risk: R1,
			Why: "samplers and tracers interrupt what they look at", Look: lookPerf},
		{ID: "kern.bpf", Section: section, Title: "compiled BPF", Severity: Major, Risk: R1,
			Why: "without the compiler, or with its constants blinded for all, each packet's program takes longer",
			Look: settings(setting{sysctl: "net.core.bpf_jit_enable", want: "1", def: "1"}, setting{sysctl: "net.core.bpf_jit_harden", want: "0|1", def: "0"},
				setting{sysctl: "kernel.bpf_stats_enabled", want: "0", def: "0"})},
		{ID: "kern.static_keys", Section: section, Title: "code that patches the kernel", Severity: Info,
			Why: "starting tcpdump, the first socket with timestamps, kprobes or loading a module interrupts all cores to patch the kernel's text", Look: func(h *Host) Finding {
				return Finding{Status: Note, Effective: Value{Raw: "a rule for operation"}, Human: "start such things before market hours, or not at all"}
			}},
		{ID: "kern.services", Section: section, Title: "services that disturb", Severity: Minor, Risk: R1, Uncontained: true,
			Why: "their jobs start by the clock, on any core", Look: lookServices},
		{ID: "sys.cpuaffinity", Section: section, Title: "systemd's cores", Severity: Major, Risk: R3, Uncontained: true, Planned: true,
			Why: "what systemd starts runs wherever it may", Look: lookCPUAffinity},
	}
}

func lookWorkqueue(h *Host) Finding {
	hk, busy := h.HK(), h.Plan.Busy()
	names := append([]string{workqueueMask}, h.Glob("/sys/devices/virtual/workqueue/*/cpumask")...)
	names = append(names, "/sys/bus/workqueue/devices/writeback/cpumask")
	var wrong []string
	var changes []Change
	var first CPUs
	for i, name := range names {
		set, err := h.Mask(name)
		if err != nil {
			if i == 0 {
				return unread(err)
			}
			continue
		}
		if i == 0 {
			first = set
		}
		if left := set.And(busy); len(left) > 0 {
			wrong = append(wrong, strings.TrimPrefix(path.Dir(name), "/sys/devices/virtual/")+" may run on "+left.String())
			changes = append(changes, setFile(name, hk.Mask(), set.Mask(), R1), setTmpfile(name, hk.Mask(), R1))
		}
	}
	if len(wrong) > 0 {
		return deviates(first, "within "+hk.String(), someOf(wrong), changes...)
	}
	return pass(first, "within "+hk.String())
}

// onHot are the tasks that a check is about and that may run on HOT.
func (h *Host) onHot(which func(Task) bool) (found []Task, err error) {
	tasks, err := h.Tasks()
	for _, t := range tasks {
		if which(t) && len(t.Allowed.And(h.Plan.Hot)) > 0 {
			found = append(found, t)
		}
	}
	return found, err
}

func taskNames(tasks []Task) (names []string) {
	for _, t := range tasks {
		names = append(names, fmt.Sprintf("%s (%d)", t.Name, t.TID))
	}
	return names
}

// maxMoves bounds the changes of one check.
const maxMoves = 200

func (h *Host) move(tasks []Task) (changes []Change) {
	for _, t := range tasks[:min(len(tasks), maxMoves)] {
		changes = append(changes, setAffinity(t, h.HK(), R1))
	}
	return changes
}

func lookKthreads(h *Host) Finding {
	found, err := h.onHot(func(t Task) bool { return t.Kernel && !t.Fixed })
	if err != nil {
		return unread(err)
	}
	fixed, _ := h.onHot(func(t Task) bool { return t.Kernel && t.Fixed })
	text := fmt.Sprintf("%d that could be moved, %d that cannot", len(found), len(fixed))
	if len(found) == 0 {
		return pass(text, "none that could be moved")
	}
	return deviates(text, "none that could be moved", someOf(taskNames(found)), h.move(found)...)
}

// lanes are our own processes: where they run is the plan's business.
var lanes = []string{"tickwire"}

func lookUserTasks(h *Host) Finding {
	found, err := h.onHot(func(t Task) bool { return !t.Kernel && !slices.Contains(lanes, t.Name) })
	if err != nil {
		return unread(err)
	}
	there := 0
	for _, t := range found {
		if h.Plan.Hot.Has(t.LastCPU) {
			there++
		}
	}
	text := fmt.Sprintf("%d threads may run on HOT, %d last did", len(found), there)
	if len(found) == 0 {
		return pass(text, "the plan's only")
	}
	return deviates(text, "the plan's only", someOf(taskNames(found)), h.move(found)...)
}

// kernelVersion is major and minor of the kernel.
func (h *Host) kernelVersion() (major, minor int) {
	text, _ := h.Read("/proc/sys/kernel/osrelease")
	fmt.Sscanf(text, "%d.%d", &major, &minor)
	return major, minor
}

func lookTimerMigration(h *Host) Finding {
	n, err := h.Int("/proc/sys/kernel/timer_migration")
	if err != nil {
		return unread(err)
	}
	major, minor := h.kernelVersion()
	if major > 6 || major == 6 && minor > 8 {
		return note(n, "this kernel pulls timers by a hierarchy: leave it as it is, unless osnoise shows timers")
	}
	if n == 0 {
		return pass(n, "0")
	}
	return deviates(n, "0", "timers move to HOT", setSysctl("kernel.timer_migration", "0", strconv.Itoa(n), R1)...)
}

func lookWatchdog(h *Host) Finding {
	list := []setting{{sysctl: "kernel.nmi_watchdog", want: "0"}}
	on, errOn := h.Int("/proc/sys/kernel/watchdog")
	mask, confined := h.watchdogConfined()
	if errOn == nil && on != 0 && !confined {
		list = append(list, setting{sysctl: "kernel.watchdog", want: "0"})
	}
	list = append(list, setting{sysctl: "kernel.hung_task_timeout_secs", want: "0|>=600", set: "600", def: "120"})
	f := h.settings(list...)
	if confined && f.Status == Pass {
		f.Reason = "watchdog on " + mask.String() + " only"
	}
	return f
}

// watchdogConfined says whether the soft lockup detector leaves HOT and NAPI alone.
func (h *Host) watchdogConfined() (mask CPUs, yes bool) {
	mask, err := h.List("/proc/sys/kernel/watchdog_cpumask")
	return mask, err == nil && h.Plan.Named() && len(mask.And(h.Plan.Busy())) == 0
}

func lookRTThrottle(h *Host) Finding {
	us, err := h.Int("/proc/sys/kernel/sched_rt_runtime_us")
	if err != nil {
		return unread(err)
	}
	fifo, err := h.onHot(func(t Task) bool { return !t.Kernel && (t.Policy == 1 || t.Policy == 2) })
	if err != nil && h.Plan.Named() {
		return unread(err)
	}
	f := pass(us, "any, without fifo tasks on HOT; else -1")
	f.Unit = "µs"
	if len(fifo) > 0 && us >= 0 {
		f = deviates(us, f.Want, someOf(taskNames(fifo))+" on HOT: throttled each second", setSysctl("kernel.sched_rt_runtime_us", "-1", strconv.Itoa(us), R3)...)
	}
	return f
}

func lookPerf(h *Host) Finding {
	var shown, wrong []string
	for _, name := range []string{"perf_event_paranoid", "perf_event_max_sample_rate", "perf_cpu_time_max_percent", "kptr_restrict"} {
		if v, err := h.Read("/proc/sys/kernel/" + name); err == nil {
			shown = append(shown, name+"="+v)
		}
	}
	for _, file := range []struct{ path, quiet string }{{"/sys/kernel/tracing/current_tracer", "nop"}, {"/sys/kernel/tracing/kprobe_events", ""}, {"/sys/kernel/tracing/events/enable", "0"}} {
		if v, err := h.Read(file.path); err == nil && v != file.quiet {
			wrong = append(wrong, path.Base(file.path)+"="+short(v))
		}
	}
	for _, t := range h.Running("perf", "bpftrace", "trace-cmd") {
		wrong = append(wrong, t.Name+" runs")
	}
	if len(shown) == 0 && len(wrong) == 0 {
		return unread(&missingError{"perf_event_paranoid"})
	}
	return note(strings.Join(shown, " "), strings.Join(wrong, ", "))
}

// disturbing are units that work by the clock or change what was set (host-tuning: kern.services).
var disturbing = []string{"fstrim.timer", "man-db.timer", "updatedb.timer", "plocate-updatedb.timer", "mlocate-updatedb.timer", "logrotate.timer", "apt-daily.timer", "apt-daily-upgrade.timer",
	"unattended-upgrades.service", "dnf-makecache.timer", "packagekit.service", "snapd.service", "fwupd.service", "fwupd-refresh.timer", "smartd.service", "smartmontools.service", "sysstat.service",
	"sysstat-collect.timer", "numad.service", "ksmtuned.service", "thermald.service", "power-profiles-daemon.service", "ondemand.service", "mcelog.service", "rasdaemon.service", "multipathd.service"}

func lookServices(h *Host) Finding {
	wanted := append(h.Glob("/etc/systemd/system/*.wants/*.timer"), h.Glob("/etc/systemd/system/*.wants/*.service")...)
	if len(wanted) == 0 && !h.Exists("/run/systemd/system") {
		return skip("no systemd")
	}
	var on []string
	var changes []Change
	for _, unit := range disturbing {
		if slices.ContainsFunc(wanted, func(name string) bool { return path.Base(name) == unit }) && !h.unitMasked(unit) {
			on = append(on, unit)
			changes = append(changes, stopUnit(unit, R1))
		}
	}
	text := fmt.Sprintf("%d of them enabled", len(on))
	f := pass(text, "none in market hours")
	if len(on) > 0 {
		f = deviates(text, "none in market hours", someOf(on), changes...)
	}
	if profile := h.tunedProfile(); profile != "" {
		f.Effective.Raw += ", tuned keeps profile " + profile
		f.Reason = strings.TrimPrefix(f.Reason+"; what tuned sets it sets again: change it in a profile of your own that includes "+profile+", as ticktune apply does", "; ")
	}
	return f
}

// tunedProfile is the profile that a running tuned keeps the machine at; empty: there is none.
func (h *Host) tunedProfile() string {
	if len(h.Running("tuned")) == 0 {
		return ""
	}
	text, err := h.Read("/etc/tuned/active_profile")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

func lookCPUAffinity(h *Host) Finding {
	if !h.Exists("/run/systemd/system") {
		return skip("no systemd")
	}
	hk, busy := h.HK(), h.Plan.Busy()
	var files []string
	files = append(files, "/etc/systemd/system.conf")
	files = append(files, h.Glob("/etc/systemd/system.conf.d/*.conf")...)
	var manager CPUs
	for _, name := range files {
		text, err := h.quiet(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "CPUAffinity="); ok {
				manager, _ = ParseCPUs(strings.Join(strings.Fields(v), ","))
				h.record(name+", CPUAffinity", v, nil)
			}
		}
	}
	v2 := h.Exists("/sys/fs/cgroup/cgroup.controllers")
	var wrong []string
	var changes []Change
	for _, slice := range []string{"system.slice", "user.slice", "init.scope", "machine.slice"} {
		set, err := h.List("/sys/fs/cgroup/" + slice + "/cpuset.cpus.effective")
		if err != nil {
			continue
		}
		if left := set.And(busy); len(left) > 0 {
			wrong = append(wrong, slice+" may use "+left.String())
			section := "Slice"
			if strings.HasSuffix(slice, ".scope") {
				section = "Scope"
			}
			changes = append(changes, setUnit(slice, section, "AllowedCPUs", hk.String(), R3))
		}
	}
	text := "manager " + valueOf(manager).Raw
	const apart = "the feed's unit has to be in a slice of its own beside these (Slice=tickwire.slice), or its lanes lose their cores"
	restrict := func(f Finding) Finding {
		if f.Human = apart; h.feedIsIn("/system.slice/") {
			f.Changes, f.Human = nil, "a feed runs in system.slice, and would lose its cores: first "+apart
		}
		return f
	}
	switch {
	case len(manager) > 0 && len(manager.And(busy)) == 0:
		return pass(text, "within "+hk.String())
	case v2 && len(changes) == 0 && h.Exists("/sys/fs/cgroup/system.slice/cpuset.cpus.effective"):
		return pass("slices within "+hk.String(), "within "+hk.String())
	case !v2:
		f := deviates(text, "within "+hk.String(), "CPUAffinity of the manager is not set, and there is no cgroup v2 for AllowedCPUs")
		f.Human = "CPUAffinity=" + hk.String() + " in /etc/systemd/system.conf.d/90-feed.conf, then systemctl daemon-reexec; or cpusets of cgroup v1"
		return f
	case len(wrong) == 0:
		f := deviates(text, "within "+hk.String(), "neither CPUAffinity nor AllowedCPUs is set")
		for _, slice := range []string{"system.slice", "user.slice"} {
			f.Changes = append(f.Changes, setUnit(slice, "Slice", "AllowedCPUs", hk.String(), R3))
		}
		return restrict(f)
	}
	return restrict(deviates(text, "within "+hk.String(), someOf(wrong), changes...))
}

// feedIsIn says whether a running feed is below a cgroup.
func (h *Host) feedIsIn(part string) bool {
	for _, t := range h.Running(lanes...) {
		if text, err := h.quiet(fmt.Sprintf("/proc/%d/cgroup", t.PID)); err == nil && strings.Contains(text, part) {
			h.record(fmt.Sprintf("/proc/%d/cgroup", t.PID), text, nil)
			return true
		}
	}
	return false
}
