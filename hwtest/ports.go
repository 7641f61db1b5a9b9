package hwtest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/clock"
)

// port is an interface that was named, as it was: all that a run changes of it, and what the kernel takes away with a link that is set down.
type port struct {
	name   string
	up     bool
	stamps *unix.HwTstampConfig // nil: as it was
	addrs  []netlink.Addr       // IPv6 ones: those of IPv4 stay
	routes []netlink.Route      // all that the kernel did not make of an address
	neighs []netlink.Neigh      // permanent ones
	lock   io.Closer            // held while it is ours
}

// hold takes a port for this run, with what it is now. One that somebody needs is refused: links are set down, and packets are lost.
func hold(name string) (*port, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	if err := mayGoDown(l); err != nil {
		return nil, err
	}
	p := &port{name: name}
	// An abstract name is the network namespace's, as ports are, and goes with the process, however that ends.
	if p.lock, err = net.ListenPacket("unixgram", "@tickwire-hwtest-port-"+name); errors.Is(err, unix.EADDRINUSE) {
		return nil, errors.New("another run has it")
	} else if err != nil {
		return nil, err
	}
	if err := p.look(); err != nil {
		return nil, errors.Join(err, p.lock.Close())
	}
	return p, nil
}

// look notes what is there now.
func (p *port) look() error {
	l, err := netlink.LinkByName(p.name)
	if err != nil {
		return err
	}
	p.up = l.Attrs().Flags&net.FlagUp != 0
	addrs, err := netlink.AddrList(l, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("its addresses: %w", err)
	}
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_PERMANENT != 0 { // others are a router's, which gives them again
			p.addrs = append(p.addrs, a)
		}
	}
	routes, err := routesOf(l.Attrs().Index)
	if err != nil {
		return err
	}
	p.routes = slices.DeleteFunc(routes, func(r netlink.Route) bool {
		return r.Protocol == unix.RTPROT_KERNEL || r.Protocol == unix.RTPROT_RA || r.Protocol == unix.RTPROT_REDIRECT
	})
	neighs, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("its neighbours: %w", err)
	}
	for _, n := range neighs {
		if n.State == netlink.NUD_PERMANENT {
			p.neighs = append(p.neighs, n)
		}
	}
	return nil
}

// giveBack has the port be as it was.
func (p *port) giveBack() error {
	var errs []error
	if p.up {
		errs = append(errs, setLink(p.name, true)) // a test that was broken off may have left it down
	}
	errs = append(errs, stampAsBefore(p))
	if !p.up {
		errs = append(errs, setLink(p.name, false))
	}
	lost := func(what fmt.Stringer, err error) {
		if err != nil && !errors.Is(err, unix.EEXIST) { // it may be there still
			errs = append(errs, fmt.Errorf("hwtest: port %s: %s is not there any more: %w", p.name, what, err))
		}
	}
	l, err := netlink.LinkByName(p.name)
	if err != nil {
		return errors.Join(append(errs, err, p.lock.Close())...)
	}
	for i := range p.addrs {
		a := &p.addrs[i]
		const asked = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE // the rest is told only
		again := &netlink.Addr{IPNet: a.IPNet, Flags: a.Flags & asked}
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			again.Peer = a.Peer
		}
		lost(a, netlink.AddrAdd(l, again))
	}
	for i := range p.routes {
		r := &p.routes[i]
		r.Flags &= unix.RTNH_F_ONLINK // the rest is told only
		if p.up {
			lost(r, netlink.RouteAdd(r))
		}
	}
	for i := range p.neighs {
		if p.up {
			lost(&p.neighs[i], netlink.NeighSet(&p.neighs[i]))
		}
	}
	return errors.Join(append(errs, p.lock.Close())...)
}

