// Package udp receives multicast groups through ordinary sockets, and sends to them: what runs without privileges.
//
//	group A ──► socket ──┐                          one socket a group, bound to the group's address and port, so
//	group B ──► socket ──┼── recvmmsg ──► packets   that no other group's datagrams come in; polled in turn
//	…                    ┘     64 at a time
//
// Stamps are the kernel's, taken when the driver handed the packet over (SO_TIMESTAMPNS), or the NIC's where it stamps every
// packet and its clock is known (SO_TIMESTAMPING, Options.Stamp). What the kernel had to drop is counted (SO_RXQ_OVFL). Poll
// neither allocates nor waits, and the Go scheduler does not hear of it: a lane may call it with its P pinned.
package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

const (
	burst       = 64   // datagrams of one call into the kernel
	slotBytes   = 9216 // of a datagram: a jumbo frame's payload fits
	wantBuffer  = 8 << 20
	controlRoom = 128 // bytes of control messages a datagram: stamp and drop counter
	nameBytes   = unix.SizeofSockaddrInet6
)

// Group is one multicast group on one interface.
type Group struct {
	Group     netip.AddrPort
	Interface string     // by name; required
	SourceIP  netip.Addr // only datagrams from there; the zero value: from anybody
	Line      uint8      // 0: A, 1: B
}

// Options of a Source. Groups must be given.
type Options struct {
	Groups []Group
	// RcvBuf is the receive buffer asked for each socket, in bytes. It costs kernel memory only while packets wait. The
	// default is 8 MiB.
	RcvBuf int
	// Stamp gives the converter of an interface's hardware stamps to ns since the Unix epoch, nil for one whose stamps are
	// not to be used. A converter returns false while the clock cannot be trusted: the kernel's stamp is then taken. It is
	// called for each packet on the polling goroutine, so it must not lock, allocate or enter the kernel. That the NIC stamps
	// every packet is somebody else's doing (package clock). The default is to use none.
	Stamp func(iface string) func(hw uint64) (utc uint64, ok bool)
	// NoStamps asks for no stamps at all: datagrams then have none, and the lane's clock when it polls stands for it. The default
	// is false.
	NoStamps bool
}

// Source receives. It belongs to one goroutine, but for Close.
type Source struct {
	sockets  []*socket
	polls    []unix.PollFd
	turn     int // socket that is polled first next time
	counters nic.Counters
	warnings []string
	frame    uint64
}

// socket is one group.
type socket struct {
	fd      int
	group   Group
	index   int // of the interface
	headers []mmsghdr
	vectors []unix.Iovec
	names   []byte
	control []byte
	mem     []byte
	flow    uint16 // its number in Options.Groups
	drops   uint32 // SO_RXQ_OVFL as of the last datagram
	convert func(hw uint64) (uint64, bool)
}

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

// Open joins all groups. Faults name group and interface, and what to do.
func Open(o Options) (*Source, error) {
	if len(o.Groups) == 0 {
		return nil, errors.New("udp: no groups to receive")
	}
	if o.RcvBuf <= 0 {
		o.RcvBuf = wantBuffer
	}
	s := &Source{}
	for i, g := range o.Groups {
		k, err := s.join(g, &o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("udp: group %s on %s: %w", g.Group, g.Interface, err), s.Close())
		}
		k.flow = uint16(i)
		s.sockets = append(s.sockets, k)
		s.polls = append(s.polls, unix.PollFd{Fd: int32(k.fd), Events: unix.POLLIN})
	}
	return s, nil
}

