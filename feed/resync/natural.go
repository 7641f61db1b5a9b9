package resync

import (
	"github.com/tickwire/tickwire/feed/pricebook"
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
// What is shifted keeps what is known of it. A level that contradicts what is known makes all of its side unknown again, and so does one that takes out several, which is read in
// two ways. That a side has fewer levels than are sent is known only when a full one lost some, so quiet instruments may never come back in this way.
//
// Most instruments have lost nothing in a loss of the channel's: where entries have numbers (CME's RptSeq), the first one that comes says so, if it is the one that was due, and
// the book is the venue's as it stands.
//
// How many levels the venue sends must be known: those that fall off the end are not told of, so that a book with more would seem whole while its last levels are out of
// date. An instrument without a definition stays in doubt. Orders do not come back, but for those of a book that is said to be empty.
//
// It belongs to one channel of the lane. It allocates where an instrument is met for the first time, and where it is learnt for the first time.
type Natural struct {
	depths   map[uint32][2]int
	books    map[uint32]*naturalBook
	all      bool           // there was a loss of the channel's: instruments that are met later are in doubt, too
	doubted  int            // instruments that are not trusted
	lacking  int            // instruments whose orders are in doubt
	waiting  []*naturalBook // those that are to be told
	last     *naturalBook   // that was found last: rows of one instrument come in runs
	counters *NaturalCounters
}

// NaturalCounters count what came of it, of all channels of a lane. All uint64. Owned by the lane.
type NaturalCounters struct {
	Losses       uint64 // times that all books of a channel were in doubt
	Doubts       uint64 // times that one instrument's was, because what came did not fit it
	Learnt       uint64 // price books that were learnt level by level
	Followed     uint64 // price books that had lost nothing, as the numbers of their entries say
	Emptied      uint64 // of them, those with their orders: the venue had said that the book is empty since
	Contradicted uint64 // sides that had to be learnt anew, because what came did not fit what had been learnt
	LiveDoubted  uint64 // instruments whose price book is in doubt now
	LiveState    uint64 // 0: nothing is in doubt, 1: price books are being learnt, 2: orders are in doubt besides, or alone, and do not come back by this
}

type naturalBook struct {
	id      uint32
	lists   [4][]naturalLevel // bids, asks, implied bids, implied asks; from level 1 to the depth
	next    uint64            // number of the entry that is due if nothing was lost, 0: not known
	trusted bool              // it is the venue's, and readers know
	follows bool              // nothing was lost
	orders  bool              // nothing of its orders is in doubt
	lost    bool              // in doubt because of a loss of the channel's
	open    bool              // an event of its levels is under way,
	busy    bool              // or of its orders
	waits   bool              // it is in waiting
}

type naturalLevel struct {
	known, none bool // none: it is known that there is no such level, nor any behind it
	price       int64
	size        uint64
	orders      uint32
}

// NewNatural makes one; counters may be shared with those of the lane's other channels.
func NewNatural(counters *NaturalCounters) *Natural {
	return &Natural{depths: make(map[uint32][2]int), books: make(map[uint32]*naturalBook), counters: counters}
}

// Define is Depth with what a definition says.
func (n *Natural) Define(d *tick.Definition) {
	depth, implied := pricebook.Depths(d)
	n.Depth(d.InstrumentID, depth, implied)
}

// Depth says how many levels a side the venue sends of an instrument, and how many implied ones. 0 of the former: it does not say. When that is news, what was learnt of
// the instrument is void.
func (n *Natural) Depth(instrument uint32, depth, implied int) {
	d := [2]int{max(depth, 0), max(implied, 0)}
	if n.depths[instrument] == d {
		return
	}
	n.depths[instrument] = d
	if x := n.books[instrument]; x != nil {
		x.lists = [4][]naturalLevel{}
	}
}

// Active says that something is in doubt, so that there is something to learn. Hot path.
func (n *Natural) Active() bool { return n.all || n.doubted != 0 }

// Pending says that Whole may have something to give. Hot path.
func (n *Natural) Pending() bool { return len(n.waiting) != 0 }

// Begin puts every instrument of the channel in doubt: there was a loss. The caller names those that there are by Lose.
func (n *Natural) Begin() {
	n.all = true
	n.counters.Losses++
	for _, x := range n.books {
		n.doubt(x)
		n.lose(x)
	}
}

// lose notes that a loss of the channel's may have been of an instrument.
func (n *Natural) lose(x *naturalBook) {
	x.lost = true
	if x.orders {
		x.orders = false
		n.lacking++
	}
}

// Lose names an instrument of which the loss may have been, and the number of the entry that is due next if it was not; 0: nobody can say, or the book was in doubt before.
func (n *Natural) Lose(instrument uint32, next uint64) {
	x := n.of(instrument)
	n.lose(x)
	if next != 0 {
		x.next = next
	}
}

// Doubt puts the price book of one instrument in doubt, because what came did not fit it; false: it is already.
func (n *Natural) Doubt(instrument uint32) bool {
	x := n.books[instrument]
	if x != nil && !x.trusted {
		return false
	}
	n.counters.Doubts++
	if x == nil {
		n.of(instrument)
		return true
	}
	n.doubt(x)
	x.lost = false
	return true
}

// Lack puts one instrument in doubt, orders and all: messages of it are missing, and nobody can say which.
func (n *Natural) Lack(instrument uint32) {
	x := n.of(instrument)
	n.doubt(x)
	n.lose(x)
	x.next = 0
}

// Knows says that an instrument was named, or met, since the first loss.
func (n *Natural) Knows(instrument uint32) bool { return n.find(instrument) != nil }

// Forget ends all doubts: a session begins, or the books are exchanged for better ones. definitions: those of instruments are void, too.
func (n *Natural) Forget(definitions bool) {
	clear(n.books)
	n.all, n.doubted, n.lacking, n.last = false, 0, 0, nil
	n.waiting = n.waiting[:0]
	if definitions {
		clear(n.depths)
	}
}

// Doubted is how many instruments' price books are in doubt, and how many instruments' orders.
func (n *Natural) Doubted() (books, orders int) { return n.doubted, n.lacking }

// of gives an instrument; one that is new is in doubt.
func (n *Natural) of(id uint32) *naturalBook {
	x := n.books[id]
	if x == nil {
		x = &naturalBook{id: id, orders: true}
		n.books[id] = x
		n.doubted++
	}
	return x
}

func (n *Natural) find(id uint32) *naturalBook {
	if n.last == nil || n.last.id != id {
		x := n.books[id]
		if x == nil {
			return nil
		}
		n.last = x
	}
	return n.last
}

// doubt voids what is known of an instrument. What was due before an earlier loss, and has not come, is due still.
func (n *Natural) doubt(x *naturalBook) {
	for i := range x.lists {
		clear(x.lists[i])
	}
	if x.trusted {
		x.trusted, x.next = false, 0
		n.doubted++
	}
	x.follows, x.open, x.busy = false, false, false
}

// trust ends the doubts about an instrument.
func (n *Natural) trust(x *naturalBook) {
	x.trusted = true
	n.doubted--
}

// Apply learns from the rows of a batch, in the order in which they came, before the price books complete them (for they change what a row says).
func (n *Natural) Apply(b *tick.Batch, from, to int) {
	for i := from; i < to; i++ {
		i &= tick.RowMask
		switch b.Kind[i] {
		case tick.KindLevel, tick.KindImplied, tick.KindClear:
			n.row(b, i)
		case tick.KindDefinition:
			first, count := tick.SplitSideRows(b.Aux[i])
			for k := max(0, first); k < min(first+count, tick.MaxSideRows); k++ {
				n.Define(&b.Definitions[k])
			}
		case tick.KindTrade, tick.KindFill, tick.KindExt: // the last of an event's rows may be one of these
			if x := n.find(b.Instrument[i]); x != nil {
				orders, levels := tick.More(b.Flags[i])
				x.open, x.busy = x.open && levels, x.busy && orders
			}
		case tick.KindAdd, tick.KindModify, tick.KindDelete:
			if x := n.find(b.Instrument[i]); x != nil {
				x.busy, _ = tick.More(b.Flags[i])
			}
		}
	}
}

func (n *Natural) row(b *tick.Batch, i int) {
	id := b.Instrument[i]
	x := n.find(id)
	if x == nil {
		if !n.all {
			return
		}
		x = n.of(id)
		n.lose(x)
		x.next = 1 // it may be its first entry of all
	}
	if b.Kind[i] == tick.KindClear {
		n.clear(x, b, i)
		return
	}
	if x.trusted {
		return
	}
	if b.Kind[i] == tick.KindLevel { // rows of the implied book end no event
		_, x.open = tick.More(b.Flags[i])
	}
	due := x.next != 0 && b.OrderID[i] == x.next
	if b.OrderID[i] < x.next {
		n.restarted()
	}
	x.next = 0 // after any other entry, that one will not come
	if !n.lists(x) {
		return
	}
	x.follows = x.follows || due
	if code := b.Sub[i]; code == tick.LevelThru || code == tick.LevelFrom {
		x.follows = false // nothing is certain behind it
	}
	if !x.follows && !n.learn(x, b, i) {
		return
	}
	n.wait(x)
}

// restarted voids the numbers that are due: one that fell back says that a channel reset is among what was lost, at which numbers begin anew. Until one does, an instrument of which
// as many entries were lost behind the reset as it had had before would be taken for one that lost nothing; there are few such, and a channel reset is itself rare.
func (n *Natural) restarted() {
	for _, x := range n.books {
		x.next, x.follows = 0, false
	}
}

// clear is for a row that says that books are empty.
func (n *Natural) clear(x *naturalBook, b *tick.Batch, i int) {
	if b.Sub[i] != tick.ClearLevels && !x.orders {
		x.orders = true
		n.lacking--
		if x.trusted { // of its levels alone, so far
			x.trusted = false
			n.doubted++
		}
	}
	if x.trusted {
		return
	}
	x.busy, x.open = tick.More(b.Flags[i])
	if b.Sub[i] == tick.ClearOrders || !n.lists(x) {
		return
	}
	x.next, x.follows = 0, false // numbers may begin anew, too
	for k := range x.lists {
		for at := range x.lists[k] {
			x.lists[k][at] = naturalLevel{none: true}
		}
	}
	n.wait(x)
}

// lists makes an instrument's lists, if it is known how long they are.
func (n *Natural) lists(x *naturalBook) bool {
	d := n.depths[x.id]
	if d[0] == 0 {
		return false
	}
	if x.lists[0] == nil {
		for k := range x.lists {
			x.lists[k] = make([]naturalLevel, d[k/2])
		}
	}
	return true
}

// wait puts an instrument in line for Whole when its book is known.
func (n *Natural) wait(x *naturalBook) {
	if !x.waits && (x.follows || x.complete()) {
		x.waits = true
		n.waiting = append(n.waiting, x)
	}
}

// learn takes what an entry says, and says whether that fits what is known.
func (n *Natural) learn(x *naturalBook, b *tick.Batch, i int) bool {
	list := 0
	if b.Kind[i] == tick.KindImplied {
		list = 2
	}
	if b.Side[i] == tick.SideAsk {
		list++
	}
	level, orders := tick.SplitLevelAt(b.Aux[i])
	l := x.lists[list]
	if len(l) == 0 { // an implied book that no definition speaks of
		return true
	}
	if level == 0 || int(level) > len(l) || !learn(l, int(level)-1, b.Sub[i], naturalLevel{known: true, price: b.Price[i], size: b.Size[i], orders: orders}) {
		clear(l)
		n.counters.Contradicted++
		return false
	}
	return true
}

// learn applies one entry to what is known of a side; false: it contradicts that, or nothing is certain behind it.
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
	case tick.LevelChange, tick.LevelDelete:
		if have.none || have.known && x.price != tick.UndefPrice && have.price != x.price {
			return false
		}
		if code == tick.LevelChange {
			l[at] = x
		} else {
			remove(l, at)
		}
		return true
	}
	return false
}

