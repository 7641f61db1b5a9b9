package tuning

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func irqChecks() []*Check {
	const section = "interrupts"
	return []*Check{
		{ID: "irq.irqbalance", Section: section, Title: "irqbalance", Severity: Major, Risk: R1,
			Why: "it moves interrupts by itself, undoing what was set by hand", Look: lookIRQBalance},
		{ID: "irq.hot", Section: section, Title: "no device interrupts HOT", Severity: Crit, Risk: R1, Uncontained: true, Planned: true,
			Why: "each takes the lane's core for some µs", Human: "for good: irqaffinity= and a unit that sets it after drivers have loaded; interrupts that refuse (EIO) need isolcpus=managed_irq", Look: lookIRQHot},
		{ID: "irq.feed", Section: section, Title: "feed queues interrupt their NAPI cores", Severity: Crit, Risk: R1, Planned: true, NICs: true,
			Why: "the driver's poller runs where its interrupt lands", Human: "for good: a unit that sets it after the driver has loaded", Look: lookIRQFeed},
		{ID: "irq.threads", Section: section, Title: "interrupt threads", Severity: Info, Risk: R1,
			Why: "with threaded interrupts the feed queue's thread must come before others on its core", Look: lookIRQThreads},
		{ID: "rps.off", Section: section, Title: "receive packet steering off", Severity: Major, Risk: R1, NICs: true,
			Why: "it passes packets to other cores by interrupting them", Look: lookRPS},
		{ID: "xps", Section: section, Title: "transmit queues by core", Severity: Minor, Risk: R1, NICs: true, Planned: true,
			Why: "the kernel's own sending should not use the feed's queues", Look: lookXPS},
		{ID: "arfs", Section: section, Title: "accelerated flow steering off", Severity: Minor, Risk: R2, NICs: true,
			Why: "it puts rules of its own into the NIC, beside ours", Look: lookARFS},
	}
}

// state of a unit: from its links under /etc/systemd, for what will be, and from the processes, for what is.
func (h *Host) unitMasked(unit string) bool {
	return h.LinkName("/etc/systemd/system/"+unit) == "null"
}

func (h *Host) installed(unit string) bool {
	return slices.ContainsFunc([]string{"/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"}, func(dir string) bool { return h.Exists(dir + unit) })
}

func lookIRQBalance(h *Host) Finding {
	running := h.Running("irqbalance")
	if len(running) == 0 && !h.installed("irqbalance.service") {
		return skip("not installed")
	}
	if _, err := h.Tasks(); err != nil {
		return unread(err)
	}
	if len(running) == 0 {
		f := pass("not running", "stopped and masked")
		if !h.unitMasked("irqbalance.service") && len(h.Glob("/etc/systemd/system/*.wants/irqbalance.service")) > 0 {
			f.Persistence = Lost
		}
		return f
	}
	var banned CPUs
	for _, file := range []string{"/etc/default/irqbalance", "/etc/sysconfig/irqbalance"} {
		text, err := h.Read(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			v = strings.Trim(v, `"'`)
			if name == "IRQBALANCE_BANNED_CPULIST" {
				banned, _ = ParseCPUs(v)
			} else if name == "IRQBALANCE_BANNED_CPUS" {
				banned, _ = ParseMask(v)
			}
		}
	}
	if left := h.Plan.Busy().Without(banned); h.Plan.Named() && len(left) == 0 {
		return Finding{Status: Warn, Effective: Value{Raw: "running, cores banned: " + banned.String()}, Want: "stopped and masked", Reason: "HOT and NAPI are banned; feed interrupts must be too (--banirq)",
			Human: "see that the feed's interrupts are banned"}
	}
	return deviates("running", "stopped and masked", "running, and HOT and NAPI are not banned", stopUnit("irqbalance.service", R1))
}

// irqSet is where an interrupt lands: as the chip says, else all that are allowed.
func (h *Host) irqSet(dir string) (CPUs, error) {
	if set, err := h.quietList(dir + "/effective_affinity_list"); err == nil && len(set) > 0 {
		return set, nil
	}
	return h.quietList(dir + "/smp_affinity_list")
}

func (h *Host) quietList(name string) (CPUs, error) {
	text, err := h.quiet(name)
	if err != nil {
		return nil, err
	}
	return ParseCPUs(text)
}

