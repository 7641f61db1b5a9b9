package link

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic/udp"
)

const patience = 20 * time.Second

// open watches the receiving namespace of a pair.
func open(t *testing.T, p *netns.Pair) *Watch {
	t.Helper()
	var w *Watch
	if err := p.Rx.Do(func() (err error) {
		// The carrier of a new pair comes a moment after it: that is not what these tests wait for.
		for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
			if l, err := netlink.LinkByName("feed0"); err == nil && eventOf(l.Attrs()).State == Up {
				break
			}
		}
		w, err = Open()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// expect waits for an event of an interface; others' may come between, other ones of this may not.
func expect(t *testing.T, w *Watch, name string, want State) Event {
	t.Helper()
	for late := time.After(patience); ; {
		select {
		case e, ok := <-w.C():
			if !ok {
				t.Fatalf("the watch ended: %v", w.Err())
			}
			if e.Name != name {
				continue
			}
			if e.State != want {
				t.Fatalf("%s is %s, want %s", name, e.State, want)
			}
			return e
		case <-late:
			t.Fatalf("nothing is told of %s being %s", name, want)
		}
	}
}

func in(t *testing.T, ns *netns.NS, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatal(err)
	}
}

func named(name string, f func(netlink.Link) error) func() error {
	return func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return f(l)
	}
}

// TestFlap: set down and up, the carrier gone and back since the other end was set down and up, a new name, and the end.
func TestFlap(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	w := open(t, p)
	down, up := netlink.LinkSetDown, netlink.LinkSetUp
	in(t, p.Rx, named("feed0", down))
	first := expect(t, w, "feed0", Down)
	in(t, p.Rx, named("feed0", up))
	if e := expect(t, w, "feed0", Up); e.Index != first.Index || e.Index == 0 {
		t.Errorf("%+v after %+v", e, first)
	}
	in(t, p.Tx, named("gen0", down))
	expect(t, w, "feed0", Down)
	in(t, p.Tx, named("gen0", up))
	expect(t, w, "feed0", Up)
	in(t, p.Rx, named("feed1", netlink.LinkDel))
	late := time.After(patience)
	for gone := false; !gone; { // it may go down first
		select {
		case e := <-w.C():
			gone = e.Name == "feed1" && e.State == Gone
		case <-late:
			t.Fatal("nothing is told of feed1 being gone")
		}
	}
}

// TestOverrun: of a hundred changes that nobody takes, the last one is told.
func TestOverrun(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	w := open(t, p)
	if err := w.sub.SetReceiveBufferSize(4096, false); err != nil {
		t.Fatal(err)
	}
	in(t, p.Rx, func() error {
		for range 50 {
			l := netlink.NewLinkAttrs()
			l.Name = "other0"
			d := &netlink.Veth{LinkAttrs: l, PeerName: "other1"}
			if err := netlink.LinkAdd(d); err != nil {
				return err
			}
			if err := netlink.LinkDel(d); err != nil {
				return err
			}
		}
		return named("feed0", netlink.LinkSetDown)()
	})
	expect(t, w, "feed0", Down)
}

// TestOverrunWhileLooking: once messages are lost the kernel drops further ones without another word until all that waits was taken, so a change that comes while
// the interfaces are listed anew must not be missed. The watch is held there by not taking what it tells.
func TestOverrunWhileLooking(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	w := open(t, p)
	if err := w.sub.SetReceiveBufferSize(4096, false); err != nil {
		t.Fatal(err)
	}
	add := func(name string) error {
		l := netlink.NewLinkAttrs()
		l.Name = name
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: l, PeerName: name + "p"})
	}
	in(t, p.Rx, func() error {
		if err := add("first"); err != nil { // the watch waits for this to be taken, and more comes than there is room for
			return err
		}
		for range 50 {
			if err := add("other"); err != nil {
				return err
			}
			l, err := netlink.LinkByName("other")
			if err == nil {
				err = netlink.LinkDel(l)
			}
			if err != nil {
				return err
			}
		}
		for k := range 4 {
			if err := add(fmt.Sprintf("late%d", k)); err != nil {
				return err
			}
		}
		return nil
	})
	for late := time.After(patience); ; { // one of those that only a new list tells of
		select {
		case e := <-w.C():
			if !strings.HasPrefix(e.Name, "late") {
				continue
			}
		case <-late:
			t.Fatal("nothing is told of the interfaces that were there when messages were lost")
		}
		break
	}
	in(t, p.Rx, named("feed0", netlink.LinkSetDown))
	expect(t, w, "feed0", Down)
}

// TestClose: a watch that nobody listens to ends all the same, more than once.
func TestClose(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	w := open(t, p)
	in(t, p.Rx, named("feed0", netlink.LinkSetDown)) // an event that waits to be taken
	w.Close()
	w.Close()
	for late := time.After(patience); ; {
		select {
		case _, ok := <-w.C():
			if !ok {
				if err := w.Err(); err != nil {
					t.Error(err)
				}
				return
			}
		case <-late:
			t.Fatal("it goes on")
		}
	}
}

// TestStats: the counters are those of the interface, in the namespace that was asked.
func TestStats(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var s *Stats
	index := 0
	if err := p.Rx.Do(func() (err error) {
		l, err := netlink.LinkByName("feed0")
		if err != nil {
			return err
		}
		index = l.Attrs().Index
		s, err = OpenStats()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after Counters
	if err := s.Read(index, &before); err != nil {
		t.Fatal(err)
	}
	if err := p.Tx.Do(func() error {
		s, err := udp.NewSender(netip.MustParseAddrPort("233.54.12.111:26477"), "gen0", 1)
		if err != nil {
			return err
		}
		for range 10 {
			if _, err := s.Send([][]byte{make([]byte, 100)}); err != nil {
				return errors.Join(err, s.Close())
			}
		}
		return s.Close()
	}); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(patience); after.RxPackets < before.RxPackets+10 || after.RxBytes < before.RxBytes+10*142; time.Sleep(time.Millisecond) {
		if err := s.Read(index, &after); err != nil || time.Now().After(until) {
			t.Fatalf("%+v before, %+v after, %v", before, after, err)
		}
	}
	if after.RxErrors+after.RxCRC+after.RxMissed != 0 {
		t.Errorf("%+v", after)
	}
	if err := s.Read(99, &after); err == nil {
		t.Error("there are counters of an interface that is not there")
	}
}
