package tuning

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func memoryChecks() []*Check {
	const section = "memory and limits"
	settings := func(list ...setting) func(*Host) Finding { return func(h *Host) Finding { return h.settings(list...) } }
	return []*Check{
		{ID: "mem.thp", Section: section, Title: "transparent huge pages", Severity: Major, Risk: R1, Want: "never|madvise", valid: among("never", "madvise"),
			Why: "the kernel moves pages to make large ones, and interrupts other cores to tell them", Look: settings(setting{path: thpFile, chosen: true, temp: true})},
		{ID: "mem.ksm", Section: section, Title: "merging of equal pages", Severity: Minor, Risk: R1, Want: "0|2", valid: validNumbers,
			Why: "it reads all memory and makes pages read-only", Look: settings(setting{path: "/sys/kernel/mm/ksm/run", def: "0", temp: true})},
		{ID: "mem.swap", Section: section, Title: "swap", Severity: Minor, Risk: R4, Uncontained: true, Want: "<=10", valid: validNumbers,
			Why: "pages of a feed or its readers may leave memory", Human: "or no swap at all: swapoff -a, and out of /etc/fstab (then memory that runs out kills)", Look: lookSwap},
		{ID: "mem.compaction", Section: section, Title: "compaction and reclaim", Severity: Minor, Risk: R1, Uncontained: true, Want: "0",
			valid: validNumbers, Why: "the kernel moves pages in the background, on any core",
			Look: settings(setting{sysctl: "vm.compaction_proactiveness", def: "20"}, setting{sysctl: "vm.zone_reclaim_mode", def: "0"}, setting{sysctl: "vm.watermark_boost_factor", def: "15000"})},
		{ID: "mem.dirty", Section: section, Title: "dirty pages", Severity: Info, Risk: R1,
			Why: "matters where captures are written on the same host: small bounds avoid long writes", Look: func(h *Host) Finding {
				var shown []string
				for _, name := range []string{"dirty_ratio", "dirty_background_ratio", "dirty_bytes", "dirty_background_bytes"} {
					v, err := h.Read("/proc/sys/vm/" + name)
					if err != nil {
						return unread(err)
					}
					shown = append(shown, name+"="+v)
				}
				return note(strings.Join(shown, " "), "10 and 3 % are a start where captures are written; better on another device and core")
			}},
		{ID: "mem.hugepages", Section: section, Title: "huge pages on the NIC's node", Severity: Major, Risk: R1, Uncontained: true,
			Why: "packet memory on small pages costs a TLB miss a packet", Human: "for good: hugepages= on the command line, or a unit that writes per node early after boot", Look: lookHugepages},
		{ID: "lim.memlock", Section: section, Title: "locked memory", Severity: Crit, Risk: R1,
			Why: "the packet memory of AF_XDP is pinned: beyond the limit it is refused (ENOBUFS)", Human: "LimitMEMLOCK=infinity or AmbientCapabilities=CAP_IPC_LOCK in the unit", Look: lookMemlock},
		{ID: "lim.misc", Section: section, Title: "other limits", Severity: Minor, Risk: R1, Want: ">=65536", valid: validNumbers,
			Why: "a feed and its readers hold many files open", Human: "LimitNOFILE=65536 in the unit", Look: lookLimits},
	}
}

func lookSwap(h *Host) Finding {
	swaps, err := h.Read("/proc/swaps")
	if err != nil {
		return unread(err)
	}
	devices := 0
	for line := range strings.Lines(swaps) {
		if strings.HasPrefix(line, "/") {
			devices++
		}
	}
	if devices == 0 {
		return pass("no swap", "none, or swappiness "+h.want)
	}
	f := h.settings(setting{sysctl: "vm.swappiness", def: "60"})
	f.Effective.Raw = fmt.Sprintf("%d devices, %s", devices, f.Effective.Raw)
	return f
}

// pagesPerXSK is 64 MiB of packet memory in pages of 2 MiB.
const pagesPerXSK = 32

