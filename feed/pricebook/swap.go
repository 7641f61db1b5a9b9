package pricebook

import "errors"

// ErrOptions is a Swap of books with different bounds.
var ErrOptions = errors.New("pricebook: books with different bounds cannot take each other's place")

// Swap exchanges the contents of two Books: instruments with their levels, depths and flags. Counters stay where they are and go on. It returns ErrOptions, and
// changes nothing, unless both have the same bounds. It takes no longer for many instruments than for one, and allocates nothing.
func (b *Books) Swap(o *Books) error {
	if b.depth != o.depth || b.implied != o.implied || b.most != o.most {
		return ErrOptions
	}
	*b, *o = *o, *b
	b.counters, o.counters = o.counters, b.counters
	b.doubts, o.doubts = o.doubts, b.doubts
	return nil
}

// Seen says whether an instrument has had a level since Reset.
func (b *Books) Seen(id uint32) bool { return b.find(id) != nil }
