package fix

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// serverRequest is what a client asks, as its session read it.
type serverRequest struct {
	kind  askKind
	x     *serverSession
	epoch uint64

	id      string
	how     byte // 263
	depth   int  // 264, -1: not to be read
	update  byte // 265
	orders  bool // 266 is N
	types   []string
	symbols []string
}

type askKind uint8

const (
	askLogon askKind = iota
	askLogout
	askRefresh // the client has lost messages: W for all it has
	askMarketData
	askList
	askStatus
)

func (p *pump) request(r *serverRequest) {
	if r.epoch != r.x.epoch.Load() && r.kind != askLogout {
		return
	}
	switch r.kind {
	case askLogon, askLogout:
		p.forget(r.x)
	case askRefresh:
		for _, sub := range p.subs[r.x] {
			for _, l := range sub.legs {
				p.soil(l)
			}
		}
	case askMarketData:
		p.marketData(r)
	case askList:
		p.list(r)
	case askStatus:
		p.status(r)
	}
}

// marketData grants or refuses V.
func (p *pump) marketData(r *serverRequest) {
	if r.how == '2' {
		sub := p.subs[r.x][r.id]
		if sub == nil {
			p.refuse(r, '4', "no request with this MDReqID runs")
			return
		}
		p.drop(sub)
		return
	}
	if p.subs[r.x][r.id] != nil {
		p.refuse(r, '1', "duplicate MDReqID")
		return
	}
	sub := &subscription{client: r.x, id: r.id, once: r.how == '0', full: r.update == '0'}
	for _, t := range r.types {
		switch {
		case t == "0":
			sub.want.bids = true
		case t == "1":
			sub.want.offers = true
		case t == "2":
			sub.want.trades = true
		case len(t) == 1 && isFigure(t[0]):
			sub.want.figures += t
		default:
			p.refuse(r, '8', "MDEntryType "+t+" is not had; 0 to 2, 4 to 9 and A to C are")
			return
		}
	}
	if r.orders {
		p.refuse(r, '7', "entries are had one a price, not one an order: AggregatedBook Y")
		return
	}
	if reason, text := p.place(r, sub); reason != 0 {
		p.refuse(r, reason, text)
		return
	}
	if p.subs[r.x] == nil {
		p.subs[r.x] = map[string]*subscription{}
	}
	p.subs[r.x][r.id] = sub
	now := time.Now()
	for _, l := range sub.legs {
		p.s.market.Follow(l.inst.ID, sub.depth, true)
		l.since = now
		p.legs[l.inst.ID] = append(p.legs[l.inst.ID], l)
		l.dirty = true
		p.dirty = append(p.dirty, l)
	}
	p.s.counters.Subscriptions.Add(1)
}

// place finds the instruments of a request and how deep it goes; reason 0: it can be granted.
func (p *pump) place(r *serverRequest, sub *subscription) (reason byte, text string) {
	have := 0
	for _, other := range p.subs[r.x] {
		have += len(other.legs)
	}
	if have+len(r.symbols) > p.s.c.MaxSymbols {
		return '2', fmt.Sprintf("%d symbols with those that run already, at most %d are had", have+len(r.symbols), p.s.c.MaxSymbols)
	}
	if r.depth < 0 {
		return '5', "MarketDepth is no number that can be had"
	}
	sub.levels = r.depth
	for _, symbol := range r.symbols {
		inst, ok := p.s.market.Find(symbol)
		if !ok {
			return '0', "unknown symbol " + symbol
		}
		if slices.ContainsFunc(sub.legs, func(l *leg) bool { return l.inst.ID == inst.ID }) {
			return '0', "symbol " + symbol + " is named twice"
		}
		sub.legs = append(sub.legs, &leg{sub: sub, inst: inst})
	}
	return p.deep(r, sub)
}

// deep settles how much of its instruments' books a subscription has: all levels where orders are told, ten or as many as there are, or the best.
func (p *pump) deep(r *serverRequest, sub *subscription) (reason byte, text string) {
	if !sub.want.book() || r.depth == 1 {
		sub.levels, sub.depth = 1, DepthTop
		return 0, ""
	}
	sub.depth = DepthTen
	for _, l := range sub.legs {
		symbol := l.inst.Symbol
		most, full := p.s.market.Levels(l.inst.ID)
		most = min(most, MostLevels)
		switch {
		case r.depth == 0 && p.s.market.Orders(l.inst.ID):
			sub.depth = DepthAll
		case most == 0 || most == 1 && !full:
			return '5', "of " + symbol + " the top of book is had: MarketDepth 1"
		case r.depth == 0 && !full:
			return '5', "of " + symbol + " the full book is not had, MarketDepth 1 to " + strconv.Itoa(most) + " is"
		case r.depth > most && !full:
			return '5', "MarketDepth " + strconv.Itoa(r.depth) + " is not had of " + symbol + ", 1 to " + strconv.Itoa(most) + " is"
		}
	}
	if sub.depth == DepthAll && slices.ContainsFunc(sub.legs, func(l *leg) bool { return !p.s.market.Orders(l.inst.ID) }) {
		return '5', "of some of these the full book is had, of some it is not: they need requests of their own"
	}
	if sub.levels = min(r.depth, MostLevels); r.depth == 0 {
		sub.levels = MostLevels
	}
	return 0, ""
}

func (p *pump) refuse(r *serverRequest, reason byte, text string) {
	p.s.counters.Denied.Add(1)
	r.x.give(refusal(r.id, reason, text))
}

func (p *pump) list(r *serverRequest) {
	var all []Instrument
	p.s.market.Each(func(i *Instrument) bool {
		if len(r.symbols) == 0 || i.Symbol == r.symbols[0] {
			all = append(all, *i)
		}
		return true
	})
	for _, m := range list(r.x.v, r.id, all) {
		r.x.give(m)
	}
}

func (p *pump) status(r *serverRequest) {
	if r.how == '2' {
		for id, list := range p.watchers {
			p.watchers[id] = slices.DeleteFunc(list, func(w *watcher) bool { return w.x == r.x && w.id == r.id })
		}
		return
	}
	inst, ok := p.s.market.Find(r.symbols[0])
	if !ok {
		r.x.give(statusMessage(r.id, r.symbols[0], 0))
		return
	}
	r.x.give(statusMessage(r.id, inst.Symbol, p.s.market.Status(inst.ID)))
	mine := func(w *watcher) bool { return w.x == r.x }
	if r.how == '1' && !slices.ContainsFunc(p.watchers[inst.ID], mine) {
		p.watchers[inst.ID] = append(p.watchers[inst.ID], &watcher{r.x, r.id, inst})
	}
}