func (s *Source) join(g Group, o *Options) (k *socket, err error) {
	group := g.Group.Addr()
	if !group.IsMulticast() || g.Group.Port() == 0 {
		return nil, errors.New("no multicast address with a port")
	}
	if g.SourceIP.IsValid() && g.SourceIP.Is4() != group.Is4() {
		return nil, fmt.Errorf("source %s is of another address family", g.SourceIP)
	}
	face, err := net.InterfaceByName(g.Interface)
	if err != nil {
		return nil, fmt.Errorf("%w (`ip link` shows the interfaces)", err)
	}
	family := unix.AF_INET
	if group.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	// Several processes may receive the same group: each gets every datagram.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	var convert func(uint64) (uint64, bool)
	if o.Stamp != nil && !o.NoStamps {
		convert = o.Stamp(g.Interface)
	}
	if !o.NoStamps {
		if err := askStamps(fd, convert != nil); err != nil {
			return nil, err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return nil, fmt.Errorf("SO_RXQ_OVFL: %w", err)
	}
	s.buffer(fd, g, o.RcvBuf)
	if family == unix.AF_INET {
		err = join4(fd, g, face.Index)
	} else {
		err = join6(fd, g, face.Index)
	}
	if err != nil {
		return nil, err
	}
	k = newSocket(fd, g, face.Index)
	k.convert = convert
	return k, nil
}

// Bits of SO_TIMESTAMPING: who stamps, and which stamps are told (linux/net_tstamp.h).
const (
	stampRxHardware  = 1 << 2
	stampRxSoftware  = 1 << 3
	stampSoftware    = 1 << 4
	stampRawHardware = 1 << 6
)

// askStamps has the kernel tell when datagrams came in: by its own clock, and by the NIC's where hardware is asked for.
func askStamps(fd int, hardware bool) error {
	option, name, value := unix.SO_TIMESTAMPNS, "SO_TIMESTAMPNS", 1
	if hardware {
		option, name, value = unix.SO_TIMESTAMPING, "SO_TIMESTAMPING", stampRxHardware|stampRxSoftware|stampSoftware|stampRawHardware
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// buffer asks for a receive buffer: past the host's limit where we may, else up to it.
func (s *Source) buffer(fd int, g Group, want int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want)
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err == nil && got/2 < want { // the kernel tells twice what it was asked for
		s.counters.SmallBuffer++
		s.warnings = append(s.warnings, fmt.Sprintf(
			"group %s: the receive buffer is %d bytes, %d were asked for; a burst may be dropped (sysctl -w net.core.rmem_max=%d)",
			g.Group, got/2, want, want))
	}
}

func join4(fd int, g Group, index int) error {
	at := unix.SockaddrInet4{Port: int(g.Group.Port()), Addr: g.Group.Addr().As4()}
	if err := unix.Bind(fd, &at); err != nil {
		return bindFault(err)
	}
	// Without this Linux hands over groups that other sockets of the host joined.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
		return fmt.Errorf("IP_MULTICAST_ALL: %w", err)
	}
	return member(fd, g, index)
}

func join6(fd int, g Group, index int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return fmt.Errorf("IPV6_V6ONLY: %w", err)
	}
	at := unix.SockaddrInet6{Port: int(g.Group.Port()), Addr: g.Group.Addr().As16(), ZoneId: uint32(index)}
	if err := unix.Bind(fd, &at); err != nil {
		return bindFault(err)
	}
	return member(fd, g, index)
}

// joinSource joins a group for one sender, by struct group_source_req: interface u32, then two sockaddr_storage.
func joinSource(fd int, g Group, index, level int) error {
	const storage, groupAt = 128, 8
	req := make([]byte, groupAt+2*storage)
	binary.NativeEndian.PutUint32(req, uint32(index))
	putSockaddr(req[groupAt:], g.Group.Addr())
	putSockaddr(req[groupAt+storage:], g.SourceIP)
	return joinFault(unix.SetsockoptString(fd, level, unix.MCAST_JOIN_SOURCE_GROUP, string(req)))
}

func putSockaddr(b []byte, a netip.Addr) {
	if a.Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		ip := a.As4()
		copy(b[4:], ip[:])
		return
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	ip := a.As16()
	copy(b[8:], ip[:])
}

func bindFault(err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("bind: %w: another program has this port without sharing it (`ss -ulpn`)", err)
	}
	return fmt.Errorf("bind: %w", err)
}

func joinFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOBUFS):
		return fmt.Errorf("join: %w: this socket or host is in too many groups (sysctl net.ipv4.igmp_max_memberships)", err)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("join: %w: the interface has no address of this family, or is gone", err)
	}
	return fmt.Errorf("join: %w", err)
}

func newSocket(fd int, g Group, index int) *socket {
	k := &socket{
		fd: fd, group: g, index: index, headers: make([]mmsghdr, burst), vectors: make([]unix.Iovec, burst),
		names: make([]byte, burst*nameBytes), control: make([]byte, burst*controlRoom), mem: make([]byte, burst*slotBytes),
	}
	for i := range k.headers {
		k.vectors[i].Base = &k.mem[i*slotBytes]
		k.vectors[i].SetLen(slotBytes)
		h := &k.headers[i].hdr
		h.Iov, h.Name, h.Control = &k.vectors[i], &k.names[i*nameBytes], &k.control[i*controlRoom]
		h.SetIovlen(1)
	}
	return k
}

// Poll fills p with what has come, without waiting. Packets are valid until the next call.
func (s *Source) Poll(p []nic.Packet) (int, error) {
	n := 0
	// Each call asks every socket once at most: a buffer that was handed out must not be received into again.
	for range s.sockets {
		if n == len(p) {
			break
		}
		k := s.sockets[s.turn]
		if s.turn++; s.turn == len(s.sockets) {
			s.turn = 0
		}
		got, err := s.receive(k, p[n:])
		n += got
		if err != nil {
			return n, &pollError{k, err}
		}
	}
	return n, nil
}

// pollError is put into words by who reads it, for fmt may lock and Poll may not.
type pollError struct {
	k   *socket
	err error
}

