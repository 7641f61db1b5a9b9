// Package jitter measures what a core takes from a thread that spins on it, without asking the thread to do anything: it
// reads the processor's counter back to back, and each difference above the ordinary one is time that somebody else had.
//
//	control                                a thread a core, all at once
//	calibrate, look at counters            on its core, its P pinned, SIGURG blocked
//	    │            ── start ──►          counter ─► counter ─► gap? ─► histogram, rings, distances
//	    ▼                                  counter ─► …            └─ above 10 µs: what does the kernel say it was?
//	look again, work out a Report          ── end
//
// It does so in two modes. Host: nothing of the Go runtime is in the way, so that what is seen is the machine. Runtime: the
// thread is set up as a lane of a feed is (package pin), with its windows. The difference is the runtime's share. A third, Plain, is a
// goroutine locked to its thread and nothing more: what a naive test would measure.
//
// The number to quote is the delay, weighted by time: a packet that arrives at a random moment waits for more than x with probability
// P(delay > x) = Σ max(0, gap − x) / time. Other than the percentiles of gaps it does not depend on where gaps begin to count.
//
//	loop_*      the loop, in assembly: RDTSC on amd64, CNTVCT_EL0 on arm64
//	probe.go    what a measuring thread writes      hist.go      the histogram
//	run.go      the order of it all                 counters.go  what the kernel counted meanwhile
//	thread.go   a measuring thread                  quiet.go     the process around them
//	options.go  what is to be measured              clock.go     the counter's rate, and the time of day
//	report.go   from counts to figures              hints.go     periods and causes
//	trace.go    what each gap was, if asked for     verdict.go   what a lane's core may do
//	text.go     a report for people                 diff.go      two of them
//
// Promises, each with its test:
//   - Its own loop is no slower than one in C (TestOwnNoise), and what it does itself is counted, not measured.
//   - What somebody else takes is seen, to the count, and told apart from what an interrupt takes (TestSeesAThief).
//   - Everything that it changed about the process is put back: processors of the runtime, collector, affinity (TestRunPutsBack).
//   - A virtual machine is measured like any other, and never qualifies (TestVerdict).
package jitter
