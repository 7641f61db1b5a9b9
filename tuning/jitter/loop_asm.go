//go:build !purego && (amd64 || arm64)

package jitter

// readable says whether there is a counter that the loop can read.
const readable = true

// spin reads the counter back to back until a reading is more than limit after the one before it, or deadline is reached,
// and returns the last two readings and how many it took. last is the reading before the first: what happens between two
// calls is seen as well.
//
//go:noescape
func spin(last, limit, deadline uint64) (from, to, loops uint64)

// least is the smallest difference between two of n readings (at least 1).
//
//go:noescape
func least(n uint64) (ticks uint64)

// now reads the counter.
//
//go:noescape
func now() uint64
