// Package itch decodes Nasdaq TotalView-ITCH 5.0 into the columns of a tick.Batch.
//
// Integers are big-endian, prices count 1/10000, times count ns since midnight of the venue's day. Every message begins
//
//	0        1         3          5                 11
//	+--------+---------+----------+-----------------+- ...
//	| type   | locate  | tracking | timestamp       | fields of the type, see fields.go
//	| u8     | u16     | u16      | u48 ns          |
//	+--------+---------+----------+-----------------+- ...
//
// and becomes at most one row:
//
//	A F  Add        E  Exec      C  ExecAt     X  Reduce    D  Delete    U  Replace    P  Trade    Q  Cross    B  Break
//	S    System     R  Definition              H Y h W  Status           J V  Statistics           I  Imbalance
//	L K N O  Ext
//
// append.go is the definition of decoding, and all there is on most machines; columns_amd64.go does the same for a group of messages at a
// time with AVX-512 or AVX2, chosen when the program starts. The build tag purego leaves it out.
//
// No state, no allocation, no clock: order, gaps and lines are package session's, books package book's.
package itch
