// Package session puts what a channel's lines deliver in order: it arbitrates lines A and B by sequence number, holds
// packets that are early, and says what never came.
//
//	line A ──┐
//	         ├─> first copy wins ──> in order? ──yes──> Sink.Messages
//	line B ──┘                          │no
//	                                    └──> held until the hole is filled, or until it is given up: Sink.Gap
//
// A Channel does no I/O, has no clock and starts no goroutine: packets, and the time they are looked at, are arguments, so a
// recorded day and a seeded simulation run the same code as the wire. It belongs to one lane.
//
// Promises, each with its test: messages leave in sequence order and once (TestEachMessageOnce); every number that
// did not leave is named by exactly one gap (TestGapsNameWhatIsMissing); memory is bounded (TestHoldIsBounded).
//
// Rules: the MoldUDP64 receiver's of the Nasdaq sheet, section 3.5.
package session
