package mdp3loop

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	sim "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/mold"
)

// on is a group on lo, for one test.
func on(group string) []udp.Group {
	return []udp.Group{{Group: netip.MustParseAddrPort(group), Interface: "lo"}}
}

// TestFetch: from an exchange on lo, whose loops lose packets, while the market goes on: one snapshot of each instrument of each kind, definitions first, each
// newer than the one who asks, where that was asked for.
func TestFetch(t *testing.T) {
	g, err := mdp3gen.New(mdp3gen.Options{Live: true, Instruments: 16, Seed: 3})
	must(t, err)
	levels, orders, definitions := "239.255.78.121:34311", "239.255.78.131:34312", "239.255.78.141:34313"
	e, err := sim.NewExchange(g, sim.Options{
		Rate: 5_000, Levels: netip.MustParseAddrPort(levels), Orders: netip.MustParseAddrPort(orders), Definitions: netip.MustParseAddrPort(definitions),
		LoopLossPPM: 100_000, LoopEvery: 500 * time.Microsecond,
	})
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	for e.Counters().Last < 400 { // the opening is over
		time.Sleep(time.Millisecond)
	}
	from := e.Counters().Last
	var counters Counters
	seen := map[Kind]map[uint32]bool{Levels: {}, Orders: {}, Definitions: {}}
	stale := 0
	err = Fetch(ctx, Config{Levels: on(levels), Orders: on(orders), Definitions: on(definitions), Counters: &counters}, func(s *Snapshot) error {
		if s.Kind != Definitions && s.LastMsgSeqNumProcessed < from+20 {
			stale++
			return ErrStale
		}
		if seen[s.Kind][s.Instrument] || s.Kind != Definitions && len(seen[Definitions]) != 16 {
			t.Errorf("%v of %d, twice or too early", s.Kind, s.Instrument)
		}
		seen[s.Kind][s.Instrument] = true
		return nil
	})
	must(t, err)
	cancel()
	must(t, errors.Join(<-ran, e.Close()))
	for i := range g.Instruments() {
		for kind, of := range seen {
			if !of[uint32(g.Security(i))] {
				t.Errorf("%v of %s did not come", kind, g.Symbol(i))
			}
		}
	}
	if c := e.Counters(); c.LoopLost == 0 || counters.Rounds == 0 || counters.Malformed != 0 || counters.Strange != 0 {
		t.Errorf("%+v, %+v", c, counters)
	}
	t.Logf("%d stale, %+v", stale, counters)
}

// TestFetchEnds: silence, too long a time, and an exchange without content.
func TestFetchEnds(t *testing.T) {
	nobody := Config{Levels: on("239.255.78.151:34321"), Silence: 50 * time.Millisecond}
	if err := Fetch(context.Background(), nobody, nil); !errors.Is(err, ErrSilent) {
		t.Errorf("%v", err)
	}
	nobody.Silence, nobody.Most = time.Minute, 50*time.Millisecond
	if err := Fetch(context.Background(), nobody, nil); !errors.Is(err, ErrTooSlow) {
		t.Errorf("%v", err)
	}
	for _, c := range []Config{{}, {Levels: append(on("239.255.78.151:1"), append(on("239.255.78.151:2"), on("239.255.78.151:3")...)...)}, {Levels: []udp.Group{{Interface: "lo"}}}} {
		if err := Fetch(context.Background(), c, nil); err == nil {
			t.Errorf("%+v", c)
		}
	}
}

// TestRebuild: a lane on lo whose lines lose the same packets, and a worker of its own that fetches from the exchange's loops meanwhile, with losses there too: in the end
// the lane has the market's books.
func TestRebuild(t *testing.T) {
	a, b, levels, orders := "239.255.78.171:34341", "239.255.78.172:34342", "239.255.78.173:34343", "239.255.78.174:34344"
	w := newWorldFrom(t, 11, mdp3gen.Options{Messages: 30_000, Instruments: 12, Live: true}, false, Config{Levels: on(levels), Orders: on(orders)})
	src, err := udp.Open(udp.Options{Groups: append(on(a), on(b)...)})
	must(t, err)
	defer src.Close()
	e, err := sim.NewExchange(w.g, sim.Options{
		Rate: 20_000, Levels: netip.MustParseAddrPort(levels), Orders: netip.MustParseAddrPort(orders), LoopEvery: 200 * time.Microsecond, LoopLossPPM: 20_000,
		Linger: 5 * time.Second, Channel: sim.ChannelOptions{HeartbeatNs: 50_000_000},
		Lines: mold.LinesOptions{Seed: 2, A: mold.Line{Group: netip.MustParseAddrPort(a)}, B: mold.Line{Group: netip.MustParseAddrPort(b)}, BothPPM: 2_000, BothPackets: 5},
	})
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	ran, worked := make(chan error, 1), make(chan struct{})
	go func() { ran <- e.Run(ctx) }()
	work, stop := context.WithCancel(ctx)
	go func() { w.rs.Run(work); close(worked) }()
	packets := make([]nic.Packet, 64)
	for end := (time.Time{}); end.IsZero() || !w.certain || time.Now().Before(end); {
		n, err := src.Poll(packets)
		must(t, err)
		for _, p := range packets[:n] {
			if k := uint64(binary.LittleEndian.Uint32(p.Data)); k >= w.next { // what the other line had is a copy
				w.lane(p.Data)
			}
		}
		w.adopt()
		if n == 0 {
			must(t, src.Wait(time.Millisecond))
		}
		if c := e.Counters(); end.IsZero() && c.Ended && w.next == uint64(c.Last)+1 {
			end = time.Now().Add(100 * time.Millisecond)
		}
		if ctx.Err() != nil {
			w.half.Refresh()
			t.Fatalf("next %d, certain %v, %+v, %+v", w.next, w.certain, w.half.Counters, e.Counters())
		}
	}
	stop()
	cancel()
	<-worked
	must(t, <-ran)
	must(t, e.Close())
	w.compare()
	w.half.Refresh()
	if c := e.Counters(); c.LostBoth == 0 || w.rebuilt == 0 {
		t.Errorf("%d rebuilds after %d packets lost", w.rebuilt, c.LostBoth)
	}
	t.Logf("%d rebuilds, %+v", w.rebuilt, w.half.Counters)
}
