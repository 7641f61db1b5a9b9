// Package mdp3gen makes plausible sessions of one CME MDP 3.0 channel: the same bytes for the same options on every machine.
// Integers only: no floating point, no maps, no clock.
//
//	definitions ──► pre-open, books fill ──► ready to trade ──► orders, trades, statistics, implied levels, changes of state ──► close
//	54 55 56        30, 46 47                30                 46 47 48 37 51 49 50 30                                         30
//
// There is one market, and everything that is sent comes of it: price levels are sums of the orders that rest, what a message says of a level is what
// became of it, an order entry names the level's entry by ReferenceID, and RptSeq counts an instrument's entries. Orders beyond an
// instrument's depth are sent by template 47 alone; what moves up into the depth comes as a level without its orders, which are known.
//
//	instruments.go  the directory: futures, calendar spreads, options; depth 10, 5 or 3   event.go     one event as messages, with MatchEventIndicator
//	book.go         the orders, and the entries that a change of them makes                snapshot.go  the state as templates 52, 53 and as definitions
//	market.go       what happens next                                                      pcap.go      a session as a capture of two lines
//
// Prices on the wire are Globex's: instruments have a DisplayFactor, 1 for some. What is told of the market's own books is conventional: ticks by another table.
//
// A session is sound, and its tests prove it with books of their own: no side of a book meets the other, and levels and orders agree at each end
// of an event. Whoever publishes such messages marks them (publisher 40,002), so that nobody trades on them.
package mdp3gen
