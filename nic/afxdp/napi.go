package afxdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// In-line busy polling needs the driver's interrupts out of the way: after the poller found nothing so many times, and
// until a timer runs out, they stay off. The timer is also how long a queue stands still when its receiver dies.
const (
	deferTimes = 100
	flushNs    = 200_000
)

// napiSettings are a poller's, or an interface's, as they were before.
type napiSettings struct {
	id        uint32 // of the poller, where the kernel takes settings for each (6.13 and later)
	iface     string // else the interface
	times, ns uint64
}

// deferInterrupts puts a poller's interrupts off; errNoSuch is in the error of a kernel that can do so for a whole interface only.
func deferInterrupts(id uint32) (*napiSettings, error) {
	n := &napiSettings{id: id}
	var err error
	if n.times, n.ns, err = napiGet(id); err != nil {
		return nil, fmt.Errorf("settings of poller %d: %w", id, err)
	}
	if err := napiSet(id, deferTimes, flushNs); err != nil {
		return nil, capabilities(fmt.Errorf("settings of poller %d: %w", id, err))
	}
	return n, nil
}

// deferInterrupts does so for an interface, once; what was before comes back when its last user is gone.
func (d *device) deferInterrupts() error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if d.pollers != nil {
		return nil
	}
	n := &napiSettings{iface: d.name}
	var err error
	if n.times, n.ns, err = sysfsGet(d.name); err != nil {
		return fmt.Errorf("settings of the pollers: %w", err)
	}
	if n.times == deferTimes && n.ns == flushNs {
		return nil // somebody who may has done so
	}
	if err := sysfsSet(d.name, deferTimes, flushNs); err != nil {
		_ = sysfsSet(d.name, n.times, n.ns)
		return capabilities(fmt.Errorf("settings of the pollers: %w", err))
	}
	d.pollers = n
	return nil
}

// restore puts back what was; a poller or interface that is gone needs nothing.
func (n *napiSettings) restore() error {
	var err error
	if n.iface == "" {
		err = napiSet(n.id, n.times, n.ns)
	} else {
		err = sysfsSet(n.iface, n.times, n.ns)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// errNoSuch is that the kernel has no settings for each poller.
var errNoSuch = errors.New("the kernel has no settings for each poller")

// The family netdev of generic netlink, as far as it is used.
const (
	netdevNapiGet = 11
	netdevNapiSet = 14

	napiID    = 2
	napiDefer = 5 // u32
	napiFlush = 6 // uint: four bytes or eight
)

// genlHeader is struct genlmsghdr. The library's own sends whatever lies behind its two bytes, and the kernel refuses that.
type genlHeader [nl.SizeofGenlmsg]byte

func (h genlHeader) Len() int          { return len(h) }
func (h genlHeader) Serialize() []byte { return h[:] }

func netdev(command uint8, flags int, attrs ...nl.NetlinkRequestData) ([][]byte, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, unix.ENOENT) {
		return nil, errNoSuch
	}
	if err != nil {
		return nil, err
	}
	req := nl.NewNetlinkRequest(int(family.ID), flags)
	req.AddData(genlHeader{command, uint8(family.Version), 0, 0})
	for _, a := range attrs {
		req.AddData(a)
	}
	out, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) { // no such command, no such attribute
		return nil, errors.Join(errNoSuch, err)
	}
	return out, err
}

func napiGet(id uint32) (times, ns uint64, err error) {
	out, err := netdev(netdevNapiGet, unix.NLM_F_ACK, nl.NewRtAttr(napiID, nl.Uint32Attr(id)))
	if err != nil {
		return 0, 0, err
	}
	found := false
	for _, m := range out {
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, 0, err
		}
		for _, a := range attrs {
			switch a.Attr.Type {
			case napiDefer:
				times, found = number(a.Value), true
			case napiFlush:
				ns = number(a.Value)
			}
		}
	}
	if !found {
		return 0, 0, errNoSuch
	}
	return times, ns, nil
}

func number(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

func napiSet(id uint32, times, ns uint64) error {
	_, err := netdev(netdevNapiSet, unix.NLM_F_ACK, nl.NewRtAttr(napiID, nl.Uint32Attr(id)),
		nl.NewRtAttr(napiDefer, nl.Uint32Attr(uint32(times))), nl.NewRtAttr(napiFlush, nl.Uint64Attr(ns)))
	return err
}

// sysfs has them for an interface.
func sysfsFile(iface, name string) string { return filepath.Join("/sys/class/net", iface, name) }

func sysfsGet(iface string) (times, ns uint64, err error) {
	for _, f := range []struct {
		name string
		into *uint64
	}{{"napi_defer_hard_irqs", &times}, {"gro_flush_timeout", &ns}} {
		b, err := os.ReadFile(sysfsFile(iface, f.name))
		if err != nil {
			return 0, 0, err
		}
		if *f.into, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s of %s: %w", f.name, iface, err)
		}
	}
	return times, ns, nil
}

func sysfsSet(iface string, times, ns uint64) error {
	return errors.Join(
		os.WriteFile(sysfsFile(iface, "napi_defer_hard_irqs"), strconv.AppendUint(nil, times, 10), 0),
		os.WriteFile(sysfsFile(iface, "gro_flush_timeout"), strconv.AppendUint(nil, ns, 10), 0),
	)
}
