// Package xdpgen makes plausible sessions of the NYSE group's feeds: the same bytes for the same options on every machine. Integers only.
//
// The market is package itchgen's, event for event: what an order lives, where it rests, who trades and who pauses has nothing to do with the
// venue. Here its events are said in XDP.
//
//	03:05               04:00        09:30        16:00       20:00
//	 │ 1  3 32 34 …      │ 34 E       │ 34 O       │ 34 L      │ 34 X: books are empty, without a word
//	 └─ each symbol ─────┴────────────┴─ the day ──┴───────────┴─
//
//	itchgen   A F      E C      X          U               D     P       Q            B     I     H J K Y
//	here      100 114  103      101        104 101         102   110     110 111 113  112   105   34
//	                            (smaller)  (a new price)                                          2: before the first of each second
//
//	gen.go      options, and one message after the other      say.go    an event as messages
//	symbols.go  indexes, scales, what is known of a symbol    pcap.go   a session as a capture
//
// That is the Integrated feed. The others tell of the same market what is theirs, and the start and the states as above:
//
//	BBO        140 when the best prices with a round lot change, 140 without prices at the end          quotes.go
//	Trades     220 each print, crosses too, 222 a corrected cross, 221 a broken trade; no 2             prints.go
//	summaries  223 of each symbol every minute, on a channel beside either of the other two; no 2
//
// Hours are those of NYSE Arca, whose product and market the session carries by default. It is as sound as itchgen's (its tests prove it on feed/book):
// executions take the first order at the best price, and what is named rests. Symbol sequence numbers have no holes.
//
// The messages look like the venue's. Whoever publishes them marks them as generated, so that nobody trades on them.
package xdpgen
