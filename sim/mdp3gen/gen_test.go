package mdp3gen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

func make_(tb testing.TB, o Options) *Gen {
	tb.Helper()
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// TestSound plays sessions to a receiver that applies every rule the obvious way: RptSeq without a jump, levels that exist, orders that are known,
// fills that add up, levels and orders that agree, books that never cross; and in the end it has the market's books.
func TestSound(t *testing.T) {
	for _, o := range []Options{
		{Messages: 60_000, Seed: 1}, {Messages: 20_000, Seed: 2, Instruments: 8, Version: 9}, {Messages: 20_000, Seed: 3, LongQty: true},
		{Messages: 1_000, Seed: 4}, {Messages: 30_000, Seed: 5, Instruments: 100},
	} {
		g, n := make_(t, o), newNaive()
		events, last := 0, uint64(0)
		for {
			b, ok := g.Next(nil)
			if !ok {
				break
			}
			if events++; g.Time() < last {
				t.Fatalf("time goes back at event %d", events)
			}
			last = g.Time()
			n.feed(t, b)
			if n.open {
				t.Fatalf("event %d does not end", events)
			}
		}
		n.compare(t, g)
		total := 0
		for _, c := range n.count {
			total += c
		}
		if uint64(total) != g.Options().Messages || g.Messages() != uint64(total) {
			t.Errorf("%d messages, said %d, want %d", total, g.Messages(), g.Options().Messages)
		}
		t.Logf("%+v: %d events, %d rest, by template %v", o, events, g.Resting(), n.count)
		if o.Messages < 20_000 {
			continue
		}
		for _, template := range [][2]uint16{{46, 64}, {47, 47}, {48, 65}, {37, 66}, {49, 49}, {50, 50}, {51, 67}, {30, 30}, {54, 54}, {55, 55}, {56, 56}} {
			if n.count[template[0]]+n.count[template[1]] == 0 {
				t.Errorf("no message of template %d", template[0])
			}
		}
	}
}

// TestReset: after a channel reset, empty books and RptSeq from 1 on become the market's again.
func TestReset(t *testing.T) {
	g, n := make_(t, Options{Messages: 40_000, Seed: 9, Instruments: 16}), newNaive()
	for k := 1; ; k++ {
		b, ok := g.Next(nil)
		if !ok {
			break
		}
		n.feed(t, b)
		if k%5_000 == 0 {
			n.feed(t, g.Reset(nil))
		}
	}
	if n.count[4] < 3 {
		t.Errorf("%d resets", n.count[4])
	}
	n.compare(t, g)
}

// TestSameBytes: a session is the same everywhere. A change of the generator changes the sum, and should be on purpose.
func TestSameBytes(t *testing.T) {
	sum := func(seed uint64) string {
		h := sha256.New()
		if err := WritePcap(h, make_(t, Options{Messages: 5_000, Seed: seed}), Lines{Seed: seed, LossA: 100, LossB: 100}, nil); err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	if a, b := sum(1), sum(1); a != b || a == sum(2) {
		t.Errorf("%s and %s of the same seed, %s of another", a, b, sum(2))
	}
}

// TestEncodersAgainstNothing: messages tile their bytes, whatever the version.
func TestTiles(t *testing.T) {
	for _, v := range []int{9, 13} {
		g := make_(t, Options{Messages: 3_000, Version: v})
		for i := range g.Instruments() {
			b := g.AppendDefinition(nil, i, 7)
			b = g.AppendSnapshot(b, i, 1, 1)
			g.EachOrderSnapshot(i, 1, 1, func(m []byte) { b = append(b, m...) })
			if whole, used := mdp3.Walk(b, 1); whole != 1 || used != len(b) {
				t.Fatalf("version %d instrument %d: %d of %d bytes", v, i, used, len(b))
			}
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Messages: 5}, {Instruments: -1}, {Instruments: 1 << 20}, {Version: 8}, {Version: 9, LongQty: true}} {
		if o.Validate() == nil {
			t.Errorf("%+v", o)
		}
	}
	g := make_(t, Options{Live: true})
	if err := WritePcap(io.Discard, g, Lines{}, nil); err == nil {
		t.Error("a session without end was written whole")
	}
	for k := uint64(1); k < 20_000; k++ {
		if b, ok := g.NextAt(nil, k); !ok || len(b) == 0 || bytes.Equal(b, nil) {
			t.Fatal("a live session ends")
		}
	}
}

// BenchmarkNext is the price of a message: two million must take seconds.
func BenchmarkNext(b *testing.B) {
	g := make_(b, Options{Live: true})
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = g.NextAt(buf[:0], 0)
	}
}
