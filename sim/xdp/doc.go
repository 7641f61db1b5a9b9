// Package xdp is one channel of an NYSE venue in a box: lines A and B with the faults that lines have, the TCP request server, and the
// retransmission and refresh channels that its answers come by. Package xdpgen is one source of its messages.
//
//	Source ──► Play ──► Lines ──┬─► line A          (mold.Lines: loss, bursts, silence, reordering, damage)
//	             │      faults  └─► line B
//	             └─► Record ─► messages by number ──► retransmission channel ◄──┐
//	                        └► state of each symbol ─► refresh channel ◄────────┤
//	                                             client ──TCP──► Server ────────┘
//	                                                    ◄─status─
//
//	packer.go   messages to packets                 record.go   what was sent, by number and by symbol
//	play.go     when a packet leaves, heartbeats    state.go    orders in the order of their priority
//	capture.go  a session as a capture file         answer.go   packets of retransmissions and refreshes
//	server.go   the request server                  faults.go   what it does wrong
//	serve.go    one connection                      sender.go   its multicast side
//	limits.go   its options and limits              venue.go    all of it at the pace of a clock
//	options.go  a venue's options                   source.go   messages when they are due
//	failover.go another publisher takes over
//
// Package recorded puts a capture in the place of a source. The same input and options give the same packets on the lines, faults included, on
// every machine. Layouts and rules are those of the XDP (Pillar) common client and integrated feed specifications.
package xdp
