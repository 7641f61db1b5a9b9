//go:build !purego

package clock

// clocksource is the kernel's name for the counter.
const clocksource = "arch_sys_counter"

// ticks reads the counter: CNTVCT_EL0, which may be done a little before what stands before it.
//
//go:noescape
func ticks() uint64

// ticksFenced reads the counter once everything before it is done, and before anything after it begins.
//
//go:noescape
func ticksFenced() uint64
