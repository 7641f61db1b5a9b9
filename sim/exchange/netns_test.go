package exchange

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	glimpseclient "github.com/tickwire/tickwire/feed/session/glimpse"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/mold"
)

// afxdpMissing skips a test on a machine that has namespaces but no AF_XDP; in CI it fails.
func afxdpMissing(t testing.TB, err error) {
	t.Helper()
	if err != nil && os.Getenv("CI") == "" && (errors.Is(err, os.ErrPermission) || bytes.Contains([]byte(err.Error()), []byte("address family not supported"))) {
		t.Skipf("AF_XDP cannot be had here: %v", err)
	}
}

// inNamespaces plays an exchange in one namespace to a listener in another, and gives what came.
func inNamespaces(t *testing.T, p *netns.Pair, o Options, rx [2]string) ([]received, Counters) {
	t.Helper()
	var l *listener
	if err := p.Rx.Do(func() error {
		l = listen(t, [2]netip.AddrPort{GroupA, GroupB}, rx)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var e *Exchange
	err := p.Tx.Do(func() (err error) {
		e, err = New(o)
		return err
	})
	afxdpMissing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(t.Context())
	if err = errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	return l.all(), e.Counters()
}

// TestVeth: through a veth pair, by sockets and by AF_XDP, on one interface and on two, the receiver's kernel takes every packet: its
// checksums are right.
func TestVeth(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		name   string
		via    Via
		tx, rx [2]string
		lines  mold.LinesOptions
	}{
		{"sockets", Sockets, [2]string{"gen0", "gen0"}, [2]string{"feed0", "feed0"}, mold.LinesOptions{}},
		{"afxdp", AFXDP, [2]string{"gen0", "gen0"}, [2]string{"feed0", "feed0"}, mold.LinesOptions{}},
		{"afxdp, an interface a line", AFXDP, [2]string{"gen0", "gen1"}, [2]string{"feed0", "feed1"}, mold.LinesOptions{}},
		{"afxdp with faults", AFXDP, [2]string{"gen0", "gen1"}, [2]string{"feed0", "feed1"}, mold.LinesOptions{
			A: mold.Line{LossPPM: 100_000, CorruptPPM: 50_000}, B: mold.Line{DelayNs: 10_000_000, DuplicatePPM: 10_000},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := quick(20_000)
			o.Via, o.Interfaces, o.Lines = tc.via, tc.tx, tc.lines
			o.Expect = filepath.Join(t.TempDir(), "truth")
			packets, c := inNamespaces(t, p, o, tc.rx)
			h := hear(packets)
			if len(h.sessions) != 1 || !bytes.Equal(h.sessions[0].blocks, readTruth(t, o.Expect)) || h.ends != 1 {
				t.Fatalf("%d sessions, %d ends of %+v", len(h.sessions), h.ends, c)
			}
			if sent := c.Lines[0].Sent + c.Lines[1].Sent; uint64(len(packets)) != sent || c.SendFails != [2]uint64{} {
				t.Errorf("%d of %d packets came: %v %s", len(packets), sent, c.SendFails, c.LastFail)
			}
			t.Logf("late: half %d ns, 99 of 100 %d ns, all %d ns", c.LateP50, c.LateP99, c.LateMax)
		})
	}
}

// TestVethServers: both servers answer over the interface they were opened at, in its namespace.
func TestVethServers(t *testing.T) {
	p := nstest.Pair(t, netns.Options{})
	here := netip.MustParseAddrPort("10.203.0.2:0")
	o := quick(10_000)
	o.Interfaces = [2]string{"gen0", "gen0"}
	o.Requests.Addr, o.Snapshots.Addr = here, here
	o.Expect = filepath.Join(t.TempDir(), "truth")
	var e *Exchange
	if err := p.Tx.Do(func() (err error) {
		e, err = New(o)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, err := mold.SessionID(DefaultSession)
	if err != nil {
		t.Fatal(err)
	}
	truth := readTruth(t, o.Expect)
	var books, whole glimpse.State
	apply(&whole, truth, 1<<30)
	if err := p.Rx.Do(func() error {
		if got := again(t, e.RequestAddr(), id, nil, 1, 10_000); !bytes.Equal(got, truth) {
			t.Errorf("%d messages were sent again, %d are true", count(got), count(truth))
		}
		fetch := func() (uint64, error) {
			return glimpseclient.Fetch(t.Context(), glimpseclient.Config{Server: e.SnapshotAddr().String()}, func(blocks []byte, n int) error {
				apply(&books, blocks, n)
				return nil
			})
		}
		next, err := fetch()
		if err != nil || next != 10_001 || books.Orders() != whole.Orders() || whole.Orders() == 0 {
			t.Errorf("a snapshot of %d orders before %d, want %d: %v", books.Orders(), next, whole.Orders(), err)
		}
		e.SetSnapshotFaults(glimpse.Faults{Refuse: 'A'})
		if _, err := fetch(); !errors.Is(err, glimpseclient.ErrRejected) {
			t.Errorf("a server that refuses: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if config := e.Config(); !bytes.Contains([]byte(config), []byte(e.RequestAddr().String())) || !bytes.Contains([]byte(config), []byte(e.SnapshotAddr().String())) {
		t.Errorf("the servers are not in:\n%s", config)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLinkDown: a link that is down for a while loses packets, counted, and stops nothing; one that stays down ends the run with its reason.
func TestLinkDown(t *testing.T) {
	for _, via := range []Via{Sockets, AFXDP} {
		t.Run(via.String(), func(t *testing.T) {
			p := nstest.Pair(t, netns.Options{})
			o := quick(60_000)
			o.Via, o.Interfaces, o.Pace = via, [2]string{"gen0", "gen0"}, "50000/s"
			set := func(up bool) error {
				return p.Tx.Do(func() error {
					link, err := netlink.LinkByName("gen0")
					if err != nil {
						return err
					}
					if up {
						return netlink.LinkSetUp(link)
					}
					return netlink.LinkSetDown(link)
				})
			}
			var e *Exchange
			err := p.Tx.Do(func() (err error) {
				e, err = New(o)
				return err
			})
			afxdpMissing(t, err)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- e.Run(t.Context()) }()
			reach := func(n uint64) {
				t.Helper()
				for e.Messages() < n {
					select {
					case err := <-done:
						t.Fatalf("it ended after %d messages: %v", e.Messages(), err)
					case <-time.After(time.Millisecond):
					}
				}
			}
			reach(5_000)
			if err := set(false); err != nil {
				t.Fatal(err)
			}
			reach(e.Messages() + 5_000)
			if err := set(true); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(<-done, e.Close()); err != nil {
				t.Fatal(err)
			}
			c := e.Counters()
			if c.Messages != 60_000 || c.SendFails[0] == 0 || c.LastFail == "" {
				t.Errorf("%+v", c)
			}
			t.Logf("%v refused: %s", c.SendFails, c.LastFail)
		})
	}
}

// TestFrame: a frame is what the kernel would have made: headers field by field, and checksums that come out even.
func TestFrame(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	src, group := netip.MustParseAddrPort("10.203.0.2:31337"), netip.MustParseAddrPort("239.255.77.11:26477")
	for _, vlan := range []uint16{0, 7} {
		f, err := newFrame(mac, src, group, 1, vlan)
		if err != nil {
			t.Fatal(err)
		}
		for size := range 200 {
			payload := bytes.Repeat([]byte{0xFF, byte(size), 0x80}, size)
			b := bytes.Repeat([]byte{0xAA}, 2048)
			b = b[:f.write(b, payload)]
			if len(b) < minFrame || len(b) > minFrame && len(b) != f.n+len(payload) {
				t.Fatalf("%d bytes of payload make a frame of %d", len(payload), len(b))
			}
			if !bytes.Equal(b[:12], []byte{1, 0, 0x5E, 0x7F, 77, 11, 2, 0, 0, 0, 0, 1}) || vlan != 0 && !bytes.Equal(b[12:16], []byte{0x81, 0, 0, 7}) {
				t.Fatalf("Ethernet header % x", b[:18])
			}
			ip := b[f.ip:]
			if fold(add(0, ip[:20])) != 0xFFFF || ip[8] != 1 || ip[9] != 17 || int(ip[2])<<8+int(ip[3]) != 28+len(payload) {
				t.Fatalf("IPv4 header % x", ip[:20])
			}
			udp := ip[20 : 28+len(payload)]
			pseudo := append(append([]byte{}, ip[12:20]...), 0, 17, udp[4], udp[5])
			if fold(add(add(0, pseudo), udp)) != 0xFFFF || !bytes.Equal(udp[8:], payload) {
				t.Fatalf("%d bytes of payload: UDP checksum % x", len(payload), udp[6:8])
			}
		}
	}
	if _, err := newFrame(nil, src, group, 1, 0); err == nil {
		t.Error("an interface without an Ethernet address was taken")
	}
	if _, err := newFrame(mac, netip.AddrPort{}, group, 1, 0); err == nil {
		t.Error("an interface without an IPv4 address was taken")
	}
}

// FuzzFrame: whatever the payload, the kernel's way of adding finds the checksum right.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("payload"), byte(1))
	f.Fuzz(func(t *testing.T, payload []byte, low byte) {
		payload = payload[:min(len(payload), 1400)]
		fr, err := newFrame(net.HardwareAddr{2, 0, 0, 0, 0, low}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, low, 1}), 1), GroupA, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2048)
		b = b[:fr.write(b, payload)]
		ip := b[14:]
		udp := ip[20 : 28+len(payload)]
		sum := uint32(17) + uint32(len(udp))
		for _, part := range [][]byte{ip[12:20], udp} {
			for i, c := range part {
				sum += uint32(c) << (8 * (1 - i&1))
			}
		}
		for sum > 0xFFFF {
			sum = sum>>16 + sum&0xFFFF
		}
		if sum != 0xFFFF {
			t.Fatalf("checksum % x of % x", udp[6:8], payload)
		}
	})
}

// BenchmarkSend is packets of 200 bytes that leave on two lines, by each way, on a veth pair whose other end takes them and drops
// them (nobody has joined the groups).
//
//	seen    sockets 0.37, AF_XDP 0.73 million packets a second (one thread; shared two-core EPYC VM, Go 1.26, copy mode)
func BenchmarkSend(b *testing.B) {
	for _, via := range []Via{Sockets, AFXDP} {
		b.Run(via.String(), func(b *testing.B) {
			p := nstest.Pair(b, netns.Options{})
			o := Options{Via: via, Interfaces: [2]string{"gen0", "gen0"}}.withDefaults()
			var w wire
			err := p.Tx.Do(func() (err error) {
				w, err = openWire(&o)
				return err
			})
			afxdpMissing(b, err)
			if err != nil {
				b.Fatal(err)
			}
			packets := make([][]byte, burst)
			for i := range packets {
				packets[i] = make([]byte, 200)
			}
			n, began := 0, time.Now()
			b.ReportAllocs()
			for b.Loop() {
				for line := range 2 {
					sent, err := w.send(line, packets)
					if err != nil && !errors.Is(err, unix.ENOBUFS) {
						b.Fatal(err)
					}
					n += sent
				}
			}
			b.ReportMetric(float64(n)/time.Since(began).Seconds()/1e6, "Mpackets/s")
			if err := w.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
