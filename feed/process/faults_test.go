package process

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// resting is every order of every instrument, as a reader of the mbo ring has it who knows nothing else: A adds, M changes, C takes away, R empties.
type resting map[uint32]map[uint64]tick.Mbo

func restingIn(recs []tick.Mbo) resting {
	books := resting{}
	for i := range recs {
		r := &recs[i]
		if r.RType != tick.RTypeMbo {
			continue
		}
		b := books[r.InstrumentID]
		if b == nil {
			b = map[uint64]tick.Mbo{}
			books[r.InstrumentID] = b
		}
		switch r.Action {
		case tick.ActionClear:
			clear(b)
		case tick.ActionAdd:
			b[r.OrderID] = tick.Mbo{Price: r.Price, Size: r.Size, Side: r.Side}
		case tick.ActionModify:
			if _, rests := b[r.OrderID]; rests {
				b[r.OrderID] = tick.Mbo{Price: r.Price, Size: r.Size, Side: r.Side}
			}
		case tick.ActionCancel:
			o := b[r.OrderID]
			if o.Size -= min(r.Size, o.Size); o.Size == 0 {
				delete(b, r.OrderID)
			} else {
				b[r.OrderID] = o
			}
		}
	}
	maps.DeleteFunc(books, func(_ uint32, b map[uint64]tick.Mbo) bool { return len(b) == 0 })
	return books
}

func (b resting) equal(o resting) bool {
	return maps.EqualFunc(b, o, func(x, y map[uint64]tick.Mbo) bool { return maps.Equal(x, y) })
}

func (b resting) orders() (n int) {
	for _, in := range b {
		n += len(in)
	}
	return n
}

// truth is what a lane makes of all of an exchange's messages, in order.
func truth(t *testing.T, day string) []tick.Mbo {
	t.Helper()
	c, err := OpenCapture(day, CaptureOptions{Date: "2026-01-05"})
	must(t, err)
	defer c.Close()
	lane, r := player(t, c)
	var stop atomic.Bool
	must(t, c.Run(lane, PlayOptions{}, &stop))
	return bare(orders(t, r))
}

// bare takes out of records what hangs on when they were made, and the records of gaps.
func bare(recs []tick.Mbo) (out []tick.Mbo) {
	for _, r := range recs {
		if r.RType == tick.RTypeMbo {
			r.TsEvent, r.TsRecv, r.TsInDelta, r.PublisherID, r.ChannelID = 0, 0, 0, 0, 0
			r.Flags &^= tick.FlagBadTsRecv
			out = append(out, r)
		}
	}
	return out
}

func gapsIn(recs []tick.Mbo, state uint8) (gaps []tick.Gap) {
	for i := range recs {
		if recs[i].RType == tick.RTypeGap {
			if g := ringbuf.GapOfMbo(&recs[i]); g.State == state {
				gaps = append(gaps, *g)
			}
		}
	}
	return gaps
}

var txServer = netip.MustParseAddrPort("10.203.0.2:0")

// day of the fault tests: half a second of the exchange, at 60,000 messages a second.
const faultMessages = 30_000

// TestFaults: the exchange in a box plays the same session with each mix of faults to a feed on veth pairs. What can be had is had: the records,
// hence the books, are those of a lossless run. What cannot is named: the records of gaps have exactly the numbers that no line brought.
func TestFaults(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	random := mold.Line{LossPPM: 50_000, DuplicatePPM: 20_000, ReorderPPM: 20_000}
	bursts := mold.Line{BurstPPM: 3_000, BurstPackets: 20}
	corrupt := mold.Line{CorruptPPM: 30_000}
	late := mold.Line{DelayNs: 3_000_000, JitterNs: 100_000, Exact: true}
	server := exchange.Requests{Addr: txServer}
	wrong := server
	wrong.LossPPM, wrong.WrongPPM = 100_000, 100_000
	snapshots := exchange.Snapshots{Addr: txServer}
	for _, tc := range []struct {
		name     string
		source   string
		lines    mold.LinesOptions
		requests exchange.Requests
		snapshot exchange.Snapshots
		gaps     bool // some numbers never come
	}{
		{name: "each line loses some", source: "afxdp", lines: mold.LinesOptions{A: random, B: bursts}, requests: server},
		{name: "line B is late", source: "afxdp", lines: mold.LinesOptions{A: bursts, B: late}, requests: server},
		{name: "damage", source: "afxdp", lines: mold.LinesOptions{A: corrupt, B: corrupt}, requests: server},
		{name: "both lose, asked for", source: "afxdp", lines: mold.LinesOptions{BothPPM: 5_000, BothPackets: 7}, requests: server},
		{name: "both lose, asked for by udp", source: "udp", lines: mold.LinesOptions{BothPPM: 5_000, BothPackets: 7}, requests: server},
		{name: "both lose, the server loses and lies", source: "afxdp", lines: mold.LinesOptions{BothPPM: 5_000, BothPackets: 7}, requests: wrong},
		{name: "both lose, nobody to ask", source: "afxdp", lines: mold.LinesOptions{BothPPM: 2_000, BothPackets: 3}, gaps: true},
		{name: "both lose, a snapshot", source: "afxdp", lines: mold.LinesOptions{BothPPM: 1_000, BothPackets: 3}, snapshot: snapshots, gaps: true},
		{name: "silence", source: "afxdp", requests: server,
			lines: mold.LinesOptions{Silences: []mold.Silence{{Line: 0, AfterNs: 100_000_000, ForNs: 100_000_000}, {Line: 1, AfterNs: 250_000_000, ForNs: 50_000_000}}}},
	} {
		t.Run(tc.name, func(t *testing.T) { faults(t, p, tc.source, tc.lines, tc.requests, tc.snapshot, tc.gaps, 1) })
	}
}

