package tuning

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

// TestKernelAnswers asks the drivers of a veth pair for every group: each answers, or says that it cannot.
func TestKernelAnswers(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	if err := p.Rx.Do(func() error {
		var names []string
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Type() == "veth" {
				names = append(names, l.Attrs().Name)
			}
		}
		if len(names) == 0 {
			t.Fatal("no veth")
		}
		k, nic := kernel{}, names[0]
		var d Driver
		if err := k.Ask(nic, "driver", &d); err != nil || d.Driver != "veth" {
			t.Errorf("driver %+v, %v", d, err)
		}
		var f Features
		if err := k.Ask(nic, "features", &f); err != nil || len(f) < 20 {
			t.Errorf("%d features, %v", len(f), err)
		}
		if _, ok := f["rx-gro"]; !ok {
			t.Error("no rx-gro among the features")
		}
		var s Stats
		if err := k.Ask(nic, "stats", &s); err != nil || len(s) == 0 {
			t.Errorf("%d counters, %v", len(s), err)
		}
		var c Channels
		if err := k.Ask(nic, "channels", &c); err != nil || c.RxQueues() < 1 {
			t.Errorf("channels %+v, %v", c, err)
		}
		var x XDP
		if err := k.Ask(nic, "xdp", &x); err != nil && !errors.Is(err, unix.EOPNOTSUPP) || err == nil && x.Features&xdpBasic == 0 {
			t.Errorf("xdp %+v, %v", x, err)
		}
		var ts Stamping
		if err := k.Ask(nic, "stamping", &ts); err != nil || ts.PHC != -1 {
			t.Errorf("stamping %+v, %v", ts, err)
		}
		var face Face
		if err := k.Ask(nic, "face", &face); err != nil || face.Kind != "veth" || face.Index == 0 || face.MTU != 1500 || !face.Up || len(face.MAC) != 17 {
			t.Errorf("face %+v, %v", face, err)
		}
		if err := k.Ask("nosuch0", "face", &face); !errors.Is(err, unix.ENODEV) {
			t.Errorf("face of no interface: %v, want ENODEV", err)
		}
		h, err := Open("/", nil)
		if err != nil {
			return err
		}
		if all, err := h.Faces(); err != nil || !slices.Contains(all, nic) || !slices.Contains(all, "lo") {
			t.Errorf("faces %q, %v", all, err)
		}
		var q Filters
		if err := k.Ask(nic, "filters", &q); err != nil || q.Ingress != 0 {
			t.Errorf("filters %+v, %v", q, err)
		}
		for group, into := range map[string]any{"rings": new(Rings), "eee": new(EEE), "fec": new(FEC), "rss": new(RSS), "rules": new(Rules), "hwtstamp": new(HWTstamp), "coalesce": new(Coalesce), "pause": new(Pause),
			"private": new(Private), "link": new(LinkMode), "queues": new([]Queue), "napis": new([]NAPI), "hash": new(Hash)} {
			if err := k.Ask(nic, group, into); err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s: %v", group, err)
			}
			if err := k.Ask("nosuch0", group, into); !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EOPNOTSUPP) {
				t.Errorf("%s of no interface: %v, want ENODEV", group, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var a Adjtimex
	if err := (kernel{}).Ask("", "adjtimex", &a); err != nil {
		t.Error(err)
	}
}

// TestParseRule reads a rule as ETHTOOL_GRXCLSRULE gives it: UDP to 233.54.12.11:26477, exactly, to queue 5.
func TestParseRule(t *testing.T) {
	spec := make([]byte, 168)
	binary.NativeEndian.PutUint32(spec, flowUDPv4)
	copy(spec[specValues+4:], []byte{233, 54, 12, 11})
	binary.BigEndian.PutUint16(spec[specValues+10:], 26477)
	copy(spec[specMasks+4:], []byte{255, 255, 255, 255})
	copy(spec[specMasks+10:], []byte{255, 255})
	binary.NativeEndian.PutUint64(spec[specCookie:], 5)
	if got, want := parseRule(spec, 9), (Rule{9, 5, "233.54.12.11:26477", "udp4 dst 233.54.12.11 dst-port 26477"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	spec[specMasks+10] = 0 // half a port: another kind of rule
	binary.NativeEndian.PutUint64(spec[specCookie:], 1<<64-1)
	if got, want := parseRule(spec, 9), (Rule{9, -1, "", "udp4 dst 233.54.12.11 dst-port 26477 mask 00ff"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestRuleText: what rules of other kinds take is told, and that a part of a field is masked.
func TestRuleText(t *testing.T) {
	put := func(spec []byte, at int, b ...byte) {
		copy(spec[specValues+at:], b)
		for i := range b {
			spec[specMasks+at+i] = 0xff
		}
	}
	for _, tc := range []struct {
		kind uint32
		fill func([]byte)
		want string
	}{
		{18, func(s []byte) { put(s, 0, 1, 0, 0x5e, 0x36, 0x0c, 0x0b); put(s, 12, 8, 0) }, "ether dst-mac 01:00:5e:36:0c:0b ethertype 0x0800"},
		{2 | flowExt, func(s []byte) { put(s, 4, 233, 54, 12, 11); put(s, extVLAN, 0, 100) }, "udp4 dst 233.54.12.11 vlan 100"},
		{6 | flowMACExt, func(s []byte) { put(s, 34, 0x67, 0x6d); put(s, extMAC, 2, 0, 0, 0, 0, 1) }, "udp6 dst-port 26477 dst-mac 02:00:00:00:00:01"},
		{1 | flowRSS, func(s []byte) { put(s, 0, 10, 0, 0, 1) }, "tcp4 src 10.0.0.1 spread by RSS"},
		{99, func([]byte) {}, "type 0x63"},
	} {
		spec := make([]byte, 168)
		binary.NativeEndian.PutUint32(spec, tc.kind)
		tc.fill(spec)
		if got := ruleText(spec); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// TestHashFields names the bits of the usual setting and of none.
func TestHashFields(t *testing.T) {
	if got := strings.Join(Hash{0xf0}.Fields(), " "); got != "src-ip dst-ip src-port dst-port" {
		t.Error(got)
	}
	if got := (Hash{}).Fields(); got != nil {
		t.Error(got)
	}
}

// TestPCIeControl finds the register through the list of capabilities, and a list that leads in circles has an end.
func TestPCIeControl(t *testing.T) {
	c := make([]byte, 256)
	c[0x34], c[0x40], c[0x41], c[0x60] = 0x40, 0x01, 0x60, 0x10
	binary.LittleEndian.PutUint16(c[0x68:], 0x5<<12|0x1<<5)
	if v, ok := pcieControl(c); !ok || v>>12&7 != 5 || v>>5&7 != 1 {
		t.Errorf("%#x %v", v, ok)
	}
	c[0x60], c[0x61] = 0x05, 0x40
	if _, ok := pcieControl(c); ok {
		t.Error("found in a circle")
	}
}

// TestLinkOfSwitch: a switch between card and root whose own link is narrow is found, though the card's is whole.
func TestLinkOfSwitch(t *testing.T) {
	h := ownMachine(t, "mlx5")
	const card = "0000:3b:00.0"
	dir := "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3c:00.0/0000:3d:00.0/" + card
	for dev, width := range map[string]string{"": "16", "/..": "16", "/../..": "8", "/../../..": "8"} {
		for name, text := range map[string]string{"current_link_speed": "16.0 GT/s PCIe", "max_link_speed": "16.0 GT/s PCIe", "current_link_width": width, "max_link_width": "16"} {
			set(t, h, filepath.Join(dir+dev, name), text)
		}
	}
	set(t, h, dir+"/uevent", "DRIVER=mlx5_core\nPCI_SLOT_NAME="+card)
	for link, to := range map[string]string{"/sys/bus/pci/devices/" + card: dir, "/sys/bus/pci/devices/0000:3c:00.0": filepath.Join(dir, "../.."), "/sys/bus/pci/devices/0000:3d:00.0": filepath.Join(dir, "..")} {
		if err := os.RemoveAll(h.path(link)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../.."+strings.TrimPrefix(to, "/sys"), h.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	got := outcome(t, h, "pci.link")
	if got.Status != Fail || !strings.Contains(got.Reason, "0000:3c:00.0: 16.0 GT/s PCIe x8") || strings.Contains(got.Reason, card) {
		t.Errorf("%s %s", got.Status, got.Reason)
	}
}
