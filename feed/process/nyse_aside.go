package process

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
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

// run asks for mappings until ctx ends.
func (s *sideline) run(ctx context.Context) {
	tries, pause := map[uint32]int{}, firstPause
	day := time.Now()
	for {
		var lacking []uint32
		select {
		case <-ctx.Done():
			return
		case lacking = <-s.wanted:
		}
		if time.Since(day) > 24*time.Hour {
			clear(tries)
			day = time.Now()
		}
		if ask := due(lacking, tries); len(ask) == 0 {
			pause = mostPause
		} else if got := s.mappings(ctx, ask, tries); got > 0 {
			pause = firstPause
		} else {
			pause = min(2*pause, mostPause)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for len(s.wanted) > 0 { // as of before
			<-s.wanted
		}
	}
}

// due are those of some symbols that may be asked for once more.
func due(lacking []uint32, tries map[uint32]int) (ask []uint32) {
	for _, index := range lacking {
		if tries[index] < mappingTries && len(tries) < 1<<16 {
			ask = append(ask, index)
		}
	}
	return ask
}

// mappings asks for those of some symbols, and says how many came.
func (s *sideline) mappings(ctx context.Context, indexes []uint32, tries map[uint32]int) (got int) {
	s.c.asks.Add(1)
	for _, index := range indexes {
		tries[index]++
	}
	c := s.config
	c.Tries = 2
	fn := func(_ uint32, m []byte) error { got++; return s.tell(ctx, m) }
	var err error
	if len(indexes) > singleMost {
		c.Expect = indexes
		err = xdprefresh.Mappings(ctx, c, fn)
	} else {
		for _, c.Symbol = range indexes {
			err = errors.Join(err, xdprefresh.Mappings(ctx, c, fn))
		}
	}
	if err != nil && ctx.Err() == nil {
		s.c.fails.Add(1)
		s.log.Warn("messages of symbols without a mapping are refused, and not all mappings came", "symbols", len(indexes), "err", err)
	}
	return got
}

// tell hands a message 3 to the lane.
func (s *sideline) tell(ctx context.Context, m []byte) error {
	select {
	case s.told <- bytes.Clone(m):
		s.c.mappings.Add(1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// known are the symbols of the lane, or, when there are none, those that the venue says.
func (s *sideline) known(ctx context.Context) (known []uint32) {
	answer := make(chan []uint32, 1)
	select { // one that was not answered in time
	case <-s.asked:
	default:
	}
	s.asked <- answer
	select {
	case known = <-answer:
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	if len(known) > 0 {
		return known
	}
	err := xdprefresh.Mappings(ctx, s.config, func(index uint32, m []byte) error {
		known = append(known, index)
		return s.tell(ctx, m)
	})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("mappings did not all come: a symbol that the refresh lacks would not be missed", "err", err)
	}
	return known
}

// parts is Options.Parts of package resync: the states of all symbols.
func (s *sideline) parts(ctx context.Context, fn func(p *resync.Part) error) error {
	if only := s.only(); len(only) > 0 {
		return s.some(ctx, only, fn)
	}
	if err := s.budget.wait(ctx); err != nil {
		return err
	}
	s.c.refreshes.Add(1)
	c := s.config
	c.Expect = s.known(ctx)
	var stale []uint32
	take := func(symbol *xdprefresh.Symbol) error {
		err := s.part(ctx, symbol, fn)
		if errors.Is(err, resync.ErrStale) { // what somebody else asked for
			stale = append(stale, symbol.Index)
			return nil
		}
		return err
	}
	if err := xdprefresh.Fetch(ctx, c, take); err != nil {
		return err
	}
	s.c.again.Add(uint64(len(stale)))
	return s.each(ctx, stale, fn)
}

// some is parts of a few symbols alone.
func (s *sideline) some(ctx context.Context, symbols []uint32, fn func(p *resync.Part) error) error {
	if err := s.singles.wait(ctx); err != nil {
		return err
	}
	return s.each(ctx, symbols, fn)
}

func (s *sideline) each(ctx context.Context, symbols []uint32, fn func(p *resync.Part) error) error {
	c := s.config
	for _, c.Symbol = range symbols {
		if err := xdprefresh.Fetch(ctx, c, func(symbol *xdprefresh.Symbol) error { return s.part(ctx, symbol, fn) }); err != nil {
			return err
		}
	}
	return nil
}

// part hands over one symbol's state, and its mapping to the lane.
func (s *sideline) part(ctx context.Context, symbol *xdprefresh.Symbol, fn func(p *resync.Part) error) error {
	p := &resync.Part{Instrument: symbol.Index, What: resync.Orders, AsOf: uint64(symbol.LastSequence), Messages: make([][]byte, 0, symbol.Count)}
	for m, rest := xdp.Next(symbol.Messages); m != nil; m, rest = xdp.Next(rest) {
		p.Messages = append(p.Messages, m)
		if xdp.Type(m) == xdp.TypeSymbolIndexMapping {
			if err := s.tell(ctx, m); err != nil {
				return err
			}
		}
	}
	s.shadow.Refreshing = true
	err := fn(p)
	s.shadow.Refreshing = false
	if err == nil {
		s.shadow.Reflects(symbol.Index, symbol.LastSymbolSequence)
		s.c.symbols.Add(1)
	}
	return err
}

// rebuild are the options of package resync's half.
func (s *sideline) rebuild(f *config.Feed) resync.Options {
	return resync.Options{
		Parts: s.parts,
		Decoder: func() (resync.Decoder, error) {
			var err error
			s.shadow, err = xdp.NewRefresher(xdp.Options{Version: f.Version, Product: f.Product})
			return s.shadow, err
		},
	}
}

// rebuildNYSE makes the sidelines of a lane's channels, and what rebuilds its books where they have a refresh: of orders, for quotes come anew by
// themselves.
func (r *laneRunner) rebuildNYSE(f *config.Feed, p *Process, log *slog.Logger) (err error) {
	channels := 0
	for i := range f.Channel {
		if ch := &f.Channel[i]; ch.Lane == r.name {
			channels++
			if s := p.nyse.aside(ch, log); s != nil {
				r.sides = append(r.sides, s)
			}
		}
	}
	if channels != 1 || len(r.sides) != 1 || r.kept.Prices != nil {
		return nil
	}
	o := r.sides[0].rebuild(f)
	o.Books, o.Log, o.Retry = r.books, log, refreshRetry
	if r.resync, err = resync.New(o); err == nil {
		r.sides[0].only = r.resync.Only
	}
	return err
}

// sidelines are a lane's.
type sidelines []*sideline

// join gives a channel's sideline the lane's stream, and registers what it and the channel's decoder count.
func (all sidelines) join(r *laneRunner, ch *config.Channel, sink session.Sink) error {
	stream := r.lane.Main()
	if further, ok := sink.(*pipeline.Stream); ok {
		stream = further
	}
	decoder, ok := stream.Decoder().(*xdp.Decoder)
	if !ok {
		return nil
	}
	at := r.name + ".channel." + ch.Name
	err := r.export.add(at+".xdp", decoder.Counters())
	for _, s := range all {
		if s.channel == ch {
			s.stream, s.decoder = stream, decoder
			err = errors.Join(err, s.export(&r.kernel, at))
		}
	}
	return err
}

func (all sidelines) between(now uint64, lane *pipeline.Lane) {
	if len(all) == 0 {
		return
	}
	half := lane.Resync()
	for _, s := range all {
		s.between(now, half != nil && half.Counters.LiveState == 1)
	}
}

func (all sidelines) run(ctx context.Context, wait *sync.WaitGroup) {
	for _, s := range all {
		wait.Go(func() { s.run(ctx) })
	}
}
