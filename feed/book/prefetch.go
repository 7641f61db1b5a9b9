package book

import "github.com/tickwire/tickwire/tick"

const group = 32

func (b *Books) prefetch(batch *tick.Batch, from, to int) {}
