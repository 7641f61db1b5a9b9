//go:build amd64 && !purego

package book

const looksAhead = true

// The stages of prefetch.go, for rows from to to-1; none if from is not below to.

//go:noescape
func askDirectory(c *chain, from, to int)

//go:noescape
func askPage(c *chain, from, to int)

//go:noescape
func askOrder(c *chain, from, to int)

//go:noescape
func askLevel(c *chain, from, to int)

//go:noescape
func askTree(c *chain, from, to int)

//go:noescape
func askTail(c *chain, from, to int)
