package consolidate

import (
	"fmt"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Counters count what an engine did. They belong to its goroutine.
type Counters struct {
	Updates     uint64 // of venues' quotes
	Older       uint64 // records older than what was known already, from a venue's file of latest values: passed over
	Records     uint64 // that came of them
	Locked      uint64 // records whose best bid and offer are equal, of different venues or one
	Crossed     uint64 // records whose best bid is above the best offer
	Stale       uint64 // quotes that became stale
	Refused     uint64 // symbols beyond the most that are kept
	Instruments uint64
}

// Sink takes the engine's records. rec is valid for the call.
type Sink interface {
	// Instrument says that a symbol was met, before its first record.
	Instrument(id uint32, symbol string)
	Record(rec *ringbuf.CbboSlot)
}

// Options of an engine.
type Options struct {
	// Publishers are the venues', in the order that breaks ties; at most ringbuf.MaxVenues.
	Publishers []uint16
	// StaleNs is how long a quote may stand without a change before it counts as stale, ns. The default is for ever: a quiet instrument is no
	// fault.
	StaleNs uint64
	// Most bounds the symbols. The default is 1<<18.
	Most int
}

// Engine keeps what each venue shows of each instrument. It belongs to one goroutine.
type Engine struct {
	o           Options
	sink        Sink
	venues      []venue
	instruments []instrument // by number - 1
	symbols     []string
	bySymbol    map[string]uint32
	rec         ringbuf.CbboSlot
	Counters    Counters
}

type venue struct {
	publisher uint16
	silent    bool
	ids       map[uint32]uint32 // of the venue's day: to our number
}

// instrument is what is known of one.
type instrument struct {
	quotes [ringbuf.MaxVenues]quote
	shown  shown // as it was published last
}

// quote is a venue's, with what keeps it from being live.
type quote struct {
	ringbuf.VenueQuote
	halted, suspect, stale bool
}

// shown is what a record says: one is published when it differs.
type shown struct {
	levels            tick.ConsolidatedPair
	live, stale, said uint8
}

// New makes an engine.
func New(o Options, sink Sink) (*Engine, error) {
	if n := len(o.Publishers); n < 1 || n > ringbuf.MaxVenues {
		return nil, fmt.Errorf("consolidate: %d venues, want 1 to %d", n, ringbuf.MaxVenues)
	}
	if o.Most <= 0 {
		o.Most = 1 << 18
	}
	e := &Engine{o: o, sink: sink, bySymbol: map[string]uint32{}}
	for i, p := range o.Publishers {
		for _, other := range o.Publishers[:i] {
			if p == other {
				return nil, fmt.Errorf("consolidate: two venues have publisher %d: records could not tell them apart", p)
			}
		}
		e.venues = append(e.venues, venue{publisher: p, ids: map[uint32]uint32{}})
	}
	return e, nil
}

// Know says that the venue's instrument id is the symbol, from now on.
func (e *Engine) Know(v int, id uint32, symbol string) {
	own, ok := e.bySymbol[symbol]
	if !ok {
		if len(e.instruments) >= e.o.Most {
			e.Counters.Refused++
			return
		}
		own = uint32(len(e.instruments)) + 1
		e.bySymbol[symbol] = own
		e.instruments = append(e.instruments, instrument{shown: shown{levels: empty}})
		e.symbols = append(e.symbols, symbol)
		in := &e.instruments[own-1]
		for i := range in.quotes {
			in.quotes[i].BidPx, in.quotes[i].AskPx = tick.UndefPrice, tick.UndefPrice
			if i < len(e.venues) {
				in.quotes[i].Publisher = e.venues[i].publisher
			}
		}
		e.Counters.Instruments++
		e.sink.Instrument(own, symbol)
	}
	e.venues[v].ids[id] = own
}

// Knows says whether the venue's instrument has a symbol.
func (e *Engine) Knows(v int, id uint32) bool { return e.venues[v].ids[id] != 0 }

var empty = tick.ConsolidatedPair{BidPx: tick.UndefPrice, AskPx: tick.UndefPrice}

// Update takes a record of a venue's mbp1 ring, whose number there is slot, or 0 when it is a latest value. An instrument without a symbol (Know) is nobody's: false.
func (e *Engine) Update(v int, m *ringbuf.Mbp1Slot, slot uint64) bool {
	own := e.venues[v].ids[m.InstrumentID]
	if own == 0 {
		return false
	}
	if m.Action == tick.ActionTrade {
		return true // it shows the book before itself: what it changed comes behind it
	}
	in := &e.instruments[own-1]
	q, level := &in.quotes[v], &m.Levels[0]
	if slot == 0 && m.TsRecv < q.TsRecv { // a ring is in order; its times need not be, where the lane's clock stood in for a packet's
		e.Counters.Older++
		return true
	}
	e.Counters.Updates++
	q.BidPx, q.BidSz, q.AskPx, q.AskSz = level.BidPx, level.BidSz, level.AskPx, level.AskSz
	q.TsRecv, q.Slot = m.TsRecv, slot
	q.stale, q.suspect = false, m.Flags&tick.FlagMaybeBadBook != 0
	e.state(v, q)
	e.publish(own, m)
	return true
}

// Status takes a trading status of a venue's instrument (tick.Status…).
func (e *Engine) Status(v int, id uint32, action uint16, at uint64) {
	own := e.venues[v].ids[id]
	if own == 0 {
		return
	}
	q := &e.instruments[own-1].quotes[v]
	switch action {
	case tick.StatusTrading, tick.StatusQuoting:
		q.halted = false
	case tick.StatusHalt, tick.StatusPause, tick.StatusSuspend, tick.StatusNotAvail:
		q.halted = true
	default:
		return
	}
	e.state(v, q)
	e.changed(own, at)
}

// Silent says that nothing comes from a venue any more, or that something does again. at is the time, ns since the Unix epoch.
func (e *Engine) Silent(v int, silent bool, at uint64) {
	if e.venues[v].silent == silent {
		return
	}
	e.venues[v].silent = silent
	for own := range e.instruments {
		e.state(v, &e.instruments[own].quotes[v])
		e.changed(uint32(own)+1, at)
	}
}

// Forget empties a venue's instruments: their session, or their feed, began anew. Their numbers mean nothing until they are known again.
func (e *Engine) Forget(v int, at uint64, ids ...uint32) {
	for _, id := range ids {
		own := e.venues[v].ids[id]
		if own == 0 {
			continue
		}
		delete(e.venues[v].ids, id)
		q := &e.instruments[own-1].quotes[v]
		*q = quote{VenueQuote: ringbuf.VenueQuote{BidPx: tick.UndefPrice, AskPx: tick.UndefPrice, Publisher: e.venues[v].publisher}}
		e.changed(own, at)
	}
}

// Sweep marks quotes as stale at a time, ns since the Unix epoch. Call it now and then.
func (e *Engine) Sweep(now uint64) {
	if e.o.StaleNs == 0 {
		return
	}
	for own := range e.instruments {
		in := &e.instruments[own]
		moved := false
		for v := range e.venues {
			q := &in.quotes[v]
			if q.stale || q.TsRecv == 0 || now < q.TsRecv || now-q.TsRecv <= e.o.StaleNs {
				continue
			}
			q.stale, moved = true, true
			e.state(v, q)
			e.Counters.Stale++
		}
		if moved {
			e.changed(uint32(own)+1, now)
		}
	}
}

// state works out what a quote is worth: the gravest of what is wrong.
func (e *Engine) state(v int, q *quote) {
	switch {
	case q.TsRecv == 0:
		q.State = ringbuf.VenueNone
	case e.venues[v].silent:
		q.State = ringbuf.VenueSilent
	case q.suspect:
		q.State = ringbuf.VenueSuspect
	case q.halted:
		q.State = ringbuf.VenueHalted
	case q.stale:
		q.State = ringbuf.VenueStale
	default:
		q.State = ringbuf.VenueLive
	}
}

// best finds the best prices of an instrument.
func (e *Engine) best(in *instrument) (s shown) {
	s.levels = empty
	for v := range e.venues {
		q := &in.quotes[v]
		switch q.State {
		case ringbuf.VenueNone:
			continue
		case ringbuf.VenueStale:
			s.stale++
		case ringbuf.VenueLive:
			s.live++
			l := &s.levels
			if q.BidPx != tick.UndefPrice && (l.BidPx == tick.UndefPrice || q.BidPx > l.BidPx || q.BidPx == l.BidPx && q.BidSz > l.BidSz) {
				l.BidPx, l.BidSz, l.BidPb = q.BidPx, q.BidSz, q.Publisher
			}
			if q.AskPx != tick.UndefPrice && (l.AskPx == tick.UndefPrice || q.AskPx < l.AskPx || q.AskPx == l.AskPx && q.AskSz > l.AskSz) {
				l.AskPx, l.AskSz, l.AskPb = q.AskPx, q.AskSz, q.Publisher
			}
		}
		s.said++
	}
	return s
}

// changed publishes a change that no venue's record made.
func (e *Engine) changed(own uint32, at uint64) {
	e.publish(own, &ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
		Header: tick.Header{TsEvent: at}, Price: tick.UndefPrice, Action: tick.ActionNone, Side: tick.SideNone, TsRecv: at,
	}}})
}

