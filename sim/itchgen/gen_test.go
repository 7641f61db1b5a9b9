package itchgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/tick"
)

func newGen(t testing.TB, o Options) *Gen {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGolden: the same bytes for the same options, on every machine and for ever: whoever changes them says so here.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{Messages: 200_000, Seed: 1}, goldenRealistic},
		{Options{Messages: 200_000, Seed: 1, Profile: Hostile}, goldenHostile},
	} {
		all := AppendAll(nil, newGen(t, tc.o), nil)
		sum := sha256.Sum256(all)
		if got := hex.EncodeToString(sum[:8]); got != tc.want {
			t.Errorf("profile %d: %s, want %s", tc.o.Profile, got, tc.want)
		}
		other := AppendAll(nil, newGen(t, Options{Messages: 200_000, Seed: 2, Profile: tc.o.Profile}), nil)
		if bytes.Equal(all, other) {
			t.Error("another seed gives the same session")
		}
	}
}

// TestSound runs sessions through parser and books: no fault of any kind, time that never goes back, no crossed book while it
// trades, and a mix like a real day's.
func TestSound(t *testing.T) {
	const n = 1_500_000
	for _, profile := range []Profile{Realistic, Hostile} {
		g := newGen(t, Options{Messages: n, Seed: 7, Profile: profile})
		all := AppendAll(nil, g, nil)
		if g.Messages() != n {
			t.Errorf("profile %d: %d messages of %d", profile, g.Messages(), n)
		}
		books, err := book.New(book.Options{})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := tick.NewBatch()
		if err != nil {
			t.Fatal(err)
		}
		var c itch.Counters
		kinds := map[tick.Kind]int{}
		last := uint64(0)
		seq := uint64(1)
		for pass, left := 0, all; len(left) > 0; pass++ {
			used, messages := itch.Append(left, 0, seq, 4000, batch, &c)
			if messages == 0 {
				t.Fatal("the parser takes no more")
			}
			left, seq = left[used:], seq+uint64(messages)
			books.Apply(batch, 0, batch.N)
			for i := range batch.N {
				if batch.TsEvent[i] < last {
					t.Fatalf("profile %d: time goes back at message %d", profile, batch.Sequence[i])
				}
				last = batch.TsEvent[i]
				kinds[batch.Kind[i]]++
				if a := &batch.After[i]; a.BidPx != tick.UndefPrice && a.AskPx != tick.UndefPrice && a.BidPx >= a.AskPx {
					t.Fatalf("profile %d: message %d crosses the book of %d: %d, %d", profile, batch.Sequence[i], batch.Instrument[i], a.BidPx, a.AskPx)
				}
			}
			batch.Reset()
			if pass%50 == 0 {
				if err := books.Validate(); err != nil {
					t.Fatal(err)
				}
			}
		}
		b := books.Counters()
		if faults := b.Duplicate + b.Clamped + b.ZeroSize + b.BadPrice + b.BadSide + b.BadSize + b.NoRoom + b.LocateMismatch + c.Short + c.Unknown + c.Empty; faults != 0 || b.Unknown != [tick.KindCount]uint64{} {
			t.Errorf("profile %d: %+v %+v", profile, *b, c.Short)
		}
		if profile == Realistic && b.OutOfTurn != 0 {
			t.Errorf("%d executions of orders that were not first in their queue", b.OutOfTurn)
		}
		checkMix(t, profile, kinds, n, b)
		if err := books.Close(); err != nil {
			t.Fatal(err)
		}
		if err := batch.Free(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkMix compares with the venue sheet's shares of a real day, widely.
func checkMix(t *testing.T, profile Profile, kinds map[tick.Kind]int, n int, b *book.Counters) {
	t.Helper()
	share := func(k tick.Kind) float64 { return 100 * float64(kinds[k]) / float64(n) }
	for _, tc := range []struct {
		kind     tick.Kind
		low, top float64
	}{
		{tick.KindAdd, 38, 52}, {tick.KindDelete, 28, 46}, {tick.KindReplace, 3, 12}, {tick.KindExec, 1, 10}, {tick.KindReduce, 0.2, 3},
	} {
		if got := share(tc.kind); got < tc.low || got > tc.top {
			t.Errorf("profile %d: %.1f %% are of kind %d, want %.0f to %.0f", profile, got, tc.kind, tc.low, tc.top)
		}
	}
	for _, k := range []tick.Kind{tick.KindExecAt, tick.KindCross, tick.KindStatus, tick.KindImbalance, tick.KindDefinition, tick.KindSystem} {
		if kinds[k] == 0 {
			t.Errorf("profile %d: none is of kind %d", profile, k)
		}
	}
	t.Logf("profile %d: add %.1f delete %.1f replace %.1f exec %.1f reduce %.1f trade %.2f imbalance %.2f %%; %d orders rest, %d at most, %d levels",
		profile, share(tick.KindAdd), share(tick.KindDelete), share(tick.KindReplace), share(tick.KindExec), share(tick.KindReduce), share(tick.KindTrade), share(tick.KindImbalance),
		b.Orders, b.MaxOrders, b.Levels)
}

// TestSmall: sessions of any length end where they should.
func TestSmall(t *testing.T) {
	for _, messages := range []uint64{1, 2, 50, 1000, 30_000} {
		for _, symbols := range []int{1, 3, 300} {
			for _, profile := range []Profile{Realistic, Hostile} {
				g := newGen(t, Options{Messages: messages, Symbols: symbols, Profile: profile})
				n := uint64(0)
				var last []byte
				for {
					b, ok := g.Next(nil)
					if !ok {
						break
					}
					if want := itch.Length(b[0]); len(b) != want {
						t.Fatalf("%c has %d bytes, want %d", b[0], len(b), want)
					}
					n++
					last = b
				}
				if n != messages {
					t.Errorf("%d messages of %d, %d symbols", n, messages, symbols)
				}
				if messages >= 30_000 && (last[0] != 'S' || last[11] != 'C') {
					t.Errorf("%d messages, %d symbols, profile %d: the last is %c", messages, symbols, profile, last[0])
				}
			}
		}
	}
}

// TestLive: stamps are the caller's, and everything that the demo shows comes within half a million messages.
func TestLive(t *testing.T) {
	g := newGen(t, Options{Live: true, Symbols: 500, Seed: 3})
	seen := map[byte]int{}
	var b []byte
	for n := range uint64(500_000) {
		b = g.NextAt(b[:0], 34_200_000_000_000+n)
		if ts := binary.BigEndian.Uint64(b[3:]) & (1<<48 - 1); ts != 34_200_000_000_000+n {
			t.Fatalf("message %d is stamped %d", n, ts)
		}
		seen[b[0]]++
	}
	for _, typ := range "SRHYAFECXDUPQI" {
		if seen[byte(typ)] == 0 {
			t.Errorf("no %c within ten seconds", typ)
		}
	}
	if n := g.Resting(); n < 1000 || n > 200_000 {
		t.Errorf("%d orders rest", n)
	}
}

func TestFaults(t *testing.T) {
	for _, o := range []Options{{Symbols: -1}, {Symbols: mostSymbols + 1}, {Profile: 9}, {Profile: Hostile, Messages: 1<<28 + 1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := ParseProfile("x"); err == nil {
		t.Error("profile x")
	}
}

// TestShuffle: a permutation.
func TestShuffle(t *testing.T) {
	seen := make([]uint64, 1<<28/64)
	for n := range uint64(1 << 28) {
		if n%257 != 0 && n > 1<<22 { // all of the beginning, samples behind it
			continue
		}
		x := shuffle28(n, 5)
		if x >= 1<<28 || seen[x/64]>>(x%64)&1 != 0 {
			t.Fatalf("%d comes twice", x)
		}
		seen[x/64] |= 1 << (x % 64)
	}
}

// BenchmarkNext is the cost of a generated message.
func BenchmarkNext(b *testing.B) {
	for name, profile := range map[string]Profile{"realistic": Realistic, "hostile": Hostile} {
		b.Run(name, func(b *testing.B) {
			g := newGen(b, Options{Messages: 1 << 27, Profile: profile})
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = g.Next(buf[:0])
			}
		})
	}
}

const (
	goldenRealistic = "368a3f5e1feeb4b0"
	goldenHostile   = "16e5e3f684100636"
)