func lookIRQHot(h *Host) Finding {
	in, err := h.Interrupts()
	if err != nil {
		return unread(err)
	}
	hot, hk := h.Plan.Hot, h.HK()
	feeds := h.feedIRQs(in)
	var wrong []string
	var changes []Change
	seen := 0
	for _, row := range in.Rows {
		if _, err := number(row.Name); err != nil {
			continue
		}
		dir := "/proc/irq/" + row.Name
		set, err := h.irqSet(dir)
		if err != nil {
			if unread(err).Status == Error {
				return unread(err)
			}
			continue // it went away, or it is one that cannot be steered
		}
		seen++
		on := set.And(hot)
		if len(on) == 0 {
			continue
		}
		if h.Plan.Layout == LayoutB && feeds[row.Name] {
			continue // in-line polling wants its interrupts near, and keeps them off
		}
		n := 0
		for i, cpu := range in.CPUs {
			if hot.Has(cpu) && i < len(row.Counts) {
				n += row.Counts[i]
			}
		}
		h.record(dir+"/effective_affinity_list", set.String(), nil)
		wrong = append(wrong, fmt.Sprintf("%s (%s) on %s, %d times since boot", row.Name, short(row.What), on, n))
		old, _ := h.quiet(dir + "/smp_affinity_list")
		changes = append(changes, setFile(dir+"/smp_affinity_list", hk.String(), old, R1))
	}
	text := fmt.Sprintf("%d of %d interrupts may land on HOT", len(wrong), seen)
	if seen == 0 {
		return unread(&missingError{"/proc/irq"})
	}
	spared := map[string]bool{}
	if h.Plan.Layout == LayoutB {
		spared = feeds
	}
	over, watched := h.hotOver(in, spared)
	switch {
	case len(wrong) > 0 && watched:
		f := deviates(text+"; "+over.Effective.Raw, "none", someOf(wrong), changes...)
		if over.Reason != "" {
			f.Reason += "; " + over.Reason
		}
		return f
	case len(wrong) > 0:
		return deviates(text, "none", someOf(wrong), changes...)
	case watched:
		over.Effective.Raw = text + "; " + over.Effective.Raw
		return over
	}
	return pass(text, "none")
}

// queueIRQ names the queue in the ways of the drivers (host-tuning: names in /proc/interrupts).
var queueIRQ = []*regexp.Regexp{
	regexp.MustCompile(`^mlx5_comp(\d+)@pci:([0-9a-f:.]+)$`),
	regexp.MustCompile(`^(?:i40e|ice|iavf|bnxt_en)-(.+?)-(?:TxRx|rx)-(\d+)$`),
	regexp.MustCompile(`^(.+?)-(?:TxRx|rx|Rx|Tx-Rx)-(\d+)$`),
	regexp.MustCompile(`^(virtio\d+)-input\.(\d+)$`),
}

// irqQueue tells which queue of which interface an interrupt's name is about: an interface, a BDF or a virtio device.
func irqQueue(name string) (owner string, queue int, ok bool) {
	for i, re := range queueIRQ {
		m := re.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		owner, digits := m[1], m[2]
		if i == 0 {
			owner, digits = m[2], m[1]
		}
		n, err := number(digits)
		return owner, n, err == nil
	}
	return "", 0, false
}

// feedQueueIRQ finds the interrupt of a feed queue: as the kernel links them, else by name.
func (h *Host) feedQueueIRQ(in *Interrupts, f *Interface, queue int) (irq string, how string) {
	if queues, err := Ask[[]Queue](h, f.Name, "queues"); err == nil {
		napis, _ := Ask[[]NAPI](h, f.Name, "napis")
		for _, q := range queues {
			for _, n := range napis {
				if q.ID == queue && q.NAPI != 0 && n.ID == q.NAPI && n.IRQ > 0 {
					return strconv.Itoa(n.IRQ), "netdev-genl"
				}
			}
		}
	}
	bdf := h.BDF(f.Name)
	virtio := ""
	if bdf == "" || h.DriverOf(f.Name) == "virtio_net" {
		virtio = h.LinkName("/sys/class/net/" + f.Name + "/device")
	}
	for _, row := range in.Rows {
		words := strings.Fields(row.What)
		if len(words) == 0 {
			continue
		}
		owner, q, ok := irqQueue(words[len(words)-1])
		if ok && q == queue && (owner == f.Name || owner != "" && (owner == bdf || owner == virtio)) {
			return row.Name, "its name"
		}
	}
	return "", ""
}

// feedIRQs are the interrupts of all feed queues.
func (h *Host) feedIRQs(in *Interrupts) map[string]bool {
	m := map[string]bool{}
	for i := range h.Plan.Interfaces {
		f := &h.Plan.Interfaces[i]
		for _, q := range f.Queues {
			if irq, _ := h.feedQueueIRQ(in, f, q); irq != "" {
				m[irq] = true
			}
		}
	}
	return m
}

