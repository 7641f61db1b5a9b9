package nicinfo

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// ErrSteer is in the error of a driver that cannot steer: no setting of ours would help.
var ErrSteer = errors.New("the driver cannot steer UDP flows to queues")

// cannot says why drivers do not take rules for UDP flows, and what is left (kernel 6.18).
var cannot = map[string]string{
	"igb":        "it takes rules by Ethernet address, type and VLAN only: steer by the group's multicast address",
	"igc":        "it takes rules by Ethernet address, type and VLAN only: steer by the group's multicast address",
	"ena":        "the kernel's own driver has no rules; the cloud's has",
	"virtio_net": "a virtual NIC has no rules; the hypervisor would have to steer",
	"veth":       "a veth has no rules: the sender's queue decides",
	"hv_netvsc":  "a virtual NIC has no rules; the hypervisor would have to steer",
	"vmxnet3":    "a virtual NIC has no rules; the hypervisor would have to steer",
}

// Steerable says why no flow can be steered; nil: the driver takes rules, or it has a single queue by which all comes.
func (in *Info) Steerable() error {
	if in.single() {
		return nil
	}
	driver := ""
	if in.Driver != nil {
		driver = in.Driver.Driver
	}
	why := cannot[driver]
	ntuple, has := in.Features[ntupleFeature]
	if reason, ok := in.Unknown["rules"]; ok && why == "" {
		why = reason
	}
	if why == "" && (!has || ntuple.Fixed && !ntuple.On) {
		why = "it has no ntuple filters"
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("%s (%s): %w: %s. What is left is a single queue: ticktune nic set %s channels.combined=1", in.Name, orNone(driver), ErrSteer, why, in.Name)
}

const ntupleFeature = "rx-ntuple-filter"

// single says that there is one queue that receives, so that nothing needs to be steered.
func (in *Info) single() bool { return in.Channels != nil && in.Channels.RxQueues() <= 1 }

// ParseGroup reads a multicast group and port, "233.54.12.11:26477".
func ParseGroup(s string) (netip.AddrPort, error) {
	g, err := netip.ParseAddrPort(s)
	if err != nil || !g.Addr().Is4() || !g.Addr().IsMulticast() || g.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("group %q, want one such as 233.54.12.11:26477", s)
	}
	return g, nil
}

// plain is the text of a rule that takes a group and nothing less.
func plain(group string) string {
	g, err := netip.ParseAddrPort(group)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("udp4 dst %s dst-port %d", g.Addr(), g.Port())
}

// partial says that a rule takes only some packets of its group: it is not ours, and could not be put back.
func partial(r tuning.Rule) bool { return r.Text != "" && r.Text != plain(r.Group) }

// AddFlow makes the changes by which a group comes to a queue, and no others do: ntuple on, and the rule. notes are what else a person
// should know. Where it is so already, or a single queue takes all, there is no change.
func (in *Info) AddFlow(group netip.AddrPort, queue int) (changes []tuning.Change, notes []string, err error) {
	if err := in.Steerable(); err != nil {
		return nil, nil, err
	}
	if in.Channels != nil && (queue < 0 || queue >= in.Channels.RxQueues()) {
		return nil, nil, fmt.Errorf("%s: queue %d, and there are 0 to %d", in.Name, queue, in.Channels.RxQueues()-1)
	}
	if in.single() {
		return nil, []string{"a single queue takes everything: nothing is to be steered"}, nil
	}
	if queue < 0 || queue > 65535 {
		return nil, nil, fmt.Errorf("%s: queue %d is out of range", in.Name, queue)
	}
	text := group.String()
	old, equal := "", 0
	for _, r := range in.Rules {
		if r.Group != text {
			continue
		}
		if partial(r) {
			return nil, nil, fmt.Errorf("%s: rule %s takes a part of this group: delete it first (ethtool -N %s delete %d)", in.Name, RuleText(r), in.Name, r.Location)
		}
		if r.Queue < 0 {
			return nil, nil, fmt.Errorf("%s: rule %s drops this group: delete it first (ethtool -N %s delete %d)", in.Name, RuleText(r), in.Name, r.Location)
		}
		old = text + " " + strconv.Itoa(r.Queue)
		if equal++; equal > 1 {
			return nil, nil, fmt.Errorf("%s: %s has several rules: delete them first (ticktune flow list %s)", in.Name, text, in.Name)
		}
	}
	if f := in.Features[ntupleFeature]; !f.On {
		changes = append(changes, tuning.NICChange(in.Name, "features."+ntupleFeature, "on", "off", "-K", "ntuple on", "ntuple off", tuning.R2))
	}
	want := text + " " + strconv.Itoa(queue)
	if old != want {
		changes = append(changes, flowChange(in.Name, group, want, old))
	}
	notes = append(notes, in.flowNotes(queue)...)
	return changes, notes, nil
}

