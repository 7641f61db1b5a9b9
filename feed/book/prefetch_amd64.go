//go:build amd64 && !purego

package book

const looksAhead = true

// lookAhead takes the groups on their way one stage further; the first of them begins at row first. Rows before from are applied,
// and to is the end.
//
//go:noescape
func lookAhead(c *chain, from, first, to int)

// lookAheadSparse is lookAhead for sparse books, after hashAhead.
//
//go:noescape
func lookAheadSparse(c *chain, from, first, to int)
