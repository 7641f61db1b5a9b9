package mdp3_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/nic/udp"
	wire "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/mold"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func market(t testing.TB, o mdp3gen.Options) *mdp3gen.Gen {
	t.Helper()
	g, err := mdp3gen.New(o)
	must(t, err)
	return g
}

// TestChannel: numbers without a hole, packets within their length that hold whole messages and all of them, and a heartbeat in each idle time.
func TestChannel(t *testing.T) {
	g := market(t, mdp3gen.Options{Messages: 20_000, Seed: 4})
	next, messages, heartbeats, last := uint32(1), uint64(0), uint64(0), uint64(0)
	c, err := mdp3.NewChannel(g, mdp3.ChannelOptions{PayloadBytes: 1_300, HeartbeatNs: 30_000_000}, func(n uint32, ts uint64, packet []byte) error {
		h, body, err := wire.ParsePacket(packet)
		must(t, err)
		if whole, used := wire.Walk(body, 1); n != next || h.Sequence != n || h.SendingTime != ts || ts < last || len(packet) > 1_300 || whole != 1 || used != len(body) || used == 0 {
			t.Fatalf("packet %d (%d) of %d bytes at %d after %d, want %d", n, h.Sequence, len(packet), ts, last, next)
		}
		next, last = n+1, ts
		if h.Heartbeat {
			heartbeats++
			return nil
		}
		for len(body) > 0 {
			_, used := wire.Next(body)
			messages++
			body = body[used:]
		}
		return nil
	})
	must(t, err)
	for ok := true; ok; {
		ok, err = c.Event()
		must(t, err)
	}
	if messages != 20_000 || heartbeats == 0 || heartbeats != c.Heartbeats || uint64(next-1) != c.Packets {
		t.Errorf("%d messages in %d packets, %d and %d heartbeats", messages, c.Packets, heartbeats, c.Heartbeats)
	}
	if c.Reflected() != next-1 {
		t.Errorf("the state is of packet %d, want %d", c.Reflected(), next-1)
	}
}

// TestLoops: each round begins with 1 and has every instrument once, as of a packet that has left; one without instruments is a heartbeat.
func TestLoops(t *testing.T) {
	g := market(t, mdp3gen.Options{Messages: 20_000, Instruments: 24})
	c, err := mdp3.NewChannel(g, mdp3.ChannelOptions{}, func(uint32, uint64, []byte) error { return nil })
	must(t, err)
	loop, err := mdp3.NewLoop(c, mdp3.LoopLevels)
	must(t, err)
	packet, err := loop.Next(1)
	must(t, err)
	if h, _, _ := wire.ParsePacket(packet); !h.Heartbeat || h.Sequence != 1 {
		t.Errorf("a round without instruments is %x", packet)
	}
	for range 8_000 {
		_, err := c.Event()
		must(t, err)
	}
	for _, kind := range []mdp3.LoopKind{mdp3.LoopLevels, mdp3.LoopOrders, mdp3.LoopDefinitions} {
		loop, err := mdp3.NewLoop(c, kind)
		must(t, err)
		seen, next, rounds, last := map[int32]bool{}, uint32(1), 0, uint32(1)
		for turn := 0; rounds < 3; turn++ {
			packet, err := loop.Next(1)
			must(t, err)
			h, body, err := wire.ParsePacket(packet)
			must(t, err)
			if h.Sequence == 1 && next != 1 {
				if rounds++; len(seen) != 24 {
					t.Fatalf("loop %d: %d instruments in a round", kind, len(seen))
				}
				next = 1
				clear(seen)
			}
			if h.Sequence != next {
				t.Fatalf("loop %d: packet %d after %d", kind, h.Sequence, next-1)
			}
			for next++; len(body) > 0; {
				m, used := wire.Next(body)
				b := m.Body()
				at := map[mdp3.LoopKind]int{mdp3.LoopLevels: 8, mdp3.LoopOrders: 8, mdp3.LoopDefinitions: 55}[kind]
				seen[int32(binary.LittleEndian.Uint32(b[at:]))] = true
				if kind != mdp3.LoopDefinitions { // what found no room in the packet before was made then
					if l := binary.LittleEndian.Uint32(b); l < last || l > c.Reflected() {
						t.Fatalf("as of %d, want %d to %d", l, last, c.Reflected())
					}
					last = binary.LittleEndian.Uint32(b)
				}
				body = body[used:]
			}
			if turn%2 == 0 {
				_, err := c.Event()
				must(t, err)
				must(t, c.Flush())
			}
		}
	}
}

