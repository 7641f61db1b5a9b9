// Package netns makes network namespaces joined by veth pairs: the only network that tests, the demo and benchmarks use
// beside lo. What it makes is its own, and it removes it.
//
//	namespace <name>-rx                 namespace <name>-tx
//	┌──────────────────────────┐        ┌──────────────────────────┐
//	│ feed0 10.203.0.1/24      ├────────┤ gen0  10.203.0.2/24      │
//	│ feed1 10.203.1.1/24      ├────────┤ gen1  10.203.1.2/24      │
//	└──────────────────────────┘        └──────────────────────────┘
//
// Neither namespace has a default route or a way out. Making one needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	vn "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Prefix begins the name of every namespace that is made here; the process number follows.
const Prefix = "tickwire-"

const runDir = "/run/netns"

// NS is one namespace.
type NS struct {
	Name   string
	handle vn.NsHandle
}

// Do runs f on a thread inside the namespace and waits for it. Sockets that f opens and children that it starts stay there.
func (n *NS) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, for it cannot be trusted to be back home.
		runtime.LockOSThread()
		err := errors.New("what ran inside a network namespace ended its goroutine") // as a test's FailNow does
		defer func() { done <- err }()
		if e := vn.Set(n.handle); e != nil {
			err = fmt.Errorf("entering network namespace %s: %w", n.Name, e)
			return
		}
		err = f()
	}()
	return <-done
}

func create(name string) (*NS, error) {
	n := &NS{Name: name}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		var err error
		if n.handle, err = vn.NewNamed(name); err != nil {
			done <- fmt.Errorf("making network namespace %s: %w (CAP_SYS_ADMIN is needed: root, or `unshare -Urn`)", name, err)
			return
		}
		done <- up("lo")
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return n, nil
}

func (n *NS) remove() error { return errors.Join(n.handle.Close(), vn.DeleteNamed(n.Name)) }

// up brings an interface of the thread's namespace up.
func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// Options of a pair of namespaces. The zero value works.
type Options struct {
	Pairs  int // veth pairs. The default is 1.
	Queues int // receive and transmit queues of each end. The default is 1.
	MTU    int // The default is 1,500.
}

// Pair is two namespaces joined by veth pairs. Interfaces of Rx are feed0, feed1, …; those of Tx are gen0, gen1, ….
type Pair struct {
	Rx, Tx *NS
}

// NewPair makes two namespaces named tickwire-<pid>-<use>-rx and -tx.
func NewPair(use string, o Options) (_ *Pair, err error) {
	o.Pairs, o.Queues = max(o.Pairs, 1), max(o.Queues, 1)
	if o.MTU == 0 {
		o.MTU = 1500
	}
	ClearDead()
	p := &Pair{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	base := fmt.Sprintf("%s%d-%s", Prefix, os.Getpid(), use)
	if p.Rx, err = create(base + "-rx"); err != nil {
		return nil, err
	}
	if p.Tx, err = create(base + "-tx"); err != nil {
		return nil, err
	}
	for i := range o.Pairs {
		if err := p.Rx.Do(func() error { return join(i, &o, p.Tx) }); err != nil {
			return nil, fmt.Errorf("veth pair feed%d–gen%d: %w", i, i, err)
		}
		if err := p.Tx.Do(func() error { return address(fmt.Sprintf("gen%d", i), i, 2) }); err != nil {
			return nil, fmt.Errorf("interface gen%d: %w", i, err)
		}
	}
	return p, nil
}

// join makes pair i, one end here, the other in tx.
func join(i int, o *Options, tx *NS) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.NumTxQueues, attrs.NumRxQueues = fmt.Sprintf("feed%d", i), o.MTU, o.Queues, o.Queues
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: fmt.Sprintf("gen%d", i), PeerNamespace: netlink.NsFd(tx.handle),
		PeerNumTxQueues: uint32(o.Queues), PeerNumRxQueues: uint32(o.Queues), PeerMTU: uint32(o.MTU),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	return address(attrs.Name, i, 1)
}

// address gives an end 10.203.<i>.<host>/24 and brings it up. IPv6 is turned off: its chatter would be in every count.
func address(name string, i, host int) error {
	_ = os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6"), []byte("1"), 0) // a kernel without IPv6 has none
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 203, byte(i), byte(host)), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// Close removes both namespaces, and with them the interfaces.
func (p *Pair) Close() error {
	var errs []error
	for _, n := range []*NS{p.Rx, p.Tx} {
		if n != nil {
			errs = append(errs, n.remove())
		}
	}
	return errors.Join(errs...)
}

// ClearDead removes the namespaces of processes that were killed before they could.
func ClearDead() {
	names, err := os.ReadDir(runDir)
	if err != nil {
		return // there are none
	}
	for _, e := range names {
		rest, ok := strings.CutPrefix(e.Name(), Prefix)
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, "-")
		if pid, err := strconv.Atoi(number); err == nil && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = vn.DeleteNamed(e.Name())
		}
	}
}
