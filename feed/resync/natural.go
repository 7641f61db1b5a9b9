package resync

import (
	"slices"

	"github.com/tickwire/tickwire/tick"
)

// Natural is how price books come back without a snapshot, where the venue numbers levels (CME's natural refresh): after a loss nothing is known of an instrument,
// each entry that names a level makes that one known, and when all of them are, the book is the venue's again.
//
//	          New 2 at 99    Change 1 at 100    New 3 at 98    Delete 1
//	1  ?      ?              100                100            99
//	2  ?      99             99                 99             98
//	3  ?      ?              ?                  98             none          a New of the last level may follow
//	                                            whole          whole
//
// What is shifted keeps what is known of it. A level that contradicts what is known makes all of its side unknown again. That a side has fewer levels than are sent is
// known only when a full one lost some, so quiet instruments may never come back: it stands beside snapshots, not in their place. Orders do not come back in this way.
//
// It belongs to the lane. It allocates where an instrument is met for the first time.
type Natural struct {
	depth, implied int // where no definition says
	depths         map[uint32][2]int
	books          map[uint32]*naturalBook
	whole          []uint32
}

type naturalBook struct {
	lists [4][]naturalLevel // bids, asks, implied bids, implied asks; from level 1 to the depth
	told  bool
}

type naturalLevel struct {
	known, none bool // none: it is known that there is no such level, nor any behind it
	price       int64
	size        uint64
	orders      uint32
}

// NewNatural makes one; depth and implied are the levels a side of instruments of which Depth said nothing.
func NewNatural(depth, implied int) *Natural {
	return &Natural{depth: max(depth, 1), implied: max(implied, 0), depths: make(map[uint32][2]int), books: make(map[uint32]*naturalBook)}
}

// Depth says how many levels a side the venue sends of an instrument; 0: none. What is known of the instrument is void.
func (n *Natural) Depth(instrument uint32, depth, implied int) {
	n.depths[instrument] = [2]int{depth, implied}
	delete(n.books, instrument)
}

// Begin makes everything unknown: there was a loss. Of those that Whole gave before, too.
func (n *Natural) Begin() {
	for _, b := range n.books {
		b.forget()
	}
	n.whole = n.whole[:0]
}

func (b *naturalBook) forget() {
	for i := range b.lists {
		clear(b.lists[i])
	}
	b.told = false
}

// Apply learns from the level rows of a batch, in the order in which they came.
func (n *Natural) Apply(b *tick.Batch, from, to int) {
	for i := from; i < to; i++ {
		i &= tick.RowMask
		switch b.Kind[i] {
		case tick.KindLevel, tick.KindImplied, tick.KindClear:
			n.row(b, i)
		}
	}
}

func (n *Natural) row(b *tick.Batch, i int) {
	id := b.Instrument[i]
	x := n.books[id]
	if x == nil {
		x = n.meet(id)
	}
	if b.Kind[i] == tick.KindClear {
		for k := range x.lists { // empty, for certain
			for at := range x.lists[k] {
				x.lists[k][at] = naturalLevel{none: true}
			}
		}
	} else {
		list := 0
		if b.Kind[i] == tick.KindImplied {
			list = 2
		}
		if b.Side[i] == tick.SideAsk {
			list++
		}
		level, orders := tick.SplitLevelAt(b.Aux[i])
		l := x.lists[list]
		if level == 0 || int(level) > len(l) || !learn(l, int(level)-1, b.Sub[i], naturalLevel{known: true, price: b.Price[i], size: b.Size[i], orders: orders}) {
			clear(l)
		}
	}
	if !x.told && x.complete() {
		x.told = true
		n.whole = append(n.whole, id)
	}
}

func (n *Natural) meet(id uint32) *naturalBook {
	d, ok := n.depths[id]
	if !ok {
		d = [2]int{n.depth, n.implied}
	}
	x := &naturalBook{}
	for k := range x.lists {
		x.lists[k] = make([]naturalLevel, max(d[k/2], 0))
	}
	n.books[id] = x
	return x
}

// learn applies one entry to what is known of a side; false: it contradicts that.
func learn(l []naturalLevel, at int, code byte, x naturalLevel) bool {
	have := l[at]
	switch code {
	case tick.LevelNew:
		if at > 0 && l[at-1].none {
			return false
		}
		copy(l[at+1:], l[at:])
		l[at] = x
		return true
	case tick.LevelOverlay:
		if have.none {
			return false
		}
		l[at] = x
		return true
	}
	if have.none || have.known && have.price != x.price && (code == tick.LevelChange || code == tick.LevelDelete) {
		return false
	}
	switch code {
	case tick.LevelChange:
		l[at] = x
	case tick.LevelDelete:
		remove(l, at, at+1)
	case tick.LevelThru:
		remove(l, 0, at+1)
	case tick.LevelFrom:
		for k := at; k < len(l); k++ {
			l[k] = naturalLevel{none: true}
		}
	default:
		return false
	}
	return true
}

// remove takes levels out. Behind the last one it is known that there is none if it was known what that one was.
func remove(l []naturalLevel, from, to int) {
	last := l[len(l)-1]
	end := len(l) - (to - from)
	copy(l[from:], l[to:])
	for k := end; k < len(l); k++ {
		l[k] = naturalLevel{none: last.known || last.none}
	}
}

// complete says that all levels of all lists are known, or known not to be.
func (b *naturalBook) complete() bool {
	for _, l := range b.lists {
		if slices.ContainsFunc(l, func(x naturalLevel) bool { return !x.known && !x.none }) {
			return false
		}
	}
	return true
}

// Whole calls fn with the instruments whose books have become known since it was last asked, between two events, with the rows that make a price book of it: one
// KindClear, then levels, all with tick.FlagSnapshot. b is emptied for each, and its rows lack TsEvent and Sequence. Instruments that have become unknown again since are
// left out.
func (n *Natural) Whole(b *tick.Batch, fn func(instrument uint32, b *tick.Batch)) {
	for _, id := range n.whole {
		x := n.books[id]
		if x == nil {
			continue
		}
		if !x.complete() {
			x.told = false
			continue
		}
		b.Reset()
		put := func(kind tick.Kind) int {
			i := b.N & tick.RowMask
			b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i], b.Instrument[i] = kind, 0, tick.SideNone, tick.FlagSnapshot, id
			b.TsEvent[i], b.Sequence[i], b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i] = 0, 0, 0, 0, tick.UndefPrice, 0
			b.N++
			return i
		}
		b.Sub[put(tick.KindClear)] = tick.ClearLevels // its orders are another book
		for list, levels := range x.lists {
			for at, l := range levels {
				if l.none {
					break
				}
				i := put([2]tick.Kind{tick.KindLevel, tick.KindImplied}[list/2])
				b.Sub[i], b.Side[i], b.Aux[i] = tick.LevelNew, [2]byte{tick.SideBid, tick.SideAsk}[list%2], tick.LevelAt(uint32(at+1), l.orders)
				b.Price[i], b.Size[i] = l.price, l.size
			}
		}
		fn(id, b)
	}
	n.whole = n.whole[:0]
}
