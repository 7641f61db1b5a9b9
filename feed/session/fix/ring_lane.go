package fix

import (
	"errors"
	"io/fs"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
)

type ringLane struct {
	instance, feed, lane string

	mbp1       *ringbuf.Reader
	mbp10      *ringbuf.Reader // nil: there is none
	side       *ringbuf.Reader // events; nil: there is none
	inst       *ringbuf.InstReader
	last       *ringbuf.LastReader
	ids        map[uint64]*ringInstrument // by publisher and instrument_id
	generation uint64
	count      uint64
	lost       uint64
	down       bool
	anew       bool // the directory began anew, and whoever has a book does not know
	retryAt    time.Time

	orderly bool        // mbo and .snap are there
	orders  *ringOrders // nil: nobody has wanted books of orders lately
}

func (l *ringLane) open(o *RingOptions) (err error) {
	path := func(k ringbuf.Kind) string { return ringbuf.Path(o.RingDir, l.instance, l.feed, l.lane, k) }
	side := func(ext string) string { return ringbuf.SidePath(o.RingDir, l.instance, l.feed, l.lane, ext) }
	l.ids = map[uint64]*ringInstrument{}
	if l.mbp1, err = ringbuf.Open(path(ringbuf.KindMbp1), ringbuf.ReaderOptions{StaleAfter: o.StaleAfter, Report: "fix"}); err != nil {
		return err
	}
	l.lost, l.orderly = l.mbp1.Lost(), keepsOrders(o, l)
	if l.inst, err = ringbuf.OpenInst(side(ringbuf.ExtInst)); err != nil {
		return err
	}
	if l.last, err = ringbuf.OpenLast(side(ringbuf.ExtLast), l.inst); err != nil {
		return err
	}
	for kind, r := range map[ringbuf.Kind]**ringbuf.Reader{ringbuf.KindMbp10: &l.mbp10, ringbuf.KindEvents: &l.side} {
		if *r, err = ringbuf.Open(path(kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest, Report: "fix"}); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l *ringLane) close() {
	for _, r := range []*ringbuf.Reader{l.mbp1, l.mbp10, l.side} {
		if r != nil {
			_ = r.Close()
		}
	}
	if l.last != nil {
		_ = l.last.Close()
	}
	if l.inst != nil {
		_ = l.inst.Close()
	}
	l.mbp1, l.mbp10, l.side, l.last, l.inst = nil, nil, nil, nil, nil
}

func ringKey(publisher uint16, id uint32) uint64 { return uint64(publisher)<<32 | uint64(id) }

// directory reads the instruments that are new. Where their numbers began anew what was known of all is void, and anew says so, to renew.
func (l *ringLane) directory(m *RingMarket) {
	if l.inst == nil {
		return
	}
	generation, count := l.inst.Generation(), l.inst.Count()
	if generation == l.generation && count == l.count && len(l.ids) > 0 {
		return
	}
	reset := generation != l.generation
	if reset {
		clear(l.ids)
		for _, x := range m.all {
			if x.lane == l {
				x.unlist()
			}
		}
		if l.anew = true; l.orders != nil {
			l.orders.renumbered = true
		}
	}
	l.generation, l.count = generation, count
	l.inst.Each(func(_ uint64, e *ringbuf.Inst) {
		symbol := e.Symbol()
		if !goodText(symbol) {
			return
		}
		id, ok := m.symbols[symbol]
		if ok && m.all[id].lane != l && m.all[id].lane.inst != nil {
			return // another feed's: the first one is found
		}
		if !ok {
			id = uint32(len(m.all))
			m.symbols[symbol] = id
			m.all = append(m.all, &ringInstrument{Instrument: Instrument{ID: id, Symbol: symbol}})
		}
		x := m.all[id]
		x.Exchange, x.Currency, x.Class = text(e.MIC[:]), text(e.Currency[:]), e.Class
		other := x.wire != e.InstrumentID || x.publisher != e.PublisherID || x.lane != l || reset
		x.lane, x.publisher, x.wire, x.status = l, e.PublisherID, e.InstrumentID, uint16(e.StatusAction)
		x.listed = true
		l.ids[ringKey(e.PublisherID, e.InstrumentID)] = x
		if other {
			x.hasDeep, x.ordersAt, x.oddSince = false, 0, time.Time{}
			clear(x.figures)
			x.takeLast()
		}
	})
}

// unlist forgets what is known of an instrument that the directory does not name: its number may be another's. Its ten levels are not had (hasDeep) but as
// stale ones.
func (x *ringInstrument) unlist() {
	x.listed, x.hasDeep, x.status = false, false, 0
	x.top.empty()
	x.upTo, x.ordersAt, x.oddSince = 0, 0, time.Time{}
	clear(x.figures)
}

// takeLast takes the top from .last.
func (x *ringInstrument) takeLast() {
	x.top.empty()
	x.upTo = 0
	if rec, ok := x.lane.last.Last(x.publisher, x.wire); ok {
		topOf(&x.top, &rec.Mbp1)
		x.upTo = rec.TsPublish
	}
}

func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// find gives the instrument of a record; one that the directory did not have a moment ago is looked for there again.
func (l *ringLane) find(m *RingMarket, publisher uint16, id uint32) *ringInstrument {
	x := l.ids[ringKey(publisher, id)]
	if x == nil {
		l.directory(m)
		x = l.ids[ringKey(publisher, id)]
	}
	return x
}
