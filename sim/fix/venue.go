// Package fix is a FIX venue in a box: the server that tickwire itself is, over a generated market. Clients subscribe with V, get W, then X or W; x gives
// the list, e the status. The same seed gives the same day.
package fix

import (
	"sync"
	"sync/atomic"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
	"github.com/tickwire/tickwire/tick"
)

// Options of a venue. Server.Clients has no default.
type Options struct {
	Server session.ServerConfig
	Market fixgen.Options
	// Rate is how many steps a second happen. The default is 1,000; below 0: as many as are taken.
	Rate int
	// Steps is how many steps the day has. The default, 0, is no end.
	Steps int
	// Held keeps the day from beginning until Venue.Begin is called. The default is off.
	Held bool
	// Halts is after how many steps an instrument is halted, and traded again as many later. The default, 0, is never.
	Halts int
}

// Venue is a running venue.
type Venue struct {
	*session.Server
	m *market
}

// Start starts a venue.
func Start(o Options) (*Venue, error) {
	if o.Rate == 0 {
		o.Rate = 1000
	}
	g := fixgen.New(o.Market)
	m := &market{o: o, g: g, ids: map[string]uint32{}, status: make([]uint16, len(g.Symbols()))}
	for i, name := range g.Symbols() {
		m.ids[name] = uint32(i)
		m.status[i] = tick.StatusTrading
	}
	if !o.Held {
		m.Begin()
	}
	s, err := session.Serve(o.Server, m)
	if err != nil {
		return nil, err
	}
	return &Venue{s, m}, nil
}

// Begin lets the day begin.
func (v *Venue) Begin() { v.m.Begin() }

// Steps is how many steps have happened.
func (v *Venue) Steps() uint64 { return v.m.steps.Load() }

// Book copies an instrument's book of now; false: there is no such symbol.
func (v *Venue) Book(symbol string) (session.Book, bool) {
	id, ok := v.m.ids[symbol]
	if !ok {
		return session.Book{}, false
	}
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	return *v.m.g.Book(int(id)), true
}

// market is the generator as a session.Market.
type market struct {
	o     Options
	ids   map[string]uint32
	begun atomic.Int64 // ns since the Unix epoch, 0: not yet
	steps atomic.Uint64

	mu     sync.Mutex // Venue.Book looks in
	g      *fixgen.Gen
	was    session.Book
	status []uint16
}

func (m *market) Begin() { m.begun.CompareAndSwap(0, time.Now().UnixNano()) }

func (m *market) instrument(id uint32) session.Instrument {
	return session.Instrument{ID: id, Symbol: m.g.Symbols()[id], Exchange: "XSIM", Currency: "USD", Class: 'K'}
}

func (m *market) Find(symbol string) (session.Instrument, bool) {
	id, ok := m.ids[symbol]
	if !ok {
		return session.Instrument{}, false
	}
	return m.instrument(id), true
}

func (m *market) Each(fn func(*session.Instrument) bool) {
	for id := range m.g.Symbols() {
		if i := m.instrument(uint32(id)); !fn(&i) {
			return
		}
	}
}

func (m *market) Levels(uint32) (int, bool) { return m.g.Levels(), true }

func (m *market) Orders(uint32) bool { return false }

func (m *market) Follow(uint32, session.Depth, bool) {}

func (m *market) Book(id uint32, _ session.Depth, b *session.Book) session.Answer {
	*b = *m.g.Book(int(id))
	return session.Here
}

func (m *market) Whole(uint32, *session.Whole) session.Answer { return session.Never }

func (m *market) Figures(_ uint32, dst []session.Figure) []session.Figure { return dst }

func (m *market) Status(id uint32) uint16 { return m.status[id] }

// due is how many steps have their time now.
func (m *market) due() int {
	begun, done := m.begun.Load(), m.steps.Load()
	if begun == 0 {
		return 0
	}
	n := 1 << 20
	if m.o.Rate > 0 {
		n = int(time.Since(time.Unix(0, begun)).Seconds()*float64(m.o.Rate)) - int(done)
	}
	if m.o.Steps > 0 {
		n = min(n, m.o.Steps-int(done))
	}
	return n
}

func (m *market) Poll(most int, fn func(*session.Event)) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for due := min(most, m.due()); n < due; n++ {
		s := m.g.Next(&m.was)
		done := int(m.steps.Add(1))
		id := uint32(s.ID)
		if s.Trade {
			fn(&session.Event{Kind: session.EventTrade, ID: id, Price: s.Price, Size: uint64(s.Size), Side: s.Side, TsEvent: s.TsEvent})
		}
		if s.Was.Pairs[0] != s.Now.Pairs[0] {
			fn(&session.Event{Kind: session.EventTop, ID: id, Book: s.Now, TsEvent: s.TsEvent})
		}
		fn(&session.Event{Kind: session.EventDeep, ID: id, Book: s.Now, TsEvent: s.TsEvent})
		if m.o.Halts > 0 && done%m.o.Halts == 0 {
			m.status[id] = tick.StatusHalt + tick.StatusTrading - m.status[id]
			fn(&session.Event{Kind: session.EventStatus, ID: id, Status: m.status[id], TsEvent: s.TsEvent})
		}
	}
	return n
}

func (m *market) Wait(timeout time.Duration) { time.Sleep(timeout) }
func (m *market) Close() error               { return nil }
