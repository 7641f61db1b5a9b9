package hwtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tuning"
)

// packets skips a test where packets can be neither sent nor taken; in CI it fails.
func packets(t *testing.T) {
	t.Helper()
	if why := rights(); why != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
}

// left is what runs of this process leave where others could see it.
func left(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{
		fmt.Sprintf("/run/netns/%s%d-*", netns.Prefix, os.Getpid()), fmt.Sprintf("/dev/shm/%s%d-*", scratchPrefix, os.Getpid()),
		filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-*", scratchPrefix, os.Getpid())),
	} {
		found, err := filepath.Glob(pattern)
		must(t, err)
		names = append(names, found...)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	must(t, err)
	for _, task := range tasks {
		if children, err := os.ReadFile(task); err == nil && len(bytes.TrimSpace(children)) > 0 { // a thread may have ended
			names = append(names, "child processes "+string(children))
		}
	}
	return names
}

// status wants a test of a report to have one of some statuses.
func status(t *testing.T, r *Report, id string, want ...tuning.Status) *Test {
	t.Helper()
	for i := range r.Groups {
		if k := r.Groups[i].test(id); k != nil {
			for _, w := range want {
				if k.Status == w {
					return k
				}
			}
			t.Errorf("%s is %s (%s; %s), want %v", id, k.Status, k.found(), k.Reason, want)
			return k
		}
	}
	t.Errorf("there is no test %s", id)
	return &Test{}
}

// sound wants what holds on any machine, however busy: counts that balance, functions that work, nothing that could not be made. Rates and times are
// the machine's own.
func sound(t *testing.T, r *Report) {
	t.Helper()
	for _, g := range r.Groups {
		for _, k := range g.Tests {
			if k.Status == tuning.Error || strings.HasSuffix(k.ID, ".made") {
				t.Errorf("%s could not be made: %s: %s", k.ID, k.Status, k.Reason)
			}
		}
	}
	for _, id := range []string{
		"nic.native_xdp", "nic.starved_recovers", "nic.starved_unexplained", "nic.stamps", "nic.multicast_filter", "receive.unexplained", "receive.disorder",
		"latency.lost", "failover.unplug.lost", "failover.flap.lost", "soak.unbalanced", "soak.lost", "soak.packets",
	} {
		if r.group(id[:strings.IndexByte(id, '.')]) != nil {
			status(t, r, id, tuning.Pass)
		}
	}
	if f := r.group("receive"); f != nil {
		for _, size := range []int{64, 512, 1500} {
			k := f.test(fmt.Sprintf("receive.rate.%d", size))
			if k == nil || k.Value == nil || *k.Value < 0 || len(k.Figures) < 4 {
				t.Errorf("rate of %d bytes: %+v", size, k)
			}
		}
	}
	if f := r.group("latency"); f != nil {
		p50, p99 := f.test("latency.stamp_to_ring.p50"), f.test("latency.stamp_to_ring.p99")
		if p50 == nil || p99 == nil || p50.Value == nil || *p50.Value <= 0 || *p50.Value > *p99.Value || len(f.Plots) != 1 || len(f.Plots[0].Lines) != 3 {
			t.Errorf("latency: %+v %+v, %d plots", p50, p99, len(f.Plots))
		}
	}
}

var overWires = []string{"nic", "receive", "latency", "failover", "soak"}

// TestQuick: every group that sends packets, over veth pairs of its own: what must hold holds, the pair is called what it is, and nothing is left.
func TestQuick(t *testing.T) {
	packets(t)
	o := childOptions{Profile: tuning.VM, Only: overWires, For: leastFor * 3}.options()
	last, shown := -1.0, 0
	o.Progress = func(_, _ string, done float64) {
		if shown++; done < last || done > 1 {
			t.Errorf("progress goes from %g to %g", last, done)
		}
		last = done
	}
	r, err := Run(t.Context(), o)
	must(t, err)
	sound(t, r)
	if len(r.Groups) != len(overWires) || shown == 0 || last != 1 {
		t.Errorf("%d groups, %d times progress, to %g", len(r.Groups), shown, last)
	}
	if r.Wires == nil || r.Wires.Kind != KindVeth || !strings.Contains(r.Wires.Note, "no NIC") {
		t.Errorf("the wires are %+v", r.Wires)
	}
	because := strings.Join(r.Because, "\n")
	if r.Qualified || !strings.Contains(because, "veth pair") || !strings.Contains(because, "a look") || !strings.Contains(because, "static") {
		t.Errorf("qualified: %v, because:\n%s", r.Qualified, because)
	}
	refused := status(t, r, "nic.zero_copy", tuning.Skip)
	if !strings.Contains(refused.Reason, "refuses zero-copy") {
		t.Errorf("zero-copy: %s", refused.Reason)
	}
	status(t, r, "nic.ntuple", tuning.Skip)
	status(t, r, "nic.hardware_stamps", tuning.Skip)
	status(t, r, "failover.reset", tuning.Skip)
	for _, id := range []string{"failover.unplug.noticed", "failover.unplug.back", "failover.flap.back", "failover.kill.noticed", "failover.kill.back"} {
		if k := status(t, r, id, tuning.Pass, tuning.Warn); k.Value == nil || *k.Value <= 0 {
			t.Errorf("%s took no time: %+v", id, k)
		}
	}
	if names := left(t); names != nil {
		t.Errorf("left: %v", names)
	}
	var doc, page, text bytes.Buffer
	must(t, errors.Join(r.JSON(&doc), r.HTML(&page), r.Text(&text, Style{})))
	again, err := Read(&doc)
	must(t, err)
	if c := Compare(r, again, 0); len(c.Changes) != 0 || c.Same == 0 {
		t.Errorf("a report differs from itself when it is read: %+v", c.Changes)
	}
	if n := strings.Count(page.String(), "<svg"); n != 2 {
		t.Errorf("%d pictures in the page, want the rates and the latency", n)
	}
	t.Logf("%s", text.String())
}

// TestCable: the same over ports that are named, here two veth pairs within one namespace; with one pair both lines go over it. Ports are as before afterwards.
func TestCable(t *testing.T) {
	packets(t)
	p := nstest.Pair(t, netns.Options{})
	must(t, p.Rx.Do(func() error {
		for _, name := range []string{"a", "b"} {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "port" + name
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "peer" + name}); err != nil {
				return err
			}
			for i, end := range []string{"port", "peer"} {
				_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+end+name+"/disable_ipv6", []byte("1"), 0)
				l, err := netlink.LinkByName(end + name)
				if err != nil {
					return err
				}
				addr, err := netlink.ParseAddr(fmt.Sprintf("10.204.%d.%d/24", name[0], i+1))
				if err == nil {
					err = netlink.AddrAdd(l, addr)
				}
				if err == nil && name == "a" {
					err = netlink.LinkSetUp(l)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}))
	inside := func(c *exec.Cmd) error { return p.Rx.Do(c.Start) }
	for _, tc := range []struct {
		name         string
		ports, peers []string
		only         []string
	}{
		{"two cables", []string{"porta", "portb"}, []string{"peera", "peerb"}, []string{"nic", "failover"}},
		{"one cable", []string{"porta"}, []string{"peera"}, []string{"nic", "latency", "failover"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := child(t, childOptions{Profile: tuning.Lab, Ports: tc.ports, Peers: tc.peers, Only: tc.only, For: leastFor}, inside)
			must(t, err)
			if r.Wires == nil || r.Wires.Kind != KindCable || !strings.HasPrefix(r.Wires.Rx, strings.Join(tc.ports, ", ")+" (veth") {
				t.Errorf("%+v", r.Wires)
			}
			if len(tc.ports) == 1 {
				status(t, r, "failover.unplug.lost", tuning.Skip).Status = tuning.Pass // for what follows, which wants two cables
			}
			sound(t, r)
			up := map[string]bool{}
			must(t, p.Rx.Do(func() error {
				links, err := netlink.LinkList()
				for _, l := range links {
					up[l.Attrs().Name] = l.Attrs().RawFlags&unix.IFF_UP != 0
					if x := l.Attrs().Xdp; x != nil && x.Attached {
						t.Errorf("a program is left on %s", l.Attrs().Name)
					}
				}
				return err
			}))
			if !up["porta"] || !up["peera"] || up["portb"] || up["peerb"] {
				t.Errorf("links that are up: %v, want those of before", up)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		must(t, p.Rx.Do(func() error {
			l, err := netlink.LinkByName("peera")
			if err != nil {
				return err
			}
			_, everywhere, err := net.ParseCIDR("0.0.0.0/0")
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: everywhere})
		}))
		r, err := child(t, childOptions{Profile: tuning.Lab, Ports: []string{"porta"}, Peers: []string{"peera"}, Only: []string{"nic"}, For: leastFor}, inside)
		must(t, err)
		if k := status(t, r, "nic.made", tuning.Error); !strings.Contains(k.Reason, "peera: it carries the default route") {
			t.Errorf("%s", k.Reason)
		}
	})
}

// TestWithoutRights: a process without capabilities makes what needs none, and says what it left out and for want of what.
func TestWithoutRights(t *testing.T) {
	o := childOptions{Profile: tuning.VM, Only: []string{"inventory", "static", "nic", "soak", "persistence"}, For: leastFor}
	r, err := child(t, o, func(c *exec.Cmd) error {
		done := make(chan error, 1)
		go func() {
			runtime.LockOSThread() // never unlocked: what is dropped is dropped for good
			for _, bit := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_BPF, unix.CAP_PERFMON} {
				_ = unix.Prctl(unix.PR_CAPBSET_DROP, bit, 0, 0, 0) // an ordinary user has none of them to begin with
			}
			done <- c.Start()
		}()
		return <-done
	})
	must(t, err)
	if len(r.group("static").Tests) < 20 || len(r.group("inventory").Tests) < 5 {
		t.Errorf("%d settings, %d of the inventory", len(r.group("static").Tests), len(r.group("inventory").Tests))
	}
	for _, id := range []string{"nic.made", "soak.made"} {
		k := status(t, r, id, tuning.Error)
		for _, want := range []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF"} {
			if !strings.Contains(k.Reason, want) {
				t.Errorf("%s does not name %s: %s", id, want, k.Reason)
			}
		}
	}
	if len(r.LeftOut) != 1 || r.LeftOut[0].What != "nic, soak" || !r.Failed() || r.Qualified || r.group("nic").Status != tuning.Error || r.Wires != nil {
		t.Errorf("left out %v, failed %v, qualified %v", r.LeftOut, r.Failed(), r.Qualified)
	}
}

