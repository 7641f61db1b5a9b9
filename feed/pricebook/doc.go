// Package pricebook keeps books of prices: what a venue says of the best levels of an instrument, not made from orders. It completes the rows of a
// batch with the best prices, as package book does where there are only orders.
//
//	instrument ──► bids   asks     at most Options.Depth levels a side, best first: price, size, orders
//	               bids   asks     the implied book beside it, at most Options.Implied levels
//
// The rules are those of CME's MDP 3.0 (market by price: New, Change, Delete by level number, with what is behind moving; Delete Thru and
// From read literally), of FIX's X where levels have no numbers but prices, and of feeds of best prices alone, whose row says both sides. A
// row that does not fit what is there (a level that is not there, another price than the one there, prices out of order, a level beyond
// the venue's own depth) is counted and not applied, and the instrument is suspect from there on: something was lost, or was never sent.
//
// A venue that numbers levels drops those beyond its depth in silence, so its depth must be known: from the instrument's definition, else
// from Options. Of one that names prices more levels may exist than are kept; how many is counted (level.go), so that books are never taken for complete
// when they are not.
//
// # Memory
//
// Instruments get places in the order of their coming, 64 of them and their levels in a piece that holds no pointers. Nothing allocates once an
// instrument is known. A Books belongs to one goroutine.
package pricebook
