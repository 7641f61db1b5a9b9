package nicinfo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// shortNames are what ethtool -K calls features, and people too; link is the key of a .link file, empty where there is none.
var shortNames = []struct{ short, kernel, link string }{
	{"gro", "rx-gro", "GenericReceiveOffload"}, {"lro", "rx-lro", "LargeReceiveOffload"}, {"gro-hw", "rx-gro-hw", "GenericReceiveOffloadHardware"},
	{"ntuple", "rx-ntuple-filter", "NTupleFilter"}, {"rxvlan", "rx-vlan-hw-parse", "ReceiveVLANCTAGHardwareAcceleration"},
	{"vlan-filter", "rx-vlan-filter", "ReceiveVLANCTAGFilter"}, {"rx", "rx-checksum", "ReceiveChecksumOffload"}, {"rxhash", "rx-hashing", ""},
	{"gso", "tx-generic-segmentation", "GenericSegmentationOffload"}, {"tso", "tx-tcp-segmentation", "TCPSegmentationOffload"},
	{"sg", "tx-scatter-gather", ""}, {"txvlan", "tx-vlan-hw-insert", "TransmitVLANCTAGHardwareAcceleration"},
}

// knob is a setting of a group whose values are numbers or switches.
type knob struct {
	name  string // what it is called here: group.field
	field string // of the group's struct, as tuning/apply calls it
	flag  string // of ethtool
	word  string // after it
	link  string // the key of a .link file; empty: there is none
	risk  tuning.Risk
}

var knobs = []knob{
	{"rings.rx", "rings.rx_pending", "-G", "rx", "RxBufferSize", tuning.R2},
	{"rings.tx", "rings.tx_pending", "-G", "tx", "TxBufferSize", tuning.R2},
	{"channels.combined", "channels.combined", "-L", "combined", "CombinedChannels", tuning.R2},
	{"channels.rx", "channels.rx", "-L", "rx", "RxChannels", tuning.R2},
	{"channels.tx", "channels.tx", "-L", "tx", "TxChannels", tuning.R2},
	{"coalesce.rx-usecs", "coalesce.rx_usecs", "-C", "rx-usecs", "RxCoalesceSec", tuning.R2},
	{"coalesce.rx-frames", "coalesce.rx_frames", "-C", "rx-frames", "RxMaxCoalescedFrames", tuning.R2},
	{"coalesce.tx-usecs", "coalesce.tx_usecs", "-C", "tx-usecs", "TxCoalesceSec", tuning.R2},
	{"coalesce.tx-frames", "coalesce.tx_frames", "-C", "tx-frames", "TxMaxCoalescedFrames", tuning.R2},
	{"coalesce.adaptive-rx", "coalesce.adaptive_rx", "-C", "adaptive-rx", "UseAdaptiveRxCoalesce", tuning.R2},
	{"coalesce.adaptive-tx", "coalesce.adaptive_tx", "-C", "adaptive-tx", "UseAdaptiveTxCoalesce", tuning.R2},
	{"pause.autoneg", "pause.autoneg", "-A", "autoneg", "AutoNegotiationFlowControl", tuning.R2},
	{"pause.rx", "pause.rx", "-A", "rx", "RxFlowControl", tuning.R2},
	{"pause.tx", "pause.tx", "-A", "tx", "TxFlowControl", tuning.R2},
}

// Knobs names what Set takes beside features.NAME and private.NAME.
func Knobs() (names []string) {
	for _, k := range knobs {
		names = append(names, k.name)
	}
	return names
}

// maxNumber bounds a value of a setting that the driver gives no bound for: µs and frames.
const maxNumber = 1 << 24

