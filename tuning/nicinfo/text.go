package nicinfo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/tuning"
)

// Text writes all of it for people, a line a group. No width is assumed.
func (in *Info) Text(w io.Writer) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", label, tuning.Printable(fmt.Sprintf(format, args...)))
	}
	b.WriteString(in.Name)
	if in.Virtual {
		b.WriteString(" (virtual machine: the hardware is what the hypervisor says)")
	}
	b.WriteByte('\n')
	if d := in.Driver; d != nil {
		line("driver", "%s %s, firmware %s", d.Driver, d.Version, orNone(d.Firmware))
	}
	if p := in.PCI; p != nil {
		line("bus", "%s, %s", p.BDF, in.place())
		for _, l := range p.Links {
			text := fmt.Sprintf("%s: %s x%d", l.Device, l.Speed, l.Lanes)
			if l.Narrow {
				text += fmt.Sprintf("  NARROW: it could %s x%d", l.MaxSpeed, l.MaxLanes)
			}
			line("", "%s", text)
		}
	}
	in.linkText(line)
	if c := in.Channels; c != nil {
		line("channels", "combined %d of %d, rx %d of %d, tx %d of %d", c.Combined, c.MaxCombined, c.Rx, c.MaxRx, c.Tx, c.MaxTx)
	}
	if r := in.Rings; r != nil {
		line("rings", "rx %d of %d, tx %d of %d", r.RxPending, r.RxMax, r.TxPending, r.TxMax)
	}
	if c := in.Coalesce; c != nil {
		line("coalesce", "rx %d µs %d frames, tx %d µs %d frames, adaptive rx %s tx %s", c.RxUsecs, c.RxFrames, c.TxUsecs, c.TxFrames, onOff(c.AdaptiveRx), onOff(c.AdaptiveTx))
	}
	if p := in.Pause; p != nil {
		line("pause", "autoneg %s, rx %s, tx %s", onOff(p.Autoneg), onOff(p.Rx), onOff(p.Tx))
	}
	if e := in.EEE; e != nil {
		line("eee", "%s", map[bool]string{true: "enabled", false: "disabled"}[e.Enabled])
	}
	in.featureText(line)
	if len(in.Private) > 0 {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(in.Private)) {
			words = append(words, name+" "+onOff(in.Private[name]))
		}
		line("private", "%s", strings.Join(words, ", "))
	}
	if r := in.RSS; r != nil {
		var to []string
		for _, q := range slices.Sorted(maps.Keys(r.Queues)) {
			to = append(to, strconv.Itoa(q))
		}
		line("rss", "%d entries to queues %s; UDP by %s", r.Entries, strings.Join(to, ","), orNone(strings.Join(r.UDP4, " ")))
	}
	for i, r := range in.Rules {
		line([]string{"rules", ""}[min(i, 1)], "%s", RuleText(r))
	}
	in.stampText(line)
	if x := in.XDP; x != nil {
		text := orNone(strings.Join(x.Features, " "))
		if len(x.Metadata) > 0 {
			text += "; metadata " + strings.Join(x.Metadata, " ")
		}
		if x.Attached {
			text += fmt.Sprintf("; program %d attached, %s", x.Program, x.Mode)
		}
		line("xdp", "%s", text)
	}
	for i, q := range in.Queues {
		if i == maxShown {
			line("", "… %d more (--json)", len(in.Queues)-maxShown)
			break
		}
		line(fmt.Sprintf("queue %d", q.ID), "%s", q.text())
	}
	for i, name := range slices.Sorted(maps.Keys(in.Losses)) {
		line([]string{"lost", ""}[min(i, 1)], "%s %d", name, in.Losses[name])
	}
	in.unknownText(line)
	_, err := io.WriteString(w, b.String())
	return err
}

// maxShown is how many queues are shown to people.
const maxShown = 64

func (in *Info) linkText(line func(label, format string, args ...any)) {
	var words []string
	if f := in.Face; f != nil {
		words = append(words, f.Kind, map[bool]string{true: "up", false: "down"}[f.Up])
		if f.Up && !f.Carrier {
			words = append(words, "no carrier")
		}
	}
	if l := in.Link; l != nil {
		if l.Speed > 0 {
			words = append(words, fmt.Sprintf("%d Mbit/s", l.Speed))
		}
		if !l.Full {
			words = append(words, "half duplex")
		}
		words = append(words, "autoneg "+onOff(l.Autoneg))
	}
	if f := in.FEC; f != nil {
		words = append(words, "FEC "+fecName(f.Active))
	}
	if f := in.Face; f != nil {
		words = append(words, fmt.Sprintf("MTU %d", f.MTU), f.MAC)
		if f.Permanent != "" && f.Permanent != f.MAC {
			words = append(words, "(permanent "+f.Permanent+")")
		}
		for _, name := range f.AltNames {
			words = append(words, "also "+name)
		}
		if f.Promisc {
			words = append(words, "promiscuous")
		}
		if f.VFs > 0 {
			words = append(words, fmt.Sprintf("%d virtual functions", f.VFs))
		}
	}
	if len(words) > 0 {
		line("link", "%s", strings.Join(words, ", "))
	}
}

