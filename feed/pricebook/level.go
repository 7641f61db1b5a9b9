package pricebook

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

const (
	instrumentBytes = int(unsafe.Sizeof(instrument{}))
	levelBytes      = int(unsafe.Sizeof(Level{}))
)

// ahead says that price a stands before price c on a side.
func ahead(list int, a, c int64) bool {
	if list&1 == bids {
		return a > c
	}
	return a < c
}

// A Gone level left the book without being named by a row of its own: it fell off the end, was overlaid by another price, or stood in a range that went.
type Gone struct {
	Row   int // of the batch
	Side  byte
	Level Level
}

// Gone gives the levels that left so since Apply was last called with the batch's first row, by rising row; not implied ones. Valid until then.
func (b *Books) Gone() []Gone { return b.gone }

// went notes levels that leave by row i.
func (b *Books) went(batch *tick.Batch, i, list int, levels []Level) {
	if list >= implied {
		return
	}
	for _, l := range levels {
		b.gone = append(b.gone, Gone{Row: i, Side: batch.Side[i&tick.RowMask], Level: l})
	}
}

// insert puts a level in at a place of the first n; when the list is full, the last one falls off. It returns how many there are.
func insert(l []Level, n, at int, level Level) int {
	if n == len(l) {
		n--
	}
	copy(l[at+1:n+1], l[at:n])
	l[at] = level
	return n + 1
}

// remove takes out the levels from at to end-1 of the first n. It returns how many there are.
func remove(l []Level, n, at, end int) int {
	copy(l[at:], l[end:n])
	return n - (end - at)
}

// byNumber applies a row to the list in l that names its level by number, from 1, and says whether it did. The levels behind it move, and those that are moved beyond the
// depth are gone: the venue sends no row for them, neither when they go nor while they are out of sight.
func (b *Books) byNumber(h *instrument, list int, l []Level, batch *tick.Batch, i int, number uint32, level Level) bool {
	code := batch.Sub[i&tick.RowMask]
	c, n := &b.counters, int(h.n[list])
	if number > uint32(len(l)) {
		c.OverDepth++
		return false
	}
	at := int(number) - 1
	isNew := code == tick.LevelNew || code == tick.LevelOverlay
	switch {
	case at > n || at == n && !isNew:
		c.Absent++
		return false
	case isNew && level.Price == tick.UndefPrice:
		c.BadPrice++
		return false
	case (isNew || code == tick.LevelChange) && level.Size == 0:
		c.ZeroSize++
		return false
	case (code == tick.LevelChange || code == tick.LevelDelete) && level.Price != l[at].Price && level.Price != tick.UndefPrice:
		c.PriceMismatch++
		return false
	}
	switch code {
	case tick.LevelNew:
		if at > 0 && !ahead(list, l[at-1].Price, level.Price) || at < n && !ahead(list, level.Price, l[at].Price) {
			c.OutOfOrder++
			return false
		}
		if n == len(l) {
			b.went(batch, i, list, l[n-1:n])
		}
		n = insert(l, n, at, level)
	case tick.LevelOverlay: // a side may be rewritten level by level, and is out of order meanwhile
		code = tick.LevelNew
		if at < n && l[at].Price == level.Price {
			code = tick.LevelChange
		} else if at < n {
			b.went(batch, i, list, l[at:at+1])
		}
		l[at] = level
		n = max(n, at+1)
		h.flags |= flagUnsorted
	case tick.LevelChange:
		l[at].Size, l[at].Orders = level.Size, level.Orders
	case tick.LevelDelete:
		level = l[at]
		n = remove(l, n, at, at+1)
	case tick.LevelThru:
		b.went(batch, i, list, l[:at+1])
		n = remove(l, n, 0, at+1)
		b.severalGone(h)
	case tick.LevelFrom:
		b.went(batch, i, list, l[at:n])
		n = at
		b.severalGone(h)
	default:
		c.BadCode++
		return false
	}
	h.n[list] = uint8(n)
	became(batch, i, list, code, level)
	return true
}

