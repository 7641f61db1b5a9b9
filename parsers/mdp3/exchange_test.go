package mdp3_test

import (
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// TestExchange: a decoder that was away takes over from one that heard everything: it knows the same from there on, makes the same rows, and misses no entry. Without
// that it would miss some. Decoders of other options do not exchange anything.
func TestExchange(t *testing.T) {
	play := func(exchange bool) (rows int, gaps uint64) {
		g, err := mdp3gen.New(mdp3gen.Options{Messages: 6_000, Instruments: 8})
		if err != nil {
			t.Fatal(err)
		}
		var d [2]*mdp3.Decoder
		for i := range d {
			if d[i], err = mdp3.NewDecoder(mdp3.Options{}); err != nil {
				t.Fatal(err)
			}
			d[i].Start(1)
		}
		b, err := tick.NewBatch()
		if err != nil {
			t.Fatal(err)
		}
		defer b.Free()
		for n := uint64(1); ; n++ {
			body, ok := g.Next(nil)
			if !ok {
				break
			}
			if n == 3_000 && exchange && !d[0].Exchange(d[1]) {
				t.Fatal("decoders of the same options do not exchange what they know")
			}
			for i := range d {
				if i == 0 && n >= 2_000 && n < 3_000 || i == 1 && n >= 3_000 {
					continue // away
				}
				for rest, done := body, 0; done == 0; {
					var used int
					b.Reset()
					used, done = d[i].Append(rest, n, 1, b)
					rest = rest[used:]
					if i == 0 {
						rows += b.N
					}
				}
			}
		}
		if d[0].Refused() != 0 {
			t.Errorf("%+v", d[0].Counters)
		}
		return rows, d[0].Counters.RptSeqGaps
	}
	if _, gaps := play(false); gaps == 0 {
		t.Error("this session shows no gap where there is one")
	}
	if rows, gaps := play(true); gaps != 0 || rows == 0 {
		t.Errorf("%d gaps in the entries' numbers, %d rows", gaps, rows)
	}
	a, err := mdp3.NewDecoder(mdp3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := mdp3.NewDecoder(mdp3.Options{Feed: mdp3.FeedMBO})
	if err != nil {
		t.Fatal(err)
	}
	if a.Exchange(b) || a.Exchange(nil) || a.Exchange("a decoder") {
		t.Error("decoders of other options exchange what they know")
	}
}
