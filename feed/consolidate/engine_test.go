package consolidate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// tape keeps an engine's records.
type tape struct {
	symbols map[uint32]string
	recs    []ringbuf.CbboSlot
}

func (t *tape) Instrument(id uint32, symbol string) {
	if t.symbols == nil {
		t.symbols = map[uint32]string{}
	}
	t.symbols[id] = symbol
}
func (t *tape) Record(r *ringbuf.CbboSlot) { t.recs = append(t.recs, *r) }

func (t *tape) take() (text []string) {
	for i := range t.recs {
		r := &t.recs[i]
		l := &r.Levels[0]
		text = append(text, fmt.Sprintf("%s %s@%d / %s@%d live%d stale%d", t.symbols[r.InstrumentID], side(l.BidPx, l.BidSz), l.BidPb,
			side(l.AskPx, l.AskSz), l.AskPb, r.Live, r.Stale))
	}
	t.recs = nil
	return text
}

func side(px int64, sz uint32) string {
	if px == tick.UndefPrice {
		return "-"
	}
	return fmt.Sprintf("%d×%g", sz, float64(px)/1e9)
}

func quoteOf(id uint32, at uint64, bid int64, bidSz uint32, ask int64, askSz uint32, flags uint8) *ringbuf.Mbp1Slot {
	px := func(p int64) int64 {
		if p == 0 {
			return tick.UndefPrice
		}
		return p * tick.PriceScale
	}
	return &ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{
		Trade:  tick.Trade{Header: tick.Header{InstrumentID: id, TsEvent: at}, Action: tick.ActionAdd, Side: tick.SideBid, Flags: flags, TsRecv: at},
		Levels: [1]tick.BidAskPair{{BidPx: px(bid), BidSz: bidSz, AskPx: px(ask), AskSz: askSz}},
	}}
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// TestEngine: three venues, whose numbers for the same symbol differ.
func TestEngine(t *testing.T) {
	var out tape
	e, err := New(Options{Publishers: []uint16{2, 9, 43}, StaleNs: 1000}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if e.Update(0, quoteOf(5, 10, 100, 1, 101, 1, 0), 1) {
		t.Error("an instrument without a symbol was taken")
	}
	e.Know(0, 5, "AAPL")
	e.Know(1, 77, "AAPL")
	e.Know(2, 5, "MSFT")
	e.Update(0, quoteOf(5, 10, 100, 3, 102, 4, 0), 1)
	expect(t, "one venue", out.take(), "AAPL 3×100@2 / 4×102@2 live1 stale0")
	e.Update(1, quoteOf(77, 11, 99, 9, 101, 2, 0), 1)
	expect(t, "a better offer elsewhere", out.take(), "AAPL 3×100@2 / 2×101@9 live2 stale0")
	e.Update(1, quoteOf(77, 12, 100, 9, 101, 2, 0), 2)
	expect(t, "the same bid, larger", out.take(), "AAPL 9×100@9 / 2×101@9 live2 stale0")
	e.Update(1, quoteOf(77, 13, 100, 9, 101, 2, 0), 3)
	expect(t, "nothing new", out.take())
	e.Update(0, quoteOf(5, 14, 103, 1, 104, 1, 0), 2)
	expect(t, "crossed", out.take(), "AAPL 1×103@2 / 2×101@9 live2 stale0")
	if e.Counters.Crossed != 1 || e.Counters.Locked != 0 {
		t.Errorf("%+v", e.Counters)
	}
	e.Update(2, quoteOf(5, 15, 50, 1, 0, 0, 0), 9)
	expect(t, "another instrument, one side only", out.take(), "MSFT 1×50@43 / -@0 live1 stale0")
	e.Status(0, 5, tick.StatusHalt, 16)
	expect(t, "a halt at one venue", out.take(), "AAPL 9×100@9 / 2×101@9 live1 stale0")
	e.Status(0, 5, tick.StatusTrading, 17)
	out.take()
	e.Status(0, 5, tick.StatusSuspend, 17)
	expect(t, "suspended", out.take(), "AAPL 9×100@9 / 2×101@9 live1 stale0")
	e.Status(0, 5, tick.StatusTrading, 17)
	expect(t, "its end", out.take(), "AAPL 1×103@2 / 2×101@9 live2 stale0")
	e.Update(0, quoteOf(5, 18, 103, 1, 104, 1, tick.FlagMaybeBadBook), 3)
	expect(t, "a loss at one venue", out.take(), "AAPL 9×100@9 / 2×101@9 live1 stale0")
	e.Silent(1, true, 19)
	expect(t, "and the other dies", out.take(), "AAPL -@0 / -@0 live0 stale0")
	e.Silent(1, false, 20)
	expect(t, "and comes back", out.take(), "AAPL 9×100@9 / 2×101@9 live1 stale0")
	e.Sweep(1014)
	expect(t, "too old", out.take(), "AAPL -@0 / -@0 live0 stale1")
	e.Update(1, quoteOf(77, 1015, 100, 9, 101, 2, 0), 4)
	expect(t, "a sign of life", out.take(), "AAPL 9×100@9 / 2×101@9 live1 stale0")
	trade := quoteOf(77, 1016, 1, 1, 2, 2, 0)
	trade.Action = tick.ActionTrade
	e.Update(1, trade, 5)
	expect(t, "a trade shows what was before it", out.take())
	e.Forget(1, 1017, 77)
	expect(t, "a new session", out.take(), "AAPL -@0 / -@0 live0 stale0")
	if e.Update(1, quoteOf(77, 1018, 1, 1, 2, 2, 0), 6) {
		t.Error("a number of the session before was taken")
	}
	for v := range e.instruments[0].quotes[:3] {
		if e.instruments[0].quotes[v].Publisher != []uint16{2, 9, 43}[v] {
			t.Errorf("venue %d has publisher %d", v, e.instruments[0].quotes[v].Publisher)
		}
	}
}

// TestAgainstNaive: random updates; after each the best is what a look over all venues' latest quotes gives.
func TestAgainstNaive(t *testing.T) {
	type state struct {
		q                *ringbuf.Mbp1Slot
		halted, suspects bool
	}
	publishers := []uint16{2, 9, 43, 38}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var out tape
		e, err := New(Options{Publishers: publishers, StaleNs: 500}, &out)
		if err != nil {
			t.Fatal(err)
		}
		var naive [4][3]state
		var silent [4]bool
		stale := func(v, s int, now uint64) bool { return naive[v][s].q != nil && now-naive[v][s].q.TsRecv > 500 }
		swept := uint64(0)
		for v := range publishers {
			for s := range 3 {
				e.Know(v, uint32(10*v+s), fmt.Sprint("S", s))
			}
		}
		latest := map[uint32]tick.ConsolidatedPair{}
		now := uint64(1)
		for range 400 {
			now += r.Uint64N(40)
			v, s := r.IntN(4), r.IntN(3)
			switch r.IntN(12) {
			case 0:
				naive[v][s].halted = r.IntN(2) == 0
				e.Status(v, uint32(10*v+s), map[bool]uint16{true: tick.StatusHalt, false: tick.StatusTrading}[naive[v][s].halted], now)
			case 1:
				silent[v] = r.IntN(2) == 0
				e.Silent(v, silent[v], now)
			case 2:
				e.Sweep(now)
				swept = now
			default:
				q := quoteOf(uint32(10*v+s), now, int64(r.IntN(5)), 1+r.Uint32N(3), int64(r.IntN(5)), 1+r.Uint32N(3), 0)
				if r.IntN(6) == 0 {
					q.Flags = tick.FlagMaybeBadBook
				}
				naive[v][s].q, naive[v][s].suspects = q, q.Flags != 0
				e.Update(v, q, 1)
			}
			for i := range out.recs {
				latest[out.recs[i].InstrumentID] = out.recs[i].Levels[0]
			}
			out.recs = nil
			for s := range 3 {
				want := empty
				for v := range publishers {
					n := &naive[v][s]
					// A quote is stale from the sweep on that found it so.
					if n.q == nil || n.halted || n.suspects || silent[v] || swept > n.q.TsRecv && stale(v, s, swept) {
						continue
					}
					l := n.q.Levels[0]
					if l.BidPx != tick.UndefPrice && (want.BidPx == tick.UndefPrice || l.BidPx > want.BidPx || l.BidPx == want.BidPx && l.BidSz > want.BidSz) {
						want.BidPx, want.BidSz, want.BidPb = l.BidPx, l.BidSz, publishers[v]
					}
					if l.AskPx != tick.UndefPrice && (want.AskPx == tick.UndefPrice || l.AskPx < want.AskPx || l.AskPx == want.AskPx && l.AskSz > want.AskSz) {
						want.AskPx, want.AskSz, want.AskPb = l.AskPx, l.AskSz, publishers[v]
					}
				}
				got, said := latest[e.bySymbol[fmt.Sprint("S", s)]]
				if !said {
					got = empty
				}
				if got != want {
					t.Fatalf("seed %d: S%d shows %+v, want %+v", seed, s, got, want)
				}
			}
		}
	}
}

type nothing struct{ n int }

func (*nothing) Instrument(uint32, string)  {}
func (s *nothing) Record(*ringbuf.CbboSlot) { s.n++ }

// BenchmarkUpdate is a venue's quote, half of which change the best.
//
//	budget  0 allocs/op, 100 ns
func BenchmarkUpdate(b *testing.B) {
	e, err := New(Options{Publishers: []uint16{2, 9, 43}}, &nothing{})
	if err != nil {
		b.Fatal(err)
	}
	for v := range 3 {
		for id := range uint32(4000) {
			e.Know(v, id, fmt.Sprint(id))
		}
	}
	quotes := make([]*ringbuf.Mbp1Slot, 1<<14)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range quotes {
		quotes[i] = quoteOf(r.Uint32N(4000), uint64(i), 100-int64(r.IntN(4)), 1+r.Uint32N(9), 101+int64(r.IntN(4)), 1+r.Uint32N(9), 0)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.Update(i%3, quotes[i&(len(quotes)-1)], uint64(i))
		i++
	}
	if e.Counters.Records == 0 {
		b.Fatal("nothing was published")
	}
}