// became completes a row: what it did to the level at its price, and what that has now, or had.
func became(batch *tick.Batch, i, list int, code byte, level Level) {
	if list >= implied { // whose records name levels by number
		return
	}
	i &= tick.RowMask
	batch.Sub[i] = code
	if code == tick.LevelDelete {
		batch.Price[i], batch.Size[i] = level.Price, level.Size
	}
}

// severalGone: public handlers read these two codes in different ways, so a book is not certain after one.
func (b *Books) severalGone(h *instrument) {
	b.counters.ThruFrom++
	b.doubt(h)
}

// byPrice is byNumber for a row that names its level by its price. A new level has its place by its price. What falls off the end, or is worse than all that is kept
// while there is more than that, is counted in beyond, and rows about such prices have no effect.
func (b *Books) byPrice(h *instrument, list int, l []Level, batch *tick.Batch, i int, level Level) bool {
	code := batch.Sub[i&tick.RowMask]
	c, n := &b.counters, int(h.n[list])
	if level.Price == tick.UndefPrice {
		c.BadPrice++
		return false
	}
	at := 0
	for at < n && ahead(list, l[at].Price, level.Price) {
		at++
	}
	found := at < n && l[at].Price == level.Price
	hidden := at == n && h.beyond[list] > 0 // not kept, but perhaps there
	if code == tick.LevelOverlay {
		if code = tick.LevelNew; level.Size == 0 {
			code = tick.LevelDelete
		} else if found {
			code = tick.LevelChange
		} else if hidden {
			h.beyond[list] = unsure
			became(batch, i, list, tick.LevelChange, level)
			return true
		}
	} else if code == tick.LevelNew && found {
		c.Duplicate++
		code = tick.LevelChange
	}
	switch {
	case level.Size == 0 && (code == tick.LevelNew || code == tick.LevelChange):
		c.ZeroSize++
		return false
	case code != tick.LevelNew && !found && !hidden:
		c.Absent++
		return false
	}
	switch code {
	case tick.LevelNew:
		switch {
		case hidden || at == len(l):
			h.more(list, 1)
			became(batch, i, list, code, level)
			return true
		case n == len(l):
			h.more(list, 1)
		}
		n = insert(l, n, at, level)
	case tick.LevelChange:
		if found {
			l[at].Size, l[at].Orders = level.Size, level.Orders
		}
	case tick.LevelDelete:
		if !found {
			h.more(list, -1)
			return true
		}
		level = l[at]
		n = remove(l, n, at, at+1)
	case tick.LevelThru:
		if found {
			at++
		}
		b.went(batch, i, list, l[:at])
		n = remove(l, n, 0, at)
		b.severalGone(h)
	case tick.LevelFrom:
		b.went(batch, i, list, l[at:n])
		n, h.beyond[list] = at, 0
		b.severalGone(h)
	default:
		c.BadCode++
		return false
	}
	if n == 0 && h.beyond[list] > 0 {
		c.RanOut++
		b.doubt(h)
	}
	h.n[list] = uint8(n)
	became(batch, i, list, code, level)
	return true
}

// unsure is beyond once a level there was overlaid, which may be a new one or not: it stays until the side is told anew.
const unsure = 1<<32 - 1

// more notes that there are more levels, or fewer, than are kept.
func (h *instrument) more(list, by int) {
	if h.beyond[list] != unsure {
		h.beyond[list] += uint32(by)
	}
}

// sorted says that all lists of an instrument are in order, best first.
func (b *Books) sorted(place uint32, h *instrument) bool {
	for list, n := range h.n {
		l := b.levels(place, list)[:n]
		for at := range l[min(1, n):] {
			if !ahead(list, l[at].Price, l[at+1].Price) {
				return false
			}
		}
	}
	return true
}
