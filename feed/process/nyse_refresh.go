package process

import (
	"context"
	"errors"
	"time"

	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session/xdprefresh"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/xdp"
)

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
	p := &resync.Part{Instrument: symbol.Index, What: s.what, AsOf: uint64(symbol.LastSequence), Messages: make([][]byte, 0, symbol.Count)}
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
	o := resync.Options{
		Parts: s.parts,
		Decoder: func() (resync.Decoder, error) {
			var err error
			s.shadow, err = xdp.NewRefresher(xdp.Options{Version: f.Version, Product: f.Product})
			return s.shadow, err
		},
	}
	if of := protocol.XDP.Of(f.Product); of.Prices {
		s.what = resync.Levels
		o.Prices = func() (*pricebook.Books, error) { return pricebook.New(pricebook.Options{Depth: of.Depth}) }
	}
	return o
}
