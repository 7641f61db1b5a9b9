package xdpgen

import (
	"slices"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// A BBO feed tells what the orders come to: for each symbol the best price of either side that has a round lot, and the whole round lots there.

// lot is a round lot, shares.
const lot = 100

// level is what rests at a price, as the wire has it.
type level struct {
	price  uint32
	volume int64
}

// quotesShare: of so many of itchgen's messages so many of a BBO feed come, roughly.
var quotesShare = struct{ are, of uint64 }{1, 3}

// rests changes what rests at an order's price.
func (g *Gen) rests(n uint16, o *order, change int64) {
	if g.o.Product != xdp.BBO || o.volume == 0 && change == 0 {
		return
	}
	s := &g.symbols[n]
	at := s.numerator(o.price)
	side, order := &s.book[0], -1
	if o.side == 'S' {
		side, order = &s.book[1], 1
	}
	i, found := slices.BinarySearchFunc(*side, at, func(l level, price uint32) int {
		return order * (int(l.price) - int(price))
	})
	if !found {
		*side = slices.Insert(*side, i, level{price: at})
	}
	if (*side)[i].volume += change; (*side)[i].volume <= 0 {
		*side = slices.Delete(*side, i, i+1)
	}
}

// best is the best level of a round lot, in whole lots; nothing: 0, 0.
func best(side []level) (price, volume uint32) {
	for _, l := range side {
		if l.volume >= lot {
			return l.price, saturate(uint64(l.volume / lot * lot))
		}
	}
	return 0, 0
}

// quote tells a symbol's best prices, when they or the retail interest are others than those told last.
func (g *Gen) quote(n uint16) {
	s := &g.symbols[n]
	var q xdp.Quote
	q.BidPrice, q.BidVolume = best(s.book[0])
	q.AskPrice, q.AskVolume = best(s.book[1])
	q.Retail = s.retail
	g.tellQuote(n, q)
}

// noQuote is the last quote of a day: nothing on either side.
func (g *Gen) noQuote(n uint16) { g.tellQuote(n, xdp.Quote{Retail: g.symbols[n].retail}) }

func (g *Gen) tellQuote(n uint16, q xdp.Quote) {
	s := &g.symbols[n]
	last := s.told
	last.Stamp, last.Condition = xdp.Stamp{}, 0
	if q == last || last.Retail == 0 && q == (xdp.Quote{Retail: ' '}) { // as before, or nothing yet
		return
	}
	q.Condition = 'R'
	if last.Retail == 0 {
		q.Condition = 'O'
	}
	q.Stamp = g.stamp(n)
	s.told = q
	g.pending = xdp.AppendQuote(g.pending, g.o.Version, &q)
	g.made++
}
