// Package book keeps the full-depth order books of all instruments of a lane: every resting order, in the queue of its
// price, and the best prices of each instrument, and completes the rows of a batch with what only a book knows.
//
// The rules are those of the ITCH 5.0 specification: the life of an order from its add to its last share; and for venues that change orders
// under their id those of NYSE's, IEX's and CME's (modify.go). Nothing but order
// messages touches a book, halts never do; what names an order that does not rest is counted and ignored.
//
// Books come in two sorts. The one numbers instruments and orders from small numbers up, as Nasdaq does, and finds them by place. The other,
// Options.Sparse, takes any numbers, order ids that are unique only within their instrument, and finds both by hash (hashed.go). Everything else is
// the same; methods speak the venue's numbers in both.
//
// # Memory
//
// Everything lives in anonymous mappings off the Go heap, advised to huge pages, found by 32-bit numbers instead of
// pointers: the collector has nothing to scan, and records are half as large. Number 0 means none everywhere.
//
//	reference 0x…2A7 ─┬─ >>6 ─► directory: u32 each 64 references
//	                  │          page number << 7 │ entries in use          page 0 is never written: all none
//	                  │          or, of an order alone among them, its 6 low bits and its number: no page
//	                  └─ &63 ─► page: 64 × u32 ──► number of the order      256 bytes, recycled when its last order dies
//	sparse: instrument ─► table ─► place ┬─► table ──► number of the order      two tables, at most half full
//	                                  id ┘
//
//	node, 64 bytes, one cache line: an order, and the level that this order opened
//	0         8       12      16      20      24      28      32
//	+---------+-------+-------+-------+-------+-------+-------+
//	| id      | size  | level | prev  | next  | owner | mpid  |   owner: place of the instrument, side in the top bit
//	+---------+-------+-------+-------+-------+-------+-------+   prev, next: neighbours in the queue
//	32        40      48      52      56              64
//	+---------+-------+-------+-------+---------------+
//	| key     | size  | head  | tail  | count |       |           key: price of a bid, negated price of an ask, made unsigned
//	+---------+-------+-------+-------+-------+-------+           (a better price is always a greater key)
//
//	instrument, 64 bytes, one cache line; the first 32 are a tick.BidAskPair as it is published
//	0        16       24       32       40       48       56                    64
//	+--------+--------+--------+--------+--------+--------+-----------------------+
//	| px ×2  | sz ×2  | ct ×2  | best×2 | leaf×2 | root×2 | height×2 flags number |  ×2: bid, ask; number: the venue's
//	+--------+--------+--------+--------+--------+--------+-----------------------+
//
//	block, 192 bytes: a B+ tree for each side of each instrument
//	0       4       8       12      16                              128                    184  192
//	+-------+-------+-------+-------+-------------------------------+----------------------+-----+
//	| n     | worse | better|       | keys, 14 × u64, worst first   | refs, 14 × u32       |     |   not in use: greatest key
//	+-------+-------+-------+-------+-------------------------------+----------------------+-----+
//
//	                    root ──► inner block ──► … ──► leaf ⇄ leaf ⇄ leaf ◄── leaf[side] of the instrument: the best prices
//	                                                    refs name levels
//
// An order names its level, so executions and reductions never search; nor does an add at the best price. A level that
// comes or goes is looked for in the leaf with the best up to 14 prices, and farther away by descent: two blocks for a
// hundred levels, three for a thousand, six for a million, so stub quotes at 0.0001 and 199,999.99 cost what any far level
// costs. Levels do not name their leaf: when a leaf splits, nothing but the two halves is touched.
//
// Nine levels in ten have one order. That order and its level share a line, which is asked for, waited for and kept in
// cache once. When the order goes before its level the level stays where it is, and an order that joins some queue
// moves in beside it (records.go).
//
// Prices stay int64 in 1e-9. Four-byte prices in the venue's tick would halve a tree entry, but need a division for
// each add, an exactness check, and a scale per venue.
//
// # Bounds
//
// Orders, nodes, blocks, index pages and references are bounded by Options. An order that finds no room is refused and
// counted, and its instrument is suspect from there on: its book is no longer the venue's. Per live order the state is
// 64 bytes of node (96 at worst, when orders leave their levels behind), 14 to 38 of tree a level, and 4 bytes an entry of
// index page: about 110 bytes with one order a level and dense references. Scattered references cost 4 bytes of directory
// for each span of 64 that has an order, and a page only where two share a span. Sparse books have 16 to 32 bytes of table for each order that
// may rest, touched as hashes scatter them. Counters says what is in use.
//
// # Batches
//
// A row costs its cache misses, so Apply runs over the batch and asks for the lines of coming rows before it needs them,
// one step of the chain each: directory, page, order, then level, queue neighbours and tree (prefetch.go). Misses overlap
// only within one call of Apply: its first rows wait.
//
// A Books belongs to one goroutine. Nothing allocates after New.
package book
