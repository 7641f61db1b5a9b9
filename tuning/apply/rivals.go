package apply

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// rivals are those who set the same things again and again, and what must not be cut. ticktune does not fight them: a change
// that another would take back is refused, unless the same run stops that other.
type rivals struct {
	m       *machine
	stopped map[string]bool   // units that this run stops
	offline tuning.CPUs       // cores that it switches off
	own     map[string]string // interfaces that carry the operator's session or a default route, and which of the two
}

func (m *machine) rivals(changes []tuning.Change) *rivals {
	v := &rivals{m: m, stopped: map[string]bool{}, own: m.ownInterfaces()}
	for _, c := range changes {
		if c.Kind == tuning.Systemd && c.Key == unitState && (c.Value == "disabled" || c.Value == "masked") && c.Risk <= m.o.MaxRisk {
			if p, err := m.place(c.Kind, c.Target, c.Key); err == nil {
				if _, err := p.read(); err == nil {
					v.stopped[c.Target] = true
				}
			}
		}
		if cpu, ok := switchedOff(&c); ok {
			v.offline = v.offline.Union(tuning.CPUs{cpu})
		}
	}
	return v
}

// switchedOff is the core that a change takes away.
func switchedOff(c *tuning.Change) (cpu int, ok bool) {
	name, ok := strings.CutPrefix(c.Target, "/sys/devices/system/cpu/cpu")
	name, ok2 := strings.CutSuffix(name, "/online")
	cpu, err := strconv.Atoi(name)
	return cpu, ok && ok2 && err == nil && c.Kind == tuning.WriteFile && c.Value == "0"
}

// against says why a change is refused; empty: it is not.
func (v *rivals) against(c *tuning.Change) string {
	for _, why := range []func(*tuning.Change) string{v.ownNIC, v.bound, v.cores, v.balancer, v.power, v.files, v.link, v.boot} {
		if reason := why(c); reason != "" {
			return reason
		}
	}
	return ""
}

// runs says whether a program runs that this run does not stop.
func (v *rivals) runs(program string) bool {
	return !v.stopped[program+".service"] && len(v.m.h.Running(program)) > 0
}

// nicOf is the interface that a change may cut off; empty: none.
func nicOf(c *tuning.Change) string {
	switch {
	case c.NIC != "":
		return c.NIC
	case c.Kind == tuning.Ethtool || c.Kind == tuning.Link:
		return c.Target
	case c.Kind == tuning.WriteFile && c.Risk >= tuning.R2:
		for _, root := range []string{"/proc/sys/net/ipv4/conf/", "/proc/sys/net/ipv6/conf/", "/sys/class/net/"} {
			if rest, ok := strings.CutPrefix(c.Target, root); ok {
				nic, _, _ := strings.Cut(rest, "/")
				return nic
			}
		}
	}
	return ""
}

func (v *rivals) ownNIC(c *tuning.Change) string {
	nic := nicOf(c)
	if nic == "all" || nic == "default" { // of /proc/sys/net: they are every interface's
		if names := slices.Sorted(maps.Keys(v.own)); len(names) > 0 {
			nic = names[0]
		}
	}
	if what := v.own[nic]; what != "" && !v.m.o.AllowMgmt {
		return fmt.Sprintf("%s carries %s: --allow-mgmt, if somebody stands at the console", nic, what)
	}
	return ""
}

// bound: rings and queues are not changed under a socket that uses them.
func (v *rivals) bound(c *tuning.Change) string {
	if c.Kind != tuning.Ethtool || stage(c) != stageQueues {
		return ""
	}
	queues, err := tuning.Ask[[]tuning.Queue](v.m.h, c.Target, "queues")
	if i := slices.IndexFunc(queues, func(q tuning.Queue) bool { return q.XSK }); err == nil && i >= 0 {
		return fmt.Sprintf("an AF_XDP socket is bound to queue %d of %s: stop the feed first", queues[i].ID, c.Target)
	}
	return ""
}

