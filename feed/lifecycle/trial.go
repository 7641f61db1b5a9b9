package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/tick"
)

// Trial is what a new version did when it was tried.
type Trial struct {
	Batches  int     `json:"batches"`
	Rows     uint64  `json:"rows"`
	NsPerRow float64 `json:"ns_per_row"` // of its own calls
	Made     bool    `json:"made"`       // no batches of the feed's were to be had, so one was made up
}

// keepWithin is how long a feed without plugins is given to show a batch.
const keepWithin = 200 * time.Millisecond

// try runs copies of the lanes' recent batches through a chain of its own in which e is new: nothing may trap, and every row must have been handled. It is called
// with changing held.
func (s *Set) try(ctx context.Context, use []*entry, e *entry) (Trial, error) {
	var t Trial
	at := -1
	for i := range use {
		if use[i] == e {
			at = i
		}
	}
	c, err := s.host.NewChain(stages(use), plugins.Env{Publisher: s.o.Publisher, Lane: true, Now: uint64(time.Now().UnixNano()), Trial: true})
	if err != nil {
		return t, err
	}
	defer func() { _ = c.Close() }()
	b, err := tick.NewBatch()
	if err != nil {
		return t, err
	}
	defer func() { _ = b.Free() }()
	pass := func() error {
		t.Batches++
		rows := uint64(b.N)
		now := b.TsRecv[(b.N-1)&tick.RowMask]
		c.Pass(b, now)
		t.Rows += rows
		switch st := c.Stats()[at]; {
		case st.Failures != 0:
			_ = c.Close() // the keeper has told then
			return fmt.Errorf("plugin %s %s: not taken: it fails when it is tried on %d rows: %s", st.Plugin, st.Version, rows, c.Stats()[at].LastError)
		case st.Rows != t.Rows || st.Bypassed != 0 || st.Out:
			return fmt.Errorf("plugin %s %s: not taken: it handled %d of %d rows", st.Plugin, st.Version, st.Rows, t.Rows)
		}
		return nil
	}
	if s.kept {
		err = s.eachKept(ctx, b, pass)
	}
	if err == nil && t.Batches == 0 {
		t.Made = true
		madeUp(b)
		err = pass()
	}
	if st := c.Stats()[at]; st.Rows > 0 {
		t.NsPerRow = float64(st.LatencySum) / float64(st.Rows)
	}
	return t, err
}

// tryReading starts a new version of the feed's protocol as a lane would. There are no packets to try it on: what it does with the first ones decides whether it stays.
func (s *Set) tryReading(e *entry) error {
	now := time.Now()
	c, err := s.host.NewReader(e.stage(), s.unit(e.now), plugins.Env{Lane: true, Now: uint64(now.UnixNano()), Trial: true})
	if err != nil {
		return err
	}
	c.Begin(now.Truncate(24 * time.Hour).UnixNano())
	err = c.Health()
	_ = c.Close() // the keeper has told then
	if st := c.Stats()[0]; err == nil && st.Failures > 0 {
		err = errors.New(st.LastError)
	}
	if err != nil {
		return fmt.Errorf("plugin %s %s: not taken: it fails when a session begins: %w", e.now.name(), e.now.plugin.Manifest().Version, err)
	}
	return nil
}

// eachKept calls fn with copies of batches of all lanes. Lanes that keep none yet, since nothing ran on them, are asked to.
func (s *Set) eachKept(ctx context.Context, b *tick.Batch, fn func() error) error {
	for _, l := range s.lanes {
		if l.kept == nil {
			continue
		}
		had := false
		each := func() error { had = true; return fn() }
		if err := l.kept.Each(b, each); err != nil || had {
			if err != nil {
				return err
			}
			continue
		}
		l.kept.Want(true)
		for end := time.Now().Add(keepWithin); !had && time.Now().Before(end) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if err := l.kept.Each(b, each); err != nil {
				l.kept.Want(false)
				return err
			}
		}
		l.kept.Want(false)
	}
	return nil
}

// madeUp fills a batch with rows such as a venue might send: every kind, bids and asks near 100, in an instrument each four rows.
func madeUp(b *tick.Batch) {
	b.Reset()
	const rows = 4 * int(tick.KindCount)
	now := uint64(time.Now().UnixNano())
	for i := range rows {
		kind := tick.Kind(i%int(tick.KindCount-1)) + 1
		side, price := tick.SideBid, int64(100_000_000_000-i*10_000_000)
		if i%2 == 1 {
			side, price = tick.SideAsk, int64(100_010_000_000+i*10_000_000)
		}
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i] = kind, 0, side, 0
		b.Instrument[i], b.TsEvent[i], b.TsRecv[i], b.Sequence[i] = uint32(1+i/4), now, now, uint64(1+i)
		b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i] = uint64(1000+i), 0, price, uint64(100*(1+i%9))
		b.State[i], b.Left[i], b.OldPrice[i], b.OldSize[i] = tick.StateApplied, 0, price, 0
		b.Before[i] = tick.BidAskPair{BidPx: 100_000_000_000, AskPx: 100_010_000_000, BidSz: 100, AskSz: 200, BidCt: 1, AskCt: 2}
		b.After[i] = b.Before[i]
	}
	b.N = rows
}
