package fix

import (
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tick"
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
	renew    []*leg          // those whose W is due at the end of this turn
	book     Book
	whole    Whole
	figures  []Figure
}

type subscription struct {
	client *serverSession
	id     string
	levels int
	depth  Depth
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
	was   Book // as the client has it; not where all levels are wanted
	rpt   uint64
	dirty bool      // the client has no book, or an old one: W is due
	again bool      // it had one
	told  bool      // and knows that it is not firm
	renew bool      // in pump.renew
	since time.Time // when W became due
	look  time.Time // not before is it looked for a book that was not to be had
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
	pumpLook     = 10 * time.Millisecond  // between looks for a book that is not to be had yet
)

func (p *pump) start(s *Server) {
	*p = pump{s: s, subs: map[*serverSession]map[string]*subscription{}, legs: map[uint32][]*leg{}, watchers: map[uint32][]*watcher{}}
}

func (p *pump) run() {
	for {
		for _, x := range p.s.sessions {
			if len(x.held) > 0 {
				x.release()
			}
		}
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
			w.x.give(statusMessage(w.id, w.inst.Symbol, e.Status))
		}
		return
	}
	for _, l := range p.legs[e.ID] {
		switch e.Kind {
		case EventTrade:
			p.trade(l, e)
		case EventFigure:
			p.figure(l, e)
		case EventLevel:
			p.level(l, e)
		case EventAnew:
			if l.sub.depth == e.Depth {
				p.soil(l)
			}
		default:
			if l.sub.depth == depthOf[e.Kind] {
				p.change(l, e)
			}
		}
	}
}

// depthOf says whose books an event changes.
var depthOf = [...]Depth{EventTop: DepthTop, EventDeep: DepthTen}

func (p *pump) trade(l *leg, e *Event) {
	sub := l.sub
	if !sub.want.trades || sub.once || l.dirty && !l.again {
		return
	}
	if sub.client.congested() {
		p.s.counters.LostTrades.Add(1)
		return
	}
	p.lines = append(p.lines[:0], entry{action: '0', typ: '2', px: e.Price, size: e.Size, ns: e.TsEvent})
	p.add(l)
}

// figure tells a figure. It is a part of W, so that where W is due nothing is lost.
func (p *pump) figure(l *leg, e *Event) {
	if strings.IndexByte(l.sub.want.figures, e.Figure.Type) < 0 {
		return
	}
	line := entryOf(e.Figure)
	line.action = e.Action
	p.lines = append(p.lines[:0], line)
	p.tell(l)
}

// level tells a level of a whole book.
func (p *pump) level(l *leg, e *Event) {
	typ := byte('0')
	want := l.sub.want.bids
	if e.Side == tick.SideAsk {
		typ, want = '1', l.sub.want.offers
	}
	if l.sub.depth != DepthAll || !want {
		return
	}
	p.lines = append(p.lines[:0], entry{action: e.Action, typ: typ, px: e.Price, size: e.Size, count: e.Count, ns: e.TsEvent})
	p.tell(l)
}

// tell sends the lines of a leg that has its book, or makes W due; false: it has none, takes nothing now, or wanted no more than W.
func (p *pump) tell(l *leg) bool {
	sub := l.sub
	switch {
	case sub.once: // it has been answered, and waits for others that were asked for with it
		return false
	case l.dirty:
		if l.again {
			p.s.counters.Conflated.Add(1)
		}
		return false
	case sub.client.congested():
		p.s.counters.Conflated.Add(1)
		p.soil(l)
		return false
	case sub.full:
		if !l.renew {
			l.renew = true
			p.renew = append(p.renew, l)
		}
	default:
		p.add(l)
	}
	return true
}

// add puts entries into the X of this turn: what happens at the same time goes out as one message, so that a burst costs few.
func (p *pump) add(l *leg) {
	sub := l.sub
	if sub.x.count == 0 {
		p.open = append(p.open, sub)
	}
	sub.x.add(sub.client.v, l.inst.Symbol, p.lines, &l.rpt, &p.stamp)
	p.s.counters.Entries.Add(uint64(len(p.lines)))
	if sub.x.count >= mostEntries {
		p.sendX(sub)
	}
}

// flush sends the X and the W of this turn.
func (p *pump) flush() {
	for _, l := range p.renew {
		switch l.renew = false; {
		case l.dirty || l.sub.gone:
		case p.market(l) == Here:
			p.sendW(l)
		default:
			p.soil(l) // what has changed is told when the book is to be had again
		}
	}
	clear(p.renew)
	p.renew = p.renew[:0]
	for _, sub := range p.open {
		p.sendX(sub)
	}
	clear(p.open)
	p.open = p.open[:0]
}

