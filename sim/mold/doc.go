// Package mold puts messages on the wire as a venue does: MoldUDP64 packets, on two lines, with the faults that lines have.
//
//	Source ──► Play ──► Packer ──► Lines ──┬─► line A ──┐
//	 messages   when     packets   faults  └─► line B ──┴─► pcap, or whoever takes datagrams in the order of their times
//
//	packer.go   messages to packets; heartbeats, end of session       play.go      when a packet leaves
//	lines.go    delay, loss, silence, reordering and duplicates       capture.go   a session as a capture file
//	corrupt.go  damage to packets on a line                           spoil.go     answers as a defective server gives them
//	log.go      what was sent, by number                              answer.go    what the venue sends again, and when it is silent
//	requests.go the re-request server, over UDP
//
// Where messages come from is nobody's business here; package itchgen is one source. Layouts and rules are those of the
// MoldUDP64 specification. The same input and options give the same packets, faults included, on every machine.
package mold
