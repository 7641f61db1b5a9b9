package afxdp

import (
	"fmt"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
)

// Flows with a tag are received on the interface below, before the kernel takes the tag off, while their groups are joined on the VLAN's own
// interface: a membership report that does not carry the tag is no business of that VLAN's router.
//
//	eth2.7   joined: reports leave with tag 7
//	  │
//	eth2     program: group, port and tag 7 ──► socket

// over is the interface of a VLAN on top of another one, among links; nil: there is none.
func over(links []netlink.Link, parent int, vlan uint16) netlink.Link {
	for _, l := range links {
		if v, ok := l.(*netlink.Vlan); ok && v.ParentIndex == parent && v.VlanId == int(vlan) {
			return v
		}
	}
	return nil
}

// face is the interface that a group is joined on: the VLAN's own where it has a tag and there is one, else the device.
func (d *device) face(vlan uint16) (name string, index int, err error) {
	if vlan == 0 {
		return d.name, d.index, nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return "", 0, fmt.Errorf("looking for the interface of VLAN %d: %w", vlan, err)
	}
	if l := over(links, d.index, vlan); l != nil {
		return l.Attrs().Name, l.Attrs().Index, nil
	}
	return d.name, d.index, nil
}

// warnTag says what may keep packets with a tag away.
func (s *Source) warnTag(e *steered) {
	d := e.dev
	if e.face == d.index {
		s.warnings = append(s.warnings, fmt.Sprintf("group %s: there is no interface of VLAN %d on %s, so it is joined without a tag, which only a router that looks at none hears "+
			"(`ip link add link %s name %s.%d type vlan id %d`, with an address, and up)", e.Group.Group, e.VLAN, d.name, d.name, d.name, e.VLAN, e.VLAN))
	}
	if program, _ := d.running(); program != bpf.ProgramHW && strips(d.name) {
		s.warnings = append(s.warnings, fmt.Sprintf("group %s: %s takes the tags off its frames, and program %s does not see that VLAN %d was there: its packets may count as no_flow "+
			"(`ethtool -K %s rxvlan off`)", e.Group.Group, d.name, program, e.VLAN, d.name))
	}
}

// strips says whether an interface takes VLAN tags off the frames that it receives, by ETHTOOL_GFLAGS.
func strips(name string) bool {
	const takesTags = 1 << 8 // ETH_FLAG_RXVLAN
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{cmd: unix.ETHTOOL_GFLAGS}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	return errno == 0 && value.data&takesTags != 0
}