// TestCapture: what a capture's lines lack is what the counters say, the first packet and the last are there, and both lines together have the rest, byte for byte.
func TestCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cme.pcap")
	f, err := os.Create(path)
	must(t, err)
	o := mdp3.CaptureOptions{Lines: mold.LinesOptions{Seed: 3, A: mold.Line{LossPPM: 100_000, ReorderPPM: 1_000}, B: mold.Line{LossPPM: 50_000}, BothPPM: 500, BothPackets: 3}}
	lost := map[uint64]bool{}
	o.Lines.Lost = func(_ [10]byte, first uint64, _ int) { lost[first] = true }
	c, err := mdp3.WriteCapture(f, market(t, mdp3gen.Options{Messages: 10_000}), o)
	must(t, errors.Join(err, f.Close()))
	r, err := pcap.Open(path)
	must(t, err)
	defer r.Close()
	got, most := map[uint32][]byte{}, uint32(0)
	var counts [2]uint64
	packets := make([]nic.Packet, 64)
	for {
		n, err := r.Poll(packets)
		for _, p := range packets[:n] {
			if p.Group == mdp3.GroupB {
				counts[1]++
			} else {
				counts[0]++
			}
			k := binary.LittleEndian.Uint32(p.Data)
			if have := got[k]; have != nil && !bytes.Equal(have, p.Data) {
				t.Fatalf("packet %d differs between lines", k)
			}
			got[k] = bytes.Clone(p.Data)
			most = max(most, k)
		}
		if err != nil {
			break
		}
	}
	if uint64(most) != c.Packets || uint64(len(got)+len(lost)) != c.Packets || len(lost) == 0 || c.LostBoth != uint64(len(lost)) || got[1] == nil ||
		counts[0] != c.Lines[0].Sent || counts[1] != c.Lines[1].Sent || counts[0]+c.Lines[0].Lost != c.Packets {
		t.Errorf("%d packets of %d, %d lost; lines %v; %+v", len(got), most, len(lost), counts, c)
	}
	for k := range lost {
		if got[uint32(k)] != nil {
			t.Errorf("packet %d is lost and there", k)
		}
	}
}

// TestExchange: on lo, with resets and losses, both lines together have what the archive has but what neither was sent.
func TestExchange(t *testing.T) {
	g := market(t, mdp3gen.Options{Messages: 8_000, Instruments: 12, Live: true})
	a, b := netip.MustParseAddrPort("239.255.78.161:34331"), netip.MustParseAddrPort("239.255.78.162:34332")
	src, err := udp.Open(udp.Options{Groups: []udp.Group{{Group: a, Interface: "lo"}, {Group: b, Interface: "lo", Line: 1}}})
	must(t, err)
	defer src.Close()
	lost := map[uint64]bool{}
	e, err := mdp3.NewExchange(g, mdp3.Options{
		Rate: 20_000, ResetEvery: 100 * time.Millisecond, ReplayAt: netip.MustParseAddrPort("127.0.0.1:0"), Linger: 100 * time.Millisecond,
		Lines: mold.LinesOptions{Seed: 5, A: mold.Line{Group: a, LossPPM: 50_000}, B: mold.Line{Group: b, LossPPM: 50_000}, Lost: func(_ [10]byte, n uint64, _ int) { lost[n] = true }},
	})
	must(t, err)
	if !e.ReplayAddr().IsValid() {
		t.Error("no replay")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	got := map[uint32]bool{}
	packets, running := make([]nic.Packet, 64), true
	for quiet := 0; quiet < 5; {
		n, err := src.Poll(packets)
		must(t, err)
		for _, p := range packets[:n] {
			k := binary.LittleEndian.Uint32(p.Data)
			if want := e.Archive().Get(k); !bytes.Equal(want, p.Data) {
				t.Fatalf("packet %d is not the archive's", k)
			}
			got[k] = true
		}
		if n == 0 {
			must(t, src.Wait(10*time.Millisecond))
			select {
			case err := <-ran:
				must(t, err)
				running = false
			default:
			}
			if !running {
				quiet++
			}
		}
	}
	c := e.Counters()
	must(t, e.Close())
	if drops := src.Counters().KernelDrops; drops == 0 && c.SendFails == 0 && uint64(len(got)+len(lost)) != c.Packets || c.Resets == 0 || c.LostBoth != uint64(len(lost)) || c.Packets < 500 {
		t.Errorf("%d packets came, %d are lost, %d dropped: %+v", len(got), len(lost), drops, c)
	}
}

func TestBadOptions(t *testing.T) {
	g := market(t, mdp3gen.Options{})
	for _, o := range []mdp3.Options{
		{Rate: -1}, {LoopLossPPM: 2_000_000}, {Interfaces: [2]string{"nosuch"}}, {Channel: mdp3.ChannelOptions{PayloadBytes: 10}},
		{Lines: mold.LinesOptions{A: mold.Line{CorruptPPM: 2_000_000}}}, {ReplayAt: netip.MustParseAddrPort("0.0.0.0:0")}, {Levels: netip.MustParseAddrPort("127.0.0.1:5")},
	} {
		if e, err := mdp3.NewExchange(g, o); err == nil {
			must(t, e.Close())
			t.Errorf("%+v", o)
		}
	}
}

// TestRecorded: a capture that was made comes again, each packet once on each line, in order, from a file whose lines lack some.
func TestRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cme.pcap")
	f, err := os.Create(path)
	must(t, err)
	c, err := mdp3.WriteCapture(f, market(t, mdp3gen.Options{Messages: 2_000}), mdp3.CaptureOptions{Lines: mold.LinesOptions{A: mold.Line{LossPPM: 100_000}, B: mold.Line{LossPPM: 50_000, ReorderPPM: 10_000}}})
	must(t, errors.Join(err, f.Close()))
	a, b := netip.MustParseAddrPort("239.255.78.181:34351"), netip.MustParseAddrPort("239.255.78.182:34352")
	src, err := udp.Open(udp.Options{Groups: []udp.Group{{Group: a, Interface: "lo"}, {Group: b, Interface: "lo", Line: 1}}})
	must(t, err)
	defer src.Close()
	e, err := mdp3.NewExchange(nil, mdp3.Options{Lines: mold.LinesOptions{A: mold.Line{Group: a}, B: mold.Line{Group: b}}})
	must(t, err)
	must(t, e.Play(context.Background(), path, "max"))
	got := [2]map[uint32]bool{{}, {}}
	packets := make([]nic.Packet, 64)
	for quiet := 0; quiet < 3; {
		n, err := src.Poll(packets)
		must(t, err)
		for _, p := range packets[:n] {
			k := binary.LittleEndian.Uint32(p.Data)
			if got[p.Line][k] {
				t.Errorf("packet %d twice on line %d", k, p.Line)
			}
			got[p.Line][k] = true
		}
		if n == 0 {
			quiet++
			must(t, src.Wait(20*time.Millisecond))
		}
	}
	done := e.Counters()
	must(t, e.Close())
	if want := int(done.Packets); src.Counters().KernelDrops == 0 && (len(got[0]) != want || len(got[1]) != want) || done.Packets < c.Packets*98/100 || done.Packets > c.Packets || !done.Ended || done.Strays != 0 {
		t.Errorf("%d and %d packets came: %+v, of %d", len(got[0]), len(got[1]), done, c.Packets)
	}
}

