package process

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	xdpwire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// What the venue's box of these tests says it is.
const (
	nyseChannel  = 3
	nyseMessages = 30_000
)

var nyseServices = [2]netip.AddrPort{netip.MustParseAddrPort("239.255.78.13:13064"), netip.MustParseAddrPort("239.255.78.14:14064")}

// nyseConfigOf is a feed of the box on feed0 and feed1; services are the kinds that it has groups of.
func nyseConfigOf(dir string, server netip.AddrPort, services []string, more string) []byte {
	b := fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "nq"
protocol = "xdp"
product = "integrated"
publisher = 40001
dataset = "SIM.XDP"
source = "udp"
%[2]s
recovery.hold_packets = 16384
`, dir, more)
	if server.IsValid() {
		b = fmt.Appendf(b, "recovery.servers = [%q]\nrecovery.user = \"TEST\"\nrecovery.product_id = %d\n", server, xdpgen.Product)
	}
	b = fmt.Appendf(b, `
[feed.rings]
mbo = 262144
mbp1 = 131072
trades = 16384
events = 65536
ext = 65536
[[feed.channel]]
id = %d
`, nyseChannel)
	for i, group := range lineGroups {
		b = fmt.Appendf(b, "[[feed.channel.line]]\ninterface = \"feed%d\"\ngroup = %q\n", i, group)
	}
	for _, kind := range services {
		group := nyseServices[0]
		if kind == "refresh" {
			group = nyseServices[1]
		}
		b = fmt.Appendf(b, "[[feed.channel.service]]\nkind = %q\ngroup = %q\n", kind, group)
	}
	return b
}

// nyseBox is a venue in the sending namespace.
type nyseBox struct {
	*xdp.Venue
	gen   xdpgen.Options
	id    uint8                      // product_id, where it is not the default
	lack  func(n int, m []byte) bool // messages that the venue itself leaves out; nil: none
	ran   chan error
	given atomic.Bool // the source has given its last message
}

func newBox(t *testing.T, p *netns.Pair, seed uint64, rate float64, lines mold.LinesOptions, requests xdp.RequestOptions, linger time.Duration) *nyseBox {
	t.Helper()
	return newLackingBox(t, p, seed, rate, lines, requests, linger, nil)
}

func newLackingBox(t *testing.T, p *netns.Pair, seed uint64, rate float64, lines mold.LinesOptions, requests xdp.RequestOptions, linger time.Duration, lack func(n int, m []byte) bool) *nyseBox {
	t.Helper()
	lines.Seed = seed
	lines.A.Group, lines.B.Group = lineGroups[0], lineGroups[1]
	b := &nyseBox{
		gen:  xdpgen.Options{Symbols: 50, Seed: seed, Version: xdpwire.V25, Channel: nyseChannel, Live: true, Date: itchgen.Date{Year: 2026, Month: 1, Day: 5}},
		lack: lack, ran: make(chan error, 1),
	}
	requests.Seed = seed
	b.open(t, p, xdp.Options{Source: b.source(t, rate), Lines: lines, Requests: requests, Linger: linger})
	return b
}

// open opens the venue, at the box's place.
func (b *nyseBox) open(t *testing.T, p *netns.Pair, o xdp.Options) {
	t.Helper()
	g, err := xdpgen.New(b.gen)
	must(t, err)
	o.Version, o.Product, o.Channel, o.Interfaces = xdpwire.V25, g.ProductID(), nyseChannel, [2]string{"gen0", "gen1"}
	o.Retransmission, o.Refresh, o.Play.HeartbeatNs = nyseServices[0], nyseServices[1], 100_000_000
	must(t, p.Tx.Do(func() (err error) { b.Venue, err = xdp.New(o); return err }))
	t.Cleanup(func() { must(t, b.Close()) })
}

// source gives the session; the same each time.
func (b *nyseBox) source(t *testing.T, rate float64) mold.Source {
	t.Helper()
	g, err := xdpgen.New(b.gen)
	must(t, err)
	return &firstOf{Source: xdp.Live(g, rate, 10*3600*1e9), left: nyseMessages, lack: b.lack, given: &b.given}
}

// firstOf is the beginning of a source: a session that ends has no orders left.
type firstOf struct {
	mold.Source
	left, seen int
	lack       func(n int, m []byte) bool
	given      *atomic.Bool // there are no more
}

func (s *firstOf) Next(dst []byte) ([]byte, bool) {
	for s.left > 0 {
		out, ok := s.Source.Next(dst)
		if s.seen++; ok && s.lack != nil && s.lack(s.seen, out[len(dst):]) {
			continue
		}
		s.left--
		if !ok {
			s.given.Store(true)
		}
		return out, ok
	}
	s.given.Store(true)
	return dst, false
}

func (b *nyseBox) play(ctx context.Context) { go func() { b.ran <- b.Run(ctx) }() }

// truth is what a lane makes of the same session when nothing is lost.
func (b *nyseBox) truth(t *testing.T, rate float64) []tick.Mbo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "day.pcap")
	f, err := os.Create(path)
	must(t, err)
	g, err := xdpgen.New(b.gen)
	must(t, err)
	_, err = xdp.WriteCapture(f, b.source(t, rate), xdp.CaptureOptions{Play: xdp.PlayOptions{Epoch: g.Midnight()}})
	must(t, err)
	must(t, f.Close())
	o, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Slots: 1 << 18})
	must(t, err)
	defer o.Close()
	must(t, o.Run(nil))
	return bare((&running{dir: o.Dir}).records(t, OfflineInstance, OfflineFeed))
}

// settle waits until every message came or was given up.
func (r *running) settle(t *testing.T, messages uint64) map[string]uint64 {
	t.Helper()
	k := r.counters(t)
	for until := time.Now().Add(patience); k["0.channel.0.messages"]+k["0.channel.0.lost_messages"] < messages; k = r.counters(t) {
		if time.Now().After(until) {
			t.Fatalf("%d messages and %d lost of %d; the process said:\n%s\n%v", k["0.channel.0.messages"], k["0.channel.0.lost_messages"], messages, r.said, moved(k))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return k
}

// TestNYSEFaults: as TestFaults, with the NYSE venue in a box: two lines, retransmission by TCP and multicast. What can be had is had: the records are those
// of a lossless run. What cannot is named.
func TestNYSEFaults(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	random := mold.Line{LossPPM: 50_000, DuplicatePPM: 20_000, ReorderPPM: 20_000}
	bursts := mold.Line{BurstPPM: 3_000, BurstPackets: 20}
	both := mold.LinesOptions{BothPPM: 3_000, BothPackets: 7}
	server := xdp.RequestOptions{Addr: txServer}
	faulty := func(f xdp.Faults) xdp.RequestOptions { return xdp.RequestOptions{Addr: txServer, Faults: f} }
	for _, tc := range []struct {
		name     string
		lines    mold.LinesOptions
		requests xdp.RequestOptions
		gaps     bool // some numbers never come
	}{
		{name: "each line loses some", lines: mold.LinesOptions{A: random, B: bursts}, requests: server},
		{name: "both lose, asked for", lines: both, requests: server},
		{name: "both lose, the channel loses and lies", lines: both, requests: faulty(xdp.Faults{LossPPM: 100_000, SpoilPPM: 100_000})},
		{name: "both lose, the connection is cut", lines: both, requests: faulty(xdp.Faults{CutAfter: 25})},
		{name: "both lose, nobody to ask", lines: both, gaps: true},
		{name: "both lose, and it cannot be had", lines: both, requests: faulty(xdp.Faults{Unavailable: true}), gaps: true},
		{name: "both lose, and all is refused", lines: both, requests: faulty(xdp.Faults{Refuse: xdpwire.UnknownSource}), gaps: true},
	} {
		t.Run(tc.name, func(t *testing.T) { nyseFaults(t, p, tc.lines, tc.requests, tc.gaps, 1) })
	}
}

func nyseFaults(t *testing.T, p *netns.Pair, lines mold.LinesOptions, requests xdp.RequestOptions, gaps bool, seed uint64) {
	const rate = 60_000
	b := newBox(t, p, seed, rate, lines, requests, 3*time.Second)
	dir := t.TempDir()
	r := spawnWith(t, p, dir, func(dir string) []byte {
		return nyseConfigOf(dir, b.RequestAddr(), []string{"retransmission"}, "recovery.wait = \"10ms\"\nrecovery.hold_max = \"5s\"\nrecovery.tries = 8\n")
	})
	if b.RequestAddr().IsValid() {
		r.wait(t, "requests.live_connected", 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.play(ctx)
	k := r.settle(t, nyseMessages)
	cancel()
	must(t, <-b.ran)
	c := b.Counters()
	if c.Messages != nyseMessages || c.SendFails != [2]uint64{} {
		t.Fatalf("the venue sent %+v", c)
	}
	must(t, r.end())
	all := r.ring(t)
	want, got := b.truth(t, rate), bare(all)
	var lost []xdp.Span
	for _, g := range gapsIn(all, tick.GapLost) {
		lost = append(lost, xdp.Span{First: g.First, Last: g.Last})
	}
	t.Logf("%d records; %d messages on neither line; %d asked for, %d sent again; %d gaps lost", len(got), c.LostMessages, c.Requests.Requests, c.Requests.Retransmitted, len(lost))
	if gaps {
		if len(c.Lost) == 0 || !slices.Equal(joined(lost), c.Lost) {
			t.Errorf("gaps name %v\nneither line had %v; %v", lost, c.Lost, moved(k))
		}
		return
	}
	if len(lost) != 0 || k["0.channel.0.lost_messages"] != 0 {
		t.Errorf("lost %v, though all could be had; %v", lost, moved(k))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d records differ from the %d of a lossless run; %v", len(got), len(want), moved(k))
	}
	if requests.Addr.IsValid() && lines.BothPPM > 0 && (c.Requests.Retransmitted == 0 || k["requests.accepted"] == 0) {
		t.Errorf("nothing was asked for: %+v", c.Requests)
	}
}

// joined joins spans that touch.
func joined(spans []xdp.Span) (out []xdp.Span) {
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].Last+1 == s.First {
			out[n-1].Last = s.Last
		} else {
			out = append(out, s)
		}
	}
	return out
}

// TestNYSERefresh: what is lost for good costs books, and the refresh channel brings them back: in the end they are those of a lossless run, with what was
// lost named. A feed that comes late has them too, and the mappings that it missed.
func TestNYSERefresh(t *testing.T) {
	const rate = 20_000
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		name     string
		late     time.Duration
		lines    mold.LinesOptions
		faults   xdp.Faults
		services []string
		more     string
	}{
		{name: "both lose", lines: mold.LinesOptions{BothPPM: 500, BothPackets: 3}, services: []string{"refresh"}},
		{name: "both lose, and the refresh channel, too", lines: mold.LinesOptions{BothPPM: 300, BothPackets: 3}, faults: xdp.Faults{RefreshLossPPM: 100_000, SpoilPPM: 50_000}, services: []string{"refresh"}},
		{name: "a late start", late: 500 * time.Millisecond, services: []string{"retransmission", "refresh"}, more: "recovery.hold_messages = 1000\n"},
		{name: "a late start into losses", late: 500 * time.Millisecond, lines: mold.LinesOptions{BothPPM: 300, BothPackets: 3}, services: []string{"refresh"}, more: "recovery.hold_messages = 1000\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBox(t, p, 3, rate, tc.lines, xdp.RequestOptions{Addr: txServer, Faults: tc.faults}, 15*time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := func() *running {
				return spawnWith(t, p, t.TempDir(), func(dir string) []byte {
					return nyseConfigOf(dir, b.RequestAddr(), tc.services, "recovery.wait = \"10ms\"\n"+tc.more)
				})
			}
			var r *running
			if tc.late == 0 {
				r = start()
				r.wait(t, "requests.live_connected", 1)
				b.play(ctx)
			} else {
				b.play(ctx)
				time.Sleep(tc.late)
				r = start()
			}
			k := r.settle(t, nyseMessages)
			// A refresh channel that loses a packet of seven may lack a symbol five times over: such an attempt fails after some ten seconds, and the next one follows.
			for until := time.Now().Add(5 * patience); k["0.resync.rebuilt"] == 0 || k["0.resync.live_state"] != 0 || k["0.channel.0.xdp.unmapped"] > 0 && k["0.channel.0.aside.mappings"] == 0; k = r.counters(t) {
				if time.Now().After(until) {
					t.Fatalf("no rebuild: %v; the process said:\n%s", moved(k), r.said)
				}
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
			must(t, <-b.ran)
			must(t, r.end())
			all := r.ring(t)
			var lost []xdp.Span
			for _, g := range gapsIn(all, tick.GapLost) {
				lost = append(lost, xdp.Span{First: g.First, Last: g.Last})
			}
			c := b.Counters()
			if tc.late == 0 && (len(c.Lost) == 0 || !slices.Equal(joined(lost), c.Lost)) {
				t.Errorf("gaps name %v\nneither line had %v", lost, c.Lost)
			}
			want := restingIn(b.truth(t, rate))
			got := restingIn(bare(all))
			t.Logf("%d orders rest; %d rebuilt, %d of %d attempts too old, %d stale, %d symbols, %d mappings; %d gaps", got.orders(), k["0.resync.rebuilt"], k["0.resync.too_old"], k["0.resync.attempts"],
				k["0.resync.stale"], k["0.channel.0.aside.symbols"], k["0.channel.0.aside.mappings"], len(lost))
			if !got.equal(want) || got.orders() == 0 {
				t.Errorf("%d orders rest, %d in a lossless run; %v\n%s", got.orders(), want.orders(), moved(k), r.said)
			}
			suspect := false
			for i := range all {
				if all[i].RType == tick.RTypeMbo {
					suspect = all[i].Flags&tick.FlagMaybeBadBook != 0
				}
			}
			if suspect {
				t.Error("the last record is suspect still")
			}
		})
	}
}

// TestNYSESoak: mixes of faults by seed, for as long as -soak says; each as TestNYSEFaults.
func TestNYSESoak(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	end := time.Now().Add(*soak)
	for seed := uint64(1); seed == 1 || time.Now().Before(end); seed++ {
		ppm := func(k, most uint64) uint32 { return uint32((seed * 0x9E3779B97F4A7C15 >> (3 * k)) % most) }
		line := func(k uint64) mold.Line {
			return mold.Line{
				LossPPM: ppm(k, 100_000), DuplicatePPM: ppm(k+1, 50_000), ReorderPPM: ppm(k+2, 50_000), CorruptPPM: ppm(k+3, 20_000),
				BurstPPM: 1 + ppm(k+5, 2_000), BurstPackets: 1 + ppm(k+6, 30),
			}
		}
		lines := mold.LinesOptions{A: line(0), B: line(7), BothPPM: 1 + ppm(4, 3_000), BothPackets: 1 + ppm(5, 10)}
		faults := xdp.Faults{LossPPM: ppm(6, 100_000), SpoilPPM: ppm(8, 100_000), Delay: time.Duration(ppm(9, 5_000)) * time.Microsecond}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			nyseFaults(t, p, lines, xdp.RequestOptions{Addr: txServer, Faults: faults}, false, seed)
		})
	}
}

// TestNYSESymbol: the venue's own numbers of a symbol have a hole, where the channel's have none: that symbol alone is suspect, and its book alone is made
// anew, from its own refresh.
func TestNYSESymbol(t *testing.T) {
	const rate = 20_000
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	whose := uint32(0)
	lack := func(n int, m []byte) bool { // the first order that comes behind the 12,000th message
		if whose != 0 || n < 12_000 || xdpwire.Type(m) != xdpwire.TypeAddOrder {
			return false
		}
		whose = xdpwire.SymbolOf(m)
		return true
	}
	b := newLackingBox(t, p, 3, rate, mold.LinesOptions{}, xdp.RequestOptions{Addr: txServer}, 15*time.Second, lack)
	r := spawnWith(t, p, t.TempDir(), func(dir string) []byte {
		return nyseConfigOf(dir, b.RequestAddr(), []string{"retransmission", "refresh"}, "recovery.wait = \"10ms\"\n")
	})
	r.wait(t, "requests.live_connected", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.play(ctx)
	r.settle(t, nyseMessages)
	r.wait(t, "0.resync.rebuilt", 1)
	r.wait(t, "0.resync.live_state", 0)
	k := r.counters(t)
	cancel()
	must(t, <-b.ran)
	must(t, r.end())
	all, index := r.ring(t), whose
	whose = 0 // truth lacks the same
	want, got := restingIn(b.truth(t, rate)), restingIn(bare(all))
	if !got.equal(want) || got.orders() == 0 {
		t.Errorf("%d orders rest, %d in a lossless run; %v\n%s", got.orders(), want.orders(), moved(k), r.said)
	}
	bad, told, last := 0, 0, uint8(0)
	for i := range all {
		rec := &all[i]
		if rec.RType == tick.RTypeGap {
			t.Errorf("a gap: %+v", *ringbuf.GapOfMbo(rec))
		}
		if rec.RType != tick.RTypeMbo {
			continue
		}
		suspect, snapshot := rec.Flags&tick.FlagMaybeBadBook != 0, rec.Flags&tick.FlagSnapshot != 0
		if (suspect || snapshot) && rec.InstrumentID != index {
			t.Fatalf("record %d of symbol %d, when %d lacks a message: %+v", i, rec.InstrumentID, index, *rec)
		}
		if suspect {
			bad++
		}
		if snapshot {
			told++
		}
		if rec.InstrumentID == index {
			last = rec.Flags & tick.FlagMaybeBadBook
		}
	}
	t.Logf("%d records suspect, %d told anew", bad, told)
	if bad == 0 || told == 0 || last != 0 || k["0.channel.0.aside.refreshes"] != 0 || k["0.channel.0.aside.symbols"] != 1 || k["0.channel.0.xdp.symbol_gaps"] != 1 {
		t.Errorf("%d suspect, %d told, the last one suspect: %v; %v", bad, told, last != 0, moved(k))
	}
}

// TestNYSERefreshSoak: losses of the channel, holes in symbols' own numbers, late starts and a refresh channel that loses, by seed, for as long as -soak says: in
// the end the books are those of a lossless run, and nothing is suspect.
func TestNYSERefreshSoak(t *testing.T) {
	const rate = 20_000
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	end := time.Now().Add(*soak)
	for seed := uint64(1); seed == 1 || time.Now().Before(end); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lines := mold.LinesOptions{BothPPM: uint32(seed * 7919 % 400), BothPackets: uint32(1 + seed%5)}
			if lines.BothPPM == 0 {
				lines.BothPackets = 0
			}
			holes := int(500 + seed*977%3000)
			lack := func(n int, m []byte) bool {
				return n > 3_000 && n%holes == 0 && xdpwire.Type(m) == xdpwire.TypeAddOrder
			}
			b := newLackingBox(t, p, seed, rate, lines, xdp.RequestOptions{Addr: txServer, Faults: xdp.Faults{RefreshLossPPM: uint32(seed * 31 % 3 * 5_000)}}, 20*time.Second, lack)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.play(ctx)
			time.Sleep(time.Duration(seed*53%400) * time.Millisecond)
			r := spawnWith(t, p, t.TempDir(), func(dir string) []byte {
				return nyseConfigOf(dir, b.RequestAddr(), []string{"refresh"}, "recovery.wait = \"10ms\"\nrecovery.hold_messages = 1000\n")
			})
			k := r.settle(t, nyseMessages)
			for until := time.Now().Add(patience); k["0.resync.rebuilt"] == 0 || k["0.resync.live_state"] != 0; k = r.counters(t) {
				if time.Now().After(until) {
					t.Fatalf("no rebuild: %v; the process said:\n%s", moved(k), r.said)
				}
				time.Sleep(20 * time.Millisecond)
			}
			cancel()
			must(t, <-b.ran)
			must(t, r.end())
			all := r.ring(t)
			want, got := restingIn(b.truth(t, rate)), restingIn(bare(all))
			last := map[uint32]uint8{}
			for i := range all {
				if all[i].RType == tick.RTypeMbo {
					last[all[i].InstrumentID] = all[i].Flags & tick.FlagMaybeBadBook
				}
			}
			for id, suspect := range last {
				if suspect != 0 {
					t.Errorf("symbol %d is suspect still", id)
				}
			}
			t.Logf("%d orders; %d rebuilt, %d interrupted, %d abandoned, %d symbols", got.orders(), k["0.resync.rebuilt"], k["0.resync.interrupted"], k["0.resync.abandoned"], k["0.channel.0.aside.symbols"])
			if !got.equal(want) || got.orders() == 0 {
				t.Errorf("%d orders rest, %d in a lossless run; %v\n%s", got.orders(), want.orders(), moved(k), r.said)
			}
		})
	}
}
