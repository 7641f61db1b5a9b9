package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Plan is what a feed means to do with the host. The zero value has no lane that spins: then little can hurt.
type Plan struct {
	Cores        []int    // of lanes that spin or busy-poll
	Interfaces   []string // that their packets come in by
	BusyPoll     bool     // lanes enter the kernel to poll: what helps spinners may hurt them
	FIFO         bool     // some lane is in scheduling class fifo
	MemoryLocked bool     // pages do not leave memory
}

// Warning is one thing that will hurt.
type Warning struct {
	Check string // id of the check that covers it, such as "irq.hot"
	Text  string // what is, and what comes of it
}

func (w Warning) String() string {
	return w.Text + " (ticktune check --explain " + w.Check + ")"
}

// host is the tree that is looked at.
type host struct {
	root     string
	plan     Plan
	cores    cpus
	online   cpus
	isolated cpus
	found    []Warning
}

// fewCores: with fewer there is nothing to isolate a core from.
const fewCores = 4

// Look reads the host under root, "/" for the real one. It never fails: what cannot be read is not told.
func Look(root string, p Plan) []Warning {
	h := &host{root: root, plan: p}
	h.cores = append(h.cores, p.Cores...)
	slices.Sort(h.cores)
	h.cores = slices.Compact(h.cores)
	h.online, _ = h.list("sys/devices/system/cpu/online")
	h.memory()
	if len(h.cores) == 0 {
		return h.found
	}
	h.isolation()
	h.interrupts()
	h.frequency()
	h.siblings()
	h.place()
	h.kernel()
	h.interfaces()
	return h.found
}

func (h *host) warn(check, format string, args ...any) {
	h.found = append(h.found, Warning{Check: check, Text: fmt.Sprintf(format, args...)})
}

// read gives a file's text without white space around it, and false when it is not there.
func (h *host) read(name string) (string, bool) {
	text, err := os.ReadFile(filepath.Join(h.root, name))
	return strings.TrimSpace(string(text)), err == nil
}

func (h *host) list(name string) (cpus, bool) {
	text, ok := h.read(name)
	if !ok {
		return nil, false
	}
	return parseList(text)
}

func (h *host) number(name string) (int, bool) {
	text, ok := h.read(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func (h *host) glob(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(h.root, pattern))
	for i := range names {
		names[i], _ = filepath.Rel(h.root, names[i])
	}
	return names
}

// isolation: does anything else run on the cores, and does the kernel leave them alone?
func (h *host) isolation() {
	byBoot, ok := h.list("sys/devices/system/cpu/isolated")
	byGroup, also := h.list("sys/fs/cgroup/cpuset.cpus.isolated")
	h.isolated = append(byBoot, byGroup...)
	if len(h.online) < fewCores {
		return
	}
	if left := h.cores.without(h.isolated); (ok || also) && len(left) > 0 {
		h.warn("cmdline.isolcpus", "%s %s not isolated: the scheduler puts other programs there, and a lane waits while they run", left, left.is())
	}
	tickless, ok := h.list("sys/devices/system/cpu/nohz_full")
	if !ok {
		return // a kernel that cannot
	}
	// Without a tick each system call is slower, and a lane that busy-polls makes one a poll.
	if left := h.cores.without(tickless); !h.plan.BusyPoll && len(left) > 0 {
		h.warn("cmdline.nohz_full", "%s %s interrupted by the scheduler's tick, 100 to 1000 times a second (nohz_full)", left, left.is())
	}
	line, ok := h.read("proc/cmdline")
	if !ok {
		return
	}
	offloaded := append(cpus{}, tickless...) // nohz_full implies it
	for _, arg := range strings.Fields(line) {
		if value, is := strings.CutPrefix(arg, "rcu_nocbs="); is {
			offloaded = append(offloaded, parseBootList(value, h.online)...)
		} else if arg == "rcu_nocbs" {
			offloaded = append(offloaded, h.online...)
		}
	}
	if left := h.cores.without(offloaded); len(left) > 0 {
		h.warn("cmdline.rcu_nocbs", "the kernel's RCU callbacks run on %s, between a lane's packets (rcu_nocbs)", left)
	}
}

// interrupts: which devices interrupt the cores?
func (h *host) interrupts() {
	const shown = 4
	for _, core := range h.cores {
		var names []string
		for _, dir := range h.glob("proc/irq/[0-9]*") {
			to, ok := h.list(dir + "/effective_affinity_list")
			if !ok || len(to) == 0 { // not every controller says; then it may be any of those that are allowed
				to, ok = h.list(dir + "/smp_affinity_list")
			}
			if !ok || !to.has(core) {
				continue
			}
			name, used := h.interrupt(dir)
			if !used || h.plan.BusyPoll && slices.ContainsFunc(h.plan.Interfaces, func(face string) bool { return strings.HasPrefix(name, face+"-") }) {
				continue // in-line polling wants its interface's interrupts near, and keeps them off
			}
			names = append(names, filepath.Base(dir)+" "+name)
		}
		if len(names) == 0 {
			continue
		}
		more := ""
		if len(names) > shown {
			more = fmt.Sprintf(" and %d more", len(names)-shown)
		}
		plural := "s"
		if len(names) == 1 {
			plural = ""
		}
		h.warn("irq.hot", "core %d serves %d device interrupt%s: %s%s; each takes the lane's core for some µs", core, len(names), plural,
			strings.Join(names[:min(shown, len(names))], ", "), more)
	}
}

// interrupt is the name of who uses one: the folder in its folder. One that nobody uses never fires.
func (h *host) interrupt(dir string) (name string, used bool) {
	entries, err := os.ReadDir(filepath.Join(h.root, dir))
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		if e.IsDir() {
			return e.Name(), true
		}
	}
	return "", false
}

