// Package lifecycle is which plugins a feed has, and how that changes while it runs.
//
//	file, installed set ─► policy ─► helper process ─► compiled ─► tried on kept batches ─► chain a lane ═► seat ─► lane
//	   (path, name)       (sign)     (fills the cache)  (plugins)   (copies of real ones)                  at the end of a pass
//
// Everything up to the seat is off the lanes, and nothing of it touches what runs: a module that is refused, does not compile or traps when it is tried leaves
// the old one where it is. The lane takes a new chain by one atomic pointer; the old one is closed in the background when its lane has left it.
//
// A version that fails within its first minute is taken back, if there is one before it. Versions of a running feed are remembered for that, and for
// `tickwire plugin rollback`.
package lifecycle
