package fix

import (
	"time"

	"github.com/tickwire/tickwire/tick"
)

// Market is what a server serves: tickwire's rings, or a generator. All methods are called by one goroutine.
type Market interface {
	// Find gives the instrument of a symbol.
	Find(symbol string) (Instrument, bool)
	// Each calls fn with all instruments, until it returns false.
	Each(fn func(i *Instrument) bool)
	// Levels is how many levels of a side an instrument's book has, 0: none is published; full says that there are never more.
	Levels(id uint32) (most int, full bool)
	// Book copies an instrument's book, of one level or of as many as there are; false: it is not known yet.
	Book(id uint32, deep bool, b *Book) bool
	// Status is an instrument's trading status, tick.Status…, 0: not known.
	Status(id uint32) uint16
	// Poll calls fn with what has happened since the call before, in order, about most events; it says how many there were.
	Poll(most int, fn func(e *Event)) int
	// Wait returns when there may be more, or after timeout.
	Wait(timeout time.Duration)
	// Close ends it.
	Close() error
}

// Instrument is one that can be subscribed to.
type Instrument struct {
	ID       uint32 // the market's own number, small
	Symbol   string
	Exchange string // MIC, empty: not known
	Currency string
	Class    byte // DBN instrument class, 0: not known
}

// MostLevels of a side are sent.
const MostLevels = 10

// Book is an instrument's levels, best first: empty pairs (tick.EmptyPair) are none.
type Book struct {
	Pairs   [MostLevels]tick.BidAskPair
	TsEvent uint64 // ns since the Unix epoch
	Suspect bool   // a loss was not recovered
}

// empty makes b a book without a level.
func (b *Book) empty() {
	*b = Book{}
	for i := range b.Pairs {
		b.Pairs[i] = tick.EmptyPair
	}
}

// EventKind is what happened.
type EventKind uint8

// Kinds of event.
const (
	EventTop    EventKind = iota // the best level of ID changed: Book has it
	EventDeep                    // one of the levels of ID changed: Book has all
	EventTrade                   // a trade in ID
	EventStatus                  // ID's status changed
	EventLost                    // events are missing: whoever has a book needs a new one
)

// Event is something that happened in a market. It is valid for the call.
type Event struct {
	Kind    EventKind
	ID      uint32
	Book    *Book
	Price   int64 // of a trade, 1e-9
	Size    uint32
	Side    byte   // of a trade: the aggressor's, tick.Side…
	TsEvent uint64 // ns since the Unix epoch
	Status  uint16
}
