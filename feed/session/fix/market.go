package fix

import (
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/tick"
)

// Market is what a server serves: tickwire's rings, or a generator. All methods are called by one goroutine.
type Market interface {
	// Find gives the instrument of a symbol.
	Find(symbol string) (Instrument, bool)
	// Each calls fn with all instruments, until it returns false.
	Each(fn func(i *Instrument) bool)
	// Levels is how many levels of a side Book gives of an instrument, 0: none is published; full says that there are never more.
	Levels(id uint32) (most int, full bool)
	// Orders says that an instrument's resting orders are told, so that Whole and EventLevel have all of its levels.
	Orders(id uint32) bool
	// Follow is told what of an instrument is wanted from now on, or no longer, once for each who does: only that has events.
	Follow(id uint32, d Depth, on bool)
	// Book copies an instrument's book, of one level or of as many as there are.
	Book(id uint32, d Depth, b *Book) Answer
	// Whole fills w with all levels of an instrument, reusing its memory.
	Whole(id uint32, w *Whole) Answer
	// Figures appends what is known of an instrument's figures.
	Figures(id uint32, dst []Figure) []Figure
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

// Depth is how much of a book is wanted.
type Depth uint8

// Depths.
const (
	DepthTop Depth = iota // the best level
	DepthTen              // MostLevels at most
	DepthAll              // every level
)

// Answer is whether a book is to be had.
type Answer uint8

// Answers.
const (
	Later   Answer = iota // not yet
	Nothing               // not yet, for the feed has told nothing of it so far
	Here
	Stale // one that something is missing of, marked as suspect; a new one will come
	Never
)

// Whole is all levels of an instrument, by side (bids, offers), best first.
type Whole struct {
	Sides   [2][]book.Level
	TsEvent uint64 // ns since the Unix epoch, 0: not known
	Suspect bool   // a loss was not recovered
}

// Figure is something that is known of an instrument besides its book and its trades.
type Figure struct {
	Type    byte   // MDEntryType
	Side    byte   // of an imbalance: whose there is more of, tick.Side…
	Price   int64  // 1e-9, tick.UndefPrice: none
	Size    uint64 // noSize: none
	TsEvent uint64 // ns since the Unix epoch
}

// noSize is that of a Figure, or an entry, that has none.
const noSize = ^uint64(0)

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
	EventLevel                   // one of all levels of ID changed: Action, Side, Price, Size, Count
	EventTrade                   // a trade in ID
	EventFigure                  // a figure of ID: Action, Figure
	EventStatus                  // ID's status changed
	EventAnew                    // the book of ID, of Depth, is another one: whoever has it needs a new one
	EventLost                    // events are missing: whoever has a book needs a new one
)

// Event is something that happened in a market. It is valid for the call.
type Event struct {
	Kind    EventKind
	ID      uint32
	Book    *Book
	Depth   Depth
	Action  byte  // MDUpdateAction: '0' new, '1' changed, '2' gone
	Price   int64 // of a trade or a level, 1e-9
	Size    uint64
	Count   uint32 // orders of a level
	Side    byte   // of a trade: the aggressor's, tick.Side…
	TsEvent uint64 // ns since the Unix epoch
	Status  uint16
	Figure  *Figure
}
