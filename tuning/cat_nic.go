package tuning

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

func nicChecks() []*Check {
	const section = "nic"
	each := func(look func(*Host, string) Finding) func(*Host) Finding {
		return func(h *Host) Finding { return h.eachNIC(func(nic string) Finding { return look(h, nic) }) }
	}
	physical := func(look func(*Host, string) Finding) func(*Host) Finding {
		return each(func(h *Host, nic string) Finding {
			if !h.Physical(nic) {
				return skip("no physical NIC")
			}
			return look(h, nic)
		})
	}
	return []*Check{
		{ID: "nic.driver", Section: section, Title: "driver of the kernel's tree", Severity: Crit, Risk: R3, NICs: true,
			Why: "builds from outside the tree have come without AF_XDP, or with a broken redirect", Human: "the distribution's driver; a vendor's that is meant to be there: driver in the plan's interface", Look: each(lookDriver)},
		{ID: "nic.firmware", Section: section, Title: "firmware of the NIC", Severity: Info, Risk: R3, NICs: true,
			Why: "machines of a fleet should not differ", Human: "the vendor's tool", Look: physical(func(h *Host, nic string) Finding {
				d, err := Ask[Driver](h, nic, "driver")
				if err != nil {
					return unread(err)
				}
				return h.golden(d.Driver, d.Firmware)
			})},
		{ID: "nic.link", Section: section, Title: "carrier, speed and FEC", Severity: Crit, Risk: R2, NICs: true,
			Why: "no packets, or slow ones; FEC has to match the other side", Human: "cable, optics, the switch's port; FEC as agreed with the exchange", Look: physical(lookLink)},
		{ID: "nic.rings", Section: section, Title: "receive ring", Severity: Major, Risk: R2, NICs: true, Want: "1024-4096", valid: validNumbers,
			Why: "it holds the burst while the poller is away; a very large one leaves the cache", Look: each(lookRings)},
		{ID: "nic.coalesce", Section: section, Title: "interrupt moderation off", Severity: Major, Risk: R2, NICs: true,
			Why: "the NIC holds packets back to interrupt less often", Look: each(lookCoalesce)},
		{ID: "nic.lro", Section: section, Title: "hardware merging off", Severity: Crit, Risk: R2, NICs: true,
			Why: "drivers refuse XDP with it, or pass packets that were glued together", Human: "where the driver cannot switch it off: another NIC, or ordinary sockets (layout plain)", Look: features("large-receive-offload lro", "rx-lro lro", "rx-gro-hw rx-gro-hw")},
		{ID: "nic.gro", Section: section, Title: "software merging off", Severity: Minor, Risk: R1, NICs: true,
			Why: "it merges datagrams before generic XDP sees them; native XDP is not affected", Look: features("rx-gro gro", "rx-udp-gro-forwarding rx-udp-gro-forwarding", "rx-gro-list rx-gro-list")},
		{ID: "nic.vlan", Section: section, Title: "VLAN tags stay in the packet", Severity: Major, Risk: R2, NICs: true,
			Why: "a tag that the NIC takes out is not there for the program to see", Look: features("rx-vlan-hw-parse rxvlan")},
		{ID: "nic.csum", Section: section, Title: "receive check sums", Severity: Info, NICs: true,
			Why: "helps the kernel's path; AF_XDP sees nothing of it", Look: each(func(h *Host, nic string) Finding {
				f, err := Ask[Features](h, nic, "features")
				if err != nil {
					return unread(err)
				}
				return note(onOff(f["rx-checksum"].On), "")
			})},
		{ID: "nic.pause", Section: section, Title: "flow control off", Severity: Major, Risk: R2, NICs: true,
			Why: "our NIC must not stop the switch's port: drops are seen, pauses are not", Look: physical(lookPause)},
		{ID: "nic.eee", Section: section, Title: "energy efficient Ethernet off", Severity: Minor, Risk: R2, NICs: true,
			Why: "a copper link that sleeps takes µs to wake", Look: each(func(h *Host, nic string) Finding {
				e, err := Ask[EEE](h, nic, "eee")
				if err != nil {
					return unread(err)
				}
				if e.Enabled {
					return deviates("enabled", "disabled", "enabled", setNIC(nic, "eee.enabled", "off", "on", "--set-eee", "eee off", "eee on", R2))
				}
				return pass("disabled", "disabled")
			})},
		{ID: "nic.wol", Section: section, Title: "wake on LAN", Severity: Info, Why: "has no part in receiving: listed so that nobody tunes it", Look: func(*Host) Finding { return note("not looked at", "") }},
		{ID: "nic.channels", Section: section, Title: "number of queues", Severity: Major, Risk: R2, NICs: true,
			Why: "too many spread flows, and bring interrupts to HOT", Human: "not while a feed has the interface: rules, masks of interrupts and rings are to be set again after it", Look: each(lookChannels)},
		{ID: "nic.rss", Section: section, Title: "hashing keeps off the feed queues", Severity: Major, Risk: R2, NICs: true,
			Why: "other traffic would share the feed's queues", Look: each(lookRSS)},
		{ID: "nic.ntuple", Section: section, Title: "rules that steer the feed", Severity: Crit, Risk: R2, NICs: true,
			Why: "a socket of AF_XDP sees only its queue", Look: each(lookNtuple)},
		{ID: "nic.privflags", Section: section, Title: "the driver's own flags", Severity: Major, Risk: R2, NICs: true,
			Why: "some batch completions, some take LLDP or rules away from the host", Look: each(lookPrivate)},
		{ID: "nic.xdp", Section: section, Title: "XDP", Severity: Crit, Risk: R2, NICs: true,
			Why: "without it the kernel's stack is in the path; a foreign program takes packets away", Human: "another driver or kernel; take the foreign program off (ip link set dev IF xdp off)", Look: each(lookXDP)},
		{ID: "nic.napi_link", Section: section, Title: "queues are linked to pollers", Severity: Major, NICs: true,
			Why: "polling in line needs it on kernels from 6.13", Look: each(lookNAPILink)},
		{ID: "nic.napi_defer", Section: section, Title: "deferred interrupts", Severity: Major, Risk: R1, NICs: true,
			Why: "polling in line wants interrupts held off (100, 200000 ns); elsewhere that only adds delay", Look: each(lookDefer)},
		{ID: "nic.napi_threaded", Section: section, Title: "pollers in threads", Severity: Info, Risk: R1, NICs: true,
			Why: "a poller's thread belongs on its NAPI core", Look: each(func(h *Host, nic string) Finding {
				n, err := h.Int("/sys/class/net/" + nic + "/threaded")
				if err != nil {
					return unread(err)
				}
				return note(n, "")
			})},
		{ID: "nic.mtu", Section: section, Title: "MTU", Severity: Crit, Risk: R2, NICs: true,
			Why: "native XDP refuses packets that do not fit in a page, and a chunk has 2048 bytes", Look: each(lookMTU)},
		{ID: "nic.flags", Section: section, Title: "not promiscuous, groups in the filter", Severity: Info, Risk: R1, NICs: true,
			Why: "a promiscuous NIC takes all that the switch sends; a group whose address is not programmed does not come in", Look: each(lookFlags)},
		{ID: "nic.queue_len", Section: section, Title: "transmit queue", Severity: Info, NICs: true, Why: "of the sending side only: listed so that nobody tunes it for receiving",
			Look: each(func(h *Host, nic string) Finding {
				n, err := h.Int("/sys/class/net/" + nic + "/tx_queue_len")
				if err != nil {
					return unread(err)
				}
				return note(n, "")
			})},
		{ID: "nic.drops", Section: section, Title: "lost packets", Severity: Crit, NICs: true,
			Why: "each is a gap", Human: "crc and symbol errors: cable and optics; discards: the bus, idle states, NUMA; no buffers: the ring or its poller", Look: each(lookDrops)},
		{ID: "nic.sriov", Section: section, Title: "no virtual functions", Severity: Minor, Risk: R2, NICs: true,
			Why: "some drivers refuse XDP with them, and they share the link", Look: physical(func(h *Host, nic string) Finding {
				name := "/sys/class/net/" + nic + "/device/sriov_numvfs"
				n, err := h.Int(name)
				if err != nil {
					return unread(err)
				}
				if n > 0 {
					return deviates(n, "0", fmt.Sprintf("%d virtual functions", n), setFile(name, "0", strconv.Itoa(n), R2))
				}
				return pass(n, "0")
			})},
		{ID: "nic.bond", Section: section, Title: "in no bond", Severity: Minor, Risk: R2, NICs: true,
			Why: "XDP goes on the members, not on the bond", Human: "take the interface out of the bond, or plan its members one by one", Look: each(lookMaster("bonding", "bond"))},
		{ID: "nic.bridge", Section: section, Title: "in no bridge", Severity: Minor, Risk: R2, NICs: true,
			Why: "a bridge takes the packets, and makes the NIC promiscuous", Human: "take the interface out of the bridge", Look: each(lookMaster("brport", "bridge"))},
		{ID: "nic.name", Section: section, Title: "a name that stays", Severity: Minor, NICs: true,
			Why: "names by order of discovery change with the hardware", Human: "give the plan's interface its bdf, or use a predictable name", Look: each(lookName)},
		{ID: "nic.tc", Section: section, Title: "no filters on the way in", Severity: Minor, Risk: R2, NICs: true,
			Why: "each packet that passes XDP goes through them", Human: "tc qdisc del dev IF clsact", Look: each(func(h *Host, nic string) Finding {
				f, err := Ask[Filters](h, nic, "filters")
				if err != nil {
					return unread(err)
				}
				text := fmt.Sprintf("%d filters", f.Ingress)
				if f.Ingress > 0 {
					return deviates(text, "none", text)
				}
				return pass("none", "none")
			})},
	}
}

