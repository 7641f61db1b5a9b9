// Package itchgen makes plausible ITCH 5.0 sessions: the same bytes for the same options on every machine. Integers only, no
// maps, no clock.
//
//	options ──► Gen ── opening burst ── pre-market ── opening crosses ── the day ── closing crosses ── end
//	                    directory        orders         NOII, C, Q        A F E C X D U P B, halts
//
// The books behind it are kept: executions take the first order at the best price, nothing is reduced by more than it has,
// no reference is used that does not rest, and a book is never crossed while it trades. Prices are a walk that tends back to where
// it began, in the venue's tick; orders live as long as on a real day (half of them for less than a few hundred messages
// of the whole market, one in a hundred for half a million and more), and symbols are as busy as by Zipf's law.
//
// Profile Hostile is the other end: symbols, victims and references uniformly at random, so that nothing is ever in a cache.
//
// Generated data is marked by whoever publishes it (publisher 40,000): the messages themselves look like the venue's.
package itchgen