func faults(t *testing.T, p *netns.Pair, source string, lines mold.LinesOptions, requests exchange.Requests, snapshot exchange.Snapshots, gaps bool, seed uint64) {
	day := filepath.Join(t.TempDir(), "day.itch")
	lines.Seed = seed
	lines.A.Group, lines.B.Group = lineGroups[0], lineGroups[1]
	o := exchange.Options{
		Gen: itchgen.Options{Messages: faultMessages, Symbols: 50, Seed: seed}, Pace: "60000/s", Interfaces: [2]string{"gen0", "gen1"}, Lines: lines,
		Requests: requests, Snapshots: snapshot, Expect: day, Heartbeat: 100 * time.Millisecond, Linger: 2 * time.Second,
	}
	var e *exchange.Exchange
	must(t, p.Tx.Do(func() (err error) { e, err = exchange.New(o); return err }))
	defer e.Close()
	more := fmt.Sprintf("source = %q\nrecovery.wait = \"10ms\"\nrecovery.hold_max = \"2s\"\n", source)
	if a := e.RequestAddr(); a.IsValid() {
		more += fmt.Sprintf("recovery.servers = [%q]\n", a)
	}
	if a := e.SnapshotAddr(); a.IsValid() {
		more += fmt.Sprintf("recovery.snapshot = %q\n", a)
	}
	r := spawn(t, p, t.TempDir(), more)
	ran := make(chan error, 1)
	go func() { ran <- e.Run(t.Context()) }()
	if snapshot.Addr.IsValid() { // while there is a server
		r.wait(t, "0.resync.live_state", 1)
		r.wait(t, "0.resync.live_state", 0)
	}
	settled := time.Now().Add(patience)
	for k := r.counters(t); k["0.channel.0.messages"]+k["0.channel.0.lost_messages"] < faultMessages; k = r.counters(t) {
		if time.Now().After(settled) {
			t.Fatalf("%d messages and %d lost of %d; the process said:\n%s", k["0.channel.0.messages"], k["0.channel.0.lost_messages"], faultMessages, r.said)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if snapshot.Addr.IsValid() {
		r.wait(t, "0.resync.live_state", 0)
	}
	must(t, <-ran)
	c := e.Counters()
	if c.Messages != faultMessages || c.SendFails != [2]uint64{} {
		t.Fatalf("the exchange sent %+v", c)
	}
	k := r.counters(t)
	must(t, r.end())
	all := r.ring(t)
	want, got := truth(t, day), bare(all)
	var lost []exchange.Span
	for _, g := range gapsIn(all, tick.GapLost) {
		lost = append(lost, exchange.Span{First: g.First, Last: g.Last})
	}
	recovering, closed := gapsIn(all, tick.GapRecovering), gapsIn(all, tick.GapClosed)
	t.Logf("%d records; %d messages lost by both lines; %d gaps recovering, %d closed, %d lost", len(got), c.LostMessages, len(recovering), len(closed), len(lost))
	if !gaps {
		if len(lost) != 0 || k["0.channel.0.lost_messages"] != 0 {
			t.Errorf("lost %v, though all could be had", lost)
		}
		if requests.Addr.IsValid() && len(recovering) != len(closed) {
			t.Errorf("%d gaps were told as recovering, %d as closed", len(recovering), len(closed))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d records differ from the %d of a lossless run", len(got), len(want))
		}
	} else {
		var never []exchange.Span
		for _, s := range c.Lost {
			never = append(never, exchange.Span{First: s.First, Last: s.Last})
		}
		if len(never) == 0 || !slices.Equal(merged(lost), merged(never)) {
			t.Errorf("gaps name %v\nneither line had %v; %v", lost, never, moved(k))
		}
	}
	if books, true := restingIn(got), restingIn(want); !gaps || snapshot.Addr.IsValid() {
		if !books.equal(true) || books.orders() == 0 {
			t.Errorf("%d orders rest, %d in a lossless run; %v", books.orders(), true.orders(), moved(k))
		}
	}
}

// merged joins spans that touch: neighbouring packets that were lost are one hole.
func merged(spans []exchange.Span) (out []exchange.Span) {
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].Last+1 == s.First {
			out[n-1].Last = s.Last
		} else {
			out = append(out, exchange.Span{First: s.First, Last: s.Last})
		}
	}
	return out
}

var soak = flag.Duration("soak", 5*time.Second, "time of TestSoak")

