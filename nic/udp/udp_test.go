package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

// Groups of these tests: from the range for local use, on lo alone, TTL 0. The port is the kernel's choice of a free
// one, so that tests of several checkouts do not meet.
var (
	groupA = netip.MustParseAddr("239.255.71.1")
	groupB = netip.MustParseAddr("239.255.71.2")
)

func freePort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func open(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sender4(t testing.TB, to netip.AddrPort) *Sender {
	t.Helper()
	s, err := NewSender(to, "lo", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// receive polls until want packets came or two seconds have passed.
func receive(t testing.TB, s *Source, want int, fn func(*nic.Packet)) int {
	t.Helper()
	packets := make([]nic.Packet, 128)
	got := 0
	for end := time.Now().Add(2 * time.Second); got < want && time.Now().Before(end); {
		n, err := s.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets[:n] {
			fn(&packets[i])
		}
		if got += n; n == 0 {
			if err := s.Wait(50 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	return got
}

// TestTwoLines: both groups come in whole and in order, each as its line, with stamps of now.
func TestTwoLines(t *testing.T) {
	port := freePort(t)
	a, b := netip.AddrPortFrom(groupA, port), netip.AddrPortFrom(groupB, port)
	s := open(t, Options{Groups: []Group{{Group: a, Interface: "lo", Line: 0}, {Group: b, Interface: "lo", Line: 1}}})
	toA, toB := sender4(t, a), sender4(t, b)
	// The kernel begins to stamp arrivals a moment after the first socket asked for it; until then it stamps on reading.
	for _, to := range []*Sender{toA, toB} {
		if _, err := to.Send([][]byte{[]byte("warm")}); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, s, 2, func(*nic.Packet) {})
	time.Sleep(20 * time.Millisecond)
	const each = 2000
	began := uint64(time.Now().UnixNano())
	next, last, bad := [2]uint64{}, [2]uint64{}, 0
	for i := uint64(0); i < each; {
		var packets [][]byte
		for range 100 {
			packets = append(packets, binary.BigEndian.AppendUint64(nil, i))
			i++
		}
		for _, to := range []*Sender{toA, toB} {
			if n, err := to.Send(packets); err != nil || n != len(packets) {
				t.Fatalf("sent %d: %v", n, err)
			}
		}
		receive(t, s, 200, func(p *nic.Packet) {
			l := p.Line
			now := uint64(time.Now().UnixNano())
			ok := binary.BigEndian.Uint64(p.Data) == next[l] && p.Stamp == nic.StampKernel && p.TsRecv >= last[l] && p.TsRecv >= began-1e9 &&
				p.TsRecv <= now+1e9 && p.Group == [2]netip.AddrPort{a, b}[l] && p.Src.Addr().Is4()
			if !ok {
				bad++
			}
			next[l], last[l] = next[l]+1, p.TsRecv
		})
	}
	if next != [2]uint64{each, each} || bad != 0 {
		t.Errorf("received %v, %d of them out of order or with a wrong stamp, group or sender", next, bad)
	}
	c := s.Counters()
	if c.Packets != 2*each+2 || c.KernelDrops != 0 || c.Truncated != 0 || c.Bytes != 16*each+8 {
		t.Errorf("%+v", *c)
	}
}

// TestOnlyOurGroup: a group on the same port that another socket of this host joined does not come in.
func TestOnlyOurGroup(t *testing.T) {
	port := freePort(t)
	a, b := netip.AddrPortFrom(groupA, port), netip.AddrPortFrom(groupB, port)
	s := open(t, Options{Groups: []Group{{Group: a, Interface: "lo"}}})
	other := open(t, Options{Groups: []Group{{Group: b, Interface: "lo"}}})
	if _, err := sender4(t, b).Send([][]byte{[]byte("not ours")}); err != nil {
		t.Fatal(err)
	}
	if _, err := sender4(t, a).Send([][]byte{[]byte("ours")}); err != nil {
		t.Fatal(err)
	}
	receive(t, s, 1, func(p *nic.Packet) {
		if string(p.Data) != "ours" {
			t.Errorf("received %q", p.Data)
		}
	})
	if receive(t, other, 1, func(*nic.Packet) {}) != 1 {
		t.Error("the other group did not come in where it was joined: this test shows nothing")
	}
}

// TestSourceSpecific: with a source address only its datagrams come in.
func TestSourceSpecific(t *testing.T) {
	to := netip.AddrPortFrom(netip.MustParseAddr("232.71.71.1"), freePort(t))
	ours := open(t, Options{Groups: []Group{{Group: to, Interface: "lo", SourceIP: netip.MustParseAddr("127.0.0.1")}}})
	theirs := open(t, Options{Groups: []Group{{Group: to, Interface: "lo", SourceIP: netip.MustParseAddr("127.0.0.9")}}})
	if _, err := sender4(t, to).Send([][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	if n := receive(t, ours, 1, func(*nic.Packet) {}); n != 1 {
		t.Errorf("%d datagrams of our source", n)
	}
	packets := make([]nic.Packet, 4)
	if n, err := theirs.Poll(packets); n != 0 || err != nil {
		t.Errorf("%d datagrams of another source, %v", n, err)
	}
}

// TestDropsAreCounted: what does not fit into the receive buffer shows in KernelDrops, to the datagram.
func TestDropsAreCounted(t *testing.T) {
	to := netip.AddrPortFrom(groupA, freePort(t))
	s := open(t, Options{Groups: []Group{{Group: to, Interface: "lo"}}, RcvBuf: 1 << 14})
	send := sender4(t, to)
	const sent = 2000
	packet := make([]byte, 1000)
	for range sent {
		if _, err := send.Send([][]byte{packet}); err != nil {
			t.Fatal(err)
		}
	}
	packets := make([]nic.Packet, 64)
	drain := func() (got int) {
		for {
			n, err := s.Poll(packets)
			if err != nil {
				t.Fatal(err)
			}
			if got += n; n == 0 {
				return got
			}
		}
	}
	got := drain()
	// The counter travels with the next datagram.
	if _, err := send.Send([][]byte{packet}); err != nil {
		t.Fatal(err)
	}
	got += drain()
	if c := s.Counters(); c.KernelDrops == 0 || got+int(c.KernelDrops) != sent+1 {
		t.Errorf("%d received, %d counted as dropped, %d sent", got, c.KernelDrops, sent+1)
	}
}

func TestTooLong(t *testing.T) {
	to := netip.AddrPortFrom(groupA, freePort(t))
	s := open(t, Options{Groups: []Group{{Group: to, Interface: "lo"}}})
	if _, err := sender4(t, to).Send([][]byte{make([]byte, slotBytes+1), make([]byte, slotBytes)}); err != nil {
		t.Fatal(err)
	}
	n := receive(t, s, 1, func(p *nic.Packet) {
		if len(p.Data) != slotBytes {
			t.Errorf("%d bytes", len(p.Data))
		}
	})
	if n != 1 || s.Counters().Truncated != 1 {
		t.Errorf("%d received, %d cut", n, s.Counters().Truncated)
	}
}

func TestIPv6(t *testing.T) {
	port := freePort(t)
	group := netip.MustParseAddr("ff11::7171")
	s, err := Open(Options{Groups: []Group{{Group: netip.AddrPortFrom(group, port), Interface: "lo"}}})
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENODEV) {
		t.Skip("no IPv6 on lo here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for option, value := range map[int]int{unix.IPV6_MULTICAST_IF: lo.Index, unix.IPV6_MULTICAST_HOPS: 0, unix.IPV6_MULTICAST_LOOP: 1} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Sendto(fd, []byte("six"), 0, &unix.SockaddrInet6{Port: int(port), Addr: group.As16(), ZoneId: uint32(lo.Index)}); err != nil {
		t.Skip("lo does not carry IPv6 multicast here: ", err)
	}
	if n := receive(t, s, 1, func(p *nic.Packet) {
		if string(p.Data) != "six" || !p.Src.Addr().Is6() {
			t.Errorf("%q from %s", p.Data, p.Src)
		}
	}); n != 1 {
		t.Errorf("%d datagrams", n)
	}
}

func TestFaults(t *testing.T) {
	port := freePort(t)
	for _, tc := range []struct {
		group Group
		want  string
	}{
		{Group{Group: netip.AddrPortFrom(groupA, port), Interface: "nosuch0"}, "no such network interface"},
		{Group{Group: netip.MustParseAddrPort("10.0.0.1:5000"), Interface: "lo"}, "no multicast address"},
		{Group{Group: netip.AddrPortFrom(groupA, 0), Interface: "lo"}, "no multicast address with a port"},
		{Group{Group: netip.AddrPortFrom(groupA, port), Interface: "lo", SourceIP: netip.MustParseAddr("::1")}, "another address family"},
	} {
		if _, err := Open(Options{Groups: []Group{tc.group}}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %q", tc.group, err, tc.want)
		}
	}
	// A port that somebody has for himself.
	taken, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	if err := unix.Bind(taken, &unix.SockaddrInet4{Port: int(port)}); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Groups: []Group{{Group: netip.AddrPortFrom(groupA, port), Interface: "lo"}}})
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(fmt.Sprint(err), "ss -ulpn") {
		t.Errorf("a taken port: %v", err)
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("a source of no groups")
	}
	for _, to := range []string{"127.0.0.1:5000", "239.255.71.1:0"} {
		if _, err := NewSender(netip.MustParseAddrPort(to), "lo", 0); err == nil {
			t.Errorf("a sender to %s", to)
		}
	}
	if _, err := NewSender(netip.AddrPortFrom(groupA, port), "lo", 256); err == nil {
		t.Error("TTL 256")
	}
}

// TestNoAllocation: neither Poll nor Send allocates once warm.
func TestNoAllocation(t *testing.T) {
	to := netip.AddrPortFrom(groupA, freePort(t))
	s := open(t, Options{Groups: []Group{{Group: to, Interface: "lo"}}})
	send := sender4(t, to)
	out := [][]byte{make([]byte, 200), make([]byte, 100)}
	packets := make([]nic.Packet, 64)
	got := 0
	turn := func() {
		if _, err := send.Send(out); err != nil {
			t.Fatal(err)
		}
		n, err := s.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("%g allocations a turn", n)
	}
	if got < 300 {
		t.Errorf("only %d packets came", got)
	}
}

// BenchmarkPoll is what a packet costs from the kernel's socket to us, by bursts of 64.
//
//	budget  0 allocs/op
func BenchmarkPoll(b *testing.B) {
	to := netip.AddrPortFrom(groupA, freePort(b))
	s := open(b, Options{Groups: []Group{{Group: to, Interface: "lo"}}})
	send := sender4(b, to)
	out := make([][]byte, burst)
	for i := range out {
		out[i] = make([]byte, 200)
	}
	packets := make([]nic.Packet, burst)
	var spent time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := send.Send(out); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		got, err := s.Poll(packets)
		spent += time.Since(begin)
		if err != nil {
			b.Fatal(err)
		}
		n += got
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/packet")
}
