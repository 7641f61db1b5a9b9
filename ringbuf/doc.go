// Package ringbuf is the shared memory between the feed and everybody who reads ticks: broadcast rings with one
// producer and any number of readers, none of which can slow it.
//
//	lane ──Publish(run of records)──> <feed>.<lane>.<kind>.ring ──Poll──> strategy, store, snapshot writer, …
//	        marks │ payloads │ numbers                          └─ c, rust, java, python: the same
//
// Promises, each with its test:
//   - A record is handed out whole or not at all (TestTornReads; TestTornReadsCatchesBrokenWriter proves that the test
//     can fail).
//   - A reader that was lapped, or that slept through restarts of the producer, learns exactly how many records it
//     missed (TestLostIsExact, TestLostAcrossEpochs).
//   - A producer killed at any moment leaves nothing that a reader would take for a record (TestKilledProducer).
//   - Readers in C, Rust, Java and Python give the same answers as this one, whatever the producer does (TestConformance).
//   - Publishing and polling neither allocate nor enter the kernel (TestNoAllocations).
//
// The bytes are described in ABI.md; layout.go holds them as constants, publish.go and poll.go hold the ordering
// argument. The package starts no goroutine: heartbeat and doorbell are rung by whoever calls Writer.Beat.
package ringbuf
