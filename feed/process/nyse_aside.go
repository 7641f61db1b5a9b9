package process

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session/xdprefresh"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// sideline is what comes to an NYSE channel beside its lines, by the refresh channel: states of all symbols, for books that are rebuilt (package resync), and
// mappings of symbols whose message 3 did not come. The lane's decoder learns mappings on the lane, between two passes:
//
//	lane, each pass    ◄── told: messages 3 ─────┬── mappings: request 13 ◄── wanted: indexes without a mapping ── lane
//	lane               ◄── asked: its symbols? ──┴── parts: request 15, for package resync ──► books ──► lane
//
//	nyse_mapping.go   mappings that were missed      nyse_refresh.go   symbols' states      nyse_budget.go   how often
//
// Requests are few: a symbol's mapping is asked for three times in a day at most, and rounds of them are further and further apart while nothing comes.
type sideline struct {
	channel  *config.Channel
	config   xdprefresh.Config
	log      *slog.Logger
	stream   *pipeline.Stream
	decoder  *xdp.Decoder   // the lane's
	shadow   *xdp.Refresher // the rebuild's
	told     chan []byte
	wanted   chan []uint32
	asked    chan chan []uint32
	next     uint64          // lane time when the lane looks again
	only     func() []uint32 // symbols whose books alone are wanted
	what     resync.What     // of a symbol's state: orders, or best prices
	budget   refreshBudget   // of refreshes of all symbols
	singles  refreshBudget   // of others, a few symbols each
	counters sidelineCounters
	c        struct{ asks, fails, mappings, refreshes, symbols, again atomic.Uint64 }
}

// sidelineCounters are what is exported of a sideline.
type sidelineCounters struct {
	MappingRounds uint64 // requests for mappings, or several in a row
	MappingFails  uint64 // … that did not bring all of them
	Mappings      uint64 // messages 3 that were handed to the lane
	Refreshes     uint64 // states of all symbols that were asked for
	Symbols       uint64 // states of symbols that came
	Again         uint64 // … that were older than the log, and asked for once more
}

const (
	lookNs       = 10_000_000 // how often the lane looks whether anything is wanted
	tellMost     = 256        // messages 3 that it takes between two passes
	toldRoom     = 4096
	singleMost   = 16 // symbols that are asked for one by one; for more, all are
	mappingTries = 3
	firstPause   = time.Second
	mostPause    = time.Minute
)

// aside makes the sideline of a channel; nil: it has no refresh channel.
func (n *nyse) aside(ch *config.Channel, log *slog.Logger) *sideline {
	if n == nil {
		return nil
	}
	groups := groupsOf(ch, config.ServiceRefresh)
	if len(groups) == 0 {
		return nil
	}
	return &sideline{
		channel: ch,
		config:  xdprefresh.Config{Client: n.client, Product: n.feed.Recovery.ProductID, Channel: uint8(ch.ID), Groups: groups},
		log:     log, told: make(chan []byte, toldRoom), wanted: make(chan []uint32, 1), asked: make(chan chan []uint32, 1),
	}
}

// export registers what it counts.
func (s *sideline) export(kernel *exporter, prefix string) error {
	kernel.also(func() {
		s.counters = sidelineCounters{
			MappingRounds: s.c.asks.Load(), MappingFails: s.c.fails.Load(), Mappings: s.c.mappings.Load(), Refreshes: s.c.refreshes.Load(),
			Symbols: s.c.symbols.Load(), Again: s.c.again.Load(),
		}
	})
	return kernel.add(prefix+".aside", &s.counters)
}

// between is called on the lane, between two passes.
func (s *sideline) between(now uint64, rebuilding bool) {
	for range min(len(s.told), tellMost) {
		if m := <-s.told; !s.decoder.Mapped(xdp.SymbolOf(m)) {
			s.stream.Aside(m, 1)
		}
	}
	if now-s.next < 1<<63 { // a clock that was set back is a large difference
		s.next = now + lookNs
		s.look(rebuilding)
	}
}

func (s *sideline) look(rebuilding bool) {
	select {
	case answer := <-s.asked:
		var known []uint32
		s.decoder.Instruments(func(id uint32) bool { known = append(known, id); return true })
		answer <- known
	default:
	}
	if s.decoder.Counters().Unmapped == 0 || rebuilding || len(s.told) > 0 || len(s.wanted) > 0 {
		return
	}
	var lacking []uint32
	s.decoder.Unmapped(func(index uint32) bool { lacking = append(lacking, index); return true })
	if len(lacking) > 0 {
		s.wanted <- lacking // only the lane puts something there, and there was nothing
	}
}
