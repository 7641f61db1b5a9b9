package resync

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// levelVenue is a venue of one instrument: it knows all of its levels and sends the best of them, as CME does; some of what it sends is lost.
type levelVenue struct {
	t       testing.TB
	n       *Natural
	sum     NaturalCounters
	b       *tick.Batch
	lists   [4][]naturalLevel
	entry   uint64 // number of the latest one
	seen    uint64 // of those that came
	missed  int    // entries that were lost since the book was trusted
	trusted bool
	price   int64
}

const venueID = 7

var venueDepth = [2]int{3, 2}

func newLevelVenue(t testing.TB) *levelVenue {
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	v := &levelVenue{t: t, b: b, trusted: true}
	v.n = NewNatural(&v.sum)
	v.n.Depth(venueID, venueDepth[0], venueDepth[1])
	return v
}

// send puts an entry into the batch.
func (v *levelVenue) send(list int, code byte, number int, l naturalLevel, flags uint8) {
	b := v.b
	i := b.N & tick.RowMask
	v.entry++
	b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i] = [2]tick.Kind{tick.KindLevel, tick.KindImplied}[list/2], code, [2]byte{tick.SideBid, tick.SideAsk}[list%2], flags
	b.Instrument[i], b.OrderID[i], b.Aux[i] = venueID, v.entry, tick.LevelAt(uint32(number), l.orders)
	b.Price[i], b.Size[i] = l.price, l.size
	b.N++
}

// step is one event of the venue's: what of it names list, level, kind and loss.
func (v *levelVenue) step(op, where, size byte, lost bool) {
	v.b.Reset()
	list := int(where) % 4
	l, depth := &v.lists[list], venueDepth[list/2]
	at := int(where) / 4 % (depth + 2)
	v.price++
	x := naturalLevel{known: true, price: v.price, size: uint64(size) + 1, orders: uint32(size) % 5}
	switch op % 16 {
	case 0, 1, 2, 3, 4, 5:
		if at = min(at, len(*l)); len(*l) > 12 {
			return
		}
		*l = slices.Insert(*l, at, x)
		if at < depth {
			v.send(list, tick.LevelNew, at+1, x, 0)
		}
	case 6, 7, 8, 9:
		if at < len(*l) {
			x.price = (*l)[at].price
			(*l)[at] = x
			if at < depth {
				v.send(list, tick.LevelChange, at+1, x, 0)
			}
		}
	case 10, 11, 12:
		if at < len(*l) {
			x = (*l)[at]
			*l = slices.Delete(*l, at, at+1)
			switch {
			case at < depth && len(*l) >= depth: // another comes into sight
				v.send(list, tick.LevelDelete, at+1, x, tick.FlagMore)
				v.send(list, tick.LevelNew, depth, (*l)[depth-1], 0)
			case at < depth:
				v.send(list, tick.LevelDelete, at+1, x, 0)
			}
		}
	case 13:
		if at < len(*l) {
			(*l)[at] = x
			if at < depth {
				v.send(list, tick.LevelOverlay, at+1, x, 0)
			}
		}
	case 14: // it vanishes from outside: nothing is sent that is not seen
		if len(*l) > depth {
			*l = (*l)[:len(*l)-1]
		}
	case 15:
		if where > 250 {
			v.lists = [4][]naturalLevel{}
			i := v.b.N & tick.RowMask
			v.b.Kind[i], v.b.Sub[i], v.b.Flags[i], v.b.Instrument[i], v.b.OrderID[i] = tick.KindClear, tick.ClearBoth, 0, venueID, 0
			v.b.N++
			v.entry++ // a book's reset is an entry like any other
		}
	}
	if lost {
		v.missed += v.b.N
		next := uint64(0)
		if v.trusted {
			next = v.seen + 1
		}
		v.trusted = false
		v.n.Begin()
		v.n.Lose(venueID, next)
		return
	}
	v.n.Apply(v.b, 0, v.b.N)
	v.seen = v.entry
}

// look takes what is whole, and wants it to be the venue's.
func (v *levelVenue) look() {
	v.b.Reset()
	v.n.Whole(1, v.b, func(w Whole, b *tick.Batch) bool {
		if w.Follows {
			if v.missed != 0 || b.N != 0 {
				v.t.Fatalf("nothing was lost, but for %d entries; %d rows", v.missed, b.N)
			}
		} else {
			var got [4][]naturalLevel
			for i := 1; i < b.N; i++ {
				list := 2*int(b.Kind[i]-tick.KindLevel) + int(tick.SideBid-b.Side[i])
				number, orders := tick.SplitLevelAt(b.Aux[i])
				got[list] = append(got[list], naturalLevel{known: true, price: b.Price[i], size: b.Size[i], orders: orders})
				if int(number) != len(got[list]) || b.Sub[i] != tick.LevelNew || b.Flags[i] != tick.FlagSnapshot {
					v.t.Fatalf("row %d is of level %d, code %c", i, number, b.Sub[i])
				}
			}
			for list := range got {
				want := v.lists[list]
				if want = want[:min(len(want), venueDepth[list/2])]; !slices.Equal(got[list], want) {
					v.t.Fatalf("list %d is whole with %+v, want %+v", list, got[list], want)
				}
			}
		}
		v.trusted, v.missed = true, 0
		return true
	})
	if doubted, _ := v.n.Doubted(); doubted != 0 && v.trusted || doubted == 0 && !v.trusted {
		v.t.Fatalf("%d books in doubt; trusted: %v", doubted, v.trusted)
	}
}

