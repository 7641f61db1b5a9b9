// Package mdp3 decodes CME's market data, MDP 3.0 (SBE over UDP), into the columns of a tick.Batch: schemas 5 to 13, and later ones as far as they only
// add, or by their XML.
//
//	datagram ──> ParsePacket, Walk ──> Decoder.Append ──> rows
//	                     (packet.go)       by template          │
//	                                                            ├─ books       46 32 64   Level, Implied, and Add, Modify, Delete of the orders behind them
//	                                                            │              47 43      Add, Modify, Delete
//	                                                            ├─ trades      48 42 65 36  Trade, Fill, Break
//	                                                            ├─ statistics  37 66 49 33 51 35 67 50 34  Statistics
//	                                                            ├─ states      30 60      Status
//	                                                            ├─ definitions 54 to 58, 63, 27, 29, 41  Definition, Statistics, Status
//	                                                            ├─ snapshots   52 38 69 61 68  Clear, Level, Implied, Statistics, Status
//	                                                            │              53 44 59   Clear, Add
//	                                                            ├─ reset       4          Clear of every instrument
//	                                                            └─ the rest    39 62      Ext; 12, 15, 16 none
//
// Layouts are generated (package wire, by command gen, from CME's SBE schemas, which package sbe reads). A message is checked a block at a time, and the
// wire's lengths count: longer blocks, more fields and more groups are stepped over, a field that the sender does not have is null. One whose lengths
// lie, or that lacks what its row needs, is refused and counted, and leaves no rows; its neighbours are decoded.
//
// # What rows say
//
//   - Prices are Globex display prices, as on the wire: the mantissa, times 100 in old templates, is the price in 1e-9, exactly. Conventional prices
//     are price × DisplayFactor, which DBN's definition has a field for; nothing here is multiplied by it.
//   - TsEvent is TransactTime, in definitions LastUpdateTime. Sequence is the packet's MsgSeqNum: rows of a packet share it.
//   - Instrument is SecurityID. A state of a group or a product is told of every instrument whose definition put it there (status.go).
//   - FlagMore follows MatchEventIndicator; event.go says how, also where an event spans packets.
//   - A modify's ModifyTail follows MDOrderPriority (book.go).
//   - RptSeq is checked per instrument; jumps are counted and told (Decoder.Jumped), rows are made all the same.
//   - Sizes of 64 bits are kept exactly, up to 2^63-1; a larger one is refused.
//   - A KindClear with Sub BookLevels or BookOrders is of one book only: CME sends them separately.
//   - The trade's KindTrade has the aggressor's order in OrderID where CME tells it; its other orders are KindFill rows.
//   - KindExt rows hold what DBN has no field for, as template, FIX tag and value.
//
// # Numbers of packets
//
// CME numbers packets, so to a session a packet is one message: Walk gives 1 or 0, Append takes one packet at a time. A heartbeat is a packet as any other.
// A channel reset begins the sequence anew at its own packet (Packet.Reset).
//
// Order, gaps and lines are package session's; joining snapshots with the incremental feed is the recovery's, which has ParseSnapshot, SnapshotBook and
// SnapshotOrders from here.
package mdp3
