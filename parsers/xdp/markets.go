package xdp

import (
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/tick"
)

// Market is one of the group's markets (sheet sections 12.1 and 12.2). They share the format, and the numbers of instruments.
type Market struct {
	ID        uint16 // market_id of message 3
	Name      string // as the configuration has it
	MIC       string
	Publisher uint16 // of its records (DBN section 5)
	Dataset   string

	products [OtherProduct]uint8 // product_id by product; the same number is no other market's
}

// Markets are all that trade equities, the default first. Their products' numbers are in the order any (none), integrated, bbo, trades.
var Markets = []Market{
	{1, "nyse", "XNYS", tick.PublisherXNYS, "XNYS.PILLAR", [...]uint8{0, 11, 3, 4}},
	{3, "arca", "ARCX", tick.PublisherARCX, "ARCX.PILLAR", [...]uint8{0, 157, 152, 153}},
	{9, "american", "XASE", tick.PublisherXASE, "XASE.PILLAR", [...]uint8{0, 59, 52, 53}},
	{10, "national", "XCIS", tick.PublisherXCIS, "XCIS.PILLAR", [...]uint8{0, 109, 102, 103}},
	{11, "texas", "XCHI", tick.PublisherXCHI, "XCHI.PILLAR", [...]uint8{0, 209, 202, 203}},
}

// marketTRF is the market_id of trades that others report: they come on a channel of their own of NYSE's Trades feed.
const marketTRF = 255

// MarketOf is the market of a market_id, nil: none of Markets.
func MarketOf(id uint16) *Market {
	return find(func(m *Market) bool { return m.ID == id })
}

// MarketOfProduct is the market of a product_id, nil: none of Markets.
func MarketOfProduct(id uint8) *Market {
	return find(func(m *Market) bool { return id != 0 && slices.Contains(m.products[:], id) })
}

// ParseMarket reads a market's name; empty is NYSE.
func ParseMarket(name string) (*Market, error) {
	if name == "" {
		return &Markets[0], nil
	}
	if m := find(func(m *Market) bool { return m.Name == name }); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("xdp: market %q is not known; known: %v", name, MarketNames())
}

// MarketNames are the names of all, the default first.
func MarketNames() (names []string) {
	for i := range Markets {
		names = append(names, Markets[i].Name)
	}
	return names
}

func find(is func(*Market) bool) *Market {
	for i := range Markets {
		if is(&Markets[i]) {
			return &Markets[i]
		}
	}
	return nil
}

// ProductID is the product_id of a product, 0 for one that is not known.
func (m *Market) ProductID(p Product) uint8 {
	if p >= OtherProduct {
		return 0
	}
	return m.products[p]
}

// Records gives the publisher and the dataset of a product's records. NYSE's own best prices and trades have their own; those of the other markets have
// none but the market's.
func (m *Market) Records(p Product) (publisher uint16, dataset string) {
	if m.ID == Markets[0].ID {
		switch p {
		case BBO:
			return tick.PublisherXNYSBBO, "XNYS.BBO"
		case Trades:
			return tick.PublisherXNYSTrades, "XNYS.TRADES"
		}
	}
	return m.Publisher, m.Dataset
}

// MarketIn tells which market a packet is of, by a message 3 or a message 1 in it; 0: it does not say.
func MarketIn(payload []byte) (id uint16) {
	h, blocks, err := ParsePacket(payload)
	if err != nil || h.Count == 0 {
		return 0
	}
	for m, rest := Next(blocks); m != nil; m, rest = Next(rest) {
		switch {
		case Type(m) == TypeSymbolIndexMapping && len(m) >= 22 && marketID(m) != marketTRF:
			return marketID(m)
		case Type(m) == TypeSequenceNumberReset && len(m) > 12:
			if of := MarketOfProduct(m[12]); of != nil {
				return of.ID
			}
		}
	}
	return 0
}
