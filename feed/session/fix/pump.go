package fix

import (
	"slices"
	"time"
)

// pump is the goroutine that reads the market and knows who wants what of it.
//
//	requests ──► legs: one an instrument of a subscription     dirty legs ──► W, once their client has caught up
//	market ────► events ──► the instrument's legs ──► X, or dirty
type pump struct {
	s        *Server
	subs     map[*serverSession]map[string]*subscription
	legs     map[uint32][]*leg
	watchers map[uint32][]*watcher
	dirty    []*leg
	stamp    stamp
	lines    []entry
	open     []*subscription // those that have entries in this turn
	book     Book
}

type subscription struct {
	client *serverSession
	id     string
	levels int
	deep   bool // of the market's deep books
	once   bool // a snapshot, nothing after it
	full   bool // W each time
	want   wanted
	legs   []*leg
	gone   bool
	x      increments // of this turn
}

// leg is one instrument of a subscription.
type leg struct {
	sub   *subscription
	inst  Instrument
	was   Book // as the client has it
	rpt   uint64
	dirty bool // the client has no book, or an old one: W is due
	again bool // it had one
}

// watcher wants an instrument's status.
type watcher struct {
	x    *serverSession
	id   string
	inst Instrument
}

const (
	pumpEvents   = 512                    // of the market in a turn
	pumpRequests = 64                     // in a turn
	pumpCatchups = 256                    // W in a turn
	mostEntries  = 64                     // of an X
	pumpNap      = 500 * time.Microsecond // while there is nothing
)

func (p *pump) start(s *Server) {
	*p = pump{s: s, subs: map[*serverSession]map[string]*subscription{}, legs: map[uint32][]*leg{}, watchers: map[uint32][]*watcher{}}
}

func (p *pump) run() {
	for {
		busy := false
		for range pumpRequests {
			select {
			case <-p.s.done:
				return
			case r := <-p.s.requests:
				busy = true
				p.request(&r)
				continue
			default:
			}
			break
		}
		if busy {
			p.catchUp() // before more happens: a subscription that takes another's place misses no trade
		}
		n := p.s.market.Poll(pumpEvents, p.event)
		p.flush()
		if p.catchUp() == 0 && n == 0 && !busy {
			p.s.market.Wait(pumpNap)
		}
	}
}

// event sends what a market's event means to whom.
func (p *pump) event(e *Event) {
	switch e.Kind {
	case EventLost:
		for _, list := range p.legs {
			for _, l := range list {
				p.soil(l)
			}
		}
		return
	case EventStatus:
		for _, w := range p.watchers[e.ID] {
			w.x.send(statusMessage(w.id, w.inst.Symbol, e.Status))
		}
		return
	}
	for _, l := range p.legs[e.ID] {
		if e.Kind == EventTrade {
			p.trade(l, e)
		} else if l.sub.deep == (e.Kind == EventDeep) {
			p.change(l, e)
		}
	}
}

func (p *pump) trade(l *leg, e *Event) {
	sub := l.sub
	if !sub.want.trades || sub.once || l.dirty && !l.again {
		return
	}
	if sub.client.congested() {
		p.s.counters.LostTrades.Add(1)
		return
	}
	p.lines = append(p.lines[:0], entry{action: '0', typ: '2', px: e.Price, size: e.Size})
	p.add(l, e.TsEvent)
}

// add puts entries into the X of this turn: what happens at the same time goes out as one message, so that a burst costs few.
func (p *pump) add(l *leg, ns uint64) {
	sub := l.sub
	if sub.x.count == 0 {
		p.open = append(p.open, sub)
	}
	sub.x.add(sub.client.v, l.inst.Symbol, p.lines, ns, &l.rpt, &p.stamp)
	p.s.counters.Entries.Add(uint64(len(p.lines)))
	if sub.x.count >= mostEntries {
		p.sendX(sub)
	}
}

// flush sends the X of this turn.
func (p *pump) flush() {
	for _, sub := range p.open {
		p.sendX(sub)
	}
	clear(p.open)
	p.open = p.open[:0]
}

func (p *pump) sendX(sub *subscription) {
	if sub.x.count > 0 && !sub.gone {
		sub.client.send(sub.x.message(sub.id))
		p.s.counters.Increments.Add(1)
	}
}

func (p *pump) change(l *leg, e *Event) {
	sub := l.sub
	if l.dirty {
		if l.again {
			p.s.counters.Conflated.Add(1)
		}
		return
	}
	p.lines = p.lines[:0]
	if sub.want.bids {
		p.lines = changes(p.lines, &l.was, e.Book, sub.levels, '0')
	}
	if sub.want.offers {
		p.lines = changes(p.lines, &l.was, e.Book, sub.levels, '1')
	}
	switch {
	case len(p.lines) == 0:
		return
	case sub.client.congested():
		p.s.counters.Conflated.Add(1)
		p.soil(l)
		return
	case sub.full:
		sub.client.send(snapshot(sub.client.v, sub.id, l.inst.Symbol, e.Book, sub.levels, sub.want, &p.stamp))
		p.s.counters.Snapshots.Add(1)
	default:
		p.add(l, e.Book.TsEvent)
	}
	l.was = *e.Book
}

// soil makes W due.
func (p *pump) soil(l *leg) {
	if l.dirty || l.sub.once {
		return
	}
	l.dirty, l.again = true, true
	p.dirty = append(p.dirty, l)
}

// catchUp sends W that are due to clients that can take them, and says how many.
func (p *pump) catchUp() (sent int) {
	left := p.dirty[:0]
	for i, l := range p.dirty {
		if sent == pumpCatchups {
			left = append(left, p.dirty[i:]...)
			break
		}
		if l.sub.gone {
			continue
		}
		if l.sub.client.congested() || !p.s.market.Book(l.inst.ID, l.sub.deep, &p.book) {
			left = append(left, l)
			continue
		}
		sub := l.sub
		sub.client.send(snapshot(sub.client.v, sub.id, l.inst.Symbol, &p.book, sub.levels, sub.want, &p.stamp))
		p.s.counters.Snapshots.Add(1)
		if l.again {
			p.s.counters.Catchups.Add(1)
		}
		l.was, l.dirty = p.book, false
		sent++
		if sub.once && !slices.ContainsFunc(sub.legs, func(l *leg) bool { return l.dirty }) {
			p.drop(sub)
		}
	}
	clear(p.dirty[len(left):])
	p.dirty = left
	return sent
}

// drop ends a subscription.
func (p *pump) drop(sub *subscription) {
	sub.gone = true
	delete(p.subs[sub.client], sub.id)
	for _, l := range sub.legs {
		list := slices.DeleteFunc(p.legs[l.inst.ID], func(o *leg) bool { return o == l })
		if len(list) == 0 {
			delete(p.legs, l.inst.ID)
		} else {
			p.legs[l.inst.ID] = list
		}
	}
}

// forget ends all that a session asked for.
func (p *pump) forget(x *serverSession) {
	for _, sub := range p.subs[x] {
		p.drop(sub)
	}
	delete(p.subs, x)
	for id, list := range p.watchers {
		if list = slices.DeleteFunc(list, func(w *watcher) bool { return w.x == x }); len(list) == 0 {
			delete(p.watchers, id)
		} else {
			p.watchers[id] = list
		}
	}
}
