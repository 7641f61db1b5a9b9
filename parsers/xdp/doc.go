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
// Prices are numerators, of which message 3 of the symbol gives the scale, and most times are nanoseconds of a second that message 2 of the
// symbol's matching engine gives. So decoding has a memory, Decoder, which belongs to the channel's lane; nothing else here remembers anything.
//
// Order and gaps are package session's, books package book's.
package xdp
