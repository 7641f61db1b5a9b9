//go:build !purego

package clock

// clocksource is the kernel's name for the counter. It chooses it only where all cores' counters go alike.
const clocksource = "tsc"

// ticks reads the counter: RDTSC, which may be done a little before what stands before it. Some 20 cycles.
//
//go:noescape
func ticks() uint64

// ticksFenced reads the counter once everything before it is done, and before anything after it begins.
//
//go:noescape
func ticksFenced() uint64
