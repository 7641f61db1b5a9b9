// Package meter is what all benches have in common: several runs and what they spread over, threads on their cores, quantiles of
// latencies, and what the Go runtime and the kernel did to a thread meanwhile.
//
//	spread.go      median, least and most of the runs         watch.go       allocations, collections, preemption, switches
//	pin.go         cores that may be used, and one for a thread   tracepoint.go  events of the kernel, counted for one thread
//	quantiles.go   p50 … p99.99 and the worst of a histogram
package meter
