package udp

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// perSocket is how many groups one socket joins: net.ipv4.igmp_max_memberships is 20 for each.
const perSocket = 16

// Members keeps memberships of groups without receiving: for packets that come in another way. The sockets are bound to no
// port, so nothing is ever queued on them.
type Members struct {
	fds    []int
	groups []Group
	index  []int // of the groups' interfaces
}

// Join joins IPv4 groups on their interfaces, which are those of the caller's network namespace.
func Join(groups []Group) (*Members, error) {
	m := &Members{groups: groups}
	for i, g := range groups {
		if i%perSocket == 0 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("udp: socket: %w", err), m.Close())
			}
			m.fds = append(m.fds, fd)
		}
		face, err := net.InterfaceByName(g.Interface)
		if err == nil {
			err = member(m.fds[i/perSocket], g, face.Index)
			m.index = append(m.index, face.Index)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("udp: group %s on %s: %w", g.Group, g.Interface, err), m.Close())
		}
	}
	return m, nil
}

// Leave leaves an interface's groups, which Rejoin joins again. The kernel says nothing to the network as long as one socket of the host is in a group: so
// before one of them rejoins, all that share its groups leave.
func (m *Members) Leave(index int) {
	for i, g := range m.groups {
		if m.index[i] == index {
			_ = leave(m.fds[i/perSocket], g, index) // gone already when the interface was, or left before
		}
	}
}

// Rejoin leaves an interface's groups and joins them again, so that the network hears of us anew: after a link that was down.
func (m *Members) Rejoin(index int) error {
	m.Leave(index)
	var errs []error
	for i, g := range m.groups {
		if m.index[i] == index {
			errs = append(errs, member(m.fds[i/perSocket], g, index))
		}
	}
	return errors.Join(errs...)
}

// Close leaves all groups.
func (m *Members) Close() error {
	var errs []error
	for _, fd := range m.fds {
		errs = append(errs, unix.Close(fd))
	}
	m.fds = nil
	return errors.Join(errs...)
}

// Leave is Members.Leave for a source's sockets. It may be called while another goroutine polls.
func (s *Source) Leave(index int) {
	for _, k := range s.sockets {
		if k.index == index {
			_ = leave(k.fd, k.group, index)
		}
	}
}

// Rejoin is Members.Rejoin for a source's sockets. It may be called while another goroutine polls.
func (s *Source) Rejoin(index int) error {
	s.Leave(index)
	var errs []error
	for _, k := range s.sockets {
		if k.index == index {
			errs = append(errs, member(k.fd, k.group, index))
		}
	}
	return errors.Join(errs...)
}

// member joins one group on the interface with an index.
func member(fd int, g Group, index int) error {
	is6 := g.Group.Addr().Is6()
	switch {
	case g.SourceIP.IsValid() && is6:
		return joinSource(fd, g, index, unix.IPPROTO_IPV6)
	case g.SourceIP.IsValid():
		return joinSource(fd, g, index, unix.IPPROTO_IP)
	case is6:
		m := unix.IPv6Mreq{Multiaddr: g.Group.Addr().As16(), Interface: uint32(index)}
		return joinFault(unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &m))
	}
	m := unix.IPMreqn{Multiaddr: g.Group.Addr().As4(), Ifindex: int32(index)}
	return joinFault(unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &m))
}

func leave(fd int, g Group, index int) error {
	if g.Group.Addr().Is6() {
		m := unix.IPv6Mreq{Multiaddr: g.Group.Addr().As16(), Interface: uint32(index)}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, &m)
	}
	m := unix.IPMreqn{Multiaddr: g.Group.Addr().As4(), Ifindex: int32(index)}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP, &m)
}