// TestNothingIsLeft: a run that is ended at any place takes back what it made.
func TestNothingIsLeft(t *testing.T) {
	packets(t)
	for _, at := range []string{"frames of 512 bytes", "line A unplugged", "receiver killed", "faults on both lines"} {
		t.Run(at, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := childOptions{Profile: tuning.VM, Only: []string{"receive", "failover", "soak"}, For: 5 * leastFor}.options()
			if at != "frames of 512 bytes" {
				o.Only = o.Only[1:]
			}
			reached := false
			o.Progress = func(_, what string, _ float64) {
				if strings.Contains(what, at) {
					reached = true
					cancel()
				}
			}
			r, err := Run(ctx, o)
			if !errors.Is(err, context.Canceled) || r != nil || !reached {
				t.Errorf("it ended with %v, reached: %v", err, reached)
			}
			if names := left(t); names != nil {
				t.Errorf("left: %v", names)
			}
		})
	}
}

// TestKilled: what a run that was killed leaves, its processes excepted, which end with it, the next one takes away.
func TestKilled(t *testing.T) {
	packets(t)
	text, err := json.Marshal(childOptions{Profile: tuning.VM, Only: []string{"latency"}, For: time.Minute})
	must(t, err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), runEnv+"="+string(text))
	must(t, c.Start())
	namespaces := fmt.Sprintf("/run/netns/%s%d-*", netns.Prefix, c.Process.Pid)
	memory := fmt.Sprintf("/dev/shm/%s%d-*", scratchPrefix, c.Process.Pid)
	stats := ringbuf.SidePath(memory, instance, feedName, "", ringbuf.ExtStats)
	feedPid := 0
	for until := time.Now().Add(2 * patience); feedPid == 0; time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(stats); len(found) == 1 {
			if s, err := ringbuf.OpenStats(found[0]); err == nil {
				feedPid = s.Pid()
				must(t, s.Close())
			}
		}
		if time.Now().After(until) {
			_ = c.Process.Kill()
			_ = c.Wait()
			t.Fatal("the run does not start its feed")
		}
	}
	must(t, c.Process.Kill())
	_ = c.Wait() // says that it was killed
	for until := time.Now().Add(patience); !errors.Is(unix.Kill(feedPid, 0), unix.ESRCH); time.Sleep(5 * time.Millisecond) {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", feedPid)); err == nil && bytes.Contains(state, []byte(") Z ")) {
			break // whoever adopted it has not taken note
		}
		if time.Now().After(until) {
			t.Fatalf("the feed %d lives on", feedPid)
		}
	}
	if there, _ := filepath.Glob(namespaces); len(there) != 2 {
		t.Errorf("%v: a killed run leaves its namespaces, or this test shows nothing", there)
	}
	_, err = Run(t.Context(), childOptions{Profile: tuning.VM, Only: []string{"latency"}, For: leastFor}.options())
	must(t, err)
	for _, pattern := range []string{namespaces, memory} {
		if there, _ := filepath.Glob(pattern); there != nil {
			t.Errorf("left after the next run: %v", there)
		}
	}
}

