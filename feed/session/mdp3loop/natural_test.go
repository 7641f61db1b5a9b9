package mdp3loop

import (
	"testing"

	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// TestNatural: whoever joins a session in the middle, or loses packets, gets the levels of busy instruments back from the stream alone: whenever a book counts as whole, it is
// the market's.
func TestNatural(t *testing.T) {
	whole := 0
	for seed := range uint64(6) {
		w := newWorld(t, 100+seed, mdp3gen.Options{Messages: 30_000, Instruments: 8 + int(seed)*4}, false)
		n := resync.NewNatural(10, 0)
		for i := range w.g.Instruments() { // as definitions say
			depth, implied := w.g.Depth(i)
			n.Depth(uint32(w.g.Security(i)), depth, implied)
		}
		place := map[uint32]int{}
		for i := range w.g.Instruments() {
			place[uint32(w.g.Security(i))] = i
		}
		out, err := tick.NewBatch()
		must(t, err)
		w.naturally = n
		for turn := 0; ; turn++ {
			ok, err := w.ch.Event()
			must(t, err)
			if !ok {
				break
			}
			if turn%6_000 == 4_000 {
				n.Begin()
			}
			if turn%50 != 0 {
				continue
			}
			must(t, w.ch.Flush())
			n.Whole(out, func(id uint32, b *tick.Batch) {
				whole++
				if b.Kind[0] != tick.KindClear || b.Sub[0] != tick.ClearLevels {
					t.Errorf("the first row is %d of %d: the instrument's orders would go with its levels", b.Kind[0], b.Sub[0])
				}
				p, err := newPrices()
				must(t, err)
				i := place[id]
				depth, implied := w.g.Depth(i)
				p.SetDepth(id, depth, implied)
				p.Apply(b, 0, b.N)
				for side := range 2 {
					w.levels(i, side, w.g.Levels(i, side), p.Levels)
					w.levels(i, side, w.g.Implied(i, side), p.Implied)
				}
			})
		}
		must(t, out.Free())
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if t.Logf("%d books became whole", whole); whole < 20 {
		t.Errorf("%d books: this test shows less than it says", whole)
	}
}
