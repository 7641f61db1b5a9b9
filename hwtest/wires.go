package hwtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/tuning"
)

// Kinds of wires.
const (
	KindVeth  = "veth"
	KindCable = "cable"
)

// wires are two lines, A and B, from a sender to a receiver: by veth pairs in namespaces of our own, or by ports of this machine with cables
// between them. With one cable both lines go over it, each to its own group.
//
//	namespace tickwire-<pid>-hwtest-tx     ══ veth ══     namespace tickwire-<pid>-hwtest-rx
//	peers of this namespace                ══ cable ═     ports of this namespace
type wires struct {
	pair   *netns.Pair // nil: cables
	rx, tx [2]string
	from   netip.Addr // of the sender, line A's
	was    []*port    // to be given back
	errors []uint64   // of the bus, of each port, before
}

// groups of the lines: of the range that stays within a site, so that a cable that leads to a switch does no harm.
var lines = [2]netip.AddrPort{netip.MustParseAddrPort("239.255.77.11:26477"), netip.MustParseAddrPort("239.255.77.12:26477")}

// needed are the capabilities that sending and taking packets takes, and what for.
var needed = []struct {
	bit  uint
	name string
}{
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN (network namespaces, frames made in the kernel)"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN (links, the XDP program)"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW (AF_XDP sockets)"}, {unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON (loading programs)"},
}

// rights says what is missing to send and take packets; empty: nothing.
func rights() string {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) != nil {
		return ""
	}
	var missing []string
	for _, c := range needed {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "the process lacks " + strings.Join(missing, ", ") + ": run it as root"
}

// errRights is that packets can be neither sent nor taken.
var errRights = errors.New("left out for want of rights")

// plug makes the wires, once a run.
func (r *run) plug() error {
	if r.wires != nil {
		return nil
	}
	if why := rights(); why != "" {
		return fmt.Errorf("%w: %s", errRights, why)
	}
	w := &wires{}
	var err error
	if len(r.Ports) == 0 {
		err = w.veth()
	} else {
		err = w.cable(r.Ports, r.Peers)
	}
	if err != nil {
		return errors.Join(err, w.close())
	}
	r.wires = w
	r.report.Wires = w.describe(r.host)
	return nil
}

func (r *run) unplug() error {
	if r.wires == nil {
		return nil
	}
	return r.wires.close()
}

func (w *wires) veth() (err error) {
	if w.pair, err = netns.NewPair("hwtest", netns.Options{Pairs: 2}); err != nil {
		return fmt.Errorf("hwtest: %w", err)
	}
	w.rx, w.tx, w.from = [2]string{"feed0", "feed1"}, [2]string{"gen0", "gen1"}, netip.MustParseAddr("10.203.0.2")
	return nil
}

// cable takes ports of this namespace. What carries the machine's own traffic is refused: links are set down, and packets are lost.
func (w *wires) cable(ports, peers []string) error {
	var errs []error
	for _, name := range append(append([]string{}, ports...), peers...) {
		p, err := hold(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("hwtest: port %s: %w", name, err))
			continue
		}
		w.was = append(w.was, p)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for i := range 2 {
		w.rx[i], w.tx[i] = ports[min(i, len(ports)-1)], peers[min(i, len(peers)-1)]
	}
	for _, p := range w.was {
		if err := setLink(p.name, true); err != nil {
			return fmt.Errorf("hwtest: port %s: setting it up: %w", p.name, err)
		}
	}
	for _, name := range ports {
		n, _ := errorsOf(name)
		w.errors = append(w.errors, n)
	}
	for i := range ports {
		w.was[i].stampAll()
	}
	w.from = addressOf(w.tx[0])
	return nil
}

func addressOf(name string) netip.Addr {
	if face, err := net.InterfaceByName(name); err == nil {
		addrs, _ := face.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}

func (w *wires) close() error {
	if w.pair != nil {
		return w.pair.Close()
	}
	var errs []error
	for _, p := range w.was {
		errs = append(errs, p.giveBack())
	}
	return errors.Join(errs...)
}

// inRx and inTx run f where an end is, on a thread of its own that ends with f: f may tie it to a core.
func (w *wires) inRx(f func() error) error {
	if w.pair == nil {
		return alone(f)
	}
	return w.pair.Rx.Do(f)
}

func (w *wires) inTx(f func() error) error {
	if w.pair == nil {
		return alone(f)
	}
	return w.pair.Tx.Do(f)
}

func alone(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// apart says that each line has a wire of its own.
func (w *wires) apart() bool { return w.rx[0] != w.rx[1] }

// set sets a link of the sending end up or down: for the receiver that is a cable that is pulled out.
func (w *wires) set(line int, up bool) error {
	return w.inTx(func() error { return setLink(w.tx[line], up) })
}

func setLink(name string, up bool) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(l)
	}
	return netlink.LinkSetDown(l)
}

// ask asks the driver of the receiving end.
func (w *wires) ask(h *tuning.Host, group string, into any) error {
	return w.inRx(func() error { return h.Devices.Ask(w.rx[0], group, into) })
}

func (w *wires) describe(h *tuning.Host) *Wires {
	var d tuning.Driver
	driver := "driver unknown"
	if w.ask(h, "driver", &d) == nil {
		driver = strings.TrimSpace(d.Driver + " " + d.Firmware)
	}
	out := &Wires{Kind: KindVeth, Rx: strings.Join(w.rx[:], ", ") + " (" + driver + ")", Tx: strings.Join(w.tx[:], ", "),
		Note: "two veth pairs between namespaces of the test's own: there is no NIC and no cable in the figures, and the sender's core does the driver's work"}
	if w.pair == nil {
		out.Kind, out.Note = KindCable, "ports of this machine, a cable from each to its peer"
		if !w.apart() {
			out.Rx, out.Tx = w.rx[0]+" ("+driver+")", w.tx[0]
			out.Note = "one port of this machine and its peer: both lines go over one cable"
		}
	}
	return out
}

// speed is the link's in bit/s, where the driver tells.
func (w *wires) speed(h *tuning.Host) (float64, bool) {
	var l tuning.LinkMode
	if w.pair != nil || w.ask(h, "link", &l) != nil || l.Speed <= 0 {
		return 0, false
	}
	return float64(l.Speed) * 1e6, true
}

// scratch makes a folder in shared memory, and removes those of runs that are gone.
func scratch() (string, error) {
	parent := "/dev/shm"
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		parent = os.TempDir()
	}
	clearDead(parent)
	dir, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-", scratchPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("hwtest: a folder for shared memory: %w", err)
	}
	return dir, nil
}
