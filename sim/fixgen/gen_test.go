package fixgen

import (
	"bytes"
	"testing"

	session "github.com/tickwire/tickwire/feed/session/fix"
	codec "github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// Goal: books are sound after every step: sorted, not crossed, all levels there, and something changed.
func TestBooksAreSound(t *testing.T) {
	for _, levels := range []int{1, 2, 5, 10, 99} {
		g := New(Options{Seed: uint64(levels), Symbols: 3, Levels: levels})
		var was session.Book
		trades, before := 0, uint64(0)
		for range 20_000 {
			s := g.Next(&was)
			if s.TsEvent <= before {
				t.Fatal("time does not go on")
			}
			before = s.TsEvent
			if s.Trade {
				trades++
				if p := was.Pairs[0]; s.Price != p.BidPx && s.Price != p.AskPx || s.Size == 0 {
					t.Fatalf("a trade of %d at %d, with %+v", s.Size, s.Price, p)
				}
			}
			if s.Was.Pairs == s.Now.Pairs {
				t.Fatal("a step without a change")
			}
			for l := range g.Levels() {
				p := s.Now.Pairs[l]
				if p.BidSz == 0 || p.AskSz == 0 || p.BidPx <= 0 || p.BidPx >= p.AskPx || p.BidPx%cent != 0 {
					t.Fatalf("level %d: %+v", l, p)
				}
				if l > 0 && (p.BidPx >= s.Now.Pairs[l-1].BidPx || p.AskPx <= s.Now.Pairs[l-1].AskPx) {
					t.Fatalf("level %d is not behind the one before: %+v", l, s.Now.Pairs)
				}
			}
			for _, p := range s.Now.Pairs[g.Levels():] {
				if p != tick.EmptyPair {
					t.Fatal("a level beyond the last one")
				}
			}
		}
		if trades < 1000 {
			t.Errorf("%d trades in 20,000 steps", trades)
		}
	}
}

// Goal: a file has as many messages as were asked for, each legal by its version's dictionary, numbered without a gap, and the same for the same seed.
func TestWrite(t *testing.T) {
	for _, v := range session.Versions {
		var a, b, other bytes.Buffer
		const messages = 3000
		n, err := Write(&a, Options{Seed: 4}, v, messages)
		if n != messages || err != nil {
			t.Fatalf("%s: %d messages, %v", v, n, err)
		}
		_, _ = Write(&b, Options{Seed: 4}, v, messages)
		_, _ = Write(&other, Options{Seed: 5}, v, messages)
		if !bytes.Equal(a.Bytes(), b.Bytes()) || bytes.Equal(a.Bytes(), other.Bytes()) {
			t.Errorf("%s: the seed does not decide", v)
		}
		d, err := codec.Builtin(codec.Versions[v])
		if err != nil {
			t.Fatal(err)
		}
		var s codec.Stream
		var m codec.Message
		s.Add(a.Bytes())
		types := map[string]int{}
		for seq := uint64(1); seq <= messages; seq++ {
			raw := s.Next()
			if raw == nil {
				t.Fatalf("%s: the file ends at message %d", v, seq)
			}
			if err := m.Parse(raw, d); err != nil {
				t.Fatalf("%s: %q: %v", v, raw, err)
			}
			if err := m.Validate(codec.Checks{}); err != nil {
				t.Fatalf("%s: %q: %v", v, raw, err)
			}
			if got, _ := codec.Uint(m.Get(34)); got != seq {
				t.Fatalf("%s: message %d has number %d", v, seq, got)
			}
			types[string(m.MsgType())]++
		}
		if s.Counters.Garbled+s.Counters.Skipped != 0 || len(s.Rest()) != 0 || types["W"] != 20 || types["X"] != messages-20 {
			t.Errorf("%s: %+v, %v, %d bytes left", v, s.Counters, types, len(s.Rest()))
		}
	}
	for _, few := range []int{0, 5} {
		var a bytes.Buffer
		if n, err := Write(&a, Options{}, session.V44, few); n != few || err != nil {
			t.Errorf("%d messages, %v; want %d", n, err, few)
		}
	}
}
