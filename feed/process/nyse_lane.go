package process

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// rebuildNYSE makes the sidelines of a lane's channels, and what rebuilds its books where they have a refresh: of orders or of best prices. Trades have no state.
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
	if channels != 1 || len(r.sides) != 1 || f.Product == xdp.Trades.String() {
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
func (all sidelines) join(r *laneRunner, f *config.Feed, ch *config.Channel, sink session.Sink, log *slog.Logger) error {
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
	r.watchMarket(f, decoder, log.With("channel", ch.Name))
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
