package mdp3loop

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic/udp"
	sim "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
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
