package itch

import (
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// Variant is a way to decode that this machine has; the first one is the definition.
type Variant struct {
	Name   string
	Append func(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int)
}

func Variants() (all []Variant) {
	for _, v := range variants() {
		all = append(all, Variant{v.name, v.append})
	}
	return all
}

// VectorMessages are the messages of the captures.
func VectorMessages(t *testing.T) (all [][]byte) {
	for _, v := range vectors(t) {
		all = append(all, v.raw)
	}
	return all
}

// Framed puts a length before each message, NewBatch makes a batch that goes with the test.
var (
	Framed   = framed
	NewBatch = newBatch
)
