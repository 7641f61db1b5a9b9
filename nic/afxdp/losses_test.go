package afxdp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// Where frames get lost between the wire and Poll, and what counts each. What the kernel says of a redirect that failed after the program had returned, by a
// tracepoint, is looked at beside: it is what somebody who hunts a loss turns to.
//
//	frame ──► program ──► redirect ──────────────► receive ring ──► Poll
//	           passed:      no socket bound: ENXIO    full: ENOBUFS, rx_ring_full
//	           counted      another queue's: EINVAL   no chunk: ENOMEM, fill_empty and rx_dropped
//	                                                  too long: ENOSPC, rx_dropped

// failures counts the redirects of a device's program that fail with an errno.
func failures(t *testing.T, d *device, errno unix.Errno) *meter.Tracepoint {
	t.Helper()
	info, err := d.programs[d.program].Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	c, err := meter.Count("xdp/xdp_redirect_err", meter.Everywhere, fmt.Sprintf("prog_id == %d && err == %d", id, -int(errno)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func failed(t *testing.T, c *meter.Tracepoint, want uint64) {
	t.Helper()
	if n, err := c.Value(); n != want || err != nil {
		t.Errorf("the kernel tells of %d redirects that failed for that reason, want %d; %v", n, want, err)
	}
}

// TestLosses: each way to lose a frame moves its counter, and none other.
func TestLosses(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	t.Run("ring full", func(t *testing.T) {
		var h Host
		o := small(on("feed0", groupA))
		o.Ring, o.Frames = 64, 256
		s := open(t, p, &h, o)
		why := failures(t, s.devices[0], unix.ENOBUFS)
		numbered(t, sender(t, p, groupA, "gen0"), 0, 90)
		lost(t, s, 90, func(k *KernelCounters) (uint64, uint64) {
			return k.RxRingFull, k.RxDropped + k.FillEmpty + k.InvalidDescs
		})
		collect(t, s, 64, func(*nic.Packet) {})
		if k := s.Kernel()[0]; k.RxRingFull != 26 {
			t.Errorf("%+v", k)
		}
		failed(t, why, 26)
		numbered(t, sender(t, p, groupA, "gen0"), 0, 30) // and it goes on
		collect(t, s, 30, func(*nic.Packet) {})
		balance(t, s)
	})
	t.Run("no chunk", func(t *testing.T) {
		var h Host
		o := small(on("feed0", groupA))
		o.Ring, o.Frames = 64, 128
		s := open(t, p, &h, o)
		q := s.queues[0]
		why := failures(t, s.devices[0], unix.ENOMEM)
		send := sender(t, p, groupA, "gen0")
		// Take descriptors without giving chunks back, as a receiver that keeps what it has does.
		for taken := 0; taken < 128; {
			numbered(t, send, taken, 32)
			for got := uint32(0); got < 32; {
				n := q.rx.available(32)
				q.rx.release(n)
				got += n
			}
			taken += 32
		}
		numbered(t, send, 0, 3)
		lost(t, s, 131, func(k *KernelCounters) (uint64, uint64) { return k.FillEmpty, k.RxRingFull + k.InvalidDescs })
		if k := s.Kernel()[0]; k.FillEmpty != 3 || k.RxDropped != 3 {
			t.Errorf("%+v", k)
		}
		failed(t, why, 3)
	})
	t.Run("a chunk given back wrongly", func(t *testing.T) {
		var h Host
		o := small(on("feed0", groupA))
		s := open(t, p, &h, o)
		q, send := s.queues[0], sender(t, p, groupA, "gen0")
		const bad = 3 * mostHeld
		for given := 0; given < bad; {
			numbered(t, send, given, 1)
			collect(t, s, 1, func(*nic.Packet) {})
			for i := range q.held {
				q.held[i] = 1 << 40
				given++
			}
		}
		numbered(t, send, 0, bad) // the kernel comes upon them
		collect(t, s, bad, func(*nic.Packet) {})
		for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			numbered(t, send, 0, 1)
			collect(t, s, 1, func(*nic.Packet) {})
			if err := s.Refresh(); err != nil {
				t.Fatal(err)
			}
			k := s.Kernel()[0]
			if k.RxDropped+k.RxRingFull+k.FillEmpty != 0 {
				t.Fatalf("others moved too: %+v", k)
			}
			if k.Astray >= bad-mostHeld && k.Astray <= bad {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("%d chunks were given back wrongly: %+v", bad, k)
			}
		}
	})
	t.Run("too long for a chunk", func(t *testing.T) {
		for _, end := range []struct {
			ns   *netns.NS
			name string
		}{{p.Rx, "feed0"}, {p.Tx, "gen0"}} {
			if err := end.ns.Do(func() error { return mtu(end.name, 1700) }); err != nil {
				t.Fatal(err)
			}
		}
		var h Host
		s := open(t, p, &h, small(on("feed0", groupA)))
		for _, end := range []struct {
			ns   *netns.NS
			name string
		}{{p.Rx, "feed0"}, {p.Tx, "gen0"}} { // behind our back
			if err := end.ns.Do(func() error { return mtu(end.name, 3000) }); err != nil {
				t.Fatal(err)
			}
		}
		why, send := failures(t, s.devices[0], unix.ENOSPC), sender(t, p, groupA, "gen0")
		if _, err := send.Send([][]byte{make([]byte, 2500)}); err != nil {
			t.Fatal(err)
		}
		lost(t, s, 1, func(k *KernelCounters) (uint64, uint64) { return k.RxDropped, k.RxRingFull + k.FillEmpty })
		failed(t, why, 1)
		if err := p.Rx.Do(func() error { _, err := h.Open(small(on("feed0", groupB))); return err }); err == nil || !strings.Contains(err.Error(), "MTU 3000") {
			// the interface is known to this host with the MTU of before: another one has to look anew
			var other Host
			err = p.Rx.Do(func() error { _, err := other.Open(small(on("feed0", groupB))); return err })
			if err == nil {
				t.Error("a second owner was let in")
			}
		}
	})
}

func mtu(name string, n int) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetMTU(l, n)
}

// lost waits until the program has seen n frames, and wants the named counter to have moved and the others not.
func lost(t *testing.T, s *Source, n uint64, counters func(*KernelCounters) (moved, others uint64)) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
		moved, others := counters(&s.Kernel()[0])
		if s.Kernel()[0].Program.Seen >= n && moved != 0 {
			if others != 0 {
				t.Errorf("others moved too: %+v", s.Kernel()[0])
			}
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the counter did not move: %+v", s.Kernel()[0])
		}
	}
}

