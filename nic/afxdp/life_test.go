package afxdp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// TestChild is no test: it is the process that TestKilled kills. It receives until then.
func TestChild(t *testing.T) {
	if os.Getenv("AFXDP_CHILD") == "" {
		t.Skip("started by TestKilled")
	}
	var h Host
	s, err := h.Open(small(on("feed0", groupA)))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	packets := make([]nic.Packet, 64)
	for told := false; ; {
		n, err := s.Poll(packets)
		if err != nil {
			os.Exit(1)
		}
		if n > 0 && !told {
			told = true
			fmt.Println("receiving")
		}
		if n == 0 {
			_ = s.Wait(time.Millisecond)
		}
	}
}

// TestKilled: a receiver is killed while packets stream. Until then a second one is refused and told whose the queue is, and an
// ordinary socket gets nothing; from then on the socket gets them, and a new receiver can start.
func TestKilled(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "AFXDP_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Rx.Do(child.Start); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill() }()

	var stop atomic.Bool
	var sent atomic.Uint64
	ended := make(chan struct{})
	send := sender(t, p, groupA, "gen0")
	go func() {
		defer close(ended)
		for i := uint64(1); !stop.Load(); i++ {
			if _, err := send.Send([][]byte{binary.BigEndian.AppendUint64(nil, i)}); err != nil {
				t.Error(err)
				return
			}
			sent.Store(i)
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { stop.Store(true); <-ended }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "receiving\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	var plain *udp.Source
	if err := p.Rx.Do(func() (err error) {
		plain, err = udp.Open(udp.Options{Groups: []udp.Group{{Group: groupA, Interface: "feed0"}}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer plain.Close()

	var second Host
	err = p.Rx.Do(func() error { _, err := second.Open(small(on("feed0", groupB))); return err })
	if err == nil || !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", child.Process.Pid)) {
		t.Errorf("a second receiver: %v", err)
	}
	packets := make([]nic.Packet, 64)
	if n, err := plain.Poll(packets); n != 0 || err != nil {
		t.Errorf("%d packets took both paths, %v", n, err)
	}

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	last, killed := sent.Load(), time.Now()
	_ = child.Wait()
	var first uint64
	for {
		n, err := plain.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			first = binary.BigEndian.Uint64(packets[0].Data)
			break
		}
		if time.Since(killed) > patience {
			t.Fatal("no packet reaches an ordinary socket")
		}
		_ = plain.Wait(time.Millisecond)
	}
	// Packets a millisecond apart are the clock: it is slow where the machine is.
	t.Logf("packets reach an ordinary socket %v after the kill, all but the %d sent meanwhile", time.Since(killed), first-last-1)
	if first > last+100 {
		t.Errorf("packet %d is the first that reaches an ordinary socket, and %d was sent before the kill: more than 100 ms are missing", first, last)
	}
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	collect(t, s, 10, func(*nic.Packet) {})
	t.Logf("a new receiver has packets %v after the kill", time.Since(killed))
}

// TestAddRemove: a flow comes and goes a hundred times while another one streams; the stream loses nothing.
func TestAddRemove(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	for _, bare := range []bool{false, true} {
		var h Host
		o := Options{Groups: []Group{on("feed0", groupA)}, NoStamps: bare}
		s := open(t, p, &h, o)
		a, b := sender(t, p, groupA, "gen0"), sender(t, p, groupB, "gen0")
		const n = 20_000
		var sent, came, other atomic.Int64
		late := time.Now().Add(2 * patience)
		go func() {
			batch := make([][]byte, 8)
			for i := 0; i < n; i += len(batch) {
				for j := range batch {
					batch[j] = binary.BigEndian.AppendUint64(nil, uint64(i+j))
				}
				if _, err := a.Send(batch); err != nil {
					return // the test has ended; what is missing is seen below
				}
				sent.Add(int64(len(batch)))
				for came.Load()+2048 < sent.Load() { // the ring has room for twice as many: whoever polls may be without a processor for a while
					time.Sleep(time.Millisecond)
					if time.Now().After(late) {
						return
					}
				}
			}
		}()
		changed := make(chan error, 1)
		go func() {
			changed <- p.Rx.Do(func() error {
				for turn := 0; turn < 100; turn++ {
					flow, err := s.Add(on("feed0", groupB))
					if err != nil || int(flow) != turn+1 {
						return fmt.Errorf("turn %d: flow %d, %v", turn, flow, err)
					}
					if _, err := s.Add(on("feed0", groupB)); err == nil {
						return errors.New("a flow was added twice")
					}
					if _, err := b.Send([][]byte{binary.BigEndian.AppendUint64(nil, uint64(flow))}); err != nil {
						return err
					}
					for turn == 0 && other.Load() == 0 && time.Now().Before(late) { // of one at least the packet is to be seen, however busy the machine is
						time.Sleep(time.Millisecond)
					}
					if err := s.Remove(flow); err != nil {
						return err
					}
					if err := s.Remove(flow); err == nil {
						return errors.New("a flow was removed twice")
					}
				}
				return nil
			})
		}()
		next, others := uint64(0), 0
		packets := make([]nic.Packet, 64)
		for until := time.Now().Add(patience); next < n || others == 0; {
			got, err := s.Poll(packets)
			if err != nil {
				t.Fatal(err)
			}
			for i := range packets[:got] {
				k := &packets[i]
				number := binary.BigEndian.Uint64(k.Data)
				switch {
				case k.Flow != 0 && (number > uint64(k.Flow) || number < uint64(k.Flow) && !bare || k.Group != groupB):
					// A bare frame is known by its group alone: one that waited belongs to the flow that has the group now.
					t.Fatalf("flow %d: packet %d of %s", k.Flow, number, k.Group)
				case k.Flow != 0:
					others++
					other.Store(int64(others))
				case number != next:
					t.Fatalf("packet %d, want %d; %+v", number, next, s.Kernel())
				default:
					next++
				}
			}
			came.Store(int64(next))
			if time.Now().After(until) {
				_ = s.Refresh()
				t.Fatalf("%d packets of %d sent; %+v %+v", next, sent.Load(), *s.Counters(), s.Kernel())
			}
		}
		if err := <-changed; err != nil {
			t.Fatal(err)
		}
		// The other flow's packets came, waited when it was removed, or passed: none is unaccounted for.
		got := others
		for range 100 {
			k, _ := s.Poll(packets)
			got += k
		}
		if err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
		c, k := s.Counters(), s.Kernel()[0].Program
		if uint64(got)+c.Stray != k.Redirected-n || got == 0 {
			t.Errorf("bare %v: %d of the other flow, %d stray; %+v", bare, got, c.Stray, k)
		}
		if err := p.Rx.Do(func() error {
			for _, bad := range []Group{on("nosuch0", groupB), {Interface: "feed0", Group: groupB, Queue: 1}, {Interface: "feed0", Group: netip.MustParseAddrPort("10.0.0.1:5")}} {
				if _, err := s.Add(bad); err == nil {
					return fmt.Errorf("%+v was added", bad)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignFrames: what is not a flow of ours comes through the interface byte by byte as it was sent.
func TestForeignFrames(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	s := open(t, p, &h, small(on("feed0", groupA)))
	var in, out int
	if err := p.Rx.Do(func() (err error) { in, err = listenAll("feed0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(in)
	if err := p.Tx.Do(func() (err error) { out, err = rawSocket("gen0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(out)
	at := func(b []byte, at int, with ...byte) []byte { copy(b[at:], with); return b }
	plain := func() []byte { return frameTo(groupA, nil, []byte("a payload of some length")) }
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"ARP", append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 203, 0, 9}, make([]byte, 10)...)},
		{"PTP over Ethernet", append([]byte{1, 0x1B, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0x88, 0xF7, 0, 2}, make([]byte, 42)...)},
		{"PTP over UDP", frameTo(netip.MustParseAddrPort("224.0.1.129:319"), nil, make([]byte, 44))},
		{"IGMP query, with router alert", at(plain(), 14, 0x46, 0, 0, 36, 0, 0, 0, 0, 1, 2, 0, 0, 10, 203, 0, 2, 224, 0, 0, 1, 0x94, 4, 0, 0, 0x11, 0x64)},
		{"IGMP report, with router alert", at(frameTo(netip.MustParseAddrPort("224.0.0.22:1"), nil, []byte("sixteen bytes...")), 14, 0x46, 0xC0, 0, 44, 0, 0, 0, 0, 1, 2, 0, 0, 10, 203, 0, 2, 224, 0, 0, 22, 0x94, 4, 0, 0, 0x22, 0)},
		{"ping", at(at(plain(), 0, 2, 0, 0, 0, 0, 9), 23, 1, 0, 0, 10, 203, 0, 2, 10, 203, 0, 9, 8, 0)},
		{"first fragment of ours", at(plain(), 20, 0x20)},
		{"later fragment of ours", at(plain(), 20, 0, 7)},
		{"IP options", at(plain(), 14, 0x46)},
		{"ICMP to the group", at(plain(), 23, 1)},
		{"IPv6", append(append([]byte{0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xDD, 0x60, 0, 0, 0, 0, 8, 17, 1}, make([]byte, 32)...), 0, 1, 0, 2, 0, 8, 0, 0)},
		{"another port", frameTo(groupB, nil, []byte("x"))},
		{"an unknown tag", frameTo(groupA, []byte{0x81, 0, 0, 9}, []byte("x"))},
		{"UDP length that lies", at(plain(), 38, 0xFF)},
		{"TCP", at(at(plain(), 0, 2, 0, 0, 0, 0, 9), 23, 6)},
	} {
		if _, err := unix.Write(out, tc.frame); err != nil {
			t.Fatal(err)
		}
		if got := nextFrame(in, tc.frame[6:12]); !bytes.Equal(got, tc.frame) {
			t.Errorf("%s:\nsent %x\ncame %x", tc.name, tc.frame, got)
		}
	}
	// Ours does not come that way.
	if _, err := unix.Write(out, plain()); err != nil {
		t.Fatal(err)
	}
	collect(t, s, 1, func(k *nic.Packet) {
		if !bytes.Equal(k.Wire, plain()) {
			t.Errorf("came %x", k.Wire)
		}
	})
}

// listenAll is a socket that sees all frames that the kernel gets from an interface, with their tags.
func listenAll(name string) (int, error) {
	fd, err := rawSocket(name)
	if err != nil {
		return -1, err
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return -1, err
	}
	ll := at.(*unix.SockaddrLinklayer)
	ll.Protocol = uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xFF<<8)
	return fd, errors.Join(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1), unix.Bind(fd, ll),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}))
}

// nextFrame waits for a frame from a hardware address, and puts the tag back that the kernel took out of it.
func nextFrame(fd int, from []byte) []byte {
	b, aux := make([]byte, 2048), make([]byte, 256)
	for range 1000 {
		n, an, _, _, err := unix.Recvmsg(fd, b, aux, 0)
		if err != nil {
			return []byte(err.Error())
		}
		if !bytes.Equal(b[6:12], from) {
			continue
		}
		frame := bytes.Clone(b[:n])
		messages, _ := unix.ParseSocketControlMessage(aux[:an])
		for _, m := range messages {
			if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20 && binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
				tci, kind := binary.NativeEndian.Uint16(m.Data[16:]), binary.NativeEndian.Uint16(m.Data[18:])
				frame = append(frame[:12:12], append([]byte{byte(kind >> 8), byte(kind), byte(tci >> 8), byte(tci)}, frame[12:]...)...)
			}
		}
		return frame
	}
	return nil
}

// TestStrippedTag: a tag that the driver took out of the frame counts as one that is in it, and as the outer one of two; a program that cannot see it
// lets the frame pass, counted, and it is warned of. The sender's kernel puts the tag beside the frame, where its interface says that it would
// put it in by itself; so it comes out of the other end beside the frame too, as from a NIC that takes tags off.
func TestStrippedTag(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	for _, tc := range []struct {
		name string
		tags []tag // as they are pushed: the last one is the outer one, and the one beside the frame
		o    Options
		seen bool
	}{
		{"one", []tag{{unix.ETH_P_8021Q, 7}}, Options{}, true},
		{"the outer one of two", []tag{{unix.ETH_P_8021Q, 9}, {unix.ETH_P_8021AD, 7}}, Options{}, true},
		{"the inner one is ours", []tag{{unix.ETH_P_8021Q, 7}, {unix.ETH_P_8021AD, 9}}, Options{}, false},
		{"another one", []tag{{unix.ETH_P_8021Q, 8}}, Options{}, false},
		{"generic mode", []tag{{unix.ETH_P_8021Q, 7}}, Options{Mode: Generic}, false},
		{"without stamps", []tag{{unix.ETH_P_8021Q, 7}}, Options{NoStamps: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h Host
			g := on("feed0", groupA)
			g.VLAN = 7
			tc.o.Groups, tc.o.Ring, tc.o.Frames = []Group{g}, 512, 1024
			s := open(t, p, &h, tc.o)
			pushTags(t, p, tc.tags)
			blind := tc.o.Mode == Generic || tc.o.NoStamps
			if told := strings.Contains(strings.Join(s.Warnings(), "\n"), "ethtool -K feed0 rxvlan off"); told != blind {
				t.Errorf("warned: %v, want %v", told, blind)
			}
			numbered(t, sender(t, p, groupA, "gen0"), 0, 10)
			if !tc.seen {
				lost(t, s, 10, func(k *KernelCounters) (uint64, uint64) { return k.Program.NoFlow, k.Program.Redirected })
				return
			}
			i := 0
			collect(t, s, 10, func(k *nic.Packet) {
				if kind := binary.BigEndian.Uint16(k.Wire[12:]); k.VLAN != 7 || !bytes.Equal(k.Data, payload(i)) || kind == unix.ETH_P_8021AD || len(tc.tags) == 1 && kind != unix.ETH_P_IP {
					t.Errorf("packet %d: VLAN %d, %d bytes, frame %x", i, k.VLAN, len(k.Data), k.Wire[:24])
				}
				i++
			})
		})
	}
}

type tag struct{ kind, id uint16 }

// pushTags has gen0's kernel give every frame that it sends these tags, the last one beside the frame, until the test ends.
func pushTags(t *testing.T, p *netns.Pair, tags []tag) {
	t.Helper()
	ins := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for _, v := range tags {
		ins = append(ins, asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, int32(v.kind>>8|v.kind<<8)), asm.Mov.Imm(asm.R3, int32(v.id)), asm.FnSkbVlanPush.Call())
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: append(ins, asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prog.Close() })
	if err := p.Tx.Do(func() error {
		gen, err := netlink.LinkByName("gen0")
		if err != nil {
			return err
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: gen.Attrs().Index, Program: prog, Attach: ebpf.AttachTCXEgress})
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err
	}); err != nil {
		if errors.Is(err, ebpf.ErrNotSupported) {
			t.Skipf("this kernel cannot give frames tags as they leave (Linux 6.6 and later): %v", err)
		}
		t.Fatal(err)
	}
}

// TestTags: a group with a tag is joined on its VLAN's own interface, and it is told where there is none, or where the tag may be missing.
func TestTags(t *testing.T) {
	vlan := func(index, parent, id int, name string) netlink.Link {
		a := netlink.NewLinkAttrs()
		a.Index, a.ParentIndex, a.Name = index, parent, name
		return &netlink.Vlan{LinkAttrs: a, VlanId: id}
	}
	links := []netlink.Link{&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: 7, ParentIndex: 2}}, vlan(3, 2, 8, "a.8"), vlan(4, 1, 7, "b.7"), vlan(5, 2, 7, "a.7")}
	if l := over(links, 2, 7); l == nil || l.Attrs().Index != 5 {
		t.Errorf("VLAN 7 on interface 2 is %v", l)
	}
	if l := over(links, 2, 9); l != nil {
		t.Errorf("VLAN 9 on interface 2 is %v", l)
	}
	p := nstest.Pair(t, netns.Options{})
	var h Host
	g := on("feed0", groupA)
	g.VLAN = 7
	o := small(g)
	o.Mode = Generic // its program does not see tags that were taken off, and veth takes them off
	s := open(t, p, &h, o)
	w := strings.Join(s.Warnings(), "\n")
	if !strings.Contains(w, "no interface of VLAN 7 on feed0") || !strings.Contains(w, "ethtool -K feed0 rxvlan off") {
		t.Errorf("said:\n%s", w)
	}
	if f := s.Faces(); len(f) != 1 || f[0] != s.devices[0].index {
		t.Errorf("it hangs on %v", f)
	}
	if err := s.Rejoin(s.devices[0].index); err != nil {
		t.Error(err)
	}
}

// TestNoRights: without capabilities nothing is opened, and the error says which ones are missing.
func TestNoRights(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	err := p.Rx.Do(func() error { // on a thread that ends with it
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			return err
		}
		_, err := h.Open(small(on("feed0", groupA)))
		return err
	})
	if !errors.Is(err, ErrCapability) || !strings.Contains(fmt.Sprint(err), "CAP_NET_RAW") || !strings.Contains(fmt.Sprint(err), "AmbientCapabilities=") {
		t.Errorf("%v", err)
	}
}

// TestSteadyState: once warm, polling allocates nothing.
func TestSteadyState(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	for _, bare := range []bool{false, true} {
		var h Host
		s := open(t, p, &h, Options{Groups: []Group{on("feed0", groupA)}, Ring: 512, NoStamps: bare})
		send := sender(t, p, groupA, "gen0")
		packets, batch, got := make([]nic.Packet, 64), [][]byte{payload(100), payload(101)}, 0
		if n := testing.AllocsPerRun(200, func() {
			if _, err := send.Send(batch); err != nil {
				t.Fatal(err)
			}
			n, err := s.Poll(packets)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}); n != 0 {
			t.Errorf("bare %v: %v allocations a poll", bare, n)
		}
		if got < 200 {
			t.Errorf("bare %v: only %d packets came meanwhile", bare, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
