//go:build !amd64 || purego

package book

const looksAhead = false

// Without an instruction to ask for a line there is nothing to do ahead: results are the same.
func lookAhead(*chain, int, int, int) {}

func lookAheadSparse(*chain, int, int, int) {}
