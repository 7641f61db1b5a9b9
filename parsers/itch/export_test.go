package itch

import "github.com/tickwire/tickwire/tick"

// Variant is a way to decode that this machine has.
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