// TestUnboundSocket: a socket that is not bound eats what is redirected to it, and counts nothing: only the program's own count of what it redirected
// tells, and the kernel's tracepoint. So a socket is bound before it is entered: one that could not be bound is in nobody's way.
func TestUnboundSocket(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	o := small(on("feed0", groupA))
	if err := o.defaults(); err != nil {
		t.Fatal(err)
	}
	var d *device
	unbound, foreign := &queue{fd: -1, mode: Copy}, &queue{fd: -1, mode: Copy}
	if err := p.Rx.Do(func() (err error) {
		if d, err = h.open("feed0", false, false, false); err != nil {
			return err
		}
		for _, q := range []*queue{unbound, foreign} {
			q.dev = d
			if q.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			if err = q.memory(&o); err != nil {
				return err
			}
		}
		return d.flow(&o.Groups[0], d.number())
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, q := range []*queue{unbound, foreign} {
			if err := q.close(); err != nil {
				t.Error(err)
			}
		}
		if err := d.release(); err != nil {
			t.Error(err)
		}
	})
	send := sender(t, p, groupA, "gen0")
	program := func(seen uint64) (c bpf.Counters) {
		t.Helper()
		for until := time.Now().Add(patience); c.Seen < seen; time.Sleep(time.Millisecond) {
			if err := d.counters(&c); err != nil || time.Now().After(until) {
				t.Fatalf("%+v, %v", c, err)
			}
		}
		return c
	}

	if err := d.maps[bpf.MapXsks].Put(uint32(0), uint32(unbound.fd)); err != nil {
		t.Fatal(err)
	}
	why := failures(t, d, unix.ENXIO)
	numbered(t, send, 0, 5)
	if c := program(5); c.Redirected != 5 || c.NoSocket != 0 {
		t.Errorf("%+v", c)
	}
	if st, err := unbound.statistics(); st != (unix.XDPStatistics{}) || err != nil || unbound.rx.between() != 0 {
		t.Errorf("the socket says %+v, %v", st, err)
	}
	failed(t, why, 5)
	if err := d.maps[bpf.MapXsks].Delete(uint32(0)); err != nil {
		t.Fatal(err)
	}

	// Somebody else's socket has the queue, so ours cannot be bound, and is not entered.
	if err := p.Rx.Do(func() error {
		if err := foreign.bind(Copy); err != nil {
			return err
		}
		begun := time.Now()
		q, err := openQueue(d, 0, Copy, &o)
		if err == nil {
			return fmt.Errorf("a second socket on one queue was opened: %v", q.close())
		}
		if took := time.Since(begun); took < bindFor || !strings.Contains(err.Error(), "bind: ") {
			return fmt.Errorf("after %v: %w", took, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	numbered(t, send, 0, 5)
	if c := program(10); c.Redirected != 5 || c.NoSocket != 5 {
		t.Errorf("%+v", c)
	}
	failed(t, why, 5)
}

// TestWrongQueue: a flow that comes in on another queue than it is steered to passes to the kernel, where an ordinary socket gets it, and is counted; a
// socket in another queue's place, which we never put there, would lose it.
func TestWrongQueue(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Queues: 2})
	send := sender(t, p, groupA, "gen0") // the same one, so that its packets take the same queue
	var plain *udp.Source
	if err := p.Rx.Do(func() (err error) {
		plain, err = udp.Open(udp.Options{Groups: []udp.Group{{Group: groupA, Interface: "feed0"}}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	right, wrong := -1, -1
	for queue := range 2 {
		var h Host
		g := on("feed0", groupA)
		g.Queue = queue
		s := open(t, p, &h, small(g))
		numbered(t, send, 0, 20)
		var c bpf.Counters
		for until := time.Now().Add(patience); c.Redirected+c.WrongQueue < 20; time.Sleep(time.Millisecond) {
			if err := s.Refresh(); err != nil || time.Now().After(until) {
				t.Fatalf("%+v, %v", s.Kernel(), err)
			}
			c = s.Kernel()[0].Program
		}
		switch {
		case c.Redirected == 20 && c.WrongQueue == 0:
			right = queue
			collect(t, s, 20, func(*nic.Packet) {})
		case c.WrongQueue == 20 && c.Redirected == 0:
			wrong = queue
			packets, got := make([]nic.Packet, 64), 0
			for until := time.Now().Add(patience); got < 20; {
				n, err := plain.Poll(packets)
				if err != nil || time.Now().After(until) {
					t.Fatalf("the kernel has %d packets of 20, %v", got, err)
				}
				got += n
			}
		default:
			t.Fatalf("queue %d: %+v", queue, c)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if right < 0 || wrong < 0 {
		t.Fatalf("packets come in on queue %d, and not on queue %d", right, wrong)
	}
	var h Host
	g := on("feed0", groupA)
	g.Queue = AllQueues
	s := open(t, p, &h, small(g))
	d := s.devices[0]
	if err := d.maps[bpf.MapXsks].Update(uint32(right), uint32(s.queue(d, wrong).fd), ebpf.UpdateAny); err != nil {
		t.Fatal(err)
	}
	why := failures(t, d, unix.EINVAL)
	numbered(t, send, 0, 5)
	for until := time.Now().Add(patience); s.Kernel()[0].Program.Redirected < 5; time.Sleep(time.Millisecond) {
		if err := s.Refresh(); err != nil || time.Now().After(until) {
			t.Fatalf("%+v, %v", s.Kernel(), err)
		}
	}
	for _, k := range s.Kernel() {
		if k.RxDropped+k.RxRingFull+k.FillEmpty+k.InvalidDescs+k.Waiting != 0 {
			t.Errorf("%+v", k)
		}
	}
	failed(t, why, 5)
}
