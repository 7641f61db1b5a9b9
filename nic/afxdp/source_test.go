package afxdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

var (
	groupA = netip.MustParseAddrPort("233.54.12.111:26477")
	groupB = netip.MustParseAddrPort("233.49.196.111:26477")
)

const patience = 20 * time.Second

// small options make set-up quick.
func small(groups ...Group) Options { return Options{Groups: groups, Ring: 512, Frames: 1024} }

func on(iface string, group netip.AddrPort) Group { return Group{Interface: iface, Group: group} }

// open opens a source in the receiving namespace; it is closed when the test ends.
func open(t testing.TB, p *netns.Pair, h *Host, o Options) *Source {
	t.Helper()
	var s *Source
	if err := p.Rx.Do(func() (err error) { s, err = h.Open(o); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sender(t testing.TB, p *netns.Pair, group netip.AddrPort, iface string) *udp.Sender {
	t.Helper()
	var s *udp.Sender
	if err := p.Tx.Do(func() (err error) { s, err = udp.NewSender(group, iface, 1); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// numbered sends n datagrams that hold their number, of different lengths.
func numbered(t testing.TB, s *udp.Sender, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if _, err := s.Send([][]byte{payload(i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func payload(i int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(i)), bytes.Repeat([]byte{byte(i)}, i%1400)...)
}

// collect polls until n packets came or patience is over, and hands each to see.
func collect(t testing.TB, s *Source, n int, see func(*nic.Packet)) {
	t.Helper()
	packets := make([]nic.Packet, 64)
	for until := time.Now().Add(patience); n > 0; {
		got, err := s.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets[:got] {
			see(&packets[i])
		}
		n -= got
		if got == 0 {
			if time.Now().After(until) {
				_ = s.Refresh()
				t.Fatalf("%d packets are missing; %+v %+v", n, *s.Counters(), s.Kernel())
			}
			_ = s.Wait(10 * time.Millisecond)
		}
	}
}

// TestReceive: in every mode that veth has, with every program, the same packets come out, whole and in order, with line, sender and
// stamps; twice as many go round as there are chunks.
func TestReceive(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		name  string
		mode  Mode
		want  Mode
		plain bool
	}{{"zero-copy falls to copy", ZeroCopy, Copy, false}, {"copy", Copy, Copy, false}, {"generic", Generic, Generic, false}, {"plain", Copy, Copy, true}} {
		t.Run(tc.name, func(t *testing.T) {
			var h Host
			o := small(on("feed0", groupA), Group{Interface: "feed1", Group: groupB, Line: 1})
			o.Mode = tc.mode
			s := open(t, p, &h, o)
			if s.Mode() != tc.want {
				t.Errorf("mode %s, want %s; %v", s.Mode(), tc.want, s.Warnings())
			}
			if tc.plain {
				for _, d := range s.devices {
					if err := d.plain(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tc.mode == ZeroCopy && !strings.Contains(strings.Join(s.Warnings(), "\n"), "mode zerocopy: queue") && !strings.Contains(strings.Join(s.Warnings(), "\n"), "mode zerocopy: bind") {
				t.Errorf("no word of the mode that failed: %v", s.Warnings())
			}
			a, b := sender(t, p, groupA, "gen0"), sender(t, p, groupB, "gen1")
			next := [2]int{}
			before := uint64(time.Now().UnixNano())
			for range 20 {
				numbered(t, a, next[0], 100)
				numbered(t, b, next[1], 50)
				collect(t, s, 150, func(k *nic.Packet) {
					want := payload(next[k.Line])
					group, src := groupA, netip.MustParseAddr("10.203.0.2")
					if k.Line == 1 {
						group, src = groupB, netip.MustParseAddr("10.203.1.2")
					}
					if !bytes.Equal(k.Data, want) || k.Group != group || k.Src.Addr() != src || k.Flow != uint16(k.Line) || k.VLAN != 0 {
						t.Fatalf("line %d packet %d: %d bytes to %s from %s", k.Line, next[k.Line], len(k.Data), k.Group, k.Src)
					}
					switch now := uint64(time.Now().UnixNano()); {
					case tc.plain && (k.TsRecv != 0 || k.Stamp != nic.StampNone):
						t.Fatalf("a stamp %d of %s where there can be none", k.TsRecv, k.Stamp)
					case !tc.plain && (k.TsRecv < before || k.TsRecv > now || k.Stamp != nic.StampKernel):
						t.Fatalf("stamp %d of %s is not between %d and %d", k.TsRecv, k.Stamp, before, now)
					}
					next[k.Line]++
				})
			}
			if err := s.Refresh(); err != nil {
				t.Fatal(err)
			}
			c := s.Counters()
			if c.Packets != 3000 || c.Frames != 3000 || c.BadFrames+c.Stray+c.Malformed != 0 {
				t.Errorf("%+v", *c)
			}
			for i, k := range s.Kernel() {
				if k.Program.Redirected != []uint64{2000, 1000}[i] || k.RxDropped+k.RxRingFull+k.FillEmpty+k.Waiting != 0 {
					t.Errorf("%+v", k)
				}
			}
			balance(t, s)
		})
	}
}

// balance checks that no chunk is lost: each is in the fill ring, waits, or is held (copy mode: the driver has none).
func balance(t *testing.T, s *Source) {
	t.Helper()
	for _, q := range s.queues {
		if n := int(q.fill.between()) + int(q.rx.between()) + len(q.held); n != q.chunks {
			t.Errorf("%s queue %d: %d chunks of %d: fill %d, waiting %d, held %d", q.dev.name, q.id, n, q.chunks, q.fill.between(), q.rx.between(), len(q.held))
		}
	}
}

// TestOthersPass: TCP, ping and groups that nobody asked for take the kernel's path while flows are redirected.
func TestOthersPass(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	other := netip.MustParseAddrPort("233.54.12.111:26478") // our group, another port
	var plain *udp.Source
	var l net.Listener
	if err := p.Rx.Do(func() (err error) {
		if plain, err = udp.Open(udp.Options{Groups: []udp.Group{{Group: other, Interface: "feed0"}}}); err != nil {
			return err
		}
		l, err = net.Listen("tcp4", "10.203.0.1:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	numbered(t, sender(t, p, groupA, "gen0"), 0, 50)
	numbered(t, sender(t, p, other, "gen0"), 0, 50)
	if err := p.Tx.Do(func() error { // ARP first, then TCP both ways
		c, err := net.DialTimeout("tcp4", l.Addr().String(), patience)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		sent := bytes.Repeat([]byte("tick"), 10_000)
		if _, err := c.Write(sent); err != nil {
			return err
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
			return fmt.Errorf("echo: %v", err)
		}
		return ping("10.203.0.1")
	}); err != nil {
		t.Error(err)
	}
	collect(t, s, 50, func(*nic.Packet) {})
	packets := make([]nic.Packet, 64)
	got := 0
	for until := time.Now().Add(patience); got < 50 && time.Now().Before(until); {
		n, err := plain.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	c := s.Kernel()[0].Program
	if got != 50 || c.Redirected != 50 || c.NoFlow < 50 || c.NotGroup < 10 || c.NotIP == 0 {
		t.Errorf("%d of the other port; %+v", got, c)
	}
	sum := c.NotIP + c.IPOptions + c.NotGroup + c.NotUDP + c.Fragment + c.Malformed + c.NoFlow + c.Dropped + c.MetaFail + c.Redirected + c.NoSocket + c.WrongQueue
	if sum != c.Seen {
		t.Errorf("%d frames seen, %d accounted for: %+v", c.Seen, sum, c)
	}
}

// ping sends one echo request and waits for its answer.
func ping(to string) error {
	c, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		return err
	}
	defer c.Close()
	request := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}
	binary.BigEndian.PutUint16(request[2:], 0xFFFF-(0x0800+0x1234+1))
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.WriteTo(request, &net.IPAddr{IP: net.ParseIP(to)}); err != nil {
		return err
	}
	b := make([]byte, 256)
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return fmt.Errorf("no answer to ping: %w", err)
		}
		if n >= 8 && b[0] == 0 && b[4] == 0x12 {
			return nil
		}
	}
}

// TestFlows: VLAN tags, senders that were not asked for, flows that come and go.
func TestFlows(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	only := on("feed0", groupB)
	only.SourceIP = netip.MustParseAddr("10.203.0.77")
	tagged := Group{Interface: "feed0", Group: groupA, VLAN: 7, Line: 1}
	s := open(t, p, &h, small(on("feed0", groupA), tagged, only))
	numbered(t, sender(t, p, groupB, "gen0"), 0, 5)
	var raw int
	if err := p.Tx.Do(func() (err error) { raw, err = rawSocket("gen0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	for _, tags := range [][]byte{nil, {0x81, 0, 0, 7}, {0x88, 0xA8, 0, 7, 0x81, 0, 0, 9}, {0x81, 0, 0, 8}} {
		if _, err := unix.Write(raw, frameTo(groupA, tags, []byte(fmt.Sprint(len(tags))))); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	collect(t, s, 3, func(k *nic.Packet) { got = append(got, fmt.Sprintf("%s:%d:%d:%d", k.Data, k.VLAN, k.Line, k.Flow)) })
	if strings.Join(got, " ") != "0:0:0:0 4:7:1:1 8:7:1:1" {
		t.Errorf("got %v", got)
	}
	if c := s.Counters(); c.Foreign != 5 {
		t.Errorf("%+v", *c)
	}
	// A second source of the same process joins on the same interface and leaves, and disturbs nobody: another group, but the queue is taken.
	err := p.Rx.Do(func() error { _, err := h.Open(small(on("feed0", netip.MustParseAddrPort("233.1.1.1:5")))); return err })
	if err == nil || !errors.Is(err, unix.EBUSY) {
		t.Errorf("a second socket on one queue: %v", err)
	}
	numbered(t, sender(t, p, groupA, "gen0"), 0, 10)
	collect(t, s, 10, func(*nic.Packet) {})
}

// frameTo is an Ethernet frame with a datagram to a group from 10.203.0.2.
func frameTo(group netip.AddrPort, tags, data []byte) []byte {
	g := group.Addr().As4()
	b := append([]byte{1, 0, 0x5E, g[1] & 0x7F, g[2], g[3], 2, 0, 0, 0, 0, 1}, tags...)
	b = append(b, 8, 0, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(data)))
	b = append(b, 0, 0, 0, 0, 1, 17, 0, 0, 10, 203, 0, 2)
	b = append(b, g[:]...)
	b = append(b, 0x12, 0x34)
	b = binary.BigEndian.AppendUint16(b, group.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(data)))
	return append(append(b, 0, 0), data...)
}

func rawSocket(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	face, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: face.Index})
}

// TestMultiQueue: on an interface with several queues a group is received on its own queue or on all of them.
func TestMultiQueue(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Queues: 2})
	var h Host
	g := on("feed0", groupA)
	g.Queue = AllQueues
	s := open(t, p, &h, small(g))
	if len(s.queues) != 2 {
		t.Fatalf("%d sockets", len(s.queues))
	}
	numbered(t, sender(t, p, groupA, "gen0"), 0, 100)
	collect(t, s, 100, func(*nic.Packet) {})
	var other Host
	for queue, want := range map[int]string{5: "2 receive queues in use, there is no queue 5", 1: fmt.Sprintf("process %d", os.Getpid())} {
		g.Queue = queue
		from := &other
		if queue == 5 {
			from = &h
		}
		err := p.Rx.Do(func() error { _, err := from.Open(small(g)); return err })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("queue %d: %v", queue, err)
		}
	}
}

// TestRefusals: what cannot be opened says why, and leaves nothing behind.
func TestRefusals(t *testing.T) {
	p := nstest.Pair(t, netns.Options{MTU: 3000})
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no groups"},
		{small(on("nosuch0", groupA)), "interface nosuch0"},
		{small(on("feed0", groupA)), "MTU 3000"},
		{small(on("feed0", netip.MustParseAddrPort("10.0.0.1:5"))), "multicast"},
		{small(on("feed0", groupA), on("feed0", groupA)), "twice"},
		{Options{Groups: []Group{on("feed0", groupA)}, Ring: 100}, "power of two"},
		{Options{Groups: []Group{on("feed0", groupA)}, Ring: 64, Frames: 64}, "at least twice"},
		{Options{Groups: []Group{on("feed0", groupA)}, Mode: Copy, Least: ZeroCopy}, "least"},
		{Options{Groups: []Group{on("feed0", groupA)}, FrameSize: 4096, Ring: 64, Frames: 128, Mode: ZeroCopy, Least: ZeroCopy}, "mode zerocopy"},
	} {
		var h Host
		err := p.Rx.Do(func() error { _, err := h.Open(tc.o); return err })
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("want %q: %v", tc.want, err)
		}
		if len(h.devices) != 0 {
			t.Errorf("%q leaves %d interfaces open", tc.want, len(h.devices))
		}
	}
}

// TestWokenAgain: a kernel that says it waits for chunks is woken though no packet comes, at last after some polls, and not by each of them.
func TestWokenAgain(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	packets := make([]nic.Packet, 64)
	idle := func() uint64 {
		before := s.Counters().Kicks
		for range 10 * nudgeEvery {
			if n, err := s.Poll(packets); n != 0 || err != nil {
				t.Fatal(n, err)
			}
		}
		return s.Counters().Kicks - before
	}
	if n := idle(); n != 0 {
		t.Errorf("%d calls though the kernel waits for nothing", n)
	}
	atomic.StoreUint32(s.queues[0].fill.flags, unix.XDP_RING_NEED_WAKEUP) // as a driver does; veth never
	if n := idle(); n != 10 {
		t.Errorf("%d calls in %d polls", n, 10*nudgeEvery)
	}
}

// TestLadder: where the driver does not take the program, generic mode does, and it is said why; where the user wants no less than the driver's, nothing is opened.
func TestLadder(t *testing.T) {
	p := nstest.Pair(t, netns.Options{MTU: 3700}) // more than veth's XDP takes in one piece, less than a chunk
	for _, tc := range []struct {
		mode, least, want Mode
		tried             []string
	}{
		{ZeroCopy, Generic, Generic, []string{"mode zerocopy: attaching to feed0", "mode copy: attaching to feed0"}},
		{Copy, Generic, Generic, []string{"mode copy: attaching to feed0"}},
		{Generic, Generic, Generic, nil},
		{ZeroCopy, Copy, 0, []string{"mode zerocopy: attaching to feed0", "mode copy: attaching to feed0"}},
	} {
		var h Host
		o := small(on("feed0", groupA))
		o.FrameSize, o.Mode, o.Least = 4096, tc.mode, tc.least
		var s *Source
		err := p.Rx.Do(func() (err error) { s, err = h.Open(o); return err })
		said := fmt.Sprint(err)
		if err == nil {
			said = strings.Join(s.Warnings(), "\n")
			if s.Mode() != tc.want {
				t.Errorf("%s to %s: mode %s, want %s", tc.mode, tc.least, s.Mode(), tc.want)
			}
			long := bytes.Repeat([]byte("long"), 900)
			if _, err := sender(t, p, groupA, "gen0").Send([][]byte{long}); err != nil {
				t.Fatal(err)
			}
			collect(t, s, 1, func(k *nic.Packet) {
				if !bytes.Equal(k.Data, long) {
					t.Errorf("%d bytes came", len(k.Data))
				}
			})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else if tc.want != 0 {
			t.Errorf("%s to %s: %v", tc.mode, tc.least, err)
		}
		if tc.want == 0 && err == nil {
			t.Errorf("%s to %s was opened", tc.mode, tc.least)
		}
		for _, what := range tc.tried {
			if !strings.Contains(said, what) {
				t.Errorf("%s to %s: no word of %q in\n%s", tc.mode, tc.least, what, said)
			}
		}
	}
}

// TestAskedForTime: where the NIC's time is wanted the program asks for it, and where a frame has none the kernel's stands in.
func TestAskedForTime(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	for _, asked := range []bool{true, false} {
		var h Host
		o := small(on("feed0", groupA))
		if asked {
			o.Stamp = func(string) func(uint64) (uint64, bool) {
				return func(hw uint64) (uint64, bool) {
					t.Errorf("a stamp %d of a device that has no clock", hw)
					return hw, true
				}
			}
		}
		s := open(t, p, &h, o)
		numbered(t, sender(t, p, groupA, "gen0"), 0, 20)
		collect(t, s, 20, func(k *nic.Packet) {
			if k.Stamp != nic.StampKernel {
				t.Errorf("a stamp of %s", k.Stamp)
			}
		})
		if err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
		none, never := uint64(20), uint64(0)
		if !asked {
			none, never = never, none
		}
		if c := s.Kernel()[0].Program; c.StampOK != 0 || c.StampNone != none || c.StampNever != never || s.Counters().Hardware != 0 {
			t.Errorf("asked %v: %+v", asked, c)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOtherMeta: findings of another version than ours, or that lead out of the frame, are no packet; nor is what lies in a chunk from before read where the
// program puts nothing in front.
func TestOtherMeta(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    bpf.Meta
		ok   bool
	}{
		{"ours", bpf.Meta{Version: bpf.MetaVersion, Payload: leastHead}, true},
		{"none: the chunk is as it was mapped", bpf.Meta{}, false},
		{"a later version", bpf.Meta{Version: bpf.MetaVersion + 1, Payload: leastHead}, false},
		{"a payload before the headers' end", bpf.Meta{Version: bpf.MetaVersion, Payload: leastHead - 1}, false},
		{"a payload behind the frame", bpf.Meta{Version: bpf.MetaVersion, Payload: 1500}, false},
	} {
		s, q, kernel := fakeQueue(false)
		*(*bpf.Meta)(q.umem.before(headroom)) = tc.m
		kernel.submit(1)
		packets := make([]nic.Packet, 1)
		if n, err := s.Poll(packets); (n == 1) != tc.ok || err != nil || (s.counters.BadFrames == 0) != tc.ok {
			t.Errorf("%s: %d packets, %v, %+v", tc.name, n, err, s.counters)
		}
	}
	s, q, kernel := fakeQueue(true)
	*(*bpf.Meta)(q.umem.before(headroom)) = bpf.Meta{HWNs: 5, TAINs: 5, Flow: 77, TCI: 9, Source: bpf.SourceHW, Version: bpf.MetaVersion, Payload: 1500}
	kernel.submit(1)
	packets := make([]nic.Packet, 1)
	if n, err := s.Poll(packets); n != 1 || err != nil || packets[0].TsRecv != 0 || packets[0].Stamp != nic.StampNone || packets[0].VLAN != 0 || packets[0].Flow != 0 {
		t.Errorf("%d packets, %v: %+v", n, err, packets[0])
	}
}

// before is where findings lie that belong to the frame at an address.
func (u *umem) before(addr uint64) unsafe.Pointer { return unsafe.Add(u.base, addr-bpf.MetaBytes) }

// TestInterfaceGone: a source whose interface vanished says so.
func TestInterfaceGone(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	if err := p.Rx.Do(func() error {
		l, err := netlink.LinkByName("feed0")
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	}); err != nil {
		t.Fatal(err)
	}
	packets := make([]nic.Packet, 8)
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_ = s.Refresh()
		if _, err := s.Poll(packets); err != nil {
			if !strings.Contains(err.Error(), "interface feed0 is gone") {
				t.Error(err)
			}
			return
		}
		if time.Now().After(until) {
			t.Fatal("nothing was said")
		}
	}
}

// TestNoRoomForMeta: where a driver has no room in front of a packet, the plain program takes over, and nothing is misread.
func TestNoRoomForMeta(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	d := s.devices[0]
	// What such a driver looks like from here: frames seen, none redirected, meta_fail moves.
	var per []bpf.Counters
	if err := d.maps[bpf.MapCounts].Lookup(uint32(0), &per); err != nil {
		t.Fatal(err)
	}
	per[0].Seen, per[0].MetaFail = 4, 4
	if err := d.maps[bpf.MapCounts].Update(uint32(0), per, ebpf.UpdateAny); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	if program, why := d.running(); program != bpf.ProgramPlain || why == "" {
		t.Errorf("%s runs (%s)", program, why)
	}
	if w := strings.Join(s.Warnings(), "\n"); !strings.Contains(w, "feed0: program rx_plain runs, since driver veth keeps no room") {
		t.Errorf("nobody is told:\n%s", w)
	}
	numbered(t, sender(t, p, groupA, "gen0"), 0, 100)
	i := 0
	collect(t, s, 100, func(k *nic.Packet) {
		if !bytes.Equal(k.Data, payload(i)) || k.Stamp != nic.StampNone {
			t.Fatalf("packet %d: %d bytes, stamp of %s", i, len(k.Data), k.Stamp)
		}
		i++
	})
}

// TestHardwareStamp: the NIC's time goes through the converter, and what it does not trust falls back to the kernel's.
func TestHardwareStamp(t *testing.T) {
	var s Source
	convert := func(hw uint64) (uint64, bool) { return hw + 5, hw != 13 }
	var k nic.Packet
	for _, tc := range []struct {
		m    bpf.Meta
		ts   uint64
		from nic.StampSource
	}{
		{bpf.Meta{HWNs: 1000, TAINs: 50, Source: bpf.SourceHW}, 1005, nic.StampHardware},
		{bpf.Meta{HWNs: 13, TAINs: 50, Source: bpf.SourceHW}, 13, nic.StampKernel},
		{bpf.Meta{TAINs: 50, Source: bpf.SourceXDP}, 13, nic.StampKernel},
	} {
		if s.stamp(&k, &tc.m, convert, 37); k.TsRecv != tc.ts || k.Stamp != tc.from {
			t.Errorf("%+v: %d of %s", tc.m, k.TsRecv, k.Stamp)
		}
	}
	if s.counters.Hardware != 1 || s.counters.Distrust != 1 || s.counters.Kernel != 2 {
		t.Errorf("%+v", s.counters)
	}
}