// TestNaturalAgainstVenue: whatever is lost, a book that counts as whole is the venue's, and one that lost nothing lacks nothing.
func TestNaturalAgainstVenue(t *testing.T) {
	v := newLevelVenue(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v.step(byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), r.IntN(60) == 0)
		if r.IntN(3) > 0 {
			v.look()
		}
	}
	if t.Logf("%+v", v.sum); v.sum.Learnt < 500 || v.sum.Followed < 500 || v.sum.Emptied < 20 {
		t.Errorf("%+v: this test shows less than it says", v.sum)
	}
	if err := v.b.Free(); err != nil {
		t.Fatal(err)
	}
}

// FuzzNatural is TestNaturalAgainstVenue with events by hand, four bytes each.
func FuzzNatural(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 4, 2, 0, 0, 8, 3, 0, 6, 0, 9, 1, 6, 0, 9, 0, 6, 4, 1, 0, 6, 8, 1, 0, 10, 0, 0, 0})
	f.Add([]byte{0, 0, 1, 1, 10, 0, 0, 0, 15, 255, 0, 0, 15, 255, 0, 1, 13, 2, 2, 0})
	r := rand.New(rand.NewPCG(5, 6))
	long := make([]byte, 4*400)
	for i := range long {
		if long[i] = byte(r.Uint32()); i%4 == 3 {
			long[i] /= 250
		}
	}
	f.Add(long)
	v := newLevelVenue(f)
	f.Cleanup(func() {
		if err := v.b.Free(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, events []byte) {
		*v = levelVenue{t: t, b: v.b, trusted: true}
		v.n = NewNatural(&v.sum)
		v.n.Depth(venueID, venueDepth[0], venueDepth[1])
		for ; len(events) >= 4; events = events[4:] {
			v.step(events[0], events[1], events[2], events[3]&1 != 0)
			v.look()
		}
	})
}

// TestNaturalOfArbitrary: rows of no venue make no panic, nothing of an instrument without a depth is ever whole, and what is void is void.
func TestNaturalOfArbitrary(t *testing.T) {
	var sum NaturalCounters
	n := NewNatural(&sum)
	n.Depth(1, 2, 1)
	n.Depth(3, 0, 2) // a definition that does not say
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	row := func(i int, id uint32) {
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i] = tick.Kind(r.IntN(tick.KindCount)), "NCDTFO?"[r.IntN(7)], "BAN"[r.IntN(3)], uint8(r.Uint32())
		b.Instrument[i], b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i] = id, uint64(r.IntN(4)), tick.LevelAt(uint32(r.IntN(4)), 1), int64(r.IntN(3)), uint64(r.IntN(3))
	}
	whole := func() (ids []uint32) {
		b.Reset()
		n.Whole(8, b, func(w Whole, _ *tick.Batch) bool {
			ids = append(ids, w.Instrument)
			return w.Instrument != 1 || r.IntN(2) == 0
		})
		return ids
	}
	for range 20_000 {
		switch r.IntN(40) {
		case 0:
			n.Begin()
			n.Lose(1, uint64(r.IntN(3)))
		case 1:
			n.Doubt(uint32(r.IntN(4)))
		case 2:
			n.Forget(false)
		case 3:
			n.Depth(1, 2-r.IntN(2), 1)
		}
		b.Reset()
		for i := range 4 {
			row(i, uint32(r.IntN(4)))
		}
		b.N = 4
		n.Apply(b, 0, b.N)
		for _, id := range whole() {
			if id != 1 {
				t.Fatalf("instrument %d is whole, and nobody knows how many levels it has", id)
			}
		}
	}
	n.Forget(true)
	if books, orders := n.Doubted(); n.Active() || n.Pending() || books != 0 || orders != 0 || n.Knows(1) {
		t.Error("it knows something still")
	}
	n.Begin()
	b.Reset()
	b.Kind[0], b.Sub[0], b.Flags[0], b.Instrument[0] = tick.KindClear, tick.ClearBoth, 0, 1
	b.N = 1
	n.Apply(b, 0, 1)
	if ids := whole(); len(ids) != 0 {
		t.Errorf("%d are whole without a definition", ids)
	}
	if err := b.Free(); err != nil {
		t.Fatal(err)
	}
}

// TestNaturalAllocatesNothing: once its instruments are met and have been learnt, learning them anew allocates nothing.
func TestNaturalAllocatesNothing(t *testing.T) {
	v := newLevelVenue(t)
	r := rand.New(rand.NewPCG(7, 8))
	lose := true
	step := func() {
		for range 200 {
			v.step(byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), lose)
			lose = false
		}
		lose = true
	}
	for range 20 {
		step()
		v.look()
	}
	b, next := v.b, v.seen
	b.Reset()
	for i := range 4 {
		v.send(i, tick.LevelOverlay, 1, naturalLevel{price: 5, size: 5}, 0)
	}
	if n := testing.AllocsPerRun(100, func() {
		v.n.Begin()
		v.n.Lose(venueID, next)
		v.n.Apply(b, 0, b.N)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := v.b.Free(); err != nil {
		t.Fatal(err)
	}
}
