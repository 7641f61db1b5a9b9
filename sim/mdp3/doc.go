// Package mdp3 puts one CME channel on the wire as the venue does: incremental packets on two lines, the loops of snapshots and definitions,
// and the replay of packets over TCP, with the faults that lines have.
//
//	Market ──► Channel ──► mold.Lines ──┬─► incremental A ─┐
//	 events     packets     faults      └─► incremental B ─┴─► capture, sockets, or whoever takes datagrams in the order of their times
//	    │          ├─────► Archive ◄──── ReplayServer ◄──► TCP
//	    └── state ─┴─────► Loop: 52 by price, 53 by order, 54 55 56 definitions, each with its own numbers from 1 on
//
//	packer.go  messages to packets         loop.go     snapshot and definition loops       replay.go    the TCP replay service
//	channel.go numbers, heartbeats, reset  capture.go  a session as a capture file         exchange.go  all of it on sockets, in real time
//	archive.go what was sent, by number    recorded.go a recording instead of a market
//
// Channel and Loop have no clock, no goroutine and no socket: the same input gives the same packets. Where events come from is nobody's business
// here; package mdp3gen is one market. Rules: CME MDP 3.0, as parsers/mdp3 cites them.
package mdp3
