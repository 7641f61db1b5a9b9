// Package tick is the shared vocabulary: what a record looks like, what a price is, and the column batch that
// carries messages from a parser through the books to the rings.
//
//	wire ──parser──> Batch (columns, one row a venue message) ──book──> completed rows ──pipeline──> records
//
// Records have the byte layout of Databento's DBN, version 3 (record.go): fixed little-endian structs without implicit
// padding, so that a struct here, a slot in shared memory and a record in a file are the same bytes. Records of our
// own (gap.go, ext.go) follow the same header and never leave shared memory under a DBN type.
//
// The package imports nothing of ours, does no I/O and keeps no state.
package tick