// flowChange is one that ends in the rule want, "GROUP:PORT QUEUE", or in none, "GROUP:PORT".
func flowChange(nic string, group netip.AddrPort, want, old string) tuning.Change {
	add := func(rule string) string {
		_, queue, _ := strings.Cut(rule, " ")
		return fmt.Sprintf("flow-type udp4 dst-ip %s dst-port %d action %s", group.Addr(), group.Port(), queue)
	}
	if !strings.Contains(want, " ") {
		return tuning.NICChange(nic, "rules.insert", want, old, "-N", "delete LOCATION", add(old), tuning.R2)
	}
	undo := "delete LOCATION"
	if old != "" {
		undo = add(old)
	}
	return tuning.NICChange(nic, "rules.insert", want, old, "-N", add(want), undo, tuning.R2)
}

// flowNotes are traps of drivers, and of the table that spreads all other traffic.
func (in *Info) flowNotes(queue int) (notes []string) {
	if in.RSS != nil && in.RSS.Queues[queue] > 0 {
		notes = append(notes, fmt.Sprintf("other traffic comes by queue %d too: %d of %d entries of the table lead to it (ethtool -X %s equal N)", queue, in.RSS.Queues[queue], in.RSS.Entries, in.Name))
	}
	if in.Driver == nil {
		return notes
	}
	switch in.Driver.Driver {
	case "i40e":
		if in.Private["flow-director-atr"] {
			notes = append(notes, "flow-director-atr puts rules of its own beside ours: ticktune nic set "+in.Name+" private.flow-director-atr=off")
		}
		for _, q := range in.Queues {
			if q.XSK {
				notes = append(notes, "an AF_XDP socket is bound: on some kernels i40e takes a rule then, and does not follow it; see that packets come by the queue")
				break
			}
		}
	case "mlx5_core", "ice", "ixgbe", "bnxt_en", "sfc":
	default:
		notes = append(notes, "see that packets come by the queue: ticktune irq --nic "+in.Name)
	}
	return notes
}

// DeleteFlow makes the change that takes away the rule of a group, or the one at a location. Rules of other kinds are not taken away:
// they could not be put back.
func (in *Info) DeleteFlow(which string) ([]tuning.Change, error) {
	match := func(r tuning.Rule) bool { return r.Group == which }
	if location, err := strconv.ParseUint(which, 10, 31); err == nil {
		match = func(r tuning.Rule) bool { return r.Location == int(location) }
	} else if _, err := ParseGroup(which); err != nil {
		return nil, fmt.Errorf("%q is neither the place of a rule nor a group and port", which)
	}
	if why, ok := in.Unknown["rules"]; ok {
		return nil, fmt.Errorf("%s: rules: %s", in.Name, why)
	}
	i := slices.IndexFunc(in.Rules, match)
	if i < 0 {
		return nil, fmt.Errorf("%s: there is no rule %s (ticktune flow list %s)", in.Name, which, in.Name)
	}
	r := in.Rules[i]
	group, err := netip.ParseAddrPort(r.Group)
	if err != nil || partial(r) || r.Queue < 0 {
		return nil, fmt.Errorf("%s: rule %s is not one of ours, and could not be put back: ethtool -N %s delete %d", in.Name, RuleText(r), in.Name, r.Location)
	}
	c := flowChange(in.Name, group, r.Group, r.Group+" "+strconv.Itoa(r.Queue))
	c.Command = fmt.Sprintf("ethtool -N %s delete %d", in.Name, r.Location)
	return []tuning.Change{c}, nil
}
