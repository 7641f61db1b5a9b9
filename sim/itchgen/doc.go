// Package itchgen makes plausible sessions of Nasdaq TotalView-ITCH 5.0: the same bytes for the same options on every machine.
// Integers only: no floating point, no maps, no clock.
//
//	03:05      04:00                 09:28    09:30               15:50     16:00         20:00  20:05
//	 │ S/O R H Y L V │ S/S            │ NOII   │ S/Q              │ NOII    │ S/M           │ S/E │ S/C
//	 └─ directory ───┴─ books fill ───┴────────┴─ Q/O, the day ───┴─────────┴─ Q/C, late ───┴─────┘
//	                                              A F D U X E C P B, pauses H J I Q/H H
//
// Messages per phase, the mix of types and the lifetimes follow the published figures of real days.
//
//	symbols.go  the directory: names, prices, how busy (Zipf)      lives.go    when an order is due to end
//	book.go     the generator's own books, queues by price         clock.go    bursts, and the time of each event
//	day.go      the phases of a day, how many messages each has    market.go   one event of the market
//	auction.go  imbalances, crosses, pauses and their end          encode.go   messages as bytes
//
// A session is sound, and its tests prove it on feed/book: an execution takes the first order at the best price, nothing takes
// more than there is, no reference is named that does not rest, no side of a book ever meets the other, and
// time does not go back. Prices walk, and tend back to where they began.
//
// Profile Hostile is the other end: symbols, references, prices and victims uniformly at random over all there is, so that
// nothing is ever in a cache. Its books are as sound.
//
// A live session (Options.Live) has the same opening, then goes on for ever at the pace and with the stamps of whoever
// calls NextAt.
//
// The messages look like the venue's. Whoever publishes them marks them (publisher 40,000), so that nobody trades on them.
package itchgen
