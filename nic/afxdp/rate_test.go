package afxdp

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
)

var (
	flowRate = flag.Float64("flowrate", 500_000, "packets a second of the flow that TestChangesAtRate leaves alone")
	flowFor  = flag.Duration("flowfor", 4*time.Second, "how long it does, with stamps and without")
)

// TestChangesAtRate: half a million packets a second of one flow, each with its number, while others come and go beside it, three of them in the flow's own
// bucket of the program's table. Not one of its packets is lost by that: every one that the sender's kernel handed over is received, in order, or
// found the receive ring full, because a busy machine ran the receiver too late, and is counted as such; and none was ever passed to the
// kernel, or met a table that did not know its flow.
func TestChangesAtRate(t *testing.T) {
	for _, bare := range []bool{false, true} {
		t.Run(map[bool]string{false: "stamped", true: "bare"}[bare], func(t *testing.T) {
			p := nstest.Pair(t, netns.Options{})
			for range 3 { // a run in which the receiver was always in time says most
				if changesAtRate(t, p, bare) == 0 {
					return
				}
			}
		})
	}
}

// changesAtRate returns how many packets found the ring full.
func changesAtRate(t *testing.T, p *netns.Pair, bare bool) uint64 {
	span := *flowFor
	if testing.Short() || raceEnabled {
		span = min(span, time.Second)
	}
	var h Host
	s := open(t, p, &h, Options{Groups: []Group{on("feed0", groupA)}, Ring: 1 << 16, NoStamps: bare})
	frame := frameTo(groupA, nil, make([]byte, 100))
	load, err := liveload.New(p.Tx, frame, leastHead, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(load.Close)

	type sent struct {
		n    int
		took time.Duration
		err  error
	}
	made := make(chan sent, 1)
	var over atomic.Bool
	go func() {
		var out sent
		out.err = p.Tx.Do(func() (err error) {
			tie(0)
			out.n, out.took, err = load.Send(0, int(*flowRate*span.Seconds()), *flowRate)
			return err
		})
		made <- out
	}()
	type changes struct {
		n   int
		err error
	}
	changed := make(chan changes, 1)
	beside := neighbours()
	go func() {
		var c changes
		c.err = p.Rx.Do(func() error {
			for !over.Load() {
				var flows []uint16
				for _, g := range beside {
					flow, err := s.Add(on("feed0", g))
					if err != nil {
						return err
					}
					flows = append(flows, flow)
				}
				for _, flow := range flows {
					if err := s.Remove(flow); err != nil {
						return err
					}
				}
				c.n += 2 * len(flows)
				time.Sleep(time.Millisecond) // a receiver on a machine of two cores has to run too
			}
			return nil
		})
		changed <- c
	}()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if unix.SchedGetaffinity(0, &before) == nil {
		tie(runtime.NumCPU() - 1)
		defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	}
	packets, last, came, missing := make([]nic.Packet, 64), uint64(0), uint64(0), uint64(0)
	var sum sent
	for done, quiet := false, time.Now(); ; {
		n, err := s.Poll(packets)
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets[:n] {
			number := binary.BigEndian.Uint64(packets[i].Data)
			if number <= last || packets[i].Flow != 0 {
				t.Fatalf("packet %d of flow %d after %d", number, packets[i].Flow, last)
			}
			missing += number - last - 1
			last = number
		}
		if came += uint64(n); n > 0 {
			continue
		}
		if !done {
			select {
			case sum = <-made:
				done, quiet = true, time.Now()
				over.Store(true)
			default:
			}
		} else if time.Since(quiet) > 100*time.Millisecond {
			break
		}
	}
	c := <-changed
	if err := errors.Join(sum.err, c.err); err != nil {
		t.Fatal(err)
	}
	missing += uint64(sum.n) - last
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	k, own := s.Kernel()[0], *s.Counters()
	t.Logf("%d packets at %.0f a second, %d changes: %d came, %d found the ring full, %d never reached the program", sum.n, float64(sum.n)/sum.took.Seconds(), c.n,
		came, k.RxRingFull, uint64(sum.n)-k.Program.Redirected)
	if c.n < 100 || came < uint64(sum.n)/2 {
		t.Errorf("%d changes beside %d packets that came of %d prove nothing", c.n, came, sum.n)
	}
	if x := k.Program; x.NoFlow+x.NoSocket+x.WrongQueue+x.MetaFail+x.Dropped+x.Malformed != 0 || own.Stray+own.Foreign+own.BadFrames+own.Malformed != 0 {
		t.Errorf("packets met a table that did not know them: %+v %+v", x, own)
	}
	// What the driver had no room for never reached the program: the interface's own count of it.
	if in := uint64(sum.n) - k.Program.Redirected; in != 0 {
		if counted := drops(t, p); in > counted {
			t.Errorf("%d packets never reached the program, and the interfaces count %d", in, counted)
		}
	}
	if lost := missing - (uint64(sum.n) - k.Program.Redirected); came+missing != uint64(sum.n) || lost != k.RxRingFull+k.RxDropped || k.FillEmpty != k.RxDropped {
		t.Errorf("%d came, %d are missing of %d; counted: %+v", came, missing, sum.n, k)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return k.RxRingFull
}

// neighbours are groups beside A: three in its own bucket of the program's table (flows.go of package bpf), and some elsewhere.
func neighbours() (groups []netip.AddrPort) {
	bucket := func(g netip.AddrPort) uint64 {
		k, _ := bpf.Key(g, 0)
		return uint64(k) * 0x9E3779B97F4A7C15 >> 52
	}
	for port := uint16(20_000); len(groups) < 3; port++ {
		if g := netip.AddrPortFrom(groupB.Addr(), port); bucket(g) == bucket(groupA) {
			groups = append(groups, g)
		}
	}
	for port := range uint16(5) {
		groups = append(groups, netip.AddrPortFrom(netip.AddrFrom4([4]byte{233, 1, 1, byte(port)}), 7000+port))
	}
	return groups
}

// tie ties the calling thread to a core.
func tie(core int) {
	var set unix.CPUSet
	set.Set(core)
	_ = unix.SchedSetaffinity(0, &set) // without the right to, it runs where it may
}

// drops is what both ends of the pair count as dropped.
func drops(t *testing.T, p *netns.Pair) (n uint64) {
	t.Helper()
	for _, end := range []struct {
		ns   *netns.NS
		name string
	}{{p.Rx, "feed0"}, {p.Tx, "gen0"}} {
		if err := end.ns.Do(func() error {
			l, err := netlink.LinkByName(end.name)
			if err != nil {
				return err
			}
			st := l.Attrs().Statistics
			if st == nil {
				return fmt.Errorf("%s: no statistics", end.name)
			}
			n += st.RxDropped + st.TxDropped
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