// cores: each node keeps one for everything else, and so does the machine.
func (v *rivals) cores(c *tuning.Change) string {
	h := v.m.h
	var taken tuning.CPUs
	switch {
	case c.Kind == tuning.CommandLine && (c.Target == "isolcpus" || c.Target == "nohz_full"):
		set, flags, err := tuning.ParseBootCPUs(c.Value, h.Possible())
		if err != nil {
			return "not understood: " + err.Error()
		}
		for _, f := range flags {
			if f != "domain" && f != "managed_irq" && f != "nohz" {
				return fmt.Sprintf("not understood: %q in %s", f, c.Target)
			}
		}
		taken = set
	case len(v.offline) > 0 && slices.Contains(v.offline, firstOf(switchedOff(c))):
		taken = v.offline
	case c.Kind == tuning.Systemd && strings.HasSuffix(c.Key, ".AllowedCPUs"):
		allowed, err := tuning.ParseCPUs(c.Value)
		if err != nil {
			return "not understood: " + err.Error()
		}
		if len(allowed.And(h.Online())) == 0 {
			return "it would leave the unit without a core"
		}
		return ""
	default:
		return ""
	}
	online := h.Online()
	if len(online.Without(taken)) == 0 {
		return "it would take every core there is"
	}
	for _, n := range h.Nodes() {
		of, err := h.List(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", n))
		if of = of.And(online); err == nil && len(of) > 0 && len(of.Without(taken)) == 0 {
			return fmt.Sprintf("it would take every core of node %d (%s): leave it one", n, of)
		}
	}
	return ""
}

func firstOf(n int, ok bool) int {
	if !ok {
		return -1
	}
	return n
}

// balancer: irqbalance moves interrupts each 10 s, unless it was told not to; vendors' scripts do so when a link comes up.
func (v *rivals) balancer(c *tuning.Change) string {
	if c.Kind != tuning.WriteFile || !strings.HasPrefix(c.Target, "/proc/irq/") {
		return ""
	}
	if v.runs("irqbalance") {
		if r := v.m.h.Look(tuning.Find("irq.irqbalance")); r.Status != tuning.Pass && r.Status != tuning.Waived {
			return "irqbalance runs and would move it back: systemctl disable --now irqbalance (or ban these cores and interrupts)"
		}
	}
	for _, script := range []string{"mlnx_affinity", "mlnx_tune", "sfcaffinity_config"} {
		if v.runs(script) {
			return script + " runs, and sets affinities itself"
		}
	}
	return ""
}

// power: daemons that set governors and frequencies by themselves.
func (v *rivals) power(c *tuning.Change) string {
	about := func(s string) bool {
		return strings.Contains(s, "cpufreq") || strings.Contains(s, "_pstate/") || strings.Contains(s, "energy_perf")
	}
	if !(c.Kind == tuning.WriteFile && about(c.Target) || c.Kind == tuning.Udev && about(c.Key)) {
		return ""
	}
	for _, d := range []string{"power-profiles-daemon", "thermald", "auto-cpufreq", "tlp"} {
		if v.runs(d) {
			return d + " runs and would set it again: systemctl disable --now " + d
		}
	}
	if units := v.m.h.Glob("/etc/systemd/system/*.wants/cpupower.service"); c.Persistent && len(units) > 0 && !v.stopped["cpupower.service"] {
		return "cpupower.service sets governors at boot: put it in /etc/default/cpupower or /etc/sysconfig/cpupower"
	}
	return ""
}

// files: a drop-in that comes after ours has the last word.
func (v *rivals) files(c *tuning.Change) string {
	if c.Kind != tuning.Sysctl {
		return ""
	}
	next, source, ok := v.m.h.NextSysctl(c.Target)
	if ok && next != c.Value && (source == "/etc/sysctl.conf" || path.Base(source) > path.Base(sysctlFile)) {
		return fmt.Sprintf("%s makes it %q, and comes after ours: change it there", source, next)
	}
	return ""
}

// link: the first .link file that matches is the only one, and NetworkManager's settings come after it.
func (v *rivals) link(c *tuning.Change) string {
	if c.Kind != tuning.Link {
		return ""
	}
	m, nic := v.m, c.Target
	if text, err := m.text(linkFile(nic)); err == nil && !strings.HasPrefix(text, header) {
		return linkFile(nic) + " is not ticktune's: put it there"
	}
	address, _ := m.text("/sys/class/net/" + nic + "/address")
	address = strings.TrimSpace(address)
	for _, dir := range []string{"/etc", "/run", "/usr/lib"} {
		files, _ := filepath.Glob(m.dir(dir + "/systemd/network/*.link"))
		for _, f := range files {
			if filepath.Base(f) >= path.Base(linkFile(nic)) {
				continue
			}
			text, _ := os.ReadFile(f)
			for l := range strings.Lines(string(text)) {
				l = strings.TrimSpace(l)
				value, named := assigned(l, "OriginalName")
				if !named {
					if value, named = assigned(l, "MACAddress"); !named {
						value, named = assigned(l, "PermanentMACAddress")
					}
				}
				bdf := m.h.BDF(nic)
				if named && (value == nic || address != "" && strings.EqualFold(value, address)) || strings.HasPrefix(l, "Path=") && bdf != "" && strings.Contains(l, bdf) {
					return fmt.Sprintf("%s/systemd/network/%s matches %s first: put it there", dir, filepath.Base(f), nic)
				}
			}
		}
	}
	if !v.runs("NetworkManager") {
		return ""
	}
	for _, dir := range []string{"/etc", "/run", "/usr/lib"} {
		files, _ := filepath.Glob(m.dir(dir + "/NetworkManager/system-connections/*.nmconnection"))
		for _, f := range files {
			text, _ := os.ReadFile(f)
			if t := string(text); strings.Contains(t, "interface-name="+nic+"\n") && strings.Contains(t, "[ethtool]") {
				return fmt.Sprintf("NetworkManager's profile %s has settings of the driver: nmcli connection modify … ethtool.…", filepath.Base(f))
			}
		}
	}
	return ""
}

// boot: a parameter that another file of the boot loader sets, or a profile of tuned, is changed there.
func (v *rivals) boot(c *tuning.Change) string {
	if c.Kind != tuning.CommandLine {
		return ""
	}
	m := v.m
	if profile := m.activeProfile(); profile != "" && profile != child {
		for _, dir := range []string{"/etc/tuned/", "/etc/tuned/profiles/", "/usr/lib/tuned/", "/usr/lib/tuned/profiles/"} {
			if text, err := m.text(dir + profile + "/tuned.conf"); err == nil && strings.Contains(text, "[bootloader]") {
				return fmt.Sprintf("tuned's profile %s sets the command line: put it in its [bootloader]", profile)
			}
		}
	}
	p, ok := mustPlace(m.bootPlace(c.Target)).(*entryPlace)
	if !ok {
		return ""
	}
	if mine, err := p.read(); err != nil || mine.There {
		return ""
	}
	if next, there, known := m.h.NextParam(c.Target); known && there && next != c.Value {
		return fmt.Sprintf("/etc/default/grub has %s already: change it there", argument(c.Target, next))
	}
	return ""
}

func mustPlace(p place, _ error) place { return p }

// ownInterfaces are those that must not be cut: of default routes and of the session this process is of, with what these
// are made of (ports of a bond or bridge, what a VLAN is on).
func (m *machine) ownInterfaces() map[string]string {
	own := map[string]string{}
	peer, _ := netip.ParseAddr(m.sessionPeer())
	peer = peer.Unmap()
	longest, by := -1, []string{}
	for _, r := range m.routes() {
		if r.to.Bits() == 0 {
			m.own(own, r.nic, "the default route", 0)
		}
		if peer.IsValid() && r.to.Contains(peer) {
			if bits := r.to.Bits(); bits > longest {
				longest, by = bits, nil
			}
			if r.to.Bits() == longest {
				by = append(by, r.nic)
			}
		}
	}
	for _, nic := range by {
		m.own(own, nic, "the session that this is run from", 0)
	}
	return own
}

// own adds an interface and those below it.
func (m *machine) own(all map[string]string, nic, what string, depth int) {
	const most = 8 // interfaces on each other
	if depth > most {
		return
	}
	if all[nic] == "" {
		all[nic] = what
	}
	lower, _ := filepath.Glob(m.dir("/sys/class/net/" + nic + "/lower_*"))
	for _, l := range lower {
		m.own(all, strings.TrimPrefix(filepath.Base(l), "lower_"), what, depth+1)
	}
}

type route struct {
	to  netip.Prefix
	nic string
}

// routes are those of the main table, of both families.
func (m *machine) routes() (all []route) {
	net := "/proc/net/"
	if m.real {
		net = "/proc/thread-self/net/" // of the namespace we are in
	}
	v4, _ := m.text(net + "route")
	v6, _ := m.text(net + "ipv6_route")
	return parseRoutes(v4, v6)
}

// parseRoutes reads both of the kernel's tables; lines that are none are left out.
func parseRoutes(v4, v6 string) (all []route) {
	for l := range strings.Lines(v4) {
		f := strings.Fields(l)
		if len(f) < 8 {
			continue
		}
		to, err1 := strconv.ParseUint(f[1], 16, 32) // in the order of memory
		mask, err2 := strconv.ParseUint(f[7], 16, 32)
		if err1 != nil || err2 != nil {
			continue // the head
		}
		var a [4]byte
		binary.LittleEndian.PutUint32(a[:], uint32(to))
		bits := 0
		for n := mask; n != 0; n &= n - 1 {
			bits++
		}
		all = append(all, route{netip.PrefixFrom(netip.AddrFrom4(a), bits), f[0]})
	}
	for l := range strings.Lines(v6) {
		f := strings.Fields(l)
		if len(f) < 10 || f[9] == "lo" {
			continue
		}
		raw, err1 := hex.DecodeString(f[0])
		bits, err2 := strconv.ParseUint(f[1], 16, 8)
		if err1 != nil || err2 != nil || len(raw) != 16 || bits > 128 {
			continue
		}
		all = append(all, route{netip.PrefixFrom(netip.AddrFrom16([16]byte(raw)), int(bits)), f[9]})
	}
	return all
}

// sessionPeer is the operator's address: as told, of this process's environment, or of a process above it: sudo keeps
// SSH_CONNECTION from its child, not from itself.
func (m *machine) sessionPeer() string {
	if m.o.Session != "" || !m.real {
		return m.o.Session
	}
	peer := func(connection string) string {
		f := strings.Fields(connection)
		if len(f) == 0 {
			return ""
		}
		return f[0]
	}
	if a := peer(os.Getenv("SSH_CONNECTION")); a != "" {
		return a
	}
	const most = 64 // processes above us
	for pid, n := os.Getppid(), 0; pid > 1 && n < most; n++ {
		env, _ := m.text(fmt.Sprintf("/proc/%d/environ", pid))
		for _, e := range strings.Split(env, "\x00") {
			if c, ok := strings.CutPrefix(e, "SSH_CONNECTION="); ok {
				return peer(c)
			}
		}
		stat, err := m.text(fmt.Sprintf("/proc/%d/stat", pid))
		f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if err != nil || len(f) < 2 {
			break
		}
		if pid, err = strconv.Atoi(f[1]); err != nil {
			break
		}
	}
	return ""
}