func lookIRQFeed(h *Host) Finding {
	if h.Plan.Layout == Plain {
		return skip("ordinary sockets (layout plain)")
	}
	in, err := h.Interrupts()
	if err != nil {
		return unread(err)
	}
	target := h.Plan.NAPI
	if h.Plan.Layout == LayoutB || len(target) == 0 {
		target = h.Plan.Hot
	}
	var shown, wrong, unknown []string
	var changes []Change
	for i := range h.Plan.Interfaces {
		f := &h.Plan.Interfaces[i]
		for _, q := range f.Queues {
			irq, how := h.feedQueueIRQ(in, f, q)
			if irq == "" {
				unknown = append(unknown, fmt.Sprintf("%s queue %d", f.Name, q))
				continue
			}
			set, err := h.irqSet("/proc/irq/" + irq)
			if err != nil {
				return unread(err)
			}
			h.record("/proc/irq/"+irq+"/effective_affinity_list", set.String(), nil)
			shown = append(shown, fmt.Sprintf("%s queue %d: irq %s on %s (by %s)", f.Name, q, irq, set, how))
			if len(set) == 0 || len(set.Without(target)) > 0 {
				wrong = append(wrong, fmt.Sprintf("%s queue %d interrupts %s", f.Name, q, set))
				old, _ := h.quiet("/proc/irq/" + irq + "/smp_affinity_list")
				changes = append(changes, setFile("/proc/irq/"+irq+"/smp_affinity_list", target.String(), old, R1))
			}
		}
	}
	want := "on " + target.String()
	switch {
	case len(wrong) > 0:
		return deviates(strings.Join(shown, ", "), want, strings.Join(wrong, "; "), changes...)
	case len(unknown) > 0 && len(shown) == 0:
		return skip("no interrupt is known for %s", strings.Join(unknown, ", "))
	case len(unknown) > 0:
		return Finding{Status: Error, Effective: Value{Raw: strings.Join(shown, ", ")}, Want: want, Reason: "no interrupt is known for " + strings.Join(unknown, ", ")}
	case len(shown) == 0:
		return skip("no plan: name the queues of the interface")
	}
	return pass(strings.Join(shown, ", "), want)
}

var policies = map[int]string{0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}

func lookIRQThreads(h *Host) Finding {
	tasks, err := h.Tasks()
	if err != nil {
		return unread(err)
	}
	var found []string
	for _, t := range tasks {
		if t.Kernel && strings.HasPrefix(t.Name, "irq/") {
			found = append(found, fmt.Sprintf("%s %s %d on %s", t.Name, policies[t.Policy], t.Priority, t.Allowed))
		}
	}
	if len(found) == 0 {
		return skip("no interrupt threads")
	}
	return note(someOf(found), "the feed queue's belongs on its NAPI core, before every other thread there")
}

func lookRPS(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		var wrong []string
		var changes []Change
		seen := 0
		for _, name := range h.Glob("/sys/class/net/" + nic + "/queues/rx-*/rps_cpus") {
			set, err := h.Mask(name)
			if err != nil {
				return unread(err)
			}
			seen++
			if len(set) > 0 {
				queue := path.Base(path.Dir(name))
				wrong = append(wrong, queue+" to "+set.String())
				changes = append(changes, setFile(name, "0", set.Mask(), R1), setUdev(name, h.netMatch(nic), "queues/"+queue+"/rps_cpus", "0", R1))
			}
		}
		if seen == 0 {
			return unread(&missingError{"rps_cpus"})
		}
		// Steering by flow takes both: a table of sockets, and places in it for a queue.
		const flows = "net.core.rps_sock_flow_entries"
		if n, err := h.Int(sysctlPath(flows)); err == nil && n > 0 {
			for _, name := range h.Glob("/sys/class/net/" + nic + "/queues/rx-*/rps_flow_cnt") {
				count, err := h.Int(name)
				if err == nil && count > 0 {
					queue := path.Base(path.Dir(name))
					wrong = append(wrong, fmt.Sprintf("%s steers %d flows to their readers", queue, count))
					changes = append(changes, setFile(name, "0", strconv.Itoa(count), R1), setUdev(name, h.netMatch(nic), "queues/"+queue+"/rps_flow_cnt", "0", R1))
				}
			}
		}
		if set, err := h.Mask("/proc/sys/net/core/rps_default_mask"); err == nil && len(set) > 0 {
			wrong = append(wrong, "new queues to "+set.String())
			changes = append(changes, setSysctl("net.core.rps_default_mask", "0", set.Mask(), R1)...)
		}
		if len(wrong) > 0 {
			return deviates(strings.Join(wrong, ", "), "0 for every queue", someOf(wrong), changes...)
		}
		return pass("off", "0 for every queue")
	})
}

