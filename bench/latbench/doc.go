// Package latbench measures how long market data takes from when it was due to somebody who can act on it.
//
//	bench latency
//	core of the lane                                                              core of the reader, another process
//	┌──────────────────────────────────────────────────────────────┐              ┌──────────────────────────────────┐
//	│ paced source ─► order ─► decode ─► books ─► records ─► rings ═╪══ memory ═══╪═► record, whole ─► clock − due  │
//	│ packets, when they are due                                   │              │                                  │
//	└──────────────────────────────────────────────────────────────┘              └──────────────────────────────────┘
//
//	bench e2e
//	core of the venue                core of the lane                              core of the strategy, another process
//	┌─────────────────────────┐      ┌────────────────────────────────────┐        ┌──────────────────────────────────┐
//	│ sends, when it is due ──┼ veth ┼─► AF_XDP ─► the same lane ─► rings ═╪════════╪═► record ─► "order" by UDP ──────┼─┐
//	│ clock − due ◄───────────┼ veth ┼────────────────────────────────────┼────────┼──────────────────────────────────┼─┘
//	└─────────────────────────┘      └────────────────────────────────────┘        └──────────────────────────────────┘
//
// A packet that cannot be sent or taken when it is due, since what came before it is still at work, counts from when it was due: late is late
// (no coordinated omission). With bench latency the due time is the packet's stamp of arrival, so the records carry it to the reader (ts_recv); with
// bench e2e the venue remembers it.
//
// The rate is steady but for a burst in each round, and what was due in the burst, or shortly behind it, is told apart.
//
// Before each run both cores measure themselves: a loop that does nothing but look at the clock, and for each message that would
// have been due says how late it saw that. No handler on that core can be better, so where the two curves meet it is the machine's tail (a hypervisor's, an
// interrupt's), and not the handler's.
//
//	schedule.go  when packets are due      day.go       the packets            rig.go     rings, books, a lane, and the runtime kept quiet
//	source.go    the paced source          jitter.go    cores by themselves    latency.go what is run
//	child.go     the other process         e2e.go wire.go   venue and strategy
package latbench
