// Package xdprefresh fetches the present state of an NYSE channel's symbols: request 15 by TCP, the answer from the refresh channel by multicast.
// And mappings, by request 13.
//
//	join ──► request ──► 11 accepted ──► 35 1/3, 3, 105, 34, 106 …  35 2/3, 106 …  35 3/3, 106 … ──► fn(symbol)
//	            ▲                            │ a part is lost: the symbol is not whole
//	            └──── ask again, symbol by symbol, or for all ◄──┘
//
// A symbol is given whole or not at all: every part of it came, one after the other, as the counters in message 35 have it. What is lacking at
// the end is an error that names it. The refresh channel has no retransmission and is shared by all clients; what others asked for is as good.
//
// Message 35 counts the parts of a symbol, and nothing counts the symbols: one whose packets are all lost is noticed by Config.Expect alone, the
// symbols that must come.
//
//	fetch.go   asking, and asking again      collect.go   parts to symbols      mapping.go   messages 3
//
// Rules: XDP (Pillar) common client specification, refresh; sheet section 11.4.
package xdprefresh
