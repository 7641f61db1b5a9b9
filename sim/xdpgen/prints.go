package xdpgen

import "github.com/tickwire/tickwire/parsers/xdp"

// A Trades feed tells what was printed, one message a trade, auctions included; a summary channel what the day came to, once a minute.

// tradesShare is quotesShare of a Trades feed.
var tradesShare = struct{ are, of uint64 }{1, 24}

// figures are a symbol's day. Prices are in 1e-4, 0: none yet.
type figures struct {
	high, low, open, close uint32
	volume                 uint64
}

// summing is the state of a round of summaries, which no market has.
const summing = 'S'

// print is a trade on the tape.
func (g *Gen) print(n uint16, trade, price, volume uint32, cross byte) {
	s := &g.symbols[n]
	s.day.add(price, volume, cross)
	if g.o.Product != xdp.Trades || g.o.Summaries {
		return
	}
	g.pending = xdp.AppendTrade(g.pending, g.wireTrade(n, trade, price, volume, cross))
	g.made++
}

func (g *Gen) wireTrade(n uint16, trade, price, volume uint32, cross byte) *xdp.Execution {
	return &xdp.Execution{
		Stamp: g.stamp(n), Trade: trade, Price: g.symbols[n].numerator(price), Volume: volume, Conditions: g.conditions(n, volume, cross),
	}
}

// corrected is a cross whose volume was another: its trade stands under a new number.
func (g *Gen) corrected(n uint16, trade, price, volume uint32, cross byte) {
	if g.o.Product != xdp.Trades || g.o.Summaries {
		return
	}
	g.pending = xdp.AppendTradesCorrection(g.pending, trade, g.wireTrade(n, trade|1<<31, price, volume, cross))
	g.made++
}

// broken is a trade that is void.
func (g *Gen) broken(n uint16, trade uint32) {
	if g.o.Summaries || g.o.Product == xdp.BBO {
		return
	}
	st := g.stamp(n)
	if g.o.Product == xdp.Trades {
		g.pending = xdp.AppendTradesCancel(g.pending, &st, trade)
	} else {
		g.pending = xdp.AppendTradeCancel(g.pending, &st, trade)
	}
	g.made++
}

func (f *figures) add(price, volume uint32, cross byte) {
	f.volume += uint64(volume)
	f.high = max(f.high, price)
	if f.low == 0 || price < f.low {
		f.low = price
	}
	if f.open == 0 || cross == 'O' {
		f.open = price
	}
	if cross == '6' {
		f.close = price
	}
}

// sum begins a round of summaries when a minute is over. How much time goes by in a live session is the caller's doing: there one is told behind each event,
// of one symbol after the other.
func (g *Gen) sum() {
	if g.o.Live && len(g.symbols) > 0 {
		g.summed = (g.summed + 1) % len(g.symbols)
		g.summary(&g.symbols[g.summed])
		return
	}
	if minute := g.now / 60e9; minute != g.minute && len(g.symbols) > 0 {
		g.minute = minute
		g.round = round{state: summing}
	}
}

// summary is a symbol's. It has no number among the symbol's messages.
func (g *Gen) summary(s *symbol) {
	sec, ns := g.clock()
	d := &s.day
	g.pending = xdp.AppendSummary(g.pending, &xdp.Summary{
		Stamp: xdp.Stamp{Seconds: sec, Ns: ns, Index: s.index}, High: s.numerator(d.high), Low: s.numerator(d.low), Open: s.numerator(d.open),
		Close: s.numerator(d.close), Volume: saturate(d.volume),
	})
	g.made++
}