// frequency: do the cores run at their full speed?
func (h *host) frequency() {
	slow := map[string]cpus{}
	for _, core := range h.cores {
		governor, ok := h.read(fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", core))
		if ok && governor != "performance" {
			slow[governor] = append(slow[governor], core)
		}
	}
	for _, governor := range sorted(slow) {
		h.warn("cpu.governor", "governor of %s is %s: clock frequency follows the load, and the first packets of a burst find it low", slow[governor], governor)
	}
}

// siblings: does another thread of the same core work for somebody else?
func (h *host) siblings() {
	for _, core := range h.cores {
		siblings, ok := h.list(fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core))
		if !ok {
			continue
		}
		others := siblings.without(cpus{core})
		if lanes := others.without(others.without(h.cores)); len(lanes) > 0 {
			if lanes[0] > core { // once a pair
				h.warn("cpu.smt", "core %d and %s are threads of one core, and both have a lane: each gets about half of it", core, lanes)
			}
			continue
		}
		busy := others.without(h.isolated)
		if h.online != nil {
			busy = busy.without(busy.without(h.online))
		}
		if len(busy) > 0 {
			h.warn("cpu.smt", "core %d shares its hardware with %s, where other programs run: the lane is slower while they do", core, busy)
		}
	}
}

// place: are the cores there, and are they where the packets come in?
func (h *host) place() {
	if left := h.cores.without(h.online); h.online != nil && len(left) > 0 {
		h.warn("cpu.online_hot", "%s %s not online", left, left.is())
	}
	if h.cores.has(0) && len(h.online) >= fewCores {
		h.warn("cpu.online_hot", "core 0 has a lane: the kernel keeps time there and cannot move all of its interrupts away")
	}
	for _, face := range h.plan.Interfaces {
		node, ok := h.number("sys/class/net/" + face + "/device/numa_node")
		if !ok || node < 0 {
			continue
		}
		var far cpus
		for _, core := range h.cores {
			dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/node", core)
			if at := h.glob(dir + "[0-9]*"); len(at) > 0 && !slices.Contains(at, dir+strconv.Itoa(node)) {
				far = append(far, core)
			}
		}
		if len(far) > 0 {
			h.warn("cpu.numa_plan", "%s hangs on NUMA node %d, %s %s on another: each packet crosses between them", face, node, far, far.is())
		}
	}
}

// memory: what moves pages about under everybody.
func (h *host) memory() {
	if enabled, ok := h.read("sys/kernel/mm/transparent_hugepage/enabled"); ok && strings.Contains(enabled, "[always]") {
		h.warn("mem.thp", "transparent huge pages are on for all memory: the kernel moves pages to make some, and lanes wait meanwhile; madvise is enough")
	}
	if swaps, ok := h.read("proc/swaps"); ok && strings.Count(swaps, "\n") > 0 {
		if eager, ok := h.number("proc/sys/vm/swappiness"); !h.plan.MemoryLocked || ok && eager > 10 {
			h.warn("mem.swap", "there is swap space, and the kernel is to use it (vm.swappiness): pages of the feed or its readers may leave memory")
		}
	}
	if on, ok := h.number("proc/sys/kernel/numa_balancing"); ok && on != 0 && len(h.glob("sys/devices/system/node/node[0-9]*")) > 1 {
		h.warn("kern.numa_balancing", "NUMA balancing is on: it takes pages away for a moment to see who uses them, and lanes fault on them")
	}
}

// kernel: what the scheduler takes from lanes.
func (h *host) kernel() {
	if us, ok := h.number("proc/sys/kernel/sched_rt_runtime_us"); ok && h.plan.FIFO && us >= 0 {
		h.warn("kern.rt_throttle", "a lane is in class fifo, and the kernel takes its core away for what is left of a second after %d µs; class other on an isolated core is enough", us)
	}
}

// interfaces: what the kernel does with packets of the interfaces.
func (h *host) interfaces() {
	for _, face := range h.plan.Interfaces {
		for _, name := range h.glob("sys/class/net/" + face + "/queues/rx-*/rps_cpus") {
			text, _ := h.read(name)
			if to, ok := parseMask(text); ok && len(to) > 0 {
				h.warn("rps.off", "packets of %s are passed to other cores by software (RPS, %s): %s", face, filepath.Base(filepath.Dir(name)), to)
				break
			}
		}
		if !h.plan.BusyPoll {
			continue
		}
		irqs, ok := h.number("sys/class/net/" + face + "/napi_defer_hard_irqs")
		flush, also := h.number("sys/class/net/" + face + "/gro_flush_timeout")
		if ok && also && (irqs == 0 || flush == 0) {
			h.warn("nic.napi_defer", "%s interrupts after each busy poll: napi_defer_hard_irqs is %d, gro_flush_timeout %d ns; 100 and 200000 are a start", face, irqs, flush)
		}
	}
}

func sorted(m map[string]cpus) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
