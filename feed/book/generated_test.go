package book

import (
	"testing"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// TestGeneratedDays runs whole generated sessions, of both profiles, through parser and books beside the naive reference: every
// completed row is compared, and the whole state at checkpoints.
func TestGeneratedDays(t *testing.T) {
	messages := uint64(200_000)
	if testing.Short() {
		messages = 60_000
	}
	for _, profile := range []itchgen.Profile{itchgen.Realistic, itchgen.Hostile} {
		g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 120, Seed: 11, Profile: profile})
		if err != nil {
			t.Fatal(err)
		}
		day := itchgen.AppendAll(nil, g, nil)
		b, m, batch := newBooks(t, Options{}), newNaive(Options{}), newBatch(t)
		var c itch.Counters
		seq, checked := uint64(1), 0
		for pass := 0; len(day) > 0; pass++ {
			used, n := itch.Append(day, 0, seq, 1+pass%2000, batch, &c)
			if n == 0 {
				t.Fatal("the parser takes no more")
			}
			day, seq = day[used:], seq+uint64(n)
			want := make([]row, batch.N)
			for i := range want {
				want[i] = rowOf(batch, i)
				m.apply(&want[i])
			}
			b.Apply(batch, 0, batch.N)
			for i := range want {
				if got := rowOf(batch, i); got != want[i] && want[i].kind <= tick.KindCross {
					t.Fatalf("profile %d sequence %d:\n got %+v\nwant %+v", profile, batch.Sequence[i], got, want[i])
				}
			}
			batch.Reset()
			if pass%100 == 0 || len(day) == 0 {
				checked++
				if err := compare(m, b); err != nil {
					t.Fatalf("profile %d after %d messages: %v", profile, seq-1, err)
				}
			}
		}
		if checked < 4 || len(m.orders) == 0 {
			t.Errorf("profile %d: %d checkpoints, %d orders at the end", profile, checked, len(m.orders))
		}
	}
}
