//go:build !amd64 || purego

package itch

import "github.com/tickwire/tickwire/tick"

func appendBest(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int) {
	return appendPortable(b, midnight, sequence, max, out, c)
}

// variant is a way to decode that this machine has.
type variant struct {
	name   string
	append func(b []byte, midnight, sequence uint64, max int, out *tick.Batch, c *Counters) (used, messages int)
}

func variants() []variant { return []variant{{"portable", appendPortable}} }
