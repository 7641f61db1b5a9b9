// Package clock tells the time to lanes: ns since the Unix epoch from the processor's counter, and of a NIC's stamps.
//
//	            housekeeping, 10/s                       lanes, per pass or packet
//	counter ──┐
//	          ├─ sample ─► discipline ─► line ═╗
//	REALTIME ─┘  best of 8  (rate, error)      ╠═ latch ═► y + (x − base) × mult >> 48
//	                                           ║
//	PHC ──────┐                                ║
//	          ├─ sample ─► Fit ────────► line ═╝
//	REALTIME ─┘  precise, or best of 10
//
// Both are the same thing: a straight line from a counter that others run to the time, measured off the hot path, and
// published so that readers need no lock, no allocation and no call into the kernel. A line has an end: past it a reader
// does not extrapolate, but asks the kernel (Clock) or says that it does not know (Fit).
//
// A Clock never steps back. What it is behind it catches up at no more than 200 ppm; when the system's clock was set
// forward it steps too, and when it was set back it runs at half speed until it has been waited for. It uses the counter
// only where the kernel itself does (clocksource tsc, arch_sys_counter), and gives it up when it drifts off
// CLOCK_MONOTONIC_RAW.
//
// A Fit turns a PTP hardware clock's time into UTC. Where ptp4l keeps that clock, in TAI as is normal or in UTC, and the
// system's clock agrees, it is plain arithmetic: the grandmaster's time less the leap seconds. Where nobody keeps it, it is
// related to the system's clock by measurement. Stamps of a clock that jumps are not trusted until it has held still.
//
// The mathematics (discipline, Fit) know nothing of the kernel and are tested with made-up clocks.
package clock