// TestDamage: a receiver can tell each damage by the packet alone, or by a number that is nowhere near; what it takes for good is counted.
func TestDamage(t *testing.T) {
	for _, way := range []mold.Corruption{mold.CorruptHeader, mold.CorruptLength, mold.CorruptTruncate, mold.CorruptCount, mold.CorruptHeader | mold.CorruptLength | mold.CorruptTruncate, mold.CorruptPayload} {
		var out bytes.Buffer
		c, err := mdp3.WriteCapture(&out, market(t, mdp3gen.Options{Messages: 2_000}), mdp3.CaptureOptions{Lines: mold.LinesOptions{A: mold.Line{CorruptPPM: 200_000, Corrupt: way}, B: mold.Line{LossPPM: 1_000_000}}})
		must(t, err)
		r, err := pcap.NewReader(&out)
		must(t, err)
		good, packets := uint64(0), make([]nic.Packet, 64)
		for err == nil {
			var n int
			n, err = r.Poll(packets)
			for _, p := range packets[:n] {
				h, body, bad := wire.ParsePacket(p.Data)
				if whole, _ := wire.Walk(body, 1); bad == nil && whole == 1 && len(body) > 0 && h.Sequence < 1<<30 {
					if p.Group == mdp3.GroupA {
						good++
					}
				}
			}
		}
		damaged := c.Lines[0].Corrupted
		if way == mold.CorruptPayload {
			if p := c.Lines[0].Poisoned; p > damaged || p == 0 { // a heartbeat has no byte to change
				t.Errorf("%v: %+v", way, c)
			}
			continue
		}
		if damaged == 0 || good != c.Packets-damaged || c.Lines[0].Poisoned != 0 {
			t.Errorf("%v: %d good packets of %d, %d damaged", way, good, c.Packets, damaged)
		}
	}
}

// TestConfig: what is printed for a receiver is a configuration, of the same groups; whatever loops there are.
func TestConfig(t *testing.T) {
	for loops := range 8 {
		o := mdp3.Options{ReplayAt: netip.MustParseAddrPort("127.0.0.1:5202"), Replay: mdp3.ReplayOptions{User: "me"}}
		for kind, to := range []*netip.AddrPort{&o.Levels, &o.Orders, &o.Definitions} {
			if loops>>kind&1 != 0 {
				*to = []netip.AddrPort{mdp3.LevelsA, mdp3.OrdersA, mdp3.DefinitionsA}[kind]
			}
		}
		c, err := config.Parse([]byte(o.Config()), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, o.Config())
		}
		f, ch := &c.Feed[0], c.Feed[0].Channel[0]
		want := []int{0, 1, 1, 2, 0, 2, 2, 3}[loops]
		if f.Protocol != "mdp3" || ch.ID != 310 || ch.Line[1].Group != mdp3.GroupB || len(ch.Service) != want || f.Recovery.Servers[0] != "127.0.0.1:5202" ||
			f.Product != []string{"", "mbp", "mbo", "", "", "mbp", "mbo", ""}[loops] || loops == 7 && ch.Service[2].Group != mdp3.DefinitionsA {
			t.Errorf("loops %03b: %+v", loops, f)
		}
	}
}
