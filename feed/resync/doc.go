// Package resync rebuilds a lane's books from a snapshot, beside the lane and without stopping it.
//
//	lane      ──messages──► own books, suspect ──────────────────────────────┐ exchange, then R, orders, top of each
//	   └──────copies──────► log ─────────────────────────┐                   │ instrument, then Gap{closed}
//	                                                     ▼                   │
//	worker    snapshot (server) ──until number N──► shadow books ──from N on─┴──caught up──► offered
//
// It begins when numbers are given up as lost, which a late start is too. From then on the lane copies what it delivers into a log, a byte
// ring, and looks once a pass whether books are offered. The worker, on an ordinary goroutine, fetches a snapshot into books of its
// own, drops what the log has before N, applies the rest, and offers the books once they have caught up. The lane applies the last few
// messages itself and exchanges the books' memory for its own; what follows is package pipeline's.
//
//	log.go     the byte ring              worker.go  attempts, step by step, in the caller's time
//	lane.go    the lane's half            run.go     the goroutine that takes those steps
//	shadow.go  books and what the snapshot says of instruments    snapshot.go  a snapshot's messages    apply.go  what was logged
//	part.go    snapshots by instrument                    depths.go  how deep price books are
//	natural.go price books without a snapshot             decoder.go what decodes
//
// A snapshot is as of one number (Options.Fetch: GLIMPSE), or each of its parts, an instrument's orders or levels, as of one of its own (Options.Parts: CME's loops;
// part.go). Rows that a part has are left out of what is applied to that instrument's books, by message or, where rows have the venue's numbers of
// entries, by those. The decoder is any venue's (decoder.go); it has had the snapshot too, and what it learned goes with the books.
//
// Without a snapshot, price books can come back by what the stream itself says in time (natural.go).
//
// A snapshot that is too old (N before the log's first message) or does not fit what follows, a loss behind N, a full log, and messages
// that the parser refuses all make an attempt void: it is counted and the next one begins, later each time. Nothing here is on the lane's hot path but one copy of
// each packet, and that only while a rebuild is under way.
//
// Rules: the GLIMPSE 5.0 specification; CME MDP 3.0, Market Recovery. A lane has one channel where this is used: its numbers are one sequence.
package resync
