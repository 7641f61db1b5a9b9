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
// Messages of templates 37, 46, 47 and 48 in their common shape are taken by assembly where there is BMI2 (quick_amd64.go); from what is unusual on, and
// elsewhere, by the functions that are the definition of it all. Both give the same rows and leave the same state (TestQuickIsTheSame).
//
// # What rows say
//
//   - Prices are conventional: Globex's display price, which is the mantissa, times 100 in old templates, in 1e-9, times DisplayFactor of the instrument's definition, exactly (price.go).
//     So are all that are prices of an instrument: of levels, orders, trades, fills, statistics, settlements, limits, the price band (50, and in snapshots), workups (60), the last trade of
//     a snapshot, and of definitions MinPriceIncrement, HighLimitPrice, LowLimitPrice, MaxPriceVariation, StrikePrice, TradingReferencePrice, and LegPrice by the leg's factor, UndefPrice where
//     that is not known. These stay as they are: DisplayFactor, MinPriceIncrementAmount (money), UnitOfMeasureQty, PriceRatio, LegOptionDelta, TickRule (the number of a table that is
//     not in the feed), and collateral prices (62), which are of no instrument. A yield that an instrument is quoted in is its price.
//   - An instrument without a definition has no factor, and makes no rows that have a price: entries are left out one by one, of a trade its fills and its Break too, and snapshots whole. They
//     are counted, and told once a session as doubtful (TakeDoubts). A definition that is late makes it doubtful again; one that changes the factor empties the books first.
//   - What has a product that is no multiple of 1e-9, or beyond ±(2^63-2), is left out and counted (Inexact), and its neighbours are taken: a field of a definition is UndefPrice, a
//     figure makes no row; a level, an order or a trade makes the instrument doubtful (TakeDoubts), in a snapshot hopelessly (Hopeless). With PricesWire the factor is 1, and no definition needed.
//   - The newest definition of an instrument holds, by LastUpdateTime, within a week and over all decoders that share Definitions. An older one makes no rows, and is counted (Older).
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
