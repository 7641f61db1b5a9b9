package pricebook

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func newNaive(o Options) *naive {
	return &naive{odd: map[uint32]bool{}, books: map[uint32]*naiveBook{}, most: o.MaxInstruments, depth: [4]int{o.Depth, o.Depth, o.Implied, o.Implied}}
}

// step makes a row that often fits what is there: without that nearly all of them would be refused.
func step(r *rand.Rand, m *naive, instruments uint32, broken int) row {
	w := row{kind: tick.KindLevel, id: r.Uint32N(instruments) * 0x9E3779B1, side: "BA"[r.IntN(2)], size: 1 + r.Uint64N(1<<33), price: (r.Int64N(20) - 3) * 1e9}
	w.state, w.before, w.after = uint8(r.IntN(64))|tick.StateApplied, tick.EmptyPair, tick.EmptyPair
	w.sub = "NNNNCCDDOTF"[r.IntN(11)]
	if w.sub == tick.LevelThru && r.IntN(4) > 0 {
		w.sub = tick.LevelDelete
	}
	w.flags = []uint8{0, tick.FlagMore, tick.FlagSnapshot, 0}[r.IntN(4)]
	if m.now += uint64(r.IntN(2)); r.IntN(3) > 0 {
		w.before = m.lastOrders // else none
	}
	w.ts = m.now
	if k := m.books[w.id]; k != nil { // the orders of one instrument, right or as of before
		m.lastOrders = k.top()
	}
	list := int(tick.SideBid - w.side)
	switch r.IntN(20) {
	case 0, 1, 2, 3:
		w.kind = tick.KindImplied
		list += implied
	case 4:
		w.kind, w.oldPrice, w.oldSize = tick.KindQuote, w.price+1e9, r.Uint64N(3)
		if r.IntN(3) == 0 {
			w.oldPrice = tick.UndefPrice
		}
	case 5:
		w.kind = [...]tick.Kind{tick.KindAdd, tick.KindModify, tick.KindTrade, tick.KindFill, tick.KindDelete, tick.KindStatus, 0}[r.IntN(7)]
		if k := m.books[w.id]; k != nil && r.IntN(2) == 0 {
			w.before = k.top()
		}
	case 6:
		if r.IntN(4) == 0 {
			w.kind, w.sub = tick.KindClear, [...]byte{tick.ClearBoth, tick.ClearLevels, tick.ClearOrders}[r.IntN(3)]
		}
	}
	if w.kind != tick.KindLevel && w.kind != tick.KindImplied {
		return w
	}
	var l []Level
	if k := m.books[w.id]; k != nil {
		l = k.lists[list]
	}
	orders := r.Uint32N(9)
	byNumber := w.id&1 == 0
	at := r.IntN(len(l) + 1)
	if w.sub != tick.LevelNew && len(l) > 0 {
		at = r.IntN(len(l))
	}
	if w.sub != tick.LevelNew && w.sub != tick.LevelOverlay && at < len(l) {
		w.price = l[at].Price
	}
	if byNumber {
		if w.sub == tick.LevelNew && r.IntN(8) > 0 { // its place, if no level has the price
			at, _ = slices.BinarySearchFunc(l, w.price, func(a Level, p int64) int {
				if list&1 == bids {
					return cmp.Compare(p, a.Price)
				}
				return cmp.Compare(a.Price, p)
			})
		}
		w.aux = tick.LevelAt(uint32(at+1), orders)
	} else {
		w.aux = tick.LevelAt(0, orders)
	}
	if broken > 0 && r.IntN(broken) == 0 {
		switch r.IntN(7) {
		case 0:
			w.side = "NX"[r.IntN(2)]
		case 1:
			w.price = tick.UndefPrice
		case 2:
			w.size = 0
		case 3:
			w.sub = byte(r.Uint32())
		case 4:
			w.price += 1e9
		case 5:
			if byNumber {
				w.aux = tick.LevelAt(1+r.Uint32N(40), orders)
			}
		case 6:
			if byNumber {
				w.aux = tick.LevelAt(r.Uint32()|1, orders)
			}
		}
	}
	return w
}

// Goal: the books are those of the naive reference, row by row and as a whole, for sound and for broken streams, by number and by price.
// Method: seeded random rows; marks of suspicion come and go; there are more instruments than room in one case.
func TestAgainstNaive(t *testing.T) {
	for _, tc := range []struct {
		name        string
		o           Options
		instruments uint32
		broken      int
	}{
		{"sound", Options{Depth: 30, Implied: 30, MaxInstruments: 100}, 6, 0},
		{"broken", Options{Depth: 24, Implied: 24, MaxInstruments: 1000}, 200, 10},
		{"too many", Options{Depth: 64, Implied: 40, MaxInstruments: 70}, 200, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			batch := newBatch(t)
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, 3))
				b, m := newBooks(t, tc.o), newNaive(tc.o)
				for done := range 30_000 {
					w := step(r, m, tc.instruments, tc.broken)
					in := w
					batch.Reset()
					w.put(batch)
					m.apply(&w)
					b.Apply(batch, 0, 1)
					if got := rowOf(batch, 0); got != w {
						t.Fatalf("seed %d row %d: %+v\n got %+v\nwant %+v", seed, done, in, got, w)
					}
					if !slices.Equal(b.Gone(), m.gone) {
						t.Fatalf("seed %d row %d: %+v\n gone %+v\nwant %+v", seed, done, in, b.Gone(), m.gone)
					}
					if r.IntN(50) == 0 {
						mark(r, m, b, w.id)
					}
					if done%500 == 0 {
						if err := compare(m, b); err != nil {
							t.Fatalf("seed %d row %d: %v", seed, done, err)
						}
					}
				}
				b.Reset()
				if err := compare(newNaive(tc.o), b); err != nil {
					t.Fatalf("reset: %v", err)
				}
			}
		})
	}
}