// inTree says whether a driver's version is the kernel's own, which is what drivers of its tree report.
func lookDriver(h *Host, nic string) Finding {
	d, err := Ask[Driver](h, nic, "driver")
	if err != nil {
		return unread(err)
	}
	text := strings.TrimSpace(d.Driver + " " + d.Version)
	taint, _ := h.Read("/sys/module/" + path.Base(d.Driver) + "/taint")
	f := h.Plan.Interface(nic)
	switch {
	case f.Driver == d.Driver:
		out := pass(text, "as planned")
		if strings.Contains(taint, "O") {
			out.Reason = "a vendor's build, as planned"
		}
		return out
	case f.Driver != "":
		return deviates(text, f.Driver, "the plan says "+f.Driver)
	case strings.Contains(taint, "O"):
		return deviates(text, "a driver of the kernel's tree", "built outside of the kernel's tree")
	}
	return pass(text, "a driver of the kernel's tree")
}

// Bits of ETHTOOL_FEC_* (linux/ethtool.h).
var fecBits = []struct {
	bit  uint32
	name string
}{{1 << 2, "off"}, {1 << 3, "rs"}, {1 << 4, "baser"}, {1 << 5, "llrs"}, {1 << 1, "auto"}}

func fecName(bits uint32) string {
	for _, b := range fecBits {
		if bits&b.bit != 0 {
			return b.name
		}
	}
	return "none"
}

