//go:build !amd64 || purego

package book

const looksAhead = false

// Without an instruction to ask for a line there is nothing to do ahead: the stages are empty, results are the same.

func askDirectory(*chain, int, int) {}
func askPage(*chain, int, int)      {}
func askOrder(*chain, int, int)     {}
func askLevel(*chain, int, int)     {}
func askTree(*chain, int, int)      {}
func askTail(*chain, int, int)      {}
