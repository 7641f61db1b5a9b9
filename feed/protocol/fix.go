package protocol

import (
	"fmt"
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// FIX is market data in tag=value: W, X, d, y and f of 4.2, 4.4 and 5.0 SP2. It comes by TCP, so there are no packets to cut and no lines; a feed's
// product says what entries are: levels (found by number, or by price), prices (by price alone), or orders (by MDEntryID).
var FIX = &Protocol{
	Name: "fix", Title: "FIX market data, 4.2, 4.4 and 5.0 SP2", Versions: []string{"5.0SP2", "4.4", "4.2"}, Zone: "UTC",
	Publisher: tick.PublisherFIX, Dataset: "FIX.MD", Generated: tick.PublisherSimFIX, GenSet: "SIM.FIX",
	Transports: []string{"tcp", "file"}, Recovery: []string{"resend", "subscription anew"},
	BooksOf: func(product string) Books {
		if product == "orders" {
			return Books{Sparse: true, Orders: true}
		}
		return Books{Sparse: true, Prices: true, Depth: 64, ZeroPrice: true}
	},
	Mends: true,
	New: func(o Options) (pipeline.Decoder, error) {
		identity, ok := map[string]fix.Identity{"": fix.ByLevel, "levels": fix.ByLevel, "prices": fix.ByPrice, "orders": fix.ByID}[o.Product]
		if !ok {
			return nil, fmt.Errorf("fix: product %q is none of levels, prices, orders", o.Product)
		}
		return fix.NewDecoder(fix.Options{Identity: identity})
	},
	Looks: func(payload []byte, _ netip.AddrPort) int { return fix.Looks(payload) },
	Each: func(payload []byte, version string, fn func(Message) bool) error {
		if version != "" {
			version = "FIX." + version
		}
		return fix.EachMessage(payload, version, each(fn))
	},
}
