package process

import (
	"log/slog"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// watchMarket has the log say, once, that a channel's mappings are of another market than the feed is configured for: its records carry the name of one that
// they are not of. What they are called is written in the rings' headers before the first packet, so it is not mended on the way. The lane counts and the
// housekeeping says it.
func (r *laneRunner) watchMarket(f *config.Feed, decoder pipeline.Decoder, log *slog.Logger) {
	d, ok := decoder.(*xdp.Decoder)
	if !ok || f.MarketID() == 0 {
		return
	}
	met, said := new(atomic.Uint32), false
	r.export.also(func() { met.Store(uint32(d.OtherMarket())) })
	r.kernel.also(func() {
		id := met.Load()
		if id == 0 || said {
			return
		}
		said = true
		args := []any{"lane", r.name, "market", f.Market, "publisher", f.Publisher, "met", id}
		if m := xdp.MarketOf(uint16(id)); m != nil {
			args = append(args, "set", `market = "`+m.Name+`"`)
		}
		log.Error("mappings are of another market than the feed is configured for: its records carry the wrong publisher", args...)
	})
}
