package apply

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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
	case c.Risk >= tuning.R2:
		for _, root := range []string{"/proc/sys/net/ipv4/conf/", "/proc/sys/net/ipv6/conf/", "/sys/class/net/"} {
			if rest, ok := strings.CutPrefix(fileOf(c), root); ok {
				nic, _, _ := strings.Cut(rest, "/")
				return nic
			}
		}
	}
	return ""
}

// fileOf is the kernel's file that a change sets, now or at the next boot; empty: none.
func fileOf(c *tuning.Change) string {
	switch c.Kind {
	case tuning.WriteFile, tuning.Tmpfiles:
		return c.Target
	case tuning.Sysctl:
		return tuning.SysctlPath(c.Target)
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
	if !v.m.real {
		return ""
	}
	bound, diag := tuning.BoundQueues(c.Target)
	if len(bound) > 0 {
		return fmt.Sprintf("an AF_XDP socket is bound to queue %d of %s: stop the feed first", bound[0], c.Target)
	}
	release, _ := v.m.text("/proc/sys/kernel/osrelease")
	xdp, err2 := tuning.Ask[tuning.XDP](v.m.h, c.Target, "xdp")
	if (err != nil || !tellsSockets(release)) && diag != nil && err2 == nil && xdp.Attached {
		return fmt.Sprintf("an XDP program is attached to %s, and this kernel does not tell whether AF_XDP sockets are bound: stop the feed first", c.Target)
	}
	return ""
}

// tellsSockets says whether a kernel tells of a queue that an AF_XDP socket is bound to it: since Linux 6.15.
func tellsSockets(release string) bool {
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 15)
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
	address = strings.ToLower(strings.TrimSpace(address))
	facts := map[string]string{"OriginalName": nic, "MACAddress": address, "PermanentMACAddress": address, "Driver": m.h.LinkName("/sys/class/net/" + nic + "/device/driver")}
	if bdf := m.h.BDF(nic); bdf != "" {
		facts["Path"] = "pci-" + bdf
	}
	for _, dir := range []string{"/etc", "/run", "/usr/lib"} {
		files, _ := filepath.Glob(m.dir(dir + "/systemd/network/*.link"))
		for _, f := range files {
			if filepath.Base(f) >= path.Base(linkFile(nic)) {
				continue
			}
			text, _ := os.ReadFile(f)
			if linkMatches(string(text), facts) {
				return fmt.Sprintf("%s/systemd/network/%s matches %s first: put it there", dir, filepath.Base(f), nic)
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

// linkMatches says whether a .link file is for an interface, as far as its facts tell: each key that is known has to match one of
// its words, patterns as systemd.link(5) has them. A file with none of these keys is not thought to be for it.
func linkMatches(text string, facts map[string]string) bool {
	section, known := "", 0
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			section = l
			continue
		}
		key, value, ok := strings.Cut(l, "=")
		fact, is := facts[strings.TrimSpace(key)]
		if section != "[Match]" || !ok || !is || strings.HasPrefix(l, "#") || strings.HasPrefix(l, ";") {
			continue
		}
		known++
		words, not := strings.CutPrefix(strings.TrimSpace(value), "!")
		matches := slices.ContainsFunc(strings.Fields(words), func(w string) bool {
			if strings.HasSuffix(strings.TrimSpace(key), "MACAddress") {
				w = strings.ToLower(strings.ReplaceAll(w, "-", ":"))
			}
			ok, err := path.Match(w, fact)
			return err == nil && ok
		})
		if matches == not {
			return false
		}
	}
	return known > 0
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
	const session = "the session that this is run from"
	peerText, hereText := m.session()
	peer, _ := netip.ParseAddr(peerText)
	here, _ := netip.ParseAddr(hereText)
	for _, a := range []netip.Addr{peer, here} {
		if a.Zone() != "" { // link-local: it names its interface
			m.own(own, a.Zone(), session, 0)
		}
	}
	peer = peer.Unmap().WithZone("")
	if m.real && here.IsValid() {
		for _, nic := range holders(here) { // whatever routes say: those of a VRF are in another table
			m.own(own, nic, session, 0)
		}
	}
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
		m.own(own, nic, session, 0)
	}
	if m.real {
		for _, nic := range defaults() {
			m.own(own, nic, "the default route", 0)
		}
	}
	return own
}

// holders are the interfaces that have an address.
func holders(of netip.Addr) (nics []string) {
	list, _ := netlink.AddrList(nil, netlink.FAMILY_ALL)
	of = of.Unmap().WithZone("")
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); !ok || ip.Unmap() != of {
			continue
		}
		if l, err := netlink.LinkByIndex(a.LinkIndex); err == nil {
			nics = append(nics, l.Attrs().Name)
		}
	}
	return nics
}

// defaults are the interfaces of default routes: of the main table with all their hops, of which /proc/net/route has the first only, and
// where that table has none of those of others, such as a VRF's.
func defaults() (nics []string) {
	list, _ := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	var main, other []int
	for _, r := range list {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
				continue
			}
		}
		links := []int{r.LinkIndex}
		for _, hop := range r.MultiPath {
			links = append(links, hop.LinkIndex)
		}
		if r.Table == unix.RT_TABLE_MAIN {
			main = append(main, links...)
		} else {
			other = append(other, links...)
		}
	}
	if len(main) == 0 {
		main = other
	}
	for _, index := range main {
		if l, err := netlink.LinkByIndex(index); index > 0 && err == nil && l.Attrs().Flags&net.FlagLoopback == 0 {
			nics = append(nics, l.Attrs().Name)
		}
	}
	return nics
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
	dir := "/proc/net/"
	if m.real {
		dir = "/proc/thread-self/net/" // of the namespace we are in
	}
	v4, _ := m.text(dir + "route")
	v6, _ := m.text(dir + "ipv6_route")
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

// session is the operator's address and the one it is connected to: as told, of this process's environment, or of a process above it:
// sudo keeps SSH_CONNECTION from its child, not from itself.
func (m *machine) session() (peer, here string) {
	if m.o.Session != "" || !m.real {
		return m.o.Session, ""
	}
	ends := func(connection string) (peer, here string) {
		f := strings.Fields(connection) // address and port of the one, then of the other
		if len(f) > 0 {
			peer = f[0]
		}
		if len(f) > 2 {
			here = f[2]
		}
		return peer, here
	}
	if peer, here := ends(os.Getenv("SSH_CONNECTION")); peer != "" {
		return peer, here
	}
	const most = 64 // processes above us
	for pid, n := os.Getppid(), 0; pid > 1 && n < most; n++ {
		env, _ := m.text(fmt.Sprintf("/proc/%d/environ", pid))
		for _, e := range strings.Split(env, "\x00") {
			if c, ok := strings.CutPrefix(e, "SSH_CONNECTION="); ok {
				return ends(c)
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
	return "", ""
}
