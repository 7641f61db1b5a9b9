package latbench

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An order is 16 bytes to the venue:
//
//	0       8          12         16
//	| magic | sequence | zero     |       sequence: of the venue's message that it answers, low 32 bits, little-endian
const (
	orderMagic = 0x5245_4452_4F4B_4354 // "TCKORDER"
	orderBytes = 16
)

// socket sends and receives datagrams by raw calls: Go's scheduler has no part in them, so they may be made while the P is pinned.
type socket struct {
	fd  int
	buf [64]byte
}

// dial makes a socket that sends to one address.
func dial(to netip.AddrPort) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err == nil {
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err == nil {
			return &socket{fd: fd}, nil
		}
		_ = unix.Close(fd)
	}
	return nil, fmt.Errorf("latbench: socket to %s: %w", to, err)
}

// dialGroup makes one that sends to a group by an interface.
func dialGroup(group netip.AddrPort, iface string) (*socket, error) {
	face, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("latbench: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, fmt.Errorf("latbench: socket to %s: %w", group, err)
	}
	if err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(face.Index)}); err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(group.Port()), Addr: group.Addr().As4()})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("latbench: socket to %s by %s: %w", group, iface, err)
	}
	return &socket{fd: fd}, nil
}

// listen makes one that receives at an address, and says which port it got.
func listen(at netip.Addr) (*socket, netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("latbench: socket at %s: %w", at, err)
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: at.As4()})
	if err == nil {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20) != nil { // an order takes a KiB of it
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<20) // as much as the kernel gives
		}
		var sa unix.Sockaddr
		if sa, err = unix.Getsockname(fd); err == nil {
			return &socket{fd: fd}, netip.AddrPortFrom(at, uint16(sa.(*unix.SockaddrInet4).Port)), nil
		}
	}
	_ = unix.Close(fd)
	return nil, netip.AddrPort{}, fmt.Errorf("latbench: socket at %s: %w", at, err)
}

// send sends a datagram and says whether the kernel took it.
func (s *socket) send(b []byte) bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	return errno == 0
}

// receive takes an order, if one is there.
func (s *socket) receive() (sequence uint32, ok bool) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&s.buf)), uintptr(len(s.buf)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 || n != orderBytes || binary.LittleEndian.Uint64(s.buf[:]) != orderMagic {
		return 0, false
	}
	return binary.LittleEndian.Uint32(s.buf[8:]), true
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// answer sends an order for a venue's message.
func (e *eye) answer(sequence uint32) {
	b := e.orders.buf[:orderBytes]
	binary.LittleEndian.PutUint64(b, orderMagic)
	binary.LittleEndian.PutUint32(b[8:], sequence)
	if e.orders.send(b) {
		e.sent++
	} else {
		e.refused++
	}
}

// yield gives the core to somebody else who wants it, without Go's scheduler.
func yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