func lookLink(h *Host, nic string) Finding {
	dir := "/sys/class/net/" + nic + "/"
	carrier, err := h.Int(dir + "carrier")
	if err != nil {
		f := unread(err)
		if f.Status == Skip { // EINVAL: it is set down
			return deviates("down", "up", "the interface is down")
		}
		return f
	}
	if carrier != 1 {
		return deviates("no carrier", "up", "no carrier")
	}
	changes, changesErr := h.Int(dir + "carrier_changes")
	plan := h.Plan.Interface(nic)
	speed := -1
	if n, err := h.Int(dir + "speed"); err == nil {
		speed = n
	} else if m, err := Ask[LinkMode](h, nic, "link"); err == nil {
		speed = m.Speed
	}
	text, want := fmt.Sprintf("%d Mbit/s", speed), "a carrier"
	var wrong []string
	if plan.Speed > 0 {
		if want = fmt.Sprintf("%d Mbit/s", plan.Speed); plan.Speed != speed {
			wrong = append(wrong, text)
		}
	}
	if duplex, err := h.Read(dir + "duplex"); err == nil {
		text += ", " + duplex + " duplex"
		if duplex == "half" {
			wrong = append(wrong, "half duplex")
		}
	}
	if fec, err := Ask[FEC](h, nic, "fec"); err == nil {
		text += ", FEC " + fecName(fec.Active)
		if plan.FEC != "" {
			want += ", FEC " + plan.FEC
			if fecName(fec.Active) != plan.FEC {
				wrong = append(wrong, "FEC "+fecName(fec.Active))
			}
		}
	}
	if over := h.interval(); over != "" && changesErr == nil {
		if n := h.wentUp(dir+"carrier_changes", changes); n > 0 {
			wrong = append(wrong, fmt.Sprintf("the carrier changed %d times in %s", n, over))
		}
	}
	if len(wrong) > 0 {
		return deviates(text, want, strings.Join(wrong, ", "))
	}
	return pass(text, want)
}

