package nicinfo

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

// trees are those of archives: they have a thousand files, and tests change but a few.
var trees string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nicinfo")
	if err != nil {
		panic(err)
	}
	trees = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// machine opens the tree of an archive. What drivers answer the test may change: it is put back, and apply's journal goes.
func machine(t testing.TB, name string) *tuning.Host {
	t.Helper()
	root := filepath.Join(trees, name)
	if _, err := os.Stat(root); err != nil {
		if err := fakeroot.Write(root, os.DirFS("../testdata/machines"), name+".txtar"); err != nil {
			t.Fatal(err)
		}
	}
	h, err := tuning.Open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	answers := h.Path("/fake/nic/eth2.json")
	was, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.WriteFile(answers, was, 0o644), os.RemoveAll(h.Path(apply.DefaultDir))); err != nil {
			t.Error(err)
		}
	})
	return h
}

// driver changes what the driver of eth2 answers.
func driver(t testing.TB, h *tuning.Host, group, answer string) {
	t.Helper()
	name := h.Path("/fake/nic/eth2.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if all[group] = json.RawMessage(answer); answer == "" {
		delete(all, group)
	}
	if text, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func look(t testing.TB, h *tuning.Host) *Info {
	t.Helper()
	h.Refresh(h.Now)
	in, err := Look(h, "eth2")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestText shows whole interfaces of two machines, as a person sees them.
func TestText(t *testing.T) {
	for _, tc := range []struct{ machine, want string }{
		{"mlx5", `eth2
  driver    mlx5_core 6.12.0-55.el10.x86_64, firmware 22.39.2048 (DEL0000000027)
  bus       0000:3b:00.0, NUMA node 1, near cores 8-15
            0000:3b:00.0: 16.0 GT/s PCIe x16
  link      FEC rs
  channels  combined 2 of 63, rx 0 of 0, tx 0 of 0
  rings     rx 2048 of 8192, tx 1024 of 8192
  coalesce  rx 0 µs 1 frames, tx 0 µs 1 frames, adaptive rx off tx off
  pause     autoneg off, rx off, tx off
  offloads  gro off, lro off, gro-hw off, ntuple on, rxvlan off, rx on; 8 in all (--json)
  private   rx_cqe_compress off, rx_striding_rq on
  rss       4 entries to queues 0; UDP by none
  rules     0: udp4 233.54.12.11:26477 -> queue 1
  stamps    the NIC can stamp all packets, now: all; clock ptp2
  xdp       basic redirect zero-copy fragments redirect-fragments; metadata timestamp hash vlan
  queue 0   interrupt 120 on 12, poller 500
  queue 1   interrupt 121 on 8, poller 501
  not told  eee face hash link: not supported by the driver or kernel (EOPNOTSUPP: operation not supported)
`},
		{"ice", `eth2
  driver    ice 1.13.7, firmware 4.40 0x8001c967 1.3534.0
  bus       0000:3b:00.0, NUMA node 0, near cores 8-15
            0000:3b:00.0: 16.0 GT/s PCIe x8  NARROW: it could 16.0 GT/s PCIe x16
`},
	} {
		var b strings.Builder
		if err := look(t, machine(t, tc.machine)).Text(&b); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if !strings.HasPrefix(got, tc.want) || tc.machine == "mlx5" && got != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", tc.machine, got, tc.want)
		}
	}
}

// TestUnknown: what is refused or not supported has a reason, and no zero in its place.
func TestUnknown(t *testing.T) {
	h := machine(t, "mlx5")
	driver(t, h, "rings", `{"errno": "EPERM"}`)
	driver(t, h, "coalesce", "")
	in := look(t, h)
	if in.Rings != nil || !strings.Contains(in.Unknown["rings"], "needs privilege") {
		t.Errorf("rings %+v: %q", in.Rings, in.Unknown["rings"])
	}
	if in.Coalesce != nil || !strings.Contains(in.Unknown["coalesce"], "not supported") {
		t.Errorf("coalesce %+v: %q", in.Coalesce, in.Unknown["coalesce"])
	}
	for setting, want := range map[string]string{"rings.rx=512": "needs privilege", "coalesce.rx-usecs=0": "not supported"} {
		if _, err := in.Set([]string{setting}, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", setting, err, want)
		}
	}
	if _, err := Look(h, "eth9"); !errors.Is(err, ErrGone) {
		t.Errorf("eth9: %v, want ErrGone", err)
	}
	if _, err := Look(h, "../eth2"); !errors.Is(err, ErrGone) {
		t.Errorf("../eth2: %v, want ErrGone", err)
	}
}

// TestSet: every kind of setting becomes the change that it should, what is so already becomes none, and faults are told all at
// once, before anything is done.
func TestSet(t *testing.T) {
	h := machine(t, "mlx5")
	in := look(t, h)
	changes, err := in.Set([]string{"rings.rx=4096", "coalesce.adaptive-rx=on", "features.ntuple=off", "private.rx_striding_rq=off", "rings.tx=1024", "features.gro=off"}, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.Key+" "+c.Old+" "+c.Value+" | "+c.Command+" | "+c.Undo)
	}
	want := []string{
		"rings.rx_pending 2048 4096 | ethtool -G eth2 rx 4096 | ethtool -G eth2 rx 2048",
		"coalesce.adaptive_rx off on | ethtool -C eth2 adaptive-rx on | ethtool -C eth2 adaptive-rx off",
		"features.rx-ntuple-filter on off | ethtool -K eth2 ntuple off | ethtool -K eth2 ntuple on",
		"private.rx_striding_rq on off | ethtool --set-priv-flags eth2 rx_striding_rq off | ethtool --set-priv-flags eth2 rx_striding_rq on",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, err = in.Set([]string{"rings.rx=9000", "rings.rx", "rings.mini=1", "coalesce.adaptive-tx=1", "features.none=on", "private.none=on", "channels.combined=0", "pause.rx=on", "pause.rx=off", "rings.tx=-1"}, false)
	for _, part := range []string{"up to 8192", `"rings.rx": want NAME=VALUE`, `no setting "rings.mini"`, "coalesce.adaptive-tx = 1, want on or off", "none of that name", "it has rx_cqe_compress, rx_striding_rq",
		"nothing would be received", "pause.rx is there twice", "rings.tx = -1, want a number"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
	// Fewer queues than a rule leads to, and a socket that would lose its queue.
	if _, err := in.Set([]string{"channels.combined=1"}, false); err == nil || !strings.Contains(err.Error(), "would lead nowhere") {
		t.Errorf("one queue: %v", err)
	}
	driver(t, h, "queues", `[{"id": 1, "xsk": true}]`)
	if _, err := look(t, h).Set([]string{"rings.rx=512"}, false); err == nil || !strings.Contains(err.Error(), "AF_XDP socket is bound to queue 1") {
		t.Errorf("with a socket: %v", err)
	}
	driver(t, h, "features", `{"rx-lro": {"on": true, "fixed": true}}`)
	if _, err := look(t, h).Set([]string{"features.lro=off"}, false); err == nil || !strings.Contains(err.Error(), "cannot change it: it is on") {
		t.Errorf("a fixed feature: %v", err)
	}
}

// TestKeep: what a .link file can hold is kept in systemd's words.
func TestKeep(t *testing.T) {
	changes, err := look(t, machine(t, "mlx5")).Set([]string{"rings.rx=4096", "coalesce.rx-usecs=8", "pause.tx=off", "features.ntuple=off", "features.rx-gro=off"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		if c.Kind == tuning.Link {
			got = append(got, c.Key+"="+c.Value)
		}
	}
	if want := []string{"RxBufferSize=4096", "RxCoalesceSec=8us", "TxFlowControl=no", "NTupleFilter=no", "GenericReceiveOffload=no"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	_, err = look(t, machine(t, "mlx5")).Set([]string{"private.rx_striding_rq=off", "features.rx-udp-gro-forwarding=on"}, true)
	for _, part := range []string{"private.rx_striding_rq: a .link file cannot keep", "features.rx-udp-gro-forwarding: a .link file cannot keep"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}

// unguarded is a run without a dead man's timer.
var unguarded = apply.Options{Confirm: -1, MaxRisk: tuning.R3}

// TestSetRuns carries a setting out on a tree, and takes it back.
func TestSetRuns(t *testing.T) {
	h := machine(t, "mlx5")
	changes, err := look(t, h).Set([]string{"rings.rx=4096"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(context.Background(), h, changes, unguarded); err != nil {
		t.Fatal(err)
	}
	if n := look(t, h).Rings.RxPending; n != 4096 {
		t.Errorf("rx %d, want 4096", n)
	}
	if _, err := apply.Revert(h, apply.Which{All: true}, unguarded); err != nil {
		t.Fatal(err)
	}
	if n := look(t, h).Rings.RxPending; n != 2048 {
		t.Errorf("rx %d, want 2048", n)
	}
}

// liar is a driver that takes any setting, says that all is well, and goes no further than its limit; with none it does nothing.
type liar struct {
	tuning.Setter
	limit int
}

func (l liar) Set(nic, group, field, value string) error {
	if l.limit == 0 {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	return l.Setter.Set(nic, group, field, strconv.Itoa(min(n, l.limit)))
}

// TestLiar: a driver that ignores a value, or takes another, is found out, and things are as before.
func TestLiar(t *testing.T) {
	for _, limit := range []int{0, 3000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			h := machine(t, "mlx5")
			setter, ok := h.Devices.(tuning.Setter)
			if !ok {
				t.Fatal("the tree's devices cannot be set")
			}
			h.Devices = liar{setter, limit}
			changes, err := look(t, h).Set([]string{"rings.rx=4096"}, false)
			if err != nil {
				t.Fatal(err)
			}
			out, err := apply.Run(context.Background(), h, changes, unguarded)
			if !errors.Is(err, apply.ErrUndone) || !strings.Contains(err.Error(), "reads back as") || out.Count(apply.Done) != 0 {
				t.Errorf("%v", err)
			}
			if n := look(t, h).Rings.RxPending; n != 2048 {
				t.Errorf("rx %d, want 2048", n)
			}
		})
	}
}

var feed = netip.MustParseAddrPort("233.54.12.111:26477")

// TestFlows: a rule is made, moved and taken away by apply, each time as it was asked, and revert brings back what was.
func TestFlows(t *testing.T) {
	h := machine(t, "mlx5")
	run := func(changes []tuning.Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apply.Run(context.Background(), h, changes, unguarded); err != nil {
			t.Fatal(err)
		}
	}
	queueOf := func(group string) int {
		for _, r := range look(t, h).Rules {
			if r.Group == group {
				return r.Queue
			}
		}
		return -1
	}
	add := func(queue int) ([]tuning.Change, error) {
		changes, _, err := look(t, h).AddFlow(feed, queue)
		return changes, err
	}
	run(add(1))
	if q := queueOf(feed.String()); q != 1 {
		t.Errorf("queue %d, want 1", q)
	}
	if again, err := add(1); err != nil || len(again) != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	run(add(0))
	if q := queueOf(feed.String()); q != 0 {
		t.Errorf("moved to queue %d, want 0", q)
	}
	run(look(t, h).DeleteFlow(feed.String()))
	if q := queueOf(feed.String()); q != -1 {
		t.Errorf("after deletion queue %d", q)
	}
	if q := queueOf("233.54.12.11:26477"); q != 1 {
		t.Errorf("another group's rule leads to %d, want 1 as ever", q)
	}
	if _, err := apply.Revert(h, apply.Which{All: true}, unguarded); err != nil {
		t.Fatal(err)
	}
	if q, other := queueOf(feed.String()), queueOf("233.54.12.11:26477"); q != -1 || other != 1 {
		t.Errorf("reverted: queues %d and %d, want none and 1", q, other)
	}
	if _, err := look(t, h).DeleteFlow("0"); err != nil {
		t.Errorf("by its place: %v", err)
	}
}

// TestNtupleFirst: where ntuple is off, it comes on before the rule.
func TestNtupleFirst(t *testing.T) {
	h := machine(t, "mlx5")
	driver(t, h, "features", `{"rx-ntuple-filter": {"on": false}}`)
	changes, notes, err := look(t, h).AddFlow(feed, 0)
	if err != nil || len(changes) != 2 || changes[0].Key != "features.rx-ntuple-filter" || changes[1].Value != "233.54.12.111:26477 0" {
		t.Errorf("%+v, %v", changes, err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "4 of 4 entries of the table lead to it") {
		t.Errorf("notes %q", notes)
	}
}

// TestCannotSteer: a driver that cannot says why, and what is left.
func TestCannotSteer(t *testing.T) {
	for _, tc := range []struct{ name, group, answer, want string }{
		{"igc", "driver", `{"driver": "igc"}`, "by Ethernet address"},
		{"ena", "driver", `{"driver": "ena"}`, "the cloud's has"},
		{"fixed", "features", `{"rx-ntuple-filter": {"fixed": true}}`, "no ntuple filters"},
		{"none", "features", `{}`, "no ntuple filters"},
		{"refused", "rules", `{"errno": "EOPNOTSUPP"}`, "not supported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := machine(t, "mlx5")
			driver(t, h, tc.group, tc.answer)
			_, _, err := look(t, h).AddFlow(feed, 1)
			if !errors.Is(err, ErrSteer) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "channels.combined=1") {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	h := machine(t, "mlx5")
	driver(t, h, "channels", `{"combined": 1, "max_combined": 1}`)
	if changes, notes, err := look(t, h).AddFlow(feed, 0); err != nil || len(changes) != 0 || !strings.Contains(strings.Join(notes, ""), "single queue") {
		t.Errorf("a single queue: %+v %q %v", changes, notes, err)
	}
	if _, _, err := look(t, h).AddFlow(feed, 1); err == nil || !strings.Contains(err.Error(), "there are 0 to 0") {
		t.Errorf("a queue too many: %v", err)
	}
}

// TestForeignRules are left alone, since they could not be put back.
func TestForeignRules(t *testing.T) {
	h := machine(t, "mlx5")
	driver(t, h, "rules", `[{"location": 3, "queue": 1, "group": "233.54.12.111:26477", "text": "udp4 src 10.0.0.1 dst 233.54.12.111 dst-port 26477"},
		{"location": 4, "queue": 1, "group": "", "text": "ether dst-mac 01:00:5e:36:0c:6f"}, {"location": 5, "queue": -1, "group": "233.54.12.112:26477"}]`)
	in := look(t, h)
	if _, _, err := in.AddFlow(feed, 0); err == nil || !strings.Contains(err.Error(), "takes a part of this group") {
		t.Errorf("add over a partial rule: %v", err)
	}
	if _, _, err := in.AddFlow(netip.MustParseAddrPort("233.54.12.112:26477"), 0); err == nil || !strings.Contains(err.Error(), "drops this group") {
		t.Errorf("add over a drop: %v", err)
	}
	for _, which := range []string{"3", "4", "5", "233.54.12.111:26477"} {
		if _, err := in.DeleteFlow(which); err == nil || !strings.Contains(err.Error(), "could not be put back") {
			t.Errorf("delete %s: %v", which, err)
		}
	}
	for which, want := range map[string]string{"9": "no rule 9", "x": "neither the place", "10.0.0.1:1": "neither the place"} {
		if _, err := in.DeleteFlow(which); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("delete %s: %v, want %q", which, err, want)
		}
	}
}

// TestVeth looks at a real driver in a namespace of the test's, and changes it for real: offloads of a veth come off and back on.
func TestVeth(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Queues: 2})
	dir := filepath.Join(t.TempDir(), "journal")
	nstest.Inside(t, p.Rx, func() error {
		h, err := tuning.Open("/", nil)
		if err != nil {
			return err
		}
		in, err := Look(h, "feed0")
		if err != nil {
			return err
		}
		if in.Driver == nil || in.Driver.Driver != "veth" || in.Face == nil || in.Face.Kind != "veth" || in.Channels == nil || in.Channels.RxQueues() != 2 || len(in.Queues) != 2 {
			t.Errorf("%+v", in)
		}
		if in.Rings != nil && in.Rings.RxMax > 0 || in.Unknown["pci"] != "on no PCI bus" {
			t.Errorf("rings %+v, pci %q", in.Rings, in.Unknown["pci"])
		}
		if _, _, err := in.AddFlow(feed, 1); !errors.Is(err, ErrSteer) || !strings.Contains(err.Error(), "veth") {
			t.Errorf("steering a veth: %v", err)
		}
		was := in.Features["tx-generic-segmentation"].On
		o := unguarded
		o.Dir = dir
		changes, err := in.Set([]string{"features.gso=" + onOff(!was)}, false)
		if err != nil || len(changes) != 1 {
			t.Fatalf("%+v, %v", changes, err)
		}
		if out, err := apply.Run(context.Background(), h, changes, o); err != nil || out.Count(apply.Done) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		if in, err = Look(h, "feed0"); err != nil || in.Features["tx-generic-segmentation"].On == was {
			t.Errorf("gso is still %s, %v", onOff(was), err)
		}
		if _, err := apply.Revert(h, apply.Which{All: true}, o); err != nil {
			t.Error(err)
		}
		if in, err = Look(h, "feed0"); err != nil || in.Features["tx-generic-segmentation"].On != was {
			t.Errorf("gso is not %s again, %v", onOff(was), err)
		}
		all, err := List(h)
		if err != nil || len(all) < 2 {
			t.Errorf("%d interfaces, %v", len(all), err)
		}
		return nil
	})
}

// TestOtherSys: where /sys is of another network namespace, nothing is taken from it.
func TestOtherSys(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	if err := p.Rx.Do(func() error {
		h, err := tuning.Open("/", nil)
		if err != nil {
			return err
		}
		in, err := Look(h, "feed0")
		if err != nil {
			return err
		}
		if !strings.Contains(in.Unknown["pci"], "another network namespace") || in.PCI != nil || in.NUMANode != -1 {
			t.Errorf("%q %+v", in.Unknown["pci"], in)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestVanish deletes and makes an interface again and again while it is looked at, until it was gone at least once: each look is whole, or ErrGone.
func TestVanish(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- p.Rx.Do(func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				attrs := netlink.NewLinkAttrs()
				attrs.Name = "gone0"
				l := &netlink.Veth{LinkAttrs: attrs, PeerName: "gone1"}
				if err := netlink.LinkAdd(l); err != nil {
					return err
				}
				if err := netlink.LinkDel(l); err != nil {
					return err
				}
			}
		})
	}()
	seen, gone := 0, 0
	nstest.Inside(t, p.Rx, func() error {
		h, err := tuning.Open("/", nil)
		if err != nil {
			return err
		}
		for looks := 0; looks < 300 || gone == 0; looks++ {
			h.Refresh(h.Now)
			switch in, err := Look(h, "gone0"); {
			case errors.Is(err, ErrGone):
				gone++
			case err != nil:
				t.Errorf("%v, want ErrGone", err)
			default:
				seen++
				if in.Face == nil || in.Face.Kind != "veth" {
					t.Errorf("half a look: %+v", in)
				}
			}
		}
		return nil
	})
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Logf("there at %d looks, gone at %d", seen, gone)
}

// FuzzSet: no setting is taken that apply would not understand, and none panics.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"rings.rx=2048", "rings.rx=", "=", "features.gro=off", "features.rx-lro=on", "private.legacy-rx=on", "coalesce.adaptive-rx=off", "channels.combined=99999999999", "pause.rx=on=off", "rings.rx=00512"} {
		f.Add(s)
	}
	in := look(f, machine(f, "ice"))
	f.Fuzz(func(t *testing.T, s string) {
		changes, err := in.Set([]string{s}, false)
		if err != nil {
			return
		}
		for _, c := range changes {
			group, field, _ := strings.Cut(c.Key, ".")
			if !tuning.Settable(group, field) || c.Value == "" || c.Value == c.Old || c.NIC != "eth2" {
				t.Fatalf("%q gives %+v", s, c)
			}
		}
	})
}

// FuzzFlow: groups and places that people give.
func FuzzFlow(f *testing.F) {
	for _, s := range []string{"233.54.12.11:26477", "0", "7", "-1", "233.54.12.11", "[ff02::1]:5", "10.0.0.1:5", "233.54.12.11:0", ""} {
		f.Add(s)
	}
	in := look(f, machine(f, "mlx5"))
	f.Fuzz(func(t *testing.T, s string) {
		if g, err := ParseGroup(s); err == nil && (!g.Addr().IsMulticast() || g.Port() == 0) {
			t.Fatalf("%q gives %s", s, g)
		}
		if changes, err := in.DeleteFlow(s); err == nil && (len(changes) != 1 || changes[0].Old == "") {
			t.Fatalf("%q gives %+v", s, changes)
		}
	})
}
