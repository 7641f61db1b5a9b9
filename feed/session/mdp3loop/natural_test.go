package mdp3loop

import (
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// TestNatural: whoever loses packets gets levels back from the stream alone: those of instruments that lost nothing as they stand, those of busy ones level by level. Whenever a
// book counts as whole, it is the market's.
func TestNatural(t *testing.T) {
	var sum resync.NaturalCounters
	for seed := range uint64(6) {
		w := newWorld(t, 100+seed, mdp3gen.Options{Messages: 30_000, Instruments: 8 + int(seed)*4}, false)
		n := resync.NewNatural(&sum)
		place := map[uint32]int{}
		for i := range w.g.Instruments() {
			depth, implied := w.g.Depth(i) // as definitions say
			n.Depth(uint32(w.g.Security(i)), depth, implied)
			place[uint32(w.g.Security(i))] = i
		}
		out, err := tick.NewBatch()
		must(t, err)
		w.naturally, w.doubted = n, map[uint32]bool{}
		for turn := 0; ; turn++ {
			if turn == 500 { // books stand
				w.lossPPM = 500
			}
			ok, err := w.ch.Event()
			must(t, err)
			if !ok {
				break
			}
			if turn%7_000 == 6_999 {
				must(t, w.ch.Reset(false))
			}
			if turn%50 != 0 {
				continue
			}
			must(t, w.ch.Flush())
			if w.next != w.ch.Packets+1 { // what is lost shows with the next packet
				continue
			}
			n.Whole(1<<10, out, func(x resync.Whole, b *tick.Batch) bool {
				i, p := place[x.Instrument], w.prices
				delete(w.doubted, x.Instrument)
				if !x.Follows {
					if b.Kind[0] != tick.KindClear || b.Sub[0] != tick.ClearLevels {
						t.Errorf("the first row is %d of %d: the instrument's orders would go with its levels", b.Kind[0], b.Sub[0])
					}
					p.Apply(b, 0, b.N)
				}
				for side := range 2 {
					w.levels(i, side, w.g.Levels(i, side), p.Levels)
					w.levels(i, side, w.g.Implied(i, side), p.Implied)
				}
				if want := append(w.g.Orders(i, 0), w.g.Orders(i, 1)...); x.Orders {
					at := 0
					w.books.Walk(x.Instrument, func(o book.Order) bool {
						if at >= len(want) || o.ID != want[at].ID {
							t.Errorf("%s: order %d is %d", w.g.Symbol(i), at, o.ID)
						}
						at++
						return at <= len(want)
					})
					if at != len(want) {
						t.Errorf("%s: %d orders, want %d", w.g.Symbol(i), at, len(want))
					}
				}
				return true
			})
			if got, _ := n.Doubted(); got != len(w.doubted) {
				t.Errorf("%d in doubt, want %d", got, len(w.doubted))
			}
			if t.Failed() {
				break
			}
		}
		must(t, out.Free())
		if t.Failed() {
			t.Fatalf("seed %d: %d packets were lost", seed, w.lost)
		}
	}
	if t.Logf("%+v", sum); sum.Losses < 20 || sum.Learnt < 20 || sum.Followed < 100 || sum.Emptied < 20 {
		t.Errorf("%+v: this test shows less than it says", sum)
	}
}
