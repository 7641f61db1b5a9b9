package tuning

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

func stackChecks() []*Check {
	const section = "network stack"
	return []*Check{
		{ID: "net.igmp_max", Section: section, Title: "memberships a socket may have", Severity: Crit, Risk: R1,
			Why: "the default of 20 refuses the next group (ENOBUFS)", Look: lookIGMPMax},
		{ID: "net.igmp_state", Section: section, Title: "groups are joined", Severity: Crit, NICs: true,
			Why: "a group that is not joined on its interface does not come in", Human: "start the feed; look at its log for refused joins", Look: lookIGMP},
		{ID: "net.rp_filter", Section: section, Title: "reverse path filter", Severity: Major, Risk: R4, NICs: true,
			Why: "it drops packets whose source is not routed by their interface, as an exchange's is not", Look: lookRPFilter},
		{ID: "net.rmem", Section: section, Title: "receive buffers", Severity: Major, Risk: R1, Want: ">=67108864", valid: validNumbers,
			Why: "the buffer holds the burst while the reader is away", Look: func(h *Host) Finding {
				if h.Plan.Layout != Plain {
					return skip("AF_XDP has rings of its own (layout %s)", h.Plan.Layout)
				}
				return h.settings(setting{sysctl: "net.core.rmem_max", def: "212992"})
			}},
		{ID: "net.backlog", Section: section, Title: "the pollers' budget", Severity: Minor, Risk: R1, Want: "300-600", valid: validNumbers,
			Why: "a poller that runs out of its budget leaves packets for later", Look: lookBacklog},
		{ID: "net.busy", Section: section, Title: "polling by sockets", Severity: Minor, Risk: R1,
			Why: "for all sockets at once it costs those that need it not; a receiver asks for itself", Look: lookBusy},
		{ID: "net.netfilter", Section: section, Title: "packet filter", Severity: Minor, Risk: R4,
			Why: "each datagram to a socket goes through its rules and the table of connections", Human: "notrack for the feed's groups, early in the ruleset", Look: lookNetfilter},
		{ID: "net.arp", Section: section, Title: "ARP with lines in one subnet", Severity: Minor, Risk: R2, NICs: true,
			Why: "an interface may answer for another's address", Look: func(h *Host) Finding {
				if len(h.Plan.Interfaces) < 2 {
					return skip("a single interface")
				}
				return h.settings(setting{sysctl: "net.ipv4.conf.all.arp_ignore", want: "1", def: "0"}, setting{sysctl: "net.ipv4.conf.all.arp_announce", want: "2", def: "0"})
			}},
		{ID: "net.early_demux", Section: section, Title: "early demultiplexing", Severity: Info, Risk: R1, Want: "1",
			valid: validNumbers, Why: "it finds the socket before the route", Look: func(h *Host) Finding {
				return h.settings(setting{sysctl: "net.ipv4.ip_early_demux", def: "1"}, setting{sysctl: "net.ipv4.udp_early_demux", def: "1"})
			}},
		{ID: "net.mcast_all", Section: section, Title: "only the joined groups", Severity: Info,
			Why: "a socket without IP_MULTICAST_ALL=0 gets groups that others joined", Look: func(*Host) Finding {
				return note("each of a feed's sockets sets it", "")
			}},
		{ID: "net.ns", Section: section, Title: "network namespace", Severity: Info,
			Why: "limits and settings of interfaces are of a namespace: run this in the receiver's", Look: lookNetNS},
	}
}

// maxMemberships is what the kernel's memory for options of a socket allows, about.
const maxMemberships = 5459

func lookIGMPMax(h *Host) Finding {
	groups := 0
	for _, f := range h.Plan.Interfaces {
		groups += len(f.Groups) // one socket may join them all
	}
	const key = "net.ipv4.igmp_max_memberships"
	if groups == 0 {
		n, err := h.Int(sysctlPath(key))
		if err != nil {
			return unread(err)
		}
		return note(n, "the plan names no groups: whether that is enough is not known")
	}
	if groups > maxMemberships {
		return deviates(groups, "at most 5459 groups a socket", "no setting allows so many: join by several sockets")
	}
	return h.settings(setting{sysctl: key, want: ">=" + strconv.Itoa(groups), def: "20"}, setting{sysctl: "net.ipv4.igmp_max_msf", want: ">=1", def: "10"})
}

// igmpGroups are the groups of /proc/net/igmp by device, whose numbers are in the processor's byte order (little-endian).
func igmpGroups(text string) map[string][]netip.Addr {
	groups, device := map[string][]netip.Addr{}, ""
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if line[0] >= '0' && line[0] <= '9' && len(f) >= 2 {
			device = strings.TrimSuffix(f[1], ":")
			continue
		}
		if b, err := hex.DecodeString(f[0]); err == nil && len(b) == 4 && (line[0] == '\t' || line[0] == ' ') {
			var a [4]byte
			binary.LittleEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
			groups[device] = append(groups[device], netip.AddrFrom4(a))
		}
	}
	return groups
}