// fecName names bits of ETHTOOL_FEC_*.
func fecName(v uint32) string {
	if names := bits(uint64(v), []string{"none", "auto", "off", "rs", "baser", "llrs"}); len(names) > 0 {
		return strings.Join(names, "|")
	}
	return "not told"
}

// featureText shows the offloads that people change: others are in the JSON.
func (in *Info) featureText(line func(label, format string, args ...any)) {
	if len(in.Features) == 0 {
		return
	}
	var words []string
	for _, s := range shortNames {
		f, ok := in.Features[s.kernel]
		if !ok {
			continue
		}
		word := s.short + " " + onOff(f.On)
		if f.Fixed {
			word += " (fixed)"
		}
		words = append(words, word)
	}
	line("offloads", "%s; %d in all (--json)", strings.Join(words, ", "), len(in.Features))
}

func (in *Info) stampText(line func(label, format string, args ...any)) {
	s := in.Stamping
	if s == nil {
		return
	}
	text := "by the kernel only"
	switch {
	case s.RxAll:
		text = "the NIC can stamp all packets"
	case s.RxSome:
		text = "the NIC can stamp PTP packets only"
	case !s.HasKernel:
		text = "none"
	}
	if s.FilterOn != "" {
		text += ", now: " + s.FilterOn
	}
	if s.PHC >= 0 {
		text += fmt.Sprintf("; clock ptp%d", s.PHC)
	}
	line("stamps", "%s", text)
}

func (q *Queue) text() string {
	text := "interrupt not known"
	if q.IRQ != "" {
		text = fmt.Sprintf("interrupt %s on %s", q.IRQ, orNone(q.Cores.String()))
		if q.IRQBy == "its name" {
			text += " (by its name)"
		}
	}
	if q.NAPI != 0 {
		text += fmt.Sprintf(", poller %d", q.NAPI)
	}
	if q.Threaded {
		text += ", threaded"
	}
	if q.XSK {
		text += ", AF_XDP socket bound"
	}
	return text
}

// unknownText puts groups of the same reason on one line.
func (in *Info) unknownText(line func(label, format string, args ...any)) {
	by := map[string][]string{}
	for group, why := range in.Unknown {
		by[why] = append(by[why], group)
	}
	for i, why := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[why])
		line([]string{"not told", ""}[min(i, 1)], "%s: %s", strings.Join(by[why], " "), why)
	}
}

func (in *Info) place() string {
	if in.NUMANode < 0 {
		return "no NUMA node is told"
	}
	text := fmt.Sprintf("NUMA node %d", in.NUMANode)
	if len(in.Cores) > 0 {
		text += ", near cores " + in.Cores.String()
	}
	return text
}

// RuleText is a flow rule on one line.
func RuleText(r tuning.Rule) string {
	what := r.Text
	if what == "" {
		if what = "udp4 " + r.Group; r.Group == "" {
			what = "another kind"
		}
	}
	to := fmt.Sprintf("queue %d", r.Queue)
	if r.Queue < 0 {
		to = "drop"
	}
	return fmt.Sprintf("%d: %s -> %s", r.Location, what, to)
}

// Table writes a line for each interface.
func Table(w io.Writer, all []*Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\tdriver\tlink\tqueues\trings\tnode\tbus\tXDP\tstamps")
	for _, in := range all {
		link, queues, rings, node, bus, driver, xdp, stamps := "-", "-", "-", "-", "-", "-", "-", "-"
		if f := in.Face; f != nil {
			if link = "down"; f.Up && f.Carrier {
				link = "up"
			} else if f.Up {
				link = "no carrier"
			}
		}
		if l := in.Link; l != nil && l.Speed > 0 {
			link += fmt.Sprintf(" %d", l.Speed)
		}
		if c := in.Channels; c != nil {
			queues = strconv.Itoa(c.RxQueues())
		}
		if r := in.Rings; r != nil {
			rings = strconv.Itoa(r.RxPending)
		}
		if in.NUMANode >= 0 {
			node = strconv.Itoa(in.NUMANode)
		}
		if in.PCI != nil {
			bus = in.PCI.BDF
		}
		if in.Driver != nil {
			driver = in.Driver.Driver
		}
		if x := in.XDP; x != nil {
			if xdp = "no"; slices.Contains(x.Features, "zero-copy") {
				xdp = "zero-copy"
			} else if slices.Contains(x.Features, "basic") {
				xdp = "copy"
			}
			if x.Attached {
				xdp += ", in use"
			}
		}
		if s := in.Stamping; s != nil {
			if stamps = "kernel"; s.RxAll {
				stamps = "all"
			} else if s.RxSome {
				stamps = "PTP"
			}
		}
		row := []string{in.Name, driver, link, queues, rings, node, bus, xdp, stamps}
		for i := range row {
			row[i] = tuning.Printable(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
