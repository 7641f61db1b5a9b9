// Package process is the feed process: it makes what one [[feed]] block of the configuration names, runs its lanes, and
// keeps house for them.
//
//	                     ┌── lane 0: source → channels → pipeline.Lane ──► rings, .last, .inst
//	[[feed]] ──Open──────┤   lane 1 …                                            │
//	                     └── housekeeping, 1 ms: heartbeats, doorbells,          │
//	                         .definitions.dbn; 1 s: .snap ◄── ring reader ───────┘
//
// Lanes write only memory. Whatever enters the kernel (files, futexes) is the housekeeping's, on its own goroutine.
package process
