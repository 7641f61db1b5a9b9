package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

func platformChecks() []*Check {
	const section = "platform"
	return []*Check{
		{ID: "plat.kernel", Section: section, Title: "kernel, its configuration and taints", Severity: Info,
			Why: "features depend on it; a taint by an earlier warning or a foreign module puts measurements in doubt", Look: lookKernel},
		{ID: "plat.virt", Section: section, Title: "hypervisor and container", Severity: Info,
			Why: "a guest cannot see or set most of what decides latency; stolen time is lost to every program in it", Look: lookVirt},
		{ID: "plat.cpu", Section: section, Title: "processors, nodes and caches", Severity: Info,
			Why: "the plan's cores have to be of this machine", Human: "correct the plan", Look: lookCPU},
		{ID: "plat.nic", Section: section, Title: "interfaces of the plan", Severity: Info, NICs: true,
			Why: "the plan's interfaces have to be of this machine", Human: "correct the plan", Look: lookNIC},
		{ID: "plat.boot", Section: section, Title: "boot and firmware", Severity: Info,
			Why: "reports and journals name the boot they belong to", Look: lookBoot},
	}
}

// taintBits are those of /proc/sys/kernel/tainted that matter here (Documentation/admin-guide/tainted-kernels.rst).
var taintBits = []struct {
	bit  uint
	text string
}{{0, "proprietary module"}, {9, "an earlier kernel warning"}, {11, "firmware workaround"}, {12, "out-of-tree module"}}

func lookKernel(h *Host) Finding {
	release, err := h.Read("/proc/sys/kernel/osrelease")
	if err != nil {
		return unread(err)
	}
	text := release
	if rt, err := h.Read("/sys/kernel/realtime"); err == nil && rt == "1" {
		text += ", PREEMPT_RT"
	}
	h.Exists("/proc/config.gz")
	taint, err := h.Int("/proc/sys/kernel/tainted")
	if err != nil {
		return note(text, "")
	}
	var taints []string
	for _, b := range taintBits {
		if taint>>b.bit&1 != 0 {
			taints = append(taints, b.text)
		}
	}
	f := note(text, "")
	if len(taints) > 0 {
		f.Reason = "tainted: " + strings.Join(taints, ", ")
	}
	if taint>>9&1 != 0 {
		f.Status = Warn
		f.Human = "look at the kernel's log, and boot anew before a qualification"
	}
	return f
}

func lookVirt(h *Host) Finding {
	virt, container := h.Virt(), h.Container()
	text := "bare metal"
	if virt != "" {
		text = "virtual machine (" + virt + ")"
	}
	if container != "" {
		text += ", container (" + container + ")"
	}
	stat, err := h.quiet("/proc/stat")
	if err != nil || virt == "" {
		return note(text, "")
	}
	// cpu user nice system idle iowait irq softirq steal
	line, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return note(text, "")
	}
	steal, _ := strconv.ParseUint(f[8], 10, 64)
	h.record("/proc/stat, steal of all cores", f[8], nil)
	if was, ok := h.wasText("/proc/stat"); ok {
		over := h.interval()
		old := strings.Fields(was)
		if len(old) > 8 {
			if before, err := strconv.ParseUint(old[8], 10, 64); err == nil && steal > before {
				// What the sheet of a guest wants most, though the check itself only tells what the machine is.
				return Finding{Status: judge(Major, h.Plan.Profile), Effective: Value{Raw: text}, Want: "no stolen time",
					Reason: fmt.Sprintf("%d ticks were stolen in %s: the hypervisor runs others on our cores", steal-before, over), Human: "cores of its own for this guest, pinned by its host"}
			}
		}
		return note(text, "no time was stolen in "+over)
	}
	if steal == 0 {
		return note(text, "")
	}
	return Finding{Status: Note, Effective: Value{Raw: text}, Want: "no stolen time",
		Reason: fmt.Sprintf("%d ticks were stolen since boot: the hypervisor runs others on our cores", steal)}
}

func lookCPU(h *Host) Finding {
	online := h.Online()
	if len(online) == 0 {
		return unread(&missingError{"cpu/online"})
	}
	nodes := h.Nodes()
	text := fmt.Sprintf("%d cores online (%s), %d nodes", len(online), online, max(1, len(nodes)))
	if offline, err := h.List("/sys/devices/system/cpu/offline"); err == nil && len(offline) > 0 {
		text += ", offline " + offline.String()
	}
	if left := h.Plan.Busy().Union(h.Plan.HK).Without(h.Possible()); len(left) > 0 {
		return Finding{Status: Fail, Effective: Value{Raw: text}, Want: "the plan's cores", Reason: "the plan names cores that are not there: " + left.String(), Human: "correct the plan"}
	}
	return note(text, "")
}

func lookNIC(h *Host) Finding {
	var shown, wrong []string
	for _, f := range h.Plan.Interfaces {
		if !h.Exists("/sys/class/net/" + f.Name) {
			wrong = append(wrong, f.Name+" is not there")
			continue
		}
		bdf, driver := h.BDF(f.Name), h.DriverOf(f.Name)
		if driver == "" {
			driver = "virtual"
		}
		if bdf == "" {
			bdf = "on no PCI bus"
		}
		shown = append(shown, fmt.Sprintf("%s %s %s", f.Name, driver, bdf))
		if f.BDF != "" && f.BDF != bdf {
			wrong = append(wrong, fmt.Sprintf("%s is at %s, the plan says %s", f.Name, bdf, f.BDF))
		}
	}
	text := strings.Join(shown, ", ")
	if len(wrong) > 0 {
		return Finding{Status: Fail, Effective: Value{Raw: text}, Want: "the plan's interfaces", Reason: strings.Join(wrong, "; "), Human: "correct the plan, or plug in what is missing"}
	}
	return note(text, "")
}

func lookBoot(h *Host) Finding {
	id, err := h.Read("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return unread(err)
	}
	text := "boot " + id
	if up, err := h.quiet("/proc/uptime"); err == nil {
		seconds, _, _ := strings.Cut(up, ".")
		h.record("/proc/uptime", seconds+" s", nil)
	}
	var firmware []string
	for _, f := range []string{"bios_vendor", "bios_version", "bios_date", "board_name"} {
		if v, err := h.Read("/sys/class/dmi/id/" + f); err == nil && v != "" {
			firmware = append(firmware, v)
		}
	}
	if len(firmware) > 0 {
		text += ", " + strings.Join(firmware, " ")
	}
	return note(text, "")
}
