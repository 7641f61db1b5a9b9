// Package consolidate joins the best prices of several venues by symbol.
//
//	mbp1 ring of venue 0 ──┐
//	mbp1 ring of venue 1 ──┼──► Engine ──► cbbo ring       one record for each change of what all of them together show
//	mbp1 ring of venue 2 ──┘
//
// An instrument is a symbol: the same text at two venues is the same instrument. It has a number of the engine's own, 1 and up, in the order in
// which symbols are met, kept for as long as the engine lives.
//
// The best bid is the highest of all live quotes, of equal prices the larger size, then the venue named first; likewise the best
// offer. Sizes are that venue's own. Quotes that are not live (ringbuf.VenueState) are shown and make no best price. A locked or crossed
// market is shown as it is, and counted: who may trade it is not for us to say.
//
// The engine is pure: it has no clock, file or goroutine. Run is what feeds it from rings.
package consolidate