func (e *pollError) Error() string {
	return fmt.Sprintf("udp: group %s on %s: %v", e.k.group.Group, e.k.group.Interface, e.err)
}

func (e *pollError) Unwrap() error { return e.err }

func (s *Source) receive(k *socket, p []nic.Packet) (int, error) {
	want := min(len(p), burst)
	for i := range want { // the kernel wrote how much it used
		h := &k.headers[i].hdr
		h.Namelen, h.Flags = nameBytes, 0
		h.SetControllen(controlRoom)
	}
	// Raw: the call does not wait, so the scheduler need not know; who has its P pinned could not tell it (package pin).
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&k.headers[0])), uintptr(want), unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	}
	out := 0
	for i := range int(n) {
		h := &k.headers[i]
		s.frame++
		s.counters.Frames++
		stamp, hardware, drops, counted := k.ancillary(i)
		if counted && drops != k.drops {
			s.counters.KernelDrops += uint64(drops - k.drops) // a u32 that wraps
			k.drops = drops
		}
		if h.hdr.Flags&unix.MSG_TRUNC != 0 {
			s.counters.Truncated++
			continue
		}
		q := &p[out]
		q.Data = k.mem[i*slotBytes : i*slotBytes+int(h.n) : (i+1)*slotBytes]
		q.TsRecv, q.Stamp = k.arrival(stamp, hardware)
		q.Frame, q.Group, q.Src = s.frame, k.group.Group, sender(k.names[i*nameBytes:], h.hdr.Namelen)
		q.VLAN, q.Line, q.Flow = 0, k.group.Line, k.flow
		s.counters.Packets++
		s.counters.Bytes += uint64(h.n)
		out++
	}
	return out, nil
}

const cmsgHead = unix.SizeofCmsghdr

// arrival is a datagram's time of arrival by the best of its stamps.
func (k *socket) arrival(kernel, hardware uint64) (uint64, nic.StampSource) {
	if hardware != 0 && k.convert != nil {
		if utc, ok := k.convert(hardware); ok {
			return utc, nic.StampHardware
		}
	}
	if kernel != 0 {
		return kernel, nic.StampKernel
	}
	return 0, nic.StampNone
}

// ancillary reads the control messages of datagram i: the kernel's stamp, ns since the Unix epoch, the NIC's by its own clock,
// 0: none, and how many datagrams the socket has dropped so far.
func (k *socket) ancillary(i int) (stamp, hardware uint64, drops uint32, counted bool) {
	b := k.control[i*controlRoom:]
	b = b[:min(controlRoom, int(k.headers[i].hdr.Controllen))]
	for len(b) >= cmsgHead {
		n := int(binary.NativeEndian.Uint64(b))
		level, kind := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		if n < cmsgHead || n > len(b) {
			break
		}
		data := b[cmsgHead:n]
		if level == unix.SOL_SOCKET {
			switch {
			case kind == unix.SO_TIMESTAMPNS && len(data) >= 16:
				stamp = timespec(data)
			case kind == unix.SO_TIMESTAMPING && len(data) >= 48: // the kernel's, one that is none, the NIC's
				stamp, hardware = timespec(data), timespec(data[32:])
			case kind == unix.SO_RXQ_OVFL && len(data) >= 4:
				drops, counted = binary.NativeEndian.Uint32(data), true
			}
		}
		b = b[min(len(b), (n+7)&^7):]
	}
	return stamp, hardware, drops, counted
}

func timespec(b []byte) uint64 {
	return binary.NativeEndian.Uint64(b)*1e9 + binary.NativeEndian.Uint64(b[8:])
}

// sender reads a sockaddr_in or sockaddr_in6.
func sender(b []byte, n uint32) netip.AddrPort {
	port := binary.BigEndian.Uint16(b[2:])
	switch {
	case n >= unix.SizeofSockaddrInet4 && binary.NativeEndian.Uint16(b) == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	case n >= unix.SizeofSockaddrInet6 && binary.NativeEndian.Uint16(b) == unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port)
	}
	return netip.AddrPort{}
}

// Wait returns when a datagram may be there, or after d. A call into the kernel.
func (s *Source) Wait(d time.Duration) error {
	timeout := unix.NsecToTimespec(d.Nanoseconds())
	_, err := unix.Ppoll(s.polls, &timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("ppoll", err)
	}
	return nil
}

// Counters belong to the goroutine that polls.
func (s *Source) Counters() *nic.Counters { return &s.counters }

// Warnings are sentences about what may hurt, told when opened.
func (s *Source) Warnings() []string { return s.warnings }

// Close leaves the groups.
func (s *Source) Close() error {
	var errs []error
	for _, k := range s.sockets {
		errs = append(errs, unix.Close(k.fd))
	}
	s.sockets = nil
	return errors.Join(errs...)
}
