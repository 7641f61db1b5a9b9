package tuning

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Which queue takes a packet, and who takes it from there: channels, RSS, flow rules, the driver's own switches, XDP and NAPI.

func lookChannels(h *Host, nic string) Finding {
	c, err := Ask[Channels](h, nic, "channels")
	if err != nil {
		return unread(err)
	}
	plan := h.Plan.Interface(nic)
	text := fmt.Sprintf("combined %d, rx %d, tx %d", c.Combined, c.Rx, c.Tx)
	for _, q := range plan.Queues {
		if q >= c.RxQueues() && plan.Channels <= q {
			return deviates(text, "the plan's queues", fmt.Sprintf("the plan has queue %d", q))
		}
	}
	if plan.Channels == 0 {
		return note(text, "the plan does not say how many")
	}
	want := strconv.Itoa(plan.Channels)
	if c.RxQueues() == plan.Channels {
		return pass(text, want)
	}
	if plan.Channels > max(c.MaxCombined, c.MaxRx) {
		return deviates(text, want, fmt.Sprintf("the driver can no more than %d", max(c.MaxCombined, c.MaxRx)))
	}
	kind, key, have := "combined", "CombinedChannels", c.Combined
	if c.MaxCombined == 0 { // some drivers have queues for one direction only
		kind, key, have = "rx", "RxChannels", c.Rx
	}
	return deviates(text, want, text, setNIC(nic, "channels."+kind, want, strconv.Itoa(have), "-L", kind+" "+want, kind+" "+strconv.Itoa(have), R2),
		setLink(nic, key, want, R2))
}

func lookRSS(h *Host, nic string) Finding {
	c, err := Ask[Channels](h, nic, "channels")
	if err == nil && c.RxQueues() <= 1 {
		return skip("a single queue")
	}
	r, err := Ask[RSS](h, nic, "rss")
	if err != nil {
		return unread(err)
	}
	plan := h.Plan.Interface(nic)
	if len(plan.Queues) == 0 || h.Plan.Layout == Plain {
		return skip("the plan names no queues")
	}
	to := r.Queues()
	var hit []int
	for _, q := range plan.Queues {
		if to[q] > 0 {
			hit = append(hit, q)
		}
	}
	text := fmt.Sprintf("leads to %d queues", len(to))
	if len(hit) == 0 {
		return pass(text, "none of the feed's")
	}
	// `equal K` fills queues 0 to K-1: that helps only where the feed's come last.
	if first := slices.Min(plan.Queues); first > 0 {
		old := max(1, len(to))
		return deviates(text, "none of the feed's", fmt.Sprintf("other traffic comes by queues %v", hit),
			setNIC(nic, "rss.equal", strconv.Itoa(first), strconv.Itoa(old), "-X", fmt.Sprintf("equal %d", first), fmt.Sprintf("equal %d", old), R2))
	}
	f := deviates(text, "none of the feed's", fmt.Sprintf("other traffic comes by queues %v", hit))
	f.Human = "plan the feed's queues after those of other traffic, or spread by weights (ethtool -X IF weight …)"
	return f
}

func lookNtuple(h *Host, nic string) Finding {
	plan := h.Plan.Interface(nic)
	if h.Plan.Layout == Plain {
		return skip("ordinary sockets (layout plain)")
	}
	if c, err := Ask[Channels](h, nic, "channels"); err == nil && c.RxQueues() <= 1 {
		return skip("a single queue: nothing to steer")
	}
	if len(plan.Queues) == 0 || len(plan.Groups) == 0 {
		return skip("the plan names no groups and queues of it")
	}
	all, err := Ask[Features](h, nic, "features")
	if err != nil {
		return unread(err)
	}
	f, ok := all["rx-ntuple-filter"]
	if !ok || !f.On && f.Fixed {
		return skip("the driver cannot steer: the plan must use a single queue")
	}
	const want = "on, a rule for each group"
	if !f.On {
		return deviates("off", want, "ntuple is off", setNIC(nic, "features.rx-ntuple-filter", "on", "off", "-K", "ntuple on", "ntuple off", R2))
	}
	rules, err := Ask[Rules](h, nic, "rules")
	if err != nil {
		return unread(err)
	}
	var wrong []string
	var changes []Change
	foreign := 0
	for _, r := range rules {
		if !slices.Contains(plan.Groups, r.Group) {
			foreign++
		}
	}
	for i, g := range plan.Groups {
		n, strays := 0, 0
		for _, r := range rules {
			if r.Group == g {
				if n++; !slices.Contains(plan.Queues, r.Queue) {
					strays++
				}
			}
		}
		switch {
		case strays > 0:
			wrong = append(wrong, g+" goes to a queue that is not planned")
		case n > 1:
			wrong = append(wrong, fmt.Sprintf("%s has %d rules", g, n))
		case n == 0:
			wrong = append(wrong, g+" has no rule")
			queue := strconv.Itoa(plan.Queues[i%len(plan.Queues)])
			ip, port, _ := strings.Cut(g, ":")
			changes = append(changes, setNIC(nic, "rules.insert", g+" "+queue, "", "-N", "flow-type udp4 dst-ip "+ip+" dst-port "+port+" action "+queue, "delete LOCATION", R2))
		}
	}
	if foreign > 0 {
		wrong = append(wrong, fmt.Sprintf("%d rules are not the plan's", foreign))
	}
	text := fmt.Sprintf("on, %d rules", len(rules))
	if len(wrong) > 0 {
		out := deviates(text, want, someOf(wrong), changes...)
		out.Human = "the feed sets its rules itself when it starts; others: ethtool -n " + nic + ", ethtool -N " + nic + " delete LOCATION"
		return out
	}
	return pass(text, want)
}

