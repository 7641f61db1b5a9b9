package process

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// TestMappingsAreAskedFor: a lane that meets symbols without a mapping asks the venue for theirs, and for no other's; from then on their messages are
// taken, their definitions are published, and they are suspect alone, for what was refused before.
func TestMappingsAreAskedFor(t *testing.T) {
	venue := xdptest.New(t, xdptest.Options{})
	client, err := xdprequest.Open(xdprequest.Options{Servers: []string{venue.Addr().String()}, Source: "TEST"})
	must(t, err)
	defer client.Close()
	n := &nyse{feed: &config.Feed{Recovery: config.Recovery{ProductID: xdpgen.Product}}, client: client}
	ch := &config.Channel{Name: "0", ID: xdptest.Number}
	for _, g := range venue.Refresh {
		ch.Service = append(ch.Service, config.Service{Kind: config.ServiceRefresh, Interface: g.Interface, Group: g.Group})
	}
	s := n.aside(ch, slog.New(slog.NewTextHandler(io.Discard, nil)))

	path := filepath.Join(t.TempDir(), "f.0.mbo.ring")
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 12})
	must(t, err)
	defer w.Close()
	kept, err := protocol.XDP.Keep("integrated", 0)
	must(t, err)
	defer kept.Close()
	directory, err := symbols.New(0)
	must(t, err)
	decoder, err := xdp.NewDecoder(xdp.Options{})
	must(t, err)
	lane, err := pipeline.New(pipeline.Config{Publisher: 40_001, Decoder: decoder, Books: kept.Orders, Symbols: directory, Out: pipeline.Outputs{Mbo: w}, Midnight: protocol.XDP.MidnightBefore})
	must(t, err)
	defer lane.Close()
	s.stream, s.decoder = lane.Main(), decoder

	all := venue.Record.Symbols()
	known, met := all[0], all[1:4]
	lane.SetNow(uint64(time.Now().UnixNano()))
	lane.SessionStart([10]byte{})
	number := uint64(1)
	take := func(m []byte) {
		lane.Messages(m, number, 1, session.Arrival{})
		number++
		lane.EndPass()
	}
	take(xdp.AppendMapping(nil, &xdp.Mapping{Index: known, Symbol: "KNOWN", Market: 3, Scale: 4, UnitOfTrade: 1}))
	add := func(index, nth uint32) []byte {
		return xdp.AppendAdd(nil, xdp.V25, &xdp.Order{Stamp: xdp.Stamp{Index: index, Number: nth}, ID: uint64(index)<<8 + uint64(nth), Price: 10_000, Volume: 100, Side: 'B'})
	}
	take(add(known, 1))
	for _, index := range met {
		take(add(index, 1))
	}
	if c := decoder.Counters(); c.Unmapped != 3 || kept.Orders.Suspect(known) {
		t.Fatalf("%d unmapped; known symbol suspect: %v", c.Unmapped, kept.Orders.Suspect(known))
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	defer func() { cancel(); <-done }()
	mapped := func() (n int) {
		for _, index := range met {
			if decoder.Mapped(index) {
				n++
			}
		}
		return n
	}
	for until := time.Now().Add(patience); mapped() < len(met); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d of 3 mapped; %+v", mapped(), venue.Counters())
		}
		s.between(uint64(time.Now().UnixNano()), false)
		lane.EndPass()
	}
	for _, index := range met {
		take(add(index, 2))
		if in := directory.Lookup(index); in == nil || !in.Named || !kept.Orders.Suspect(index) {
			t.Errorf("symbol %d: %+v, suspect %v", index, in, kept.Orders.Suspect(index))
		}
		if _, rests := kept.Orders.OrderOf(index, uint64(index)<<8+2); !rests {
			t.Errorf("the order of symbol %d does not rest", index)
		}
	}
	take(add(known, 2))
	if kept.Orders.Suspect(known) || decoder.Mapped(all[5]) {
		t.Errorf("known symbol suspect: %v; symbol that was not met is mapped: %v", kept.Orders.Suspect(known), decoder.Mapped(all[5]))
	}
	r, err := ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()
	var recs [64]tick.Mbo
	count, _, _ := ringbuf.PollSlice(r, recs[:])
	adds := map[uint32]uint8{}
	for _, rec := range recs[:count] {
		if rec.RType == tick.RTypeMbo && rec.Action == tick.ActionAdd {
			adds[rec.InstrumentID] = rec.Flags & tick.FlagMaybeBadBook
		}
	}
	for _, index := range met {
		if flag, ok := adds[index]; !ok || flag == 0 {
			t.Errorf("symbol %d: published %v, flag %d", index, ok, flag)
		}
	}
	if adds[known] != 0 || len(adds) != 4 {
		t.Errorf("adds: %v", adds)
	}
	if c := venue.Counters(); c.Requests != 3 {
		t.Errorf("%d requests", c.Requests)
	}
}

// TestMappingsAreAskedForSeldom: a symbol whose mapping never comes is asked for three times.
func TestMappingsAreAskedForSeldom(t *testing.T) {
	tries := map[uint32]int{}
	venue := xdptest.New(t, xdptest.Options{})
	client, err := xdprequest.Open(xdprequest.Options{Servers: []string{venue.Addr().String()}, Source: "TEST"})
	must(t, err)
	defer client.Close()
	n := &nyse{feed: &config.Feed{Recovery: config.Recovery{ProductID: xdpgen.Product}}, client: client}
	s := n.aside(&config.Channel{ID: xdptest.Number, Service: []config.Service{{Kind: config.ServiceRefresh, Interface: "lo", Group: venue.Refresh[0].Group}}}, slog.New(slog.DiscardHandler))
	s.config.Quiet = 10 * time.Millisecond
	const nobody = 60_000
	rounds := 0
	for ask := due([]uint32{nobody}, tries); len(ask) > 0 && rounds < 10; ask = due(ask, tries) {
		if got := s.mappings(t.Context(), ask, tries); got != 0 {
			t.Fatalf("%d came", got)
		}
		rounds++
	}
	if rounds != mappingTries || s.c.fails.Load() != mappingTries {
		t.Errorf("%d rounds, %d fails, want %d", rounds, s.c.fails.Load(), mappingTries)
	}
}

// TestRefreshBudget: rounds of a day stay below what the venue allows, however often books are lost.
func TestRefreshBudget(t *testing.T) {
	var b refreshBudget
	rounds := 0
	begin := time.Unix(1_700_000_000, 0)
	for now := begin; now.Sub(begin) < 24*time.Hour; rounds++ {
		pause := b.pause(now)
		b.rounds, b.last = b.rounds+1, now
		now = now.Add(pause)
	}
	if rounds < 100 || rounds > 400 {
		t.Errorf("%d rounds in a day", rounds)
	}
	if b.pause(begin.Add(24*time.Hour)) != refreshRetry {
		t.Error("the next day begins with little")
	}
}