// TestSoak: mixes of faults by seed, one after the other, for as long as it is told; each as TestFaults. `go test ./feed/process -run TestSoak -soak 5m`.
func TestSoak(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	end := time.Now().Add(*soak)
	for seed := uint64(1); seed == 1 || time.Now().Before(end); seed++ {
		ppm := func(k, most uint64) uint32 { return uint32((seed * 0x9E3779B97F4A7C15 >> (3 * k)) % most) }
		line := func(k uint64) mold.Line {
			return mold.Line{
				LossPPM: ppm(k, 100_000), DuplicatePPM: ppm(k+1, 50_000), ReorderPPM: ppm(k+2, 50_000), CorruptPPM: ppm(k+3, 20_000),
				DelayNs: 165_000 + 100*uint64(ppm(k+4, 10_000)), BurstPPM: 1 + ppm(k+5, 2_000), BurstPackets: 1 + ppm(k+6, 30),
			}
		}
		lines := mold.LinesOptions{A: line(0), B: line(7), BothPPM: 1 + ppm(4, 3_000), BothPackets: 1 + ppm(5, 10)}
		server := exchange.Requests{Addr: txServer, RequestOptions: mold.RequestOptions{LossPPM: ppm(6, 100_000), WrongPPM: ppm(8, 100_000)}}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { faults(t, p, "afxdp", lines, server, exchange.Snapshots{}, false, seed) })
	}
}

// TestKills: a feed that is killed again and again while packets come leaves nothing attached, and the one that takes its place joins late,
// has books from a snapshot, and in the end those of a lossless run.
func TestKills(t *testing.T) {
	const messages, kills = 200_000, 4
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	day := filepath.Join(t.TempDir(), "day.itch")
	lines := mold.LinesOptions{BothPPM: 500, BothPackets: 3, A: mold.Line{Group: lineGroups[0], LossPPM: 10_000}, B: mold.Line{Group: lineGroups[1], LossPPM: 10_000}}
	var e *exchange.Exchange
	must(t, p.Tx.Do(func() (err error) {
		e, err = exchange.New(exchange.Options{
			Gen: itchgen.Options{Messages: messages, Symbols: 50, Seed: 5}, Pace: "20000/s", Interfaces: [2]string{"gen0", "gen1"}, Lines: lines,
			Requests: exchange.Requests{Addr: txServer}, Snapshots: exchange.Snapshots{Addr: txServer}, Expect: day, Linger: 20 * time.Second, Heartbeat: 100 * time.Millisecond,
		})
		return err
	}))
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); must(t, <-ran) })
	defer stop()
	more := fmt.Sprintf("source = \"afxdp\"\nrecovery.servers = [%q]\nrecovery.snapshot = %q\nrecovery.hold_max = \"1s\"\n", e.RequestAddr(), e.SnapshotAddr())
	dir := t.TempDir()
	r := spawn(t, p, dir, more)
	for i := range kills {
		time.Sleep(time.Duration(300+200*i) * time.Millisecond)
		r.kill(t)
		detached(t, p)
		r = spawn(t, p, dir, more)
	}
	until := time.Now().Add(2 * patience)
	for k := r.counters(t); k["0.channel.0.live_state"] != uint64(session.StateEnded) || k["0.resync.live_state"] != 0; k = r.counters(t) {
		if time.Now().After(until) {
			t.Fatalf("%v; the process said:\n%s", moved(k), r.said)
		}
		time.Sleep(10 * time.Millisecond)
	}
	k := r.counters(t)
	must(t, r.end())
	stop() // and the truth is on the disk
	books, true := restingIn(bare(r.ring(t))), restingIn(truth(t, day))
	if !books.equal(true) || books.orders() == 0 {
		t.Errorf("%d orders rest, %d in a lossless run; %v", books.orders(), true.orders(), moved(k))
	}
	if k["0.resync.rebuilt"] == 0 && k["0.channel.0.ask.recovered"] == 0 { // a late start is mended by either, as far back as it is
		t.Errorf("nothing was recovered: %v", moved(k))
	}
}

// detached wants that no program is left on the interfaces and nothing is mounted or pinned, soon after a process was killed.
func detached(t *testing.T, p *netns.Pair) {
	t.Helper()
	var left string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		must(t, p.Rx.Do(func() error {
			left = ""
			for _, name := range []string{"feed0", "feed1"} {
				l, err := netlink.LinkByName(name)
				if err != nil {
					return err
				}
				if x := l.Attrs().Xdp; x != nil && x.Attached {
					left = name
				}
			}
			return nil
		}))
		if left == "" {
			break
		}
	}
	if left != "" {
		t.Errorf("a program is still attached to %s", left)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "tickwire") && !strings.Contains(line, "/run/netns/") {
			t.Errorf("mounted: %s", line)
		}
	}
}

// moved are the counters that say something.
func moved(k map[string]uint64) map[string]uint64 {
	k = maps.Clone(k)
	maps.DeleteFunc(k, func(name string, v uint64) bool { return v == 0 || strings.Contains(name, ".hist.") })
	return k
}