// startRing is where to begin: in the caches of most, and 2 ms of a burst at a packet a µs.
const startRing = 2048

func lookRings(h *Host, nic string) Finding {
	r, err := Ask[Rings](h, nic, "rings")
	if err != nil {
		return unread(err)
	}
	text := fmt.Sprintf("rx %d of %d", r.RxPending, r.RxMax)
	want := "rx " + h.want
	switch {
	case meets(strconv.Itoa(r.RxPending), h.want):
		return pass(text, want)
	case r.RxMax <= 0 || r.RxPending == r.RxMax && !meets(strconv.Itoa(min(r.RxMax, startRing)), h.want):
		return skip("the driver has %d, and can no more", r.RxPending)
	}
	set := min(r.RxMax, startRing)
	if !meets(strconv.Itoa(set), h.want) {
		set, _ = strconv.Atoi(toSet(h.want))
	}
	return deviates(text, want, text, setNIC(nic, "rings.rx_pending", strconv.Itoa(set), strconv.Itoa(r.RxPending), "-G", fmt.Sprintf("rx %d", set), fmt.Sprintf("rx %d", r.RxPending), R2),
		setLink(nic, "RxBufferSize", strconv.Itoa(set), R2))
}

func lookCoalesce(h *Host, nic string) Finding {
	c, err := Ask[Coalesce](h, nic, "coalesce")
	if err != nil {
		return unread(err)
	}
	if h.Plan.Layout == LayoutB {
		return skip("polling in line masks interrupts (layout B)")
	}
	text := fmt.Sprintf("rx-usecs %d, rx-frames %d, adaptive rx %s tx %s", c.RxUsecs, c.RxFrames, onOff(c.AdaptiveRx), onOff(c.AdaptiveTx))
	const want = "rx-usecs 0, adaptive off"
	if c.RxUsecs == 0 && !c.AdaptiveRx && !c.AdaptiveTx {
		return pass(text, want)
	}
	one := func(key, flag, value, old string) Change {
		return setNIC(nic, "coalesce."+key, value, old, "-C", flag+" "+value, flag+" "+old, R2)
	}
	var changes []Change
	if c.AdaptiveRx {
		changes = append(changes, one("adaptive_rx", "adaptive-rx", "off", "on"), setLink(nic, "UseAdaptiveRxCoalesce", "no", R2))
	}
	if c.AdaptiveTx {
		changes = append(changes, one("adaptive_tx", "adaptive-tx", "off", "on"), setLink(nic, "UseAdaptiveTxCoalesce", "no", R2))
	}
	if c.RxUsecs != 0 {
		changes = append(changes, one("rx_usecs", "rx-usecs", "0", strconv.Itoa(c.RxUsecs)), setLink(nic, "RxCoalesceSec", "0", R2))
	}
	return deviates(text, want, text, changes...)
}

