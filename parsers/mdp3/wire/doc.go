// Package wire is CME's templates as Go: generated layouts, and nothing that thinks.
//
// Each block of a template, the root block or an entry of a group, is an array type with a method for each field. The array has the bytes that
// every sender's block has, so a message is checked once a block and its fields are read without further checks:
//
//	entry := (*wire.MDIncrementalRefreshBook46MDEntries)(block) // panics when block is shorter: compare lengths first
//	px := entry.MDEntryPx()
//
// Methods give the wire's integers: decimals as mantissas, null as its value. Fields that a sender may not have are functions of
// the block, whose length is the wire's, and of the version of the sender's schema where that decides.
//
// Schema is the same for whoever goes by names: printing, and templates of another schema.
package wire

import "github.com/tickwire/tickwire/parsers/mdp3/sbe"

//go:generate go run ../gen -out .

// Schema is CME's schema 13, with the templates that only versions 8 and 9 have. It is shared: not to be changed.
func Schema() *sbe.Schema { return schema }
