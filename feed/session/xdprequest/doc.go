// Package xdprequest is the TCP connection to an NYSE request server: what is missing is asked for here, and comes by multicast.
//
//	Retransmission, Refresh, Mapping ──► one packet each ──► request server A, else B
//	done(Outcome) ◄── message 11: accepted, or why not ◄──┘
//	                  heartbeat, some 60 s apart ──► message 12, within 5 s
//
// A source id lives on its latest connection alone, so one Client serves all channels and products of an id. It comes back by itself when the
// connection ends, ever more slowly, because logins are counted by the venue; so are requests, and a Client stops short of the venue's limits.
//
// It runs on ordinary goroutines. Everything that a server may do wrong ends the connection or is counted: sizes are bounded, a packet that does
// not become whole in time is the end, and so is silence.
//
// Rules: XDP (Pillar) common client specification, request server.
package xdprequest