// features wants features off: each "kernel's-name flag-of-ethtool". Ones that cannot be changed do not count when they are off.
func features(list ...string) func(*Host) Finding {
	return func(h *Host) Finding {
		return h.eachNIC(func(nic string) Finding {
			all, err := Ask[Features](h, nic, "features")
			if err != nil {
				return unread(err)
			}
			var shown, wrong []string
			var changes []Change
			for _, item := range list {
				name, flag, _ := strings.Cut(item, " ")
				f, ok := all[name]
				if !ok {
					continue
				}
				shown = append(shown, flag+" "+onOff(f.On))
				if !f.On {
					continue
				}
				if f.Fixed {
					wrong = append(wrong, flag+" on, and the driver cannot switch it off")
					continue
				}
				wrong = append(wrong, flag+" on")
				changes = append(changes, setNIC(nic, "features."+name, "off", "on", "-K", flag+" off", flag+" on", h.check.Risk))
			}
			if len(shown) == 0 {
				return skip("the driver has none of these")
			}
			if len(wrong) > 0 {
				return deviates(strings.Join(shown, ", "), "off", strings.Join(wrong, ", "), changes...)
			}
			return pass(strings.Join(shown, ", "), "off")
		})
	}
}

func lookPause(h *Host, nic string) Finding {
	p, err := Ask[Pause](h, nic, "pause")
	if err != nil {
		return unread(err)
	}
	text := fmt.Sprintf("autoneg %s, rx %s, tx %s", onOff(p.Autoneg), onOff(p.Rx), onOff(p.Tx))
	if !p.Rx && !p.Tx {
		return pass(text, "rx off, tx off")
	}
	var changes []Change
	for _, one := range []struct {
		name string
		on   bool
	}{{"autoneg", p.Autoneg}, {"rx", p.Rx}, {"tx", p.Tx}} {
		if one.on {
			changes = append(changes, setNIC(nic, "pause."+one.name, "off", "on", "-A", one.name+" off", one.name+" on", R2))
		}
	}
	changes = append(changes, setLink(nic, "RxFlowControl", "no", R2), setLink(nic, "TxFlowControl", "no", R2))
	return deviates(text, "rx off, tx off", text, changes...)
}

