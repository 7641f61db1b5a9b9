package process

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/ringbuf"
)

// TestLinkFlap: a link that was down, by our own end or by the other one, is survived by every source. Its groups are joined anew, as the report that
// goes out says; after the other end's the kernel sends none by itself. Then packets come again, and the counters tell of it.
func TestLinkFlap(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, config := range []string{
		`source = "udp"`,
		"source = \"udp\"\nidle = \"spin\"",
		`source = "afxdp"`,
		"source = \"afxdp\"\nidle = \"busy-poll\"",
		"source = \"afxdp\"\nafxdp.mode = \"generic\"",
	} {
		t.Run(config, func(t *testing.T) {
			r, w := start(t, p, config), plug(t, p)
			reports := listenIGMP(t, p, "gen0")
			next := uint64(1)
			comes := func(line int) {
				t.Helper()
				for until := time.Now().Add(patience); r.counters(t)["0.channel.0.messages"] != next+2; time.Sleep(5 * time.Millisecond) {
					_, _ = w.lines[line].Send([][]byte{packet(next, 3)}) // fails while the carrier is not back
					if time.Now().After(until) {
						t.Fatalf("nothing comes on line %d any more: %v; the process said:\n%s", line, moved(r.counters(t)), r.said)
					}
				}
				next += 3
			}
			comes(0)
			comes(1)
			for i, end := range []struct {
				ns   *netns.NS
				name string
			}{{p.Rx, "feed0"}, {p.Tx, "gen0"}} {
				set(t, end.ns, end.name, netlink.LinkSetDown)
				r.wait(t, "links.downs", uint64(i+1))
				comes(1) // the other line's interface is no concern of it
				reports.drain()
				set(t, end.ns, end.name, netlink.LinkSetUp)
				r.wait(t, "links.ups", uint64(i+1))
				reports.wait(t)
				comes(0)
				comes(1)
			}
			if n := r.counters(t)["links.failed"]; n != 0 {
				t.Errorf("%d groups were not joined anew:\n%s", n, r.said)
			}
			must(t, r.end())
		})
	}
}

// TestOneInterfaceTwoLanes: what becomes of an interface counts once, and so do its frames, however many lanes receive from it; each joins its own groups anew.
// They share one: no report goes out unless both leave it before one of them joins.
func TestOneInterfaceTwoLanes(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2, Queues: 2})
	if _, err := openWith(t, p, twoLanes(`source = "afxdp"`, "feed0", 0)); err == nil || !strings.Contains(err.Error(), "another lane of this process receives from queue 0 of feed0") {
		t.Errorf("two lanes on one queue: %v", err)
	}
	for source, want := range map[string]int{"afxdp": 1, "udp": 0} {
		t.Run(source, func(t *testing.T) {
			r := startWith(t, p, twoLanes(fmt.Sprintf("source = %q", source), "feed0", 1))
			reports := listenIGMP(t, p, "gen0")
			set(t, p.Tx, "gen0", netlink.LinkSetDown)
			r.wait(t, "links.downs", 1)
			reports.drain()
			set(t, p.Tx, "gen0", netlink.LinkSetUp)
			r.wait(t, "links.ups", 1)
			reports.wait(t)
			if said := r.said.String(); strings.Count(said, "groups joined anew") != 2 {
				t.Errorf("want each lane to say that it joined anew:\n%s", said)
			}
			programs := 0
			for name := range r.counters(t) {
				if strings.HasSuffix(name, "xdp.interface.feed0.redirected") {
					programs++
				}
			}
			if programs != want {
				t.Errorf("the program of feed0 is counted %d times, want %d", programs, want)
			}
			must(t, r.end())
		})
	}
}

// TestInterfaceVanishes: a feed whose interface is gone ends with a word about it, its own rings failed, and another lane's rings do not look alive.
func TestInterfaceVanishes(t *testing.T) {
	for _, source := range []string{"udp", "afxdp"} {
		for _, idle := range []string{"block", "busy-poll"} {
			t.Run(source+" "+idle, func(t *testing.T) {
				p := nstest.Pair(t, netns.Options{Pairs: 3})
				r := spawnWith(t, p, t.TempDir(), twoLanes(fmt.Sprintf("source = %q\nidle = %q", source, idle), "feed2", 0))
				r.end, r.killed = sync.OnceValue(r.child.Wait), true // it is to end by itself
				fuse := time.AfterFunc(patience, func() { _ = r.child.Process.Kill() })
				defer fuse.Stop()
				set(t, p.Rx, "feed0", netlink.LinkDel)
				if err := r.end(); err == nil || !fuse.Stop() {
					t.Errorf("it ended with %v", err)
				}
				if said := r.said.String(); !strings.Contains(said, "lane 0: ") || !strings.Contains(said, "interface feed0 is gone") {
					t.Errorf("it said:\n%s", said)
				}
				for lane, want := range map[string]ringbuf.State{"0": ringbuf.StateFailed, "1": ringbuf.StateStopped} {
					in, err := ringbuf.Look(ringbuf.Path(r.dir, "t", "nq", lane, ringbuf.KindMbo))
					must(t, err)
					if in.State != want || in.Alive {
						t.Errorf("the ring of lane %s says %v, alive: %v", lane, in.State, in.Alive)
					}
				}
			})
		}
	}
}

// twoLanes is configOf with a second lane, which has one line on a queue of an interface, of the same group as line A by another port.
func twoLanes(more, face string, queue int) func(dir string) []byte {
	return func(dir string) []byte {
		return fmt.Appendf(configOf(dir, more), `
[[feed.lane]]
[[feed.lane]]
[[feed.channel]]
lane = "1"
[[feed.channel.line]]
interface = %q
queue = %d
group = "233.54.12.111:26478"
`, face, queue)
	}
}

func set(t *testing.T, ns *netns.NS, name string, what func(netlink.Link) error) {
	t.Helper()
	must(t, ns.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return what(l)
	}))
}

// igmp sees the reports that arrive at an interface.
type igmp struct{ fd int }

func listenIGMP(t *testing.T, p *netns.Pair, name string) *igmp {
	t.Helper()
	g := &igmp{}
	must(t, p.Tx.Do(func() (err error) {
		const ip = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xFF<<8
		if g.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, ip); err != nil {
			return err
		}
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return unix.Bind(g.fd, &unix.SockaddrLinklayer{Protocol: ip, Ifindex: l.Attrs().Index})
	}))
	t.Cleanup(func() { must(t, unix.Close(g.fd)) })
	return g
}

// drain takes what has come; true: a report was in it.
func (g *igmp) drain() (seen bool) {
	var b [256]byte
	for {
		n, from, err := unix.Recvfrom(g.fd, b[:], 0)
		if err == unix.ENETDOWN {
			continue // told once each time
		}
		if err != nil {
			return seen
		}
		at, _ := from.(*unix.SockaddrLinklayer)
		if head := int(b[0]&0xF) * 4; at != nil && at.Pkttype != unix.PACKET_OUTGOING && n > head && b[9] == unix.IPPROTO_IGMP && b[head] == 0x22 {
			seen = true
		}
	}
}

func (g *igmp) wait(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(patience); !g.drain(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no membership report went out")
		}
	}
}
