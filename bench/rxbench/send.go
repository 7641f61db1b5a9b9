package rxbench

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
)

// socket sends datagrams as any program does: sendmmsg. It belongs to the thread of the load. The calls do not go through Go's scheduler,
// which would look for other work for the processor meanwhile, on the core of one of the two that are measured.
type socket struct {
	fd       int
	payloads [][]byte
	headers  []mmsghdr
	vectors  []unix.Iovec
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

func newSocket(ns *netns.NS) (*socket, error) {
	s := &socket{fd: -1, headers: make([]mmsghdr, batch), vectors: make([]unix.Iovec, batch)}
	for i := range batch {
		s.payloads = append(s.payloads, make([]byte, payloadBytes))
		s.vectors[i].Base = &s.payloads[i][0]
		s.vectors[i].SetLen(payloadBytes)
		s.headers[i].hdr.Iov = &s.vectors[i]
		s.headers[i].hdr.SetIovlen(1)
	}
	err := ns.Do(func() error {
		face, err := net.InterfaceByName("gen0")
		if err != nil {
			return err
		}
		if s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP); err != nil {
			return err
		}
		if err := unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(face.Index), Address: source.Addr().As4()}); err != nil {
			return err
		}
		return unix.Connect(s.fd, &unix.SockaddrInet4{Port: int(group.Port()), Addr: group.Addr().As4()})
	})
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("rxbench: socket of the load: %w", err)
	}
	return s, nil
}

// out sends the first n payloads.
func (s *socket) out(n int) error {
	for at := 0; at < n; {
		got, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers[at])), uintptr(n-at), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("rxbench: sendmmsg: %w", errno)
		}
		if errno == 0 {
			at += int(got)
		}
	}
	return nil
}

// Send sends n datagrams, in batches at a rate a second; 0: as fast as it goes.
func (s *socket) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	n = max(n/batch, 1) * batch
	start := monotonic()
	for sent := 0; sent < n; sent += batch {
		for i, p := range s.payloads {
			binary.BigEndian.PutUint64(p[numberAt:], first+uint64(sent+i)+1)
		}
		if rate > 0 {
			for due := start + uint64(float64(sent)*1e9/rate); monotonic() < due; {
			}
		}
		if err := s.out(batch); err != nil {
			return sent, time.Duration(monotonic() - start), err
		}
	}
	return n, time.Duration(monotonic() - start), nil
}

// timed sends n datagrams one by one, each with its due time in it; one that leaves late keeps the time it was due.
func (s *socket) timed(first uint64, n int, rate float64) error {
	start := monotonic() + 1000
	for i := range n {
		due := start + uint64(float64(i)*1e9/rate)
		p := s.payloads[0]
		binary.BigEndian.PutUint64(p[numberAt:], first+uint64(i)+1)
		binary.LittleEndian.PutUint64(p[dueAt:], due)
		for monotonic() < due {
		}
		if err := s.out(1); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) Close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
}

// monotonic is CLOCK_MONOTONIC in ns: the clock of the injector's program and of the C receiver too. Without a call into the
// kernel: Go's own clock is the same one, from another zero.
func monotonic() uint64 { return clockZero + uint64(time.Since(clockBase)) }

var clockBase, clockZero = func() (base time.Time, zero uint64) {
	best := time.Hour
	for range 1000 { // the pair that lay closest together
		before := time.Now()
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
		if took := time.Since(before); took < best {
			best, base, zero = took, before, uint64(ts.Nano())-uint64(took/2)
		}
	}
	return base, zero
}()
