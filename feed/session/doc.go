// Package session puts what a channel's lines deliver in order: it arbitrates lines A and B by sequence number, holds packets that are early,
// asks the venue for what neither line brought, and says what never came.
//
//	line A ──┐
//	         ├─> first copy wins ──> in order? ──yes──> Sink.Messages
//	line B ──┘        ↑                  │no
//	                  │                  └──> held until the hole is filled, or until it is given up: Sink.Gap
//	   venue ── Requester ── Link            for Wait by the other line, for HoldMax by the venue
//
// A hole's life: live → gap → recovering → live, or lost.
//
//	noticed            Wait              HoldMax
//	   |  the other      |  GapRecovering:   |  GapLost: what is still missing
//	   |  line may fill  |  the venue is     |  messages flow again
//	   |  it             |  asked            |
//	   +-----------------+-------------------+──►     filled before: GapClosed behind its last message
//
// A hole is given up after Wait when there is nobody to ask, or when it is larger than MostAsked; at once when a bound of holding is reached.
//
//	channel.go    packets and time in                  order.go     arbitration, holding's end, giving up
//	believe.go    what one packet alone is believed    hold.go      early packets         holes.go   what is waited for
//	told.go       recovering, closed                   lose.go      lost, ended           silence.go what each line lacks
//	ask.go        what is asked, when and of whom      answer.go    what comes back
//	link.go       lane and goroutine, lock-free        requester.go the socket
//	refused.go    what the venue says will not come    xdp_requester.go NYSE: requests by TCP, answers by multicast
//	replay.go     CME: requests and answers by TCP     replay_conn.go one of its connections
//
// A Channel does no I/O, has no clock and starts no goroutine: packets, answers, and the time they are looked at, come from outside, so a
// recorded day and a seeded simulation run the same code as the wire. It belongs to one lane.
//
// Promises, each with its test: messages leave in sequence order and once (TestEachMessageOnce); every number that
// is known to exist and did not leave is named by exactly one GapLost (TestGapsNameWhatIsMissing); what a server can bring within the bounds
// comes, whatever lines and servers do besides (TestFaults); memory is bounded (TestHoldIsBounded); packets that lie do not carry the stream
// away (TestStraysChangeNothing), and answers have no say on where it is at all (FuzzAnswers).
//
// A number is known to exist when a packet, heartbeat or end of session with a later one was taken: a tail that nothing
// told of cannot be named. A session is joined at any number; those before it are a hole like any other.
//
// What one packet alone is believed: to be up to 2^17 messages ahead, to be where a session is joined, and to begin a
// session when it is numbered 1. What is farther ahead is dropped (Far) until the same line goes on from there; a start that
// turns out to be too far ahead is taken back. A lone packet of an invented session numbered 1 does take over, and the
// true session comes back after Quiet: nothing in MoldUDP64 tells the two apart. A session that counts from 1 again under
// its old name begins anew when it was silent for Quiet; sooner, its packets count as duplicates.
//
// Rules: what the MoldUDP64 1.00 specification asks of a receiver, and what it leaves to it.
package session
