// Package pipeline is a lane's loop: it takes what the channels deliver, decodes it into one tick.Batch, lets the books
// complete the rows, and publishes them as records.
//
//	source ──packets──> session ──in order──> parser ──rows──> book ──completed──> expand ──records──> rings
//	         (poll)      (arbitration)          (tick.Batch, at most K rows)          (DBN)      (one run a ring)
//
// A Lane runs to completion on one goroutine and shares nothing with another lane. A pass takes at most K messages and
// publishes them before it takes more: enough for the books' cache misses to overlap, few enough that the first
// message of a burst does not wait for the last.
//
// Plugins, where a lane has some, stand between completion and expansion (plugins.go): they change what is published, never a book.
//
// Promises, each with its test: records leave in the order of the venue's numbers and a gap leaves as a record
// (TestGapIsARecord); the same input gives the same records, whatever the pass size and the packets' cut
// (TestPassSizeDoesNotMatter); once warm a pass neither allocates nor enters the kernel (TestSteadyStateAllocatesNothing).
//
// After a loss books are suspect; with a snapshot server configured they are rebuilt beside the lane (package resync) and readers are
// told instrument by instrument (resync.go), which is no pass's concern for long: whatever is lost, whenever, a reader's books end as
// those of a lossless run (TestRebuild).
//
// Byte layouts are the parsers', order is package session's, and who reads the rings is nobody's business here.
package pipeline