func mark(r *rand.Rand, m *naive, b *Books, id uint32) {
	on := r.IntN(4) == 0
	if r.IntN(3) == 0 {
		b.SetSuspectAll(on)
		m.unknown = on
		clear(m.odd)
		for _, k := range m.books {
			k.suspect = on
		}
		return
	}
	b.SetSuspect(id, on)
	switch k := m.books[id]; {
	case k != nil:
		k.suspect = on
	case on == m.unknown:
		delete(m.odd, id)
	case len(m.odd) == m.most:
		m.c.OverInstrument++
	default:
		m.odd[id] = on
	}
	if b.Suspect(id) != (m.books[id] == nil && m.suspects(id) || m.books[id] != nil && m.books[id].suspect) {
		panic("a mark was not taken")
	}
}

// Goal: of a venue that names prices, what is kept is the best part of what there is, how much there is beyond is known, and a side that runs out is
// suspect. Method: a sound stream against the whole sorted side.
func TestByPriceBeyondDepth(t *testing.T) {
	b, batch := newBooks(t, Options{Depth: 5}), newBatch(t)
	r := rand.New(rand.NewPCG(4, 4))
	side := map[int64]uint64{}
	ranOut := 0
	for done := range 20_000 {
		w := row{kind: tick.KindLevel, id: 9, side: tick.SideAsk, sub: tick.LevelNew, price: (1 + r.Int64N(30)) * 1e9, size: 1 + r.Uint64N(100)}
		if side[w.price] != 0 {
			w.sub = "CDDO"[r.IntN(4)]
			if w.sub == tick.LevelOverlay && r.IntN(2) == 0 {
				w.size = 0
			}
		} else if r.IntN(3) == 0 {
			w.sub = tick.LevelOverlay
		}
		if side[w.price] = w.size; w.sub == tick.LevelDelete || w.size == 0 {
			delete(side, w.price)
		}
		batch.Reset()
		w.put(batch)
		b.Apply(batch, 0, 1)
		var want []Level
		for p, size := range side {
			want = append(want, Level{Price: p, Size: size})
		}
		slices.SortFunc(want, func(a, c Level) int { return cmp.Compare(a.Price, c.Price) })
		var got [5]Level
		n := b.Levels(9, tick.SideAsk, got[:])
		h := b.find(9)
		if n > len(want) || !slices.Equal(got[:n], want[:n]) || h.beyond[asks] != unsure && n+int(h.beyond[asks]) != len(want) || batch.State[0]&tick.StateApplied == 0 {
			t.Fatalf("row %d %+v: %v and %d beyond, want %v", done, w, got[:n], h.beyond[asks], want)
		}
		if out := n == 0 && (len(want) > 0 || h.beyond[asks] == unsure); out != b.Suspect(9) {
			t.Fatalf("row %d: suspect %v with %d of %d levels", done, b.Suspect(9), n, len(want))
		} else if out {
			ranOut++
			b.SetSuspect(9, false)
			for p := range side {
				delete(side, p)
			}
			batch.Reset()
			(&row{kind: tick.KindClear, id: 9}).put(batch)
			b.Apply(batch, 0, 1)
		}
	}
	if c := b.Counters(); ranOut == 0 || c.RanOut != uint64(ranOut) || c.Absent+c.Duplicate+c.OutOfOrder+c.PriceMismatch != 0 {
		t.Errorf("ran out %d times; counters %+v", ranOut, *c)
	}
}

// FuzzApply turns bytes into rows, four bytes a row.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 1, 5, 9, 0, 1, 6, 9, 0x80, 2, 6, 9, 8, 1, 5, 1})
	f.Add([]byte{0x40, 0, 5, 9, 0x40, 0, 6, 9, 0x42, 0, 5, 9, 0x44, 0, 6, 0, 0x45, 0, 6, 0})
	o := Options{Depth: 32, Implied: 32, MaxInstruments: 3}
	b, batch := newBooks(f, o), newBatch(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newNaive(o)
		b.Reset()
		batch.Reset()
		for ; len(data) >= 4 && batch.N < 2000; data = data[4:] {
			w := row{
				kind: [...]tick.Kind{tick.KindLevel, tick.KindLevel, tick.KindImplied, tick.KindQuote, tick.KindClear, tick.KindAdd, tick.KindTrade, tick.KindLevel}[data[0]&7],
				sub:  "NCDTFO"[data[0]>>3%6], side: "BAN"[data[1]>>6%3], id: uint32(data[0] >> 6), aux: tick.LevelAt(uint32(data[1]&63), uint32(data[2])),
				price: int64(data[2]&31) * 1e9, size: uint64(data[3]), oldPrice: int64(data[2]>>3) * 1e9, oldSize: uint64(data[3] & 3),
				flags: data[1] >> 5 & tick.FlagMore, state: tick.StateApplied, before: tick.EmptyPair, after: tick.EmptyPair,
			}
			if data[2] == 255 {
				w.price = tick.UndefPrice
			}
			byPrice := w.id&1 == 1
			if byPrice { // rows by number could leave a list out of order, where a price has no place
				w.aux &^= 1<<32 - 1
			} else if w.aux<<32 == 0 {
				w.aux++
			}
			w.put(batch)
			m.apply(&w)
			b.Apply(batch, batch.N-1, batch.N)
			if got := rowOf(batch, batch.N-1); got != w {
				t.Fatalf("row %d:\n got %+v\nwant %+v", batch.N-1, got, w)
			}
		}
		if err := compare(m, b); err != nil {
			t.Fatal(err)
		}
	})
}
