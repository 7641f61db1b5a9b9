package afxdp

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

// pollers are the numbers of an interface's pollers, as the kernel lists them: veth does not say which is a queue's.
func pollers(index int) (ids []uint32, err error) {
	out, err := netdev(netdevNapiGet, unix.NLM_F_DUMP, nl.NewRtAttr(1, nl.Uint32Attr(uint32(index))))
	for _, m := range out {
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return nil, err
		}
		for _, a := range attrs {
			if a.Attr.Type == napiID {
				ids = append(ids, uint32(number(a.Value)))
			}
		}
	}
	return ids, err
}

// TestPollerSettings: interrupts of one poller are put off, and come back as they were.
func TestPollerSettings(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	var h Host
	o := small(on("feed0", groupA))
	o.BusyPoll = true
	s := open(t, p, &h, o)
	if w := s.Warnings(); s.queues[0].napi == 0 && !warned(w, "busy polling does nothing here") {
		t.Errorf("no word of a driver that does not tell its poller: %q", w)
	}
	without := ""
	if err := p.Rx.Do(func() error {
		ids, err := pollers(s.devices[0].index)
		if errors.Is(err, errNoSuch) || err == nil && len(ids) == 0 {
			without = fmt.Sprintf("this kernel lists no pollers: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		id := ids[0]
		if err := napiSet(id, 3, 7000); errors.Is(err, errNoSuch) {
			without = fmt.Sprintf("Linux before 6.13: %v", err)
			return nil
		} else if err != nil {
			return err
		}
		n, err := deferInterrupts(id)
		if err != nil {
			return err
		}
		if times, ns, err := napiGet(id); err != nil || times != deferTimes || ns != flushNs {
			t.Errorf("%d times, %d ns, %v", times, ns, err)
		}
		if err := n.restore(); err != nil {
			return err
		}
		if times, ns, err := napiGet(id); err != nil || times != 3 || ns != 7000 {
			t.Errorf("put back: %d times, %d ns, %v", times, ns, err)
		}
		n.id = 1 << 30
		if err := n.restore(); err != nil {
			t.Errorf("a poller that is gone: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if without != "" {
		t.Skip(without)
	}
	for range 10 { // and frames come
		if err := s.BusyPoll(); err != nil {
			t.Fatal(err)
		}
	}
}

func warned(all []string, what string) bool {
	for _, w := range all {
		if strings.Contains(w, what) {
			return true
		}
	}
	return false
}

// TestInterfaceSettings: where a kernel has settings for whole interfaces only, they are put off and come back; what somebody set beforehand is left, so that no right
// to write is needed. The loopback's are of no use to anybody.
func TestInterfaceSettings(t *testing.T) {
	times, ns, err := sysfsGet("lo")
	if err == nil {
		err = sysfsSet("lo", times, ns)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("NAPI settings of lo cannot be written (root, and a /sys that is not read-only): %v", err)
	}
	defer func() {
		if err := sysfsSet("lo", times, ns); err != nil {
			t.Error(err)
		}
	}()
	is := func(wantTimes, wantNs uint64) {
		t.Helper()
		if times, ns, err := sysfsGet("lo"); err != nil || times != wantTimes || ns != wantNs {
			t.Errorf("%d times, %d ns, %v; want %d and %d", times, ns, err, wantTimes, wantNs)
		}
	}
	for _, before := range []struct {
		times, ns uint64
		ours      bool // to put back
	}{{3, 7000, true}, {deferTimes, flushNs, false}} {
		if err := sysfsSet("lo", before.times, before.ns); err != nil {
			t.Fatal(err)
		}
		d := &device{host: &Host{}, name: "lo"}
		if err := d.deferInterrupts(); err != nil {
			t.Fatal(err)
		}
		is(deferTimes, flushNs)
		if (d.pollers != nil) != before.ours {
			t.Errorf("%+v: to be put back: %+v", before, d.pollers)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
		is(before.times, before.ns)
	}
}
