//go:build purego || (!amd64 && !arm64)

package jitter

// readable says whether there is a counter that the loop can read: Run refuses where there is none.
const readable = false

func spin(_, _, _ uint64) (from, to, loops uint64) { return 0, 0, 0 }

func least(uint64) uint64 { return 0 }

func now() uint64 { return 0 }
