package hwtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

// inside runs f in a namespace of its own, whose interface feed0 has the address 10.203.0.1/24.
func inside(t *testing.T, f func(feed netlink.Link)) {
	t.Helper()
	packets(t)
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	must(t, p.Rx.Do(func() error {
		l, err := netlink.LinkByName("feed0")
		if err != nil {
			return err
		}
		f(l)
		return nil
	}))
}

func network(t *testing.T, text string) *net.IPNet {
	t.Helper()
	ip, n, err := net.ParseCIDR(text)
	must(t, err)
	return &net.IPNet{IP: ip, Mask: n.Mask}
}

// TestPortGivenBack: what the kernel takes away with a link that is set down is there again afterwards, and so is the link.
func TestPortGivenBack(t *testing.T) {
	inside(t, func(l netlink.Link) {
		index := l.Attrs().Index
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: network(t, "239.0.0.0/8"), Scope: netlink.SCOPE_LINK, Priority: 5}))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: network(t, "198.51.100.0/24"), Scope: netlink.SCOPE_LINK, Table: 77}))
		must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: net.IPv4(10, 203, 0, 9), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}))
		v6 := os.WriteFile("/proc/sys/net/ipv6/conf/feed0/disable_ipv6", []byte("0"), 0) == nil
		if v6 {
			must(t, netlink.AddrAdd(l, &netlink.Addr{IPNet: network(t, "fd00:77::1/64"), Flags: unix.IFA_F_NODAD}))
			must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: network(t, "fd00:78::/64"), Priority: 7}))
		}
		told := func() (lines []string) {
			routes, err := routesOf(index)
			must(t, err)
			for i := range routes {
				if r := &routes[i]; r.Table != unix.RT_TABLE_LOCAL {
					lines = append(lines, fmt.Sprintf("%s table %d metric %d protocol %d scope %d", r.Dst, r.Table, r.Priority, r.Protocol, r.Scope))
				}
			}
			addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
			must(t, err)
			for i := range addrs {
				if !addrs[i].IP.IsLinkLocalUnicast() { // the kernel makes it, in its time
					lines = append(lines, addrs[i].String())
				}
			}
			neighs, err := netlink.NeighList(index, netlink.FAMILY_V4)
			must(t, err)
			for i := range neighs {
				lines = append(lines, neighs[i].String())
			}
			slices.Sort(lines)
			return slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "fe80") })
		}
		before := told()
		p, err := hold("feed0")
		must(t, err)
		if _, err := hold("feed0"); err == nil || !strings.Contains(err.Error(), "another run") {
			t.Errorf("a second run takes the port: %v", err)
		}
		must(t, setLink("feed0", false)) // as by a test that is broken off
		if slices.Equal(told(), before) {
			t.Error("the kernel keeps all with a link that is down, or this test shows nothing")
		}
		must(t, p.giveBack())
		if after := told(); !slices.Equal(after, before) {
			t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
		l, err = netlink.LinkByName("feed0")
		must(t, err)
		if l.Attrs().Flags&net.FlagUp == 0 {
			t.Error("it is down")
		}
		p, err = hold("feed0") // which is free again
		must(t, err)
		must(t, p.giveBack())
	})
}

// TestPortRefused: a port whose link somebody needs is not taken.
func TestPortRefused(t *testing.T) {
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	gw := net.IPv4(10, 203, 0, 2)
	for _, tc := range []struct {
		name, want string
		set        func(t *testing.T, l netlink.Link) error
	}{
		{"the default route", "default route", func(_ *testing.T, l netlink.Link) error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: everywhere})
		}},
		{"by IPv6 only", "default route", func(t *testing.T, l netlink.Link) error {
			must(t, os.WriteFile("/proc/sys/net/ipv6/conf/feed0/disable_ipv6", []byte("0"), 0))
			must(t, netlink.AddrAdd(l, &netlink.Addr{IPNet: network(t, "fd00:77::1/64"), Flags: unix.IFA_F_NODAD}))
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.ParseIP("fd00:77::2")})
		}},
		{"one of several ways", "default route", func(t *testing.T, l netlink.Link) error {
			other, err := netlink.LinkByName("feed1")
			must(t, err)
			return netlink.RouteAdd(&netlink.Route{Dst: everywhere, MultiPath: []*netlink.NexthopInfo{{LinkIndex: other.Attrs().Index, Gw: net.IPv4(10, 203, 1, 2)}, {LinkIndex: l.Attrs().Index, Gw: gw}}})
		}},
		{"in a table of its own", "default route", func(_ *testing.T, l netlink.Link) error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: everywhere, Gw: gw, Table: 77})
		}},
		{"a VLAN on it", "mgmt (vlan) is on it", func(_ *testing.T, l netlink.Link) error {
			return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "mgmt", ParentIndex: l.Attrs().Index}, VlanId: 7})
		}},
		{"a macvlan on it", "mgmt (macvlan) is on it", func(_ *testing.T, l netlink.Link) error {
			return netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mgmt", ParentIndex: l.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
		}},
		{"part of a bridge", "bridge or a bond", func(t *testing.T, l netlink.Link) error {
			bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br"}}
			if err := netlink.LinkAdd(bridge); err != nil {
				return err
			}
			return netlink.LinkSetMaster(l, bridge)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lacking := false // Skip would end the wrong goroutine
			inside(t, func(l netlink.Link) {
				if err := tc.set(t, l); errors.Is(err, unix.EOPNOTSUPP) {
					lacking = true
					return
				} else if err != nil {
					t.Error(err)
					return
				}
				if p, err := hold("feed0"); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("it is taken: %v, %v; want it refused: %s", p, err, tc.want)
				}
			})
			if lacking {
				t.Skip("this kernel has none")
			}
		})
	}
}

// TestPortOfSession: a port by which somebody is connected, without any route, is not taken.
func TestPortOfSession(t *testing.T) {
	packets(t)
	p := nstest.Pair(t, netns.Options{})
	var server net.Listener
	must(t, p.Rx.Do(func() (err error) { server, err = net.Listen("tcp", "10.203.0.1:0"); return err }))
	defer server.Close()
	must(t, p.Tx.Do(func() error {
		c, err := net.Dial("tcp", server.Addr().String())
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err
	}))
	must(t, p.Rx.Do(func() error {
		if _, err := hold("feed0"); err == nil || !strings.Contains(err.Error(), "TCP session (with 10.203.0.2:") {
			t.Errorf("it is taken: %v", err)
		}
		return nil
	}))
}

func TestSessionIn(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	own := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true, netip.MustParseAddr("fd00::1"): true}
	for _, tc := range []struct{ name, line, want string }{
		{"listening", "   0: 0100000A:0016 00000000:0000 0A 0", "invalid AddrPort"},
		{"another address", "   0: 0200000A:0016 0900000A:C001 01 0", "invalid AddrPort"},
		{"with itself", "   0: 0100000A:0016 0100000A:C001 01 0", "invalid AddrPort"},
		{"established", "   0: 0100000A:0016 0900000A:C001 01 0", "10.0.0.9:49153"},
		{"IPv4 by a socket of IPv6", "   0: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF00000900000A:C001 01 0", "10.0.0.9:49153"},
		{"IPv6", "   0: 000000FD000000000000000001000000:0016 000000FD000000000000000002000000:C001 01 0", "[fd00::2]:49153"},
		{"nonsense", "   0: x:y z 01", "invalid AddrPort"},
	} {
		if got, err := sessionIn(strings.NewReader(head+tc.line+"\n"), own); err != nil || got.String() != tc.want {
			t.Errorf("%s: %s, %v, want %s", tc.name, got, err, tc.want)
		}
	}
}
