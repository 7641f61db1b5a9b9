package itchgen

import (
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/tick"
)

// soundness runs a session through parser and books.
type soundness struct {
	t     *testing.T
	batch *tick.Batch
	books *book.Books
	c     itch.Counters
	last  uint64
	next  uint64 // sequence number
	step  uint64
}

func newSoundness(t *testing.T) *soundness {
	t.Helper()
	books, err := book.New(book.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := books.Close(); err != nil {
			t.Error(err)
		}
		if err := batch.Free(); err != nil {
			t.Error(err)
		}
	})
	return &soundness{t: t, batch: batch, books: books, next: 1}
}

// take checks length-prefixed messages: all are decoded, time does not go back, no book is locked or crossed after any of them.
func (s *soundness) take(b []byte) {
	s.t.Helper()
	for len(b) > 0 {
		used, messages := itch.Append(b, 0, s.next, tick.MaxRows, s.batch, &s.c)
		if messages == 0 {
			s.t.Fatalf("the parser takes no more at message %d", s.next)
		}
		b, s.next = b[used:], s.next+uint64(messages)
		s.books.Apply(s.batch, 0, s.batch.N)
		for i := range s.batch.N {
			if s.batch.TsEvent[i] < s.last {
				s.t.Fatalf("time goes back at message %d: %d after %d", s.batch.Sequence[i], s.batch.TsEvent[i], s.last)
			}
			s.last = s.batch.TsEvent[i]
			if a := &s.batch.After[i]; a.BidPx != tick.UndefPrice && a.AskPx != tick.UndefPrice && a.BidPx >= a.AskPx {
				s.t.Fatalf("message %d crosses the book of %d: bid %d, ask %d", s.batch.Sequence[i], s.batch.Instrument[i], a.BidPx, a.AskPx)
			}
		}
		s.batch.Reset()
	}
}

// faults checks that nothing was refused, unknown, clamped or out of turn, and the books' structure.
func (s *soundness) faults() {
	s.t.Helper()
	if n := s.c.Short + s.c.Unknown + s.c.Empty + s.c.Extended; n != 0 {
		s.t.Errorf("%d messages that the parser complains of", n)
	}
	c := *s.books.Counters()
	c.Orders, c.MaxOrders, c.Levels, c.Blocks, c.Pages, c.Bytes = 0, 0, 0, 0, 0, 0
	if c != (book.Counters{}) {
		s.t.Errorf("faults %+v", c)
	}
	if err := s.books.Validate(); err != nil {
		s.t.Error(err)
	}
}

// TestSound: no fault of any kind in sessions of both profiles, large and small directories, other seeds; and the mix of a real day.
func TestSound(t *testing.T) {
	for _, o := range []Options{
		{Messages: 3_000_000, Seed: 7},
		{Messages: 1_000_000, Seed: 8, Symbols: 40},
		{Messages: 500_000, Seed: 9, Symbols: 1},
		{Messages: 2_000_000, Seed: 7, Profile: Hostile},
		{Messages: 300_000, Seed: 8, Symbols: 1, Profile: Hostile},
		{Messages: 1_500_000, Seed: 10, Symbols: 200, Live: true},
	} {
		s := newSoundness(t)
		g := newGen(t, o)
		var b []byte
		for n, pass := 1, 0; n > 0; pass++ {
			b, n = g.AppendFramed(b[:0], 10_000)
			s.take(b)
			if rest := s.books.Counters().Orders; rest != uint64(g.Resting()) && len(g.pending) == g.at {
				t.Fatalf("%d orders rest, the generator has %d", rest, g.Resting())
			}
			if pass%64 == 0 {
				s.faults()
			}
		}
		s.faults()
		c := s.books.Counters()
		t.Logf("%v, %d symbols: %d orders rest at most, %d at the end, %d levels", o.Profile, g.o.Symbols, c.MaxOrders, c.Orders, c.Levels)
		checkMix(t, g.o, &s.c.ByType)
	}
}

// checkMix compares shares with those of 2019-10-30 (the public sample day): in percent of messages without the fixed ones, which
// weigh more in a small session than in one of 300 million.
func checkMix(t *testing.T, o Options, types *[256]uint64) {
	t.Helper()
	total := uint64(0)
	for _, typ := range "AFDUEXPCI" {
		total += types[typ]
	}
	share := func(what string) (n float64) {
		for _, typ := range what {
			n += 100 * float64(types[typ]) / float64(total)
		}
		return n
	}
	for _, want := range []struct {
		types string
		share float64
		off   float64 // tolerance
	}{
		{"AF", 43.75, 4}, {"D", 41.94, 4}, {"U", 8.68, 1.5}, {"E", 2.49, 0.7}, {"X", 1.21, 0.4}, {"P", 0.52, 0.25}, {"F", 0.48, 0.2},
		{"C", 0.05, 0.35}, {"I", 1.27, 0.6},
	} {
		got := share(want.types)
		t.Logf("  %-2s %6.3f %%, %6.3f %% on the day", want.types, got, want.share)
		if o.Live && want.types == "I" || o.Symbols < 1_000 {
			continue // no closing auction; too few symbols for a day's shares
		}
		if o.Profile == Hostile {
			want.off += 2 // a sixteenth of the session builds the crowd
		}
		if got < want.share-want.off || got > want.share+want.off {
			t.Errorf("%v: %.2f %% are %s, want %.2f ± %.2f", o.Profile, got, want.types, want.share, want.off)
		}
	}
	for _, typ := range "SRHYLVAFECXDUPQI" {
		if types[typ] == 0 {
			t.Errorf("%v: no %c", o.Profile, typ)
		}
	}
}
