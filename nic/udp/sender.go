package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender sends datagrams to one multicast group, out of one named interface: never by a default route.
type Sender struct {
	fd      int
	headers []mmsghdr
	vectors []unix.Iovec
	name    []byte
}

// NewSender makes a sender. ttl 0 keeps datagrams on this host.
func NewSender(group netip.AddrPort, iface string, ttl int) (*Sender, error) {
	fail := func(err error) (*Sender, error) {
		return nil, fmt.Errorf("udp: sending to %s on %s: %w", group, iface, err)
	}
	if !group.Addr().Is4() || !group.Addr().IsMulticast() || group.Port() == 0 {
		return fail(errors.New("no IPv4 multicast address with a port"))
	}
	if ttl < 0 || ttl > 255 {
		return fail(fmt.Errorf("TTL %d is not in 0 … 255", ttl))
	}
	face, err := net.InterfaceByName(iface)
	if err != nil {
		return fail(err)
	}
	out := unix.IPMreqn{Ifindex: int32(face.Index), Address: addressOf(face)}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return fail(err)
	}
	err = errors.Join(
		os.NewSyscallError("IP_MULTICAST_IF", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &out)),
		os.NewSyscallError("IP_MULTICAST_TTL", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl)),
		os.NewSyscallError("IP_MULTICAST_LOOP", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1)),
	)
	if err != nil {
		return fail(errors.Join(err, unix.Close(fd)))
	}
	s := &Sender{fd: fd, headers: make([]mmsghdr, burst), vectors: make([]unix.Iovec, burst), name: make([]byte, unix.SizeofSockaddrInet4)}
	binary.NativeEndian.PutUint16(s.name, unix.AF_INET)
	binary.BigEndian.PutUint16(s.name[2:], group.Port())
	ip := group.Addr().As4()
	copy(s.name[4:], ip[:])
	for i := range s.headers {
		h := &s.headers[i].hdr
		h.Iov, h.Name, h.Namelen = &s.vectors[i], &s.name[0], uint32(len(s.name))
		h.SetIovlen(1)
	}
	return s, nil
}

// addressOf is the interface's first IPv4 address: datagrams carry it as their source. Zeros let the kernel choose.
func addressOf(face *net.Interface) [4]byte {
	addrs, err := face.Addrs()
	if err != nil {
		return [4]byte{}
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap().Is4() {
				return ip.Unmap().As4()
			}
		}
	}
	return [4]byte{}
}

// Send sends all packets, as few calls into the kernel as it takes, and returns how many went out. No allocation.
func (s *Sender) Send(packets [][]byte) (int, error) {
	sent := 0
	for sent < len(packets) {
		n := min(burst, len(packets)-sent)
		for i, p := range packets[sent : sent+n] {
			s.vectors[i].Base = unsafe.SliceData(p)
			s.vectors[i].SetLen(len(p))
		}
		got, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers[0])), uintptr(n), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return sent, os.NewSyscallError("sendmmsg", errno)
		}
		sent += int(got)
	}
	return sent, nil
}

// Close closes the socket.
func (s *Sender) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }
