package process

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprefresh"
)

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
