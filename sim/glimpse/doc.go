// Package glimpse is a venue's snapshot server: GLIMPSE 5.0 over SoupBinTCP (Nasdaq's specifications of both), with the faults that
// such a server may have.
//
//	messages sent ──► State.Apply ──► State ──Snapshot──► Server ══TCP══► clients
//	                                  (directory, states, live orders, next number)
//
//	state.go    what a snapshot tells      server.go   logins, heartbeats, snapshots      faults.go   misbehaviour on demand
//
// A State is fed each message as it is sent, in order; a snapshot is its content at one number. It listens where it is told to,
// loopback in tests and demos.
package glimpse
