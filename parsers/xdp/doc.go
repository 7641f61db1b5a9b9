// Package xdp decodes the equity feeds of the NYSE group, XDP and Pillar: Integrated, BBO and Trades.
//
// packet.go has the packet and how it is cut, layout.go every message. A message is little-endian and begins
//
//	0          2          4
//	+----------+----------+- ...
//	| msg_size | msg_type |  source_time_ns u32, symbol_index u32, symbol_seq_num u32, …           orders, trades, quotes
//	| u16      | u16      |  source_time u32, source_time_ns u32, symbol_index u32, …              states, auctions, refreshes
//	+----------+----------+- ...
//
// and becomes rows:
//
//	100 Add     101 Modify   102 Delete      103 ExecAt   104 Replace   106 Add, of a snapshot   32 Clear
//	110 Trade, when printed  111 Cross       112 Break    113 Ext       114 Ext                  105 Imbalance
//	140 Quote, and Ext when retail interest changes       3 Definition, Ext  33 Status                34 Status, Ext for its prices, Clear for X
//	220 215 Trade, or Statistics for an official price    221 216 Break 222 217 Break and Trade  223 Statistics, twice
//	1 2 10–15 31 35 210 212–214 218 219                   none: counted
//
// A trade's conditions are a row of Ext behind it, where they are others than those of every day (@ and three spaces). What message 3 says beside a
// definition is one too: the listing market, the close and the volume of the day before.
//
// A trade that is not printed (110) makes no row and its trade_id is not kept: a Break of it names a trade that nobody was told of.
//
// Prices are numerators, of which message 3 of the symbol gives the scale, and most times are nanoseconds of a second that message 2 of the
// symbol's matching engine gives. So decoding has a memory, Decoder, which belongs to the channel's lane; nothing else here remembers anything.
// What must be known and is not makes no row: nothing is guessed but the second of a time (seconds.go), and that is counted.
//
// append.go is the definition of decoding; plain_amd64.s does the same for runs of messages that have nothing special to them. The build tag
// purego leaves it out.
//
// Order and gaps are package session's, books package book's.
package xdp