// mayGoDown says why a link may not be set down.
func mayGoDown(l netlink.Link) error {
	a := l.Attrs()
	if a.MasterIndex != 0 {
		return errors.New("it is a part of a bridge or a bond: links are set down here, and packets lost")
	}
	if a.Xdp != nil && a.Xdp.Attached {
		return errors.New("it has an XDP program already: somebody receives from it")
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("what is on it: %w", err)
	}
	for _, on := range links {
		if o := on.Attrs(); o.ParentIndex == a.Index && o.NetNsID < 0 && on.Type() != "veth" { // whose parent is its peer
			return fmt.Errorf("%s (%s) is on it: links are set down here, and packets lost", o.Name, on.Type())
		}
	}
	routes, err := routesOf(a.Index)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(routes, outward) {
		return errors.New("it carries the default route, or one by a gateway: links are set down here, and packets lost")
	}
	peer, err := sessionOn(a.Name)
	if err != nil {
		return err
	}
	if peer.IsValid() {
		return fmt.Errorf("it carries a TCP session (with %s): links are set down here, and packets lost", peer)
	}
	return nil
}

// routesOf are the routes of all tables that lead through an interface, those with several ways included.
func routesOf(index int) ([]netlink.Route, error) {
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("its routes: %w", err)
	}
	return slices.DeleteFunc(all, func(r netlink.Route) bool {
		return r.LinkIndex != index && !slices.ContainsFunc(r.MultiPath, func(way *netlink.NexthopInfo) bool { return way.LinkIndex == index })
	}), nil
}

// outward says that a route leads further than the cable.
func outward(r netlink.Route) bool {
	if r.Gw != nil || r.Via != nil || r.Dst == nil {
		return true
	}
	if ones, _ := r.Dst.Mask.Size(); ones == 0 {
		return true
	}
	return slices.ContainsFunc(r.MultiPath, func(way *netlink.NexthopInfo) bool { return way.Gw != nil || way.Via != nil })
}

// sessionOn is the far end of a TCP session by one of an interface's addresses: the operator's own shell, or anybody's. Not valid: there is none.
func sessionOn(name string) (netip.AddrPort, error) {
	face, err := net.InterfaceByName(name)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := face.Addrs()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("its addresses: %w", err)
	}
	own := map[netip.Addr]bool{}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr()] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/thread-self/net/" + table)
		if errors.Is(err, os.ErrNotExist) {
			continue // no IPv6
		} else if err != nil {
			return netip.AddrPort{}, err
		}
		peer, err := sessionIn(f, own)
		if err = errors.Join(err, f.Close()); err != nil || peer.IsValid() {
			return peer, err
		}
	}
	return netip.AddrPort{}, nil
}

// sessionIn reads one of the kernel's tables of sockets.
func sessionIn(table io.Reader, own map[netip.Addr]bool) (netip.AddrPort, error) {
	const established = "01"
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || f[3] != established {
			continue
		}
		local, ok := socketAddr(f[1])
		remote, known := socketAddr(f[2])
		if ok && known && own[local.Addr()] && !own[remote.Addr()] {
			return remote, nil
		}
	}
	return netip.AddrPort{}, lines.Err()
}

// socketAddr reads an address as those tables have it: words of the machine's own order, in hex, and the port.
func socketAddr(text string) (netip.AddrPort, bool) {
	address, number, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	portNumber, bad := hex.DecodeString(number)
	if err != nil || bad != nil || len(raw)%4 != 0 || len(portNumber) != 2 {
		return netip.AddrPort{}, false
	}
	for word := raw; len(word) > 0; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(portNumber)), ok
}

// stampAll has a port's NIC stamp every packet, where it can. A port that cannot has the kernel's stamps: group nic says so.
func (p *port) stampAll() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	before, err := unix.IoctlGetHwTstamp(fd, p.name)
	if err != nil {
		return // it has none to set
	}
	if changed, _ := clock.StampAll(p.name); changed { // also where the NIC then stamps some packets only
		p.stamps = before
	}
}

// stampAsBefore puts a port's stamping back.
func stampAsBefore(p *port) error {
	if p.stamps == nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetHwTstamp(fd, p.name, p.stamps); err != nil {
		return fmt.Errorf("hwtest: port %s: its stamping is not as before: %w", p.name, err)
	}
	return nil
}