// privateWants are the flags of drivers, and how they should be.
var privateWants = map[string]map[string]bool{
	"mlx5_core": {"rx_cqe_compress": false},
	"i40e":      {"flow-director-atr": false, "disable-fw-lldp": true, "legacy-rx": false},
	"ice":       {"fw-lldp-agent": false, "legacy-rx": false},
}

func lookPrivate(h *Host, nic string) Finding {
	flags, err := Ask[Private](h, nic, "private")
	if err != nil {
		return unread(err)
	}
	if len(flags) == 0 {
		return skip("the driver has no flags of its own")
	}
	wants := privateWants[h.DriverOf(nic)]
	if wants == nil {
		return note(fmt.Sprintf("%d flags", len(flags)), "nothing is known to be wanted of this driver's")
	}
	names := []string{}
	for name := range wants {
		if _, ok := flags[name]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var shown, wanted, wrong []string
	var changes []Change
	for _, name := range names {
		shown = append(shown, name+" "+onOff(flags[name]))
		wanted = append(wanted, name+" "+onOff(wants[name]))
		if flags[name] != wants[name] {
			wrong = append(wrong, name+" "+onOff(flags[name]))
			changes = append(changes, setNIC(nic, "private."+name, onOff(wants[name]), onOff(flags[name]), "--set-priv-flags", name+" "+onOff(wants[name]), name+" "+onOff(flags[name]), R2))
		}
	}
	if len(names) == 0 {
		return note(fmt.Sprintf("%d flags", len(flags)), "nothing is known to be wanted of these")
	}
	if len(wrong) > 0 {
		return deviates(strings.Join(shown, ", "), strings.Join(wanted, ", "), strings.Join(wrong, ", "), changes...)
	}
	return pass(strings.Join(shown, ", "), strings.Join(wanted, ", "))
}

// Bits of XDP features (linux/netdev.h).
const (
	xdpBasic    = 1
	xdpRedirect = 2
	xdpZeroCopy = 8
	xdpStamps   = 1 // of the metadata
)

func lookXDP(h *Host, nic string) Finding {
	if h.Plan.Layout == Plain {
		return skip("ordinary sockets (layout plain)")
	}
	x, err := Ask[XDP](h, nic, "xdp")
	if err != nil {
		return unread(err)
	}
	var has, wrong []string
	for _, f := range []struct {
		bit  uint64
		name string
		need bool
	}{{xdpBasic, "basic", true}, {xdpRedirect, "redirect", true}, {xdpZeroCopy, "zero-copy", false}} {
		if x.Features&f.bit != 0 {
			has = append(has, f.name)
		} else if f.need {
			wrong = append(wrong, "no "+f.name)
		}
	}
	if x.Metadata&xdpStamps != 0 {
		has = append(has, "timestamps")
	}
	text, want := strings.Join(has, " "), "basic redirect zero-copy"
	if x.Attached {
		text += fmt.Sprintf(", program %d attached", x.Program)
		if _, err := h.Tasks(); err != nil {
			text += ", whose is not known"
		} else if len(h.Running(lanes...)) == 0 {
			wrong = append(wrong, fmt.Sprintf("a foreign program (%d) is attached", x.Program))
		}
	}
	if len(wrong) > 0 {
		return deviates(text, want, strings.Join(wrong, ", "))
	}
	if x.Features&xdpZeroCopy == 0 {
		return Finding{Status: Warn, Effective: Value{Raw: text}, Want: want, Reason: "no zero-copy: packets are copied once", Human: "another driver or kernel"}
	}
	if h.Plan.HardwareTime && x.Metadata&xdpStamps == 0 {
		return Finding{Status: Warn, Effective: Value{Raw: text}, Want: want + " timestamps", Reason: "the program cannot read the NIC's stamps", Human: "another driver or kernel, or ordinary sockets for stamps"}
	}
	return pass(text, want)
}

func lookNAPILink(h *Host, nic string) Finding {
	if h.Plan.Layout != LayoutB {
		return skip("only for polling in line (layout B)")
	}
	queues, err := Ask[[]Queue](h, nic, "queues")
	if err != nil {
		return unread(err)
	}
	var left []string
	for _, q := range h.Plan.Interface(nic).Queues {
		if !slices.ContainsFunc(queues, func(k Queue) bool { return k.ID == q && k.NAPI != 0 }) {
			left = append(left, strconv.Itoa(q))
		}
	}
	text := fmt.Sprintf("%d queues", len(queues))
	if len(left) > 0 {
		f := deviates(text, "a poller for each feed queue", "no poller is told for queues "+strings.Join(left, ", "))
		f.Human = "this driver cannot be polled in line on this kernel: layout A"
		return f
	}
	return pass(text, "a poller for each feed queue")
}

func lookDefer(h *Host, nic string) Finding {
	dir := "/sys/class/net/" + nic + "/"
	switch h.Plan.Layout {
	case LayoutB:
		return h.settings(setting{path: dir + "napi_defer_hard_irqs", want: ">=1", set: "100"}, setting{path: dir + "gro_flush_timeout", want: ">=1", set: "200000"})
	case LayoutA:
		return h.settings(setting{path: dir + "napi_defer_hard_irqs", want: "0", def: "0"}, setting{path: dir + "gro_flush_timeout", want: "0", def: "0"})
	}
	return skip("ordinary sockets (layout plain)")
}

// mtuLimits are of drivers for native XDP with one page a packet (6.18), in bytes.
var mtuLimits = map[string]int{"i40e": 3046, "ice": 3046, "igb": 3046, "ixgbe": 3050, "mlx5_core": 3498, "ena": 3498, "bnxt_en": 3502, "igc": 1500}

// chunkMTU is what fits in a chunk of 2048 bytes with zero-copy.
const chunkMTU = 1766