// remove takes a level out. Behind the last one it is known that there is none if it was known what that one was.
func remove(l []naturalLevel, at int) {
	last := l[len(l)-1]
	copy(l[at:], l[at+1:])
	l[len(l)-1] = naturalLevel{none: last.known || last.none}
}

// complete says that all levels of all lists are known, or known not to be.
func (x *naturalBook) complete() bool {
	for k := len(x.lists) - 1; k >= 0; k-- {
		for _, l := range x.lists[k] {
			if !l.known && !l.none {
				return false
			}
		}
	}
	return x.lists[0] != nil
}

// Whole is an instrument whose price book is known again.
type Whole struct {
	Instrument uint32
	Follows    bool // nothing was lost: the lane's own book is right as it stands
	Lost       bool // it was in doubt because of a loss of the channel's, and so were its orders
	Orders     bool // nothing of them is in doubt any more
}

// Whole calls fn with the instruments whose books have become known since it was last asked, at most so many, those left out that are in the middle of an event; with the rows that
// make a price book of it, unless nothing was lost: one KindClear, then levels, all with tick.FlagSnapshot. b is emptied for each, and its rows lack TsEvent and Sequence. Instruments
// that have become unknown again since are dropped. fn says whether it could make use of it; else it is learnt anew. It is asked between two passes.
func (n *Natural) Whole(most int, b *tick.Batch, fn func(w Whole, b *tick.Batch) bool) {
	left := n.waiting[:0]
	for _, x := range n.waiting {
		switch {
		case x.trusted, !x.follows && !x.complete():
			x.waits = false
			continue
		case x.open || x.busy && x.orders && x.lost || most == 0:
			left = append(left, x)
			continue
		}
		most--
		x.waits = false
		b.Reset()
		if !x.follows {
			x.rows(b)
		}
		if !fn(Whole{Instrument: x.id, Follows: x.follows, Orders: x.orders, Lost: x.lost}, b) {
			n.counters.Contradicted++
			n.doubt(x)
			continue
		}
		if x.follows {
			n.counters.Followed++
		} else {
			n.counters.Learnt++
		}
		if x.orders && x.lost {
			n.counters.Emptied++
		}
		n.trust(x)
	}
	clear(n.waiting[len(left):]) // they are not kept from the collector
	n.waiting = left
}

// rows makes a price book of what is known.
func (x *naturalBook) rows(b *tick.Batch) {
	put := func(kind tick.Kind) int {
		i := b.N & tick.RowMask
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i], b.Instrument[i] = kind, 0, tick.SideNone, tick.FlagSnapshot, x.id
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
}