// hugePages is how many the plan needs: a socket for each queue, and a tenth more.
func (h *Host) hugePages() int {
	n := 0
	for _, f := range h.Plan.Interfaces {
		n += max(1, len(f.Queues)) * pagesPerXSK
	}
	return n + (n+9)/10
}

func lookHugepages(h *Host) Finding {
	need := h.hugePages()
	if need == 0 {
		return skip("no plan: name the interface (--nic eth2, or [[interface]] in a plan file)")
	}
	node := 0
	if n, err := h.Int("/sys/class/net/" + h.Plan.Interfaces[0].Name + "/device/numa_node"); err == nil && n > 0 {
		node = n
	}
	dir := fmt.Sprintf("/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/", node)
	total, err := h.Int(dir + "nr_hugepages")
	if err != nil {
		return unread(err)
	}
	free, err := h.Int(dir + "free_hugepages")
	if err != nil {
		return unread(err)
	}
	text := fmt.Sprintf("node %d: %d of 2 MiB, %d free", node, total, free)
	want := fmt.Sprintf("%d of 2 MiB on node %d", need, node)
	if feeds := h.Running(lanes...); free >= need || total >= need && len(feeds) > 0 {
		return pass(text, want)
	}
	return deviates(text, want, fmt.Sprintf("%d are missing", need-free), setFile(dir+"nr_hugepages", strconv.Itoa(total-free+need), strconv.Itoa(total), R1))
}

// limits are /proc/PID/limits of a running feed, or of this process, and of whom.
func (h *Host) limits() (text, of string, err error) {
	if feeds := h.Running(lanes...); len(feeds) > 0 {
		dir := "/proc/" + strconv.Itoa(feeds[0].PID)
		if text, err = h.quiet(dir + "/limits"); err == nil {
			return text, dir, nil
		}
	}
	text, err = h.quiet("/proc/self/limits")
	return text, "/proc/self", err
}

// softLimit is one of /proc/PID/limits: "Max locked memory         8388608              8388608              bytes".
func softLimit(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) >= 2 {
				return f[0]
			}
		}
	}
	return ""
}

func lookMemlock(h *Host) Finding {
	text, of, err := h.limits()
	if err != nil {
		return unread(err)
	}
	v := softLimit(text, "Max locked memory")
	h.record(of+"/limits, Max locked memory", v, nil)
	if v == "" {
		return Finding{Status: Error, Reason: of + "/limits does not name locked memory"}
	}
	status, _ := h.quiet(of + "/status")
	caps, _ := strconv.ParseUint(statusField(status, "CapEff"), 16, 64)
	h.record(of+"/status, CapEff", statusField(status, "CapEff"), nil)
	who := "this process"
	if of != "/proc/self" {
		who = "the running feed"
	}
	const want = "unlimited, or CAP_IPC_LOCK"
	shown := v + " bytes (" + who + ")"
	switch {
	case v == "unlimited":
		return pass("unlimited ("+who+")", want)
	case caps>>unix.CAP_IPC_LOCK&1 != 0:
		return pass(shown+", with CAP_IPC_LOCK", want)
	case of == "/proc/self":
		// The feed's unit has limits of its own: what this shell has says little of it.
		return Finding{Status: Warn, Effective: Value{Raw: shown}, Want: want, Reason: "no feed runs: these are the limits of this process", Human: h.check.Human}
	}
	return deviates(shown, want, "packet memory beyond "+v+" bytes is refused")
}

func lookLimits(h *Host) Finding {
	text, of, err := h.limits()
	if err != nil {
		return unread(err)
	}
	files := softLimit(text, "Max open files")
	h.record(of+"/limits, Max open files", files, nil)
	rt, core := softLimit(text, "Max realtime priority"), softLimit(text, "Max core file size")
	shown := fmt.Sprintf("nofile=%s rtprio=%s core=%s", files, rt, core)
	want := "nofile " + h.want
	if files == "unlimited" || meets(files, h.want) {
		return pass(shown, want)
	}
	if of == "/proc/self" {
		return Finding{Status: Warn, Effective: Value{Raw: shown}, Want: want, Reason: "no feed runs: these are the limits of this process", Human: h.check.Human}
	}
	return deviates(shown, want, "nofile="+files)
}