func lookXPS(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		names := h.Glob("/sys/class/net/" + nic + "/queues/tx-*/xps_cpus")
		if len(names) < 2 {
			return skip("a single queue")
		}
		feed := map[string]bool{}
		for _, q := range h.Plan.Interface(nic).Queues {
			feed[fmt.Sprintf("tx-%d", q)] = true
		}
		var wrong []string
		var changes []Change
		for _, name := range names {
			set, err := h.Mask(name)
			if err != nil {
				return unread(err)
			}
			queue := path.Base(path.Dir(name))
			if feed[queue] && len(set.And(h.HK())) > 0 {
				wrong = append(wrong, "housekeeping sends by "+queue)
				changes = append(changes, setFile(name, "0", set.Mask(), R1))
			}
		}
		if len(wrong) > 0 {
			return deviates(strings.Join(wrong, ", "), "feed queues are not the kernel's", someOf(wrong), changes...)
		}
		return pass(fmt.Sprintf("%d queues", len(names)), "feed queues are not the kernel's")
	})
}

func lookARFS(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		features, err := Ask[Features](h, nic, "features")
		if err != nil {
			return unread(err)
		}
		var wrong []string
		var changes []Change
		for _, name := range h.Glob("/sys/class/net/" + nic + "/queues/rx-*/rps_flow_cnt") {
			n, err := h.Int(name)
			if err != nil {
				return unread(err)
			}
			if n > 0 {
				wrong = append(wrong, fmt.Sprintf("%s has %d flows", path.Base(path.Dir(name)), n))
				changes = append(changes, setFile(name, "0", strconv.Itoa(n), R1))
			}
		}
		text := "ntuple " + onOff(features["rx-ntuple-filter"].On)
		if features["rx-ntuple-filter"].On && len(wrong) > 0 {
			return deviates(text, "rps_flow_cnt 0", someOf(wrong), changes...)
		}
		return pass(text, "rps_flow_cnt 0")
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// eachNIC makes a check of every interface of the plan, and joins what it finds: the worst decides.
func (h *Host) eachNIC(look func(nic string) Finding) Finding {
	var all []Finding
	var names []string
	for _, f := range h.Plan.Interfaces {
		if !h.Exists("/sys/class/net/" + f.Name) {
			all = append(all, Finding{Status: Error, Reason: "no such interface"})
		} else {
			all = append(all, look(f.Name))
		}
		names = append(names, f.Name)
	}
	return join(names, all)
}

// eachPCI makes it of those that are on a bus.
func (h *Host) eachPCI(look func(nic, bdf string) Finding) Finding {
	return h.eachNIC(func(nic string) Finding {
		bdf := h.BDF(nic)
		if bdf == "" {
			return skip("on no PCI bus")
		}
		return look(nic, bdf)
	})
}

// join puts findings of several devices into one. One device: its own.
func join(names []string, all []Finding) Finding {
	if len(all) == 1 {
		f := all[0]
		if f.Reason == f.Effective.Raw {
			f.Reason = ""
		}
		if f.Reason != "" && !strings.HasPrefix(f.Reason, names[0]+":") && !strings.HasPrefix(f.Reason, names[0]+" ") {
			f.Reason = names[0] + ": " + f.Reason
		}
		return f
	}
	weight := func(f Finding) int {
		switch {
		case f.bad:
			return 5
		case f.Status == Error:
			return 4
		case f.Status == Warn:
			return 3
		case f.Status == Note:
			return 2
		case f.Status == Pass:
			return 1
		}
		return 0
	}
	worst := 0
	for i := range all {
		if weight(all[i]) > weight(all[worst]) {
			worst = i
		}
	}
	f := all[worst]
	var shown, reasons []string
	f.Changes = nil
	for i, one := range all {
		if one.Effective.Raw != "" {
			shown = append(shown, names[i]+": "+one.Effective.Raw)
		}
		if one.Reason != "" {
			reasons = append(reasons, names[i]+": "+one.Reason)
		}
		f.Changes = append(f.Changes, one.Changes...)
	}
	f.Effective, f.Reason = Value{Raw: strings.Join(shown, "; ")}, strings.Join(reasons, "; ")
	return f
}