// TestOptions: faults are told all at once, before anything is done.
func TestOptions(t *testing.T) {
	_, err := Run(t.Context(), Options{
		Only: []string{"nic", "engine"}, Ports: []string{"eth1", "eth1", "lo"}, Peers: []string{"eth2"}, For: 1, Rate: -1, Limits: map[string]float64{"no.such": 1},
	})
	if !errors.Is(err, ErrOptions) {
		t.Fatal(err)
	}
	for _, want := range []string{`"engine"`, "3 ports and 1 peers", `"lo"`, "eth1 is named twice", "1ns", "-1 packets", `"no.such"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	_, err = Run(t.Context(), Options{Only: []string{"persistence"}, Rate: math.NaN(), Limits: map[string]float64{"cpu.smi": math.NaN(), "cpu.steal": math.Inf(1)}})
	if !errors.Is(err, ErrOptions) {
		t.Fatal(err)
	}
	for _, want := range []string{"NaN packets", "cpu.smi: NaN", "cpu.steal: +Inf"} { // JSON has none of them: the run would end without a report
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := Run(t.Context(), Options{Plan: &tuning.Plan{Profile: "race"}}); !errors.Is(err, tuning.ErrPlan) {
		t.Errorf("a plan that does not hold: %v", err)
	}
}