func (p *pump) sendX(sub *subscription) {
	if sub.x.count > 0 && !sub.gone {
		sub.client.give(sub.x.message(sub.id))
		p.s.counters.Increments.Add(1)
	}
}

func (p *pump) change(l *leg, e *Event) {
	sub := l.sub
	p.lines = p.lines[:0]
	if sub.want.bids && !l.dirty {
		p.lines = changes(p.lines, &l.was, e.Book, sub.levels, '0')
	}
	if sub.want.offers && !l.dirty {
		p.lines = changes(p.lines, &l.was, e.Book, sub.levels, '1')
	}
	if !l.dirty && len(p.lines) == 0 {
		return
	}
	if p.tell(l) {
		l.was = *e.Book
	}
}

// market reads a leg's book.
func (p *pump) market(l *leg) Answer {
	switch sub := l.sub; {
	case !sub.want.book():
		return Here
	case sub.depth == DepthAll:
		return p.s.market.Whole(l.inst.ID, &p.whole)
	default:
		return p.s.market.Book(l.inst.ID, sub.depth, &p.book)
	}
}

// sendW sends a leg the book that was read.
func (p *pump) sendW(l *leg) {
	sub := l.sub
	p.lines = p.lines[:0]
	levels := sub.levels
	if sub.depth == DepthAll {
		levels, p.lines = 0, wholeLines(p.lines, &p.whole, sub.want)
	} else if sub.want.book() {
		p.lines = bookLines(p.lines, &p.book, levels, sub.want)
		l.was = p.book
	}
	if sub.want.figures != "" {
		p.figures = p.s.market.Figures(l.inst.ID, p.figures[:0])
		slices.SortFunc(p.figures, func(a, b Figure) int { return int(a.Type) - int(b.Type) })
		for i := range p.figures {
			if strings.IndexByte(sub.want.figures, p.figures[i].Type) >= 0 {
				p.lines = append(p.lines, entryOf(&p.figures[i]))
			}
		}
	}
	sub.client.give(snapshot(sub.client.v, sub.id, l.inst.Symbol, p.lines, levels, &p.stamp))
	p.s.counters.Snapshots.Add(1)
}

// soil makes W due.
func (p *pump) soil(l *leg) {
	if l.dirty || l.sub.once {
		return
	}
	l.dirty, l.again, l.told, l.since = true, true, false, time.Now()
	p.dirty = append(p.dirty, l)
}

// catchUp sends W that are due to clients that can take them, and says how many.
func (p *pump) catchUp() (sent int) {
	if len(p.dirty) == 0 {
		return 0
	}
	left, now := p.dirty[:0], time.Now()
	for i, l := range p.dirty {
		if sent == pumpCatchups {
			left = append(left, p.dirty[i:]...)
			break
		}
		if l.sub.gone {
			continue
		}
		if now.Before(l.look) || l.sub.client.congested() {
			left = append(left, l)
			continue
		}
		l.look = now.Add(pumpLook)
		switch answer := p.market(l); answer {
		case Here:
			l.dirty, l.look = false, time.Time{}
		case Stale: // whoever has a book is told once that it is not firm, whoever has none gets such a one after a while; both wait for another
			switch {
			case l.told || !l.again && now.Sub(l.since) < p.s.c.BookPatience:
				left = append(left, l)
				continue
			case l.sub.once:
				l.dirty = false
			default:
				l.told = true
				left = append(left, l)
			}
		case Later, Nothing:
			if waits := now.Sub(l.since) < p.s.c.BookPatience; waits || l.again {
				left = append(left, l)
				if waits || l.told || answer == Later {
					continue
				}
				l.told = true // the feed began anew, and what it had is no more: empty
				p.book.empty()
				p.whole = Whole{}
				break
			}
			fallthrough
		case Never:
			p.end(l)
			continue
		}
		p.sendW(l)
		if l.again {
			p.s.counters.Catchups.Add(1)
		}
		l.again = l.again || l.told
		sent++
		if sub := l.sub; sub.once && !slices.ContainsFunc(sub.legs, func(l *leg) bool { return l.dirty }) {
			p.drop(sub)
		}
	}
	clear(p.dirty[len(left):])
	p.dirty = left
	return sent
}

// end refuses a request that was granted, since a book of it is not to be had after all.
func (p *pump) end(l *leg) {
	p.drop(l.sub)
	p.refuse(&serverRequest{x: l.sub.client, id: l.sub.id}, '5', "of "+l.inst.Symbol+" neither orders nor ten levels are told: MarketDepth 1 is had")
}

// drop ends a subscription.
func (p *pump) drop(sub *subscription) {
	sub.gone = true
	delete(p.subs[sub.client], sub.id)
	for _, l := range sub.legs {
		p.s.market.Follow(l.inst.ID, sub.depth, false)
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
	clear(x.held)
	x.held = x.held[:0]
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