// Set makes the changes of settings such as "rings.rx=2048", "coalesce.adaptive-rx=off" and "features.gro=off" (the kernel's
// names of features and ethtool's short ones), in their order. What is so already gives no change. All faults are told at
// once: names that are not known, values out of the driver's range, and what the driver cannot. With keep it is for the next
// boot too, by a .link file: what that cannot hold is a fault.
func (in *Info) Set(settings []string, keep bool) (changes []tuning.Change, err error) {
	var faults []string
	seen := map[string]bool{}
	for _, s := range settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" || value == "" {
			faults = append(faults, fmt.Sprintf("%q: want NAME=VALUE, such as rings.rx=2048", s))
			continue
		}
		if seen[name] {
			faults = append(faults, name+" is there twice")
			continue
		}
		seen[name] = true
		made, err := in.set(name, value, keep)
		if err != nil {
			faults = append(faults, err.Error())
		}
		changes = append(changes, made...)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s: %s", in.Name, strings.Join(faults, "; "))
	}
	return changes, nil
}

func (in *Info) set(name, value string, keep bool) ([]tuning.Change, error) {
	group, field, _ := strings.Cut(name, ".")
	switch group {
	case "features":
		return in.setFeature(field, value, keep)
	case "private":
		if keep {
			return nil, fmt.Errorf("%s: a .link file cannot keep a flag of the driver's own: set it without --keep", name)
		}
		return in.setPrivate(field, value)
	}
	i := slices.IndexFunc(knobs, func(k knob) bool { return k.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no setting %q; there are %s, features.NAME, private.NAME", name, strings.Join(Knobs(), ", "))
	}
	k := knobs[i]
	now, most, err := in.value(k)
	if err != nil {
		return nil, err
	}
	if now == "on" || now == "off" {
		if err := isSwitch(name, value); err != nil {
			return nil, err
		}
	} else if n, err := strconv.ParseUint(value, 10, 31); err != nil || n > uint64(most) {
		return nil, fmt.Errorf("%s = %s, want a number up to %d", name, value, most)
	} else if value = strconv.FormatUint(n, 10); n == 0 && (group == "rings" || k.name == "channels.combined" && in.Channels.Rx == 0) {
		return nil, fmt.Errorf("%s = 0: nothing would be received", name)
	}
	if err := in.free(group, k.name, value); err != nil && value != now {
		return nil, err
	}
	var changes []tuning.Change
	if value != now {
		changes = append(changes, tuning.NICChange(in.Name, k.field, value, now, k.flag, k.word+" "+value, k.word+" "+now, k.risk))
	}
	if keep {
		changes = append(changes, tuning.LinkChange(in.Name, k.link, linkValue(k, value), k.risk))
	}
	return changes, nil
}

// free says what stands against a change that makes the driver build its queues anew.
func (in *Info) free(group, name, value string) error {
	if group != "rings" && group != "channels" {
		return nil
	}
	for _, q := range in.Queues {
		if q.XSK {
			return fmt.Errorf("%s: an AF_XDP socket is bound to queue %d: stop the feed first, for the queues are built anew", name, q.ID)
		}
	}
	if group == "rings" {
		return nil
	}
	n, _ := strconv.Atoi(value)
	if name == "channels.combined" {
		n += in.Channels.Rx
	} else if n += in.Channels.Combined; name != "channels.rx" {
		return nil
	}
	for _, r := range in.Rules {
		if r.Queue >= n {
			return fmt.Errorf("%s = %s: rule %s would lead nowhere: delete it first", name, value, RuleText(r))
		}
	}
	return nil
}

// linkValue is a value in systemd's words (systemd.link).
func linkValue(k knob, value string) string {
	switch {
	case value == "on":
		return "yes"
	case value == "off":
		return "no"
	case strings.HasSuffix(k.link, "Sec"):
		return value + "us"
	}
	return value
}

// value is what a knob is at, and the most that it can be.
func (in *Info) value(k knob) (now string, most int, err error) {
	group, _, _ := strings.Cut(k.name, ".")
	if why, ok := in.Unknown[group]; ok {
		return "", 0, fmt.Errorf("%s: %s", k.name, why)
	}
	number := func(n, most int) (string, int, error) {
		if most <= 0 {
			return "", 0, fmt.Errorf("%s: the driver has none", k.name)
		}
		return strconv.Itoa(n), most, nil
	}
	toggle := func(on bool) (string, int, error) { return onOff(on), 1, nil }
	switch k.name {
	case "rings.rx":
		return number(in.Rings.RxPending, in.Rings.RxMax)
	case "rings.tx":
		return number(in.Rings.TxPending, in.Rings.TxMax)
	case "channels.combined":
		return number(in.Channels.Combined, in.Channels.MaxCombined)
	case "channels.rx":
		return number(in.Channels.Rx, in.Channels.MaxRx)
	case "channels.tx":
		return number(in.Channels.Tx, in.Channels.MaxTx)
	case "coalesce.rx-usecs":
		return number(in.Coalesce.RxUsecs, maxNumber)
	case "coalesce.rx-frames":
		return number(in.Coalesce.RxFrames, maxNumber)
	case "coalesce.tx-usecs":
		return number(in.Coalesce.TxUsecs, maxNumber)
	case "coalesce.tx-frames":
		return number(in.Coalesce.TxFrames, maxNumber)
	case "coalesce.adaptive-rx":
		return toggle(in.Coalesce.AdaptiveRx)
	case "coalesce.adaptive-tx":
		return toggle(in.Coalesce.AdaptiveTx)
	case "pause.autoneg":
		return toggle(in.Pause.Autoneg)
	case "pause.rx":
		return toggle(in.Pause.Rx)
	case "pause.tx":
		return toggle(in.Pause.Tx)
	}
	panic("nicinfo: a knob without a value: " + k.name)
}

func isSwitch(name, value string) error {
	if value != "on" && value != "off" {
		return fmt.Errorf("%s = %s, want on or off", name, value)
	}
	return nil
}

func (in *Info) setFeature(name, value string, keep bool) (changes []tuning.Change, err error) {
	if why, ok := in.Unknown["features"]; ok {
		return nil, fmt.Errorf("features.%s: %s", name, why)
	}
	kernel, link := name, ""
	for _, s := range shortNames {
		if s.short == name || s.kernel == name {
			kernel, link = s.kernel, s.link
		}
	}
	f, ok := in.Features[kernel]
	switch {
	case !ok:
		return nil, fmt.Errorf("features.%s: the driver has none of that name (--json lists them)", name)
	case isSwitch(name, value) != nil:
		return nil, isSwitch("features."+name, value)
	case keep && link == "":
		return nil, fmt.Errorf("features.%s: a .link file cannot keep it: set it without --keep", name)
	case f.Fixed && onOff(f.On) != value:
		return nil, fmt.Errorf("features.%s: the driver cannot change it: it is %s", name, onOff(f.On))
	}
	risk := tuning.R2
	if kernel == "rx-gro" || strings.HasPrefix(kernel, "tx-") {
		risk = tuning.R1 // the stack's own, or on the way out
	}
	if onOff(f.On) != value {
		changes = append(changes, tuning.NICChange(in.Name, "features."+kernel, value, onOff(f.On), "-K", name+" "+value, name+" "+onOff(f.On), risk))
	}
	if keep {
		changes = append(changes, tuning.LinkChange(in.Name, link, linkValue(knob{link: link}, value), risk))
	}
	return changes, nil
}

func (in *Info) setPrivate(name, value string) ([]tuning.Change, error) {
	on, ok := in.Private[name]
	switch {
	case !ok && len(in.Private) == 0:
		return nil, fmt.Errorf("private.%s: the driver has no flags of its own", name)
	case !ok:
		return nil, fmt.Errorf("private.%s: the driver has none of that name; it has %s", name, strings.Join(slices.Sorted(maps.Keys(in.Private)), ", "))
	case isSwitch(name, value) != nil:
		return nil, isSwitch("private."+name, value)
	case onOff(on) == value:
		return nil, nil
	}
	return []tuning.Change{tuning.NICChange(in.Name, "private."+name, value, onOff(on), "--set-priv-flags", tuning.Quote(name)+" "+value, tuning.Quote(name)+" "+onOff(on), tuning.R2)}, nil
}
