package clock

// HasTicks says whether this binary can read the processor's counter: amd64's TSC, arm64's generic timer. Whether it goes at
// one pace and alike on all cores is another question: New asks it.
func HasTicks() bool { return clocksource != "" }

// Ticks reads the counter, about 20 cycles; the processor may do so a little before what stands before it. 0 without one.
func Ticks() uint64 { return ticks() }

// TicksFenced reads the counter after everything before it, and before anything after it. 0 without one.
func TicksFenced() uint64 { return ticksFenced() }
