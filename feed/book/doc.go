// Package book keeps the full-depth order books of all instruments of a lane: every resting order, in the queue of its
// price, and the best prices of each instrument, and completes the rows of a batch with what only a book knows.
//
// The rules are those of the ITCH 5.0 specification: the life of an order from its add to its last share. Nothing but order
// messages touches a book, halts never do; what names an order that does not rest is counted and ignored.
//
// # Memory
//
// Everything lives in anonymous mappings off the Go heap, advised to huge pages, found by 32-bit numbers instead of
// pointers: the collector has nothing to scan, and records are half as large. Number 0 means none everywhere.
//
//	reference 0x…2A7 ─┬─ >>6 ─► directory: u32 each 64 references
//	                  │          page number << 7 │ entries in use          page 0 is never written: all none
//	                  └─ &63 ─► page: 64 × u32 ──► number of the order      256 bytes, recycled when its last order dies
//
//	order, 32 bytes, two a cache line
//	0         8       12      16      20      24      28      32
//	+---------+-------+-------+-------+-------+-------+-------+
//	| id      | size  | level | prev  | next  | owner | mpid  |   owner: instrument, side in the top bit
//	+---------+-------+-------+-------+-------+-------+-------+   prev, next: neighbours in the queue
//
//	level, 32 bytes: one price of one side
//	0         8       16      20      24      28      32
//	+---------+-------+-------+-------+-------+-------+
//	| key     | size  | head  | tail  | count | leaf  |   key: price of a bid, negated price of an ask
//	+---------+-------+-------+-------+-------+-------+   (a better price is always a greater key)
//
//	instrument, 64 bytes, one cache line; the first 32 are a tick.BidAskPair as it is published
//	0        16       24       32       40       48       56                    64
//	+--------+--------+--------+--------+--------+--------+-----------------------+
//	| px ×2  | sz ×2  | ct ×2  | best×2 | leaf×2 | root×2 | height×2 flags        |  ×2: bid, ask
//	+--------+--------+--------+--------+--------+--------+-----------------------+
//
//	block, 256 bytes: a B+ tree for each side of each instrument
//	0       4       8       12      16                              176                    256
//	+-------+-------+-------+-------+-------------------------------+----------------------+
//	| n     | worse | better|       | keys, 20 × i64, worst first   | refs, 20 × u32       |
//	+-------+-------+-------+-------+-------------------------------+----------------------+
//
//	                    root ──► inner block ──► … ──► leaf ⇄ leaf ⇄ leaf ◄── leaf[side] of the instrument: the best prices
//	                                                    refs name levels, levels their leaf
//
// An order names its level, so executions, reductions and deletions never search. An add at the best price does not
// either; elsewhere it looks into the leaf with the best up to 20 prices from its better end, which for the five levels
// where most changes happen is a step or two. Farther away the tree is descended: three blocks for a thousand levels,
// five for a million, so stub quotes at 0.0001 and 199,999.99 cost what any far level costs.
//
// Prices stay int64 in 1e-9. Four-byte prices in the venue's tick would halve a tree entry, but need a division for
// each add, an exactness check, and a scale per venue; the line that is touched is the same either way.
//
// # Bounds
//
// Orders, levels, blocks, index pages and references are bounded by Options. An order that finds no room is refused and
// counted, and its instrument is suspect from there on: its book is no longer the venue's. Per live order the state is
// 32 bytes of order, at most 32 of level (orders at one price share it), 13 to 25 of tree a level, and 4 bytes an entry
// of index page: about 110 bytes with one order a level and dense references. Counters says what is in use.
//
// # Batches
//
// A row costs its cache misses, so Apply runs over the batch in groups and asks for the lines of coming groups before it
// needs them, one step of the chain each: directory, page, order, then level and queue neighbours (prefetch.go).
//
// A Books belongs to one goroutine. Nothing allocates after New.
package book