func lookMTU(h *Host, nic string) Finding {
	n, err := h.Int("/sys/class/net/" + nic + "/mtu")
	if err != nil {
		return unread(err)
	}
	if h.Plan.Layout == Plain {
		return note(n, "")
	}
	limit := min(chunkMTU, orElse(mtuLimits[h.DriverOf(nic)], chunkMTU))
	want := "at most " + strconv.Itoa(limit)
	if n <= limit {
		return pass(n, want)
	}
	c := Change{Kind: WriteFile, Target: "/sys/class/net/" + nic + "/mtu", Value: "1500", Old: strconv.Itoa(n), Risk: R2, NIC: nic,
		Command: "ip link set dev " + nic + " mtu 1500", Undo: fmt.Sprintf("ip link set dev %s mtu %d", nic, n)}
	return deviates(n, want, "packets up to it do not fit", c, setLink(nic, "MTUBytes", "1500", R2))
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// groupMAC is the Ethernet address of a group: 01:00:5e and its low 23 bits.
func groupMAC(group string) string {
	ip, _, _ := strings.Cut(group, ":")
	var a, b, c, d int
	fmt.Sscanf(ip, "%d.%d.%d.%d", &a, &b, &c, &d)
	return fmt.Sprintf("01005e%02x%02x%02x", b&0x7f, c, d)
}

func lookFlags(h *Host, nic string) Finding {
	text, err := h.Read("/sys/class/net/" + nic + "/flags")
	if err != nil {
		return unread(err)
	}
	flags, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	if err != nil {
		return Finding{Status: Error, Reason: fmt.Sprintf("flags hold %q", short(text))}
	}
	var what []string
	if flags&0x100 != 0 {
		what = append(what, "promiscuous")
	}
	if flags&0x200 != 0 {
		what = append(what, "allmulti")
	}
	if groups := h.Plan.Interface(nic).Groups; len(groups) > 0 {
		mcast, err := h.quiet("/proc/net/dev_mcast")
		missing := 0
		for _, g := range groups {
			found := false
			for line := range strings.Lines(mcast) {
				f := strings.Fields(line)
				found = found || len(f) >= 5 && f[1] == nic && f[4] == groupMAC(g)
			}
			if !found {
				missing++
			}
		}
		h.record("/proc/net/dev_mcast", fmt.Sprintf("%d of %d groups", len(groups)-missing, len(groups)), err)
		if missing > 0 && err == nil {
			what = append(what, fmt.Sprintf("%d groups are not in its filter", missing))
		}
	}
	if len(what) > 0 {
		return note(text, strings.Join(what, ", "))
	}
	return pass(text, "not promiscuous, its groups in the filter")
}

// dropCounters are parts of drivers' names for counters of loss (docs/receive-path.md).
var dropCounters = []string{"crc_errors", "symbol_err", "discards_phy", "buf_discard", "rx_dropped", "missed_errors", "no_dma_resources", "out_of_buffer", "xsk_buff_alloc_err", "hw_drop_overruns", "rx_fifo_errors"}

func lookDrops(h *Host, nic string) Finding {
	counts := Stats{}
	for _, name := range []string{"rx_crc_errors", "rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "rx_dropped", "rx_errors"} {
		if n, err := h.Int(statistics(nic, name)); err == nil && n > 0 {
			counts[name] = uint64(n)
		}
	}
	var all Stats
	if err := h.Devices.Ask(nic, "stats", &all); err == nil {
		text, _ := json.Marshal(all)
		h.calls[nic+" stats"] = string(text) // all of it would be too much of evidence
		for name, n := range all {
			if n > 0 && slices.ContainsFunc(dropCounters, func(part string) bool { return strings.Contains(name, part) }) {
				counts[name] = n
				h.record(nic+": "+groups["stats"].source+", "+name, strconv.FormatUint(n, 10), nil)
			}
		}
	}
	if over := h.interval(); over != "" {
		return h.dropsOver(nic, over, counts)
	}
	if len(counts) == 0 {
		return pass("none since boot", "none")
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	var shown []string
	for _, n := range names {
		shown = append(shown, fmt.Sprintf("%s %d", n, counts[n]))
	}
	// Since when, nobody knows: the link may have been set up then. What happens from now on is for --for and --watch.
	return Finding{Status: Warn, Effective: Value{Raw: strings.Join(shown, ", ")}, Want: "none", Reason: someOf(shown) + " since boot; --for tells new ones", Human: h.check.Human}
}

func statistics(nic, name string) string { return "/sys/class/net/" + nic + "/statistics/" + name }

// dropsOver judges counters of loss by what they went up by.
func (h *Host) dropsOver(nic, over string, counts Stats) Finding {
	var old Stats
	_ = json.Unmarshal([]byte(h.wasCall(nic+" stats")), &old) // none: it answers for the first time
	var shown []string
	for name, n := range counts {
		was, known := old[name]
		if text, ok := h.wasText(statistics(nic, name)); ok && !known {
			var err error
			was, err = strconv.ParseUint(text, 10, 64)
			known = err == nil
		}
		if known && n > was {
			shown = append(shown, fmt.Sprintf("%s %d", name, n-was))
		}
	}
	slices.Sort(shown)
	if len(shown) == 0 {
		return pass("none in "+over, "none")
	}
	return deviates(strings.Join(shown, ", "), "none", someOf(shown)+" in "+over)
}

func lookMaster(file, kind string) func(*Host, string) Finding {
	return func(h *Host, nic string) Finding {
		name := h.LinkName("/sys/class/net/" + nic + "/master")
		is := false
		if name != "" {
			if kind == "bond" {
				is = h.Exists("/sys/class/net/" + name + "/" + file)
			} else {
				is = h.Exists("/sys/class/net/" + nic + "/" + file)
			}
		}
		if is {
			return deviates(name, "in none", "in the "+kind+" "+name)
		}
		return pass("in none", "in none")
	}
}

func lookName(h *Host, nic string) Finding {
	plan := h.Plan.Interface(nic)
	kind, err := h.Read("/sys/class/net/" + nic + "/name_assign_type")
	if err != nil {
		if f := unread(err); f.Status == Error {
			return f
		}
		kind = "1" // EINVAL: given by the kernel
	}
	switch {
	case plan.BDF != "":
		return pass(nic+" at "+plan.BDF, "known by more than its name")
	case kind == "1":
		return deviates(nic, "known by more than its name", "the kernel named it in order of discovery")
	}
	return pass(nic, "known by more than its name")
}
