// Package exchange is an exchange in a box: it plays a session as multicast lines A and B at the pace of a real one, answers for what is
// asked again, gives snapshots to who comes late, and fails in all the ways it is told to.
//
//	generator ─┐                                                   ┌─► A ─┐  sockets (sendmmsg),
//	BinaryFILE ┼─► packets, each with its time ─► faults ─► clock ─┤      ├─ or AF_XDP transmit
//	capture    ┘              │ (package mold)                     └─► B ─┘
//	                          └─► recorder ─► log ──► re-request server
//	                                      ├─► books ─► snapshot server
//	                                      └─► the truth, as a BinaryFILE
//
//	options.go   what there is to choose          source.go    generator and files      capture.go   captures
//	exchange.go  New, Run, Close                  runner.go    the sending thread       record.go    what happens behind it
//	wire.go, afxdp.go, frame.go                   how packets leave                     count.go     what was done
//
// The schedule is virtual: every packet and every fault has its time before anything is sent, and the sending thread waits for it. So a seed
// gives the same faults at any pace, and a late send does not move the next one.
//
// Packets leave by the interfaces that are named, lo by default, never by a default route.
package exchange