func lookIGMP(h *Host) Finding {
	text, err := h.quiet("/proc/net/igmp")
	if err != nil {
		h.record("/proc/net/igmp", "", err)
		return unread(err)
	}
	joined := igmpGroups(text)
	var missing []string
	planned := 0
	for _, f := range h.Plan.Interfaces {
		h.record("/proc/net/igmp, "+f.Name, fmt.Sprint(joined[f.Name]), nil)
		for _, g := range f.Groups {
			planned++
			a := netip.MustParseAddrPort(g).Addr()
			found := false
			for _, j := range joined[f.Name] {
				found = found || j == a
			}
			if !found {
				missing = append(missing, a.String()+" on "+f.Name)
			}
		}
	}
	if planned == 0 {
		return skip("the plan names no groups")
	}
	shown := fmt.Sprintf("%d of %d groups", planned-len(missing), planned)
	if len(missing) > 0 && len(h.Running(lanes...)) == 0 {
		return skip("no feed runs: nothing is joined yet")
	}
	if len(missing) > 0 {
		return deviates(shown, "all", "not joined: "+someOf(missing))
	}
	return pass(shown, "all")
}

func lookRPFilter(h *Host) Finding {
	if h.Plan.Layout != Plain {
		return skip("AF_XDP is not subject to it (layout %s)", h.Plan.Layout)
	}
	all, err := h.Int("/proc/sys/net/ipv4/conf/all/rp_filter")
	if err != nil {
		return unread(err)
	}
	return h.eachNIC(func(nic string) Finding {
		key := "net.ipv4.conf." + strings.ReplaceAll(nic, ".", "/") + ".rp_filter"
		own, err := h.Int(sysctlPath(key))
		if err != nil {
			return unread(err)
		}
		effective := max(all, own) // the stricter of the two by number (ip-sysctl)
		text := fmt.Sprintf("%d (all %d, %s %d)", effective, all, nic, own)
		if effective != 1 {
			return pass(text, "0 or 2")
		}
		// 2 outdoes a 1 of all: nothing else need be loosened.
		return deviates(text, "0 or 2", "strict", setSysctl(key, "2", strconv.Itoa(own), R4)...)
	})
}

func lookBacklog(h *Host) Finding {
	f := h.settings(setting{sysctl: "net.core.netdev_budget", def: "300"})
	text, err := h.quiet("/proc/net/softnet_stat")
	if err != nil || f.Status == Error {
		return f
	}
	var dropped, squeezed uint64
	rows := parseSoftnet(text)
	for _, s := range rows {
		dropped, squeezed = dropped+s.dropped, squeezed+s.squeezed
	}
	h.record("/proc/net/softnet_stat", fmt.Sprintf("dropped %d, squeezed %d", dropped, squeezed), nil)
	if f.Status == Skip {
		return f
	}
	if was, ok := h.wasText("/proc/net/softnet_stat"); ok {
		return h.backlogOver(f, softnetOver(parseSoftnet(was), rows))
	}
	f.Effective.Raw += fmt.Sprintf(", %d dropped, %d squeezed since boot", dropped, squeezed)
	return f
}

// backlogOver adds to a finding what pollers dropped, and where they ran out of their budget: of NAPI cores, if some are planned.
func (h *Host) backlogOver(f Finding, over []softnet) Finding {
	var wrong []string
	var dropped, squeezed uint64
	for _, s := range over {
		dropped, squeezed = dropped+s.dropped, squeezed+s.squeezed
		if s.dropped > 0 {
			wrong = append(wrong, fmt.Sprintf("CPU %d dropped %d", s.cpu, s.dropped))
		}
		if s.squeezed > 0 && (len(h.Plan.NAPI) == 0 || h.Plan.NAPI.Has(s.cpu)) {
			wrong = append(wrong, fmt.Sprintf("CPU %d was squeezed %d times", s.cpu, s.squeezed))
		}
	}
	f.Effective.Raw += fmt.Sprintf(", %d dropped, %d squeezed in %s", dropped, squeezed, h.interval())
	if len(wrong) > 0 {
		f.bad = true
		f.Reason = strings.TrimPrefix(f.Reason+"; "+someOf(wrong), "; ")
	}
	return f
}

func lookBusy(h *Host) Finding {
	var shown []string
	high := 0
	for _, name := range []string{"busy_poll", "busy_read"} {
		n, err := h.Int("/proc/sys/net/core/" + name)
		if err != nil {
			return unread(err)
		}
		shown, high = append(shown, fmt.Sprintf("%s=%d", name, n)), max(high, n)
	}
	f := pass(strings.Join(shown, " "), "0")
	switch {
	case high == 0:
	case h.Plan.Layout == Plain || high <= 50:
		f.Reason = "polling for all sockets: known from guides for ordinary sockets"
	default:
		f = deviates(f.Effective.Raw, "0", f.Effective.Raw, append(setSysctl("net.core.busy_poll", "0", strconv.Itoa(high), R1), setSysctl("net.core.busy_read", "0", strconv.Itoa(high), R1)...)...)
	}
	return f
}

func lookNetfilter(h *Host) Finding {
	if h.Plan.Layout != Plain {
		return skip("AF_XDP goes past it (layout %s)", h.Plan.Layout)
	}
	count, err := h.Int("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		if f := unread(err); f.Status == Error {
			return f
		}
		return pass("no table of connections", "the feed is not tracked")
	}
	return deviates(fmt.Sprintf("%d connections are tracked", count), "the feed is not tracked", "nf_conntrack is loaded: unless a rule says notrack, each datagram is looked up")
}

// initialNet is how the kernel numbers network namespaces: the first is not fixed, so init's is compared.
func lookNetNS(h *Host) Finding {
	own, init := h.nsOf("self"), h.nsOf("1")
	switch {
	case own == "":
		return skip("not told")
	case init == "":
		return note(own, "init's is hidden: whether it is the same is not known")
	case own == init:
		return note(own, "")
	}
	return note(own, "not the namespace of init: what is read here is this one's")
}

func (h *Host) nsOf(pid string) string {
	return h.LinkName("/proc/" + pid + "/ns/net")
}