// publish makes a record when what is shown has changed. cause is the venue's record that made it so.
func (e *Engine) publish(own uint32, cause *ringbuf.Mbp1Slot) {
	in := &e.instruments[own-1]
	now := e.best(in)
	if now == in.shown {
		return
	}
	in.shown = now
	r := &e.rec
	r.Cmbp1 = tick.Cmbp1{
		Header: tick.Header{Length: 20, RType: tick.RTypeCmbp1, PublisherID: tick.PublisherCBBO, InstrumentID: own, TsEvent: cause.TsEvent},
		Price:  cause.Price, Size: cause.Size, Action: cause.Action, Side: cause.Side, Flags: tick.FlagLast | cause.Flags&tick.FlagBadTsRecv,
		TsRecv: cause.TsRecv, TsInDelta: cause.TsInDelta, Levels: [1]tick.ConsolidatedPair{now.levels},
	}
	r.Venues, r.Live, r.Stale = uint8(len(e.venues)), now.live, now.stale
	for v := range in.quotes {
		r.Quotes[v] = in.quotes[v].VenueQuote
	}
	l := &now.levels
	switch {
	case l.BidPx == tick.UndefPrice || l.AskPx == tick.UndefPrice:
	case l.BidPx == l.AskPx:
		e.Counters.Locked++
	case l.BidPx > l.AskPx:
		e.Counters.Crossed++
	}
	e.Counters.Records++
	e.sink.Record(r)
}
